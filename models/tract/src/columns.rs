//! Cells from columns into tensors, and back.

use legonf_core::{Element, Storage, Value, cells, cells_mut};
use std::borrow::Cow;
use std::ops::Range;
use tract_onnx::prelude::*;

/// The element type of a column that holds what a tensor does; none where no column can.
pub(crate) fn element(datum: DatumType) -> Option<Element> {
    Some(match datum {
        DatumType::F64 => Element::F64,
        DatumType::F32 => Element::F32,
        DatumType::U8 => Element::U8,
        DatumType::U16 => Element::U16,
        DatumType::U32 => Element::U32,
        DatumType::U64 => Element::U64,
        DatumType::I64 => Element::I64,
        DatumType::Bool => Element::Bool,
        _ => return None,
    })
}

/// Calls a generic function with the type of an element; `$other` where no tensor has such cells.
macro_rules! with_type {
    ($element:expr, $call:ident($($argument:expr),*), $other:expr) => {
        match $element {
            Element::F64 => $call::<f64>($($argument),*),
            Element::F32 => $call::<f32>($($argument),*),
            Element::U8 => $call::<u8>($($argument),*),
            Element::U16 => $call::<u16>($($argument),*),
            Element::U32 => $call::<u32>($($argument),*),
            Element::U64 => $call::<u64>($($argument),*),
            Element::I64 => $call::<i64>($($argument),*),
            Element::Bool => $call::<bool>($($argument),*),
            _ => $other,
        }
    };
}

/// A tensor of these dimensions, with the rows from `start` on of a column; rows past the last repeat it.
///
/// # Errors
/// If the column is of another type: `f64` stands for `f32`, too.
pub(crate) fn tensor(
    element: Element,
    dimensions: &[usize],
    column: &dyn Storage,
    start: usize,
) -> TractResult<Tensor> {
    if let (Element::F32, Some(doubles)) = (element, cells::<f64>(column)) {
        return filled(dimensions, doubles, start, |value| value as f32);
    }
    let other = || Err(TractError::msg("the column is of another type"));
    with_type!(element, same(dimensions, column, start), other())
}

fn same<T: Value + Datum>(dimensions: &[usize], column: &dyn Storage, start: usize) -> TractResult<Tensor> {
    let from = cells::<T>(column)
        .ok_or_else(|| TractError::msg(format!("the column does not hold {}", T::ELEMENT.label())))?;
    filled(dimensions, from, start, |value| value)
}

fn filled<T: Copy, D: Datum + Copy>(
    dimensions: &[usize],
    from: &[T],
    start: usize,
    convert: impl Fn(T) -> D,
) -> TractResult<Tensor> {
    let mut tensor = Tensor::zero_dt(D::datum_type(), dimensions)?;
    let width = dimensions.iter().skip(1).product::<usize>();
    let last = from.len() - width;
    let mut plain = tensor.try_as_plain_ram_mut()?;
    for (row, to) in (start..).zip(plain.as_slice_mut::<D>()?.chunks_exact_mut(width)) {
        let row = &from[(row * width).min(last)..][..width];
        to.iter_mut().zip(row).for_each(|(to, from)| *to = convert(*from));
    }
    Ok(tensor)
}

/// The cells of a column of numbers with a point.
///
/// # Errors
/// If it holds others.
pub(crate) fn doubles(column: &dyn Storage) -> TractResult<Cow<'_, [f64]>> {
    let singles = || cells::<f32>(column).map(|cells| cells.iter().map(|cell| f64::from(*cell)).collect());
    let doubles = cells(column).map(Cow::Borrowed).or_else(singles);
    doubles.ok_or_else(|| TractError::msg("the column does not hold f64"))
}

/// Copies the first rows of a tensor to `rows` of a column.
///
/// # Errors
/// If the column is of another type: one of `f64` takes all numbers.
pub(crate) fn take(tensor: &Tensor, column: &mut dyn Storage, rows: Range<usize>) -> TractResult<()> {
    let width = column.cells();
    let cells = rows.start * width..rows.end * width;
    let datum = tensor.datum_type();
    if let (true, Some(to)) = (datum != DatumType::F64, cells_mut::<f64>(column)) {
        let cast = tensor.cast_to::<f64>()?;
        let from = cast.try_as_plain_ram()?.as_slice::<f64>()?;
        to[cells.clone()].copy_from_slice(&from[..cells.len()]);
        return Ok(());
    }
    let other = || Err(TractError::msg(format!("no column holds {datum:?}")));
    let Some(element) = element(datum) else { return other() };
    with_type!(element, copy(tensor, column, cells), other())
}

fn copy<T: Value + Datum>(tensor: &Tensor, column: &mut dyn Storage, cells: Range<usize>) -> TractResult<()> {
    let other = || TractError::msg(format!("the column does not hold {}", T::ELEMENT.label()));
    let to = cells_mut::<T>(column).ok_or_else(other)?;
    let from = tensor.try_as_plain_ram()?.as_slice::<T>()?;
    to[cells.clone()].copy_from_slice(&from[..cells.len()]);
    Ok(())
}
