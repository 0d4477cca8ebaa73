//! The image that holds the namespaces of a pod: one program that waits.

use super::process::run;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Its name.
pub const PAUSE: &str = "localhost/pause:test";

const SOURCE: &str = "#include <signal.h>
#include <unistd.h>
static void end(int signal) { _exit(0); }
int main(void) { signal(SIGTERM, end); for (;;) pause(); }
";

/// Writes the image as an archive.
pub fn pause(folder: &Path) -> PathBuf {
    let at = |name: &str| folder.join(name).display().to_string();
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    fs::create_dir(folder.join("root")).unwrap();
    fs::write(folder.join("pause.c"), SOURCE).unwrap();
    run("cc", &["-static", "-o", &at("root/pause"), &at("pause.c")]);
    run("tar", &["--create", "--file", &at("layer"), "--directory", &at("root"), "pause"]);
    let kind = |kind: &str| format!("application/vnd.oci.image.{kind}");
    let layer = blob(folder, &kind("layer.v1.tar"), &fs::read(folder.join("layer")).unwrap());
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux",
        "config": { "Entrypoint": ["/pause"] }, "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
    });
    let config = blob(folder, &kind("config.v1+json"), config.to_string().as_bytes());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind("manifest.v1+json"), "config": config, "layers": [layer],
    });
    let mut manifest = blob(folder, &kind("manifest.v1+json"), manifest.to_string().as_bytes());
    manifest["annotations"] = json!({ "io.containerd.image.name": PAUSE });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let archive = folder.join("pause.tar");
    let (file, folder) = (archive.display().to_string(), folder.display().to_string());
    run("tar", &["--create", "--file", &file, "--directory", &folder, "oci-layout", "index.json", "blobs"]);
    archive
}

fn blob(folder: &Path, kind: &str, bytes: &[u8]) -> Value {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(folder.join("blobs/sha256").join(&digest), bytes).unwrap();
    json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len() })
}
