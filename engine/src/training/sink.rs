//! The end of the training graph: every feature vector goes to the trainer, and to the network that it made.

use super::checkpoint::{Checkpoint, Identity};
use super::drift::{COMPARED, Drift, Levels, PARTS};
use super::goal::Goal;
use super::learning::{Learning, Learnt};
use crate::Error;
use legonf_core::{Batch, BindError, Clock, ColumnSpec, Fault, Handle, Layout, Rows, Sink};
use legonf_extract::FEATURES;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Trains on the features of each batch, in order, up to the packets needed; then scores a quarter as much.
pub struct TrainSink {
    learning: Learning,
    goal: Goal,
    /// Scores of the training, and of what comes after it.
    training: Levels,
    after: Levels,
    /// What was learnt; none while there is more to learn.
    learnt: Option<Learnt>,
    /// Packets that it has scored.
    scored: u64,
    identity: Identity,
    checkpoint: PathBuf,
    /// Whether the file is there, of this training.
    has_checkpoint: bool,
    every: u64,
    /// Packets seen of the captures; those before the checkpoint are only extracted again.
    seen: u64,
    last_rmse: Option<f64>,
    /// That of the packets up to the last one needed: how far a source reads beyond depends on the layout.
    clock: Clock,
    /// That of all packets.
    now: Clock,
    /// The part in which the first packet after the training came.
    first_after: u64,
    /// Whether rows of a table came, which have no times.
    timeless: bool,
    enough: Arc<AtomicBool>,
    features: Handle<Rows>,
}

impl TrainSink {
    /// A sink over a training, which has seen packets before where it was `resumed` from the checkpoint.
    pub fn new(
        (learning, goal): (Learning, Goal),
        identity: Identity,
        checkpoint: PathBuf,
        every: u64,
        resumed: bool,
    ) -> Self {
        Self {
            learning,
            goal,
            training: Levels::default(),
            after: Levels::default(),
            learnt: None,
            scored: 0,
            identity,
            checkpoint,
            has_checkpoint: resumed,
            every,
            seen: 0,
            last_rmse: None,
            clock: Clock::default(),
            now: Clock::default(),
            first_after: 0,
            timeless: false,
            enough: Arc::default(),
            features: Handle::default(),
        }
    }

    /// Packets that the trainer was given: those it learnt from and those it passed over.
    pub fn packets(&self) -> u64 {
        let (used, skipped) = self.learning.progress();
        used + skipped
    }

    /// Packets that it passed over, since a feature was not a finite number.
    pub fn skipped(&self) -> u64 {
        self.learning.progress().1
    }

    /// Packets that have arrived.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the trainer has all it needs.
    pub fn is_done(&self) -> bool {
        self.learning.is_done()
    }

    /// Becomes true when no more packets are of use.
    pub fn enough(&self) -> Arc<AtomicBool> {
        self.enough.clone()
    }

    /// RMSE of the last training packet, before its update; of a KitNET.
    pub fn last_rmse(&self) -> Option<f64> {
        self.last_rmse
    }

    /// The clock of the packets that were seen until the trainer had all it needs.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Stream time of these packets; none where they are rows of a table.
    pub fn seconds(&self) -> Option<f64> {
        (!self.timeless).then(|| self.clock.elapsed() as f64 / 1e9)
    }

    /// Expects packets of another capture.
    pub fn next_capture(&mut self) {
        self.clock = self.clock.next_capture();
        self.now = self.now.next_capture();
    }

    /// Where checkpoints go.
    pub fn checkpoint_path(&self) -> &Path {
        &self.checkpoint
    }

    /// Whether a training that is broken off can go on later.
    pub fn can_go_on(&self) -> bool {
        self.learning.kitnet().is_some()
    }

    /// Writes a checkpoint, if the training can go on from one.
    pub fn save_checkpoint(&mut self) -> Result<(), Error> {
        let Some(trainer) = self.learning.kitnet() else { return Ok(()) };
        Checkpoint::of(trainer, &self.identity)
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

    /// Ends the training where there are no more packets, if those that there were will do.
    pub fn end(&mut self) {
        if !self.is_done() && self.goal.allows_end(self.learning.trained()) {
            self.learning.conclude();
        }
    }

    /// What became of the scores after the training; none where too few packets came after it.
    pub fn drift(&mut self) -> Option<Drift> {
        Drift::of(std::mem::take(&mut self.training), std::mem::take(&mut self.after), self.scored)
    }

    /// The training and what it was on.
    pub fn into_parts(self) -> (Learning, Identity) {
        (self.learning, self.identity)
    }

    /// Makes a model of what was learnt; the scores of the rows of a detector's sample are those of the training.
    fn learn(&mut self) -> Result<(), Error> {
        let learnt = self.learning.finish()?;
        if let Learnt::Detector(fitted, _) = &learnt {
            fitted.scores.iter().for_each(|(part, score)| self.training.push(*part, *score));
        }
        self.learnt = Some(learnt);
        Ok(())
    }

    /// Takes the next row, at a time since the first one if it has any.
    fn take(&mut self, row: &[f64], elapsed: Option<Duration>) -> Result<(), Fault> {
        let index = self.seen;
        self.seen += 1;
        if self.is_done() {
            return self.judge(row, elapsed).map_err(Fault::new);
        }
        if index < self.packets() {
            return Ok(());
        }
        self.last_rmse = self.learning.train(row, self.part(elapsed), elapsed);
        if let Some(rmse) = self.last_rmse.filter(|_| self.learning.trained() > 0) {
            self.training.push(self.part(elapsed), rmse);
        }
        if self.goal.is_reached(self.learning.trained(), elapsed) {
            self.learning.conclude();
        } else if self.packets().is_multiple_of(self.every) {
            self.save_checkpoint().map_err(Fault::new)?;
        }
        Ok(())
    }

    /// Scores a row that comes after the training, up to as many as are of use.
    fn judge(&mut self, row: &[f64], elapsed: Option<Duration>) -> Result<(), Error> {
        let part = self.part(elapsed);
        if self.learnt.is_none() {
            self.learn()?;
            self.first_after = part;
        }
        if part >= self.first_after + COMPARED as u64 {
            self.enough.store(true, Ordering::Relaxed);
        } else if let Some(learnt) =
            self.learnt.as_mut().filter(|_| row.iter().all(|value| value.is_finite()))
        {
            self.after.push(part, learnt.score(row));
            self.scored += 1;
        }
        Ok(())
    }

    /// Which part of the training a row is in, by time or, where packets are what it needs, by number.
    fn part(&self, elapsed: Option<Duration>) -> u64 {
        let by_time =
            |elapsed: Duration| (elapsed.as_nanos() / (self.goal.time / PARTS).as_nanos().max(1)) as u64;
        let by_number = || self.learning.trained() + self.scored;
        match elapsed.filter(|_| !self.goal.is_of_packets()) {
            Some(elapsed) => by_time(elapsed),
            None => by_number() / (self.goal.packets / u64::from(PARTS)).max(1),
        }
    }
}

impl Sink for TrainSink {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.timeless |= batch.timeless;
        for (packet, row) in batch.headers.iter().zip(batch.columns.get(self.features).iter()) {
            if !self.is_done() {
                self.clock.shift(packet.seq, packet.timestamp);
            }
            self.now.shift(packet.seq, packet.timestamp);
            let elapsed = (!self.timeless).then(|| Duration::from_nanos(self.now.elapsed()));
            self.take(row, elapsed)?;
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
