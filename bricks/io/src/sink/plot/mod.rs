//! Plots, drawn from a list of rectangles and texts, as SVG and as PNG.

mod axis;
mod bins;
mod font;
mod picture;
mod scores;
mod series;
mod strips;
mod timeline;

pub use picture::Theme;
pub use scores::ScorePlot;
pub use series::SeriesPlot;
pub use strips::{HostStrips, Strip};
pub use timeline::{Panel, Timeline};
