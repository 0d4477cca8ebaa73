//! The rules of a catalogue.

use super::{Catalogue, CatalogueError, Dataset, RemoteFile};
use std::collections::BTreeSet;

/// A rule that is broken: the key and the rule.
type Broken = (&'static str, &'static str);

/// Checks every entry.
pub(super) fn check(catalogue: &Catalogue) -> Result<(), CatalogueError> {
    let mut names = BTreeSet::new();
    for dataset in &catalogue.datasets {
        let broken = dataset_rules(dataset).or_else(|| {
            (!names.insert(&dataset.name)).then_some(("name", "another data set has the same name"))
        });
        refuse(dataset, broken)?;
        let mut files = BTreeSet::new();
        for file in &dataset.files {
            let broken = file_rules(file).or_else(|| {
                (!files.insert(&file.name)).then_some(("file.name", "another file has the same name"))
            });
            refuse(dataset, broken)?;
        }
    }
    Ok(())
}

fn refuse(dataset: &Dataset, broken: Option<Broken>) -> Result<(), CatalogueError> {
    match broken {
        None => Ok(()),
        Some((key, reason)) => Err(CatalogueError::Entry { entry: dataset.name.clone(), key, reason }),
    }
}

fn dataset_rules(dataset: &Dataset) -> Option<Broken> {
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if dataset.name.is_empty() || !dataset.name.chars().all(named) {
        return Some(("name", "expected lower-case letters, digits and hyphens"));
    }
    let texts = [
        ("title", &dataset.title),
        ("kind", &dataset.kind),
        ("origin", &dataset.origin),
        ("licence", &dataset.licence),
        ("citation", &dataset.citation),
    ];
    if let Some((key, _)) = texts.into_iter().find(|(_, text)| !one_line(text)) {
        return Some((key, "expected one line of text"));
    }
    if !dataset.homepage.starts_with("https://") {
        return Some(("homepage", "expected an address that begins with https://"));
    }
    if dataset.first_attack.is_some_and(|first| dataset.packets.is_none_or(|packets| first >= packets)) {
        return Some(("first_attack", "expected the index of one of the packets"));
    }
    dataset.files.is_empty().then_some(("file", "expected at least one file"))
}

fn file_rules(file: &RemoteFile) -> Option<Broken> {
    if !plain_name(&file.name) {
        return Some(("file.name", "expected a plain file name"));
    }
    match (&file.url, &file.by_hand) {
        (Some(url), None) if !url.starts_with("https://") => {
            return Some(("file.url", "expected an address that begins with https://"));
        }
        (Some(_), None) => {}
        (None, Some(why)) if one_line(why) => {}
        _ => return Some(("file.url", "expected either an address or why it is fetched by_hand")),
    }
    if file.size.is_some() && file.about.is_some() {
        return Some(("file.about", "expected nothing where the size is known"));
    }
    checksum_rules(file)
}

fn checksum_rules(file: &RemoteFile) -> Option<Broken> {
    let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    match (&file.sha256, &file.sha256_from) {
        (None, None) => None,
        (Some(sha256), _) if sha256.len() != 64 || !sha256.bytes().all(digit) => {
            Some(("file.sha256", "expected 64 lower-case hexadecimal digits"))
        }
        (Some(_), Some(from)) if one_line(from) => None,
        _ => Some(("file.sha256_from", "expected where the checksum comes from, and the checksum")),
    }
}

fn one_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains('\n')
}

/// Whether a name stays in its folder, and beside the partial files of downloads.
fn plain_name(name: &str) -> bool {
    let parts = !name.starts_with('.') && !name.contains(['/', '\\', '\0', '\n']);
    parts && !name.is_empty() && !name.ends_with(".partial") && !name.ends_with(".partial.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, more: &str, file: &str) -> String {
        format!(
            "[[dataset]]\nname = \"{name}\"\ntitle = \"t\"\nkind = \"k\"\norigin = \"o\"\nhomepage = \"https://h\"\n\
             licence = \"l\"\ncitation = \"c\"\n{more}\n[[dataset.file]]\n{file}\n"
        )
    }

    const GOOD: &str = "name = \"f\"\nurl = \"https://h/f\"";

    fn refused(text: &str) -> String {
        Catalogue::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_good_entry_passes() {
        Catalogue::parse(&entry("a", "packets = 2\nfirst_attack = 1", GOOD)).unwrap();
    }

    #[test]
    fn every_rule_refuses() {
        let sha = "0".repeat(64);
        let from = format!("{GOOD}\nsha256 = \"{sha}\"");
        for (text, message) in [
            (entry("A", "", GOOD), "catalogue: A: name: expected lower-case letters, digits and hyphens"),
            (
                entry("a", "", GOOD).replace("\"l\"", "\" \""),
                "catalogue: a: licence: expected one line of text",
            ),
            (
                entry("a", "", GOOD).replace("https://h\"", "http://h\""),
                "catalogue: a: homepage: expected an address that begins with https://",
            ),
            (
                entry("a", "packets = 2\nfirst_attack = 2", GOOD),
                "catalogue: a: first_attack: expected the index of one of the packets",
            ),
            (
                entry("a", "", "name = \"../f\"\nurl = \"https://h/f\""),
                "catalogue: a: file.name: expected a plain file name",
            ),
            (
                entry("a", "", "name = \"f\""),
                "catalogue: a: file.url: expected either an address or why it is fetched by_hand",
            ),
            (
                entry("a", "", "name = \"f\"\nurl = \"ftp://h/f\""),
                "catalogue: a: file.url: expected an address that begins with https://",
            ),
            (
                entry("a", "", &format!("{GOOD}\nsha256 = \"AB\"\nsha256_from = \"x\"")),
                "catalogue: a: file.sha256: expected 64 lower-case hexadecimal digits",
            ),
            (
                entry("a", "", &from),
                "catalogue: a: file.sha256_from: expected where the checksum comes from, and the checksum",
            ),
            (
                entry("a", "", &format!("{GOOD}\nsize = 1\nabout = \"1 B\"")),
                "catalogue: a: file.about: expected nothing where the size is known",
            ),
            (
                entry("a", "", &format!("{GOOD}\n[[dataset.file]]\n{GOOD}")),
                "catalogue: a: file.name: another file has the same name",
            ),
            (entry("a", "", GOOD).repeat(2), "catalogue: a: name: another data set has the same name"),
        ] {
            assert_eq!(refused(&text), message);
        }
    }

    #[test]
    fn an_unknown_key_is_refused_in_one_line() {
        let message = refused(&entry("a", "sise = 3", GOOD));
        assert!(message.contains("unknown field `sise`") && !message.contains('\n'), "{message}");
    }
}
