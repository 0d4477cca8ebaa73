//! IDX files, the format of MNIST: images of 28 × 28 bytes and their labels, plain or gzip.

use crate::TrainError;
use crate::samples::{Flow, Samples};
use flate2::read::MultiGzDecoder;
use legonf_extract::flow::IMAGE_BYTES;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of a file at most, unpacked.
const MOST_BYTES: u64 = 2 << 30;
/// Type of unsigned bytes in a header.
const BYTES: u8 = 8;
/// What gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Classes at most: labels are bytes.
const MOST_CLASSES: usize = 256;
const SIDE: usize = 28;

/// Whether a file has the name of an IDX file with images.
pub fn is_images(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains("-idx3-") || name.contains(".idx3")
}

/// The labels' file beside the images' file, by the names that MNIST has.
pub fn labels_beside(images: &Path) -> PathBuf {
    let name = images.file_name().unwrap_or_default().to_string_lossy();
    images.with_file_name(name.replace("images", "labels").replace("idx3", "idx1"))
}

/// Reads images and labels. Classes are named by `names`, or where there are none by their numbers.
///
/// # Errors
/// Names the file that is no IDX file of this kind, is cut short or too long, or has a label that is none of the classes.
pub fn read(images: &Path, labels: &Path, names: &[String]) -> Result<Samples, TrainError> {
    let (dims, pixels) = parse(images, 3)?;
    let (_, tags) = parse(labels, 1)?;
    if dims[1..] != [SIDE, SIDE] {
        let reason = format!("images of {} × {} bytes: expected {SIDE} × {SIDE}", dims[1], dims[2]);
        return Err(TrainError::file(images, reason));
    }
    if tags.len() != dims[0] {
        let reason = format!("{} labels for the {} images of {}", tags.len(), dims[0], images.display());
        return Err(TrainError::file(labels, reason));
    }
    let classes = classes(labels, &tags, names)?;
    let mut samples = Samples::new(classes, Vec::new(), 0);
    for (bytes, tag) in pixels.chunks_exact(IMAGE_BYTES).zip(&tags) {
        samples.push(&Flow { bytes, sequence: &[], label: usize::from(*tag), group: 0 });
    }
    Ok(samples)
}

/// The classes' names, where every label is one of them.
fn classes(labels: &Path, tags: &[u8], names: &[String]) -> Result<Vec<String>, TrainError> {
    if names.is_empty() {
        let count = tags.iter().max().map_or(0, |most| usize::from(*most) + 1);
        return Ok((0..count).map(|class| class.to_string()).collect());
    }
    if names.len() > MOST_CLASSES {
        return Err(TrainError::file(labels, format!("{} classes: labels are bytes", names.len())));
    }
    match tags.iter().position(|tag| usize::from(*tag) >= names.len()) {
        Some(at) => {
            let (tag, last) = (tags[at], names.len() - 1);
            Err(TrainError::file(
                labels,
                format!("label {tag} of image {at} is out of range: expected 0 to {last}"),
            ))
        }
        None => Ok(names.to_vec()),
    }
}

/// Dimensions and bytes of an IDX file.
fn parse(path: &Path, rank: usize) -> Result<(Vec<usize>, Vec<u8>), TrainError> {
    let all =
        read_bounded(path).map_err(|error| TrainError::file(path, format!("cannot be read: {error}")))?;
    let head = 4 + 4 * rank;
    let dims = match &*all {
        [0, 0, BYTES, found, ..] if usize::from(*found) == rank && all.len() >= head => &all[4..head],
        _ => {
            let reason = format!("not an IDX file of bytes with {rank} dimensions, or cut short");
            return Err(TrainError::file(path, reason));
        }
    };
    let dim = |four: &[u8]| four.iter().fold(0usize, |value, byte| value << 8 | usize::from(*byte));
    let dims: Vec<usize> = dims.chunks_exact(4).map(dim).collect();
    let expected = dims.iter().try_fold(1usize, |all, dim| all.checked_mul(*dim));
    let found = all.len() - head;
    if expected != Some(found) {
        let stated = dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
        return Err(TrainError::file(path, format!("{found} bytes behind the header that states {stated}")));
    }
    Ok((dims, all[head..].to_vec()))
}

/// The content of a file, unpacked, if it is not too long.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut content = Vec::new();
    let packed = std::io::BufRead::fill_buf(&mut file)?.starts_with(&GZIP);
    let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    reader.take(MOST_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MOST_BYTES {
        return Err(std::io::Error::other(format!("longer than {MOST_BYTES} bytes")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn file(folder: &Path, name: &str, dims: &[u32], content: &[u8]) -> PathBuf {
        let mut all = vec![0, 0, BYTES, dims.len() as u8];
        dims.iter().for_each(|dim| all.extend_from_slice(&dim.to_be_bytes()));
        all.extend_from_slice(content);
        let path = folder.join(name);
        std::fs::write(&path, all).unwrap();
        path
    }

    fn two(folder: &Path, tags: &[u8]) -> (PathBuf, PathBuf) {
        let images = file(folder, "x-images-idx3-ubyte", &[2, 28, 28], &[7; 2 * IMAGE_BYTES]);
        (images, file(folder, "x-labels-idx1-ubyte", &[tags.len() as u32], tags))
    }

    fn fault(images: &Path, labels: &Path, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        read(images, labels, &names).unwrap_err().to_string()
    }

    #[test]
    fn images_and_labels_are_found_beside_each_other_and_read_packed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let (images, labels) = two(folder.path(), &[0, 2]);
        assert!(is_images(&images) && !is_images(&labels));
        assert_eq!(labels_beside(&images), labels);
        let samples = read(&images, &labels, &[]).unwrap();
        assert_eq!((samples.len(), samples.labels(), samples.classes.len()), (2, &[0, 2][..], 3));
        assert!(samples.check().unwrap_err().to_string().contains("class `1`"));
        let packed = folder.path().join("packed-idx3-ubyte.gz");
        let mut encoder = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
        encoder.write_all(&std::fs::read(&images).unwrap()).unwrap();
        encoder.finish().unwrap();
        assert_eq!(read(&packed, &labels, &[]).unwrap().bytes(1), samples.bytes(1));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (images, labels) = two(folder.path(), &[0, 5]);
        let text = fault(&images, &labels, &["a", "b"]);
        assert!(
            text.ends_with("x-labels-idx1-ubyte: label 5 of image 1 is out of range: expected 0 to 1"),
            "{text}"
        );
        assert!(fault(&labels, &labels, &[]).contains("not an IDX file of bytes with 3 dimensions"));
        assert!(fault(&images, &images, &[]).contains("with 1 dimensions"));
        let (images, labels) = two(folder.path(), &[0]);
        assert!(fault(&images, &labels, &[]).contains("1 labels for the 2 images"));
        let small = file(folder.path(), "small", &[2, 14, 14], &[0; 392]);
        assert!(fault(&small, &labels, &[]).contains("14 × 14 bytes: expected 28 × 28"));
        let short = file(folder.path(), "short", &[3, 28, 28], &[0; IMAGE_BYTES]);
        assert!(fault(&short, &labels, &[]).contains("784 bytes behind the header that states 3 × 28 × 28"));
        let huge = file(folder.path(), "huge", &[u32::MAX, u32::MAX, u32::MAX], &[]);
        assert!(fault(&huge, &labels, &[]).contains("0 bytes behind the header"));
        assert!(fault(&folder.path().join("none"), &labels, &[]).contains("none: cannot be read"));
    }
}
