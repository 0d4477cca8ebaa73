//! `legonf model`: shows, checks, explains and imports models.

mod classifier;

use crate::Style;
use crate::failure::{Failure, print, print_json, tell};
use crate::summary::tables;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Subcommand};
#[cfg(feature = "http")]
use legonf_engine::reading;
use legonf_engine::{ModelFile, foreign};
use legonf_models::{Bundle, Description, OnnxFile};
use legonf_output::one_line;
use std::path::{Path, PathBuf};

/// The subcommands of `legonf model`.
#[derive(Subcommand)]
pub enum Command {
    /// Print what a model takes, how it was trained, and its threshold.
    Show(Named),
    /// Check every part of a model file against the others: structure, weights, schema hash, calibration, checksum. A foreign
    /// network is run, too.
    Verify(Named),
    /// Print which features each autoencoder watches.
    Explain(Named),
    #[command(
        about = "Make a legonf model of anyone's ONNX file, or of the JSON export of a Kitsune-py model"
    )]
    Import(Import),
    /// Change the model of a run that listens (`legonf live --control PATH`, or `--http` with `--http-token`), while packets flow.
    Swap(Swap),
    #[command(hide = true)]
    TryOut(TryOut),
}

/// A model file.
#[derive(Args)]
pub struct Named {
    /// The model.
    model: PathBuf,
}

/// Makes a legonf model of anyone's ONNX file, or of the JSON export of a Kitsune-py model.
///
/// An output with one value a row is the score; one with a value for each feature is a reconstruction, and the score its RMSE
/// against the input. The outputs of a classifier, with a value for each class, are probabilities or logits: the classes are those
/// that the file names, or --classes. Weights in a file beside the model are taken in.
///
/// The network is run before anything is written. What cannot run is refused by the name of the operator; so is what needs
/// more than 10,000 operators, 200,000 parts in all, 8 MiB beside the numbers of tensors and attributes, 256 MiB in all, 2 GiB of tensors
/// for a batch of 64 rows, 4 GiB of memory or 60 s of processor time to be made ready.
#[derive(Args)]
pub struct Import {
    /// ONNX file with an input [batch, features], or of images, and an output of one score for each row, of one value for each
    /// feature or of one for each class; or a JSON export.
    file: PathBuf,
    /// Where the model goes.
    #[arg(long = "out", short, alias = "output", value_name = "FILE")]
    output: PathBuf,
    /// Schema of the features that it takes, in its order: the name of one; a file with names of your own (.txt: one a line, .csv:
    /// the first line, .toml: `features = [...]`); or `image`, for a network that takes images.
    #[arg(long, value_name = "NAME|FILE|image")]
    schema: String,
    /// Name of the output that the scores or classes come from, where there are several.
    #[arg(long, value_name = "NAME")]
    score_output: Option<String>,
    /// Names of the classes, in the order of the output's values, with commas between them.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', conflicts_with = "normality")]
    classes: Vec<String>,
    /// The output is the higher the more normal a row is, so the score is its negative. Needless for an outlier detector that
    /// skl2onnx exported.
    #[arg(long)]
    normality: bool,
}

/// Changes the model of a run that listens, while packets flow: on the socket of `legonf live --control`, or over `--http`.
///
/// The model is tried here, then read and made ready by the run, and judges from the next batch of packets on; no packet is lost. It says
/// which packet that is. A model that takes other features is refused, and the old one goes on.
#[derive(Args)]
pub struct Swap {
    /// The new model; NAME=FILE for one of the models that the graph names.
    #[arg(value_name = "[NAME=]MODEL", value_parser = OsStringValueParser::new().map(ModelFile::from))]
    model: ModelFile,
    /// The socket of the run.
    #[arg(long, value_name = "PATH")]
    #[cfg_attr(feature = "http", arg(required_unless_present = "http", conflicts_with = "http"))]
    #[cfg_attr(not(feature = "http"), arg(required = true))]
    control: Option<PathBuf>,
    /// Where the run listens: what it was given as --http, or https://HOST:PORT.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "ADDR:PORT", requires = "http_token")]
    http: Option<legonf_server::Address>,
    /// Take certificates of these authorities (PEM), such as authority.pem of `legonf cluster init`; without it those of public ones.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "http")]
    http_ca: Option<PathBuf>,
    /// The file with the token that the run was given as --http-token.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "http")]
    http_token: Option<PathBuf>,
}

