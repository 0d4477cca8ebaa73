//! The manifests and the chart say what the operator says.
#![allow(missing_docs, clippy::unwrap_used)]

use legonf_operator::{BrickGraph, check, definition};
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(name)
}

/// The objects of a file.
fn objects(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(packaging(name)).unwrap();
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

#[test]
fn the_definition_is_that_of_this_version() {
    let expected = serde_json::to_value(definition()).unwrap();
    for file in ["kubernetes/crd.yaml", "helm/legonf-operator/crds/crd.yaml"] {
        assert!(objects(file) == [expected.clone()], "{file}: legonf-operator crd >{file}");
    }
}

#[test]
fn the_examples_are_accepted() {
    let book = fs::read_to_string(packaging("../docs/src/kubernetes.md")).unwrap();
    let blocks = book.split("```text\n").filter_map(|block| block.split("\n```").next());
    let shown = blocks.filter(|block| block.starts_with("apiVersion: legonf.io"));
    let shown: Vec<Value> = shown.map(|block| serde_yaml_ng::from_str(block).unwrap()).collect();
    let all = [objects("kubernetes/example.yaml"), shown].concat();
    assert_eq!(all.len(), 2);
    for example in all {
        let graph: BrickGraph = serde_json::from_value(example).unwrap();
        check(&graph).unwrap();
    }
}

#[test]
fn the_chart_makes_what_the_manifests_have() {
    let python = std::env::var_os("LEGONF_PYTHON").unwrap_or_else(|| "python3".into());
    let has_helm = Command::new(&python).args(["-c", "import helm_python, yaml"]).output();
    if !has_helm.is_ok_and(|output| output.status.success()) {
        println!("skipped: the chart (python has no helm-python-sdk and pyyaml)");
        return;
    }
    let output = Command::new(&python).arg(packaging("helm/render.py")).arg("legonf").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut made: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut expected = objects("kubernetes/operator.yaml");
    // Helm makes the namespace itself.
    expected.retain(|object| object["kind"] != "Namespace");
    let key = |object: &Value| object["kind"].to_string();
    made.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(made, expected);
}
