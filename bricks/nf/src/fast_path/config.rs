//! What a fast path is made of.

use crate::chain::{ChainFunction, default};
use crate::{
    NfError, check_ip_header, decrement_ttl, firewall, ip_filter, mac_swap, maglev, monitor, nat,
    verdict_filter,
};
use serde::Deserialize;

/// Configuration of [`FastPath`](super::FastPath).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The functions, in the order in which packets pass them: of each its `kind`, and its options beside that. No default.
    pub functions: Vec<Function>,
    /// Flows and directions that have an entry in a slot, from 1 to 65,535. Default 256.
    #[serde(default = "flows_per_slot")]
    pub flows_per_slot: u32,
    /// Seed of the hash that divides flows into slots, if no function has one. Default 1234.
    #[serde(default = "default::seed")]
    pub seed: u64,
    /// The column of actions that it fills. Default `fast-path-action`.
    #[serde(default)]
    pub output: Option<String>,
}

const fn flows_per_slot() -> u32 {
    256
}

/// A function of a chain by its kind, with its configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Function {
    /// [`CheckIpHeader`](crate::CheckIpHeader).
    CheckIpHeader(check_ip_header::Config),
    /// [`DecrementTtl`](crate::DecrementTtl).
    DecrementTtl(decrement_ttl::Config),
    /// [`MacSwap`](crate::MacSwap).
    MacSwap(mac_swap::Config),
    /// [`IpFilter`](crate::IpFilter).
    IpFilter(ip_filter::Config),
    /// [`VerdictFilter`](crate::VerdictFilter).
    VerdictFilter(verdict_filter::Config),
    /// [`Firewall`](crate::Firewall).
    Firewall(firewall::Config),
    /// [`Monitor`](crate::Monitor).
    Monitor(monitor::Config),
    /// [`Nat`](crate::Nat).
    Nat(nat::Config),
    /// [`Maglev`](crate::Maglev).
    Maglev(maglev::Config),
}

impl Function {
    /// Makes the function.
    pub(super) fn make(&self) -> Result<Box<dyn ChainFunction>, NfError> {
        Ok(match self {
            Self::CheckIpHeader(_) => Box::new(crate::CheckIpHeader::default()),
            Self::DecrementTtl(_) => Box::new(crate::DecrementTtl::default()),
            Self::MacSwap(_) => Box::new(crate::MacSwap),
            Self::IpFilter(config) => Box::new(crate::IpFilter::new(config)?),
            Self::VerdictFilter(config) => Box::new(crate::VerdictFilter::new(config)?),
            Self::Firewall(config) => Box::new(crate::Firewall::new(config)?),
            Self::Monitor(config) => Box::new(crate::Monitor::new(config)?),
            Self::Nat(config) => Box::new(crate::Nat::new(config)?),
            Self::Maglev(config) => Box::new(crate::Maglev::new(config)?),
        })
    }
}
