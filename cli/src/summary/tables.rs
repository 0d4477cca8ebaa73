//! Tables of text.

use super::width::columns;
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

/// A table with a line for the headings and for each row, or, where it is wider than there are columns, its rows one below the other:
/// the first cell, and behind its heading each other one.
pub fn table(headings: &[&str], rows: &[Vec<String>], line: impl Fn(&[String]) -> String) -> String {
    let first: Vec<_> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let table: String = std::iter::once(&first).chain(rows).map(|row| line(row)).collect();
    let fits = |columns| table.lines().all(|line| line.chars().count() <= columns);
    if columns().is_none_or(fits) { table } else { blocks(headings, rows) }
}

fn blocks(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = headings.iter().skip(1).map(|heading| heading.len()).max().unwrap_or(0);
    let mut out = String::new();
    for row in rows {
        let mut cells = headings.iter().zip(row);
        out.extend(cells.next().map(|(_, name)| format!("{name}\n")));
        for (heading, cell) in cells.filter(|(_, cell)| !cell.is_empty()) {
            out += &format!("  {heading:<width$}  {cell}\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_find_no_room_are_blocks() {
        let rows =
            [vec!["a".into(), "1,234".into(), String::new()], vec!["b".into(), "5".into(), "x".into()]];
        let shown = blocks(&["name", "packets", "note"], &rows);
        assert_eq!(shown, "a\n  packets  1,234\nb\n  packets  5\n  note     x\n");
    }
}
