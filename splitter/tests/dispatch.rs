//! Random traffic over random plans and owners: streams stay whole, nothing is lost, order is kept.
#![allow(clippy::unwrap_used)]

#[path = "common/mod.rs"]
mod common;
#[path = "common/traffic.rs"]
mod traffic;

use common::group_set;
use legonf_core::{Headers, PacketKind, SLOTS};
use legonf_splitter::{Dispatcher, Merge, Owners, Parcel, Plan, Projector, Shard, Switch};
use proptest::prelude::*;
use std::collections::HashMap;
use traffic::traffic;

/// Owners that look random.
fn owners(epoch: u64, replicas: usize, salt: u64) -> Owners {
    let owner = |slot: u64| ((slot ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % replicas;
    Owners::new(epoch, replicas, (0..SLOTS as u64).map(|slot| owner(slot) as u16).collect()).unwrap()
}

/// Every packet with the replica and the routes by which it came, in the order of sending.
fn dealt(dispatcher: &mut Dispatcher, packets: &[Headers], batch: usize) -> Vec<(usize, u8, Headers)> {
    let mut all = Vec::new();
    let mut send = |replica: usize, parcel: &Parcel| {
        all.extend(parcel.headers.iter().zip(&parcel.marks).map(|(h, mark)| (replica, *mark, *h)));
    };
    packets.chunks(batch).for_each(|packets| dispatcher.dispatch(packets, &mut send));
    dispatcher.flush(&mut send);
    all
}

fn check(shard: &Shard, packets: &[Headers], replicas: usize, salt: u64) -> Result<(), TestCaseError> {
    let mut dispatcher = Dispatcher::new(shard, owners(0, replicas, salt), salt).unwrap();
    let dealt = dealt(&mut dispatcher, packets, 7);
    for (at, route) in shard.routes.iter().enumerate() {
        let projector = Projector::new(&route.key, salt);
        let mut replica_of: HashMap<u64, usize> = HashMap::new();
        let (mut last, mut count) = (HashMap::new(), 0);
        for (replica, _, headers) in dealt.iter().filter(|(_, mark, _)| mark & 1 << at != 0) {
            prop_assert!(route.packets.holds(PacketKind::of(headers)));
            let met = *replica_of.entry(projector.hash(headers)).or_insert(*replica);
            prop_assert_eq!(met, *replica, "equal keys at two replicas");
            let before = last.insert(*replica, headers.seq);
            prop_assert!(before.is_none_or(|seq| seq < headers.seq), "order");
            count += 1;
        }
        let expected = packets.iter().filter(|p| route.packets.holds(PacketKind::of(p))).count();
        prop_assert_eq!(count, expected, "every packet once on every route that it takes");
    }
    // A packet comes to a replica once, whatever the routes.
    let mut copies: Vec<_> = dealt.iter().map(|(replica, _, headers)| (*replica, headers.seq)).collect();
    copies.sort_unstable();
    copies.dedup();
    prop_assert_eq!(copies.len(), dealt.len());
    prop_assert_eq!(dispatcher.counts(), (packets.len() as u64, dealt.len() as u64));
    Ok(())
}

proptest! {
    #[test]
    fn packets_with_an_equal_group_key_never_land_on_two_replicas(
        set in group_set(), packets in traffic(200), replicas in 1..65usize, salt in any::<u64>(),
    ) {
        let plan = Plan::exact(&set);
        for shard in &plan.shards {
            check(shard, &packets, replicas, salt)?;
        }
        for group in set.groups().iter().filter(|g| g.coupled.is_none()) {
            let shard = plan.shards.iter().find(|s| s.groups().contains(&group.name.as_str())).unwrap();
            let dispatcher = Dispatcher::new(shard, owners(0, replicas, salt), salt).unwrap();
            for keyed in &group.keys {
                let projector = Projector::new(&keyed.key, salt);
                let mut owner_of: HashMap<u64, u16> = HashMap::new();
                for packet in packets.iter().filter(|p| keyed.packets.holds(PacketKind::of(p))) {
                    let serves = |r: &&legonf_splitter::Route| {
                        r.serves.iter().any(|s| s.group == group.name && s.packets.holds(PacketKind::of(packet)))
                    };
                    let route = shard.routes.iter().position(|r| serves(&r)).unwrap();
                    let owner = dispatcher.owner(packet, route);
                    prop_assert_eq!(*owner_of.entry(projector.hash(packet)).or_insert(owner), owner);
                }
            }
        }
    }

    #[test]
    fn a_switch_shows_at_a_batch_boundary_and_loses_nothing(
        packets in traffic(300), replicas in 1..9usize, more in 1..9usize, salt in any::<u64>(), cut in 0..300usize,
    ) {
        let set = legonf_splitter::GroupSet::from_toml(
            "name = 'x'\n[[group]]\nname = 'g'\nfields = ['SrcIP', 'DstIP']\nboth_directions = true",
        ).unwrap();
        let shard = &Plan::exact(&set).shards[0];
        let (old, new) = (owners(0, replicas, salt), owners(1, more, !salt));
        let switch = Switch::new(old.clone());
        let mut dispatcher = Dispatcher::new(shard, old, salt).unwrap();
        let mut came = Vec::new();
        let mut send = |replica: usize, parcel: &Parcel| {
            came.extend(parcel.headers.iter().map(|h| (h.seq, replica, parcel.epoch)));
        };
        let cut = cut.min(packets.len());
        dispatcher.dispatch(&packets[..cut], &mut send);
        prop_assert!(dispatcher.follow(&switch, &mut send).is_none());
        switch.publish(new.clone());
        prop_assert_eq!(dispatcher.follow(&switch, &mut send).unwrap().epoch(), 0);
        dispatcher.dispatch(&packets[cut..], &mut send);
        dispatcher.flush(&mut send);
        came.sort_unstable();
        prop_assert_eq!(came.len(), packets.len());
        for (seq, replica, epoch) in came {
            prop_assert_eq!(epoch, u64::from(seq as usize >= cut));
            let slot = dispatcher.slot(&packets[seq as usize], 0);
            let owner = if epoch == 0 { owners(0, replicas, salt).owner(slot) } else { new.owner(slot) };
            prop_assert_eq!(replica, usize::from(owner));
        }
    }

    #[test]
    fn the_merge_restores_order_within_its_window(
        order in Just((0..400u64).collect::<Vec<_>>()).prop_shuffle(), log in 0..7u32,
    ) {
        let window = 1 << log;
        let (mut merge, mut out, mut waiting) = (Merge::new(window, 0u64), Vec::new(), order);
        let mut announced = 0;
        while out.len() < 400 {
            while announced < 400 && merge.expect([(0, 0)].into_iter()).is_ok() {
                announced += 1;
            }
            // The first of the shuffled that was announced comes next.
            if let Some(at) = waiting.iter().position(|seq| *seq < announced) {
                let seq = waiting.remove(at);
                *merge.deliver(seq, 1).unwrap().1 = seq * 10;
            }
            while let Some((seq, answer)) = merge.next_complete() {
                out.push((seq, *answer));
            }
            prop_assert!(merge.pending() <= window as u64);
        }
        prop_assert!(out.iter().enumerate().all(|(at, (seq, answer))| *seq == at as u64 && *answer == seq * 10));
    }
}

/// Every parcel goes by the owners of one epoch, whoever publishes new ones meanwhile.
#[test]
fn a_switch_from_another_thread_is_never_seen_by_halves() {
    const EPOCHS: u64 = 200;
    let to = |epoch: u64| Owners::new(epoch, 5, vec![(epoch % 5) as u16; SLOTS]).unwrap();
    let text = "name = 'x'\n[[group]]\nname = 'g'\nfields = ['SrcIP']";
    let plan = Plan::exact(&legonf_splitter::GroupSet::from_toml(text).unwrap());
    let (switch, packet) = (Switch::new(to(0)), Headers::default());
    let mut dispatcher = Dispatcher::new(&plan.shards[0], to(0), 1).unwrap();
    let (mut batches, mut came, mut epochs) = (0, 0, vec![0]);
    let mut send = |replica: usize, parcel: &Parcel| {
        assert_eq!(replica as u64, parcel.epoch % 5);
        came += parcel.headers.len();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| (1..=EPOCHS).for_each(|epoch| assert!(switch.publish(to(epoch)))));
        while epochs.last() != Some(&EPOCHS) {
            dispatcher.dispatch(&[packet; 100], &mut send);
            batches += 1;
            if dispatcher.follow(&switch, &mut send).is_some() {
                epochs.push(dispatcher.owners().epoch());
            }
        }
    });
    dispatcher.flush(&mut send);
    assert_eq!(came, batches * 100);
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}
