//! The options by which a run begins with statistics of traffic that came before, and leaves its own.

use crate::invalid::Invalid;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use legonf_engine::WarmUp;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files of what the extractor has learnt.
#[derive(Clone, Args)]
pub struct States {
    /// Begin with the extractor's state that --state-out of an earlier run wrote, as if both were one run: every score is the same,
    /// in any layout. Schema, slot seed and limits must be those of that run; where no seed is named, the state's is taken.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Write the extractor's state at the end: its damped statistics, by slot, and the stream's clock. A run that ends by a fault
    /// leaves none.
    #[arg(long, value_name = "FILE")]
    pub state_out: Option<PathBuf>,
}

/// When scores are judged.
#[derive(Clone, Args)]
pub struct Warming {
    /// Until statistics have settled (4/λ of the slowest decay λ: 400 s of packet time from the first packet on) packets are scored,
    /// counted as warming up, and raise no alert. A TIME such as 400s or 10m is taken instead of that; the packets of a capture (FILE) go
    /// through the extractor first, and their time counts.
    #[arg(long, value_name = "FILE|TIME", conflicts_with_all = ["no_warm_up", "state"],
        value_parser = OsStringValueParser::new().try_map(warm_up))]
    warm_up: Option<WarmUp>,
    /// Judge from the first packet on, as the papers do.
    #[arg(long)]
    no_warm_up: bool,
    #[command(flatten)]
    pub states: States,
}

impl Warming {
    /// What the engine takes.
    pub fn given(&self) -> WarmUp {
        if self.no_warm_up { WarmUp::Off } else { self.warm_up.clone().unwrap_or_default() }
    }
}

/// A time, or else the name of a capture. A word that is no file's is told to be neither here.
fn warm_up(given: OsString) -> Result<WarmUp, Invalid> {
    if let Some(time) = given.to_str().and_then(time) {
        return Ok(WarmUp::For(time));
    }
    let path = Path::new(&given);
    let word = path.extension().is_none() && path.components().count() <= 1 && given != "-";
    if word && !path.exists() {
        return Err(Invalid::Value("a time above 0 such as 400s, 10m or 1h, or a capture"));
    }
    Ok(WarmUp::Capture(given.into()))
}

/// A time above 0 with its unit: `400s`, `1.5m`, `1h`.
fn time(text: &str) -> Option<Duration> {
    let units = [("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let (number, seconds) = units.iter().find_map(|(unit, s)| Some((text.strip_suffix(unit)?, s)))?;
    let digits = number.starts_with(|c: char| c.is_ascii_digit());
    let number = number.parse::<f64>().ok().filter(|_| digits)?;
    // So many seconds are whole nanoseconds of a stream.
    let most = Duration::from_nanos(u64::MAX);
    let time = Duration::try_from_secs_f64(number * seconds).ok()?;
    Some(time).filter(|time| !time.is_zero() && *time < most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("400s", 400.0), ("1.5m", 90.0), ("2h", 7_200.0), ("0.25s", 0.25)] {
            assert_eq!(time(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in
            ["", "s", "400", "-1s", "+1s", "0s", "0.0h", "infs", "NaNm", "1e300s", "99999999h", "1 s", "1S"]
        {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_a_capture_and_a_word_is_neither() {
        assert_eq!(warm_up("benign.pcap".into()).unwrap(), WarmUp::Capture("benign.pcap".into()));
        assert_eq!(warm_up("captures/10x".into()).unwrap(), WarmUp::Capture("captures/10x".into()));
        assert_eq!(warm_up("-".into()).unwrap(), WarmUp::Capture("-".into()));
        for word in ["10x", "soon", "400", "-5s", "0s", ""] {
            let error = warm_up(word.into()).unwrap_err().to_string();
            assert_eq!(error, "expected a time above 0 such as 400s, 10m or 1h, or a capture", "{word}");
        }
    }
}
