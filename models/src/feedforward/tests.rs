use super::linear::{Geometry, Linear};
use super::*;
use crate::onnx::{Network as Made, Value as Attr};
use legonf_core::Rows;
use proptest::prelude::*;

mod choices;
mod quicker;

/// Small numbers that differ.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A column of rows of single precision.
fn column(width: usize, values: &[f32]) -> Box<dyn Storage> {
    Box::new(Rows::<f32>::of(values.chunks_exact(width)))
}

fn bytes(width: usize, values: &[u8]) -> Box<dyn Storage> {
    Box::new(Rows::<u8>::of(values.chunks_exact(width)))
}

/// What the first output of a network holds.
fn run(engine: &mut FeedForward, inputs: &[Box<dyn Storage>]) -> Vec<f32> {
    let mut outputs = engine.signature().wanted();
    engine.run(inputs, &mut outputs).unwrap();
    cells::<f32>(&*outputs[0].column).unwrap().to_vec()
}

fn refusal(network: &Made) -> String {
    FeedForward::open(&network.to_bytes()).unwrap_err().to_string()
}

/// A network from an input of this shape to an output `y`.
fn network(row: &[usize]) -> Made {
    let mut network = Made::new("test");
    network.input("x", Element::F32, row);
    network.output("y", Element::F32, None);
    network
}

/// A convolution of a value of `[channels, lines, places]` in plain loops, in the order of the engine's sums.
struct Plain {
    input: [usize; 3],
    channels: usize,
    kernel: [usize; 2],
    step: usize,
    pad: usize,
}

impl Plain {
    fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.input[axis + 1] + 2 * self.pad - self.kernel[axis]) / self.step + 1)
    }

    fn at(&self, x: &[f32], channel: usize, y: usize, column: usize) -> f32 {
        let [_, lines, places] = self.input;
        let inside = |at: usize, length: usize| at.checked_sub(self.pad).filter(|at| *at < length);
        match (inside(y, lines), inside(column, places)) {
            (Some(y), Some(column)) => x[(channel * lines + y) * places + column],
            _ => 0.0,
        }
    }

    fn run(&self, x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
        let ([high, wide], depth, [lines, places]) = (self.kernel, self.input[0], self.output());
        let mut all = Vec::new();
        for c in 0..self.channels {
            for y in 0..lines {
                for p in 0..places {
                    let mut sum = bias[c];
                    for (ky, kx) in (0..high).flat_map(|ky| (0..wide).map(move |kx| (ky, kx))) {
                        for d in 0..depth {
                            let value = self.at(x, d, y * self.step + ky, p * self.step + kx);
                            sum = value.mul_add(weights[((c * depth + d) * high + ky) * wide + kx], sum);
                        }
                    }
                    all.push(sum);
                }
            }
        }
        all
    }

    fn network(&self, weights: &[f32], bias: &[f32]) -> Made {
        let mut network = network(&self.input);
        network.reals("w", &[self.channels, self.input[0], self.kernel[0], self.kernel[1]], weights);
        network.reals("b", &[self.channels], bias);
        let (step, pad) = (vec![self.step as i64; 2], vec![self.pad as i64; 4]);
        network.node(
            "Conv",
            &["x", "w", "b"],
            &["y"],
            &[("strides", Attr::Ints(step)), ("pads", Attr::Ints(pad))],
        );
        network
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_convolution_has_the_bits_of_plain_loops(
        depth in 1_usize..5, lines in 3_usize..9, places in 3_usize..9, channels in 1_usize..40,
        high in 1_usize..4, wide in 1_usize..4, step in 1_usize..3, pad in 0_usize..2, seed: u64,
    ) {
        let plain = Plain { input: [depth, lines, places], channels, kernel: [high, wide], step, pad };
        let weights = numbers(seed, channels * depth * high * wide);
        let bias = numbers(seed ^ 1, channels);
        let mut engine = FeedForward::open(&plain.network(&weights, &bias).to_bytes()).unwrap();
        let width = depth * lines * places;
        let x = numbers(seed ^ 2, 3 * width);
        let expected: Vec<f32> = x.chunks_exact(width).flat_map(|x| plain.run(x, &weights, &bias)).collect();
        prop_assert_eq!(run(&mut engine, &[column(width, &x)]), expected);
    }

    #[test]
    fn a_product_has_the_same_bits_for_any_number_of_rows(
        inner in 1_usize..70, outer in 1_usize..150, rows in 1_usize..140, seed: u64,
    ) {
        let mut network = network(&[inner]);
        let (weights, bias) = (numbers(seed, inner * outer), numbers(seed ^ 1, outer));
        network.reals("w", &[outer, inner], &weights);
        network.reals("b", &[outer], &bias);
        network.node("Gemm", &["x", "w", "b"], &["h"], &[("transB", Attr::Int(1))]);
        network.node("Relu", &["h"], &["y"], &[]);
        let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
        let x = numbers(seed ^ 2, rows * inner);
        let sum = |x: &[f32], c: usize| {
            x.iter().zip(&weights[c * inner..]).fold(bias[c], |sum, (x, w)| x.mul_add(*w, sum)).max(0.0)
        };
        let expected: Vec<f32> =
            x.chunks_exact(inner).flat_map(|x| (0..outer).map(move |c| sum(x, c))).collect();
        prop_assert_eq!(run(&mut engine, &[column(inner, &x)]), expected);
    }

    #[test]
    fn arbitrary_bytes_are_refused(data: Vec<u8>) {
        prop_assert!(FeedForward::open(&data).is_err());
    }
}

