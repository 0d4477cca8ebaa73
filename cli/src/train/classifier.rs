//! `legonf train classifier`: learns from labelled flows which class a flow is of.

use crate::Style;
use crate::failure::{Failure, show};
use crate::summary::tables;
use clap::{Args, ValueEnum};
use legonf_engine::arguments::share;
use legonf_engine::{ClassifierTraining, TrainedClassifier};
use legonf_output::one_line;
use legonf_train::{Architecture, ClassWeights, Optimizer, Options, Shares, Unit};
use std::path::PathBuf;

/// Trains a classifier of flows on labelled captures or images, and says how good it is on what it has not seen.
///
/// `classifier` reads the first bytes of payload (networks 256, trees 32), statistics of the first 784, and lengths, directions and gaps of the
/// first 32 packets: three networks from different seeds and a random forest, averaged, or the forest alone where networks could not change its class. `deepnfv` is the network of DeepNFV alone. Neither reads addresses or ports.
///
/// Captures are divided, never flows of one capture: those would be alike, and the figures too good. IDX files do not say which capture
/// an image is of; --force-split flow divides them all the same, and the model says so.
#[derive(Args)]
pub struct Arguments {
    /// A folder with a folder of captures for each class; captures, each in the folder of its class; or an IDX file with images of 28 x 28
    /// bytes (MNIST's format, plain or gzip), the file with its labels beside it or second.
    #[arg(required = true, value_name = "DIR|IDX|CAPTURES")]
    inputs: Vec<PathBuf>,
    /// Where the model goes (one ONNX file).
    #[arg(long = "out", short, alias = "output", value_name = "FILE")]
    output: PathBuf,
    /// Judge by these instead of by a part that is held out: as the inputs, from captures that are not among them.
    #[arg(long, value_name = "DIR|CAPTURES")]
    test: Vec<PathBuf>,
    /// Names of the classes of IDX labels, from 0 on, with commas between.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    classes: Vec<String>,
    /// The network.
    #[arg(long, value_enum, default_value_t = Network::Classifier)]
    architecture: Network,
    /// Divide flows, though those of one capture are alike; the model says so.
    #[arg(long, value_enum, value_name = "UNIT")]
    force_split: Option<Forced>,
    /// Networks from different seeds, averaged. Default: 3, and 1 of `deepnfv`.
    #[arg(long, value_name = "N")]
    networks: Option<usize>,
    /// Trees of the forest beside them. Default: 100, and none with `deepnfv`.
    #[arg(long, value_name = "N")]
    trees: Option<usize>,
    /// How weights follow their gradients. Default: adam, and sgd with `deepnfv`.
    #[arg(long, value_enum)]
    optimizer: Option<Descent>,
    /// The greatest step. Default: 0.003 with adam, 0.05 with sgd.
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Passes over the samples at most.
    #[arg(long, default_value_t = 10, value_name = "N")]
    epochs: usize,
    /// Samples of a step.
    #[arg(long, default_value_t = 64, value_name = "N")]
    batch: usize,
    /// Stop after N passes that did not lower the loss on the validation part.
    #[arg(long, default_value_t = 5, value_name = "N")]
    patience: usize,
    /// How much a sample counts by its class.
    #[arg(long, value_enum, default_value_t = Weights::Root)]
    class_weights: Weights,
    /// Share of the captures that is held out to choose by (when to stop, and below which confidence a flow is `unknown`).
    #[arg(long, default_value_t = 0.1, value_name = "SHARE", value_parser = share)]
    validation_share: f64,
    /// Share of the captures that is held out to judge by.
    #[arg(long, default_value_t = 0.25, value_name = "SHARE", value_parser = share)]
    test_share: f64,
    /// Seed of the split, of the initial weights and of the order of samples.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begin with the weights of this classifier.
    #[arg(long, value_name = "MODEL")]
    fine_tune: Option<PathBuf>,
    /// Write the learning curve; the ending names the format: .svg is a plot, anything else CSV. May be given more than once.
    #[arg(long, value_name = "FILE")]
    curve: Vec<PathBuf>,
    /// Go on from the checkpoint beside the model (MODEL.checkpoint), with the same samples and options.
    #[arg(long)]
    resume: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Network {
    Classifier,
    Deepnfv,
}

#[derive(Clone, Copy, ValueEnum)]
enum Forced {
    Flow,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Descent {
    Sgd,
    Adam,
}

#[derive(Clone, Copy, ValueEnum)]
enum Weights {
    None,
    Root,
    Balanced,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style
        .check_results([&*arguments.output].into_iter().chain(arguments.curve.iter().map(|path| &**path)))?;
    show(&arguments.given().run(&style.session())?, text, style)
}

impl Arguments {
    /// What the engine takes.
    fn given(&self) -> ClassifierTraining {
        ClassifierTraining {
            inputs: self.inputs.clone(),
            test: self.test.clone(),
            classes: self.classes.clone(),
            output: self.output.clone(),
            options: self.options(),
            unit: if self.force_split.is_some() { Unit::Flow } else { Unit::Capture },
            shares: Shares { validation: self.validation_share, test: self.test_share },
            resume: self.resume,
            base: self.fine_tune.clone(),
            curves: self.curve.clone(),
        }
    }

