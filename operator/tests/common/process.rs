//! Programs that run beside a test.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program that is killed when it is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a program to its end; it must succeed.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) {
    let output = command(program, arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts a program; what it says is in NAME.log of a folder.
pub fn start(name: &str, program: &Path, arguments: &[&str], folder: &Path) -> Running {
    let log = File::create(folder.join(format!("{name}.log"))).unwrap();
    let mut command = command(program, arguments);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Running(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display())))
}
