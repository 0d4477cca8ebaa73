//! The notebook in `examples` opens what legonf writes.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{succeed, testbed, text};
use std::path::Path;
use std::process::Command;

const NOTEBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/notebooks/results.ipynb");

/// Runs the notebook's cells in a kernel of their own, and prints the text of what they show.
const SCRIPT: &str = "
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=300).execute()
for cell in notebook.cells:
    for output in cell.get('outputs', []):
        print(output.get('data', {}).get('text/plain', ''))
        print('image' if 'image/png' in output.get('data', {}) else '')
";

#[test]
fn pandas_opens_what_a_replay_writes() {
    let python = std::env::var("LEGONF_PYTHON").unwrap_or_else(|_| "python3".into());
    let needed = "import nbclient, ipykernel, pandas, pyarrow, matplotlib";
    let has = Command::new(&python).args(["-c", needed]).output().is_ok_and(|found| found.status.success());
    if !has {
        eprintln!("skipped: {python} has not all of nbclient, ipykernel, pandas, pyarrow and matplotlib");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (text(folder.path().join("kitsune.onnx")), text(folder.path().join("out")));
    let (capture, labels) = (text(testbed("capture.pcap.zst")), text(testbed("labels.csv.gz")));
    succeed(["train", "kitsune", &capture, "-o", &model, "--quiet"]);
    succeed(["calibrate", &model, &capture, "--skip", "86265", "--limit", "130160", "--quiet"]);
    succeed(["replay", &capture, "--model", &model, "--labels", &labels, "--out", &out, "--quiet"]);
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, NOTEBOOK]).env("LEGONF_OUT", &out);
    command.env("LEGONF", env!("CARGO_BIN_EXE_legonf"));
    let ran = command.current_dir(Path::new(NOTEBOOK).parent().unwrap()).output().unwrap();
    let shown = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    for words in ["received", "184208", "host-scan", "192.168.50.21", "sourceIPAddress", "recall", "image"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}
