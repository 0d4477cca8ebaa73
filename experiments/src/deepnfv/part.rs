//! The parts of the table on one split.

use super::kept::Kept;
use super::report::{Mistake, Split};
use super::{Arguments, Part};
use crate::ExperimentError;
use legonf_core::Progress;
use legonf_engine::{Error, Gauge, Session};
use legonf_output::Existing;
use legonf_train::{
    Architecture, Confusion, Course, Features, Forest, Options, Quality, Samples, Shares, TrainError,
    Trained, Unit, split, train,
};
use serde::{Deserialize, Serialize};

/// Shares that are held out.
const SHARES: Shares = Shares { validation: 0.1, test: 0.25 };
/// Mistakes that are named.
const MISTAKES: usize = 6;

/// Networks that are trained, and what architecture they are of.
const NETWORKS: [(Part, Architecture); 2] =
    [(Part::Classifier, Architecture::Classifier), (Part::Deepnfv, Architecture::DeepNfv)];

/// Samples that the networks of a split learn from, about, where the data set has so many.
pub(super) fn extent(arguments: &Arguments, samples: usize) -> u64 {
    let wanted = NETWORKS.iter().filter(|(part, _)| arguments.wants(*part));
    let passes = wanted.map(|(_, architecture)| {
        let options = arguments.options(*architecture, 1);
        options.epochs * options.members
    });
    let learnt = 1.0 - SHARES.validation - SHARES.test;
    (samples as f64 * learnt) as u64 * passes.sum::<usize>() as u64
}

/// A data set's splits on their way.
pub(super) struct Work<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) session: &'a Session,
    pub(super) kept: Option<Kept<'a>>,
    pub(super) bar: Box<dyn Gauge>,
    /// Samples that networks have learnt from.
    pub(super) done: u64,
}

/// A split's samples: to learn from, to choose by, to judge by.
struct Divided {
    seed: u64,
    parts: [Samples; 3],
}

/// What the figures of networks follow from.
#[derive(PartialEq, Serialize, Deserialize)]
struct Given {
    legonf: String,
    options: Options,
    samples: [usize; 3],
}

/// What networks came to.
#[derive(Serialize, Deserialize)]
struct Found {
    /// Networks and trees, as they ship.
    joined: Quality,
    /// Networks alone.
    networks: Quality,
    forest_share: f32,
    /// For each network the pass whose weights it has.
    passes: Vec<usize>,
    /// Numbers that all of them have learnt.
    parameters: usize,
    mistakes: Vec<Mistake>,
}

impl Work<'_> {
    /// Figures of the split of a seed.
    pub(super) fn split(
        &mut self,
        samples: &Samples,
        unit: Unit,
        seed: u64,
    ) -> Result<Split, ExperimentError> {
        let parts = split(samples, unit, SHARES, seed).map_err(Error::from)?;
        let parts = [parts.training, parts.validation, parts.test].map(|rows| samples.subset(&rows));
        let divided = Divided { seed, parts };
        let mut found = Split::new(seed, divided.counts());
        if self.arguments.wants(Part::Trees) {
            let trees = self.arguments.options(Architecture::Classifier, seed).trees;
            let [training, _, test] = &divided.parts;
            let forest =
                divided.judge(&Forest::random(training, Features::SHIPPED, trees, seed).probabilities(test));
            let cart = divided.judge(&Forest::cart(training, Features::SHIPPED).probabilities(test));
            (found.forest, found.cart) = (Some(forest.macro_average()), Some(cart.macro_average()));
            found.mistakes = mistakes(&forest);
        }
        for (part, architecture) in NETWORKS {
            if self.arguments.wants(part) {
                let networks = self.networks(&divided, architecture)?;
                found.take(part, networks);
            }
        }
        Ok(found)
    }

    /// Networks of an architecture, from what was kept or trained.
    fn networks(&mut self, divided: &Divided, architecture: Architecture) -> Result<Found, ExperimentError> {
        let options = self.arguments.options(architecture, divided.seed);
        let end = self.done + (divided.parts[0].len() * options.epochs * options.members) as u64;
        let legonf = env!("CARGO_PKG_VERSION").into();
        let given = Given { legonf, options, samples: divided.counts() };
        let found = match self.kept {
            None => self.learn(divided, &given.options, Course::default())?,
            Some(kept) => self.keep(kept, divided, &given)?,
        };
        self.done = end;
        Ok(found)
    }

    fn keep(&self, kept: Kept<'_>, divided: &Divided, given: &Given) -> Result<Found, ExperimentError> {
        let path = |ending| kept.path(given.options.architecture.name(), divided.seed, ending);
        let (path, checkpoint) = (path("json"), path("checkpoint"));
        if let Some(found) = kept.read(&path, given)? {
            return Ok(found);
        }
        let resume = self.session.existing == Existing::Keep && checkpoint.exists();
        let course = Course { checkpoint: Some(&checkpoint), resume, base: None };
        let found = self.learn(divided, &given.options, course)?;
        Kept::write(&path, given, &found)?;
        let _ = std::fs::remove_file(checkpoint);
        Ok(found)
    }

    fn learn(
        &self,
        divided: &Divided,
        options: &Options,
        course: Course<'_>,
    ) -> Result<Found, ExperimentError> {
        let [training, validation, test] = &divided.parts;
        let trained = train(options, (training, validation), course, &mut |step, _| {
            self.bar.update(Progress::default(), self.done + step.done);
            !self.session.is_stopped()
        });
        let Trained { classifier, curve } = trained.map_err(|error| match error {
            TrainError::Stopped if course.checkpoint.is_some() => {
                Error::Interrupted("the same command goes on from there".into())
            }
            TrainError::Stopped => Error::Interrupted("nothing was written".into()),
            error => error.into(),
        })?;
        let joined = divided.judge(&classifier.probabilities(test).map_err(Error::from)?);
        let networks = classifier.of_networks(test).map_err(Error::from)?.unwrap_or_default();
        let best = |member: usize| {
            let passes = curve.iter().filter(|pass| pass.member == member);
            passes.min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss)).map_or(0, |pass| pass.epoch)
        };
        Ok(Found {
            joined: joined.macro_average(),
            networks: divided.judge(&networks).macro_average(),
            forest_share: classifier.forest_share(),
            passes: (0..options.members).map(best).collect(),
            parameters: classifier.parameters(),
            mistakes: mistakes(&joined),
        })
    }
}

impl Divided {
    fn counts(&self) -> [usize; 3] {
        self.parts.each_ref().map(Samples::len)
    }

    fn judge(&self, probabilities: &[f32]) -> Confusion {
        let [.., test] = &self.parts;
        Confusion::of(&test.classes, test.labels(), probabilities)
    }
}

impl Split {
    fn new(seed: u64, samples: [usize; 3]) -> Self {
        Self { seed, samples, ..Self::default() }
    }

    fn take(&mut self, part: Part, found: Found) {
        if part == Part::Deepnfv {
            self.deepnfv = Some(found.joined);
            self.deepnfv_passes = found.passes;
            return;
        }
        (self.cnn, self.shipped) = (Some(found.networks), Some(found.joined));
        (self.forest_share, self.parameters) = (Some(found.forest_share), Some(found.parameters));
        (self.passes, self.mistakes) = (found.passes, found.mistakes);
    }
}

fn mistakes(confusion: &Confusion) -> Vec<Mistake> {
    let name = |class: usize| confusion.classes[class].clone();
    let all = confusion.mistakes(MISTAKES).into_iter();
    all.map(|(class, taken, samples)| Mistake { class: name(class), taken_for: name(taken), samples })
        .collect()
}
