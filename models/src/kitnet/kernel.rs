//! A KitNET as it is executed: rows in the lanes where there are enough of them, units where there are few.

use super::groups::GROUP;
use super::normal::Normal;
use super::real::Real;
use super::{Autoencoder, row, tile};
use legonf_core::{LANES, Tiles};

/// Autoencoders side by side, or the output alone.
#[derive(Clone, Debug, PartialEq)]
struct Stage<T> {
    by_row: (tile::Layer<T>, tile::Layer<T>),
    by_unit: (row::Layer<T>, row::Layer<T>),
    autoencoders: Vec<Place<T>>,
    visible: usize,
    hidden: usize,
}

/// The phases of a tile of `W` rows, compiled for some instruction set.
pub(crate) trait Phases<T, const W: usize> {
    /// [`tile::load`]
    fn load(columns: &[[f64; LANES]], normal: &Normal, x: &mut [[T; W]]);
    /// [`tile::store`]
    fn store(normal: &Normal, x: &mut [[T; W]], errors: &mut [[f64; LANES]]);
    /// [`tile::Layer::forward`]
    fn forward(layer: &tile::Layer<T>, x: &[[T; W]], out: &mut [[T; W]]);
    /// [`tile::errors`]
    fn errors(places: &[Place<T>], x: &[[T; W]], z: &[[T; W]], errors: &mut [[T; W]]);
    /// [`Network::score_row`]
    fn row(
        network: &Network<T>,
        row: (&[[f64; LANES]], usize),
        buffers: &mut Buffers<T>,
        errors: &mut [[f64; LANES]],
    ) -> f64;
}

/// Where an autoencoder's inputs lie, and what makes a sum over them a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place<T> {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) mean_factor: T,
}

impl<T: Real> Stage<T> {
    fn new(autoencoders: &[Autoencoder]) -> Self {
        let mut visible = 0;
        let place = |a: &Autoencoder| {
            let place = Place { start: visible, len: a.visible(), mean_factor: T::of(a.mean_factor()) };
            visible += a.visible();
            place
        };
        Self {
            by_row: (tile::Layer::encoder(autoencoders), tile::Layer::decoder(autoencoders)),
            by_unit: (row::Layer::encoder(autoencoders), row::Layer::decoder(autoencoders)),
            autoencoders: autoencoders.iter().map(place).collect(),
            visible,
            hidden: autoencoders.iter().map(Autoencoder::hidden).sum(),
        }
    }

    /// The RMSE of each autoencoder in every lane, given normalised inputs.
    fn execute_tile<P: Phases<T, W>, const W: usize>(
        &self,
        x: &[[T; W]],
        y: &mut [[T; W]],
        z: &mut [[T; W]],
        errors: &mut [[T; W]],
    ) {
        P::forward(&self.by_row.0, x, &mut y[..self.hidden]);
        P::forward(&self.by_row.1, y, &mut z[..self.visible]);
        P::errors(&self.autoencoders, x, z, errors);
    }

    /// The RMSE of each autoencoder, given normalised inputs.
    #[inline(always)]
    fn execute_row(&self, x: &[T], y: &mut [T], z: &mut [T], errors: &mut [T]) {
        let y = y.as_chunks_mut().0;
        self.by_unit.0.forward(x, &mut y[..self.by_unit.0.groups()]);
        let z = z.as_chunks_mut().0;
        self.by_unit.1.forward(y.as_flattened(), &mut z[..self.by_unit.1.groups()]);
        let mut z = z.as_flattened();
        for (place, error) in self.autoencoders.iter().zip(errors) {
            let x = &x[place.start..][..place.len];
            let (these, rest) = z.split_at(place.len.next_multiple_of(GROUP));
            [*error] = tile::rmse(lanes(x), &lanes(these)[..x.len()], place.mean_factor);
            z = rest;
        }
    }
}

/// Numbers as tiles of one row.
#[inline(always)]
fn lanes<T>(values: &[T]) -> &[[T; 1]] {
    values.as_chunks().0
}

/// An ensemble and its output, ready to run in numbers of type `T`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Network<T> {
    normal: Normal,
    ensemble: Stage<T>,
    output_normal: Normal,
    output: Stage<T>,
}

impl<T: Real> Network<T> {
    pub(crate) fn new(ensemble: &[Autoencoder], output: &Autoencoder) -> Self {
        let output = std::slice::from_ref(output);
        Self {
            normal: Normal::of(ensemble),
            ensemble: Stage::new(ensemble),
            output_normal: Normal::of(output),
            output: Stage::new(output),
        }
    }

