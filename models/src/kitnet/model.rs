//! A trained KitNET, ready to run.

use super::dispatch::Widest;
use super::gather::Gather;
use super::kernel::{Network, Scratch};
use super::{Autoencoder, Defect, MAX_FEATURES, Precision};
use legonf_core::{Rows, Tiles};

/// A trained KitNET: an ensemble of autoencoders, each over some of the features, and an output
/// autoencoder over their errors (Kitsune §IV-D). Immutable, shared by all workers.
#[derive(Clone, Debug, PartialEq)]
pub struct KitNet {
    features: usize,
    map: Vec<Vec<usize>>,
    ensemble: Vec<Autoencoder>,
    output: Autoencoder,
    gather: Gather,
    double: Network<f64>,
    single: Network<f32>,
}

impl KitNet {
    /// Puts a model together: `map[a]` lists the features that autoencoder `a` reads, in its order.
    ///
    /// # Errors
    /// Names the part whose shape or numbers are wrong.
    pub fn new(
        features: usize,
        map: Vec<Vec<usize>>,
        ensemble: Vec<Autoencoder>,
        output: Autoencoder,
    ) -> Result<Self, Defect> {
        if features == 0 || features > MAX_FEATURES {
            return Err(Defect::new("features", format!("expected 1 to {MAX_FEATURES}, found {features}")));
        }
        check_map(&map, features, &ensemble, &output)?;
        let hidden: usize = ensemble.iter().map(Autoencoder::hidden).sum();
        if hidden.max(output.hidden()) > MAX_FEATURES {
            return Err(Defect::new("ensemble", format!("more hidden units than {MAX_FEATURES}")));
        }
        for (i, autoencoder) in ensemble.iter().enumerate() {
            autoencoder.validate().map_err(|d| d.within(&format!("ensemble[{i}]")))?;
        }
        output.validate().map_err(|d| d.within("output"))?;
        let gather = Gather::new(&map.concat());
        let (double, single) = (Network::new(&ensemble, &output), Network::new(&ensemble, &output));
        Ok(Self { features, map, ensemble, output, gather, double, single })
    }

    /// Number of features of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of mapped features: what the autoencoders of the ensemble read in all.
    pub fn mapped_width(&self) -> usize {
        self.gather.width()
    }

    /// For each autoencoder of the ensemble, the features that it reads.
    pub fn feature_map(&self) -> &[Vec<usize>] {
        &self.map
    }

    /// The autoencoders of the ensemble.
    pub fn ensemble(&self) -> &[Autoencoder] {
        &self.ensemble
    }

    /// The output autoencoder, over the errors of the ensemble.
    pub fn output(&self) -> &Autoencoder {
        &self.output
    }

    /// Gathers rows of features into the order in which the ensemble reads them.
    ///
    /// # Panics
    /// If the rows are narrower than [`features`](Self::features).
    pub fn gather(&self, features: &Rows, mapped: &mut Tiles) {
        self.gather.run(features, mapped);
    }

    /// Scores rows of mapped features in `f64`: [`score_rows_in`](Self::score_rows_in).
    ///
    /// # Panics
    /// If `mapped` holds rows of another width than [`mapped_width`](Self::mapped_width).
    pub fn score_rows(
        &self,
        mapped: &Tiles,
        scratch: &mut Scratch,
        errors: &mut Tiles,
        scores: &mut Vec<f64>,
    ) {
        self.score_rows_in(Precision::F64, mapped, scratch, errors, scores);
    }

    /// Scores rows of mapped features: `errors` becomes the RMSE of each autoencoder for each row, `scores`
    /// the RMSE of the output. Any batch size gives the same bits; in steady state nothing is allocated.
    ///
    /// # Panics
    /// If `mapped` holds rows of another width than [`mapped_width`](Self::mapped_width).
    pub fn score_rows_in(
        &self,
        precision: Precision,
        mapped: &Tiles,
        scratch: &mut Scratch,
        errors: &mut Tiles,
        scores: &mut Vec<f64>,
    ) {
        let rows = mapped.len();
        assert!(rows == 0 || mapped.width() == self.mapped_width(), "rows are mapped for this model");
        errors.reset(rows, self.ensemble.len());
        scores.resize(rows, 0.0);
        match precision {
            Precision::F64 => {
                scratch.double.fit(&self.double);
                self.double.score::<Widest, _>(mapped, &mut scratch.double, errors, scores);
            }
            Precision::F32 => {
                scratch.single.fit(&self.single);
                self.single.score::<Widest, _>(mapped, &mut scratch.single, errors, scores);
            }
        }
    }

