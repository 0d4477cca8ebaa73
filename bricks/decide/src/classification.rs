//! The brick that turns a network's outputs into classes.

use crate::DecideError;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Handle, Layout, Rows, State, Table,
    Verdict,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashSet;

/// Classes: verdicts whose labels are the brick's `classes`, and `unknown`. A configuration can give the column another name.
pub const CLASSES: ColumnSpec = ColumnSpec::scalar("class", Element::Verdict);
/// The probability of each item's most probable class, from 0 to 1; NaN where there is none. A configuration can give the column
/// another name.
pub const CONFIDENCE: ColumnSpec = ColumnSpec::scalar("confidence", Element::F64);
/// The label of what is too uncertain.
pub const UNKNOWN: &str = "unknown";

/// Configuration of [`Classification`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationConfig {
    /// Names of the classes, in the order of the network's outputs. Default those that its model states.
    pub classes: Vec<String>,
    /// The column that has the network's outputs, a row for each item. Default `outputs`.
    #[serde(default = "outputs")]
    pub input: String,
    /// The type of its numbers. Default `f32`.
    #[serde(default)]
    pub numbers: Numbers,
    /// Whether outputs are logits, which a softmax makes probabilities of; else they are probabilities. Default true.
    #[serde(default = "logits")]
    pub logits: bool,
    /// An item whose most probable class has less than this probability (0 to 1) is `unknown`. Default 0: none is.
    #[serde(default)]
    pub unknown_below: f64,
    /// The column of classes that is filled. Default `class`.
    #[serde(default = "class")]
    pub verdicts: String,
    /// The column of their probabilities that is filled. Default `confidence`.
    #[serde(default = "confidence")]
    pub confidence: String,
    /// The table of all its columns. Default `packets`.
    #[serde(default)]
    pub table: Table,
}

/// The type of numbers in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// Single precision.
    #[default]
    F32,
    /// Double precision.
    F64,
}

fn outputs() -> String {
    "outputs".to_owned()
}

fn logits() -> bool {
    true
}

fn class() -> String {
    CLASSES.name.into_owned()
}

fn confidence() -> String {
    CONFIDENCE.name.into_owned()
}

/// The class of every packet, or of every flow, and how sure it is: the most probable one of a network's outputs (DeepNFV §III; LEGO Table I,
/// "sample-result quantization" behind a supervised network).
///
/// Of classes that are equally probable it is the first. A row that has a number that is not finite is
/// [`Verdict::REJECTED`].
#[derive(Clone, Debug)]
pub struct Classification {
    config: ClassificationConfig,
    outputs: Outputs,
    classes: Handle<Vec<Verdict>>,
    confidence: Handle<Vec<f64>>,
}

/// Where the network's outputs are.
#[derive(Clone, Copy, Debug)]
enum Outputs {
    F32(Handle<Rows<f32>>),
    F64(Handle<Rows<f64>>),
}

impl Classification {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "classification";

    /// What the graph needs to know of the brick; its own descriptor says which column it reads, and the labels.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "sample-result quantization",
        reads: Cow::Borrowed(&[ColumnSpec::rows("outputs", Element::F32)]),
        writes: Cow::Borrowed(&[CLASSES, CONFIDENCE]),
        state: State::Stateless,
    };

    /// The brick for `config`.
    ///
    /// # Errors
    /// If there are no classes or too many, one has no name, two have the same, `unknown_below` is no probability, or one column is
    /// named twice.
    pub fn new(config: ClassificationConfig) -> Result<Self, DecideError> {
        check_classes(&config.classes)?;
        check_columns([&config.input, &config.verdicts, &config.confidence])?;
        if !(0.0..=1.0).contains(&config.unknown_below) {
            return Err(DecideError::UnknownBelow(config.unknown_below));
        }
        let outputs = match config.numbers {
            Numbers::F32 => Outputs::F32(Handle::default()),
            Numbers::F64 => Outputs::F64(Handle::default()),
        };
        let (classes, confidence) = (Handle::default(), Handle::default());
        Ok(Self { config, outputs, classes, confidence })
    }

    fn input(&self) -> ColumnSpec {
        let element = match self.config.numbers {
            Numbers::F32 => Element::F32,
            Numbers::F64 => Element::F64,
        };
        let spec =
            ColumnSpec { name: Cow::Owned(self.config.input.clone()), ..ColumnSpec::rows("", element) };
        spec.of_width(self.config.classes.len()).in_table(self.config.table)
    }

    fn labelled(&self) -> ColumnSpec {
        let labels = self.config.classes.iter().cloned().chain([UNKNOWN.to_owned()]);
        let spec = CLASSES.with_labels(labels).in_table(self.config.table);
        ColumnSpec { name: self.config.verdicts.clone().into(), ..spec }
    }

    fn sureness(&self) -> ColumnSpec {
        let spec = CONFIDENCE.in_table(self.config.table);
        ColumnSpec { name: self.config.confidence.clone().into(), ..spec }
    }

    /// The class of one row of outputs, and its probability.
    fn decide(&self, row: impl Iterator<Item = f64> + Clone) -> (Verdict, f64) {
        if row.clone().any(|output| !output.is_finite()) {
            return (Verdict::REJECTED, f64::NAN);
        }
        let first = (0, f64::NEG_INFINITY);
        let most = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
        let (class, output) = row.clone().enumerate().fold(first, most);
        // Less the largest, no exponential overflows, and the largest is 1.
        let sum = || row.map(|other| (other - output).exp()).sum::<f64>();
        let confidence = if self.config.logits { 1.0 / sum() } else { output };
        let known = confidence >= self.config.unknown_below;
        (Verdict::of(if known { class } else { self.config.classes.len() }), confidence)
    }
}

