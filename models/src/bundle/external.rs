//! Weights that lie in a file beside an ONNX model, taken into it.

use super::proto::{DOUBLE, FLOAT, INT64, Property};
use super::wire::{self, Kind};
use crate::file::MAX_FILE_BYTES;
use crate::kitnet::Defect;
use prost::Message;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path};

/// Where a tensor says that its numbers are: in another file.
const EXTERNAL: i32 = 1;

/// What a tensor says of itself and of where its numbers are.
#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Property>,
    #[prost(int32, tag = "14")]
    data_location: i32,
}

/// The first tensor whose numbers are in another file, and the name of that file.
pub(crate) fn first(onnx: &[u8]) -> Result<Option<(String, String)>, Defect> {
    let mut found = None;
    wire::with_tensors(Kind::Model, onnx, &mut |tensor| {
        let head = head(tensor)?;
        if head.data_location == EXTERNAL && found.is_none() {
            let file = head.entry("location").unwrap_or_default().to_owned();
            found = Some((head.name, file));
        }
        Ok(None)
    })?;
    Ok(found)
}

/// An ONNX file with the numbers of every tensor inside it; those that are elsewhere come from `folder`.
///
/// # Errors
/// Names the tensor whose file is not a plain file within `folder`, cannot be read, or holds another number of bytes than
/// the tensor asks for; or says that all would be larger than [`MAX_FILE_BYTES`].
pub fn take_in(onnx: &[u8], folder: &Path) -> Result<Vec<u8>, Defect> {
    wire::check(onnx)?;
    let mut left = MAX_FILE_BYTES.saturating_sub(onnx.len() as u64);
    wire::with_tensors(Kind::Model, onnx, &mut |tensor| {
        let head = head(tensor)?;
        if head.data_location != EXTERNAL {
            return Ok(None);
        }
        let numbers = head.numbers(folder, left)?;
        left -= numbers.len() as u64;
        inline(tensor, &numbers).map(Some)
    })
}

fn head(tensor: &[u8]) -> Result<Head, Defect> {
    Head::decode(tensor).map_err(|e| Defect::new("ONNX", e.to_string()))
}

/// The tensor with its numbers inside.
fn inline(tensor: &[u8], numbers: &[u8]) -> Result<Vec<u8>, Defect> {
    let mut changed = Vec::with_capacity(tensor.len() + numbers.len());
    for field in wire::fields(tensor) {
        let field = field?;
        if ![9, 13, 14].contains(&field.tag) {
            changed.extend_from_slice(field.whole);
        }
    }
    wire::put(&mut changed, 9, numbers);
    Ok(changed)
}

impl Head {
    fn entry(&self, key: &str) -> Option<&str> {
        self.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str())
    }

    /// A number of bytes that an entry states.
    fn stated(&self, key: &str) -> Result<Option<u64>, Defect> {
        let wrong =
            |text: &str| Defect::new(&self.name, format!("external data: {key} = {text:?} is no number"));
        self.entry(key).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// The numbers of the tensor from the file that it names in `folder`, at most `most` bytes.
    fn numbers(&self, folder: &Path, most: u64) -> Result<Vec<u8>, Defect> {
        let nowhere = || Defect::new(&self.name, "external data: no location is given");
        let location = self.entry("location").ok_or_else(nowhere)?;
        let named = |reason: &dyn std::fmt::Display| {
            Defect::new(&self.name, format!("external data {location:?}: {reason}"))
        };
        let mut file = open(folder, location).map_err(|reason| named(&reason))?;
        let size = file.metadata().map_err(|e| named(&e))?.len();
        let offset = self.stated("offset")?.unwrap_or(0);
        let rest =
            size.checked_sub(offset).ok_or_else(|| named(&format!("offset {offset} lies behind its end")))?;
        let length = self.stated("length")?.unwrap_or(rest);
        if length > rest {
            return Err(named(&format!("{length} bytes from {offset} on are wanted, it has {size}")));
        }
        if let Some(expected) = self.bytes().filter(|expected| *expected != length) {
            return Err(named(&format!("{length} bytes for a tensor of {expected}")));
        }
        if length > most {
            return Err(named(&format!("with it the model is larger than {MAX_FILE_BYTES} bytes")));
        }
        let mut numbers = Vec::new();
        file.seek(SeekFrom::Start(offset)).map_err(|e| named(&e))?;
        file.take(length).read_to_end(&mut numbers).map_err(|e| named(&e))?;
        if numbers.len() as u64 == length { Ok(numbers) } else { Err(named(&"was cut short meanwhile")) }
    }

    /// Bytes that the shape asks for, where the type is one whose size is known here.
    fn bytes(&self) -> Option<u64> {
        let size = match self.data_type {
            FLOAT | 6 | 12 => 4,
            DOUBLE | INT64 | 13 => 8,
            4 | 5 | 10 | 16 => 2,
            2 | 3 | 9 => 1,
            _ => return None,
        };
        let dims = self.dims.iter().map(|dim| u64::try_from(*dim).unwrap_or(u64::MAX));
        Some(dims.fold(size, u64::saturating_mul))
    }
}

