//! The brick that sets the dispositions of packets by their verdicts.

use crate::NfError;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Disposition, DropReason, Element, Handle,
    Layout, Port, State, Verdict,
};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Configuration of [`Dispose`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The column of verdicts. Default `verdicts`.
    pub verdicts: String,
    /// What happens to packets, by the label of their verdict or by `rejected`. Packets whose verdict is not named keep their
    /// disposition: they leave by the first port, unless an earlier brick says otherwise.
    ///
    /// | value | what happens |
    /// |---|---|
    /// | `"forward"` | they leave by the first port |
    /// | `"forward:PORT"` | they leave by that port of the graph |
    /// | `"mirror:PORT"` | they leave by the first port, and a copy by that other one |
    /// | `"drop"` | they go nowhere, and are counted as dropped for their verdict |
    pub actions: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { verdicts: "verdicts".to_owned(), actions: BTreeMap::new() }
    }
}

/// Gives each packet the disposition that its verdict stands for.
#[derive(Clone, Debug)]
pub struct Dispose {
    /// Name of the column of verdicts.
    column: String,
    /// What happens to packets by the labels of their verdicts.
    named: Vec<(String, Disposition)>,
    /// The same by the places of labels, and last for what is rejected; none where packets stay as they are.
    actions: Vec<Option<Disposition>>,
    verdicts: Handle<Vec<Verdict>>,
    dispositions: Handle<Vec<Disposition>>,
}

impl Dispose {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "disposition";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "disposition",
        reads: Cow::Borrowed(&[ColumnSpec::scalar("verdicts", Element::Verdict), ColumnSpec::DISPOSITION]),
        writes: Cow::Borrowed(&[ColumnSpec::DISPOSITION]),
        state: State::Stateless,
    };

    /// The brick for `config` in a graph with these ports; without any there is one without a name.
    ///
    /// # Errors
    /// If an action or a port is not known.
    pub fn new(config: Config, ports: &[String]) -> Result<Self, NfError> {
        let named = config.actions.into_iter().map(|(label, action)| {
            let disposition = parse(&label, &action, ports)?;
            Ok((label, disposition))
        });
        let (named, actions) = (named.collect::<Result<_, _>>()?, Vec::new());
        let (verdicts, dispositions) = Default::default();
        Ok(Self { column: config.verdicts, named, actions, verdicts, dispositions })
    }

    fn verdicts(&self) -> ColumnSpec {
        crate::verdicts(&self.column)
    }
}

impl Brick for Dispose {
    fn descriptor(&self) -> Descriptor {
        Descriptor { reads: vec![self.verdicts(), ColumnSpec::DISPOSITION].into(), ..Self::DESCRIPTOR }
    }

    fn ports(&self) -> Vec<Port> {
        self.named.iter().flat_map(|(_, action)| action.ports()).collect()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let spec = self.verdicts();
        self.verdicts = layout.handle(&spec)?;
        self.dispositions = layout.handle(&ColumnSpec::DISPOSITION)?;
        let labels = layout.get(&spec.name).map_or(0, |spec| spec.labels.len());
        self.actions = vec![None; labels + 1];
        for (label, action) in &self.named {
            self.actions[layout.label(&spec.name, label)?] = Some(*action);
        }
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (verdicts, dispositions) = batch.columns.get_two(self.verdicts, self.dispositions);
        for (verdict, disposition) in verdicts.iter().zip(dispositions) {
            let action = self.actions[verdict.place(self.actions.len() - 1)];
            *disposition = action.unwrap_or(*disposition);
        }
        Ok(())
    }
}

fn parse(label: &str, action: &str, ports: &[String]) -> Result<Disposition, NfError> {
    let first = Port::default();
    match action.split_once(':') {
        None if action == "forward" => Ok(Disposition::Forward(first)),
        None if action == "drop" => Ok(Disposition::Drop(DropReason::Verdict)),
        Some(("forward", port)) => Ok(Disposition::Forward(find(label, action, port, ports)?)),
        Some(("mirror", port)) => match find(label, action, port, ports)? {
            copy if copy == first => Err(NfError::Copy { label: label.into(), action: action.into() }),
            copy => Ok(Disposition::Mirror { forward: first, copy }),
        },
        _ => Err(NfError::Action { label: label.into(), action: action.into() }),
    }
}

