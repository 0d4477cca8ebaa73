//! Files that are written: devices, links and pipes stay what they are, nothing is overwritten unasked, and nothing in a name
//! acts on a terminal or breaks a drawing.
#![allow(clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, fault, legonf, succeed, text, trained};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const TRAINING: [&str; 4] = ["--feature-mapping-packets", "200", "--training-packets", "300"];

/// A folder with what commands take, as text.
struct Bench {
    folder: TempDir,
    capture: String,
    model: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115"));
        Self { folder, capture: text(example("synth-mini.pcap.gz")), model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        text(self.path(name))
    }

    fn calibrate(&self, more: &[&str]) -> Vec<String> {
        let sample = ["--skip", "2001", "--false-positive-rate", "0.05", "--quiet"];
        let base = [&["calibrate", &self.model, &self.capture][..], &sample].concat();
        base.iter().chain(more).map(|part| (*part).to_owned()).collect()
    }
}

fn training(capture: &str, output: &str) -> Vec<String> {
    let base = ["train", "kitsune", capture, "--quiet", "-o", output];
    base.iter().chain(&TRAINING).map(|part| (*part).to_owned()).collect()
}

/// Runs a command that would replace `output`, which is left alone, and again with `--force`, which replaces it.
#[track_caller]
fn asks_for_force(output: &Path, arguments: &[&str]) {
    fs::write(output, "mine").unwrap();
    let line = fail(arguments);
    let named =
        format!("cannot create {}: it exists already; give another name, or --force", output.display());
    assert!(line.starts_with(&named), "{line}");
    assert_eq!(fs::read(output).unwrap(), b"mine");
    succeed(arguments.iter().copied().chain(["--force"]));
    assert_ne!(fs::read(output).unwrap(), b"mine");
    fs::remove_file(output).unwrap();
}

