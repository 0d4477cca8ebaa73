//! Whether bricks have filled what they declare to fill.

use legonf_core::{Batch, Brick, BrickError, Columns, Descriptor, Rows};

/// Lets a brick process a batch of so many packets, and checks that every column that it fills has a value for each. A part of a
/// batch has only the columns that the brick uses, and so does not tell itself of how many packets it is.
pub(crate) fn process(brick: &mut dyn Brick, batch: &mut Batch, packets: usize) -> Result<(), BrickError> {
    brick.process(batch)?;
    let Descriptor { kind, writes, .. } = brick.descriptor();
    check(kind, writes, batch, packets)
}

fn check(brick: &'static str, writes: Columns, batch: &Batch, packets: usize) -> Result<(), BrickError> {
    match writes.iter().find(|column| batch.filled(*column) != packets) {
        None => Ok(()),
        Some(column) => Err(short(brick, column.label(), batch.filled(column), packets)),
    }
}

/// Checks that the rows that a brick was given are still those, of that width.
pub(crate) fn check_rows(
    brick: &dyn Brick,
    rows: &Rows,
    packets: usize,
    width: usize,
) -> Result<(), BrickError> {
    if (rows.len(), rows.width()) == (packets, width) {
        return Ok(());
    }
    Err(short(brick.descriptor().kind, "rows of features", rows.len(), packets))
}

#[cold]
fn short(brick: &'static str, what: &str, found: usize, packets: usize) -> BrickError {
    BrickError { brick, reason: format!("gave {found} {what} for {packets} packets") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Column, Headers, Verdict};

    #[test]
    fn a_column_that_is_too_short_or_too_long_is_named() {
        let mut batch = Batch { headers: vec![Headers::default(); 3], ..Batch::default() };
        let results =
            |batch: &Batch| check("b", Columns::RESULTS, batch, 3).map_err(|error| error.to_string());
        batch.scores = vec![0.5; 3];
        batch.verdicts = vec![Verdict::Benign; 2];
        assert_eq!(results(&batch), Err("b: gave 2 verdicts for 3 packets".into()));
        batch.verdicts = vec![Verdict::Benign; 3];
        assert_eq!(results(&batch), Ok(()));
        batch.scores.push(0.5);
        assert_eq!(results(&batch), Err("b: gave 4 scores for 3 packets".into()));
        for column in Column::ALL {
            let expected = [("headers", 3), ("scores", 4), ("verdicts", 3)].into_iter();
            let expected = expected.into_iter().find(|(label, _)| *label == column.label());
            assert_eq!(batch.filled(column), expected.map_or(0, |(_, filled)| filled));
        }
    }
}
