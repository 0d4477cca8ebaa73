//! Runs that are measured: what bricks, hops and layouts cost.

mod clock;
mod hop;
mod meter;
mod stopwatch;
mod trial;

pub use clock::{process_time, processor_time};
pub use hop::{Work, nanoseconds as hop_nanoseconds};
pub use meter::Meter;
pub(crate) use meter::Seen;
pub use stopwatch::{SOURCE, Stopwatch};
pub use trial::{Ran, Trial, alone, median};
