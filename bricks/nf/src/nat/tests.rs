use super::*;
use crate::samples::{Sample, arp, pass, pass_at};
use legonf_core::{MacFrom, SLOTS};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

fn nat(more: &str) -> Result<Nat, NfError> {
    let text = format!(
        "inside = '{{ 10.0.0.0/8, fd00::/8 }}'\naddresses = ['203.0.113.1', '203.0.113.2', '2001:db8::1']\n{more}"
    );
    Nat::new(&toml::from_str(&text).unwrap())
}

fn out(client: u16) -> Sample {
    Sample::tcp(&format!("10.0.0.1:{client}"), "192.0.2.7:80")
}

#[test]
fn a_flow_is_translated_and_its_answers_find_back() {
    for (client, server) in [("10.0.0.1:999", "192.0.2.7:80"), ("[fd00::1]:5", "[2001:db8:9::1]:443")] {
        for there in [Sample::tcp(client, server), Sample::tcp(client, server).udp()] {
            let mut nat = nat("ports = [20000, 60000]").unwrap();
            let first = pass(&mut nat, &[there, there]);
            let outside = first[0].src.unwrap();
            assert_eq!((first[0], first[0].dst), (first[1], None));
            assert!(nat.ports.has(outside.ip) && (20_000..=60_000).contains(&outside.port));
            let back = Sample { src: there.dst, dst: outside, ..there };
            assert_eq!(
                pass(&mut nat, &[back])[0],
                HeaderAction { dst: Some(there.src), ..HeaderAction::default() }
            );
            // Nobody else gets in by that port.
            let other = Sample { src: Socket { port: 81, ..there.dst }, ..back };
            assert_eq!(pass(&mut nat, &[other])[0].drop, Some(DropReason::NoTranslation));
            assert_eq!(
                nat.counters()[..4],
                [("translations", 1), ("ended-translations", 0), ("no-port", 0), ("no-translation", 1)]
            );
        }
    }
}

#[test]
fn what_is_neither_out_nor_back_passes_and_what_cannot_be_translated_does_not() {
    let mut nat = nat("").unwrap();
    let mut fragment = out(5).bytes();
    fragment[20..22].copy_from_slice(&[0x20, 0]);
    let mut icmp = out(5).bytes();
    icmp[23] = 1;
    let packets = [
        (Sample::tcp("10.0.0.1:1", "10.0.0.2:2").bytes(), None),
        (Sample::tcp("192.0.2.1:1", "192.0.2.2:2").bytes(), None),
        (arp(), None),
        (fragment, Some(DropReason::Fragment)),
        (icmp, Some(DropReason::NoTranslation)),
    ];
    let given: Vec<_> = packets.iter().map(|(bytes, _)| (0, bytes.clone())).collect();
    let found: Vec<_> = pass_at(&mut nat, &given).into_iter().map(|record| record.action).collect();
    for ((_, drop), action) in packets.iter().zip(&found) {
        assert_eq!(*action, HeaderAction { drop: *drop, ..HeaderAction::default() });
    }
    assert_eq!(nat.counters()[4..], [("fragments", 1), ("other-protocols", 1)]);
    assert_eq!(found[0].mac_src, MacFrom::Source);
}

#[test]
fn translations_end_when_they_are_idle_and_sooner_behind_a_fin() {
    let sequence = |gap: i64, flags: u8| {
        let mut nat = nat("idle = 100.0\nclosing = 5.0").unwrap();
        let packets = [(0, out(7).bytes()), (SECOND, out(7).flags(flags).bytes())];
        pass_at(&mut nat, &packets);
        let outside = nat.kept.flows.item(0).value.outside;
        let back = Sample { src: out(7).dst, dst: outside, ..out(7) };
        let drop = pass_at(&mut nat, &[(SECOND + gap, back.bytes())])[0].action.drop;
        // Whoever begins anew gets a translation again.
        pass_at(&mut nat, &[(SECOND + gap, out(7).bytes())]);
        (drop.is_none(), nat.counters()[0].1)
    };
    assert_eq!(sequence(99 * SECOND, 0x10), (true, 1));
    assert_eq!(sequence(100 * SECOND, 0x10), (false, 2));
    assert_eq!(sequence(4 * SECOND, 0x11), (true, 1));
    for flags in [0x11, 0x04] {
        assert_eq!(sequence(5 * SECOND, flags), (false, 2));
    }
}

