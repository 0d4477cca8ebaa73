//! The function that counts the packets of flows.

use crate::NfError;
use crate::chain::recorded::descriptor;
use crate::chain::{
    ChainFunction, FlowHandle, FlowState, Kept, KeyedState, Packet, Record, Recorded, default,
};
use legonf_core::{ColumnSpec, Descriptor, DropReason, Element, HeaderAction};
use serde::{Deserialize, Serialize};

/// Configuration of [`Monitor`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Packets of a flow that pass; those behind are dropped, as long as the flow lasts. Default none: all pass.
    pub most_packets: Option<u64>,
    /// Seconds without a packet after which a flow is another one. Default 60.
    pub idle: f64,
    /// Flows that a slot holds, from 1 to 65,535; the one whose last packet came first makes room. Default 128.
    pub flows_per_slot: u32,
    /// Seed of the hash that divides flows into slots. Default 1234.
    pub seed: u64,
    /// The column of actions that it fills. Default `monitor-action`.
    pub output: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        let (flows_per_slot, seed) = (default::flows_per_slot(), default::seed());
        Self { most_packets: None, idle: 60.0, flows_per_slot, seed, output: None }
    }
}

/// Counts packets and bytes of each flow, in both directions (SpeedyBox's Monitor). A flow that has more packets than it may is cut off: an event, by
/// which the flow's action changes from the next packet on (SpeedyBox's DoS prevention, §V-C).
#[derive(Clone, Debug)]
pub struct Monitor {
    kept: KeyedState<Counts>,
    most_packets: u64,
    idle: i64,
    totals: Counts,
    begun: u64,
    denied: u64,
}

/// What is counted of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

impl Kept for Counts {}

impl Counts {
    fn add(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(packet.wire_len.into());
    }
}

impl Monitor {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "monitor";

    /// The column of actions that it fills, unless its configuration names another one.
    pub const FILLS: &'static [ColumnSpec] = &[ColumnSpec::scalar("monitor-action", Element::HeaderAction)];

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = descriptor(Self::KIND, "monitor", Self::FILLS);

    /// The function for `config`.
    ///
    /// # Errors
    /// If a number is out of its range.
    pub fn new(config: &Config) -> Result<Self, NfError> {
        let (totals, most_packets) = (Counts::default(), config.most_packets.unwrap_or(u64::MAX));
        Ok(Self {
            kept: KeyedState::new(
                &Config { output: None, ..config.clone() },
                config.flows_per_slot,
                config.seed,
            )?,
            most_packets,
            idle: NfError::nanos("idle", config.idle)?,
            totals,
            begun: 0,
            denied: 0,
        })
    }

    /// The brick for `config`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn brick(config: &Config) -> Result<Recorded<Self>, NfError> {
        Ok(Recorded::new(Self::new(config)?, &Self::DESCRIPTOR, config.output.as_deref()))
    }
}

