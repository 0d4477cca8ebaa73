//! The custom resource.

use crate::names::MOST_AGENTS;
use k8s_openapi::api::core::v1::{LocalObjectReference, ResourceRequirements};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network function, what it reads, and the agents that its bricks can run on.
#[derive(CustomResource, Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "legonf.io",
    version = "v1alpha1",
    kind = "BrickGraph",
    namespaced,
    status = "BrickGraphStatus",
    shortname = "bg",
    printcolumn = r#"{"name":"Agents","type":"integer","jsonPath":".status.agents.ready"}"#,
    printcolumn = r#"{"name":"Wanted","type":"integer","jsonPath":".status.agents.wanted"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrickGraphSpec {
    /// Image with `legonf` as its entry point.
    pub image: String,
    /// When the image is pulled: Always, IfNotPresent or Never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<String>,
    /// Secrets by which the image is pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// The graph: the name of one that ships, or a file in a volume.
    #[serde(default = "kitsune")]
    pub graph: String,
    /// Models as --model takes them: [NAME=]FILE, where the file is in a volume.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// What the packets come from.
    pub input: Input,
    /// Files of models, graphs and captures, and places for results. Each is at /files/NAME.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// The agents that bricks can run on.
    #[serde(default)]
    pub agents: Agents,
    /// Further arguments of `legonf run` or `legonf live`, such as --eve or --place. Agent N is the host GRAPH-agent-N.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// What the process of the graph may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

fn kitsune() -> String {
    "kitsune".into()
}

/// What the packets come from: exactly one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// An interface of the node: its packets are taken until the resource is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// A capture in a volume, or a folder of captures: a job that runs once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<String>,
}

/// A volume of the process of the graph: exactly one source.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// A ConfigMap of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<Reference>,
    /// A Secret of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// A PersistentVolumeClaim of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<Reference>,
    /// A folder of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// Whether results can be written there; only to a claim or a folder of the node.
    #[serde(default)]
    pub writable: bool,
}

/// An object of the namespace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its name.
    pub name: String,
}

/// How many agents there are, and what each may take.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    /// As few; 0 only where `max` is 0 too, since agents alone say that more are needed.
    #[serde(default = "one")]
    #[schemars(range(max = MOST_AGENTS))]
    pub min: u32,
    /// As many.
    #[serde(default = "one")]
    #[schemars(range(max = MOST_AGENTS))]
    pub max: u32,
    /// What each may take; an agent hosts as many bricks as it has cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

fn one() -> u32 {
    1
}

impl Default for Agents {
    fn default() -> Self {
        Self { min: 1, max: 1, resources: None }
    }
}

/// What became of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrickGraphStatus {
    /// The generation of the resource that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many agents there are.
    #[serde(default)]
    pub agents: Tally,
    /// `Accepted`: the resource makes sense, and what it names is there. `AgentsReady`: all agents answer. `Ready`: the process of the graph runs,
    /// or has come to the end of the capture.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// A number of agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Tally {
    /// That are wanted now.
    #[serde(default)]
    pub wanted: u32,
    /// That are ready.
    #[serde(default)]
    pub ready: u32,
    /// Bricks that they host, as far as they answer.
    #[serde(default)]
    pub bricks: u32,
}

/// The definition of the resource, to be applied to a cluster.
pub fn definition() -> CustomResourceDefinition {
    BrickGraph::crd()
}
