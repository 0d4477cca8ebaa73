//! What can be said of a resource without asking the cluster.

use crate::names::{LONGEST_NAME, MOST_AGENTS};
use crate::{BrickGraph, BrickGraphSpec, Input, OperatorError, Volume};
use kube::ResourceExt;
use std::collections::BTreeSet;

/// The folder of volumes.
pub const FILES: &str = "/files";

/// Options that the operator gives itself.
const OWN: [&str; 6] = ["--host", "--cluster", "--model", "--nf", "--interface", "--controller"];

type Checked = Result<(), OperatorError>;

/// Checks a resource.
///
/// # Errors
/// Names the first field that cannot be so, and the remedy.
pub fn check(graph: &BrickGraph) -> Checked {
    let (name, spec) = (graph.name_any(), &graph.spec);
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if name.len() > LONGEST_NAME || !starts_well || !name.chars().all(is_of_a_label) {
        let reason = format!(
            "`{name}` must have at most {LONGEST_NAME} lower-case letters, digits and dashes, a letter first"
        );
        return Err(OperatorError::Name { reason });
    }
    if spec.image.trim().is_empty() {
        return Err(OperatorError::spec("image", "is empty; name an image with legonf"));
    }
    agents(spec)?;
    input(&spec.input)?;
    volumes(&spec.volumes)?;
    files(spec)?;
    arguments(&spec.args)
}

/// Whether the names of services and volumes may have a character.
fn is_of_a_label(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn agents(spec: &BrickGraphSpec) -> Checked {
    let (min, max) = (spec.agents.min, spec.agents.max);
    if max > MOST_AGENTS {
        return Err(OperatorError::spec("agents.max", format!("{max} is more than {MOST_AGENTS}")));
    }
    if min > max {
        return Err(OperatorError::spec("agents.min", format!("{min} is more than agents.max ({max})")));
    }
    if min == 0 && max > 0 {
        let reason = "is 0, and agents alone say that more are needed; take 1, or 0 for agents.max too";
        return Err(OperatorError::spec("agents.min", reason));
    }
    Ok(())
}

fn input(input: &Input) -> Checked {
    match (&input.interface, &input.capture) {
        (Some(name), None) if name.is_empty() || name.starts_with('-') => {
            Err(OperatorError::spec("input.interface", "is no interface; name one of the node, such as eth1"))
        }
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (None, None) => Err(OperatorError::spec("input", "is empty; give interface or capture")),
        (Some(_), Some(_)) => Err(OperatorError::spec("input", "has both interface and capture; give one")),
    }
}

fn volumes(volumes: &[Volume]) -> Checked {
    let mut names = BTreeSet::new();
    for volume in volumes {
        let Volume { name, config_map, secret, persistent_volume_claim, host_path, writable } = volume;
        let field = format!("volumes[{name}]");
        if name.is_empty() || name.len() > 50 || !name.chars().all(is_of_a_label) {
            let reason = "must have a name of at most 50 lower-case letters, digits and dashes";
            return Err(OperatorError::spec(field, reason));
        }
        if !names.insert(name) {
            return Err(OperatorError::spec(field, "is there twice"));
        }
        let read_only = [config_map.is_some(), secret.is_some()];
        let others = [persistent_volume_claim.is_some(), host_path.is_some()];
        if read_only.iter().chain(&others).filter(|given| **given).count() != 1 {
            let reason = "must have one of configMap, secret, persistentVolumeClaim and hostPath";
            return Err(OperatorError::spec(field, reason));
        }
        if *writable && read_only.contains(&true) {
            return Err(OperatorError::spec(field, "cannot be writable; take a claim or a hostPath"));
        }
        if host_path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(OperatorError::spec(field, "hostPath must begin with a slash"));
        }
    }
    Ok(())
}

