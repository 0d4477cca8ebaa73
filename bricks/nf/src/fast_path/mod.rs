//! One fast path through a chain of functions (SpeedyBox).

mod config;

use crate::NfError;
use crate::chain::recorded::descriptor;
use crate::chain::{ChainFunction, FlowHandle, FlowState, Flows, Holds, Keyed, Packet, Record, Recorded};
use crate::check_ip_header::is_sound;
use crate::ip::IpHeaders;
pub use config::{Config, Function};
use legonf_core::{BindError, ColumnSpec, Descriptor, Element, Hasher, HeaderAction, Layout, slot};
use legonf_extract::StateError;

/// Functions of a fast path at most.
const MOST_FUNCTIONS: usize = 32;
/// Bits of a key that no flow has: the direction, and whether its packets are Ethernet frames.
const SWAPPED: u64 = 1 << 63;
const FRAMES: u64 = 1 << 62;

/// A chain of functions as one. The first packet of a flow and direction passes all of them (the slow path), and each records what it does (SpeedyBox's Local
/// MAT). The records are consolidated into one entry (the Global MAT, §V): one header action, and the state functions that are to be told of
/// packets. Later packets of the flow take the entry alone.
///
/// - **Header actions** are merged, and a packet that some function drops is dropped before anything is done to it.
/// - **Events.** A function that finds its record stale says so before it does anything. Then the packet passes this function and those behind it, and the
///   entry is made anew: so it changes from that packet on.
/// - **What a record cannot say** of all packets takes the slow path: fragments, packets that are not of TCP or UDP, those whose hops do not suffice, and
///   those with a damaged header.
/// - **Cleaning up.** An entry goes with the FIN or RST of its flow, or when its slot needs room. It is a cache: without it a packet takes the slow path, with
///   the same result. So it is neither moved nor checkpointed.
///
/// Packets, drops, counters and state of each function are those of the functions one after the other.
pub struct FastPath {
    functions: Vec<Box<dyn ChainFunction>>,
    seed: u64,
    hasher: Hasher,
    entries: Flows<Entry>,
    /// For each entry the records of all functions.
    records: Vec<Record>,
    /// For each entry the state functions.
    steps: Vec<Step>,
    /// The records of the packet that is on the slow path.
    walked: Vec<Record>,
    paths: Paths,
}

/// Packets by the path that they took. They are no counters of a run: a replica that gets a slot knows no entries of its flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// By the entry of their flow alone.
    pub fast: u64,
    /// Through all functions.
    pub slow: u64,
    /// Through some, from the one on whose record was stale.
    pub events: u64,
}

/// What is done to packets of a flow in one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    action: HeaderAction,
    /// Packets must have more hops than these.
    hops: u8,
    /// Whether they must have a sound header.
    sound: bool,
    /// How many steps there are.
    steps: u8,
}

/// A function that is told of each packet.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    function: u8,
    handle: FlowHandle,
}

impl FastPath {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "fast-path";

    /// The column of actions that it fills, unless its configuration names another one.
    pub const FILLS: &'static [ColumnSpec] = &[ColumnSpec::scalar("fast-path-action", Element::HeaderAction)];

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = descriptor(Self::KIND, "fast path", Self::FILLS);

    /// A fast path through some functions, in their order.
    ///
    /// # Errors
    /// If there are none or too many, one refuses its configuration, or those with state have different seeds.
    pub fn new(config: &Config) -> Result<Self, NfError> {
        NfError::within("flows_per_slot", config.flows_per_slot.into(), 1.0, 65_535.0)?;
        let found = config.functions.len();
        if found == 0 {
            return Err(NfError::Nothing { key: "functions", expected: "[{ kind = \"KIND\" }, ...]" });
        }
        if found > MOST_FUNCTIONS {
            return Err(NfError::Many { key: "functions", found, most: MOST_FUNCTIONS });
        }
        let make = |(at, function): (usize, &Function)| {
            let within = |error| NfError::Function { function: at + 1, error: Box::new(error) };
            function.make().map_err(within)
        };
        let functions: Vec<_> = config.functions.iter().enumerate().map(make).collect::<Result<_, _>>()?;
        let seeds = functions.iter().filter_map(|function| function.state().map(FlowState::seed));
        let seeds: Vec<u64> = seeds.collect();
        let seed = seeds.first().copied().unwrap_or(config.seed);
        if let Some(other) = seeds.into_iter().find(|other| *other != seed) {
            return Err(NfError::Seeds(seed, other));
        }
        let mut columns = functions.iter().filter_map(|function| function.verdicts());
        if let Some(first) = columns.next()
            && let Some(other) = columns.find(|column| *column != first)
        {
            return Err(NfError::Verdicts(first.name.into(), other.name.into()));
        }
        Ok(Self {
            walked: vec![Record::default(); functions.len()],
            functions,
            seed,
            hasher: Hasher::new(seed),
            entries: Flows::of(config.flows_per_slot as usize),
            records: Vec::new(),
            steps: Vec::new(),
            paths: Paths::default(),
        })
    }

