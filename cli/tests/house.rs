//! The house is as ARCHITECTURE.md says: crates, what they depend on, and where unsafe code is.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A row of the crate map.
struct Row {
    folder: String,
    crate_name: String,
    may_depend_on: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the crate lies in the workspace")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The part of a Markdown file below a heading.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, below) =
        text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    below.split("\n## ").next().unwrap_or(below)
}

fn unquote(cell: &str) -> String {
    cell.trim().trim_matches('`').to_owned()
}

/// The crate map of ARCHITECTURE.md. Its last column names crates without their prefix, or "anything above".
fn map() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in section(&read("ARCHITECTURE.md"), "Crates").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').collect();
        let [folder, crate_name, _, may_depend_on] = cells[..] else { panic!("four columns: {line}") };
        let may_depend_on = match may_depend_on.trim() {
            "–" => BTreeSet::new(),
            "anything above" => rows.iter().map(|row| row.crate_name.clone()).collect(),
            list => list.split(", ").map(|name| format!("legonf-{name}")).collect(),
        };
        rows.push(Row { folder: unquote(folder), crate_name: unquote(crate_name), may_depend_on });
    }
    assert!(!rows.is_empty(), "ARCHITECTURE.md has a crate map");
    rows
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Folder and crates of the workspace that it depends on (but for tests), by crate.
fn crates() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let describe = |package: &Value| {
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let folder =
            manifest.parent().and_then(|f| f.strip_prefix(root()).ok()).expect("a folder of the workspace");
        let dependencies = list(&package["dependencies"]).into_iter();
        let inner =
            dependencies.filter(|d| d["path"].is_string() && d["kind"] != "dev").map(|d| text(&d["name"]));
        (text(&package["name"]), (folder.display().to_string(), inner.collect()))
    };
    list(&metadata()["packages"]).iter().map(describe).collect()
}

#[test]
fn the_map_names_every_crate_and_no_other() {
    let mapped: BTreeMap<_, _> = map().into_iter().map(|row| (row.crate_name, row.folder)).collect();
    let present: BTreeMap<_, _> = crates().into_iter().map(|(name, (folder, _))| (name, folder)).collect();
    assert_eq!(mapped, present, "left: ARCHITECTURE.md, right: cargo metadata");
}

#[test]
fn crates_depend_on_nothing_but_what_the_map_allows() {
    let crates = crates();
    let mut above = BTreeSet::new();
    for row in map() {
        let (_, dependencies) = &crates[&row.crate_name];
        let forbidden: Vec<_> = dependencies.difference(&row.may_depend_on).collect();
        assert!(forbidden.is_empty(), "{} may not depend on {forbidden:?}", row.crate_name);
        let below: Vec<_> = row.may_depend_on.difference(&above).collect();
        assert!(below.is_empty(), "{} may depend on {below:?}, which are not above it", row.crate_name);
        above.insert(row.crate_name);
    }
}

/// Every Rust source below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn has_unsafe_code(source: &str) -> bool {
    let starts = ["{", "fn ", "impl ", "impl<", "trait ", "extern "].map(|word| ["unsafe", word].join(" "));
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.into_iter().any(|line| starts.iter().any(|start| line.contains(start)))
}

#[test]
fn unsafe_code_is_where_the_architecture_says() {
    let text = read("ARCHITECTURE.md");
    let listed = section(&text, "Unsafe code").lines().filter(|line| line.starts_with("- `"));
    let listed: BTreeSet<_> = listed.filter_map(|line| line.split('`').nth(1)).map(str::to_owned).collect();
    let mut files = Vec::new();
    map().iter().for_each(|row| sources(&root().join(&row.folder).join("src"), &mut files));
    let relative = |path: PathBuf| path.strip_prefix(root()).expect("below the root").display().to_string();
    let with_unsafe =
        files.into_iter().filter(|path| has_unsafe_code(&fs::read_to_string(path).expect("text")));
    let present: BTreeSet<_> = with_unsafe.map(relative).collect();
    assert_eq!(listed, present, "left: ARCHITECTURE.md, right: the sources");
}

/// The code of a source file before its tests, without lines that are comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("text");
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Sources below some folders, without those of tests alone.
fn sources_of(folders: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    folders.iter().for_each(|folder| sources(&root().join(folder), &mut files));
    files.retain(|path| path.file_name().is_some_and(|name| name != "tests.rs"));
    assert!(!files.is_empty());
    files
}

#[test]
fn columns_belong_to_the_bricks_that_declare_them() {
    let kinds = legonf_catalog::KINDS;
    let declared = kinds.iter().flat_map(|kind| kind.reads.iter().chain(&*kind.writes));
    // The columns that are filled before the first brick, by nobody whose name a graph has.
    let common = ["packets", "headers", "disposition", "watermark"];
    let names: BTreeSet<_> = declared.map(|column| column.name.to_string()).collect();
    let names: Vec<_> = names.into_iter().filter(|name| !common.contains(&name.as_str())).collect();
    assert!(names.len() >= 5, "{names:?}");
    for path in sources_of(&["bricks/core/src", "runtime/src"]) {
        let named = names.iter().find(|name| code(&path).contains(&format!("\"{name}\"")));
        assert_eq!(named, None, "{} names a column", path.display());
    }
    // The command's own words may be those of columns, but it declares none: it takes the declarations of their owners.
    let declarations = ["ColumnSpec::scalar(", "ColumnSpec::rows(", "ColumnSpec {"];
    for path in sources_of(&["runtime/src", "engine/src", "cli/src"]) {
        let made = declarations.iter().find(|made| code(&path).contains(**made));
        assert_eq!(made, None, "{} declares a column", path.display());
    }
}
