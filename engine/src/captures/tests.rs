use super::*;
use legonf_core::Batch;
use legonf_io::labels::Labels;
use std::fs;

/// A capture of packets at these seconds, each of which has its second as its only byte behind an Ethernet header of IPv4 (even) or
/// ARP (odd).
fn pcap(seconds: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut file = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 12], &[1, 0, 0, 0]].concat();
    for second in seconds {
        file.extend([u32::from(second), 0, 15, 15].map(u32::to_le_bytes).concat());
        file.extend([2; 12]);
        file.extend([8, if second % 2 == 0 { 0 } else { 6 }, second]);
    }
    file
}

struct Bench(tempfile::TempDir);

impl Bench {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn captures(&self, names: &[&str]) -> Captures {
        Captures { paths: names.iter().map(|name| self.path(name)).collect(), filter: None }
    }

    /// What is wrong with some captures, without the folder's name.
    fn refusal(&self, captures: &Captures) -> String {
        let error = captures.find(&Session::default(), Some(&schema())).err().unwrap().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        error.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn schema() -> Schema {
    legonf_extract::schema_by_name("kitsune-115").unwrap()
}

/// Numbers and seconds of all packets.
fn drain(source: &mut dyn Source) -> Vec<(u64, u8)> {
    let (mut packets, mut batch) = (Vec::new(), Batch::default());
    loop {
        batch.clear();
        source.fill(&mut batch).unwrap();
        packets.extend(batch.packets.iter().map(|(record, bytes)| (record.seq, bytes[14])));
        if batch.is_empty() && !source.is_idle() {
            return packets;
        }
    }
}

fn read(captures: &Captures, limit: Option<u64>) -> (Series, Vec<(u64, u8)>) {
    let session = Session::default();
    let series = captures.find(&session, Some(&schema())).unwrap();
    let (_, mut source) = series.open_any(&session, limit, &schema()).unwrap();
    let packets = drain(&mut *source);
    (series, packets)
}

#[test]
fn captures_are_one_stream_in_the_order_of_their_first_packets() {
    let files =
        [("b.pcap", pcap(0..3)), ("a.pcap", pcap(3..5)), ("c.pcap", pcap([])), ("d.pcap", pcap(5..8))];
    let bench = Bench::new(&files);
    fs::write(bench.path("labels.csv"), "0,1\n").unwrap();
    fs::create_dir(bench.path("more.pcap")).unwrap();
    let expected: Vec<_> = (0..8).map(|second| (u64::from(second), second)).collect();
    for captures in [bench.captures(&["d.pcap", "c.pcap", "a.pcap", "b.pcap"]), bench.captures(&[""])] {
        let (series, packets) = read(&captures, None);
        assert_eq!(packets, expected);
        assert_eq!(series.names(), ["b.pcap", "a.pcap", "d.pcap", "c.pcap"]);
        assert_eq!(series.title(), "b.pcap, a.pcap, d.pcap, c.pcap");
        assert_eq!(read(&captures, Some(4)).1, expected[..4]);
    }
    let alone = read(&bench.captures(&["a.pcap"]), None);
    assert_eq!((alone.0.names(), alone.0.title()), (Vec::new(), "a.pcap".into()));
}

#[test]
fn rotated_files_of_equal_times_go_by_their_numbers() {
    let names = ["r.pcap10", "r.pcap", "r.pcap2"];
    let bench = Bench::new(&names.map(|name| (name, pcap([7]))));
    let series = bench.captures(&[""]).find(&Session::default(), None).unwrap();
    assert_eq!(series.names(), ["r.pcap", "r.pcap2", "r.pcap10"]);
}

#[test]
fn spans_stay_in_the_order_given() {
    let files = [("b.pcap", pcap(0..3)), ("a.pcap", pcap(3..5))];
    let bench = Bench::new(&files);
    let names = |paths: &[&str]| {
        let spans = bench.captures(paths).spans(&Session::default(), None).unwrap();
        spans.iter().map(Series::title).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&["a.pcap", "b.pcap"]), names(&[""])),
        (vec!["a.pcap".into(), "b.pcap".into()], vec!["b.pcap".into(), "a.pcap".to_owned()])
    );
}

