//! What is on the screen.

use super::Seen;
use crate::running::{coverage, rounded};
use legonf_core::grouped;
use legonf_output::one_line;
use legonf_server::ServerError;
use legonf_server::api::{EventRow, IncidentRow, Replica, RunState, Stage};
use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};

/// The smallest screen.
const LEAST_WIDTH: u16 = 60;
const LEAST_HEIGHT: u16 = 18;
/// Lines of the curve, and of the list at the bottom.
const CURVE: u16 = 3;
const LIST: u16 = 6;
/// Cells of a bar.
const BAR: usize = 8;

/// The list at the bottom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Incidents,
    Decisions,
}

/// Colours, or none.
#[derive(Clone, Copy)]
pub struct Palette {
    has_colours: bool,
}

impl Palette {
    /// By the environment variable NO_COLOR: colours are off where it is not empty.
    pub fn of_environment() -> Self {
        Self { has_colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    /// A colour; what it says is in words, too.
    fn colour(self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn warning(self) -> Style {
        self.colour(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn alarm(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn curve(self) -> Style {
        self.colour(Color::Cyan)
    }
}

/// The screen.
pub struct Screen {
    seen: Seen,
    palette: Palette,
    list: List,
    /// Lines of the list that are above its first one.
    above: usize,
    is_paused: bool,
    /// Why the run does not answer.
    lost: Option<String>,
}

impl Screen {
    pub fn new(seen: Seen, palette: Palette) -> Self {
        Self { seen, palette, list: List::Incidents, above: 0, is_paused: false, lost: None }
    }

    /// Takes what was answered, and says whether that shows.
    pub fn take(&mut self, answer: Result<Seen, ServerError>) -> bool {
        if self.is_paused {
            return false;
        }
        match answer {
            Ok(seen) => (self.seen, self.lost) = (seen, None),
            Err(error) => self.lost = Some(error.to_string()),
        }
        true
    }

    /// Does what a key says, and says whether that shows.
    pub fn press(&mut self, key: KeyCode) -> bool {
        let page = usize::from(LIST) - 1;
        match key {
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Tab => {
                let incidents = self.list == List::Incidents;
                (self.list, self.above) = (if incidents { List::Decisions } else { List::Incidents }, 0);
            }
            KeyCode::Up => self.above = self.above.saturating_sub(1),
            KeyCode::Down => self.above += 1,
            KeyCode::PageUp => self.above = self.above.saturating_sub(page),
            KeyCode::PageDown => self.above += page,
            KeyCode::Home => self.above = 0,
            _ => return false,
        }
        true
    }

    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        if area.width < LEAST_WIDTH || area.height < LEAST_HEIGHT {
            let (width, height) = (area.width, area.height);
            let words =
                format!("at least {LEAST_WIDTH} × {LEAST_HEIGHT} are needed; it is {width} × {height}");
            return frame
                .render_widget(Paragraph::new(words).wrap(ratatui::widgets::Wrap { trim: true }), area);
        }
        let rows = [
            Constraint::Length(2),
            Constraint::Length(CURVE + 1),
            Constraint::Min(3),
            Constraint::Length(1),
            Constraint::Length(LIST),
            Constraint::Length(1),
        ];
        let [top, curve, table, packets, list, keys] = Layout::vertical(rows).areas(area);
        frame.render_widget(Paragraph::new(self.top()), top);
        self.draw_curve(frame, curve);
        self.draw_replicas(frame, table);
        frame.render_widget(Paragraph::new(coverage(&self.seen.counters)), packets);
        self.draw_list(frame, list);
        frame.render_widget(Paragraph::new(self.keys()), keys);
    }

    /// What runs, and since when; and how fast.
    fn top(&self) -> Vec<Line<'_>> {
        let graph = &self.seen.graph;
        let mut words = vec![
            Span::styled(format!("legonf {}", one_line(&graph.name)), self.palette.heading()),
            Span::raw(format!("  {:.0} s  ", graph.at)),
        ];
        words.push(match (&self.lost, graph.state, graph.is_controlled) {
            (Some(_), ..) => Span::styled("no answer; these are the last figures", self.palette.alarm()),
            (None, RunState::Starting, _) => Span::styled("the run is starting", self.palette.warning()),
            (None, RunState::Over, _) => Span::styled("the run is over", self.palette.warning()),
            (None, RunState::Running, true) => Span::raw("under a controller"),
            (None, RunState::Running, false) => Span::raw("without a controller"),
        });
        if self.is_paused {
            words.push(Span::styled("  paused", self.palette.warning()));
        }
        let rates = format!(
            "packets/s  {} offered  {} done  {} dropped    alerts {}",
            rounded(graph.offered_per_second),
            rounded(graph.done_per_second),
            rounded(graph.dropped_per_second),
            grouped(self.seen.counters.alerts)
        );
        vec![Line::from(words), Line::raw(rates)]
    }

    /// The throughput of the last seconds, as many as there is room for.
    fn draw_curve(&self, frame: &mut Frame<'_>, area: Rect) {
        let points = &self.seen.history.points;
        let last = &points[points.len().saturating_sub(usize::from(area.width))..];
        let rates: Vec<u64> = last.iter().map(|point| point.done_per_second.max(0.0) as u64).collect();
        let most = rates.iter().copied().max().unwrap_or(0);
        let words = format!("packets/s done, last {} s, {} at most", rates.len(), grouped(most));
        let [heading, curve] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
        frame.render_widget(Paragraph::new(words).style(self.palette.heading()), heading);
        frame.render_widget(Sparkline::default().data(&rates).style(self.palette.curve()), curve);
    }

    fn draw_replicas(&self, frame: &mut Frame<'_>, area: Rect) {
        let fixed = [BAR as u16 + 5, 10, 7, 8, 10];
        // A blank between two columns.
        let room = usize::from(area.width - fixed.iter().sum::<u16>() - fixed.len() as u16);
        let widths = [room as u16].into_iter().chain(fixed).map(Constraint::Length);
        let right = |words: &'static str| Cell::new(Line::raw(words).alignment(Alignment::Right));
        let heading = Row::new([
            Cell::new("replica"),
            Cell::new("useful work"),
            right("packets/s"),
            right("waiting"),
            right("state"),
            Cell::new(""),
        ]);
        let stages = &self.seen.graph.stages;
        let mut rows: Vec<_> = stages
            .iter()
            .flat_map(|stage| stage.replicas.iter().map(move |replica| (stage, replica)))
            .map(|(stage, replica)| self.row(stage, replica, room))
            .collect();
        let lines = usize::from(area.height).saturating_sub(1);
        if rows.len() > lines {
            let further = rows.len() + 1 - lines;
            rows.truncate(lines.saturating_sub(1));
            rows.push(Row::new([format!("and {further} further replicas: make the window higher")]));
        }
        frame.render_widget(Table::new(rows, widths).header(heading.style(self.palette.heading())), area);
    }

    /// The line of a replica, whose name has so many characters at most.
    fn row(&self, stage: &Stage, replica: &Replica, room: usize) -> Row<'_> {
        let right = |words: String| Cell::new(Line::raw(words).alignment(Alignment::Right));
        let filled = (replica.useful_work_ratio.clamp(0.0, 1.0) * BAR as f64).round() as usize;
        let bar = format!(
            "{}{} {:>3.0}%",
            "█".repeat(filled),
            "░".repeat(BAR - filled),
            100.0 * replica.useful_work_ratio
        );
        let (mark, style) = match stage.is_bottleneck {
            true => ("bottleneck", self.palette.warning()),
            false => ("", Style::new()),
        };
        let cells = [
            Cell::new(short(&replica.name, &self.seen.graph.name, room)),
            Cell::new(bar),
            right(rounded(replica.packets_per_second).to_string()),
            right(stage.queue.to_string()),
            right(bytes(replica.state_bytes)),
            Cell::new(mark),
        ];
        Row::new(cells).style(style)
    }

    fn draw_list(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let lines: Vec<Line<'_>> = match self.list {
            List::Incidents => self.seen.incidents.incidents.iter().map(|one| self.incident(one)).collect(),
            List::Decisions => self.seen.events.events.iter().rev().map(event).collect(),
        };
        let room = usize::from(area.height).saturating_sub(1);
        let above = self.above.min(lines.len().saturating_sub(room));
        let (name, nothing) = match self.list {
            List::Incidents => ("incidents", "no incidents so far"),
            List::Decisions => ("decisions, the latest first", "no decisions so far"),
        };
        let shown = (above + room).min(lines.len());
        let heading = match lines.len() {
            0 => name.to_owned(),
            all => format!("{name}: {} to {shown} of {all}", above + 1),
        };
        let mut text = vec![Line::styled(heading, self.palette.heading())];
        match lines.is_empty() {
            true => text.push(Line::raw(nothing)),
            false => text.extend(lines.into_iter().skip(above).take(room)),
        }
        frame.render_widget(Paragraph::new(text), area);
        self.above = above;
    }

    fn incident(&self, incident: &IncidentRow) -> Line<'static> {
        let style = match incident.severity.as_str() {
            "high" => self.palette.alarm(),
            "medium" => self.palette.warning(),
            _ => Style::new(),
        };
        let state = if incident.is_open { "goes on" } else { "ended" };
        let words = format!("{:<7} {state:<7} {}", one_line(&incident.severity), one_line(&incident.text));
        Line::styled(words, style)
    }

    fn keys(&self) -> Line<'_> {
        match &self.lost {
            Some(reason) => Line::styled(one_line(reason).into_owned(), self.palette.alarm()),
            None => Line::raw("q end   p pause   Tab incidents or decisions   ↑ ↓ scroll"),
        }
    }
}