/// Bytes of a class's name at most.
const LONGEST: usize = 256;

/// Whether a class can have this name: tables of results show it as it is.
fn is_name(class: &str) -> bool {
    let acts_in_tables = |c: char| c.is_control() || matches!(c, ',' | '"');
    (1..=LONGEST).contains(&class.len()) && !class.contains(acts_in_tables)
}

fn check_classes(classes: &[String]) -> Result<(), DecideError> {
    let most = Verdict::MOST - 1;
    if classes.is_empty() || classes.len() > most {
        return Err(DecideError::Classes { found: classes.len(), most });
    }
    let taken = [UNKNOWN, Verdict::REJECTED_LABEL];
    let mut seen = HashSet::from(taken);
    let refused = classes.iter().find(|class| !is_name(class) || !seen.insert(class));
    let start = |class: &String| class.chars().take(LONGEST).collect();
    refused.map_or(Ok(()), |class| Err(DecideError::Class(start(class))))
}

fn check_columns(names: [&String; 3]) -> Result<(), DecideError> {
    let mut seen = HashSet::new();
    let again = names.into_iter().find(|name| !seen.insert(*name));
    again.map_or(Ok(()), |name| Err(DecideError::Column(name.clone())))
}

impl Brick for Classification {
    fn descriptor(&self) -> Descriptor {
        let (reads, writes) = (vec![self.input()].into(), vec![self.labelled(), self.sureness()].into());
        Descriptor { reads, writes, ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let input = self.input();
        match &mut self.outputs {
            Outputs::F32(handle) => *handle = layout.handle(&input)?,
            Outputs::F64(handle) => *handle = layout.handle(&input)?,
        }
        self.classes = layout.handle(&self.labelled())?;
        self.confidence = layout.handle(&self.sureness())?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let columns = &mut batch.columns;
        match self.outputs {
            Outputs::F32(handle) => {
                let (rows, classes, confidence) = columns.get_three(handle, self.classes, self.confidence);
                self.fill(
                    rows.iter().map(|row| row.iter().map(|output| f64::from(*output))),
                    classes,
                    confidence,
                )
            }
            Outputs::F64(handle) => {
                let (rows, classes, confidence) = columns.get_three(handle, self.classes, self.confidence);
                self.fill(rows.iter().map(|row| row.iter().copied()), classes, confidence)
            }
        }
        Ok(())
    }
}

impl Classification {
    /// Fills the columns for rows of outputs.
    fn fill<R: Iterator<Item = f64> + Clone>(
        &self,
        rows: impl Iterator<Item = R>,
        classes: &mut Vec<Verdict>,
        confidence: &mut Vec<f64>,
    ) {
        classes.clear();
        confidence.clear();
        for row in rows {
            let (class, probability) = self.decide(row);
            classes.push(class);
            confidence.push(probability);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Classification, String> {
        let config: ClassificationConfig = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Classification::new(config).map_err(|error| error.to_string())
    }

    fn run(mut brick: Classification, rows: &[[f32; 3]]) -> Vec<(Verdict, f64)> {
        let layout = Layout::binding(&mut [&mut brick]).unwrap();
        let mut batch = Batch::new(&layout);
        let outputs = batch.columns.get_mut(layout.handle::<Rows<f32>>(&brick.input()).unwrap());
        outputs.reset(rows.len(), 3);
        rows.iter().enumerate().for_each(|(index, row)| outputs.row_mut(index).copy_from_slice(row));
        brick.process(&mut batch).unwrap();
        let (classes, confidence) = (batch.columns.get(brick.classes), batch.columns.get(brick.confidence));
        classes.iter().copied().zip(confidence.iter().copied()).collect()
    }

    #[test]
    fn the_most_probable_class_is_taken_and_the_uncertain_is_unknown() {
        let brick = config(r#"{"classes": ["web", "mail", "game"], "unknown_below": 0.5}"#).unwrap();
        let [web, uncertain, tied] =
            run(brick.clone(), &[[3.0, 1.0, 0.0], [0.1, 0.0, 0.0], [2.0, -9.0, 2.0]])[..]
        else {
            panic!("three rows")
        };
        let expected = 3.0_f64.exp() / (3.0_f64.exp() + 1.0_f64.exp() + 1.0);
        assert_eq!(web.0, Verdict::of(0));
        assert!((web.1 - expected).abs() < 1e-12);
        assert_eq!(uncertain.0, Verdict::of(3));
        assert!(tied.0 == Verdict::of(3) && tied.1 < 0.5);
        let labels = brick.descriptor().writes[0].labels.join(" ");
        assert_eq!(labels, "web mail game unknown");
    }

    #[test]
    fn outputs_may_be_probabilities_and_large_logits_are_fine() {
        let classes = r#""classes": ["a", "b", "c"]"#;
        let brick = config(&format!(r#"{{{classes}, "logits": false}}"#)).unwrap();
        assert_eq!(run(brick, &[[0.25, 0.5, 0.25]]), [(Verdict::of(1), 0.5)]);
        let brick = config(&format!("{{{classes}}}")).unwrap();
        let rows = run(brick, &[[1e30, 0.0, 0.0], [f32::NAN, 0.0, 0.0], [0.0, f32::INFINITY, 0.0]]);
        assert_eq!(rows[0], (Verdict::of(0), 1.0));
        assert!(
            rows[1..].iter().all(|(class, confidence)| *class == Verdict::REJECTED && confidence.is_nan())
        );
    }

    #[test]
    fn flows_have_classes_in_columns_of_their_own() {
        let text =
            r#"{"classes": ["a", "b", "c"], "table": "flows", "verdicts": "of_flow", "confidence": "sure"}"#;
        let brick = config(text).unwrap();
        let Descriptor { reads, writes, .. } = brick.descriptor();
        assert!(reads.iter().chain(&*writes).all(|spec| spec.table == Table::Flows), "{reads:?} {writes:?}");
        assert_eq!(ColumnSpec::names(&writes), "of_flow, sure");
        // Three flows, and no packet.
        let rows = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
        let classes = run(brick, &rows).into_iter().map(|(class, _)| class);
        assert_eq!(classes.collect::<Vec<_>>(), [1, 0, 2].map(Verdict::of));
    }

    #[test]
    fn configurations_that_mean_nothing_are_refused() {
        for (text, expected) in [
            (r#"{}"#, "missing field `classes`"),
            (r#"{"classes": []}"#, "classes: 0 of them"),
            (r#"{"classes": ["a", "a"]}"#, "classes: 'a'"),
            (r#"{"classes": ["a", "unknown"]}"#, "classes: 'unknown'"),
            (r#"{"classes": ["a", "b,c"]}"#, "classes: 'b,c'"),
            (r#"{"classes": ["a\nb"]}"#, "classes: 'a\nb'"),
            (r#"{"classes": ["a\"b"]}"#, "classes: 'a\"b'"),
            (&format!(r#"{{"classes": ["{}"]}}"#, "a".repeat(257)), "longer than 256 bytes"),
            (r#"{"classes": ["a"], "unknown_below": 1.5}"#, "unknown_below: 1.5"),
            (r#"{"classes": ["a"], "numbers": "f16"}"#, "unknown variant"),
            (
                r#"{"classes": ["a"], "table": "hosts"}"#,
                "unknown variant `hosts`, expected `packets` or `flows`",
            ),
            (r#"{"classes": ["a"], "verdicts": "outputs"}"#, "the column outputs is named twice"),
            (r#"{"classes": ["a"], "verdicts": "confidence"}"#, "the column confidence is named twice"),
        ] {
            let error = config(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
