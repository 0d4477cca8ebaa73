//! Why a run, a training or a measurement ends without its full result.

use crate::generic::LoadError;
use legonf_catalog::CatalogError;
use legonf_controller::ControllerError;
use legonf_core::{BindError, BrickError, Fault};
use legonf_decide::DecideError;
use legonf_extract::ExtractError;
use legonf_io::labels::LabelError;
use legonf_io::sink::SinkError;
use legonf_io::{SourceError, SourceErrorKind};
use legonf_models::kitnet::{ConfigError, TrainError};
use legonf_models::{EngineError, ModelError};
use legonf_runtime::{GraphError, PlanError, RunFault};
use nix::errno::Errno;
use std::io;
use std::path::Path;

/// What a reason can be: an error of a crate, or words.
type Reason = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, in one line that names file, key and remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file, a folder or a device cannot be used.
    #[error("{file}: {reason}")]
    File {
        /// Its name as the caller gave it.
        file: String,
        /// What is wrong, and the remedy.
        reason: Reason,
    },
    /// What was asked for contradicts the model, the graph or the machine, or the machine does not give it.
    #[error("{0}")]
    Refused(Reason),
    /// A run ended with a fault, and nothing is left of it.
    #[error("{0}")]
    Fault(RunFault),
    /// A run ended with a fault; `kept` says what is left of it.
    #[error("{fault}; {kept}")]
    Run {
        /// The fault.
        fault: RunFault,
        /// What was written, or that nothing has changed.
        kept: String,
    },
    /// The session was stopped; the words say what is left of the work.
    #[error("{0}")]
    Interrupted(String),
    /// The reader of an output went away.
    #[error("the reader of the output went away")]
    ClosedPipe,
    /// A model cannot be read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A network cannot be trained so.
    #[error(transparent)]
    Training(#[from] ConfigError),
    /// Training came to no network.
    #[error(transparent)]
    Trained(#[from] TrainError),
    /// Training came to no detector.
    #[error(transparent)]
    Detector(#[from] legonf_models::detectors::TrainError),
    /// A classifier cannot be trained.
    #[error(transparent)]
    Classifier(Box<legonf_train::TrainError>),
    /// The generic engine cannot run a network.
    #[error(transparent)]
    Network(#[from] LoadError),
    /// An engine failed at rows.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A schema or an extractor is wrong.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// There is no threshold.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// A graph is wrong.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A brick cannot be made.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A layout does not fit its graph.
    #[error(transparent)]
    Layout(#[from] PlanError),
    /// A policy, costs or a promise is wrong.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// A capture or a table cannot be read.
    #[error(transparent)]
    Source(SourceError),
    /// Labels are not those of the packets, or cannot be read.
    #[error(transparent)]
    Labels(LabelError),
    /// An output cannot be written.
    #[error(transparent)]
    Output(#[from] SinkError),
    /// A source or a sink failed.
    #[error(transparent)]
    End(#[from] Fault),
    /// A brick does not fit the columns of its graph.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A brick failed.
    #[error(transparent)]
    Brick(#[from] BrickError),
    /// A host cannot be reached or answered.
    #[error(transparent)]
    Tls(#[from] legonf_transport::tls::TlsError),
    /// What goes between processes or hosts does not come over.
    #[error(transparent)]
    Channel(#[from] legonf_transport::ChannelError),
    /// An interface cannot be listened to, or privileges cannot be given up.
    #[cfg(feature = "live")]
    #[error(transparent)]
    Live(#[from] legonf_live::LiveError),
    /// The system refused something.
    #[error("{0}")]
    System(#[from] io::Error),
    /// A limit of the process cannot be set.
    #[error(transparent)]
    Limit(#[from] Errno),
    /// A result is no JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl From<legonf_train::TrainError> for Error {
    fn from(error: legonf_train::TrainError) -> Self {
        Self::Classifier(Box::new(error))
    }
}

impl Error {
    /// What is wrong with a file.
    pub fn file(path: &Path, reason: impl Into<Reason>) -> Self {
        Self::File { file: path.display().to_string(), reason: reason.into() }
    }

    /// What cannot be, and why.
    pub fn refused(reason: impl Into<Reason>) -> Self {
        Self::Refused(reason.into())
    }
}

/// A wait that the session's stop flag has ended is no fault.
impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        match error.kind() {
            SourceErrorKind::Stopped => Self::Interrupted(error.to_string()),
            _ => Self::Source(error),
        }
    }
}