    /// The brick for `config`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn brick(config: &Config) -> Result<Recorded<Self>, NfError> {
        Ok(Recorded::new(Self::new(config)?, &Self::DESCRIPTOR, config.output.as_deref()))
    }

    /// The functions.
    pub fn functions(&self) -> &[Box<dyn ChainFunction>] {
        &self.functions
    }

    /// Packets by the path that they took.
    pub fn paths(&self) -> Paths {
        self.paths
    }

    /// The flow and direction of a packet that an entry can be for.
    #[inline(always)]
    fn directed(&self, packet: &Packet<'_>, ip: &IpHeaders) -> Option<Keyed> {
        packet.whole_of(ip)?;
        let mut keyed = packet.flow()?.keyed(&self.hasher);
        let kind = if keyed.swapped { SWAPPED } else { 0 } | if packet.is_frame { FRAMES } else { 0 };
        keyed.key[4] |= kind;
        keyed.hash ^= kind >> 62;
        Some(keyed)
    }

    /// Tells the functions of an entry of a packet; if the record of one is stale, which.
    #[inline(always)]
    fn tell(&mut self, number: u32, steps: u8, packet: &Packet<'_>) -> Option<u8> {
        let first = number as usize * self.functions.len();
        let steps = &self.steps[first..first + usize::from(steps)];
        let stale =
            steps.iter().find(|step| !self.functions[usize::from(step.function)].update(step.handle, packet));
        stale.map(|step| step.function)
    }

    /// Lets a packet pass the functions from one on. What those before do to it is in their records.
    fn walk(&mut self, from: usize, packet: &Packet<'_>) -> Walked {
        let mut packet = *packet;
        let mut walked =
            Walked { action: HeaderAction::default(), functions: self.functions.len(), holds: true };
        for (at, function) in self.functions.iter_mut().enumerate() {
            if at >= from {
                self.walked[at] = function.process(&packet);
            }
            let Record { action, holds, .. } = self.walked[at];
            walked.holds &= holds != Holds::Packet;
            walked.action = walked.action.then(action);
            if action.drop.is_some() {
                walked.functions = at + 1;
                break;
            }
            packet.follow(&action);
        }
        walked
    }

    /// Lets a packet pass all functions, and makes an entry of their records if they hold for later packets.
    fn slow(&mut self, packet: &Packet<'_>, keyed: Option<Keyed>) -> HeaderAction {
        self.paths.slow += 1;
        let walked = self.walk(0, packet);
        if let Some(keyed) = keyed.filter(|_| walked.holds) {
            let number = self.entries.find(&keyed).unwrap_or_else(|| self.add(&keyed, packet));
            self.consolidate(number, &walked);
        }
        walked.action
    }

    /// Makes the entry anew from the function on whose record is stale.
    #[cold]
    fn event(&mut self, number: u32, from: usize, packet: &Packet<'_>) -> HeaderAction {
        self.paths.events += 1;
        let first = number as usize * self.functions.len();
        self.walked[..from].copy_from_slice(&self.records[first..first + from]);
        let walked = self.walk(from, packet);
        if walked.holds {
            self.consolidate(number, &walked);
        } else {
            self.entries.remove(number);
        }
        walked.action
    }

    fn add(&mut self, keyed: &Keyed, packet: &Packet<'_>) -> u32 {
        if self.entries.is_full(slot(keyed.hash))
            && let Some(oldest) = self.entries.oldest(slot(keyed.hash))
        {
            self.entries.remove(oldest);
        }
        let number = self.entries.add(keyed, packet, Entry::default());
        let room = (number as usize + 1) * self.functions.len();
        if self.records.len() < room {
            self.records.resize(room, Record::default());
            self.steps.resize(room, Step::default());
        }
        number
    }

    /// Makes one entry of the records of the functions that a packet has passed.
    fn consolidate(&mut self, number: u32, walked: &Walked) {
        let first = number as usize * self.functions.len();
        let passed = &self.walked[..walked.functions];
        self.records[first..first + passed.len()].copy_from_slice(passed);
        let mut entry = Entry { action: walked.action, ..Entry::default() };
        for (at, record) in passed.iter().enumerate() {
            entry.hops = entry.hops.saturating_add(record.action.hops);
            entry.sound |= record.holds == Holds::Sound;
            if let Some(handle) = record.state {
                self.steps[first + usize::from(entry.steps)] = Step { function: at as u8, handle };
                entry.steps += 1;
            }
        }
        self.entries.item_mut(number).value = entry;
    }

    fn state_of(&self) -> impl Iterator<Item = &dyn FlowState> {
        self.functions.iter().filter_map(|function| function.state())
    }
}

