//! Convolutions over numbers of a table, as sums of its weighed rows.
//!
//! A convolution over one axis weighs at each place the rows of a table that integers name. What a row gives at a place of the window
//! is one of few vectors, so these are computed once: a place of the output is the sum of as many vectors as the window has places.
//! The vectors are formed in double precision, and summed in the order of the window, beginning with the bias.

use super::activation::Activation;
use super::linear::{LANES, Linear, Vector, put};
use multiversion::multiversion;

/// Numbers of all vectors at most: those of a larger table would come from memory.
const MOST: usize = 1 << 18;
/// Panels that are summed together where there are as many.
const PANELS: usize = 4;

/// A convolution over one axis of rows of a table, with what follows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    /// Integers of a row, and zeros before them.
    length: usize,
    before: usize,
    /// Places of the window, and of the input from one to the next place of the output.
    window: usize,
    step: usize,
    /// Rows of the table.
    rows: usize,
    /// Channels of the output, and places of it.
    channels: usize,
    places: usize,
    /// For each place of the window: what each row gives, then what is no row gives (not a number), then nothing (zeros).
    vectors: Vec<Vector>,
    bias: Vec<Vector>,
    activation: Activation,
}

impl Table {
    /// A convolution of rows of `width` numbers as sums of vectors, if it moves over one axis and they are few.
    pub(super) fn of(linear: &Linear, width: usize, table: &[f32]) -> Option<Self> {
        let geometry = &linear.geometry;
        let ([lines, length, depth], [above, before, below, _]) = (geometry.input, geometry.pads);
        let (rows, window, panels) = (table.len() / width, geometry.run / width, linear.bias.len());
        let line = lines == 1 && geometry.output[0] == 1 && above + below == 0 && depth == width;
        let adjacent = geometry.offsets == [0] && geometry.run == window * width && window > 1;
        let size = window.checked_mul(rows + 2)?.checked_mul(panels * LANES)?;
        if !line || !adjacent || size > MOST {
            return None;
        }
        let mut vectors = Vec::with_capacity(size / LANES);
        for place in 0..window {
            let weights = |panel: usize| &linear.panels[panel * geometry.run + place * width..][..width];
            for row in table.chunks_exact(width) {
                vectors.extend((0..panels).map(|panel| weighed(weights(panel), row)));
            }
            vectors.extend((0..panels).map(|_| [f32::NAN; LANES]));
            vectors.extend((0..panels).map(|_| [0.0; LANES]));
        }
        Some(Self {
            length,
            before,
            window,
            step: geometry.steps[1],
            rows,
            channels: linear.channels,
            places: geometry.places(),
            vectors,
            bias: linear.bias.clone(),
            activation: linear.activation,
        })
    }

    /// Floating-point operations of a row: additions.
    pub(super) fn operations(&self) -> u64 {
        (self.places * self.window * self.channels) as u64
    }

    /// Computes rows of the output from rows of integers.
    pub(super) fn run(&self, input: &[i32], output: &mut [f32]) {
        let cells = self.places * self.channels;
        for (input, output) in input.chunks_exact(self.length).zip(output.chunks_exact_mut(cells)) {
            row(self, input, output);
        }
    }

    /// Where the vectors begin that stand at a place of the input, counted with the zeros before it.
    #[inline(always)]
    fn begin(&self, input: &[i32], place: usize) -> usize {
        let number = match place.checked_sub(self.before).and_then(|place| input.get(place)) {
            None => self.rows + 1,
            // A number below zero counts from the end.
            Some(number) if *number < 0 => {
                (*number as i64 + self.rows as i64).try_into().unwrap_or(self.rows)
            }
            Some(number) => (*number as usize).min(self.rows),
        };
        number * self.bias.len()
    }
}

/// A row of the table times the weights of a panel.
fn weighed(weights: &[Vector], row: &[f32]) -> Vector {
    std::array::from_fn(|lane| {
        let products = row.iter().zip(weights).map(|(x, weights)| f64::from(*x) * f64::from(weights[lane]));
        products.sum::<f64>() as f32
    })
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn row(table: &Table, input: &[i32], output: &mut [f32]) {
    for (place, output) in output.chunks_exact_mut(table.channels).enumerate() {
        let mut panel = 0;
        while panel + PANELS <= table.bias.len() {
            sums::<PANELS>(table, panel, input, place * table.step, output);
            panel += PANELS;
        }
        while panel < table.bias.len() {
            sums::<1>(table, panel, input, place * table.step, output);
            panel += 1;
        }
    }
}

/// `J` panels of a place of the output, whose window begins at `first`.
#[inline(always)]
fn sums<const J: usize>(table: &Table, panel: usize, input: &[i32], first: usize, output: &mut [f32]) {
    let Some(bias) = table.bias[panel..].first_chunk::<J>() else { return };
    let mut sums = *bias;
    let all = (table.rows + 2) * table.bias.len();
    for at in 0..table.window {
        let begin = at * all + table.begin(input, first + at) + panel;
        let Some(vectors) = table.vectors[begin..].first_chunk::<J>() else { continue };
        for j in 0..J {
            sums[j] = add(&sums[j], &vectors[j]);
        }
    }
    put(table.activation, &mut output[panel * LANES..], &sums);
}

#[inline(always)]
fn add(a: &Vector, b: &Vector) -> Vector {
    let mut sums = *a;
    for lane in 0..LANES {
        sums[lane] = a[lane] + b[lane];
    }
    sums
}
