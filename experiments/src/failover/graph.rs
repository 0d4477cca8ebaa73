//! Faults of the process of a graph, and of its hot standby: the processes are those of the command.

use super::seen::{Compared, Seen};
use super::{Case, milliseconds};
use crate::ExperimentError;
use crate::failover::faults::signal;
use crate::lap::Track;
use crate::offer::{Load, Offer};
use crate::other_hosts::own;
use legonf_core::{Batch, Source};
use legonf_engine::Error;
use legonf_io::sink::PacketFile;
use serde::Deserialize;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What becomes of one of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GraphFault {
    /// SIGKILL of the primary.
    KillPrimary,
    /// SIGSTOP of it until the standby has gone on, then SIGCONT.
    FreezePrimary,
    /// SIGKILL of the standby.
    KillStandby,
}

impl GraphFault {
    pub const ALL: [Self; 3] = [Self::KillPrimary, Self::FreezePrimary, Self::KillStandby];

    pub fn name(self) -> &'static str {
        match self {
            Self::KillPrimary => "graph killed",
            Self::FreezePrimary => "graph frozen",
            Self::KillStandby => "standby killed",
        }
    }

    /// What the other process says when it goes on.
    fn notice(self) -> &'static str {
        match self {
            Self::KillPrimary | Self::FreezePrimary => "the primary is lost",
            Self::KillStandby => "is lost (",
        }
    }
}

/// A capture, a model, and the scores of one thread.
pub(super) struct Graphs {
    folder: TempDir,
    model: PathBuf,
    lease: Duration,
    seconds: f64,
    expected: Vec<f64>,
}

/// What a run says of itself in JSON.
#[derive(Deserialize)]
struct Said {
    standby: StandbySaid,
}

#[derive(Deserialize)]
struct StandbySaid {
    takeover_ms: Option<f64>,
}

impl Graphs {
    /// Packets of a load, as a capture.
    pub fn new(
        model: &Path,
        load: &Load,
        track: &Arc<Track>,
        lease: Duration,
        expected: Vec<f64>,
    ) -> Result<Self, ExperimentError> {
        let folder = tempfile::tempdir().map_err(Error::from)?;
        let (mut source, mut batch) = (Offer::at_once(load.clone(), track.clone()), Batch::default());
        let mut file = PacketFile::create(&folder.path().join("capture.pcapng")).map_err(Error::from)?;
        while {
            batch.clear();
            source.fill(&mut batch).map_err(Error::from)?;
            !batch.is_empty()
        } {
            for (record, bytes) in batch.packets.iter() {
                file.packet(record, bytes).map_err(Error::from)?;
            }
        }
        file.finish().map_err(Error::from)?;
        fs::create_dir(folder.path().join("decisions")).map_err(Error::from)?;
        Ok(Self {
            folder,
            model: model.to_owned(),
            lease,
            seconds: load.seconds * load.rates.len() as f64,
            expected,
        })
    }

    /// Feeds the primary by the clock, brings a fault about in the middle, and compares the scores of who goes on.
    pub fn case(&self, fault: GraphFault) -> Result<Case, ExperimentError> {
        let out = |side: &str| self.folder.path().join(format!("{}-{side}", fault.name().replace(' ', "-")));
        let capture = self.folder.path().join("capture.pcapng");
        let mut standby = self.start(&capture, &out("standby"), ["--follow", "127.0.0.1:0"])?;
        let address = standby.wait_for("waiting for the primary, at ")?;
        let address = address.rsplit(' ').next().unwrap_or_default();
        let lead = ["--standby", &format!("b={address}")];
        let mut primary = self.start(Path::new("-"), &out("primary"), lead)?;
        let input = primary.child.stdin.take();
        let seconds = self.seconds;
        let feeder = thread::spawn(move || input.map_or(Ok(()), |input| feed(&capture, input, seconds)));
        thread::sleep(Duration::from_secs_f64(seconds / 2.0));
        let [victim, other] = match fault {
            GraphFault::KillStandby => [&mut standby, &mut primary],
            _ => [&mut primary, &mut standby],
        };
        let (pid, since) = (victim.child.id().to_string(), Instant::now());
        signal(if fault == GraphFault::FreezePrimary { "-STOP" } else { "-KILL" }, &pid)?;
        other.wait_for(fault.notice())?;
        let outage = since.elapsed();
        // Whoever was frozen comes back now, too late.
        signal("-CONT", &pid)?;
        // Who was killed reads no more, which ends the feeder, too.
        let said = other.end()?;
        victim.child.wait().map_err(Error::from)?;
        let _ = feeder.join();
        let scores = if fault == GraphFault::KillStandby { out("primary") } else { out("standby") };
        let Compared { missing, repeated, deviation } =
            Seen::read(&scores.join("scores.csv"))?.compare(&self.expected);
        let recovery_ms = said.standby.takeover_ms.unwrap_or(0.0);
        Ok(Case {
            name: fault.name(),
            faults: 1,
            losses: 1,
            packets: self.expected.len() as u64,
            lost: missing,
            repeated,
            deviation,
            recovery_ms_median: recovery_ms,
            recovery_ms_p99: recovery_ms,
            recovery_ms,
            outage_ms: milliseconds(outage),
        })
    }

    fn start(&self, capture: &Path, out: &Path, role: [&str; 2]) -> Result<Process, ExperimentError> {
        let mut command = Command::new(own()?);
        let lease = format!("{}ms", self.lease.as_millis());
        command.arg("replay").arg(capture).arg("--model").arg(&self.model).arg("--out").arg(out);
        command.args([
            "--no-warm-up",
            "--json",
            "--workers",
            "pipeline",
            "--lease",
            &lease,
            "--coordination",
        ]);
        command.arg(self.folder.path().join("decisions")).args(role);
        Process::start(command)
    }
}

/// Writes a file at a steady rate, as if its packets came by the clock.
fn feed(capture: &Path, mut to: impl Write, seconds: f64) -> io::Result<()> {
    let (bytes, start, mut written) = (fs::read(capture)?, Instant::now(), 0);
    while written < bytes.len() {
        let share = (start.elapsed().as_secs_f64() / seconds).min(1.0);
        let until = (bytes.len() as f64 * share) as usize;
        to.write_all(&bytes[written..until])?;
        written = until;
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// A process whose words are heard.
struct Process {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(mut command: Command) -> Result<Self, ExperimentError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::from)?;
        let said = child.stderr.take().ok_or_else(|| Error::refused("a process has no standard error"))?;
        Ok(Self { child, said: BufReader::new(said) })
    }

    /// The next line with this text.
    fn wait_for(&mut self, text: &str) -> Result<String, ExperimentError> {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            if self.said.read_line(&mut line).map_err(Error::from)? == 0 {
                return Err(
                    Error::refused(format!("a process has ended without a word of this: {text}")).into()
                );
            }
        }
        Ok(line.trim_end().to_owned())
    }

    /// What it says of itself at its end.
    fn end(&mut self) -> Result<Said, ExperimentError> {
        let (mut text, mut rest) = (String::new(), String::new());
        if let Some(mut output) = self.child.stdout.take() {
            output.read_to_string(&mut text).map_err(Error::from)?;
        }
        self.said.read_to_string(&mut rest).map_err(Error::from)?;
        let is_whole = self.child.wait().map_err(Error::from)?.success();
        let said = serde_json::from_str(&text).ok().filter(|_| is_whole);
        said.ok_or_else(|| Error::refused(format!("a process has failed: {}", rest.trim_end())).into())
    }
}
