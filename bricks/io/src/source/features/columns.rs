//! Which column of a table is which feature.

use crate::error::RowError;
use crate::source::detect::unquoted;
use crate::source::tsv::shown;
use legonf_core::Schema;
use std::collections::HashMap;

/// What a column of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// The number of the row.
    Index,
    /// A feature, by its place in the schema.
    Feature(usize),
}

/// The schema whose features N-BaIoT names in its own words: both come from the extractor of Kitsune's authors.
const PUBLISHED: &str = "kitsune-115";

/// The schema of as many other features that is the default.
const MENDED: &str = "kitsune-115-clean";

/// Names of a column that numbers the rows.
const INDEX: [&str; 4] = ["", "index", "Unnamed: 0", "seq"];

/// The columns of a table whose first line has these cells, and whether that line holds names.
///
/// # Errors
/// If names or their number do not fit the schema.
pub(super) fn of_first_line(cells: &[&[u8]], schema: &Schema) -> Result<(Vec<Column>, bool), RowError> {
    if is_count(cells) {
        return by_place(cells.len(), schema).map(|columns| (columns, true));
    }
    let words = cells.iter().filter(|cell| !is_number(cell)).count();
    if words * 2 > cells.len() {
        return by_name(cells, schema).map(|columns| (columns, true));
    }
    by_place(cells.len(), schema).map(|columns| (columns, false))
}

fn is_number(cell: &[u8]) -> bool {
    std::str::from_utf8(unquoted(cell).trim_ascii()).is_ok_and(|text| text.parse::<f64>().is_ok())
}

/// Whether the cells are 0, 1, 2 and so on, the names that pandas gives to columns without one.
fn is_count(cells: &[&[u8]]) -> bool {
    let cells = cells.strip_prefix(&[&b""[..]]).unwrap_or(cells);
    cells.len() > 1 && cells.iter().enumerate().all(|(i, cell)| unquoted(cell) == i.to_string().as_bytes())
}

/// As many columns as features, in order, or one more that numbers the rows.
///
/// # Errors
/// Beside other numbers of columns, for the mended schema: tables without names are the published ones, which have the same
/// number of columns.
fn by_place(found: usize, schema: &Schema) -> Result<Vec<Column>, RowError> {
    if schema.name == MENDED {
        return Err(RowError::Columns(format!(
            "columns without names are taken for {PUBLISHED}, as published tables are, not for {MENDED}: use --schema {PUBLISHED}"
        )));
    }
    let width = schema.len();
    let features = (0..width).map(Column::Feature);
    if found == width {
        Ok(features.collect())
    } else if found == width + 1 {
        Ok([Column::Index].into_iter().chain(features).collect())
    } else {
        Err(RowError::Columns(format!(
            "expected the {width} features of {} (and at most a row number before them), found {found} columns",
            schema.name
        )))
    }
}

fn by_name(cells: &[&[u8]], schema: &Schema) -> Result<Vec<Column>, RowError> {
    let places: HashMap<&str, usize> =
        schema.features.iter().enumerate().map(|(i, f)| (f.name.as_str(), i)).collect();
    let mut columns = Vec::with_capacity(cells.len());
    for (i, cell) in cells.iter().enumerate() {
        let column = column(i, cell, &places, schema)?;
        if columns.contains(&column) {
            return Err(RowError::Columns(format!(
                "column {}: {} is there twice",
                i + 1,
                shown(unquoted(cell))
            )));
        }
        columns.push(column);
    }
    let missing = (0..schema.len()).find(|i| !columns.contains(&Column::Feature(*i)));
    missing.map_or(Ok(columns), |i| {
        Err(RowError::Columns(format!(
            "there is no column {}, which {} has",
            schema.features[i].name, schema.name
        )))
    })
}

