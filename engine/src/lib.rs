//! The application: what the `legonf` command, and any other program that uses legonf, calls.
//!
//! Every piece of work is a value that says what goes in and what is written. A [`Training`] makes a model, a [`Calibrating`] sets
//! its threshold. A [`Replay`] runs a capture through a network function, a [`Live`] the packets of an interface, which a [`Recording`](live::Recording) writes as they are. An
//! [`Extraction`] writes features, and a [`Profile`] measures what bricks cost. Each is run in a [`Session`], which says how it
//! is stopped and who sees its progress. It returns data; the caller makes text of it.
//!
//! A [`Steering`] puts a run under the controller: the [`Agent`](agent::Agent) joins controller and runtime. In any layout
//! `received = scored + rejected + dropped` holds in every [`Summary`], and every packet gets the same score.
//!
//! ```no_run
//! use legonf_engine::{Calibrating, Replay, Scoring, Session, Training};
//!
//! let session = Session::default();
//! Training::new(["benign.pcap".into()], "kitsune.onnx").run(&session)?;
//! Calibrating::new("kitsune.onnx", "other-benign.pcap").run(&session)?;
//! let report = Replay::new("suspicious.pcap", Scoring::new("kitsune.onnx")).run(&session)?;
//! println!("{} of {} packets are anomalous", report.summary.alerts, report.summary.coverage.received);
//! # Ok::<(), legonf_engine::Error>(())
//! ```
//!
//! [`measure`] runs graphs over other sources than captures, for experiments.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod agent;
pub mod arguments;
mod assembly;
mod calibration;
mod captures;
pub mod certificates;
mod classifier;
pub mod control;
mod describe;
mod error;
mod extraction;
mod fit;
mod flows;
mod folder;
pub mod foreign;
mod generic;
mod graph_check;
mod hosting;
mod import;
pub mod input;
mod joining;
#[cfg(feature = "live")]
pub mod live;
pub mod measure;
mod models;
pub mod monitor;
mod network;
pub mod nf;
pub mod optimize;
pub mod own_schema;
mod packets;
mod placement;
mod playback;
mod profile;
pub mod reading;
mod replay;
mod scoring;
mod seed;
mod session;
mod standby;
mod state;
mod steering;
mod stuck;
mod summary;
mod supply;
mod suppression;
mod swap;
mod tally;
mod training;
mod warming;
mod watch;
mod workers;

pub use assembly::{EngineKind, Execution, assemble_extraction};
pub use calibration::{Calibrated, Calibrating, Packet};
pub use captures::Captures;
pub use classifier::{
    Audit, Audited, CaptureOfClass, ClassQuality, ClassifierTraining, Duplicates, Finding, LabelledFlows,
    TrainedClassifier,
};
pub use describe::describe;
pub use error::Error;
pub use extraction::{Extracted, Extraction};
pub use fit::Misfit;
pub use flows::{FLOW_FIELDS, FlowRecords, FlowsWritten};
pub use folder::{Folder, write_text};
pub use graph_check::{Checked, check_graph};
pub use hosting::{Confinement, Hosting, host_here};
pub use import::{Import, verify};
pub use joining::{Accepting, Admitted, Joining};
#[cfg(feature = "live")]
pub use live::Live;
pub use models::{ModelFile, Models, check as check_models};
pub use network::Network;
pub use packets::headers;
pub use placement::{
    Address, HostReport, LEASE, Located, Location, Locations, Malformed, Place, Placement, Site, read_hosts,
};
pub use playback::Playback;
pub use profile::Profile;
pub use replay::{Replay, ScoreFormat};
pub use scoring::{Report, Scoring};
pub use seed::Seed;
pub use session::{Extent, Gauge, Observer, Session, Unobserved};
pub use standby::{HotStandby, StandbyReport};
pub use steering::{Steering, read_costs};
pub use stuck::{AFTER as WATCHDOG_SECONDS, complete};
pub use summary::{ClockReport, Disturbances, FilteredOut, FlowCounts, Service, Summary, Timing, WarmingUp};
pub use suppression::Suppressed;
pub use swap::{NewThreshold, Planned, Swapped, Swaps};
pub use training::{Drift, Goal, Span, Trained, Training};
pub use warming::WarmUp;
pub use watch::{IncidentSummary, Watching};
pub use workers::Workers;
