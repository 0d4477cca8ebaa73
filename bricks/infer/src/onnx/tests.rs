use super::*;
use crate::fixture::{batch, features};
use legonf_core::{Element, FlowRow, Rows};
use legonf_models::{Port, Signature};

fn port(name: &str, element: Element, shape: &[usize]) -> Port {
    Port { name: name.into(), element, shape: shape.to_vec() }
}

/// A network that scores rows of 12 features.
fn scoring() -> Signature {
    let inputs = vec![port("x", Element::F64, &[12])];
    Signature { inputs, outputs: vec![port("y", Element::F64, &[])], score: None }
}

/// Sums each row of the first input into the first output; forgets rows past `limit`; refuses empty batches.
struct Sum {
    signature: Signature,
    limit: usize,
}

impl Engine for Sum {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn run(&mut self, inputs: &[Box<dyn Storage>], outputs: &mut [Output]) -> Result<(), EngineError> {
        let (features, width) = (cells::<f64>(&*inputs[0]).unwrap(), inputs[0].cells());
        let scores = typed::<Vec<f64>>(&mut *outputs[0].column).unwrap();
        scores.clear();
        let rows = features.chunks_exact(width.max(1)).take(self.limit);
        scores.extend(rows.map(|row| row.iter().filter(|cell| !cell.is_nan()).sum::<f64>()));
        if features.is_empty() { Err(EngineError("no rows".into())) } else { Ok(()) }
    }

    fn warm(&mut self) -> Result<(), EngineError> {
        Err(EngineError("no memory".into()))
    }
}

fn sum(limit: usize) -> Onnx {
    Onnx::new(&OnnxConfig::default(), Box::new(Sum { signature: scoring(), limit })).unwrap()
}

fn scores(batch: &Batch, brick: &Onnx) -> Vec<f64> {
    cells(batch.column(brick.places[1])).unwrap().to_vec()
}

fn run(limit: usize, rows: usize) -> Result<Vec<f64>, BrickError> {
    let mut brick = sum(limit);
    let mut batch = batch(rows, &mut [&mut brick]);
    let given = brick.process(&mut batch);
    assert_eq!(batch.column(brick.places[0]).filled(), rows, "what is read stays in the batch");
    given.map(|()| scores(&batch, &brick))
}

#[test]
fn the_engine_scores_every_row() {
    let expected: Vec<f64> = features(5).iter().map(|row| row.iter().sum()).collect();
    assert_eq!(run(5, 5).unwrap(), expected);
}

#[test]
fn rows_without_a_number_have_no_score() {
    let mut brick = sum(3);
    let mut batch = batch(3, &mut [&mut brick]);
    let features = typed::<Rows>(batch.column_mut(brick.places[0])).unwrap();
    features.row_mut(1).fill(f64::NAN);
    features.row_mut(2)[0] = f64::NAN;
    brick.process(&mut batch).unwrap();
    let nan: Vec<_> = scores(&batch, &brick).iter().map(|score| score.is_nan()).collect();
    assert_eq!(nan, [false, true, false]);
}

#[test]
fn faults_of_the_engine_name_the_brick() {
    assert_eq!(run(5, 0).unwrap_err().to_string(), "onnx: no rows");
    assert_eq!(sum(1).warm().unwrap_err().to_string(), "onnx: no memory");
    assert_eq!(run(2, 5).unwrap_err().to_string(), "onnx: 2 rows of scores for 5 rows");
}

/// A network of two inputs and two outputs.
fn classifier() -> Signature {
    let inputs = vec![port("image", Element::U8, &[1, 28, 28]), port("x", Element::F32, &[12])];
    let outputs = vec![port("classes", Element::F32, &[10]), port("score", Element::F32, &[1])];
    Signature { inputs, outputs, score: None }
}

fn made(signature: Signature, config: &str) -> Result<Onnx, String> {
    let config = toml::from_str(config).unwrap();
    Onnx::new(&config, Box::new(Sum { signature, limit: 0 })).map_err(|error| error.to_string())
}

