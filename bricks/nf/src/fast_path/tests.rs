use super::*;
use crate::samples::Sample;
use crate::{ApplyActions, ApplyActionsConfig};
use legonf_core::{
    Batch, Brick, ColumnSpec, Disposition, DropReason, Handle, Layout, LinkType, SLOTS, Socket, Timestamp,
    Verdict,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::LazyLock;

/// What a brick does to a packet: its bytes, or why it is dropped.
type Fate = Result<Vec<u8>, DropReason>;

/// A packet with its time in nanoseconds.
#[derive(Clone, Debug)]
struct Given {
    now: i64,
    link: LinkType,
    verdict: Verdict,
    bytes: Vec<u8>,
}

/// Bricks, one after the other. A brick does not see what one before has dropped.
struct Line {
    bricks: Vec<Box<dyn Brick>>,
    batch: Batch,
    watermark: Handle<Vec<i64>>,
    dispositions: Handle<Vec<Disposition>>,
    verdicts: Handle<Vec<Verdict>>,
}

impl Line {
    fn of(mut bricks: Vec<Box<dyn Brick>>) -> Self {
        let specs: Vec<_> = bricks.iter().map(|brick| brick.descriptor()).collect();
        let own = [ColumnSpec::WATERMARK, ColumnSpec::DISPOSITION, ColumnSpec::of_scores("verdicts")];
        let all = specs.iter().flat_map(|brick| brick.reads.iter().chain(&*brick.writes)).chain(&own);
        let layout = Layout::of(all).unwrap();
        bricks.iter_mut().for_each(|brick| brick.bind(&layout).unwrap());
        let [watermark, dispositions, verdicts] = &own;
        let (watermark, dispositions) =
            (layout.handle(watermark).unwrap(), layout.handle(dispositions).unwrap());
        let verdicts = layout.handle(verdicts).unwrap();
        Self { bricks, batch: Batch::new(&layout), watermark, dispositions, verdicts }
    }

    fn pass(&mut self, seq: u64, given: &Given) -> Fate {
        let Self { bricks, batch, .. } = self;
        batch.clear();
        batch.packets.push(
            seq,
            Timestamp::from_nanos(given.now),
            given.bytes.len() as u32,
            given.link,
            &given.bytes,
        );
        batch.headers.push(legonf_wire::parse(batch.packets.record(0), batch.packets.bytes(0)));
        batch.columns.get_mut(self.watermark).push(given.now);
        batch.columns.get_mut(self.dispositions).push(Disposition::default());
        batch.columns.get_mut(self.verdicts).push(given.verdict);
        for brick in bricks {
            brick.process(batch).unwrap();
            if let Some(reason) = batch.columns.get(self.dispositions)[0].dropped() {
                return Err(reason);
            }
        }
        Ok(batch.packets.bytes(0).to_vec())
    }

    /// The counters of all bricks, by name, but for those of none.
    fn counters(&self) -> std::collections::BTreeMap<&'static str, u64> {
        let mut all = std::collections::BTreeMap::new();
        for (name, count) in self.bricks.iter().flat_map(|brick| brick.counters()) {
            *all.entry(name).or_default() += count;
        }
        all.retain(|_, count| *count > 0);
        all
    }
}

fn apply(column: &str) -> Box<dyn Brick> {
    Box::new(ApplyActions::new(&ApplyActionsConfig { actions: column.into() }))
}

/// The bricks of a function by itself, which is the one at a place of a chain.
fn bricks(at: usize, function: &Function) -> Vec<Box<dyn Brick>> {
    let column = format!("action-{at}");
    let output = Some(column.clone());
    let brick: Box<dyn Brick> = match function.clone() {
        Function::CheckIpHeader(config) => return vec![Box::new(crate::CheckIpHeader::brick(config))],
        Function::DecrementTtl(config) => return vec![Box::new(crate::DecrementTtl::brick(config))],
        Function::MacSwap(config) => return vec![Box::new(crate::MacSwap::brick(config))],
        Function::IpFilter(config) => return vec![Box::new(crate::IpFilter::brick(&config).unwrap())],
        Function::VerdictFilter(config) => {
            let config = crate::VerdictFilterConfig { output, ..config };
            Box::new(crate::VerdictFilter::brick(&config).unwrap())
        }
        Function::Firewall(config) => {
            Box::new(crate::Firewall::brick(&crate::FirewallConfig { output, ..config }).unwrap())
        }
        Function::Monitor(config) => {
            Box::new(crate::Monitor::brick(&crate::MonitorConfig { output, ..config }).unwrap())
        }
        Function::Nat(config) => Box::new(crate::Nat::brick(&crate::NatConfig { output, ..config }).unwrap()),
        Function::Maglev(config) => {
            Box::new(crate::Maglev::brick(&crate::MaglevConfig { output, ..config }).unwrap())
        }
    };
    vec![brick, apply(&column)]
}

