//! `legonf bench transport`: what it costs to send packets to another worker, process or host.

use super::busy::Watch;
use crate::ExperimentError;
use crate::failover::LAYOUT_OF_ONE;
use crate::figure4::Learnt;
use crate::figure4::watch::Checksum;
use crate::lap::Track;
use crate::offer::{Load, Offer};
use clap::Args;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Handle, Headers, Layout as Columns, Plan,
    Rows, State,
};
use legonf_datasets::generate;
use legonf_engine::measure::{Trial, median};
use legonf_engine::{Error, Execution, Place, Placement, Session, Site, certificates};
use legonf_extract::FEATURES;
use legonf_runtime::Layout;
use legonf_transport::tls::Identity;
use legonf_transport::{AgentLoad, Channel, ChannelError, Hosted, Remote, SharedMemory, Stream, serve};
use serde::Serialize;
use std::fmt::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

/// Features of a packet.
const WIDTH: usize = 115;
const BATCHES: [usize; 3] = [1, 32, 256];
/// Packets of a measurement at batches of so many, roughly, and bytes of frames and how many.
const PACKETS: usize = 100_000;
const CALLS: usize = 2_000;
const FRAME: usize = 1 << 20;
const FRAMES: usize = 400;
const LEASE: Duration = Duration::from_secs(60);

/// Measures what it costs to have a brick do its work elsewhere, where the work itself is next to nothing: headers go out, 115 features come
/// back. Beside it: one way, in frames of 1 MiB, and Kitsune end to end with the extractor in a process of its own against one
/// process in the same layout, by turns.
///
/// Both ends are on this machine: the network is loopback. On two cores both ends, and what carries the bytes, share them.
#[derive(Args)]
pub struct Arguments {
    /// Rounds; of each the fastest counts, and of end to end the median of the pairs.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    /// What else the machine did meanwhile; none where nothing much.
    busy: Option<String>,
    ports: Vec<Port>,
    end_to_end: EndToEnd,
}

/// One way from worker to worker.
#[derive(Serialize)]
struct Port {
    name: &'static str,
    /// 10⁹ bytes a second one way; none of a queue, which passes memory on.
    gigabytes_per_second: Option<f64>,
    batches: Vec<Rate>,
}

#[derive(Clone, Serialize)]
struct Rate {
    batch: usize,
    packets_per_second: f64,
    ns_per_packet: f64,
}

#[derive(Serialize)]
struct EndToEnd {
    /// Packets a second in one process, and with the extractor in a process of its own: medians.
    here_pps: f64,
    process_pps: f64,
    /// The median of the paired ratios.
    ratio: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Queue,
    SharedMemory,
    Tcp,
    Tls,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Queue, "queue"),
    (Kind::SharedMemory, "shared memory"),
    (Kind::Tcp, "TCP"),
    (Kind::Tls, "TCP with TLS"),
];

/// Fills features without computing any.
#[derive(Default)]
struct Stub(Handle<Rows>);

impl Brick for Stub {
    fn descriptor(&self) -> Descriptor {
        let (reads, writes) = (vec![ColumnSpec::HEADERS].into(), vec![FEATURES.of_width(WIDTH)].into());
        Descriptor { kind: "stub", title: "stub", reads, writes, state: State::Stateless }
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.0 = layout.handle(&FEATURES.of_width(WIDTH))?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let packets = batch.headers.len();
        let rows = batch.columns.get_mut(self.0);
        rows.reset(packets, WIDTH);
        rows.as_mut_slice()
            .iter_mut()
            .step_by(WIDTH)
            .zip(&batch.headers)
            .for_each(|(cell, h)| *cell = h.wire_len.into());
        Ok(())
    }
}

fn stub() -> Result<(Stub, Columns), Error> {
    let mut stub = Stub::default();
    let layout =
        Columns::of([&FEATURES.of_width(WIDTH)]).map_err(|error| Error::refused(error.to_string()))?;
    stub.bind(&layout)?;
    Ok((stub, layout))
}

/// What ends of channels are made of.
struct Ends {
    identity: Identity,
}

type Pair = (Box<dyn Channel>, Box<dyn Channel>);

