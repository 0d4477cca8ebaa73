//! The dependencies are as `deny.toml` allows: the part of cargo-deny's checks that needs neither cargo-deny nor the network.
//! (Advisories need both: `./check.sh` asks for them where it can.)
#![allow(clippy::unwrap_used)]

mod common;

use common::root;
use serde_json::Value;
use spdx::{Expression, Licensee};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

fn read(name: &str) -> toml::Table {
    fs::read_to_string(root().join(name)).unwrap().parse().unwrap()
}

fn strings(value: &toml::Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// The packages of a build for `target` with default features, which such a build has brought here; `None`, with the reason printed, where their sources are not on this machine.
fn packages(target: &str) -> Option<Vec<Value>> {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline"];
    let mut cargo = Command::new(env!("CARGO"));
    let cargo = cargo.args(arguments).args(["--filter-platform", target]).current_dir(root());
    let output = cargo.output().expect("cargo runs");
    if output.status.success() {
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        return Some(metadata["packages"].as_array().unwrap().clone());
    }
    eprintln!("skipped: {target}: {}", String::from_utf8_lossy(&output.stderr));
    None
}

/// The packages of every target in `deny.toml`, of which this machine's must be there.
fn all_packages() -> Vec<Value> {
    let targets = strings(&read("deny.toml")["graph"]["targets"]);
    let mut packages: Vec<_> = targets.iter().filter_map(|target| packages(target)).flatten().collect();
    packages.sort_by_key(name);
    packages.dedup_by_key(|package| name(package));
    assert!(packages.len() > 100, "the workspace has dependencies");
    packages
}

/// `PACKAGE|LICENCE` of each package that a build takes, which metadata names more than.
fn built() -> BTreeSet<String> {
    let arguments = ["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build,dev"];
    let mut cargo = Command::new(env!("CARGO"));
    let format = ["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"];
    let output = cargo.args(arguments).args(format).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: BTreeSet<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert!(lines.len() > 100, "the workspace has dependencies");
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

fn name(package: &Value) -> String {
    format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap())
}

/// Whether the allowed licences are enough for what a package states. The slash is what `OR` was before SPDX.
fn is_allowed(stated: &str, allowed: &[Licensee]) -> bool {
    let expression = Expression::parse(&stated.replace('/', " OR ")).expect("an SPDX expression");
    expression.evaluate(|requirement| allowed.iter().any(|licence| licence.satisfies(requirement)))
}

#[test]
fn every_licence_is_allowed_and_every_allowed_one_is_some_packages() {
    let listed = strings(&read("deny.toml")["licenses"]["allow"]);
    let allowed: Vec<_> = listed.iter().map(|licence| Licensee::parse(licence).unwrap()).collect();
    let mut denied = Vec::new();
    let mut stated = String::new();
    for line in built() {
        let (package, licence) = line.split_once('|').expect("a package and its licence");
        stated += &format!("{licence}\n");
        if licence.is_empty() || !is_allowed(licence, &allowed) {
            denied.push(format!("{package}: '{licence}'"));
        }
    }
    assert_eq!(denied, Vec::<String>::new(), "deny.toml does not allow these");
    for licence in listed {
        assert!(stated.contains(&licence), "deny.toml allows {licence}, which nothing has");
    }
}

#[test]
fn no_source_but_the_default_registry() {
    let lock = read("Cargo.lock");
    let packages = lock["package"].as_array().unwrap();
    let sources: BTreeSet<_> = packages.iter().filter_map(|p| p.get("source")?.as_str()).collect();
    assert!(sources.iter().all(|source| source.starts_with("registry+")), "{sources:?}");
    assert_eq!(sources.len(), 1, "{sources:?}");
    for (package, dependency) in dependencies() {
        assert_eq!(dependency["registry"], Value::Null, "{package}: {dependency}");
    }
}

#[test]
fn no_dependency_takes_any_version() {
    for (package, dependency) in dependencies() {
        let is_wild = dependency["req"] == "*" && dependency["path"].is_null();
        assert!(!is_wild, "{package}: {} has no version", dependency["name"]);
    }
}

/// What the workspace's own packages ask for.
fn dependencies() -> Vec<(String, Value)> {
    let own = all_packages().into_iter().filter(|package| package["source"].is_null());
    let pairs = own.flat_map(|package| {
        let dependencies = package["dependencies"].as_array().unwrap().clone();
        dependencies.into_iter().map(move |dependency| (name(&package), dependency))
    });
    let pairs: Vec<_> = pairs.collect();
    assert!(!pairs.is_empty());
    pairs
}

#[test]
fn licences_are_judged_as_expressions() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
    let allowed = allowed.map(|licence| Licensee::parse(licence).unwrap());
    for good in ["MIT", "MIT/GPL-3.0-only", "MIT OR GPL-3.0-only", "(MIT OR X11) AND Apache-2.0"] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "BSD-3-Clause"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
