//! What the resource says became of it.

use crate::{BrickGraph, OperatorError, Tally};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde_json::{Value, json};

/// Words of Kubernetes for a container that waits for what will not come by itself.
const STUCK: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "CrashLoopBackOff",
];

/// How it is with one of the conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it holds; nothing where that cannot be said.
    pub holds: Option<bool>,
    /// One word.
    pub reason: &'static str,
    /// What there is to say, and the remedy.
    pub message: String,
}

impl Finding {
    /// It holds.
    pub fn yes(reason: &'static str, message: impl Into<String>) -> Self {
        Self { holds: Some(true), reason, message: message.into() }
    }

    /// It does not hold.
    pub fn no(reason: &'static str, message: impl Into<String>) -> Self {
        Self { holds: Some(false), reason, message: message.into() }
    }

    /// It cannot be said, for what went wrong before.
    pub fn unknown(reason: &'static str) -> Self {
        Self { holds: None, reason, message: "nothing is known while `Ready` says what is wrong".into() }
    }
}

/// All that is said of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its agents.
    pub agents: Tally,
    /// Whether it makes sense, and what it names is there.
    pub accepted: Finding,
    /// Whether all agents answer.
    pub agents_ready: Finding,
    /// Whether the process of the graph runs, or has come to the end of the capture.
    pub ready: Finding,
}

impl Report {
    /// Of a graph for which nothing could be done, or not all.
    pub fn of(error: &OperatorError, graph: &BrickGraph) -> Self {
        let agents = graph.status.as_ref().map_or_else(Tally::default, |status| status.agents);
        let (reason, message) = (error.reason(), error.to_string());
        let not_accepted = Finding::no(reason, &message);
        Self {
            agents,
            accepted: if error.is_of_the_user() {
                not_accepted
            } else {
                Finding { holds: None, reason, message: message.clone() }
            },
            agents_ready: Finding::unknown(reason),
            ready: Finding::no(reason, message),
        }
    }

    /// As the status of the resource; `now` is when conditions change that do. Nothing where it says so already.
    pub fn status(&self, graph: &BrickGraph, now: &str) -> Option<Value> {
        let before = graph.status.clone().unwrap_or_default();
        let generation = graph.metadata.generation;
        let named =
            [("Accepted", &self.accepted), ("AgentsReady", &self.agents_ready), ("Ready", &self.ready)];
        let conditions =
            named.map(|(kind, finding)| condition(kind, finding, generation, &before.conditions, now));
        let status = json!({
            "observedGeneration": generation, "agents": self.agents, "conditions": conditions,
        });
        (serde_json::to_value(&before).ok().as_ref() != Some(&status)).then_some(status)
    }
}

fn condition(
    kind: &str,
    finding: &Finding,
    generation: Option<i64>,
    before: &[Condition],
    now: &str,
) -> Value {
    let status = match finding.holds {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let same = before.iter().find(|condition| condition.type_ == kind && condition.status == status);
    let since = same.map_or_else(|| json!(now), |condition| json!(condition.last_transition_time));
    let mut condition = json!({
        "type": kind, "status": status, "reason": finding.reason, "message": finding.message, "lastTransitionTime": since,
    });
    if let Some(generation) = generation {
        condition["observedGeneration"] = generation.into();
    }
    condition
}

/// What keeps a pod from running, in words.
pub fn trouble(pods: &[Pod]) -> Option<String> {
    pods.iter().find_map(|pod| {
        let status = pod.status.as_ref()?;
        let waiting = |container: &ContainerStatus| {
            let waiting = container.state.as_ref()?.waiting.as_ref()?;
            let reason = waiting.reason.as_deref().filter(|reason| STUCK.contains(reason))?;
            let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
            let exit = ended.map(|ended| {
                format!(" (it ended with exit code {}; `kubectl logs` says why)", ended.exit_code)
            });
            let image = &container.image;
            Some(format!("{}: {reason}, image {image}{}", pod.name_any(), exit.unwrap_or_default()))
        };
        let stuck = status.container_statuses.iter().flatten().find_map(waiting);
        let unschedulable = || {
            let condition = status
                .conditions
                .iter()
                .flatten()
                .find(|condition| condition.reason.as_deref() == Some("Unschedulable"))?;
            Some(format!("{}: no node takes it: {}", pod.name_any(), condition.message.as_deref()?))
        };
        stuck.or_else(unschedulable)
    })
}

/// Whether a pod is ready, and not on its way out.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready =
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BrickGraphSpec;

    fn graph() -> BrickGraph {
        let spec: BrickGraphSpec = serde_json::from_value(json!({ "image": "a", "input": {} })).unwrap();
        let mut graph = BrickGraph::new("a", spec);
        graph.metadata.generation = Some(3);
        graph
    }

    #[test]
    fn a_condition_keeps_its_time_while_it_holds_and_nothing_is_said_twice() {
        let mut graph = graph();
        let error = OperatorError::spec("image", "is empty");
        let report = Report::of(&error, &graph);
        let first = report.status(&graph, "2026-01-01T00:00:00Z").unwrap();
        assert_eq!(first["conditions"][0]["message"], "spec.image: is empty");
        assert_eq!(first["observedGeneration"], 3);
        graph.status = Some(serde_json::from_value(first).unwrap());
        assert_eq!(report.status(&graph, "2026-01-02T00:00:00Z"), None);
        let better = Report { accepted: Finding::yes("Accepted", "all is there"), ..report };
        let second = better.status(&graph, "2026-01-02T00:00:00Z").unwrap();
        let time = |at: usize| second["conditions"][at]["lastTransitionTime"].as_str().unwrap().to_owned();
        assert_eq!([time(0), time(2)], ["2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"]);
    }

    #[test]
    fn what_keeps_a_pod_from_running_is_told() {
        let pod = |status: Value| {
            serde_json::from_value::<Pod>(json!({ "metadata": { "name": "a-0" }, "status": status })).unwrap()
        };
        let waiting = |reason: &str| {
            let state = json!({ "waiting": { "reason": reason } });
            pod(json!({ "containerStatuses": [{
                "name": "agent", "image": "none:1", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }] }))
        };
        assert_eq!(trouble(&[waiting("ContainerCreating")]), None);
        assert_eq!(trouble(&[waiting("ErrImagePull")]).unwrap(), "a-0: ErrImagePull, image none:1");
        let full = pod(
            json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes" }] }),
        );
        assert_eq!(trouble(&[full]).unwrap(), "a-0: no node takes it: 0/1 nodes");
    }
}
