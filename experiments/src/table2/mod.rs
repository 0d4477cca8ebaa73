//! LEGO's Table II: the average RMSE of Kitsune's scores when its traffic is split by one key or another.

mod compare;
mod copies;
mod picture;
mod report;
mod split;

pub use copies::{Copies, Pairs};
pub use report::{Placement, Report, Row};

use crate::{Clock, ExperimentError, Scorer};
use legonf_core::{BATCH, Field, Headers, Key, Rows};
use legonf_extract::{Config, Extractor, build_shards};
use legonf_models::kitnet::KitNet;
use legonf_splitter::{GroupSet, Plan};
use split::{Done, Kind, Split};
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
    /// Scores above it are alerts.
    pub threshold: Option<f64>,
    /// Packets that the averages leave out: those that the model was trained on, say. Every score is compared all the
    /// same.
    pub skip: u64,
    /// Whether the exact plan's slots will be placed [by load](Table2::place_by_load).
    pub rebalanced: bool,
    /// Measures work.
    pub clock: Clock,
}

/// The single instance and every split, fed with the same packets.
pub struct Table2 {
    config: Config,
    network: Arc<KitNet>,
    options: Options,
    extractor: Box<dyn Extractor>,
    rows: Rows,
    scorer: Scorer,
    scores: Vec<f64>,
    seconds: f64,
    splits: Vec<Split>,
    pairs: Option<Pairs>,
}

impl Table2 {
    /// The single instance, the paper's four granularities, and the exact plan.
    ///
    /// # Errors
    /// If the plan is not for the groups, the model not for the schema, or the replicas cannot be.
    pub fn new(
        set: &GroupSet,
        exact: &Plan,
        config: &Config,
        network: &Arc<KitNet>,
        options: Options,
    ) -> Result<Self, ExperimentError> {
        exact.check(set)?;
        let mut this = Self::single(config, network, options)?;
        for (name, fields, rmse) in PAPER {
            let key = Key::new(fields, false).expect("the fields of the table are distinct");
            let counts_pairs = name == "SrcIP";
            let kind = Kind { name, paper: Some(rmse), counts_pairs, ..Kind::default() };
            this.start(kind, &Plan::by_key(set, key))?;
        }
        this.start(Kind { name: "exact plan", exact: true, ..Kind::default() }, exact)?;
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
        config: &Config,
        network: &Arc<KitNet>,
        options: Options,
    ) -> Result<Self, ExperimentError> {
        let key = Key::new(&[Field::SrcIp], false).expect("one field");
        let mut this = Self::single(config, network, options)?;
        let kind = Kind { name: "SrcIP with copies", copies: Some(pairs.clone()), ..Kind::default() };
        this.start(kind, &Plan::by_key(set, key))?;
        Ok(this)
    }

    fn single(config: &Config, network: &Arc<KitNet>, options: Options) -> Result<Self, ExperimentError> {
        let Config { schema, limits, shards } = config;
        let extractor = build_shards(schema, *limits, shards)?;
        let schema = extractor.schema();
        if schema.len() != network.features() {
            let (model, features) = (network.features(), schema.len());
            return Err(ExperimentError::Features { model, schema: schema.name.clone(), features });
        }
        Ok(Self {
            config: config.clone(),
            network: network.clone(),
            options,
            extractor,
            rows: Rows::default(),
            scorer: Scorer::new(network.clone()),
            scores: Vec::new(),
            seconds: 0.0,
            splits: Vec::new(),
            pairs: None,
        })
    }

    fn start(&mut self, kind: Kind, plan: &Plan) -> Result<(), ExperimentError> {
        let split = Split::start(kind, plan, &self.config, self.network.clone(), &self.options)?;
        self.splits.push(split);
        Ok(())
    }

    /// Takes the next packets, in arrival order, with their [stream time](legonf_core::Clock::mark).
    pub fn push(&mut self, packets: &[Headers]) {
        for packets in packets.chunks(BATCH) {
            let start = (self.options.clock)();
            self.extractor.extract(packets, &mut self.rows);
            self.seconds += ((self.options.clock)() - start).as_secs_f64();
            let before = self.scores.len();
            let scores = &mut self.scores;
            self.rows.iter().for_each(|row| self.scorer.push(row, |score| scores.push(score)));
            self.scorer.flush(|score| scores.push(score));
            self.splits.iter_mut().for_each(|split| split.push(packets, &scores[before..]));
        }
    }

    /// Places the exact plan's slots by the loads measured so far and moves their state while further packets come.
    ///
    /// # Errors
    /// If the plan keeps a group whole, whose state cannot be divided.
    pub fn place_by_load(&mut self) -> Result<(), ExperimentError> {
        self.splits.iter_mut().filter(|split| split.is_exact()).try_for_each(Split::place_by_load)
    }

    /// What was found. Nothing may be pushed after.
    ///
    /// # Errors
    /// If a split's run ended early.
    pub fn finish(&mut self) -> Result<Report, ExperimentError> {
        let splits = self.splits.drain(..).map(Split::finish);
        let mut splits: Vec<Done> = splits.collect::<Result<_, _>>()?;
        self.pairs = splits.iter_mut().find_map(|split| split.pairs.take());
        Ok(report::make(&self.options, &self.scores, self.seconds, &splits))
    }

    /// What the pairs of hosts contribute to the deviation of the split by `SrcIP`; nothing before the end.
    pub fn pairs(&self) -> Option<&Pairs> {
        self.pairs.as_ref()
    }
}
