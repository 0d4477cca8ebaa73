//! A function without state as a brick: it does its action at once.

use super::{ChainFunction, Packet, apply};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Disposition, Handle, HeaderAction, Layout,
    State,
};
use std::borrow::Cow;

/// A brick that does what a function says to each packet.
#[derive(Clone, Debug)]
pub struct InPlace<F> {
    function: F,
    descriptor: Descriptor,
    dispositions: Handle<Vec<Disposition>>,
    unchanged: u64,
}

/// What a function changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// Bytes of packets.
    Bytes,
    /// Whether packets go on.
    Ways,
    /// Both.
    Both,
}

/// What the graph needs to know of the brick of a function.
pub(crate) const fn descriptor(kind: &'static str, title: &'static str, changes: Changes) -> Descriptor {
    const ALL: &[ColumnSpec] = &[ColumnSpec::PACKETS, ColumnSpec::HEADERS, ColumnSpec::DISPOSITION];
    const BYTES: &[ColumnSpec] = &[ColumnSpec::PACKETS, ColumnSpec::HEADERS];
    const WAYS: &[ColumnSpec] = &[ColumnSpec::DISPOSITION];
    let (reads, writes) = match changes {
        Changes::Bytes => (BYTES, BYTES),
        Changes::Ways => (ALL, WAYS),
        Changes::Both => (ALL, ALL),
    };
    let (reads, writes) = (Cow::Borrowed(reads), Cow::Borrowed(writes));
    Descriptor { kind, title, reads, writes, state: State::Stateless }
}

impl<F: ChainFunction> InPlace<F> {
    pub(crate) fn new(function: F, descriptor: Descriptor) -> Self {
        Self { function, descriptor, dispositions: Handle::default(), unchanged: 0 }
    }

    fn drops(&self) -> bool {
        self.descriptor.writes.contains(&ColumnSpec::DISPOSITION)
    }

    fn rewrites(&self) -> bool {
        self.descriptor.writes.contains(&ColumnSpec::PACKETS)
    }

    fn perform(&mut self, batch: &mut Batch, place: usize, action: &HeaderAction) {
        match action.drop {
            Some(reason) => batch.columns.get_mut(self.dispositions)[place] = Disposition::Drop(reason),
            None if action.is_forward() => {}
            None => {
                let Batch { packets, headers, .. } = batch;
                self.unchanged += u64::from(!apply(packets, headers, place, action));
            }
        }
    }
}

impl<F: ChainFunction> Brick for InPlace<F> {
    fn descriptor(&self) -> Descriptor {
        self.descriptor.clone()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        if self.drops() {
            self.dispositions = layout.handle(&ColumnSpec::DISPOSITION)?;
        }
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        for place in 0..batch.headers.len() {
            // Functions without state look at no time.
            let action = self.function.process(&Packet::of(batch, place, 0)).action;
            self.perform(batch, place, &action);
        }
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let unchanged = self.rewrites().then_some(("not-modified", self.unchanged));
        self.function.counters().into_iter().chain(unchanged).collect()
    }
}
