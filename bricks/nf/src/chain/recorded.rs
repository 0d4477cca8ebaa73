//! A function with state as a brick: it records the action of each packet.

use super::{ChainFunction, FlowState, Packet, actions, default, key};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Division, Handle, HeaderAction, Layout,
    State, StateGroup, Storage, Verdict, WestEast, typed,
};
use std::borrow::Cow;

/// The name of the only state group.
const GROUP: &str = "flow";

/// A brick that fills a column with the actions of a function. [`ApplyActions`](super::ApplyActions) behind it does them.
#[derive(Debug)]
pub struct Recorded<F> {
    function: F,
    kind: &'static str,
    title: &'static str,
    output: ColumnSpec,
    actions: Handle<Vec<HeaderAction>>,
    watermark: Handle<Vec<i64>>,
    /// Of the column of verdicts that the function looks at.
    verdicts: Option<Handle<Vec<Verdict>>>,
}

/// Why the state of a function that has none cannot go to another replica.
const NOTHING_KEPT: &str = "the function keeps nothing of flows";

/// What such a brick reads.
const READS: &[ColumnSpec] = &[ColumnSpec::PACKETS, ColumnSpec::HEADERS, ColumnSpec::WATERMARK];

/// What the graph needs to know of such a brick; its own descriptor has the column's name.
pub(crate) const fn descriptor(
    kind: &'static str,
    title: &'static str,
    writes: &'static [ColumnSpec],
) -> Descriptor {
    Descriptor {
        kind,
        title,
        reads: Cow::Borrowed(READS),
        writes: Cow::Borrowed(writes),
        state: State::Keyed,
    }
}

impl<F: ChainFunction> Recorded<F> {
    /// The brick of a function, which fills a column of this name or that of its descriptor.
    pub(crate) fn new(function: F, descriptor: &Descriptor, output: Option<&str>) -> Self {
        let Descriptor { kind, title, .. } = *descriptor;
        let output = actions(output.unwrap_or(&descriptor.writes[0].name));
        let (actions, watermark, verdicts) = Default::default();
        Self { function, kind, title, output, actions, watermark, verdicts }
    }

    /// The function.
    pub fn function(&self) -> &F {
        &self.function
    }

    fn fill(&mut self, batch: &Batch, places: impl Iterator<Item = usize>, actions: &mut [HeaderAction]) {
        let watermarks = batch.columns.get(self.watermark);
        let verdicts = self.verdicts.map(|verdicts| batch.columns.get(verdicts));
        for (action, place) in actions.iter_mut().zip(places) {
            let mut packet = Packet::of(batch, place, watermarks[place]);
            packet.verdict = verdicts.map(|verdicts| verdicts[place]);
            self.function.act(&packet, action);
        }
    }

    fn fault<E: ToString>(&self) -> impl Fn(E) -> BrickError + use<F, E> {
        let brick = self.kind;
        move |error| BrickError { brick, reason: error.to_string() }
    }

    /// What the function keeps.
    fn state_mut(&mut self) -> Result<&mut dyn FlowState, BrickError> {
        let none = self.fault();
        self.function.state_mut().ok_or_else(|| none(NOTHING_KEPT))
    }
}

impl<F: ChainFunction> Brick for Recorded<F> {
    fn descriptor(&self) -> Descriptor {
        let reads = READS.iter().cloned().chain(self.function.verdicts()).collect();
        let own = descriptor(self.kind, self.title, &[]);
        Descriptor { reads, writes: vec![self.output.clone()].into(), ..own }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.actions = layout.handle(&self.output)?;
        self.watermark = layout.handle(&ColumnSpec::WATERMARK)?;
        self.verdicts = self.function.verdicts().map(|column| layout.handle(&column)).transpose()?;
        self.function.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let mut actions = std::mem::take(batch.columns.get_mut(self.actions));
        actions.clear();
        actions.resize(batch.len(), HeaderAction::default());
        self.fill(batch, 0..batch.len(), &mut actions);
        *batch.columns.get_mut(self.actions) = actions;
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.function.counters()
    }

    fn state_size(&self) -> u64 {
        self.function.state().map_or(0, FlowState::used) as u64
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}

impl<F: ChainFunction> WestEast for Recorded<F> {
    fn division(&self) -> Division {
        let (groups, cells) = (vec![StateGroup::new(GROUP, key())], vec![GROUP.into()]);
        Division {
            name: self.kind.into(),
            groups,
            seed: self.function.state().map_or(default::seed(), FlowState::seed),
            fills: self.output.clone(),
            cells,
        }
    }

    fn process_part(
        &mut self,
        _: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        let other =
            BrickError { brick: self.kind, reason: "rows of another type than header actions".into() };
        let actions = typed::<Vec<HeaderAction>>(rows).ok_or(other)?;
        self.fill(batch, places.iter().copied(), actions);
        Ok(())
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let state = self.copy(part, slots)?;
        self.state_mut()?.remove(slots);
        Ok(state)
    }

    fn copy(&self, _: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        self.function.state().ok_or_else(|| self.fault()(NOTHING_KEPT))?.copy(slots).map_err(self.fault())
    }

    fn import(&mut self, _: usize, state: &[u8]) -> Result<(), BrickError> {
        let fault = self.fault();
        self.state_mut()?.import(state).map_err(fault)
    }
}
