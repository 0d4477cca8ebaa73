//! Execution of a KitNET on one row, units in the lanes, with the bits of [`tile`](super::tile).

use super::Autoencoder;
use super::groups::{GROUP, add_products};
use super::real::Real;

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
            *to = T::weight(value);
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
            let (bias, these) = these.split_at(place.groups);
            sums.copy_from_slice(bias);
            add_products(sums, these, x);
            (weights, outs) = (rest, rest_out);
        }
        super::tile::logistic(out.as_flattened_mut());
    }
}
