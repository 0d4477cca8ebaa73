//! Files that once broke the model loader: each is read, or refused in one line of printable text.
#![allow(clippy::unwrap_used)]

use legonf_models::kitnet::KitNet;
use legonf_models::{Bundle, Foreign};
use std::path::Path;

fn assert_one_line(file: &str, message: &str) {
    assert!(!message.contains(char::is_control), "{file}: {message:?}");
}

#[test]
fn what_was_found_stays_mended() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions"));
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (name, bytes) = (path.display().to_string(), std::fs::read(&path).unwrap());
        match Bundle::from_bytes(&bytes, "x") {
            Ok(bundle) => assert!(Bundle::from_bytes(&bundle.to_bytes().unwrap(), "x").unwrap() == bundle),
            Err(error) => assert_one_line(&name, &error.to_string()),
        }
        if let Err(defect) = Foreign::new(bytes.clone(), None) {
            assert_one_line(&name, &defect.to_string());
        }
        if let Err(defect) = KitNet::from_reference_json(&String::from_utf8_lossy(&bytes)) {
            assert_one_line(&name, &defect.to_string());
        }
        files += 1;
    }
    assert!(files > 0);
}