fn function(text: &str) -> Function {
    toml::from_str(text).unwrap()
}

fn functions() -> impl Strategy<Value = Function> {
    let idle = || prop_oneof![Just("0.5"), Just("3.0"), Just("900.0")];
    let filter = vec((0..3_u8, 0..4_u8, any::<bool>()), 0..4).prop_map(|rules| {
        let mut rules: Vec<_> = rules
            .into_iter()
            .map(|(kind, place, drops)| {
                let action = if drops { "drop" } else { "accept" };
                let what = match kind {
                    0 => format!("src = ['10.0.0.{place}']"),
                    1 => format!("dst = '{{ 192.0.2.{place}, 203.0.113.{place} }}'"),
                    _ => format!("protocol = 'udp', dst = ['192.0.2.{place}']"),
                };
                (kind, format!("{{ action = '{action}', {what} }}"))
            })
            .collect();
        // A rule that another one covers is refused; these cover each other only where they are of one kind.
        rules.sort_by_key(|(kind, _)| std::cmp::Reverse(*kind));
        rules.dedup_by_key(|(kind, _)| *kind);
        let rules: Vec<_> = rules.into_iter().map(|(_, rule)| rule).collect();
        function(&format!("kind = 'ip-filter'\nrules = [{}]", rules.join(", ")))
    });
    let monitor = (proptest::option::of(0..6_u8), idle(), 1..4_u8).prop_map(|(most, idle, flows)| {
        let most = most.map_or_else(String::new, |most| format!("most_packets = {most}\n"));
        function(&format!("kind = 'monitor'\n{most}idle = {idle}\nflows_per_slot = {flows}"))
    });
    let verdict = (1..4_u8, idle(), any::<bool>(), 1..4_u8).prop_map(|(after, idle, rejected, flows)| {
        let label = if rejected { "rejected" } else { "anomalous" };
        function(&format!(
            "kind = 'verdict-filter'\nlabels = ['{label}']\nafter = {after}\nidle = {idle}\nflows_per_slot = {flows}"
        ))
    });
    let firewall = (idle(), idle(), any::<bool>(), 1..4_u8).prop_map(|(idle, closing, rules, flows)| {
        let rules = if rules { "rules = [{ action = 'accept', src = '198.18.0.0/16' }]\n" } else { "" };
        function(&format!(
            "kind = 'firewall'\ninside = ['10.0.0.0/8', '192.0.2.1']\n{rules}idle = {idle}\nclosing = {closing}\nflows_per_slot = {flows}"
        ))
    });
    let nat = (idle(), idle(), 1..4_u8).prop_map(|(idle, closing, flows)| {
        function(&format!(
            "kind = 'nat'\ninside = ['10.0.0.0/8']\naddresses = ['203.0.113.1']\nidle = {idle}\nclosing = {closing}\nflows_per_slot = {flows}"
        ))
    });
    let maglev = (idle(), vec((0..3_u8, 0..60_u64, 1..40_u64), 0..4), 1..3_u8).prop_map(|(idle, outages, flows)| {
        let outages: Vec<_> = outages
            .into_iter()
            .map(|(of, from, long)| format!("{{ backend = '{of}', from = {from}, to = {} }}", from + long))
            .collect();
        let backends = [0, 1, 2].map(|of| format!("{{ name = '{of}', mac = '02:00:00:00:01:0{of}' }}")).join(", ");
        function(&format!(
            "kind = 'maglev'\nservice = '192.0.2.1:80'\nentries = 307\nbackends = [{backends}]\noutages = [{}]\nidle = {idle}\nflows_per_slot = {flows}",
            outages.join(", ")
        ))
    });
    prop_oneof![
        1 => Just(function("kind = 'check-ip-header'")),
        2 => Just(function("kind = 'decrement-ttl'")),
        1 => Just(function("kind = 'mac-swap'")),
        2 => filter,
        2 => verdict,
        2 => firewall,
        2 => monitor,
        2 => nat,
        2 => maglev,
    ]
}