#[test]
fn nothing_is_overwritten_unasked() {
    let bench = Bench::new();
    let (out, capture, model) = (bench.path("out.npy"), &*bench.capture, &*bench.model);
    let name = &*text(&out);
    asks_for_force(&out, &["features", capture, "-o", name, "--limit", "100"]);
    asks_for_force(&out, &["graph", "show", "--svg", name]);
    asks_for_force(&out, &["split", "kitsune-115", "--svg", name]);
    let profile =
        ["profile", "kitsune", capture, "--model", model, "--runs", "1", "--limit", "300", "-o", name];
    asks_for_force(&out, &profile);
    asks_for_force(&out, &["dataset", "generate", "--packets", "50", "-o", name]);
    let labels = ["dataset", "generate", "--packets", "50", "-o", "/dev/null", "--quiet", "--labels", name];
    asks_for_force(&out, &labels);
    let run = ["run", "kitsune", capture, "--model", model, "--limit", "300"];
    asks_for_force(&out, &[&run[..], &["--events", name]].concat());
    let training = training(capture, name);
    asks_for_force(&out, &training.iter().map(String::as_str).collect::<Vec<_>>());
    let calibrate = bench.calibrate(&["-o", name]);
    asks_for_force(&out, &calibrate.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn plans_and_costs_are_not_overwritten_unasked() {
    let bench = Bench::new();
    let (costs, out) = (bench.name("costs.toml"), bench.path("out"));
    let name = &*text(&out);
    succeed(["profile", "kitsune", &bench.capture, "--model", &bench.model, "--runs", "1", "-o", &costs]);
    asks_for_force(&out, &["plan", "--costs", &costs, "--cores", "4", "--svg", name]);
    asks_for_force(
        &out,
        &["run", "kitsune", &bench.capture, "--model", &bench.model, "--costs", &costs, "--costs-out", name],
    );
}

#[test]
fn a_composite_overwrites_none_of_its_three_files() {
    let bench = Bench::new();
    let (benign, attack) = (bench.name("benign.pcapng"), bench.name("attack.pcapng"));
    succeed(["dataset", "generate", "--packets", "200", "-o", &benign]);
    succeed(["dataset", "generate", "--packets", "50", "--seed", "2", "-o", &attack]);
    let (output, labels) = (bench.name("c.pcapng"), bench.name("c.csv"));
    let compose = ["dataset", "compose", &benign, "--attack", &attack, "-o", &output, "--labels", &labels];
    for name in ["c.pcapng", "c.csv", "c.pcapng.manifest.json"] {
        asks_for_force(&bench.path(name), &compose);
        for name in ["c.pcapng", "c.csv", "c.pcapng.manifest.json"] {
            let _ = fs::remove_file(bench.path(name));
        }
    }
}

#[test]
fn a_folder_of_results_is_not_written_into_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let name = text(&out);
    fs::write(out.join("mine"), "mine").unwrap();
    let base = ["experiment", "flood", "--packets", "100", "--out", &name];
    assert!(fail(base).starts_with(&format!("{name}: exists already; give another folder, or --force")));
    let growth = ["bench", "growth", "--max-streams", "100", "--rounds", "1", "--out", &name];
    assert!(fail(growth).contains("exists already; give another folder, or --force"));
    assert_eq!(contents(&out), [("mine".to_owned(), b"mine".to_vec())]);
}

#[test]
fn a_checkpoint_is_not_begun_anew_unasked() {
    let bench = Bench::new();
    let new = bench.name("new.onnx");
    let train = training(&bench.capture, &new);
    let portion = train.iter().map(String::as_str).chain(["--stop-after", "100"]);
    assert_eq!(legonf(portion).status.code(), Some(130));
    let before = fs::read(bench.path("new.onnx.checkpoint")).unwrap();
    let line = fail(&train);
    assert!(line.ends_with("go on with --resume, or begin anew with --force"), "{line}");
    assert_eq!(fs::read(bench.path("new.onnx.checkpoint")).unwrap(), before);
    succeed(train.iter().map(String::as_str).chain(["--resume"]));
    assert!(!bench.path("new.onnx.checkpoint").exists());
}

#[test]
fn a_link_stays_a_link() {
    let bench = Bench::new();
    let link = bench.path("link.onnx");
    symlink("kitsune-115.onnx", &link).unwrap();
    let before = fs::read(&bench.model).unwrap();
    let linked = Bench { model: text(&link), ..bench };
    succeed(linked.calibrate(&[]));
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("kitsune-115.onnx"));
    assert_ne!(fs::read(linked.path("kitsune-115.onnx")).unwrap(), before);
    let names: Vec<_> = contents(linked.folder.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["kitsune-115.onnx", "link.onnx"]);
}

#[test]
fn a_planted_link_leads_to_no_victim() {
    let bench = Bench::new();
    let (victim, planted) = (bench.path("victim"), bench.path("new.onnx.partial"));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &planted).unwrap();
    let train = training(&bench.capture, &bench.name("new.onnx"));
    let line = fail(&train);
    assert!(
        line.contains("new.onnx.partial is in the way: it is not a file of its own; remove it"),
        "{line}"
    );
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    fs::remove_file(&planted).unwrap();
    // What a run that was killed left is no obstacle.
    fs::write(&planted, "torn").unwrap();
    succeed(&train);
    assert!(!planted.exists());
}

/// The commands that wrote a regular file where a device or a pipe was.
fn writers(bench: &Bench, output: &str) -> Vec<Vec<String>> {
    let drawing = ["graph", "show", "--quiet", "--svg", output].map(str::to_owned).to_vec();
    let lattice = ["split", "kitsune-115", "--quiet", "--svg", output].map(str::to_owned).to_vec();
    vec![training(&bench.capture, output), bench.calibrate(&["-o", output]), drawing, lattice]
}

#[test]
fn a_device_is_written_to_and_stays() {
    let bench = Bench::new();
    let device = bench.path("device");
    // A second null device; whoever is not root cannot make one.
    let made = Command::new("mknod").arg(&device).args(["c", "1", "3"]).output().unwrap();
    if !made.status.success() {
        return eprintln!("skipped: {}", String::from_utf8_lossy(&made.stderr));
    }
    for arguments in writers(&bench, &text(&device)) {
        succeed(&arguments);
        assert!(fs::symlink_metadata(&device).unwrap().file_type().is_char_device(), "{arguments:?}");
        assert!(!bench.path("device.partial").exists());
    }
}

