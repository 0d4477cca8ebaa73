//! The options by which a run begins with statistics of traffic that came before, and leaves its own.

use crate::invalid::Invalid;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use legonf_engine::WarmUp;
use legonf_engine::arguments::time;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

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
    if let Some(time) = given.to_str().and_then(|text| time(text).ok()) {
        return Ok(WarmUp::For(time));
    }
    let path = Path::new(&given);
    let word = path.extension().is_none() && path.components().count() <= 1 && given != "-";
    if word && !path.exists() {
        return Err(Invalid::Value("a time above 0 such as 30s, 5m or 1h30m, or a capture"));
    }
    Ok(WarmUp::Capture(given.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_no_time_is_a_capture_and_a_word_is_neither() {
        assert_eq!(warm_up("400".into()).unwrap(), WarmUp::For(Duration::from_secs(400)));
        assert_eq!(warm_up("benign.pcap".into()).unwrap(), WarmUp::Capture("benign.pcap".into()));
        assert_eq!(warm_up("captures/10x".into()).unwrap(), WarmUp::Capture("captures/10x".into()));
        assert_eq!(warm_up("-".into()).unwrap(), WarmUp::Capture("-".into()));
        for word in ["10x", "soon", "-5s", "0s", ""] {
            let error = warm_up(word.into()).unwrap_err().to_string();
            assert_eq!(error, "expected a time above 0 such as 30s, 5m or 1h30m, or a capture", "{word}");
        }
    }
}
