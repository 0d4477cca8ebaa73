//! Tables of text.

use legonf_output::one_line;
use std::fmt::Write;

/// Names and values in two columns, a line each: values may come from a file that anyone made.
pub fn fields(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut out, (name, value)| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<width$}  {}", one_line(value));
        out
    })
}