/// Convolutions with pooling, a normalisation and two layers behind them.
fn images() -> Made {
    let mut network = network(&[1, 12, 10]);
    let pads = |pad| ("pads", Attr::Ints(vec![pad; 4]));
    network.reals("w1", &[8, 1, 3, 3], &numbers(1, 72));
    network.reals("w2", &[20, 8, 3, 3], &numbers(2, 1440));
    network.reals("scale", &[20], &[1.5; 20]);
    network.reals("shift", &[20], &numbers(3, 20));
    network.reals("variance", &[20], &[0.5; 20]);
    network.reals("w3", &[20 * 6 * 5, 33], &numbers(4, 20 * 6 * 5 * 33));
    network.reals("b3", &[33], &numbers(5, 33));
    network.reals("w4", &[33, 5], &numbers(6, 165));
    network.node("Conv", &["x", "w1"], &["c1"], &[pads(1)]);
    network.node("Relu", &["c1"], &["r1"], &[]);
    let pool = [("kernel_shape", Attr::Ints(vec![2, 2])), ("strides", Attr::Ints(vec![2, 2]))];
    network.node("MaxPool", &["r1"], &["p1"], &pool);
    network.node("Conv", &["p1", "w2"], &["c2"], &[pads(1)]);
    network.node("BatchNormalization", &["c2", "scale", "shift", "shift", "variance"], &["n2"], &[]);
    network.node("LeakyRelu", &["n2"], &["r2"], &[("alpha", Attr::Float(0.1))]);
    network.node("Flatten", &["r2"], &["flat"], &[]);
    network.node("Gemm", &["flat", "w3", "b3"], &["g3"], &[]);
    network.node("Tanh", &["g3"], &["t3"], &[]);
    network.node("MatMul", &["t3", "w4"], &["g4"], &[]);
    network.node("Softmax", &["g4"], &["y"], &[("axis", Attr::Int(1))]);
    network
}

