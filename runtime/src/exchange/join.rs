//! Where the replicas' parts of a batch come together, first and last.

use super::{HomePart, Part};
use crate::sync::{AtomicUsize, Receiver, Sender, bounded};
use crate::worker::envelope::Envelope;
use std::sync::atomic::Ordering::{AcqRel, Release};

/// Where as many pieces are waited for as there are replicas. Whoever brings the last one goes on.
pub(crate) struct Barrier<T> {
    missing: AtomicUsize,
    pieces: (Sender<T>, Receiver<T>),
}

impl<T> Barrier<T> {
    fn new(room: usize) -> Self {
        Self { missing: AtomicUsize::new(0), pieces: bounded(room) }
    }

    /// Brings a piece. Whether it was the last one: who brought that may [collect](Self::collect) all.
    pub fn bring(&self, piece: T) -> bool {
        // There is room for every piece, and this is both ends of the queue.
        let _ = self.pieces.0.send(piece);
        // Whoever sees that nothing is missing any more sees what all have brought.
        self.missing.fetch_sub(1, AcqRel) == 1
    }

    /// Takes the pieces, in no order.
    pub fn collect(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.pieces.1.try_recv().ok())
    }
}

/// Where a batch waits while its replicas work on it.
pub(crate) struct Join {
    /// Parts whose travelling cells are computed.
    pub first: Barrier<Box<Part>>,
    /// Parts whose packets are through.
    pub last: Barrier<Box<HomePart>>,
    batch: (Sender<Box<Envelope>>, Receiver<Box<Envelope>>),
    room: usize,
}

impl Join {
    /// A join for so many replicas at most.
    pub fn new(replicas: usize) -> Self {
        let (first, last) = (Barrier::new(replicas), Barrier::new(replicas));
        Self { first, last, batch: bounded(1), room: replicas }
    }

    /// Whether there is room for so many replicas.
    pub fn fits(&self, replicas: usize) -> bool {
        replicas <= self.room
    }

    /// Begins anew, with as many replicas. Nothing is in it, and nobody else knows of it yet.
    pub fn expect(&self, replicas: usize) {
        self.first.missing.store(replicas, Release);
        self.last.missing.store(replicas, Release);
    }

    /// Leaves the batch here. Its place is free.
    pub fn put(&self, envelope: Box<Envelope>) {
        // There is room for it, and this is both ends of the queue.
        let _ = self.batch.0.send(envelope);
    }

    /// Takes the batch.
    pub fn take(&self) -> Option<Box<Envelope>> {
        self.batch.1.try_recv().ok()
    }
}
