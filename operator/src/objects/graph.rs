//! The process of the graph: a StatefulSet of one pod for an interface, so that there are never two; a Job for a capture.

use super::{CLUSTER, certificates, container, host, pod};
use crate::check::FILES;
use crate::names::Part;
use crate::{BrickGraph, Volume};
use serde_json::{Value, json};

/// The kind of object that runs the process.
pub fn kind(graph: &BrickGraph) -> &'static str {
    if graph.spec.input.capture.is_some() { "Job" } else { "StatefulSet" }
}

/// The object that runs the process.
pub fn controller(graph: &BrickGraph) -> Value {
    let (name, labels) = (Part::Graph.of(graph), Part::Graph.labels(graph));
    let template = template(graph);
    let metadata = json!({ "name": name, "labels": labels });
    match kind(graph) {
        "Job" => json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            // One that dies begins anew, with the first packet.
            "spec": { "backoffLimit": 3, "template": template },
        }),
        _ => json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "serviceName": name,
                "selector": { "matchLabels": Part::Graph.selector(graph) },
                "template": template,
            },
        }),
    }
}

fn template(graph: &BrickGraph) -> Value {
    let mut container = container(graph, "graph", &arguments(graph));
    let mut mounts = Vec::new();
    let mut volumes: Vec<Value> = graph.spec.volumes.iter().map(volume).collect();
    for Volume { name, writable, .. } in &graph.spec.volumes {
        mounts.push(json!({
            "name": format!("files-{name}"), "mountPath": format!("{FILES}/{name}"), "readOnly": !writable,
        }));
    }
    if graph.spec.agents.max > 0 {
        let own = Part::Graph.of(graph);
        mounts.push(json!({ "name": "cluster", "mountPath": CLUSTER, "subPath": own, "readOnly": true }));
        volumes.push(certificates(graph, &[own]));
    }
    container["volumeMounts"] = mounts.into();
    let captures = graph.spec.input.interface.is_some();
    // Root's without a right but that to listen, which legonf gives up once it does.
    let capabilities =
        if captures { json!({ "drop": ["ALL"], "add": ["NET_RAW"] }) } else { json!({ "drop": ["ALL"] }) };
    container["securityContext"] = json!({ "allowPrivilegeEscalation": false, "capabilities": capabilities });
    if let Some(resources) = &graph.spec.resources {
        container["resources"] = json!(resources);
    }
    let mut spec = json!({ "containers": [container], "volumes": volumes });
    if captures {
        spec["hostNetwork"] = true.into();
        spec["dnsPolicy"] = "ClusterFirstWithHostNet".into();
    } else {
        spec["restartPolicy"] = "Never".into();
    }
    pod(graph, &json!({ "labels": Part::Graph.labels(graph) }), spec)
}

/// A volume of the resource. Its name cannot be that of another volume of the pod.
fn volume(volume: &Volume) -> Value {
    let Volume { name, config_map, secret, persistent_volume_claim, host_path, writable } = volume;
    let mut value = json!({ "name": format!("files-{name}") });
    if let Some(map) = config_map {
        value["configMap"] = json!({ "name": map.name });
    } else if let Some(secret) = secret {
        value["secret"] = json!({ "secretName": secret.name });
    } else if let Some(claim) = persistent_volume_claim {
        value["persistentVolumeClaim"] = json!({ "claimName": claim.name, "readOnly": !writable });
    } else if let Some(path) = host_path {
        value["hostPath"] = json!({ "path": path });
    }
    value
}

/// What `legonf` is told.
fn arguments(graph: &BrickGraph) -> Vec<String> {
    let spec = &graph.spec;
    let mut args = match (&spec.input.interface, &spec.input.capture) {
        (_, Some(capture)) => vec!["run".into(), spec.graph.clone(), capture.clone()],
        (interface, None) => {
            let interface = interface.clone().unwrap_or_default();
            vec![
                "live".into(),
                "--controller".into(),
                "--interface".into(),
                interface,
                "--nf".into(),
                spec.graph.clone(),
            ]
        }
    };
    for model in &spec.models {
        args.extend(["--model".into(), model.clone()]);
    }
    // All that there can ever be: one that comes later is used once it answers.
    for ordinal in 0..spec.agents.max {
        args.extend(["--host".into(), host(graph, ordinal)]);
    }
    if spec.agents.max > 0 {
        args.extend(["--cluster".into(), CLUSTER.into()]);
    }
    args.extend(spec.args.iter().cloned());
    args
}
