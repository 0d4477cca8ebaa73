//! Kitsune as a graph of bricks (LEGO Fig. 3).

use legonf_models::kitnet::Precision;
use legonf_runtime::{BrickSpec, GraphSpec};

/// Name of the built-in graph.
pub const NAME: &str = "kitsune";

/// The bricks that turn packets into features.
pub fn extraction(schema: &str) -> GraphSpec {
    let config = table("schema", schema);
    sequence(vec![
        ("batching", "packet-batching", Table::new()),
        ("extractor", "feature-quantization", config),
    ])
}

/// The bricks that turn packets into scores with KitNET, in a precision that is chosen or the default one.
pub fn scoring(schema: &str, precision: Option<Precision>) -> GraphSpec {
    extend(extraction(schema), ensemble(precision))
}

fn ensemble(precision: Option<Precision>) -> Vec<(&'static str, &'static str, Table)> {
    let config = precision.map_or_else(Table::new, |p| table("precision", &p.to_string()));
    vec![("mapping", "feature-mapping", Table::new()), ("autoencoder", "autoencoder", config)]
}

/// The bricks that turn packets into scores with the generic ONNX engine.
pub fn generic_scoring(schema: &str) -> GraphSpec {
    extend(extraction(schema), vec![("network", "onnx", Table::new())])
}

/// The bricks that turn features into scores, with KitNET (`own`) or the generic ONNX engine.
pub fn scoring_features(own: bool, precision: Option<Precision>) -> GraphSpec {
    sequence(if own { ensemble(precision) } else { vec![("network", "onnx", Table::new())] })
}

/// The precision in which a graph executes a KitNET; none where it has no such brick.
pub fn precision(graph: &GraphSpec) -> Option<String> {
    let brick = graph.bricks.iter().find(|brick| brick.kind == "autoencoder")?;
    let chosen = brick.config.get("precision").and_then(|value| value.as_str());
    Some(chosen.map_or_else(|| Precision::default().to_string(), Into::into))
}

/// `scoring` followed by the decision: the graph of a replay.
pub fn deciding(scoring: GraphSpec) -> GraphSpec {
    extend(scoring, vec![("decision", "sample-result-quantization", Table::new())])
}

use toml::Table;

fn table(key: &str, value: &str) -> Table {
    Table::from_iter([(key.to_owned(), value.into())])
}

fn sequence(bricks: Vec<(&str, &str, Table)>) -> GraphSpec {
    extend(GraphSpec { name: NAME.into(), bricks: Vec::new() }, bricks)
}

fn extend(mut graph: GraphSpec, bricks: Vec<(&str, &str, Table)>) -> GraphSpec {
    for (id, kind, config) in bricks {
        if let Some(last) = graph.bricks.last_mut() {
            last.next = vec![id.to_owned()];
        }
        graph.bricks.push(BrickSpec { id: id.into(), kind: kind.into(), config, ..BrickSpec::default() });
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kitsune_has_the_five_bricks_of_lego_figure_3() {
        let graph = deciding(scoring("kitsune-115", Some(Precision::F32)));
        let kinds: Vec<_> = graph.sequence().unwrap().iter().map(|b| b.kind.as_str()).collect();
        let expected = [
            "packet-batching",
            "feature-quantization",
            "feature-mapping",
            "autoencoder",
            "sample-result-quantization",
        ];
        assert_eq!(kinds, expected);
        assert_eq!(GraphSpec::from_toml(&graph.to_toml()).unwrap(), graph);
        assert_eq!(precision(&graph).as_deref(), Some("f32"));
    }
}
