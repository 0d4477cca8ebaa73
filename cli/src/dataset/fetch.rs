//! `legonf dataset fetch`: brings public data sets.

use super::list::path_of;
use super::place::Place;
use crate::failure::{Failure, print_json, tell};
use crate::progress::Bar;
use crate::size::size;
use crate::{Style, interrupt};
use clap::Args;
use legonf_datasets::catalogue::{Catalogue, Dataset, RemoteFile};
use legonf_datasets::fetch::{Event, FetchError, Fetched, Item, Options, fetch};
use legonf_engine::arguments::time;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Fetch a public data set and check it, or go on where an earlier download was broken off.
///
/// A download grows in FILE.partial and gets its name when it is whole and its checksum, where one is known, is
/// right. Run the same command again to go on with one that was broken off. A file that is there already is only
/// checked. Where a site wants a browser or a login, the message says where the file is and where to put it.
#[derive(Args)]
pub struct Fetch {
    /// Name of the data set, as `legonf dataset list` shows it.
    name: String,
    /// Fetch this file of it, and others only if they are named too; `legonf dataset info` shows them.
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Fetch from a mirror: an address below which the files lie by their names.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Time in which the server may send nothing, or less than --min-rate, before the transfer is tried again.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = time)]
    stall: Duration,
    /// Bytes a second that must come on average over --stall; 0 for any number.
    #[arg(long, default_value_t = 1024, value_name = "BYTES")]
    min_rate: u64,
    /// The most of a file (K, M, G) whose size neither the catalogue nor the server states. Of others no more is taken than is
    /// stated.
    #[arg(long, default_value = "1G", value_name = "SIZE", value_parser = size)]
    max_size: u64,
    /// Attempts in a row that bring nothing new (less than 16 KiB, or too slowly) before the download is given up.
    #[arg(long, default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
}

/// What `--json` prints of a file.
#[derive(Serialize)]
struct Report {
    dataset: String,
    file: String,
    path: PathBuf,
    bytes: u64,
    sha256: String,
    verified: bool,
    present: bool,
    resumed_from: u64,
}

pub fn run(arguments: &Fetch, style: Style) -> Result<(), Failure> {
    let catalogue = Catalogue::built_in()?;
    let dataset = catalogue.find(&arguments.name)?;
    let files = dataset.select(&arguments.files)?;
    if files.is_empty() {
        return Err(nothing_chosen(dataset));
    }
    let root = arguments.place.root()?;
    let (mut reports, mut by_hand) = (Vec::new(), Vec::new());
    for file in files {
        match bring(arguments, dataset, file, &root, style).map_err(failure)? {
            Some(report) => {
                say(&report, style)?;
                reports.push(report);
            }
            None => by_hand.push(instruction(dataset, file, &root)),
        }
    }
    if style.json {
        print_json(&reports)?;
    }
    if by_hand.is_empty() { Ok(()) } else { Err(Failure::Fault(by_hand.join("; "))) }
}

/// An interrupt is not a fault.
pub fn failure(error: FetchError) -> Failure {
    match error {
        FetchError::Interrupted { .. } | FetchError::Unchecked { .. } => {
            Failure::Interrupted(error.to_string())
        }
        error => error.into(),
    }
}

fn nothing_chosen(dataset: &Dataset) -> Failure {
    let names: Vec<_> = dataset.files.iter().map(|file| file.name.as_str()).collect();
    Failure::fault(format!("{}: choose with --file one of {}", dataset.name, names.join(", ")))
}

fn instruction(dataset: &Dataset, file: &RemoteFile, root: &Path) -> String {
    format!(
        "{}: {}: see {} and put the file here: {}",
        file.name,
        file.by_hand.as_deref().unwrap_or("no address is known"),
        dataset.homepage,
        path_of(dataset, file, root).display()
    )
}

/// Fetches or checks a file; `None` if a person has to fetch it.
fn bring(
    arguments: &Fetch,
    dataset: &Dataset,
    file: &RemoteFile,
    root: &Path,
    style: Style,
) -> Result<Option<Report>, FetchError> {
    let path = path_of(dataset, file, root);
    let mirrored =
        arguments.mirror.as_ref().map(|mirror| format!("{}/{}", mirror.trim_end_matches('/'), file.name));
    let url = match mirrored.as_ref().or(file.url.as_ref()) {
        Some(url) => url.as_str(),
        // One that a person has put there is checked like any other.
        None if path.exists() => "",
        None => return Ok(None),
    };
    let item = Item { url, target: &path, size: file.size, sha256: file.sha256.as_deref() };
    let options = Options {
        stall: arguments.stall,
        attempts: arguments.attempts,
        min_rate: arguments.min_rate,
        max_size: arguments.max_size,
        ..Options::default()
    };
    let bar = Bar::transfer(&file.name, style.quiet);
    let fetched = fetch(&item, &options, interrupt::install(), &mut |event| show(&bar, &file.name, event));
    bar.clear();
    fetched.map(|fetched| Some(report(dataset, file, path, fetched)))
}

fn show(bar: &Bar, name: &str, event: Event<'_>) {
    match event {
        Event::Received { bytes, total } => {
            bar.say(name.to_owned());
            bar.transferred(bytes, total);
        }
        Event::Checking { bytes, total } => {
            bar.say(format!("{name}: checksum"));
            bar.transferred(bytes, Some(total));
        }
        Event::Waiting { attempt, attempts, reason } => {
            bar.say(format!("{name}: {reason}, attempt {attempt} of {attempts}"));
        }
    }
}

fn report(dataset: &Dataset, file: &RemoteFile, path: PathBuf, fetched: Fetched) -> Report {
    let Fetched { bytes, sha256, verified, present, resumed_from } = fetched;
    Report {
        dataset: dataset.name.clone(),
        file: file.name.clone(),
        path,
        bytes,
        sha256,
        verified,
        present,
        resumed_from,
    }
}

fn say(report: &Report, style: Style) -> Result<(), Failure> {
    if style.json || style.quiet {
        return Ok(());
    }
    let Report { path, bytes, sha256, verified, present, resumed_from, .. } = report;
    let checked = if *verified { "as it should be" } else { "which nothing is known to compare with" };
    let how = match (present, resumed_from) {
        (true, _) => "was there, ".into(),
        (false, 0) => String::new(),
        (false, from) => format!("resumed from {from}, "),
    };
    tell(&format!("{}: {how}{bytes} bytes, SHA-256 {sha256}, {checked}\n", path.display()))
}
