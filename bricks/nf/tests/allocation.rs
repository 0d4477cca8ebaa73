//! In steady state no packet that passes functions allocates.
#![allow(clippy::unwrap_used)]

use legonf_allocations::allocations_of_thread as allocations;
use legonf_core::{Batch, Brick, Clock, ColumnSpec, Disposition, Handle, Layout, LinkType, Timestamp};
use legonf_nf::{
    ApplyActions, ApplyActionsConfig, CheckIpHeader, CheckIpHeaderConfig, DecrementTtl, DecrementTtlConfig,
    FastPath, Firewall, IpFilter, MacSwap, MacSwapConfig, Maglev, Monitor, Nat,
};
use legonf_wire::PacketBatching;

/// A packet of one of some thousand flows, out of the office or to the service, in an Ethernet frame.
fn packet(seq: u64) -> Vec<u8> {
    let some = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let (host, port) = (some as u8, 1000 + (some >> 8) as u16 % 60);
    let ends = match some >> 20 & 1 {
        0 => [10, 0, 0, host, 192, 0, 2, 9],
        _ => [198, 18, 0, host, 198, 51, 100, 7],
    };
    let head = [0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0];
    let sum: u32 =
        [&head[..], &ends].concat().chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    let [high, low] = sum.to_be_bytes();
    let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &head[..10], &[high, low], &ends];
    let tcp = [&port.to_be_bytes()[..], &[0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]];
    [frame.concat(), tcp.concat()].concat()
}

fn bricks() -> Vec<Box<dyn Brick>> {
    let read = |text: &str| text.parse::<toml::Table>().unwrap();
    let apply = |column: &str| -> Box<dyn Brick> {
        Box::new(ApplyActions::new(&ApplyActionsConfig { actions: column.into() }))
    };
    let nat = read("inside = ['10.0.0.0/8']\naddresses = ['203.0.113.1']\nidle = 3.0\nflows_per_slot = 2");
    let backends =
        "backends = [{ name = 'a', mac = '02:00:00:00:00:01' }, { name = 'b', mac = '02:00:00:00:00:02' }]";
    let maglev = read(&format!("service = '198.51.100.7:80'\nentries = 997\nflows_per_slot = 1\n{backends}"));
    let filter = read("rules = [{ action = 'drop', dst_ports = '{ 23, 6000-6100 }' }]");
    vec![
        Box::new(PacketBatching::default()),
        Box::new(CheckIpHeader::brick(CheckIpHeaderConfig {})),
        Box::new(DecrementTtl::brick(DecrementTtlConfig {})),
        Box::new(Nat::brick(&nat.try_into().unwrap()).unwrap()),
        apply("nat-action"),
        Box::new(Maglev::brick(&maglev.try_into().unwrap()).unwrap()),
        apply("maglev-action"),
        Box::new(
            Firewall::brick(&read("inside = '10.0.0.0/8'\nflows_per_slot = 2").try_into().unwrap()).unwrap(),
        ),
        Box::new(Monitor::brick(&read("flows_per_slot = 2\nidle = 2.0").try_into().unwrap()).unwrap()),
        apply("monitor-action"),
        Box::new(IpFilter::brick(&filter.try_into().unwrap()).unwrap()),
        Box::new(MacSwap::brick(MacSwapConfig {})),
    ]
}

/// Functions on one fast path, few of whose entries fit.
fn fast() -> Vec<Box<dyn Brick>> {
    let text = "flows_per_slot = 2\nfunctions = [
        { kind = 'check-ip-header' }, { kind = 'decrement-ttl' }, { kind = 'monitor', most_packets = 9, idle = 2.0 },
        { kind = 'nat', inside = '10.0.0.0/8', addresses = ['203.0.113.1'], idle = 3.0, flows_per_slot = 2 }]";
    let config = text.parse::<toml::Table>().unwrap().try_into().unwrap();
    let actions = ApplyActionsConfig { actions: "fast-path-action".into() };
    vec![
        Box::new(PacketBatching::default()),
        Box::new(FastPath::brick(&config).unwrap()),
        Box::new(ApplyActions::new(&actions)),
    ]
}

#[test]
fn steady_state_allocates_nothing() {
    allocates_nothing(bricks());
}

#[test]
fn a_fast_path_allocates_nothing_in_steady_state() {
    allocates_nothing(fast());
}

fn allocates_nothing(mut bricks: Vec<Box<dyn Brick>>) {
    let packets: Vec<_> = (0..40_000).map(packet).collect();
    let descriptors: Vec<_> = bricks.iter().map(|brick| brick.descriptor()).collect();
    let layout =
        Layout::of(descriptors.iter().flat_map(|brick| brick.reads.iter().chain(&*brick.writes))).unwrap();
    bricks.iter_mut().for_each(|brick| brick.bind(&layout).unwrap());
    let watermark: Handle<Vec<i64>> = layout.handle(&ColumnSpec::WATERMARK).unwrap();
    let dispositions: Handle<Vec<Disposition>> = layout.handle(&ColumnSpec::DISPOSITION).unwrap();
    let (mut batch, mut clock, mut seq, mut found) = (Batch::new(&layout), Clock::default(), 0, Vec::new());
    for _ in 0..5 {
        let before = allocations();
        for packets in packets.chunks(256) {
            batch.clear();
            for bytes in packets {
                let time = Timestamp::from_nanos(seq as i64 * 1_000_000);
                batch.packets.push(seq, time, bytes.len() as u32, LinkType::Ethernet, bytes);
                seq += 1;
            }
            clock.mark(&mut batch);
            let mut watermarks = std::mem::take(batch.columns.get_mut(watermark));
            clock.watermarks(&batch, &mut watermarks);
            *batch.columns.get_mut(watermark) = watermarks;
            batch.columns.get_mut(dispositions).resize(packets.len(), Disposition::default());
            bricks.iter_mut().for_each(|brick| brick.process(&mut batch).unwrap());
        }
        found.push(allocations() - before);
    }
    let counted: u64 = bricks.iter().flat_map(|brick| brick.counters()).map(|(_, value)| value).sum();
    assert!(counted > 0 && found[0] > 0 && found[4] == 0, "{found:?}");
}
