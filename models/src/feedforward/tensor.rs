//! Constants of a graph.

use super::proto;
use crate::bundle::proto::{FLOAT, INT64};
use crate::kitnet::Defect;

/// Further element types of tensors.
pub(super) const UINT8: i32 = 2;
pub(super) const INT32: i32 = 6;
pub(super) const BOOL: i32 = 9;

/// Cells of a constant, of a value for one row, or of a table of a step, at most.
pub(super) const MAX_CELLS: usize = 1 << 25;

/// The numbers of a constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Real(Vec<f32>),
    Integer(Vec<i64>),
}

/// A tensor that is the same for all rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) data: Data,
}

impl Constant {
    /// Reads a tensor of the file.
    ///
    /// # Errors
    /// If its numbers are of another type, in another file, or more or fewer than its dimensions say.
    pub(super) fn read(tensor: &proto::Tensor) -> Result<Self, Defect> {
        let wrong = |reason: &str| Defect::new(format!("tensor {}", tensor.name), reason);
        let dims = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok());
        let shape: Vec<usize> =
            dims.collect::<Option<_>>().ok_or_else(|| wrong("has a dimension below zero"))?;
        let cells = cells(&shape).ok_or_else(|| wrong("has too many numbers"))?;
        if tensor.data_location != 0 {
            return Err(wrong("has its numbers in another file"));
        }
        let data = data(tensor).ok_or_else(|| {
            wrong(&format!("is of element type {}: expected f32, u8, i32, i64 or bool", tensor.data_type))
        })?;
        let constant = Self { shape, data };
        if constant.len() != cells {
            return Err(wrong(&format!("has {} numbers; its dimensions say {cells}", constant.len())));
        }
        Ok(constant)
    }

    /// A list of integers.
    pub(super) fn integers(values: Vec<i64>) -> Self {
        Self { shape: vec![values.len()], data: Data::Integer(values) }
    }

    /// A list of numbers.
    pub(super) fn reals(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { shape, data: Data::Real(values) }
    }

    /// How many numbers it has.
    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Real(values) => values.len(),
            Data::Integer(values) => values.len(),
        }
    }

    /// Its numbers, where they are integers.
    pub(super) fn as_integers(&self) -> Option<&[i64]> {
        match &self.data {
            Data::Integer(values) => Some(values),
            Data::Real(_) => None,
        }
    }

    /// Its numbers, where they have a point.
    pub(super) fn as_reals(&self) -> Option<&[f32]> {
        match &self.data {
            Data::Real(values) => Some(values),
            Data::Integer(_) => None,
        }
    }
}

/// The cells of a tensor of these dimensions; none where there are more than [`MAX_CELLS`].
pub(super) fn cells(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
    product.filter(|cells| *cells <= MAX_CELLS)
}

fn data(tensor: &proto::Tensor) -> Option<Data> {
    let raw = &tensor.raw_data;
    let integers = |values: Vec<i64>| Some(Data::Integer(values));
    match (tensor.data_type, raw.is_empty()) {
        (FLOAT, true) => Some(Data::Real(tensor.float_data.clone())),
        (FLOAT, false) => Some(Data::Real(chunks(raw, f32::from_le_bytes))),
        (INT64, true) => integers(tensor.int64_data.clone()),
        (INT64, false) => integers(chunks(raw, i64::from_le_bytes)),
        (UINT8 | INT32 | BOOL, true) => integers(tensor.int32_data.iter().map(|v| i64::from(*v)).collect()),
        (INT32, false) => integers(chunks(raw, |bytes| i64::from(i32::from_le_bytes(bytes)))),
        (UINT8 | BOOL, false) => integers(raw.iter().map(|byte| i64::from(*byte)).collect()),
        _ => None,
    }
}

fn chunks<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks().0.iter().map(|bytes| read(*bytes)).collect()
}

/// The strides of the axes of a tensor in row-major order.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
