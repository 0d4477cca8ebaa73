//! `legonf dataset verify`: compares what is in the folder of data sets with the catalogue.

use super::fetch::failure;
use super::place::Place;
use crate::failure::{Failure, print_json, tell};
use crate::progress::Bar;
use crate::{Style, interrupt};
use clap::Args;
use legonf_datasets::catalogue::{Catalogue, Dataset, Finding, Status, inspect};
use serde::Serialize;
use std::path::Path;

/// Compare the files of public data sets with the catalogue.
///
/// A file is ok, missing, partial (a download that was broken off), differs (another size or checksum) or is
/// unknown (the catalogue knows no checksum; the file's own is shown). Files that differ or are partial are
/// faults; missing ones are if their data set is named.
#[derive(Args)]
pub struct Verify {
    /// Names of the data sets; without any, all of the catalogue.
    names: Vec<String>,
    #[command(flatten)]
    place: Place,
}

/// What `--json` prints of a file.
#[derive(Serialize)]
struct Row {
    dataset: String,
    file: String,
    #[serde(flatten)]
    finding: Finding,
}

pub fn run(arguments: &Verify, style: Style) -> Result<(), Failure> {
    let catalogue = Catalogue::built_in()?;
    let root = arguments.place.root()?;
    let named = !arguments.names.is_empty();
    let datasets: Vec<&Dataset> = if named {
        arguments.names.iter().map(|name| catalogue.find(name)).collect::<Result<_, _>>()?
    } else {
        catalogue.datasets.iter().collect()
    };
    let mut rows = Vec::new();
    for dataset in datasets {
        look(dataset, &root, &mut rows, style)?;
    }
    if style.json {
        print_json(&rows)?;
    } else if !style.quiet {
        tell(&table(&rows))?;
    }
    verdict(&rows, named)
}

fn look(dataset: &Dataset, root: &Path, rows: &mut Vec<Row>, style: Style) -> Result<(), Failure> {
    for file in &dataset.files {
        let bar = Bar::transfer(&file.name, style.quiet);
        let stop = interrupt::install();
        let found = inspect(dataset, file, root, stop, &mut |done, of| bar.transferred(done, Some(of)));
        bar.clear();
        let finding = found.map_err(failure)?;
        rows.push(Row { dataset: dataset.name.clone(), file: file.name.clone(), finding });
    }
    Ok(())
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Missing => "missing",
        Status::Partial => "partial",
        Status::Differs => "differs",
        Status::Unknown => "unknown",
    }
}

fn table(rows: &[Row]) -> String {
    rows.iter().fold(String::new(), |out, row| {
        let Finding { status, bytes, sha256, optional, .. } = &row.finding;
        let more = match (status, bytes, sha256) {
            (Status::Missing, ..) if *optional => " (optional)".into(),
            (Status::Unknown | Status::Differs, Some(bytes), Some(sha256)) => {
                format!(" ({bytes} bytes, SHA-256 {sha256})")
            }
            (Status::Partial | Status::Differs, Some(bytes), _) => format!(" ({bytes} bytes)"),
            _ => String::new(),
        };
        out + &format!("{:<7}  {}/{}{more}\n", word(*status), row.dataset, row.file)
    })
}

/// Whether the findings are a fault.
fn verdict(rows: &[Row], named: bool) -> Result<(), Failure> {
    let count = |status| {
        let counts =
            |row: &&Row| row.finding.status == status && (status != Status::Missing || !row.finding.optional);
        rows.iter().filter(counts).count()
    };
    let missing = if named { count(Status::Missing) } else { 0 };
    let (differs, partial) = (count(Status::Differs), count(Status::Partial));
    if missing + differs + partial == 0 {
        return Ok(());
    }
    let said = [(differs, "different"), (partial, "partial"), (missing, "missing")];
    let said: Vec<_> =
        said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    Err(Failure::fault(format!("{} among {} files", said.join(", "), rows.len())))
}
