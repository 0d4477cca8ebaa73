//! `legonf experiment deepnfv-table1`: DeepNFV's Table I, on two public data sets.

mod kept;
mod part;
mod report;

pub use report::{Report, text};

use crate::ExperimentError;
use clap::{Args, ValueEnum};
use kept::Kept;
use legonf_engine::{Extent, Folder, LabelledFlows, Session};
use legonf_train::{Architecture, Options, Unit};
use part::Work;
use report::Dataset;
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

/// Trains classifiers on USTC-TFC2016 (20 applications) and IoT Sentinel (11 devices, divided by capture), and says how well each tells
/// the classes of held-out flows: precision and recall, averaged over classes and splits.
///
/// `cnn` is convolutions over embedded bytes with statistics and sequences beside them, three seeds averaged; `forest` and `cart` decide
/// on the same statistics, sequences and first bytes; `shipped` is what `legonf train classifier` makes: `cnn` and `forest` averaged where both count. `deepnfv` is the network of
/// the paper on the image alone. When to stop and the forest's share are chosen on a validation part.
///
/// RAYON_NUM_THREADS=1 keeps training to one thread. With --out a run that was broken off goes on where it was.
#[derive(Args)]
pub struct Arguments {
    /// The folder with `ustc-tfc2016` and `iot-sentinel`.
    #[arg(long, default_value = "../shared/data", value_name = "DIR")]
    data: PathBuf,
    /// Only this data set.
    #[arg(long, value_enum)]
    dataset: Option<Name>,
    /// Only these parts of the table, with commas between. Default: all.
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
    /// Splits of each data set, each with seeds of its own.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    splits: u64,
    /// The seed of the first split.
    #[arg(long, default_value_t = 1, value_name = "SEED", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    first_seed: u64,
    /// Passes over the samples at most. Default: those of `legonf train classifier`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    epochs: Option<u16>,
    /// Keep what each split comes to in this folder, and checkpoints of networks in training. What is there already, by the same
    /// options, is not done again.
    #[arg(long = "out", short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// One split, one network and one pass, to see that it runs.
    #[arg(long)]
    quick: bool,
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

/// Rows of the table that are made together.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// `forest` and `cart`, which take seconds.
    Trees,
    /// `cnn` and `shipped`.
    Classifier,
    /// The paper's network.
    Deepnfv,
}

/// Runs the experiment.
///
/// # Errors
/// If the data are not there, a classifier cannot be trained, what is in the output folder is of other options, or the session is
/// stopped.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    if let Some(path) = &arguments.output {
        Folder::create(path)?;
    }
    let names = Name::ALL.into_iter().filter(|name| arguments.dataset.is_none_or(|only| only == *name));
    let datasets = names.map(|name| arguments.dataset(session, name)).collect::<Result<_, _>>()?;
    Ok(Report {
        datasets,
        epochs: arguments.options(Architecture::Classifier, 1).epochs,
        quick: arguments.quick,
    })
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn dataset(&self, session: &Session, name: Name) -> Result<Dataset, ExperimentError> {
        let (path, classes) = match name {
            Name::UstcTfc2016 => (self.data.join(USTC_IMAGES), USTC.map(String::from).to_vec()),
            Name::IotSentinel => (self.data.join(IOT_SENTINEL), Vec::new()),
        };
        let samples = LabelledFlows::read(session, &[path], &classes)?.samples;
        let seeds = self.first_seed..self.first_seed + if self.quick { 1 } else { self.splits };
        let kept = self.output.as_deref().map(|folder| Kept { folder, session, dataset: name.label() });
        let all = part::extent(self, samples.len()) * (seeds.end - seeds.start);
        let bar = session.begin(name.label(), Extent::Packets(all));
        let mut work = Work { arguments: self, session, kept, bar, done: 0 };
        let splits = seeds.map(|seed| work.split(&samples, name.unit(), seed));
        let splits = splits.collect::<Result<Vec<_>, _>>()?;
        Ok(Dataset::of(name.label(), &samples, splits))
    }

    fn options(&self, architecture: Architecture, seed: u64) -> Options {
        let defaults = Options::of(architecture);
        let epochs = self.epochs.map_or(defaults.epochs, usize::from);
        let options = Options { epochs, seed, ..defaults };
        if self.quick { Options { members: 1, trees: 20, epochs: 1, ..options } } else { options }
    }
}
