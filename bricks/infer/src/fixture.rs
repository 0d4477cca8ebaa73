//! A small trained model and rows for the tests of the bricks.

use crate::columns::FEATURES;
use legonf_core::{Batch, Brick, Layout, Rows};
use legonf_models::kitnet::{KitNet, TrainConfig, Trainer};
use std::sync::{Arc, LazyLock};

const WIDTH: usize = 12;

static MODEL: LazyLock<Arc<KitNet>> = LazyLock::new(|| Arc::new(train()));

pub(crate) fn model() -> Arc<KitNet> {
    MODEL.clone()
}

fn value(row: usize, column: usize) -> f64 {
    ((row * (column + 3) + column * 7) % 29) as f64 * 0.25
}

fn train() -> KitNet {
    let config = TrainConfig {
        features: WIDTH,
        feature_mapping_packets: 40,
        training_packets: 60,
        max_autoencoder_size: 5,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(config).unwrap();
    for row in 0..101 {
        trainer.train(&std::array::from_fn::<_, WIDTH, _>(|column| value(row, column)));
    }
    trainer.finish().unwrap()
}

/// Rows of features.
pub(crate) fn features(rows: usize) -> Rows {
    let mut features = Rows::default();
    features.reset(rows, WIDTH);
    for row in 0..rows {
        for (column, cell) in features.row_mut(row).iter_mut().enumerate() {
            *cell = value(row + 200, column);
        }
    }
    features
}

/// A batch for some bricks whose features are filled.
pub(crate) fn batch(rows: usize, bricks: &mut [&mut dyn Brick]) -> Batch {
    let layout = Layout::binding(bricks).unwrap();
    let mut batch = Batch::new(&layout);
    *batch.columns.get_mut(layout.handle(&FEATURES).unwrap()) = features(rows);
    batch
}
