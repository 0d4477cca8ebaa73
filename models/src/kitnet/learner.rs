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

/// One layer's units in the flat arrays.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Units without their padding.
    units: usize,
    /// First group.
    first: usize,
    /// How many groups.
    groups: usize,
}

impl Span {
    /// So many units behind `first` groups.
    fn new(units: usize, first: usize) -> Self {
        Self { units, first, groups: units.div_ceil(GROUP) }
    }

    /// The groups of these units.
    #[inline(always)]
    fn of(self, values: &[Group]) -> &[Group] {
        &values[self.first..][..self.groups]
    }

    #[inline(always)]
    fn of_mut(self, values: &mut [Group]) -> &mut [Group] {
        &mut values[self.first..][..self.groups]
    }

    /// The values of these units without their padding.
    #[inline(always)]
    fn units(self, values: &[Group]) -> &[f64] {
        &self.of(values).as_flattened()[..self.units]
    }
}

/// Where one autoencoder lies in the flat arrays.
#[derive(Clone, Copy, Debug)]
struct Place {
    visible: Span,
    hidden: Span,
    /// First group of its weights, one row of hidden groups for each visible unit.
    by_visible: usize,
    /// First group of its transposed weights, one row of visible groups for each hidden unit.
    by_hidden: usize,
}

/// What a row makes of the units.
#[derive(Clone, Debug, Default)]
struct Row {
    /// Normalised inputs.
    x: Vec<Group>,
    /// Hidden units; once the row is done with, times the rate.
    y: Vec<Group>,
    /// Reconstruction, then deviation.
    z: Vec<Group>,
}

/// A product of two vectors by which weights change: a column of numbers, one for each row of weights, times a row of groups.
#[derive(Clone, Copy)]
struct Product<'a> {
    column: &'a [f64],
    row: &'a [Group],
}

impl Place {
    /// Changes the weights by what the row `left` left with the gradient `g`, then adds to the hidden sums their products with the
    /// inputs `x`.
    #[inline(always)]
    fn by_visible(&self, weights: &mut [Group], sums: &mut [Group], x: &[Group], left: &Row, g: &[Group]) {
        let Self { visible, hidden, .. } = *self;
        let inputs = Product { column: visible.units(&left.x), row: hidden.of(g) };
        let deviations = Product { column: visible.units(&left.z), row: hidden.of(&left.y) };
        let weights = &mut weights[self.by_visible..][..visible.units * hidden.groups];
        learn(weights, inputs, deviations, visible.units(x), hidden.of_mut(sums));
    }

