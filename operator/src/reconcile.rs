//! The operator at work: for each graph it makes what its resource asks for, looks at the agents, and says what became of it.

use crate::certificates::{self, Certificates};
use crate::check::check;
use crate::error::said;
use crate::names::{self, Part};
use crate::scale::{Agent, Patience, Scaler};
use crate::server::Server;
use crate::status::{Finding, Report, is_ready, trouble};
use crate::{BrickGraph, OperatorError, Tally, load, objects};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, ListParams};
use kube::runtime::controller::{Action, Controller, Error};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How the operator works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace whose graphs it looks after; all where there is none.
    pub namespace: Option<String>,
    /// How often it looks at a graph.
    pub tick: Duration,
    /// After how many looks it changes the number of agents.
    pub patience: Patience,
}

/// What is known of graphs beyond what the API server keeps.
struct Context {
    client: Client,
    settings: Settings,
    scalers: Mutex<HashMap<String, (Scaler, Option<Instant>)>>,
}

/// Looks after graphs until the process is told to end (SIGTERM or SIGINT).
///
/// # Errors
/// If the cluster has no definition of the resource, or does not let the operator see it.
pub async fn run(client: Client, settings: Settings) -> Result<(), OperatorError> {
    let graphs: Api<BrickGraph> = api(&client, &settings);
    match graphs.list(&ListParams::default().limit(1)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => return Err(OperatorError::Undefined),
        listed => drop(listed?),
    }
    let (sets, jobs) = (api::<StatefulSet>(&client, &settings), api::<Job>(&client, &settings));
    let context = Arc::new(Context { client, settings, scalers: Mutex::default() });
    Controller::new(graphs, watcher::Config::default())
        .owns(sets, watcher::Config::default())
        .owns(jobs, watcher::Config::default())
        .shutdown_on_signal()
        .run(reconcile, again, context)
        .for_each(|done| async move {
            match done {
                Ok(_) | Err(Error::ObjectNotFound(_)) => {}
                Err(Error::ReconcilerFailed(error, graph)) => eprintln!("legonf-operator: {graph}: {error}"),
                Err(Error::QueueError(error)) => eprintln!("legonf-operator: {}", watched(&error)),
                Err(error) => eprintln!("legonf-operator: {error}"),
            }
        })
        .await;
    Ok(())
}

/// Why objects cannot be watched.
fn watched(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => said(error),
        other => other.to_string(),
    }
}

fn api<K>(client: &Client, settings: &Settings) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match &settings.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn again(_: Arc<BrickGraph>, _: &OperatorError, context: Arc<Context>) -> Action {
    Action::requeue(context.settings.tick)
}

async fn reconcile(graph: Arc<BrickGraph>, context: Arc<Context>) -> Result<Action, OperatorError> {
    if graph.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let server = Server::new(context.client.clone(), &graph);
    let work = Work { server: &server, graph: &graph, context: &context };
    let found = work.bring_about().await;
    let report = found.as_ref().map_or_else(|error| Report::of(error, &graph), Clone::clone);
    if let Some(status) = report.status(&graph, &Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    {
        server.set_status(status).await?;
        if report.ready.holds != Some(true) && !report.ready.message.is_empty() {
            let name = ObjectRef::from_obj(&*graph);
            eprintln!("legonf-operator: {name}: {}", report.ready.message);
        }
    }
    match found {
        Err(error) if !error.is_of_the_user() => Err(error),
        _ => Ok(Action::requeue(context.settings.tick)),
    }
}

/// What is done for one graph.
struct Work<'a> {
    server: &'a Server<'a>,
    graph: &'a BrickGraph,
    context: &'a Context,
}

/// How the process of the graph is doing.
enum Process {
    Absent,
    Running,
    Completed,
    Failed(String),
}

