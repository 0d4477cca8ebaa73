//! Ensembles of trees, read from the lists of numbers that `ai.onnx.ml` keeps them in.

use super::builder::{Builder, Refused, Term, View, narrow};
use super::call::Call;
use super::operators::reals;
use super::step::Operation;
use super::trees::{Aggregate, Mode, Node, Pair, Transform, Trees};
use std::collections::HashMap;

/// The number of each node by its tree and its number there.
type Numbers = HashMap<(i64, i64), u32>;

/// Labels, and a number for each of them.
pub(super) fn classifier(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Term>, Refused> {
    let labels = call.ints("classlabels_int64s").filter(|labels| !labels.is_empty());
    let strings = call.attribute("classlabels_strings").map_or(0, |attribute| attribute.strings.len());
    let outputs = labels.map_or(strings, <[i64]>::len);
    let mut trees = trees(call, outputs, "class")?;
    trees.pair = pair(&mut trees, call);
    check_base(&trees)?;
    let features = trees.features;
    let view = vectors(builder, call, features)?;
    let scores = push(builder, trees, &view)?;
    // Labels that are texts have no form in a column: the number of the class stands for one.
    let counted = (0..outputs as i64).collect::<Vec<_>>();
    let names = labels.unwrap_or(&counted).iter().map(|label| narrow(*label)).collect();
    let label = builder.push(Operation::Largest(names), vec![scores.slot], Vec::new())?;
    Ok(vec![Term::Rows(label), Term::Rows(View { exclusive: false, ..scores })])
}

pub(super) fn regressor(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let outputs = usize::try_from(call.int("n_targets", 1)).unwrap_or(0);
    let trees = trees(call, outputs, "target")?;
    check_base(&trees)?;
    let view = vectors(builder, call, trees.features)?;
    push(builder, trees, &view)
}

fn push(builder: &mut Builder, trees: Trees, view: &View) -> Result<View, Refused> {
    builder.count(8 * trees.nodes.len())?;
    let outputs = trees.outputs;
    let trees = Trees { features: view.cells(), ..trees };
    builder.push(Operation::Trees(trees), vec![view.slot], vec![outputs])
}

/// The rows, which are vectors of so many features at least.
fn vectors(builder: &mut Builder, call: &Call<'_>, features: usize) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    if view.shape.len() != 1 || view.shape[0] < features || call.lead != 1 {
        return Err(format!("looks at {features} features of rows of {:?}", view.shape));
    }
    Ok(view)
}

fn trees(call: &Call<'_>, outputs: usize, kind: &str) -> Result<Trees, Refused> {
    if outputs == 0 || outputs > 1 << 16 {
        return Err(format!("has {outputs} outputs"));
    }
    if call.attribute("nodes_values_as_tensor").is_some() {
        return Err("in double precision".into());
    }
    let (nodes, numbers) = nodes(call)?;
    let (weights, nodes) = weighed(call, kind, outputs, &numbers, nodes)?;
    let features = nodes.iter().filter(|node| node.mode != Mode::Leaf).map(|node| node.feature + 1);
    let features = features.max().unwrap_or(0) as usize;
    let roots = roots(&nodes)?;
    let base = call.floats("base_values").to_vec();
    let (aggregate, transform) = (aggregate(call)?, transform(call)?);
    Ok(Trees { features, roots, nodes, weights, base, outputs, aggregate, transform, pair: Pair::No })
}

fn check_base(trees: &Trees) -> Result<(), Refused> {
    match (trees.base.len(), trees.outputs) {
        (0, _) => Ok(()),
        (values, outputs) if values == outputs => Ok(()),
        (values, outputs) => Err(format!("has {values} base values for {outputs} outputs")),
    }
}

fn aggregate(call: &Call<'_>) -> Result<Aggregate, Refused> {
    Ok(match call.text("aggregate_function") {
        b"" | b"SUM" => Aggregate::Sum,
        b"AVERAGE" => Aggregate::Average,
        b"MIN" => Aggregate::Min,
        b"MAX" => Aggregate::Max,
        other => return Err(format!("joins trees by {}", String::from_utf8_lossy(other))),
    })
}

fn transform(call: &Call<'_>) -> Result<Transform, Refused> {
    Ok(match call.text("post_transform") {
        b"" | b"NONE" => Transform::None,
        b"LOGISTIC" => Transform::Logistic,
        b"SOFTMAX" => Transform::Softmax,
        b"SOFTMAX_ZERO" => Transform::SoftmaxZero,
        other => return Err(format!("ends with {}", String::from_utf8_lossy(other))),
    })
}

