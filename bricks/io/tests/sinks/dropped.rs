use legonf_core::{
    Batch, ColumnSpec, Disposition, DropReason, Headers, Layout, LinkType, Port, Sink, Timestamp, Verdict,
};
use legonf_io::sink::{AlertPcap, Eve, ForwardedFiles, ResultColumns, ScoresCsv};
use legonf_io::{SCORES, VERDICTS};
use std::fs;
use std::path::Path;

fn layout() -> Layout {
    Layout::of([&SCORES, &VERDICTS, &ColumnSpec::DISPOSITION]).unwrap()
}

/// Packets with score and verdict, as far as these mean something, and disposition.
const CASES: [(f64, Verdict, Disposition); 5] = [
    (0.1, Verdict::BENIGN, Disposition::Forward(Port(0))),
    (12.0, Verdict::ANOMALOUS, Disposition::Drop(DropReason::Verdict)),
    (0.0, Verdict::ANOMALOUS, Disposition::Drop(DropReason::Policy)),
    (13.0, Verdict::ANOMALOUS, Disposition::Mirror { forward: Port(1), copy: Port(0) }),
    (f64::NAN, Verdict::REJECTED, Disposition::Drop(DropReason::Verdict)),
];

fn batch() -> Batch {
    let layout = layout();
    let mut batch = Batch::new(&layout);
    for seq in 0..CASES.len() as u64 {
        let timestamp = Timestamp::new(1_700_000_000, seq as u32);
        batch.packets.push(seq, timestamp, 60, LinkType::Ethernet, &[seq as u8; 5]);
        batch.headers.push(Headers { seq, timestamp, wire_len: 60, ..Headers::default() });
    }
    let (scores, verdicts) = (layout.handle(&SCORES).unwrap(), layout.handle(&VERDICTS).unwrap());
    let dispositions = layout.handle(&ColumnSpec::DISPOSITION).unwrap();
    *batch.columns.get_mut(scores) = CASES.map(|(score, ..)| score).to_vec();
    *batch.columns.get_mut(verdicts) = CASES.map(|(_, verdict, _)| verdict).to_vec();
    *batch.columns.get_mut(dispositions) = CASES.map(|(.., disposition)| disposition).to_vec();
    batch
}

fn written(mut sink: impl Sink) {
    sink.bind(&layout()).unwrap();
    sink.write(&batch()).unwrap();
    sink.finish().unwrap();
}

/// The numbers of a capture's packets, as their bytes show them.
fn packets(path: &Path) -> Vec<u8> {
    let (mut source, mut batch) = (legonf_io::open(path).unwrap(), Batch::default());
    source.fill(&mut batch).unwrap();
    batch.packets.iter().map(|(_, bytes)| bytes[0]).collect()
}

#[test]
fn a_packet_that_was_dropped_for_its_verdict_has_results_and_others_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    written(ScoresCsv::create(&file("scores.csv"), ResultColumns::of(&layout())).unwrap());
    let rows = fs::read_to_string(file("scores.csv")).unwrap();
    let seqs: Vec<_> = rows.lines().skip(1).map(|row| &row[..1]).collect();
    assert_eq!(seqs, ["0", "1", "3", "4"]);

    written(AlertPcap::create(&file("alerts.pcapng")).unwrap());
    assert_eq!(packets(&file("alerts.pcapng")), [1, 3]);

    written(Eve::create(&file("eve.json"), 10.0, None).unwrap());
    let eve = fs::read_to_string(file("eve.json")).unwrap();
    let lines: Vec<_> = eve.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].contains("\"pcap_cnt\":2,") && lines[0].contains("\"action\":\"blocked\""));
    assert!(lines[1].contains("\"pcap_cnt\":4,") && lines[1].contains("\"action\":\"allowed\""));
    let coverage = "{\"legonf.dropped.policy\":1,\"legonf.dropped.verdict\":2,\"legonf.received\":5,\"legonf.scored\":2}";
    assert!(lines[2].contains(coverage) && lines[2].contains("\"kernel_drops\":0"), "{}", lines[2]);
}

#[test]
fn each_port_has_a_file_of_the_packets_that_leave_by_it() {
    let folder = tempfile::tempdir().unwrap();
    written(ForwardedFiles::create(folder.path(), &["a", "b"].map(String::from)).unwrap());
    assert_eq!(packets(&folder.path().join("a.pcapng")), [0, 3]);
    assert_eq!(packets(&folder.path().join("b.pcapng")), [3]);
}
