//! In steady state no packet that passes a flow table allocates.
#![allow(clippy::unwrap_used)]

use legonf_allocations::allocations;
use legonf_core::{Batch, Brick, Clock, ColumnSpec, Handle, Layout as Columns, LinkType, Timestamp};
use legonf_extract::flow::{FlowStatistics, FlowTable, FlowTableConfig, PacketImage};
use legonf_wire::PacketBatching;

/// A UDP packet of one of some thousand flows, in raw IP.
fn packet(seq: u64) -> Vec<u8> {
    let some = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let (host, port, length) = (some as u8, (some >> 8) as u16 % 60, (some >> 20) as usize % 200);
    let ports = [&port.to_be_bytes()[..], &53_u16.to_be_bytes()].concat();
    let udp = [&ports[..], &(8 + length as u16).to_be_bytes(), &[0, 0], &vec![some as u8; length]].concat();
    let total = (20 + udp.len() as u16).to_be_bytes();
    [&[0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, host, 10, 0, 1, 9][..], &udp].concat()
}

#[test]
fn steady_state_allocates_nothing() {
    let packets: Vec<_> = (0..40_000).map(packet).collect();
    for flows_per_slot in [1, 128] {
        let config = FlowTableConfig { flows_per_slot, idle: 5.0, ..FlowTableConfig::default() };
        let mut table = FlowTable::new(config).unwrap();
        let mut others: [Box<dyn Brick>; 3] = [
            Box::new(PacketBatching::default()),
            Box::new(PacketImage::new(Default::default()).unwrap()),
            Box::new(FlowStatistics::new(Default::default()).unwrap()),
        ];
        let [batching, image, statistics] = &mut others;
        let layout =
            Columns::binding(&mut [&mut **batching, &mut **image, &mut table, &mut **statistics]).unwrap();
        let watermark: Handle<Vec<i64>> = layout.handle(&ColumnSpec::WATERMARK).unwrap();
        let (mut batch, mut clock, mut seq) = (Batch::new(&layout), Clock::default(), 0);
        let mut found = Vec::new();
        for _ in 0..5 {
            let before = allocations();
            for packets in packets.chunks(256) {
                batch.clear();
                for bytes in packets {
                    let time = Timestamp::from_nanos(seq as i64 * 1_000_000);
                    batch.packets.push(seq, time, bytes.len() as u32, LinkType::RawIp, bytes);
                    seq += 1;
                }
                clock.mark(&mut batch);
                let mut watermarks = std::mem::take(batch.columns.get_mut(watermark));
                clock.watermarks(&batch, &mut watermarks);
                *batch.columns.get_mut(watermark) = watermarks;
                batching.process(&mut batch).unwrap();
                image.process(&mut batch).unwrap();
                table.process(&mut batch).unwrap();
                statistics.process(&mut batch).unwrap();
            }
            found.push(allocations() - before);
        }
        assert!(found[0] > 0 && found[4] == 0, "{flows_per_slot}: {found:?}");
    }
}
