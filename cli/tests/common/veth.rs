//! A veth pair between two network namespaces, on one end of which `legonf live` listens.
#![allow(dead_code)]

use crate::common::{example, text, trained};
use legonf_core::Batch;
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Two network namespaces with a veth pair between them: `here` in the first one, `there` in the second one.
pub struct Pair {
    pub names: [String; 2],
}

static PAIRS: AtomicU32 = AtomicU32::new(0);

pub fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output().map_err(|e| format!("ip: {e}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {arguments}: {}", error.trim())) }
}

impl Pair {
    /// Nothing, with the reason printed, where namespaces cannot be made.
    pub fn new() -> Option<Self> {
        let number = PAIRS.fetch_add(1, Ordering::Relaxed);
        let names = ["a", "b"].map(|end| format!("legonf-{}-{number}{end}", std::process::id()));
        let this = Self { names };
        if let Err(reason) = this.build() {
            eprintln!("skipped: a live run needs root and network namespaces ({reason})");
            return None;
        }
        Some(this)
    }

    fn build(&self) -> Result<(), String> {
        let [a, b] = &self.names;
        ip(&format!("netns add {a}"))?;
        ip(&format!("netns add {b}"))?;
        ip(&format!("-n {a} link add here type veth peer name there netns {b}"))?;
        for (namespace, end) in [(a, "here"), (b, "there")] {
            // Without IPv6 and ARP the kernel sends nothing of its own.
            let silence = format!("net.ipv6.conf.{end}.disable_ipv6=1");
            let _ = Command::new("ip").args(["netns", "exec", namespace, "sysctl", "-qw", &silence]).status();
            ip(&format!("-n {namespace} link set {end} arp off up"))?;
        }
        Ok(())
    }

    /// The command in the first namespace.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[0], env!("CARGO_BIN_EXE_legonf")]).args(arguments);
        command
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the run has opened its interface, after which it gives up its privileges.
    pub fn wait_for_listener(child: &Child) {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            if status.contains("NoNewPrivs:\t1") {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("nobody listens");
    }

    /// Waits until the run's graph has its workers, which comes after the interface is open and the model is read.
    pub fn wait_for_workers(child: &Child) {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            let tasks = fs::read_dir(format!("/proc/{}/task", child.id()));
            if tasks.map_or(0, Iterator::count) > 3 {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the graph does not run");
    }

    /// Sends packets into the second namespace's end of the pair.
    pub fn send(&self, packets: Vec<Vec<u8>>) {
        let namespace = File::open(format!("/run/netns/{}", self.names[1])).unwrap();
        thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let mut wire = pcap::Capture::from_device("there").unwrap().open().unwrap();
            for (i, packet) in packets.iter().enumerate() {
                wire.sendpacket(&packet[..]).unwrap();
                if i % 64 == 63 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        })
        .join()
        .unwrap();
    }

    pub fn signal(child: &Child, signal: &str) {
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    }

    /// Ends the run with a signal, as an operator does.
    pub fn stop(child: Child, signal: &str) -> Output {
        Self::signal(&child, signal);
        child.wait_with_output().unwrap()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

/// Takes what comes to an interface of a namespace, until nothing has come for a while behind the first packet.
pub fn listen(namespace: &str, interface: &'static str) -> JoinHandle<Vec<Vec<u8>>> {
    let namespace = File::open(format!("/run/netns/{namespace}")).unwrap();
    let (ready, is_ready) = mpsc::channel();
    let thread = thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        let capture = pcap::Capture::from_device(interface).unwrap().timeout(100);
        let capture = capture.snaplen(2000).buffer_size(32 << 20);
        let mut capture = capture.immediate_mode(true).open().unwrap().setnonblock().unwrap();
        ready.send(()).unwrap();
        let (mut seen, mut silence) = (Vec::new(), 0);
        while silence < if seen.is_empty() { 600 } else { 30 } {
            match capture.next_packet() {
                Ok(packet) => {
                    seen.push(packet.data.to_vec());
                    silence = 0;
                }
                Err(_) => {
                    silence += 1;
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
        seen
    });
    is_ready.recv().unwrap();
    thread
}

/// A second pair in the first namespace: what is sent out of `left` comes to `right`.
pub fn outlet(pair: &Pair) {
    let name = &pair.names[0];
    ip(&format!("-n {name} link add left type veth peer name right")).unwrap();
    for end in ["left", "right"] {
        let silence = format!("net.ipv6.conf.{end}.disable_ipv6=1");
        let mut command = Command::new("ip");
        let _ = command.args(["netns", "exec", name, "sysctl", "-qw", &silence]).status();
        ip(&format!("-n {name} link set {end} arp off up")).unwrap();
    }
}

/// The packets of the shipped capture.
pub fn packets() -> Vec<Vec<u8>> {
    let mut source = legonf_io::open(&example("synth-mini.pcap.gz")).unwrap();
    let (mut batch, mut packets) = (Batch::default(), Vec::new());
    loop {
        batch.clear();
        source.fill(&mut batch).unwrap();
        if batch.is_empty() {
            return packets;
        }
        packets.extend(batch.packets.iter().map(|(_, bytes)| bytes.to_vec()));
    }
}

/// They, so many times.
pub fn repeated(times: usize) -> Vec<Vec<u8>> {
    let packets = packets();
    packets.iter().cycle().take(times * packets.len()).cloned().collect()
}

pub struct Bench {
    pub folder: tempfile::TempDir,
    pub model: String,
}

/// Waits until something holds.
#[track_caller]
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What is in a file; nothing if it is not there.
pub fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

impl Bench {
    pub fn new() -> Self {
        Self::of("kitsune-115")
    }

    /// With a model over another schema.
    pub fn of(schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), schema));
        Self { folder, model }
    }

    pub fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    /// The arguments of a run on the interface, from the first packet on.
    pub fn live(&self) -> [&str; 6] {
        ["live", "--no-warm-up", "-i", "here", "--model", &self.model]
    }

    /// The arguments of a run that tells of every packet with a score above 0.
    pub fn alarming(&self) -> Vec<&str> {
        [&self.live()[..], &["--threshold", "0", "--json", "--buffer-timeout", "5"]].concat()
    }
}

pub fn json(output: &Output) -> serde_json::Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {error}"))
}