impl Work<'_> {
    async fn bring_about(&self) -> Result<Report, OperatorError> {
        check(self.graph)?;
        self.find_references().await?;
        let process = self.process().await?;
        let has_ended = matches!(process, Process::Completed | Process::Failed(_));
        let (agents, agents_ready) = self.agents(has_ended).await?;
        let enough = agents.ready >= self.graph.spec.agents.min.min(agents.wanted);
        // A job is made once: its pods cannot be changed.
        let is_made = !matches!(process, Process::Absent);
        if (is_made || enough) && !(is_made && objects::kind_of_graph(self.graph) == "Job") {
            self.server.apply(objects::graph(self.graph)).await?;
        }
        let ready = self.ready(&process, enough).await?;
        let accepted = Finding::yes("Accepted", "the resource makes sense, and what it names is there");
        Ok(Report { agents, accepted, agents_ready, ready })
    }

    /// Looks whether what volumes name is there: pods that miss it would wait without a word.
    async fn find_references(&self) -> Result<(), OperatorError> {
        for volume in &self.graph.spec.volumes {
            let missing = |kind: &'static str, name: &str| OperatorError::Missing {
                field: format!("volumes[{}]", volume.name),
                kind,
                name: name.to_owned(),
            };
            if let Some(map) = &volume.config_map {
                let found = self.server.api::<ConfigMap>().get_metadata_opt(&map.name).await?;
                found.ok_or_else(|| missing("ConfigMap", &map.name))?;
            }
            if let Some(secret) = &volume.secret {
                let found = self.server.api::<Secret>().get_metadata_opt(&secret.name).await?;
                found.ok_or_else(|| missing("Secret", &secret.name))?;
            }
            if let Some(claim) = &volume.persistent_volume_claim {
                let found = self.server.api::<PersistentVolumeClaim>().get_metadata_opt(&claim.name).await?;
                found.ok_or_else(|| missing("PersistentVolumeClaim", &claim.name))?;
            }
        }
        Ok(())
    }

    /// How the process of the graph is doing. What ran it while the resource asked for another kind of input goes.
    async fn process(&self) -> Result<Process, OperatorError> {
        let name = Part::Graph.of(self.graph);
        let set = self.server.own::<StatefulSet>(&name).await?;
        let job = self.server.own::<Job>(&name).await?;
        if objects::kind_of_graph(self.graph) == "StatefulSet" {
            if job.is_some() {
                self.server.api::<Job>().delete(&name, &DeleteParams::background()).await?;
            }
            return Ok(set.map_or(Process::Absent, |_| Process::Running));
        }
        if set.is_some() {
            self.server.api::<StatefulSet>().delete(&name, &DeleteParams::background()).await?;
        }
        let Some(job) = job else { return Ok(Process::Absent) };
        let conditions = job.status.and_then(|status| status.conditions).unwrap_or_default();
        let ended = conditions.into_iter().filter(|condition| condition.status == "True");
        let outcome = ended.into_iter().find_map(|condition| match condition.type_.as_str() {
            "Complete" => Some(Process::Completed),
            "Failed" => Some(Process::Failed(condition.message.unwrap_or_default())),
            _ => None,
        });
        Ok(outcome.unwrap_or(Process::Running))
    }

    /// Makes the agents, as many as are wanted now, and says how they are.
    async fn agents(&self, has_ended: bool) -> Result<(Tally, Finding), OperatorError> {
        let (graph, server, name) = (self.graph, self.server, Part::Agent.of(self.graph));
        let set = server.own::<StatefulSet>(&name).await?;
        server.own::<Service>(&name).await?;
        server.own::<PodDisruptionBudget>(&name).await?;
        let bounds = (graph.spec.agents.min, graph.spec.agents.max);
        if bounds.1 == 0 {
            if set.is_some() {
                server.api::<StatefulSet>().delete(&name, &DeleteParams::background()).await?;
            }
            return Ok((Tally::default(), Finding::yes("None", "no agents are asked for")));
        }
        let Certificates { identity, issue } = certificates::ensure(server, graph, SystemTime::now()).await?;
        let now = set.and_then(|set| u32::try_from(set.spec.replicas?).ok());
        let mut wanted = if has_ended { 0 } else { now.unwrap_or(bounds.0).clamp(bounds.0, bounds.1) };
        let pods = self.pods(Part::Agent).await?;
        let addresses = ready(graph, &pods, wanted);
        let ready = addresses.iter().flatten().count() as u32;
        let mut bricks = graph.status.as_ref().map_or(0, |status| status.agents.bricks);
        if !has_ended && self.is_time() {
            let known: Vec<_> = addresses.into_iter().flatten().collect();
            let answers: Vec<Agent> = load::ask(&identity, known).await.into_iter().flatten().collect();
            bricks = answers.iter().map(|agent| agent.bricks).sum();
            let all = (answers.len() == wanted as usize).then_some(&*answers);
            wanted = self.look(wanted, bounds, all);
        } else if has_ended {
            bricks = 0;
        }
        server.apply(objects::service(graph)).await?;
        server.apply(objects::budget(graph, server.policy().await?)).await?;
        server.apply(objects::agents(graph, wanted, &issue)).await?;
        let tally = Tally { wanted, ready: ready.min(wanted), bricks };
        Ok((tally, agents_ready(&tally, &pods)))
    }

    /// Whether the agents are to be looked at again; events come oftener than that.
    fn is_time(&self) -> bool {
        let mut scalers = self.context.scalers.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, looked) = scalers.entry(self.graph.uid().unwrap_or_default()).or_default();
        // Requeued a little early is requeued in time.
        let due = looked.is_none_or(|looked| looked.elapsed() * 10 >= self.context.settings.tick * 9);
        if due {
            *looked = Some(Instant::now());
        }
        due
    }

    fn look(&self, wanted: u32, bounds: (u32, u32), agents: Option<&[Agent]>) -> u32 {
        let mut scalers = self.context.scalers.lock().unwrap_or_else(PoisonError::into_inner);
        let (scaler, _) = scalers.entry(self.graph.uid().unwrap_or_default()).or_default();
        let after = scaler.look(wanted, bounds, agents, self.context.settings.patience);
        if after != wanted {
            let name = ObjectRef::from_obj(self.graph);
            eprintln!("legonf-operator: {name}: {wanted} agents become {after}");
        }
        after
    }

    async fn pods(&self, part: Part) -> Result<Vec<Pod>, OperatorError> {
        let params = ListParams::default().labels(&part.query(self.graph));
        Ok(self.server.api::<Pod>().list(&params).await?.items)
    }

    async fn ready(&self, process: &Process, enough: bool) -> Result<Finding, OperatorError> {
        Ok(match process {
            Process::Completed => Finding::yes("Completed", "the capture has been read to its end"),
            Process::Failed(reason) => {
                let remedy = "`kubectl logs` of its pods says why; delete the Job to run it again";
                Finding::no("Failed", format!("the process of the graph ended: {reason}; {remedy}"))
            }
            Process::Absent if !enough => {
                Finding::no("AgentsMissing", "it starts once agents.min agents are ready")
            }
            Process::Absent | Process::Running => {
                let pods = self.pods(Part::Graph).await?;
                match trouble(&pods) {
                    Some(reason) => Finding::no("PodStuck", reason),
                    None if pods.iter().any(is_ready) => {
                        Finding::yes("Running", "the process of the graph runs")
                    }
                    None => Finding::no("Starting", "the process of the graph is not ready yet"),
                }
            }
        })
    }
}

/// Names and addresses of the agents that are wanted, in the order of their ordinals; nothing in place of one that is not ready.
fn ready(graph: &BrickGraph, pods: &[Pod], wanted: u32) -> Vec<Option<(String, IpAddr)>> {
    let find = |ordinal| {
        let name = names::agent(graph, ordinal);
        let pod = pods.iter().find(|pod| pod.name_any() == name && is_ready(pod))?;
        let address = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
        Some((name, address))
    };
    (0..wanted).map(find).collect()
}

fn agents_ready(Tally { wanted, ready, .. }: &Tally, pods: &[Pod]) -> Finding {
    match trouble(pods) {
        _ if ready == wanted => Finding::yes("Ready", format!("{ready} of {wanted} agents are ready")),
        Some(reason) => Finding::no("PodStuck", reason),
        None => Finding::no("NotReady", format!("{ready} of {wanted} agents are ready")),
    }
}
