//! The one place that knows every brick by name.
//!
//! [`KINDS`] lists them; [`build`] makes one from its kind and its configuration. A new brick needs one line in each. [`NFS`]
//! are the network functions that ship.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

use legonf_core::{Brick, Descriptor, Schema};
use legonf_decide::{Classification, SampleResultQuantization, UNKNOWN};
use legonf_extract::flow::{FlowClass, FlowStatistics, FlowTable, PacketImage};
use legonf_extract::{FEATURES, FeatureQuantization};
use legonf_infer::{Autoencoder, Detector, FeatureMapping, Onnx, SCORES};
use legonf_models::kitnet::KitNet;
use legonf_models::{Engine, EngineError};
use legonf_nf::{
    ApplyActions, CheckIpHeader, DecrementTtl, Dispose, Dscp, FastPath, Firewall, Ids, IpFilter, MacSwap,
    Maglev, Monitor, Nat, RateLimit, VerdictFilter, Vlan,
};
use legonf_wire::PacketBatching;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::sync::Arc;

/// Every kind of brick: in the order in which LEGO's Table I lists them, then those that act on packets.
pub const KINDS: [Descriptor; 28] = [
    PacketBatching::DESCRIPTOR,
    FeatureQuantization::DESCRIPTOR,
    FeatureMapping::DESCRIPTOR,
    Autoencoder::DESCRIPTOR,
    Onnx::DESCRIPTOR,
    Detector::DESCRIPTOR,
    SampleResultQuantization::DESCRIPTOR,
    Classification::DESCRIPTOR,
    FlowTable::DESCRIPTOR,
    FlowStatistics::DESCRIPTOR,
    FlowClass::DESCRIPTOR,
    PacketImage::DESCRIPTOR,
    Dispose::DESCRIPTOR,
    Vlan::DESCRIPTOR,
    Dscp::DESCRIPTOR,
    RateLimit::DESCRIPTOR,
    CheckIpHeader::DESCRIPTOR,
    DecrementTtl::DESCRIPTOR,
    MacSwap::DESCRIPTOR,
    IpFilter::DESCRIPTOR,
    Ids::DESCRIPTOR,
    VerdictFilter::DESCRIPTOR,
    Firewall::DESCRIPTOR,
    Monitor::DESCRIPTOR,
    Nat::DESCRIPTOR,
    Maglev::DESCRIPTOR,
    FastPath::DESCRIPTOR,
    ApplyActions::DESCRIPTOR,
];

/// A network function that ships: a graph of bricks.
#[derive(Clone, Copy, Debug)]
pub struct Nf {
    /// Its name.
    pub name: &'static str,
    /// The graph, in TOML.
    pub graph: &'static str,
}

/// The network functions that ship.
pub const NFS: [Nf; 4] = [
    Nf { name: "kitsune", graph: include_str!("../nf/kitsune.toml") },
    Nf { name: "kitsune-onnx", graph: include_str!("../nf/kitsune-onnx.toml") },
    Nf { name: "kitsune-detector", graph: include_str!("../nf/kitsune-detector.toml") },
    Nf { name: "classifier", graph: include_str!("../nf/classifier.toml") },
];

