//! Features as NumPy's array file (formats 1 to 3).

use super::{is_rejected, push};
use crate::FEATURES;
use crate::error::SourceErrorKind;
use crate::source::input::Input;
use crate::source::reader::Decode;
use legonf_core::{Batch, BindError, Handle, Layout, Rows, Schema};

/// What every such file begins with.
pub(in crate::source) const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header in bytes; that of a table has about 100.
const MAX_HEADER: usize = 64 * 1024;

/// Decoder of an array of features.
pub(in crate::source) struct Npy {
    schema: Schema,
    rows: u64,
    single: bool,
    row: Vec<f64>,
    features: Handle<Rows>,
}

impl Npy {
    /// Reads the header and leaves the input at the first row.
    pub(in crate::source) fn new(input: &mut Input, schema: &Schema) -> Result<Self, SourceErrorKind> {
        let (start, len) = span(input.window(12)?)?;
        if len > MAX_HEADER {
            return Err(corrupt("the header", 8, format!("a length of {len} bytes")));
        }
        let window = input.window(start + len)?;
        let Some(header) = window.get(start..start + len) else {
            return Err(cut_off("the header", 0));
        };
        let header = String::from_utf8_lossy(header).into_owned();
        input.consume(start + len);
        let single = precision(&header)?;
        let rows = rows(&header, schema)?;
        let (schema, row, features) = (schema.clone(), vec![0.0; schema.len()], Handle::default());
        Ok(Self { schema, rows, single, row, features })
    }

    fn fill(&mut self, bytes: &[u8]) {
        if self.single {
            let (cells, _) = bytes.as_chunks::<4>();
            self.row.iter_mut().zip(cells).for_each(|(to, cell)| *to = f32::from_le_bytes(*cell).into());
        } else {
            let (cells, _) = bytes.as_chunks::<8>();
            self.row.iter_mut().zip(cells).for_each(|(to, cell)| *to = f64::from_le_bytes(*cell));
        }
    }
}

impl Decode for Npy {
    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = layout.handle(&FEATURES.of_width(self.schema.len()))?;
        Ok(())
    }

    fn decode(&mut self, input: &mut Input, seq: u64, batch: &mut Batch) -> Result<bool, SourceErrorKind> {
        let offset = input.offset();
        if seq == self.rows {
            let over = !input.window(1)?.is_empty();
            let beyond = || corrupt("the end", offset, format!("more than the {seq} rows of the header"));
            return if over { Err(beyond()) } else { Ok(false) };
        }
        let size = self.row.len() * if self.single { 4 } else { 8 };
        let window = input.window(size)?;
        if window.len() < size {
            return Err(cut_off(&format!("row {seq} of {}", self.rows), offset));
        }
        self.fill(&window[..size]);
        input.consume(size);
        if let Some(at) = self.row.iter().position(|value| !value.is_finite())
            && !is_rejected(&self.row)
        {
            let (name, value) = (&self.schema.features[at].name, self.row[at]);
            let reason = format!("column {} ({name}): {value} is not a finite number", at + 1);
            return Err(corrupt(&format!("row {seq}"), offset, reason));
        }
        push(batch, self.features, seq, &self.row);
        Ok(true)
    }
}

/// Where the text of the header begins, and how long it is.
fn span(head: &[u8]) -> Result<(usize, usize), SourceErrorKind> {
    match *head {
        [_, _, _, _, _, _, 1, _, a, b, ..] => Ok((10, u16::from_le_bytes([a, b]).into())),
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => Ok((12, u32::from_le_bytes([a, b, c, d]) as usize)),
        [_, _, _, _, _, _, version, ..] if head.len() >= 12 => {
            Err(SourceErrorKind::Unsupported(format!("version {version} of NumPy's format is not supported")))
        }
        _ => Err(cut_off("the header", 0)),
    }
}

/// Whether the cells have single precision.
fn precision(header: &str) -> Result<bool, SourceErrorKind> {
    let remedy = "save it with numpy.ascontiguousarray(x, dtype='<f8')";
    let kind = entry(header, "descr");
    let single = match kind {
        Some("'<f8'") => false,
        Some("'<f4'") => true,
        _ => {
            let kind = kind.unwrap_or("none");
            let text =
                format!("this NumPy array has elements of type {kind}, expected '<f8' or '<f4'; {remedy}");
            return Err(SourceErrorKind::Unsupported(text));
        }
    };
    match entry(header, "fortran_order") {
        Some("False") => Ok(single),
        _ => Err(SourceErrorKind::Unsupported(format!("this NumPy array is not in C order; {remedy}"))),
    }
}

/// Number of rows of an array that is as wide as the schema.
fn rows(header: &str, schema: &Schema) -> Result<u64, SourceErrorKind> {
    let shape = header.split_once("'shape':").and_then(|(_, rest)| rest.trim_start().strip_prefix('('));
    let shape = shape.and_then(|rest| rest.split_once(')')).map_or("", |(shape, _)| shape);
    let lengths: Option<Vec<u64>> =
        shape.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect();
    match lengths.as_deref() {
        Some([rows, width]) if *width == schema.len() as u64 => Ok(*rows),
        _ => Err(SourceErrorKind::Unsupported(format!(
            "this NumPy array has the shape ({}), expected (rows, {}), the features of {}",
            shape.chars().take(40).collect::<String>(),
            schema.len(),
            schema.name
        ))),
    }
}

/// The value of a key of the header, which is a Python dictionary.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}':"))?;
    rest.split(',').next().map(str::trim)
}

fn cut_off(part: &str, offset: u64) -> SourceErrorKind {
    SourceErrorKind::CutOff { part: part.to_owned(), offset }
}

fn corrupt(part: &str, offset: u64, reason: String) -> SourceErrorKind {
    SourceErrorKind::Corrupt { part: part.to_owned(), offset, reason }
}
