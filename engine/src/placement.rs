//! Where bricks run: in this process, in processes of their own, or on other hosts.

mod order;
mod process;
mod remotes;

pub(crate) use order::{Order, make};
pub(crate) use remotes::{Placed, Remotes, placed};

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How long an instance elsewhere may take for a call, unless something else is given.
pub const LEASE: Duration = Duration::from_secs(2);

/// Bytes of packets between two checkpoints of a brick that runs elsewhere, at least: so many are processed anew where it is lost.
pub(crate) const CHECKPOINT: usize = 8 << 20;

/// Where bricks run. The results are the same bytes wherever that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Bricks that do not run in this process. Of several that name a replica the last one holds, and one that names its number before others.
    pub places: Vec<Place>,
    /// The addresses of hosts.
    pub hosts: Vec<Address>,
    /// The folder of this host's certificates, where hosts are not reached over loopback.
    pub cluster: Option<PathBuf>,
    /// How long an instance elsewhere may take for a call before it counts as lost.
    pub lease: Duration,
}

impl Default for Placement {
    fn default() -> Self {
        Self { places: Vec::new(), hosts: Vec::new(), cluster: None, lease: LEASE }
    }
}

/// Where a brick, or one replica of it, runs: `BRICK[#REPLICA]=WHERE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The brick's identifier.
    pub brick: String,
    /// The number of the replica; all of them where there is none.
    pub replica: Option<usize>,
    /// Where.
    pub site: Site,
}

/// Where a brick runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// In this process.
    Here,
    /// In a process of its own on this host.
    Process,
    /// On a host, by its name.
    Host(String),
}

/// The address of a host: `NAME=HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The name in its certificate.
    pub name: String,
    /// Where its agent listens.
    pub address: String,
}

/// Text that says no place, or no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Malformed(&'static str);

impl FromStr for Place {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let expected = Malformed(
            "BRICK=WHERE or BRICK#REPLICA=WHERE, where WHERE is `process`, `here` or the name of a host",
        );
        let (brick, site) = text.split_once('=').ok_or(expected)?;
        let (brick, replica) = match brick.split_once('#') {
            None => (brick, None),
            Some((brick, replica)) => (brick, Some(replica.parse().map_err(|_| expected)?)),
        };
        let site = match site {
            "here" => Site::Here,
            "process" => Site::Process,
            "" => return Err(expected),
            host => Site::Host(host.to_owned()),
        };
        if brick.is_empty() { Err(expected) } else { Ok(Self { brick: brick.to_owned(), replica, site }) }
    }
}

impl FromStr for Address {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let expected = Malformed("NAME=HOST:PORT, such as b=192.0.2.7:7077");
        let (name, address) = text.split_once('=').ok_or(expected)?;
        let port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if name.is_empty() || !port {
            Err(expected)
        } else {
            Ok(Self { name: name.to_owned(), address: address.to_owned() })
        }
    }
}

impl Address {
    /// The address itself.
    ///
    /// # Errors
    /// If the name is unknown.
    fn resolve(&self) -> std::io::Result<SocketAddr> {
        let unknown = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        self.address.to_socket_addrs()?.next().ok_or_else(unknown)
    }
}

impl Placement {
    /// Where a replica of a brick runs.
    pub fn of(&self, brick: &str, replica: usize) -> &Site {
        let named = |place: &&Place| place.brick == brick;
        let exactly = self.places.iter().rfind(|place| named(place) && place.replica == Some(replica));
        let place =
            exactly.or_else(|| self.places.iter().rfind(|place| named(place) && place.replica.is_none()));
        place.map_or(&Site::Here, |place| &place.site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_replica_is_the_one_that_names_it() {
        let place = |text: &str| text.parse::<Place>();
        let places = ["a=process", "a#1=b", "a#1=c", "x=here"].map(|text| place(text).unwrap()).into();
        let placement = Placement { places, ..Placement::default() };
        let at = |brick, replica| placement.of(brick, replica).clone();
        assert_eq!([at("a", 0), at("a", 1)], [Site::Process, Site::Host("c".into())]);
        assert_eq!([at("x", 0), at("y", 7)], [Site::Here, Site::Here]);
        for wrong in ["a", "=b", "a=", "a#=b", "a#x=b"] {
            assert!(place(wrong).unwrap_err().to_string().starts_with("expected BRICK=WHERE"), "{wrong}");
        }
        assert!("b=1.2.3.4:80".parse::<Address>().is_ok());
        for wrong in ["b", "=1.2.3.4:80", "b=1.2.3.4", "b=1.2.3.4:x"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
