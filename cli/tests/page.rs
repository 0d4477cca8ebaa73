//! The page, in Debian's Chromium, over a real run.
#![allow(clippy::unwrap_used)]

mod common;

use common::running::{Running, command, signal};
use common::{example, root, succeed, text, trained};
use flate2::read::GzDecoder;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};

const TOKEN: &str = "0123456789abcdef-of-a-test";

/// Where the browser and the modules of Node are; none, with the reason printed, without them.
fn browser() -> Option<(PathBuf, PathBuf)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        |name: &str| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.exists());
    let modules = std::env::var_os("PAGE_MODULES").map_or_else(|| root().join("target/page"), PathBuf::from);
    let there =
        found("node").and(found("chromium")).filter(|_| modules.join("node_modules/axe-core").exists());
    if there.is_none() {
        eprintln!(
            "skipped: node, chromium or target/page is not there; ./test.sh brings the last where the others are"
        );
    }
    Some((there?, modules.canonicalize().unwrap()))
}

/// A run that shows the shipped capture, and then waits.
fn start(arguments: &[String], capture: &[u8]) -> (Running, ChildStdin) {
    let mut run = Running::of(command(arguments));
    run.wait_for("shown at http");
    let mut input = run.child.stdin.take().unwrap();
    input.write_all(capture).unwrap();
    input.flush().unwrap();
    (run, input)
}

#[test]
fn a_browser_sees_a_run_and_its_loss_and_its_return() {
    let Some((chromium, modules)) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    let model = text(trained(folder.path(), "kitsune-115-clean"));
    fs::write(path("token"), TOKEN).unwrap();
    fs::set_permissions(path("token"), Permissions::from_mode(0o600)).unwrap();
    let graph = succeed(["graph", "show", "--toml"]);
    let graph: Vec<_> = graph
        .lines()
        .map(|line| if line.starts_with("name = ") { "name = '<script>alert(1)</script>'" } else { line })
        .collect();
    fs::write(path("graph.toml"), graph.join("\n")).unwrap();
    let mut capture = Vec::new();
    GzDecoder::new(File::open(example("synth-mini.pcap.gz")).unwrap()).read_to_end(&mut capture).unwrap();

    let (graph, token) = (path("graph.toml"), path("token"));
    let arguments = |address: &str| {
        let fixed = ["live", "-", "--model", &model, "--nf", &graph, "--no-warm-up", "--threshold", "0.2"];
        let http = ["--oversubscribe", "--json", "--http", address, "--http-token", &token];
        fixed.iter().chain(&http).map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let (first, input) = start(&arguments("127.0.0.1:0"), &capture);
    let said = first.said();
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let mut looks = Command::new("node");
    looks.arg(root().join("cli/tests/page/look.mjs")).args([&*address, TOKEN]).arg(folder.path());
    looks.env("CHROMIUM", chromium).env("PAGE_MODULES", modules);
    let mut looks = looks.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(looks.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut wait_for = |looks: &mut std::process::Child, word: &str| {
        let line = lines.next().unwrap_or_default();
        if line != word {
            let mut error = String::new();
            looks.stderr.take().unwrap().read_to_string(&mut error).unwrap();
            panic!("`{word}` and not `{line}`: {error}");
        }
    };
    wait_for(&mut looks, "lose");
    drop(input);
    first.end();
    wait_for(&mut looks, "return");
    let (second, input) = start(&arguments(&address), &capture);
    wait_for(&mut looks, "seen");
    assert!(looks.wait().unwrap().success());
    drop(input);
    second.end();
    // For those who want to see what was seen.
    if let Some(keep) = std::env::var_os("PAGE_PICTURES") {
        for name in ["page.png", "phone.png"] {
            fs::copy(path(name), PathBuf::from(&keep).join(name)).unwrap();
        }
    }
}

#[test]
fn a_browser_logs_in_over_tls() {
    let Some((chromium, modules)) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    let model = text(trained(folder.path(), "kitsune-115-clean"));
    fs::write(path("token"), TOKEN).unwrap();
    fs::set_permissions(path("token"), Permissions::from_mode(0o600)).unwrap();
    succeed(["cluster", "init", &path("tls"), "--name", "monitor.example", "--also", "127.0.0.1"]);
    let mut capture = Vec::new();
    GzDecoder::new(File::open(example("synth-mini.pcap.gz")).unwrap()).read_to_end(&mut capture).unwrap();
    let (token, chain, key) = (path("token"), path("tls/host.pem"), path("tls/host.key"));
    let fixed = ["live", "-", "--model", &model, "--no-warm-up", "--threshold", "0.2", "--oversubscribe"];
    let http = ["--http", "127.0.0.1:0", "--http-token", &token];
    let tls = ["--http-certificate", &chain, "--http-key", &key, "--json"];
    let words = fixed.iter().chain(&http).chain(&tls).map(|word| (*word).to_owned());
    let (run, input) = start(&words.collect::<Vec<_>>(), &capture);
    let said = run.said();
    let address = said.split("https://").nth(1).unwrap().split('/').next().unwrap();
    look("login.mjs", &(chromium, modules), address, &["login.png"]);
    drop(input);
    run.end();
}

/// Runs a script that looks at a page, and keeps its pictures for those who want to see them.
fn look(script: &str, (chromium, modules): &(PathBuf, PathBuf), address: &str, pictures: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut looks = Command::new("node");
    looks.arg(root().join("cli/tests/page").join(script)).args([address, TOKEN]).arg(folder.path());
    let seen = looks.env("CHROMIUM", chromium).env("PAGE_MODULES", modules).output().unwrap();
    assert!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stderr));
    if let Some(keep) = std::env::var_os("PAGE_PICTURES") {
        for name in pictures {
            fs::copy(folder.path().join(name), PathBuf::from(&keep).join(name)).unwrap();
        }
    }
}

#[test]
fn a_replay_is_played_in_a_browser() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115-clean"));
    let (capture, out) = (text(example("synth-mini.pcap.gz")), text(folder.path().join("out")));
    let fixed = ["replay", &capture, "--model", &model, "--no-warm-up", "--threshold", "0.2", "--quiet"];
    succeed(fixed.iter().chain(&["--out", &*out]));
    play("play.mjs", &browser, &out, &["play.png", "play-phone.png"]);
    // The book's picture is of the demo's results: PAGE_RESULTS=out/demo.
    let results = std::env::var("PAGE_RESULTS").unwrap_or(out);
    play("picture.mjs", &browser, &results, &["seeing.png"]);
}

/// Looks at results of a replay.
fn play(script: &str, browser: &(PathBuf, PathBuf), results: &str, pictures: &[&str]) {
    let serve = ["serve", "--open", results, "--http", "127.0.0.1:0"].map(str::to_owned);
    let (run, _input) = start(&serve, &[]);
    let said = run.said();
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap();
    look(script, browser, address, pictures);
    signal("-INT", &[run.child.id().to_string()]);
    assert!(run.output().0.status.success());
}
