//! Feature schemas of one's own: columns by name.

use crate::{Error, reading};
use legonf_core::{Feature, Schema, Unit};
use legonf_extract::{SCHEMAS, schema_by_name};
use serde::Deserialize;
use std::collections::HashSet;
use std::path::Path;

/// The word for networks that take images.
pub const IMAGE: &str = "image";
/// Bytes of a file with names, or of the first line of a table, at most.
const MOST: u64 = 1 << 20;
/// Features at most.
const MOST_FEATURES: usize = 1 << 16;

/// A schema file in TOML.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Name of the schema. Default: that of the file.
    name: Option<String>,
    /// Names of the features, in the order of the network's input.
    features: Vec<String>,
}

/// The schema of a name, or of a file: `image` (without a feature), one that legonf extracts, or names of one's own. These are the
/// `features` of a TOML file, the lines of a text file (`.txt`), or the first line of a table (`.csv`).
///
/// # Errors
/// If there is no such schema, or the file has no names, an empty one, or one twice.
pub fn find(name: &str) -> Result<Schema, Error> {
    let path = Path::new(name);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if name == IMAGE {
        return Ok(Schema { name: name.to_owned(), features: Vec::new() });
    }
    if SCHEMAS.contains(&name) || !matches!(extension, "toml" | "txt" | "csv") {
        return schema_by_name(name).map_err(|error| {
            Error::refused(format!(
                "{error}; or give `image`, or a file with the names of features (.toml, .txt, .csv)"
            ))
        });
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (name, features) = match extension {
        "toml" => {
            let file: File = reading::parsed(path, MOST, |text| {
                toml::from_str(text).map_err(|e: toml::de::Error| e.message().to_owned())
            })?;
            (file.name.unwrap_or(stem), file.features)
        }
        "csv" => (stem, first_line(path)?.split(',').map(unquoted).collect()),
        _ => (stem, lines(&reading::text(path, MOST)?)),
    };
    of_names(path, name, features)
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn unquoted(cell: &str) -> String {
    cell.trim().trim_matches('"').to_owned()
}

/// The first line of a table, which may be long.
fn first_line(path: &Path) -> Result<String, Error> {
    use std::io::{BufRead, BufReader, Read};
    let file = std::fs::File::open(path).map_err(|error| Error::file(path, error))?;
    let mut line = Vec::new();
    let read = BufReader::new(file).take(MOST).read_until(b'\n', &mut line);
    read.map_err(|error| Error::file(path, error))?;
    String::from_utf8(line).map_err(|error| Error::file(path, error))
}

/// A schema of the names in a file, of which nothing more is known.
fn of_names(path: &Path, name: String, features: Vec<String>) -> Result<Schema, Error> {
    let refused = |reason: String| Err(Error::file(path, reason));
    let mut seen = HashSet::new();
    if let Some(wrong) = features.iter().find(|name| name.is_empty() || !seen.insert(name.as_str())) {
        return refused(format!("the feature '{wrong}' is empty or there twice"));
    }
    if features.is_empty() || features.len() > MOST_FEATURES {
        return refused(format!("{} features: expected 1 to {MOST_FEATURES}", features.len()));
    }
    if features.iter().all(|name| name.parse::<f64>().is_ok()) {
        return refused("its first line has numbers: expected the names of features".to_owned());
    }
    let feature =
        |name| Feature { name, group: String::new(), statistic: String::new(), unit: Unit::One, decay: None };
    Ok(Schema { name, features: features.into_iter().map(feature).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn names_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let found = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            find(path.to_str().unwrap()).map_err(|error| error.to_string())
        };
        let names =
            |schema: Schema| schema.features.into_iter().map(|f| f.name).collect::<Vec<_>>().join(" ");
        for (name, content) in [
            ("mine.toml", "features = [\"a\", \"b c\"]"),
            ("mine.txt", "a\n\nb c\n"),
            ("mine.csv", "a,\"b c\"\n1,2\n"),
        ] {
            let schema = found(name, content).unwrap();
            assert_eq!((schema.name.as_str(), names(schema.clone())), ("mine", "a b c".to_owned()), "{name}");
        }
        assert_eq!(found("x.toml", "name = \"flows\"\nfeatures = [\"a\"]").unwrap().name, "flows");
        for (name, content, words) in [
            ("x.txt", "a\na\n", "x.txt: the feature 'a' is empty or there twice"),
            ("x.csv", "1,2,3\n", "x.csv: its first line has numbers"),
            ("x.csv", "a,,b\n", "the feature '' is empty"),
            ("x.txt", "", "0 features"),
            ("x.toml", "names = [\"a\"]", "unknown field `names`"),
        ] {
            let error = found(name, content).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(find("missing.txt").unwrap_err().to_string().starts_with("missing.txt: "));
        assert!(find("kitsune").unwrap_err().to_string().contains("or give `image`, or a file"));
        assert!(find("image").unwrap().is_empty());
        assert_eq!(find("kitsune-115").unwrap().len(), 115);
    }
}
