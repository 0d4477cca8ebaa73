use super::*;
use crate::assembly::{AS_MADE, assemble};
use crate::input;
use crate::measure::alone;
use crate::supply::Maker;
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Handle, Layout, Sink, Verdict};
use legonf_decide::VERDICTS;
use legonf_infer::SCORES;
use legonf_io::Content;
use legonf_models::kitnet::KitNet;
use legonf_models::{Bundle, Calibration, Model, Provenance};

/// Two networks behind one extractor, of models `a` and `b`.
const GRAPH: &str = r#"
name = "two"
[models]
a = "a.onnx"
b = "sub/../a.onnx"
[[brick]]
id = "batching"
kind = "packet-batching"
next = "extractor"
[[brick]]
id = "extractor"
kind = "feature-quantization"
next = "one"
[brick.config]
schema = "kitsune-py-100"
[[brick]]
id = "one"
kind = "onnx"
model = "a"
next = "two"
[[brick]]
id = "two"
kind = "onnx"
model = "b"
"#;

fn graph() -> GraphSpec {
    GraphSpec::from_toml(GRAPH).unwrap()
}

/// A KitNET for `kitsune-py-100`.
fn bundle() -> Bundle {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/synth-mini/kitsune-py-100.model.json");
    let (network, training) =
        KitNet::from_reference_json(&std::fs::read_to_string(example).unwrap()).unwrap();
    let model = Model::KitNet { network: network.into(), training };
    let schema = legonf_extract::schema_by_name("kitsune-py-100").unwrap();
    Bundle { model, schema, calibration: None, provenance: Provenance::default() }
}

/// [`bundle`] in a file of a folder.
fn model(folder: &Path) -> PathBuf {
    let file = folder.join("a.onnx");
    bundle().save(&file).unwrap();
    file
}

#[test]
fn a_file_is_read_once_and_its_weights_are_shared_by_all_replicas() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path());
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let (spec, file) = (graph(), folder.path().join("graph.toml"));
    let models = Models::load(&Session::default(), &spec, Some(&file), &[]).unwrap();
    let [a, b] = ["one", "two"].map(|id| {
        let brick = spec.bricks.iter().find(|brick| brick.id == id).unwrap();
        models.of(brick).unwrap().network.clone()
    });
    assert!(a.is(&b));
    let maker = Maker { spec: &spec, models: &models, threshold: None, swaps: None };
    let replicas: Vec<_> = (0..4).flat_map(|_| ["one", "two"]).map(|id| maker.make(id).unwrap()).collect();
    assert_eq!((replicas.len(), a.engines()), (8, 9));
    drop(replicas);
    assert_eq!(a.engines(), 1);
}

#[test]
fn what_is_given_comes_in_place_of_what_the_graph_says() {
    let given = |text: &str| ModelFile::from(OsString::from(text));
    let found = |spec: &GraphSpec, texts: &[&str]| {
        let all: Vec<_> = texts.iter().map(|text| given(text)).collect();
        files(spec, Some(Path::new("folder/graph.toml")), &all).map_err(|error| error.to_string())
    };
    let file = |name: &str, file: &str| (Some(name.to_owned()), PathBuf::from(file));
    let expected = vec![file("a", "folder/a.onnx"), file("b", "other.onnx")];
    assert_eq!(found(&graph(), &["b=other.onnx"]).unwrap(), expected);
    let mut one = graph();
    one.models.remove("b");
    assert_eq!(found(&one, &["./x=y.onnx"]).unwrap(), [file("a", "./x=y.onnx")]);
    one.models.insert("a".into(), String::new());
    let error = "folder/graph.toml: model `a` has no file in [models]: give it as --model a=FILE";
    assert_eq!(found(&one, &[]).unwrap_err(), error);
    for (texts, words) in [
        (&["c=x"][..], "--model c=x: none of [models] (there are: a, b): give it as --model NAME=FILE"),
        (&["x"], "--model x: none of [models] (there are: a, b)"),
        (&["a=x", "a=y"], "--model a=y: a model is given twice"),
    ] {
        assert!(found(&graph(), texts).unwrap_err().contains(words), "{texts:?}");
    }
    let mut none = graph();
    none.models.clear();
    assert!(found(&none, &["a=x"]).unwrap_err().contains("--model a=x: the graph has no [models]"));
    assert!(found(&none, &[]).unwrap_err().contains("brick `one` (onnx) needs a model: give it as --model"));
    none.bricks.truncate(2);
    assert!(found(&none, &["x"]).unwrap_err().contains("--model x: no brick of the graph takes a model"));
    assert_eq!(found(&none, &[]).unwrap(), []);
}

