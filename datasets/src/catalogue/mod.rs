//! The catalogue of public data sets: what they are, where they come from, and what is known of their files.

mod check;
mod error;
mod inspect;

pub use error::CatalogueError;
pub use inspect::{Finding, Status, inspect};

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The catalogue that legonf has.
const BUILT_IN: &str = include_str!("../../catalogue.toml");

/// Public data sets, in the order in which they are listed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The data sets.
    #[serde(rename = "dataset")]
    pub datasets: Vec<Dataset>,
}

/// A data set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Its name on the command line, which is also that of its folder: lower-case letters, digits and hyphens.
    pub name: String,
    /// What it is, in one line.
    pub title: String,
    /// What its files hold.
    pub kind: String,
    /// Who made and who published it.
    pub origin: String,
    /// The page that describes it.
    pub homepage: String,
    /// The terms it is under, or that they are unknown.
    pub licence: String,
    /// What its authors ask to be cited.
    pub citation: String,
    /// Packets of its capture, where known.
    pub packets: Option<u64>,
    /// Index of the first packet of the attack, from 0, where known.
    pub first_attack: Option<u64>,
    /// What else one should know.
    pub notes: Option<String>,
    /// Commands that reproduce its published use; `{dir}` stands for the data set's folder.
    #[serde(default)]
    pub commands: Vec<String>,
    /// Its files.
    #[serde(rename = "file")]
    pub files: Vec<RemoteFile>,
}

/// A file of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteFile {
    /// Its name in the data set's folder.
    pub name: String,
    /// Where it is, where it can be fetched without a person.
    pub url: Option<String>,
    /// Why a person has to fetch it.
    pub by_hand: Option<String>,
    /// Bytes, where known exactly.
    pub size: Option<u64>,
    /// About how large it is, where only that is known.
    pub about: Option<String>,
    /// SHA-256 in 64 lower-case hexadecimal digits, where known.
    pub sha256: Option<String>,
    /// Where the checksum comes from.
    pub sha256_from: Option<String>,
    /// Whether it is fetched only when it is named.
    #[serde(default)]
    pub optional: bool,
}

impl Catalogue {
    /// The catalogue that legonf has.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse); a test shows that there are none.
    pub fn built_in() -> Result<Self, CatalogueError> {
        Self::parse(BUILT_IN)
    }

    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// [`CatalogueError::Syntax`] and [`CatalogueError::Entry`].
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let catalogue: Self = toml::from_str(text)
            .map_err(|e| CatalogueError::Syntax(e.to_string().lines().collect::<Vec<_>>().join(" ")))?;
        check::check(&catalogue)?;
        Ok(catalogue)
    }

    /// The data set of a name.
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`].
    pub fn find(&self, name: &str) -> Result<&Dataset, CatalogueError> {
        let found = self.datasets.iter().find(|dataset| dataset.name == name);
        found.ok_or_else(|| CatalogueError::Unknown { name: name.into(), nearest: self.nearest(name) })
    }

    /// Names that the asked one is a part of, at most five.
    fn nearest(&self, name: &str) -> Vec<String> {
        let asked = name.to_ascii_lowercase();
        let alike = |known: &&Dataset| !asked.is_empty() && known.name.contains(&asked);
        self.datasets.iter().filter(alike).take(5).map(|dataset| dataset.name.clone()).collect()
    }
}

impl Dataset {
    /// The data set's folder below that of all data.
    pub fn folder(&self, root: &Path) -> PathBuf {
        root.join(&self.name)
    }

    /// The files of the given names, or those that are not optional if none is named.
    ///
    /// # Errors
    /// [`CatalogueError::UnknownFile`].
    pub fn select(&self, names: &[String]) -> Result<Vec<&RemoteFile>, CatalogueError> {
        if names.is_empty() {
            return Ok(self.files.iter().filter(|file| !file.optional).collect());
        }
        names.iter().map(|name| self.file(name)).collect()
    }

    fn file(&self, name: &str) -> Result<&RemoteFile, CatalogueError> {
        self.files.iter().find(|file| file.name == name).ok_or_else(|| CatalogueError::UnknownFile {
            dataset: self.name.clone(),
            file: name.into(),
            files: self.files.iter().map(|file| file.name.clone()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_holds_what_is_promised() {
        let catalogue = Catalogue::built_in().unwrap();
        let names: Vec<_> = catalogue.datasets.iter().map(|d| d.name.as_str()).collect();
        let attacks = names.iter().filter(|name| name.starts_with("kitsune-")).count();
        assert_eq!(attacks, 9, "{names:?}");
        for name in ["kitsune", "iot-23", "n-baiot", "ustc-tfc2016", "iot-sentinel"] {
            assert!(names.contains(&name), "{name}");
        }
        let mirai = catalogue.find("kitsune-mirai").unwrap();
        assert_eq!((mirai.packets, mirai.first_attack), (Some(764_137), Some(121_621)));
    }

    #[test]
    fn names_are_helped_with() {
        let catalogue = Catalogue::built_in().unwrap();
        let message = |name| catalogue.find(name).unwrap_err().to_string();
        let list = "`legonf dataset list` names them";
        assert_eq!(message("nothing"), format!("no data set is called nothing; {list}"));
        assert_eq!(message("mirai"), format!("no data set is called mirai; {list} (is it kitsune-mirai?)"));
        let iot = catalogue.find("iot-23").unwrap();
        assert_eq!(iot.select(&[]), Ok(vec![]), "both archives are optional");
        let error = iot.select(&["full".into()]).unwrap_err().to_string();
        assert_eq!(
            error,
            "iot-23 has no file full; it has iot_23_datasets_full.tar.gz, iot_23_datasets_small.tar.gz"
        );
    }
}