/// Arguments of the process that tries a network: its ONNX file is on standard input.
#[derive(Args)]
pub struct TryOut {
    /// Name of the output that the scores or classes come from; without it any inputs and outputs will do.
    #[arg(long, value_name = "NAME")]
    score_output: Option<String>,
    /// Features of a row.
    #[arg(long, value_name = "N", requires = "score_output")]
    features: Option<usize>,
    /// Classes of a classifier.
    #[arg(long = "class-count", value_name = "N", requires = "score_output", conflicts_with = "features")]
    classes: Option<usize>,
}

impl TryOut {
    fn form(&self) -> foreign::Form<'_> {
        match (self.score_output.as_deref(), self.features, self.classes) {
            (Some(output), Some(features), _) => foreign::Form::Scoring { output, features },
            (Some(output), None, Some(classes)) => foreign::Form::Classes { output, classes },
            _ => foreign::Form::Any,
        }
    }
}

pub fn run(command: &Command, style: Style) -> Result<(), Failure> {
    match command {
        Command::Show(named) => match OnnxFile::load(&named.model)? {
            OnnxFile::Classifier(model) => classifier::show(&model, style),
            _ => show(&Bundle::load(&named.model)?.describe(), style),
        },
        Command::Verify(named) => verify(&named.model, style),
        Command::Explain(named) => explain(&Bundle::load(&named.model)?.describe(), style),
        Command::Import(arguments) => import(arguments, style),
        Command::Swap(arguments) => swap(arguments, style),
        Command::TryOut(tried) => print(foreign::answer(tried.form())?.label()),
    }
}

fn show(model: &Description, style: Style) -> Result<(), Failure> {
    if style.json {
        return print_json(model);
    }
    let schema = match model.features {
        0 => model.schema.clone(),
        features => format!("{} ({features} features, hash {})", model.schema, model.schema_hash),
    };
    let mut rows = vec![("kind", model.kind.clone()), ("schema", schema)];
    if !model.ensemble.is_empty() {
        rows.push((
            "ensemble",
            format!("{} autoencoders, {} parameters", model.ensemble.len(), model.parameters),
        ));
    }
    if let Some(detector) = &model.detector {
        let (method, sampled, seed) = (detector.method, detector.sampled, detector.seed);
        rows.push(("detector", format!("{method}, {} parameters", model.parameters)));
        rows.push(("training", format!("a sample of {sampled} packets, seed {seed}")));
    }
    if let Some((input, output)) = &model.ports {
        let meaning = model.meaning.as_deref().unwrap_or_default();
        rows.push(("ports", format!("{input} in, {output} out: a {meaning} of each row")));
    }
    if !model.classes.is_empty() {
        rows.push(("classes", model.classes.join(", ")));
    }
    if let Some(t) = &model.training {
        rows.push((
            "training",
            format!(
                "{} + 1 packets for the feature map, {} for the ensemble; at most {} features an autoencoder, \
                 learning rate {}, hidden ratio {}, seed {}",
                t.feature_mapping_packets, t.training_packets, t.max_autoencoder_size, t.learning_rate, t.hidden_ratio, t.seed
            ),
        ));
    }
    rows.push(("threshold", threshold(model)));
    if let Some(traffic) = model.calibration.as_ref().and_then(|c| c.holds_for.clone()) {
        rows.push(("holds for", traffic));
    }
    rows.push(("made by", format!("legonf {}", model.provenance.legonf)));
    for capture in &model.provenance.captures {
        rows.push((
            "capture",
            format!("{} ({} packets, SHA-256 {})", capture.name, capture.packets, capture.sha256),
        ));
    }
    tell(&tables::fields(&rows))
}