/// Why a brick cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// There is no such kind.
    #[error("kind = \"{kind}\" is not in the catalogue (there are: {})", KINDS.map(|d| d.kind).join(", "))]
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// A key of the configuration is unknown, missing or of another type.
    #[error("[brick.config] of {kind}: {message}")]
    Config {
        /// The kind.
        kind: &'static str,
        /// What was found and expected.
        message: String,
    },
    /// The brick needs something of the model that is not there.
    #[error("{kind} needs {what}")]
    Missing {
        /// The kind.
        kind: &'static str,
        /// What is missing, and where it comes from.
        what: &'static str,
    },
    /// The features are not those that a model was trained on.
    #[error("schema = \"{found}\", but the model {model}was trained on {expected}; both must be the same")]
    Schema {
        /// Schema of the extractor, with its hash where the names are equal.
        found: String,
        /// The model, with a space behind it; nothing where the graph has but one.
        model: String,
        /// Schema of the model.
        expected: String,
    },
    /// The extractor refused its configuration.
    #[error(transparent)]
    Extract(#[from] legonf_extract::ExtractError),
    /// The decision refused its configuration.
    #[error(transparent)]
    Decide(#[from] legonf_decide::DecideError),
    /// A brick that acts on packets refused its configuration.
    #[error("[brick.config] of {kind}: {error}")]
    Nf {
        /// The kind.
        kind: &'static str,
        /// Why.
        error: legonf_nf::NfError,
    },
    /// A brick of flows refused its configuration.
    #[error("[brick.config] of {kind}: {error}")]
    Flow {
        /// The kind.
        kind: &'static str,
        /// Why.
        error: legonf_extract::flow::FlowError,
    },
    /// The engine cannot run the model.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Makes an engine for the model's network.
pub type MakeEngine<'a> = &'a dyn Fn() -> Result<Box<dyn Engine>, EngineError>;

/// A model of a graph, as an extractor needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Trained<'a> {
    /// Its name; none where the graph has but one, without a name.
    pub model: Option<&'a str>,
    /// Schema of the features that it was trained on.
    pub schema: &'a Schema,
}

/// What a kind of brick takes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// Nothing, since its configuration says what it would take; it may name one all the same.
    Configured,
    /// Its threshold, where it has one; a graph without a model will do.
    Threshold,
    /// The names of its classes.
    Classes,
    /// Its network.
    Network,
}

/// What a brick takes from the models of its graph.
#[derive(Clone, Default)]
pub struct Context<'a> {
    /// The models of the bricks that read features; an extractor must have the schema of each.
    pub trained: &'a [Trained<'a>],
    /// The network, where it is a KitNET.
    pub kitnet: Option<Arc<KitNet>>,
    /// The detector, where it is one that is no network.
    pub detector: Option<Arc<legonf_models::detectors::Detector>>,
    /// The calibrated threshold, for a decision whose configuration names none.
    pub threshold: Option<f64>,
    /// The classes that the network states, for a classification whose configuration names none.
    pub classes: &'a [String],
    /// The probability below which a class is unknown, for a classification whose configuration names none.
    pub unknown_below: Option<f64>,
    /// Makes a generic engine for the network.
    pub engine: Option<MakeEngine<'a>>,
    /// The names of the graph's ports.
    pub ports: &'a [String],
}

/// The descriptor of a kind.
///
/// # Errors
/// If there is no such kind; the error lists those there are.
pub fn describe(kind: &str) -> Result<Descriptor, CatalogError> {
    let unknown = || CatalogError::UnknownKind { kind: kind.to_owned() };
    KINDS.into_iter().find(|d| d.kind == kind).ok_or_else(unknown)
}

/// What a brick takes of a model, by its kind and configuration.
pub fn takes(kind: &str, config: &toml::Table) -> Takes {
    match kind {
        FeatureMapping::KIND | Autoencoder::KIND | Onnx::KIND | Detector::KIND => Takes::Network,
        SampleResultQuantization::KIND if config.contains_key("threshold") => Takes::Configured,
        SampleResultQuantization::KIND => Takes::Threshold,
        Classification::KIND | FlowClass::KIND if config.contains_key("classes") => Takes::Configured,
        Classification::KIND | FlowClass::KIND => Takes::Classes,
        _ => Takes::Nothing,
    }
}

/// Whether a brick reads the features of an extractor.
pub fn reads_features(kind: &str, config: &toml::Table) -> bool {
    matches!(kind, FeatureMapping::KIND | Detector::KIND)
        || kind == Onnx::KIND && names(config, "inputs", FEATURES.name)
}

/// The tables of a brick's configuration that may have a `seed`, by which flows or streams are divided into slots; none for a brick that
/// divides nothing. A table that is missing is made.
pub fn seeded<'a>(kind: &str, config: &'a mut toml::Table) -> Vec<&'a mut toml::Table> {
    match kind {
        FeatureQuantization::KIND => {
            let limits = config.entry("limits").or_insert_with(|| toml::Table::new().into());
            // What is no table the brick refuses by name.
            limits.as_table_mut().into_iter().collect()
        }
        FastPath::KIND => {
            let functions = config.get_mut("functions").and_then(toml::Value::as_array_mut);
            let functions = functions.into_iter().flatten().filter_map(toml::Value::as_table_mut);
            functions.filter(|function| function.get("kind").is_some_and(is_keyed_function)).collect()
        }
        FlowTable::KIND | FlowClass::KIND => vec![config],
        _ if is_keyed_function(&kind.into()) => vec![config],
        _ => Vec::new(),
    }
}

