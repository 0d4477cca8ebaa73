//! Runs that tests interrupt.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// A run that waits for packets at its standard input.
pub struct Running {
    pub child: Child,
    said: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Running {
    pub fn start(arguments: &[String]) -> Self {
        Self::of(command(arguments))
    }

    pub fn of(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (said, errors) = (Arc::new(Mutex::new(String::new())), child.stderr.take().unwrap());
        let heard = said.clone();
        let reader = spawn(move || {
            BufReader::new(errors)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| *heard.lock().unwrap() += &(line + "\n"));
        });
        Self { child, said, reader }
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said something.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.said().contains(text) {
            assert!(start.elapsed() < Duration::from_secs(60), "{text}: {}", self.said());
            sleep(Duration::from_millis(20));
        }
    }

    /// Its report, and all that it said.
    #[track_caller]
    pub fn end(self) -> (serde_json::Value, String) {
        let (Output { status, stdout, .. }, said) = self.output();
        assert!(status.success(), "{said}");
        (serde_json::from_slice(&stdout).unwrap(), said)
    }

    /// How it ended, and all that it said.
    pub fn output(self) -> (Output, String) {
        let output = self.child.wait_with_output().unwrap();
        self.reader.join().unwrap();
        let said = self.said.lock().unwrap().clone();
        (output, said)
    }
}

/// The command.
pub fn command(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    command.args(arguments);
    command
}

/// Sends a signal to processes.
pub fn signal(signal: &str, pids: &[String]) {
    let sent = Command::new("kill").arg(signal).args(pids).status().unwrap();
    assert!(sent.success(), "{signal} {pids:?}");
}