    fn options(&self) -> Options {
        let architecture = match self.architecture {
            Network::Classifier => Architecture::Classifier,
            Network::Deepnfv => Architecture::DeepNfv,
        };
        let defaults = Options::of(architecture);
        let optimizer = match self.optimizer {
            Some(Descent::Sgd) => Optimizer::Sgd,
            Some(Descent::Adam) => Optimizer::Adam,
            None => defaults.optimizer,
        };
        Options {
            members: self.networks.unwrap_or(defaults.members),
            trees: self.trees.unwrap_or(defaults.trees),
            optimizer,
            learning_rate: self.learning_rate.unwrap_or(optimizer.learning_rate()),
            epochs: self.epochs,
            batch: self.batch,
            patience: self.patience,
            class_weights: match self.class_weights {
                Weights::None => ClassWeights::None,
                Weights::Root => ClassWeights::Root,
                Weights::Balanced => ClassWeights::Balanced,
            },
            seed: self.seed,
            ..defaults
        }
    }
}

fn text(trained: &TrainedClassifier) -> String {
    let TrainedClassifier { model, card, average, unknown_below, parameters, nodes, .. } = trained;
    let [training, validation, test] = card.samples;
    let mut out = format!(
        "trained {model}: {} networks with {parameters} weights, {} trees with {nodes} nodes, from {training} flows ({validation} to choose by)\n",
        card.networks, card.trees
    );
    if let Some(warning) = &card.warning {
        out += &format!("warning     {warning}\n");
    }
    out += &format!(
        "on {test} flows that were held out: precision {:.3}, recall {:.3} (averaged over classes); below {unknown_below:.3} a flow is `unknown`\n",
        average.precision, average.recall
    );
    out + &classes(trained) + &mistakes(trained)
}

fn classes(trained: &TrainedClassifier) -> String {
    let row = |class: &legonf_engine::ClassQuality| {
        let figure = |value: f64| format!("{value:.3}");
        vec![
            one_line(&class.class).into_owned(),
            class.samples.to_string(),
            figure(class.quality.precision),
            figure(class.quality.recall),
        ]
    };
    let rows: Vec<_> = trained.classes.iter().map(row).collect();
    let width = rows.iter().map(|row| row[0].chars().count()).max().unwrap_or(0).max(5);
    let line = |cells: &[String]| {
        format!("{:<width$}  {:>7}  {:>9}  {:>6}\n", cells[0], cells[1], cells[2], cells[3])
    };
    tables::table(&["class", "samples", "precision", "recall"], &rows, line)
}

/// The confusion matrix, as far as anything is confused.
fn mistakes(trained: &TrainedClassifier) -> String {
    let name = |class: usize| one_line(&trained.classes[class].class).into_owned();
    let mut out = String::new();
    for (class, row) in trained.confusion.iter().enumerate() {
        let others = row.iter().enumerate().filter(|(taken, count)| *taken != class && **count > 0);
        let taken: Vec<_> = others.map(|(taken, count)| format!("{} {count}", name(taken))).collect();
        if !taken.is_empty() {
            out += &format!("{} taken for: {}\n", name(class), taken.join(", "));
        }
    }
    out
}
