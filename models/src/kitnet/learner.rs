//! Online gradient descent over a group of autoencoders that are trained side by side.
//!
//! Units of all autoencoders lie in flat arrays, each autoencoder padded to whole groups of [`GROUP`], and
//! weights are kept in both orientations, so that every inner loop runs over whole groups. Padding is held
//! at zero by masks and changes no bit of any other value.
//!
//! What a row changes of the weights is added when the next row reads them, so that they are loaded once for both.

use super::Autoencoder;
use super::groups::{self, BLOCK, GROUP, add_products, fma};
use super::real::one_by_one;
use super::sigmoid::sigmoid_in_place;

type Group = groups::Group<f64>;

/// Where one autoencoder lies in the flat arrays, in groups.
#[derive(Clone, Copy, Debug)]
struct Place {
    visible: usize,
    hidden: usize,
    /// First group of its visible units, and how many groups.
    visible_groups: (usize, usize),
    /// First group of its hidden units, and how many groups.
    hidden_groups: (usize, usize),
    /// First group of its weights, one row of hidden groups for each visible unit.
    by_visible: usize,
    /// First group of its transposed weights, one row of visible groups for each hidden unit.
    by_hidden: usize,
}

/// What a row leaves to change the weights by: its inputs, hidden units and deviations; and the gradient.
type Left<'a> = ([&'a Vec<Group>; 3], &'a [Group]);

impl Place {
    /// Changes the weights by what a row left, then adds to the hidden sums their products with the inputs `x`.
    #[inline(always)]
    fn by_visible(&self, weights: &mut [Group], sums: &mut [Group], x: &[Group], left: Left<'_>) {
        let (([before, y, e], g), hidden) = (left, self.hidden_groups);
        let units = |values| units(values, self.visible_groups, self.visible);
        let (g, y) = (&g[hidden.0..][..hidden.1], &y[hidden.0..][..hidden.1]);
        let weights = &mut weights[self.by_visible..][..self.visible * hidden.1];
        let sums = &mut sums[hidden.0..][..hidden.1];
        learn(weights, (units(before), g), (units(e), y), units(x), sums);
    }

    /// The same of the transposed weights: changes them, then adds to the visible sums their products with the hidden
    /// units `y`.
    #[inline(always)]
    fn by_hidden(&self, weights: &mut [Group], sums: &mut [Group], y: &[Group], left: Left<'_>) {
        let (([x, before, e], g), visible) = (left, self.visible_groups);
        let units = |values| units(values, self.hidden_groups, self.hidden);
        let (x, e) = (&x[visible.0..][..visible.1], &e[visible.0..][..visible.1]);
        let weights = &mut weights[self.by_hidden..][..self.hidden * visible.1];
        let sums = &mut sums[visible.0..][..visible.1];
        learn(weights, (units(g), x), (units(before), e), units(y), sums);
    }
}

/// Autoencoders in training.
#[derive(Clone, Debug)]
pub(crate) struct Learner {
    rate: f64,
    places: Vec<Place>,
    /// Column of the input row for each visible unit; padding reads column 0 and is masked.
    columns: Vec<usize>,
    by_visible: Vec<Group>,
    by_hidden: Vec<Group>,
    hidden_bias: Vec<Group>,
    visible_bias: Vec<Group>,
    norm_min: Vec<Group>,
    norm_max: Vec<Group>,
    visible_mask: Vec<Group>,
    hidden_mask: Vec<Group>,
    /// Normalised inputs.
    x: Vec<Group>,
    /// Hidden units; once the row is done with, times the rate.
    y: Vec<Group>,
    /// Reconstruction, then deviation.
    z: Vec<Group>,
    /// Gradient at the hidden units.
    g: Vec<Group>,
    /// The row before, by which the weights have yet to change: its inputs, hidden units and deviations.
    before: [Vec<Group>; 3],
}

