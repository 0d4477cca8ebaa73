//! Recognizes what a file is by its first bytes.

use super::features::{NPY, recognize};
use super::order::Order;
use super::pcap::Variant;
use super::tsv::{WIDTH, is_column};
use crate::error::SourceErrorKind;

/// A capture format with what its magic number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The classic format.
    Pcap(Variant),
    /// The block format.
    Pcapng,
    /// Kitsune's table.
    Tsv,
}

/// The format of a file that begins with `head`.
pub(crate) fn format(head: &[u8]) -> Result<Format, SourceErrorKind> {
    if head.is_empty() {
        return Err(SourceErrorKind::Empty);
    }
    if let Some(magic) = head.first_chunk::<4>()
        && let Some(format) = by_magic(*magic)
    {
        return format;
    }
    if is_table(head) { Ok(Format::Tsv) } else { Err(SourceErrorKind::Foreign(foreign(head))) }
}

fn by_magic(magic: [u8; 4]) -> Option<Result<Format, SourceErrorKind>> {
    if magic == [0x0a, 0x0d, 0x0d, 0x0a] {
        return Some(Ok(Format::Pcapng));
    }
    [Order::Little, Order::Big].into_iter().find_map(|order| match order.u32(&magic) {
        0xa1b2_c3d4 => Some(Ok(Format::Pcap(Variant::usual(order, 1000)))),
        0xa1b2_3c4d => Some(Ok(Format::Pcap(Variant::usual(order, 1)))),
        // The modified one of Alexey Kuznetzov: interface, protocol and kind behind each record's header.
        0xa1b2_cd34 => Some(Ok(Format::Pcap(Variant { more_record: 8, ..Variant::usual(order, 1000) }))),
        // Ixia's by software: the length of all records behind the file's header.
        0x1c00_01ab => Some(Ok(Format::Pcap(Variant { more_file: 4, ..Variant::usual(order, 1000) }))),
        0x1c00_01ac => Some(Err(variant("Ixia hardware", "convert it with `editcap -F pcapng`"))),
        0xa12b_3c4d => Some(Err(variant("Navtel", "capture it anew as pcapng"))),
        0xa1b2_34cd => Some(Err(variant("Mesquita", "capture it anew as pcapng"))),
        _ => None,
    })
}

fn variant(name: &str, remedy: &str) -> SourceErrorKind {
    SourceErrorKind::Unsupported(format!("the {name} variant of pcap is not supported; {remedy}"))
}

/// Whether a file that begins with `head` is known to be what it is, whatever follows.
pub(super) fn is_settled(head: &[u8]) -> bool {
    let Some(magic) = head.first_chunk::<4>() else { return false };
    by_magic(*magic).is_some()
        || head.starts_with(NPY)
        || head.contains(&b'\n')
        || FOREIGN.iter().any(|(magic, _)| head.starts_with(magic))
}

/// Whether the first line has tabs and either begins with a decimal number, names a column, or is as wide as the table.
fn is_table(head: &[u8]) -> bool {
    let line = head.split(|b| *b == b'\n').next().unwrap_or(head);
    let (mut cells, tabs) = (line.split(|b| *b == b'\t'), line.iter().filter(|b| **b == b'\t').count());
    let first = unquoted(cells.next().unwrap_or_default());
    let number = !first.is_empty() && first.iter().all(|b| b.is_ascii_digit() || b".-".contains(b));
    let named = is_column(first) || cells.any(|cell| is_column(unquoted(cell.trim_ascii_end())));
    tabs > 0 && (number || named || (tabs + 1 == WIDTH && is_text(line)))
}

/// A cell without the quotation marks around it and, in the first cell, without a byte order mark.
pub(crate) fn unquoted(cell: &[u8]) -> &[u8] {
    let cell = cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell);
    cell.strip_prefix(b"\"").and_then(|c| c.strip_suffix(b"\"")).unwrap_or(cell)
}

