//! ANN bricks: feature rows in, anomaly scores out.
