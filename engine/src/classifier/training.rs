//! Training of a classifier on labelled flows.

use super::curve;
use super::sources::LabelledFlows;
use crate::{Error, Extent, Session};
use legonf_core::Progress;
use legonf_extract::flow::FlowTableConfig;
use legonf_models::{ClassifierBundle, ModelCard, Provenance};
use legonf_output::Existing;
use legonf_train::{
    Confusion, Course, Epoch, Options, Parts, Quality, Samples, Shares, Step, TrainError, Unit, confidence,
    split, train,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The share of right answers on the validation part that are kept where the others become `unknown`.
const KEPT: f64 = 0.95;
/// What a model card says of a split by flow.
const FORCED: &str = "split by flow, not by capture: flows of one capture are alike, so the figures say how well flows of the same \
                      captures are told apart, not of others";

/// A classifier that is to be trained.
#[derive(Clone, Debug)]
pub struct ClassifierTraining {
    /// Labelled flows: see [`LabelledFlows::read`].
    pub inputs: Vec<PathBuf>,
    /// Labelled flows to judge by; none where a part of the inputs is held out for that.
    pub test: Vec<PathBuf>,
    /// Names of the classes of IDX labels.
    pub classes: Vec<String>,
    /// Where the model goes.
    pub output: PathBuf,
    /// How is trained.
    pub options: Options,
    /// What is never divided between parts.
    pub unit: Unit,
    /// What is held out.
    pub shares: Shares,
    /// Go on from the checkpoint beside the model.
    pub resume: bool,
    /// A model whose weights training begins with.
    pub base: Option<PathBuf>,
    /// Where the learning curve goes: each file a plot where its name ends in .svg, else CSV.
    pub curves: Vec<PathBuf>,
}

/// Precision and recall of a class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassQuality {
    /// Its name.
    pub class: String,
    /// Its samples in the test part.
    pub samples: u64,
    /// Precision and recall.
    #[serde(flatten)]
    pub quality: Quality,
}

/// A classifier that was trained.
#[derive(Clone, Debug, Serialize)]
pub struct TrainedClassifier {
    /// Its file.
    pub model: String,
    /// What it was learnt from.
    pub card: ModelCard,
    /// Numbers that its networks have learnt.
    pub parameters: usize,
    /// Decisions and leaves of its trees.
    pub nodes: usize,
    /// A row whose most probable class has a lower probability is of no known class.
    pub unknown_below: f64,
    /// On the test part, averaged over the classes.
    #[serde(rename = "macro")]
    pub average: Quality,
    /// The same for each class.
    pub classes: Vec<ClassQuality>,
    /// How often which class was taken for which: rows are classes.
    pub confusion: Vec<Vec<u64>>,
    /// Every pass over the samples.
    pub curve: Vec<Epoch>,
}

/// The three parts of the samples.
struct Divided {
    training: Samples,
    validation: Samples,
    test: Samples,
}

impl ClassifierTraining {
    /// Trains and saves a classifier. Where that ends early, a checkpoint is kept from which it can go on.
    ///
    /// # Errors
    /// If the samples cannot be read or divided, a class has none, an option is out of its range, a checkpoint is of another training,
    /// the model cannot be written, or the session is stopped.
    pub fn run(&self, session: &Session) -> Result<TrainedClassifier, Error> {
        self.options.check()?;
        session.check_outputs(self.curves.iter().map(|path| &**path))?;
        self.check_checkpoint(session)?;
        let flows = LabelledFlows::read(session, &self.inputs, &self.classes)?;
        let divided = self.divide(session, &flows)?;
        let checkpoint = self.checkpoint();
        let trained = self.train(session, &divided, &checkpoint)?;
        let shares = trained.classifier.probabilities(&divided.validation)?;
        let classes = divided.training.classes.len();
        let unknown_below = confidence(divided.validation.labels(), &shares, classes, KEPT);
        let found = trained.classifier.probabilities(&divided.test)?;
        let confusion = Confusion::of(&divided.test.classes, divided.test.labels(), &found);
        let bundle = ClassifierBundle {
            onnx: trained.classifier.onnx()?,
            classes: divided.training.classes.clone(),
            unknown_below,
            card: self.card(&divided, confusion.macro_average()),
            provenance: self.provenance(&flows, &divided),
        };
        bundle.save(&self.output)?;
        self.curves.iter().try_for_each(|path| curve::write(path, &trained.curve))?;
        let _ = std::fs::remove_file(checkpoint);
        Ok(TrainedClassifier {
            model: self.output.display().to_string(),
            card: bundle.card,
            parameters: trained.classifier.parameters(),
            nodes: trained.classifier.nodes(),
            unknown_below,
            average: confusion.macro_average(),
            classes: qualities(&confusion),
            confusion: confusion.counts,
            curve: trained.curve,
        })
    }

