//! What `legonf bench kitsune` says.

use super::Arguments;
use super::busy::Watch;
use super::instructions::Instructions;
use super::machine::{Done, Machine, Probe};
use super::role::Role;
use super::work::{Bound, Work};
use legonf_engine::measure::{self, Meter, Trial, median};
use legonf_engine::{EngineKind, Network};
use legonf_models::kitnet::Precision;
use serde::Serialize;

/// What was measured; rates are medians over the runs, in packets a second of processor time of one core.
#[derive(Serialize)]
pub struct Report {
    capture: String,
    packets: u64,
    runs: u32,
    /// Reading records from the page cache and parsing their headers.
    parse_pps: f64,
    features_pps: f64,
    /// Feature mapping and network.
    network_pps: f64,
    end_to_end_pps: f64,
    model_load_to_first_score_ms: f64,
    bricks: Vec<BrickReport>,
    capture_bytes_per_packet: f64,
    instructions_per_packet: Option<f64>,
    machine: Machine,
    raised: Vec<&'static str>,
    busy: Option<String>,
    instruction_sets: InstructionSets,
    network: Option<Roofline>,
}

/// The instruction sets that ran.
#[derive(Serialize)]
struct InstructionSets {
    features: &'static str,
    /// None where the generic engine runs the network.
    network: Option<&'static str>,
}

#[derive(Serialize)]
struct BrickReport {
    id: String,
    pps: f64,
    ns_per_packet: f64,
    share: f64,
    #[serde(flatten)]
    work: Work,
    #[serde(flatten)]
    bound: Bound,
    percent_of_roofline: f64,
    instructions_per_packet: Option<f64>,
}

/// The network against the core's floating-point rate in its precision.
#[derive(Serialize)]
struct Roofline {
    precision: String,
    flops_per_packet: f64,
    sigmoids_per_packet: u64,
    gflops: f64,
    percent_of_peak: f64,
}

/// Nanoseconds of processor time of one run: each stage's, and the whole.
pub struct Run {
    pub stages: Vec<f64>,
    pub total: f64,
}

/// Packets and bytes of a run.
pub struct Traffic {
    pub packets: u64,
    /// Bytes read by the source.
    pub capture: u64,
    /// Bytes of the columns that each stage reads and fills, the source first.
    pub columns: Vec<u64>,
}

/// All runs over a capture.
pub struct Passes {
    /// Names of the stages, the source first.
    pub ids: Vec<String>,
    pub runs: Vec<Run>,
    pub traffic: Traffic,
}

/// What the source fills is what the first brick reads.
pub fn columns(meter: &Meter) -> Vec<u64> {
    let counts = meter.bytes();
    let source = counts.first().map(|(read, _)| *read);
    source.into_iter().chain(counts.iter().map(|(read, filled)| read + filled)).collect()
}

/// What was measured of a graph.
pub struct Measured<'a> {
    pub arguments: &'a Arguments,
    pub trial: &'a Trial<'a>,
    /// Milliseconds from opening the model to the score of the first packet.
    pub first_score: f64,
    pub passes: Passes,
    pub instructions: Option<Instructions>,
}

