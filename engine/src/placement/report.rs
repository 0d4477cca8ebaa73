//! What hosts say of themselves, for people.

use super::{Placement, Reach};
use crate::Error;
use legonf_controller::HostOffer;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// A host, as it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostReport {
    /// Its name, and where its agent listens.
    pub name: String,
    /// The address.
    pub address: String,
    /// The version of its program.
    pub program: String,
    /// Cores that its agent may use, and how many of them are in use.
    pub cores: f64,
    /// Cores in use.
    pub used: f64,
    /// Bytes of memory that are left.
    pub memory: u64,
    /// Bricks that its agent hosts, of all graphs.
    #[serde(default)]
    pub bricks: u32,
    /// Milliseconds of a call that carries nothing.
    pub round_trip_ms: f64,
    /// Bytes a second that the link carries there and back, both counted, as measured.
    pub bytes_per_second: f64,
}

impl Placement {
    /// Asks every host what it has, and measures the link to it.
    ///
    /// # Errors
    /// Names the first one that cannot be reached, or is of another version.
    pub fn hosts(&self) -> Result<Vec<HostReport>, Error> {
        let reach = Reach::of(self)?;
        let report = |host: &super::Address| {
            let mut peer = reach.meet(&host.name)?;
            let failed = |error: legonf_transport::ConnectError| Error::refused(error.to_string());
            // The first look is where the second one counts from.
            peer.load().map_err(failed)?;
            let (link, load) = (peer.link().map_err(failed)?, peer.load().map_err(failed)?);
            Ok(HostReport {
                name: host.name.clone(),
                address: host.address.clone(),
                program: peer.program().to_owned(),
                cores: load.host.cores,
                used: load.host.used,
                memory: load.host.memory,
                bricks: load.bricks,
                round_trip_ms: link.round_trip.as_secs_f64() * 1e3,
                bytes_per_second: link.bytes_per_second,
            })
        };
        self.hosts.iter().map(report).collect()
    }
}

/// Reads what hosts have to offer from a file of `legonf cluster status --json`.
///
/// # Errors
/// In one line that begins with the file, if it is none.
pub fn read_hosts(path: &Path) -> Result<Vec<HostReport>, Error> {
    let named = |reason: String| Error::file(path, reason);
    let text = fs::read(path).map_err(|error| Error::file(path, error))?;
    let hosts: Vec<HostReport> = serde_json::from_slice(&text)
        .map_err(|error| named(format!("{error}; expected what `legonf cluster status --json` prints")))?;
    for (at, host) in hosts.iter().enumerate() {
        let fits = |value: f64| value.is_finite() && value >= 0.0;
        if ![host.cores, host.used, host.round_trip_ms].into_iter().all(fits) || host.cores > MOST_CORES {
            return Err(named(format!(
                "host `{}`: cores from 0 to {MOST_CORES}, and no negative figure",
                host.name
            )));
        }
        if !fits(host.bytes_per_second) || host.bytes_per_second == 0.0 {
            return Err(named(format!("host `{}`: bytes_per_second is above 0", host.name)));
        }
        if hosts[..at].iter().any(|first| first.name == host.name) {
            return Err(named(format!("host `{}` is there twice", host.name)));
        }
    }
    Ok(hosts)
}

/// The most cores of a host.
const MOST_CORES: f64 = 4096.0;

impl HostReport {
    /// What it has to offer to a plan.
    pub fn offer(&self) -> HostOffer {
        HostOffer {
            name: self.name.clone(),
            cores: (self.cores - self.used).max(0.0),
            bytes_per_second: self.bytes_per_second,
            round_trip: self.round_trip_ms / 1e3,
        }
    }
}
