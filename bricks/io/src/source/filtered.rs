//! A source of which some packets count.

use crate::error::{SourceError, SourceErrorKind};
use legonf_core::{Batch, BindError, Fault, Layout, Pace, PacketRecord, Progress, Source};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Says which packets count.
pub trait Filter: Send {
    /// Whether a packet counts.
    ///
    /// # Errors
    /// If that cannot be told, as of a link type that the filter does not fit.
    fn passes(&mut self, packet: &PacketRecord, bytes: &[u8]) -> Result<bool, Fault>;
}

/// Batches without a packet that passes, after which the source says that it is idle, so that a run can be stopped.
const EMPTY: u32 = 16;

/// The packets of a source that pass a filter, numbered from 0 without a gap. The others are no part of the stream, and are counted.
pub struct Filtered {
    name: String,
    inner: Box<dyn Source>,
    filter: Box<dyn Filter>,
    limit: u64,
    passed: u64,
    left_out: Arc<AtomicU64>,
    /// Whether packets keep the numbers that they have in the source.
    keeps_numbers: bool,
    pending: Option<Fault>,
    is_idle: bool,
}

impl Filtered {
    /// The packets of `inner` that pass, up to `limit` of them; `name` stands for it in messages.
    pub fn new(
        name: impl Into<String>,
        inner: Box<dyn Source>,
        filter: Box<dyn Filter>,
        limit: Option<u64>,
    ) -> Self {
        Self {
            name: name.into(),
            inner,
            filter,
            limit: limit.unwrap_or(u64::MAX),
            passed: 0,
            left_out: Arc::default(),
            keeps_numbers: false,
            pending: None,
            is_idle: false,
        }
    }

    /// The same source, whose packets keep their numbers.
    #[must_use]
    pub fn with_numbers(self) -> Self {
        Self { keeps_numbers: true, ..self }
    }

    /// The same source, that counts there, batch by batch, how many packets did not pass.
    #[must_use]
    pub fn counting(self, left_out: Arc<AtomicU64>) -> Self {
        Self { left_out, ..self }
    }

    /// Takes out of a batch what does not pass.
    fn sift(&mut self, batch: &mut Batch) {
        if batch.packets.is_empty() {
            batch.clear();
            let kind = SourceErrorKind::NoBytes;
            self.pending = Some(Fault::new(SourceError::new(&*self.name, 0, kind)));
            return;
        }
        let (first, mut left_out) = (self.passed, 0);
        batch.packets.retain(|packet, bytes| {
            if self.pending.is_some() || self.passed >= self.limit {
                return false;
            }
            let passes = self.filter.passes(packet, bytes).unwrap_or_else(|fault| {
                self.pending = Some(fault);
                false
            });
            self.passed += u64::from(passes);
            left_out += u64::from(!passes && self.pending.is_none());
            passes
        });
        self.left_out.fetch_add(left_out, Ordering::Relaxed);
        if !self.keeps_numbers {
            batch.renumber(first);
        }
    }
}

impl Source for Filtered {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.is_idle = false;
        for _ in 0..EMPTY {
            if let Some(fault) = self.pending.take() {
                self.limit = self.passed;
                return Err(fault);
            }
            if self.passed >= self.limit {
                return Ok(());
            }
            self.inner.fill(batch)?;
            if batch.is_empty() {
                self.is_idle = self.inner.is_idle();
                return Ok(());
            }
            self.sift(batch);
            if !batch.is_empty() {
                return Ok(());
            }
            batch.clear();
        }
        self.is_idle = true;
        Ok(())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.inner.bind(layout)
    }

    fn is_idle(&self) -> bool {
        self.is_idle
    }

    fn progress(&self) -> Progress {
        self.inner.progress()
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }

    fn pace(&mut self, pace: Pace) {
        self.inner.pace(pace);
    }
}

/// The numbers that the packets which pass have in the source itself: for what is known by these numbers, such as labels. It reads
/// the source a second time.
pub struct Positions {
    source: Filtered,
    batch: Batch,
    at: usize,
}

impl Positions {
    /// Those of the packets that this source, from its begin, lets pass.
    pub fn new(source: Filtered) -> Self {
        Self { source: source.with_numbers(), batch: Batch::default(), at: 0 }
    }

