//! A node: a kubelet with a containerd of its own, and pods on the bridge.

use super::image::{PAUSE, pause};
use super::process::{Running, run, start};
use super::{GATEWAY, IMAGE};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What runs on a node.
pub struct Agent {
    pub number: u8,
    folder: PathBuf,
    processes: Vec<Running>,
}

impl Agent {
    pub fn start(number: u8, programs: &Path, image: &Path, folder: &Path, config: &Path) -> Self {
        let (name, folder) = (format!("n{number}"), folder.join(format!("n{number}")));
        fs::create_dir_all(folder.join("cni")).unwrap();
        let at = |name: &str| folder.join(name).display().to_string();
        fs::write(folder.join("cni/pods.conflist"), network(number, &at("ipam"))).unwrap();
        fs::write(folder.join("containerd.toml"), containerd(&at(""))).unwrap();
        fs::write(folder.join("kubelet.json"), kubelet(number)).unwrap();
        // A kubelet removes logs of pods that it does not know, so each has a folder for them, in mounts of its own.
        fs::create_dir(folder.join("log")).unwrap();
        let script = "mount --bind \"$1\" /var/log && exec containerd --config \"$2\"";
        let own = ["--mount", "sh", "-c", script, "sh", &at("log"), &at("containerd.toml")];
        let containerd = start("containerd", Path::new("unshare"), &own, &folder);
        let pid = containerd.0.id().to_string();
        let socket = at("containerd.sock");
        wait_for(&folder.join("containerd.sock"));
        fs::create_dir(folder.join("pause")).unwrap();
        let pause = pause(&folder.join("pause")).display().to_string();
        let import = ["--address", &socket, "--namespace", "k8s.io", "images", "import"];
        run("ctr", &[&import[..], &[&pause]].concat());
        let (layout, archive) = (image.display().to_string(), at("legonf.tar"));
        run("tar", &["--create", "--file", &archive, "--directory", &layout, "."]);
        let (base, version) = ("localhost/legonf-built", env!("CARGO_PKG_VERSION"));
        run("ctr", &[&import[..], &["--base-name", base, &archive]].concat());
        let tag = ["--address", &socket, "--namespace", "k8s.io", "images", "tag"];
        run("ctr", &[&tag[..], &[&format!("{base}:{version}"), IMAGE]].concat());
        let (settings, config, endpoint) =
            (at("kubelet.json"), config.display().to_string(), format!("unix://{socket}"));
        let (root, pki) = (at("kubelet"), at("pki"));
        let kubelet = programs.join("kubelet").display().to_string();
        #[rustfmt::skip]
        let arguments = [
            "--target", &pid, "--mount", &kubelet, "--config", &settings, "--kubeconfig", &config, "--hostname-override",
            &name, "--container-runtime", "remote", "--container-runtime-endpoint", &endpoint, "--root-dir", &root,
            "--cert-dir", &pki,
        ];
        let kubelet = start("kubelet", Path::new("nsenter"), &arguments, &folder);
        Self { number, folder, processes: vec![kubelet, containerd] }
    }

    /// Ends it with all its pods, none of which hears of it.
    pub fn kill(self) {
        let mut processes: Vec<u32> = self.processes.iter().map(|process| process.0.id()).collect();
        processes.extend(below(&shims(&self.folder)));
        let pids: Vec<String> = processes.iter().map(u32::to_string).collect();
        let pids: Vec<&str> = pids.iter().map(String::as_str).collect();
        run("kill", &[&["-KILL"][..], &pids].concat());
    }
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", path.display());
        sleep(Duration::from_millis(100));
    }
}

/// The processes that hold the containers of a node.
fn shims(folder: &Path) -> Vec<u32> {
    let socket = folder.join("containerd.sock").display().to_string();
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_shim = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("containerd-shim") && line.contains(&socket)
    };
    pids.filter(is_shim).collect()
}

/// Some processes and those that they have started.
fn below(pids: &[u32]) -> Vec<u32> {
    let children = |pid: &u32| {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
        let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        texts
            .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
            .collect::<Vec<_>>()
    };
    let next: Vec<u32> = pids.iter().flat_map(children).collect();
    let mut all = pids.to_vec();
    if !next.is_empty() {
        all.extend(below(&next));
    }
    all
}

/// Its pods have addresses of their own on the bridge.
fn network(number: u8, leases: &str) -> String {
    let range = json!({
        "subnet": "10.244.0.0/16", "rangeStart": format!("10.244.{number}.2"), "rangeEnd": format!("10.244.{number}.250"),
        "gateway": GATEWAY,
    });
    let addresses = json!({ "type": "host-local", "dataDir": leases, "ranges": [[range]] });
    let bridge = json!({ "type": "bridge", "bridge": "legonf0", "isGateway": true, "ipam": addresses });
    json!({ "cniVersion": "0.4.0", "name": "pods", "plugins": [bridge] }).to_string()
}

fn containerd(folder: &str) -> String {
    format!(
        r#"version = 2
root = "{folder}containerd"
state = "{folder}state"
[grpc]
  address = "{folder}containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}cni"
"#
    )
}

fn kubelet(number: u8) -> String {
    let settings = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": { "anonymous": { "enabled": true }, "webhook": { "enabled": false } },
        "authorization": { "mode": "AlwaysAllow" },
        "address": "127.0.0.1", "port": 10300 + u16::from(number), "healthzPort": 0,
        "failSwapOn": false, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": false, "enforceNodeAllocatable": [],
        "clusterDNS": [GATEWAY], "clusterDomain": "cluster.local", "resolvConf": "",
        "nodeStatusUpdateFrequency": "1s", "syncFrequency": "5s", "makeIPTablesUtilChains": false,
        "evictionHard": { "memory.available": "1Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
        "imageGCHighThresholdPercent": 100,
        "featureGates": { "LocalStorageCapacityIsolation": false },
    });
    settings.to_string()
}
