//! The brick that carries the class of a flow to its packets.

use super::config::{FlowError, nanos, within};
use super::identity::{Found, Identifier, Identity};
use super::record::{RECORD, RECORD_FIELDS, Reason};
use super::saved::{self, Keeps};
use super::slots::{Item, SlotLists};
use super::{division, fault, key};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Division, Element, Handle, Layout, Rows,
    State, Storage, Verdict, WestEast, slot, typed,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The label of packets whose flow has no class yet.
pub const PENDING: &str = "pending";

/// Configuration of [`FlowClass`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The labels of the column `input`, in their order. No default.
    pub classes: Vec<String>,
    /// The column of verdicts on flows. Default `flow-class`.
    #[serde(default = "input")]
    pub input: String,
    /// The column of verdicts on packets that it fills. Default `class`.
    #[serde(default = "output")]
    pub output: String,
    /// Whether the VLAN tells flows apart, as in the flow table. Default false.
    #[serde(default)]
    pub vlan: bool,
    /// Whether the identifier of a tunnel tells flows apart, as in the flow table. Default false.
    #[serde(default)]
    pub tunnel: bool,
    /// Seconds without a packet after which a flow is over, as in the flow table. Default 60.
    #[serde(default = "idle")]
    pub idle: f64,
    /// Flows with a class that a slot holds. From 1 to 65,535; default 128.
    #[serde(default = "flows_per_slot")]
    pub flows_per_slot: u32,
    /// Seed of the hash that assigns flows to slots. Default 1234.
    #[serde(default = "seed")]
    pub seed: u64,
}

fn input() -> String {
    "flow-class".to_owned()
}

fn output() -> String {
    "class".to_owned()
}

const fn idle() -> f64 {
    60.0
}

const fn flows_per_slot() -> u32 {
    128
}

const fn seed() -> u64 {
    1234
}

/// Gives each packet the class of its flow: [`PENDING`] before the flow has one, and from the packet on that made the flow's row
/// ready its class, until the flow is over.
#[derive(Debug)]
pub struct FlowClass {
    config: Config,
    idle: i64,
    identifier: Identifier,
    flows: SlotLists<Classed>,
    evicted: u64,
    input: Handle<Vec<Verdict>>,
    output: Handle<Vec<Verdict>>,
    record: Handle<Rows<u64>>,
    watermark: Handle<Vec<i64>>,
}

/// A flow that has a class.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Classed {
    identity: Identity,
    class: Verdict,
}

impl Item for Classed {
    fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// A flow on its way to another replica.
#[derive(Serialize, Deserialize)]
pub struct Moving {
    tag: u32,
    /// The watermark at its last packet.
    seen: i64,
    flow: Classed,
}

impl Keeps for Config {
    const WHAT: &'static str = "classes of flows";
    type Flow = Moving;

    fn flows_per_slot(&self) -> usize {
        self.flows_per_slot as usize
    }

    fn allows(&self, moving: &Moving) -> bool {
        let (labels, class) = (self.classes.len() + 1, moving.flow.class);
        class == Verdict::REJECTED || class.place(labels) < labels
    }
}

impl FlowClass {
    /// Name of the kind.
    pub const KIND: &'static str = "flow-class";

    /// What the graph needs to know of the brick; its own descriptor has the labels.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "class of the flow",
        reads: Cow::Borrowed(&[
            ColumnSpec::HEADERS,
            ColumnSpec::WATERMARK,
            ColumnSpec::scalar("flow-class", Element::Verdict).in_flows(),
            RECORD,
        ]),
        writes: Cow::Borrowed(&[ColumnSpec::scalar("class", Element::Verdict)]),
        state: State::Keyed,
    };