/// Whether a kind is that of a function of chains that keeps something of flows.
fn is_keyed_function(kind: &toml::Value) -> bool {
    let kinds = [Firewall::KIND, Maglev::KIND, Monitor::KIND, Nat::KIND, VerdictFilter::KIND];
    kind.as_str().is_some_and(|kind| kinds.contains(&kind))
}

/// Whether a brick fills the scores that are a graph's result.
pub fn fills_scores(kind: &str, config: &toml::Table) -> bool {
    let is_scores = |value: &toml::Value| value.as_str() == Some(&*SCORES.name);
    let named = || config.get("scores").map_or_else(|| names(config, "outputs", SCORES.name), is_scores);
    matches!(kind, Autoencoder::KIND | Detector::KIND) || kind == Onnx::KIND && named()
}

/// Whether the inputs or outputs of a network in an `onnx` brick's configuration name a column, as they do where there are none.
fn names(config: &toml::Table, key: &str, column: Cow<'_, str>) -> bool {
    let ports = config.get(key).and_then(toml::Value::as_table);
    ports.is_none_or(|ports| ports.is_empty() || ports.values().any(|v| v.as_str() == Some(&*column)))
}

/// Makes a brick of the given kind.
///
/// # Errors
/// If the kind is unknown, its configuration is wrong, or the context lacks what it needs.
pub fn build(
    kind: &str,
    config: &toml::Table,
    context: &Context<'_>,
) -> Result<Box<dyn Brick>, CatalogError> {
    let descriptor = describe(kind)?;
    let kind = descriptor.kind;
    let missing = |what| CatalogError::Missing { kind, what };
    let refused = |error| CatalogError::Nf { kind, error };
    let flow = |error| CatalogError::Flow { kind, error };
    let detector =
        || context.detector.clone().ok_or(missing("a model of `legonf train kitsune --detector` (--model)"));
    let kitnet = || context.kitnet.clone().ok_or(missing("a KitNET model (--model)"));
    Ok(match kind {
        PacketBatching::KIND => Box::new(PacketBatching::new(read(kind, config)?)),
        FeatureQuantization::KIND => Box::new(extractor(&read(kind, config)?, context.trained)?),
        FeatureMapping::KIND => Box::new(FeatureMapping::new(read(kind, config)?, kitnet()?)),
        Autoencoder::KIND => Box::new(Autoencoder::new(read(kind, config)?, kitnet()?)),
        Onnx::KIND => {
            let make = context.engine.ok_or(missing("a model (--model)"))?;
            Box::new(Onnx::new(&read(kind, config)?, make()?)?)
        }
        Detector::KIND => Box::new(Detector::new(read(kind, config)?, detector()?)),
        SampleResultQuantization::KIND => {
            Box::new(SampleResultQuantization::new(read(kind, &with_threshold(config, context))?)?)
        }
        Classification::KIND => Box::new(Classification::new(read(kind, &with_classes(config, context))?)?),
        FlowTable::KIND => Box::new(FlowTable::new(read(kind, config)?).map_err(flow)?),
        FlowStatistics::KIND => Box::new(FlowStatistics::new(read(kind, config)?).map_err(flow)?),
        FlowClass::KIND => {
            Box::new(FlowClass::new(read(kind, &with_labels(config, context))?).map_err(flow)?)
        }
        PacketImage::KIND => Box::new(PacketImage::new(read(kind, config)?).map_err(flow)?),
        Dispose::KIND => Box::new(Dispose::new(read(kind, config)?, context.ports).map_err(refused)?),
        Vlan::KIND => Box::new(Vlan::new(read(kind, config)?).map_err(refused)?),
        Dscp::KIND => Box::new(Dscp::new(read(kind, config)?).map_err(refused)?),
        RateLimit::KIND => Box::new(RateLimit::new(read(kind, config)?).map_err(refused)?),
        CheckIpHeader::KIND => Box::new(CheckIpHeader::brick(read(kind, config)?)),
        DecrementTtl::KIND => Box::new(DecrementTtl::brick(read(kind, config)?)),
        MacSwap::KIND => Box::new(MacSwap::brick(read(kind, config)?)),
        IpFilter::KIND => Box::new(IpFilter::brick(&read(kind, config)?).map_err(refused)?),
        Ids::KIND => Box::new(Ids::new(&read(kind, config)?).map_err(refused)?),
        VerdictFilter::KIND => Box::new(VerdictFilter::brick(&read(kind, config)?).map_err(refused)?),
        Firewall::KIND => Box::new(Firewall::brick(&read(kind, config)?).map_err(refused)?),
        Monitor::KIND => Box::new(Monitor::brick(&read(kind, config)?).map_err(refused)?),
        Nat::KIND => Box::new(Nat::brick(&read(kind, config)?).map_err(refused)?),
        Maglev::KIND => Box::new(Maglev::brick(&read(kind, config)?).map_err(refused)?),
        FastPath::KIND => Box::new(FastPath::brick(&read(kind, config)?).map_err(refused)?),
        ApplyActions::KIND => Box::new(ApplyActions::new(&read(kind, config)?)),
        _ => return Err(CatalogError::UnknownKind { kind: kind.to_owned() }),
    })
}