impl Ends {
    fn new(session: &Session) -> Result<Self, ExperimentError> {
        let folder = tempfile::tempdir().map_err(Error::from)?;
        let host = folder.path().join("b");
        certificates::create(session, &host, "b", &[], Duration::from_secs(3600))?;
        Ok(Self { identity: Identity::load(&host).map_err(Error::from)? })
    }

    /// Both ends of a channel.
    fn pair(&self, kind: Kind) -> Result<Pair, ExperimentError> {
        if kind == Kind::SharedMemory {
            let (one, other) = SharedMemory::pair().map_err(Error::from)?;
            return Ok((Box::new(one), Box::new(SharedMemory::open(other).map_err(Error::from)?)));
        }
        let listener = TcpListener::bind("127.0.0.1:0").map_err(Error::from)?;
        let connected =
            TcpStream::connect(listener.local_addr().map_err(Error::from)?).map_err(Error::from)?;
        let accepted = listener.accept().map_err(Error::from)?.0;
        if kind == Kind::Tcp {
            let stream =
                |socket| Ok::<_, ExperimentError>(Box::new(Stream::plain(socket).map_err(Error::from)?));
            return Ok((stream(connected)?, stream(accepted)?));
        }
        let server = self.identity.clone();
        let accept = thread::spawn(move || server.accept(accepted, LEASE));
        let client = self.identity.connect("b", connected, LEASE).map_err(Error::from)?;
        let server =
            accept.join().map_err(|_| Error::refused("a connection panicked"))?.map_err(Error::from)?;
        Ok((Box::new(client), Box::new(server)))
    }

    /// 10⁹ bytes a second that frames go one way, each of which is read.
    fn one_way(&self, kind: Kind) -> Result<f64, ExperimentError> {
        let (mut one, mut other) = self.pair(kind)?;
        let frame = vec![7_u8; FRAME];
        let start = Instant::now();
        let received: Result<u64, ChannelError> = thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut sum = 0;
                for _ in 0..FRAMES {
                    let words = other.receive()?.as_chunks().0;
                    sum +=
                        words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word))) & 1;
                }
                Ok(sum)
            });
            (0..FRAMES).try_for_each(|_| one.send(&frame))?;
            reader.join().unwrap_or(Err(ChannelError::Closed))
        });
        received.map_err(Error::from)?;
        Ok((FRAME * FRAMES) as f64 / start.elapsed().as_secs_f64() / 1e9)
    }

    /// Nanoseconds of a packet in batches of so many.
    fn nanoseconds(&self, kind: Kind, batch: usize) -> Result<f64, ExperimentError> {
        let (mut stub, layout) = stub()?;
        let calls = CALLS.max(PACKETS / batch);
        let mut packets = Batch {
            headers: vec![Headers { wire_len: 60, ..Headers::default() }; batch],
            ..Batch::new(&layout)
        };
        let start;
        if kind == Kind::Queue {
            let (to, from) = (sync_channel::<Batch>(1), sync_channel::<Batch>(1));
            start = Instant::now();
            thread::scope(|scope| {
                scope.spawn(move || {
                    for mut batch in to.1 {
                        if stub.process(&mut batch).is_err() || from.0.send(batch).is_err() {
                            return;
                        }
                    }
                });
                for _ in 0..calls {
                    let _ = to.0.send(std::mem::take(&mut packets));
                    packets = from.1.recv().unwrap_or_default();
                }
                drop(to.0);
            });
        } else {
            let (one, mut other) = self.pair(kind)?;
            thread::spawn(move || {
                serve(
                    &mut *other,
                    &|_| {
                        let (brick, layout) = self::stub()?;
                        Ok(Hosted { brick: Box::new(brick), layout })
                    },
                    &AgentLoad::default,
                )
            });
            let mut remote = Remote::connect(&mut stub, one, kind.name(), LEASE, &[])
                .map_err(|error| Error::refused(error.to_string()))?;
            remote.bind(&layout).map_err(Error::from)?;
            start = Instant::now();
            (0..calls).try_for_each(|_| remote.process(&mut packets)).map_err(Error::from)?;
        }
        Ok(start.elapsed().as_nanos() as f64 / (calls * batch) as f64)
    }
}

