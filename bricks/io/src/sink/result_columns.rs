//! The columns of a graph that a table of results shows.

use super::SinkError;
use crate::{SCORES, VERDICTS};
use legonf_core::{Batch, BindError, ColumnSpec, Dispositions, Element, Handle, Layout, Verdict};

/// Every score, every verdict and every other number that a graph finds for each packet, in the order of its layout.
#[derive(Clone, Debug, Default)]
pub struct ResultColumns {
    columns: Vec<ResultColumn>,
    /// What happens to packets, where bricks say so.
    dispositions: Dispositions,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct ResultColumn {
    spec: ColumnSpec,
    values: Values,
}

#[derive(Clone, Copy, Debug)]
enum Values {
    Numbers(Handle<Vec<f64>>),
    Verdicts(Handle<Vec<Verdict>>),
}

/// A value of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Number(f64),
    /// The word of a verdict, and its place among those of its column.
    Word(&'a str, usize),
}

impl ResultColumns {
    /// Those of a graph.
    pub fn of(layout: &Layout) -> Self {
        let results = layout.specs().iter().filter(|spec| spec.is_result());
        let columns = results.filter_map(|spec| ResultColumn::of(layout, spec)).collect();
        Self { columns, dispositions: Dispositions::default() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ResultColumn> {
        self.columns.iter()
    }

    /// Their declarations, as in [`Sink::reads`](legonf_core::Sink::reads).
    pub(super) fn specs(&self) -> Vec<ColumnSpec> {
        self.columns.iter().map(|column| column.spec.clone()).chain([ColumnSpec::DISPOSITION]).collect()
    }

    /// As [`Sink::bind`](legonf_core::Sink::bind).
    pub(super) fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.dispositions = Dispositions::bind(layout)?;
        self.columns.iter_mut().try_for_each(|column| column.bind(layout))
    }

    /// Whether there are results of a packet: it was not dropped before they were found.
    pub(super) fn has(&self, batch: &Batch, packet: usize) -> bool {
        !self.dispositions.of(batch, packet).is_unseen()
    }

    /// Checks that every column has a value for every packet.
    pub(super) fn check(&self, batch: &Batch, name: impl Fn() -> String) -> Result<(), SinkError> {
        let (expected, filled) = (batch.len(), |column: &ResultColumn| batch.filled(column.index()));
        match self.columns.iter().find(|column| filled(column) != expected) {
            None => Ok(()),
            Some(column) => Err(SinkError::Mismatch {
                path: name(),
                what: column.spec.name.to_string(),
                expected,
                found: filled(column),
            }),
        }
    }
}

impl ResultColumn {
    fn of(layout: &Layout, spec: &ColumnSpec) -> Option<Self> {
        let values = match spec.element {
            Element::F64 => Values::Numbers(layout.handle(spec).ok()?),
            Element::Verdict => Values::Verdicts(layout.handle(spec).ok()?),
            _ => return None,
        };
        Some(Self { spec: spec.clone(), values })
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        match &mut self.values {
            Values::Numbers(handle) => *handle = layout.handle(&self.spec)?,
            Values::Verdicts(handle) => *handle = layout.handle(&self.spec)?,
        }
        Ok(())
    }

    fn index(&self) -> usize {
        match self.values {
            Values::Numbers(handle) => handle.index(),
            Values::Verdicts(handle) => handle.index(),
        }
    }

    /// Its heading: the name of one value.
    pub fn heading(&self) -> &str {
        if self.spec.name == SCORES.name {
            "score"
        } else if self.spec.name == VERDICTS.name {
            "verdict"
        } else {
            &self.spec.name
        }
    }

    /// The words of its verdicts, as [`ColumnSpec::words`]; none where it has numbers.
    pub fn words(&self) -> Option<impl Iterator<Item = &str>> {
        matches!(self.values, Values::Verdicts(_)).then(|| self.spec.words())
    }

    /// The value of a packet.
    ///
    /// # Panics
    /// If there is none: see [`ResultColumns::check`].
    pub fn cell<'a>(&'a self, batch: &Batch, packet: usize) -> Cell<'a> {
        match self.values {
            Values::Numbers(handle) => Cell::Number(batch.columns.get(handle)[packet]),
            Values::Verdicts(handle) => {
                let (verdict, labels) = (batch.columns.get(handle)[packet], &self.spec.labels);
                Cell::Word(verdict.label(labels), verdict.place(labels.len()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_verdicts_and_other_numbers_of_packets_are_results() {
        let class =
            ColumnSpec::scalar("class", Element::Verdict).with_labels(["web", "mail"].map(Into::into));
        let confidence = ColumnSpec::scalar("confidence", Element::F64);
        let features = ColumnSpec::rows("features", Element::F64);
        let of_flows = ColumnSpec::scalar("bytes", Element::F64).in_flows();
        let layout = Layout::of([&features, &class, &confidence, &of_flows, &SCORES]).unwrap();
        let columns = ResultColumns::of(&layout);
        let headings: Vec<_> = columns.iter().map(ResultColumn::heading).collect();
        assert_eq!(headings, ["class", "confidence", "score"]);
        let mut batch = Batch::new(&layout);
        batch.headers.push(legonf_core::Headers::default());
        let error = columns.check(&batch, || "s.csv".into()).unwrap_err().to_string();
        let expected =
            "cannot write s.csv: expected 1 class and got 0; the graph and the sink do not fit together";
        assert_eq!(error, expected);
        batch.columns.get_mut(layout.handle::<Vec<Verdict>>(&class).unwrap()).push(Verdict::of(1));
        assert_eq!(columns.columns[0].cell(&batch, 0), Cell::Word("mail", 1));
    }
}