#[test]
fn bricks_and_models_name_each_other() {
    let error = |change: &dyn Fn(&mut GraphSpec)| {
        let mut spec = graph();
        change(&mut spec);
        check(&spec).unwrap_err().to_string()
    };
    assert!(check(&graph()).is_ok());
    let nameless = GraphSpec::from_toml(&GRAPH.replace("\na = ", "\n\"\" = ")).unwrap();
    assert!(check(&nameless).unwrap_err().to_string().contains("[models]: a model has an empty name"));
    let named = |model: &str| Some(model.to_owned());
    assert_eq!(
        error(&|spec| spec.bricks[3].model = named("c")),
        "brick `two`: model = \"c\" is not in [models] (there are: a, b)"
    );
    assert_eq!(
        error(&|spec| spec.bricks[3].model = None),
        "brick `two` (onnx): model names none of the models of [models] (there are: a, b)"
    );
    assert_eq!(
        error(&|spec| spec.bricks[3].model = named("a")),
        "[models]: no brick names the model `b`; give the brick that takes it model = \"b\""
    );
    assert_eq!(
        error(&|spec| spec.bricks[0].model = named("a")),
        "brick `batching`: model = \"a\", but a brick of kind packet-batching takes no model"
    );
    assert!(error(&|spec| spec.models.clear()).contains("is not in [models] (there are: none)"));
    let without_networks = |spec: &mut GraphSpec| {
        spec.bricks.truncate(2);
        spec.bricks[1].next.clear();
    };
    assert!(error(&without_networks).contains("no brick names the model `a`"));
    assert!(error(&|spec| spec.bricks.truncate(2)).contains("\"one\" names no brick of this graph"));
}

#[test]
fn an_extractor_has_the_schema_of_each_model_that_reads_its_features() {
    let folder = tempfile::tempdir().unwrap();
    let file = model(folder.path());
    let mut spec = graph();
    spec.bricks[1].config.insert("schema".into(), "kitsune-115".into());
    let given = ["a", "b"].map(|name| ModelFile { name: Some(name.into()), file: file.clone() });
    let models = Models::load(&Session::default(), &spec, None, &given).unwrap();
    let error = models.build(&spec, &spec.bricks[1], None).err().unwrap().to_string();
    assert!(
        error.contains("schema = \"kitsune-115 (") && error.contains("the model `a` was trained on"),
        "{error}"
    );
    // A network that reads other columns has no say in it.
    let inputs: toml::Table = "[inputs]\nx = \"images\"\n".parse().unwrap();
    spec.bricks[2].config = inputs.clone();
    spec.bricks[3].config = inputs;
    assert!(models.build(&spec, &spec.bricks[1], None).is_ok());
}

/// What two networks and the decisions behind them say of each packet.
#[derive(Default)]
struct Both {
    scores: [Handle<Vec<f64>>; 2],
    verdicts: [Handle<Vec<Verdict>>; 2],
    seen: Vec<([f64; 2], [Verdict; 2])>,
}

/// A column, and that of the second network.
fn pair(column: &ColumnSpec) -> [ColumnSpec; 2] {
    [column.clone(), ColumnSpec { name: format!("second_{}", column.name).into(), ..column.clone() }]
}

