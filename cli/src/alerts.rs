//! The options by which a flood of alerts is bounded.

use clap::Args;
use legonf_io::sink::AlertRate;

/// How many alerts are written; all are counted.
#[derive(Clone, Copy, Args)]
pub struct Alerts {
    /// Write at most so many alerts a second (of packet time) of one source address, 0 for all. Those that are left out are
    /// counted: `alerts` in summaries is the number of all.
    #[arg(long, value_name = "N", default_value_t = AlertRate::default().per_source)]
    alerts_per_source: u32,
    /// Write at most so many alerts a second (of packet time) of all sources together, 0 for all.
    #[arg(long, value_name = "N", default_value_t = AlertRate::default().per_second)]
    alerts_per_second: u32,
}

impl Alerts {
    /// The bounds.
    pub fn rate(self) -> AlertRate {
        AlertRate { per_source: self.alerts_per_source, per_second: self.alerts_per_second }
    }
}
