//! Records as comma-separated values.

use super::{Field, Format, Value};
use crate::sink::{OutputFile, SinkError, text};
use std::path::Path;

pub(super) struct Csv {
    out: OutputFile,
    line: Vec<u8>,
}

impl Csv {
    pub fn create(path: &Path, fields: &[Field]) -> Result<Self, SinkError> {
        let mut out = OutputFile::create(path)?;
        let names: Vec<_> = fields.iter().map(|field| field.name).collect();
        out.put((names.join(",") + "\n").as_bytes())?;
        Ok(Self { out, line: Vec::new() })
    }
}

impl Format for Csv {
    fn put(&mut self, record: &[Value]) -> Result<(), SinkError> {
        self.line.clear();
        for (at, value) in record.iter().enumerate() {
            if at > 0 {
                self.line.push(b',');
            }
            match value {
                Value::Number(number) => text::push_integer(&mut self.line, *number),
                Value::Time(nanos) => text::push(&mut self.line, format_args!("{nanos}")),
                Value::Word(word) => text::push_field(&mut self.line, word),
            }
        }
        self.line.push(b'\n');
        self.out.put(&self.line)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.out.finish()
    }
}
