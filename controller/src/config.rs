//! Configuration of a policy.

use crate::error::{demand, read};
use crate::{ControllerError, Sla};
use serde::{Deserialize, Serialize};

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
    /// Ticks for which a layout is tried where no core is free, at least; up to four times as many where what it carries wavers.
    /// Default 5.
    pub trial: u32,
    /// Seconds after which layouts are tried anew, at the earliest, if what bricks cost has changed. Default 30.
    pub arrange_every: f64,
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
            trial: 5,
            arrange_every: 30.0,
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
        demand(self.tick.is_finite() && self.tick >= 0.001, "tick", self.tick, "seconds, 0.001 at least")?;
        demand(part(self.high), "high", self.high, "a part of the time, above 0 and at most 1")?;
        demand(part(self.low) && self.low < self.high, "low", self.low, "a part of the time, below high")?;
        let multiple = self.imbalance.is_finite() && self.imbalance > 1.0;
        demand(multiple, "imbalance", self.imbalance, "a multiple of an even share, above 1")?;
        demand(self.ticks_up > 0, "ticks_up", self.ticks_up, "1 at least")?;
        demand(self.trial > 0, "trial", self.trial, "1 at least")?;
        let every = self.arrange_every.is_finite() && self.arrange_every >= 0.0;
        demand(every, "arrange_every", self.arrange_every, "seconds, not negative")?;
        demand(self.ticks_down > 0, "ticks_down", self.ticks_down, "1 at least")?;
        let seconds = self.cooldown.is_finite() && self.cooldown >= 0.0;
        demand(seconds, "cooldown", self.cooldown, "seconds, not negative")?;
        demand(self.cores.is_finite() && self.cores >= 0.0, "cores", self.cores, "cores, not negative")?;
        demand(
            self.spare.is_finite() && self.spare >= 0.0,
            "spare",
            self.spare,
            "a part of a core, not negative",
        )?;
        let weight = (0.0..=1.0).contains(&self.refresh);
        demand(weight, "refresh", self.refresh, "a part of what is known, from 0 to 1")?;
        self.sla.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_the_default() {
        assert_eq!(Config::from_toml("").unwrap(), Config::default());
        let config = Config::from_toml("scaling = \"graph\"\n[sla]\nlatency_ms = 5.0\n").unwrap();
        assert_eq!((config.scaling, config.sla.latency_ms), (Scaling::Graph, Some(5.0)));
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(Config::from_toml(&text).unwrap(), Config::default());
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
            ("[sla]\nrate = -5.0", "rate = -5: expected"),
        ] {
            let error = Config::from_toml(text).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
