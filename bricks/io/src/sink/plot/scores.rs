//! Anomaly scores over time.

use super::axis::{Frame, INK, Key, QUIET, decades, legend, linear};
use super::bins::{Bin, Bins};
use super::font::find_font;
use super::picture::{Area, Face, Picture, SIZE, Theme};
use super::strips::HostStrips;
use crate::sink::{OutputFile, SinkError};
use legonf_core::{Clock, Incident, Timestamp, Verdict, grouped};
use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};
use std::path::Path;

const BENIGN: RGBColor = RGBColor(158, 197, 232);
const MEAN: RGBColor = RGBColor(23, 92, 160);
const WARMING_UP: RGBColor = RGBColor(200, 200, 200);
const ANOMALOUS: RGBColor = RGBColor(217, 72, 1);
const THRESHOLD: RGBColor = RGBColor(38, 43, 51);
const TRUTH: RGBColor = RGBColor(255, 233, 196);
const INCIDENT: RGBColor = RGBColor(123, 63, 152);
/// Incidents that are marked, at most, and of them those with the name of their source.
const MARKED: usize = 100;
const NAMED: usize = 3;

/// The box of the values; the rest of the picture is for titles, legend and labels.
const BOX: Area = Area { left: 90, top: 88, right: SIZE.0 as i32 - 30, bottom: SIZE.1 as i32 - 70 };

const NO_FONT: &str = "no TrueType font was found, so the PNG has no text; install fonts-dejavu-core";

/// The largest factor between the highest score and the lowest end of the scale.
const DEPTH: f64 = 1e9;

/// Gathers scores one by one in bounded memory and draws them over packet time, on a logarithmic scale.
///
/// The axis is stream time ([`Clock`]), so that one wrong time stamp does not press all others together; what is left out
/// is said above the plot.
///
/// For each column of pixels it shows the range of the scores below the threshold with their geometric mean, the range of
/// those above it and of those that were not judged, the threshold, incidents, and, where labels are given, when there were
/// malicious packets. Equal packets give equal bytes; only the texts of the PNG depend on the fonts of the machine.
#[derive(Clone, Debug)]
pub struct ScorePlot {
    title: String,
    threshold: f64,
    bins: Bins,
    packets: u64,
    labelled: bool,
    /// Whether there are rows without times in place of packets.
    rows: bool,
    clock: Clock,
    span: Option<(i64, i64)>,
    /// Stream time and words of incidents, those of most weight first.
    incidents: Vec<((i64, i64), String)>,
    /// Packets at the beginning that the model was trained on, and those that its threshold comes from.
    spans: Vec<Span>,
    hosts: HostStrips,
    theme: Theme,
}

impl ScorePlot {
    /// An empty plot. `threshold` is the score above which a packet is anomalous.
    pub fn new(title: impl Into<String>, threshold: f64) -> Self {
        let (title, bins, clock) = (title.into(), Bins::default(), Clock::default());
        Self {
            title,
            threshold,
            bins,
            packets: 0,
            labelled: false,
            rows: false,
            clock,
            span: None,
            incidents: Vec::new(),
            spans: Vec::new(),
            hosts: HostStrips::default(),
            theme: Theme::Light,
        }
    }

    /// The same plot on another ground.
    #[must_use]
    pub fn on(self, theme: Theme) -> Self {
        Self { theme, ..self }
    }

    /// The same plot of a capture whose first packets the model was trained on.
    #[must_use]
    pub fn trained_on(self, packets: u64) -> Self {
        self.with_span("training", 0, packets)
    }

    /// The same plot of a capture whose packets from `first` on, up to the one before `end`, gave the threshold.
    #[must_use]
    pub fn calibrated_on(self, first: u64, end: u64) -> Self {
        self.with_span("calibration", first, end)
    }

    fn with_span(mut self, name: &'static str, first: u64, end: u64) -> Self {
        if first < end {
            self.spans.push(Span { name, first, end, ..Span::default() });
        }
        self
    }

    /// Shows when hosts sent packets above the threshold.
    pub fn show(&mut self, hosts: HostStrips) {
        self.hosts = hosts;
    }

