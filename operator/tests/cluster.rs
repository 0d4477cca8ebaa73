//! The operator against a real cluster: what it makes, what it says, and that nothing that happens to agents shows in the results.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Cluster, IMAGE, Running};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use legonf_operator::{BrickGraph, BrickGraphStatus};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};
use tempfile::TempDir;

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
    let version = |bench: &Bench| bench.get::<StatefulSet>("same-agent").unwrap().metadata.resource_version;
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
    let limited = cluster.config_of("limited");
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

/// A folder with a model, what a run in one process gives, and a pipe from which a graph of the cluster reads.
struct Capture {
    folder: TempDir,
    bytes: Vec<u8>,
}

impl Capture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/synth-mini/synth-mini.pcap.gz");
        let capture = Self { folder, bytes: fs::read(&file).unwrap() };
        let (model, file, expected) =
            (capture.path("m.onnx"), file.display().to_string(), capture.path("expected"));
        let model = model.display().to_string();
        let train = ["--feature-mapping-packets", "500", "--training-packets", "1500", "--quiet"];
        legonf(&[&["train", "kitsune", &file, "-o", &model][..], &train].concat());
        let out = expected.display().to_string();
        let replay = ["--model", &model, "--no-warm-up", "--workers", "fused", "--quiet", "--out", &out];
        legonf(&[&["replay", &file][..], &replay].concat());
        fs::write(capture.path("fixed.toml"), "scaling = \"fixed\"\nfuse = false\nchallenge = 0.0\n")
            .unwrap();
        let made = Command::new("mkfifo").arg(capture.path("pipe")).status().unwrap();
        assert!(made.success());
        capture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A resource that reads the pipe, with one replica of the extractor at each of the first two agents.
    fn spec(&self, agents: Value, places: &[&str]) -> Value {
        let workers = "source batching | extractor x2 | mapping autoencoder decision sink";
        let mut args = vec![
            "--no-warm-up",
            "--workers",
            workers,
            "--oversubscribe",
            "--policy",
            "/files/data/fixed.toml",
        ];
        args.extend(["--out", "/files/data/out", "--json"]);
        args.extend(places.iter().flat_map(|place| ["--place", place]));
        json!({
            "image": IMAGE, "imagePullPolicy": "Never", "models": ["/files/data/m.onnx"],
            "input": { "capture": "/files/data/pipe" }, "agents": agents, "args": args,
            "volumes": [{ "name": "data", "hostPath": self.folder.path(), "writable": true }],
        })
    }

    #[track_caller]
    fn check(&self) {
        for file in ["scores.csv", "incidents.json", "eve.json"] {
            let [expected, found] =
                ["expected", "out"].map(|folder| fs::read(self.path(folder).join(file)).unwrap());
            assert!(!expected.is_empty() && found == expected, "{file} differs");
        }
    }
}

fn legonf(arguments: &[&str]) {
    let program = std::env::var_os("LEGONF_BINARY").expect("test.sh sets it");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
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

/// Feeds a pipe once somebody reads it: a little at a time, until the rest is to come at once.
struct Feed {
    thread: JoinHandle<usize>,
    rest: Arc<AtomicBool>,
}

impl Feed {
    fn new(capture: &Capture) -> Self {
        let (path, bytes, rest) =
            (capture.path("pipe"), capture.bytes.clone(), Arc::new(AtomicBool::new(false)));
        let hurry = rest.clone();
        let feed = move || {
            let mut pipe = File::options().write(true).open(path).unwrap();
            let mut given = 0;
            for piece in bytes.chunks(150) {
                pipe.write_all(piece).unwrap();
                if !hurry.load(Relaxed) {
                    given += 1;
                    sleep(Duration::from_millis(200));
                }
            }
            given
        };
        Self { thread: spawn(feed), rest }
    }

    /// Gives the rest, of which there must be some: until now packets came all the time.
    #[track_caller]
    fn end(self, capture: &Capture) {
        self.rest.store(true, Relaxed);
        let given = self.thread.join().unwrap();
        assert!(given > 0 && given * 150 < capture.bytes.len(), "all {given} pieces came before the end");
    }
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
