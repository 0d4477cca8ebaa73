//! Text within the columns that there are.

use std::fmt::Write;
use std::os::fd::AsFd;
use terminal_size::{Width, terminal_size_of};

/// Columns of the terminal that standard output is, or of the variable COLUMNS; none where neither says.
pub fn columns() -> Option<usize> {
    let stated = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    stated.filter(|columns| *columns > 0).or_else(|| of_terminal(std::io::stdout()))
}

/// Columns of the terminal that a stream is.
pub fn of_terminal(stream: impl AsFd) -> Option<usize> {
    terminal_size_of(stream).map(|(Width(columns), _)| usize::from(columns))
}

/// Text whose lines are broken at spaces where there is no room for them. No word is broken.
pub fn fit(text: &str) -> String {
    columns().map_or_else(|| text.to_owned(), |columns| within(text, columns))
}

fn within(text: &str, columns: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        if line.chars().count() <= columns {
            out += line;
        } else {
            wrap(line, columns, &mut out);
        }
        out += end;
    }
    out
}

/// Breaks a line. What follows is indented as the text behind the line's label is, where it has one.
fn wrap(line: &str, columns: usize, out: &mut String) {
    let indent = indent(line, columns);
    let start = line.len() - line.trim_start_matches(' ').len();
    let mut column = start;
    *out += &line[..start];
    let mut gap = 0;
    for word in line[start..].split(' ') {
        if word.is_empty() {
            gap += 1;
            continue;
        }
        let width = word.chars().count();
        if column > start && column + gap + width > columns {
            // Writing to a String cannot fail.
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else {
            *out += &" ".repeat(gap);
            column += gap;
        }
        *out += word;
        column += width;
        gap = 1;
    }
}

/// Columns before the text that is behind a label and two spaces or more; else two more than before the line.
fn indent(line: &str, columns: usize) -> usize {
    let start = line.len() - line.trim_start_matches(' ').len();
    let label = line[start..].find("  ").map(|end| start + end);
    let behind = label.map(|end| end + (line[end..].len() - line[end..].trim_start_matches(' ').len()));
    let behind = behind.map(|end| line[..end].chars().count());
    behind.filter(|behind| *behind <= columns / 3).unwrap_or((start + 2).min(columns / 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_indented_behind_their_label() {
        assert_eq!(within("short\n", 10), "short\n");
        assert_eq!(within("label   one two three four\n", 26), "label   one two three four\n");
        assert_eq!(within("label   one two three four\n", 24), "label   one two three\n        four\n");
        assert_eq!(within("label   one two three four\n", 12), "label   one\n  two three\n  four\n");
        assert_eq!(within("  label  1,234 of 5,678", 16), "  label  1,234\n    of 5,678");
        assert_eq!(within("a-word-that-is-longer than", 5), "a-word-that-is-longer\n than");
    }
}
