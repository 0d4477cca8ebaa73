//! Networks as ONNX's operators.

use super::{AS_F32, AS_I64, BYTES, Export, Placing, part};
use crate::TrainError;
use crate::network::{Body, Convolution, FIRST, Image, LINE, Line, Network, READ, Steps};
use legonf_models::onnx::Value::{Int, Ints};

impl Export {
    /// A network's probabilities; their name.
    pub(super) fn network(&mut self, member: usize, network: &Network) -> Result<String, TrainError> {
        let named = |name: &str| part(member, name);
        for weight in &network.weights.named {
            let placing = Placing::of(network, &weight.name);
            let cells = weight.var.flatten_all()?.to_vec1::<f32>()?;
            self.writer.floats(&named(&weight.name), &placing.dims, &placing.placed(&cells));
        }
        let last = match &network.body {
            Body::Image(image) => self.image(member, image),
            Body::Line(line) => self.line(member, line),
        };
        let values =
            self.node("Gemm", &[&last, &named("classes.weight"), &named("classes.offset")], &named("values"));
        Ok(self.node("Softmax", &[&values], &named("probabilities")))
    }

    /// Normalization, where there is one, and the greater of zero and what is there.
    fn rectified(&mut self, member: usize, layer: &str, input: &str) -> String {
        let named = |part_of: &str| part(member, &format!("{layer}.{part_of}"));
        let weights = ["gain", "offset", "mean", "variance"].map(named);
        let [gain, offset, mean, variance] = weights.each_ref().map(String::as_str);
        let normal =
            self.node("BatchNormalization", &[input, gain, offset, mean, variance], &named("normal"));
        self.node("Relu", &[&normal], &named("out"))
    }

    fn image(&mut self, member: usize, image: &Image) -> String {
        let named = |name: &str| part(member, name);
        let pixels = self.writer.node("Cast", &[BYTES], &named("pixels"), vec![("to", Int(AS_F32))]);
        let most = self.writer.floats(&named("most"), &[1], &[255.0]);
        let pixels = self.node("Div", &[&pixels, &most], &named("bright"));
        let shape = self.writer.ints(&named("shape"), &[-1, 1, 28, 28]);
        let mut cells = self.node("Reshape", &[&pixels, &shape], &named("image"));
        for at in 0..image.convolutions.len() {
            let layer = format!("convolution{at}");
            let [weight, offset] = ["weight", "offset"].map(|name| part(member, &format!("{layer}.{name}")));
            let attributes = vec![("kernel_shape", Ints(vec![3, 3])), ("pads", Ints(vec![1; 4]))];
            let summed = self.writer.node(
                "Conv",
                &[&cells, &weight, &offset],
                &named(&format!("{layer}.sum")),
                attributes,
            );
            cells = self.node("Relu", &[&summed], &named(&format!("{layer}.out")));
            if at + 1 < image.convolutions.len() {
                let attributes = vec![("kernel_shape", Ints(vec![2, 2])), ("strides", Ints(vec![2, 2]))];
                cells = self.writer.node("MaxPool", &[&cells], &named(&format!("{layer}.half")), attributes);
            }
        }
        let flat = self.node("Flatten", &[&cells], &named("flat"));
        let summed =
            self.node("Gemm", &[&flat, &named("dense.weight"), &named("dense.offset")], &named("dense.sum"));
        self.node("Relu", &[&summed], &named("dense.out"))
    }

    fn line(&mut self, member: usize, line: &Line) -> String {
        let named = |name: &str| part(member, name);
        let places = self.writer.ints(&named("read.places"), &(0..READ as i64).collect::<Vec<_>>());
        let read = self.writer.node("Gather", &[BYTES, &places], &named("read"), vec![("axis", Int(1))]);
        let index = self.writer.node("Cast", &[&read], &named("index"), vec![("to", Int(AS_I64))]);
        let embedded = self.node("Gather", &[&named("embedding"), &index], &named("embedded"));
        let turned = vec![("perm", Ints(vec![0, 2, 1]))];
        let first = self.first(member, &embedded);
        let mut cells = self.writer.node("Transpose", &[&embedded], &named("channels"), turned);
        for (at, convolution) in line.convolutions.iter().enumerate() {
            cells = self.convolution(member, at, convolution, &cells);
        }
        let most = self.node("GlobalMaxPool", &[&cells], &named("greatest"));
        let seen = self.node("Flatten", &[&most], &named("seen"));
        let steps = self.steps(member, &line.steps);
        let all = self.writer.node("Concat", &[&seen, &first, &steps], &named("all"), vec![("axis", Int(1))]);
        let dense = self.node("MatMul", &[&all, &named("dense.weight")], &named("dense.sum"));
        self.rectified(member, "dense", &dense)
    }

    /// The first bytes as they are embedded, place by place.
    fn first(&mut self, member: usize, embedded: &str) -> String {
        let named = |name: &str| part(member, &format!("first.{name}"));
        let places = self.writer.ints(&named("places"), &(0..FIRST as i64).collect::<Vec<_>>());
        let axis = vec![("axis", Int(1))];
        let first = self.writer.node("Gather", &[embedded, &places], &named("embedded"), axis);
        self.node("Flatten", &[&first], &named("out"))
    }

    fn convolution(&mut self, member: usize, at: usize, convolution: &Convolution, cells: &str) -> String {
        let layer = format!("convolution{at}");
        let (_, stride, padding, _) = LINE[at];
        let attributes = vec![
            ("kernel_shape", Ints(vec![convolution.windows.size as i64])),
            ("strides", Ints(vec![stride as i64])),
            ("pads", Ints(vec![padding as i64; 2])),
        ];
        let named = |name: &str| part(member, &format!("{layer}.{name}"));
        let summed = self.writer.node("Conv", &[cells, &named("weight")], &named("sum"), attributes);
        self.rectified(member, &layer, &summed)
    }

    /// Statistics and sequence as steps.
    fn steps(&mut self, member: usize, steps: &Steps) -> String {
        let named = |name: &str| part(member, &format!("steps.{name}"));
        let structured = self.structured.clone().unwrap_or_default();
        let columns: Vec<i64> = steps.columns.iter().map(|column| i64::from(*column)).collect();
        let columns = self.writer.ints(&named("columns"), &columns);
        for (name, cells) in [("low", &steps.low), ("width", &steps.width)] {
            self.writer.floats(&named(name), &[cells.len()], cells);
        }
        for (name, cell) in [("none", 0.0), ("whole", 1.0)] {
            self.writer.floats(&named(name), &[], &[cell]);
        }
        let of_steps = self.writer.node(
            "Gather",
            &[&structured, &columns],
            &named("of_columns"),
            vec![("axis", Int(1))],
        );
        let above = self.node("Sub", &[&of_steps, &named("low")], &named("above"));
        let share = self.node("Div", &[&above, &named("width")], &named("share"));
        self.node("Clip", &[&share, &named("none"), &named("whole")], &named("out"))
    }
}
