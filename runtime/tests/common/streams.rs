//! A graph with a brick whose work can be divided: it keeps a value for each source and for each pair of ends.
#![allow(dead_code, missing_docs)]

use super::{Collect, ERRORS, FEATURES, HEADERS, Places, SCORES, descriptor, go_from};
use legonf_core::Projector;
use legonf_core::{
    Batch, BindError, Brick, BrickError, Descriptor, Division, Fault, Field, Headers, Key, Layer,
    Layout as Columns, Link, Mac, Network, PacketKind, PacketKinds, Progress, Rows, Source, State,
    StateGroup, Storage, Transport, WestEast, slot, typed,
};
use legonf_runtime::{Control, Graph, GraphSpec, Layout, Outcome, Supply, SupplyError};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Packets between a few hosts, in batches of changing size; the same in every run.
pub struct Traffic {
    pub next: u64,
    pub end: u64,
    pub batch: usize,
    /// Ends the input before `end` once it is set.
    pub until: Option<Arc<AtomicBool>>,
}

impl Traffic {
    pub fn to(end: u64) -> Self {
        Self { next: 0, end, batch: 16, until: None }
    }
}

pub fn packet(seq: u64) -> Headers {
    let mix = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let (from, to) = ((mix % 23) as u32, (mix / 23 % 7) as u32);
    let ip = |low: u32| Some(Ipv4Addr::from_bits(0x0a00_0000 + low).into());
    let mac = |low: u32| Mac([2, 0, 0, 0, 0, (low % 5) as u8]);
    let arp = mix.is_multiple_of(11);
    let network = if arp { Network::Arp } else { Network::Ipv4 };
    let transport = if arp { Transport::None } else { Transport::Tcp };
    let ports = (!arp).then_some((1, 2));
    let outer = Layer { network, src: ip(from), dst: ip(to), transport, ports, ..Layer::default() };
    let link = Some(Link { src: mac(from), dst: mac(to), ..Link::default() });
    Headers { seq, link, outer, wire_len: 60, ..Headers::default() }
}

impl Source for Traffic {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let over = self.until.as_ref().is_some_and(|until| until.load(Ordering::Relaxed));
        self.end = if over { self.next } else { self.end };
        let len = 1 + self.next as usize % self.batch;
        while self.next < self.end && batch.headers.len() < len {
            batch.headers.push(packet(self.next));
            self.next += 1;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress { read_bytes: self.next, total_bytes: Some(self.end) }
    }
}

const SEED: u64 = 7;
const GROUPS: [&str; 3] = ["source", "pair", "socket"];

fn keys() -> [Key; 3] {
    let pair = Key::new(&[Field::SrcIp, Field::DstIp], true).unwrap();
    let macs = Key::new(&[Field::SrcMac, Field::DstMac], true).unwrap();
    [Key::new(&[Field::SrcIp], false).unwrap(), pair, macs]
}

/// Stateful: for each packet three values, which depend on the packets before with the same source, with the same pair
/// of addresses, and, for ARP, with the same pair of MACs.
pub struct Streams {
    projectors: [Projector; 3],
    tables: [BTreeMap<u64, f64>; 3],
    parts: Vec<Arc<[usize]>>,
    pub seen: u64,
    pub panics: Arc<Vec<u64>>,
    /// Panics that were raised: each packet of `panics` raises one, in whichever replica.
    pub raised: Arc<AtomicU64>,
    pub at: Places,
}

impl Default for Streams {
    fn default() -> Self {
        let projectors = keys().map(|key| Projector::new(&key, SEED));
        let (panics, raised, at) = Default::default();
        Self { projectors, tables: Default::default(), parts: Vec::new(), seen: 0, panics, raised, at }
    }
}

impl Streams {
    /// Panics at each of some packets, once in all of those that share `raised`.
    pub fn panicking(panics: Arc<Vec<u64>>, raised: Arc<AtomicU64>) -> Self {
        Self { panics, raised, ..Self::default() }
    }

    fn hash(&self, group: usize, headers: &Headers) -> u64 {
        let arp = PacketKind::of(headers) == PacketKind::Arp;
        self.projectors[[0, 1, if arp { 2 } else { 1 }][group]].hash(headers)
    }

    fn count(&mut self, groups: &[usize], headers: &[Headers], places: &[usize], rows: &mut Rows) {
        for (row, place) in places.iter().enumerate() {
            let headers = &headers[*place];
            if let Some(at) = self.panics.iter().position(|seq| *seq == headers.seq) {
                let first = self.raised.fetch_or(1 << at, Ordering::Relaxed) & (1 << at) == 0;
                assert!(!first, "bad packet");
            }
            for group in groups {
                let hash = self.hash(*group, headers);
                let value = self.tables[*group].entry(hash).or_default();
                *value = *value * (0.9 - *group as f64 * 0.2) + (headers.seq as f64).sqrt();
                rows.row_mut(row)[*group] = *value;
            }
        }
        self.seen += places.len() as u64;
    }

    fn part(&self, part: usize) -> Result<Arc<[usize]>, BrickError> {
        self.parts
            .get(part)
            .cloned()
            .ok_or_else(|| BrickError { brick: "streams", reason: "no such part".into() })
    }
}

impl Brick for Streams {
    fn descriptor(&self) -> Descriptor {
        descriptor("streams", HEADERS, FEATURES, State::Keyed)
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.at.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (len, places) = (batch.headers.len(), (0..batch.headers.len()).collect::<Vec<_>>());
        let features = batch.columns.get_mut(self.at.features);
        features.reset(len, GROUPS.len());
        self.count(&[0, 1, 2], &batch.headers, &places, features);
        Ok(())
    }