fn read<T: DeserializeOwned>(kind: &'static str, config: &toml::Table) -> Result<T, CatalogError> {
    // As a text it also names the key.
    let message = |e: toml::de::Error| e.to_string().trim_end().replace('\n', " ");
    config.clone().try_into().map_err(|error| CatalogError::Config { kind, message: message(error) })
}

/// An extractor that gives the features the models were trained on.
fn extractor(
    config: &legonf_extract::Config,
    trained: &[Trained<'_>],
) -> Result<FeatureQuantization, CatalogError> {
    let extractor = FeatureQuantization::new(config)?;
    let found = extractor.schema();
    let Some(other) = trained.iter().find(|trained| trained.schema.hash() != found.hash()) else {
        return Ok(extractor);
    };
    let named = |s: &Schema| format!("{} ({})", s.name, s.hash());
    let model = other.model.map_or_else(String::new, |model| format!("`{model}` "));
    Err(CatalogError::Schema { found: named(found), model, expected: named(other.schema) })
}

/// The decision's configuration, with the model's threshold where it names none. Without either nothing is above
/// the threshold: there are scores, but no alerts.
fn with_threshold(config: &toml::Table, context: &Context<'_>) -> toml::Table {
    let mut config = config.clone();
    let threshold = context.threshold.unwrap_or(f64::MAX);
    config.entry("threshold").or_insert_with(|| threshold.into());
    config
}

/// The configuration of what takes a classification's labels, with those of the model's classes where it names none.
fn with_labels(config: &toml::Table, context: &Context<'_>) -> toml::Table {
    let mut config = config.clone();
    if !context.classes.is_empty() {
        let labels = || context.classes.iter().cloned().chain([UNKNOWN.to_owned()]).collect::<Vec<_>>();
        config.entry("classes").or_insert_with(|| labels().into());
    }
    config
}

/// The classification's configuration, with the model's classes where it names none.
fn with_classes(config: &toml::Table, context: &Context<'_>) -> toml::Table {
    let mut config = config.clone();
    if !context.classes.is_empty() {
        config.entry("classes").or_insert_with(|| context.classes.to_vec().into());
    }
    if let Some(unknown_below) = context.unknown_below {
        config.entry("unknown_below").or_insert_with(|| unknown_below.into());
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::ColumnSpec;

    fn error(kind: &str, config: &str) -> String {
        build(kind, &config.parse().unwrap(), &Context::default()).err().unwrap().to_string()
    }

    #[test]
    fn every_kind_is_described_by_the_brick_itself() {
        let no_model = ["feature-mapping", "autoencoder", "onnx", "detector"];
        for descriptor in KINDS.iter().filter(|d| !no_model.contains(&d.kind)) {
            let config = match descriptor.kind {
                "classification" | "flow-class" => "classes = [\"web\"]",
                "vlan" => "pop = true",
                "dscp" => "dscp = 8",
                "rate-limit" => "limits.web.packets_per_second = 1",
                "verdict-filter" => "labels = ['anomalous']",
                "firewall" => "inside = ['10.0.0.0/8']",
                "ids" => "rules = [{ action = 'log', contents = ['a'] }]",
                "nat" => "inside = ['10.0.0.0/8']\naddresses = ['192.0.2.1']",
                "maglev" => {
                    "service = '192.0.2.1:80'\nbackends = [{ name = 'a', mac = '02:00:00:00:00:01' }]"
                }
                "fast-path" => "functions = [{ kind = 'mac-swap' }]",
                "apply-actions" => "actions = 'actions'",
                _ => "",
            };
            let brick = build(descriptor.kind, &config.parse().unwrap(), &Context::default()).unwrap();
            let names = |specs: &[ColumnSpec]| ColumnSpec::names(specs);
            let own = brick.descriptor();
            assert_eq!(
                (own.kind, own.title, own.state),
                (descriptor.kind, descriptor.title, descriptor.state)
            );
            assert_eq!(names(&own.reads), names(&descriptor.reads));
            assert_eq!(names(&own.writes), names(&descriptor.writes));
        }
        for kind in no_model {
            assert!(error(kind, "").contains("--model"), "{kind}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(error("nonsense", "").contains("there are: packet-batching, feature-quantization"));
        assert!(error("packet-batching", "size = 3").contains("unknown field `size`"));
        assert!(error("feature-quantization", "schema = \"k\"").contains("unknown schema 'k'"));
        assert!(error("feature-quantization", "schema = 5").contains("invalid type"));
        assert!(error("sample-result-quantization", "threshold = inf").contains("not a finite number"));
        let port = error("disposition", "actions.anomalous = \"mirror:x\"");
        assert!(port.starts_with(
            "[brick.config] of disposition: anomalous = \"mirror:x\": the graph has no port `x`"
        ));
        assert!(
            error("disposition", "actions.anomalous = 5")
                .starts_with("[brick.config] of disposition: invalid type")
        );
        assert!(error("vlan", "").ends_with("expected either push = VID or pop = true"));
        assert!(error("dscp", "").starts_with("[brick.config] of dscp: expected dscp = CODE POINT for all"));
        assert!(
            error("dscp", "values.web = 64").ends_with("values.web = 64: expected a number from 0 to 63")
        );
        assert!(error("rate-limit", "").contains("missing field `limits`"));
        assert!(
            error("rate-limit", "limits.web.burst = 1")
                .contains("of rate-limit: limits.web: expected either")
        );
        assert!(error("rate-limit", "limits.web.bytes_per_second = -1").contains("invalid value"));
        for wrong in ["-1", "65536", "1.5", "nan", "\"46\"", "[46]"] {
            let found = error("dscp", &format!("dscp = {wrong}"));
            assert!(
                found.starts_with("[brick.config] of dscp: invalid ") && found.ends_with(" in `dscp`"),
                "{found}"
            );
        }
    }

    #[test]
    fn a_classification_has_the_classes_of_its_model_or_its_own() {
        let classes = ["web", "mail"].map(str::to_owned);
        let context = Context { classes: &classes, ..Context::default() };
        let labels = |config: &str| {
            let brick = build("classification", &config.parse().unwrap(), &context).unwrap();
            brick.descriptor().writes[0].labels.join(" ")
        };
        assert_eq!(labels(""), "web mail unknown");
        assert_eq!(labels("classes = [\"a\", \"b\"]"), "a b unknown");
        assert!(error("classification", "").contains("missing field `classes`"));
    }

    #[test]
    fn an_extractor_for_another_schema_is_refused() {
        let schema = legonf_extract::schema_by_name("kitsune-115").unwrap();
        for (model, words) in [(None, "the model was trained"), (Some("m"), "the model `m` was trained")] {
            let trained = [Trained { model, schema: &schema }];
            let context = Context { trained: &trained, ..Context::default() };
            let error = build("feature-quantization", &toml::Table::new(), &context).err().unwrap();
            let error = error.to_string();
            assert!(error.contains("kitsune-115-clean") && error.contains(words), "{error}");
            assert!(error.contains("trained on kitsune-115 ("), "{error}");
        }
    }
}
