//! The `legonf` command: trains Kitsune offline, replays captures through the brick graph, and shows what it found.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod agent;
mod alerts;
mod audit;
mod bench;
mod calibrate;
mod cluster;
mod command_line;
mod compare;
mod completions;
mod config;
mod dataset;
mod events;
mod experiment;
mod failure;
mod features;
mod flows;
mod graph;
#[cfg(test)]
mod habits;
mod help;
mod hosts;
#[cfg(feature = "http")]
mod http;
mod inputs;
mod interrupt;
mod invalid;
#[cfg(feature = "live")]
mod listening;
#[cfg(feature = "live")]
mod live;
mod man;
mod meant;
mod model;
mod notify;
mod overwrite;
mod plan;
mod profile;
mod progress;
#[cfg(feature = "live")]
mod record;
#[cfg(feature = "http")]
mod renewing;
mod replay;
#[cfg(feature = "live")]
mod rotation;
mod run;
#[cfg(feature = "http")]
mod running;
mod scoring;
#[cfg(feature = "http")]
mod serve;
#[cfg(feature = "live")]
mod size;
mod split;
mod steering;
mod stuck;
mod summary;
#[cfg(feature = "http")]
mod top;
mod train;
mod warming;
mod workers;

use clap::{Parser, Subcommand};
use failure::Failure;
use legonf_engine::Session;
use legonf_output::Existing;
use progress::Terminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Network functions with a neural network at their core, run as bricks that scale one by one.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Arguments {
    /// Print no progress and no summary; faults are still printed.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print the result as one JSON document on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// Replace files that exist, and write into folders that are not empty; without it they are refused before there is
    /// any work. A device or a pipe is written to, and an empty file replaced, all the same.
    #[arg(long, global = true)]
    force: bool,
    /// Take options from this file (TOML): a table for each command, such as [live], whose keys are the long names of its options.
    /// What the command line says wins. `legonf config show` prints a file to start from; without --config none is read.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Start here:
  legonf train kitsune benign.pcap -o kitsune.onnx
  legonf calibrate kitsune.onnx other-benign.pcap
  legonf replay suspicious.pcap --model kitsune.onnx --out results
  legonf live --interface eth0 --model kitsune.onnx --eve eve.json

Exit codes:
  0    done
  1    a fault: bad input, a damaged file, a full disk; one line on standard error says which
  2    the command line is wrong
  130  interrupted (Ctrl-C, SIGTERM); what was written is complete up to the packet that is named
       (0 for `legonf live`, `record` and `serve`, which have no other end)
  141  the reader of the output went away (closed pipe)";

#[derive(Subcommand)]
enum Command {
    #[command(about = "Write the feature matrix of a capture, for NumPy or any other tool")]
    Features(features::Arguments),
    #[command(about = "Write a record for every flow of a capture, for pandas or any other tool")]
    Flows(flows::Arguments),
    /// Train a model offline.
    #[command(subcommand)]
    Train(Train),
    #[command(about = "Say what a classifier's score rests on")]
    Audit(audit::Arguments),
    #[command(about = "Set a model's threshold from held-out benign traffic")]
    Calibrate(calibrate::Arguments),
    #[command(about = "Run a capture through the brick graph: a score and a verdict for every packet")]
    Replay(replay::Arguments),
    #[command(about = "Run a capture under the controller, which replicates the bottleneck as it goes")]
    Run(run::Arguments),
    #[command(about = "Show what was seen of each host in the results of a replay")]
    Hosts(hosts::Arguments),
    #[command(about = "Show what each detector finds in a capture with labels")]
    Compare(legonf_experiments::detectors::Compare),
    #[command(about = "Measure what each brick of a graph costs")]
    Profile(profile::Arguments),
    #[command(about = "Say how many of which brick a rate needs, and what they would do")]
    Plan(plan::Arguments),
    #[command(about = "Show what the controller decided, and why")]
    Events(events::Arguments),
    #[command(about = "Show what a run does that was started with --http")]
    #[cfg(feature = "http")]
    Status(running::StatusArguments),
    #[command(about = "Show a run in the terminal while it goes on")]
    #[cfg(feature = "http")]
    Top(top::Arguments),
    #[command(about = "Show the results of a replay in a browser, second by second")]
    #[cfg(feature = "http")]
    Serve(serve::Arguments),
    #[command(about = "Show the incidents of a run that was started with --http")]
    #[cfg(feature = "http")]
    Incidents(running::IncidentsArguments),
    #[command(about = "Give a brick of a run more replicas, or fewer")]
    #[cfg(feature = "http")]
    Scale(running::ScaleArguments),
    #[command(about = "Take a replica's work away")]
    #[cfg(feature = "http")]
    Drain(running::DrainArguments),
    #[command(about = "Change the threshold of a run")]
    #[cfg(feature = "http")]
    Threshold(renewing::ThresholdArguments),
    #[command(about = "Let a run tell of no more alerts of a host")]
    #[cfg(feature = "http")]
    Suppress(renewing::SuppressArguments),
    #[command(
        about = "Let the controller of a run leave the layout as it is, go on, or decide by another policy"
    )]
    #[cfg(feature = "http")]
    Controller(renewing::ControllerArguments),
    /// Measure how fast the bricks are on this machine.
    #[command(subcommand)]
    Bench(bench::Command),
    #[command(about = "Score the packets of a network interface as they come")]
    #[cfg(feature = "live")]
    Live(Box<live::Arguments>),
    #[command(about = "Write the packets of a network interface into a capture")]
    #[cfg(feature = "live")]
    Record(record::Arguments),
    #[command(about = "Run bricks for graphs of other hosts")]
    Agent(agent::Arguments),
    /// Make certificates for the hosts of a cluster.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Show brick graphs.
    #[command(subcommand)]
    Graph(graph::Command),
    #[command(about = "Show by what traffic can be split among replicas without changing the answer")]
    Split(split::Arguments),
    /// Make labelled captures, and bring public ones.
    #[command(subcommand)]
    Dataset(dataset::Command),
    /// Run measurements: a spoofed flood, an hour of packets, the tables of the papers.
    #[command(subcommand)]
    Experiment(experiment::Command),
    /// Show, check and explain models.
    #[command(subcommand)]
    Model(model::Command),
    /// Check a configuration file, or print one to start from.
    #[command(subcommand)]
    Config(config::Subcommands),
    #[command(about = "Print what a shell needs to complete the command line")]
    Completions(completions::Arguments),
    #[command(about = "Print or write manual pages")]
    Man(man::Arguments),
    Help(help::Arguments),
}

