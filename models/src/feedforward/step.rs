//! One operation of a plan.

use super::activation::{self, Activation};
use super::branch::Branch;
use super::choice::{self, Comparison};
use super::linear::Linear;
use super::plan::{Memory, Place};
use super::pool::{self, Pool, Reduction};
use super::table::Table;
use super::trees::Trees;
use super::winograd::Winograd;
use multiversion::multiversion;
use std::ops::Range;

/// What one of two sides of an operation is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Side {
    /// The input of this number.
    Input(usize),
    /// The same for all rows: a number for each cell of a row, or one for all.
    Constant(Vec<f32>),
}

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

/// What a step computes, for each row by itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation {
    Linear(Linear),
    Winograd(Winograd),
    Table(Table),
    Pool(Pool),
    /// The reduction, the numbers reduced to one, and how far they lie apart.
    Reduce(Reduction, usize, usize),
    Map(Activation),
    Arithmetic(Arithmetic, [Side; 2]),
    /// For each cell the one of the input that it is.
    Rearrange(Vec<u32>),
    /// Cells of each input that stand together.
    Join(Vec<usize>),
    /// Numbers that make one, how far they lie apart, and whether logarithms are taken.
    Softmax(usize, usize, bool),
    Trees(Trees),
    /// Rows of a table by their number: the cells of a row, and the table.
    Lookup(usize, Vec<f32>),
    /// Integers as numbers with a point.
    ToReal,
    /// Numbers as integers, towards zero.
    ToInteger,
    /// The integer that stands for the place of the largest number.
    Largest(Vec<i32>),
    /// As [`Rearrange`](Self::Rearrange), of integers.
    RearrangeIntegers(Vec<u32>),
    /// Integers that say where a comparison holds.
    Compare(Comparison, [Side; 2]),
    /// One of two sides by integers, the first input: the first side where they are not 0.
    Choose([Side; 2]),
    /// Of so many numbers the largest, and how many of them.
    Top(usize, usize),
    /// Steps for those rows that a choice takes from them; the plan runs them.
    Branch(Box<Branch>),
}

impl Operation {
    /// Whether many rows are computed together, since they share what is too large for the caches next to the core.
    pub(super) fn shares(&self) -> bool {
        match self {
            Self::Linear(linear) => linear.geometry.places() == 1,
            Self::Trees(_) | Self::Branch(_) => true,
            _ => false,
        }
    }

    /// Computes numbers with a point from such.
    ///
    /// # Panics
    /// If it is an operation on integers, or the lengths are not those that it was made for.
    pub(super) fn run(&self, inputs: &Inputs<'_>, output: &mut [f32], scratch: &mut [f32]) {
        let first = || inputs.real(0);
        match self {
            Self::Linear(linear) => linear.run(first(), output, scratch),
            Self::Winograd(winograd) => winograd.run(first(), output, scratch),
            Self::Table(table) => table.run(inputs.integer(0), output),
            Self::Pool(pool) => {
                rows(first(), pool.input.iter().product(), output, pool.cells(), |from, to| {
                    pool::pool(pool, from, to);
                })
            }
            Self::Reduce(reduction, count, inner) => {
                pool::reduce(*reduction, first(), output, *count, *inner)
            }
            Self::Map(activation) => activation::map(*activation, first(), output),
            Self::Arithmetic(arithmetic, sides) => {
                let [a, b] = sides.each_ref().map(|side| inputs.side(side));
                compute(*arithmetic, a, b, output);
            }
            Self::Rearrange(table) => rearrange(table, first(), output, inputs.rows.len()),
            Self::Join(widths) => join(widths, inputs, output),
            Self::Softmax(count, inner, logarithm) => {
                activation::softmax(first(), output, *count, *inner, *logarithm);
            }
            Self::Trees(trees) => trees.run(first(), output),
            Self::Lookup(width, table) => lookup(inputs.integer(0), *width, table, output),
            Self::ToReal => {
                output.iter_mut().zip(inputs.integer(0)).for_each(|(to, from)| *to = *from as f32);
            }
            Self::Choose(sides) => {
                let sides = sides.each_ref().map(|side| inputs.side(side));
                choice::choose(inputs.integer(0), sides, output);
            }
            Self::Top(count, kept) => choice::top(*count, *kept, first(), output),
            Self::ToInteger
            | Self::Largest(_)
            | Self::RearrangeIntegers(_)
            | Self::Compare(..)
            | Self::Branch(_) => {}
        }
    }

    /// Computes integers.
    pub(super) fn run_integers(&self, inputs: &Inputs<'_>, output: &mut [i32]) {
        match self {
            Self::ToInteger => {
                output.iter_mut().zip(inputs.real(0)).for_each(|(to, from)| *to = *from as i32);
            }
            Self::Largest(names) => {
                let rows = output.iter_mut().zip(inputs.real(0).chunks_exact(names.len()));
                rows.for_each(|(to, row)| *to = names[largest(row)]);
            }
            Self::RearrangeIntegers(table) => rearrange(table, inputs.integer(0), output, inputs.rows.len()),
            Self::Compare(comparison, sides) => {
                let [a, b] = sides.each_ref().map(|side| inputs.side(side));
                comparison.run(a, b, output);
            }
            _ => {}
        }
    }