#[test]
fn a_pipe_gets_the_bytes_of_a_file() {
    let bench = Bench::new();
    let pipe = bench.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (through, beside) = (writers(&bench, &text(&pipe)), writers(&bench, &bench.name("file")));
    for (through, beside) in through.iter().zip(beside) {
        let reader = Command::new("cat").arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
        succeed(through);
        succeed(beside);
        let read = reader.wait_with_output().unwrap().stdout;
        assert!(read == fs::read(bench.path("file")).unwrap(), "{through:?}");
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        fs::remove_file(bench.path("file")).unwrap();
    }
}

#[test]
fn a_format_that_is_patched_at_its_end_is_refused_to_a_pipe_at_once() {
    let bench = Bench::new();
    let pipe = bench.path("pipe.npy");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let line = fail(["features", &bench.capture, "-o", &text(&pipe)]);
    assert!(line.contains("it must be a regular file; use .csv"), "{line}");
}

#[test]
fn a_name_of_standard_output_is_standard_output() {
    let bench = Bench::new();
    let file = bench.path("file");
    let drawn = succeed(["graph", "show", "--quiet", "--svg", "-"]);
    assert!(drawn.starts_with("<svg") && drawn.ends_with("</svg>\n"), "{drawn}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    let command = command.args(["graph", "show", "--quiet", "--svg", "/dev/stdout"]);
    assert!(command.stdout(fs::File::create(&file).unwrap()).status().unwrap().success());
    assert_eq!(fs::read_to_string(&file).unwrap(), drawn);
    let line = fail(["graph", "show", "--svg", "-"]);
    assert_eq!(line, "-: standard output is for what the command prints, too; give --quiet, or name a file");
}

/// What acts on a terminal, turns the direction of writing, or begins a line.
fn acts(text: &str) -> Option<char> {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t' || turns(*c))
}

#[track_caller]
fn is_harmless<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = legonf(arguments);
    let all = [output.stdout, output.stderr].concat();
    let all = String::from_utf8(all).unwrap();
    assert_eq!(acts(&all), None, "{all:?}");
    all
}

#[test]
fn what_a_model_names_does_not_act_on_a_terminal() {
    let model = text(fault("terminal_escape_model.onnx"));
    let shown = is_harmless(["model", "show", &model]);
    assert!(shown.contains("legonf \\u{1b}]0;pwned\\u{7}\\u{1b}[31mRED"), "{shown}");
    assert!(
        shown.contains("capture    \\u{1b}[31mevil\\r\\n\\u{1b}[A (1 packets"),
        "a name is in one line: {shown}"
    );
    for command in ["show", "verify", "explain"] {
        is_harmless(["model", command, &model]);
        is_harmless(["model", command, &model, "--json"]);
    }
    let json: serde_json::Value =
        serde_json::from_str(&succeed(["model", "show", &model, "--json"])).unwrap();
    assert!(json.to_string().contains("\\u001b[31mevil"), "JSON keeps the name");
}

/// A name that would clear a screen, close an element, begin a line and turn the direction of writing.
const NAME: &str = "a\u{1b}[2J<b>&\"'\u{9b}31m\u{202e}";

#[test]
fn what_other_files_name_does_not_act_on_a_terminal() {
    let bench = Bench::new();
    let capture = bench.path(&format!("{NAME}\nforged  line.pcap.gz"));
    fs::copy(&bench.capture, &capture).unwrap();
    let shown =
        is_harmless([OsStr::new("replay"), capture.as_os_str(), "--model".as_ref(), bench.model.as_ref()]);
    assert!(
        shown.contains("capture     a\\u{1b}[2J<b>&\"'\\u{9b}31m\\u{202e}\\nforged  line.pcap.gz\n"),
        "{shown}"
    );
    is_harmless([
        OsStr::new("replay"),
        capture.as_os_str(),
        "--model".as_ref(),
        bench.model.as_ref(),
        "--json".as_ref(),
    ]);
    is_harmless([
        OsStr::new("replay"),
        bench.path(NAME).as_os_str(),
        "--model".as_ref(),
        bench.model.as_ref(),
    ]);
    is_harmless(["replay", NAME, NAME]);
    let log = bench.path("events.json");
    let promise = serde_json::to_string(NAME).unwrap();
    let line = format!(
        "{{\"event\":\"violation\",\"at\":1.0,\"promise\":{promise},\"promised\":1.0,\"measured\":2.0}}\n"
    );
    fs::write(&log, line).unwrap();
    assert!(is_harmless(["events", &text(&log)]).contains("a\\u{1b}[2J"));
    is_harmless(["events", &text(&log), "--json"]);
}