#[derive(Subcommand)]
enum Train {
    #[command(
        about = "Kitsune: an ensemble of autoencoders over damped statistics (Mirsky et al., NDSS 2018)"
    )]
    Kitsune(Box<train::Arguments>),
    #[command(
        about = "Classifier: convolutions over payload and a random forest tell which class a flow is of"
    )]
    Classifier(Box<train::classifier::Arguments>),
}

/// How results are shown, and whether they may replace others.
#[derive(Clone, Copy, Default)]
struct Style {
    quiet: bool,
    json: bool,
    force: bool,
}

impl Style {
    /// How the command's work is stopped, shown and written.
    fn session(self) -> Session {
        Session {
            stop: interrupt::install(),
            existing: if self.force { Existing::Replace } else { Existing::Keep },
            observer: Terminal::get(self.quiet),
            end: &stuck::end,
            try_out: Some(&["model", "try-out"]),
            host: Some(&["agent", "--for-parent"]),
        }
    }
}

fn main() -> ExitCode {
    let arguments = match command_line::parse(std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(refusal) => return refusal.report(),
    };
    let style = Style { quiet: arguments.quiet, json: arguments.json, force: arguments.force };
    stuck::install_hook();
    let ran = std::panic::catch_unwind(|| run(arguments.command, style));
    #[cfg(feature = "http")]
    http::finish();
    match ran {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => failure.report(),
        // The hook has said it.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(command: Command, style: Style) -> Result<(), Failure> {
    match command {
        Command::Features(arguments) => features::run(&arguments, style),
        Command::Flows(arguments) => flows::run(&arguments, style),
        Command::Train(Train::Kitsune(arguments)) => train::run(&arguments, style),
        Command::Train(Train::Classifier(arguments)) => train::classifier::run(&arguments, style),
        Command::Audit(arguments) => audit::run(&arguments, style),
        Command::Calibrate(arguments) => calibrate::run(&arguments, style),
        Command::Replay(arguments) => replay::run(&arguments, style),
        Command::Run(arguments) => run::run(&arguments, style),
        Command::Hosts(arguments) => hosts::run(&arguments, style),
        Command::Compare(arguments) => compare::run(&arguments, style),
        Command::Profile(arguments) => profile::run(&arguments, style),
        Command::Plan(arguments) => plan::run(&arguments, style),
        Command::Events(arguments) => events::run(&arguments, style),
        #[cfg(feature = "http")]
        Command::Status(arguments) => running::status(&arguments, style),
        #[cfg(feature = "http")]
        Command::Top(arguments) => top::run(&arguments, style),
        #[cfg(feature = "http")]
        Command::Serve(arguments) => serve::run(&arguments),
        #[cfg(feature = "http")]
        Command::Incidents(arguments) => running::incidents(&arguments, style),
        #[cfg(feature = "http")]
        Command::Scale(arguments) => running::scale(&arguments, style),
        #[cfg(feature = "http")]
        Command::Drain(arguments) => running::drain(&arguments, style),
        #[cfg(feature = "http")]
        Command::Threshold(arguments) => renewing::threshold(&arguments, style),
        #[cfg(feature = "http")]
        Command::Suppress(arguments) => renewing::suppress(&arguments, style),
        #[cfg(feature = "http")]
        Command::Controller(arguments) => renewing::controller(&arguments, style),
        Command::Bench(command) => bench::run(&command, style),
        #[cfg(feature = "live")]
        Command::Live(arguments) => live::run(&arguments, style),
        #[cfg(feature = "live")]
        Command::Record(arguments) => record::run(&arguments, style),
        Command::Agent(arguments) => agent::run(&arguments, style),
        Command::Cluster(command) => cluster::run(&command, style),
        Command::Graph(command) => graph::run(&command, style),
        Command::Split(arguments) => split::run(&arguments, style),
        Command::Dataset(command) => dataset::run(&command, style),
        Command::Experiment(command) => experiment::run(&command, style),
        Command::Model(command) => model::run(&command, style),
        Command::Config(command) => config::run(&command, style),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments, style),
        Command::Help(arguments) => help::run(&arguments),
    }
}
