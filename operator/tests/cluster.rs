//! The operator against a real cluster: what it makes, what it says, and that nothing that happens to agents shows in the results.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::capture::{Capture, Feed};
use common::{Cluster, IMAGE, Running};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use legonf_operator::{BrickGraph, BrickGraphStatus};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The cluster of all tests, which have a namespace each; nothing where they are not run for it.
fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER
        .get_or_init(|| {
            let cluster = Cluster::start()?;
            let defined = operator(&["crd"], &cluster.config()).output().unwrap();
            let file = cluster.config().with_file_name("crd.yaml");
            fs::write(&file, defined.stdout).unwrap();
            cluster.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()]);
            cluster.kubectl(&["wait", "--for=condition=Established", "crd/brickgraphs.legonf.io"]);
            Some(cluster)
        })
        .as_ref()
}

fn operator(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf-operator"));
    command.args(arguments).env("KUBECONFIG", config);
    command
}

/// A namespace with an operator that looks after it.
struct Bench {
    cluster: &'static Cluster,
    namespace: &'static str,
    _operator: Running,
}

impl Bench {
    fn new(cluster: &'static Cluster, namespace: &'static str, options: &[&str]) -> Self {
        cluster.namespace(namespace);
        Self::with(cluster, namespace, options, &cluster.config())
    }

