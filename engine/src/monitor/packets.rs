//! Packets of alerts, kept for a while for who asks for those of an incident.

use crate::Error;
use legonf_core::{Incident, Origin, Packets};
use legonf_io::sink::{Lines, PacketFile, SinkError};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of packets that are kept; older ones go.
const KEPT: usize = 32 << 20;
/// Bytes between two moments, at most: what comes beyond that is not kept.
const AT_ONCE: usize = 2 << 20;
/// Bytes that a packet takes beside its own.
const OVERHEAD: usize = 96;

/// Packets of alerts, with whom they are about.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    packets: Packets,
    origins: Vec<Origin>,
    bytes: usize,
}

impl Chunk {
    /// Takes a packet of a batch, if there is room.
    pub fn add(&mut self, packets: &Packets, index: usize, origin: Origin) {
        let (record, bytes) = (packets.record(index), packets.bytes(index));
        let size = bytes.len() + OVERHEAD;
        if self.bytes + size > AT_ONCE {
            return;
        }
        self.packets.push_copy(record, bytes);
        self.origins.push(origin);
        self.bytes += size;
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }
}

/// All that are kept, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Kept {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
}

impl Kept {
    pub fn add(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes;
        self.chunks.push_back(Arc::new(chunk));
        while self.bytes > KEPT
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= oldest.bytes;
        }
    }

    /// What is kept at this moment.
    pub fn chunks(&self) -> Vec<Arc<Chunk>> {
        self.chunks.iter().cloned().collect()
    }
}

/// A capture (pcapng) of those packets that raised the alerts of an incident, as far as they are kept, with their number.
///
/// # Errors
/// If it cannot be written.
pub(super) fn capture(chunks: &[Arc<Chunk>], incident: &Incident) -> Result<(Vec<u8>, u64), Error> {
    let memory = Memory::default();
    let mut file = PacketFile::over(Box::new(memory.clone()), &format!("legonf: {incident}"))?;
    for chunk in chunks {
        for (index, _) in chunk.origins.iter().enumerate().filter(|(_, origin)| **origin == incident.source) {
            let record = chunk.packets.record(index);
            if (incident.since..=incident.until).contains(&record.timestamp) {
                file.packet(record, chunk.packets.bytes(index))?;
            }
        }
    }
    file.finish()?;
    let packets = file.written();
    let bytes = std::mem::take(&mut *memory.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((bytes, packets))
}

/// An output that stays in memory.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Lines for Memory {
    fn name(&self) -> String {
        "memory".into()
    }

    fn put(&mut self, units: &[u8]) -> Result<(), SinkError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(units);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{LinkType, Timestamp};

    fn origin(last: u8) -> Origin {
        Origin::Ip([10, 0, 0, last].into())
    }

    #[test]
    fn what_is_kept_is_bounded_and_found_by_source_and_time() {
        let mut packets = Packets::default();
        for second in 0..4 {
            packets.push(second, Timestamp::new(second as i64, 0), 1000, LinkType::Ethernet, &[7; 1000]);
        }
        let (mut kept, mut chunk) = (Kept::default(), Chunk::default());
        (0..4).for_each(|index| chunk.add(&packets, index, origin(index as u8 % 2)));
        kept.add(chunk);
        let incident = Incident {
            source: origin(1),
            since: Timestamp::new(1, 0),
            until: Timestamp::new(2, 0),
            ..Incident::default()
        };
        let (bytes, found) = capture(&kept.chunks(), &incident).unwrap();
        // The second packet: the third is of another source, and the fourth came later.
        assert_eq!((found, bytes[..4].to_vec()), (1, vec![0x0a, 0x0d, 0x0d, 0x0a]));
        for _ in 0..100 {
            let mut chunk = Chunk::default();
            (0..10_000).for_each(|_| chunk.add(&packets, 0, origin(0)));
            assert!(chunk.bytes <= AT_ONCE && chunk.origins.len() > 1000);
            kept.add(chunk);
        }
        assert!(kept.bytes <= KEPT && kept.bytes > KEPT / 2);
        assert_eq!(capture(&kept.chunks(), &incident).unwrap().1, 0, "it is too old");
    }
}