    /// Marks incidents, those of most weight first.
    pub fn mark(&mut self, incidents: &[Incident]) {
        let mark = |incident: &Incident| (incident.stream, incident.source.to_string());
        self.incidents = incidents.iter().take(MARKED).map(mark).collect();
    }

    /// The same plot over the number of the row, for rows that have no time; the time stamps given are not looked at.
    #[must_use]
    pub fn over_rows(self) -> Self {
        Self { rows: true, ..self }
    }

    /// Takes in one packet. `truth` is whether the labels call it malicious, if there are labels.
    pub fn add(&mut self, timestamp: Timestamp, score: f64, verdict: Verdict, truth: Option<bool>) {
        // A row takes the place of a second.
        let row = || i64::try_from(self.packets).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        let nanos =
            if self.rows { row() } else { self.clock.stream_time(self.packets, timestamp).as_nanos() };
        let (first, last) = self.span.unwrap_or((nanos, nanos));
        self.span = Some((first.min(nanos), last.max(nanos)));
        self.spans.iter_mut().for_each(|span| span.pass(self.packets, nanos));
        self.packets += 1;
        self.labelled |= truth.is_some();
        self.bins.add(nanos, score, verdict, truth == Some(true));
    }

    /// Draws the plot as SVG, 1200 × 600.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_svg(&self, path: &Path) -> Result<(), SinkError> {
        let document = self.picture().svg(path)?;
        write(path, document.as_bytes())
    }

    /// Draws the plot as PNG, 1200 × 600. Returns a note for the user if the machine has no font, so that the
    /// picture has no text.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_png(&self, path: &Path) -> Result<Option<&'static str>, SinkError> {
        let font = find_font();
        let bytes = self.picture().png(path, font)?;
        write(path, &bytes)?;
        Ok(font.is_none().then_some(NO_FONT))
    }

    fn picture(&self) -> Picture {
        let mut picture = Picture::on(self.theme);
        let total = self.bins.total();
        let (low, high) = self.decades(&total);
        let (seconds, unit, scale) = self.time_scale();
        let frame = Frame { area: BOX, across: (0.0, seconds), up: (f64::from(low), f64::from(high)) };
        let columns = self.columns(&frame);
        shade_truth(&mut picture, &columns);
        frame.minor_decades(&mut picture, low, high);
        let in_unit = Frame { across: (0.0, seconds / scale), ..frame };
        in_unit.grid(&mut picture, &linear(seconds / scale, 10.0), &decades(low, high));
        frame.titles(
            &mut picture,
            &if self.rows { "row".to_owned() } else { format!("time since the first packet ({unit})") },
            "anomaly score (RMSE, no unit)",
        );
        draw_scores(&mut picture, &frame, &columns);
        if self.threshold > 0.0 && self.threshold.is_finite() {
            frame.dashes(&mut picture, self.threshold.log10(), THRESHOLD);
        }
        self.mark_incidents(&mut picture, &frame);
        self.mark_spans(&mut picture, &frame);
        self.captions(&mut picture, &total);
        self.hosts.draw(&mut picture, &BOX, |nanos| self.column(&frame, nanos));
        picture
    }

    /// The column of pixels of a stream time.
    fn column(&self, frame: &Frame, nanos: i64) -> i32 {
        let first = self.span.unwrap_or_default().0;
        frame.x((i128::from(nanos) - i128::from(first)) as f64 / 1e9)
    }

    /// Draws a bar above the scores for each incident, in as many rows as it takes, and the sources of the first.
    fn mark_incidents(&self, picture: &mut Picture, frame: &Frame) {
        const ROWS: usize = 4;
        let mut ends = [i32::MIN; ROWS];
        for (place, ((begin, end), source)) in self.incidents.iter().enumerate() {
            let (left, right) =
                (self.column(frame, *begin), self.column(frame, *end).max(self.column(frame, *begin) + 2));
            let row = (0..ROWS).find(|row| ends[*row] < left).unwrap_or(ROWS - 1);
            let top = BOX.top + 4 + 14 * row as i32;
            picture.fill(Area { left, top, right, bottom: top + 4 }, INCIDENT);
            ends[row] = right;
            if place < NAMED {
                let face = Face::new(11, INCIDENT).anchor(HPos::Right, VPos::Center);
                picture.text(source, face, (left - 4, top + 2));
            }
        }
    }

    /// Names what the model was trained on, what its threshold comes from, and what else is replayed.
    fn mark_spans(&self, picture: &mut Picture, frame: &Frame) {
        let last = self.span.unwrap_or_default().1;
        let place = |nanos: Option<i64>| self.column(frame, nanos.unwrap_or(last));
        let placed =
            |span: &Span| span.begin.map(|begin| (span.name, place(Some(begin)), place(span.behind)));
        let mut spans: Vec<_> = self.spans.iter().filter_map(placed).collect();
        let Some(replayed) = spans.iter().map(|(_, _, right)| *right).max() else { return };
        spans.push(("replay", replayed, BOX.right));
        spans.into_iter().for_each(|(name, left, right)| mark_span(picture, name, (left, right)));
    }

    /// Exponents of the powers of ten between which all scores and the threshold lie.
    fn decades(&self, total: &Bin) -> (i32, i32) {
        let threshold = Some(self.threshold).filter(|t| *t > 0.0 && t.is_finite());
        let spreads = [total.benign, total.anomalous, total.warming_up].into_iter().filter(|s| s.count > 0);
        let (mut low, mut high) = threshold.map_or((f64::INFINITY, 0.0), |t| (t, t));
        for spread in spreads {
            (low, high) = (low.min(spread.min), high.max(spread.max));
        }
        if !low.is_finite() || high <= 0.0 {
            return (-1, 0);
        }
        let low = low.max(high / DEPTH).log10().floor() as i32;
        (low, (high.log10().ceil() as i32).max(low + 1))
    }

    /// Length of the capture in seconds, and the unit of the time axis with its length in seconds.
    fn time_scale(&self) -> (f64, &'static str, f64) {
        let (first, last) = self.span.unwrap_or_default();
        let seconds = (i128::from(last) - i128::from(first)).max(1_000) as f64 / 1e9;
        let (unit, scale) = match seconds {
            s if s < 1.0 && !self.rows => ("ms", 1e-3),
            s if self.rows || s < 600.0 => ("s", 1.0),
            s if s < 4.0 * 3_600.0 => ("min", 60.0),
            s if s < 4.0 * 86_400.0 => ("h", 3_600.0),
            _ => ("days", 86_400.0),
        };
        (seconds, unit, scale)
    }

    /// The packets of each column of pixels.
    fn columns(&self, frame: &Frame) -> Vec<Bin> {
        let mut columns = vec![Bin::default(); (BOX.right - BOX.left + 1) as usize];
        let first = self.span.unwrap_or_default().0;
        for (nanos, bin) in self.bins.iter() {
            let seconds = (i128::from(nanos) - i128::from(first)) as f64 / 1e9;
            columns[(frame.x(seconds) - BOX.left) as usize].merge(bin);
        }
        columns
    }

    /// Title, what the plot is made of, and legend.
    fn captions(&self, picture: &mut Picture, total: &Bin) {
        picture.text(&self.title, Face::new(20, INK), (BOX.left, 26));
        picture.text(self.summary(total), Face::new(13, QUIET), (BOX.left, 50));
        let mut entries = vec![
            (Key::Square(BENIGN), "below the threshold, range".into()),
            (Key::Square(MEAN), "mean".into()),
            (Key::Square(ANOMALOUS), "above the threshold, range".into()),
            (Key::Dashes(THRESHOLD), format!("threshold {}", significant(self.threshold))),
        ];
        if total.warming_up.count > 0 {
            entries.push((Key::Square(WARMING_UP), "warming up, range".into()));
        }
        if !self.incidents.is_empty() {
            entries.push((Key::Square(INCIDENT), "incidents".into()));
        }
        if self.labelled {
            entries.push((Key::Square(TRUTH), "malicious by the labels".into()));
        }
        legend(picture, &entries, BOX.right, 72);
    }

    fn summary(&self, total: &Bin) -> String {
        let unit = if self.rows { "rows" } else { "packets" };
        let mut text = format!("{} {unit}", grouped(self.packets));
        if let Some((first, _)) = self.span.filter(|_| !self.rows) {
            let start = Timestamp::from_nanos(first).iso8601();
            text += &format!(" from {} UTC", start[..19].replace('T', " "));
        }
        text += &format!(", {} above the threshold", grouped(total.anomalous.count));
        if total.warming_up.count > 0 {
            text += &format!(", {} while warming up", grouped(total.warming_up.count));
        }
        if total.rejected > 0 {
            text += &format!(", {} without a finite score", grouped(total.rejected));
        }
        let faults = self.clock.faults();
        let set = faults.steps_back + faults.jumps;
        if set > 0 {
            text += &format!(", {} jumps and steps back of the clock left out", grouped(set));
        }
        text
    }
}