    fn with(cluster: &'static Cluster, namespace: &'static str, options: &[&str], config: &Path) -> Self {
        let run = [&["run", "--namespace", namespace, "--tick", "0.5"][..], options].concat();
        let operator = operator(&run, config).stderr(Stdio::inherit()).spawn().unwrap();
        Self { cluster, namespace, _operator: Running(operator) }
    }

    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.cluster.client.clone(), self.namespace)
    }

    fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        self.cluster.runtime.block_on(self.api::<K>().get_opt(name)).unwrap()
    }

    fn create(&self, name: &str, spec: Value) {
        let graph = BrickGraph::new(name, serde_json::from_value(spec).unwrap());
        self.cluster.runtime.block_on(self.api().create(&PostParams::default(), &graph)).unwrap();
    }

    fn change(&self, name: &str, spec: Value) {
        let (api, patch) = (self.api::<BrickGraph>(), Patch::Merge(json!({ "spec": spec })));
        self.cluster.runtime.block_on(api.patch(name, &PatchParams::default(), &patch)).unwrap();
    }

    /// Waits for a condition whose reason is this, and gives its message.
    #[track_caller]
    fn condition(&self, graph: &str, kind: &str, reason: &str) -> String {
        self.cluster.wait(&format!("{graph}: {kind} {reason}"), || {
            let status: BrickGraphStatus = self.get::<BrickGraph>(graph)?.status?;
            let found = status.conditions.into_iter().find(|condition| condition.type_ == kind)?;
            (found.reason == reason).then_some(found.message)
        })
    }

    fn agents(&self, graph: &str) -> Option<i32> {
        self.get::<StatefulSet>(&format!("{graph}-agent"))?.spec.replicas
    }

    #[track_caller]
    fn wait_for_agents(&self, graph: &str, agents: i32) {
        self.cluster.wait(&format!("{graph}: {agents} agents"), || {
            (self.agents(graph) == Some(agents)).then_some(())
        });
        self.wait_until_ready(graph, agents);
    }

    #[track_caller]
    fn wait_until_ready(&self, graph: &str, agents: i32) {
        self.cluster.wait(&format!("{graph}: {agents} agents are ready"), || {
            let set = self.get::<StatefulSet>(&format!("{graph}-agent"))?;
            let (generation, status) = (set.metadata.generation, set.status?);
            let is_current = status.observed_generation == generation
                && status.current_revision == status.update_revision
                && status.updated_replicas.unwrap_or(agents) == agents;
            (is_current && status.ready_replicas.unwrap_or(0) == agents).then_some(())
        });
    }

    fn pods(&self, part: &str) -> Vec<Pod> {
        let params = ListParams::default().labels(&format!("app.kubernetes.io/component={part}"));
        self.cluster.runtime.block_on(self.api::<Pod>().list(&params)).unwrap().items
    }

    fn uid(&self, pod: &str) -> Option<String> {
        self.get::<Pod>(pod)?.uid()
    }

    fn node_of(&self, pod: &str) -> u8 {
        let node = self.get::<Pod>(pod).unwrap().spec.unwrap().node_name.unwrap();
        node.strip_prefix('n').unwrap().parse().unwrap()
    }

    /// Asks for the eviction of a pod, as `kubectl drain` does; gives the code of the answer.
    fn evict(&self, pod: &str) -> u16 {
        let eviction = json!({
            "apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": { "name": pod, "namespace": self.namespace },
        });
        let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", self.namespace);
        let request = http::Request::post(path).header("content-type", "application/json");
        let request = request.body(eviction.to_string().into_bytes()).unwrap();
        match self.cluster.runtime.block_on(self.cluster.client.request::<Value>(request)) {
            Ok(_) => 201,
            Err(kube::Error::Api(status)) => status.code,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A resource that needs no files.
fn listening(agents: Value) -> Value {
    json!({ "image": IMAGE, "input": { "interface": "lo" }, "agents": agents })
}

#[test]
#[ignore = "needs a cluster: operator/test.sh --cluster"]
fn what_is_wrong_with_a_resource_is_in_its_status() {
    let Some(cluster) = cluster() else { return };
    let bench = Bench::new(cluster, "wrong", &[]);
    bench.create("bounds", listening(json!({ "min": 3, "max": 2 })));
    let message = bench.condition("bounds", "Accepted", "InvalidSpec");
    assert_eq!(message, "spec.agents.min: 3 is more than agents.max (2)");
    assert_eq!(bench.agents("bounds"), None);

    let mut missing = listening(json!({}));
    missing["volumes"] = json!([{ "name": "models", "configMap": { "name": "models" } }]);
    missing["models"] = json!(["/files/models/m.onnx"]);
    bench.create("missing", missing);
    let message = bench.condition("missing", "Accepted", "MissingReference");
    assert_eq!(message, "spec.volumes[models]: there is no ConfigMap `models` in the namespace; create it");
    let map: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "models" } })).unwrap();
    cluster.runtime.block_on(bench.api().create(&PostParams::default(), &map)).unwrap();
    bench.condition("missing", "Accepted", "Accepted");

    // Something of a name that it needs is there, and not its own.
    let secret: Secret =
        serde_json::from_value(json!({ "metadata": { "name": "taken-authority" } })).unwrap();
    cluster.runtime.block_on(bench.api().create(&PostParams::default(), &secret)).unwrap();
    bench.create("taken", listening(json!({})));
    let message = bench.condition("taken", "Accepted", "NameTaken");
    assert!(message.starts_with("Secret `taken-authority` is there already"), "{message}");
    assert!(bench.get::<Secret>("taken-authority").unwrap().data.is_none(), "it is as it was");

    // What the schema refuses, the API server does.
    let refused = |spec: Value| {
        let graph = json!({ "apiVersion": "legonf.io/v1alpha1", "kind": "BrickGraph", "metadata": { "name": "x" }, "spec": spec });
        let request = http::Request::post("/apis/legonf.io/v1alpha1/namespaces/wrong/brickgraphs");
        let request = request.header("content-type", "application/json").body(graph.to_string().into_bytes());
        let sent = cluster.runtime.block_on(cluster.client.request::<Value>(request.unwrap()));
        sent.unwrap_err().to_string()
    };
    assert!(refused(json!({ "input": {} })).contains("spec.image"));
    assert!(refused(listening(json!({ "max": 257 }))).contains("spec.agents.max"));
}