/// The nodes in the order of the file, with their ways as far as these exist.
fn nodes(call: &Call<'_>) -> Result<(Vec<Node>, Numbers), Refused> {
    let ints = |name| call.ints(name).unwrap_or_default();
    let (trees, numbers) = (ints("nodes_treeids"), ints("nodes_nodeids"));
    let [features, holds, fails] = ["nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"].map(ints);
    let missing = ints("nodes_missing_value_tracks_true");
    let values = call.floats("nodes_values");
    let modes = call.attribute("nodes_modes").map_or(&[][..], |attribute| &attribute.strings);
    let count = trees.len();
    let lengths = [numbers.len(), features.len(), holds.len(), fails.len(), values.len(), modes.len()];
    if count == 0 || lengths.iter().any(|length| *length != count) {
        return Err(format!("has lists of {lengths:?} for {count} nodes"));
    }
    let keys = trees.iter().copied().zip(numbers.iter().copied());
    let found: Numbers = keys.zip(0..).collect();
    if found.len() != count {
        return Err("has two nodes of one number".into());
    }
    let node = |at: usize| {
        let mode = Mode::of(&modes[at])
            .ok_or_else(|| format!("has a node of the mode {}", String::from_utf8_lossy(&modes[at])))?;
        let way = |number: i64| match mode {
            Mode::Leaf => Ok(0),
            _ => found
                .get(&(trees[at], number))
                .copied()
                .ok_or_else(|| format!("leads to node {number} of tree {}, which is not there", trees[at])),
        };
        let feature =
            u32::try_from(features[at]).ok().filter(|feature| *feature < 1 << 24 || mode == Mode::Leaf);
        Ok::<_, Refused>(Node {
            mode,
            missing_holds: missing.get(at).is_some_and(|missing| *missing != 0),
            feature: feature.ok_or_else(|| format!("looks at feature {}", features[at]))?,
            value: values[at],
            next: [way(holds[at])?, way(fails[at])?],
        })
    };
    Ok(((0..count).map(node).collect::<Result<_, _>>()?, found))
}

/// Outputs with their weights, leaf after leaf.
type Weights = Vec<(u32, f32)>;

/// The weights of the leaves, and the nodes with the places of theirs.
fn weighed(
    call: &Call<'_>,
    kind: &str,
    outputs: usize,
    numbers: &Numbers,
    mut nodes: Vec<Node>,
) -> Result<(Weights, Vec<Node>), Refused> {
    let ints = |part: &str| call.ints(&format!("{kind}_{part}")).unwrap_or_default();
    let (trees, of, ids) = (ints("treeids"), ints("nodeids"), ints("ids"));
    let values = call.floats(&format!("{kind}_weights"));
    if [of.len(), ids.len(), values.len()].iter().any(|length| *length != trees.len()) {
        return Err("has lists of other lengths for the weights of leaves".into());
    }
    let leaf = |at: usize| {
        let node = numbers.get(&(trees[at], of[at])).copied();
        let node = node.filter(|node| nodes[*node as usize].mode == Mode::Leaf);
        let output = u32::try_from(ids[at]).ok().filter(|output| (*output as usize) < outputs);
        let found = node.zip(output).map(|(node, output)| (node, output, values[at]));
        found.ok_or_else(|| {
            format!("weighs node {} of tree {}, or output {}: not there", of[at], trees[at], ids[at])
        })
    };
    let mut all = (0..trees.len()).map(leaf).collect::<Result<Vec<_>, _>>()?;
    all.sort_by_key(|(node, ..)| *node);
    for (place, (node, ..)) in (0_u32..).zip(&all) {
        let next = &mut nodes[*node as usize].next;
        let first = if next[1] == 0 { place } else { next[0] };
        *next = [first, place + 1];
    }
    Ok((all.into_iter().map(|(_, output, weight)| (output, weight)).collect(), nodes))
}

/// The nodes that no other leads to, in their order.
///
/// # Errors
/// If two ways lead to one node, or one leads in a circle.
fn roots(nodes: &[Node]) -> Result<Vec<u32>, Refused> {
    let mut led = vec![0_u8; nodes.len()];
    for node in nodes.iter().filter(|node| node.mode != Mode::Leaf) {
        for next in node.next {
            led[next as usize] = led[next as usize].saturating_add(1);
        }
    }
    // Where each node is led to once at most, all that is not on a way from a root is on a circle.
    let roots: Vec<u32> = (0..).zip(&led).filter(|(_, led)| **led == 0).map(|(node, _)| node).collect();
    let (mut reached, mut next) = (0, roots.clone());
    while let Some(node) = next.pop() {
        reached += 1;
        let node = nodes[node as usize];
        next.extend(node.next.iter().filter(|_| node.mode != Mode::Leaf));
    }
    if led.iter().any(|led| *led > 1) || reached != nodes.len() {
        return Err("has nodes that two ways or a circle lead to".into());
    }
    Ok(roots)
}

/// How a classifier of two classes makes two numbers of one. The sum moves to the second output.
fn pair(trees: &mut Trees, call: &Call<'_>) -> Pair {
    let ids = call.ints("class_ids").unwrap_or_default();
    if trees.outputs != 2 || ids.is_empty() || ids.iter().any(|id| *id != ids[0]) {
        return Pair::No;
    }
    trees.weights.iter_mut().for_each(|(output, _)| *output = 1);
    if let [only] = trees.base[..] {
        trees.base = vec![0.0, only];
    }
    if trees.weights.iter().all(|(_, weight)| *weight >= 0.0) { Pair::Complement } else { Pair::Negation }
}
