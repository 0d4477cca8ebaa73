//! `legonf experiment deepnfv-table1`: DeepNFV's Table I, on two public data sets.

mod report;

pub use report::{Report, text};

use crate::ExperimentError;
use clap::{Args, ValueEnum};
use legonf_core::Progress;
use legonf_engine::{Error, Extent, LabelledFlows, Session};
use legonf_train::{
    Architecture, Confusion, Course, Features, Forest, Options, Quality, Samples, Shares, TrainError, Unit,
    split, train,
};
use report::{Dataset, Mistake, Split};
use std::path::PathBuf;

/// Classes of USTC-TFC2016, by their labels.
const USTC: [&str; 20] = [
    "BitTorrent",
    "Facetime",
    "FTP",
    "Gmail",
    "MySQL",
    "Outlook",
    "Skype",
    "SMB",
    "Weibo",
    "WorldOfWarcraft",
    "Cridex",
    "Geodo",
    "Htbot",
    "Miuref",
    "Neris",
    "Nsis-ay",
    "Shifu",
    "Tinba",
    "Virut",
    "Zeus",
];
const USTC_IMAGES: &str = "ustc-tfc2016/sessions-l7-images-idx3-ubyte.gz";
const IOT_SENTINEL: &str = "iot-sentinel";
/// Shares that are held out.
const SHARES: Shares = Shares { validation: 0.1, test: 0.25 };
/// Mistakes that are named.
const MISTAKES: usize = 6;

/// Trains classifiers on USTC-TFC2016 (20 applications) and IoT Sentinel (11 devices, divided by capture), and says how well each tells
/// the classes of held-out flows: precision and recall, averaged over classes and splits.
///
/// `cnn` is convolutions over embedded bytes with statistics and sequences beside them, three seeds averaged; `forest` and `cart` decide
/// on the same statistics, sequences and first bytes; `shipped` is what `legonf train classifier` makes: `cnn` and `forest` averaged. `deepnfv` is the network of
/// the paper on the image alone. When to stop is chosen on a validation part. One thread (RAYON_NUM_THREADS=1) takes about half an hour.
#[derive(Args)]
pub struct Arguments {
    /// The folder with `ustc-tfc2016` and `iot-sentinel`.
    #[arg(long, default_value = "../shared/data", value_name = "DIR")]
    data: PathBuf,
    /// Only this data set.
    #[arg(long, value_enum)]
    dataset: Option<Name>,
    /// Splits of each data set, each with seeds of its own.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    splits: u64,
    /// The seed of the first split.
    #[arg(long, default_value_t = 1, value_name = "SEED", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    first_seed: u64,
    /// Passes over the samples at most.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    epochs: u16,
    /// One split, one network and one pass, to see that it runs.
    #[arg(long)]
    quick: bool,
    /// Leave the networks out: forest and CART alone, which take seconds.
    #[arg(long)]
    forest_only: bool,
}

/// A data set.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// 20 applications, by session.
    UstcTfc2016,
    /// 11 devices, by capture.
    IotSentinel,
}

impl Name {
    const ALL: [Self; 2] = [Self::UstcTfc2016, Self::IotSentinel];

    fn label(self) -> &'static str {
        match self {
            Self::UstcTfc2016 => "ustc-tfc2016",
            Self::IotSentinel => "iot-sentinel",
        }
    }

    fn unit(self) -> Unit {
        match self {
            Self::UstcTfc2016 => Unit::Flow,
            Self::IotSentinel => Unit::Capture,
        }
    }
}

/// Runs the experiment.
///
/// # Errors
/// If the data are not there, a classifier cannot be trained, or the session is stopped.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    let mut datasets = Vec::new();
    for name in Name::ALL {
        if arguments.dataset.is_none_or(|only| only == name) {
            datasets.push(arguments.dataset(session, name)?);
        }
    }
    Ok(Report { datasets, epochs: arguments.epochs(), quick: arguments.quick })
}

impl Arguments {
    fn epochs(&self) -> usize {
        if self.quick { 1 } else { self.epochs.into() }
    }

