//! Packets from a network interface, over libpcap.
//!
//! [`open`] needs the capability CAP_NET_RAW. [`give_up_privileges`] then gives up every capability, since reading
//! from the open interface needs none. The ring that the kernel shares with libpcap is TPACKET_V3: packets come in
//! blocks, so that a busy interface costs a system call a block and not a packet, and a quiet one delivers after
//! [`LiveConfig::latency`] what it has. A [`Transmitter`] sends packets out of another interface. A [`PacketFilter`] asks of the packets
//! of a capture what the kernel asks of those of an interface.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod calls;
mod config;
mod confinement;
mod error;
mod filter;
mod losses;
mod open;
mod privileges;
mod source;
mod transmit;

pub use calls::DENIED;
pub use config::{Bounds, LiveConfig};
pub use confinement::{Confinement, confine};
pub use error::LiveError;
pub use filter::PacketFilter;
pub use losses::Losses;
pub use open::{Interface, interfaces, open};
pub use privileges::{Account, Connections, give_up_privileges};
pub use source::LiveSource;
pub use transmit::Transmitter;
