//! What a file is.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a file is, as far as its first bytes or its name show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Capture,
    Model,
    Results,
}

impl Kind {
    /// What a file is. Only ordinary files are opened: a pipe's first bytes are not to be taken away.
    pub fn of(name: &OsStr) -> Option<Self> {
        let path = Path::new(name);
        if path.is_dir() {
            return path.join("summary.json").is_file().then_some(Self::Results);
        }
        let begins = if path.is_file() { first_bytes(path) } else { None };
        begins.filter(is_capture).map(|_| Self::Capture).or_else(|| Self::by_name(path))
    }

    fn by_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        match plain.rsplit_once('.')?.1 {
            "pcap" | "pcapng" | "cap" | "tsv" => Some(Self::Capture),
            "onnx" => Some(Self::Model),
            _ => None,
        }
    }

    /// The kind in words.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Capture => "a capture",
            Self::Model => "a model",
            Self::Results => "a folder of results",
        }
    }

    /// What stands for such a file in a command line.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Capture => "CAPTURE",
            Self::Model => "MODEL",
            Self::Results => "RESULTS",
        }
    }
}

fn first_bytes(path: &Path) -> Option<[u8; 4]> {
    let mut bytes = [0; 4];
    File::open(path).ok()?.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Whether a file that begins so is a capture: pcap in either byte order and resolution, or pcapng.
fn is_capture(bytes: &[u8; 4]) -> bool {
    let pcap = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34];
    let number = u32::from_be_bytes(*bytes);
    number == 0x0a0d_0d0a || pcap.contains(&number) || pcap.contains(&number.swap_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_begins_with_says_more_than_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd.onnx");
        std::fs::write(&path, [0xd4, 0xc3, 0xb2, 0xa1, 2, 0]).unwrap();
        assert_eq!(Kind::of(path.as_os_str()), Some(Kind::Capture));
        std::fs::write(&path, [8, 9]).unwrap();
        assert_eq!(Kind::of(path.as_os_str()), Some(Kind::Model));
        assert_eq!(Kind::of(folder.path().as_os_str()), None);
    }
}
