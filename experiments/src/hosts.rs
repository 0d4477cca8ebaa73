//! Slots on the move between two hosts while packets flow, with many streams of state.

mod mover;
mod relay;
mod seen;
mod streams;

use crate::ExperimentError;
use crate::failover::LAYOUT;
use crate::figure4::Learnt;
use crate::lap::Track;
use crate::other_hosts::{self, Agent, Namespace};
use clap::Args;
use legonf_core::{Plan, SLOTS};
use legonf_datasets::generate;
use legonf_engine::arguments::Expected;
use legonf_engine::measure::Trial;
use legonf_engine::{Address, Error, Execution, Extent, Place, Placement, Session, Site};
use legonf_extract::{FeatureQuantization, Limits};
use legonf_runtime::{Layout, Outcome};
use mover::{Move, Mover};
use relay::Relay;
use seen::Seen;
use serde::Serialize;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use streams::{Load, PAIRS, Run, SOCKETS, Streams};
use tempfile::TempDir;

/// The hosts: the one of the graph, and those of the replicas.
const HOSTS: [&str; 3] = ["a", "b", "c"];

/// Runs Kitsune on one host, with its extractor replicated on two others, and lets half of the slots go from one of these to the other
/// and back while packets come by the clock (Megaphone, VLDB 2019). How late every packet is while slots move is compared with the
/// time without moves, and every score with that of one thread.
///
/// The hosts are network namespaces with certificates, where these may be made, and else processes on loopback. Links take as long as
/// --delay says: by the kernel's netem, or by a relay where the kernel has none; a relay loses nothing.
#[derive(Args)]
pub struct Arguments {
    /// Streams of sockets that have state, for each case; each takes about a kilobyte over all hosts.
    #[arg(long, default_value = "1M", value_name = "N", value_delimiter = ',', value_parser = number)]
    streams: Vec<u64>,
    /// Packets a second that are offered.
    #[arg(long, default_value = "20k", value_name = "PPS", value_parser = legonf_engine::arguments::rate)]
    rate: f64,
    /// How often half of the slots move.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    moves: u32,
    /// Time between two moves.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    pause: Duration,
    /// Time that a link takes, in each direction; none where it is 0.
    #[arg(long, default_value = "100us", value_name = "TIME", value_parser = delay)]
    delay: Duration,
    /// Packets of a link that are lost, in percent. Needs netem.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    loss: f64,
}

/// A number of streams: 128 to 64 million.
fn number(text: &str) -> Result<u64, Expected> {
    let number = legonf_engine::arguments::rate(text).ok().filter(|number| (128.0..=64e6).contains(number));
    number.map(|number| number as u64).ok_or(Expected("a number from 128 to 64M, such as 1M or 250k"))
}

/// A time of up to a second.
fn delay(text: &str) -> Result<Duration, Expected> {
    let time = if text == "0" { Some(Duration::ZERO) } else { legonf_engine::arguments::time(text).ok() };
    time.filter(|time| *time <= Duration::from_secs(1))
        .ok_or(Expected("0, or a time of up to 1s such as 100us"))
}

/// What was found.
#[derive(Serialize)]
pub struct Report {
    /// What hosts and links are made of.
    hosts: &'static str,
    links: String,
    /// Milliseconds in each direction, and percent.
    delay_ms: f64,
    loss_percent: f64,
    rate: f64,
    cases: Vec<Case>,
}

/// How late packets were, in milliseconds from when each was due.
#[derive(Serialize)]
struct Late {
    packets: usize,
    p50_ms: f64,
    p99_ms: f64,
    worst_ms: f64,
}