/// What comes next.
#[derive(Clone, Debug)]
enum Event {
    /// A packet of one of some flows.
    Fresh { flow: usize, is_udp: bool, hops: u8, flags: u8, oddity: u8 },
    /// The verdict on the next packet.
    Judge(Verdict),
    /// An answer to what left before.
    Answer { to: usize, flags: u8 },
    /// Time passes, in milliseconds.
    Pause(u16),
    /// All slots go to the other replica.
    Move,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let hops = prop_oneof![1 => 0..4_u8, 6 => Just(64)];
    let flags = || prop_oneof![8 => Just(0x10_u8), 1 => Just(0x11), 1 => Just(0x04), 1 => Just(0x02)];
    let oddity = prop_oneof![12 => Just(0_u8), 1 => 1..7_u8];
    let fresh = (0..FLOWS, any::<bool>(), hops, flags(), oddity)
        .prop_map(|(flow, is_udp, hops, flags, oddity)| Event::Fresh { flow, is_udp, hops, flags, oddity });
    let answer = (any::<usize>(), flags()).prop_map(|(to, flags)| Event::Answer { to, flags });
    let event = prop_oneof![
        12 => fresh,
        6 => answer,
        1 => prop_oneof![Just(100), Just(600), Just(4000)].prop_map(Event::Pause),
        1 => Just(Event::Move),
        3 => prop_oneof![Just(Verdict::ANOMALOUS), Just(Verdict::REJECTED)].prop_map(Event::Judge),
    ];
    vec(event, 1..160)
}

const FLOWS: usize = 12;

/// Flows of two slots, so that these are full.
static CROWD: LazyLock<Vec<(Socket, Socket)>> = LazyLock::new(|| {
    let hasher = Hasher::new(1234);
    let socket = |ip: [u8; 4], port| Socket { ip: ip.into(), port };
    let ends =
        (0..4_u8).flat_map(|host| [([10, 0, 0, host], 1), ([10, 0, 0, host], 2), ([198, 18, 0, host], 1)]);
    let all = ends.flat_map(|(src, dst)| (1..6000).map(move |port| (src, port, dst)));
    let all = all.map(|(src, port, dst)| (socket(src, port), socket([192, 0, 2, dst], 80)));
    let in_two =
        |(src, dst): &(Socket, Socket)| slot(crate::Flow::between(*src, *dst, 6).keyed(&hasher).hash) < 2;
    let mut found: Vec<_> = all.filter(in_two).collect();
    found.sort_unstable_by_key(|(src, _)| src.port);
    found.truncate(FLOWS);
    found
});

/// The bytes of a packet, which may be one that no record holds for.
fn odd(oddity: u8, sample: &Sample) -> (LinkType, Vec<u8>) {
    let mut bytes = sample.bytes();
    match oddity {
        1 => bytes[24] ^= 1,
        2 => bytes[20] = 0x20,
        3 => bytes[20..22].copy_from_slice(&[0, 9]),
        4 => bytes[23] = 1,
        5 => bytes.truncate(36),
        6 => return (LinkType::RawIp, bytes[14..].to_vec()),
        _ => {}
    }
    (LinkType::Ethernet, bytes)
}

/// The packet that answers one that left.
fn answer(bytes: &[u8], flags: u8) -> Option<Sample> {
    let mut batch = Batch::default();
    batch.packets.push(0, Timestamp::default(), 60, LinkType::Ethernet, bytes);
    let outer = legonf_wire::parse(batch.packets.record(0), bytes).outer;
    let (src, dst, (from, to)) = (outer.src?, outer.dst?, outer.ports?);
    let protocol = if outer.transport == legonf_core::Transport::Tcp { 6 } else { 17 };
    let (src, dst) = (Socket { ip: dst, port: to }, Socket { ip: src, port: from });
    Some(Sample { src, dst, protocol, flags, hops: 60, payload: 1, options: 0 })
}

