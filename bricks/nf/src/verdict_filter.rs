//! The function that cuts flows off by the verdicts on their packets.

use crate::chain::{
    ChainFunction, FlowHandle, FlowState, Kept, KeyedState, Packet, Record, Recorded, default,
};
use crate::{NfError, verdicts};
use legonf_core::{
    BindError, ColumnSpec, Descriptor, DropReason, Element, HeaderAction, Layout, State, Verdict,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Configuration of [`VerdictFilter`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The labels of verdicts, or `rejected`, that cut a flow off. No default.
    pub labels: Vec<String>,
    /// The column of verdicts. Default `verdicts`.
    #[serde(default = "column")]
    pub verdicts: String,
    /// Packets with such a verdict that a flow may have; the last of them still passes. Default 1.
    #[serde(default = "after")]
    pub after: u64,
    /// Seconds without a packet after which a flow is another one. Default 60.
    #[serde(default = "idle")]
    pub idle: f64,
    /// Flows that a slot holds, from 1 to 65,535; the one whose last packet came first makes room. Default 128.
    #[serde(default = "default::flows_per_slot")]
    pub flows_per_slot: u32,
    /// Seed of the hash that divides flows into slots. Default 1234.
    #[serde(default = "default::seed")]
    pub seed: u64,
    /// The column of actions that it fills. Default `verdict-action`.
    #[serde(default)]
    pub output: Option<String>,
}

fn column() -> String {
    "verdicts".to_owned()
}

const fn after() -> u64 {
    1
}

const fn idle() -> f64 {
    60.0
}

/// Cuts flows off by the verdicts on their packets, such as a network's: a flow that has had so many packets with a verdict of some labels is dropped from the
/// next packet on, in both directions, for [`DropReason::Policy`]. On a fast path the verdict is an event that changes the flow's entry (SpeedyBox §V-C).
#[derive(Clone, Debug)]
pub struct VerdictFilter {
    kept: KeyedState<Found>,
    column: ColumnSpec,
    labels: Vec<String>,
    /// Whether a verdict cuts a flow off, by the places of labels, and last for what is rejected.
    cuts: Vec<bool>,
    after: u64,
    idle: i64,
    counters: Counters,
}

/// Packets of a flow with such a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Found(u64);

impl Kept for Found {}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    flows: u64,
    packets: u64,
}

impl VerdictFilter {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "verdict-filter";

    /// The column of actions that it fills, unless its configuration names another one.
    pub const FILLS: &'static [ColumnSpec] = &[ColumnSpec::scalar("verdict-action", Element::HeaderAction)];

    /// What the graph needs to know of the brick; its own descriptor has the names of its columns.
    pub const DESCRIPTOR: Descriptor = {
        const READS: &[ColumnSpec] = &[
            ColumnSpec::PACKETS,
            ColumnSpec::HEADERS,
            ColumnSpec::WATERMARK,
            ColumnSpec::scalar("verdicts", Element::Verdict),
        ];
        Descriptor {
            kind: Self::KIND,
            title: "verdict filter",
            reads: Cow::Borrowed(READS),
            writes: Cow::Borrowed(Self::FILLS),
            state: State::Keyed,
        }
    };

    /// The function for `config`.
    ///
    /// # Errors
    /// If there is no label, or a number is out of its range.
    pub fn new(config: &Config) -> Result<Self, NfError> {
        let own = Config { output: None, ..config.clone() };
        let kept = KeyedState::new(&own, config.flows_per_slot, config.seed)?;
        NfError::within("after", config.after as f64, 1.0, 1e15)?;
        if config.labels.is_empty() {
            return Err(NfError::Nothing { key: "labels", expected: "labels of the column of verdicts" });
        }
        Ok(Self {
            kept,
            column: verdicts(&config.verdicts),
            labels: config.labels.clone(),
            cuts: Vec::new(),
            after: config.after,
            idle: NfError::nanos("idle", config.idle)?,
            counters: Counters::default(),
        })
    }

    /// The brick for `config`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn brick(config: &Config) -> Result<Recorded<Self>, NfError> {
        Ok(Recorded::new(Self::new(config)?, &Self::DESCRIPTOR, config.output.as_deref()))
    }

    /// Whether the verdict on a packet counts.
    fn counts(&self, verdict: Option<Verdict>) -> bool {
        let most = self.cuts.len().saturating_sub(1);
        verdict.is_some_and(|verdict| self.cuts.get(verdict.place(most)).copied().unwrap_or(false))
    }
}