    fn dataset(&self, session: &Session, name: Name) -> Result<Dataset, ExperimentError> {
        let (path, classes) = match name {
            Name::UstcTfc2016 => (self.data.join(USTC_IMAGES), USTC.map(String::from).to_vec()),
            Name::IotSentinel => (self.data.join(IOT_SENTINEL), Vec::new()),
        };
        let samples = LabelledFlows::read(session, &[path], &classes)?.samples;
        let splits = if self.quick { 1 } else { self.splits };
        let seeds = self.first_seed..self.first_seed + splits;
        let splits = seeds.map(|seed| self.split(session, name, &samples, seed));
        let splits = splits.collect::<Result<Vec<_>, _>>()?;
        Ok(Dataset::of(name.label(), &samples, splits))
    }

    fn options(&self, architecture: Architecture, seed: u64) -> Options {
        let mut options = Options { epochs: self.epochs(), seed, ..Options::of(architecture) };
        if self.quick {
            (options.members, options.trees) = (1, 20);
        }
        options
    }

    fn split(
        &self,
        session: &Session,
        name: Name,
        samples: &Samples,
        seed: u64,
    ) -> Result<Split, ExperimentError> {
        let parts = split(samples, name.unit(), SHARES, seed).map_err(Error::from)?;
        let [training, validation, test] =
            [parts.training, parts.validation, parts.test].map(|rows| samples.subset(&rows));
        let judge = |probabilities: &[f32]| Confusion::of(&test.classes, test.labels(), probabilities);
        let trees = self.options(Architecture::Classifier, seed).trees;
        let forest = judge(&Forest::random(&training, Features::SHIPPED, trees, seed).probabilities(&test));
        let cart = judge(&Forest::cart(&training, Features::SHIPPED).probabilities(&test));
        let mut found = Split {
            seed,
            samples: [training.len(), validation.len(), test.len()],
            cnn: None,
            shipped: None,
            forest: forest.macro_average(),
            cart: cart.macro_average(),
            deepnfv: None,
            mistakes: mistakes(&forest),
        };
        if self.forest_only {
            return Ok(found);
        }
        let learn = |architecture| self.learn(session, (&training, &validation), architecture, seed);
        let shipped = learn(Architecture::Classifier)?;
        let of_networks = shipped.of_networks(&test).map_err(Error::from)?.unwrap_or_default();
        let both = judge(&shipped.probabilities(&test).map_err(Error::from)?);
        found.cnn = Some(judge(&of_networks).macro_average());
        (found.shipped, found.mistakes) = (Some(both.macro_average()), mistakes(&both));
        let paper = learn(Architecture::DeepNfv)?.probabilities(&test).map_err(Error::from)?;
        found.deepnfv = Some(judge(&paper).macro_average());
        Ok(found)
    }

    fn learn(
        &self,
        session: &Session,
        parts: (&Samples, &Samples),
        architecture: Architecture,
        seed: u64,
    ) -> Result<legonf_train::Classifier, ExperimentError> {
        let options = self.options(architecture, seed);
        let all = (parts.0.len() * options.epochs * options.members) as u64;
        let bar = session.begin(architecture.name(), Extent::Packets(all));
        let trained = train(&options, parts, Course::default(), &mut |step, _| {
            bar.update(Progress::default(), step.done);
            !session.is_stopped()
        });
        match trained {
            Ok(trained) => Ok(trained.classifier),
            Err(TrainError::Stopped) => Err(Error::Interrupted("nothing was written".into()).into()),
            Err(error) => Err(Error::from(error).into()),
        }
    }
}

fn mistakes(confusion: &Confusion) -> Vec<Mistake> {
    let name = |class: usize| confusion.classes[class].clone();
    let all = confusion.mistakes(MISTAKES).into_iter();
    all.map(|(class, taken, samples)| Mistake { class: name(class), taken_for: name(taken), samples })
        .collect()
}

/// The mean of a figure of all splits; none where they have none.
fn mean(splits: &[Split], figure: fn(&Split) -> Option<Quality>) -> Option<Quality> {
    let all: Vec<_> = splits.iter().filter_map(figure).collect();
    (!all.is_empty()).then(|| Quality::mean(&all))
}