/// How a packet came through the functions.
struct Walked {
    action: HeaderAction,
    /// How many functions it has passed.
    functions: usize,
    /// Whether all their records hold for later packets.
    holds: bool,
}

impl ChainFunction for FastPath {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn verdicts(&self) -> Option<ColumnSpec> {
        self.functions.iter().find_map(|function| function.verdicts())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.functions.iter_mut().try_for_each(|function| function.bind(layout))
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        let mut action = HeaderAction::default();
        self.act(packet, &mut action);
        Record::once(action)
    }

    fn act(&mut self, packet: &Packet<'_>, action: &mut HeaderAction) {
        let Some(ip) = packet.ip() else {
            *action = self.slow(packet, None);
            return;
        };
        // Behind a FIN or a RST few packets are expected.
        let (keyed, ends) = (self.directed(packet, &ip), ip.ends(packet.bytes));
        let Some(number) = keyed.and_then(|keyed| self.entries.find(&keyed)) else {
            *action = self.slow(packet, keyed.filter(|_| !ends));
            return;
        };
        let item = self.entries.item_mut(number);
        let entry = &item.value;
        if packet.hops(&ip) <= entry.hops || entry.sound && !is_sound(packet) {
            *action = self.slow(packet, None);
            return;
        }
        let steps = entry.steps;
        *action = entry.action;
        item.touch(packet);
        if let Some(stale) = self.tell(number, steps, packet) {
            *action = self.event(number, stale.into(), packet);
            return;
        }
        self.paths.fast += 1;
        if ends {
            self.entries.remove(number);
        }
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut all: Vec<(&'static str, u64)> = Vec::new();
        for (name, count) in self.functions.iter().flat_map(|function| function.counters()) {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += count,
                None => all.push((name, count)),
            }
        }
        all
    }

    fn state(&self) -> Option<&dyn FlowState> {
        Some(self)
    }

    fn state_mut(&mut self) -> Option<&mut dyn FlowState> {
        Some(self)
    }
}

impl FlowState for FastPath {
    fn seed(&self) -> u64 {
        self.seed
    }

    fn copy(&self, slots: &[u16]) -> Result<Vec<u8>, StateError> {
        let states: Vec<Vec<u8>> =
            self.state_of().map(|state| state.copy(slots)).collect::<Result<_, _>>()?;
        if states.iter().all(Vec::is_empty) {
            return Ok(Vec::new());
        }
        postcard::to_allocvec(&states).map_err(|_| StateError::Damaged("it cannot be written"))
    }

    fn remove(&mut self, slots: &[u16]) {
        let states = self.functions.iter_mut().filter_map(|function| function.state_mut());
        states.for_each(|state| state.remove(slots));
    }

    fn import(&mut self, state: &[u8]) -> Result<(), StateError> {
        if state.is_empty() {
            return Ok(());
        }
        let pieces: Vec<Vec<u8>> =
            postcard::from_bytes(state).map_err(|_| StateError::Damaged("no state of functions"))?;
        if pieces.len() != self.state_of().count() {
            return Err(StateError::Differs("chain"));
        }
        let states = self.functions.iter_mut().filter_map(|function| function.state_mut());
        states.zip(pieces).try_for_each(|(state, piece)| state.import(&piece))
    }

    fn used(&self) -> usize {
        self.state_of().map(FlowState::used).sum()
    }
}

#[cfg(test)]
mod tests;
