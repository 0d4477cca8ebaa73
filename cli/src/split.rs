//! `legonf split`: by what traffic can be split without changing the answer.

use crate::Style;
use crate::failure::{Failure, print, print_json};
use clap::Args;
use legonf_extract::{schema_by_name, state_groups};
use legonf_io::sink::OutputFile;
use legonf_splitter::{GroupSet, Lattice, Mode, Plan, explain, svg};
use std::fs;
use std::path::{Path, PathBuf};

/// Computes how the state groups' keys include and overlap one another, runs LEGO's Algorithm 1 on them, and makes the
/// plan by which a dispatcher splits the traffic among replicas.
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
    let set = group_set(&arguments.groups)?;
    let plan = if arguments.approximate { Plan::approximate(&set) } else { Plan::exact(&set) };
    plan.check(&set)?;
    if let Some(path) = &arguments.svg {
        let lattice = match plan.mode {
            Mode::Exact => Lattice::new(&set),
            Mode::Approximate => Lattice::directed(&set),
        };
        let mut file = OutputFile::create(path)?;
        file.put(svg(&set, &lattice).as_bytes())?;
        file.finish()?;
    }
    let explanation = explain(&set, plan);
    if style.json {
        return print_json(&explanation);
    }
    if style.quiet { Ok(()) } else { print(&explanation.to_string()) }
}

/// The groups of a schema, or those of a file.
fn group_set(name: &Path) -> Result<GroupSet, Failure> {
    let shown = name.display();
    if name.extension().is_none_or(|e| e != "toml") && !name.is_file() {
        return of_schema(&shown.to_string());
    }
    let text = fs::read_to_string(name).map_err(|e| Failure::fault(format!("{shown}: {e}")))?;
    GroupSet::from_toml(&text).map_err(|e| Failure::fault(format!("{shown}: {e}")))
}

/// The groups of a schema.
pub fn of_schema(name: &str) -> Result<GroupSet, Failure> {
    let unknown = |e| Failure::fault(format!("{e}, or a file (GROUPS.toml)"));
    Ok(GroupSet::of_schema(&schema_by_name(name).map_err(unknown)?, state_groups(name)?)?)
}
