//! `legonf cluster`: certificates by which the hosts of a cluster know each other.

use crate::Style;
use crate::failure::{Failure, print};
use crate::invalid::Invalid;
use clap::{Args, Subcommand};
use legonf_engine::arguments::time;
use legonf_engine::certificates;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Subcommand)]
pub enum Command {
    #[command(about = "Make a private authority, and this host's certificate")]
    Init(Init),
    #[command(about = "Make the certificate of a further host")]
    Issue(Issue),
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

/// Makes a folder with the certificate of a further host. Copy it there, over a channel that you trust; it is not needed here.
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

pub fn run(command: &Command, style: Style) -> Result<(), Failure> {
    let (folder, host) = match command {
        Command::Init(init) => {
            certificates::create(&init.folder, &init.host.name, init.host.valid)?;
            (&init.folder, &init.host)
        }
        Command::Issue(issue) => {
            certificates::issue(&issue.authority, &issue.folder, &issue.host.name, issue.host.valid)?;
            (&issue.folder, &issue.host)
        }
    };
    if !style.quiet {
        print(&format!("written     {} (host {})\n", folder.display(), host.name))?;
    }
    Ok(())
}