#[test]
#[ignore = "needs a cluster: operator/test.sh --cluster"]
fn graphs_of_one_name_in_two_namespaces_have_their_own_objects_which_go_with_them() {
    let Some(cluster) = cluster() else { return };
    let benches = ["one", "two"].map(|namespace| Bench::new(cluster, namespace, &[]));
    for bench in &benches {
        bench.create("same", listening(json!({ "min": 2, "max": 3 })));
    }
    let secrets = benches.each_ref().map(|bench| {
        bench.condition("same", "Ready", "AgentsMissing");
        bench.wait_for_agents_to_be_made("same", 2);
        bench.get::<Secret>("same-authority").unwrap().data.unwrap()
    });
    assert!(secrets[0] != secrets[1], "an authority each");
    let agents = &benches[0].get::<Secret>("same-certificates").unwrap().data.unwrap();
    assert_eq!(agents.len(), 3 * 4, "three files for each of three agents and the process of the graph");
    // Looking again changes nothing.
    let version = |bench: &Bench| bench.get::<Service>("same-agent").unwrap().metadata.resource_version;
    let before = version(&benches[1]);
    sleep(Duration::from_secs(2));
    assert_eq!(version(&benches[1]), before);
    // A bound that changes holds.
    benches[0].change("same", json!({ "agents": { "min": 1, "max": 1 } }));
    benches[0].wait_for_agents_to_be_made("same", 1);

    let deleted = benches[0].api::<BrickGraph>();
    cluster.runtime.block_on(deleted.delete("same", &DeleteParams::default())).unwrap();
    cluster.wait("all of the graph is gone", || {
        let left = cluster.kubectl(&["get", "sts,svc,pdb,secrets,pods", "-n", "one", "-o", "name"]);
        (!left.contains("same")).then_some(())
    });
    assert_eq!(benches[1].agents("same"), Some(2));
}

impl Bench {
    #[track_caller]
    fn wait_for_agents_to_be_made(&self, graph: &str, agents: i32) {
        self.cluster.wait(&format!("{graph}: {agents} agents are made"), || {
            (self.agents(graph) == Some(agents)).then_some(())
        });
    }
}

#[test]
#[ignore = "needs a cluster: operator/test.sh --cluster"]
fn an_operator_that_may_not_says_so() {
    let Some(cluster) = cluster() else { return };
    let limited = cluster.config_of("limited", "limited");
    let refused = operator(&["run", "--namespace", "default"], &limited).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.starts_with("legonf-operator: brickgraphs.legonf.io is forbidden"), "{said}");
    // It may see graphs and say how they are, but make nothing.
    let roles = cluster.config().with_file_name("roles.yaml");
    let rules = json!([{ "apiGroups": ["legonf.io"], "resources": ["brickgraphs", "brickgraphs/status"], "verbs": ["*"] }]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "limited" }, "rules": rules,
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": "limited" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited" }],
    });
    fs::write(&roles, json!({ "apiVersion": "v1", "kind": "List", "items": [role, binding] }).to_string())
        .unwrap();
    cluster.kubectl(&["apply", "-f", &roles.display().to_string()]);
    cluster.namespace("limited");
    let bench = Bench::with(cluster, "limited", &[], &limited);
    bench.create("a", listening(json!({})));
    let message = bench.condition("a", "Ready", "Forbidden");
    assert!(message.contains("is forbidden: User \"limited\" cannot"), "{message}");
}

