//! Kitsune under load while its layout changes at random, slots move and bricks panic, also while their state moves: the scores of a single instance.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::Script;
use common::mines::{MinedState, StateMines};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Fault, Handle, Headers, Layout as Columns,
    Plan, Progress, Rows, Sink, SlotMove, Source, Stage, Verdict,
};
use legonf_datasets::generate::{Attack, Config as Traffic, Generator};
use legonf_decide::{SampleResultQuantization, VERDICTS};
use legonf_extract::{Config as Extraction, FEATURES, FeatureQuantization, Limits};
use legonf_infer::{Autoencoder, AutoencoderConfig, FeatureMapping, FeatureMappingConfig, SCORES};
use legonf_models::kitnet::{KitNet, TrainConfig, Trainer};
use legonf_runtime::{Control, Graph, GraphSpec, Layout, Options, Outcome, run_under};
use legonf_wire::PacketBatching;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

/// Traffic of many hosts with a scan in it, up to a number of packets or until a flag is set.
struct Load {
    generator: Generator,
    left: u64,
    until: Option<Arc<AtomicBool>>,
}

impl Load {
    fn of(packets: u64, until: Option<Arc<AtomicBool>>) -> Self {
        let scan = Some(Attack { start: 2.0, rate: 400.0 });
        let config = Traffic { packets: u64::MAX, hosts: 300, flows: 4000, scan, ..Traffic::default() };
        Self { generator: Generator::new(config).unwrap(), left: packets, until }
    }
}

