//! What a run did, curve above curve over one axis of time, with what was decided marked in all of them.

use super::axis::{Frame, INK, Key, QUIET, legend, linear};
use super::picture::{Area, Face, Picture, SIZE};
use super::series::{COLORS, line};
use crate::sink::SinkError;
use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};
use std::path::Path;

const MARK: RGBColor = RGBColor(154, 96, 0);
const BOUND: RGBColor = RGBColor(160, 32, 32);
/// Rows of pixels of a panel, and between two.
const PANEL: i32 = 150;
const GAP: i32 = 56;
const TOP: i32 = 84;
/// Below the last panel: the axis with its title. Then a line for each mark.
const AXIS: i32 = 74;
const LINE: i32 = 20;
/// Marks that are explained, at most, and characters of each.
const MOST: usize = 40;
const LONGEST: usize = 135;

/// Curves of one kind.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// Title and unit of the axis up.
    pub up: String,
    /// Name and points of up to six series; points are seconds and values. Values that are not finite are left out.
    pub series: Vec<(String, Vec<(f64, f64)>)>,
    /// Name and height of a dashed line.
    pub bound: Option<(String, f64)>,
}

/// Panels over one axis of seconds.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// What stands above the plot.
    pub title: String,
    /// From top to bottom.
    pub panels: Vec<Panel>,
    /// What was decided, and when: an upright line through all panels, with its number, and its words below.
    pub marks: Vec<(f64, String)>,
}

impl Timeline {
    /// Draws the plot as SVG, 1200 pixels across.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_svg(&self, path: &Path) -> Result<(), SinkError> {
        self.picture().write_svg(path)
    }

    fn picture(&self) -> Picture {
        let mut picture = Picture::default();
        let listed = self.marks.len().min(MOST) as i32;
        let bottom = TOP + self.panels.len() as i32 * (PANEL + GAP) - GAP;
        let height = bottom + AXIS + LINE * listed + 20;
        picture.extend((height - SIZE.1 as i32).max(0) as u32);
        picture.text(&*self.title, Face::new(18, INK), (90, 28));
        let seconds = self.panels.iter().flat_map(|panel| &panel.series).flat_map(|(_, points)| points);
        let seconds = seconds.map(|(at, _)| *at).chain(self.marks.iter().map(|(at, _)| *at));
        let last = seconds.filter(|at| at.is_finite()).fold(0.0, f64::max);
        let across = (0.0, if last > 0.0 { last } else { 1.0 });
        for (number, panel) in self.panels.iter().enumerate() {
            let top = TOP + number as i32 * (PANEL + GAP);
            let is_last = number + 1 == self.panels.len();
            self.panel(&mut picture, panel, (top, is_last), across);
        }
        self.list(&mut picture, bottom + AXIS);
        picture
    }

    fn panel(&self, picture: &mut Picture, panel: &Panel, (top, is_last): (i32, bool), across: (f64, f64)) {
        let area = Area { left: 90, top, right: SIZE.0 as i32 - 30, bottom: top + PANEL };
        let finite = |points: &Vec<(f64, f64)>| -> Vec<_> {
            points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
        };
        let series: Vec<Vec<_>> = panel.series.iter().map(|(_, points)| finite(points)).collect();
        let values = series.iter().flatten().map(|point| point.1).chain(panel.bound.iter().map(|b| b.1));
        let high = values.fold(0.0, f64::max);
        let frame = Frame { area, across, up: (0.0, if high > 0.0 { high * 1.08 } else { 1.0 }) };
        let mut ticks = linear(across.1, 10.0);
        if !is_last {
            ticks.iter_mut().for_each(|tick| tick.label.clear());
        }
        frame.grid(picture, &ticks, &linear(frame.up.1, 4.0));
        frame.titles(picture, if is_last { "seconds" } else { "" }, &panel.up);
        if let Some((_, height)) = &panel.bound {
            frame.dashes(picture, *height, BOUND);
        }
        for (number, (at, _)) in self.marks.iter().enumerate() {
            let x = frame.x(*at);
            for y in (area.top..area.bottom).step_by(8) {
                picture.fill(Area { left: x, top: y, right: x, bottom: y + 4 }, MARK);
            }
            if top == TOP {
                let face = Face::new(12, MARK).anchor(HPos::Center, VPos::Bottom);
                picture.text((number + 1).to_string(), face, (x, area.top - 4));
            }
        }
        series.iter().zip(COLORS).for_each(|(points, color)| line(picture, &frame, points, color));
        let keys = panel.series.iter().zip(COLORS).map(|((name, _), c)| (Key::Square(c), name.clone()));
        let bound = panel.bound.iter().map(|(name, _)| (Key::Dashes(BOUND), name.clone()));
        let marks = (top == TOP && !self.marks.is_empty()).then(|| (Key::Dashes(MARK), "decided".to_owned()));
        legend(picture, &keys.chain(bound).chain(marks).collect::<Vec<_>>(), area.right, area.top - 26);
    }

    /// Explains the marks, each in a line.
    fn list(&self, picture: &mut Picture, top: i32) {
        for (number, (at, words)) in self.marks.iter().take(MOST).enumerate() {
            let y = top + LINE * number as i32;
            picture.text((number + 1).to_string(), Face::new(13, MARK), (90, y));
            picture.text(format!("{at:.2} s"), Face::new(13, QUIET), (120, y));
            let short: String = words.chars().take(LONGEST).collect();
            let more = if short.len() < words.len() { "…" } else { "" };
            picture.text(short + more, Face::new(13, INK), (190, y));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_share_their_axis_and_marks_are_explained() {
        let panel = |up: &str, name: &str| Panel {
            up: up.into(),
            series: vec![(name.into(), vec![(0.0, 1.0), (5.0, f64::NAN), (10.0, 3.0)])],
            bound: Some((format!("{name} at most"), 4.0)),
        };
        let plot = Timeline {
            title: "A load in steps".into(),
            panels: vec![panel("packets/s", "achieved"), panel("workers", "replicas")],
            marks: vec![(4.25, "replicate network: the bottleneck".into())],
        };
        let document = plot.picture().svg(Path::new("t.svg")).unwrap();
        for text in ["A load in steps", "achieved", "replicas", "replicas at most", "packets/s", "decided"] {
            assert!(document.contains(text), "{text}");
        }
        assert!(document.contains("4.25 s") && document.contains("replicate network: the bottleneck"));
        // Seconds are told once, below the last panel.
        assert_eq!(document.matches("seconds").count(), 1);
        assert!(!document.contains("NaN"));
        assert!(Timeline::default().picture().svg(Path::new("t.svg")).unwrap().contains("<svg"));
    }
}
