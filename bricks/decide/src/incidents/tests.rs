use super::*;
use legonf_core::{Layer, Timestamp};
use std::net::IpAddr;

const OPTIONS: IncidentOptions = IncidentOptions { gap: Duration::from_secs(30), threshold: 1.0, seed: 7 };

/// Packets as a sink sees them.
struct Stream {
    incidents: Incidents,
    findings: Findings,
    seq: u64,
    /// Bytes of its packets.
    length: u32,
}

fn address(number: u32) -> IpAddr {
    IpAddr::from(number.to_be_bytes())
}

impl Stream {
    fn new() -> Self {
        Self { incidents: Incidents::new(OPTIONS, None), findings: Findings::default(), seq: 0, length: 60 }
    }

    fn packet(
        &mut self,
        milliseconds: i64,
        (source, host): (u32, u32),
        ports: (u16, u16),
        score: f64,
    ) -> Notice {
        let outer = Layer {
            src: Some(address(source)),
            dst: Some(address(host)),
            ports: Some(ports),
            ..Layer::default()
        };
        let timestamp = Timestamp::from_nanos(milliseconds * 1_000_000);
        let headers =
            Headers { seq: self.seq, timestamp, wire_len: self.length, outer, ..Headers::default() };
        self.seq += 1;
        let verdict = if score > 1.0 { Verdict::ANOMALOUS } else { Verdict::BENIGN };
        let (dropped, malicious, features, suppressed) = (None, None, None, source == 99);
        let seen = Seen { headers: &headers, score, verdict, dropped, malicious, features, suppressed };
        self.incidents.note(&seen, &mut self.findings);
        *self.findings.notices.last().unwrap()
    }

    /// 20 probes a second to as many hosts.
    fn scan(&mut self, source: u32, seconds: std::ops::Range<i64>) {
        for second in seconds {
            for probe in 0..20 {
                let host = 1_000 + (second * 20 + probe) as u32;
                self.packet(second * 1000 + probe, (source, host), (40_000, 23), 5.0);
            }
        }
    }

    fn closed(&self) -> Vec<&Incident> {
        self.findings.closed.iter().map(|(_, incident)| incident).collect()
    }

    fn finished(mut self) -> Vec<Incident> {
        self.incidents.finish(&mut self.findings);
        self.findings.closed.into_iter().map(|(_, incident)| incident).collect()
    }
}

#[test]
fn alerts_of_a_source_are_one_incident_until_it_is_quiet_for_the_gap() {
    let mut stream = Stream::new();
    let notices: Vec<_> =
        [(0, 2.0), (1_000, 0.5), (29_000, 3.0), (59_000, 4.0), (88_000, 3.9), (90_000, 8.0)]
            .map(|(time, score)| stream.packet(time, (1, 2), (40_000, 80), score))
            .into();
    use Notice::{First, Further, Higher};
    assert_eq!(notices, [First, Notice::None, Further, Higher, Further, Higher]);
    stream.packet(120_000, (3, 4), (40_000, 80), 0.1);
    assert_eq!(stream.closed().len(), 0);
    stream.packet(121_500, (3, 4), (40_000, 80), 0.1);
    let [incident] = stream.closed()[..] else { panic!("{:?}", stream.closed()) };
    assert_eq!((incident.source, incident.packets), (Origin::Ip(address(1)), 5));
    assert_eq!((incident.seconds, incident.peak_score, incident.peak_seq), (90.0, 8.0, 5));
    assert_eq!((incident.mean_score, incident.hosts, incident.ports), (20.9 / 5.0, 1, 1));
    assert_eq!((incident.severity, incident.activity), (Severity::Medium, Activity::Other));
    assert_eq!((incident.coverage.scored, incident.bytes), (7, 300));
    // The next alert of the source is another incident.
    assert_eq!(stream.packet(122_000, (1, 2), (40_000, 80), 2.0), First);
    assert_eq!(stream.finished().len(), 2);
}

#[test]
fn a_scan_of_hosts_and_a_flood_of_one_device_are_two_incidents() {
    let mut stream = Stream::new();
    stream.scan(1, 0..39);
    stream.length = 600;
    for packet in 0..5_000 {
        stream.packet(48_000 + packet * 8 / 5, (1, 7), (50_000, 1_000 + packet as u16), 9.0);
    }
    let [scan, flood] = &stream.finished()[..] else { panic!() };
    assert_eq!(
        (scan.activity, scan.packets, flood.activity, flood.packets),
        (Activity::HostScan, 780, Activity::Flood, 5_000)
    );
}

