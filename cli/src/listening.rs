//! The options by which an interface is listened to.

use crate::invalid::Invalid;
use crate::size::size;
use clap::Args;
use legonf_engine::arguments::time;
use legonf_engine::live::{Bounds, LiveConfig};
use std::time::Duration;

/// How an interface is listened to, and for how long.
#[derive(Args)]
pub struct Listening {
    /// Only packets that this BPF expression takes, such as 'tcp and not port 22' (man 7 pcap-filter).
    #[arg(long, value_name = "BPF")]
    filter: Option<String>,
    /// Go on as this user (name or number) once the interface is open; root can.
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Bytes of each packet that are kept.
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(64..=262_144))]
    snaplen: u32,
    /// Size of the kernel's ring (K, M, G): what it holds while legonf is busy is not lost.
    #[arg(long, value_name = "SIZE", default_value = "32M", value_parser = ring)]
    buffer: u32,
    /// How long the kernel may hold packets back to deliver more at once. Under a policy's `latency_ms` no batch waits for longer
    /// than the deadline of packet batching, if that is less.
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    buffer_timeout: u64,
    /// Take only packets from and to this machine.
    #[arg(long)]
    no_promiscuous: bool,
    /// End after this time: 30s, 5m, 1h30m, or a number of seconds.
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
    /// Take only the first N packets, and end.
    #[arg(long, alias = "packets", value_name = "N")]
    limit: Option<u64>,
}

impl Listening {
    /// How an interface is opened.
    pub fn config(&self, interface: &str) -> LiveConfig {
        LiveConfig {
            filter: self.filter.clone(),
            snaplen: self.snaplen,
            buffer: self.buffer,
            latency: Duration::from_millis(self.buffer_timeout),
            promiscuous: !self.no_promiscuous,
            ..LiveConfig::new(interface)
        }
    }

    /// When the run ends.
    pub fn bounds(&self) -> Bounds {
        Bounds { packets: self.limit, duration: self.duration }
    }
}

/// Size of a ring, within what libpcap takes.
fn ring(text: &str) -> Result<u32, Invalid> {
    let bytes = size(text)?;
    let bytes = u32::try_from(bytes).ok().filter(|bytes| (64 << 10..=1 << 30).contains(bytes));
    bytes.ok_or(Invalid::Value("a size from 64K to 1G"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_within_bounds() {
        assert_eq!((ring("64K").unwrap(), ring("1G").unwrap()), (1 << 16, 1 << 30));
        assert!(ring("63K").is_err() && ring("2G").is_err());
    }
}