#[test]
#[ignore = "needs a cluster: operator/test.sh --cluster"]
fn the_rights_that_the_manifests_give_are_enough() {
    let Some(cluster) = cluster() else { return };
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/kubernetes");
    let file = |name: &str| manifests.join(name).display().to_string();
    cluster.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &file("crd.yaml")]);
    cluster.kubectl(&["apply", "-f", &file("operator.yaml")]);
    let account =
        ["get", "serviceaccount", "legonf-operator", "-n", "legonf", "-o", "jsonpath={.secrets[0].name}"];
    let secret = cluster.wait("the token of the account", || {
        let name = cluster.kubectl(&account);
        (!name.is_empty()).then_some(name)
    });
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), "legonf");
    let data = cluster.runtime.block_on(secrets.get(&secret)).unwrap().data.unwrap();
    let token = String::from_utf8(data["token"].0.clone()).unwrap();
    cluster.namespace("rights");
    let bench = Bench::with(cluster, "rights", &[], &cluster.config_of("legonf-operator", &token));
    let map: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "kitsune-model" } })).unwrap();
    cluster.runtime.block_on(bench.api().create(&PostParams::default(), &map)).unwrap();
    let example = file("example.yaml");
    cluster.kubectl(&["apply", "-n", "rights", "-f", &example]);
    let message = bench.condition("kitsune", "Accepted", "MissingReference");
    assert!(message.contains("PersistentVolumeClaim `traffic`"), "{message}");
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "traffic", "namespace": "rights" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    let file = cluster.config().with_file_name("claim.json");
    fs::write(&file, claim.to_string()).unwrap();
    cluster.kubectl(&["apply", "-f", &file.display().to_string()]);
    bench.condition("kitsune", "Ready", "AgentsMissing");
    bench.wait_for_agents_to_be_made("kitsune", 1);
    // All agents are gone where none are asked for, and what ran on an interface makes way for a job.
    bench.change("kitsune", json!({ "agents": { "min": 0, "max": 0 } }));
    cluster.wait("no agents", || bench.agents("kitsune").is_none().then_some(()));
    bench.condition("kitsune", "AgentsReady", "None");
    cluster.wait("the job", || bench.get::<k8s_openapi::api::batch::v1::Job>("kitsune-graph"));
    cluster.kubectl(&["delete", "-n", "rights", "brickgraph", "kitsune"]);
}

/// What the process of a graph has said, from the log on its node.
fn said(cluster: &Cluster, namespace: &str, graph: &str) -> String {
    let start = format!("{namespace}_{graph}-graph");
    let folders =
        cluster.logs().into_iter().flat_map(|logs| fs::read_dir(logs).unwrap().filter_map(Result::ok));
    let of = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(&start));
    let logs = of.filter_map(|folder| fs::read_to_string(folder.path().join("graph/0.log")).ok());
    // Each line begins with its time, the stream, and whether it is whole.
    let lines = |log: String| {
        log.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or("").to_owned() + "\n").collect::<String>()
    };
    logs.map(lines).collect()
}

#[test]
#[ignore = "needs a cluster: operator/test.sh --cluster"]
fn evictions_updates_and_the_loss_of_a_node_lose_nothing() {
    let Some(cluster) = cluster() else { return };
    [1, 2, 3].into_iter().for_each(|number| cluster.node(number));
    let (bench, capture) = (Bench::new(cluster, "losses", &[]), Capture::new());
    let places = ["extractor#0=g-agent-0", "extractor#1=g-agent-1"];
    bench.create("g", capture.spec(json!({ "min": 2, "max": 2 }), &places));
    bench.wait_for_agents("g", 2);
    let feed = Feed::new(&capture);
    bench.condition("g", "Ready", "Running");
    // From now on agents come to other nodes than that of the graph.
    let home = bench.node_of(&bench.pods("graph")[0].name_any());
    cluster.kubectl(&["cordon", &format!("n{home}")]);

    // A drain evicts one, and the budget keeps the other until the first is back.
    let before = bench.uid("g-agent-0");
    assert_eq!(bench.evict("g-agent-0"), 201);
    assert_eq!(bench.evict("g-agent-1"), 429, "one at a time");
    cluster.wait("another agent 0", || bench.uid("g-agent-0").filter(|uid| Some(uid) != before.as_ref()));
    bench.wait_until_ready("g", 2);
    wait_to_hear(cluster, "losses", "host `g-agent-0` answers again");

    // A rolling update: agents one by one, and the process of the graph stays.
    let process = bench.pods("graph")[0].uid();
    bench.change(
        "g",
        json!({ "agents": { "min": 2, "max": 2, "resources": { "requests": { "cpu": "10m" } } } }),
    );
    cluster.wait("the update begins", || {
        let set = bench.get::<StatefulSet>("g-agent")?.status?;
        (set.current_revision != set.update_revision).then_some(())
    });
    bench.wait_until_ready("g", 2);
    assert_eq!(bench.pods("graph")[0].uid(), process);
    wait_to_hear(cluster, "losses", "host `g-agent-1` answers again");

    // The node of agent 1 loses its power, when its brick is back there.
    cluster.wait("bricks at the agents", || {
        (bench.get::<BrickGraph>("g")?.status?.agents.bricks == 2).then_some(())
    });
    cluster.lose(bench.node_of("g-agent-1"));
    wait_to_hear(cluster, "losses", "host `g-agent-1` does not answer any more");
    feed.end(&capture);
    bench.condition("g", "Ready", "Completed");
    capture.check();
    let said = said(cluster, "losses", "g");
    let report: Value = serde_json::from_str(&json_of(&said)).unwrap();
    let losses = report["runtime"]["losses"].as_u64();
    assert!(losses >= Some(4), "an eviction, two updates, a node: {losses:?}: {said}");
    println!("losses {losses:?}, the longest mended in {} ms", report["runtime"]["recovery_ms_max"]);
    // All agents are given back at the end.
    bench.wait_for_agents_to_be_made("g", 0);
    cluster.kubectl(&["uncordon", &format!("n{home}")]);
}

