//! What traffic to generate.

use crate::DatasetError;
use serde::{Deserialize, Serialize};

/// Shares of the benign packets by protocol. They need not add up to 1: each counts relative to the sum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// TCP. Default 0.6.
    pub tcp: f64,
    /// UDP. Default 0.35.
    pub udp: f64,
    /// ICMP echo. Default 0.03.
    pub icmp: f64,
    /// ARP. Default 0.02.
    pub arp: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { tcp: 0.6, udp: 0.35, icmp: 0.03, arp: 0.02 }
    }
}

/// An attack that starts at some time and goes on to the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Seconds after the first packet at which it starts. Default 0.
    #[serde(default)]
    pub start: f64,
    /// Packets a second.
    pub rate: f64,
}

/// Synthetic traffic: benign flows among hosts, and attacks on top of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seed of everything. Default 1.
    pub seed: u64,
    /// Packets in all. Default 100,000.
    pub packets: u64,
    /// Hosts in 10.0.0.0/8, each with a MAC address. Default 50.
    pub hosts: u32,
    /// Benign flows (five-tuples, of which both directions are used). Default 500.
    pub flows: u32,
    /// Benign packets a second. Default 1,000.
    pub rate: f64,
    /// Shortest benign frame, in bytes. Default 60.
    pub min_size: u16,
    /// Longest benign frame, in bytes. Default 1,514.
    pub max_size: u16,
    /// Protocols of the benign flows.
    pub mix: Mix,
    /// A horizontal telnet scan from one of the hosts, as Mirai's; none by default.
    pub scan: Option<Attack>,
    /// A UDP flood on one of the hosts; none by default.
    pub flood: Option<Attack>,
    /// Distinct source addresses of the flood; 0 for the flooding host's own. Default 0.
    pub spoofed_sources: u32,
    /// Seconds since the epoch of the first packet. Default 1,700,000,000.
    pub epoch: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            packets: 100_000,
            hosts: 50,
            flows: 500,
            rate: 1000.0,
            min_size: 60,
            max_size: 1514,
            mix: Mix::default(),
            scan: None,
            flood: None,
            spoofed_sources: 0,
            epoch: 1_700_000_000,
        }
    }
}

/// The most hosts: what 10.0.0.0/8 holds, less some room.
pub const MAX_HOSTS: u32 = 16_000_000;

impl Config {
    /// Checks every number.
    ///
    /// # Errors
    /// [`DatasetError::Config`] names the key and what was expected.
    pub fn validate(&self) -> Result<(), DatasetError> {
        let check = |key, value: f64, good: bool, expected| {
            if good { Ok(()) } else { Err(DatasetError::Config { key, value, expected }) }
        };
        let rate = |value: f64| value.is_finite() && value > 0.0 && value <= 1e9;
        check("hosts", self.hosts.into(), (2..=MAX_HOSTS).contains(&self.hosts), "2 to 16,000,000")?;
        check("flows", self.flows.into(), self.flows > 0, "at least 1")?;
        check("rate", self.rate, rate(self.rate), "packets a second above 0 and up to 1e9")?;
        check("min_size", self.min_size.into(), self.min_size >= 60, "at least 60 bytes")?;
        check("max_size", self.max_size.into(), self.max_size >= self.min_size, "at least min_size")?;
        check(
            "epoch",
            self.epoch as f64,
            (0..=4_000_000_000).contains(&self.epoch),
            "seconds from 0 to 4e9",
        )?;
        for (key, share) in [
            ("mix.tcp", self.mix.tcp),
            ("mix.udp", self.mix.udp),
            ("mix.icmp", self.mix.icmp),
            ("mix.arp", self.mix.arp),
        ] {
            check(key, share, share.is_finite() && share >= 0.0, "a share of 0 or more")?;
        }
        check("mix", self.mix.sum(), self.mix.sum() > 0.0, "at least one share above 0")?;
        for (key, attack) in [("scan", self.scan), ("flood", self.flood)] {
            let Some(attack) = attack else { continue };
            check(key, attack.rate, rate(attack.rate), "a rate above 0 and up to 1e9 packets a second")?;
            check(
                key,
                attack.start,
                attack.start.is_finite() && attack.start >= 0.0,
                "a start of 0 seconds or later",
            )?;
        }
        Ok(())
    }
}

impl Mix {
    /// Sum of the shares.
    pub(super) fn sum(&self) -> f64 {
        self.tcp + self.udp + self.icmp + self.arp
    }
}
