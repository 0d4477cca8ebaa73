//! Sinks: where results leave the graph.
//!
//! Every file is written through [`OutputFile`], which gives it its name only when it is whole, but for a
//! [`LineStream`], which others read while it grows. Equal results give equal bytes: no file holds a clock, a path
//! or a random number.

mod alert_pcap;
mod error;
mod eve;
mod file;
mod forwarded;
mod incidents;
mod limit;
mod matrix;
mod npy_header;
mod packet_file;
mod parquet_file;
mod plot;
mod records;
mod result_columns;
mod scored;
mod scores_csv;
mod scores_parquet;
mod stream;
mod text;
mod zeek;

pub use alert_pcap::AlertPcap;
pub use error::{SinkError, is_closed_pipe};
pub use eve::{Eve, RunStats, StatsHandle};
pub use file::OutputFile;
pub use forwarded::ForwardedFiles;
pub use incidents::IncidentFile;
pub use limit::{AlertRate, PerSource};
pub use matrix::Matrix;
use npy_header::npy_header;
pub use packet_file::PacketFile;
pub use plot::{HostStrips, Panel, ScorePlot, SeriesPlot, Strip, Theme, Timeline};
pub use records::{Field, Kind, Records, Value};
pub use result_columns::ResultColumns;
pub use scores_csv::ScoresCsv;
pub use scores_parquet::ScoresParquet;
pub use stream::{Framing, LineStream, Lines, Loss, Rotation, Syslog, SyslogTarget};
#[cfg(feature = "nats")]
pub use stream::{Nats, NatsTarget};