#[test]
fn columns_have_the_types_and_shapes_of_the_network() {
    let config = "[inputs]\nimage = \"images\"\nx = \"features\"\n[outputs]\nclasses = \"classes\"\nscore = \"novelty\"\n";
    let descriptor = made(classifier(), config).unwrap().descriptor();
    let column = |name: &'static str, element, shape: &'static [usize]| ColumnSpec {
        shape: legonf_core::Shape::Of(shape.into()),
        ..ColumnSpec::scalar(name, element)
    };
    assert_eq!(*descriptor.reads, [column("images", Element::U8, &[1, 28, 28]), FEATURES.of_width(12)]);
    let novelty = ColumnSpec::scalar("novelty", Element::F32);
    assert_eq!(*descriptor.writes, [column("classes", Element::F32, &[10]), novelty]);
    let some = config.replace("score = \"novelty\"\n", "");
    assert_eq!(made(classifier(), &some).unwrap().descriptor().writes.len(), 1);
    // Scores are doubles, whatever they are called and the network computes in.
    let mut single = classifier();
    single.score = Some(1);
    let descriptor = made(single, &format!("scores = \"second\"\n{some}")).unwrap().descriptor();
    let second = ColumnSpec::scalar("second", Element::F64);
    assert_eq!(*descriptor.writes, [second, column("classes", Element::F32, &[10])]);
}

#[test]
fn what_is_known_without_the_network_is_declared() {
    let config =
        toml::from_str("scores = \"second\"\n[inputs]\nx = \"images\"\n[outputs]\ny = \"new\"\n").unwrap();
    let known = [ColumnSpec::rows("images", Element::U8), ColumnSpec::scalar("second", Element::F64)];
    let declared = Onnx::declared(&config, &known);
    assert_eq!(*declared.reads, [known[0].clone()]);
    assert_eq!(*declared.writes, [ColumnSpec::rows("new", Element::F32), known[1].clone()]);
    assert_eq!(Onnx::declared(&OnnxConfig::default(), &[]), Onnx::DESCRIPTOR);
}

#[test]
fn what_does_not_fit_the_network_is_named() {
    let inputs = "[inputs]\nimage = \"images\"\nx = \"features\"\n";
    let error = |config: &str| made(classifier(), config).err().unwrap();
    for (config, words) in [
        ("".to_owned(), "the network has 2 inputs (image, x): [brick.config.inputs] names their columns"),
        (
            inputs.to_owned(),
            "the network has 2 outputs (classes, score): [brick.config.outputs] names their columns",
        ),
        ("[inputs]\nx = \"features\"\n".into(), "inputs: the network's input `image` has no column"),
        (format!("{inputs}y = \"z\"\n"), "inputs: the network has no \"y\" (there are: image, x)"),
        (
            format!("{inputs}[outputs]\nno = \"z\"\n"),
            "outputs: the network has no \"no\" (there are: classes, score)",
        ),
        (inputs.replace("images", "features"), "network's input `image` is of u8, which features are not"),
        (format!("{inputs}[outputs]\nscore = \"images\"\n"), "the column images is named twice"),
    ] {
        let found = error(&config);
        assert!(found.contains(words), "{config}: {found}");
    }
    let mut one = scoring();
    one.outputs[0].shape = vec![3];
    assert!(made(one, "").err().unwrap().contains("is f64[3], not a score: name its column"));
}

#[test]
fn a_network_may_run_on_flows() {
    let config =
        toml::from_str("table = \"flows\"\nscores = \"flow_scores\"\n[inputs]\nx = \"images\"\n").unwrap();
    let engine = Box::new(Sum { signature: scoring(), limit: 9 });
    let mut brick = Onnx::new(&config, engine).unwrap();
    let columns = [&brick.reads[0], &brick.writes[0]].map(ColumnSpec::kind);
    assert_eq!(columns, ["f64[12] of flows", "f64 of flows"]);
    let mut batch = Batch::new(&Layout::binding(&mut [&mut brick]).unwrap());
    batch.headers.resize(5, legonf_core::Headers::default());
    // Packets 1 and 4 complete a flow each.
    batch.flows.extend([1, 4].map(|origin| FlowRow { origin, first: 0 }));
    *typed::<Rows>(batch.column_mut(brick.places[0])).unwrap() = features(2);
    brick.process(&mut batch).unwrap();
    let expected: Vec<f64> = features(2).iter().map(|row| row.iter().sum()).collect();
    assert_eq!(scores(&batch, &brick), expected);
}