    /// The brick without a flow.
    ///
    /// # Errors
    /// If a number is out of its range, or the classes are not such.
    pub fn new(config: Config) -> Result<Self, FlowError> {
        let most = within("flows_per_slot", config.flows_per_slot.into(), 1.0, 65_535.0)?;
        let labels = &config.classes;
        let wrong = |(at, label): (usize, &String)| {
            label.is_empty() || label == PENDING || labels[..at].contains(label)
        };
        if let Some((_, label)) = labels.iter().enumerate().find(|found| wrong((found.0, found.1))) {
            return Err(FlowError::Class(label.clone()));
        }
        Ok(Self {
            idle: nanos("idle", config.idle)?,
            identifier: Identifier::new(config.vlan, config.tunnel, config.seed),
            flows: SlotLists::of(most as usize),
            evicted: 0,
            input: Handle::default(),
            output: Handle::default(),
            record: Handle::default(),
            watermark: Handle::default(),
            config,
        })
    }

    fn reads(&self) -> ColumnSpec {
        let input = Cow::Owned(self.config.input.clone());
        ColumnSpec { name: input, ..ColumnSpec::scalar("", Element::Verdict) }
            .in_flows()
            .with_labels(self.config.classes.iter().cloned())
    }

    fn fills(&self) -> ColumnSpec {
        let output = Cow::Owned(self.config.output.clone());
        let labels = self.config.classes.iter().cloned().chain([PENDING.to_owned()]);
        ColumnSpec { name: output, ..ColumnSpec::scalar("", Element::Verdict) }.with_labels(labels)
    }

    /// The class of the packet at a place.
    fn class_of(&mut self, batch: &Batch, place: usize) -> Verdict {
        let pending = Verdict::of(self.config.classes.len());
        let Some(found) = self.identifier.find(&batch.headers[place]) else { return pending };
        let watermark = batch.columns.get(self.watermark)[place];
        let known = self.flows.find(found.hash, &found.identity, watermark);
        let is_over = known.is_some_and(|known| known.seen.saturating_add(self.idle) <= watermark);
        let told = self.told(batch, place);
        let number = match (known, told) {
            (Some(known), _) => known.number,
            (None, None) => return pending,
            (None, Some(_)) => self.add(&found, watermark),
        };
        let kept = self.flows.item_mut(number);
        if is_over {
            kept.class = pending;
        }
        match told {
            // The packet begins another flow.
            Some((Reason::Active, _)) => {
                kept.class = pending;
                pending
            }
            Some((reason, class)) => {
                kept.class = if reason == Reason::Ended { pending } else { class };
                class
            }
            None => kept.class,
        }
    }

    /// What is told of the flow of the packet at a place, if the packet completes it; rows of flows that are over by its time alone
    /// are not of its flow.
    fn told(&self, batch: &Batch, place: usize) -> Option<(Reason, Verdict)> {
        let (classes, records) = (batch.columns.get(self.input), batch.columns.get(self.record));
        let start = batch.flows.partition_point(|row| (row.origin as usize) < place);
        let here = batch.flows[start..].iter().take_while(|row| row.origin as usize == place);
        here.enumerate().find_map(|(at, _)| {
            let reason = match records.row(start + at)[REASON] {
                0 => Reason::Ready,
                2 => Reason::Active,
                3 => Reason::Ended,
                _ => return None,
            };
            Some((reason, classes[start + at]))
        })
    }

    fn add(&mut self, found: &Found, watermark: i64) -> u32 {
        if self.flows.is_full(found.hash) {
            self.flows.remove_oldest(slot(found.hash));
            self.evicted += 1;
        }
        let flow = Classed { identity: found.identity, ..Classed::default() };
        self.flows.add(found.hash, flow, watermark)
    }

    fn fill(&mut self, batch: &Batch, places: impl Iterator<Item = usize>, classes: &mut [Verdict]) {
        classes.iter_mut().zip(places).for_each(|(class, place)| *class = self.class_of(batch, place));
    }
}

/// The cell of a record that says why its row left.
const REASON: usize = 19;
const _: () = assert!(matches!(RECORD_FIELDS[REASON].as_bytes(), b"flowEndReason"));

