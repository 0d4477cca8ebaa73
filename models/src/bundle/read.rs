//! A KitNET back from its ONNX graph.

use super::graph::{HIDDEN_BIAS, NORM_MAX, NORM_MIN, VISIBLE_BIAS, WEIGHTS, build};
use super::proto::{DOUBLE, Graph, Tensor};
use crate::kitnet::{Autoencoder, Defect, KitNet};

/// What the graph does not say of itself: which columns and units belong to which autoencoder.
pub(crate) struct Layout<'a> {
    pub(crate) features: usize,
    pub(crate) map: &'a [Vec<usize>],
    pub(crate) hidden: &'a [usize],
}

/// Reads the model, then writes it again and compares: nodes, shapes, the zeros outside the blocks, all has to be equal, so
/// that another runtime computes what the native kernel computes.
pub(crate) fn read(graph: &Graph, layout: &Layout<'_>) -> Result<KitNet, Defect> {
    if layout.map.len() != layout.hidden.len() {
        return Err(Defect::new("legonf.hidden_units", "has another length than legonf.feature_map"));
    }
    let visible: Vec<usize> = layout.map.iter().map(Vec::len).collect();
    let ensemble = autoencoders(graph, "ensemble", &visible, layout.hidden)?;
    let output_hidden = find(graph, "output.hidden_bias")?.raw_data.len() / size_of::<f64>();
    let output = autoencoders(graph, "output", &[layout.map.len()], &[output_hidden])?.swap_remove(0);
    let model = KitNet::new(layout.features, layout.map.to_vec(), ensemble, output)?;
    compare(graph, &build(&model))?;
    Ok(model)
}

fn autoencoders(
    graph: &Graph,
    name: &str,
    visible: &[usize],
    hidden: &[usize],
) -> Result<Vec<Autoencoder>, Defect> {
    let total = |sizes: &[usize], key: &str| {
        let sum = sizes.iter().try_fold(0_usize, |sum, n| sum.checked_add(*n));
        sum.ok_or_else(|| Defect::new(key, "sizes beyond all bounds"))
    };
    let (all_visible, all_hidden) =
        (total(visible, "legonf.feature_map")?, total(hidden, "legonf.hidden_units")?);
    let part = |part: &str, len| doubles(graph, &format!("{name}.{part}"), len);
    let weights = part(WEIGHTS, all_visible.checked_mul(all_hidden))?;
    let hidden_bias = part(HIDDEN_BIAS, Some(all_hidden))?;
    let visible_bias = part(VISIBLE_BIAS, Some(all_visible))?;
    let (norm_min, norm_max) = (part(NORM_MIN, Some(all_visible))?, part(NORM_MAX, Some(all_visible))?);
    let (mut v, mut h) = (0, 0);
    let blocks = visible.iter().zip(hidden).map(|(&visible, &hidden)| {
        let rows = v..v + visible;
        let block = Autoencoder {
            weights: rows
                .clone()
                .flat_map(|row| &weights[row * all_hidden + h..][..hidden])
                .copied()
                .collect(),
            hidden_bias: hidden_bias[h..h + hidden].to_vec(),
            visible_bias: visible_bias[rows.clone()].to_vec(),
            norm_min: norm_min[rows.clone()].to_vec(),
            norm_max: norm_max[rows].to_vec(),
        };
        (v, h) = (v + visible, h + hidden);
        block
    });
    Ok(blocks.collect())
}

pub(crate) fn find<'a>(graph: &'a Graph, name: &str) -> Result<&'a Tensor, Defect> {
    let found = graph.initializer.iter().find(|t| t.name == name);
    found.ok_or_else(|| Defect::new(name, "initializer is missing"))
}

pub(crate) fn doubles(graph: &Graph, name: &str, len: Option<usize>) -> Result<Vec<f64>, Defect> {
    let tensor = find(graph, name)?;
    let (values, rest) = tensor.raw_data.as_chunks();
    if tensor.data_type != DOUBLE || !rest.is_empty() || Some(values.len()) != len {
        return Err(Defect::new(
            name,
            "is not a tensor of doubles of the size that the feature map asks for",
        ));
    }
    Ok(values.iter().map(|v| f64::from_le_bytes(*v)).collect())
}

pub(crate) fn compare(found: &Graph, expected: &Graph) -> Result<(), Defect> {
    for tensor in &expected.initializer {
        if find(found, &tensor.name)? != tensor {
            let reason = "differs from what the blocks of the model give: changed, or not written here";
            return Err(Defect::new(&tensor.name, reason));
        }
    }
    if found.initializer.len() != expected.initializer.len() || found.node != expected.node {
        return Err(Defect::new("graph", "has other nodes than such a model"));
    }
    if found.input != expected.input || found.output != expected.output {
        return Err(Defect::new("graph", "has other inputs or outputs than such a model"));
    }
    Ok(())
}
