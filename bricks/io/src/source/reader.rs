//! What all file sources have in common: batches, numbering, the limit and the fault at the end.

use super::input::Input;
use crate::error::{SourceError, SourceErrorKind};
use legonf_core::{BATCH, Batch, BindError, Fault, Layout, Pace, Progress, Source};

/// Decodes one capture format.
pub(crate) trait Decode: Send {
    /// Appends packet number `seq` to the batch; `false` at the end of the input.
    fn decode(&mut self, input: &mut Input, seq: u64, batch: &mut Batch) -> Result<bool, SourceErrorKind>;

    /// As [`Source::bind`].
    fn bind(&mut self, _layout: &Layout) -> Result<(), BindError> {
        Ok(())
    }
}

/// A source over a file of the format that `D` decodes.
pub(crate) struct Reader<D> {
    name: String,
    input: Input,
    decoder: D,
    delivered: u64,
    limit: u64,
    /// Packets of a full batch.
    full: usize,
    pending: Option<SourceErrorKind>,
    /// Whether the batch was left empty because nothing has come.
    is_idle: bool,
}

impl<D: Decode> Reader<D> {
    pub(crate) fn new(name: &str, mut input: Input, decoder: D, limit: Option<u64>) -> Self {
        let limit = limit.unwrap_or(u64::MAX);
        input.make_hasty();
        Self {
            name: name.to_owned(),
            input,
            decoder,
            delivered: 0,
            limit,
            full: BATCH,
            pending: None,
            is_idle: false,
        }
    }

    /// Decodes up to a batch, and up to the limit; a batch does not wait for packets that have not come yet.
    fn fill_batch(&mut self, batch: &mut Batch) -> Result<(), SourceErrorKind> {
        let room = self.full.saturating_sub(batch.len()) as u64;
        let end = self.limit.min(self.delivered.saturating_add(room));
        self.is_idle = false;
        while self.delivered < end {
            match self.decoder.decode(&mut self.input, self.delivered, batch) {
                Ok(true) => self.delivered += 1,
                Ok(false) => {
                    self.limit = self.delivered;
                    break;
                }
                Err(kind) if kind.is_pending() && !batch.is_empty() => break,
                Err(kind) if kind.is_pending() => {
                    self.is_idle = !self.input.pause(kind)?;
                    if self.is_idle {
                        break;
                    }
                }
                Err(kind) => return Err(kind),
            }
        }
        Ok(())
    }
}

impl<D: Decode> Source for Reader<D> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        if self.pending.is_none()
            && let Err(kind) = self.fill_batch(batch)
        {
            self.limit = self.delivered;
            self.pending = Some(kind);
        }
        if !batch.is_empty() {
            return Ok(());
        }
        match self.pending.take() {
            Some(kind) => Err(Fault::new(SourceError::new(&*self.name, self.delivered, kind))),
            None => Ok(()),
        }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.decoder.bind(layout)
    }

    fn is_idle(&self) -> bool {
        self.is_idle
    }

    fn progress(&self) -> Progress {
        self.input.progress()
    }

    fn pace(&mut self, pace: Pace) {
        self.full = pace.full;
    }
}

#[cfg(test)]
mod tests {
    use crate::FEATURES;
    use crate::source::input::Input;
    use crate::source::open::{SourceOptions, build, build_any};
    use crate::source::pipe::{Stop, Waiter};
    use legonf_core::{Batch, Feature, Layout, Rows, Schema, Source, Unit};
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::sync::atomic::AtomicBool;

    /// Gives some bytes, then says that nothing has come, and so on.
    struct Halting {
        bytes: Vec<u8>,
        at: usize,
        step: usize,
        halts: bool,
    }

    impl Read for Halting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.halts = !self.halts;
            if self.halts {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let len = self.step.min(buffer.len()).min(self.bytes.len() - self.at);
            buffer[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
            self.at += len;
            Ok(len)
        }
    }

    /// An input that halts behind each `step` bytes; what it waits for has always come.
    fn halting(bytes: &[u8], step: usize, stop: Stop) -> Input {
        let (_, waiter) = Waiter::new(File::open("/dev/null").unwrap(), stop);
        let bytes = Halting { bytes: bytes.to_vec(), at: 0, step, halts: false };
        Input::over(Box::new(bytes), None, Some(waiter)).unwrap()
    }

    fn schema() -> Schema {
        let feature = |n: usize| Feature {
            name: format!("f{n}"),
            group: "MI".into(),
            statistic: "mean".into(),
            unit: Unit::Bytes,
            decay: None,
        };
        Schema { name: "nine".into(), features: (0..9).map(feature).collect() }
    }