/// Every file that is named must be in a volume.
fn files(spec: &BrickGraphSpec) -> Checked {
    let in_a_volume = |field: &str, file: &str| {
        let of = |volume: &Volume| file.starts_with(&format!("{FILES}/{}/", volume.name));
        if spec.volumes.iter().any(of) {
            return Ok(());
        }
        let reason = format!("`{file}` is in no volume; one of the name x is at {FILES}/x/");
        Err(OperatorError::spec(field, reason))
    };
    for model in &spec.models {
        in_a_volume("models", model.split_once('=').map_or(&**model, |(_, file)| file))?;
    }
    if let Some(capture) = &spec.input.capture {
        in_a_volume("input.capture", capture)?;
    }
    if spec.graph.is_empty() || spec.graph.starts_with('-') {
        return Err(OperatorError::spec("graph", "is no graph; take kitsune, or a file in a volume"));
    }
    if spec.graph.contains('/') { in_a_volume("graph", &spec.graph) } else { Ok(()) }
}

fn arguments(args: &[String]) -> Checked {
    let own = |arg: &&String| {
        let option = arg.split_once('=').map_or(arg.as_str(), |(option, _)| option);
        OWN.contains(&option)
    };
    match args.iter().find(own) {
        Some(arg) => Err(OperatorError::spec("args", format!("`{arg}` is what the operator gives itself"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A resource that is right, with a change.
    fn changed(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut spec = json!({
            "image": "legonf:1",
            "models": ["/files/models/m.onnx", "classes=/files/models/c.onnx"],
            "input": { "capture": "/files/data/a.pcap" },
            "volumes": [
                { "name": "models", "configMap": { "name": "m" } },
                { "name": "data", "persistentVolumeClaim": { "name": "d" }, "writable": true },
            ],
            "agents": { "min": 1, "max": 3 },
            "args": ["--out", "/files/data/out", "--place", "extractor=a-agent-0"],
        });
        change(&mut spec);
        let spec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
        check(&BrickGraph::new("a", spec)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        assert_eq!(changed(|_| {}), Ok(()));
        let cases: [(&str, Value, &str); 14] = [
            ("/image", json!(" "), "spec.image: is empty"),
            ("/agents/min", json!(4), "spec.agents.min: 4 is more than agents.max (3)"),
            ("/agents/min", json!(0), "spec.agents.min: is 0"),
            ("/agents/max", json!(300), "spec.agents.max: 300 is more than 256"),
            ("/input", json!({}), "spec.input: is empty"),
            ("/input", json!({ "interface": "a", "capture": "b" }), "spec.input: has both"),
            ("/input", json!({ "interface": "-" }), "spec.input.interface: is no interface"),
            ("/input/capture", json!("/x.pcap"), "spec.input.capture: `/x.pcap` is in no volume"),
            ("/models/1", json!("classes=/files/x/c.onnx"), "spec.models: `/files/x/c.onnx` is in no volume"),
            ("/volumes/1/name", json!("models"), "spec.volumes[models]: is there twice"),
            ("/volumes/0", json!({ "name": "models" }), "spec.volumes[models]: must have one of"),
            ("/volumes/1/hostPath", json!("/x"), "spec.volumes[data]: must have one of"),
            ("/volumes/0/name", json!("No"), "spec.volumes[No]: must have a name"),
            ("/args/0", json!("--host=x"), "spec.args: `--host=x` is what the operator gives itself"),
        ];
        for (pointer, value, expected) in cases {
            let found = changed(|spec| match spec.pointer_mut(pointer) {
                Some(place) => *place = value,
                None => {
                    let (parent, key) = pointer.rsplit_once('/').unwrap();
                    spec.pointer_mut(parent).unwrap()[key] = value;
                }
            });
            assert!(found.as_ref().is_err_and(|found| found.starts_with(expected)), "{pointer}: {found:?}");
        }
        let writable = changed(|spec| spec["volumes"][0]["writable"] = true.into());
        assert!(writable.unwrap_err().contains("cannot be writable"));
        assert!(changed(|spec| spec["grpah"] = "x".into()).unwrap_err().contains("unknown field `grpah`"));
    }

    #[test]
    fn a_name_that_pods_cannot_have_is_refused() {
        let named = |name: &str| {
            let spec = serde_json::from_value(json!({ "image": "a", "input": {} })).unwrap();
            check(&BrickGraph::new(name, spec)).unwrap_err().to_string()
        };
        for name in [&*"a".repeat(41), "1a", "a.b", ""] {
            assert!(named(name).starts_with(&format!("metadata.name: `{name}` must have")), "{name}");
        }
        assert!(named(&"a".repeat(40)).starts_with("spec.input"));
    }
}
