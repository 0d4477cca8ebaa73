//! The packets that leave a live run.

use crate::{Error, nf};
use legonf_core::{Batch, BindError, ColumnSpec, Dispositions, DropReason, Layout, PacketRecord, Port};
use legonf_live::Transmitter;
use legonf_runtime::GraphSpec;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the packets of a port go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The port.
    pub port: String,
    /// The interface that they leave by; none where they go nowhere.
    pub interface: Option<String>,
}

/// The interfaces of a graph's ports.
pub(crate) struct Transmission {
    ports: Vec<Outlet>,
    dispositions: Dispositions,
    /// Of each packet of the last batch why it was not sent, if so.
    unsent: Vec<Option<DropReason>>,
    unsent_copies: u64,
}

/// One of them.
struct Outlet {
    port: String,
    interface: Option<Transmitter>,
    sent: u64,
}

impl Transmission {
    /// Opens the interfaces that were given for the ports of a graph; none where it forwards nothing and nothing was given.
    ///
    /// # Errors
    /// If a port has no interface or several, or there is no such port; if an interface is the one that is listened to, or
    /// cannot be opened.
    pub fn open(
        (nf, spec): (Option<&Path>, &GraphSpec),
        given: &[Forward],
        listening: &str,
    ) -> Result<Option<Self>, Error> {
        if given.is_empty() && !acts(spec) {
            return Ok(None);
        }
        let names = spec.port_names();
        let in_file = |error: Error| nf::in_file(nf, error);
        for (place, Forward { port, interface }) in given.iter().enumerate() {
            check(port, &names, &given[..place]).map_err(in_file)?;
            let again = interface.as_deref().filter(|name| *name == listening || listening == "any");
            if let Some(name) = again {
                let reason =
                    "what leaves there would be captured again; give an interface that is not listened to";
                return Err(Error::refused(format!("--forward {port}={name}: {reason}")));
            }
        }
        let ports = names.into_iter().map(|port| {
            let interface = given.iter().find(|forward| forward.port == port);
            let Forward { interface, .. } = interface.ok_or_else(|| in_file(missing(&port)))?;
            let interface = interface.as_deref().map(Transmitter::open).transpose()?;
            Ok(Outlet { port, interface, sent: 0 })
        });
        let (ports, dispositions) = (ports.collect::<Result<_, Error>>()?, Dispositions::default());
        Ok(Some(Self { ports, dispositions, unsent: Vec::new(), unsent_copies: 0 }))
    }

    /// The columns that it looks at.
    pub fn reads() -> [ColumnSpec; 2] {
        [ColumnSpec::PACKETS, ColumnSpec::DISPOSITION]
    }

    /// As [`Sink::bind`](legonf_core::Sink::bind).
    pub fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.dispositions = Dispositions::bind(layout)?;
        Ok(())
    }

    /// Sends the packets of a batch, and notes those that could not be sent.
    pub fn send(&mut self, batch: &Batch) {
        self.unsent.clear();
        for (place, (record, bytes)) in batch.packets.iter().enumerate() {
            let disposition = self.dispositions.of(batch, place);
            let mut results = disposition.ports().map(|port| self.send_by(port, record, bytes));
            let unsent = results.next().and_then(Result::err);
            let unsent_copies = results.filter(Result::is_err).count() as u64;
            self.unsent.push(unsent);
            self.unsent_copies += unsent_copies;
        }
    }

    fn send_by(&mut self, port: Port, record: &PacketRecord, bytes: &[u8]) -> Result<(), DropReason> {
        let Some(outlet) = self.ports.get_mut(port.index()) else { return Ok(()) };
        let Some(interface) = &mut outlet.interface else { return Ok(()) };
        if record.captured_len() < record.wire_len {
            return Err(DropReason::Truncated);
        }
        interface.send(record.link, bytes)?;
        outlet.sent += 1;
        Ok(())
    }

    /// Why a packet of the last batch, by its place, was not sent, if so.
    pub fn unsent(&self, place: usize) -> Option<DropReason> {
        self.unsent.get(place).copied().flatten()
    }

    /// Packets that left by each port that has an interface, and mirrored copies that could not.
    pub fn sent(&self) -> (BTreeMap<String, u64>, u64) {
        let open = self.ports.iter().filter(|outlet| outlet.interface.is_some());
        (open.map(|outlet| (outlet.port.clone(), outlet.sent)).collect(), self.unsent_copies)
    }
}

/// Whether bricks of a graph rewrite packets or say what happens to them.
fn acts(spec: &GraphSpec) -> bool {
    let acting = [ColumnSpec::PACKETS, ColumnSpec::DISPOSITION];
    let kinds = spec.bricks.iter().filter_map(|brick| legonf_catalog::describe(&brick.kind).ok());
    kinds.into_iter().any(|kind| kind.writes.iter().any(|column| acting.contains(column)))
}

fn check(port: &str, known: &[String], before: &[Forward]) -> Result<(), Error> {
    let refused = |reason: String| Err(Error::refused(format!("--forward {port}=...: {reason}")));
    if !known.iter().any(|name| name == port) {
        return refused(format!("the graph has no such port (there are: {})", known.join(", ")));
    }
    match before.iter().any(|forward| forward.port == port) {
        true => refused("is given twice; a port has one interface".into()),
        false => Ok(()),
    }
}

fn missing(port: &str) -> Error {
    Error::refused(format!(
        "nothing says where packets of the port `{port}` go; add --forward {port}=IFACE, or --forward {port}=none to let them go nowhere"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str, given: &[(&str, Option<&str>)]) -> Result<bool, String> {
        let spec = GraphSpec::from_toml(text).unwrap();
        let forward = |(port, interface): &(&str, Option<&str>)| Forward {
            port: (*port).into(),
            interface: interface.map(Into::into),
        };
        let given: Vec<_> = given.iter().map(forward).collect();
        let opened = Transmission::open((Some(Path::new("g.toml")), &spec), &given, "eth0");
        opened.map(|opened| opened.is_some()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_port_has_one_interface_or_none() {
        let brick = |kind| format!("name = \"g\"\n[[brick]]\nid = \"a\"\nkind = \"{kind}\"\n");
        let (plain, acting) = (brick("packet-batching"), brick("disposition"));
        assert_eq!(open(&plain, &[]), Ok(false));
        assert_eq!(open(&plain, &[("out", None)]), Ok(true));
        assert_eq!(open(&acting, &[("out", None)]), Ok(true));
        let missing = open(&acting, &[]).unwrap_err();
        assert!(missing.starts_with("g.toml: nothing says where packets of the port `out` go"), "{missing}");
        let error = open(&plain, &[("x", None)]).unwrap_err();
        assert_eq!(error, "g.toml: --forward x=...: the graph has no such port (there are: out)");
        assert!(open(&plain, &[("out", None), ("out", None)]).unwrap_err().contains("given twice"));
        assert!(open(&plain, &[("out", Some("eth0"))]).unwrap_err().contains("captured again"));
    }
}
