//! Execution of a KitNET in tiles of [`LANES`] rows, one row in each lane.
//!
//! Every lane computes alone and in one fixed order, so that neither the number of rows nor their place in
//! the tile changes a bit. The functions are inlined into [`dispatch`](super::dispatch), which compiles them
//! for several instruction sets.

use super::Autoencoder;
use super::sigmoid::sigmoid_in_place;

/// Rows of a tile.
pub(crate) const LANES: usize = 8;
/// Output units that are computed together, their sums in registers.
const PANEL: usize = 4;
/// One value of each row of a tile.
type Lanes = [f64; LANES];

/// A dense layer with its weights in panels: for [`PANEL`] output units the weights of input 0, of input 1, ….
#[derive(Clone, Debug, PartialEq)]
struct Dense {
    weights: Vec<f64>,
    bias: Vec<f64>,
    inputs: usize,
}

impl Dense {
    fn pack(inputs: usize, bias: &[f64], weight: impl Fn(usize, usize) -> f64) -> Self {
        let mut weights = Vec::with_capacity(inputs * bias.len());
        for start in (0..bias.len()).step_by(PANEL) {
            let panel = start..(start + PANEL).min(bias.len());
            weights.extend(
                (0..inputs).flat_map(|i| panel.clone().map(move |o| (i, o))).map(|(i, o)| weight(i, o)),
            );
        }
        Self { weights, bias: bias.to_vec(), inputs }
    }

    /// σ(Wx + b) for every row of the tile.
    #[inline(always)]
    fn forward(&self, x: &[Lanes], out: &mut [Lanes]) {
        let (full, rest) = self.bias.as_chunks::<PANEL>();
        let (full_out, rest_out) = out.split_at_mut(full.len() * PANEL);
        let (full_weights, rest_weights) = self.weights.split_at(full_out.len() * self.inputs);
        let panels = full_weights.chunks_exact(self.inputs * PANEL);
        let outs = full_out.as_chunks_mut::<PANEL>().0;
        for ((bias, weights), out) in full.iter().zip(panels).zip(outs) {
            *out = panel(weights, bias, x);
        }
        match rest {
            [a] => rest_out.copy_from_slice(&panel(rest_weights, &[*a], x)),
            [a, b] => rest_out.copy_from_slice(&panel(rest_weights, &[*a, *b], x)),
            [a, b, c] => rest_out.copy_from_slice(&panel(rest_weights, &[*a, *b, *c], x)),
            _ => {}
        }
        sigmoid_in_place(out.as_flattened_mut());
    }
}

/// Wx + b for `J` output units.
#[inline(always)]
fn panel<const J: usize>(weights: &[f64], bias: &[f64; J], x: &[Lanes]) -> [Lanes; J] {
    let mut sums = bias.map(|b| [b; LANES]);
    for (weights, x) in weights.as_chunks::<J>().0.iter().zip(x) {
        for (sums, w) in sums.iter_mut().zip(weights) {
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = w.mul_add(*x, *sum);
            }
        }
    }
    sums
}

/// An autoencoder as the kernel reads it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packed {
    encode: Dense,
    decode: Dense,
    min: Vec<f64>,
    range: Vec<f64>,
    mean_factor: f64,
}

impl Packed {
    pub(crate) fn new(from: &Autoencoder) -> Self {
        let (visible, hidden) = (from.visible(), from.hidden());
        Self {
            encode: Dense::pack(visible, &from.hidden_bias, |v, h| from.weights[v * hidden + h]),
            decode: Dense::pack(hidden, &from.visible_bias, |h, v| from.weights[v * hidden + h]),
            min: from.norm_min.clone(),
            range: (0..visible).map(|v| from.range(v)).collect(),
            mean_factor: from.mean_factor(),
        }
    }

    /// Number of inputs.
    pub(crate) fn visible(&self) -> usize {
        self.min.len()
    }

