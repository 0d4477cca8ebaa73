//! `legonf split`: by what traffic can be split without changing the answer.

use crate::Style;
use crate::failure::{Failure, print_json, tell};
use crate::summary::tables;
use clap::Args;
use legonf_core::{Headers, SLOTS};
use legonf_engine::{Error, headers, reading, write_text};
use legonf_extract::{Limits, schema_by_name, state_groups};
use legonf_splitter::{
    Coupling, Explanation, GroupSet, Lattice, Mode, Plan, Replication, Router, SplitError, explain, svg,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Numbers of replicas at which copies are counted.
const REPLICAS: [usize; 6] = [2, 4, 8, 16, 32, 64];

/// Computes how the state groups' keys include and overlap one another, runs LEGO's Algorithm 1 on them, and makes the
/// plan by which the traffic is split among replicas.
///
/// The exact plan gives every packet the answer of a single instance, bit for bit: a shard of replicas for each
/// granularity that no other includes. The approximate plan is the paper's single granularity.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// A feature schema (kitsune-115, kitsune-115-clean, kitsune-py-100) or a file with state groups of your own.
    #[arg(value_name = "SCHEMA|GROUPS.toml")]
    groups: PathBuf,
    /// The plan with the single granularity that keeps most groups whole; what it divides is named.
    #[arg(long)]
    approximate: bool,
    /// Also count on a capture what the plan sends: copies of each packet at 2 to 64 replicas. Where no split of the
    /// traffic is exact, those that an exact split by source would need all the same.
    #[arg(long, value_name = "CAPTURE")]
    capture: Option<PathBuf>,
    /// Draw the lattice of granularities into this SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

const AFTER: &str = "\
A group file:
  name = \"my-extractor\"
  [[group]]
  name = \"pairs\"
  fields = [\"SrcIP\", \"DstIP\"]   # SrcMAC DstMAC SrcIP DstIP SrcIP/24 DstIP/24 SrcPort DstPort Protocol VLAN Tunnel
  both_directions = true         # a packet reads the other direction's stream, too
  packets = [\"tcp\", \"udp\"]       # all, where left out; arp tcp udp icmp other-ip bare
  [[group.except]]               # packets with another key
  packets = [\"udp\"]
  fields = [\"SrcIP\"]

`coupled = \"why\"` in a group says that its streams depend on one another, whatever their key; `decays = [5, 1]` names
rates that are computed apart. --json prints the plan in full.";

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results(arguments.svg.as_deref())?;
    let set = group_set(&arguments.groups)?;
    let plan = if arguments.approximate { Plan::approximate(&set) } else { Plan::exact(&set) };
    plan.check(&set)?;
    if let Some(path) = &arguments.svg {
        let lattice = match plan.mode {
            Mode::Exact => Lattice::new(&set),
            Mode::Approximate => Lattice::directed(&set),
        };
        write_text(path, &svg(&set, &lattice))?;
    }
    let copies = arguments.capture.as_deref().map(|path| copies(path, &plan, style)).transpose()?;
    let explanation = explain(&set, plan);
    if style.json {
        return print_json(&Shown { explanation: &explanation, copies });
    }
    let text = explanation.to_string() + &copies.as_deref().map_or(String::new(), table);
    if style.quiet { Ok(()) } else { tell(&text) }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    explanation: &'a Explanation,
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<Vec<Replication>>,
}

/// What a plan sends of a capture, by the number of replicas.
fn copies(capture: &Path, plan: &Plan, style: Style) -> Result<Vec<Replication>, Failure> {
    let seed = Limits::default().seed;
    let mut coupling = plan.is_whole().then(Coupling::default);
    let mut counters = Vec::new();
    for replicas in REPLICAS {
        counters.push(Counter::new(plan, replicas, seed)?);
    }
    headers(&style.session(), "split", capture, None, |packets| -> Result<(), Error> {
        match &mut coupling {
            Some(coupling) => coupling.push(packets),
            None => counters.iter_mut().for_each(|counter| counter.push(packets)),
        }
        Ok(())
    })?;
    Ok(match coupling {
        Some(coupling) => REPLICAS.map(|replicas| coupling.replication(replicas, seed)).to_vec(),
        None => counters.into_iter().map(Counter::finish).collect(),
    })
}

/// Packets that come to each replica of each shard, whose slots are dealt out in turn.
struct Counter {
    router: Router,
    owners: Vec<Box<[u16]>>,
    sent: Vec<Vec<u64>>,
    packets: u64,
}

impl Counter {
    fn new(plan: &Plan, replicas: usize, seed: u64) -> Result<Self, SplitError> {
        let even: Box<[u16]> = (0..SLOTS).map(|slot| (slot % replicas) as u16).collect();
        let shards = plan.shards.len();
        let (owners, sent) = (vec![even; shards], vec![vec![0; replicas]; shards]);
        Ok(Self { router: Router::new(plan, seed)?, owners, sent, packets: 0 })
    }

    fn push(&mut self, packets: &[Headers]) {
        self.packets += packets.len() as u64;
        let Self { router, owners, sent, .. } = self;
        for headers in packets {
            router.route(headers, owners, &mut |shard, replica| sent[shard][replica] += 1);
        }
    }

    fn finish(self) -> Replication {
        let of_all = |packets: u64| packets as f64 / self.packets.max(1) as f64;
        let sent = || self.sent.iter().flatten().copied();
        let replicas = self.sent.first().map_or(0, Vec::len);
        let largest_share = of_all(sent().max().unwrap_or(0));
        Replication { replicas, copies: of_all(sent().sum()), largest_share }
    }
}

fn table(copies: &[Replication]) -> String {
    let headings = ["replicas", "copies of a packet", "largest replica's part of the packets"];
    let cells = |copies: &Replication| {
        let share = format!("{:.1}%", copies.largest_share * 100.0);
        vec![copies.replicas.to_string(), format!("{:.2}", copies.copies), share]
    };
    let rows: Vec<_> = copies.iter().map(cells).collect();
    let line = |row: &[String]| format!("{:>8}  {:>18}  {:>37}\n", row[0], row[1], row[2]);
    String::from("\n") + &tables::table(&headings, &rows, line)
}

/// The groups of a schema, or those of a file.
fn group_set(name: &Path) -> Result<GroupSet, Failure> {
    let shown = name.display();
    if name.extension().is_none_or(|e| e != "toml") && !name.is_file() {
        return of_schema(&shown.to_string());
    }
    GroupSet::from_toml(&reading::text(name, reading::TABLE)?)
        .map_err(|e| Failure::fault(format!("{shown}: {e}")))
}

/// The groups of a schema.
fn of_schema(name: &str) -> Result<GroupSet, Failure> {
    let unknown = |e| Failure::fault(format!("{e}, or a file (GROUPS.toml)"));
    Ok(GroupSet::of_schema(&schema_by_name(name).map_err(unknown)?, state_groups(name)?)?)
}
