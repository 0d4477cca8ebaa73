//! Members of etcd, as processes that can be killed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use legonf_coordination::open;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Whether etcd is installed; says so if it is not.
pub fn etcd_is_there() -> bool {
    let there =
        Command::new("etcd").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if !there {
        println!("skipped: etcd is not there (./test.sh brings it)");
    }
    there
}

/// Members on this host, with their data in a folder of their own.
pub struct Cluster {
    folder: TempDir,
    scheme: &'static str,
    ports: Vec<[u16; 2]>,
    members: Vec<Option<Child>>,
}

impl Cluster {
    /// Starts members, and waits until they answer.
    pub fn start(members: usize) -> Self {
        let cluster = Self::new(members, "http");
        cluster.wait(&cluster.place());
        cluster
    }

    /// Starts one member that takes whom its authority has certified.
    pub fn start_secure() -> Self {
        let cluster = Self::new(1, "https");
        let files = ["ca=DIR/ca.pem", "cert=DIR/host.pem", "key=DIR/host.key"].join(",");
        let files = files.replace("DIR", &cluster.certificates().display().to_string());
        cluster.wait(&format!("{},{files}", cluster.place()));
        cluster
    }

    fn new(members: usize, scheme: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if scheme == "https" {
            certify(folder.path().into());
        }
        // All ports are held until all are known, so that they differ.
        let held: Vec<_> = (0..2 * members).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let port = |at: usize| held[at].local_addr().unwrap().port();
        let ports = (0..members).map(|member| [port(2 * member), port(2 * member + 1)]).collect();
        let mut cluster = Self { folder, scheme, ports, members: Vec::new() };
        drop(held);
        for member in 0..members {
            let started = Some(cluster.spawn(member));
            cluster.members.push(started);
        }
        cluster
    }

    fn spawn(&self, member: usize) -> Child {
        let [_, peer] = self.ports[member];
        let (client, peer) = (self.url(member), format!("http://127.0.0.1:{peer}"));
        let name = |member: usize| format!("member-{member}");
        let all = self.ports.iter().enumerate();
        let all: Vec<_> =
            all.map(|(at, [_, peer])| format!("{}=http://127.0.0.1:{peer}", name(at))).collect();
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("etcd");
        command.args(["--name", &name(member), "--heartbeat-interval", "20", "--election-timeout", "150"]);
        command.arg("--data-dir").arg(self.folder.path().join(name(member)));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &all.join(",")]);
        if self.scheme == "https" {
            let file = |name: &str| self.folder.path().join(name);
            command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(file("ca.pem"));
            command.arg("--cert-file").arg(file("host.pem")).arg("--key-file").arg(file("host.key"));
        }
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Waits until there is an answer.
    fn wait(&self, place: &str) {
        let place = open(place).unwrap();
        let start = Instant::now();
        while let Err(error) = place.decision("ready") {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(start.elapsed() < Duration::from_secs(30), "{error}\n{}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where clients of a member connect to.
    pub fn url(&self, member: usize) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.ports[member][0])
    }

    /// All members, as a place of decisions.
    pub fn place(&self) -> String {
        let urls: Vec<_> = (0..self.ports.len()).map(|member| self.url(member)).collect();
        format!("etcd={}", urls.join(","))
    }

    /// The folder with `ca.pem`, `host.pem` and `host.key`.
    pub fn certificates(&self) -> PathBuf {
        self.folder.path().into()
    }

    /// SIGKILL.
    pub fn kill(&mut self, member: usize) {
        let mut child = self.members[member].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a member anew on its data, and waits until there is an answer.
    pub fn restart(&mut self, member: usize) {
        self.members[member] = Some(self.spawn(member));
        self.wait(&self.place());
    }

    fn ask(&self, member: usize, call: &str, request: &Value) -> Value {
        let post = ureq::post(format!("{}/v3/{call}", self.url(member)));
        let mut response = post.send(request.to_string()).unwrap();
        serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// The member that leads.
    pub fn leader(&self) -> usize {
        let leads = |member: &usize| {
            let status = self.ask(*member, "maintenance/status", &json!({}));
            status["leader"].is_string() && status["leader"] == status["header"]["member_id"]
        };
        (0..self.ports.len()).find(leads).unwrap()
    }

    /// Seconds until the lease of a key is over.
    pub fn seconds_left(&self, key: &str) -> u64 {
        let found = self.ask(0, "kv/range", &json!({ "key": STANDARD.encode(key) }));
        let left = self.ask(0, "kv/lease/timetolive", &json!({ "ID": found["kvs"][0]["lease"] }));
        left["TTL"].as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.members.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An authority, and one certificate by it for both sides.
fn certify(folder: PathBuf) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let host = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("host.pem"), host.pem()).unwrap();
    fs::write(folder.join("host.key"), key.serialize_pem()).unwrap();
}
