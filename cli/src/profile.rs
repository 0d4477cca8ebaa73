//! `legonf profile`: what each brick of a graph costs.

pub mod meter;

use crate::bench::hop;
use crate::bench::stopwatch::{self, Stopwatch};
use crate::failure::{Failure, print, print_json};
use crate::network::Network;
use crate::overwrite::write_text;
use crate::progress::Bar;
use crate::replay::outputs::{Outputs, Purpose};
use crate::replay::tally::Tally;
use crate::replay::{Execution, ScoreFormat};
use crate::run::graph_file;
use crate::trial::{Trial, alone, median};
use crate::{Style, agent, graph, input};
use clap::Args;
use legonf_controller::{Cost, Costs, State};
use legonf_core::{BATCH, Brick, Fault, Plan, Sink};
use legonf_extract::Arithmetic;
use legonf_io::Content;
use legonf_io::sink::AlertRate;
use legonf_runtime::Graph;
use meter::{Meter, Seen};
use std::path::{Path, PathBuf};

/// Runs a graph over a capture in one thread and measures each brick: nanoseconds of processor time a packet, bytes a packet
/// that it adds, bytes of state at the end; and what handing a batch from one worker to the next takes.
///
/// The sink is that of `legonf replay --out`, with all its files, which go into a temporary folder (TMPDIR). It is measured
/// with the alerts that the capture raises, and, since it takes longer for an alert, once more with every packet as one.
///
/// `legonf plan` and `legonf run` take what it writes. Of several runs the medians count.
#[derive(Args)]
pub struct Arguments {
    /// Graph file (TOML), or `kitsune` for the built-in graph.
    graph: PathBuf,
    /// Capture (pcap, pcapng or Kitsune's TSV).
    capture: PathBuf,
    /// Model of `legonf train`, or of `legonf model import`.
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Where the costs go (TOML).
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    execution: Execution,
    /// Arithmetic of the features of the built-in graph.
    #[arg(long)]
    arithmetic: Option<Arithmetic>,
    /// Scores above this are alerts, instead of the model's calibrated threshold.
    #[arg(long, value_name = "RMSE")]
    threshold: Option<f64>,
    /// Runs, after one that warms up.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results(arguments.output.as_deref())?;
    let costs = arguments.measure(style)?;
    costs.check()?;
    if let Some(path) = &arguments.output {
        write_text(path, &costs.to_toml())?;
    }
    match style {
        Style { json: true, .. } => print_json(&costs),
        Style { quiet: true, .. } => Ok(()),
        _ => print(&table(&costs)),
    }
}

impl Arguments {
    fn measure(&self, style: Style) -> Result<Costs, Failure> {
        let network = Network::load(&self.model)?;
        let bar = Bar::new("profile", None, style.quiet);
        let mut runs = Vec::new();
        // The run before the first that counts brings the capture into the page cache.
        for number in 0..=self.runs {
            let costs = self.once(&network, self.threshold.or(network.threshold()), &bar)?;
            if number > 0 {
                runs.push(costs);
            }
        }
        let flood = self.once(&network, Some(f64::MIN), &bar)?;
        bar.clear();
        let mut costs = runs.swap_remove(0);
        for (index, brick) in costs.bricks.iter_mut().enumerate() {
            brick.ns = median(runs.iter().map(|run| run.bricks[index].ns).chain([brick.ns]));
        }
        costs.flood_ns = Some(flood.of(Plan::SINK)?.ns);
        costs.hop_ns = hop::nanoseconds(BATCH, hop::Work::NONE)?;
        Ok(costs)
    }

