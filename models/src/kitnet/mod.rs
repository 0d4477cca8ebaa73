//! KitNET (Mirsky et al., "Kitsune", NDSS 2018, §IV): training, and execution in batches.
//!
//! Training follows the published Python code to the last tie: feature map, seeds, order of updates. Its numbers are
//! `f64`; execution is in `f64` or `f32` ([`Precision`]). All operations have one fixed order, and the results have the same bits on
//! every instruction set and for every batch size.

mod autoencoder;
mod bits;
mod checkpoint;
mod config;
mod correlation;
mod dispatch;
mod effort;
mod explain;
mod gather;
mod groups;
mod kernel;
mod learner;
mod linkage;
pub mod logistic;
mod model;
mod mt19937;
mod normal;
mod real;
mod reference;
mod row;
pub mod sigmoid;
mod tile;
mod trainer;
mod transpose;

pub use autoencoder::{Autoencoder, Defect};
pub use checkpoint::Checkpoint;
pub use config::{ConfigError, MAX_FEATURES, MAX_PACKETS, TrainConfig};
pub use dispatch::instruction_set;
pub use effort::Effort;
pub use explain::Explainer;
pub use kernel::Scratch;
pub use model::{KitNet, RowBuffers};
pub(crate) use mt19937::Mt19937;
pub use real::{Precision, UnknownPrecision};
pub use trainer::{Phase, TrainError, TrainProgress, Trainer};

use model::check_map;
