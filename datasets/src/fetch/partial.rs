//! The file that a download grows in: `FILE.partial`, and beside it `FILE.partial.toml`, which says of what.

use super::{FetchError, Item, appended};
use legonf_output::{OutputError, open_resumable, rename_new};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A download that is under way or was broken off.
#[derive(Debug)]
pub(super) struct Partial {
    pub path: PathBuf,
    state_path: PathBuf,
    file: File,
    len: u64,
    state: State,
}

/// Which version of which file the partial file is the beginning of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub url: String,
    /// Bytes of the whole file, where the server has said so.
    pub size: Option<u64>,
    /// Strong entity tag or date of the server's file: what `If-Range` asks for.
    pub validator: Option<String>,
}

impl Partial {
    /// Opens or makes the partial file of `item` and locks it. What is in it is kept if it can be resumed: if it
    /// is known to be of this address and either the server can say whether its file is still the same, or the
    /// checksum will.
    pub fn open(item: &Item<'_>) -> Result<Self, FetchError> {
        let path = appended(item.target, ".partial");
        let state_path = appended(&path, ".toml");
        let file = open_resumable(&path).map_err(|source| busy(source, &path))?;
        let len = file.metadata().map_err(FetchError::file(&path))?.len();
        let state = read_state(&state_path)?;
        let mut partial = Self { path, state_path, file, len, state };
        if !partial.can_resume(item) {
            partial.restart(State::default())?;
        }
        Ok(partial)
    }

    fn can_resume(&self, item: &Item<'_>) -> bool {
        let State { url, size, validator } = &self.state;
        url == item.url
            && size.is_none_or(|size| self.len <= size && item.size.is_none_or(|s| s == size))
            && (validator.is_some() || item.sha256.is_some())
    }

    /// Bytes that are there.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// What is known of the whole file.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether every byte is there.
    pub fn is_whole(&self) -> bool {
        self.state.size == Some(self.len)
    }

    /// Drops what is there and begins another version of the file.
    pub fn restart(&mut self, state: State) -> Result<(), FetchError> {
        self.file.set_len(0).map_err(FetchError::file(&self.path))?;
        self.len = 0;
        self.set_state(state)
    }

    /// Notes what is known of the whole file.
    pub fn set_state(&mut self, state: State) -> Result<(), FetchError> {
        let text = toml::to_string(&state)
            .map_err(|e| FetchError::File { file: self.state_path.clone(), source: io::Error::other(e) })?;
        legonf_output::write(&self.state_path, text.as_bytes())
            .map_err(FetchError::file(&self.state_path))?;
        self.state = state;
        Ok(())
    }

    /// Appends bytes. After an error the file still ends with the last ones that were appended whole.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let written = self.file.seek(SeekFrom::Start(self.len)).and_then(|_| self.file.write_all(bytes));
        if let Err(source) = written {
            // The error that counts is the first one.
            let _ = self.file.set_len(self.len);
            return Err(FetchError::File { file: self.path.clone(), source });
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Brings everything to the disk.
    pub fn sync(&self) -> Result<(), FetchError> {
        self.file.sync_all().map_err(FetchError::file(&self.path))
    }

    /// Forgets of what the bytes are the beginning, so that they are not resumed.
    pub fn forget(&self) -> Result<(), FetchError> {
        match fs::remove_file(&self.state_path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(FetchError::file(&self.state_path)(e)),
            _ => Ok(()),
        }
    }

    /// Gives the whole file its name.
    pub fn rename(self, target: &Path) -> Result<(), FetchError> {
        rename_new(&self.path, target).map_err(FetchError::file(target))?;
        self.forget()
    }
}

fn busy(source: io::Error, path: &Path) -> FetchError {
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(OutputError::Busy(_)) => FetchError::Busy { partial: path.to_owned() },
        Some(_) => FetchError::InTheWay { reason: source.to_string() },
        None => FetchError::File { file: path.to_owned(), source },
    }
}

/// A state that is missing or torn is that of no file, so that the download starts anew.
fn read_state(path: &Path) -> Result<State, FetchError> {
    match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(State::default()),
        read => {
            let bytes = read.map_err(FetchError::file(path))?;
            Ok(std::str::from_utf8(&bytes).ok().and_then(|t| toml::from_str(t).ok()).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"v1\"";

    fn item(target: &Path) -> Item<'_> {
        Item { url: "http://a/f", target, size: None, sha256: None }
    }

    fn state() -> State {
        State { url: "http://a/f".into(), size: Some(10), validator: Some(ETAG.into()) }
    }

    #[test]
    fn a_partial_file_is_resumed_only_as_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("f");
        let grow = |state: &State| {
            let mut partial = Partial::open(&item(&target)).unwrap();
            partial.restart(state.clone()).unwrap();
            partial.append(b"12345").unwrap();
        };
        let length = |item: &Item<'_>| Partial::open(item).unwrap().len();
        let known = Item { sha256: Some("ab"), ..item(&target) };
        grow(&state());
        assert_eq!(length(&item(&target)), 5);
        grow(&state());
        assert_eq!(length(&Item { url: "http://b/f", ..known }), 0, "another address");
        grow(&state());
        assert_eq!(length(&Item { size: Some(11), ..item(&target) }), 0, "another size");
        grow(&State { size: Some(4), ..state() });
        assert_eq!(length(&item(&target)), 0, "longer than the whole");
        grow(&State { validator: None, ..state() });
        assert_eq!(length(&known), 5, "the checksum will tell");
        assert_eq!(length(&item(&target)), 0, "nothing would tell");
        grow(&state());
        fs::write(dir.path().join("f.partial.toml"), "url = \"http://a/f").unwrap();
        assert_eq!(length(&item(&target)), 0, "a torn state");
        grow(&state());
        fs::remove_file(dir.path().join("f.partial.toml")).unwrap();
        assert_eq!(length(&item(&target)), 0, "no state");
    }

    #[test]
    fn a_write_that_fails_names_the_file_and_keeps_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("f");
        let mut partial = Partial::open(&item(&target)).unwrap();
        partial.append(b"12345").unwrap();
        partial.file = File::open(&partial.path).unwrap();
        let error = partial.append(b"67890").unwrap_err().to_string();
        assert!(error.ends_with("f.partial: Bad file descriptor (os error 9)"), "{error}");
        assert_eq!((partial.len(), fs::read(&partial.path).unwrap().len()), (5, 5));
    }

    #[test]
    fn two_downloads_do_not_share_a_partial_file() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("f");
        let _first = Partial::open(&item(&target)).unwrap();
        let second = Partial::open(&item(&target)).unwrap_err().to_string();
        assert!(second.ends_with("f.partial: another download is writing it"), "{second}");
    }
}
