//! Where bricks run: in this process, in processes of their own, or on other hosts.

mod hosts;
mod locations;
mod order;
mod process;
mod remotes;
mod report;

pub(crate) use hosts::{Hosts, REMEDY, Reach, identity, resolve};
pub(crate) use order::{Order, make};
pub(crate) use remotes::{Placed, Remotes, placed};

pub use locations::{Located, Location, Locations};
pub use report::{HostReport, read_hosts};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What stands for every brick.
const EVERY: &str = "*";

/// How long an instance elsewhere may take for a call, unless something else is given.
pub const LEASE: Duration = Duration::from_secs(2);

/// Bytes of packets between two checkpoints of a brick that runs elsewhere, at least: so many are processed anew where it is lost.
pub(crate) const CHECKPOINT: usize = 8 << 20;

/// Where bricks run. The results are the same bytes wherever that is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct Placement {
    /// Run a brick elsewhere, or one replica of it: `process` is a process of its own on this host, over shared memory; NAME is a host
    /// (--host). Replica 0 is the first one; `here` leaves a replica in this process; the brick `*` is any that is not named. Once for each.
    /// A brick that is lost, with its process or host, is made anew from a checkpoint kept here, and the results are those of one process.
    ///
    /// Of several that name a replica the last one holds, and one with its number before others.
    #[cfg_attr(feature = "clap", arg(long = "place", value_name = "BRICK[#N]=WHERE"))]
    pub places: Vec<Place>,
    /// Where the agent of a host listens (`legonf agent`); once for each host. Replicas beyond the cores of this machine go to the host
    /// with the most free ones.
    #[cfg_attr(feature = "clap", arg(long = "host", value_name = "NAME=HOST:PORT"))]
    pub hosts: Vec<Address>,
    /// Folder of this host's certificates (`legonf cluster`), by which it reaches other hosts; none where these are reached over
    /// loopback.
    #[cfg_attr(feature = "clap", arg(long, value_name = "DIR"))]
    pub cluster: Option<PathBuf>,
    /// How long a brick that runs elsewhere may take for a batch before it counts as lost; ten times as long where its state moves.
    #[cfg_attr(feature = "clap", arg(long, value_name = "TIME", default_value = "2s", value_parser = lease))]
    pub lease: Duration,
}

/// A time from 10 ms to an hour.
#[cfg(feature = "clap")]
fn lease(text: &str) -> Result<Duration, Malformed> {
    let bounds = Duration::from_millis(10)..=Duration::from_secs(3600);
    let time = crate::arguments::time(text).ok().filter(|time| bounds.contains(time));
    time.ok_or(Malformed("a time from 10ms to 1h, such as 2s"))
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

impl Placement {
    /// Whether a brick is named.
    pub(crate) fn names(&self, brick: &str) -> bool {
        self.places.iter().any(|place| place.brick == brick)
    }

    /// Whether nothing can run elsewhere.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.hosts.is_empty()
    }

    /// Where a replica of a brick runs; nothing where that is not said.
    pub fn of(&self, brick: &str, replica: usize) -> Option<&Site> {
        let find = |name: &str, replica: Option<usize>| {
            self.places.iter().rfind(|place| place.brick == name && place.replica == replica)
        };
        let named = |name| find(name, Some(replica)).or_else(|| find(name, None));
        named(brick).or_else(|| named(EVERY)).map(|place| &place.site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_replica_is_the_one_that_names_it() {
        let place = |text: &str| text.parse::<Place>();
        let places =
            ["a=process", "a#1=b", "a#1=c", "x=here", "*#2=d"].map(|text| place(text).unwrap()).into();
        let placement = Placement { places, ..Placement::default() };
        let at = |brick, replica| placement.of(brick, replica).cloned();
        assert_eq!([at("a", 0), at("a", 1)], [Some(Site::Process), Some(Site::Host("c".into()))]);
        assert_eq!([at("x", 0), at("y", 7)], [Some(Site::Here), None]);
        assert_eq!([at("a", 2), at("y", 2)], [Some(Site::Process), Some(Site::Host("d".into()))]);
        for wrong in ["a", "=b", "a=", "a#=b", "a#x=b"] {
            assert!(place(wrong).unwrap_err().to_string().starts_with("expected BRICK=WHERE"), "{wrong}");
        }
        assert!("b=1.2.3.4:80".parse::<Address>().is_ok());
        for wrong in ["b", "=1.2.3.4:80", "b=1.2.3.4", "b=1.2.3.4:x"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
