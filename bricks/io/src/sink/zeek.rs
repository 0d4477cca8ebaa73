//! Zeek's logs: values with tabs between, behind a header that names the columns and their types.

use super::text;
use legonf_core::Timestamp;
use std::net::IpAddr;

/// What stands for no value.
const UNSET: &[u8] = b"-";
/// What stands for text without characters.
const EMPTY: &[u8] = b"(empty)";

/// A column: its name, and its type in Zeek.
pub(super) type Column = (&'static str, &'static str);

/// A value of a line.
pub(super) enum Cell<'a> {
    Unset,
    Count(u64),
    Real(f64),
    Text(&'a str),
    Time(Timestamp),
    Address(IpAddr),
    /// Nanoseconds.
    Interval(i64),
}

/// The header of a log. It has no time at which it was opened, so that equal runs write equal bytes.
pub(super) fn header(log: &str, columns: &[Column]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let opening = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-";
    text::push(&mut bytes, format_args!("{opening}\n#path\t{log}\n#fields"));
    columns.iter().for_each(|(name, _)| text::push(&mut bytes, format_args!("\t{name}")));
    bytes.extend_from_slice(b"\n#types");
    columns.iter().for_each(|(_, kind)| text::push(&mut bytes, format_args!("\t{kind}")));
    bytes.push(b'\n');
    bytes
}

/// Appends a line.
pub(super) fn line<'a>(cells: impl IntoIterator<Item = Cell<'a>>, to: &mut Vec<u8>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            to.push(b'\t');
        }
        match cell {
            Cell::Unset => to.extend_from_slice(UNSET),
            Cell::Count(number) => text::push_integer(to, number),
            Cell::Real(number) => text::push_f64(to, number),
            Cell::Text("") => to.extend_from_slice(EMPTY),
            Cell::Text("-") => to.extend_from_slice(b"\\x2d"),
            Cell::Text(words) => escape(words, to),
            Cell::Time(time) => text::push_time(to, time),
            Cell::Address(address) => text::push(to, format_args!("{address}")),
            Cell::Interval(nanos) => text::push_time(to, Timestamp::from_nanos(nanos)),
        }
    }
    to.push(b'\n');
}

/// Writes what would end a value or a line, and the sign by which that is done, as Zeek does: `\x09`.
fn escape(words: &str, to: &mut Vec<u8>) {
    for byte in words.bytes() {
        match byte {
            b'\\' => to.extend_from_slice(b"\\\\"),
            0..=31 | 127 => text::push(to, format_args!("\\x{byte:02x}")),
            _ => to.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_line_or_another_value() {
        let mut bytes = Vec::new();
        let hostile = "a\tb\nc\\x09\r\u{7f}ü";
        line([Cell::Text(hostile), Cell::Text(""), Cell::Text("-"), Cell::Unset], &mut bytes);
        let expected = "a\\x09b\\x0ac\\\\x09\\x0d\\x7fü\t(empty)\t\\x2d\t-\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn a_header_has_names_and_types() {
        let header = String::from_utf8(header("conn", &[("ts", "time"), ("id.orig_h", "addr")])).unwrap();
        assert!(header.ends_with("#path\tconn\n#fields\tts\tid.orig_h\n#types\ttime\taddr\n"), "{header}");
    }
}