#[test]
fn what_is_no_series_is_said_in_a_line() {
    let files = [
        ("a.pcap", pcap(0..2)),
        ("cut.pcap", pcap(0..2)[..30].to_vec()),
        ("h.tsv", format!("1.5\t60{}\n", "\t".repeat(17)).into_bytes()),
        ("empty.pcap", Vec::new()),
    ];
    let bench = Bench::new(&files);
    fs::create_dir(bench.path("none")).unwrap();
    let refused = |names: &[&str]| bench.refusal(&bench.captures(names));
    assert!(refused(&["none"]).starts_with("none: this folder holds no capture"), "{}", refused(&["none"]));
    assert_eq!(refused(&["a.pcap", "./a.pcap"]), "./a.pcap: this capture is given twice; leave one out");
    assert_eq!(refused(&["a.pcap", "no.pcap"]), "no.pcap: no such file");
    assert_eq!(refused(&["a.pcap", "cut.pcap"]), "cut.pcap: cut off inside packet 0 (byte 24)");
    assert!(refused(&["a.pcap", "empty.pcap"]).starts_with("empty.pcap: this file is empty"));
    let mixed = refused(&["a.pcap", "h.tsv"]);
    assert_eq!(mixed, "h.tsv: holds a table of headers, and a.pcap packets; give files of one kind");
    let mut piped = bench.captures(&["a.pcap"]);
    piped.paths.push("-".into());
    assert_eq!(
        bench.refusal(&piped),
        "-: a pipe or a device can only be read alone; give files, or it alone"
    );
}

#[test]
fn a_long_list_is_named_by_its_ends() {
    let names: Vec<_> = (0..7).map(|number| format!("{number}.pcap")).collect();
    assert_eq!(listed(names.clone()), "0.pcap to 6.pcap (7 captures)");
    assert_eq!(listed(names[..4].to_vec()), "0.pcap, 1.pcap, 2.pcap, 3.pcap");
}

#[cfg(feature = "live")]
#[test]
fn what_does_not_pass_a_filter_is_no_part_of_the_stream() {
    let bench = Bench::new(&[("a.pcap", pcap(0..5)), ("b.pcap", pcap(5..9))]);
    let captures = Captures { filter: Some("arp".into()), ..bench.captures(&["b.pcap", "a.pcap"]) };
    let (series, packets) = read(&captures, None);
    assert_eq!((packets, series.filter()), (vec![(0, 1), (1, 3), (2, 5), (3, 7)], Some(("arp", 5))));
    let (series, packets) = read(&captures, Some(3));
    assert_eq!((packets, series.filter()), (vec![(0, 1), (1, 3), (2, 5)], Some(("arp", 3))));
    // Labels are of all packets: those of the ones that pass are asked for.
    let session = Session::default();
    let positions = series.positions(&session, None).unwrap().unwrap();
    let lines: String = (0..9).map(|packet| format!("{}\n", u8::from(packet == 3 || packet == 4))).collect();
    let labels = |lines: String| Labels::from_reader("l", Box::new(std::io::Cursor::new(lines))).unwrap();
    let mut labels = labels(lines).at(positions);
    let truth: Vec<_> = (0..4).map(|_| labels.require().unwrap()).collect();
    assert_eq!((truth, labels.finish(4).is_ok()), (vec![false, true, false, false], true));
    let mut few = Labels::from_reader("l", Box::new(&b"0\n0\n0\n0\n0\n0\n0\n0\n"[..])).unwrap();
    few = few.at(series.positions(&session, None).unwrap().unwrap());
    assert_eq!(few.finish(4).unwrap_err().to_string(), "l: 8 labels, but the capture has 9 packets");
}

#[cfg(feature = "live")]
#[test]
fn a_filter_that_is_none_is_refused_before_any_work() {
    let table = format!("1.5\t60{}\n", "\t".repeat(17)).into_bytes();
    let mut wlan = pcap(0..1);
    wlan[20] = 127;
    let bench = Bench::new(&[("a.pcap", pcap(0..5)), ("h.tsv", table), ("w.pcap", wlan)]);
    let refused = |name: &str, filter: &str| {
        bench.refusal(&Captures { filter: Some(filter.into()), ..bench.captures(&[name]) })
    };
    let line = refused("a.pcap", "tcp prot 80");
    assert!(line.starts_with("filter `tcp prot 80`: ") && line.contains("syntax error"), "{line}");
    assert_eq!(
        refused("h.tsv", "tcp"),
        "h.tsv: holds no packets' bytes, which a filter needs; leave --filter out"
    );
    let line = refused("a.pcap", "type mgt");
    assert!(
        line.starts_with("a.pcap: filter `type mgt`: not for packets of link type 1 (Ethernet): "),
        "{line}"
    );
    let wlan = Captures { filter: Some("type mgt".into()), ..bench.captures(&["w.pcap"]) };
    assert!(wlan.find(&Session::default(), None).is_ok());
}
