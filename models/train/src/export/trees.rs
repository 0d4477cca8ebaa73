//! A forest as ONNX's ensemble of trees.

use super::{AS_F32, BYTES, Export};
use crate::forest::{Forest, Node};
use legonf_extract::flow::IMAGE_BYTES;
use legonf_models::onnx::Value::{Floats, Int, Ints, Text, Texts};

/// The attributes of the operator, in ONNX's words.
#[derive(Default)]
struct Ensemble {
    trees: Vec<i64>,
    nodes: Vec<i64>,
    features: Vec<i64>,
    values: Vec<f32>,
    modes: Vec<&'static str>,
    yes: Vec<i64>,
    no: Vec<i64>,
    leaf_trees: Vec<i64>,
    leaf_nodes: Vec<i64>,
    leaf_classes: Vec<i64>,
    weights: Vec<f32>,
}

impl Export {
    /// Probabilities by a forest: its features are all bytes, then statistics and sequence.
    pub(super) fn forest(&mut self, forest: &Forest) -> String {
        let bytes = self.writer.node("Cast", &[BYTES], "forest.bytes", vec![("to", Int(AS_F32))]);
        let structured = self.structured.clone().unwrap_or_default();
        let all =
            self.writer.node("Concat", &[&bytes, &structured], "forest.features", vec![("axis", Int(1))]);
        let mut ensemble = Ensemble::default();
        (0..forest.trees.len()).for_each(|tree| ensemble.tree(forest, tree));
        let attributes = vec![
            ("classlabels_int64s", Ints((0..forest.classes as i64).collect())),
            ("nodes_treeids", Ints(ensemble.trees)),
            ("nodes_nodeids", Ints(ensemble.nodes)),
            ("nodes_featureids", Ints(ensemble.features)),
            ("nodes_values", Floats(ensemble.values)),
            ("nodes_modes", Texts(ensemble.modes)),
            ("nodes_truenodeids", Ints(ensemble.yes)),
            ("nodes_falsenodeids", Ints(ensemble.no)),
            ("class_treeids", Ints(ensemble.leaf_trees)),
            ("class_nodeids", Ints(ensemble.leaf_nodes)),
            ("class_ids", Ints(ensemble.leaf_classes)),
            ("class_weights", Floats(ensemble.weights)),
            ("post_transform", Text("NONE")),
        ];
        let outputs = ["forest.class", "forest.probabilities"];
        self.writer.learner("TreeEnsembleClassifier", &[&all], &outputs, attributes)
    }
}

impl Ensemble {
    fn tree(&mut self, forest: &Forest, tree: usize) {
        for (number, node) in forest.trees[tree].nodes.iter().enumerate() {
            let (mode, feature, value, yes) = match node {
                Node::Branch { feature, threshold, left } => {
                    ("BRANCH_LEQ", forest.features.place(*feature as usize), *threshold, i64::from(*left))
                }
                Node::Leaf { shares } => {
                    let shares = &forest.trees[tree].shares[*shares as usize..][..forest.classes];
                    self.leaf(tree, number, shares, forest.trees.len());
                    ("LEAF", 0, 0.0, 0)
                }
            };
            self.trees.push(tree as i64);
            self.nodes.push(number as i64);
            self.features.push(feature as i64);
            self.values.push(value);
            self.modes.push(mode);
            self.yes.push(yes);
            self.no.push(if mode == "LEAF" { 0 } else { yes + 1 });
        }
    }

    fn leaf(&mut self, tree: usize, node: usize, shares: &[f32], trees: usize) {
        for (class, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            self.leaf_trees.push(tree as i64);
            self.leaf_nodes.push(node as i64);
            self.leaf_classes.push(class as i64);
            self.weights.push(share / trees as f32);
        }
    }
}

impl crate::Features {
    /// The place of a feature where all bytes, statistics and sequence lie side by side.
    fn place(self, feature: usize) -> usize {
        if feature < self.bytes { feature } else { IMAGE_BYTES + feature - self.bytes }
    }
}