#[test]
fn without_a_free_port_packets_are_dropped_until_one_is_free_again() {
    // Two ports of one address: hardly a flow finds one of its slot.
    let text = "inside = ['10.0.0.0/8']\naddresses = ['203.0.113.1']\nports = [1024, 1025]\nidle = 5.0";
    let mut few = Nat::new(&toml::from_str(text).unwrap()).unwrap();
    let drops: Vec<_> = pass(&mut few, &(0..400).map(out).collect::<Vec<_>>());
    assert!(drops.iter().all(|action| action.drop == Some(DropReason::NoPort) || action.src.is_some()));
    assert!(drops.iter().filter(|action| action.drop.is_some()).count() > 390);
    assert_eq!(few.counters()[2].1 + few.counters()[0].1, 400);
    // A slot has one translation at most: the second flow of a slot gets one when the first is over.
    let mut nat = nat("flows_per_slot = 1\nidle = 5.0").unwrap();
    let slot_of =
        |sample: &Sample| slot(Flow::between(sample.src, sample.dst, 6).keyed(&nat.kept.hasher).hash);
    let (first, wanted) = (out(1), slot_of(&out(1)));
    let second = (2..).map(out).find(|sample| slot_of(sample) == wanted).unwrap();
    let at = |seconds: i64, sample: Sample| (seconds * SECOND, sample.bytes());
    let packets = [at(0, first), at(1, second), at(4, first), at(8, second), at(9, second), at(10, first)];
    let drops: Vec<_> = pass_at(&mut nat, &packets).iter().map(|record| record.action.drop).collect();
    let full = Some(DropReason::NoPort);
    assert_eq!(drops, [None, full, None, full, None, full]);
}

#[test]
fn a_configuration_that_cannot_work_is_refused_in_one_line() {
    let refused = |text: &str| Nat::new(&toml::from_str(text).unwrap()).unwrap_err().to_string();
    let inside = "inside = ['10.0.0.0/8']\n";
    for (text, words) in [
        ("inside = []\naddresses = ['192.0.2.1']".to_owned(), "inside is empty: expected the prefixes"),
        (format!("{inside}addresses = []"), "addresses is empty: expected the addresses outside"),
        (format!("{inside}addresses = ['10.1.1.1']"), "addresses = \"10.1.1.1\": the address is inside"),
        (format!("{inside}addresses = ['192.0.2.1', '192.0.2.1']"), "it is there twice"),
        (format!("{inside}addresses = ['::1']"), "also one of IPv4"),
        (
            format!("{inside}addresses = ['192.0.2.1']\nports = [9, 3]"),
            "ports = \"9, 3\": there is no free port",
        ),
        (format!("{inside}addresses = ['192.0.2.1']\nidle = 0.0"), "idle = 0: expected a number from 0.001"),
        (
            "inside = ['10.0.0.1/8']\naddresses = ['192.0.2.1']".to_owned(),
            "inside = \"10.0.0.1/8\": bits behind",
        ),
    ] {
        let found = refused(&text);
        assert!(found.contains(words), "{text}: {found}");
    }
}

#[test]
fn state_is_taken_in_once_and_only_as_it_was_given() {
    const LONG: &str = "idle = 100000.0";
    let packets: Vec<_> = (0..2000).map(out).collect();
    let mut given = nat(LONG).unwrap();
    pass(&mut given, &packets);
    let slots: Vec<u16> = (0..SLOTS as u16).collect();
    let state = given.copy(&slots).unwrap();
    let mut taken = nat(LONG).unwrap();
    taken.import(&state).unwrap();
    assert_eq!((taken.copy(&slots).unwrap(), taken.used()), (state.clone(), given.used()));
    assert!(taken.import(&state).unwrap_err().to_string().contains("has streams here already"));
    let mut other = nat("idle = 9.0").unwrap();
    assert!(other.import(&state).unwrap_err().to_string().contains("configuration"));
    let mut damaged = state.clone();
    damaged[20] ^= 1;
    assert!(nat(LONG).unwrap().import(&damaged).unwrap_err().to_string().contains("checksum"));
    // What came goes on, in both directions.
    for sample in &packets {
        let outside = pass(&mut taken, &[*sample])[0].src.unwrap();
        assert_eq!(
            pass(&mut taken, &[Sample { src: sample.dst, dst: outside, ..*sample }])[0].dst,
            Some(sample.src)
        );
    }
    assert_eq!(taken.counters()[0].1, 0);
    taken.remove(&slots);
    assert_eq!(taken.used(), 0);
}

proptest! {
    #[test]
    fn a_translated_flow_stays_in_its_slot_and_no_two_share_a_socket(
        flows in proptest::collection::vec((1..60_u8, 1..500_u16, 0..3_u8, any::<bool>()), 1..300),
    ) {
        let mut nat = nat("idle = 100000.0").unwrap();
        let mut taken = std::collections::HashMap::new();
        for (host, port, remote, is_udp) in flows {
            let there = Sample::tcp(&format!("10.0.0.{host}:{port}"), &format!("192.0.2.{remote}:80"));
            let there = if is_udp { there.udp() } else { there };
            let action = pass(&mut nat, &[there])[0];
            let Some(outside) = action.src else { continue };
            let of = |src| slot(Flow::between(src, there.dst, there.protocol).keyed(&nat.kept.hasher).hash);
            prop_assert_eq!(of(there.src), of(outside));
            let owner = *taken.entry((outside, there.dst, there.protocol)).or_insert(there.src);
            prop_assert_eq!(owner, there.src);
        }
    }
}
