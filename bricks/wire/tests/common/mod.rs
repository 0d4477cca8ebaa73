//! Captures for tests and benches, whole in memory.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its own part")]

use legonf_core::{LinkType, Packets, Timestamp};
use pcap_parser::{Block, Linktype, PcapBlockOwned, create_reader};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A folder of the shared captures, if this machine has it.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let root = std::env::var_os("LEGONF_SHARED").map_or_else(|| beside.into(), PathBuf::from);
    let path = root.join("data").join(folder);
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// The packets of a capture up to the point where it is damaged, if it is; packets of link types that are not
/// parsed are left out.
pub fn read(path: &Path) -> Packets {
    let mut bytes = Vec::new();
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let packed = std::mem::take(&mut bytes);
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    }
    let mut capture = Capture::default();
    let Ok(mut reader) = create_reader(bytes.len().max(1 << 16), &bytes[..]) else { return capture.packets };
    // The reader's buffer holds the whole file, so that an error is the end or the damage.
    while let Ok((len, block)) = reader.next() {
        capture.take(&block);
        reader.consume(len);
    }
    drop(reader);
    capture.packets
}

#[derive(Default)]
struct Capture {
    packets: Packets,
    /// Of each interface: link type, ticks per second, and seconds to add.
    interfaces: Vec<(Option<LinkType>, u64, i64)>,
}

impl Capture {
    fn take(&mut self, block: &PcapBlockOwned<'_>) {
        match block {
            PcapBlockOwned::LegacyHeader(h) => {
                let ticks = if h.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
                self.interfaces = vec![(link_type(h.network), ticks, 0)];
            }
            PcapBlockOwned::Legacy(p) => {
                self.push(0, |ticks| (p.ts_sec.into(), p.ts_usec.into(), ticks), p.origlen, p.data);
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(i)) => {
                let ticks = i.ts_resolution().unwrap_or(1_000_000);
                self.interfaces.push((link_type(i.linktype), ticks, i.ts_offset()));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(p)) => {
                let time = u64::from(p.ts_high) << 32 | u64::from(p.ts_low);
                let data = &p.data[..p.data.len().min(p.caplen as usize)];
                self.push(
                    p.if_id as usize,
                    |ticks| ((time / ticks) as i64, time % ticks, ticks),
                    p.origlen,
                    data,
                );
            }
            PcapBlockOwned::NG(Block::SimplePacket(p)) => {
                let data = &p.data[..p.data.len().min(p.origlen as usize)];
                self.push(0, |ticks| (0, 0, ticks), p.origlen, data);
            }
            PcapBlockOwned::NG(_) => (),
        }
    }

    fn push(&mut self, interface: usize, time: impl Fn(u64) -> (i64, u64, u64), wire_len: u32, data: &[u8]) {
        let Some((Some(link), ticks, offset)) = self.interfaces.get(interface).copied() else { return };
        let (seconds, fraction, ticks) = time(ticks);
        let nanos = u128::from(fraction) * 1_000_000_000 / u128::from(ticks);
        let seq = self.packets.len() as u64;
        self.packets.push(seq, Timestamp::new(seconds + offset, nanos as u32), wire_len, link, data);
    }
}

fn link_type(number: Linktype) -> Option<LinkType> {
    match number.0 {
        0 | 108 => Some(LinkType::Null),
        1 => Some(LinkType::Ethernet),
        12 | 14 | 101 | 228 | 229 => Some(LinkType::RawIp),
        113 => Some(LinkType::LinuxSll),
        276 => Some(LinkType::LinuxSll2),
        9 | 50 => Some(LinkType::Ppp),
        104 => Some(LinkType::CiscoHdlc),
        192 => Some(LinkType::Ppi),
        _ => None,
    }
}
