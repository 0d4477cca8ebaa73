//! Bricks that act on packets, as classic network functions do.
//!
//! [`Dispose`] forwards, mirrors or drops packets by their verdicts; [`RateLimit`] holds what they say to a rate; [`Vlan`] and [`Dscp`]
//! rewrite headers; [`Ids`] looks for known attacks.
//!
//! The others are [chain functions](ChainFunction), of which each is a brick and a part of a [`FastPath`]: [`MacSwap`], [`DecrementTtl`],
//! [`CheckIpHeader`], [`IpFilter`], [`VerdictFilter`], [`Firewall`], [`Monitor`], [`Nat`] and [`Maglev`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod chain;
mod check_ip_header;
mod decrement_ttl;
mod dispose;
mod dscp;
mod error;
mod fast_path;
mod firewall;
mod ids;
mod ip;
mod ip_filter;
mod mac_swap;
mod maglev;
mod monitor;
mod nat;
mod rate_limit;
mod verdict_filter;
mod vlan;

#[cfg(test)]
mod samples;

pub use chain::{
    ApplyActions, ApplyActionsConfig, ChainFunction, Flow, FlowHandle, FlowKey, FlowState, Flows, Holds,
    InPlace, Item, Keyed, Packet, Record, Recorded,
};
pub use check_ip_header::{CheckIpHeader, Config as CheckIpHeaderConfig};
pub use decrement_ttl::{Config as DecrementTtlConfig, DecrementTtl};
pub use dispose::{Config as DisposeConfig, Dispose};
pub use dscp::{Config as DscpConfig, Dscp};
pub use error::NfError;
pub use fast_path::{Config as FastPathConfig, FastPath, Function, Paths};
pub use firewall::{Config as FirewallConfig, Firewall};
pub use ids::{Action as IdsAction, Config as IdsConfig, Ids, IdsRule};
pub use ip::IpHeaders;
pub use ip_filter::{Config as IpFilterConfig, IpFilter, Protocol, Rule, Unread, Verb, Words};
pub use mac_swap::{Config as MacSwapConfig, MacSwap};
pub use maglev::{Backend, Config as MaglevConfig, Maglev, Outage, Transport as ServiceProtocol};
pub use monitor::{Config as MonitorConfig, Counts, Monitor};
pub use nat::{Config as NatConfig, Nat};
pub use rate_limit::{Config as RateLimitConfig, Limit, RateLimit};
pub use verdict_filter::{Config as VerdictFilterConfig, VerdictFilter};
pub use vlan::{Config as VlanConfig, Vlan};

use legonf_core::{Batch, ColumnSpec, Element, Headers, LinkType, Packets};

/// Rewrites the packets of a batch one by one, and parses those again that `each` says to have changed. Packets that it says it
/// could not change are counted.
fn rewrite(batch: &mut Batch, mut each: impl FnMut(&mut Packets, usize) -> bool) -> u64 {
    let Batch { packets, headers, .. } = batch;
    let all = 0..packets.len();
    let unchanged = all.filter(|index| !rewrite_one(packets, headers, *index, &mut each));
    unchanged.count() as u64
}

/// Rewrites one packet and parses it again, if `change` says to have changed it. Says the same.
fn rewrite_one(
    packets: &mut Packets,
    headers: &mut [Headers],
    index: usize,
    change: impl FnOnce(&mut Packets, usize) -> bool,
) -> bool {
    let changed = index < packets.len() && change(packets, index);
    if let Some(headers) = headers.get_mut(index).filter(|_| changed) {
        *headers = legonf_wire::parse(packets.record(index), packets.bytes(index));
    }
    changed
}

/// The column of classes, unless a configuration names another one.
const CLASS: &str = "class";

/// A column of verdicts, whatever its labels.
fn verdicts(name: &str) -> ColumnSpec {
    ColumnSpec { name: name.to_owned().into(), ..ColumnSpec::scalar("", Element::Verdict) }
}

/// EtherTypes of VLAN tags (IEEE 802.1Q and 802.1ad).
const TAGS: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];
/// Bytes of the two addresses of an Ethernet frame, and of a tag.
const ADDRESSES: usize = 12;
const TAG: usize = 4;
/// VLAN tags that are looked behind.
const MAX_TAGS: usize = 4;

/// Whether there is a VLAN tag at a place of an Ethernet frame.
fn is_tag(frame: &[u8], at: usize) -> bool {
    frame.len() >= at + TAG && TAGS.iter().any(|tag| frame[at..at + 2] == *tag)
}

/// Where the network layer of a packet begins, if it is IP.
#[inline]
fn network(link: LinkType, bytes: &[u8]) -> Option<usize> {
    match link {
        LinkType::RawIp => Some(0),
        LinkType::Ethernet => {
            let mut kinds = (0..=MAX_TAGS).map(|tags| ADDRESSES + TAG * tags);
            loop {
                let kind = kinds.next()?;
                match *bytes.get(kind..)?.first_chunk()? {
                    [0x08, 0x00] | [0x86, 0xdd] => return Some(kind + 2),
                    tag if TAGS.contains(&tag) => {}
                    _ => return None,
                }
            }
        }
        _ => None,
    }
}
