//! A Kubernetes cluster for tests: etcd, API server, controllers, scheduler, and nodes with a kubelet and containerd each.
//!
//! `test.sh` runs these tests in namespaces of their own (network, mounts, processes), so that all of it ends with them.

pub mod capture;
mod image;
mod node;
mod process;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use node::Agent;
pub use process::Running;
use process::{command, run};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The bridge between all pods, which is also this machine's address among them.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// The image of `packaging/build.sh oci`, as nodes have it.
pub const IMAGE: &str = "localhost/legonf:test";

/// A cluster, with what runs on this machine for it.
pub struct Cluster {
    pub runtime: Runtime,
    pub client: Client,
    folder: TempDir,
    nodes: Mutex<Vec<Agent>>,
    _processes: Vec<Running>,
}

/// Where programs of Kubernetes and the image are; nothing where these tests are not run by `test.sh`.
pub fn given() -> Option<(PathBuf, PathBuf)> {
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    path("LEGONF_KUBERNETES").zip(path("LEGONF_IMAGE"))
}

impl Cluster {
    /// Starts one without nodes.
    pub fn start() -> Option<Self> {
        let Some((programs, _)) = given() else {
            println!("skipped: the operator on a cluster (operator/test.sh runs it, as root)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        run("ip", &["link", "add", "legonf0", "type", "bridge"]);
        run("ip", &["addr", "add", &format!("{GATEWAY}/16"), "dev", "legonf0"]);
        run("ip", &["link", "set", "legonf0", "up"]);
        let mut processes = control_plane(&programs, folder.path());
        let runtime = Runtime::new().unwrap();
        let config = folder.path().join("kubeconfig");
        let client = runtime.block_on(connect(&config));
        processes.push(spawn_name_server(folder.path(), &config));
        Some(Self { runtime, client, folder, nodes: Mutex::default(), _processes: processes })
    }

    /// What kubectl and the operator reach it by, as an administrator.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The same, as an account that has this token and the rights that roles give it.
    pub fn config_of(&self, account: &str, token: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{account}.kubeconfig"));
        fs::write(&path, kubeconfig(self.folder.path(), token)).unwrap();
        path
    }

    /// Starts a node, and waits until it is ready.
    pub fn node(&self, number: u8) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.iter().any(|node| node.number == number) {
            return;
        }
        let (programs, image) = given().unwrap();
        nodes.push(Agent::start(number, &programs, &image, self.folder.path(), &self.config()));
        let name = format!("n{number}");
        self.wait(&format!("{name} is ready"), || {
            let node = self.runtime.block_on(Api::<Node>::all(self.client.clone()).get(&name)).ok()?;
            let conditions = node.status?.conditions?;
            conditions.iter().any(|found| found.type_ == "Ready" && found.status == "True").then_some(())
        });
    }

    /// The folder of each node with the logs of its pods.
    pub fn logs(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.folder.path()).unwrap().filter_map(Result::ok);
        folders.map(|folder| folder.path().join("log/pods")).filter(|folder| folder.exists()).collect()
    }

    /// Ends all that runs on a node at once, as if it lost its power.
    pub fn lose(&self, number: u8) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let at = nodes.iter().position(|node| node.number == number).expect("the node runs");
        nodes.swap_remove(at).kill();
    }

    /// Waits until something is there, for two minutes at most.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "{what}: {}", self.state());
            sleep(Duration::from_millis(200));
        }
    }

    /// All that there is, for a message.
    fn state(&self) -> String {
        let kubectl = |arguments: &[&str]| {
            let config = self.config();
            let mut kubectl = command("kubectl", arguments);
            kubectl.env("KUBECONFIG", config);
            String::from_utf8_lossy(&kubectl.output().unwrap().stdout).into_owned()
        };
        kubectl(&["get", "nodes,brickgraphs,statefulsets,jobs,pods,poddisruptionbudgets", "-A", "-o", "wide"])
            + &kubectl(&["get", "brickgraphs", "-A", "-o", "yaml"])
            + &kubectl(&["get", "events", "-A"])
    }

    /// Makes a namespace.
    pub fn namespace(&self, name: &str) {
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        self.runtime
            .block_on(Api::all(self.client.clone()).create(&PostParams::default(), &namespace))
            .unwrap();
        // Pods need its account.
        self.wait("the account of the namespace", || {
            let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
                Api::namespaced(self.client.clone(), name);
            self.runtime.block_on(accounts.get("default")).ok()
        });
    }

    /// What kubectl says; it must succeed.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = command("kubectl", arguments).env("KUBECONFIG", self.config()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

