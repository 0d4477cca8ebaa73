//! Plots, drawn from a list of rectangles and texts, as SVG and as PNG.

mod axis;
mod bins;
mod font;
mod picture;
mod scores;

pub use scores::ScorePlot;
