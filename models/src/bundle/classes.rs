//! What a network of another maker says of its classes.

use super::proto::{Attribute, Graph, Model, Node};

/// Attributes of ONNX's classifiers (`ai.onnx.ml`) that name classes.
const TEXTS: &str = "classlabels_strings";
const NUMBERS: [&str; 2] = ["classlabels_int64s", "classlabels_ints"];
/// What scikit-learn's models are exported by.
const SKL2ONNX: &str = "skl2onnx";

/// The classes that the classifier behind `output` names, in the order of its values; none where there is none, or several.
pub(super) fn stated(graph: &Graph, output: &str) -> Vec<String> {
    let named = graph.node.iter().filter(|node| !labels(node).is_empty());
    let mut classifiers = named.filter(|node| leads_to(graph, node, output));
    match (classifiers.next(), classifiers.next()) {
        (Some(only), None) => labels(only),
        _ => Vec::new(),
    }
}

fn labels(node: &Node) -> Vec<String> {
    let named = |names: &[&str]| node.attribute.iter().find(|a| names.contains(&a.name.as_str()));
    let texts =
        |a: &Attribute| a.strings.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    let numbers = |a: &Attribute| a.ints.iter().map(i64::to_string).collect();
    let texts: Vec<String> = named(&[TEXTS]).map(texts).unwrap_or_default();
    if texts.is_empty() { named(&NUMBERS).map(numbers).unwrap_or_default() } else { texts }
}

/// Whether `output` is computed from an operator, by the order of the operators, which is that of the data.
fn leads_to(graph: &Graph, from: &Node, output: &str) -> bool {
    let mut reached: std::collections::HashSet<&str> = from.output.iter().map(String::as_str).collect();
    let behind = graph.node.iter().skip_while(|node| !std::ptr::eq(*node, from)).skip(1);
    for node in behind {
        if node.input.iter().any(|name| reached.contains(name.as_str())) {
            reached.extend(node.output.iter().map(String::as_str));
        }
    }
    reached.contains(output)
}

/// Whether it is one of scikit-learn's outlier detectors, whose `scores` are the higher the more normal a row is.
pub(super) fn is_outlier_detector(model: &Model, graph: &Graph) -> bool {
    let has = |name: &str| graph.output.iter().any(|output| output.name == name);
    model.producer_name == SKL2ONNX && has("label") && has("scores")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, from: &str, to: &[&str], attribute: Vec<Attribute>) -> Node {
        let output = to.iter().map(|name| (*name).to_owned()).collect();
        Node { op_type: op.into(), input: vec![from.into()], output, attribute, ..Node::default() }
    }

    fn texts(name: &str, texts: &[&str]) -> Attribute {
        let strings = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        Attribute { name: name.into(), strings, ..Attribute::default() }
    }

    #[test]
    fn a_classifier_names_the_classes_of_what_it_leads_to() {
        let classifier =
            node("TreeEnsembleClassifier", "x", &["label", "raw"], vec![texts(TEXTS, &["b", "a"])]);
        let (scaled, other) = (node("Mul", "raw", &["p"], vec![]), node("Neg", "x", &["q"], vec![]));
        let mut graph = Graph { node: vec![other, classifier, scaled], ..Graph::default() };
        assert_eq!(stated(&graph, "p"), ["b", "a"]);
        assert!(stated(&graph, "q").is_empty());
        let numbers = Attribute { name: NUMBERS[0].into(), ints: vec![3, -1], ..Attribute::default() };
        graph.node[1].attribute = vec![numbers];
        assert_eq!(stated(&graph, "raw"), ["3", "-1"]);
        // Two of them contradict each other.
        graph.node.push(node("LinearClassifier", "raw", &["r"], vec![texts(TEXTS, &["c"])]));
        assert!(stated(&graph, "r").is_empty());
    }
}
