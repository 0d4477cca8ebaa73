//! Values of a few series over a common axis.

use super::axis::{Frame, INK, Key, Tick, decades, legend, linear};
use super::picture::{Area, Face, Picture, SIZE};
use crate::sink::SinkError;
use plotters::style::RGBColor;
use std::path::Path;

pub(super) const COLORS: [RGBColor; 6] = [
    RGBColor(23, 92, 160),
    RGBColor(217, 72, 1),
    RGBColor(56, 142, 60),
    RGBColor(123, 63, 152),
    RGBColor(140, 98, 57),
    RGBColor(0, 137, 150),
];
/// Points of a series up to which each gets a mark.
const MARKED: usize = 40;
const BOUND: RGBColor = RGBColor(38, 43, 51);
const BOX: Area = Area { left: 90, top: 70, right: SIZE.0 as i32 - 30, bottom: SIZE.1 as i32 - 70 };

/// Draws up to six series of points as lines, with a bound that they should keep.
///
/// Both axes start at 0; with `decades` the axis across goes by powers of ten.
#[derive(Clone, Debug, Default)]
pub struct SeriesPlot {
    /// What stands above the plot.
    pub title: String,
    /// Title and unit of the axis across.
    pub across: String,
    /// Title and unit of the axis up.
    pub up: String,
    /// Whether equal steps across are equal factors. Points at 0 or below are then left out.
    pub decades: bool,
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
        self.picture().write_svg(path)
    }

    fn picture(&self) -> Picture {
        let mut picture = Picture::default();
        let series: Vec<Vec<_>> = self.series.iter().map(|(_, points)| self.placed(points)).collect();
        let points = || series.iter().flatten();
        let highest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let top = highest(&mut points().map(|p| p.1).chain(self.bound.iter().map(|b| b.1)));
        let top = if top > 0.0 { top * 1.05 } else { 1.0 };
        let (across, ticks) = self.axis(points().map(|p| p.0));
        let frame = Frame { area: BOX, across, up: (0.0, top) };
        frame.grid(&mut picture, &ticks, &linear(top, 8.0));
        frame.titles(&mut picture, &self.across, &self.up);
        if let Some((_, height)) = &self.bound {
            frame.dashes(&mut picture, *height, BOUND);
        }
        for (points, color) in series.iter().zip(COLORS) {
            line(&mut picture, &frame, points, color);
        }
        picture.text(&*self.title, Face::new(18, INK), (BOX.left, 28));
        legend(&mut picture, &self.legend(), BOX.right, 50);
        picture
    }

    /// The points that can be drawn, in units of the axis across: with `decades`, exponents of ten.
    fn placed(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let place = |(x, y): &(f64, f64)| (if self.decades { x.log10() } else { *x }, *y);
        points.iter().map(place).filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    }

    /// Range and ticks of the axis across.
    fn axis(&self, places: impl Iterator<Item = f64>) -> ((f64, f64), Vec<Tick>) {
        let (low, high) = places.fold((f64::INFINITY, 0.0), |(l, h), x| (x.min(l), x.max(h)));
        if !self.decades {
            let right = if high > 0.0 { high } else { 1.0 };
            return ((0.0, right), linear(right, 10.0));
        }
        let low = if low.is_finite() { low.floor() as i32 } else { 0 };
        let high = (high.ceil() as i32).max(low + 1);
        ((f64::from(low), f64::from(high)), decades(low, high))
    }

    fn legend(&self) -> Vec<(Key, String)> {
        let series = self.series.iter().zip(COLORS).map(|((name, _), c)| (Key::Square(c), name.clone()));
        let bound = self.bound.iter().map(|(name, _)| (Key::Dashes(BOUND), name.clone()));
        series.chain(bound).collect()
    }
}

/// Joins the points, and marks each where they are few.
pub(super) fn line(picture: &mut Picture, frame: &Frame, points: &[(f64, f64)], color: RGBColor) {
    let pixels: Vec<_> = points.iter().map(|(x, y)| (frame.x(*x), frame.y(*y))).collect();
    if pixels.len() <= MARKED {
        for (x, y) in &pixels {
            picture.fill(Area { left: x - 3, top: y - 3, right: x + 3, bottom: y + 3 }, color);
        }
    }
    picture.line(pixels, color);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(series: Vec<(String, Vec<(f64, f64)>)>, bound: Option<(String, f64)>) -> String {
        let (title, across, up) = ("memory".into(), "packets".into(), "MiB".into());
        SeriesPlot { title, across, up, decades: false, series, bound }
            .picture()
            .svg(Path::new("p.svg"))
            .unwrap()
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

    #[test]
    fn an_axis_of_decades_has_a_tick_for_each() {
        let points = vec![(0.0, 9.0), (100.0, 1.0), (1e5, 2.0)];
        let plot = SeriesPlot { decades: true, series: vec![("rate".into(), points)], ..Default::default() };
        assert_eq!(plot.placed(&plot.series[0].1), [(2.0, 1.0), (5.0, 2.0)]);
        let (range, ticks) = plot.axis([2.0, 5.0].into_iter());
        assert_eq!((range, ticks.len()), ((2.0, 5.0), 4));
        assert!(plot.picture().svg(Path::new("p.svg")).unwrap().contains("100000"));
    }
}
