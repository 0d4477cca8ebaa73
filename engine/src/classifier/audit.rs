//! What a classifier's score rests on.

use super::flows::ADDRESSES;
use super::sources::LabelledFlows;
use crate::{Error, Extent, Session};
use legonf_core::Progress;
use legonf_extract::flow::{IMAGE_BYTES, is_record};
use legonf_models::ClassifierBundle;
use legonf_train::{Confusion, Features, Forest, Quality, Samples, Shares, Unit, split};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

/// Bounds of the ranges of bytes that are hidden one by one.
const RANGES: [(usize, usize); 6] = [(0, 5), (5, 16), (16, 32), (32, 64), (64, 256), (256, IMAGE_BYTES)];
/// Trees of a forest that is grown for each finding.
const TREES: usize = 40;
/// A model and labelled flows of the kind that it was trained on.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The classifier: its classes and how it was split.
    pub model: PathBuf,
    /// Labelled flows: see [`LabelledFlows::read`].
    pub inputs: Vec<PathBuf>,
}

/// How well classes are told apart where something is hidden or added.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What is hidden or added.
    pub name: String,
    /// Averaged over the classes.
    #[serde(flatten)]
    pub quality: Quality,
    /// The share of samples whose class was told.
    pub accuracy: f64,
}

/// Samples that are equal to others.
#[derive(Clone, Debug, Serialize)]
pub struct Duplicates {
    /// Samples of the test part whose bytes are also in the training part.
    pub across_the_split: usize,
    /// Samples of the test part.
    pub of: usize,
    /// Samples whose bytes are also those of a sample of another class.
    pub of_other_classes: usize,
}

/// A class whose samples come from one capture.
#[derive(Clone, Debug, Serialize)]
pub struct CaptureOfClass {
    /// The class.
    pub class: String,
    /// Its capture, where that is known.
    pub capture: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Audited {
    /// The model.
    pub model: String,
    /// How the samples were divided here: `capture`, or `flow` where their captures are not known.
    pub split: String,
    /// The model trained anew is a forest of so many trees: it learns in seconds, and reads what the model reads.
    pub trees: usize,
    /// All that the model reads; then less, or more.
    pub findings: Vec<Finding>,
    /// Classes that are taken for each other most: class, taken for, samples.
    pub mistakes: Vec<(String, String, u64)>,
    /// Equal samples.
    pub duplicates: Duplicates,
    /// Classes that are one capture, as far as is known.
    pub one_capture: Vec<CaptureOfClass>,
}

/// Samples in two parts.
struct Halves<'a> {
    samples: &'a Samples,
    training: Vec<usize>,
    test: Vec<usize>,
    seed: u64,
}

impl Audit {
    /// Trains a forest anew with each part hidden or added, and looks for equal samples and classes of one capture.
    ///
    /// # Errors
    /// If the model or the samples cannot be read, their classes differ, or the session is stopped.
    pub fn run(&self, session: &Session) -> Result<Audited, Error> {
        let model = ClassifierBundle::load(&self.model)?;
        let flows = LabelledFlows::read(session, &self.inputs, &names(&model, &self.inputs))?;
        let samples = &flows.samples;
        if samples.classes != model.classes {
            let reason = format!(
                "knows the classes {}, the data have {}",
                model.classes.join(", "),
                samples.classes.join(", ")
            );
            return Err(Error::file(&self.model, reason));
        }
        let unit = if samples.groups.is_empty() { Unit::Flow } else { Unit::Capture };
        let parts = split(samples, unit, Shares { validation: 0.0, test: 0.25 }, model.card.seed)?;
        let halves = Halves { samples, training: parts.training, test: parts.test, seed: model.card.seed };
        let (findings, confusion) = halves.findings(session, &flows)?;
        let name = |class: usize| samples.classes[class].clone();
        Ok(Audited {
            model: self.model.display().to_string(),
            split: if unit == Unit::Flow { "flow" } else { "capture" }.into(),
            trees: TREES,
            findings,
            mistakes: confusion
                .mistakes(6)
                .into_iter()
                .map(|(a, b, count)| (name(a), name(b), count))
                .collect(),
            duplicates: halves.duplicates(),
            one_capture: one_capture(samples),
        })
    }
}

/// Names for the labels of IDX files: those of the model.
fn names(model: &ClassifierBundle, inputs: &[PathBuf]) -> Vec<String> {
    let is_idx = inputs.first().is_some_and(|first| legonf_train::idx::is_images(first));
    if is_idx { model.classes.clone() } else { Vec::new() }
}

