//! `legonf dataset list` and `legonf dataset info`: the catalogue of public data sets.

use super::place::Place;
use crate::Style;
use crate::failure::{Failure, print, print_json, tell};
use crate::summary::tables;
use clap::Args;
use indicatif::DecimalBytes;
use legonf_datasets::catalogue::{Catalogue, Dataset, RemoteFile};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Show what is known of a public data set: origin, licence, citation, files, and how to reproduce its use.
#[derive(Args)]
pub struct Info {
    /// Name of the data set, as `legonf dataset list` shows it.
    name: String,
    #[command(flatten)]
    place: Place,
}

/// What `legonf dataset info --json` prints.
#[derive(Serialize)]
struct Described<'a> {
    #[serde(flatten)]
    dataset: Dataset,
    folder: &'a Path,
}

/// Prints a line for each data set.
pub fn list(style: Style) -> Result<(), Failure> {
    let catalogue = Catalogue::built_in()?;
    if style.json {
        return print_json(&catalogue.datasets);
    }
    let width = catalogue.datasets.iter().map(|dataset| dataset.name.len()).max().unwrap_or(0);
    let line = |name: &str, size: &str, title: &str| format!("{name:<width$}  {size:>9}  {title}\n");
    let rows = catalogue.datasets.iter().map(|d| line(&d.name, &size_of(d), &d.title));
    tell(&(line("name", "size", "what") + &rows.collect::<String>()))
}

/// Prints all that is known of a data set.
pub fn info(arguments: &Info, style: Style) -> Result<(), Failure> {
    let catalogue = Catalogue::built_in()?;
    let dataset = catalogue.find(&arguments.name)?;
    let folder = dataset.folder(&arguments.place.root()?);
    let commands: Vec<_> = dataset.commands.iter().map(|command| filled_in(command, &folder)).collect();
    if style.json {
        let dataset = Dataset { commands, ..dataset.clone() };
        return print_json(&Described { dataset, folder: &folder });
    }
    tell(&(tables::fields(&facts(dataset, &folder)) + &files(dataset)))?;
    // A command is there to be copied, in one line.
    print(&reproduction(&commands))
}

fn facts(dataset: &Dataset, folder: &Path) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("name", dataset.name.clone()),
        ("what", dataset.title.clone()),
        ("kind", dataset.kind.clone()),
        ("origin", dataset.origin.clone()),
        ("homepage", dataset.homepage.clone()),
        ("licence", dataset.licence.clone()),
        ("cite", dataset.citation.clone()),
    ];
    if let Some(packets) = dataset.packets {
        let attack = dataset.first_attack.map(|first| format!(", the attack begins at index {first}"));
        rows.push(("packets", format!("{packets}{}", attack.unwrap_or_default())));
    }
    rows.extend(dataset.notes.iter().map(|notes| ("notes", notes.clone())));
    rows.push(("folder", folder.display().to_string()));
    rows
}

fn files(dataset: &Dataset) -> String {
    dataset.files.iter().fold("\nfiles\n".into(), |out, file| {
        let optional = if file.optional { ", fetched only with --file" } else { "" };
        let from = match (&file.url, &file.by_hand) {
            (Some(url), _) => format!("from {url}"),
            (None, why) => {
                format!("to be fetched by hand: {}", why.as_deref().unwrap_or("no address is known"))
            }
        };
        let checksum = match (&file.sha256, &file.sha256_from) {
            (Some(sha256), Some(by)) => format!("SHA-256 {sha256} (source: {by})"),
            _ => "SHA-256 unknown".into(),
        };
        out + &format!("  {}: {}{optional}\n    {from}\n    {checksum}\n", file.name, size_of_file(file))
    })
}

fn reproduction(commands: &[String]) -> String {
    if commands.is_empty() {
        return String::new();
    }
    commands.iter().fold("\nreproduce it with\n".into(), |out, command| out + "  " + command + "\n")
}

/// A command with the data set's folder in it.
fn filled_in(command: &str, folder: &Path) -> String {
    let folder = folder.display().to_string();
    let plain = folder.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+,@:".contains(c));
    let quoted = if plain { folder } else { format!("'{}'", folder.replace('\'', "'\\''")) };
    command.replace("{dir}", &quoted)
}

fn size_of_file(file: &RemoteFile) -> String {
    match (file.size, &file.about) {
        (Some(size), _) => format!("{size} bytes"),
        (None, Some(about)) => format!("about {about}"),
        (None, None) => "size unknown".into(),
    }
}

/// The size of what is fetched without naming files.
fn size_of(dataset: &Dataset) -> String {
    let files: Vec<_> = dataset.files.iter().filter(|file| !file.optional).collect();
    let known: u64 = files.iter().filter_map(|file| file.size).sum();
    match &files[..] {
        [] => "–".into(),
        [RemoteFile { about: Some(about), .. }] => format!("~ {about}"),
        _ if known == 0 => "unknown".into(),
        _ if files.iter().all(|file| file.size.is_some()) => DecimalBytes(known).to_string(),
        _ => format!("> {}", DecimalBytes(known)),
    }
}

/// Where a file of a data set lies.
pub fn path_of(dataset: &Dataset, file: &RemoteFile, root: &Path) -> PathBuf {
    dataset.folder(root).join(&file.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn every_command_of_the_catalogue_is_one_of_legonf() {
        let catalogue = Catalogue::built_in().unwrap();
        let commands = catalogue.datasets.iter().flat_map(|dataset| &dataset.commands);
        let mut count = 0;
        for command in commands {
            let command = filled_in(command, Path::new("/data/x"));
            assert!(!command.contains('{'), "{command}");
            if let Err(error) = crate::Arguments::try_parse_from(command.split(' ')) {
                panic!("{command}: {error}");
            }
            count += 1;
        }
        assert_eq!(count, 3);
    }

    #[test]
    fn folders_are_quoted_where_a_shell_needs_it() {
        assert_eq!(filled_in("a {dir}/b", Path::new("/x/y-1")), "a /x/y-1/b");
        assert_eq!(filled_in("a {dir}/b", Path::new("/x y/it's")), "a '/x y/it'\\''s'/b");
    }
}
