//! Reference vectors for integration tests.
#![allow(dead_code, reason = "each test uses a part")]

use legonf_models::kitnet::{KitNet, TrainConfig};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Features and scores of the reference, and its trained network.
pub struct Golden {
    /// Rows of features: all packets, or those of `index`.
    pub features: Array2<f64>,
    /// Scores of all packets.
    pub rmse: Vec<f64>,
    /// Packet number of each row, where not every packet has one.
    pub index: Option<Vec<i64>>,
    pub model: KitNet,
    pub config: TrainConfig,
}

/// The vectors that come with the repository.
pub fn synth_mini() -> Golden {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/synth-mini"));
    load(&folder.join("kitsune-py-100.npz"), &folder.join("kitsune-py-100.model.json"))
}

/// Larger vectors, which lie beside the repository; `None`, with the reason printed, where they do not.
pub fn shared(npz: &str, model: &str) -> Option<Golden> {
    let folder = shared_folder().join("golden");
    if folder.join(npz).exists() {
        return Some(load(&folder.join(npz), &folder.join(model)));
    }
    println!("skipped: {} is not there (set LEGONF_SHARED)", folder.join(npz).display());
    None
}

/// The folder of data sets beside the repository.
pub fn shared_folder() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    std::env::var_os("LEGONF_SHARED").map_or_else(|| default.into(), PathBuf::from)
}

/// A network of Kitsune-py, from its JSON.
pub fn reference_model(path: &Path) -> (KitNet, TrainConfig) {
    KitNet::from_reference_json(&fs::read_to_string(path).unwrap()).unwrap()
}

fn load(npz: &Path, model: &Path) -> Golden {
    let mut npz = NpzReader::new(File::open(npz).unwrap()).unwrap();
    let features: Array2<f64> = npz.by_name("features").unwrap();
    let rmse: Array1<f64> = npz.by_name("rmse").unwrap();
    let (model, config) = reference_model(model);
    let index = npz.by_name("index").map(|index: Array1<i64>| index.to_vec()).ok();
    Golden { features, rmse: rmse.to_vec(), index, model, config }
}
