//! KitNET: training, execution and the model bundle.