/// Waits until the process of the graph `g` has said something.
#[track_caller]
fn wait_to_hear(cluster: &Cluster, namespace: &str, text: &str) {
    let start = Instant::now();
    while !said(cluster, namespace, "g").contains(text) {
        assert!(start.elapsed() < Duration::from_secs(60), "{text}: {}", said(cluster, namespace, "g"));
        sleep(Duration::from_millis(100));
    }
}

/// The report that a process prints at its end, behind what it said meanwhile.
fn json_of(said: &str) -> String {
    let from = said.find("\n{\n").map_or(0, |at| at + 1);
    said[from..].to_owned()
}

#[test]
#[ignore = "needs a cluster: operator/test.sh --cluster"]
fn agents_come_as_bricks_fill_them_and_go_when_they_are_not_needed() {
    let Some(cluster) = cluster() else { return };
    cluster.node(4);
    let (bench, capture) =
        (Bench::new(cluster, "scaling", &["--ticks-up", "2", "--ticks-down", "4"]), Capture::new());
    let one_core = json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "10m" } });
    let agents = json!({ "min": 1, "max": 3, "resources": one_core });
    bench.create("g", capture.spec(agents, &["extractor#1=g-agent-0"]));
    bench.wait_for_agents("g", 1);
    // The one agent has one core, and gets one brick.
    let feed = Feed::new(&capture);
    bench.wait_for_agents("g", 2);
    wait_to_hear(cluster, "scaling", "host `g-agent-1` answers");
    // One more than the bricks need.
    let patch = Patch::Merge(json!({ "spec": { "replicas": 3 } }));
    let sets = bench.api::<StatefulSet>();
    cluster.runtime.block_on(sets.patch("g-agent", &PatchParams::default(), &patch)).unwrap();
    bench.wait_for_agents_to_be_made("g", 3);
    bench.wait_for_agents("g", 2);
    feed.end(&capture);
    bench.condition("g", "Ready", "Completed");
    capture.check();
    bench.wait_for_agents_to_be_made("g", 0);
}

#[test]
#[ignore = "needs a cluster: operator/test.sh --cluster"]
fn an_image_that_is_not_there_is_told_of() {
    let Some(cluster) = cluster() else { return };
    cluster.node(4);
    let bench = Bench::new(cluster, "image", &[]);
    let mut spec = listening(json!({}));
    spec["image"] = "localhost/none:1".into();
    spec["imagePullPolicy"] = "Never".into();
    bench.create("g", spec);
    let message = bench.condition("g", "AgentsReady", "PodStuck");
    assert_eq!(message, "g-agent-0: ErrImageNeverPull, image localhost/none:1");
}
