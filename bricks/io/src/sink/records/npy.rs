//! Records as NumPy's structured array, format 1.0.

use super::{Field, Format, Kind, Value};
use crate::sink::{OutputFile, SinkError, npy_header};
use std::path::Path;

/// The header's length is a multiple of this.
const ALIGNMENT: usize = 64;
/// Digits of the largest number of rows.
const DIGITS: usize = 20;

pub(super) struct Npy {
    out: OutputFile,
    fields: &'static [Field],
    rows: u64,
    bytes: Vec<u8>,
}

impl Npy {
    pub fn create(path: &Path, fields: &'static [Field]) -> Result<Self, SinkError> {
        let mut out = OutputFile::create_regular(path)?;
        out.put(&header(fields, 0))?;
        Ok(Self { out, fields, rows: 0, bytes: Vec::new() })
    }
}

impl Format for Npy {
    fn put(&mut self, record: &[Value]) -> Result<(), SinkError> {
        self.bytes.clear();
        for (field, value) in self.fields.iter().zip(record) {
            match (value, field.kind) {
                (Value::Word(word), Kind::Word(most)) => {
                    let end = self.bytes.len() + most;
                    self.bytes.extend(word.bytes().take(most));
                    self.bytes.resize(end, 0);
                }
                (Value::Time(nanos), _) => self.bytes.extend(nanos.to_le_bytes()),
                (Value::Number(number), _) => self.bytes.extend(number.to_le_bytes()),
                (Value::Word(_), _) => self.bytes.extend([0; 8]),
            }
        }
        self.rows += 1;
        self.out.put(&self.bytes)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.out.patch(0, &header(self.fields, self.rows))?;
        self.out.finish()
    }
}

/// The header, of one length whatever the number of rows, which is put in at the end.
fn header(fields: &[Field], rows: u64) -> Vec<u8> {
    let kind = |field: &Field| match field.kind {
        Kind::Number => "<u8".to_owned(),
        Kind::Time => "<M8[ns]".to_owned(),
        Kind::Word(most) => format!("|S{most}"),
    };
    let types: Vec<_> = fields.iter().map(|field| format!("('{}', '{}')", field.name, kind(field))).collect();
    let text = |rows: u64| {
        format!("{{'descr': [{}], 'fortran_order': False, 'shape': ({rows},), }}", types.join(", "))
    };
    let length = (10 + text(0).len() + DIGITS).next_multiple_of(ALIGNMENT);
    npy_header(&text(rows), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_one_length() {
        let fields = [
            Field { name: "id", kind: Kind::Number },
            Field { name: "start", kind: Kind::Time },
            Field { name: "who", kind: Kind::Word(45) },
        ];
        let (empty, full) = (header(&fields, 0), header(&fields, u64::MAX));
        assert_eq!((empty.len(), empty.len() % 64), (full.len(), 0));
        let text = String::from_utf8(full[10..].to_vec()).unwrap();
        let expected = "{'descr': [('id', '<u8'), ('start', '<M8[ns]'), ('who', '|S45')], 'fortran_order': False, \
                        'shape': (18446744073709551615,), }";
        assert_eq!(text.trim_end(), expected);
    }
}