/// Graphs and groups with such a name: what is shown of them is harmless, and their drawings are well-formed.
#[test]
fn what_graphs_and_groups_name_is_harmless_everywhere() {
    let bench = Bench::new();
    let quoted = toml::Value::from(NAME).to_string();
    let graph = succeed(["graph", "show", "--toml"]);
    let id = graph.lines().find(|line| line.starts_with("id = ")).expect("a brick").to_owned();
    let old = id.trim_start_matches("id = ");
    // An identifier is named in layouts, so it has no spaces and nothing that cannot be seen.
    fs::write(bench.path("odd.toml"), graph.replace(old, &quoted)).unwrap();
    assert!(is_harmless(["graph", "show", "--graph", &bench.name("odd.toml")]).contains("without spaces"));
    let odd = toml::Value::from("a<b>&\"'").to_string();
    let graph = graph.replace("name = \"kitsune\"", &format!("name = {quoted}")).replace(old, &odd);
    fs::write(bench.path("graph.toml"), &graph).unwrap();
    let (file, svg) = (bench.name("graph.toml"), bench.name("graph.svg"));
    is_harmless(["graph", "show", "--graph", &file, "--svg", &svg]);
    is_harmless(["graph", "show", "--graph", &file, "--json"]);
    let again = is_harmless(["graph", "show", "--graph", &file, "--toml"]);
    assert_eq!(again.parse::<toml::Table>().unwrap(), graph.parse::<toml::Table>().unwrap());
    well_formed(&bench.path("graph.svg"));
    let groups = format!("name = {quoted}\n[[group]]\nname = {quoted}\nfields = [\"SrcIP\"]\n");
    fs::write(bench.path("groups.toml"), groups).unwrap();
    is_harmless(["split", &bench.name("groups.toml"), "--svg", &bench.name("groups.svg")]);
    is_harmless(["split", &bench.name("groups.toml"), "--json"]);
    well_formed(&bench.path("groups.svg"));
}

#[track_caller]
fn well_formed(path: &Path) -> String {
    let document = fs::read_to_string(path).unwrap();
    assert_eq!(acts(&document), None);
    let parsed = roxmltree::Document::parse(&document).unwrap_or_else(|error| panic!("{error}: {document}"));
    assert_eq!(parsed.root_element().tag_name().name(), "svg");
    parsed.descendants().filter_map(|node| node.text()).collect()
}

#[test]
fn drawings_are_well_formed_whatever_a_file_is_called() {
    let bench = Bench::new();
    let names =
        [NAME.into(), "]]><!--&amp;.pcap".into(), OsString::from_vec(b"\xff\x00".map(|b| b | 1).to_vec())];
    for (number, name) in names.iter().enumerate() {
        let capture = bench.folder.path().join(name);
        fs::copy(&bench.capture, &capture).unwrap();
        let out = bench.path(&format!("out{number}"));
        let arguments = ["--quiet", "--model", &bench.model, "--out"].map(OsStr::new);
        let arguments =
            arguments.into_iter().chain([out.as_os_str(), OsStr::new("replay"), capture.as_os_str()]);
        let mut arguments: Vec<_> = arguments.collect();
        arguments.rotate_right(2);
        let output = legonf(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let words = well_formed(&out.join("scores.svg"));
        assert!(words.contains("anomaly score of every packet"), "{words}");
        serde_json::from_slice::<serde_json::Value>(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    }
}