impl Learner {
    /// Training continues from `autoencoders`; autoencoder `a` reads the columns `map[a]` of each row.
    pub(crate) fn new(autoencoders: &[Autoencoder], map: &[Vec<usize>], rate: f64) -> Self {
        let mut learner = Self {
            rate,
            places: Vec::new(),
            columns: Vec::new(),
            by_visible: Vec::new(),
            by_hidden: Vec::new(),
            hidden_bias: Vec::new(),
            visible_bias: Vec::new(),
            norm_min: Vec::new(),
            norm_max: Vec::new(),
            visible_mask: Vec::new(),
            hidden_mask: Vec::new(),
            x: Vec::new(),
            y: Vec::new(),
            z: Vec::new(),
            g: Vec::new(),
            before: Default::default(),
        };
        for (autoencoder, columns) in autoencoders.iter().zip(map) {
            learner.push(autoencoder, columns);
        }
        // Before the first row, -0 times 0: that changes no weight, be it -0.
        learner.x.fill([-0.0; GROUP]);
        learner.z.fill([-0.0; GROUP]);
        learner.before = [learner.x.clone(), learner.y.clone(), learner.z.clone()];
        learner
    }

    fn push(&mut self, from: &Autoencoder, columns: &[usize]) {
        let (visible, hidden) = (from.visible(), from.hidden());
        self.places.push(Place {
            visible,
            hidden,
            visible_groups: (self.x.len(), visible.div_ceil(GROUP)),
            hidden_groups: (self.y.len(), hidden.div_ceil(GROUP)),
            by_visible: self.by_visible.len(),
            by_hidden: self.by_hidden.len(),
        });
        for row in from.weights.chunks_exact(hidden) {
            extend(&mut self.by_visible, row.iter().copied());
        }
        for h in 0..hidden {
            extend(&mut self.by_hidden, (0..visible).map(|v| from.weights[v * hidden + h]));
        }
        extend(&mut self.hidden_bias, from.hidden_bias.iter().copied());
        extend(&mut self.visible_bias, from.visible_bias.iter().copied());
        extend(&mut self.norm_min, from.norm_min.iter().copied());
        extend(&mut self.norm_max, from.norm_max.iter().copied());
        extend(&mut self.visible_mask, (0..visible).map(|_| 1.0));
        extend(&mut self.hidden_mask, (0..hidden).map(|_| 1.0));
        self.x.resize(self.visible_bias.len(), [0.0; GROUP]);
        self.z.resize(self.visible_bias.len(), [0.0; GROUP]);
        self.y.resize(self.hidden_bias.len(), [0.0; GROUP]);
        self.g.resize(self.hidden_bias.len(), [0.0; GROUP]);
        self.columns.extend(columns);
        self.columns.resize(self.x.len() * GROUP, 0);
    }

    /// The autoencoders as trained so far.
    pub(crate) fn autoencoders(&self) -> Vec<Autoencoder> {
        let mut settled = self.clone();
        settled.settle();
        settled.places.iter().map(|place| settled.autoencoder(place)).collect()
    }

    /// Changes the weights by the newest row. No further row may come.
    fn settle(&mut self) {
        let (mut hidden, mut visible) = (self.y.clone(), self.z.clone());
        for place in &self.places {
            let [x, y, z] = [&self.x, &self.y, &self.z];
            place.by_visible(&mut self.by_visible, &mut hidden, x, ([x, y, z], &self.g));
            place.by_hidden(&mut self.by_hidden, &mut visible, y, ([x, y, z], &self.g));
        }
    }

    fn autoencoder(&self, place: &Place) -> Autoencoder {
        let take =
            |from: &[Group], start: usize, len: usize| from.as_flattened()[start * GROUP..][..len].to_vec();
        let (visible, hidden) = (place.visible_groups.0, place.hidden_groups);
        let row = |v: usize| take(&self.by_visible, place.by_visible + v * hidden.1, place.hidden);
        Autoencoder {
            weights: (0..place.visible).flat_map(row).collect(),
            hidden_bias: take(&self.hidden_bias, hidden.0, place.hidden),
            visible_bias: take(&self.visible_bias, visible, place.visible),
            norm_min: take(&self.norm_min, visible, place.visible),
            norm_max: take(&self.norm_max, visible, place.visible),
        }
    }
}

