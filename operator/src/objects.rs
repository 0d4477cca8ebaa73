//! The objects of a graph, as they are applied.

mod agents;
mod graph;

pub use agents::{budget, service, stateful_set as agents};
pub use graph::{controller as graph, kind as kind_of_graph};

use crate::BrickGraph;
use crate::certificates::key;
use crate::names;
use legonf_transport::tls::OF_A_HOST;
use serde_json::{Value, json};

/// The folder of a host's certificates.
const CLUSTER: &str = "/cluster";
/// The user that agents run as, who owns nothing.
const NOBODY: u32 = 65_532;

/// The template of a pod, with what the resource says of images.
fn pod(graph: &BrickGraph, metadata: &Value, mut spec: Value) -> Value {
    spec["automountServiceAccountToken"] = false.into();
    spec["enableServiceLinks"] = false.into();
    let secrets = &graph.spec.image_pull_secrets;
    if !secrets.is_empty() {
        spec["imagePullSecrets"] = json!(secrets);
    }
    json!({ "metadata": metadata, "spec": spec })
}

/// A container of legonf.
fn container(graph: &BrickGraph, name: &str, args: &[String]) -> Value {
    let mut container = json!({ "name": name, "image": graph.spec.image, "args": args });
    if let Some(policy) = &graph.spec.image_pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    container
}

/// A volume with the certificates of some hosts, a folder each.
fn certificates(graph: &BrickGraph, hosts: &[String]) -> Value {
    let files = |host: &String| {
        let item = |file: &&str| json!({ "key": key(host, file), "path": format!("{host}/{file}") });
        OF_A_HOST.iter().map(item).collect::<Vec<_>>()
    };
    let items: Vec<Value> = hosts.iter().flat_map(files).collect();
    json!({
        "name": "cluster",
        "secret": { "secretName": names::certificates(graph), "defaultMode": 0o440, "items": items },
    })
}

/// The host and port at which an agent listens, and its name.
fn host(graph: &BrickGraph, ordinal: u32) -> String {
    let (agent, service) = (names::agent(graph, ordinal), names::Part::Agent.of(graph));
    format!("{agent}={agent}.{service}.{}.svc:{}", names::namespace(graph), names::PORT)
}
