//! Further bricks for a graph that runs.

use crate::Error;
use crate::models::Models;
use crate::swap::Swaps;
use legonf_core::{Brick, State};
use legonf_runtime::{GraphSpec, Supplier, SupplyError};

/// Makes the bricks of a graph by their identifier, around its models.
pub struct Maker<'a> {
    /// The graph.
    pub spec: &'a GraphSpec,
    /// Its models.
    pub models: &'a Models,
    /// The threshold to decide by instead of those of the models.
    pub threshold: Option<f64>,
    /// The changes of the models, where they can change.
    pub swaps: Option<&'a Swaps>,
}

impl Maker<'_> {
    /// Makes a brick that has its model and its memory, and has seen nothing.
    pub fn make(&self, id: &str) -> Result<Box<dyn Brick>, Error> {
        let found = self.spec.bricks.iter().find(|brick| brick.id == id);
        let found = found.ok_or_else(|| Error::refused(format!("the graph has no brick `{id}`")))?;
        warmed(match self.swaps {
            Some(swaps) => swaps.build(found)?,
            None => self.models.build(self.spec, found, self.threshold)?,
        })
    }
}

impl Supplier for Maker<'_> {
    fn supply(&self, id: &str, _: usize) -> Result<Box<dyn Brick>, SupplyError> {
        self.make(id).map_err(SupplyError::new)
    }
}

/// A new brick, ready for its first batch. Nothing goes through it: one with state would take that for packets.
pub(crate) fn warmed(mut brick: Box<dyn Brick>) -> Result<Box<dyn Brick>, Error> {
    if brick.descriptor().state == State::Stateless {
        brick.warm()?;
    }
    Ok(brick)
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Batch, BindError, BrickError, Descriptor, Handle, Layout};
    use legonf_infer::SCORES;

    /// Numbers the packets that it is given, from 1, by scores.
    struct Counter {
        seen: u64,
        state: State,
        scores: Handle<Vec<f64>>,
    }

    impl Counter {
        fn new(state: State) -> Self {
            Self { seen: 0, state, scores: Handle::default() }
        }
    }

    impl Brick for Counter {
        fn descriptor(&self) -> Descriptor {
            let (reads, writes) = (vec![].into(), vec![SCORES].into());
            Descriptor { kind: "counter", title: "counter", reads, writes, state: self.state }
        }

        fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
            self.scores = layout.handle(&SCORES)?;
            Ok(())
        }

        fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
            let first = self.seen + 1;
            self.seen += batch.headers.len() as u64;
            *batch.columns.get_mut(self.scores) = (first..=self.seen).map(|number| number as f64).collect();
            Ok(())
        }

        fn warm(&mut self) -> Result<(), BrickError> {
            Err(BrickError { brick: "counter", reason: "no memory".into() })
        }
    }

    #[test]
    fn a_new_brick_with_state_has_seen_nothing_but_packets() {
        let mut brick = warmed(Box::new(Counter::new(State::Keyed))).unwrap();
        let layout = Layout::binding(&mut [&mut *brick]).unwrap();
        let mut batch = Batch::new(&layout);
        batch.headers.resize(3, legonf_core::Headers::default());
        brick.process(&mut batch).unwrap();
        assert_eq!(batch.columns.get(layout.handle::<Vec<f64>>(&SCORES).unwrap()), &[1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_new_brick_that_cannot_be_made_ready_is_no_brick() {
        let error = warmed(Box::new(Counter::new(State::Stateless))).err().unwrap();
        assert_eq!(error.to_string(), "counter: no memory");
    }
}
