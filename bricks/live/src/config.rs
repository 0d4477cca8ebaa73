//! How an interface is listened to, and for how long.

use std::time::Duration;

/// How an interface is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveConfig {
    /// Name of the interface; `any` stands for all of them.
    pub interface: String,
    /// Only packets that this BPF expression (pcap-filter(7)) takes; the kernel drops the others unseen.
    pub filter: Option<String>,
    /// Bytes of a packet that are kept, from its start (262,144: whole packets).
    pub snaplen: u32,
    /// Bytes of the ring in which the kernel keeps packets until they are read (32 MiB).
    pub buffer: u32,
    /// How long the kernel may hold packets back to deliver more at once (50 ms; at least 1 ms).
    pub latency: Duration,
    /// How long the first packet of a batch may wait for the batch to be full, the kernel's latency included, which is the most
    /// that it may (none: what the kernel delivers is a batch).
    pub hold: Option<Duration>,
    /// Whether packets for others are taken too, where the interface can (yes).
    pub promiscuous: bool,
}

impl LiveConfig {
    /// The defaults for an interface.
    pub fn new(interface: impl Into<String>) -> Self {
        Self {
            interface: interface.into(),
            filter: None,
            snaplen: legonf_io::source::MAX_CAPTURED,
            buffer: 32 << 20,
            latency: Duration::from_millis(50),
            hold: None,
            promiscuous: true,
        }
    }
}

/// When a live run ends by itself; without a bound it lasts until it is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// After this many packets.
    pub packets: Option<u64>,
    /// After this time, from the first call for packets on.
    pub duration: Option<Duration>,
}
