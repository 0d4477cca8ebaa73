//! Decision bricks: thresholds, calibration, evaluation against labels.
