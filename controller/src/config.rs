//! Configuration of a policy.

use crate::error::{demand, read};
use crate::{ControllerError, Sla};
use serde::{Deserialize, Serialize};

/// The longest time in seconds that a key may ask for: a day.
const MOST_SECONDS: f64 = 86_400.0;
/// The most ticks that a key may ask for.
const MOST_TICKS: u32 = 1_000_000;
/// The most cores that a key may ask for.
const MOST_CORES: f64 = 65_536.0;
/// The most workers that a key may ask for.
const MOST_WORKERS: usize = 65_536;

/// What is replicated when something is overloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// The overloaded brick alone (LEGO).
    #[default]
    Brick,
    /// Every brick, as often as the busiest one needs it: what scaling a monolith does.
    Graph,
    /// Nothing: the layout stays as it is.
    Fixed,
}

/// How the controller decides. Every key has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `brick`, `graph` or `fixed`.
    pub scaling: Scaling,
    /// Seconds between two snapshots. Default 0.1.
    pub tick: f64,
    /// A stage is overloaded whose workers want to compute for more than this part of the time. Default 0.85.
    pub high: f64,
    /// A replica goes, or neighbours are fused, where the workers that are left would stay below this part; for a replica by what
    /// a packet took when its stage was overloaded last, where it was. Default 0.5.
    pub low: f64,
    /// Hot slots move where a replica gets more than this multiple of an even share of the packets. Default 1.25.
    pub imbalance: f64,
    /// Ticks for which a stage must be overloaded in a row. Default 2.
    pub ticks_up: u32,
    /// Ticks for which a replica must be superfluous in a row. Default 20.
    pub ticks_down: u32,
    /// Seconds after an action in which the same bricks are left alone. Default 1.
    pub cooldown: f64,
    /// Ticks after an action in which nothing is decided, since the loads are not yet those of the new plan. Default 2.
    pub settle: u32,
    /// Workers at most; 0 stands for one each for bricks, source and sink, and two for each core. Default 0.
    pub max_workers: usize,
    /// Cores that the graph may use; 0 stands for those of the host. Default 0.
    pub cores: f64,
    /// Whether `cores` may be more than the host has. Default false.
    pub oversubscribe: bool,
    /// A part of a core that must be left for another worker to be of use. Default 0.1.
    pub spare: f64,
    /// Bytes of memory that are left alone: below it nothing is replicated. Default 64 MiB.
    pub memory: u64,
    /// Part of a tick's measurement in what bricks are taken to cost; 0 leaves that as it was profiled. Default 0.2.
    pub refresh: f64,
    /// Whether neighbours are fused and un-fused. Default true.
    pub fuse: bool,
    /// Ticks of a turn, beside those in which it settles: where more comes than the layout in force carries and no core is free,
    /// another layout has up to five turns, between turns of the one in force. Default 3.
    pub trial: u32,
    /// Part of the packets that turns of other layouts may cost. What is saved of it is worth four turns, with which a run begins;
    /// 0 lets no other layout have a turn. Default 0.03.
    pub challenge: f64,
    /// Seconds between two layouts that are tried, and before one that was no better comes again; twice as many for each time in
    /// a row that it was much worse. Default 4.
    pub challenge_every: f64,
    /// Seconds before a layout comes again, at most. Default 30.
    pub arrange_every: f64,
    /// Bricks that are left alone, with those that share their workers: no replica comes or goes, and no slot moves. Default none.
    pub pinned: Vec<String>,
    /// What was promised of the graph.
    pub sla: Sla,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            scaling: Scaling::Brick,
            tick: 0.1,
            high: 0.85,
            low: 0.5,
            imbalance: 1.25,
            ticks_up: 2,
            ticks_down: 20,
            cooldown: 1.0,
            settle: 2,
            max_workers: 0,
            cores: 0.0,
            oversubscribe: false,
            spare: 0.1,
            memory: 64 << 20,
            refresh: 0.2,
            fuse: true,
            trial: 3,
            challenge: 0.03,
            challenge_every: 4.0,
            arrange_every: 30.0,
            pinned: Vec::new(),
            sla: Sla::default(),
        }
    }
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// If it is no TOML, has an unknown key, or a value is out of its range.
    pub fn from_toml(text: &str) -> Result<Self, ControllerError> {
        let config: Self = read(text)?;
        config.check()?;
        Ok(config)
    }

    /// Seconds of a turn of a layout, from the decision to the end of its last tick.
    pub(crate) fn turn(&self) -> f64 {
        f64::from(self.settle + self.trial) * self.tick
    }

    /// Refuses to pin what is no brick.
    ///
    /// # Errors
    /// [`ControllerError::Pinned`] with the bricks that there are.
    pub fn check_bricks(&self, known: &[&str]) -> Result<(), ControllerError> {
        let unknown = self.pinned.iter().find(|id| !known.contains(&id.as_str()));
        unknown.map_or(Ok(()), |id| Err(ControllerError::Pinned { id: id.clone(), known: known.join(", ") }))
    }

    /// Refuses to use more cores than there are.
    ///
    /// # Errors
    /// [`ControllerError::Cores`] with what would do.
    pub fn check_host(&self, cores: f64) -> Result<(), ControllerError> {
        let fits = self.cores <= cores || self.oversubscribe;
        if fits { Ok(()) } else { Err(ControllerError::Cores { wanted: self.cores, cores }) }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`ControllerError::Range`] with the key and what would do.
    pub fn check(&self) -> Result<(), ControllerError> {
        let part = |value: f64| value > 0.0 && value <= 1.0;
        let seconds = |value: f64, least: f64| (least..=MOST_SECONDS).contains(&value);
        let ticks = |value: u32, least: u32| (least..=MOST_TICKS).contains(&value);
        demand(seconds(self.tick, 0.001), "tick", self.tick, "seconds, 0.001 to 86400")?;
        demand(part(self.high), "high", self.high, "a part of the time, above 0 and at most 1")?;
        demand(part(self.low) && self.low < self.high, "low", self.low, "a part of the time, below high")?;
        let multiple = self.imbalance > 1.0 && self.imbalance <= MOST_CORES;
        demand(multiple, "imbalance", self.imbalance, "a multiple of an even share, above 1, at most 65536")?;
        demand(ticks(self.ticks_up, 1), "ticks_up", self.ticks_up, "1 to 1000000 ticks")?;
        demand(ticks(self.ticks_down, 1), "ticks_down", self.ticks_down, "1 to 1000000 ticks")?;
        demand(ticks(self.settle, 0), "settle", self.settle, "0 to 1000000 ticks")?;
        demand(ticks(self.trial, 1), "trial", self.trial, "1 to 1000000 ticks")?;
        let budget = (0.0..=1.0).contains(&self.challenge);
        demand(budget, "challenge", self.challenge, "a part of the packets, from 0 to 1")?;
        let every = seconds(self.challenge_every, 0.0);
        demand(every, "challenge_every", self.challenge_every, "seconds, 0 to 86400")?;
        let every = seconds(self.arrange_every, 0.0);
        demand(every, "arrange_every", self.arrange_every, "seconds, 0 to 86400")?;
        demand(seconds(self.cooldown, 0.0), "cooldown", self.cooldown, "seconds, 0 to 86400")?;
        let workers = self.max_workers <= MOST_WORKERS;
        demand(workers, "max_workers", self.max_workers, "0 to 65536 workers")?;
        let cores = |value: f64| (0.0..=MOST_CORES).contains(&value);
        demand(cores(self.cores), "cores", self.cores, "cores, 0 to 65536")?;
        demand(cores(self.spare), "spare", self.spare, "a part of a core, not negative, at most 65536")?;
        let weight = (0.0..=1.0).contains(&self.refresh);
        demand(weight, "refresh", self.refresh, "a part of what is known, from 0 to 1")?;
        self.sla.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn an_empty_text_is_the_default() {
        assert_eq!(Config::from_toml("").unwrap(), Config::default());
        let config = Config::from_toml("scaling = \"graph\"\n[sla]\nlatency_ms = 5.0\n").unwrap();
        assert_eq!((config.scaling, config.sla.latency_ms), (Scaling::Graph, Some(5.0)));
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(Config::from_toml(&text).unwrap(), Config::default());
    }

    proptest! {
        #[test]
        fn any_number_is_taken_or_refused_by_its_key(value in number(), place in 0..KEYS.len()) {
            let (table, key) = KEYS[place].split_at(KEYS[place].find(']').map_or(0, |end| end + 1));
            match Config::from_toml(&format!("{table}\n{key} = {value:?}\n")) {
                // The clock of the control takes it, and a day is the longest time.
                Ok(config) => prop_assert!(Duration::try_from_secs_f64(config.tick).unwrap() <= DAY),
                Err(error) => prop_assert!(error.to_string().contains(key) || error.to_string().contains("line")),
            }
        }
    }

    const DAY: Duration = Duration::from_secs(86_400);

    /// The keys that hold a number with a fraction, those of a table behind its name.
    const KEYS: [&str; 13] = [
        "tick",
        "high",
        "low",
        "imbalance",
        "cooldown",
        "cores",
        "spare",
        "refresh",
        "challenge",
        "challenge_every",
        "arrange_every",
        "[sla]rate",
        "[sla]latency_ms",
    ];

    /// Numbers of all sizes, with those that are none.
    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f64>(), -2.0..2.0_f64, Just(f64::INFINITY), Just(-0.0), Just(1e20)]
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("hihg = 0.5", "line 1: unknown field `hihg`"),
            ("high = 1.5", "high = 1.5: expected a part"),
            ("high = nan", "high = NaN: expected a part"),
            ("low = 0.9", "low = 0.9: expected a part of the time, below high"),
            ("tick = 0.0", "tick = 0: expected seconds"),
            ("\n\nscaling = \"all\"", "line 3: unknown variant `all`"),
            ("cooldown = -1", "cooldown = -1: expected"),
            ("imbalance = 1.0", "imbalance = 1: expected a multiple"),
            ("refresh = 1.5", "refresh = 1.5: expected a part"),
            ("tick = 1e20", "tick = 100000000000000000000: expected seconds, 0.001 to 86400"),
            ("tick = inf", "tick = inf: expected seconds"),
            ("cooldown = 1e300", "cooldown = 1000"),
            ("challenge = 1.5", "challenge = 1.5: expected a part of the packets"),
            ("arrange_every = nan", "arrange_every = NaN: expected seconds"),
            ("imbalance = inf", "imbalance = inf: expected a multiple"),
            ("cores = 1e9", "cores = 1000000000: expected cores, 0 to 65536"),
            ("spare = -0.5", "spare = -0.5: expected a part of a core"),
            ("trial = 4000000000", "trial = 4000000000: expected 1 to 1000000 ticks"),
            ("settle = 4000000000", "settle = 4000000000: expected 0 to 1000000 ticks"),
            ("max_workers = 9000000000", "max_workers = 9000000000: expected 0 to 65536"),
            ("memory = -1", "line 1: invalid value"),
            ("[sla]\nrate = 1e300", "rate = 1000"),
            ("[sla]\nlatency_ms = inf", "latency_ms = inf: expected milliseconds"),
            ("[sla]\nrate = -5.0", "rate = -5: expected"),
        ] {
            let error = Config::from_toml(text).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