impl Measured<'_> {
    /// Sets the stages beside what the core can do, and says what else the machine did.
    pub fn report(&self, host: &mut Watch, probe: &mut Probe) -> Report {
        let (arguments, model) = (self.arguments, self.trial.network);
        let all: Vec<_> =
            self.passes.ids.iter().enumerate().map(|(index, id)| self.done(index, id)).collect();
        let busy = host.busy(Some(probe.spread()));
        let (machine, raised) = probe.settle(&all);
        let bricks = all.iter().enumerate().map(|(index, done)| self.brick(index, done, &machine)).collect();
        let network = products(arguments, model, self.rate_of(&[Role::KitNet]), &machine);
        Report {
            capture: arguments.capture.display().to_string(),
            packets: self.passes.traffic.packets,
            runs: arguments.runs,
            parse_pps: self.rate_of(Role::PARSE),
            features_pps: self.rate_of(&[Role::Extraction]),
            network_pps: self.rate_of(Role::NETWORK),
            end_to_end_pps: self.rate(self.whole()),
            model_load_to_first_score_ms: self.first_score,
            bricks,
            capture_bytes_per_packet: self.per_packet(self.passes.traffic.capture),
            instructions_per_packet: self.instructions.as_ref().map(|counted| counted.all),
            machine,
            raised,
            busy,
            instruction_sets: InstructionSets {
                features: legonf_extract::instruction_set(&model.schema().name),
                network: network.as_ref().map(|_| legonf_models::kitnet::instruction_set()),
            },
            network,
        }
    }

    fn role(&self, id: &str) -> Role {
        Role::of(id, &self.trial.spec)
    }

    fn per_packet(&self, bytes: u64) -> f64 {
        bytes as f64 / self.passes.traffic.packets as f64
    }

    /// Nanoseconds of a stage in all: the median of the runs.
    fn stage(&self, index: usize) -> f64 {
        median(self.passes.runs.iter().map(|run| run.stages[index]))
    }

    /// Nanoseconds of a run.
    fn whole(&self) -> f64 {
        median(self.passes.runs.iter().map(|run| run.total))
    }

    /// Packets a second where all take so many nanoseconds.
    fn rate(&self, nanoseconds: f64) -> f64 {
        self.passes.traffic.packets as f64 / nanoseconds.max(1.0) * 1e9
    }

    /// Packets a second of all stages of some roles.
    fn rate_of(&self, roles: &[Role]) -> f64 {
        let chosen = self.passes.ids.iter().enumerate().filter(|(_, id)| roles.contains(&self.role(id)));
        self.rate(chosen.map(|(index, _)| self.stage(index)).sum())
    }

    /// The work of a stage, and what it took.
    fn done(&self, index: usize, id: &str) -> Done {
        let precision = self.arguments.execution.precision.unwrap_or_default();
        let columns = self.passes.traffic.columns.get(index).map_or(0.0, |bytes| self.per_packet(*bytes));
        let (role, capture) = (self.role(id), self.per_packet(self.passes.traffic.capture));
        let work = Work::of(role, self.trial.network, precision, columns, capture);
        // Features are computed in f64 whatever the network is.
        let precision = if role == Role::KitNet { precision } else { Precision::F64 };
        Done { work, precision, ns: self.stage(index) / self.passes.traffic.packets as f64 }
    }

    fn brick(&self, index: usize, done: &Done, machine: &Machine) -> BrickReport {
        let Done { work, precision, ns } = *done;
        let (id, bound) = (&self.passes.ids[index], work.bound(machine, precision));
        let instructions = self.instructions.as_ref();
        BrickReport {
            id: id.clone(),
            pps: self.rate(self.stage(index)),
            ns_per_packet: ns,
            share: self.stage(index) / self.whole(),
            work,
            bound,
            percent_of_roofline: bound.bound_ns / ns.max(f64::MIN_POSITIVE) * 100.0,
            instructions_per_packet: instructions.and_then(|counted| of_stage(counted, self.trial, id)),
        }
    }
}

/// Instructions a packet of the source or a brick.
fn of_stage(counted: &Instructions, trial: &Trial<'_>, id: &str) -> Option<f64> {
    if id == measure::SOURCE {
        return counted.of_source();
    }
    let brick = trial.spec.bricks.iter().find(|brick| brick.id == id)?;
    counted.of_kind(&brick.kind)
}