impl Halves<'_> {
    fn findings(&self, session: &Session, flows: &LabelledFlows) -> Result<(Vec<Finding>, Confusion), Error> {
        let mut variants: Vec<(String, Samples, Features)> = vec![
            ("all that the model reads".into(), self.samples.clone(), Features::SHIPPED),
            ("bytes alone".into(), self.samples.clone(), Features::BYTES),
            ("TLS record headers hidden".into(), self.hidden(without_records), Features::SHIPPED),
            ("TLS record headers alone".into(), self.hidden(records_alone), Features::BYTES),
        ];
        if self.samples.sequence_width > 0 {
            let features = Features { sequence: false, ..Features::SHIPPED };
            variants.push(("lengths, directions and gaps hidden".into(), self.samples.clone(), features));
        }
        for (from, to) in RANGES {
            let hidden = self.hidden(|bytes| bytes[from..to].fill(0));
            variants.push((format!("bytes {from} to {} hidden", to - 1), hidden, Features::SHIPPED));
        }
        if let Some(with) = with_addresses(self.samples, flows) {
            variants.push(("addresses, ports and protocol added".into(), with, Features::SHIPPED));
        }
        let bar = session.begin("audit", Extent::Packets(variants.len() as u64));
        let mut found = Vec::new();
        let mut first = None;
        for (name, samples, features) in variants {
            let confusion = self.judge(&samples, features);
            found.push(Finding { name, quality: confusion.macro_average(), accuracy: confusion.accuracy() });
            first.get_or_insert(confusion);
            bar.update(Progress::default(), found.len() as u64);
            if session.is_stopped() {
                return Err(Error::Interrupted("nothing was written".into()));
            }
        }
        let first = first.ok_or_else(|| Error::refused("nothing was looked at"))?;
        Ok((found, first))
    }

    fn hidden(&self, hide: impl Fn(&mut [u8])) -> Samples {
        self.samples.with_bytes(|_, bytes| hide(bytes))
    }

    fn judge(&self, samples: &Samples, features: Features) -> Confusion {
        let (training, test) = (samples.subset(&self.training), samples.subset(&self.test));
        let forest = Forest::random(&training, features, TREES, self.seed);
        Confusion::of(&test.classes, test.labels(), &forest.probabilities(&test))
    }

    fn duplicates(&self) -> Duplicates {
        let known: BTreeSet<&[u8]> = self.training.iter().map(|row| self.samples.bytes(*row)).collect();
        let across = self.test.iter().filter(|row| known.contains(self.samples.bytes(**row))).count();
        let mut classes: HashMap<&[u8], BTreeSet<usize>> = HashMap::new();
        for row in 0..self.samples.len() {
            classes.entry(self.samples.bytes(row)).or_default().insert(self.samples.labels()[row]);
        }
        let shared =
            (0..self.samples.len()).filter(|row| classes[self.samples.bytes(*row)].len() > 1).count();
        Duplicates { across_the_split: across, of: self.test.len(), of_other_classes: shared }
    }
}

/// Where the headers of TLS records are, one after another from the first byte on.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 5).filter(|header| is_record(header)) {
        found.push(at);
        at += 5 + usize::from(u16::from_be_bytes([header[3], header[4]]));
    }
    found
}

fn without_records(bytes: &mut [u8]) {
    records(bytes).into_iter().for_each(|at| bytes[at..at + 5].fill(0));
}

fn records_alone(bytes: &mut [u8]) {
    let kept = records(bytes);
    let is_kept = |at: usize| kept.iter().any(|from| (*from..*from + 5).contains(&at));
    let hidden: Vec<usize> = (0..bytes.len()).filter(|at| !is_kept(*at)).collect();
    hidden.into_iter().for_each(|at| bytes[at] = 0);
}

/// The samples with addresses, ports and protocol behind their sequences; none where these are not known.
fn with_addresses(samples: &Samples, flows: &LabelledFlows) -> Option<Samples> {
    (!flows.addresses.is_empty()).then(|| samples.with_more(ADDRESSES, |row| flows.addresses[row].as_slice()))
}

fn one_capture(samples: &Samples) -> Vec<CaptureOfClass> {
    let captures = |class: usize| {
        let of_class = (0..samples.len()).filter(|row| samples.labels()[*row] == class);
        of_class.map(|row| samples.of_group()[row]).collect::<BTreeSet<_>>()
    };
    let all = samples.classes.iter().enumerate();
    all.filter(|(class, _)| captures(*class).len() == 1)
        .map(|(class, name)| {
            let group = captures(class).into_iter().next();
            CaptureOfClass {
                class: name.clone(),
                capture: group.and_then(|group| samples.groups.get(group).cloned()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_records_are_hidden_or_left_alone() {
        let whole = [22, 3, 1, 0, 2, 7, 7, 23, 3, 3, 0, 1, 9, 5];
        let (mut hidden, mut alone) = (whole, whole);
        without_records(&mut hidden);
        records_alone(&mut alone);
        assert_eq!(hidden, [0, 0, 0, 0, 0, 7, 7, 0, 0, 0, 0, 0, 9, 5]);
        assert_eq!(alone, [22, 3, 1, 0, 2, 0, 0, 23, 3, 3, 0, 1, 0, 0]);
    }
}
