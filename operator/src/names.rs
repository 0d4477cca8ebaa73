//! Names and labels of the objects of a graph.

use crate::BrickGraph;
use kube::ResourceExt;
use serde_json::{Value, json};

/// The most agents of a graph.
pub const MOST_AGENTS: u32 = 256;
/// The longest name of a graph, in bytes: names of pods and the values of their labels are made of it.
pub const LONGEST_NAME: usize = 40;
/// Where agents listen.
pub const PORT: u16 = 7077;
/// Who applies.
pub const MANAGER: &str = "legonf-operator";

const NAME: &str = "app.kubernetes.io/name";
const INSTANCE: &str = "app.kubernetes.io/instance";
const COMPONENT: &str = "app.kubernetes.io/component";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// A part of a graph, by which objects and pods are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The agents.
    Agent,
    /// The process of the graph.
    Graph,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Graph => "graph",
        }
    }

    /// The name of its objects.
    pub fn of(self, graph: &BrickGraph) -> String {
        format!("{}-{}", graph.name_any(), self.word())
    }

    /// Labels by which its pods are found.
    pub fn selector(self, graph: &BrickGraph) -> Value {
        json!({ NAME: "legonf", INSTANCE: graph.name_any(), COMPONENT: self.word() })
    }

    /// The same, as a query.
    pub fn query(self, graph: &BrickGraph) -> String {
        format!("{NAME}=legonf,{INSTANCE}={},{COMPONENT}={}", graph.name_any(), self.word())
    }

    /// Labels of its objects.
    pub fn labels(self, graph: &BrickGraph) -> Value {
        let mut labels = self.selector(graph);
        labels[MANAGED_BY] = MANAGER.into();
        labels
    }
}

/// The pod of an agent, which is also the name in its certificate and its name as a host.
pub fn agent(graph: &BrickGraph, ordinal: u32) -> String {
    format!("{}-{ordinal}", Part::Agent.of(graph))
}

/// The secret with the authority, which no pod has.
pub fn authority(graph: &BrickGraph) -> String {
    format!("{}-authority", graph.name_any())
}

/// The secret with the certificates of all hosts.
pub fn certificates(graph: &BrickGraph) -> String {
    format!("{}-certificates", graph.name_any())
}

/// The namespace of a graph.
pub fn namespace(graph: &BrickGraph) -> String {
    graph.namespace().unwrap_or_else(|| "default".into())
}
