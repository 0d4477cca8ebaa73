//! Kitsune, by the defaults of `legonf train` and `legonf calibrate`, on one traffic.

use super::report::{Minutes, Run};
use super::too_short;
use super::traffic::{Row, Traffic};
use crate::{ExperimentError, Scorer};
use legonf_core::Schema;
use legonf_decide::calibrate::{BenignScores, Calibration};
use legonf_engine::{Calibrating, Goal, Session, Training};
use legonf_models::kitnet::{KitNet, MAX_PACKETS, TrainConfig, Trainer};
use std::sync::Arc;
use std::time::Duration;

/// The most time that sets a threshold.
const CALIBRATION: Duration = Duration::from_mins(10);

/// A run of the experiment.
pub struct Kitsune<'a> {
    pub session: &'a Session,
    pub schema: &'a Schema,
    pub traffic: &'a Traffic,
    /// Packets that train the ensemble at least; those of `legonf train` by default.
    pub training_packets: Option<u64>,
}

/// A network, and when its training ended.
struct Trained {
    network: Arc<KitNet>,
    packets: u64,
    until: Duration,
}

impl Kitsune<'_> {
    pub fn run(&self) -> Result<Run, ExperimentError> {
        let span = self.traffic.span(self.session)?;
        let (trained, scores) = self.learn(span)?;
        let defaults = Calibrating::new("", "");
        match scores.calibrate(defaults.method, defaults.check) {
            Ok(found) => self.judge(&trained, &found),
            Err(error) if error.yields_to_force() => Ok(Run::refused(self.traffic.name(), &error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Trains a network, and scores what comes behind it.
    fn learn(&self, span: Duration) -> Result<(Trained, BenignScores), ExperimentError> {
        let (goal, config) = self.defaults();
        let needed = config.feature_mapping_packets + 1 + goal.packets;
        let mut trainer = Some(Trainer::new(config)?);
        let mut learnt: Option<(Trained, Duration)> = None;
        let (mut scores, mut packets) = (BenignScores::default(), 0);
        self.traffic.each_row(self.session, ("training", self.schema), |row| {
            packets += 1;
            if let Some((trained, until)) = &learnt {
                scores.push(trained.network.score(row.features), row.header.timestamp)?;
                return Ok(row.elapsed < *until);
            }
            let done = trainer.as_mut().is_some_and(|trainer| learn(trainer, goal, &row));
            if let Some(trainer) = trainer.take_if(|_| done) {
                let network = Arc::new(trainer.finish()?);
                let until = row.elapsed + CALIBRATION.min(span.saturating_sub(row.elapsed) / 2);
                learnt = Some((Trained { network, packets, until: row.elapsed }, until));
            }
            Ok(true)
        })?;
        let trained = learnt.map(|(trained, _)| trained).filter(|_| !scores.is_empty());
        trained
            .map(|trained| (trained, scores))
            .ok_or_else(|| too_short(&self.traffic.name(), (packets, span), (needed, goal.time)))
    }

    /// What `legonf train` takes by default; the trainer is ended by the goal.
    fn defaults(&self) -> (Goal, TrainConfig) {
        let training = Training::new([], "");
        let packets = self.training_packets.unwrap_or(training.config.training_packets);
        let goal = Goal::new(training.span, packets, self.schema);
        let config =
            TrainConfig { features: self.schema.len(), training_packets: MAX_PACKETS, ..training.config };
        (goal, config)
    }

    /// Scores all packets, and counts those of each minute above the threshold.
    fn judge(&self, trained: &Trained, found: &Calibration) -> Result<Run, ExperimentError> {
        let mut minutes = Minutes::new(self.schema.settling_time(), found.false_positive_bound);
        let (mut scorer, mut times) = (Scorer::new(trained.network.clone()), Vec::new());
        let mut flush = |times: &mut Vec<Duration>, scores: &[f64]| {
            times
                .drain(..)
                .zip(scores)
                .for_each(|(time, score)| minutes.push(time, *score > found.threshold));
        };
        let mut scores = Vec::new();
        self.traffic.each_row(self.session, ("judging", self.schema), |row| {
            times.push(row.elapsed);
            scorer.push(row.features, |score| scores.push(score));
            if scores.len() == times.len() {
                flush(&mut times, &scores);
                scores.clear();
            }
            Ok(true)
        })?;
        scorer.flush(|score| scores.push(score));
        flush(&mut times, &scores);
        let name = self.traffic.name();
        Ok(Run::of(name, (trained.packets, trained.until), found, minutes.finish()))
    }
}

/// Learns from a row, and says whether that was enough.
fn learn(trainer: &mut Trainer, goal: Goal, row: &Row<'_>) -> bool {
    trainer.train(row.features);
    let packets = trainer.progress().used.saturating_sub(trainer.config().feature_mapping_packets + 1);
    let done = goal.is_reached(packets, Some(row.elapsed));
    if done {
        trainer.conclude();
    }
    done
}