impl Source for Load {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let over = self.until.as_ref().is_some_and(|until| until.load(Ordering::Relaxed));
        if !over && self.left > 0 {
            self.generator.fill(batch)?;
            self.left -= batch.len() as u64;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// A number that the order and every bit of all scores and verdicts change.
#[derive(Default)]
struct Fold {
    sum: u64,
    scores: Handle<Vec<f64>>,
    verdicts: Handle<Vec<Verdict>>,
}

impl Sink for Fold {
    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.scores = layout.handle(&SCORES)?;
        self.verdicts = layout.handle(&VERDICTS)?;
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let (scores, verdicts) = (batch.columns.get(self.scores), batch.columns.get(self.verdicts));
        let rows = batch.headers.iter().zip(scores).zip(verdicts);
        for ((headers, score), verdict) in rows {
            for word in [headers.seq, score.to_bits(), verdict.place(2) as u64] {
                self.sum = (self.sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Packets of which each makes one brick panic, once.
#[derive(Default)]
struct Mines {
    period: u64,
    raised: Mutex<HashSet<u64>>,
    /// Those at which state moves.
    state: Arc<StateMines>,
}

impl Mines {
    /// Panics behind the work on a batch, so that the brick has gone on from where it should be.
    fn step<'a>(&self, phase: u64, headers: impl IntoIterator<Item = &'a Headers>) {
        let on = |seq: &u64| self.period > 0 && (seq + 1000 * phase).is_multiple_of(self.period);
        for seq in headers.into_iter().map(|headers| headers.seq).filter(on) {
            assert!(!self.raised.lock().unwrap_or_else(|e| e.into_inner()).insert(seq), "a mine");
        }
    }
}

/// A brick among mines.
struct Mined {
    inner: Box<dyn Brick>,
    mines: Arc<Mines>,
    phase: u64,
}

impl Brick for Mined {
    fn descriptor(&self) -> Descriptor {
        self.inner.descriptor()
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.inner.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.inner.process(batch)?;
        self.mines.step(self.phase, &batch.headers);
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.inner.counters()
    }
}

/// Slots that overflow now and then.
fn extractor() -> FeatureQuantization {
    let limits =
        Limits { sources_per_slot: 2, channels_per_slot: 2, sockets_per_slot: 3, ..Limits::default() };
    FeatureQuantization::new(&Extraction { limits, ..Extraction::default() }).unwrap()
}

/// A network that was trained on the first packets.
static MODEL: LazyLock<Arc<KitNet>> = LazyLock::new(|| {
    let config =
        TrainConfig { feature_mapping_packets: 500, training_packets: 1500, ..TrainConfig::default() };
    let (mut trainer, mut load) = (Trainer::new(config).unwrap(), Load::of(2560, None));
    let (mut batching, mut extractor) = (PacketBatching::default(), extractor());
    let columns = Columns::binding(&mut [&mut batching, &mut extractor]).unwrap();
    let features = columns.handle::<Rows>(&FEATURES).unwrap();
    for _ in 0..9 {
        let mut batch = Batch::new(&columns);
        load.fill(&mut batch).unwrap();
        batching.process(&mut batch).unwrap();
        extractor.process(&mut batch).unwrap();
        batch.columns.get(features).iter().for_each(|row| _ = trainer.train(row));
    }
    Arc::new(trainer.finish().unwrap())
});

const BRICKS: [&str; 5] = ["batching", "extractor", "mapping", "autoencoder", "decision"];

fn make(id: &str, mines: &Arc<Mines>) -> Result<Box<dyn Brick>, String> {
    let inner: Box<dyn Brick> = match id {
        "batching" => Box::<PacketBatching>::default(),
        "extractor" => {
            let at_packets = mines.clone();
            let packets = Box::new(move |headers: &Headers| at_packets.step(2, [headers]));
            return Ok(MinedState::with_packets(Box::new(extractor()), &mines.state, packets));
        }
        "mapping" => Box::new(FeatureMapping::new(FeatureMappingConfig {}, MODEL.clone())),
        "autoencoder" => Box::new(Autoencoder::new(AutoencoderConfig::default(), MODEL.clone())),
        _ => Box::new(SampleResultQuantization::new(legonf_decide::Config::of(1.0)).unwrap()),
    };
    let phase = BRICKS.iter().position(|brick| *brick == id).unwrap_or(0) as u64;
    Ok(Box::new(Mined { inner, mines: mines.clone(), phase: if phase == 1 { 0 } else { phase + 2 } }))
}

/// Runs Kitsune and gives what came out, folded.
fn run(layout: &Layout, mut load: Load, mines: Mines, control: Option<&mut dyn Control>) -> (Outcome, u64) {
    let mines = Arc::new(mines);
    let bricks: Vec<String> = BRICKS
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let next = BRICKS.get(at + 1).map_or(String::new(), |next| format!("next = \"{next}\"\n"));
            format!("[[brick]]\nid = \"{id}\"\nkind = \"k\"\n{next}")
        })
        .collect();
    let spec = GraphSpec::from_toml(&format!("name = \"kitsune\"\n{}", bricks.concat())).unwrap();
    let (given, wanted) = (&[ColumnSpec::PACKETS], &[SCORES, VERDICTS]);
    let supply = |id: &str| make(id, &mines);
    let mut graph = Graph::assemble(&spec, given, wanted, |brick| supply(&brick.id)).unwrap();
    let (stop, mut sink) = (AtomicBool::new(false), Fold::default());
    let options =
        Options { queue: 2, supply: Some(&supply), checkpoint: Some(1 << 20), ..Options::new(layout, &stop) };
    let outcome = run_under(control, &mut graph, &mut load, &mut sink, options, &mut |_, _| {});
    (outcome, sink.sum)
}

/// Random plans: every cut into stages, replicas of every stage between the ends, and some slots that move.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn plan(&mut self) -> Plan {
        let mut stages = vec![Stage { bricks: vec![Plan::SOURCE.into()], replicas: 1 }];
        for id in BRICKS.into_iter().chain([Plan::SINK]) {
            if self.below(2) == 0 {
                stages.push(Stage { bricks: Vec::new(), replicas: 1 });
            }
            stages.last_mut().unwrap().bricks.push(id.into());
        }
        let last = stages.len() - 1;
        for stage in stages.iter_mut().take(last).skip(1) {
            stage.replicas = 1 + self.below(4);
        }
        let shared =
            stages.iter().find(|stage| stage.bricks.iter().any(|id| id == "extractor")).unwrap().replicas;
        let slots = if shared > 1 { self.below(3) * 40 } else { 0 };
        let slot = |_| SlotMove {
            brick: "extractor".into(),
            shard: self.below(2),
            slot: self.below(4096) as u16,
            to: self.below(shared) as u16,
        };
        let mut moves: Vec<_> = (0..slots).map(slot).collect();
        moves.sort_by_key(|to| (to.shard, to.slot));
        moves.dedup_by_key(|to| (to.shard, to.slot));
        Plan { stages, moves }
    }
}

fn soak(plans: usize, period: u64) {
    let mut random = Random(period);
    let mut script = Script::of((0..plans).map(|_| random.plan()));
    let state = Arc::new(StateMines::each(11));
    let mines = Mines { period, state: state.clone(), ..Mines::default() };
    let load = Load::of(u64::MAX, Some(script.done.clone()));
    let (outcome, found) = run(&Layout::Pipeline, load, mines, Some(&mut script));
    assert!(outcome.fault.is_none() && script.refused.is_empty(), "{:?} {:?}", outcome.fault, script.refused);
    assert_eq!(script.applied, plans);
    let (single, expected) = run(&Layout::Fused, Load::of(outcome.packets, None), Mines::default(), None);
    println!(
        "{} packets, {} restarts, {} of them while state moved, {:?}",
        outcome.packets,
        outcome.restarts,
        state.raised(),
        outcome.pauses
    );
    assert!(outcome.restarts > state.raised() && state.raised() > 0 && outcome.pauses.slots > 0);
    assert_eq!(found, expected, "scores differ");
    assert_eq!(outcome.counters, single.counters);
}

#[test]
fn layouts_slots_and_panics_change_no_score() {
    soak(12, 20_011);
}

#[test]
#[ignore = "long: an hour"]
fn thousands_of_layouts_slots_and_panics_change_no_score() {
    soak(3000, 50_021);
}