/// One number of streams.
#[derive(Serialize)]
struct Case {
    streams: u64,
    /// Packets a second that are carried without a clock.
    carried: f64,
    packets: u64,
    lost: u64,
    /// Packets out of order, or twice.
    strays: u64,
    /// The greatest difference of a score to that of one thread.
    deviation: f64,
    /// Streams that had to go, and bricks that were lost.
    evicted: u64,
    losses: u64,
    /// How late packets were, on whose way no slot moved, and some did.
    still: Late,
    moving: Late,
    /// The worst while slots moved, less the median without.
    worst_added_ms: f64,
    moves: Vec<Moved>,
    moved_slots: u64,
    moved_bytes: u64,
    /// What packets waited for slots on their way, where they did.
    pause_ms_p99: f64,
    pause_ms_max: f64,
}

/// One move.
#[derive(Serialize)]
struct Moved {
    slots: usize,
    seconds: f64,
    worst_added_ms: f64,
}

impl Report {
    /// Why the promise does not hold, if so.
    pub fn failure(&self) -> Option<String> {
        let broken =
            self.cases.iter().find(|case| case.lost > 0 || case.strays > 0 || case.deviation != 0.0)?;
        Some(format!(
            "{} streams: {} packets lost, {} out of order, deviation {}; please report this",
            broken.streams, broken.lost, broken.strays, broken.deviation
        ))
    }
}

/// Two hosts, and how they are reached.
struct Hosts {
    _agents: Vec<Agent>,
    _namespaces: Vec<Namespace>,
    certificates: Option<TempDir>,
    /// What the graph connects to.
    addresses: Vec<String>,
    links: String,
}

impl Hosts {
    fn start(session: &Session, arguments: &Arguments) -> Result<Self, ExperimentError> {
        let made = (1..HOSTS.len() as u32).map(Namespace::new).collect::<Result<Vec<_>, _>>();
        let namespaces = made.unwrap_or_else(|error| {
            session.observer.note(&format!("hosts are processes on loopback: {error}"));
            Vec::new()
        });
        let certificates = match namespaces.is_empty() {
            true => None,
            false => Some(other_hosts::cluster(session, &HOSTS)?),
        };
        let folder = |host: &str| certificates.as_ref().map(|folder| folder.path().join(host));
        let agent = |number: usize| match (namespaces.get(number - 1), folder(HOSTS[number])) {
            (Some(namespace), Some(folder)) => Agent::within(namespace, &folder),
            _ => Agent::on_loopback(),
        };
        let agents = (1..HOSTS.len()).map(agent).collect::<Result<Vec<_>, _>>()?;
        let mut addresses: Vec<_> = agents.iter().map(|agent| agent.address.clone()).collect();
        let links = impair(arguments, &namespaces, &mut addresses)?;
        Ok(Self { _agents: agents, _namespaces: namespaces, certificates, addresses, links })
    }

    fn placement(&self) -> Placement {
        let names = HOSTS.iter().skip(1).map(|name| (*name).to_owned());
        let places = names.clone().enumerate().map(|(replica, name)| Place {
            brick: "extractor".into(),
            replica: Some(replica),
            site: Site::Host(name),
        });
        let hosts =
            names.zip(&self.addresses).map(|(name, address)| Address { name, address: address.clone() });
        Placement {
            places: places.collect(),
            hosts: hosts.collect(),
            cluster: self.certificates.as_ref().map(|folder| folder.path().join(HOSTS[0])),
            ..Placement::default()
        }
    }
}

/// Makes links slow, and says how.
fn impair(
    arguments: &Arguments,
    namespaces: &[Namespace],
    addresses: &mut [String],
) -> Result<String, ExperimentError> {
    let Arguments { delay, loss, .. } = *arguments;
    if delay.is_zero() && loss == 0.0 {
        return Ok("as they are".into());
    }
    let impaired = namespaces.iter().try_for_each(|namespace| namespace.impair(delay, loss));
    let reason = match impaired {
        Ok(()) if !namespaces.is_empty() => return Ok("netem".into()),
        Ok(()) => "there is no namespace".into(),
        Err(error) => error.to_string(),
    };
    if loss > 0.0 {
        return Err(Error::refused(format!("--loss needs netem: {reason}")).into());
    }
    for address in addresses {
        *address = Relay::start(address, delay)?.address;
    }
    Ok(format!("a relay of TCP, which loses nothing ({reason})"))
}

