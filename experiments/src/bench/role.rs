//! What a stage of a measured graph does, by the kind of its brick: a graph may name its bricks as it likes.

use legonf_decide::SampleResultQuantization;
use legonf_engine::measure;
use legonf_extract::FeatureQuantization;
use legonf_infer::{Autoencoder, FeatureMapping, Onnx};
use legonf_runtime::GraphSpec;
use legonf_wire::PacketBatching;

/// What a stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads records.
    Source,
    /// Parses headers.
    Parsing,
    /// Computes features.
    Extraction,
    /// Gathers features for the network.
    Mapping,
    /// Runs a KitNET.
    KitNet,
    /// Runs any network, features gathered.
    Generic,
    /// Holds scores against a threshold.
    Decision,
    /// Something else.
    Other,
}

impl Role {
    /// Reading records and parsing their headers.
    pub const PARSE: &[Self] = &[Self::Source, Self::Parsing];
    /// From features to scores.
    pub const NETWORK: &[Self] = &[Self::Mapping, Self::KitNet, Self::Generic];

    /// What the stage of this name does in a graph.
    pub fn of(id: &str, graph: &GraphSpec) -> Self {
        if id == measure::SOURCE {
            return Self::Source;
        }
        let brick = graph.bricks.iter().find(|brick| brick.id == id);
        match brick.map(|brick| brick.kind.as_str()) {
            Some(PacketBatching::KIND) => Self::Parsing,
            Some(FeatureQuantization::KIND) => Self::Extraction,
            Some(FeatureMapping::KIND) => Self::Mapping,
            Some(Autoencoder::KIND) => Self::KitNet,
            Some(Onnx::KIND) => Self::Generic,
            Some(SampleResultQuantization::KIND) => Self::Decision,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_engine::nf;

    #[test]
    fn every_stage_of_the_built_in_graphs_has_its_role_whatever_its_name() {
        let mut graph = nf::scoring("kitsune-115", nf::Kernel::KitNet, None);
        graph.bricks.iter_mut().zip('a'..).for_each(|(brick, name)| brick.id = name.into());
        let roles = ["source", "a", "b", "c", "d", "e", "f"].map(|id| Role::of(id, &graph));
        let expected = [
            Role::Source,
            Role::Parsing,
            Role::Extraction,
            Role::Mapping,
            Role::KitNet,
            Role::Decision,
            Role::Other,
        ];
        assert_eq!(roles, expected);
        let generic = nf::scoring("kitsune-115", nf::Kernel::Generic, None);
        assert_eq!(Role::of(&generic.bricks[2].id, &generic), Role::Generic);
    }
}
