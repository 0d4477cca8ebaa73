//! Faults that are brought about from outside, as they happen.

use crate::ExperimentError;
use crate::other_hosts::{self, Agent, Namespace};
use legonf_engine::{Address, Error, Place, Placement, Session, Site};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a process that runs a replica is looked for, 5 ms apart; and after how many seconds one has all that the one before it had.
const TRIES: u32 = 800;
const GROWN: f64 = 1.0;

/// Ticks of a second in which Linux tells when processes were started (USER_HZ).
const TICKS: f64 = 100.0;

/// The name of the host, where there is one.
const HOST: &str = "b";

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL of a process that runs a replica.
    KillProcess,
    /// SIGSTOP of one for longer than its lease, then SIGCONT.
    FreezeProcess,
    /// One of these two, at random.
    AnyProcess,
    /// SIGKILL of the agent of a host.
    KillAgent,
    /// SIGSTOP of it for longer than the lease, then SIGCONT.
    FreezeAgent,
    /// The link to the host goes down, and comes back.
    CutLink,
}

/// What faults befall.
pub(super) struct Victims {
    agent: Option<Agent>,
    namespace: Option<Namespace>,
    certificates: Option<tempfile::TempDir>,
}

impl Victims {
    /// What some faults need.
    ///
    /// # Errors
    /// If it cannot be had here.
    pub fn of(session: &Session, faults: &[Fault]) -> Result<Self, ExperimentError> {
        let (mut victims, needs) =
            (Self { agent: None, namespace: None, certificates: None }, |fault| faults.contains(&fault));
        if needs(Fault::CutLink) {
            let namespace = Namespace::new(0)?;
            let folder = other_hosts::cluster(session, &["a", HOST])?;
            victims.agent = Some(Agent::within(&namespace, &folder.path().join(HOST))?);
            (victims.namespace, victims.certificates) = (Some(namespace), Some(folder));
        } else if needs(Fault::KillAgent) || needs(Fault::FreezeAgent) {
            victims.agent = Some(Agent::on_loopback()?);
        }
        Ok(victims)
    }

    /// Places the extractor where the faults are.
    pub fn place(&self, placement: &mut Placement) {
        let site = self.agent.as_ref().map_or(Site::Process, |_| Site::Host(HOST.to_owned()));
        placement.places.push(Place { brick: "extractor".into(), replica: None, site });
        let address = |agent: &Agent| Address { name: HOST.into(), address: agent.address.clone() };
        placement.hosts.extend(self.agent.as_ref().map(address));
        placement.cluster = self.certificates.as_ref().map(|folder| folder.path().join("a"));
    }

    /// Brings faults about, spread over the time of a run; how many losses they stand for.
    pub fn attack(
        &self,
        faults: &[Fault],
        start: Instant,
        seconds: f64,
        lease: Duration,
        mut random: Xoshiro256PlusPlus,
    ) -> Result<usize, ExperimentError> {
        let mut done = 0;
        for (number, fault) in faults.iter().enumerate() {
            let jitter = random.next_u64() as f64 / u64::MAX as f64;
            let at = seconds * (number as f64 + 0.3 + 0.4 * jitter) / (faults.len() as f64 + 0.5);
            sleep(Duration::from_secs_f64(at).saturating_sub(start.elapsed()));
            done += self.bring_about(*fault, lease, &mut random)?;
        }
        Ok(done)
    }

    fn bring_about(
        &self,
        fault: Fault,
        lease: Duration,
        random: &mut Xoshiro256PlusPlus,
    ) -> Result<usize, ExperimentError> {
        let freezes = random.next_u64().is_multiple_of(8);
        match (fault, &self.agent) {
            (Fault::KillProcess, _) => signal("-KILL", &self.process(random)?)?,
            (Fault::FreezeProcess, _) => freeze(&self.process(random)?, lease)?,
            (Fault::AnyProcess, _) if freezes => freeze(&self.process(random)?, lease)?,
            (Fault::AnyProcess, _) => signal("-KILL", &self.process(random)?)?,
            (Fault::KillAgent, Some(agent)) => signal("-KILL", &agent.id().to_string())?,
            (Fault::FreezeAgent, Some(agent)) => freeze(&agent.id().to_string(), lease)?,
            (Fault::CutLink, _) => {
                let Some(namespace) = &self.namespace else { return Ok(0) };
                namespace.set_link(false)?;
                sleep(lease * 3);
                namespace.set_link(true)?;
            }
            (Fault::KillAgent | Fault::FreezeAgent, None) => return Ok(0),
        }
        // Both replicas run there.
        Ok(if self.agent.is_some() { 2 } else { 1 })
    }

    /// One of the processes that run replicas: mostly one that has had time to take the place of another, now and then any.
    fn process(&self, random: &mut Xoshiro256PlusPlus) -> Result<String, ExperimentError> {
        let any = random.next_u64().is_multiple_of(8);
        for attempt in 0..TRIES {
            let mut found = hosting();
            if !any && attempt < TRIES / 2 {
                found.retain(|pid| age(pid).is_some_and(|age| age >= GROWN));
            }
            if let Some(count) = (found.len() as u64).checked_sub(1) {
                return Ok(found[(random.next_u64() % (count + 1)) as usize].clone());
            }
            sleep(Duration::from_millis(5));
        }
        Err(Error::refused("no process runs a replica").into())
    }
}

/// Seconds since a process was started; none where it is no more.
fn age(pid: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything, it is the 20th field.
    let started: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let now: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some(now - started / TICKS)
}

/// Processes that this one has started for replicas.
fn hosting() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let pids: Vec<String> =
        children.flat_map(|pids| pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    let hosts = |pid: &String| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"--for-parent\0"))
    };
    pids.into_iter().filter(hosts).collect()
}

pub(super) fn signal(signal: &str, pid: &str) -> Result<(), ExperimentError> {
    // One that has just ended by itself is as good as one that was killed.
    Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status().map_err(Error::from)?;
    Ok(())
}

/// Stops a process for longer than its lease, and lets it go on.
fn freeze(pid: &str, lease: Duration) -> Result<(), ExperimentError> {
    signal("-STOP", pid)?;
    sleep(lease * 2);
    signal("-CONT", pid)
}