fn column(
    index: usize,
    cell: &[u8],
    places: &HashMap<&str, usize>,
    schema: &Schema,
) -> Result<Column, RowError> {
    let name = String::from_utf8_lossy(unquoted(cell).trim_ascii());
    let place = places.get(&*name).or_else(|| places.get(&*renamed(&name, schema)));
    match place {
        Some(place) => Ok(Column::Feature(*place)),
        None if index == 0 && INDEX.contains(&&*name) => Ok(Column::Index),
        None => Err(RowError::Columns(format!(
            "column {} is named {}, which {} has not",
            index + 1,
            shown(cell),
            schema.name
        ))),
    }
}

/// N-BaIoT's name in the words of [`PUBLISHED`]; any other name as it is.
fn renamed(name: &str, schema: &Schema) -> String {
    if schema.name != PUBLISHED {
        return name.to_owned();
    }
    let (prefix, rest) = name.strip_prefix("MI_dir_").map_or(("", name), |rest| ("MI_", rest));
    let swap = |from: &str, to: &str| rest.strip_suffix(from).map(|stem| format!("{prefix}{stem}{to}"));
    swap("_covariance", "_cov")
        .or_else(|| swap("_variance", "_var"))
        .unwrap_or_else(|| format!("{prefix}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Feature, Unit};

    fn schema(name: &str) -> Schema {
        let names = ["MI_L5_weight", "MI_L5_var", "HH_L5_cov"];
        let feature = |name: &str| Feature {
            name: name.into(),
            group: "g".into(),
            statistic: "s".into(),
            unit: Unit::One,
            decay: None,
        };
        Schema { name: name.into(), features: names.map(feature).into() }
    }

    fn columns(line: &str, name: &str) -> Result<(Vec<Column>, bool), String> {
        let cells: Vec<_> = line.split(',').map(str::as_bytes).collect();
        of_first_line(&cells, &schema(name)).map_err(|error| error.to_string())
    }

    #[test]
    fn names_in_any_order_and_in_other_words() {
        let [a, b, c] = [0, 1, 2].map(Column::Feature);
        assert_eq!(columns("HH_L5_cov,MI_L5_weight,\"MI_L5_var\"", "x"), Ok((vec![c, a, b], true)));
        let theirs = "HH_L5_covariance,MI_dir_L5_weight,MI_dir_L5_variance";
        assert_eq!(columns(theirs, PUBLISHED), Ok((vec![c, a, b], true)));
        let numbered = format!("Unnamed: 0,{theirs}");
        assert_eq!(columns(&numbered, PUBLISHED), Ok((vec![Column::Index, c, a, b], true)));
        let error = columns(theirs, "kitsune-115-clean").unwrap_err();
        assert_eq!(error, "column 1 is named \"HH_L5_covariance\", which kitsune-115-clean has not");
    }

    #[test]
    fn places_without_names() {
        let features = [0, 1, 2].map(Column::Feature).to_vec();
        let numbered: Vec<_> = [Column::Index].into_iter().chain(features.clone()).collect();
        assert_eq!(columns("1.5,0,-2e3", "x"), Ok((features.clone(), false)));
        assert_eq!(columns("0,1.5,0,-2e3", "x"), Ok((numbered.clone(), false)));
        assert_eq!(columns("0,1,2", "x"), Ok((features, true)));
        assert_eq!(columns(",0,1,2", "x"), Ok((numbered, true)));
    }

    #[test]
    fn published_tables_are_not_taken_for_the_mended_schema() {
        let error = columns("1.5,0,-2e3", MENDED).unwrap_err();
        assert!(
            error.contains("columns without names") && error.ends_with("use --schema kitsune-115"),
            "{error}"
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, words) in [
            ("1,2", "expected the 3 features of x (and at most a row number before them), found 2 columns"),
            ("1,2,3,4,5", "found 5 columns"),
            ("MI_L5_weight,MI_L5_var,label", "column 3 is named \"label\", which x has not"),
            ("MI_L5_weight,MI_L5_var", "there is no column HH_L5_cov, which x has"),
            ("MI_L5_weight,MI_L5_weight,MI_L5_var", "column 2: \"MI_L5_weight\" is there twice"),
        ] {
            let error = columns(line, "x").unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
