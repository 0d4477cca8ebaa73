//! Execution of a KitNET in tiles of `W` rows, one row in each lane, one phase after the other for the whole ensemble.
//!
//! Every lane computes alone and in one fixed order, so that neither the width of the tile nor a row's place in it
//! changes a bit.

use super::Autoencoder;
use super::groups::fma;
use super::kernel;
use super::normal::{COLUMNS, Column, Normal};
use super::real::{Real, one_by_one};

/// The most output units that are computed together, their sums in registers.
const WIDEST: usize = 6;

/// One layer of autoencoders side by side: the units of each in panels of 1 to [`WIDEST`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layer<T> {
    one: Panels<T, 1>,
    two: Panels<T, 2>,
    three: Panels<T, 3>,
    four: Panels<T, 4>,
    five: Panels<T, 5>,
    six: Panels<T, WIDEST>,
}

impl<T: Real> Layer<T> {
    pub(crate) fn encoder(autoencoders: &[Autoencoder]) -> Self {
        let mut layer = Self::default();
        let (mut input, mut output) = (0, 0);
        for a in autoencoders {
            let weight = |v: usize, h: usize| a.weights[v * a.hidden() + h];
            layer.push((input, a.visible()), output, &a.hidden_bias, &weight);
            (input, output) = (input + a.visible(), output + a.hidden());
        }
        layer
    }

    pub(crate) fn decoder(autoencoders: &[Autoencoder]) -> Self {
        let mut layer = Self::default();
        let (mut input, mut output) = (0, 0);
        for a in autoencoders {
            let weight = |h: usize, v: usize| a.weights[v * a.hidden() + h];
            layer.push((input, a.hidden()), output, &a.visible_bias, &weight);
            (input, output) = (input + a.hidden(), output + a.visible());
        }
        layer
    }

    /// Appends an autoencoder's units in as few panels as it takes; `weight` is that of an input and a unit.
    fn push(
        &mut self,
        inputs: (usize, usize),
        output: usize,
        bias: &[f64],
        weight: &dyn Fn(usize, usize) -> f64,
    ) {
        let (count, mut unit) = (bias.len().div_ceil(WIDEST), 0);
        for panel in 0..count {
            let (units, place) =
                ((bias.len() - unit).div_ceil(count - panel), Place { inputs, output: output + unit });
            let bias = &bias[unit..][..units];
            let weight = |input: usize, j: usize| weight(input, unit + j);
            match units {
                1 => self.one.push(place, bias, weight),
                2 => self.two.push(place, bias, weight),
                3 => self.three.push(place, bias, weight),
                4 => self.four.push(place, bias, weight),
                5 => self.five.push(place, bias, weight),
                _ => self.six.push(place, bias, weight),
            }
            unit += units;
        }
    }

    /// σ(Wx + b) for every row of the tile.
    #[inline(always)]
    pub(crate) fn forward<const W: usize>(&self, x: &[[T; W]], out: &mut [[T; W]]) {
        self.one.forward(x, out);
        self.two.forward(x, out);
        self.three.forward(x, out);
        self.four.forward(x, out);
        self.five.forward(x, out);
        self.six.forward(x, out);
        logistic(out.as_flattened_mut());
    }
}

/// Where a panel reads and writes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// First input of the autoencoder, and how many.
    inputs: (usize, usize),
    /// First unit.
    output: usize,
}

/// Panels of `J` units, each of one autoencoder.
#[derive(Clone, Debug, Default, PartialEq)]
struct Panels<T, const J: usize> {
    places: Vec<Place>,
    /// For each panel its biases, the weights of input 0, of input 1, ….
    weights: Vec<[T; J]>,
}

impl<T: Real, const J: usize> Panels<T, J> {
    fn push(&mut self, place: Place, bias: &[f64], weight: impl Fn(usize, usize) -> f64) {
        self.places.push(place);
        self.weights.push(std::array::from_fn(|j| T::of(bias[j])));
        for input in 0..place.inputs.1 {
            self.weights.push(std::array::from_fn(|j| T::of(weight(input, j))));
        }
    }

    #[inline(always)]
    fn forward<const W: usize>(&self, x: &[[T; W]], out: &mut [[T; W]]) {
        let mut weights = self.weights.as_slice();
        for place in &self.places {
            let x = &x[place.inputs.0..][..place.inputs.1];
            let (these, rest) = weights.split_at(x.len() + 1);
            if let (Some((bias, these)), Some(out)) =
                (these.split_first(), out[place.output..].first_chunk_mut())
            {
                *out = sum(bias, these, x);
            }
            weights = rest;
        }
    }
}

/// Wx + b for the units of a panel.
#[inline(always)]
fn sum<T: Real, const J: usize, const W: usize>(
    bias: &[T; J],
    weights: &[[T; J]],
    x: &[[T; W]],
) -> [[T; W]; J] {
    let mut sums = [[T::default(); W]; J];
    for j in 0..J {
        sums[j] = [bias[j]; W];
    }
    for (weights, x) in weights.iter().zip(x) {
        for j in 0..J {
            sums[j] = fma(weights[j], x, &sums[j]);
        }
    }
    sums
}

#[inline(always)]
pub(crate) fn logistic<T: Real>(values: &mut [T]) {
    for value in values {
        *value = value.logistic();
    }
}

