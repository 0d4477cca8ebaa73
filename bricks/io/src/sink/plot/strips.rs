//! When hosts sent packets above the threshold: a row for each.

use super::axis::QUIET;
use super::picture::{Area, Face, Picture};
use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

/// The ground of a row, and the colors of the least and the greatest share.
const GROUND: RGBColor = RGBColor(246, 247, 249);
const LEAST: RGBColor = RGBColor(253, 212, 185);
const GREATEST: RGBColor = RGBColor(127, 39, 4);
/// Pixels from the frame to the heading, from there to the first row, of a row, and below the last one.
const ABOVE: i32 = 84;
const HEADING: i32 = 12;
const ROW: i32 = 17;
const BELOW: i32 = 14;
/// Those below the frame that any picture has.
const USUAL: i32 = 70;
/// Pixels of a name, at most, and of its em.
const NAME: f32 = 87.0;
const EM: i32 = 10;

/// A host, and the part of its packets in each span that is above the threshold, from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strip {
    /// Name of the host.
    pub name: String,
    /// The parts.
    pub shares: Vec<f32>,
}

/// Rows of hosts over one division of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostStrips {
    /// Stream time in nanoseconds at which the first span begins.
    pub begin: i64,
    /// Nanoseconds of a span.
    pub span: i64,
    /// The hosts, from the top.
    pub hosts: Vec<Strip>,
}

impl HostStrips {
    /// Draws them under a frame, in which a time has the column that `column` gives.
    pub(super) fn draw(&self, picture: &mut Picture, frame: &Area, column: impl Fn(i64) -> i32) {
        if self.hosts.is_empty() {
            return;
        }
        let heading = frame.bottom + ABOVE;
        let words = "share of a host's packets that are above the threshold, of the hosts with most of them";
        picture.text(words, Face::new(13, QUIET), (frame.left, heading));
        for (host, row) in self.hosts.iter().zip(0..) {
            let top = heading + HEADING + ROW * row;
            self.draw_row(picture, host, Area { top, bottom: top + ROW - 4, ..*frame }, &column);
        }
        let rows = ROW * self.hosts.len() as i32;
        picture.extend((ABOVE + HEADING + rows + BELOW - USUAL).unsigned_abs());
    }

    fn draw_row(&self, picture: &mut Picture, host: &Strip, row: Area, column: impl Fn(i64) -> i32) {
        picture.fill(row, GROUND);
        let time = |span: i64| self.begin.saturating_add(self.span.saturating_mul(span));
        for (share, span) in host.shares.iter().zip(0..).filter(|(share, _)| **share > 0.0) {
            let left = column(time(span));
            let right = (column(time(span + 1)) - 1).max(left);
            picture.fill(Area { left, right, ..row }, shade(*share));
        }
        let face = Face::new(EM, QUIET).anchor(HPos::Right, VPos::Center);
        picture.text(short(&host.name), face, (row.left - 3, i32::midpoint(row.top, row.bottom)));
    }
}

/// The color of a share.
fn shade(share: f32) -> RGBColor {
    let part = |least: u8, greatest: u8| {
        let (least, greatest) = (f32::from(least), f32::from(greatest));
        (least + (greatest - least) * share.clamp(0.0, 1.0)).round() as u8
    };
    RGBColor(part(LEAST.0, GREATEST.0), part(LEAST.1, GREATEST.1), part(LEAST.2, GREATEST.2))
}

/// A name that has room: of a longer one its end, which tells addresses of one network apart.
fn short(name: &str) -> String {
    if width(name) <= NAME {
        return name.to_owned();
    }
    let cut = name.char_indices().map(|(at, _)| format!("…{}", &name[at..]));
    cut.skip(1).find(|short| width(short) <= NAME).unwrap_or_default()
}

/// About how many pixels an address takes.
fn width(name: &str) -> f32 {
    let ems = name.chars().map(|c| if matches!(c, '.' | ':') { 0.33 } else { 0.64 });
    ems.sum::<f32>() * EM as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_shaded_and_long_names_keep_their_end() {
        assert_eq!((shade(0.0), shade(1.0), shade(7.0)), (LEAST, GREATEST, GREATEST));
        assert_eq!(short("192.168.100.200"), "192.168.100.200");
        assert_eq!(short("2001:db8::1:2:3:4:5"), "…:db8::1:2:3:4:5");
        assert_eq!(short("02:00:00:aa:bb:cc"), "…:00:00:aa:bb:cc");
    }
}