impl Brick for FlowClass {
    fn descriptor(&self) -> Descriptor {
        let record = RECORD.of_width(RECORD_FIELDS.len());
        let reads = vec![ColumnSpec::HEADERS, ColumnSpec::WATERMARK, self.reads(), record];
        Descriptor { reads: reads.into(), writes: vec![self.fills()].into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.input = layout.handle(&self.reads())?;
        self.output = layout.handle(&self.fills())?;
        self.record = layout.handle(&RECORD.of_width(RECORD_FIELDS.len()))?;
        self.watermark = layout.handle(&ColumnSpec::WATERMARK)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let mut classes = std::mem::take(batch.columns.get_mut(self.output));
        classes.clear();
        classes.resize(batch.len(), Verdict::REJECTED);
        self.fill(batch, 0..batch.len(), &mut classes);
        *batch.columns.get_mut(self.output) = classes;
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("evicted-classes", self.evicted)]
    }

    fn state_size(&self) -> u64 {
        self.flows.used() as u64
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}

impl WestEast for FlowClass {
    fn division(&self) -> Division {
        let Config { vlan, tunnel, seed, .. } = self.config;
        division(Self::KIND, key(vlan, tunnel), seed, self.fills())
    }

    fn process_part(
        &mut self,
        _: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        let other = || BrickError { brick: Self::KIND, reason: "rows of another type than verdicts".into() };
        let classes = typed::<Vec<Verdict>>(rows).ok_or_else(other)?;
        self.fill(batch, places.iter().copied(), classes);
        Ok(())
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let state = self.copy(part, slots)?;
        slots.iter().for_each(|slot| while self.flows.remove_oldest((*slot).into()).is_some() {});
        Ok(state)
    }

    fn copy(&self, _: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let moving = |(tag, seen, flow): (u32, i64, &Classed)| Moving { tag, seen, flow: *flow };
        saved::write(&self.config, slots, |slot| self.flows.of_slot(slot).map(moving))
            .map_err(fault(Self::KIND))
    }

    fn import(&mut self, _: usize, state: &[u8]) -> Result<(), BrickError> {
        let slots = saved::read(&self.config, state, |slot| self.flows.oldest(slot).is_some());
        for slot in slots.map_err(fault(Self::KIND))? {
            slot.flows
                .iter()
                .for_each(|Moving { tag, seen, flow }| _ = self.flows.add(slot.hash(*tag), *flow, *seen));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::SLOTS;

    fn brick() -> FlowClass {
        FlowClass::new(toml::from_str("classes = ['a', 'b']\nflows_per_slot = 2").unwrap()).unwrap()
    }

    /// A brick that knows flows of the first and of the last slot.
    fn with_flows() -> FlowClass {
        let mut brick = brick();
        for (hash, class) in [(7, Verdict::of(0)), (8, Verdict::REJECTED), (u64::MAX, Verdict::of(2))] {
            brick.flows.add(hash, Classed { class, ..Classed::default() }, 5);
        }
        brick
    }

    #[test]
    fn state_is_taken_in_once_and_only_as_it_was_given() {
        let slots = [0, 9, (SLOTS - 1) as u16];
        let given = with_flows().copy(0, &slots).unwrap();
        let mut taken = brick();
        taken.import(0, &given).unwrap();
        assert_eq!(taken.copy(0, &slots).unwrap(), given);
        let refused = |brick: &mut FlowClass, state: &[u8]| brick.import(0, state).unwrap_err().reason;
        assert!(refused(&mut taken, &given).contains("slot 0 has streams here already"));
        for at in 1..given.len() {
            let mut damaged = given.clone();
            damaged[at] ^= 1;
            assert!(refused(&mut brick(), &damaged).contains("checksum"), "{at}");
            assert!(refused(&mut brick(), &given[..at]).contains("damaged"), "{at}");
        }
        let other = Config { idle: 1.0, ..brick().config };
        assert!(refused(&mut FlowClass::new(other).unwrap(), &given).contains("classes of flows"));
        assert!(brick().copy(0, &[SLOTS as u16]).unwrap_err().reason.contains("slot 4096"));
    }
}