/// Writes the columns of a tile as `rows`, and normalises them in place.
#[inline(always)]
pub(crate) fn store<T: Real, const W: usize>(normal: &Normal, x: &mut [[T; W]], rows: &mut [f64]) {
    let width = x.len();
    for (c, (column, x)) in normal.columns().iter().zip(x).enumerate() {
        let mut wide = [0.0; W];
        for lane in 0..W {
            wide[lane] = x[lane].widen();
            x[lane] = column.apply(wide[lane]);
        }
        for (lane, row) in rows.chunks_exact_mut(width).enumerate().take(W) {
            row[c] = wide[lane];
        }
    }
}

/// Rows that are read together, of which the lanes of a tile are a multiple.
const TOGETHER: usize = 8;

/// Reads `rows` of `width` columns into lanes and normalises them; lanes past the last row repeat it.
#[inline(always)]
pub(crate) fn load<T: Real, const W: usize>(rows: &[f64], width: usize, normal: &Normal, x: &mut [[T; W]]) {
    let last = rows.len() / width - 1;
    for part in 0..W / TOGETHER {
        let row = |i: usize| &rows[(part * TOGETHER + i).min(last) * width..][..width];
        let rows = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
        load_rows(rows, part, normal, &mut x[..width]);
    }
}

/// Reads these rows into the lanes of part `part`: blocks of rows and columns are transposed, of which the last reaches
/// back so that it is whole.
#[inline(always)]
fn load_rows<T: Real, const W: usize>(
    rows: [&[f64]; TOGETHER],
    part: usize,
    normal: &Normal,
    x: &mut [[T; W]],
) {
    let [a, b, c, d, e, f, g, h] = rows.map(|row| row.as_chunks::<COLUMNS>().0);
    let first = a.iter().zip(b).zip(c).zip(d);
    let blocks = first.zip(e.iter().zip(f).zip(g).zip(h)).zip(normal.groups()).zip(x.as_chunks_mut().0);
    for ((((((a, b), c), d), (((e, f), g), h)), columns), x) in blocks {
        one_by_one();
        load_block([a, b, c, d, e, f, g, h], part, columns, x);
    }
    let width = x.len();
    if width.is_multiple_of(COLUMNS) {
        return;
    }
    if let (Some(columns), Some(x)) = (normal.last_group(), x.last_chunk_mut()) {
        let last = rows.map(|row| row.last_chunk().unwrap_or(&[0.0; COLUMNS]));
        return load_block(last, part, columns, x);
    }
    for (i, (column, x)) in normal.columns().iter().zip(x).enumerate() {
        for (x, row) in x[part * TOGETHER..].iter_mut().zip(rows) {
            *x = column.apply(row[i]);
        }
    }
}

/// Normalises a block and stores its columns as lanes.
#[inline(always)]
fn load_block<T: Real, const W: usize>(
    rows: [&[f64; COLUMNS]; TOGETHER],
    part: usize,
    columns: &[Column; COLUMNS],
    x: &mut [[T; W]; COLUMNS],
) {
    for (j, x) in x.iter_mut().enumerate() {
        let cell = |i: usize| columns[j].apply(rows[i][j]);
        x.as_chunks_mut().0[part] = [cell(0), cell(1), cell(2), cell(3), cell(4), cell(5), cell(6), cell(7)];
    }
}

/// The RMSE of each autoencoder in every lane.
#[inline(always)]
pub(crate) fn errors<T: Real, const W: usize>(
    places: &[kernel::Place<T>],
    x: &[[T; W]],
    z: &[[T; W]],
    errors: &mut [[T; W]],
) {
    for (place, error) in places.iter().zip(errors) {
        let range = place.start..place.start + place.len;
        *error = rmse(&x[range.clone()], &z[range], place.mean_factor);
    }
}

/// The RMSE between normalised inputs and their reconstruction in every lane.
#[inline(always)]
pub(crate) fn rmse<T: Real, const W: usize>(x: &[[T; W]], z: &[[T; W]], mean_factor: T) -> [T; W] {
    let sums = squares(x, z, T::ONE);
    if T::SCALE == T::ONE || all_finite(&sums) {
        return roots(&sums, mean_factor);
    }
    let (mut errors, scaled) = (roots(&sums, mean_factor), roots(&squares(x, z, T::SCALE), mean_factor));
    for lane in 0..W {
        if sums[lane] >= T::INFINITY {
            errors[lane] = scaled[lane] / T::SCALE;
        }
    }
    errors
}

#[inline(always)]
fn all_finite<T: Real, const W: usize>(values: &[T; W]) -> bool {
    let mut infinite = false;
    for value in values {
        infinite |= *value >= T::INFINITY;
    }
    !infinite
}

/// √(sum · factor) in every lane.
#[inline(always)]
fn roots<T: Real, const W: usize>(sums: &[T; W], factor: T) -> [T; W] {
    let mut roots = *sums;
    for root in &mut roots {
        *root = (*root * factor).root();
    }
    roots
}

/// Σ (scale · (x − z))² in every lane.
#[inline(always)]
fn squares<T: Real, const W: usize>(x: &[[T; W]], z: &[[T; W]], scale: T) -> [T; W] {
    let mut sums = [T::default(); W];
    for (x, z) in x.iter().zip(z) {
        sums = square(x, z, scale, &sums);
    }
    sums
}

/// (scale · (x − z))² + sum in each lane.
#[inline(always)]
fn square<T: Real, const W: usize>(x: &[T; W], z: &[T; W], scale: T, sums: &[T; W]) -> [T; W] {
    let mut next = *sums;
    for lane in 0..W {
        let deviation = (x[lane] - z[lane]) * scale;
        next[lane] = deviation.fma(deviation, sums[lane]);
    }
    next
}
