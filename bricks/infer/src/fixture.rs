//! A small trained model and rows for the tests of the bricks.

use legonf_core::Batch;
use legonf_models::kitnet::{KitNet, TrainConfig, Trainer};
use std::sync::{Arc, LazyLock};

const FEATURES: usize = 12;

static MODEL: LazyLock<Arc<KitNet>> = LazyLock::new(|| Arc::new(train()));

pub(crate) fn model() -> Arc<KitNet> {
    MODEL.clone()
}

fn value(row: usize, column: usize) -> f64 {
    ((row * (column + 3) + column * 7) % 29) as f64 * 0.25
}

fn train() -> KitNet {
    let config = TrainConfig {
        features: FEATURES,
        feature_mapping_packets: 40,
        training_packets: 60,
        max_autoencoder_size: 5,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(config).unwrap();
    for row in 0..101 {
        trainer.train(&std::array::from_fn::<_, FEATURES, _>(|column| value(row, column)));
    }
    trainer.finish().unwrap()
}

/// A batch whose features are filled.
pub(crate) fn batch(rows: usize) -> Batch {
    let mut batch = Batch::default();
    batch.features.reset(rows, FEATURES);
    for row in 0..rows {
        for (column, cell) in batch.features.row_mut(row).iter_mut().enumerate() {
            *cell = value(row + 200, column);
        }
    }
    batch
}