#[test]
fn rows_get_the_same_bits_in_batches_of_any_size() {
    let mut engine = FeedForward::open(&images().to_bytes()).unwrap();
    let x = numbers(9, 256 * 120);
    let all = run(&mut engine, &[column(120, &x)]);
    assert_eq!(all.len(), 256 * 5);
    assert!(all.chunks_exact(5).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
    let mut other = engine.clone();
    for size in [1, 7, 32, 100] {
        let parts = x.chunks(size * 120).flat_map(|part| run(&mut other, &[column(120, part)]));
        assert_eq!(parts.collect::<Vec<_>>(), all, "{size}");
    }
    assert_eq!(engine.sharers(), 2);
}

/// Embedded bytes with numbers beside them, averaged with an ensemble of trees over these.
fn sequence() -> Made {
    sequence_as("y")
}

/// The same with another name for the average.
fn sequence_as(average: &str) -> Made {
    let mut network = Made::new("sequence");
    network.input("bytes", Element::U8, &[20]);
    network.input("statistics", Element::F32, &[3]);
    network.output("y", Element::F32, Some(&[2]));
    network.reals("table", &[256, 4], &numbers(1, 1024));
    network.reals("w", &[6, 4, 5], &numbers(2, 120));
    network.reals("dense", &[9, 2], &numbers(3, 18));
    network.reals("half", &[], &[0.5]);
    network.node("Cast", &["bytes"], &["ids"], &[("to", Attr::Int(7))]);
    network.node("Gather", &["table", "ids"], &["embedded"], &[]);
    network.node("Transpose", &["embedded"], &["turned"], &[("perm", Attr::Ints(vec![0, 2, 1]))]);
    network.node("Conv", &["turned", "w"], &["c"], &[("strides", Attr::Ints(vec![2]))]);
    network.node("Relu", &["c"], &["r"], &[]);
    network.integers("axis", &[2]);
    network.node("ReduceMax", &["r", "axis"], &["most"], &[("keepdims", Attr::Int(0))]);
    network.node("Concat", &["most", "statistics"], &["both"], &[("axis", Attr::Int(1))]);
    network.node("MatMul", &["both", "dense"], &["logits"], &[]);
    network.node("Softmax", &["logits"], &["p"], &[]);
    stump(&mut network);
    network.node("Add", &["p", "q"], &["sum"], &[]);
    network.node("Mul", &["sum", "half"], &[average], &[]);
    network
}

/// Two trees over `statistics` as `q`.
fn stump(network: &mut Made) {
    let ints = |values: &[i64]| Attr::Ints(values.to_vec());
    let texts = |values: &[&'static str]| Attr::Texts(values.to_vec());
    network.node(
        "ai.onnx.ml/TreeEnsembleClassifier",
        &["statistics"],
        &["label", "q"],
        &[
            ("nodes_treeids", ints(&[0, 0, 0, 1, 1, 1])),
            ("nodes_nodeids", ints(&[0, 1, 2, 0, 1, 2])),
            ("nodes_featureids", ints(&[1, 0, 0, 2, 0, 0])),
            ("nodes_modes", texts(&["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "LEAF"])),
            ("nodes_values", Attr::Floats(vec![0.25, 0.0, 0.0, 0.5, 0.0, 0.0])),
            ("nodes_truenodeids", ints(&[1, 0, 0, 1, 0, 0])),
            ("nodes_falsenodeids", ints(&[2, 0, 0, 2, 0, 0])),
            ("class_treeids", ints(&[0, 0, 0, 0, 1, 1])),
            ("class_nodeids", ints(&[1, 1, 2, 2, 1, 2])),
            ("class_ids", ints(&[0, 1, 0, 1, 0, 1])),
            ("class_weights", Attr::Floats(vec![0.4, 0.1, 0.2, 0.3, 0.5, 0.5])),
            ("classlabels_int64s", ints(&[3, 8])),
            ("post_transform", Attr::Text("NONE")),
        ],
    );
}

#[test]
fn bytes_numbers_and_trees_are_one_network() {
    let mut engine = FeedForward::open(&sequence().to_bytes()).unwrap();
    let raw: Vec<u8> = (0..60 * 20).map(|i: usize| (i * 31 % 251) as u8).collect();
    let statistics = numbers(7, 60 * 3);
    let all = run(&mut engine, &[bytes(20, &raw), column(3, &statistics)]);
    assert!(all.chunks_exact(2).all(|row| (row[0] + row[1] - 1.0).abs() < 1e-6), "{all:?}");
    for row in 0..60 {
        let one =
            run(&mut engine, &[bytes(20, &raw[row * 20..][..20]), column(3, &statistics[row * 3..][..3])]);
        assert_eq!(one, all[row * 2..][..2], "{row}");
    }
}

#[test]
fn trees_give_the_label_and_the_weights_of_their_leaves() {
    let mut network = Made::new("trees");
    network.input("statistics", Element::F32, &[3]);
    stump(&mut network);
    network.output("label", Element::I64, None);
    network.output("q", Element::F32, None);
    let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
    let inputs = [column(3, &[0.0, 0.25, 0.6, 0.0, 0.3, 0.5])];
    let mut outputs = engine.signature().wanted();
    engine.run(&inputs, &mut outputs).unwrap();
    assert_eq!(cells::<i64>(&*outputs[0].column).unwrap(), [3, 8]);
    assert_eq!(cells::<f32>(&*outputs[1].column).unwrap(), [0.4 + 0.5, 0.1, 0.2, 0.3 + 0.5]);
}

#[test]
fn what_does_not_depend_on_rows_is_computed_once() {
    let mut network = network(&[2]);
    network.reals("max", &[2], &[5.0, 9.0]);
    network.reals("min", &[2], &[1.0, 1.0]);
    network.node("Sub", &["max", "min"], &["extent"], &[]);
    network.node("Sqrt", &["extent"], &["root"], &[]);
    network.node("Div", &["x", "root"], &["y"], &[]);
    let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
    assert_eq!(run(&mut engine, &[column(2, &[4.0, 8.0, 2.0, 0.0])]), [2.0, 8.0 / 8.0_f32.sqrt(), 1.0, 0.0]);
}

#[test]
fn windows_count_what_is_inside() {
    let mut network = network(&[1, 3, 3]);
    let window = |include| {
        [
            ("kernel_shape", Attr::Ints(vec![2, 2])),
            ("pads", Attr::Ints(vec![1, 1, 0, 0])),
            ("count_include_pad", Attr::Int(include)),
        ]
    };
    network.node("AveragePool", &["x"], &["inside"], &window(0));
    network.node("AveragePool", &["x"], &["all"], &window(1));
    network.node("Sub", &["inside", "all"], &["y"], &[]);
    let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
    let given = run(&mut engine, &[column(9, &[4.0, 8.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0])]);
    assert_eq!(given, [3.0, 3.0, 2.0, 1.5, 0.0, 0.0, 0.5, 0.0, 0.0]);
}

#[test]
fn functions_are_those_of_the_library_to_the_last_place() {
    let mut network = network(&[1]);
    network.output("s", Element::F32, None);
    network.node("Tanh", &["x"], &["y"], &[]);
    network.node("Sigmoid", &["x"], &["s"], &[]);
    let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
    let x: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.01).chain([1e-20, 1e-5, -1e-4, 0.0009]).collect();
    let inputs = [column(1, &x)];
    let mut outputs = engine.signature().wanted();
    engine.run(&inputs, &mut outputs).unwrap();
    let [tanh, sigmoid] = [0, 1].map(|number| cells::<f32>(&*outputs[number].column).unwrap().to_vec());
    for ((x, tanh), sigmoid) in x.iter().zip(tanh).zip(sigmoid) {
        let x = f64::from(*x);
        let near = |value: f32, exact: f64| (f64::from(value) - exact).abs() <= 1.2e-7 * exact.abs();
        assert!(near(tanh, x.tanh()) && near(sigmoid, 1.0 / (1.0 + (-x).exp())), "{x}: {tanh} {sigmoid}");
    }
}

#[test]
fn what_is_not_known_or_mixes_rows_is_refused_by_name() {
    let mut other = network(&[4]);
    other.node("NoSuchOperator", &["x"], &["y"], &[]);
    assert_eq!(refusal(&other), "operator y (NoSuchOperator): is not known to legonf's own engine");
    let rows = |operator: &str, attributes: &[(&str, Attr<'_>)]| {
        let mut network = network(&[4]);
        network.integers("shape", &[2, 2]);
        network.node(operator, &["x", "shape"][..1 + usize::from(operator == "Reshape")], &["y"], attributes);
        refusal(&network)
    };
    assert!(rows("Softmax", &[("axis", Attr::Int(0))]).contains("(Softmax): works across rows"));
    assert!(rows("Transpose", &[]).contains("works across rows"));
    assert!(rows("ReduceMax", &[]).contains("works across rows"));
    assert!(rows("Reshape", &[]).contains("works across rows"));
    assert!(rows("Conv", &[]).contains("has no input 1"));
}

#[test]
fn malformed_graphs_are_refused() {
    let mut circle = network(&[4]);
    circle.node("Add", &["x", "b"], &["a"], &[]);
    circle.node("Add", &["x", "a"], &["b"], &[]);
    circle.node("Relu", &["b"], &["y"], &[]);
    assert!(refusal(&circle).contains("reads \"b\", which nothing before it gives"));

    let mut missing = network(&[4]);
    missing.node("MatMul", &["x", "w"], &["y"], &[]);
    assert!(refusal(&missing).contains("reads \"w\""));

    let mut huge = network(&[1, 1 << 40, 1 << 40]);
    huge.node("Relu", &["x"], &["y"], &[]);
    assert!(refusal(&huge).contains("is empty or has more than"));

    let mut padded = network(&[1, 4, 4]);
    padded.reals("w", &[1, 1, 1, 1], &[1.0]);
    padded.node("Conv", &["x", "w"], &["y"], &[("pads", Attr::Ints(vec![1 << 23; 4]))]);
    assert!(refusal(&padded).contains("numbers with its pads"));

    let mut short = network(&[4]);
    short.reals("w", &[4, 1 << 30], &[1.0]);
    short.node("MatMul", &["x", "w"], &["y"], &[]);
    assert!(refusal(&short).contains("tensor w: has too many numbers"));

    let mut constant = network(&[4]);
    constant.reals("w", &[1], &[1.0]);
    constant.node("Relu", &["w"], &["y"], &[]);
    assert!(refusal(&constant).contains("does not depend on the rows"));

    let mut double = Made::new("double");
    double.input("x", Element::F64, &[4]);
    double.output("y", Element::F64, None);
    assert!(refusal(&double).contains("computes in f32"));
}

#[test]
fn trees_with_circles_are_refused() {
    let mut network = Made::new("trees");
    network.input("x", Element::F32, &[1]);
    network.output("y", Element::F32, None);
    let ints = |values: &[i64]| Attr::Ints(values.to_vec());
    network.node(
        "ai.onnx.ml/TreeEnsembleRegressor",
        &["x"],
        &["y"],
        &[
            ("nodes_treeids", ints(&[0, 0])),
            ("nodes_nodeids", ints(&[0, 1])),
            ("nodes_featureids", ints(&[0, 0])),
            ("nodes_modes", Attr::Texts(vec!["BRANCH_LEQ", "BRANCH_LEQ"])),
            ("nodes_values", Attr::Floats(vec![0.0, 0.0])),
            ("nodes_truenodeids", ints(&[1, 0])),
            ("nodes_falsenodeids", ints(&[1, 0])),
            ("n_targets", Attr::Int(1)),
        ],
    );
    assert!(refusal(&network).contains("two ways or a circle"), "{}", refusal(&network));
}

#[test]
fn numbers_outside_of_a_table_are_none() {
    let mut network = Made::new("table");
    network.input("x", Element::I64, &[3]);
    network.output("y", Element::F32, None);
    network.reals("table", &[2, 1], &[1.0, 2.0]);
    network.node("Gather", &["table", "x"], &["y"], &[]);
    let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
    let inputs: [Box<dyn Storage>; 1] = [Box::new(Rows::<i64>::of([[1, -1, 2].as_slice()]))];
    let given = run(&mut engine, &inputs);
    assert_eq!(given[..2], [2.0, 2.0]);
    assert!(given[2].is_nan());
}

#[test]
fn few_places_and_many_have_the_same_sums() {
    let weights = numbers(1, 7 * 40);
    let linear = |count| Linear::new(Geometry::vectors(count, 7), 40, |_| 0.5, |k, c| weights[k * 40 + c]);
    let x = numbers(2, 7 * 9);
    let (mut many, mut few) = (vec![0.0; 9 * 40], vec![0.0; 9 * 40]);
    linear(9).run(&x, &mut many, &mut []);
    linear(3).run(&x, &mut few, &mut []);
    assert_eq!(many, few);
}