const FOREIGN: [(&[u8], &str); 22] = [
    (b"\x7fELF", "an ELF program"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive (or a NumPy .npz file)"),
    (b"PAR1", "a Parquet file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"SQLite format 3", "an SQLite database"),
    (b"BZh", "a bzip2 file (decompress it first)"),
    (b"\xfd7zXZ", "an xz file (decompress it first)"),
    (b"7z\xbc\xaf", "a 7-Zip archive (unpack it first)"),
    (b"\x04\x22\x4d\x18", "an LZ4 file (decompress it first)"),
    (b"Rar!", "a RAR archive (unpack it first)"),
    (b"snoop\0\0\0", "a snoop capture (convert it with editcap)"),
    (b"GMBU", "a Network Monitor capture (convert it with editcap)"),
    (b"TRSNIFF data", "a Sniffer capture (convert it with editcap)"),
    (b"%!PS", "a PostScript document"),
    (b"<?xml", "an XML file"),
    (b"<!DOCTYPE", "an HTML file"),
    (b"<html", "an HTML file"),
    (b"#!", "a script"),
];

fn foreign(head: &[u8]) -> &'static str {
    if let Some((_, name)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return name;
    }
    let begin = head.trim_ascii_start();
    match begin.first() {
        Some(_) if has_commas(head) => {
            "a table of headers with commas between its cells (export it with `-E separator=/t`)"
        }
        Some(_) if recognize(head, usize::MAX).is_some() => "a table of features",
        Some(_) if is_json(begin) && is_text(head) => "a JSON file",
        Some(_) if is_text(head) => "a text file",
        None => "a text file",
        _ if is_onnx(head) => "an ONNX model",
        _ if head.iter().all(|b| *b == 0) => "a file of zero bytes",
        _ if head.len() < 4 => "a file of less than 4 bytes",
        _ => "a file of unknown kind",
    }
}

/// Whether the first line has the name of a table's column and commas.
pub(super) fn has_commas(head: &[u8]) -> bool {
    let line = head.split(|b| *b == b'\n').next().unwrap_or(head);
    let mut cells = line.split(|b| *b == b',').map(|cell| unquoted(cell.trim_ascii_end()));
    line.contains(&b',') && cells.any(is_column)
}

/// An object, or a list of what is not a name (as in the section headers of TOML).
pub(super) fn is_json(begin: &[u8]) -> bool {
    let list = |rest: &[u8]| matches!(rest.trim_ascii_start(), [b'{' | b'"' | b'-' | b']' | b'0'..=b'9', ..]);
    begin.starts_with(b"{") || begin.strip_prefix(b"[").is_some_and(list)
}

/// No control characters and, but for a character cut off at the end, UTF-8.
pub(super) fn is_text(head: &[u8]) -> bool {
    let control = |b: &u8| *b < b' ' && !b"\t\n\r\x0c".contains(b);
    let utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    utf8 && !head.iter().any(control)
}

/// A protocol buffer whose first field is `ir_version` and whose second is one that follows it in ONNX.
fn is_onnx(head: &[u8]) -> bool {
    matches!(head, [0x08, 1..=31, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(head: &[u8]) -> String {
        format(head).unwrap_err().to_string()
    }

    #[test]
    fn captures_are_recognized() {
        let pcap = |order, tick| Format::Pcap(Variant::usual(order, tick));
        assert_eq!(format(&[0xd4, 0xc3, 0xb2, 0xa1]).unwrap(), pcap(Order::Little, 1000));
        assert_eq!(format(&[0xa1, 0xb2, 0xc3, 0xd4]).unwrap(), pcap(Order::Big, 1000));
        assert_eq!(format(&[0x4d, 0x3c, 0xb2, 0xa1]).unwrap(), pcap(Order::Little, 1));
        assert_eq!(format(&[0xa1, 0xb2, 0x3c, 0x4d]).unwrap(), pcap(Order::Big, 1));
        assert_eq!(format(&[0x0a, 0x0d, 0x0d, 0x0a]).unwrap(), Format::Pcapng);
        for table in [
            "1.5\t60",
            "\"frame.time_epoch\"\t\"frame.len\"",
            "\u{feff}frame.time_epoch\tx",
            "x\tframe.len\r\n",
        ] {
            assert_eq!(format(table.as_bytes()).unwrap(), Format::Tsv, "{table}");
        }
    }

    #[test]
    fn variants_are_refused_by_name() {
        assert!(looks(&[0xac, 0x01, 0x00, 0x1c]).starts_with("the Ixia hardware variant of pcap"));
        assert!(looks(&[0xa1, 0x2b, 0x3c, 0x4d]).contains("Navtel"));
        assert!(looks(&[0xcd, 0x34, 0xb2, 0xa1]).contains("Mesquita"));
    }

    #[test]
    fn a_pipe_is_recognized_by_as_little_as_tells() {
        for settled in [&b"\xd4\xc3\xb2\xa1"[..], b"\x0a\x0d\x0d\x0a", b"\x93NUMPY", b"GIF89", b"1.5\t60\n"] {
            assert!(is_settled(settled), "{settled:?}");
        }
        for open in [&b""[..], b"\n", b"\x0a\x0d\x0d", b"1.5\t60", b"\x93NUM"] {
            assert!(!is_settled(open), "{open:?}");
        }
    }

    #[test]
    fn foreign_files_are_named() {
        for (head, name) in [
            (&b"\x7fELF\x02\x01"[..], "an ELF program"),
            (b"\x89PNG\r\n", "a PNG image"),
            (b" {\"a\": 1}", "a JSON file"),
            (b"\x08\x08\x12\x07pytorch", "an ONNX model"),
            ("na\u{ef}ve words\n".as_bytes(), "a text file"),
            (b"time,len\n1.0,60\n", "a text file"),
            (b"1,60,0,1,60,0,1,60,0\n", "a table of features"),
            (b"\tindented\n", "a text file"),
            (
                b"frame.len,frame.time_epoch\n",
                "a table of headers with commas between its cells (export it with `-E separator=/t`)",
            ),
            (b"[workspace]\n", "a text file"),
            (b"[\n {}]\n", "a JSON file"),
            (b"\xd4\xc3", "a file of less than 4 bytes"),
            (&[0; 64], "a file of zero bytes"),
            (&[1, 2, 3, 4, 5], "a file of unknown kind"),
        ] {
            assert_eq!(looks(head), format!("this is {name}, expected pcap, pcapng or Kitsune TSV"));
        }
        assert!(looks(b"").starts_with("this file is empty"));
    }
}