fn threshold(model: &Description) -> String {
    model.calibration.as_ref().map_or_else(
        || "none: `legonf calibrate` sets one".into(),
        |c| {
            let held_out = c
                .held_out
                .map_or_else(String::new, |h| format!(", {} of {} held out above", h.above, h.samples));
            let seen = if c.seen { " as seen on these: the method's own bound is not shown" } else { "" };
            format!(
                "{:.6} by {} from {} benign packets of {}{held_out}, false positives at most {:.4}%{seen}",
                c.threshold,
                c.method,
                c.samples,
                c.source,
                100.0 * c.false_positive_bound
            )
        },
    )
}

fn verify(path: &Path, style: Style) -> Result<(), Failure> {
    let checks = legonf_engine::verify(&style.session(), path)?;
    if style.json {
        return print_json(&checks);
    }
    let mut rows: Vec<_> = checks.iter().map(|c| (c.part, c.finding.clone())).collect();
    rows.push(("result", "in order".into()));
    tell(&tables::fields(&rows))
}

fn explain(model: &Description, style: Style) -> Result<(), Failure> {
    if style.json {
        return print_json(&model.ensemble);
    }
    if model.ensemble.is_empty() {
        return Err(Failure::fault(
            "only a KitNET says which features each autoencoder watches; this is another kind of model",
        ));
    }
    let mut out = format!("{:>4}  {:>6}  {:>8}  features\n", "", "hidden", "constant");
    for (index, autoencoder) in model.ensemble.iter().enumerate() {
        let features: Vec<_> = autoencoder.features.iter().map(|name| one_line(name)).collect();
        let features = features.join(" ");
        out += &format!(
            "{index:>4}  {:>6}  {:>8}  {features}\n",
            autoencoder.hidden, autoencoder.constant_features
        );
    }
    tell(&out)
}

fn import(arguments: &Import, style: Style) -> Result<(), Failure> {
    style.check_results([&*arguments.output])?;
    let bundle = arguments.given().run(&style.session())?;
    if style.quiet { Ok(()) } else { show(&bundle.describe(), style) }
}

fn swap(arguments: &Swap, style: Style) -> Result<(), Failure> {
    #[cfg(feature = "http")]
    if let Some(address) = &arguments.http {
        let client =
            crate::http::client(address, arguments.http_ca.as_deref(), arguments.http_token.as_deref())?;
        let renewed = send(&arguments.model, &client, style)?;
        return crate::failure::show(&renewed, crate::renewing::renewed, style);
    }
    let socket = arguments.control.as_deref().unwrap_or(Path::new("-"));
    let swapped = legonf_engine::control::swap(&style.session(), socket, &arguments.model)?;
    if style.json {
        return print_json(&swapped);
    }
    let (model, seq) = (one_line(&swapped.model).into_owned(), swapped.seq);
    if style.quiet { Ok(()) } else { tell(&format!("{model} is in force from packet {seq} on\n")) }
}

/// Sends a model that was tried here to a run.
#[cfg(feature = "http")]
fn send(
    given: &ModelFile,
    client: &legonf_server::Client,
    style: Style,
) -> Result<legonf_server::api::Renewed, Failure> {
    legonf_engine::control::check(&style.session(), &given.file)?;
    let content = reading::bytes(&given.file, reading::DOCUMENT)?;
    let file = given.file.file_name().unwrap_or_default().to_string_lossy();
    let name = given.name.as_deref().map(|name| ("name", name));
    let query: Vec<_> = [("file", &*file)].into_iter().chain(name).collect();
    Ok(client.send("/api/v1/model", &query, &content)?)
}

impl Import {
    /// What the engine takes.
    fn given(&self) -> legonf_engine::Import {
        legonf_engine::Import {
            file: self.file.clone(),
            output: self.output.clone(),
            schema: self.schema.clone(),
            scores: self.score_output.clone(),
            classes: self.classes.clone(),
            normality: self.normality,
        }
    }
}