/// Packets that a model comes from.
#[derive(Clone, Debug, Default)]
struct Span {
    name: &'static str,
    /// Number of the first packet, and of the first behind them.
    first: u64,
    end: u64,
    /// Their times; none where they have not come.
    begin: Option<i64>,
    behind: Option<i64>,
}

impl Span {
    fn pass(&mut self, packet: u64, nanos: i64) {
        if packet == self.first {
            self.begin = Some(nanos);
        }
        if packet == self.end {
            self.behind = Some(nanos);
        }
    }
}

/// Draws a line at the bottom of the frame over a span, from edge to edge, with its name where there is room.
fn mark_span(picture: &mut Picture, name: &str, (left, right): (i32, i32)) {
    let (top, bottom) = (BOX.bottom - 14, BOX.bottom - 4);
    for x in [left, right] {
        picture.fill(Area { left: x, top, right: x, bottom }, QUIET);
    }
    let y = i32::midpoint(top, bottom);
    let face = Face::new(12, QUIET).anchor(HPos::Center, VPos::Center);
    let (middle, half) = (i32::midpoint(left, right), face.width(name) / 2 + 6);
    if right - left < 2 * half + 8 {
        return picture.fill(Area { left, top: y, right, bottom: y }, QUIET);
    }
    for (left, right) in [(left, middle - half), (middle + half, right)] {
        picture.fill(Area { left, top: y, right, bottom: y }, QUIET);
    }
    picture.text(name, face, (middle, y));
}

