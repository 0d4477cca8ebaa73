//! Whether bricks have filled what they declare to fill.

use crate::graph::declared::Declared;
use legonf_core::{Batch, Brick, BrickError, Columns, Storage, Table};

/// Lets a brick process a batch of so many packets, and checks that every column that it fills has a value for each. A part of a
/// batch has only the columns that the brick uses, and so does not tell itself of how many packets it is.
pub(crate) fn process(
    brick: &mut dyn Brick,
    index: usize,
    declared: &Declared,
    batch: &mut Batch,
    packets: usize,
) -> Result<(), BrickError> {
    brick.process(batch)?;
    check(index, declared, batch, packets)
}

/// Makes those of some columns of packets that have no row yet hold the default for so many, in rows as wide as those of `like`
/// where their width was not declared.
pub(crate) fn fill(columns: Columns, declared: &Declared, batch: &mut Batch, packets: usize, like: &Batch) {
    for index in columns.without(declared.flows).iter() {
        if index != 0 && batch.filled(index) != packets {
            let width = declared.layout.specs()[index].shape.width();
            let width = width.unwrap_or_else(|| like.width(index).max(1));
            batch.column_mut(index).fill(packets, width);
        }
    }
}

fn check(brick: usize, declared: &Declared, batch: &Batch, packets: usize) -> Result<(), BrickError> {
    let (writes, flows) = (declared.uses[brick].writes, declared.flows);
    // A source may give headers alone, and then nothing can rewrite the packets.
    let absent = if batch.packets.is_empty() { Columns::PACKETS } else { Columns::NONE };
    let mut in_packets = writes.without(flows).without(absent).iter();
    let in_packets = in_packets.find(|column| batch.filled(*column) != packets);
    let in_flows =
        || writes.intersection(flows).iter().find(|column| batch.filled(*column) != batch.flows.len());
    match in_packets.or_else(in_flows) {
        None => Ok(()),
        Some(column) => Err(wrong(brick, declared, batch, column, packets)),
    }
}

#[cold]
fn wrong(brick: usize, declared: &Declared, batch: &Batch, column: usize, packets: usize) -> BrickError {
    let spec = &declared.layout.specs()[column];
    let rows = if spec.table == Table::Packets { packets } else { batch.rows(spec.table) };
    short(declared.uses[brick].kind, &spec.name, batch.filled(column), rows, spec.table)
}

/// Checks that the rows that a brick was given are still those, of that width.
pub(crate) fn check_rows(
    brick: &dyn Brick,
    rows: &dyn Storage,
    packets: usize,
    width: usize,
) -> Result<(), BrickError> {
    if (rows.filled(), rows.cells()) == (packets, width) {
        return Ok(());
    }
    let kind = brick.descriptor().kind;
    Err(short(kind, &format!("rows of {} cells", rows.cells()), rows.filled(), packets, Table::Packets))
}

#[cold]
fn short(brick: &'static str, what: &str, found: usize, rows: usize, table: Table) -> BrickError {
    BrickError { brick, reason: format!("gave {found} {what} for {rows} {}", table.label()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{ColumnSpec, Descriptor, Element, FlowRow, Headers, State};

    #[test]
    fn a_column_that_is_too_short_or_too_long_is_named() {
        let one = ColumnSpec::scalar("one", Element::F64);
        let two = ColumnSpec::scalar("two", Element::U8);
        let of_flows = ColumnSpec::scalar("three", Element::Bool).in_flows();
        let writes = vec![one.clone(), two.clone(), of_flows.clone()];
        let (reads, writes) = (vec![].into(), writes.into());
        let brick = Descriptor { kind: "b", title: "b", reads, writes, state: State::Stateless };
        let declared = Declared::of(&[], &[("b", brick)], &[]).unwrap();
        let one = declared.layout.handle::<Vec<f64>>(&one).unwrap();
        let two = declared.layout.handle::<Vec<u8>>(&two).unwrap();
        let three = declared.layout.handle::<Vec<bool>>(&of_flows).unwrap();
        let mut batch = Batch { headers: vec![Headers::default(); 3], ..Batch::new(&declared.layout) };
        let results = |batch: &Batch| check(0, &declared, batch, 3).map_err(|error| error.to_string());
        *batch.columns.get_mut(one) = vec![0.5; 3];
        *batch.columns.get_mut(two) = vec![1; 2];
        assert_eq!(results(&batch), Err("b: gave 2 two for 3 packets".into()));
        batch.columns.get_mut(two).push(1);
        assert_eq!(results(&batch), Ok(()));
        batch.columns.get_mut(one).push(0.5);
        assert_eq!(results(&batch), Err("b: gave 4 one for 3 packets".into()));
        batch.columns.get_mut(one).pop();
        batch.flows.push(FlowRow { origin: 2, first: 0 });
        assert_eq!(results(&batch), Err("b: gave 0 three for 1 flows".into()));
        batch.columns.get_mut(three).push(true);
        assert_eq!(results(&batch), Ok(()));
    }
}