    /// The RMSE of every row, given its inputs, which are normalised in place.
    #[inline(always)]
    fn execute(&self, x: &mut [Lanes], y: &mut [Lanes], z: &mut [Lanes]) -> Lanes {
        for ((x, min), range) in x.iter_mut().zip(&self.min).zip(&self.range) {
            for x in x {
                *x = (*x - min) / range;
            }
        }
        let (y, z) = (&mut y[..self.encode.bias.len()], &mut z[..self.decode.bias.len()]);
        self.encode.forward(x, y);
        self.decode.forward(y, z);
        self.rmse(x, z)
    }

    #[inline(always)]
    fn rmse(&self, x: &[Lanes], z: &[Lanes]) -> Lanes {
        let mut sums = [0.0; LANES];
        for (x, z) in x.iter().zip(z) {
            for l in 0..LANES {
                let deviation = x[l] - z[l];
                sums[l] = deviation.mul_add(deviation, sums[l]);
            }
        }
        sums.map(|sum| (sum * self.mean_factor).sqrt())
    }
}

/// Memory of the kernel, kept between batches by each worker. It may be used with any model.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    x: Vec<Lanes>,
    y: Vec<Lanes>,
    z: Vec<Lanes>,
    errors: Vec<Lanes>,
}

impl Scratch {
    /// Makes room for the autoencoders of a model; allocates only when one is larger than any before.
    pub(crate) fn fit<'a>(&mut self, layers: impl Iterator<Item = &'a Packed>) {
        let (mut visible, mut hidden, mut count) = (0, 0, 0);
        for layer in layers {
            visible = visible.max(layer.visible());
            hidden = hidden.max(layer.encode.bias.len());
            count += 1;
        }
        self.x.resize(visible, [0.0; LANES]);
        self.z.resize(visible, [0.0; LANES]);
        self.y.resize(hidden, [0.0; LANES]);
        self.errors.resize(count, [0.0; LANES]);
    }
}

/// Scores rows of mapped features (`width` columns): fills `errors`, row after row, and `scores`.
///
/// `scratch` fits the model; `errors` holds `ensemble.len()` values for each of `scores`.
#[inline(always)]
pub(crate) fn score(
    ensemble: &[Packed],
    output: &Packed,
    mapped: &[f64],
    width: usize,
    scratch: &mut Scratch,
    errors: &mut [f64],
    scores: &mut [f64],
) {
    let rows = mapped.chunks(LANES * width);
    let errors = errors.chunks_mut(LANES * ensemble.len());
    for ((rows, errors), scores) in rows.zip(errors).zip(scores.chunks_mut(LANES)) {
        execute_ensemble(ensemble, rows, width, scratch);
        store_columns(&scratch.errors[..ensemble.len()], errors);
        let rmse = output.execute(&mut scratch.errors[..ensemble.len()], &mut scratch.y, &mut scratch.z);
        scores.copy_from_slice(&rmse[..scores.len()]);
    }
}

#[inline(always)]
fn execute_ensemble(ensemble: &[Packed], rows: &[f64], width: usize, scratch: &mut Scratch) {
    let Scratch { x, y, z, errors } = scratch;
    let mut start = 0;
    for (autoencoder, rmse) in ensemble.iter().zip(errors) {
        let x = &mut x[..autoencoder.visible()];
        load_columns(rows, width, start, x);
        *rmse = autoencoder.execute(x, y, z);
        start += x.len();
    }
}

/// Reads `x.len()` columns from `start` on; lanes past the last row repeat it.
#[inline(always)]
fn load_columns(rows: &[f64], width: usize, start: usize, x: &mut [Lanes]) {
    let last = rows.len() / width - 1;
    let mut lanes: [&[f64]; LANES] = [&[]; LANES];
    for (l, lane) in lanes.iter_mut().enumerate() {
        *lane = &rows[l.min(last) * width + start..][..x.len()];
    }
    for (column, x) in x.iter_mut().enumerate() {
        for (x, lane) in x.iter_mut().zip(&lanes) {
            *x = lane[column];
        }
    }
}

#[inline(always)]
fn store_columns(columns: &[Lanes], rows: &mut [f64]) {
    for (lane, row) in rows.chunks_exact_mut(columns.len()).enumerate() {
        for (value, column) in row.iter_mut().zip(columns) {
            *value = column[lane];
        }
    }
}
