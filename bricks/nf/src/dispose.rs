//! The brick that makes verdicts the fate of packets.

use crate::NfError;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Disposition, DropReason, Element, Handle,
    Labels, Layout, Port, State, Verdict,
};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Verdicts, whatever their labels.
const VERDICTS: ColumnSpec = ColumnSpec::scalar("verdicts", Element::Verdict);

/// Configuration of [`Dispose`]: the column of verdicts, and for each of its labels, and for `rejected`, what happens to such packets.
/// Those of a label that is not named stay as they are, which is to leave by the first port, unless a brick before says otherwise.
///
/// | value | what happens |
/// |---|---|
/// | `"forward"` | they leave by the first port |
/// | `"forward:PORT"` | they leave by that port of the graph |
/// | `"mirror:PORT"` | they leave by the first port, and a copy by that one |
/// | `"drop"` | they go nowhere, and are counted as dropped for their verdict |
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Config {
    /// The column of verdicts. Default `verdicts`.
    #[serde(default = "verdicts")]
    pub verdicts: String,
    /// What happens to packets, by label.
    #[serde(flatten)]
    pub actions: BTreeMap<String, String>,
}

fn verdicts() -> String {
    VERDICTS.name.into_owned()
}

/// Gives each packet the disposition that its verdict stands for.
#[derive(Clone, Debug)]
pub struct Dispose {
    column: ColumnSpec,
    actions: BTreeMap<String, Disposition>,
    /// For each label of the column, and last for what is rejected, what happens to such packets; none where they stay as they are.
    by_label: Vec<Option<Disposition>>,
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
        reads: Cow::Borrowed(&[VERDICTS, ColumnSpec::DISPOSITION]),
        writes: Cow::Borrowed(&[ColumnSpec::DISPOSITION]),
        state: State::Stateless,
    };

    /// The brick for `config` in a graph with these ports; without any there is one without a name.
    ///
    /// # Errors
    /// If an action or a port is not known.
    pub fn new(config: &Config, ports: &[String]) -> Result<Self, NfError> {
        let parsed = |(label, action): (&String, &String)| Ok((label.clone(), parse(label, action, ports)?));
        let actions = config.actions.iter().map(parsed).collect::<Result<_, _>>()?;
        let column = ColumnSpec { name: config.verdicts.clone().into(), ..VERDICTS };
        let (by_label, verdicts, dispositions) = Default::default();
        Ok(Self { column, actions, by_label, verdicts, dispositions })
    }

    /// Finds what happens for each of some labels.
    fn choose(&self, labels: &Labels) -> Result<Vec<Option<Disposition>>, BindError> {
        let words = || labels.iter().map(|label| &**label).chain([Verdict::REJECTED_LABEL]);
        match self.actions.keys().find(|label| words().all(|word| word != *label)) {
            None => Ok(words().map(|word| self.actions.get(word).copied()).collect()),
            Some(label) => Err(BindError::Label {
                column: self.column.name.to_string(),
                label: label.clone(),
                known: words().collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

impl Brick for Dispose {
    fn descriptor(&self) -> Descriptor {
        let reads = vec![self.column.clone(), ColumnSpec::DISPOSITION].into();
        Descriptor { reads, ..Self::DESCRIPTOR }
    }

    fn ports(&self) -> Vec<Port> {
        self.actions.values().flat_map(|action| action.ports()).collect()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.verdicts = layout.handle(&self.column)?;
        let labels = layout.get(&self.column.name).map(|column| &column.labels);
        self.by_label = labels.map_or_else(|| Ok(Vec::new()), |labels| self.choose(labels))?;
        self.dispositions = layout.handle(&ColumnSpec::DISPOSITION)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (verdicts, dispositions) = batch.columns.get_two(self.verdicts, self.dispositions);
        let labels = self.by_label.len().saturating_sub(1);
        for (verdict, disposition) in verdicts.iter().zip(dispositions) {
            let action = self.by_label.get(verdict.place(labels)).copied().flatten();
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
        Some(("mirror", port)) => {
            Ok(Disposition::Mirror { forward: first, copy: find(label, action, port, ports)? })
        }
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

    /// A column with these labels.
    fn column(labels: &[&str]) -> ColumnSpec {
        VERDICTS.with_labels(labels.iter().map(|label| (*label).to_owned()))
    }

    fn brick(actions: &[(&str, &str)]) -> Result<Dispose, NfError> {
        let actions = actions.iter().map(|(label, action)| ((*label).into(), (*action).into())).collect();
        Dispose::new(&Config { verdicts: verdicts(), actions }, &["out", "quarantine"].map(String::from))
    }

    fn bound(actions: &[(&str, &str)], labels: &[&str]) -> Result<(Dispose, Layout), BindError> {
        let mut brick = brick(actions).unwrap();
        let layout = Layout::of([&column(labels), &ColumnSpec::DISPOSITION]).unwrap();
        brick.bind(&layout).map(|()| (brick, layout))
    }

    fn dispositions(actions: &[(&str, &str)], before: Disposition) -> Vec<Disposition> {
        let (mut brick, layout) = bound(actions, &["benign", "anomalous"]).unwrap();
        let mut batch = Batch::new(&layout);
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
    fn what_is_not_known_is_named() {
        let error = |label, action| brick(&[(label, action)]).unwrap_err().to_string();
        let odd = bound(&[("odd", "drop")], &["web", "mail"]).unwrap_err().to_string();
        assert_eq!(odd, "no verdict of verdicts is called odd (there are: web, mail, rejected)");
        assert!(bound(&[("mail", "drop"), ("rejected", "drop")], &["web", "mail"]).is_ok());
        for action in ["", "drop:out", "forwards", "Drop", "mirror"] {
            assert!(error("benign", action).ends_with("expected drop, forward, forward:PORT or mirror:PORT"));
        }
        assert_eq!(
            error("benign", "mirror:x"),
            "benign = \"mirror:x\": the graph has no port `x`; add it to its ports = [\"out\", \"quarantine\"]"
        );
    }
}