    /// The number of the next packet that passes; none at the end.
    ///
    /// # Errors
    /// As the source.
    pub fn next_position(&mut self) -> Result<Option<u64>, Fault> {
        while self.at >= self.batch.len() {
            self.batch.clear();
            self.at = 0;
            self.source.fill(&mut self.batch)?;
            if self.batch.is_empty() && !self.source.is_idle() {
                return Ok(None);
            }
        }
        self.at += 1;
        Ok(Some(self.batch.packets.record(self.at - 1).seq))
    }

    /// Packets of the source, once it has come to its end.
    pub fn packets(&self) -> u64 {
        self.source.passed + self.source.left_out.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceOptions, from_reader};

    /// Takes packets with this byte; cannot tell of those with another.
    struct Only(u8, Option<u8>);

    impl Filter for Only {
        fn passes(&mut self, _: &PacketRecord, bytes: &[u8]) -> Result<bool, Fault> {
            if self.1 == Some(bytes[0]) { Err(Fault::new("cannot tell")) } else { Ok(bytes[0] == self.0) }
        }
    }

    /// A capture of packets that have these bytes.
    fn filtered(bytes: &[u8], only: Only, limit: Option<u64>) -> Filtered {
        let mut file = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 12], &[1, 0, 0, 0]].concat();
        for byte in bytes {
            file.extend([0_u32, 0, 1, 1].map(u32::to_le_bytes).concat());
            file.push(*byte);
        }
        let file = Box::new(std::io::Cursor::new(file));
        Filtered::new(
            "x",
            from_reader("x", file, None, &SourceOptions::default()).unwrap(),
            Box::new(only),
            limit,
        )
    }

    /// Numbers of the packets, how often nothing came, and the fault.
    fn drain(source: &mut Filtered) -> (Vec<u64>, u32, String) {
        let (mut packets, mut idle, mut batch) = (Vec::new(), 0, Batch::default());
        loop {
            batch.clear();
            if let Err(fault) = source.fill(&mut batch) {
                return (packets, idle, fault.to_string());
            }
            packets.extend(batch.packets.iter().map(|(record, _)| record.seq));
            idle += u32::from(source.is_idle());
            if batch.is_empty() && !source.is_idle() {
                return (packets, idle, String::new());
            }
        }
    }

    #[test]
    fn what_does_not_pass_is_no_part_of_the_stream() {
        let mut source = filtered(&[1, 2, 1, 2, 2, 1], Only(1, None), None);
        assert_eq!(drain(&mut source), (vec![0, 1, 2], 0, String::new()));
        assert_eq!(source.left_out.load(Ordering::Relaxed), 3);
        let mut source = filtered(&[1, 2, 1, 2, 2, 1], Only(1, None), Some(2));
        assert_eq!(drain(&mut source).0, [0, 1]);
        assert_eq!(source.left_out.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_source_is_idle_while_nothing_passes() {
        let mut bytes = vec![2; 20_000];
        bytes.push(1);
        assert_eq!(drain(&mut filtered(&bytes, Only(1, None), None)), (vec![0], 4, String::new()));
    }

    #[test]
    fn a_fault_comes_behind_the_packets_before_it() {
        let mut source = filtered(&[1, 2, 1, 3, 1], Only(1, Some(3)), None);
        assert_eq!(drain(&mut source), (vec![0, 1], 0, "cannot tell".into()));
        assert_eq!(drain(&mut source), (vec![], 0, String::new()));
        let table = Box::new(std::io::Cursor::new(format!("1.5\t60{}\n", "\t".repeat(17))));
        let table = from_reader("x", table, None, &SourceOptions::default()).unwrap();
        let (packets, _, fault) = drain(&mut Filtered::new("x", table, Box::new(Only(1, None)), None));
        assert!(packets.is_empty() && fault.starts_with("x: holds no packets' bytes"), "{fault}");
    }

    #[test]
    fn positions_are_those_of_the_source() {
        let mut positions = Positions::new(filtered(&[1, 2, 1, 2, 2, 1, 2], Only(1, None), None));
        let mut found = Vec::new();
        while let Some(position) = positions.next_position().unwrap() {
            found.push(position);
        }
        assert_eq!((found, positions.packets()), (vec![0, 2, 5], 7));
    }
}