impl ChainFunction for Monitor {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        let Some((number, is_new)) = self.kept.current(packet, self.idle) else {
            self.totals.add(packet);
            return Record::FORWARD;
        };
        self.begun += u64::from(is_new);
        let is_over = self.kept.flows.item(number).value.packets >= self.most_packets;
        let action = if is_over { HeaderAction::drop(DropReason::Policy) } else { HeaderAction::default() };
        // The packet that is the last to pass makes the record stale at once.
        let handle = self.kept.flows.handle(number);
        self.update(handle, packet);
        Record { state: Some(handle), ..Record::of(action) }
    }

    fn update(&mut self, handle: FlowHandle, packet: &Packet<'_>) -> bool {
        let idle = self.idle;
        let Some(item) = self.kept.flows.get(handle).filter(|item| !item.is_idle(packet, idle)) else {
            return false;
        };
        self.totals.add(packet);
        self.denied += u64::from(item.value.packets >= self.most_packets);
        item.touch(packet);
        item.value.add(packet);
        if item.value.packets == self.most_packets {
            self.kept.flows.renew(handle.number());
        }
        true
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("packets", self.totals.packets),
            ("bytes", self.totals.bytes),
            ("flows", self.begun),
            ("evicted-flows", self.kept.evicted),
            ("cut-off", self.denied),
        ]
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
    use crate::samples::{Sample, arp, pass_at};
    use legonf_core::{Hasher, SLOTS, slot};

    const SECOND: i64 = 1_000_000_000;

    fn monitor(text: &str) -> Monitor {
        Monitor::new(&toml::from_str(text).unwrap()).unwrap()
    }

    fn flow(port: u16) -> Sample {
        Sample::tcp(&format!("10.0.0.1:{port}"), "10.0.0.2:80")
    }

    /// The times and flows of packets, which goes on to which packets were dropped.
    fn dropped(monitor: &mut Monitor, packets: &[(i64, Sample)]) -> Vec<bool> {
        let packets: Vec<_> = packets.iter().map(|(at, sample)| (at * SECOND, sample.bytes())).collect();
        pass_at(monitor, &packets).iter().map(|record| record.action.drop.is_some()).collect()
    }

    #[test]
    fn both_directions_of_a_flow_are_counted_together() {
        let mut monitor = monitor("");
        dropped(&mut monitor, &[(0, flow(1)), (1, flow(1).back()), (2, flow(2))]);
        pass_at(&mut monitor, &[(3 * SECOND, arp())]);
        assert_eq!(
            monitor.counters(),
            [("packets", 4), ("bytes", 240), ("flows", 2), ("evicted-flows", 0), ("cut-off", 0)]
        );
        let counts: Vec<_> = (0..SLOTS)
            .flat_map(|slot| monitor.kept.flows.sorted(slot))
            .map(|item| item.value.packets)
            .collect();
        assert_eq!(counts.iter().copied().max(), Some(2));
    }

    #[test]
    fn a_flow_that_has_had_its_packets_is_cut_off_until_it_was_idle() {
        let mut monitor = monitor("most_packets = 2\nidle = 10.0");
        let packets =
            [(0, flow(1)), (1, flow(1).back()), (2, flow(1)), (3, flow(2)), (11, flow(1)), (21, flow(1))];
        assert_eq!(dropped(&mut monitor, &packets), [false, false, true, false, true, false]);
        assert_eq!(monitor.counters()[2..], [("flows", 3), ("evicted-flows", 0), ("cut-off", 2)]);
    }

    #[test]
    fn a_record_is_stale_from_the_event_on_in_both_directions() {
        let mut monitor = monitor("most_packets = 3");
        let bytes = flow(1).bytes();
        let records = pass_at(&mut monitor, &[(0, bytes.clone()), (0, flow(1).back().bytes())]);
        let batch = crate::samples::batch(&[(legonf_core::LinkType::Ethernet, &bytes, 60)]);
        let packet = Packet::of(&batch, 0, SECOND);
        let [there, back] = [0, 1].map(|at| records[at].state.unwrap());
        assert!(monitor.update(there, &packet));
        assert!(!monitor.update(there, &packet) && !monitor.update(back, &packet));
        assert_eq!(monitor.counters()[0], ("packets", 3));
    }

    #[test]
    fn a_full_slot_lets_the_flow_go_whose_last_packet_came_first() {
        let mut monitor = monitor("flows_per_slot = 1");
        let hasher = Hasher::new(1234);
        let slot_of =
            |sample: &Sample| slot(crate::Flow::between(sample.src, sample.dst, 6).keyed(&hasher).hash);
        let other = (2..).map(flow).find(|sample| slot_of(sample) == slot_of(&flow(1))).unwrap();
        dropped(&mut monitor, &[(0, flow(1)), (1, other), (2, flow(1))]);
        assert_eq!(monitor.counters()[2..4], [("flows", 3), ("evicted-flows", 2)]);
    }
}