    /// Whether it gives integers.
    pub(super) fn gives_integers(&self) -> bool {
        matches!(self, Self::ToInteger | Self::Largest(_) | Self::RearrangeIntegers(_) | Self::Compare(..))
    }

    /// Whether it takes so long that rows for which it is not needed had better not be computed.
    pub(super) fn is_long(&self) -> bool {
        matches!(
            self,
            Self::Linear(_) | Self::Winograd(_) | Self::Table(_) | Self::Trees(_) | Self::Branch(_)
        )
    }

    /// Floating-point operations of the sums for a row.
    pub(super) fn operations(&self) -> u64 {
        match self {
            Self::Linear(linear) => linear.operations(),
            Self::Winograd(winograd) => winograd.operations(),
            Self::Table(table) => table.operations(),
            Self::Branch(branch) => branch.plan.operations(),
            _ => 0,
        }
    }
}

/// The inputs of a step, for the rows that it computes.
pub(super) struct Inputs<'a> {
    pub(super) memory: &'a Memory,
    pub(super) places: &'a [Place],
    pub(super) rows: Range<usize>,
}

impl<'a> Inputs<'a> {
    fn real(&self, number: usize) -> &'a [f32] {
        let place = &self.places[number];
        &self.memory.reals[place.buffer][place.range(&self.rows)]
    }

    pub(super) fn integer(&self, number: usize) -> &'a [i32] {
        let place = &self.places[number];
        &self.memory.integers[place.buffer][place.range(&self.rows)]
    }

    fn side<'b>(&self, side: &'b Side) -> &'b [f32]
    where
        'a: 'b,
    {
        match side {
            Side::Input(number) => self.real(*number),
            Side::Constant(values) => values,
        }
    }
}

fn rows(from: &[f32], width: usize, to: &mut [f32], cells: usize, mut run: impl FnMut(&[f32], &mut [f32])) {
    from.chunks_exact(width).zip(to.chunks_exact_mut(cells)).for_each(|(from, to)| run(from, to));
}

fn rearrange<T: Copy>(table: &[u32], from: &[T], to: &mut [T], rows: usize) {
    let width = from.len() / rows.max(1);
    for (from, to) in from.chunks_exact(width.max(1)).zip(to.chunks_exact_mut(table.len())) {
        to.iter_mut().zip(table).for_each(|(to, place)| *to = from[*place as usize]);
    }
}

fn join(widths: &[usize], inputs: &Inputs<'_>, output: &mut [f32]) {
    let (whole, mut start) = (widths.iter().sum::<usize>(), 0);
    for (number, width) in widths.iter().enumerate() {
        let from = inputs.real(number);
        for (from, to) in from.chunks_exact(*width).zip(output.chunks_exact_mut(whole)) {
            to[start..start + width].copy_from_slice(from);
        }
        start += width;
    }
}

/// What is not in the table is not a number.
fn lookup(from: &[i32], width: usize, table: &[f32], output: &mut [f32]) {
    let rows = i32::try_from(table.len() / width).unwrap_or(i32::MAX);
    for (number, to) in from.iter().zip(output.chunks_exact_mut(width)) {
        // A number below zero counts from the end.
        let number = if *number < 0 { number + rows } else { *number };
        match usize::try_from(number).ok().and_then(|number| table.get(number * width..)?.get(..width)) {
            Some(row) => to.copy_from_slice(row),
            None => to.fill(f32::NAN),
        }
    }
}

fn largest(row: &[f32]) -> usize {
    let larger = |best: usize, place: usize| if row[place] > row[best] { place } else { best };
    (1..row.len()).fold(0, larger)
}

/// Combines two sides cell by cell; one that is shorter than the output is the same for each row, or for each cell.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn compute(arithmetic: Arithmetic, a: &[f32], b: &[f32], output: &mut [f32]) {
    match arithmetic {
        Arithmetic::Add => pairs(a, b, output, |a, b| a + b),
        Arithmetic::Sub => pairs(a, b, output, |a, b| a - b),
        Arithmetic::Mul => pairs(a, b, output, |a, b| a * b),
        Arithmetic::Div => pairs(a, b, output, |a, b| a / b),
    }
}

#[inline(always)]
fn pairs(a: &[f32], b: &[f32], output: &mut [f32], of: impl Fn(f32, f32) -> f32) {
    match (a, b) {
        (a, [b]) => output.iter_mut().zip(a).for_each(|(to, a)| *to = of(*a, *b)),
        ([a], b) => output.iter_mut().zip(b).for_each(|(to, b)| *to = of(*a, *b)),
        _ => {
            let width = a.len().min(b.len()).max(1);
            for (row, to) in output.chunks_exact_mut(width).enumerate() {
                let (a, b) = (part(a, row, width), part(b, row, width));
                to.iter_mut().zip(a).zip(b).for_each(|((to, a), b)| *to = of(*a, *b));
            }
        }
    }
}

/// The numbers for the row: those of the only row where there is but one.
#[inline(always)]
fn part(side: &[f32], row: usize, width: usize) -> &[f32] {
    if side.len() == width { side } else { &side[row * width..][..width] }
}