    fn state_size(&self) -> u64 {
        self.tables.iter().map(BTreeMap::len).sum::<usize>() as u64 * 16
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}

impl WestEast for Streams {
    fn division(&self) -> Division {
        let [source, pair, macs] = keys();
        let arp = PacketKinds::of(&[PacketKind::Arp]);
        let groups = vec![
            StateGroup::new(GROUPS[0], source),
            StateGroup::new(GROUPS[1], pair),
            StateGroup::new(GROUPS[2], pair).except(arp, macs),
        ];
        let cells = GROUPS.map(str::to_owned).into();
        Division { name: "streams".into(), groups, seed: SEED, fills: FEATURES, cells }
    }

    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError> {
        let number = |name: &String| GROUPS.iter().position(|group| group == name).unwrap();
        self.parts = parts.iter().map(|part| part.iter().map(number).collect()).collect();
        Ok(())
    }

    fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        let (groups, rows) = (self.part(part)?, typed(rows).unwrap());
        self.count(&groups, &batch.headers, places, rows);
        Ok(())
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let mut out = Vec::new();
        for group in self.part(part)?.iter().copied() {
            let moved = |hash: &u64, _: &mut f64| slots.contains(&(slot(*hash) as u16));
            for (hash, value) in self.tables[group].extract_if(.., moved) {
                out.extend([group as u64, hash, value.to_bits()].iter().flat_map(|word| word.to_le_bytes()));
            }
        }
        Ok(out)
    }

    fn copy(&self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let mut out = Vec::new();
        for group in self.part(part)?.iter().copied() {
            let kept = |(hash, _): &(&u64, &f64)| slots.contains(&(slot(**hash) as u16));
            for (hash, value) in self.tables[group].iter().filter(kept) {
                out.extend([group as u64, *hash, value.to_bits()].iter().flat_map(|word| word.to_le_bytes()));
            }
        }
        Ok(out)
    }

    fn import(&mut self, _: usize, state: &[u8]) -> Result<(), BrickError> {
        let words: Vec<u64> = state.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        for entry in words.as_chunks::<3>().0 {
            let before = self.tables[entry[0] as usize].insert(entry[1], f64::from_bits(entry[2]));
            if before.is_some() {
                return Err(BrickError { brick: "streams", reason: "there is state already".into() });
            }
        }
        Ok(())
    }
}

/// Stateless: marks each packet with its headers' number, before the streams.
#[derive(Default)]
struct Stamp(Places);

impl Brick for Stamp {
    fn descriptor(&self) -> Descriptor {
        descriptor("stamp", HEADERS, ERRORS, State::Stateless)
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.0.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let errors = batch.columns.get_mut(self.0.errors);
        errors.reset(batch.headers.len(), 1);
        for (at, headers) in batch.headers.iter().enumerate() {
            errors.row_mut(at).for_each(|cell| *cell = headers.seq as f64);
        }
        Ok(())
    }
}

/// Stateless: a score of all three values, each of which changes it.
#[derive(Default)]
struct Blend(Places);

impl Brick for Blend {
    fn descriptor(&self) -> Descriptor {
        let reads = vec![FEATURES, ERRORS].into();
        Descriptor { reads, ..descriptor("blend", FEATURES, SCORES, State::Stateless) }
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.0.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let Places { features, errors, scores, .. } = self.0;
        let (features, errors, scores) = batch.columns.get_three(features, errors, scores);
        scores.clear();
        scores.extend(features.iter().enumerate().map(|(at, row)| {
            let stamp: f64 = errors.row(at).sum();
            row[0].sin() + row[1].cos() * 3.0 + row[2].sin() * 7.0 + stamp
        }));
        Ok(())
    }
}

pub fn make(id: &str) -> Result<Box<dyn Brick>, SupplyError> {
    Ok(match id {
        "stamp" => Box::<Stamp>::default(),
        "streams" => Box::<Streams>::default(),
        "blend" => Box::<Blend>::default(),
        "smooth" => return super::make(id),
        other => return Err(SupplyError::new(format!("no brick {other}"))),
    })
}

const SPEC: &str = "name = \"t\"\n\
    [[brick]]\nid = \"stamp\"\nkind = \"k\"\nnext = \"streams\"\n[[brick]]\nid = \"streams\"\nkind = \"k\"\nnext = \"blend\"\n\
    [[brick]]\nid = \"blend\"\nkind = \"k\"\nnext = \"smooth\"\n[[brick]]\nid = \"smooth\"\nkind = \"k\"\n";

/// The graph stamp → streams → blend → smooth.
pub fn graph(make: impl Fn(&str) -> Result<Box<dyn Brick>, SupplyError>) -> Graph {
    let spec = GraphSpec::from_toml(SPEC).unwrap();
    let (given, wanted) = (&[HEADERS], &[SCORES]);
    Graph::assemble(&spec, given, wanted, |brick| make(&brick.id)).unwrap()
}

/// Runs the graph and gives what came out.
pub fn go(
    supply: Supply<'_>,
    layout: &str,
    graph: &mut Graph,
    source: Traffic,
    control: Option<&mut dyn Control>,
) -> (Outcome, Vec<(u64, u64)>) {
    go_kept(supply, layout, graph, source, control, None)
}

/// [`go`] with checkpoints.
pub fn go_kept(
    supply: Supply<'_>,
    layout: &str,
    graph: &mut Graph,
    source: Traffic,
    control: Option<&mut dyn Control>,
    checkpoint: Option<usize>,
) -> (Outcome, Vec<(u64, u64)>) {
    let layout: Layout = layout.parse().unwrap();
    go_from(supply, &layout, graph, source, Collect::default(), control, checkpoint)
}

/// What a single worker gives.
pub fn expected(packets: u64) -> Vec<(u64, u64)> {
    go(&make, "fused", &mut graph(make), Traffic::to(packets), None).1
}
