//! Execution of a KitNET in tiles of `W` rows, one row in each lane, one phase after the other for the whole ensemble.
//!
//! Every lane computes alone and in one fixed order, so that neither the width of the tile nor a row's place in it
//! changes a bit.

use super::Autoencoder;
use super::groups::fma;
use super::kernel;
use super::normal::Normal;
use super::real::{Real, one_by_one};
use legonf_core::LANES;

/// Tiles of a matrix that are computed together, at most.
const PARTS: usize = kernel::WIDEST / LANES;
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
        self.weights.push(std::array::from_fn(|j| T::weight(bias[j])));
        for input in 0..place.inputs.1 {
            self.weights.push(std::array::from_fn(|j| T::weight(weight(input, j))));
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

/// Normalises the columns of the tiles that `W` rows are; where there are fewer, the first stands for the others.
#[inline(always)]
pub(crate) fn load<T: Real, const W: usize>(columns: &[[f64; LANES]], normal: &Normal, x: &mut [[T; W]]) {
    let width = normal.columns().len();
    let first = |part: usize| if columns.len() > part * width { part * width } else { 0 };
    let firsts: [usize; PARTS] = std::array::from_fn(first);
    for (c, (column, x)) in normal.columns().iter().zip(x).enumerate() {
        one_by_one();
        for (part, x) in x.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            *x = columns[firsts[part] + c].map(|cell| column.apply(cell));
        }
    }
}

/// Writes the columns of `W` rows to the tiles that they are, as far as there are such, and normalises them in place.
#[inline(always)]
pub(crate) fn store<T: Real, const W: usize>(
    normal: &Normal,
    x: &mut [[T; W]],
    columns: &mut [[f64; LANES]],
) {
    let width = x.len();
    for (c, (column, x)) in normal.columns().iter().zip(x).enumerate() {
        one_by_one();
        for (part, x) in x.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let wide = x.map(T::widen);
            if let Some(cells) = columns.get_mut(part * width + c) {
                *cells = wide;
            }
            *x = wide.map(|cell| column.apply(cell));
        }
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
    let mut largest = [T::default(); W];
    for (place, error) in places.iter().zip(errors.iter_mut()) {
        let range = place.start..place.start + place.len;
        *error = roots(&squares(&x[range.clone()], &z[range], T::ONE), place.mean_factor);
        for lane in 0..W {
            largest[lane] = if error[lane] > largest[lane] { error[lane] } else { largest[lane] };
        }
    }
    if T::SCALE != T::ONE && largest.iter().any(|error| *error >= T::INFINITY) {
        for (place, error) in places.iter().zip(errors) {
            let range = place.start..place.start + place.len;
            rescale(error, &x[range.clone()], &z[range], place.mean_factor);
        }
    }
}

/// The RMSE between normalised inputs and their reconstruction in every lane.
#[inline(always)]
pub(crate) fn rmse<T: Real, const W: usize>(x: &[[T; W]], z: &[[T; W]], mean_factor: T) -> [T; W] {
    let mut errors = roots(&squares(x, z, T::ONE), mean_factor);
    if T::SCALE != T::ONE && errors.iter().any(|error| *error >= T::INFINITY) {
        rescale(&mut errors, x, z, mean_factor);
    }
    errors
}

/// Computes anew, from scaled deviations, what squares beyond all bounds have made infinite.
#[cold]
fn rescale<T: Real, const W: usize>(errors: &mut [T; W], x: &[[T; W]], z: &[[T; W]], mean_factor: T) {
    let scaled = roots(&squares(x, z, T::SCALE), mean_factor);
    for lane in 0..W {
        if errors[lane] >= T::INFINITY {
            errors[lane] = scaled[lane] / T::SCALE;
        }
    }
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
