//! All detectors on captures with labels: each is trained on the same benign packets before the first attack, and judged on what
//! follows.

mod contest;
mod labels;
mod report;
mod summary;

pub use report::{Entry, Report, text};
pub use summary::{Spread, Summary, text as summary_text};

use crate::ExperimentError;
use crate::quiet::traffic::Traffic;
use clap::Args;
use contest::Contest;
use labels::Truth;
use legonf_core::count;
use legonf_engine::{Error, Session, input};
use legonf_models::kitnet::TrainConfig;
use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Packets of a training that is cold.
const COLD: u64 = 500;
/// Packets of a training that is warm, at least.
const WARM: u64 = 10_000;
/// The part of the benign packets before the first attack that is trained on; the rest is judged.
const TRAINED: f64 = 0.75;
/// The fewest packets of a training.
const FEWEST: u64 = 40;

/// Trains every detector on the same benign packets of a capture with labels, and says what each finds in the rest.
///
/// The packets before the first attack are benign. Three quarters of them are trained on, unless --training-packets says
/// otherwise. All that follows is scored. Rates of false positives are taken where the scores of its benign packets say, so that no
/// threshold has to be calibrated; an attack is found if a packet of it scores above the threshold of one false positive in 1,000.
/// A pause of a minute parts two attacks.
#[derive(Args)]
pub struct Compare {
    /// Capture.
    capture: PathBuf,
    /// Its labels: a line for each packet, `index,label` or a label only.
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Train on the first N packets.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(FEWEST..))]
    training_packets: Option<u64>,
    /// Feature schema.
    #[arg(long, default_value = legonf_extract::DEFAULT_SCHEMA)]
    schema: String,
    /// Seed of weights, samples and forests.
    #[arg(long, default_value_t = 1234)]
    seed: u32,
}

/// Compares all detectors on captures with labels, each cold (trained on 500 packets) and, where 10,000 or more come before
/// the first attack, warm (trained on three quarters of these), as `legonf compare` does on one.
///
/// The summary states for each detector by how much its AUC is below that of the best single one of the capture.
#[derive(Args)]
pub struct Arguments {
    /// Capture and labels: CAPTURE,labels=FILE.
    #[arg(required = true, value_name = "CAPTURE,labels=FILE")]
    captures: Vec<Labelled>,
    /// Feature schema.
    #[arg(long, default_value = legonf_extract::DEFAULT_SCHEMA)]
    schema: String,
    /// Seed of weights, samples and forests.
    #[arg(long, default_value_t = 1234)]
    seed: u32,
}

/// A capture and the file of its labels, where one was named.
#[derive(Clone, Debug)]
struct Labelled {
    capture: PathBuf,
    labels: Option<PathBuf>,
}

impl From<OsString> for Labelled {
    fn from(text: OsString) -> Self {
        match text.to_str().and_then(|text| text.split_once(",labels=")) {
            Some((capture, labels)) => Self { capture: capture.into(), labels: Some(labels.into()) },
            None => Self { capture: text.into(), labels: None },
        }
    }
}

impl std::str::FromStr for Labelled {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(OsString::from(text).into())
    }
}

/// Compares all detectors on one capture.
///
/// # Errors
/// If the capture or its labels cannot be read, there is no attack or too few benign packets before it, or the session is stopped.
pub fn compare(arguments: &Compare, session: &Session) -> Result<Report, ExperimentError> {
    let truth = Truth::read(&arguments.labels)?;
    let before = truth.first_attack().ok_or_else(|| without_attack(&arguments.labels))?;
    let packets = arguments.training_packets.unwrap_or((before as f64 * TRAINED) as u64);
    let trained = |packets| Trained {
        capture: &arguments.capture,
        schema: &arguments.schema,
        seed: arguments.seed,
        packets,
    };
    trained(packets).run(session, &truth, before)
}

/// Compares all detectors on several captures.
///
/// # Errors
/// As [`compare`]; also if a capture has no labels.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Summary, ExperimentError> {
    let mut reports = Vec::new();
    for Labelled { capture, labels } in &arguments.captures {
        let reason = "has no labels: give them as CAPTURE,labels=FILE";
        let labels = labels.as_ref().ok_or_else(|| Error::file(capture, reason))?;
        let truth = Truth::read(labels)?;
        let before = truth.first_attack().ok_or_else(|| without_attack(labels))?;
        let warm = (before as f64 * TRAINED) as u64;
        let lengths = [Some(COLD.min(warm)), Some(warm).filter(|_| before >= WARM)];
        for packets in lengths.into_iter().flatten() {
            let trained = Trained { capture, schema: &arguments.schema, seed: arguments.seed, packets };
            reports.push(trained.run(session, &truth, before)?);
        }
    }
    Ok(Summary::of(reports))
}

/// What all detectors of a comparison are trained on.
struct Trained<'a> {
    capture: &'a Path,
    schema: &'a str,
    seed: u32,
    packets: u64,
}

impl Trained<'_> {
    fn run(&self, session: &Session, truth: &Truth, before: u64) -> Result<Report, ExperimentError> {
        if self.packets < FEWEST || self.packets > before {
            let benign = count(before, "benign packet");
            let reason = format!(
                "{benign} before the first attack, and the training would take {}; it takes {FEWEST} or more, all benign: give \
                 another capture or --training-packets",
                self.packets
            );
            return Err(Error::file(self.capture, reason).into());
        }
        let schema = legonf_extract::schema_by_name(self.schema)?;
        let traffic = Traffic::Captured { path: self.capture.to_owned(), limit: None };
        let mut contest = Contest::new(self.config(schema.len()), &schema, truth);
        traffic.each_row(session, ("comparing", &schema), |row| {
            contest.push(&row)?;
            Ok(true)
        })?;
        let name = input::file_name(self.capture);
        let reason = "has fewer packets than labels, or none that can be read behind those of the training";
        contest
            .finish(name, before >= WARM && self.packets > COLD)
            .ok_or_else(|| Error::file(self.capture, reason).into())
    }

    /// A KitNET is trained on as many packets as the others, one of eleven for its feature map, as by default.
    fn config(&self, features: usize) -> TrainConfig {
        let mapping = (self.packets / 11).max(1);
        TrainConfig {
            features,
            feature_mapping_packets: mapping,
            training_packets: self.packets - mapping - 1,
            seed: self.seed,
            ..TrainConfig::default()
        }
    }
}

fn without_attack(labels: &Path) -> ExperimentError {
    Error::file(labels, "no packet is malicious, so nothing can be found").into()
}
