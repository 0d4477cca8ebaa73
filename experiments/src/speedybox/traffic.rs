//! Packets of 64 bytes in memory, as a wire has them without their checksum: 60 bytes.

use legonf_core::{LinkType, Packets, Timestamp};

/// Frames of TCP, one of each flow.
pub struct Traffic(Vec<[u8; LENGTH]>);

const LENGTH: usize = 60;

/// The address and port that every flow goes to.
pub const SERVICE: &str = "198.51.100.7:80";

impl Traffic {
    /// Packets of so many flows.
    pub fn new(flows: u32) -> Self {
        Self((0..flows).map(frame).collect())
    }

    /// Packets of one flow.
    pub fn one(flow: u32) -> Self {
        Self(vec![frame(flow)])
    }

    /// Puts packets into a batch: those from a number on, flow after flow.
    pub fn fill(&self, packets: &mut Packets, from: u64, count: u64) {
        for seq in from..from + count {
            let frame = &self.0[(seq % self.0.len() as u64) as usize];
            let time = Timestamp::from_nanos(seq as i64 * 1000);
            packets.push(seq, time, LENGTH as u32, LinkType::Ethernet, frame);
        }
    }
}

/// Packets of a flow: many have few, and few have many.
pub fn length(flow: u32) -> u64 {
    let uniform = f64::from(flow.wrapping_mul(0x9e37_79b9) >> 8) / f64::from(1 << 24);
    // Pareto, of 4 packets at least and 11 in the median, as far as a thousand.
    (4.0 / (1.0 - uniform).powf(1.0 / 0.7)).min(1000.0) as u64
}

/// A packet of a flow from inside to the service, with a right checksum of its network header.
fn frame(flow: u32) -> [u8; LENGTH] {
    let mut frame = [0; LENGTH];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    frame[14..24].copy_from_slice(&[0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 6]);
    frame[26..34].copy_from_slice(&[10, 0, (flow >> 16) as u8, 1, 198, 51, 100, 7]);
    let sum: u32 =
        frame[14..34].chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&folded.to_be_bytes());
    frame[34..36].copy_from_slice(&(1024 + flow as u16).to_be_bytes());
    frame[36..38].copy_from_slice(&[0, 80]);
    frame[46..48].copy_from_slice(&[0x50, 0x10]);
    frame
}
