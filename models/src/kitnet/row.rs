//! Execution of a KitNET on one row, units in the lanes, with the bits of [`tile`](super::tile).

use super::Autoencoder;
use super::real::Real;

/// Units that are computed together. The units of each autoencoder are padded to whole groups.
pub(crate) const GROUP: usize = 4;
/// The most groups whose sums are kept in registers.
const BLOCK: usize = 5;

/// The units of one autoencoder in a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// First input of the autoencoder, and how many.
    inputs: (usize, usize),
    /// Groups of its units.
    groups: usize,
}

/// One layer of autoencoders side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layer<T> {
    places: Vec<Place>,
    /// For each autoencoder the biases of its units, the weights of input 0, of input 1, …, each in whole groups.
    weights: Vec<[T; GROUP]>,
}

impl<T: Real> Layer<T> {
    /// Reads inputs that follow each other without padding.
    pub(crate) fn encoder(autoencoders: &[Autoencoder]) -> Self {
        let mut layer = Self::default();
        let mut start = 0;
        for a in autoencoders {
            layer.push((start, a.visible()), &a.hidden_bias, |v, h| a.weights[v * a.hidden() + h]);
            start += a.visible();
        }
        layer
    }

    /// Reads the units that [`encoder`](Self::encoder) wrote.
    pub(crate) fn decoder(autoencoders: &[Autoencoder]) -> Self {
        let mut layer = Self::default();
        let mut start = 0;
        for a in autoencoders {
            layer.push((start, a.hidden()), &a.visible_bias, |h, v| a.weights[v * a.hidden() + h]);
            start += a.hidden().next_multiple_of(GROUP);
        }
        layer
    }

    /// Appends an autoencoder's units; `weight` is that of an input and a unit.
    fn push(&mut self, inputs: (usize, usize), bias: &[f64], weight: impl Fn(usize, usize) -> f64) {
        self.places.push(Place { inputs, groups: bias.len().div_ceil(GROUP) });
        self.push_groups(bias.iter().copied());
        for input in 0..inputs.1 {
            self.push_groups((0..bias.len()).map(|unit| weight(input, unit)));
        }
    }

    fn push_groups(&mut self, values: impl ExactSizeIterator<Item = f64>) {
        let start = self.weights.len();
        self.weights.resize(start + values.len().div_ceil(GROUP), [T::default(); GROUP]);
        for (to, value) in self.weights[start..].as_flattened_mut().iter_mut().zip(values) {
            *to = T::of(value);
        }
    }

    /// Groups of units in all.
    pub(crate) fn groups(&self) -> usize {
        self.places.iter().map(|place| place.groups).sum()
    }

    /// σ(Wx + b).
    #[inline(always)]
    pub(crate) fn forward(&self, x: &[T], out: &mut [[T; GROUP]]) {
        let (mut weights, mut outs) = (self.weights.as_slice(), &mut *out);
        for place in &self.places {
            let x = &x[place.inputs.0..][..place.inputs.1];
            let (these, rest) = weights.split_at((x.len() + 1) * place.groups);
            let (sums, rest_out) = std::mem::take(&mut outs).split_at_mut(place.groups);
            sum(these, x, sums);
            (weights, outs) = (rest, rest_out);
        }
        super::tile::logistic(out.as_flattened_mut());
    }
}

/// Wx + b for one autoencoder.
#[inline(always)]
fn sum<T: Real>(weights: &[[T; GROUP]], x: &[T], out: &mut [[T; GROUP]]) {
    let stride = out.len();
    let mut start = 0;
    while start < stride {
        let (weights, out) = (&weights[start..], &mut out[start..]);
        start += match out {
            [a, b, c, d, e, ..] => block::<T, BLOCK>([a, b, c, d, e], weights, stride, x),
            [a, b, c, d] => block([a, b, c, d], weights, stride, x),
            [a, b, c] => block([a, b, c], weights, stride, x),
            [a, b] => block([a, b], weights, stride, x),
            [a] => block([a], weights, stride, x),
            [] => break,
        };
    }
}

/// The sums of `B` groups. Returns `B`.
#[inline(always)]
fn block<T: Real, const B: usize>(
    out: [&mut [T; GROUP]; B],
    weights: &[[T; GROUP]],
    stride: usize,
    x: &[T],
) -> usize {
    let mut rows = weights.chunks(stride);
    let Some(bias) = rows.next().and_then(|row| row.first_chunk::<B>()) else { return B };
    let mut sums = *bias;
    for (row, x) in rows.zip(x) {
        for (sum, weights) in sums.iter_mut().zip(&row[..B]) {
            *sum = fma(weights, *x, sum);
        }
    }
    for (out, sum) in out.into_iter().zip(sums) {
        *out = sum;
    }
    B
}

/// a · b + c in each place. Written out, so that a group becomes one vector.
#[inline(always)]
fn fma<T: Real>(a: &[T; GROUP], b: T, c: &[T; GROUP]) -> [T; GROUP] {
    [a[0].fma(b, c[0]), a[1].fma(b, c[1]), a[2].fma(b, c[2]), a[3].fma(b, c[3])]
}