/// Runs the cases.
///
/// # Errors
/// If hosts cannot be started, or a run does not come to its end.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    let config = generate::Config { packets: 100_000, rate: 10_000.0, ..generate::Config::default() };
    let learnt = Learnt::of(session, &Arc::new(Track::generate(config)?))?;
    let bar = session.begin("hosts", Extent::Packets(arguments.streams.len() as u64));
    let (mut cases, mut how) = (Vec::new(), ("", String::new()));
    for (number, streams) in arguments.streams.iter().enumerate() {
        let hosts = Hosts::start(session, arguments)?;
        let kind =
            if hosts.certificates.is_some() { "namespaces, with TLS" } else { "processes on loopback" };
        let mut trial = learnt.trial(session, Execution::default())?;
        make_room(&mut trial, *streams)?;
        cases.push(arguments.case(&trial, *streams, hosts.placement())?);
        how = (kind, hosts.links);
        bar.update(legonf_core::Progress::default(), number as u64 + 1);
    }
    let (hosts, links) = how;
    let (delay_ms, loss_percent, rate) = (milliseconds(arguments.delay), arguments.loss, arguments.rate);
    Ok(Report { hosts, links, delay_ms, loss_percent, rate, cases })
}

/// Gives the extractor room for so many streams: twice their mean over slots, since they are uneven.
fn make_room(trial: &mut Trial<'_>, streams: u64) -> Result<(), ExperimentError> {
    let mean = |streams: u64| (2 * streams / SLOTS as u64 + 64) as u32;
    let Limits { sources_per_slot, channels_per_slot, sockets_per_slot, .. } = Limits::default();
    let limits = Limits {
        sources_per_slot: sources_per_slot.max(mean(streams / (SOCKETS * PAIRS))),
        channels_per_slot: channels_per_slot.max(mean(streams / SOCKETS)),
        sockets_per_slot: sockets_per_slot.max(mean(streams)),
        ..Limits::default()
    };
    let refused = |error: toml::ser::Error| Error::refused(error.to_string());
    let limits = toml::Value::try_from(limits).map_err(refused)?;
    let extractors = trial.spec.bricks.iter_mut().filter(|brick| brick.kind == FeatureQuantization::KIND);
    extractors.for_each(|brick| _ = brick.config.insert("limits".into(), limits.clone()));
    Ok(())
}

impl Arguments {
    fn case(&self, trial: &Trial<'_>, streams: u64, placement: Placement) -> Result<Case, ExperimentError> {
        let load = Load { streams, at_once: streams.min(200_000), rate: self.rate };
        let layout: Layout =
            LAYOUT.parse::<Plan>().map(Layout::Stages).map_err(|error| Error::refused(error.to_string()))?;
        let run = Arc::new(Run::default());
        let mut mover = Mover::new(run.clone(), self.moves, self.pause);
        let (mut source, mut seen) = (Streams::timed(load, run.clone()), Seen::new(load, run.clone()));
        let ran = trial.placed(placement).run(Some(&mut mover), &layout, &mut source, &mut seen)?;
        if let Some(reason) = mover.failed {
            return Err(Error::refused(format!("slots do not move: {reason}")).into());
        }
        let packets = source.given();
        let mut alone = Seen::new(load, Arc::default());
        trial.run(None, &Layout::Fused, &mut Streams::at_once(load, packets), &mut alone)?;
        let carried = load.at_once as f64 / (run.at_once.load(Relaxed).max(1) as f64 / 1e9);
        Ok(conclude(load, carried, &ran.outcome, &mover.moves, (&seen, &alone)))
    }
}