    /// All that a source delivers, as text, with its fault.
    fn drain(mut source: Box<dyn Source>) -> String {
        let layout = Layout::of([&FEATURES]).unwrap();
        let features = layout.handle::<Rows>(&FEATURES).unwrap();
        source.bind(&layout).unwrap();
        let (mut text, mut rows, mut batch) = (String::new(), String::new(), Batch::new(&layout));
        loop {
            batch.clear();
            if let Err(fault) = source.fill(&mut batch) {
                return text + &rows + &fault.to_string();
            }
            if batch.is_empty() && !source.is_idle() {
                return text + &rows;
            }
            for (record, bytes) in batch.packets.iter() {
                text += &format!("{} {:?} {} {bytes:?}\n", record.seq, record.timestamp, record.wire_len);
            }
            batch.headers.iter().for_each(|headers| text += &format!("{headers:?}\n"));
            batch.columns.get(features).iter().for_each(|row| rows += &format!("{row:?}\n"));
        }
    }

    fn read(input: Input) -> String {
        match build_any("x", input, &SourceOptions::default(), &schema()) {
            Ok((_, source)) => drain(source),
            Err(kind) => kind.to_string(),
        }
    }

    fn pcap() -> Vec<u8> {
        let mut file = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 12], &[1, 0, 0, 0]].concat();
        for n in 0..400_u32 {
            let len = n % 200;
            let header = [n, 0, len, len].map(u32::to_le_bytes).concat();
            file.extend([header, vec![n as u8; len as usize]].concat());
        }
        file
    }

    fn pcapng() -> Vec<u8> {
        let block = |kind: u32, body: &[u8]| {
            let len = (12 + body.len() as u32).to_le_bytes();
            [&kind.to_le_bytes()[..], &len, body, &len].concat()
        };
        let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
        let packet = |n: u32| [0, 0, n, 4, 4, n].map(u32::to_le_bytes).concat();
        let mut file = [block(0x0a0d_0d0a, &section), block(1, &[1, 0, 0, 0, 0, 0, 0, 0])].concat();
        for n in 0..300 {
            file.extend(block(6, &packet(n)));
            // A block to pass over, in which another packet seems to begin.
            file.extend(block(0x0bad, &[block(6, &packet(n)), vec![0; 40]].concat()));
        }
        file
    }

    fn tables() -> [Vec<u8>; 3] {
        let row = "1.5\t60".to_owned() + &"\t".repeat(17) + "\n";
        let names: Vec<_> = schema().features.iter().map(|feature| feature.name.clone()).collect();
        let csv = names.join(",") + "\n" + &"1,2,3,4,5,6,7,8,9.5\n".repeat(300);
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (30, 9), }\n";
        let numbers: Vec<u8> = (0..270).flat_map(|n| f64::from(n).to_le_bytes()).collect();
        let npy =
            [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &numbers]
                .concat();
        [row.repeat(300).into(), csv.into(), npy]
    }

    fn packed(bytes: &[u8]) -> [Vec<u8>; 2] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        [gzip.finish().unwrap(), zstd::encode_all(bytes, 1).unwrap()]
    }

    #[test]
    fn wherever_a_pipe_halts_the_packets_are_the_same() {
        let mut files = vec![pcap(), pcapng()];
        files.extend(tables());
        files.extend(packed(&pcapng()));
        files.push(pcap()[..30_000].to_vec());
        files.push(packed(&pcap())[0][..1500].to_vec());
        for (number, file) in files.iter().enumerate() {
            let whole = read(Input::new(Box::new(io::Cursor::new(file.clone())), None).unwrap());
            assert!(whole.lines().count() > 25, "file {number}: {whole}");
            for step in [1, 7, 1000] {
                assert!(read(halting(file, step, Stop::default())) == whole, "file {number} by {step}");
            }
        }
    }

    #[test]
    fn what_is_there_is_not_kept_back() {
        static FLAG: AtomicBool = AtomicBool::new(false);
        let (reader, mut writer) = io::pipe().unwrap();
        let (pipe, waiter) = Waiter::new(File::from(std::os::fd::OwnedFd::from(reader)), Stop::on(&FLAG));
        let file = pcap();
        writer.write_all(&file[..24 + 16 + 10]).unwrap();
        let input = Input::over(Box::new(pipe), None, Some(waiter)).unwrap();
        let mut source = build("x", input, &SourceOptions::default()).unwrap();
        let mut batch = Batch::default();
        let mut fill = |batch: &mut Batch| {
            batch.clear();
            source.fill(batch).unwrap();
            (batch.len(), source.is_idle())
        };
        assert_eq!(fill(&mut batch), (1, false));
        assert_eq!(fill(&mut batch), (0, true));
        writer.write_all(&file[50..]).unwrap();
        assert_eq!(fill(&mut batch), (256, false));
        drop(writer);
        assert_eq!([0; 3].map(|_| fill(&mut batch).0), [143, 0, 0]);
        assert!(!fill(&mut batch).1);
    }
}