/// A replica's name without that of its graph, cut before its number where it is longer than there is room.
fn short(name: &str, graph: &str, room: usize) -> String {
    let name = one_line(name.strip_prefix(graph).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name));
    let (bricks, number) = name.rfind('#').map_or((&*name, ""), |at| name.split_at(at));
    let left = room.saturating_sub(number.chars().count());
    if bricks.chars().count() <= left {
        return name.into_owned();
    }
    let begin: String = bricks.chars().take(left.saturating_sub(1)).collect();
    format!("{begin}…{number}")
}

fn event(event: &EventRow) -> Line<'static> {
    Line::raw(format!("{:>8.1} s  {}", event.at, one_line(&event.text)))
}

/// A size in three digits and a unit.
fn bytes(size: u64) -> String {
    let mut value = size as f64;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{size} B") } else { format!("{value:.0} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        assert_eq!(short("kitsune/extractor#12", "kitsune", 20), "extractor#12");
        assert_eq!(short("kitsune/mapping+autoencoder#3", "kitsune", 12), "mapping+a…#3");
        assert_eq!(short("other/a#0", "kitsune", 20), "other/a#0");
    }

    #[test]
    fn sizes_have_three_digits() {
        let sizes = [0, 999, 1000, 1_048_576, 3 << 40];
        assert_eq!(sizes.map(bytes), ["0 B", "999 B", "1 KiB", "1 MiB", "3072.0 GiB"]);
    }
}
