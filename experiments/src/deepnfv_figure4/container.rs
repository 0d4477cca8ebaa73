//! An instance in a container of the Open Container Initiative, by runc.

use super::{instance, refused, shown};
use crate::ExperimentError;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Why containers cannot be run, if so.
pub(super) fn missing(runc: &Path, rootfs: &Path) -> Option<String> {
    if Command::new(runc).arg("--version").output().is_err() {
        return Some(format!("{} is not there (apt-get install runc)", shown(runc)));
    }
    let binary = rootfs.join("legonf");
    (!binary.is_file()).then(|| format!("{} is not there (packaging/build.sh oci)", shown(&binary)))
}

/// A container with a root file system that is the binary alone.
pub(super) struct Container {
    runc: PathBuf,
    name: String,
    /// Its bundle: the configuration.
    bundle: TempDir,
}

impl Container {
    pub fn new(runc: &Path, rootfs: &Path, number: u16) -> Result<Self, ExperimentError> {
        let bundle = tempfile::tempdir().map_err(|error| refused("a folder for a container", error))?;
        let rootfs = fs::canonicalize(rootfs).map_err(|error| refused(&shown(rootfs), error))?;
        let file = bundle.path().join("config.json");
        fs::write(&file, configuration(&rootfs).to_string())
            .map_err(|error| refused(&shown(&file), error))?;
        let name = format!("legonf-{}-{number}", std::process::id());
        Ok(Self { runc: runc.to_owned(), name, bundle })
    }

    /// What runs it, with standard input and output.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.runc);
        command.arg("run").arg("--bundle").arg(self.bundle.path()).arg(&self.name);
        command
    }

    /// The process in it.
    pub fn pid(&self) -> Result<u32, ExperimentError> {
        let state = Command::new(&self.runc).args(["state", &self.name]).output();
        let state = state.map_err(|error| refused(&shown(&self.runc), error))?;
        let state: serde_json::Value =
            serde_json::from_slice(&state.stdout).map_err(|error| refused(&shown(&self.runc), error))?;
        let pid = state["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        pid.ok_or_else(|| refused(&shown(&self.runc), "it knows no process of the container"))
    }

    /// Removes what is left of it; runc has done so where its process ended in order.
    pub fn remove(self) -> Result<(), ExperimentError> {
        let removed = Command::new(&self.runc).args(["delete", "--force", &self.name]).output();
        removed.map(drop).map_err(|error| refused(&shown(&self.runc), error))
    }
}

/// A container without a network and with namespaces of its own, whose root can only be read.
fn configuration(rootfs: &Path) -> serde_json::Value {
    let command: Vec<&str> = std::iter::once("/legonf").chain(instance::ARGUMENTS).collect();
    let namespaces = ["pid", "ipc", "uts", "mount", "network"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": command,
            "env": ["PATH=/"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": { "path": rootfs, "readonly": true },
        "hostname": "legonf",
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": { "namespaces": namespaces },
    })
}
