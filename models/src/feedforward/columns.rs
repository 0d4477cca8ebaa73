//! Cells from columns into the memory of a plan, and back.

use super::builder::narrow;
use super::plan::{Memory, Place};
use crate::engine::{EngineError, Port};
use legonf_core::{Element, Storage, Value, cells, cells_mut};
use std::ops::Range;

/// Copies rows of a column to the place of an input.
///
/// # Errors
/// If the column is of another type: `f64` stands for `f32`, too.
pub(super) fn load(
    port: &Port,
    place: &Place,
    memory: &mut Memory,
    column: &dyn Storage,
    rows: Range<usize>,
) -> Result<(), EngineError> {
    let from = rows.start * place.cells..rows.end * place.cells;
    if port.element == Element::F32 {
        let to = &mut memory.reals[place.buffer][..from.len()];
        if let Some(doubles) = cells::<f64>(column) {
            to.iter_mut().zip(&doubles[from]).for_each(|(to, from)| *to = *from as f32);
        } else {
            to.copy_from_slice(&typed::<f32>(column, port)?[from]);
        }
        return Ok(());
    }
    let to = &mut memory.integers[place.buffer][..from.len()];
    match port.element {
        Element::U8 => fill::<u8>(to, column, port, from, |value| value.into()),
        Element::U16 => fill::<u16>(to, column, port, from, |value| value.into()),
        Element::U32 => fill::<u32>(to, column, port, from, |value| narrow(value.into())),
        Element::U64 => fill::<u64>(to, column, port, from, |value| i32::try_from(value).unwrap_or(i32::MAX)),
        Element::Bool => fill::<bool>(to, column, port, from, |value| value.into()),
        _ => fill::<i64>(to, column, port, from, narrow),
    }
}

fn typed<'a, T: Value>(column: &'a dyn Storage, port: &Port) -> Result<&'a [T], EngineError> {
    let other = || format!("the column for the input `{}` does not hold {}", port.name, T::ELEMENT.label());
    cells::<T>(column).ok_or_else(|| EngineError(other()))
}

fn fill<T: Value + Copy>(
    to: &mut [i32],
    column: &dyn Storage,
    port: &Port,
    from: Range<usize>,
    convert: impl Fn(T) -> i32,
) -> Result<(), EngineError> {
    let from = &typed::<T>(column, port)?[from];
    to.iter_mut().zip(from).for_each(|(to, from)| *to = convert(*from));
    Ok(())
}

/// Copies an output to rows of a column.
///
/// # Errors
/// If the column is of another type: one of `f64` takes all numbers.
pub(super) fn store(
    port: &Port,
    place: &Place,
    memory: &Memory,
    column: &mut dyn Storage,
    rows: Range<usize>,
) -> Result<(), EngineError> {
    let to = rows.start * place.cells..rows.end * place.cells;
    let from = place.range(&(0..rows.len()));
    if place.integers {
        let from = &memory.integers[place.buffer][from];
        return put::<i64, i32>(port, column, to, from, |value| value.into(), |value| value.into());
    }
    let from = &memory.reals[place.buffer][from];
    put::<f32, f32>(port, column, to, from, |value| value, |value| value.into())
}

fn put<T: Value, F: Copy>(
    port: &Port,
    column: &mut dyn Storage,
    to: Range<usize>,
    from: &[F],
    own: impl Fn(F) -> T,
    double: impl Fn(F) -> f64,
) -> Result<(), EngineError> {
    if let Some(doubles) = cells_mut::<f64>(column) {
        doubles[to].iter_mut().zip(from).for_each(|(to, from)| *to = double(*from));
        return Ok(());
    }
    let other = || format!("the column for the output `{}` does not hold {}", port.name, T::ELEMENT.label());
    let cells = cells_mut::<T>(column).ok_or_else(|| EngineError(other()))?;
    cells[to].iter_mut().zip(from).for_each(|(to, from)| *to = own(*from));
    Ok(())
}