    /// The score of one row of features, for tests and small tools: it allocates.
    ///
    /// # Panics
    /// If `features` is shorter than [`features`](Self::features).
    pub fn score(&self, features: &[f64]) -> f64 {
        self.score_with(features, &mut RowBuffers::default())
    }

    /// The score of one row of features, in memory that serves row after row.
    ///
    /// # Panics
    /// As [`score`](Self::score).
    pub fn score_with(&self, features: &[f64], buffers: &mut RowBuffers) -> f64 {
        let RowBuffers { row, mapped, errors, scratch, scores } = buffers;
        row.reset(1, features.len());
        row.row_mut(0).copy_from_slice(features);
        self.gather(row, mapped);
        self.score_rows(mapped, scratch, errors, scores);
        scores[0]
    }
}

/// Memory to score one row at a time ([`KitNet::score_with`]).
#[derive(Debug, Default)]
pub struct RowBuffers {
    row: Rows,
    mapped: Tiles,
    errors: Tiles,
    scratch: Scratch,
    scores: Vec<f64>,
}

/// Checks that map, ensemble and output belong together.
pub(super) fn check_map(
    map: &[Vec<usize>],
    features: usize,
    ensemble: &[Autoencoder],
    output: &Autoencoder,
) -> Result<(), Defect> {
    if map.is_empty() || map.len() != ensemble.len() || map.len() != output.visible() {
        let (m, e, o) = (map.len(), ensemble.len(), output.visible());
        let reason = format!("{m} clusters for {e} autoencoders and {o} inputs of the output");
        return Err(Defect::new("feature_map", reason));
    }
    let mut seen = vec![false; features];
    for (i, (cluster, autoencoder)) in map.iter().zip(ensemble).enumerate() {
        let key = || format!("feature_map[{i}]");
        autoencoder.check_shape().map_err(|d| d.within(&format!("ensemble[{i}]")))?;
        if cluster.len() != autoencoder.visible() {
            return Err(Defect::new(
                key(),
                format!("{} features for {} inputs", cluster.len(), autoencoder.visible()),
            ));
        }
        for feature in cluster {
            match seen.get_mut(*feature) {
                None => return Err(Defect::new(key(), format!("feature {feature} of {features}"))),
                Some(true) => return Err(Defect::new(key(), format!("feature {feature} is mapped twice"))),
                Some(seen) => *seen = true,
            }
        }
    }
    output.check_shape().map_err(|d| d.within("output"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::kernel::{Buffers, Phases, Place};
    use super::super::normal::Normal;
    use super::super::real::Real;
    use super::super::{TrainConfig, Trainer, tile};
    use super::*;
    use legonf_core::LANES;

    /// A small model trained on made-up rows, and some rows to run it on.
    pub(crate) fn small() -> (KitNet, Vec<Vec<f64>>) {
        let row = |i: usize| (0..17).map(|c| ((i * (c + 2) + c * 5) % 23) as f64 * 0.7).collect::<Vec<_>>();
        let config = TrainConfig {
            features: 17,
            feature_mapping_packets: 50,
            training_packets: 100,
            max_autoencoder_size: 5,
            ..TrainConfig::default()
        };
        let mut trainer = Trainer::new(config).unwrap();
        (0..151).for_each(|i| {
            trainer.train(&row(i));
        });
        (trainer.finish().unwrap(), (151..400).map(row).collect())
    }

    fn mapped(model: &KitNet, rows: &[Vec<f64>]) -> Tiles {
        let mut mapped = Tiles::default();
        model.gather(&Rows::of(rows.iter().map(Vec::as_slice)), &mut mapped);
        mapped
    }

    /// All cells, row after row.
    fn cells(tiles: &Tiles) -> Vec<f64> {
        (0..tiles.len()).flat_map(|row| tiles.row(row)).collect()
    }

    /// Errors and scores of rows in batches of `size`.
    fn scored(precision: Precision, model: &KitNet, rows: &[Vec<f64>], size: usize) -> (Vec<f64>, Vec<f64>) {
        let (mut scratch, mut errors, mut scores) = (Scratch::default(), Tiles::default(), Vec::new());
        let mut all = (Vec::new(), Vec::new());
        for rows in rows.chunks(size) {
            model.score_rows_in(precision, &mapped(model, rows), &mut scratch, &mut errors, &mut scores);
            all.0.extend(cells(&errors));
            all.1.extend_from_slice(&scores);
        }
        all
    }

    #[test]
    fn batch_size_changes_no_bit() {
        let (model, rows) = small();
        for precision in [Precision::F64, Precision::F32] {
            let alone = scored(precision, &model, &rows, 1);
            for size in (2..=40).chain([64, 100, 249, 1024]) {
                assert_eq!(scored(precision, &model, &rows, size), alone, "{precision} in batches of {size}");
            }
        }
    }

    /// The portable code, which the others have to follow.
    struct Portable;

    impl<T: Real, const W: usize> Phases<T, W> for Portable {
        fn load(columns: &[[f64; LANES]], normal: &Normal, x: &mut [[T; W]]) {
            tile::load(columns, normal, x);
        }

        fn store(normal: &Normal, x: &mut [[T; W]], errors: &mut [[f64; LANES]]) {
            tile::store(normal, x, errors);
        }

        fn forward(layer: &tile::Layer<T>, x: &[[T; W]], out: &mut [[T; W]]) {
            layer.forward(x, out);
        }

        fn errors(places: &[Place<T>], x: &[[T; W]], z: &[[T; W]], errors: &mut [[T; W]]) {
            tile::errors(places, x, z, errors);
        }

        fn row(
            network: &Network<T>,
            row: (&[[f64; LANES]], usize),
            buffers: &mut Buffers<T>,
            errors: &mut [[f64; LANES]],
        ) -> f64 {
            network.score_row(row, buffers, errors)
        }
    }

    #[test]
    fn every_variant_scores_the_same_bits() {
        let (model, rows) = small();
        let mapped = mapped(&model, &rows);
        let (mut scratch, mut errors) = (Scratch::default(), Tiles::default());
        errors.reset(rows.len(), model.ensemble.len());
        let mut scores = vec![0.0; rows.len()];
        scratch.double.fit(&model.double);
        model.double.score::<Portable, 16>(&mapped, &mut scratch.double, &mut errors, &mut scores);
        assert_eq!((cells(&errors), scores.clone()), scored(Precision::F64, &model, &rows, 249));
        scratch.single.fit(&model.single);
        model.single.score::<Portable, 8>(&mapped, &mut scratch.single, &mut errors, &mut scores);
        assert_eq!((cells(&errors), scores), scored(Precision::F32, &model, &rows, 249));
    }

    #[test]
    fn single_precision_keeps_numbers_whose_squares_are_beyond_it() {
        let (model, mut rows) = small();
        for (i, row) in rows.iter_mut().enumerate() {
            row[i % 17] = 10_f64.powi(15 + i as i32 % 15);
        }
        let (double, single) =
            (scored(Precision::F64, &model, &rows, 32), scored(Precision::F32, &model, &rows, 32));
        assert!(double.1.iter().any(|score| *score > 1e20));
        for (double, single) in double.1.iter().zip(&single.1) {
            assert!((single - double).abs() <= 1e-6 * double, "{single}, in f64 {double}");
        }
    }

    #[test]
    fn rows_that_are_not_finite_harm_only_themselves() {
        let (model, mut rows) = small();
        rows.truncate(8);
        let expected: Vec<f64> = rows.iter().map(|row| model.score(row)).collect();
        rows[3][2] = f64::NAN;
        rows[5].fill(f64::INFINITY);
        let (mut scratch, mut errors, mut scores) = (Scratch::default(), Tiles::default(), Vec::new());
        model.score_rows(&mapped(&model, &rows), &mut scratch, &mut errors, &mut scores);
        for (i, (score, expected)) in scores.iter().zip(&expected).enumerate() {
            assert!(if i == 3 || i == 5 { score.is_nan() } else { score == expected }, "row {i}: {score}");
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let (model, _) = small();
        let build = |map| KitNet::new(17, map, model.ensemble.clone(), model.output.clone());
        let change = |f: &dyn Fn(&mut Vec<Vec<usize>>)| {
            let mut map = model.map.clone();
            f(&mut map);
            build(map).unwrap_err().key
        };
        assert_eq!(build(model.map.clone()).unwrap(), model);
        assert_eq!(change(&|m| m[1][0] = 17), "feature_map[1]");
        assert_eq!(change(&|m| m[1][0] = m[0][0]), "feature_map[1]");
        assert_eq!(change(&|m| m[0].push(3)), "feature_map[0]");
        assert_eq!(
            change(&|m| {
                m.pop();
            }),
            "feature_map"
        );
    }
}