fn shade_truth(picture: &mut Picture, columns: &[Bin]) {
    for x in columns.iter().enumerate().filter(|(_, c)| c.malicious > 0).map(|(x, _)| BOX.left + x as i32) {
        // One column more on either side, so that single packets can be seen and neighbours touch.
        let (left, right) = ((x - 1).max(BOX.left), (x + 1).min(BOX.right));
        picture.fill(Area { left, right, ..BOX }, TRUTH);
    }
}

fn draw_scores(picture: &mut Picture, frame: &Frame, columns: &[Bin]) {
    let bar = |x: i32, low: f64, high: f64, grow: i32| {
        let (top, bottom) = (frame.y(high.log10()) - grow, frame.y(low.log10()) + grow);
        Area { left: x - grow, top, right: x + grow, bottom }
    };
    let filled = || columns.iter().enumerate().map(|(x, column)| (BOX.left + x as i32, column));
    for (x, c) in filled().filter(|(_, c)| c.warming_up.count > 0) {
        picture.fill(bar(x, c.warming_up.low(), c.warming_up.max, 0), WARMING_UP);
    }
    for (x, c) in filled().filter(|(_, c)| c.benign.count > 0) {
        picture.fill(bar(x, c.benign.low(), c.benign.max, 0), BENIGN);
    }
    for (x, c) in filled().filter(|(_, c)| c.benign.count > 0) {
        picture.fill(bar(x, c.benign.mean(), c.benign.mean(), 1), MEAN);
    }
    for (x, c) in filled().filter(|(_, c)| c.anomalous.count > 0) {
        picture.fill(bar(x, c.anomalous.low(), c.anomalous.max, 1), ANOMALOUS);
    }
}

/// Four significant digits.
fn significant(value: f64) -> String {
    let exponent = value.abs().log10().floor();
    if (-4.0..5.0).contains(&exponent) {
        format!("{value:.*}", (3.0 - exponent).max(0.0) as usize)
    } else {
        format!("{value:.3e}")
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SinkError> {
    let mut out = OutputFile::create(path)?;
    out.put(bytes)?;
    out.finish()
}
