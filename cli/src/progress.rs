//! Progress on a terminal; nothing in a pipe.

use crate::notify::{is_watched, notify};
use crate::summary::width::of_terminal;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use legonf_core::Progress;
use legonf_engine::{Extent, Gauge, Observer};
use legonf_output::one_line;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

/// The terminal as the observer of work; it looks away where the command is to be quiet.
pub struct Terminal {
    quiet: bool,
}

impl Terminal {
    /// The one that prints progress, or the quiet one.
    pub fn get(quiet: bool) -> &'static Self {
        if quiet { &Self { quiet: true } } else { &Self { quiet: false } }
    }
}

impl Observer for Terminal {
    fn begin(&self, task: &'static str, extent: Extent) -> Box<dyn Gauge> {
        Box::new(match extent {
            Extent::Bytes => Bar::new(task, None, self.quiet),
            Extent::Packets(packets) => Bar::new(task, Some(packets), self.quiet),
            Extent::Endless => Bar::endless(task, self.quiet),
        })
    }

    fn note(&self, text: &str) {
        eprintln!("legonf: note: {text}");
    }

    fn ready(&self) {
        notify("READY=1");
    }

    fn alive(&self) {
        if is_watched() {
            notify("WATCHDOG=1");
        }
    }

    fn ending(&self) {
        notify("STOPPING=1");
    }
}

impl Gauge for Bar {
    fn update(&self, progress: Progress, packets: u64) {
        Self::update(self, progress, packets);
    }

    fn counts(&self, alerts: Option<u64>, dropped: u64) {
        if !self.bar.is_hidden() {
            self.bar.set_prefix(counts(alerts, dropped));
        }
    }
}

/// A bar goes away with the work that it is of.
impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A bar over the bytes of the input, or over a known number of packets, with rate and time left.
pub struct Bar {
    bar: ProgressBar,
    by_packets: bool,
}

impl Bar {
    /// A bar named `name`; over `packets` if their number is known, else over bytes. Hidden when `quiet` or when
    /// standard error is no terminal.
    pub fn new(name: &'static str, packets: Option<u64>, quiet: bool) -> Self {
        let hidden = quiet || !std::io::stderr().is_terminal();
        let target =
            if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let bar = ProgressBar::with_draw_target(packets, target).with_message(name);
        let template = match (packets, is_narrow()) {
            (Some(_), false) => "{msg} [{wide_bar}] {human_pos}/{human_len} packets, {per_sec}, {eta} left",
            (None, false) => "{msg} [{wide_bar}] {bytes}/{total_bytes} {prefix}, {eta} left",
            (_, true) => "{msg} {percent}%, {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        if !hidden {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, by_packets: packets.is_some() }
    }

    /// A line for work without an end in sight: packets a second, alerts, and packets dropped. Hidden as for `new`.
    fn endless(name: &'static str, quiet: bool) -> Self {
        let this = Self::new(name, Some(0), quiet);
        this.bar.unset_length();
        if let Ok(style) = ProgressStyle::with_template("{msg} {spinner} {rate}{prefix}") {
            // What cannot be formatted is not shown.
            let show = |state: &ProgressState, out: &mut dyn Write| {
                let _ = out.write_str(&rate(state.per_sec()));
            };
            this.bar.set_style(style.with_key("rate", show));
        }
        this
    }

    /// Shows how far the work is.
    pub fn update(&self, progress: Progress, packets: u64) {
        if self.bar.is_hidden() {
            return;
        }
        if self.by_packets {
            self.bar.set_position(packets);
            return;
        }
        if let Some(total) = progress.total_bytes {
            self.bar.set_length(total);
        }
        self.bar.set_position(progress.read_bytes);
        self.bar.set_prefix(format!("{packets} packets"));
    }

    /// A bar over the bytes of a transfer, of a length that may become known later.
    pub fn transfer(name: &str, quiet: bool) -> Self {
        let bar = Self::new("", None, quiet);
        let template = match is_narrow() {
            false => "{msg} [{wide_bar}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
            true => "{msg} {percent}%, {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.bar.set_style(style.progress_chars("=> "));
        }
        bar.say(name.to_owned());
        bar
    }

    /// Shows how many bytes are through, of how many.
    pub fn transferred(&self, bytes: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(bytes);
    }

    /// Changes what the bar says of itself.
    pub fn say(&self, message: String) {
        let message = one_line(&message);
        if self.bar.message() != message {
            self.bar.set_message(message.into_owned());
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Whether a line of the terminal has no room for a bar beside its figures.
fn is_narrow() -> bool {
    of_terminal(std::io::stderr()).is_some_and(|columns| columns < 80)
}

/// Packets a second, in words.
fn rate(packets: f64) -> String {
    format!("{}/s", HumanCount(packets.round() as u64))
}

/// What follows on the rate.
fn counts(alerts: Option<u64>, dropped: u64) -> String {
    let alerts = alerts.map_or_else(String::new, |alerts| {
        format!(", {} alert{}", HumanCount(alerts), if alerts == 1 { "" } else { "s" })
    });
    format!("{alerts}, {} dropped", HumanCount(dropped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_run_shows_its_rate_alerts_and_losses() {
        assert_eq!(rate(4370.4) + &counts(Some(12), 0), "4,370/s, 12 alerts, 0 dropped");
        assert_eq!(rate(0.0) + &counts(Some(1), 1_234), "0/s, 1 alert, 1,234 dropped");
        assert_eq!(rate(9.0) + &counts(None, 2), "9/s, 2 dropped");
    }
}
