//! What each brick of a graph costs.

use crate::agent;
use crate::assembly::{self, Execution, Opened, assemble};
use crate::captures::{Captures, Series};
use crate::measure::{self, Meter, Seen, Stopwatch, Work, alone, median};
use crate::models::ModelFile;
use crate::nf;
use crate::replay::measured;
use crate::{Error, Extent, Gauge, Session};
use legonf_controller::{Cost, Costs};
use legonf_core::{BATCH, Brick, Plan, State};
use legonf_io::Content;
use legonf_runtime::Graph;
use std::path::PathBuf;

/// A measurement of a graph over a capture, in one thread: nanoseconds of processor time a packet, bytes a packet that each brick
/// adds, bytes of state at the end; and what handing a batch from one worker to the next takes.
///
/// The sink is that of a [`Replay`](crate::Replay) with all its files, which go into a temporary folder. It is measured with the
/// alerts that the capture raises, and once more with every packet as one.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Graph file; without one the built-in graph.
    pub graph: Option<PathBuf>,
    /// Captures.
    pub captures: Captures,
    /// Files of the graph's models.
    pub models: Vec<ModelFile>,
    /// What executes the network in the built-in graph.
    pub execution: Execution,
    /// Scores above this are alerts, instead of the model's calibrated threshold.
    pub threshold: Option<f64>,
    /// Runs, after one that warms up.
    pub runs: u32,
    /// Read only the first packets.
    pub limit: Option<u64>,
}

impl Profile {
    /// Measures the bricks; of several runs the medians count.
    ///
    /// # Errors
    /// If the capture holds no packet, or nothing can be run to the end.
    pub fn measure(&self, session: &Session) -> Result<Costs, Error> {
        let opened = assembly::open(session, self.graph.as_deref(), &self.models)?;
        let series = self.captures.find(session, None)?;
        let bar = session.begin("profile", Extent::Bytes);
        let mut runs = Vec::new();
        // The run before the first that counts brings the capture into the page cache.
        for number in 0..=self.runs {
            let costs = self.once(session, (&opened, &series), self.threshold, &*bar)?;
            if number > 0 {
                runs.push(costs);
            }
        }
        let flood = self.once(session, (&opened, &series), Some(f64::MIN), &*bar)?;
        drop(bar);
        let mut costs = runs.swap_remove(0);
        for (index, brick) in costs.bricks.iter_mut().enumerate() {
            brick.ns = median(runs.iter().map(|run| run.bricks[index].ns).chain([brick.ns]));
        }
        costs.flood_ns = Some(flood.of(Plan::SINK)?.ns);
        costs.hop_ns = measure::hop_nanoseconds(BATCH, Work::NONE)?;
        costs.check()?;
        Ok(costs)
    }

    fn once(
        &self,
        session: &Session,
        (opened, series): (&Opened, &Series),
        threshold: Option<f64>,
        bar: &dyn Gauge,
    ) -> Result<Costs, Error> {
        let (spec, models) = (opened.graph(Content::Packets, self.execution)?, &opened.models);
        let (watch, meter) = (Stopwatch::default(), Meter::default());
        let mut source = watch.watch_source(series.open(session, self.limit)?);
        let wrap = |id: &str, brick: Box<dyn Brick>| Ok(meter.watch(watch.watch(id, brick)));
        let graph = assemble(&spec, Content::Packets, (models, None), threshold, &wrap);
        let mut graph = graph.map_err(|error| nf::in_file(self.graph.as_deref(), error))?;
        let folder = tempfile::tempdir()?;
        let network = models.main(&spec).map(|model| &model.network);
        let tally = measured(session, folder.path(), network, threshold, (&spec, &graph))?;
        let mut seen = Seen::of(tally);
        let outcome = alone(session, &mut graph, &mut source, &mut seen, &mut |p, n| bar.update(p, n))?;
        if outcome.packets == 0 {
            return Err(series.fault("holds no packet to measure with"));
        }
        Ok(self.costs((&spec.name, series.title()), &graph, &watch, &meter, &seen))
    }

    fn costs(
        &self,
        (name, capture): (&str, String),
        graph: &Graph,
        watch: &Stopwatch,
        meter: &Meter,
        seen: &Seen,
    ) -> Costs {
        let packets = seen.packets.max(1) as f64;
        let states = agent::states(graph);
        let spent = watch.ids().into_iter().zip(watch.nanoseconds().0);
        let bytes = meter.bytes().into_iter().map(|(read, filled)| (filled, read + filled));
        let bytes = [(seen.source_bytes, 0)].into_iter().chain(bytes);
        let mut bricks: Vec<_> = spent
            .zip(bytes)
            .map(|((id, ns), (added, moved))| {
                let id = if id == measure::SOURCE { Plan::SOURCE.to_owned() } else { id };
                let state =
                    states.iter().find(|(known, _)| *known == id).map_or(State::Serial, |(_, state)| *state);
                let node = graph.nodes().iter().find(|node| node.id == id);
                let state_bytes = node.map_or(0, |node| node.brick.state_size());
                let [ns, bytes, moved] = [ns, added as f64, moved as f64].map(|sum| sum / packets);
                Cost { id, state, ns, bytes, moved, state_bytes }
            })
            .collect();
        let sink =
            Cost { id: Plan::SINK.into(), state: State::Serial, ns: seen.ns() / packets, ..Cost::default() };
        bricks.push(sink);
        let batch = packets / seen.batches.max(1) as f64;
        let unknown = Costs::unknown(name, BATCH, []);
        let (packets, alert_share) = (seen.packets, seen.alert_share());
        Costs { capture, packets, batch, bricks, alert_share, ..unknown }
    }
}
