//! `legonf replay`: a capture through the brick graph, a score and a verdict for every packet.

use crate::Style;
use crate::alerts::Alerts;
use crate::failure::{Failure, print};
#[cfg(feature = "http")]
use crate::http::Http;
use crate::inputs::Filter;
use crate::scoring::{Scoring, render};
use crate::steering;
use clap::Args;
use legonf_engine::{Replay, ScoreFormat, Seed};
use legonf_io::sink::Theme;
use std::path::PathBuf;

/// Runs a capture through a network function, and writes what it found for each packet. Kitsune, the default one, is packet
/// batching, feature quantization, feature mapping, autoencoder and sample-result quantization.
///
/// With --out the folder gets scores.csv (or .parquet), eve.json (alerts and incidents in Suricata's schema), alerts.pcapng (the alerts'
/// packets), incidents.json, hosts.json (what `legonf hosts` shows), scores.svg and scores.png, and summary.json. Of the alerts of a source
/// the first and the peak of each incident are written (--alerts), and the others counted: records of the type `held_back` in
/// eve.json say which sources they were of. Two replays of one capture write the same bytes, whatever --workers says.
///
/// For a graph that decides on no score (a classifier) the folder gets verdicts.csv (or .parquet) and summary.json instead. For a
/// graph whose bricks rewrite packets or decide where they go it also gets forwarded/PORT.pcapng for each port: the packets that
/// leave by it, mirrored copies among them, as they leave the graph.
///
/// A table of features in place of the capture starts at feature mapping: Kitsune's published CSV files, N-BaIoT's,
/// and those of `legonf features`. Its rows have no time (0 stands for it) and no packets (no alerts.pcapng).
#[derive(Args)]
pub struct Arguments {
    /// Captures (pcap, pcapng or Kitsune's TSV) or tables of features (CSV, .npy), plain, gzip or zstd, and folders of captures;
    /// `-` is standard input. Several captures are read as one, in the order of their first packets.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    scoring: Scoring,
    /// Folder for the results; without --force it must not exist yet, or be empty.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Format of the table of scores.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ScoreFormat::Csv)]
    scores_format: ScoreFormat,
    #[command(flatten)]
    alerts: Alerts,
    #[cfg(feature = "http")]
    #[command(flatten)]
    http: Http,
    /// Truth of every packet: lines `index,label` or one label a line (0/1, benign/malicious), for AUC, TPR and FPR.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Draw the plots on a dark ground.
    #[arg(long)]
    dark: bool,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    arguments.check(style)?;
    replay(&arguments.given()?, style)
}

/// Runs a replay, and shows what it found and what the controller decided, where there was one.
pub fn replay(replay: &Replay, style: Style) -> Result<(), Failure> {
    let report = replay.run(&style.session())?;
    print(&render(&report, style)?)?;
    let decided = report.decided?;
    if !style.quiet && !style.json {
        print(&steering::lines(&decided))?;
    }
    report.ended.map_or(Ok(()), |ended| Err(ended.into()))
}

impl Arguments {
    /// Refuses outputs that cannot be made.
    pub fn check(&self, style: Style) -> Result<(), Failure> {
        style.check_results(self.scoring.outputs())
    }

    /// What the engine takes.
    pub fn given(&self) -> Result<Replay, Failure> {
        #[cfg(feature = "http")]
        let monitor = self.http.monitor()?;
        #[cfg(not(feature = "http"))]
        let monitor = None;
        Ok(Replay {
            captures: self.filter.of(&self.captures),
            scoring: self.scoring.given(Seed::Repeatable),
            out: self.out.clone(),
            scores: self.scores_format,
            alerts: self.alerts.rate(),
            watching: self.alerts.watching(),
            theme: if self.dark { Theme::Dark } else { Theme::Light },
            labels: self.labels.clone(),
            limit: self.limit,
            steering: None,
            monitor,
        })
    }
}
