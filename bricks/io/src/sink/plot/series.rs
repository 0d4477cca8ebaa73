//! Values of a few series over a common axis.

use super::axis::{Frame, INK, Key, legend, linear};
use super::picture::{Area, Face, Picture, SIZE};
use crate::sink::file::display;
use crate::sink::{OutputFile, SinkError};
use plotters::style::RGBColor;
use std::path::Path;

const COLORS: [RGBColor; 3] = [RGBColor(23, 92, 160), RGBColor(217, 72, 1), RGBColor(56, 142, 60)];
const BOUND: RGBColor = RGBColor(38, 43, 51);
const BOX: Area = Area { left: 90, top: 70, right: SIZE.0 as i32 - 30, bottom: SIZE.1 as i32 - 70 };

/// Draws up to three series of points as lines, both axes from 0, with a bound that they should keep.
#[derive(Clone, Debug, Default)]
pub struct SeriesPlot {
    /// What stands above the plot.
    pub title: String,
    /// Title and unit of the axis across.
    pub across: String,
    /// Title and unit of the axis up.
    pub up: String,
    /// Name and points of each series, from left to right. Values that are not finite are left out.
    pub series: Vec<(String, Vec<(f64, f64)>)>,
    /// Name and height of a dashed line.
    pub bound: Option<(String, f64)>,
}

impl SeriesPlot {
    /// Draws the plot as SVG, 1200 × 600.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_svg(&self, path: &Path) -> Result<(), SinkError> {
        let drawing = |reason| SinkError::Drawing { path: display(path), reason };
        let document = self.picture().svg().map_err(drawing)?;
        let mut out = OutputFile::create(path)?;
        out.put(document.as_bytes())?;
        out.finish()
    }

    fn picture(&self) -> Picture {
        let mut picture = Picture::default();
        let points = || self.series.iter().flat_map(|(_, points)| points).filter(|p| is_finite(p));
        let highest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let right = highest(&mut points().map(|p| p.0));
        let top = highest(&mut points().map(|p| p.1).chain(self.bound.iter().map(|b| b.1)));
        let (right, top) = (if right > 0.0 { right } else { 1.0 }, if top > 0.0 { top * 1.05 } else { 1.0 });
        let frame = Frame { area: BOX, across: (0.0, right), up: (0.0, top) };
        frame.grid(&mut picture, &linear(right, 10.0), &linear(top, 8.0));
        frame.titles(&mut picture, &self.across, &self.up);
        if let Some((_, height)) = &self.bound {
            frame.dashes(&mut picture, *height, BOUND);
        }
        for ((_, points), color) in self.series.iter().zip(COLORS) {
            line(&mut picture, &frame, points, color);
        }
        picture.text(&*self.title, Face::new(18, INK), (BOX.left, 28));
        legend(&mut picture, &self.legend(), BOX.right, 50);
        picture
    }

    fn legend(&self) -> Vec<(Key, String)> {
        let series = self.series.iter().zip(COLORS).map(|((name, _), c)| (Key::Square(c), name.clone()));
        let bound = self.bound.iter().map(|(name, _)| (Key::Dashes(BOUND), name.clone()));
        series.chain(bound).collect()
    }
}

fn is_finite((x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

/// Steps from point to point: a column of two pixels' width up or down, then across.
fn line(picture: &mut Picture, frame: &Frame, points: &[(f64, f64)], color: RGBColor) {
    let mut last: Option<(i32, i32)> = None;
    for (x, y) in points.iter().filter(|p| is_finite(p)) {
        let (x, y) = (frame.x(*x), frame.y(*y));
        let (from_x, from_y) = last.unwrap_or((x, y));
        picture.fill(Area { left: from_x, right: x.max(from_x), top: from_y - 1, bottom: from_y }, color);
        picture.fill(Area { left: x, right: x + 1, top: from_y.min(y) - 1, bottom: from_y.max(y) }, color);
        last = Some((x, y));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(series: Vec<(String, Vec<(f64, f64)>)>, bound: Option<(String, f64)>) -> String {
        let plot =
            SeriesPlot { title: "memory".into(), across: "packets".into(), up: "MiB".into(), series, bound };
        plot.picture().svg().unwrap()
    }

    #[test]
    fn every_series_and_the_bound_are_named_and_drawn() {
        let points = vec![(0.0, 0.0), (1.0, f64::NAN), (2.0, 50.0)];
        let document = svg(vec![("state".into(), points)], Some(("bound".into(), 100.0)));
        for text in ["memory", "packets", "MiB", "state", "bound", "#175CA0", "#262B33"] {
            assert!(document.contains(text), "{text}");
        }
        assert!(!document.contains("NaN"));
    }

    #[test]
    fn nothing_is_a_plot_too() {
        assert!(svg(vec![], None).contains("packets"));
        assert!(svg(vec![("one".into(), vec![(0.0, 0.0)])], None).contains("one"));
    }
}
