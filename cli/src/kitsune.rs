//! Kitsune as a graph of bricks (LEGO Fig. 3).

use legonf_extract::Arithmetic;
use legonf_runtime::{BrickSpec, GraphSpec};

/// The bricks that turn packets into features.
pub fn extraction(schema: &str, arithmetic: Arithmetic) -> GraphSpec {
    let mut config = table("schema", schema);
    config.insert("arithmetic".into(), arithmetic.to_string().into());
    sequence(vec![
        ("batching", "packet-batching", Table::new()),
        ("extractor", "feature-quantization", config),
    ])
}

/// The bricks that turn packets into scores with KitNET.
pub fn scoring(schema: &str, arithmetic: Arithmetic) -> GraphSpec {
    extend(
        extraction(schema, arithmetic),
        vec![("mapping", "feature-mapping", Table::new()), ("autoencoder", "autoencoder", Table::new())],
    )
}

/// The bricks that turn packets into scores with the generic ONNX engine.
pub fn generic_scoring(schema: &str, arithmetic: Arithmetic) -> GraphSpec {
    extend(extraction(schema, arithmetic), vec![("network", "onnx", Table::new())])
}

/// The bricks that turn features into scores, with KitNET (`own`) or the generic ONNX engine.
pub fn scoring_features(own: bool) -> GraphSpec {
    let ensemble =
        vec![("mapping", "feature-mapping", Table::new()), ("autoencoder", "autoencoder", Table::new())];
    sequence(if own { ensemble } else { vec![("network", "onnx", Table::new())] })
}

/// `scoring` followed by the decision: the graph of `legonf replay`.
pub fn deciding(scoring: GraphSpec) -> GraphSpec {
    extend(scoring, vec![("decision", "sample-result-quantization", Table::new())])
}

use toml::Table;

fn table(key: &str, value: &str) -> Table {
    Table::from_iter([(key.to_owned(), value.into())])
}

fn sequence(bricks: Vec<(&str, &str, Table)>) -> GraphSpec {
    extend(GraphSpec { name: "kitsune".into(), bricks: Vec::new() }, bricks)
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
        let graph = deciding(scoring("kitsune-115", Arithmetic::Reference));
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
    }
}
