//! What columns are kept in, and what can be done with every one of them whatever it holds.

mod packets;
mod rows;
mod scalars;

use crate::{Disposition, Element, HeaderAction, Headers, Packets, Rows, Tiles, Verdict};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::fmt;
use std::ops::Range;

/// Bytes that are no column of the type expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an encoded column is damaged")]
pub struct Damaged;

/// A value of a column. A new element type implements this, and can be cleared, gathered, scattered, exchanged, encoded and
/// decoded by that.
pub trait Value:
    Copy + Default + PartialEq + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Its name in declarations.
    const ELEMENT: Element;
    /// Bytes that a value takes at least where it is encoded.
    const LEAST: usize = 1;

    /// Appends values as bytes.
    fn put_all(values: &[Self], to: &mut Vec<u8>) {
        // One by one, since postcard appends to a vector byte by byte.
        let mut room = [0; MOST];
        for value in values {
            let bytes = postcard::to_slice(value, &mut room).expect("a value of a column takes little room");
            to.extend_from_slice(bytes);
        }
    }

    /// Takes as many values off the front of bytes, which [`put_all`](Self::put_all) wrote.
    ///
    /// # Errors
    /// If the bytes are not such.
    fn take_all(values: &mut [Self], from: &mut &[u8]) -> Result<(), Damaged> {
        values.iter_mut().try_for_each(|value| take(from).map(|taken| *value = taken))
    }
}

/// Bytes that a value takes at most, encoded: headers with a tunnel, whose numbers are all large, take 130.
const MOST: usize = 256;

macro_rules! values {
    ($($value:ty => $element:ident, $least:literal);* $(;)?) => {
        $(impl Value for $value {
            const ELEMENT: Element = Element::$element;
            const LEAST: usize = $least;
        })*
    };
}

/// Numbers are encoded as they lie in memory, the least byte first: a copy, which takes no time beside what computes them.
macro_rules! numbers {
    ($($value:ty => $element:ident),* $(,)?) => {
        $(impl Value for $value {
            const ELEMENT: Element = Element::$element;
            const LEAST: usize = size_of::<Self>();

            fn put_all(values: &[Self], to: &mut Vec<u8>) {
                if cfg!(target_endian = "little") {
                    return to.extend_from_slice(bytemuck::cast_slice(values));
                }
                values.iter().for_each(|value| to.extend(value.to_le_bytes()));
            }

            fn take_all(values: &mut [Self], from: &mut &[u8]) -> Result<(), Damaged> {
                let (bytes, rest) = from.split_at_checked(size_of_val(values)).ok_or(Damaged)?;
                bytemuck::cast_slice_mut(values).copy_from_slice(bytes);
                values.iter_mut().for_each(|value| *value = Self::from_le_bytes(value.to_ne_bytes()));
                *from = rest;
                Ok(())
            }
        })*
    };
}

values! {
    bool => Bool, 1;
    Headers => Headers, 8;
    Verdict => Verdict, 1;
    Disposition => Disposition, 1;
    HeaderAction => HeaderAction, 6;
}

numbers! { f64 => F64, f32 => F32, u8 => U8, u16 => U16, u32 => U32, u64 => U64, i64 => I64 }

/// What the values of one column are kept in: a [`Vec`] of scalars, [`Rows`], [`Tiles`] or [`Packets`].
///
/// Methods that take another storage panic where that is not of the same type: both are of one column.
pub trait Storage: Any + fmt::Debug + Send + Sync {
    /// Rows that are filled.
    fn filled(&self) -> usize;

    /// Cells of a row; 1 for scalars.
    fn cells(&self) -> usize;

    /// Bytes that the rows take.
    fn size(&self) -> usize;

    /// Forgets the rows and keeps the memory.
    fn clear(&mut self);

    /// Becomes `len` rows of `width` cells that hold zeros or whatever else the element type's default is.
    fn fill(&mut self, len: usize, width: usize);

    /// Copies the rows at some places into another storage, which holds no others then; those that are not there are left out.
    fn gather(&self, places: &[usize], to: &mut dyn Storage);

    /// Copies the rows of `part` to `places`, after it was made to have `len` rows.
    ///
    /// # Panics
    /// If a place is not below `len`.
    fn scatter(&mut self, part: &dyn Storage, places: &[usize], len: usize);

    /// Makes this have `len` rows of so many cells if it has others; what cells hold is of no meaning then.
    fn reshape(&mut self, len: usize, width: usize);

    /// Copies some cells of row `row` from row `other` of `from`.
    ///
    /// # Panics
    /// If one of them has no such row or cells.
    fn copy_cells(&mut self, row: usize, cells: &[Range<usize>], from: &dyn Storage, other: usize);

    /// Copies some cells of row `row` to `to`, a row of one cell each, from row `at` on.
    ///
    /// # Panics
    /// If there is no such row or cells, or `to` has too few.
    fn take_cells(&self, row: usize, cells: &[Range<usize>], to: &mut dyn Storage, at: usize);

    /// Copies what [`take_cells`](Self::take_cells) took into the same cells of row `row`.
    ///
    /// # Panics
    /// As there.
    fn put_cells(&mut self, row: usize, cells: &[Range<usize>], from: &dyn Storage, at: usize);

    /// Copies row `other` of `from`, the whole of it, into row `row` from cell `at` on.
    ///
    /// # Panics
    /// If there is no such row, or too few cells.
    fn put_row(&mut self, row: usize, at: usize, from: &dyn Storage, other: usize);

    /// Asks for a row that will be read soon. Does nothing where there is none.
    fn prefetch_row(&self, _row: usize) {}

