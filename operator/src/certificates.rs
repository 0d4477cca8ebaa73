//! The authority of a graph and the certificates of its hosts, in two secrets.

use crate::names::{self, Part};
use crate::server::Server;
use crate::{BrickGraph, OperatorError};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use legonf_transport::tls::{Authority, Identity, OF_A_HOST, OF_AN_AUTHORITY, Pem};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long certificates hold, and how long before they end they are made anew.
const VALID: Duration = Duration::from_secs(365 * 86_400);
const RENEWED: Duration = Duration::from_secs(120 * 86_400);
/// The seconds since 1970 at which the certificates of a secret were made.
const ISSUED: &str = "legonf.io/issued";
/// The operator itself, as a host of the cluster.
const OPERATOR: &str = "legonf-operator";

/// Certificates that are there.
pub struct Certificates {
    /// Who the operator is.
    pub identity: Identity,
    /// Which issue they are: agents begin anew with another one.
    pub issue: String,
}

/// The key of a file of a host in the secret.
pub fn key(host: &str, file: &str) -> String {
    format!("{host}.{file}")
}

/// Makes what is missing, and anew what ends soon.
///
/// # Errors
/// If a secret of this name belongs to something else or is damaged, or the API server refuses.
pub async fn ensure(
    server: &Server<'_>,
    graph: &BrickGraph,
    now: SystemTime,
) -> Result<Certificates, OperatorError> {
    let authority = authority(server, graph, now).await?;
    let identity = Identity::from_files(&authority.issue(OPERATOR, now, Duration::from_secs(3600))?)?;
    let name = names::certificates(graph);
    let found = server.own::<Secret>(&name).await?;
    let issued = found.as_ref().and_then(|secret| secret.annotations().get(ISSUED)?.parse().ok());
    let issued = issued.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    let is_due = issued.is_none_or(|issued| issued + VALID < now + RENEWED || issued > now + VALID);
    let known =
        if is_due { BTreeMap::new() } else { found.and_then(|secret| secret.data).unwrap_or_default() };
    let hosts = (0..graph.spec.agents.max).map(|ordinal| names::agent(graph, ordinal));
    let hosts: Vec<String> = hosts.chain([Part::Graph.of(graph)]).collect();
    let issued = if is_due { now } else { issued.unwrap_or(now) };
    let issue = issued.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    let mut data = Map::new();
    let mut is_complete = !is_due;
    for host in &hosts {
        let kept: Option<Vec<_>> =
            OF_A_HOST.iter().map(|file| Some((key(host, file), known.get(&key(host, file))?))).collect();
        match kept {
            Some(kept) => kept.into_iter().for_each(|(key, bytes)| drop(data.insert(key, json!(bytes)))),
            None => {
                is_complete = false;
                for Pem { file, text } in authority.issue(host, now, VALID)? {
                    data.insert(key(host, file), json!(ByteString(text.into_bytes())));
                }
            }
        }
    }
    if !is_complete || data.len() != known.len() {
        server.apply(secret(&name, graph, Value::Object(data), json!({ ISSUED: issue }))).await?;
    }
    Ok(Certificates { identity, issue })
}

/// The authority; made where there is none.
async fn authority(
    server: &Server<'_>,
    graph: &BrickGraph,
    now: SystemTime,
) -> Result<Authority, OperatorError> {
    let name = names::authority(graph);
    if let Some(secret) = server.own::<Secret>(&name).await? {
        let damaged = |reason: String| OperatorError::Secret { name: name.clone(), reason };
        let data = secret.data.unwrap_or_default();
        let pem = |file: &'static str| {
            let bytes = data.get(file).ok_or_else(|| damaged(format!("{file} is missing")))?;
            let text =
                String::from_utf8(bytes.0.clone()).map_err(|_| damaged(format!("{file} is no text")))?;
            Ok(Pem { file, text })
        };
        let files = OF_AN_AUTHORITY.map(pem).into_iter().collect::<Result<Vec<_>, OperatorError>>()?;
        return Authority::from_files(&files).map_err(|error| damaged(error.to_string()));
    }
    let authority = Authority::create(now)?;
    let data =
        authority.files().map(|Pem { file, text }| (file.to_owned(), json!(ByteString(text.into_bytes()))));
    server.apply(secret(&name, graph, Value::Object(data.into_iter().collect()), json!({}))).await?;
    Ok(authority)
}

fn secret(name: &str, graph: &BrickGraph, data: Value, annotations: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "labels": Part::Graph.labels(graph), "annotations": annotations },
        "type": "Opaque",
        "data": data,
    })
}