    /// Scores rows of mapped features: fills `errors` and `scores`. `buffers` fit the network, and `errors` has a column for
    /// each autoencoder and as many rows as `scores`.
    pub(crate) fn score<P: Phases<T, W>, const W: usize>(
        &self,
        mapped: &Tiles,
        buffers: &mut Buffers<T>,
        errors: &mut Tiles,
        scores: &mut [f64],
    ) {
        let (width, count) = (self.ensemble.visible, self.ensemble.autoencoders.len());
        let tiles = mapped.columns().chunks(W / LANES * width);
        for ((columns, errors), scores) in
            tiles.zip(errors.columns_mut().chunks_mut(W / LANES * count)).zip(scores.chunks_mut(W))
        {
            if scores.len() > FEW {
                self.score_tile::<P, W>(columns, buffers, errors, scores);
                continue;
            }
            for (lane, score) in scores.iter_mut().enumerate() {
                *score = P::row(self, (columns, lane), buffers, errors);
            }
        }
    }

    fn score_tile<P: Phases<T, W>, const W: usize>(
        &self,
        columns: &[[f64; LANES]],
        buffers: &mut Buffers<T>,
        errors: &mut [[f64; LANES]],
        scores: &mut [f64],
    ) {
        let count = self.ensemble.autoencoders.len();
        let [x, y, z, e] = buffers.parts().map(|part| part.as_chunks_mut::<W>().0);
        let e = &mut e[..count];
        P::load(columns, &self.normal, x);
        self.ensemble.execute_tile::<P, W>(x, y, z, e);
        P::store(&self.output_normal, e, errors);
        let mut rmse = [[T::default(); W]];
        self.output.execute_tile::<P, W>(e, y, z, &mut rmse);
        for (score, rmse) in scores.iter_mut().zip(rmse[0]) {
            *score = rmse.widen();
        }
    }

    /// Scores the row in one lane of a tile, units in the lanes.
    #[inline(always)]
    pub(crate) fn score_row(
        &self,
        (columns, lane): (&[[f64; LANES]], usize),
        buffers: &mut Buffers<T>,
        errors: &mut [[f64; LANES]],
    ) -> f64 {
        let [x, y, z, e] = buffers.parts();
        for (column, (x, cells)) in self.normal.columns().iter().zip(x.iter_mut().zip(columns)) {
            *x = column.apply(cells[lane % LANES]);
        }
        let e = &mut e[..errors.len()];
        self.ensemble.execute_row(x, y, z, e);
        for (column, (e, errors)) in self.output_normal.columns().iter().zip(e.iter_mut().zip(errors)) {
            let wide = e.widen();
            errors[lane % LANES] = wide;
            *e = column.apply(wide);
        }
        let mut rmse = [T::default()];
        self.output.execute_row(e, y, z, &mut rmse);
        rmse[0].widen()
    }
}

/// Rows that take less one by one than as a tile.
const FEW: usize = 3;

/// Rows of the widest tile.
pub(crate) const WIDEST: usize = 32;

/// Memory of the kernel in one precision.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers<T> {
    x: Vec<T>,
    y: Vec<T>,
    z: Vec<T>,
    errors: Vec<T>,
}

impl<T: Real> Buffers<T> {
    /// Makes room for a network; allocates only when it is larger than any before.
    pub(crate) fn fit(&mut self, network: &Network<T>) {
        let padded = |units: usize, count: usize| (units + count * GROUP) * WIDEST;
        let stages = [&network.ensemble, &network.output];
        let visible = stages.map(|s| padded(s.visible, s.autoencoders.len())).into_iter().max().unwrap_or(0);
        let hidden = stages.map(|s| padded(s.hidden, s.autoencoders.len())).into_iter().max().unwrap_or(0);
        for (part, len) in self.parts_mut().into_iter().zip([
            visible,
            hidden,
            visible,
            network.ensemble.autoencoders.len() * WIDEST,
        ]) {
            if part.len() < len {
                part.resize(len, T::default());
            }
        }
    }

    fn parts_mut(&mut self) -> [&mut Vec<T>; 4] {
        [&mut self.x, &mut self.y, &mut self.z, &mut self.errors]
    }

    #[inline(always)]
    fn parts(&mut self) -> [&mut [T]; 4] {
        [&mut self.x, &mut self.y, &mut self.z, &mut self.errors]
    }
}

/// Memory of the kernel, kept between batches by each worker. It may be used with any model.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(crate) double: Buffers<f64>,
    pub(crate) single: Buffers<f32>,
}
