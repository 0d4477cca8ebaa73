//! The files that commands of the documentation name, made once.

use crate::common::{fault, root, succeed, testbed, text};
use legonf_core::Batch;
use legonf_io::SourceOptions;
use legonf_io::sink::PacketFile;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Packets of the shipped capture before its attack.
const BENIGN: u64 = 130_160;
/// Packets of it that train the model.
const TRAINING: &str = "86265";

/// Names that commands may use without making the file first.
const NAMES: [&str; 9] = [
    "benign.pcapng",
    "other-benign.pcapng",
    "suspicious.pcap",
    "kitsune.onnx",
    "out/demo/kitsune.onnx",
    "imported.onnx",
    "network.onnx",
    "scan.pcapng",
    "scan-labels.csv",
];

/// Puts the files that a text names, and that nothing has made yet, into a folder.
pub fn provide(words: &str, folder: &Path) {
    let is_name = |c: char| c.is_alphanumeric() || ".-_/".contains(c);
    let mut before = "";
    for word in words.split(|c: char| !is_name(c)).filter(|word| !word.is_empty()) {
        let made = matches!(before, "-o" | "--output" | "--out");
        if !made && NAMES.contains(&word) && !folder.join(word).exists() {
            let to = folder.join(word);
            fs::create_dir_all(to.parent().expect("a folder")).expect("room");
            fs::copy(shelf().join(word), to).expect("a file of the shelf");
        }
        before = word;
    }
}

/// The folder that holds all of them.
fn shelf() -> &'static Path {
    static SHELF: OnceLock<TempDir> = OnceLock::new();
    SHELF.get_or_init(fill).path()
}

fn fill() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let [benign, model] = ["benign.pcapng", "kitsune.onnx"].map(|name| text(file(name)));
    cut(0..BENIGN, Path::new(&benign));
    // The model was trained on the first packets of the other one, which is refused if both begin alike.
    cut(500..BENIGN, &file("other-benign.pcapng"));
    cut(100_000..150_000, &file("suspicious.pcap"));
    succeed(["train", "kitsune", &benign, "-o", &model]);
    succeed(["calibrate", &model, &benign, "--skip", TRAINING]);
    fs::create_dir_all(file("out/demo")).expect("room");
    for copy in ["imported.onnx", "out/demo/kitsune.onnx"] {
        fs::copy(&model, file(copy)).expect("room");
    }
    fs::copy(fault("import-reconstruction.onnx"), file("network.onnx")).expect("room");
    let [scan, labels] = ["scan.pcapng", "scan-labels.csv"].map(|name| text(file(name)));
    let generate = ["dataset", "generate", "--packets", "20000", "--rate", "200", "--scan", "20", "200"];
    succeed(generate.into_iter().chain(["-o", &scan, "--labels-out", &labels]));
    folder
}

/// Some packets of the shipped capture in a file.
fn cut(packets: Range<u64>, to: &Path) {
    let mut out = PacketFile::create(to).expect("a file");
    let mut source =
        legonf_io::open_with(&testbed("capture.pcap.zst"), &SourceOptions::default()).expect("it ships");
    let mut batch = Batch::default();
    loop {
        batch.clear();
        source.fill(&mut batch).expect("it is whole");
        let Some((first, _)) = batch.packets.iter().next() else { break };
        if first.seq >= packets.end {
            break;
        }
        for (record, bytes) in batch.packets.iter().filter(|(record, _)| packets.contains(&record.seq)) {
            out.packet(record, bytes).expect("room");
        }
    }
    out.finish().expect("room");
}

/// A folder for the commands of a page, with what they may name in the repository.
pub fn desk() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(
        root().join("examples").canonicalize().expect("it ships"),
        folder.path().join("examples"),
    )
    .expect("a link");
    folder
}
