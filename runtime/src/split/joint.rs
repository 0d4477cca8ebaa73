//! Where a batch waits for the parcels that replicas have of it.

use super::Parcel;
use crate::message::Envelope;
use crate::sync::{AtomicUsize, Receiver, Sender, bounded};
use std::sync::atomic::Ordering::{AcqRel, Release};

/// What comes together in a joint.
pub(crate) enum Piece {
    Batch(Box<Envelope>),
    Parcel(Parcel),
}

/// A meeting point with room for a batch and its parcels. Whoever brings the last piece takes them all.
pub(crate) struct Joint {
    missing: AtomicUsize,
    pieces: (Sender<Piece>, Receiver<Piece>),
    room: usize,
}

impl Joint {
    /// A joint for a batch and at most so many parcels.
    pub fn new(parcels: usize) -> Self {
        let room = parcels + 1;
        Self { missing: AtomicUsize::new(0), pieces: bounded(room), room }
    }

    /// Whether there is room for a batch and so many parcels.
    pub fn fits(&self, parcels: usize) -> bool {
        parcels < self.room
    }

    /// Begins anew. Nothing is in it, and nobody else knows of it yet.
    pub fn expect(&self, parcels: usize) {
        self.missing.store(parcels + 1, Release);
    }

    /// Takes a piece; who brought the last one gets the batch, with its parcels in it.
    pub fn bring(&self, piece: Piece) -> Option<Box<Envelope>> {
        // There is room for every piece, and this is both ends of the queue.
        let _ = self.pieces.0.send(piece);
        // Whoever sees that nothing is missing any more sees what all have brought.
        (self.missing.fetch_sub(1, AcqRel) == 1).then(|| self.collect()).flatten()
    }

    /// Takes what is here: the batch, which is always brought first, with the parcels that are.
    pub fn collect(&self) -> Option<Box<Envelope>> {
        let Ok(Piece::Batch(mut envelope)) = self.pieces.1.try_recv() else { return None };
        while let Ok(Piece::Parcel(parcel)) = self.pieces.1.try_recv() {
            envelope.parcels.push(parcel);
        }
        Some(envelope)
    }
}