/// Opens a plain file that lies within `folder`, links followed.
fn open(folder: &Path, location: &str) -> io::Result<File> {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if location.is_empty() || !Path::new(location).components().all(plain) {
        return Err(io::Error::other("expected the name of a file beside the model"));
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let (folder, path) = (folder.canonicalize()?, folder.join(location).canonicalize()?);
    if !path.starts_with(&folder) {
        return Err(io::Error::other("leads out of the model's folder"));
    }
    if !path.is_file() {
        return Err(io::Error::other("is not a plain file"));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::proto::Tensor;
    use std::fs;

    /// A model whose only initializer, four floats, lies elsewhere.
    fn model(entries: &[(&str, &str)]) -> Vec<u8> {
        let external_data =
            entries.iter().map(|(k, v)| Property { key: (*k).into(), value: (*v).into() }).collect();
        let head = Head {
            dims: vec![2, 2],
            data_type: FLOAT,
            name: "w".into(),
            external_data,
            data_location: EXTERNAL,
        };
        let (mut graph, mut model) = (Vec::new(), vec![0x08, 9]);
        wire::put(&mut graph, 5, &head.encode_to_vec());
        // A field that is not known here.
        wire::put(&mut graph, 4000, b"kept");
        wire::put(&mut model, 7, &graph);
        model
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/w.data"), (0..20).collect::<Vec<u8>>()).unwrap();
        fs::write(folder.path().join("out.data"), [0; 16]).unwrap();
        std::os::unix::fs::symlink("../out.data", folder.path().join("in/link")).unwrap();
        folder
    }

    #[test]
    fn numbers_are_taken_in_and_all_else_is_kept() {
        let folder = folder();
        let onnx = model(&[("location", "w.data"), ("offset", "4"), ("length", "16")]);
        assert_eq!(first(&onnx).unwrap(), Some(("w".into(), "w.data".into())));
        let whole = take_in(&onnx, &folder.path().join("in")).unwrap();
        assert_eq!(first(&whole).unwrap(), None);
        let graph = crate::bundle::proto::Model::decode(&*whole).unwrap().graph.unwrap();
        let raw_data = (4..20).collect();
        let expected = Tensor { dims: vec![2, 2], data_type: FLOAT, name: "w".into(), raw_data };
        assert_eq!(graph.initializer, [expected]);
        assert!(whole.windows(4).any(|bytes| bytes == b"kept"));
        assert_eq!(take_in(&whole, folder.path()).unwrap(), whole);
    }

    #[test]
    fn what_is_not_beside_the_model_is_refused() {
        let folder = folder();
        let outside = folder.path().join("out.data");
        for (entries, words) in [
            (&[("location", "../out.data")][..], "the name of a file beside the model"),
            (&[("location", outside.to_str().unwrap())], "the name of a file beside the model"),
            (&[("location", "link")], "leads out of the model's folder"),
            (&[("location", "missing")], "No such file"),
            (&[("location", ".")], "not a plain file"),
            (&[], "no location"),
            (&[("location", "w.data"), ("offset", "21")], "offset 21 lies behind its end"),
            (
                &[("location", "w.data"), ("offset", "5"), ("length", "16")],
                "16 bytes from 5 on are wanted, it has 20",
            ),
            (&[("location", "w.data"), ("offset", "-1")], "offset = \"-1\" is no number"),
            (&[("location", "w.data")], "20 bytes for a tensor of 16"),
            (&[("location", "w.data"), ("length", "18446744073709551615")], "are wanted, it has 20"),
        ] {
            let error = take_in(&model(entries), &folder.path().join("in")).unwrap_err().to_string();
            assert!(error.starts_with("w: ") && error.contains(words), "{error}");
        }
    }
}
