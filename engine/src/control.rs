//! Orders to a run that listens on a Unix socket.
//!
//! An order is one line of JSON, and so is the answer.

use crate::swap::Swapped;
use crate::{Error, ModelFile, Session, foreign};
use legonf_models::{Model, OnnxFile};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Bytes of an order or an answer at most.
const LONGEST: u64 = 1 << 16;

/// What a run is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Order {
    /// To change a model.
    Swap {
        /// The file, by its whole path.
        file: PathBuf,
        /// Which of the graph's models it is.
        #[serde(default)]
        name: Option<String>,
    },
}

/// What a run says to that.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// The model is in force.
    Swapped(Swapped),
    /// Why nothing was changed.
    Refused(String),
}

/// Changes a model of a run that listens on a socket. The model is tried here first, so that the run need not.
///
/// # Errors
/// If nobody listens, or the run refuses the model: the old one goes on.
pub fn swap(session: &Session, socket: &Path, given: &ModelFile) -> Result<Swapped, Error> {
    check(session, &given.file)?;
    let file = given.file.canonicalize().map_err(|error| Error::file(&given.file, error))?;
    let named = |error: io::Error| {
        Error::file(socket, format!("{error}; expected the socket of `legonf live --control`"))
    };
    let mut stream = UnixStream::connect(socket).map_err(named)?;
    let order = Order::Swap { file, name: given.name.clone() };
    let line = serde_json::to_string(&order).map_err(|error| Error::file(socket, error))?;
    writeln!(stream, "{line}").map_err(named)?;
    match serde_json::from_str(&read_line(&stream).map_err(named)?) {
        Ok(Answer::Swapped(swapped)) => Ok(swapped),
        Ok(Answer::Refused(why)) => Err(Error::refused(why)),
        Err(_) => Err(Error::file(socket, "the run ended before it answered")),
    }
}

/// Refuses a file that is no model, or a foreign network that does not run within its bounds.
///
/// # Errors
/// Why it is refused.
pub fn check(session: &Session, file: &Path) -> Result<(), Error> {
    match OnnxFile::load(file)? {
        OnnxFile::Network(onnx) => foreign::check_network(session, &onnx, file),
        OnnxFile::Classifier(classifier) => foreign::check_network(session, &classifier.onnx, file),
        OnnxFile::Bundle(bundle) => match &bundle.model {
            Model::Foreign(network) => foreign::check(session, network, file),
            Model::KitNet { .. } | Model::Detector { .. } => Ok(()),
        },
    }
}

/// A line of at most so many bytes.
pub(crate) fn read_line(stream: &UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    Ok(line)
}
