//! The options that say where bricks run.

use crate::invalid::Invalid;
use clap::Args;
use legonf_engine::arguments::time;
use legonf_engine::{Address, Place, Placement};
use std::path::PathBuf;
use std::time::Duration;

/// Where bricks run.
#[derive(Args)]
pub struct Placing {
    /// Run a brick elsewhere, or one replica of it: `process` is a process of its own on this host, over shared memory; NAME is a host
    /// (--host). Replica 0 is the first one; `here` leaves a replica in this process. Once for each. A brick that is lost, with its
    /// process or host, is made anew from a checkpoint kept here, and the results are those of one process.
    #[arg(long = "place", value_name = "BRICK[#N]=WHERE")]
    places: Vec<Place>,
    /// Where the agent of a host listens (`legonf agent`); once for each host.
    #[arg(long = "host", value_name = "NAME=HOST:PORT")]
    hosts: Vec<Address>,
    /// Folder of this host's certificates (`legonf cluster`), by which it reaches other hosts.
    #[arg(long, value_name = "DIR")]
    cluster: Option<PathBuf>,
    /// How long a brick that runs elsewhere may take for a batch before it counts as lost; ten times as long where its state moves.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = lease)]
    lease: Duration,
}

/// A time from 10 ms to an hour.
fn lease(text: &str) -> Result<Duration, Invalid> {
    let bounds = Duration::from_millis(10)..=Duration::from_secs(3600);
    let time = time(text).ok().filter(|time| bounds.contains(time));
    time.ok_or(Invalid::Value("a time from 10ms to 1h, such as 2s"))
}

impl Placing {
    /// What the engine takes.
    pub fn given(&self) -> Placement {
        Placement {
            places: self.places.clone(),
            hosts: self.hosts.clone(),
            cluster: self.cluster.clone(),
            lease: self.lease,
        }
    }
}
