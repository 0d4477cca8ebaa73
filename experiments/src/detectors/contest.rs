//! Detectors that are trained on the same rows and score the same rows.

use super::labels::Truth;
use super::report::{Judged, Report};
use crate::ExperimentError;
use crate::quiet::traffic::Row;
use legonf_core::{BATCH, Rows, Schema, Tiles};
use legonf_engine::Error;
use legonf_models::detectors::{self, Detector, Method};
use legonf_models::kitnet::{self, KitNet, TrainConfig, Trainer};
use std::time::{Duration, Instant};

/// Name of KitNET beside those of the others.
const KITNET: &str = "kitnet";

/// A contest on a capture.
pub(super) struct Contest<'a> {
    truth: &'a Truth,
    schema: &'a Schema,
    config: TrainConfig,
    /// What learns, until it has learnt.
    learning: Option<(Trainer, detectors::Trainer)>,
    contenders: Vec<Contender>,
    rows: Rows,
    filled: usize,
    judged: Judged,
    /// Rows without a label.
    unlabelled: bool,
}

/// One of them.
struct Contender {
    name: &'static str,
    kernel: Kernel,
    /// Of all rows.
    scores: Vec<f64>,
    batch: Vec<f64>,
    spent: Duration,
}

enum Kernel {
    KitNet { network: Box<KitNet>, mapped: Tiles, errors: Tiles, scratch: Box<kitnet::Scratch> },
    Detector { detector: Box<Detector>, scratch: Box<detectors::Scratch> },
}

impl<'a> Contest<'a> {
    /// Begins with a training of so many packets as this configuration takes.
    pub fn new(config: TrainConfig, schema: &'a Schema, truth: &'a Truth) -> Self {
        let mut rows = Rows::default();
        rows.reset(BATCH, config.features);
        Self {
            truth,
            schema,
            config,
            learning: None,
            contenders: Vec::new(),
            rows,
            filled: 0,
            judged: Judged::default(),
            unlabelled: false,
        }
    }

    /// Takes the next packet.
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), ExperimentError> {
        if self.contenders.is_empty() {
            return self.learn(row);
        }
        let Some(malicious) = self.truth.of(row.header.seq) else {
            self.unlabelled = true;
            return Ok(());
        };
        if !row.features.iter().all(|cell| cell.is_finite()) {
            return Ok(());
        }
        self.judged.push(malicious, row.elapsed);
        self.rows.row_mut(self.filled).copy_from_slice(row.features);
        self.filled += 1;
        if self.filled == BATCH {
            self.score();
        }
        Ok(())
    }

    fn learn(&mut self, row: &Row<'_>) -> Result<(), ExperimentError> {
        if self.learning.is_none() {
            let others =
                detectors::Trainer::new(self.config.features, self.config.seed).with_decays(self.schema);
            self.learning = Some((Trainer::new(self.config.clone())?, others));
        }
        let Some((kitnet, others)) = &mut self.learning else { return Ok(()) };
        kitnet.train(row.features);
        others.train(row.features, 0);
        others.lasted(row.elapsed);
        if kitnet.progress().used == self.config.packets_needed() {
            self.contenders = contenders(kitnet, others)?;
            self.learning = None;
        }
        Ok(())
    }

    fn score(&mut self) {
        let width = self.config.features;
        self.rows.reset(self.filled, width);
        self.contenders.iter_mut().for_each(|contender| contender.score(&self.rows));
        self.filled = 0;
        self.rows.reset(BATCH, width);
    }

    /// What was found; none where there was nothing to judge, or packets without a label.
    pub fn finish(mut self, capture: String, warm: bool) -> Option<Report> {
        if self.filled > 0 {
            self.score();
        }
        let packets = self.config.packets_needed();
        let scores = self.contenders.iter().map(|c| (c.name, c.scores.as_slice(), c.spent));
        (!self.unlabelled && !self.contenders.is_empty())
            .then(|| self.judged.report((capture, warm, packets), scores))
            .flatten()
    }
}

fn contenders(kitnet: &Trainer, others: &detectors::Trainer) -> Result<Vec<Contender>, ExperimentError> {
    let contender = |name, kernel| Contender {
        name,
        kernel,
        scores: Vec::new(),
        batch: Vec::new(),
        spent: Duration::ZERO,
    };
    let network = Box::new(kitnet.clone().finish()?);
    let (mapped, errors) = Default::default();
    let mut all =
        vec![contender(KITNET, Kernel::KitNet { network, mapped, errors, scratch: Box::default() })];
    for method in Method::ALL {
        let detector = Box::new(others.finish(method).map_err(Error::from)?.detector);
        all.push(contender(method.label(), Kernel::Detector { detector, scratch: Box::default() }));
    }
    Ok(all)
}

impl Contender {
    fn score(&mut self, rows: &Rows) {
        let start = Instant::now();
        match &mut self.kernel {
            Kernel::KitNet { network, mapped, errors, scratch } => {
                network.gather(rows, mapped);
                network.score_rows(mapped, scratch, errors, &mut self.batch);
            }
            Kernel::Detector { detector, scratch } => detector.score_rows(rows, scratch, &mut self.batch),
        }
        self.spent += start.elapsed();
        self.scores.extend_from_slice(&self.batch);
    }
}