    fn divide(&self, session: &Session, flows: &LabelledFlows) -> Result<Divided, Error> {
        let shares =
            Shares { test: if self.test.is_empty() { self.shares.test } else { 0.0 }, ..self.shares };
        let samples = &flows.samples;
        let Parts { training, validation, test } = split(samples, self.unit, shares, self.options.seed)?;
        let part = |rows: &[usize]| samples.subset(rows);
        let test = if self.test.is_empty() { part(&test) } else { self.held_out(session, flows)? };
        Ok(Divided { training: part(&training), validation: part(&validation), test })
    }

    /// The samples to judge by that were given apart.
    fn held_out(&self, session: &Session, flows: &LabelledFlows) -> Result<Samples, Error> {
        let others = LabelledFlows::read(session, &self.test, &self.classes)?;
        flows.check_apart(&others)?;
        let (ours, theirs) = (&flows.samples.classes, &others.samples.classes);
        if ours != theirs {
            let reason = format!(
                "the classes to judge by ({}) are not those to learn ({})",
                theirs.join(", "),
                ours.join(", ")
            );
            return Err(Error::refused(reason));
        }
        Ok(others.samples)
    }

    fn train(
        &self,
        session: &Session,
        divided: &Divided,
        checkpoint: &Path,
    ) -> Result<legonf_train::Trained, Error> {
        let all = (divided.training.len() * self.options.epochs * self.options.members) as u64;
        let bar = session.begin("training", Extent::Packets(all));
        let course = Course { checkpoint: Some(checkpoint), resume: self.resume, base: self.base.as_deref() };
        let mut passes = 0;
        let mut observe = |step: Step, epoch: Option<&Epoch>| {
            passes += u32::from(epoch.is_some());
            bar.update(Progress::default(), step.done);
            !session.is_stopped()
        };
        let trained = train(&self.options, (&divided.training, &divided.validation), course, &mut observe);
        trained.map_err(|error| match error {
            TrainError::Stopped if passes > 0 || self.resume => {
                Error::Interrupted(format!("checkpoint {}; go on with --resume", checkpoint.display()))
            }
            TrainError::Stopped => Error::Interrupted("nothing was written".into()),
            error => error.into(),
        })
    }

    fn checkpoint(&self) -> PathBuf {
        let mut name = self.output.as_os_str().to_owned();
        name.push(".checkpoint");
        name.into()
    }

    /// Refuses to begin anew over the checkpoint of a training that was broken off.
    fn check_checkpoint(&self, session: &Session) -> Result<(), Error> {
        let path = self.checkpoint();
        if self.resume || session.existing == Existing::Replace || !path.exists() {
            return Ok(());
        }
        let reason = "is the checkpoint of a training that was broken off; go on with --resume, or begin anew with --force";
        Err(Error::file(&path, reason))
    }

    fn card(&self, divided: &Divided, average: Quality) -> ModelCard {
        let forced = self.unit == Unit::Flow;
        let from_captures = divided.training.sequence_width > 0;
        ModelCard {
            architecture: self.options.architecture.name().into(),
            networks: self.options.members,
            trees: self.options.trees,
            seed: self.options.seed,
            split: if forced { "flow" } else { "capture" }.into(),
            warning: forced.then(|| FORCED.into()),
            samples: [divided.training.len(), divided.validation.len(), divided.test.len()],
            precision: Some(average.precision),
            recall: Some(average.recall),
            flows: from_captures
                .then(|| serde_json::to_string(&FlowTableConfig::default()).unwrap_or_default()),
        }
    }

    fn provenance(&self, flows: &LabelledFlows, divided: &Divided) -> Provenance {
        Provenance {
            legonf: env!("CARGO_PKG_VERSION").into(),
            captures: flows.files.clone(),
            rows: divided.training.len() as u64,
            note: self
                .base
                .as_ref()
                .map(|base| format!("begun with the weights of {}", crate::input::file_name(base))),
            ..Provenance::default()
        }
    }
}

fn qualities(confusion: &Confusion) -> Vec<ClassQuality> {
    let of_class = |class: usize| ClassQuality {
        class: confusion.classes[class].clone(),
        samples: confusion.counts[class].iter().sum(),
        quality: confusion.of_class(class),
    };
    (0..confusion.classes.len()).map(of_class).collect()
}
