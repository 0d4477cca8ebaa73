//! The end of the training graph: every feature vector goes to the trainer.

use super::checkpoint::{Checkpoint, Identity};
use crate::Error;
use legonf_core::{Batch, BindError, Clock, ColumnSpec, Fault, Handle, Layout, Rows, Sink};
use legonf_extract::FEATURES;
use legonf_models::kitnet::{Phase, Trainer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Trains on the features of each batch, in order, up to the packets needed.
pub struct TrainSink {
    trainer: Trainer,
    identity: Identity,
    checkpoint: PathBuf,
    /// Whether the file is there, of this training.
    has_checkpoint: bool,
    every: u64,
    /// Packets seen of the captures; those before the checkpoint are only extracted again.
    seen: u64,
    last_rmse: f64,
    /// That of the packets up to the last one needed: how far a source reads beyond depends on the layout.
    clock: Clock,
    enough: Arc<AtomicBool>,
    features: Handle<Rows>,
}

impl TrainSink {
    /// A sink over `trainer`, which has seen packets before where it was `resumed` from the checkpoint.
    pub fn new(trainer: Trainer, identity: Identity, checkpoint: PathBuf, every: u64, resumed: bool) -> Self {
        Self {
            trainer,
            identity,
            checkpoint,
            has_checkpoint: resumed,
            every,
            seen: 0,
            last_rmse: 0.0,
            clock: Clock::default(),
            enough: Arc::default(),
            features: Handle::default(),
        }
    }

    /// Packets that the trainer was given: those it learnt from and those it passed over.
    pub fn packets(&self) -> u64 {
        let progress = self.trainer.progress();
        progress.used + progress.skipped
    }

    /// Packets that it passed over, since a feature was not a finite number.
    pub fn skipped(&self) -> u64 {
        self.trainer.progress().skipped
    }

    /// Packets that have arrived.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the trainer has all it needs.
    pub fn is_done(&self) -> bool {
        self.trainer.progress().phase == Phase::Complete
    }

    /// Becomes true when the trainer has all it needs.
    pub fn enough(&self) -> Arc<AtomicBool> {
        self.enough.clone()
    }

    /// RMSE of the last training packet, before its update.
    pub fn last_rmse(&self) -> f64 {
        self.last_rmse
    }

    /// The clock of the packets that were seen until the trainer had all it needs.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Expects packets of another capture.
    pub fn next_capture(&mut self) {
        self.clock = self.clock.next_capture();
    }

    /// Where checkpoints go.
    pub fn checkpoint_path(&self) -> &Path {
        &self.checkpoint
    }

    /// Writes a checkpoint.
    pub fn save_checkpoint(&mut self) -> Result<(), Error> {
        Checkpoint::of(&self.trainer, &self.identity)
            .save(&self.checkpoint)
            .map_err(|error| Error::file(&self.checkpoint, error))?;
        self.has_checkpoint = true;
        Ok(())
    }

    /// Takes away the checkpoint of this training, from which nothing can go on.
    pub fn discard_checkpoint(&mut self) {
        if std::mem::take(&mut self.has_checkpoint) {
            // One that is left does no harm.
            let _ = std::fs::remove_file(&self.checkpoint);
        }
    }

    /// The trainer and what it was trained on.
    pub fn into_parts(self) -> (Trainer, Identity) {
        (self.trainer, self.identity)
    }

    fn take(&mut self, row: &[f64]) -> Result<(), Fault> {
        let index = self.seen;
        self.seen += 1;
        if index < self.packets() || self.is_done() {
            return Ok(());
        }
        self.last_rmse = self.trainer.train(row);
        if self.is_done() {
            self.enough.store(true, Ordering::Relaxed);
        } else if self.packets().is_multiple_of(self.every) {
            self.save_checkpoint().map_err(Fault::new)?;
        }
        Ok(())
    }
}

impl Sink for TrainSink {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        for (packet, row) in batch.headers.iter().zip(batch.columns.get(self.features).iter()) {
            if !self.is_done() {
                self.clock.shift(packet.seq, packet.timestamp);
            }
            self.take(row)?;
        }
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![FEATURES])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = layout.handle(&FEATURES)?;
        Ok(())
    }

    /// Keeps what was learnt, where there is more to learn.
    fn finish(&mut self) -> Result<(), Fault> {
        if self.is_done() { Ok(()) } else { self.save_checkpoint().map_err(Fault::new) }
    }
}