/// The products of a KitNET's weights, run so many times a second, beside the core's rate.
fn products(arguments: &Arguments, model: &Network, pps: f64, machine: &Machine) -> Option<Roofline> {
    let kitnet = model.kitnet().filter(|_| arguments.execution.engine != Some(EngineKind::Onnx))?;
    let layers = kitnet.ensemble().iter().chain([kitnet.output()]);
    let (flops_per_packet, sigmoids_per_packet) = layers.fold((0.0, 0), |(flops, sigmoids), layer| {
        let (visible, hidden) = (layer.visible(), layer.hidden());
        (flops + 4.0 * (visible * hidden) as f64, sigmoids + (visible + hidden) as u64)
    });
    let precision = arguments.execution.precision.unwrap_or_default();
    let gflops = flops_per_packet * pps / 1e9;
    let percent_of_peak = gflops / machine.peak_gflops(precision) * 100.0;
    Some(Roofline {
        precision: precision.to_string(),
        flops_per_packet,
        sigmoids_per_packet,
        gflops,
        percent_of_peak,
    })
}

/// The report in words: names and what there is to say of them.
pub fn rows(report: &Report) -> Vec<(&str, String)> {
    let rate = |pps: f64| format!("{:.3} M packets/s", pps / 1e6);
    let mut rows = vec![
        (
            "capture",
            format!("{} ({} packets, median of {} runs)", report.capture, report.packets, report.runs),
        ),
        ("end to end", rate(report.end_to_end_pps)),
        ("parse", format!("{}, reading included", rate(report.parse_pps))),
        ("features", rate(report.features_pps)),
        ("network", format!("{}, feature mapping included", rate(report.network_pps))),
    ];
    for brick in &report.bricks {
        let value = format!(
            "{:8.1} ns a packet, {:4.1}% of the whole, {}",
            brick.ns_per_packet,
            brick.share * 100.0,
            rate(brick.pps)
        );
        rows.push((&brick.id, value));
    }
    rows.extend(report.bricks.iter().map(|brick| ("roofline", roofline(brick))));
    rows.push((
        "first score",
        format!("{:.2} ms after opening the model", report.model_load_to_first_score_ms),
    ));
    if let Some(all) = report.instructions_per_packet {
        let of = |brick: &BrickReport| Some(format!(", {} {:.0}", brick.id, brick.instructions_per_packet?));
        let stages: String = report.bricks.iter().filter_map(of).collect();
        rows.push(("counted", format!("{all:.0} instructions a packet{stages}")));
    }
    let machine = &report.machine;
    rows.push((
        "core",
        format!(
            "{:.1} GFLOP/s in f64, {:.1} in f32, {:.1} GB/s from memory, {:.1} from cache, with {} in this run",
            machine.peak_f64_gflops, machine.peak_f32_gflops, machine.memory_gb_per_s, machine.cache_gb_per_s,
            machine.instruction_set
        ),
    ));
    if !report.raised.is_empty() {
        let value = format!("{} raised to what a stage showed, above all samples", report.raised.join(", "));
        rows.push(("roof", value));
    }
    let InstructionSets { features, network } = &report.instruction_sets;
    let network = network.map_or_else(String::new, |network| format!(", network with {network}"));
    rows.push(("instructions", format!("features with {features}{network}")));
    if let Some(busy) = &report.busy {
        rows.push(("load", busy.clone()));
    }
    if let Some(network) = &report.network {
        let value = format!(
            "{:.0} FLOP and {} sigmoids a packet: {:.2} GFLOP/s, {:.1}% of the core's {} peak",
            network.flops_per_packet,
            network.sigmoids_per_packet,
            network.gflops,
            network.percent_of_peak,
            network.precision
        );
        rows.push(("products", value));
    }
    rows
}

/// A stage beside what the core can do, in words.
fn roofline(brick: &BrickReport) -> String {
    let BrickReport { id, work, bound, percent_of_roofline, .. } = brick;
    let flops = work.flops_per_packet.map_or("unknown".to_owned(), |flops| format!("{flops:.0}"));
    format!(
        "{id}: {:.0} bytes of memory, {:.0} of cache, {flops} FLOP a packet: {:.1} ns by {}, {percent_of_roofline:.0}%",
        work.memory_bytes_per_packet, work.cache_bytes_per_packet, bound.bound_ns, bound.bound_by
    )
}