impl Sink for Both {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let scores = self.scores.map(|column| batch.columns.get(column));
        let verdicts = self.verdicts.map(|column| batch.columns.get(column));
        let of = |packet: usize| (scores.map(|scores| scores[packet]), verdicts.map(|all| all[packet]));
        self.seen.extend((0..batch.headers.len()).map(of));
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(pair(&SCORES).into_iter().chain(pair(&VERDICTS)).collect())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        for (place, column) in pair(&SCORES).iter().enumerate() {
            self.scores[place] = layout.handle(column)?;
        }
        for (place, column) in pair(&VERDICTS).iter().enumerate() {
            self.verdicts[place] = layout.handle(column)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// [`bundle`] with a threshold, as a model of this name.
fn calibrated(name: &str, threshold: f64) -> Loaded {
    let calibration = Calibration {
        method: "manual".into(),
        threshold,
        false_positive_bound: 1.0,
        samples: 1,
        log_mean: None,
        log_sd: None,
        alarms_per_day: None,
        confidence: None,
        source: String::new(),
        held_out: None,
        seen: false,
        minutes: None,
        holds_for: None,
        packets: None,
    };
    let network = Network::of(Bundle { calibration: Some(calibration), ..bundle() });
    Loaded { name: Some(name.into()), file: name.into(), network }
}

/// The example graph: one model by the kernel, and again by the generic engine, each with the threshold of its own.
#[test]
#[cfg(feature = "tract")]
fn two_networks_run_side_by_side_and_each_decision_has_the_threshold_of_its_model() {
    let text = include_str!("../../../examples/graphs/two-models.toml");
    let spec = GraphSpec::from_toml(&text.replace("kitsune-115-clean", "kitsune-py-100")).unwrap();
    let models = Models(vec![calibrated("kitnet", 0.0), calibrated("other", f64::MAX)]);
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/synth-mini/synth-mini.pcap.gz");
    let session = Session::default();
    let mut source = input::open(&session, Path::new(capture), Some(1000)).unwrap();
    let mut graph = assemble(&spec, Content::Packets, (&models, None), None, AS_MADE).unwrap();
    let mut both = Both::default();
    alone(&session, &mut graph, &mut *source, &mut both, &mut |_, _| {}).unwrap();
    assert_eq!(both.seen.len(), 1000);
    let first = both.seen[0].1;
    for ([own, generic], verdicts) in both.seen {
        assert!((own - generic).abs() <= 1e-9 * own.abs().max(1e-6), "{own} {generic}");
        assert!(verdicts == first && verdicts[0] != verdicts[1]);
    }
}

#[test]
fn an_autoencoder_takes_the_model_whose_features_are_mapped() {
    let text = include_str!("../../../examples/graphs/two-models.toml");
    let graph = |text: &str| check(&GraphSpec::from_toml(text).unwrap()).map_err(|error| error.to_string());
    assert_eq!(graph(text), Ok(()));
    let other = "kind = \"autoencoder\"\nmodel = ";
    let error =
        graph(&text.replace(&format!("{other}\"kitnet\""), &format!("{other}\"other\""))).unwrap_err();
    let expected = "brick `autoencoder`: model = \"other\", but what it reads brick `mapping` makes for model = \"kitnet\"; \
                    both must name the same";
    assert_eq!(error, expected);
}

#[test]
fn the_models_of_an_order_come_with_it_and_no_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (file, mut spec) = (model(folder.path()), graph());
    let bytes = std::fs::read(&file).unwrap();
    let ordered = |spec: &GraphSpec, names: &[&str]| {
        let given = names.iter().map(|&name| (Some(name.to_owned()), bytes.clone())).collect();
        Models::ordered(&Session::default(), spec, given)
    };
    let error = |made: Result<Models, Error>| made.err().unwrap().to_string();
    let models = ordered(&spec, &["a", "b"]).unwrap();
    let names: Vec<_> = models.named().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(models.build(&spec, &spec.bricks[2], None).is_ok());
    // One of a graph that says where this host would find it.
    spec.models.insert("b".into(), text(&file));
    let missing = error(ordered(&spec, &["a"]));
    assert!(missing.ends_with("this model did not come with the order"), "{missing}");
    assert!(error(ordered(&spec, &["a", "a"])).contains("given twice"));
    let damaged = vec![(Some("a".to_owned()), vec![1, 2, 3]), (Some("b".to_owned()), bytes.clone())];
    let damaged = error(Models::ordered(&Session::default(), &spec, damaged));
    assert!(damaged.starts_with("model `a`: model 0 of the order: "), "{damaged}");
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
