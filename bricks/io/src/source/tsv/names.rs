//! The line of column names.

use super::WIDTH;
use super::cell::shown;
use super::row::COLUMNS;
use crate::error::RowError;
use crate::source::detect::unquoted;
use legonf_core::count;

/// The most cells of a row.
const MAX_CELLS: usize = 1024;

/// Whether a cell is the name of a column.
pub(in crate::source) fn is_column(cell: &[u8]) -> bool {
    column(cell) < WIDTH
}

/// The column of this name, [`WIDTH`] for another name.
fn column(name: &[u8]) -> usize {
    COLUMNS.iter().position(|column| column.as_bytes() == name).unwrap_or(WIDTH)
}

/// Whether a line holds names of columns.
pub(super) fn are_in(line: &[u8]) -> bool {
    line.split(|b| *b == b'\t').any(|cell| is_column(unquoted(cell)))
}

/// The column of each cell of a line of names; each column must be there, and once.
pub(super) fn places(line: &[u8]) -> Result<Vec<usize>, RowError> {
    let names: Vec<_> = line.split(|b| *b == b'\t').map(unquoted).collect();
    let places: Vec<_> = names.iter().map(|name| column(name)).collect();
    if places.len() > MAX_CELLS {
        return Err(RowError::Columns(format!(
            "{} columns, expected the {WIDTH} of Kitsune's table",
            places.len()
        )));
    }
    let count = |column| places.iter().filter(|place| **place == column).count();
    if let Some(twice) = (0..WIDTH).find(|column| count(*column) > 1) {
        return Err(RowError::Columns(format!("column {} is there twice", COLUMNS[twice])));
    }
    let missing: Vec<_> = (0..WIDTH).filter(|column| count(*column) == 0).collect();
    match missing.as_slice() {
        [] => Ok(places),
        [one] if places.len() == WIDTH && places[*one] == WIDTH => {
            let name = shown(names[*one]);
            Err(RowError::Columns(format!("column {} is named {name}, expected {}", one + 1, COLUMNS[*one])))
        }
        missing => Err(RowError::Columns(absent(missing))),
    }
}

fn absent(missing: &[usize]) -> String {
    let options: Vec<_> = missing.iter().map(|column| format!("-e {}", COLUMNS[*column])).collect();
    let (number, verb) = (missing.len(), if missing.len() == 1 { "is" } else { "are" });
    format!(
        "{} {verb} missing; export the table with {} as well",
        count(number as u64, "column"),
        options.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_by_their_names() {
        let mut names = COLUMNS.to_vec();
        names.swap(0, 18);
        names.insert(3, "ip.ttl");
        let places = places(names.join("\t").as_bytes()).unwrap();
        assert_eq!((places.len(), places[0], places[3], places[4], places[19]), (20, 18, WIDTH, 3, 0));
    }

    #[test]
    fn what_is_missing_or_double_is_named() {
        let fault = |names: &[&str]| places(names.join("\t").as_bytes()).unwrap_err().to_string();
        let missing = fault(&COLUMNS[..17]);
        assert_eq!(missing, "2 columns are missing; export the table with -e ipv6.src -e ipv6.dst as well");
        assert!(fault(&COLUMNS[1..]).starts_with("1 column is missing"), "{}", fault(&COLUMNS[1..]));
        let mut twice = COLUMNS.to_vec();
        twice.push("ip.src");
        assert_eq!(fault(&twice), "column ip.src is there twice");
        twice[5] = "x";
        assert_eq!(fault(&vec!["x"; 2000]), "2000 columns, expected the 19 of Kitsune's table");
    }
}