/// Appends values and fills the last group with zeros.
fn extend(groups: &mut Vec<Group>, values: impl ExactSizeIterator<Item = f64>) {
    let start = groups.len();
    groups.resize(start + values.len().div_ceil(GROUP), [0.0; GROUP]);
    for (to, value) in groups[start..].as_flattened_mut().iter_mut().zip(values) {
        *to = value;
    }
}

/// One step of gradient descent on one row, and the RMSE of every autoencoder before the step.
#[inline(always)]
pub(crate) fn train(learner: &mut Learner, row: &[f64], errors: &mut [f64]) {
    let [x, y, z] = &mut learner.before;
    std::mem::swap(x, &mut learner.x);
    std::mem::swap(y, &mut learner.y);
    std::mem::swap(z, &mut learner.z);
    normalize(learner, row);
    encode(learner);
    decode(learner);
    deviate(learner, errors);
    back_propagate(learner);
    descend(learner);
}

#[inline(always)]
fn normalize(l: &mut Learner, row: &[f64]) {
    let x = l.x.as_flattened_mut();
    for (x, column) in x.iter_mut().zip(&l.columns) {
        *x = row[*column];
    }
    let (min, max) = (l.norm_min.as_flattened_mut(), l.norm_max.as_flattened_mut());
    for (((x, min), max), mask) in x.iter_mut().zip(min).zip(max).zip(l.visible_mask.as_flattened()) {
        let value = if *mask == 0.0 { 0.0 } else { *x };
        *max = if value > *max { value } else { *max };
        *min = if value < *min { value } else { *min };
        *x = (value - *min) / (*max - *min + 1e-16);
    }
}

#[inline(always)]
fn encode(l: &mut Learner) {
    l.y.copy_from_slice(&l.hidden_bias);
    for place in &l.places {
        place.by_visible(&mut l.by_visible, &mut l.y, &l.x, (l.before.each_ref(), &l.g));
    }
    sigmoid_in_place(l.y.as_flattened_mut());
    for (y, mask) in l.y.as_flattened_mut().iter_mut().zip(l.hidden_mask.as_flattened()) {
        *y *= mask;
    }
}

#[inline(always)]
fn decode(l: &mut Learner) {
    l.z.copy_from_slice(&l.visible_bias);
    for place in &l.places {
        place.by_hidden(&mut l.by_hidden, &mut l.z, &l.y, (l.before.each_ref(), &l.g));
    }
    sigmoid_in_place(l.z.as_flattened_mut());
}

/// Replaces the reconstruction by its deviation x̂ − z.
#[inline(always)]
fn deviate(l: &mut Learner, errors: &mut [f64]) {
    let z = l.z.as_flattened_mut().iter_mut();
    for ((z, x), mask) in z.zip(l.x.as_flattened()).zip(l.visible_mask.as_flattened()) {
        *z = (*x - *z) * mask;
    }
    for (place, error) in l.places.iter().zip(errors) {
        let deviations = &l.z.as_flattened()[place.visible_groups.0 * GROUP..][..place.visible];
        let sum = deviations.iter().fold(0.0, |sum, e| e.mul_add(*e, sum));
        *error = (sum / place.visible as f64).sqrt();
    }
}

/// g = rate · (eW) · y · (1 − y).
#[inline(always)]
fn back_propagate(l: &mut Learner) {
    l.g.fill([0.0; GROUP]);
    for place in &l.places {
        let g = &mut l.g[place.hidden_groups.0..][..place.hidden_groups.1];
        let weights = &l.by_visible[place.by_visible..];
        add_products(g, weights, units(&l.z, place.visible_groups, place.visible));
    }
    for (g, y) in l.g.as_flattened_mut().iter_mut().zip(l.y.as_flattened()) {
        *g = *g * *y * (1.0 - *y) * l.rate;
    }
}

