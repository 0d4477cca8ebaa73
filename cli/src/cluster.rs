//! `legonf cluster`: certificates by which the hosts of a cluster know each other.

mod join;

use crate::Style;
use crate::failure::{Failure, print, show};
use crate::invalid::Invalid;
use clap::{Args, Subcommand};
use legonf_engine::arguments::time;
use legonf_engine::{Address, HostReport, Placement, certificates};
use legonf_output::one_line;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Subcommand)]
pub enum Command {
    #[command(about = "Make a private authority, and this host's certificate")]
    Init(Init),
    #[command(about = "Make the certificate of a further host")]
    Issue(Issue),
    #[command(about = "Admit hosts by a token that expires")]
    Accept(join::Accept),
    #[command(about = "Get this host's certificate by a token")]
    Join(join::Join),
    #[command(about = "Ask hosts what they have, and measure the links to them")]
    Status(Status),
}

/// Asks the agent of each host for its cores and memory, and measures the link to it: how long a call takes that carries nothing, and how many
/// bytes a second go there and back.
#[derive(Args)]
pub struct Status {
    /// Where the agent of a host listens; once for each host.
    #[arg(long = "host", required = true, value_name = "NAME=HOST:PORT")]
    hosts: Vec<Address>,
    /// Folder of this host's certificates, by which it reaches other hosts.
    #[arg(long, value_name = "DIR")]
    cluster: Option<PathBuf>,
}

/// Makes a folder with a private authority and the certificate of this host. Keep `authority.key`: who has it can make hosts of the
/// cluster. No other host needs it.
#[derive(Args)]
pub struct Init {
    /// Folder to make.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    host: Host,
}

/// Makes a folder with the certificate of a further host, and its key. Copy it there, over a channel that you trust; it is not needed here.
/// Where the hosts reach each other, `legonf cluster accept` needs no copy.
#[derive(Args)]
pub struct Issue {
    /// Folder to make, for that host.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Folder of `legonf cluster init`.
    #[arg(long, value_name = "DIR")]
    authority: PathBuf,
    #[command(flatten)]
    host: Host,
}

#[derive(Args)]
struct Host {
    /// Name of the host, as --host and --place say it.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Another name or IP address by which clients reach the host, as with --http of a run; once for each.
    #[arg(long = "also", value_name = "NAME|IP")]
    others: Vec<String>,
    /// How long the certificate holds.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = validity)]
    valid: Duration,
}

/// A time from a minute to ten years.
fn validity(text: &str) -> Result<Duration, Invalid> {
    let bounds = Duration::from_secs(60)..=Duration::from_secs(3650 * 86_400);
    let time = time(text).ok().filter(|time| bounds.contains(time));
    time.ok_or(Invalid::Value("a time from 1min to 3650d, such as 90d"))
}

/// A host's folder that is there now.
struct Written<'a> {
    folder: &'a Path,
    name: &'a str,
}

pub fn run(command: &Command, style: Style) -> Result<(), Failure> {
    let Written { folder, name } = match command {
        Command::Status(status) => {
            let (hosts, cluster) = (status.hosts.clone(), status.cluster.clone());
            let found = Placement { hosts, cluster, ..Placement::default() }.hosts()?;
            return show(&found, |found| table(found), style);
        }
        Command::Accept(accept) => return accept.run(style),
        Command::Join(join) => join.run(style)?,
        Command::Init(Init { folder, host: Host { name, others, valid } }) => {
            certificates::create(&style.session(), folder, name, others, *valid)?;
            Written { folder, name }
        }
        Command::Issue(Issue { folder, authority, host: Host { name, others, valid } }) => {
            certificates::issue(&style.session(), authority, folder, name, others, *valid)?;
            Written { folder, name }
        }
    };
    if !style.quiet {
        let folder = folder.display().to_string();
        print(&format!("written     {} (host {name})\n", one_line(&folder)))?;
    }
    Ok(())
}

fn table(hosts: &[HostReport]) -> String {
    let mut text = format!(
        "{:<16} {:>9} {:>6} {:>6} {:>10} {:>13} {:>8}\n",
        "host", "cores", "used", "bricks", "memory GiB", "round trip ms", "MB/s"
    );
    for HostReport { name, cores, used, memory, bricks, round_trip_ms, bytes_per_second, .. } in hosts {
        let (gib, mb) = (*memory as f64 / f64::from(1 << 30), bytes_per_second / 1e6);
        let _ = writeln!(
            text,
            "{name:<16} {cores:>9.1} {used:>6.1} {bricks:>6} {gib:>10.1} {round_trip_ms:>13.3} {mb:>8.0}"
        );
    }
    text
}