    /// The same of the transposed weights: changes them, then adds to the visible sums their products with the hidden
    /// units `y`.
    #[inline(always)]
    fn by_hidden(&self, weights: &mut [Group], sums: &mut [Group], y: &[Group], left: &Row, g: &[Group]) {
        let Self { visible, hidden, .. } = *self;
        let inputs = Product { column: hidden.units(g), row: visible.of(&left.x) };
        let deviations = Product { column: hidden.units(&left.y), row: visible.of(&left.z) };
        let weights = &mut weights[self.by_hidden..][..hidden.units * visible.groups];
        learn(weights, inputs, deviations, hidden.units(y), visible.of_mut(sums));
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
    row: Row,
    /// Gradient at the hidden units.
    g: Vec<Group>,
    /// The row before, by which the weights have yet to change.
    before: Row,
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
            row: Row::default(),
            g: Vec::new(),
            before: Row::default(),
        };
        for (autoencoder, columns) in autoencoders.iter().zip(map) {
            learner.push(autoencoder, columns);
        }
        // Before the first row, -0 times 0: that changes no weight, be it -0.
        learner.row.x.fill([-0.0; GROUP]);
        learner.row.z.fill([-0.0; GROUP]);
        learner.before = learner.row.clone();
        learner
    }

    fn push(&mut self, from: &Autoencoder, columns: &[usize]) {
        let (visible, hidden) = (from.visible(), from.hidden());
        self.places.push(Place {
            visible: Span::new(visible, self.row.x.len()),
            hidden: Span::new(hidden, self.row.y.len()),
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
        self.row.x.resize(self.visible_bias.len(), [0.0; GROUP]);
        self.row.z.resize(self.visible_bias.len(), [0.0; GROUP]);
        self.row.y.resize(self.hidden_bias.len(), [0.0; GROUP]);
        self.g.resize(self.hidden_bias.len(), [0.0; GROUP]);
        self.columns.extend(columns);
        self.columns.resize(self.row.x.len() * GROUP, 0);
    }

    /// The autoencoders as trained so far.
    pub(crate) fn autoencoders(&self) -> Vec<Autoencoder> {
        let mut settled = self.clone();
        settled.settle();
        settled.places.iter().map(|place| settled.autoencoder(place)).collect()
    }

    /// Changes the weights by the newest row. No further row may come.
    fn settle(&mut self) {
        let mut hidden = self.row.y.clone();
        let mut visible = self.row.z.clone();
        let Row { x, y, .. } = &self.row;
        for place in &self.places {
            place.by_visible(&mut self.by_visible, &mut hidden, x, &self.row, &self.g);
            place.by_hidden(&mut self.by_hidden, &mut visible, y, &self.row, &self.g);
        }
    }

    fn autoencoder(&self, place: &Place) -> Autoencoder {
        let take =
            |from: &[Group], start: usize, len: usize| from.as_flattened()[start * GROUP..][..len].to_vec();
        let biases = |from: &[Group], span: Span| span.units(from).to_vec();
        let Place { visible, hidden, by_visible, .. } = *place;
        let row = |v: usize| take(&self.by_visible, by_visible + v * hidden.groups, hidden.units);
        Autoencoder {
            weights: (0..visible.units).flat_map(row).collect(),
            hidden_bias: biases(&self.hidden_bias, hidden),
            visible_bias: biases(&self.visible_bias, visible),
            norm_min: biases(&self.norm_min, visible),
            norm_max: biases(&self.norm_max, visible),
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
    std::mem::swap(&mut learner.before, &mut learner.row);
    normalize(learner, row);
    encode(learner);
    decode(learner);
    deviate(learner, errors);
    back_propagate(learner);
    descend(learner);
}

#[inline(always)]
fn normalize(l: &mut Learner, row: &[f64]) {
    let x = l.row.x.as_flattened_mut();
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
    let Row { x, y, .. } = &mut l.row;
    y.copy_from_slice(&l.hidden_bias);
    for place in &l.places {
        place.by_visible(&mut l.by_visible, y, x, &l.before, &l.g);
    }
    sigmoid_in_place(y.as_flattened_mut());
    for (y, mask) in y.as_flattened_mut().iter_mut().zip(l.hidden_mask.as_flattened()) {
        *y *= mask;
    }
}

#[inline(always)]
fn decode(l: &mut Learner) {
    let Row { y, z, .. } = &mut l.row;
    z.copy_from_slice(&l.visible_bias);
    for place in &l.places {
        place.by_hidden(&mut l.by_hidden, z, y, &l.before, &l.g);
    }
    sigmoid_in_place(z.as_flattened_mut());
}

/// Replaces the reconstruction by its deviation x̂ − z.
#[inline(always)]
fn deviate(l: &mut Learner, errors: &mut [f64]) {
    let Row { x, z, .. } = &mut l.row;
    let z = z.as_flattened_mut();
    let x = &x.as_flattened()[..z.len()];
    let mask = &l.visible_mask.as_flattened()[..z.len()];
    for (i, z) in z.iter_mut().enumerate() {
        *z = (x[i] - *z) * mask[i];
    }
    for (place, error) in l.places.iter().zip(errors) {
        let deviations = place.visible.units(&l.row.z);
        let sum = deviations.iter().fold(0.0, |sum, e| e.mul_add(*e, sum));
        *error = (sum / place.visible.units as f64).sqrt();
    }
}

/// g = rate · (eW) · y · (1 − y).
#[inline(always)]
fn back_propagate(l: &mut Learner) {
    l.g.fill([0.0; GROUP]);
    for place in &l.places {
        let weights = &l.by_visible[place.by_visible..];
        add_products(place.hidden.of_mut(&mut l.g), weights, place.visible.units(&l.row.z));
    }
    for (g, y) in l.g.as_flattened_mut().iter_mut().zip(l.row.y.as_flattened()) {
        *g = *g * *y * (1.0 - *y) * l.rate;
    }
}

/// The biases now; W += rate · (x̂gᵀ + eyᵀ), in both orientations with the same bits, comes when the next row reads them.
#[inline(always)]
fn descend(l: &mut Learner) {
    add_assign(&mut l.hidden_bias, &l.g, 1.0);
    add_assign(&mut l.visible_bias, &l.row.z, l.rate);
    for y in l.row.y.as_flattened_mut() {
        *y *= l.rate;
    }
}

/// weights += a + b; then sums += Σᵢ inputs[i] · weights[i], in the order of i. Either orientation forms x̂·g and e·y in the same
/// order.
#[inline(always)]
fn learn(weights: &mut [Group], a: Product<'_>, b: Product<'_>, inputs: &[f64], sums: &mut [Group]) {
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
    a: Product<'_>,
    b: Product<'_>,
    inputs: &[f64],
    sums: &mut [Group],
) {
    let Some(&right_a) = a.row.first_chunk::<S>() else { return };
    let Some(&right_b) = b.row.first_chunk::<S>() else { return };
    let Some(sums) = sums.first_chunk_mut::<S>() else { return };
    let mut totals = *sums;
    let rows = weights.as_chunks_mut::<S>().0.iter_mut();
    for (((row, left_a), left_b), input) in rows.zip(a.column).zip(b.column).zip(inputs) {
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
    a: Product<'_>,
    b: Product<'_>,
    inputs: &[f64],
    sums: &mut [Group],
) {
    let (left_a, left_b) = (&a.column[..inputs.len()], &b.column[..inputs.len()]);
    for (n, row) in weights.chunks_exact_mut(stride).enumerate() {
        for (i, weights) in row.iter_mut().enumerate() {
            *weights = fma(left_a[n], &a.row[i], &fma(left_b[n], &b.row[i], weights));
            sums[i] = fma(inputs[n], weights, &sums[i]);
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