/// Two replicas of a fast path, and which of them has all slots.
struct Replicas {
    lines: [Line; 2],
    owner: usize,
}

impl Replicas {
    fn new(config: &Config) -> Self {
        let line = || Line::of(vec![Box::new(FastPath::brick(config).unwrap()), apply("fast-path-action")]);
        Self { lines: [line(), line()], owner: 0 }
    }

    fn change(&mut self) {
        let slots: Vec<u16> = (0..SLOTS as u16).collect();
        let state = self.lines[self.owner].bricks[0].west_east().unwrap().export(0, &slots).unwrap();
        self.owner = 1 - self.owner;
        self.lines[self.owner].bricks[0].west_east().unwrap().import(0, &state).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// SpeedyBox's equivalence (§VII-C), on random chains, flows and events, and with replicas between which the state moves.
    #[test]
    fn a_fast_path_is_its_functions_one_after_the_other(
        chain in vec(functions(), 1..7),
        entries in 1..4_u32,
        events in events(),
    ) {
        let each = chain.iter().enumerate().flat_map(|(at, function)| bricks(at, function));
        let mut line = Line::of(each.collect());
        let config = Config { functions: chain.clone(), flows_per_slot: entries, seed: 1234, output: None };
        let mut replicas = Replicas::new(&config);
        let (mut seq, mut now, mut left, mut verdict) = (0, 0, Vec::new(), Verdict::BENIGN);
        for event in events {
            let (link, bytes) = match event {
                Event::Pause(millis) => {
                    now += i64::from(millis) * 1_000_000;
                    continue;
                }
                Event::Move => {
                    replicas.change();
                    continue;
                }
                Event::Judge(other) => {
                    verdict = other;
                    continue;
                }
                Event::Fresh { flow, is_udp, hops, flags, oddity } => {
                    let (src, dst) = CROWD[flow];
                    let protocol = if is_udp { 17 } else { 6 };
                    odd(oddity, &Sample { src, dst, protocol, hops, flags, payload: 3, options: 0 })
                }
                Event::Answer { to, flags } => {
                    let found: Option<&Vec<u8>> = left.get(to % left.len().max(1));
                    let Some(sample) = found.and_then(|bytes| answer(bytes, flags)) else { continue };
                    (LinkType::Ethernet, sample.bytes())
                }
            };
            let given = Given { now, link, verdict: std::mem::replace(&mut verdict, Verdict::BENIGN), bytes };
            let expected = line.pass(seq, &given);
            let found = replicas.lines[replicas.owner].pass(seq, &given);
            prop_assert_eq!(&found, &expected, "packet {}: {:?}", seq, given);
            left.extend(expected.ok().filter(|_| given.link == LinkType::Ethernet));
            (seq, now) = (seq + 1, now + 1_000_000);
        }
        let mut counted = replicas.lines[0].counters();
        for (name, count) in replicas.lines[1].counters() {
            *counted.entry(name).or_default() += count;
        }
        prop_assert_eq!(counted, line.counters());
        // The state of each function is that of the function by itself.
        let slots: Vec<u16> = (0..SLOTS as u16).collect();
        let copy = |brick: &mut Box<dyn Brick>| Some(brick.west_east()?.copy(0, &slots).unwrap());
        let alone: Vec<_> = line.bricks.iter_mut().filter_map(copy).collect();
        let together = copy(&mut replicas.lines[replicas.owner].bricks[0]).unwrap();
        let pieces: Vec<Vec<u8>> = if together.is_empty() {
            vec![Vec::new(); alone.len()]
        } else {
            postcard::from_bytes(&together).unwrap()
        };
        prop_assert_eq!(pieces, alone);
    }
}

/// A fast path through functions, in the text of a graph file.
fn fast(text: &str) -> Result<FastPath, NfError> {
    FastPath::new(&toml::from_str(text).unwrap())
}

#[test]
fn one_packet_of_a_flow_and_direction_takes_the_slow_path() {
    let nat = "{ kind = 'nat', inside = ['10.0.0.0/8'], addresses = ['203.0.113.1'] }";
    let mut fast =
        fast(&format!("functions = [{nat}, {{ kind = 'decrement-ttl' }}, {{ kind = 'monitor' }}]")).unwrap();
    let there = Sample::tcp("10.0.0.1:5", "192.0.2.1:80");
    let actions = crate::samples::pass(&mut fast, &[there; 5]);
    assert!(actions.iter().all(|action| *action == actions[0] && action.hops == 1 && action.src.is_some()));
    let back = Sample { src: there.dst, dst: actions[0].src.unwrap(), ..there };
    crate::samples::pass(&mut fast, &[back; 5]);
    assert_eq!(fast.paths(), Paths { fast: 8, slow: 2, events: 0 });
    assert_eq!(fast.counters().iter().find(|(name, _)| *name == "packets"), Some(&("packets", 10)));
    // Behind a FIN the flow has no entry.
    crate::samples::pass(&mut fast, &[there.flags(0x11), there, there]);
    assert_eq!(fast.paths(), Paths { fast: 10, slow: 3, events: 0 });
}

#[test]
fn an_event_changes_the_entry_from_the_next_packet_on() {
    let mut fast =
        fast("functions = [{ kind = 'mac-swap' }, { kind = 'monitor', most_packets = 4 }]").unwrap();
    let actions = crate::samples::pass(&mut fast, &[Sample::tcp("10.0.0.1:5", "192.0.2.1:80"); 8]);
    let swapped = actions.iter().take_while(|action| **action == HeaderAction::SWAP_MACS).count();
    assert_eq!(swapped, 4);
    assert!(actions[4..].iter().all(|action| action.drop == Some(DropReason::Policy)));
    assert_eq!(fast.paths(), Paths { fast: 6, slow: 1, events: 1 });
}

#[test]
fn what_is_dropped_is_dropped_before_anything_is_done() {
    let drop = "{ kind = 'ip-filter', default = 'drop' }";
    let mut fast =
        fast(&format!("functions = [{{ kind = 'decrement-ttl' }}, {drop}, {{ kind = 'monitor' }}]")).unwrap();
    let actions = crate::samples::pass(&mut fast, &[Sample::tcp("10.0.0.1:5", "192.0.2.1:80"); 3]);
    assert_eq!(actions, [HeaderAction::drop(DropReason::Policy); 3]);
    assert_eq!(fast.counters()[..2], [("ttl-expired", 0), ("denied", 3)]);
    assert_eq!(fast.counters()[2], ("packets", 0));
}

#[test]
fn a_chain_that_cannot_be_is_refused_in_one_line() {
    let refused = |text: &str| fast(text).err().unwrap().to_string();
    assert!(refused("functions = []").starts_with("functions is empty: expected"));
    let many = vec!["{ kind = 'mac-swap' }"; 33].join(", ");
    assert_eq!(refused(&format!("functions = [{many}]")), "functions has 33 entries: expected at most 32");
    let nat = "{ kind = 'nat', inside = ['10.0.0.0/8'], addresses = [] }";
    assert!(
        refused(&format!("functions = [{{ kind = 'mac-swap' }}, {nat}]"))
            .starts_with("function 2: addresses is empty")
    );
    let seeds = "functions = [{ kind = 'monitor' }, { kind = 'monitor', seed = 5 }]";
    assert!(refused(seeds).contains("seed = 5, and a function before it 1234"));
    let columns = "functions = [{ kind = 'verdict-filter', labels = ['a'] },
        { kind = 'verdict-filter', labels = ['b'], verdicts = 'class' }]";
    assert!(refused(columns).starts_with("verdicts = \"class\", and a function before it `verdicts`"));
    let unknown = toml::from_str::<Config>("functions = [{ kind = 'nut' }]").unwrap_err().to_string();
    assert!(unknown.contains("unknown variant `nut`, expected one of `check-ip-header`"), "{unknown}");
}