    /// Lets a row go, and the last one take its place.
    ///
    /// # Panics
    /// If there is no such row.
    fn swap_remove(&mut self, row: usize);

    /// Exchanges contents and memory.
    fn exchange(&mut self, other: &mut dyn Storage);

    /// Appends the rows as bytes.
    fn encode(&self, to: &mut Vec<u8>);

    /// Takes the rows that [`encode`](Self::encode) wrote off the front of `from`, in place of those that it has.
    ///
    /// # Errors
    /// If the bytes are not such. There is no row then.
    fn decode(&mut self, from: &mut &[u8]) -> Result<(), Damaged>;

    /// Another storage of the type, without a row.
    fn empty(&self) -> Box<dyn Storage>;

    /// A copy.
    fn copy(&self) -> Box<dyn Storage>;
}

impl Clone for Box<dyn Storage> {
    fn clone(&self) -> Self {
        self.copy()
    }
}

/// Room like `model`: what is there, or an empty storage where that is of another type or nothing.
pub fn like<'a>(room: &'a mut Option<Box<dyn Storage>>, model: &dyn Storage) -> &'a mut dyn Storage {
    let kind = |storage: &dyn Storage| (storage as &dyn Any).type_id();
    if room.as_ref().is_some_and(|room| kind(&**room) != kind(model)) {
        *room = None;
    }
    &mut **room.get_or_insert_with(|| model.empty())
}

/// A [`Storage`] whose type is known.
pub trait Typed: Storage + Default {
    /// What it holds.
    const ELEMENT: Element;
    /// Whether a row is one value.
    const SCALAR: bool;
}

/// A storage as what it is; none where it is of another type.
pub fn typed<S: Storage>(storage: &mut dyn Storage) -> Option<&mut S> {
    (storage as &mut dyn Any).downcast_mut()
}

/// The cells of a column of numbers, row after row; none where it holds another type.
pub fn cells<T: Value>(storage: &dyn Storage) -> Option<&[T]> {
    let any: &dyn Any = storage;
    let scalars = || any.downcast_ref::<Vec<T>>().map(Vec::as_slice);
    any.downcast_ref::<Rows<T>>().map(Rows::as_slice).or_else(scalars)
}

/// [`cells`], to be written.
pub fn cells_mut<T: Value>(storage: &mut dyn Storage) -> Option<&mut [T]> {
    let any: &mut dyn Any = storage;
    if any.is::<Rows<T>>() {
        return any.downcast_mut::<Rows<T>>().map(Rows::as_mut_slice);
    }
    any.downcast_mut::<Vec<T>>().map(Vec::as_mut_slice)
}

/// A storage as what it is.
///
/// # Panics
/// If it is of another type.
pub(crate) fn same<S: Storage>(storage: &dyn Storage) -> &S {
    (storage as &dyn Any).downcast_ref().expect("storages of one column are of one type")
}

/// [`same`], to be written.
pub(crate) fn same_mut<S: Storage>(storage: &mut dyn Storage) -> &mut S {
    typed(storage).expect("storages of one column are of one type")
}

/// Appends a value as bytes.
pub(crate) fn put(value: &impl Serialize, to: &mut Vec<u8>) {
    let bytes = std::mem::take(to);
    *to = postcard::to_extend(value, bytes).expect("plain values into memory cannot fail");
}

/// Takes a value off the front of bytes.
pub(crate) fn take<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, Damaged> {
    let (value, rest) = postcard::take_from_bytes(from).map_err(|_| Damaged)?;
    *from = rest;
    Ok(value)
}

/// Number and width of rows, as far as the bytes behind them can hold so many values.
fn take_shape<T: Value>(from: &mut &[u8]) -> Result<(usize, usize), Damaged> {
    let (len, width): (usize, usize) = take(from)?;
    let cells = len.checked_mul(width).ok_or(Damaged)?;
    if cells <= from.len() / T::LEAST && (width > 0 || len == 0) { Ok((len, width)) } else { Err(Damaged) }
}

/// What is the same for every storage that can be cloned.
macro_rules! owned {
    () => {
        fn exchange(&mut self, other: &mut dyn Storage) {
            std::mem::swap(self, same_mut(other));
        }

        fn empty(&self) -> Box<dyn Storage> {
            Box::new(Self::default())
        }

        fn copy(&self) -> Box<dyn Storage> {
            Box::new(self.clone())
        }
    };
}

use owned;

/// What a column with such elements is kept in.
pub fn storage(element: Element, scalar: bool) -> Box<dyn Storage> {
    fn of<T: Value>(scalar: bool) -> Box<dyn Storage> {
        if scalar { Box::new(Vec::<T>::new()) } else { Box::new(Rows::<T>::default()) }
    }
    match element {
        Element::Packet => Box::new(Packets::default()),
        Element::F64Tiles => Box::new(Tiles::default()),
        Element::Headers => of::<Headers>(scalar),
        Element::Verdict => of::<Verdict>(scalar),
        Element::Disposition => of::<Disposition>(scalar),
        Element::HeaderAction => of::<HeaderAction>(scalar),
        Element::F64 => of::<f64>(scalar),
        Element::F32 => of::<f32>(scalar),
        Element::U8 => of::<u8>(scalar),
        Element::U16 => of::<u16>(scalar),
        Element::U32 => of::<u32>(scalar),
        Element::U64 => of::<u64>(scalar),
        Element::I64 => of::<i64>(scalar),
        Element::Bool => of::<bool>(scalar),
    }
}

#[cfg(test)]
mod tests;
