//! LEGO's Table II: the average RMSE of Kitsune's scores when its traffic is split by one key or another.

mod copies;
mod picture;
mod report;
mod split;

pub use copies::{Copies, Pairs};
pub use report::{Placement, Report, Row};

use crate::{Clock, ExperimentError, Make, Scorer, Setup};
use legonf_core::{BATCH, Field, Headers, Key, Rows};
use legonf_extract::Extractor;
use legonf_models::kitnet::KitNet;
use legonf_splitter::{GroupSet, Plan};
use split::Split;
use std::collections::HashSet;
use std::sync::Arc;

/// LEGO's Table II: its names of the granularities, their fields, and its average RMSEs of the Mirai capture.
const PAPER: [(&str, &[Field], f64); 4] = [
    ("SrcMAC-SrcIP", &[Field::SrcMac, Field::SrcIp], 10.082),
    ("SrcIP", &[Field::SrcIp], 10.083),
    ("SrcIP-DstIP", &[Field::SrcIp, Field::DstIp], 2.964),
    ("Socket", &[Field::SrcIp, Field::SrcPort, Field::DstIp, Field::DstPort], 2.973),
];
/// Its single instance.
const PAPER_SINGLE: f64 = 10.117;

/// How the experiment is run.
#[derive(Clone, Copy)]
pub struct Options {
    /// Replicas of each shard.
    pub replicas: usize,
    /// Seed of the slots' hash, the extractor's.
    pub seed: u64,
    /// Scores above it are alerts.
    pub threshold: Option<f64>,
    /// Packets that the averages leave out: those that the model was trained on, say. Every score is compared all the
    /// same.
    pub skip: u64,
    /// Measures work.
    pub clock: Clock,
}

/// The single instance and every split, fed with the same packets.
pub struct Table2 {
    options: Options,
    extractor: Box<dyn Extractor>,
    rows: Rows,
    scorer: Scorer,
    scores: Vec<f64>,
    seconds: f64,
    splits: Vec<Split>,
}

impl Table2 {
    /// The single instance, the paper's four granularities, and the exact plan.
    ///
    /// # Errors
    /// If the plan is not for the groups, the model not for the schema, or the replicas cannot be.
    pub fn new(
        set: &GroupSet,
        exact: &Plan,
        make: Make<'_>,
        network: &Arc<KitNet>,
        options: Options,
    ) -> Result<Self, ExperimentError> {
        let mut this = Self::single(exact, make, network, options)?;
        for (name, fields, rmse) in PAPER {
            let key = Key::new(fields, false).expect("the fields of the table are distinct");
            let split = this.split(set, &Plan::by_key(set, key), make, network)?;
            let split = split.named(name).beside(rmse);
            this.splits.push(if name == "SrcIP" { split.counting_pairs(this.options.seed) } else { split });
        }
        let split = this.split(set, exact, make, network)?.named("exact plan").must_not_deviate();
        this.splits.push(split);
        Ok(this)
    }

    /// The single instance and a split by `SrcIP` in which packets of these pairs of hosts go to the replicas of both
    /// directions.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn copying(
        set: &GroupSet,
        pairs: &HashSet<u64>,
        make: Make<'_>,
        network: &Arc<KitNet>,
        options: Options,
    ) -> Result<Self, ExperimentError> {
        let key = Key::new(&[Field::SrcIp], false).expect("one field");
        let plan = Plan::by_key(set, key);
        let mut this = Self::single(&plan, make, network, options)?;
        let split = this.split(set, &plan, make, network)?.named("SrcIP with copies");
        this.splits.push(split.copying(pairs, this.options.seed));
        Ok(this)
    }

    fn single(
        plan: &Plan,
        make: Make<'_>,
        network: &Arc<KitNet>,
        options: Options,
    ) -> Result<Self, ExperimentError> {
        let whole =
            legonf_splitter::Shard { routes: plan.shards.iter().flat_map(|s| s.routes.clone()).collect() };
        let extractor = make(&whole)?;
        let schema = extractor.schema();
        if schema.len() != network.features() {
            let (model, features) = (network.features(), schema.len());
            return Err(ExperimentError::Features { model, schema: schema.name.clone(), features });
        }
        Ok(Self {
            options,
            extractor,
            rows: Rows::default(),
            scorer: Scorer::new(network.clone()),
            scores: Vec::new(),
            seconds: 0.0,
            splits: Vec::new(),
        })
    }

    fn split(
        &self,
        set: &GroupSet,
        plan: &Plan,
        make: Make<'_>,
        network: &Arc<KitNet>,
    ) -> Result<Split, ExperimentError> {
        let (Options { replicas, seed, clock, .. }, schema) = (self.options, self.extractor.schema());
        Split::new(&Setup { schema, set, plan, replicas, seed, make, clock }, network.clone())
    }

    /// Takes the next packets, in arrival order.
    pub fn push(&mut self, packets: &[Headers]) {
        for packets in packets.chunks(BATCH) {
            let start = (self.options.clock)();
            self.extractor.extract(packets, &mut self.rows);
            self.seconds += ((self.options.clock)() - start).as_secs_f64();
            let scores = &mut self.scores;
            self.rows.iter().for_each(|row| self.scorer.push(row, |score| scores.push(score)));
            self.scorer.flush(|score| scores.push(score));
            self.splits.iter_mut().for_each(|split| split.push(packets, &self.scores, &self.options));
        }
    }

    /// Places the exact plan's slots by the loads measured so far and moves their state.
    ///
    /// # Errors
    /// If the extractor cannot move state.
    pub fn place_by_load(&mut self, make: Make<'_>) -> Result<(), ExperimentError> {
        let exact = self.splits.iter_mut().filter(|split| split.exact);
        exact.into_iter().try_for_each(|split| split.place_by_load(make, &self.scores, &self.options))
    }

    /// What was found. Nothing may be pushed after.
    pub fn finish(&mut self) -> Report {
        self.splits.iter_mut().for_each(|split| split.flush(&self.scores, &self.options));
        report::make(&self.options, &self.scores, self.seconds, &self.splits)
    }

    /// What the pairs of hosts contribute to the deviation of the split by `SrcIP`.
    pub fn pairs(&self) -> Option<&Pairs> {
        self.splits.iter().find_map(Split::pairs)
    }
}