fn conclude(
    load: Load,
    carried: f64,
    outcome: &Outcome,
    moves: &[Move],
    (seen, alone): (&Seen, &Seen),
) -> Case {
    let first = load.first_timed();
    // A packet was on its way while slots moved if it was due before the end and came out behind the begin.
    let meets = |(number, late): (usize, &f32), of: &Move| {
        let due = load.due(first + number as u64);
        due <= of.end && due + f64::from(*late) / 1e3 >= of.begin
    };
    let timed = || seen.late_ms.iter().enumerate();
    let moving = |packet| moves.iter().any(|of| meets(packet, of));
    let pick = |wanted| timed().filter(|packet| moving(*packet) == wanted).map(|(_, late)| *late).collect();
    let (still, moving) = (Late::of(pick(false)), Late::of(pick(true)));
    let worst =
        |of: &Move| timed().filter(|packet| meets(*packet, of)).map(|(_, late)| *late).fold(0.0, f32::max);
    let added = |worst: f64| (worst - still.p50_ms).max(0.0);
    let pauses = &outcome.pauses;
    let counters = outcome.counters.iter().flat_map(|brick| &brick.counters);
    Case {
        streams: load.streams,
        carried,
        packets: alone.scores.len() as u64,
        lost: (alone.scores.len() - seen.scores.len().min(alone.scores.len())) as u64,
        strays: seen.strays,
        deviation: seen.deviation(alone),
        evicted: counters.filter(|(name, _)| name.starts_with("evicted")).map(|(_, count)| count).sum(),
        losses: outcome.losses.count,
        worst_added_ms: added(moving.worst_ms),
        moves: moves
            .iter()
            .map(|of| Moved {
                slots: of.slots,
                seconds: of.end - of.begin,
                worst_added_ms: added(f64::from(worst(of))),
            })
            .collect(),
        moved_slots: pauses.slots,
        moved_bytes: pauses.bytes,
        pause_ms_p99: milliseconds(pauses.p99),
        pause_ms_max: milliseconds(pauses.longest),
        still,
        moving,
    }
}

impl Late {
    fn of(mut late: Vec<f32>) -> Self {
        late.sort_by(f32::total_cmp);
        let at = |part: f64| {
            let place = (late.len() as f64 * part) as usize;
            late.get(place.min(late.len().saturating_sub(1))).map_or(0.0, |late| f64::from(*late))
        };
        Self { packets: late.len(), p50_ms: at(0.5), p99_ms: at(0.99), worst_ms: at(1.0) }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The report as lines of text.
pub fn text(report: &Report) -> String {
    let mut text = format!(
        "hosts       {}\nlinks       {}; {} ms in each direction, {}% lost\noffered     {:.0} packets/s\n",
        report.hosts, report.links, report.delay_ms, report.loss_percent, report.rate
    );
    for case in &report.cases {
        let Case { streams, carried, packets, lost, deviation, still, moving, .. } = case;
        let megabytes = case.moved_bytes as f64 / 1e6;
        let _ = writeln!(
            text,
            "\nstreams     {streams}; {carried:.0} packets/s are carried at once\n\
             packets     {packets}, {lost} lost, deviation {deviation}; {} streams evicted",
            case.evicted
        );
        for (name, late) in [("still", still), ("moving", moving)] {
            let Late { packets, p50_ms, p99_ms, worst_ms } = late;
            let _ = writeln!(
                text,
                "{name:<11} {packets} packets: {p50_ms:.2} ms, {p99_ms:.2} ms for 99 of 100, {worst_ms:.2} ms at most"
            );
        }
        for of in &case.moves {
            let Moved { slots, seconds, worst_added_ms } = of;
            let _ = writeln!(
                text,
                "move        {slots} slots in {seconds:.2} s, {worst_added_ms:.2} ms added at most"
            );
        }
        let _ = writeln!(
            text,
            "moves       {} slots, {megabytes:.1} MB; {:.2} ms added at most; packets waited for a slot {:.2} ms at most",
            case.moved_slots, case.worst_added_ms, case.pause_ms_max
        );
    }
    text
}
