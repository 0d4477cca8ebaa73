//! Scales, ticks and the frame of a plot.

use super::picture::{Area, Face, Picture};
use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

pub(super) const INK: RGBColor = RGBColor(38, 43, 51);
pub(super) const QUIET: RGBColor = RGBColor(102, 110, 122);
const GRID: RGBColor = RGBColor(226, 229, 234);
const FAINT: RGBColor = RGBColor(241, 243, 246);

const LABEL: Face = Face::new(13, QUIET);
const TITLE: Face = Face::new(14, INK);

/// A tick of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub value: f64,
    pub label: String,
}

/// Ticks at 1, 2 or 5 times a power of ten, about `wanted` of them from 0 to `end`.
pub(super) fn linear(end: f64, wanted: f64) -> Vec<Tick> {
    let rough = end / wanted;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    let decimals = (-(step * 1.0001).log10().floor()).max(0.0) as usize;
    let count = (end / step + 1e-9) as u32;
    let tick = |i| (f64::from(i) * step, format!("{:.decimals$}", f64::from(i) * step));
    (0..=count).map(tick).map(|(value, label)| Tick { value, label }).collect()
}

/// Ticks at the powers of ten from 10^`low` to 10^`high`; values are exponents. All labels are of one kind.
pub(super) fn decades(low: i32, high: i32) -> Vec<Tick> {
    let plain = low >= -4 && high <= 5;
    let label = |e: i32| match e {
        _ if !plain => format!("10{}", superscript(e)),
        0.. => 10_u32.pow(e.unsigned_abs()).to_string(),
        _ => format!("{:.*}", e.unsigned_abs() as usize, 10_f64.powi(e)),
    };
    (low..=high).map(|e| Tick { value: f64::from(e), label: label(e) }).collect()
}

/// A number as an exponent.
fn superscript(number: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = |c: char| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    number.to_string().chars().map(digit).collect()
}

/// The box in which values are drawn, and the ranges that it shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub area: Area,
    /// Lowest and highest value across.
    pub across: (f64, f64),
    /// Lowest and highest value up.
    pub up: (f64, f64),
}

impl Frame {
    /// The column of pixels for a value, within the frame.
    pub fn x(&self, value: f64) -> i32 {
        let Area { left, right, .. } = self.area;
        left + scaled(value, self.across, right - left)
    }

    /// The row of pixels for a value, within the frame.
    pub fn y(&self, value: f64) -> i32 {
        let Area { top, bottom, .. } = self.area;
        bottom - scaled(value, self.up, bottom - top)
    }

    /// Draws grid lines and the labels of the ticks.
    pub fn grid(&self, picture: &mut Picture, across: &[Tick], up: &[Tick]) {
        let Area { left, top, right, bottom } = self.area;
        for tick in across {
            let x = self.x(tick.value);
            picture.fill(Area { left: x, right: x, ..self.area }, GRID);
            picture.fill(Area { left: x, top: bottom, right: x, bottom: bottom + 5 }, QUIET);
            picture.text(&tick.label, LABEL.anchor(HPos::Center, VPos::Top), (x, bottom + 9));
        }
        for tick in up {
            let y = self.y(tick.value);
            picture.fill(Area { top: y, bottom: y, ..self.area }, GRID);
            picture.fill(Area { left: left - 5, top: y, right: left, bottom: y }, QUIET);
            picture.text(&tick.label, LABEL.anchor(HPos::Right, VPos::Center), (left - 9, y));
        }
        picture.fill(Area { left, top, right: left, bottom }, QUIET);
        picture.fill(Area { left, top: bottom, right, bottom }, QUIET);
    }

    /// Draws faint lines at 2 to 9 times each power of ten.
    pub fn minor_decades(&self, picture: &mut Picture, low: i32, high: i32) {
        for (decade, digit) in (low..high).flat_map(|e| (2..10).map(move |d| (e, d))) {
            let y = self.y(f64::from(decade) + f64::from(digit).log10());
            picture.fill(Area { top: y, bottom: y, ..self.area }, FAINT);
        }
    }

    /// Draws the titles of both axes.
    pub fn titles(&self, picture: &mut Picture, across: &str, up: &str) {
        let Area { left, top, right, bottom } = self.area;
        let centred = TITLE.anchor(HPos::Center, VPos::Center);
        picture.text(across, centred, (i32::midpoint(left, right), bottom + 44));
        picture.text(up, Face { upright: true, ..centred }, (left - 66, i32::midpoint(top, bottom)));
    }

    /// Draws a dashed line across at a height.
    pub fn dashes(&self, picture: &mut Picture, value: f64, color: RGBColor) {
        let y = self.y(value);
        for left in (self.area.left..self.area.right).step_by(10) {
            let right = (left + 5).min(self.area.right);
            picture.fill(Area { left, top: y - 1, right, bottom: y }, color);
        }
    }
}

/// What stands before an entry of a legend.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Square(RGBColor),
    Dashes(RGBColor),
}

/// Draws entries side by side, ending at about `right`.
pub(super) fn legend(picture: &mut Picture, entries: &[(Key, String)], right: i32, y: i32) {
    const FACE: Face = Face::new(13, INK);
    const GAP: i32 = 18;
    let width = |text: &str| 18 + FACE.width(text) + GAP;
    let mut left = right + GAP - entries.iter().map(|(_, text)| width(text)).sum::<i32>();
    for (key, text) in entries {
        match *key {
            Key::Square(color) => {
                picture.fill(Area { left, top: y - 5, right: left + 11, bottom: y + 6 }, color);
            }
            Key::Dashes(color) => {
                for left in [left, left + 7] {
                    picture.fill(Area { left, top: y, right: left + 4, bottom: y + 1 }, color);
                }
            }
        }
        picture.text(text, FACE, (left + 18, y));
        left += width(text);
    }
}

/// `value` as a number of pixels from the low end of `range`, of `length` in all.
fn scaled(value: f64, (low, high): (f64, f64), length: i32) -> i32 {
    let part = if high > low { (value - low) / (high - low) } else { 0.0 };
    (part.clamp(0.0, 1.0) * f64::from(length)).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|t| t.label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(labels(&linear(97.0, 10.0)), ["0", "10", "20", "30", "40", "50", "60", "70", "80", "90"]);
        assert_eq!(labels(&linear(1.0, 10.0)).last(), Some(&"1.0"));
        assert_eq!(labels(&linear(0.003, 4.0)), ["0.000", "0.001", "0.002", "0.003"]);
        assert_eq!(labels(&linear(2500.0, 10.0)), ["0", "500", "1000", "1500", "2000", "2500"]);
    }

    #[test]
    fn decades_are_plain_where_short() {
        assert_eq!(labels(&decades(-5, -3)), ["10⁻⁵", "10⁻⁴", "10⁻³"]);
        assert_eq!(labels(&decades(-1, 1)), ["0.1", "1", "10"]);
        assert_eq!(labels(&decades(4, 5)), ["10000", "100000"]);
        assert_eq!(labels(&decades(4, 6)), ["10⁴", "10⁵", "10⁶"]);
    }

    #[test]
    fn values_stay_in_the_frame() {
        let area = Area { left: 10, top: 20, right: 110, bottom: 220 };
        let frame = Frame { area, across: (0.0, 1.0), up: (-1.0, 1.0) };
        assert_eq!((frame.x(0.5), frame.y(0.0)), (60, 120));
        assert_eq!((frame.x(f64::INFINITY), frame.y(-9.0)), (110, 220));
        assert_eq!(frame.x(f64::NAN), 10);
    }
}