/// The biases now; W += rate · (x̂gᵀ + eyᵀ), in both orientations with the same bits, comes when the next row reads them.
#[inline(always)]
fn descend(l: &mut Learner) {
    add_assign(&mut l.hidden_bias, &l.g, 1.0);
    add_assign(&mut l.visible_bias, &l.z, l.rate);
    for y in l.y.as_flattened_mut() {
        *y *= l.rate;
    }
}

/// The values of one autoencoder's units without their padding.
#[inline(always)]
fn units(values: &[Group], groups: (usize, usize), count: usize) -> &[f64] {
    &values[groups.0..][..groups.1].as_flattened()[..count]
}

/// weights += a.0 a.1ᵀ + b.0 b.1ᵀ; then sums += Σᵢ inputs[i] · weights[i], in the order of i. Either orientation forms x̂·g
/// and e·y in the same order.
#[inline(always)]
fn learn(
    weights: &mut [Group],
    a: (&[f64], &[Group]),
    b: (&[f64], &[Group]),
    inputs: &[f64],
    sums: &mut [Group],
) {
    match sums.len() {
        1 => learn_rows::<1>(weights, a, b, inputs, sums),
        2 => learn_rows::<2>(weights, a, b, inputs, sums),
        3 => learn_rows::<3>(weights, a, b, inputs, sums),
        4 => learn_rows::<4>(weights, a, b, inputs, sums),
        5 => learn_rows::<5>(weights, a, b, inputs, sums),
        BLOCK => learn_rows::<BLOCK>(weights, a, b, inputs, sums),
        stride => learn_long_rows(weights, stride, a, b, inputs, sums),
    }
}

/// [`learn`] for rows of `S` groups, whose right sides and sums stay in registers.
#[inline(always)]
fn learn_rows<const S: usize>(
    weights: &mut [Group],
    a: (&[f64], &[Group]),
    b: (&[f64], &[Group]),
    inputs: &[f64],
    sums: &mut [Group],
) {
    let right = (a.1.first_chunk::<S>(), b.1.first_chunk::<S>(), sums.first_chunk_mut::<S>());
    let (Some(&right_a), Some(&right_b), Some(sums)) = right else { return };
    let mut totals = *sums;
    let rows = weights.as_chunks_mut::<S>().0.iter_mut();
    for (((row, left_a), left_b), input) in rows.zip(a.0).zip(b.0).zip(inputs) {
        one_by_one();
        for i in 0..S {
            row[i] = fma(*left_a, &right_a[i], &fma(*left_b, &right_b[i], &row[i]));
            totals[i] = fma(*input, &row[i], &totals[i]);
        }
    }
    *sums = totals;
}

/// [`learn`] for rows of `stride` groups.
#[inline(always)]
fn learn_long_rows(
    weights: &mut [Group],
    stride: usize,
    a: (&[f64], &[Group]),
    b: (&[f64], &[Group]),
    inputs: &[f64],
    sums: &mut [Group],
) {
    let rows = weights.chunks_exact_mut(stride);
    for (((row, left_a), left_b), input) in rows.zip(a.0).zip(b.0).zip(inputs) {
        for (i, weights) in row.iter_mut().enumerate() {
            *weights = fma(*left_a, &a.1[i], &fma(*left_b, &b.1[i], weights));
            sums[i] = fma(*input, weights, &sums[i]);
        }
    }
}

#[inline(always)]
fn add_assign(to: &mut [Group], values: &[Group], factor: f64) {
    for (to, value) in to.as_flattened_mut().iter_mut().zip(values.as_flattened()) {
        *to = factor.mul_add(*value, *to);
    }
}

#[cfg(test)]
mod tests;
