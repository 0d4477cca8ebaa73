//! The ports of a graph, by name.

use crate::graph::Node;
use crate::{GraphError, GraphSpec};
use legonf_core::Port;

/// The one port of a graph that names none.
const DEFAULT: &str = "out";
/// Bytes of a name at most.
const LONGEST: usize = 64;

impl GraphSpec {
    /// The names of its ports, each at its number; `out` where it names none.
    pub fn port_names(&self) -> Vec<String> {
        if self.ports.is_empty() { vec![DEFAULT.into()] } else { self.ports.clone() }
    }
}

/// Checks the names: they are those of files, too.
pub(crate) fn check(spec: &GraphSpec) -> Result<(), GraphError> {
    let found = spec.ports.len();
    if found > Port::MOST {
        return Err(GraphError::Ports { found });
    }
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    for (place, name) in spec.ports.iter().enumerate() {
        if name.is_empty() || name.len() > LONGEST || !plain(name) {
            return refused(name, "is no name of a port: expected up to 64 letters, digits, - and _");
        }
        if spec.ports[..place].contains(name) {
            return refused(name, "is there twice; every name must be unique");
        }
    }
    Ok(())
}

/// Checks that some brick sends packets to each port but the first.
pub(crate) fn check_used(spec: &GraphSpec, bricks: &[Node]) -> Result<(), GraphError> {
    let used: Vec<Port> = bricks.iter().flat_map(|node| node.brick.ports()).collect();
    let is_used = |place: usize| used.iter().any(|port| port.index() == place);
    match (1..spec.ports.len()).find(|place| !is_used(*place)) {
        Some(place) => refused(
            &spec.ports[place],
            "is a port that no brick sends packets to; take it out, or name it in a brick's configuration",
        ),
        None => Ok(()),
    }
}

fn refused(name: &str, reason: &'static str) -> Result<(), GraphError> {
    Err(GraphError::Port { name: name.into(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Graph;
    use legonf_core::{Batch, Brick, BrickError, Descriptor, State};

    /// A brick that sends packets to the second port.
    struct Second;

    impl Brick for Second {
        fn descriptor(&self) -> Descriptor {
            let (reads, writes) = (vec![].into(), vec![].into());
            Descriptor { kind: "second", title: "second", reads, writes, state: State::Stateless }
        }

        fn ports(&self) -> Vec<Port> {
            vec![Port(1)]
        }

        fn process(&mut self, _: &mut Batch) -> Result<(), BrickError> {
            Ok(())
        }
    }

    fn assemble(ports: &str) -> Result<Vec<String>, String> {
        let text = format!("name = \"t\"\nports = {ports}\n[[brick]]\nid = \"a\"\nkind = \"k\"\n");
        let spec = GraphSpec::from_toml(&text).unwrap();
        assert_eq!(GraphSpec::from_toml(&spec.to_toml()).unwrap(), spec);
        let make = |_: &_| Ok::<_, GraphError>(Box::new(Second) as Box<dyn Brick>);
        match Graph::assemble(&spec, &[], &[], make) {
            Ok(_) => Ok(spec.port_names()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn ports_have_their_names_and_are_used() {
        assert_eq!(assemble("[]").unwrap(), ["out"]);
        assert_eq!(assemble("[\"lan\", \"deep_2-x\"]").unwrap(), ["lan", "deep_2-x"]);
        let unused = "ports: `c` is a port that no brick sends packets to; \
                      take it out, or name it in a brick's configuration";
        assert_eq!(assemble("[\"a\", \"b\", \"c\"]").unwrap_err(), unused);
        assert!(assemble("[\"a\", \"a\"]").unwrap_err().starts_with("ports: `a` is there twice"));
        for name in ["", "../x", "a b", "ä", &"x".repeat(65)] {
            assert!(assemble(&format!("[\"{name}\"]")).unwrap_err().contains("is no name of a port"));
        }
        let many: Vec<_> = (0..257).map(|n| format!("p{n}")).collect();
        let error = assemble(&format!("{many:?}")).unwrap_err();
        assert_eq!(error, "ports: 257 of them; a graph has at most 256");
    }
}
