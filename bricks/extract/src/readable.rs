//! Packets of link types that are not parsed change no stream, and their features are no numbers.

use crate::{Extractor, Shard, StateError};
use legonf_core::prefetch::prefetch;
use legonf_core::{Headers, Rows, Schema, StateGroup};

/// An extractor that passes over [unread](Headers::is_unread) packets: every cell of their rows is NaN.
pub(crate) struct Readable<E> {
    extractor: E,
    /// The packets that are read, their places and their rows, where others are among them.
    headers: Vec<Headers>,
    places: Vec<usize>,
    rows: Rows,
    /// The numbers of all that were selected.
    all: Vec<usize>,
}

impl<E: Extractor> Readable<E> {
    pub(crate) fn new(extractor: E) -> Self {
        Self { extractor, headers: Vec::new(), places: Vec::new(), rows: Rows::default(), all: Vec::new() }
    }

    #[cold]
    fn extract_read(&mut self, headers: &[Headers], rows: &mut Rows) {
        self.select(headers.iter());
        self.extractor.extract(&self.headers, &mut self.rows);
        let width = self.extractor.schema().len();
        self.spread(headers.len(), width, rows);
    }

    /// Takes those of some packets that are read: they and their rows.
    fn select<'a>(&mut self, headers: impl Iterator<Item = &'a Headers>) {
        self.headers.clear();
        self.places.clear();
        for (place, headers) in headers.enumerate().filter(|(_, headers)| !headers.is_unread()) {
            self.headers.push(*headers);
            self.places.push(place);
        }
    }

    /// Makes rows, so wide, of those of the packets that were selected, among `len`.
    fn spread(&self, len: usize, width: usize, rows: &mut Rows) {
        rows.reset(len, width);
        rows.as_mut_slice().fill(f64::NAN);
        rows.scatter(&self.rows, &self.places, len);
    }
}

impl<E: Extractor> Extractor for Readable<E> {
    fn schema(&self) -> &Schema {
        self.extractor.schema()
    }

    fn state_groups(&self) -> Vec<StateGroup> {
        self.extractor.state_groups()
    }

    fn extract(&mut self, headers: &[Headers], rows: &mut Rows) {
        if headers.iter().any(Headers::is_unread) {
            self.extract_read(headers, rows);
        } else {
            self.extractor.extract(headers, rows);
        }
    }

    fn export(&mut self, shard: Shard, slots: &[u16]) -> Result<Vec<u8>, StateError> {
        self.extractor.export(shard, slots)
    }

    fn copy(&self, shard: Shard, slots: &[u16]) -> Result<Vec<u8>, StateError> {
        self.extractor.copy(shard, slots)
    }

    fn import(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.extractor.import(state)
    }

    fn divide(&mut self, parts: &[Vec<Shard>]) -> Result<(), StateError> {
        self.extractor.divide(parts)
    }

    fn extract_part(
        &mut self,
        part: usize,
        headers: &[Headers],
        places: &[usize],
        rows: &mut Rows,
    ) -> Result<(), StateError> {
        // They are those of a larger batch, in the order of which the processor cannot ask for them.
        let mut is_read = true;
        for headers in places.iter().map(|place| &headers[*place]) {
            prefetch(headers);
            is_read &= !headers.is_unread();
        }
        if is_read {
            return self.extractor.extract_part(part, headers, places, rows);
        }
        self.select(places.iter().map(|place| &headers[*place]));
        let width = rows.width();
        self.rows.reset(self.headers.len(), width);
        self.all.clear();
        self.all.extend(0..self.headers.len());
        self.extractor.extract_part(part, &self.headers, &self.all, &mut self.rows)?;
        self.spread(places.len(), width, rows);
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.extractor.counters()
    }

    fn state_bytes(&self) -> usize {
        self.extractor.state_bytes()
    }

    fn max_state_bytes(&self) -> usize {
        self.extractor.max_state_bytes()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Extractor, Limits, SCHEMAS, Shard, build};
    use legonf_core::{Headers, Malformed, Rows, Timestamp};

    fn packet(seq: u64, is_read: bool) -> Headers {
        let malformed = (!is_read).then_some(Malformed::LinkType);
        let timestamp = Timestamp::new(seq as i64, 0);
        Headers { seq, timestamp, wire_len: 60 + seq as u32 % 7, malformed, ..Headers::default() }
    }

    /// 40 packets, every third of them unread.
    fn mixed() -> Vec<Headers> {
        (0..40).map(|seq| packet(seq, seq % 3 != 1)).collect()
    }

    fn extractor(schema: &str) -> Box<dyn Extractor> {
        build(schema, Limits::default()).unwrap()
    }

    /// Checks that the rows of the packets that are read are those of a capture without the others.
    fn check(schema: &str, rows: &Rows) {
        let headers = mixed();
        let read: Vec<_> = headers.iter().copied().filter(|h| !h.is_unread()).collect();
        let mut expected = Rows::default();
        extractor(schema).extract(&read, &mut expected);
        let mut expected = expected.iter();
        for (header, row) in headers.iter().zip(rows.iter()) {
            if header.is_unread() {
                assert!(row.iter().all(|cell| cell.is_nan()), "{schema} {}", header.seq);
            } else {
                assert_eq!(row, expected.next().unwrap(), "{schema} {}", header.seq);
            }
        }
    }

    #[test]
    fn unread_packets_change_no_stream() {
        for schema in SCHEMAS {
            let mut rows = Rows::default();
            extractor(schema).extract(&mixed(), &mut rows);
            assert_eq!(rows.len(), 40);
            check(schema, &rows);
        }
    }

    #[test]
    fn unread_packets_change_no_stream_of_a_part() {
        let schema = "kitsune-115";
        let (headers, mut divided, mut rows) = (mixed(), extractor(schema), Rows::default());
        divided.divide(&[vec![Shard::Sources], vec![Shard::Channels, Shard::Sockets]]).unwrap();
        let width = divided.schema().len();
        rows.reset(headers.len(), width);
        let mut some = Rows::default();
        for (part, columns) in [0..30, 30..115].into_iter().enumerate() {
            for places in [(0..25).collect::<Vec<_>>(), (25..40).collect()] {
                some.reset(places.len(), width);
                divided.extract_part(part, &headers, &places, &mut some).unwrap();
                for (place, row) in places.iter().zip(some.iter()) {
                    rows.row_mut(*place)[columns.clone()].copy_from_slice(&row[columns.clone()]);
                }
            }
        }
        check(schema, &rows);
    }
}