async fn connect(config: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(config).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    // An eviction that the budget refuses is not tried again until it is let.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn kubeconfig(folder: &Path, token: &str) -> String {
    let authority = folder.join("pki/apiserver.crt");
    let value: Value = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{ "name": "test", "cluster": {
            "server": "https://127.0.0.1:16443", "certificate-authority": authority,
        } }],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
    });
    value.to_string()
}

/// Starts all that is no node.
fn control_plane(programs: &Path, folder: &Path) -> Vec<Running> {
    let path = |name: &str| folder.join(name).display().to_string();
    fs::create_dir(folder.join("pki")).unwrap();
    let (key, public, tokens) = (path("pki/accounts.key"), path("pki/accounts.pub"), path("pki/tokens.csv"));
    run("openssl", &["genrsa", "-out", &key, "2048"]);
    run("openssl", &["rsa", "-in", &key, "-pubout", "-out", &public]);
    fs::write(&tokens, "admin,admin,admin,system:masters\nlimited,limited,limited,\n").unwrap();
    let etcd = "http://127.0.0.1:12379";
    let (data, peers) = (path("etcd"), "http://127.0.0.1:12380");
    let options =
        ["--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", peers];
    let etcd_runs =
        process::start("etcd", Path::new("etcd"), &[&["--data-dir", &data][..], &options].concat(), folder);
    let (pki, gateway) = (path("pki"), GATEWAY.to_string());
    let server = [
        "--etcd-servers",
        etcd,
        "--cert-dir",
        &pki,
        "--bind-address",
        "127.0.0.1",
        "--secure-port",
        "16443",
        "--advertise-address",
        &gateway,
        "--token-auth-file",
        &tokens,
        "--authorization-mode",
        "RBAC",
        "--service-account-issuer",
        "https://kubernetes.default.svc",
        "--service-account-key-file",
        &public,
        "--service-account-signing-key-file",
        &key,
        "--service-cluster-ip-range",
        "10.96.0.0/16",
    ];
    let server_runs = process::start("kube-apiserver", &programs.join("kube-apiserver"), &server, folder);
    let config = path("kubeconfig");
    fs::write(&config, kubeconfig(folder, "admin")).unwrap();
    let start = Instant::now();
    let is_up = || {
        let mut kubectl = command("kubectl", &["get", "--raw", "/readyz"]);
        folder.join("pki/apiserver.crt").exists()
            && kubectl.env("KUBECONFIG", &config).output().is_ok_and(|output| output.status.success())
    };
    while !is_up() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the API server does not come up: {}",
            folder.display()
        );
        sleep(Duration::from_millis(200));
    }
    let authority = path("pki/apiserver.crt");
    let own = ["--kubeconfig", &config, "--leader-elect=false", "--cert-dir", &pki];
    let controllers = [
        "--service-account-private-key-file",
        &key,
        "--root-ca-file",
        &authority,
        "--node-monitor-period",
        "1s",
        "--node-monitor-grace-period",
        "8s",
    ];
    let all = [&own[..], &controllers].concat();
    let controllers =
        process::start("kube-controller-manager", &programs.join("kube-controller-manager"), &all, folder);
    let scheduler = process::start("kube-scheduler", &programs.join("kube-scheduler"), &own, folder);
    vec![etcd_runs, server_runs, controllers, scheduler]
}

/// Names of pods behind headless services, as the DNS of a cluster knows them.
fn spawn_name_server(folder: &Path, config: &Path) -> Running {
    let hosts = folder.join("hosts");
    fs::create_dir(&hosts).unwrap();
    let options = [
        "--no-daemon",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--bind-interfaces",
        "--listen-address",
        &GATEWAY.to_string(),
        "--local=/cluster.local/",
        "--hostsdir",
        &hosts.display().to_string(),
    ]
    .map(str::to_owned);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = process::start("dnsmasq", Path::new("dnsmasq"), &options, folder);
    let (file, config) = (hosts.join("pods"), config.to_owned());
    spawn(move || {
        let runtime = Runtime::new().unwrap();
        let client = runtime.block_on(connect(&config));
        let mut written = String::new();
        loop {
            let pods = runtime.block_on(Api::<Pod>::all(client.clone()).list(&ListParams::default()));
            let lines =
                pods.map_or_else(|_| written.clone(), |pods| pods.items.iter().filter_map(line).collect());
            if lines != written {
                fs::write(&file, &lines).unwrap();
                written = lines;
            }
            sleep(Duration::from_millis(100));
        }
    });
    server
}

fn line(pod: &Pod) -> Option<String> {
    let (spec, address) = (pod.spec.as_ref()?, pod.status.as_ref()?.pod_ip.as_ref()?);
    let (name, service) = (spec.hostname.as_ref()?, spec.subdomain.as_ref()?);
    let mut line = String::new();
    writeln!(line, "{address} {name}.{service}.{}.svc.cluster.local", pod.namespace()?).ok()?;
    Some(line)
}
