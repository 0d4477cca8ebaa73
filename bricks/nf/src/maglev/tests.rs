use super::*;
use crate::samples::{Sample, pass, pass_at};
use legonf_core::SLOTS;

fn maglev(more: &str) -> Result<Maglev, NfError> {
    let backends: String = ["a", "b", "c"]
        .iter()
        .zip(1..)
        .map(|(name, at)| format!("{{ name = '{name}', mac = '02:00:00:00:00:0{at}' }},"))
        .collect();
    let text = format!("service = '198.51.100.7:80'\nentries = 1009\nbackends = [{backends}]\n{more}");
    Maglev::new(&toml::from_str(&text).unwrap())
}

fn to_service(client: u16) -> Sample {
    Sample::tcp(&format!("192.0.2.1:{client}"), "198.51.100.7:80")
}

fn backend(action: &HeaderAction) -> Option<u8> {
    match action.mac_dst {
        MacFrom::Other(Mac([2, 0, 0, 0, 0, backend])) => Some(backend),
        _ => None,
    }
}

#[test]
fn flows_are_balanced_and_each_stays_with_its_back_end() {
    let mut maglev = maglev("").unwrap();
    let flows: Vec<_> = (0..3000).map(to_service).collect();
    let (first, again) = (pass(&mut maglev, &flows), pass(&mut maglev, &flows));
    assert_eq!(first, again);
    for of in 1..=3 {
        let flows = first.iter().filter(|action| backend(action) == Some(of)).count();
        assert!((900..1100).contains(&flows), "{flows}");
    }
    assert_eq!(maglev.counters()[..2], [("balanced-flows", 3000), ("rerouted-flows", 0)]);
}

#[test]
fn what_is_not_for_the_service_passes() {
    let mut maglev = maglev("").unwrap();
    let other = [to_service(1).back(), to_service(1).udp(), Sample::tcp("192.0.2.1:9", "198.51.100.7:81")];
    assert!(pass(&mut maglev, &other).iter().all(HeaderAction::is_forward));
    let mut fragment = to_service(1).bytes();
    fragment[20..22].copy_from_slice(&[0, 7]);
    let found = pass_at(&mut maglev, &[(0, fragment)]);
    assert_eq!((found[0].action.drop, maglev.kept.used()), (Some(DropReason::Fragment), 0));
}

/// SpeedyBox's test of equivalence with Maglev (§VII-C): ten packets, and the event at the sixth.
#[test]
fn a_flow_goes_to_another_back_end_from_the_packet_on_with_which_its_own_fails() {
    let first = backend(&pass(&mut maglev("").unwrap(), &[to_service(7)])[0]).unwrap();
    let name = ["a", "b", "c"][usize::from(first) - 1];
    let mut maglev = maglev(&format!("outages = [{{ backend = '{name}', from = 5, to = 8 }}]")).unwrap();
    let found: Vec<_> =
        pass(&mut maglev, &[to_service(7); 10]).iter().map(|action| backend(action).unwrap()).collect();
    let second = found[5];
    // It does not go back when its first one is up again.
    assert_eq!(found, [&[first; 5][..], &[second; 5]].concat());
    assert_ne!(first, second);
    assert_eq!(maglev.counters()[..2], [("balanced-flows", 1), ("rerouted-flows", 1)]);
}

#[test]
fn without_a_back_end_packets_are_dropped_and_counted() {
    let outages: String = ["a", "b", "c"].map(|name| format!("{{ backend = '{name}', from = 2 }},")).concat();
    let mut maglev = maglev(&format!("outages = [{outages}]")).unwrap();
    let drops: Vec<_> = pass(&mut maglev, &[to_service(7); 4]).iter().map(|action| action.drop).collect();
    let none = Some(DropReason::NoBackend);
    assert_eq!((drops, maglev.counters()[3]), (vec![None, None, none, none], ("no-backend", 2)));
}

#[test]
fn a_configuration_that_cannot_work_is_refused_in_one_line() {
    let refused = |text: &str| {
        let text = format!("service = '198.51.100.7:80'\n{text}");
        Maglev::new(&toml::from_str(&text).unwrap()).unwrap_err().to_string()
    };
    let one = "backends = [{ name = 'a', mac = '02:00:00:00:00:01' }]\n";
    for (text, words) in [
        ("backends = []".to_owned(), "backends is empty: expected"),
        (
            "backends = [{ name = 'a', mac = '2:0' }]".to_owned(),
            "backends.mac = \"2:0\": expected a MAC address",
        ),
        (format!("{one}entries = 100"), "entries = \"100\": expected a prime"),
        (format!("{one}entries = 53"), "entries = 53: expected a number from 100"),
        (format!("{one}outages = [{{ backend = 'z', from = 1 }}]"), "\"z\": no back end has this name"),
        (format!("{one}outages = [{{ backend = 'a', from = 3, to = 3 }}]"), "must be behind its `from`"),
        (format!("{one}flows_per_slot = 0"), "flows_per_slot = 0: expected a number from 1"),
    ] {
        let found = refused(&text);
        assert!(found.contains(words), "{text}: {found}");
    }
}

#[test]
fn flows_go_on_with_their_back_ends_elsewhere() {
    let outage = "outages = [{ backend = 'a', from = 0, to = 900 }]";
    let flows: Vec<_> = (0..900).map(to_service).collect();
    let (mut here, mut there) = (maglev(outage).unwrap(), maglev(outage).unwrap());
    pass(&mut here, &flows);
    let slots: Vec<u16> = (0..SLOTS as u16).collect();
    let state = here.kept.copy(&slots).unwrap();
    there.kept.import(&state).unwrap();
    assert_eq!(there.kept.copy(&slots).unwrap(), state);
    // Their back ends were chosen while one was down.
    assert!(pass(&mut there, &flows).iter().all(|action| backend(action) != Some(1)));
    assert_eq!(there.counters()[0].1, 0);
}