#[test]
fn what_a_source_does_is_told_from_its_peers_and_ports() {
    let activity = |each: &dyn Fn(u32) -> ((u32, u32), (u16, u16)), packets: u32, length: u32| {
        let mut stream = Stream::new();
        for packet in 0..packets {
            let (ends, ports) = each(packet);
            stream.packet(i64::from(packet * length / packets), ends, ports, 2.0);
        }
        stream.finished()[0].activity
    };
    let ephemeral = |packet: u32| 40_000 + packet as u16 % 20_000;
    assert_eq!(activity(&|i| ((1, 100 + i), (ephemeral(i), 23)), 40, 9_000), Activity::HostScan);
    assert_eq!(activity(&|i| ((1, 2), (50_000, 1 + i as u16)), 1_000, 5_000), Activity::PortScan);
    assert_eq!(activity(&|i| ((1, 2), (ephemeral(i), 80)), 1_000, 5_000), Activity::Flood);
    assert_eq!(activity(&|i| ((1, 2), (ephemeral(i), 80)), 90, 5_000), Activity::Other);
    // A server that answers many clients scans nobody.
    assert_eq!(activity(&|i| ((1, 100 + i), (443, ephemeral(i))), 40, 9_000), Activity::Other);
}

#[test]
fn suppressed_sources_have_no_incidents_but_are_accounted_for() {
    let mut stream = Stream::new();
    assert_eq!(stream.packet(0, (99, 2), (40_000, 80), 5.0), Notice::Suppressed);
    stream.packet(1, (1, 2), (40_000, 80), 5.0);
    let incidents = stream.finished();
    assert_eq!((incidents.len(), incidents[0].coverage.scored), (1, 2));
}

#[test]
fn the_incidents_of_most_weight_come_first() {
    let mut stream = Stream::new();
    stream.packet(0, (5, 2), (40_000, 80), 100.0);
    for packet in 0..9 {
        stream.packet(packet, (6, 2), (40_000, 80), 2.0);
    }
    stream.scan(1, 0..3);
    stream.incidents.finish(&mut stream.findings);
    let ranked = stream.incidents.ranked();
    let sources: Vec<_> = ranked.iter().map(|incident| incident.source).collect();
    assert_eq!(sources, [1, 5, 6].map(|source| Origin::Ip(address(source))));
    assert_eq!(stream.incidents.counts(), IncidentCounts { closed: 3, evicted: 0, left_out: 0 });
}

/// A flood of 50,000 spoofed sources neither hides a scan nor grows without a bound, and no alert is lost.
#[test]
fn many_sources_are_told_of_together() {
    let mut stream = Stream::new();
    for packet in 0..50_000_u32 {
        stream.packet(i64::from(packet / 10), (1_000_000 + packet, 7), (40_000, 80), 3.0);
        if packet % 500 == 0 {
            stream.packet(i64::from(packet / 10), (1, 2_000 + packet), (40_000, 23), 3.0);
        }
    }
    stream.incidents.finish(&mut stream.findings);
    let open: usize = stream.incidents.sets.iter().map(Vec::capacity).sum();
    assert!(open <= SETS * WAYS, "{open}");
    let counts = stream.incidents.counts();
    assert!(counts.evicted > 40_000 - SETS as u64 && counts.closed < 10, "{counts:?}");
    let closed = stream.closed();
    assert_eq!(closed.iter().map(|incident| incident.packets).sum::<u64>(), 50_100);
    let scan = closed.iter().find(|incident| incident.source == Origin::Ip(address(1))).unwrap();
    assert_eq!((scan.activity, scan.packets), (Activity::HostScan, 100));
    let many = closed.iter().find(|incident| incident.sources > 1).unwrap();
    assert!((46_000..54_000).contains(&many.sources) && many.packets == 50_000, "{many:?}");
    assert_eq!((many.activity, many.hosts), (Activity::Flood, 1));
}

#[test]
fn rows_without_addresses_are_one_source() {
    let mut incidents = Incidents::new(OPTIONS, None);
    let mut findings = Findings::default();
    for seq in 0..3 {
        let headers = Headers { seq, ..Headers::default() };
        let (dropped, malicious, features) = (None, Some(seq > 0), None);
        let (score, verdict, suppressed) = (2.0, Verdict::ANOMALOUS, false);
        incidents.note(
            &Seen { headers: &headers, score, verdict, dropped, malicious, features, suppressed },
            &mut findings,
        );
    }
    incidents.finish(&mut findings);
    let incident = &findings.closed[0].1;
    assert_eq!((findings.closed[0].0, incident.source, incident.malicious), (3, Origin::Unknown, Some(2)));
}

#[test]
fn what_goes_on_is_told_as_if_it_ended_now() {
    let mut stream = Stream::new();
    stream.scan(1, 0..15);
    stream.packet(15_000, (2, 50), (40_000, 80), 5.0);
    let open = stream.incidents.open(10);
    assert!(stream.closed().is_empty(), "nothing has ended");
    let told: Vec<_> = open.iter().map(|incident| (incident.source, incident.packets)).collect();
    assert_eq!(told, [(Origin::Ip(address(1)), 300), (Origin::Ip(address(2)), 1)]);
    assert_eq!(stream.incidents.open(1).len(), 1);
    // It is what is told at the end, and was not changed by being told.
    stream.incidents.finish(&mut stream.findings);
    assert_eq!(stream.closed(), open.iter().collect::<Vec<_>>());
    assert!(stream.incidents.open(10).is_empty());
}