    fn once(&self, network: &Network, threshold: Option<f64>, bar: &Bar) -> Result<Costs, Failure> {
        let trial = match graph_file(&self.graph) {
            Some(path) => Trial { network, spec: graph::read(&path)? },
            None => Trial::built_in(network, self.execution, self.arithmetic)?,
        };
        let (watch, meter) = (Stopwatch::default(), Meter::default());
        let mut source = watch.watch_source(input::open(&self.capture, self.limit)?);
        let wrap = |id: &str, brick: Box<dyn Brick>| meter.watch(watch.watch(id, brick));
        let graph = trial.graph_above(threshold, wrap);
        let in_file = |failure| graph::in_file(graph_file(&self.graph).as_deref(), failure);
        let mut graph = graph.map_err(in_file)?;
        let folder = tempfile::tempdir()?;
        let mut seen = Seen::of(Tally::new(None, Some(self.outputs(network, threshold, folder.path())?)));
        let outcome = alone(&mut graph, &mut source, &mut seen, &mut |p, n| bar.update(p, n))?;
        if outcome.packets == 0 {
            let capture = self.capture.display();
            return Err(Failure::fault(format!("{capture}: holds no packet to measure with")));
        }
        Ok(self.costs(&trial.spec.name, &graph, &watch, &meter, &seen))
    }

    /// What `legonf replay --out` writes.
    fn outputs(&self, network: &Network, threshold: Option<f64>, folder: &Path) -> Result<Outputs, Failure> {
        let (format, content, rate) = (ScoreFormat::Csv, Content::Packets, AlertRate::default());
        let (title, explain) = (String::new(), network.explainer());
        Outputs::create(Purpose { folder, force: true, format, content, title, threshold, explain, rate })
    }

    fn costs(&self, name: &str, graph: &Graph, watch: &Stopwatch, meter: &Meter, seen: &Seen) -> Costs {
        let packets = seen.packets.max(1) as f64;
        let states = agent::states(graph);
        let spent = watch.ids().into_iter().zip(watch.nanoseconds().0);
        let filled = meter.bytes().into_iter().map(|(_, filled)| filled);
        let added = [seen.source_bytes].into_iter().chain(filled);
        let mut bricks: Vec<_> = spent
            .zip(added)
            .map(|((id, ns), bytes)| {
                let id = if id == stopwatch::SOURCE { Plan::SOURCE.to_owned() } else { id };
                let state =
                    states.iter().find(|(known, _)| *known == id).map_or(State::Single, |(_, state)| *state);
                let node = graph.nodes().iter().find(|node| node.id == id);
                let state_bytes = node.map_or(0, |node| node.brick.state_size());
                Cost { id, state, ns: ns / packets, bytes: bytes as f64 / packets, state_bytes }
            })
            .collect();
        let sink =
            Cost { id: Plan::SINK.into(), state: State::Single, ns: seen.ns() / packets, ..Cost::default() };
        bricks.push(sink);
        let capture = crate::scoring::file_name(&self.capture);
        let batch = packets / seen.batches.max(1) as f64;
        let unknown = Costs::unknown(name, BATCH, []);
        let (packets, alert_share) = (seen.packets, seen.alert_share());
        Costs { capture, packets, batch, bricks, alert_share, ..unknown }
    }
}

fn table(costs: &Costs) -> String {
    let mut out = format!(
        "{:<20} {:<10} {:>10} {:>7} {:>14} {:>14}\n",
        "brick", "state", "ns/packet", "share", "bytes/packet", "state bytes"
    );
    for brick in &costs.bricks {
        let state = format!("{:?}", brick.state).to_lowercase();
        let share = brick.ns / costs.total() * 100.0;
        out += &format!(
            "{:<20} {state:<10} {:>10.1} {share:>6.1}% {:>14.1} {:>14}\n",
            brick.id, brick.ns, brick.bytes, brick.state_bytes
        );
    }
    let total = costs.total();
    let flood = costs.flood_ns.unwrap_or_default();
    out += &format!(
        "alerts: {:.3}% of the packets; where every packet is one, the sink takes {flood:.1} ns a packet\n",
        costs.alert_share * 100.0
    );
    out + &format!(
        "one worker: {:.0} packets/s of processor time; a hop between workers: {:.0} ns a batch of {:.0} packets\n",
        1e9 / total,
        costs.hop_ns,
        costs.batch
    )
}