impl Kind {
    fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// Measures.
///
/// # Errors
/// If a channel breaks, or a run does not come to its end.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    let (mut host, ends) = (Watch::begin(), Ends::new(session)?);
    let mut rates = KINDS.map(|_| 0.0_f64);
    let mut spent = KINDS.map(|_| BATCHES.map(|_| f64::INFINITY));
    for _ in 0..arguments.rounds {
        for (at, (kind, _)) in KINDS.iter().enumerate() {
            if session.is_stopped() {
                return Err(Error::Interrupted("transports were not measured to the end".into()).into());
            }
            if *kind != Kind::Queue {
                rates[at] = rates[at].max(ends.one_way(*kind)?);
            }
            for (batch, spent) in BATCHES.iter().zip(&mut spent[at]) {
                *spent = spent.min(ends.nanoseconds(*kind, *batch)?);
            }
        }
    }
    let rate =
        |(batch, ns): (&usize, f64)| Rate { batch: *batch, packets_per_second: 1e9 / ns, ns_per_packet: ns };
    let ports = KINDS.iter().zip(rates).zip(spent).map(|(((kind, name), gigabytes), spent)| Port {
        name,
        gigabytes_per_second: (*kind != Kind::Queue).then_some(gigabytes),
        batches: BATCHES.iter().zip(spent).map(rate).collect(),
    });
    let (ports, end_to_end) = (ports.collect(), end_to_end(arguments, session)?);
    Ok(Report { busy: host.busy(None), ports, end_to_end })
}

/// Kitsune with and without a process of its own for the extractor, by turns.
fn end_to_end(arguments: &Arguments, session: &Session) -> Result<EndToEnd, ExperimentError> {
    let config = generate::Config { packets: 100_000, rate: 10_000.0, ..generate::Config::default() };
    let track = Arc::new(Track::generate(config)?);
    let learnt = Learnt::of(session, &track)?;
    let here = learnt.trial(session, Execution::default())?;
    let place = Place { brick: "extractor".into(), replica: None, site: Site::Process };
    let process = here.placed(Placement { places: vec![place], ..Placement::default() });
    let layout = LAYOUT_OF_ONE
        .parse::<Plan>()
        .map(Layout::Stages)
        .map_err(|error| Error::refused(error.to_string()))?;
    // Enough that the start of a process is no part of it.
    let load = Load { seconds: 10.0, rates: vec![300_000.0] };
    let once = |trial: &Trial<'_>| -> Result<(f64, u64), ExperimentError> {
        let (mut source, mut sink) = (Offer::at_once(load.clone(), track.clone()), Checksum::default());
        let ran = trial.run(None, &layout, &mut source, &mut sink)?;
        Ok((ran.outcome.packets as f64 / ran.seconds, sink.value()))
    };
    let mut pairs = Vec::new();
    for _ in 0..arguments.rounds {
        let ((one, expected), (other, found)) = (once(&here)?, once(&process)?);
        if expected != found {
            return Err(
                Error::refused("the scores differ from those of one process; please report this").into()
            );
        }
        pairs.push([one, other]);
    }
    Ok(EndToEnd {
        here_pps: median(pairs.iter().map(|pair| pair[0])),
        process_pps: median(pairs.iter().map(|pair| pair[1])),
        ratio: median(pairs.iter().map(|pair| pair[1] / pair[0])),
    })
}

/// The report as lines of text.
pub fn text(report: &Report) -> String {
    let mut text = format!("{:<14} {:>6}", "port", "GB/s");
    BATCHES.iter().for_each(|batch| _ = write!(text, "  {:>14}", format!("ns at {batch}")));
    text.push('\n');
    for Port { name, gigabytes_per_second, batches } in &report.ports {
        let gigabytes = gigabytes_per_second.map_or_else(|| "-".into(), |rate| format!("{rate:.1}"));
        let _ = write!(text, "{name:<14} {gigabytes:>6}");
        batches.iter().for_each(|rate| _ = write!(text, "  {:>14.0}", rate.ns_per_packet));
        text.push('\n');
    }
    let EndToEnd { here_pps, process_pps, ratio } = &report.end_to_end;
    let _ = writeln!(
        text,
        "\nend to end: {here_pps:.0} packets/s in one process, {process_pps:.0} with the extractor in another one ({:.0}%)",
        ratio * 100.0
    );
    report.busy.iter().for_each(|busy| _ = writeln!(text, "the machine was busy: {busy}"));
    text
}