fn find(label: &str, action: &str, port: &str, ports: &[String]) -> Result<Port, NfError> {
    let known = ports.iter().take(Port::MOST).position(|known| known == port);
    known.and_then(|place| u8::try_from(place).ok()).map(Port).ok_or_else(|| NfError::Port {
        label: label.into(),
        action: action.into(),
        port: port.into(),
        known: ports.iter().map(|known| format!("\"{known}\"")).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brick(actions: &[(&str, &str)]) -> Result<Dispose, NfError> {
        let actions = actions.iter().map(|(label, action)| ((*label).into(), (*action).into())).collect();
        Dispose::new(Config { actions, ..Config::default() }, &["out", "quarantine"].map(String::from))
    }

    fn layout() -> Layout {
        Layout::of([&ColumnSpec::of_scores("verdicts"), &ColumnSpec::DISPOSITION]).unwrap()
    }

    fn dispositions(actions: &[(&str, &str)], before: Disposition) -> Vec<Disposition> {
        let mut brick = brick(actions).unwrap();
        brick.bind(&layout()).unwrap();
        let mut batch = Batch::new(&layout());
        let verdicts = [Verdict::ANOMALOUS, Verdict::BENIGN, Verdict::REJECTED];
        *batch.columns.get_mut(brick.verdicts) = verdicts.to_vec();
        *batch.columns.get_mut(brick.dispositions) = vec![before; 3];
        brick.process(&mut batch).unwrap();
        batch.columns.get(brick.dispositions).clone()
    }

    #[test]
    fn every_verdict_has_its_disposition() {
        use Disposition::{Drop, Forward, Mirror};
        let (first, other) = (Port(0), Port(1));
        let actions = [("anomalous", "drop"), ("rejected", "mirror:quarantine")];
        let expected = [Drop(DropReason::Verdict), Forward(first), Mirror { forward: first, copy: other }];
        assert_eq!(dispositions(&actions, Forward(first)), expected);
        let actions = [("anomalous", "forward:quarantine"), ("benign", "forward")];
        assert_eq!(dispositions(&actions, Forward(other)), [Forward(other), Forward(first), Forward(other)]);
        assert_eq!(dispositions(&[], Forward(other)), [Forward(other); 3]);
    }

    #[test]
    fn a_brick_tells_the_ports_that_it_names() {
        let ports = |actions: &[(&str, &str)]| brick(actions).unwrap().ports();
        assert_eq!(ports(&[("anomalous", "mirror:quarantine")]), [Port(0), Port(1)]);
        assert_eq!(ports(&[("anomalous", "drop")]), []);
    }

    #[test]
    fn a_copy_leaves_by_another_port() {
        let error = brick(&[("benign", "mirror:out")]).unwrap_err().to_string();
        assert!(
            error.starts_with("benign = \"mirror:out\": packets leave by the first port themselves"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = |label, action| brick(&[(label, action)]).unwrap_err().to_string();
        let odd = brick(&[("odd", "drop")]).unwrap().bind(&layout()).unwrap_err().to_string();
        let expected = "the column verdicts has no verdict named `odd` (there are: benign, anomalous, warming_up, rejected)";
        assert_eq!(odd, expected);
        for action in ["", "drop:out", "forwards", "Drop", "mirror"] {
            assert!(error("benign", action).ends_with("expected drop, forward, forward:PORT or mirror:PORT"));
        }
        assert_eq!(
            error("benign", "mirror:x"),
            "benign = \"mirror:x\": the graph has no port `x`; add it to its ports = [\"out\", \"quarantine\"]"
        );
    }
}
