//! What bricks cost, as `legonf profile` measures it.

use crate::ControllerError;
use crate::error::{demand, read};
use legonf_core::{Plan, State};
use serde::{Deserialize, Serialize};

/// The largest cost in nanoseconds or bytes.
const MOST: f64 = 1e15;
/// The most bricks: those of the largest graph, with its ends.
const MOST_BRICKS: usize = 4098;

/// What one brick costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Identifier of the brick in its graph; `source` and `sink` are its ends.
    pub id: String,
    /// Statefulness.
    pub state: State,
    /// Nanoseconds of processor time a packet.
    pub ns: f64,
    /// Bytes a packet that it adds to a batch.
    #[serde(default)]
    pub bytes: f64,
    /// Bytes a packet of the columns that it reads and fills: they go over a link where it runs on another host.
    #[serde(default)]
    pub moved: f64,
    /// Bytes of state at the end of the profile.
    #[serde(default)]
    pub state_bytes: u64,
}

/// Costs of a graph: the content of the file that `legonf profile` writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Name of the graph.
    pub graph: String,
    /// What was run.
    #[serde(default)]
    pub capture: String,
    /// Packets that were measured.
    #[serde(default)]
    pub packets: u64,
    /// Packets a batch, on average.
    pub batch: f64,
    /// Nanoseconds of processor time a batch for handing it from one worker to the next.
    pub hop_ns: f64,
    /// Nanoseconds of processor time a packet for dealing it out to replicas of a brick with state and joining their answers.
    #[serde(default = "split")]
    pub split_ns: f64,
    /// The part of the packets that were alerts, for which the sink takes longer.
    #[serde(default)]
    pub alert_share: f64,
    /// Nanoseconds of processor time a packet of the sink where every packet is an alert; none where that was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flood_ns: Option<f64>,
    /// Bricks in the order of the graph, with its ends.
    #[serde(rename = "brick")]
    pub bricks: Vec<Cost>,
}

/// What splitting is taken to cost where it was not measured.
pub(crate) const fn split() -> f64 {
    450.0
}

impl Costs {
    /// Reads costs.
    ///
    /// # Errors
    /// If it is no TOML, has an unknown key, or a value is out of its range.
    pub fn from_toml(text: &str) -> Result<Self, ControllerError> {
        let costs: Self = read(text)?;
        costs.check()?;
        Ok(costs)
    }

    /// The costs as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| format!("# {error}"))
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`ControllerError::Range`] with the key and what would do.
    pub fn check(&self) -> Result<(), ControllerError> {
        let size = |value: f64| (0.0..=MOST).contains(&value);
        demand((1.0..=65_536.0).contains(&self.batch), "batch", self.batch, "packets, from 1 to 65536")?;
        demand(size(self.hop_ns), "hop_ns", self.hop_ns, "nanoseconds, not negative, at most 1e15")?;
        demand(size(self.split_ns), "split_ns", self.split_ns, "nanoseconds, not negative, at most 1e15")?;
        demand(
            (0.0..=1.0).contains(&self.alert_share),
            "alert_share",
            self.alert_share,
            "a part, from 0 to 1",
        )?;
        let flood = self.flood_ns.unwrap_or(0.0);
        demand(size(flood), "flood_ns", flood, "nanoseconds, not negative, at most 1e15")?;
        let count = self.bricks.len();
        demand((1..=MOST_BRICKS).contains(&count), "brick", count, "a [[brick]] at least, and at most 4098")?;
        for brick in &self.bricks {
            demand(size(brick.ns), "ns", brick.ns, "nanoseconds, not negative, at most 1e15")?;
            demand(size(brick.bytes), "bytes", brick.bytes, "bytes, not negative, at most 1e15")?;
            demand(size(brick.moved), "moved", brick.moved, "bytes, not negative, at most 1e15")?;
            let state = brick.state_bytes <= MOST as u64;
            demand(state, "state_bytes", brick.state_bytes, "bytes, at most 1e15")?;
        }
        demand(self.total() > 0.0, "ns", 0, "a brick that takes time")
    }

    /// The cost of a brick.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn of(&self, id: &str) -> Result<&Cost, ControllerError> {
        let found = self.bricks.iter().find(|brick| brick.id == id);
        found.ok_or_else(|| ControllerError::NoCost(id.to_owned()))
    }

    /// The costs where every packet is an alert, if that was measured.
    pub fn flooded(&self) -> Option<Self> {
        let flood = self.flood_ns?;
        let mut costs = self.clone();
        costs.bricks.iter_mut().filter(|brick| brick.id == Plan::SINK).for_each(|sink| sink.ns = flood);
        costs.alert_share = 1.0;
        Some(costs)
    }

    /// Nanoseconds a packet of all bricks and both ends.
    pub fn total(&self) -> f64 {
        self.bricks.iter().map(|brick| brick.ns).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Kitsune with a generic network: the network costs most.
    pub(crate) fn kitsune() -> Costs {
        let brick =
            |(id, state, ns): (&str, State, f64)| Cost { id: id.into(), state, ns, ..Cost::default() };
        let bricks = [
            ("source", State::Serial, 50.0),
            ("batching", State::Stateless, 50.0),
            ("extractor", State::Keyed, 500.0),
            ("network", State::Stateless, 2000.0),
            ("decision", State::Stateless, 5.0),
            ("sink", State::Serial, 45.0),
        ];
        let bricks = bricks.map(brick).into();
        Costs { graph: "kitsune".into(), batch: 256.0, hop_ns: 1000.0, bricks, ..Costs::default() }
    }

    #[test]
    fn costs_are_read_as_they_are_written() {
        let costs = kitsune();
        assert_eq!(Costs::from_toml(&costs.to_toml()).unwrap(), costs);
        assert_eq!((costs.total(), costs.of("extractor").unwrap().ns), (2650.0, 500.0));
        assert!(costs.of("nothing").unwrap_err().to_string().contains("legonf profile"));
    }

    #[test]
    fn a_flood_of_alerts_costs_the_sink_alone() {
        assert_eq!(kitsune().flooded(), None);
        let costs = Costs { flood_ns: Some(3000.0), alert_share: 0.01, ..kitsune() };
        assert_eq!(Costs::from_toml(&costs.to_toml()).unwrap(), costs);
        let flooded = costs.flooded().unwrap();
        assert_eq!((flooded.total() - costs.total(), flooded.of("sink").unwrap().ns), (2955.0, 3000.0));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = kitsune().to_toml();
        for (from, to, words) in [
            ("batch = 256.0", "batch = 0.0", "batch = 0: expected packets"),
            ("ns = 500.0", "ns = -1.0", "ns = -1: expected nanoseconds"),
            ("ns = 500.0", "ns = inf", "ns = inf: expected nanoseconds"),
            ("split_ns = 0.0", "split_ns = nan", "split_ns = NaN: expected nanoseconds"),
            ("alert_share = 0.0", "alert_share = 1.5", "alert_share = 1.5: expected a part"),
            ("ns = 500.0", "ns = 1e300", "ns = 1000"),
            ("bytes = 0.0", "bytes = 1e16", "bytes = 10000000000000000: expected bytes"),
            (
                "state_bytes = 0",
                "state_bytes = 9000000000000000000",
                "state_bytes = 9000000000000000000: expected",
            ),
            ("hop_ns", "hops", "unknown field `hops`"),
        ] {
            let error = Costs::from_toml(&good.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