impl ChainFunction for VerdictFilter {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn verdicts(&self) -> Option<ColumnSpec> {
        Some(self.column.clone())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let labels = layout.get(&self.column.name).map_or(0, |spec| spec.labels.len());
        self.cuts = vec![false; labels + 1];
        for label in &self.labels {
            self.cuts[layout.label(&self.column.name, label)?] = true;
        }
        Ok(())
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        let Some((number, _)) = self.kept.current(packet, self.idle) else { return Record::FORWARD };
        let is_over = self.kept.flows.item(number).value.0 >= self.after;
        let action = if is_over { HeaderAction::drop(DropReason::Policy) } else { HeaderAction::default() };
        // A verdict makes the record stale at once.
        let handle = self.kept.flows.handle(number);
        self.update(handle, packet);
        Record { state: Some(handle), ..Record::of(action) }
    }

    fn update(&mut self, handle: FlowHandle, packet: &Packet<'_>) -> bool {
        let (idle, after, counts) = (self.idle, self.after, self.counts(packet.verdict));
        let Some(item) = self.kept.flows.get(handle).filter(|item| !item.is_idle(packet, idle)) else {
            return false;
        };
        item.touch(packet);
        if item.value.0 >= after {
            self.counters.packets += 1;
        } else if counts {
            item.value.0 += 1;
            if item.value.0 == after {
                self.counters.flows += 1;
                self.kept.flows.renew(handle.number());
            }
        }
        true
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let Counters { flows, packets } = self.counters;
        vec![("flows-cut-off", flows), ("packets-cut-off", packets), ("evicted-flows", self.kept.evicted)]
    }

    fn state(&self) -> Option<&dyn FlowState> {
        Some(&self.kept)
    }

    fn state_mut(&mut self) -> Option<&mut dyn FlowState> {
        Some(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Sample, batch};
    use legonf_core::LinkType;

    fn filter(text: &str) -> Result<VerdictFilter, NfError> {
        VerdictFilter::new(&toml::from_str(text).unwrap())
    }

    fn layout() -> Layout {
        Layout::of([&ColumnSpec::of_scores("verdicts")]).unwrap()
    }

    /// Which packets are dropped: each with its second, whether it goes back, and its verdict.
    fn dropped(filter: &mut VerdictFilter, packets: &[(i64, bool, Verdict)]) -> Vec<bool> {
        let there = Sample::tcp("10.0.0.1:5", "10.0.0.2:80");
        let bytes = [there.bytes(), there.back().bytes()];
        let given: Vec<_> = packets
            .iter()
            .map(|(_, back, _)| (LinkType::Ethernet, &*bytes[usize::from(*back)], 60))
            .collect();
        let batch = batch(&given);
        let packet = |(place, (second, _, verdict)): (usize, &(i64, bool, Verdict))| {
            let mut packet = Packet::of(&batch, place, second * 1_000_000_000);
            packet.verdict = Some(*verdict);
            filter.process(&packet).action.drop.is_some()
        };
        packets.iter().enumerate().map(packet).collect()
    }

    #[test]
    fn a_flow_is_cut_off_from_the_packet_behind_the_verdict_on_until_it_was_idle() {
        let mut filter = filter("labels = ['anomalous']\nafter = 2\nidle = 10.0").unwrap();
        filter.bind(&layout()).unwrap();
        let (good, bad) = (Verdict::BENIGN, Verdict::ANOMALOUS);
        let packets = [
            (0, false, good),
            (1, false, bad),
            (2, true, good),
            (3, true, bad),
            (4, false, good),
            (5, true, bad),
        ];
        assert_eq!(dropped(&mut filter, &packets), [false, false, false, false, true, true]);
        assert_eq!(dropped(&mut filter, &[(14, false, good), (24, false, good)]), [true, false]);
        assert_eq!(filter.counters()[..2], [("flows-cut-off", 1), ("packets-cut-off", 3)]);
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert!(filter("labels = []").unwrap_err().to_string().starts_with("labels is empty: expected"));
        assert!(
            filter("labels = ['a']\nafter = 0").unwrap_err().to_string().starts_with("after = 0: expected")
        );
        let mut odd = filter("labels = ['odd']").unwrap();
        assert!(odd.bind(&layout()).unwrap_err().to_string().contains("no verdict named `odd`"));
    }
}
