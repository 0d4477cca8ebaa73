//! Agents that run beside a test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// An agent that listens on loopback, until it is dropped.
pub struct Agent {
    child: Child,
    pub address: String,
}

impl Agent {
    pub fn start(options: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", options)
    }

    pub fn start_at(address: &str, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
        command.args(["agent", "--listen", address]).args(options);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("it says where").to_owned();
        Self { child, address }
    }

    pub fn host(&self, name: &str) -> String {
        format!("{name}={}", self.address)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
