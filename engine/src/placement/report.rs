//! What hosts say of themselves, for people.

use super::{Placement, Reach};
use crate::Error;
use serde::Serialize;

/// A host, as it was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
                cores: load.cores,
                used: load.used,
                memory: load.memory,
                round_trip_ms: link.round_trip.as_secs_f64() * 1e3,
                bytes_per_second: link.bytes_per_second,
            })
        };
        self.hosts.iter().map(report).collect()
    }
}
