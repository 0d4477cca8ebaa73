//! Agents: a StatefulSet, so that each keeps its name, address and certificate; a headless service for the addresses; a disruption budget.

use super::{CLUSTER, NOBODY, certificates, container, pod};
use crate::BrickGraph;
use crate::names::{self, PORT, Part};
use serde_json::{Value, json};

/// The agents. Another issue of certificates begins them anew, one by one.
pub fn stateful_set(graph: &BrickGraph, agents: u32, issue: &str) -> Value {
    let args = ["agent", "--listen", &format!("0.0.0.0:{PORT}"), "--cluster", CLUSTER].map(str::to_owned);
    let mut container = container(graph, "agent", &args);
    container["ports"] = json!([{ "name": "bricks", "containerPort": PORT, "protocol": "TCP" }]);
    container["env"] =
        json!([{ "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }]);
    // Each sees its own certificates alone.
    container["volumeMounts"] =
        json!([{ "name": "cluster", "mountPath": CLUSTER, "subPathExpr": "$(POD_NAME)", "readOnly": true }]);
    // The process of the graph finds it again within 8 s: names are cached for 5 s, and a connection to the old address may take 2 s. A rolling update
    // goes on later than that, so that there is a host for what the next one loses.
    container["readinessProbe"] =
        json!({ "tcpSocket": { "port": "bricks" }, "initialDelaySeconds": 8, "periodSeconds": 2 });
    container["securityContext"] = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    });
    if let Some(resources) = &graph.spec.agents.resources {
        container["resources"] = json!(resources);
    }
    let hosts: Vec<String> = (0..graph.spec.agents.max).map(|ordinal| names::agent(graph, ordinal)).collect();
    let spec = json!({
        "containers": [container],
        "volumes": [certificates(graph, &hosts)],
        "securityContext": { "runAsNonRoot": true, "runAsUser": NOBODY, "runAsGroup": NOBODY, "fsGroup": NOBODY },
        // What an agent hosts is made anew elsewhere at once, so there is nothing to wait for.
        "terminationGracePeriodSeconds": 5,
        "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 100,
            "podAffinityTerm": {
                "topologyKey": "kubernetes.io/hostname",
                "labelSelector": { "matchLabels": Part::Agent.selector(graph) },
            },
        }] } },
    });
    let metadata =
        json!({ "labels": Part::Agent.labels(graph), "annotations": { "legonf.io/issue": issue } });
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": { "name": Part::Agent.of(graph), "labels": Part::Agent.labels(graph) },
        "spec": {
            "replicas": agents,
            "serviceName": Part::Agent.of(graph),
            "podManagementPolicy": "Parallel",
            "updateStrategy": { "type": "RollingUpdate" },
            "selector": { "matchLabels": Part::Agent.selector(graph) },
            "template": pod(graph, &metadata, spec),
        },
    })
}

/// Addresses of agents by their names, also of those that are not ready yet: the process of the graph finds out itself.
pub fn service(graph: &BrickGraph) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": Part::Agent.of(graph), "labels": Part::Agent.labels(graph) },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": Part::Agent.selector(graph),
            "ports": [{ "name": "bricks", "port": PORT, "protocol": "TCP", "targetPort": "bricks" }],
        },
    })
}

/// Evictions take one agent at a time.
pub fn budget(graph: &BrickGraph, version: &str) -> Value {
    json!({
        "apiVersion": version,
        "kind": "PodDisruptionBudget",
        "metadata": { "name": Part::Agent.of(graph), "labels": Part::Agent.labels(graph) },
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": Part::Agent.selector(graph) } },
    })
}
