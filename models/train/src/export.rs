//! A classifier as one ONNX network.

#[cfg(feature = "networks")]
mod networks;
#[cfg(feature = "networks")]
mod placing;
mod trees;
mod writer;

#[cfg(feature = "networks")]
pub(crate) use placing::Placing;

use crate::train::Join;
use crate::{Classifier, TrainError};
use legonf_core::Element;
use legonf_extract::flow::{IMAGE_BYTES, STATISTICS};
use legonf_models::CLASSIFIER_PORTS;
use legonf_models::onnx::Value::Int;
use writer::Writer;

/// ONNX's numbers for element types.
const AS_F32: i64 = 1;
#[cfg(feature = "networks")]
const AS_I64: i64 = 7;
const BYTES: &str = CLASSIFIER_PORTS[0];
const STATISTICS_PORT: &str = CLASSIFIER_PORTS[1];
const SEQUENCE: &str = CLASSIFIER_PORTS[2];
const PROBABILITIES: &str = CLASSIFIER_PORTS[3];

/// The name of a network's part.
#[cfg(feature = "networks")]
pub(crate) fn part(member: usize, name: &str) -> String {
    format!("network{member}.{name}")
}

impl Classifier {
    /// The ONNX network: inputs `bytes` u8 \[rows, 784\] and, where they are used, `statistics` and `sequence` f32; output
    /// `probabilities` f32 \[rows, classes\].
    ///
    /// # Errors
    /// If candle fails.
    pub fn onnx(&self) -> Result<Vec<u8>, TrainError> {
        let mut export = Export { writer: Writer::new("classifier"), structured: None };
        export.writer.input(BYTES, Element::U8, IMAGE_BYTES);
        if self.is_structured() {
            export.structured(self.sequence_width);
        }
        let outputs = self.onnx_networks(&mut export)?;
        let networks = export.mean("networks", &outputs);
        let forest = self.forest.as_ref().map(|forest| export.forest(forest));
        let joined = match (networks, forest) {
            (Some(networks), Some(forest)) => export.join(&networks, &forest, self.join()),
            (networks, forest) => networks.or(forest).unwrap_or_default(),
        };
        export.writer.node("Identity", &[&joined], PROBABILITIES, Vec::new());
        export.writer.output(PROBABILITIES, self.classes.len());
        Ok(export.writer.finish())
    }

    /// Adds the networks; the names of their probabilities.
    #[cfg(feature = "networks")]
    fn onnx_networks(&self, export: &mut Export) -> Result<Vec<String>, TrainError> {
        self.networks.iter().enumerate().map(|(member, network)| export.network(member, network)).collect()
    }

    /// This build has no networks.
    #[cfg(not(feature = "networks"))]
    fn onnx_networks(&self, _: &mut Export) -> Result<Vec<String>, TrainError> {
        Ok(Vec::new())
    }

    /// Whether more than the bytes is read.
    fn is_structured(&self) -> bool {
        #[cfg(feature = "networks")]
        let of_networks =
            self.networks.iter().any(|network| network.architecture == crate::Architecture::Classifier);
        #[cfg(not(feature = "networks"))]
        let of_networks = false;
        self.forest.is_some() || of_networks
    }
}

pub(super) struct Export {
    writer: Writer,
    /// The name of statistics and sequence side by side.
    structured: Option<String>,
}

impl Export {
    fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> String {
        self.writer.node(operator, inputs, output, Vec::new())
    }

    fn structured(&mut self, sequence: usize) {
        self.writer.input(STATISTICS_PORT, Element::F32, STATISTICS);
        let mut name = STATISTICS_PORT.to_owned();
        if sequence > 0 {
            self.writer.input(SEQUENCE, Element::F32, sequence);
            name = self.writer.node(
                "Concat",
                &[STATISTICS_PORT, SEQUENCE],
                "structured",
                vec![("axis", Int(1))],
            );
        }
        self.structured = Some(name);
    }

    /// Probabilities of networks and of the forest, joined.
    fn join(&mut self, networks: &str, forest: &str, join: Join) -> String {
        let mut parts = Vec::new();
        for (name, output, share) in
            [("networks", networks, 1.0 - join.share), ("forest", forest, join.share)]
        {
            let share = self.writer.floats(&format!("{name}.share"), &[1], &[share]);
            parts.push(self.node("Mul", &[output, &share], &format!("{name}.part")));
        }
        let mean = self.node("Add", &[&parts[0], &parts[1]], "joined");
        match join.settled {
            None => mean,
            Some(bound) => self.settled(forest, &mean, bound),
        }
    }

    /// The forest's probabilities where its best class leads by more than `bound`, else the mean.
    fn settled(&mut self, forest: &str, mean: &str, bound: f32) -> String {
        let count = self.writer.ints("forest.two", &[2]);
        let axis = self.writer.ints("forest.axis", &[1]);
        let bound = self.writer.floats("forest.bound", &[1], &[bound]);
        let outputs = ["forest.top", "forest.places"];
        self.writer.nodes("TopK", &[forest, &count], &outputs, vec![("axis", Int(1))]);
        let best = self.node("ReduceMax", &["forest.top", &axis], "forest.best");
        let second = self.node("ReduceMin", &["forest.top", &axis], "forest.second");
        let lead = self.node("Sub", &[&best, &second], "forest.lead");
        let settled = self.node("Greater", &[&lead, &bound], "forest.settles");
        self.node("Where", &[&settled, forest, mean], "chosen")
    }

    /// The mean of several outputs; none of none.
    fn mean(&mut self, name: &str, outputs: &[String]) -> Option<String> {
        let (first, others) = outputs.split_first()?;
        if others.is_empty() {
            return Some(first.clone());
        }
        let mut sum = first.clone();
        for (at, next) in others.iter().enumerate() {
            sum = self.node("Add", &[&sum, next], &format!("{name}.sum{at}"));
        }
        let count = self.writer.floats(&format!("{name}.count"), &[1], &[outputs.len() as f32]);
        Some(self.node("Div", &[&sum, &count], &format!("{name}.mean")))
    }
}

#[cfg(all(test, feature = "networks"))]
mod tests;
