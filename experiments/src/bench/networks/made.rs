//! The networks that are measured, with weights from a seed.

use legonf_core::Element;
use legonf_models::onnx::{Network, Value};

/// Classes that they tell apart.
const CLASSES: usize = 20;
/// Bytes of a flow or packet, and lines and places of its image.
const BYTES: usize = 784;
const SIDE: usize = 28;

/// A network as an ONNX file.
pub struct Made {
    /// Its name, and that of its file.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Weights that were learnt, of another network of its form.
    pub parameters: usize,
    pub onnx: Vec<u8>,
}

/// All networks.
pub fn all(seed: u64) -> [Made; 3] {
    let image = |name, title, widths, hidden| Weights::new(seed, name).images(title, widths, hidden);
    [
        image("deepnfv", "DeepNFV's CNN, 28 x 28", [32, 64], 265),
        image("deepnfv-small", "a smaller one of its form", [16, 32], 132),
        Weights::new(seed, "bytes").bytes("convolutions over embedded bytes"),
    ]
}

/// A network that is given weights.
struct Weights {
    name: &'static str,
    network: Network,
    state: u64,
    parameters: usize,
}

impl Weights {
    fn new(seed: u64, name: &'static str) -> Self {
        let network = Network::new(name);
        Self { name, network, state: seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15), parameters: 0 }
    }

    /// A number from −1 to 1.
    fn number(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// Weights whose sums over `inputs` numbers stay as large as these.
    fn tensor(&mut self, name: &str, dims: &[usize], inputs: usize) {
        let (count, scale) = (dims.iter().product(), (3.0 / inputs as f32).sqrt());
        let values: Vec<f32> = (0..count).map(|_| self.number() * scale).collect();
        self.network.reals(name, dims, &values);
        self.parameters += count;
    }

    /// A layer with the weights `w` and the bias `b` behind its name, and ReLU where it is not the last.
    fn layer(&mut self, from: &str, to: &str, dims: &[usize], attributes: &[(&str, Value<'_>)], relu: bool) {
        let [w, b, sums] = ["w", "b", "sums"].map(|part| format!("{to}.{part}"));
        self.tensor(&w, dims, dims[1..].iter().product());
        self.tensor(&b, &dims[..1], 1);
        let operator = if dims.len() > 2 { "Conv" } else { "Gemm" };
        let made = if relu { &sums } else { to };
        self.network.node(operator, &[from, &w, &b], &[made], attributes);
        if relu {
            self.network.node("Relu", &[&sums], &[to], &[]);
        }
    }

    /// Two dense layers and a softmax.
    fn head(&mut self, from: &str, width: usize, hidden: usize) {
        let turned = [("transB", Value::Int(1))];
        self.layer(from, "hidden", &[hidden, width], &turned, true);
        self.layer("hidden", "logits", &[CLASSES, hidden], &turned, false);
        self.network.node("Softmax", &["logits"], &["probabilities"], &[("axis", Value::Int(1))]);
        self.network.output("probabilities", Element::F32, Some(&[CLASSES]));
    }

    fn made(self, title: &'static str) -> Made {
        Made { name: self.name, title, parameters: self.parameters, onnx: self.network.to_bytes() }
    }

    /// Four convolutions of 3 x 3, with pooling behind the second and the fourth, and two dense layers.
    fn images(mut self, title: &'static str, [first, second]: [usize; 2], hidden: usize) -> Made {
        self.network.input("image", Element::F32, &[1, SIDE, SIDE]);
        let pads = [("pads", Value::Ints(vec![1; 4]))];
        let window = [("kernel_shape", Value::Ints(vec![2, 2])), ("strides", Value::Ints(vec![2, 2]))];
        self.layer("image", "c1", &[first, 1, 3, 3], &pads, true);
        self.layer("c1", "c2", &[first, first, 3, 3], &pads, true);
        self.network.node("MaxPool", &["c2"], &["p2"], &window);
        self.layer("p2", "c3", &[second, first, 3, 3], &pads, true);
        self.layer("c3", "c4", &[second, second, 3, 3], &pads, true);
        self.network.node("MaxPool", &["c4"], &["p4"], &window);
        self.network.node("Flatten", &["p4"], &["flat"], &[]);
        self.head("flat", second * SIDE / 4 * SIDE / 4, hidden);
        self.made(title)
    }

    /// Three convolutions over embedded bytes, the largest value of each channel, and two dense layers.
    fn bytes(mut self, title: &'static str) -> Made {
        self.network.input("bytes", Element::U8, &[BYTES]);
        self.tensor("table", &[256, 16], 1);
        self.network.node("Cast", &["bytes"], &["numbers"], &[("to", Value::Int(7))]);
        self.network.node("Gather", &["table", "numbers"], &["embedded"], &[]);
        self.network.node("Transpose", &["embedded"], &["channels"], &[("perm", Value::Ints(vec![0, 2, 1]))]);
        let shape = |pad| [("pads", Value::Ints(vec![pad; 2])), ("strides", Value::Ints(vec![2]))];
        self.layer("channels", "c1", &[64, 16, 7], &shape(3), true);
        self.layer("c1", "c2", &[128, 64, 7], &shape(3), true);
        self.layer("c2", "c3", &[128, 128, 5], &shape(2), true);
        self.network.node("GlobalMaxPool", &["c3"], &["most"], &[]);
        self.network.node("Flatten", &["most"], &["flat"], &[]);
        self.head("flat", 128, 256);
        self.made(title)
    }
}
