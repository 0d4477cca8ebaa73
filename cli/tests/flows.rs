//! Flow records of captures.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, shared, succeed, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn records(capture: &str, output: &Path, more: &[&str]) -> String {
    succeed(["flows", capture, "-o", &text(output), "--force"].iter().chain(more))
}

/// The lines of a table by the names of its columns.
fn rows(csv: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(csv).unwrap();
    let (names, rows) = text.split_once('\n').unwrap();
    let row = |line: &str| names.split(',').zip(line.split(',')).map(|(n, v)| (n.into(), v.into())).collect();
    rows.lines().map(row).collect()
}

fn sum(rows: &[BTreeMap<String, String>], columns: &[&str]) -> u64 {
    rows.iter().flat_map(|row| columns.iter().map(|column| row[*column].parse::<u64>().unwrap())).sum()
}

#[test]
fn every_packet_is_in_a_record_or_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, capture) = (folder.path().join("flows.csv"), text(example("synth-mini.pcap.gz")));
    let report = records(&capture, &csv, &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let rows = rows(&csv);
    let none: u64 =
        report["packets_in_none"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let packets = sum(&rows, &["packetTotalCount", "reversePacketTotalCount"]);
    assert_eq!(report["packets_in_flows"], packets);
    assert_eq!(report["packets"], packets + none);
    assert_eq!(report["flows"], rows.len());
    assert!(rows.len() > 100 && none > 0);
    let ends: Vec<_> = rows.iter().map(|row| row["flowEndReason"].as_str()).collect();
    assert!(ends.iter().all(|reason| ["1", "2", "3", "4", "5"].contains(reason)), "{ends:?}");
    let in_order = |row: &BTreeMap<String, String>| row["flowStartNanoseconds"] <= row["flowEndNanoseconds"];
    assert!(rows.iter().all(in_order));
}

#[test]
fn layouts_do_not_show_and_formats_hold_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, capture) = (folder.path().join("flows.csv"), text(example("synth-mini.pcap.gz")));
    records(&capture, &csv, &["--workers", "fused"]);
    let expected = fs::read(&csv).unwrap();
    for layout in ["pipeline", "source batching | flows x3 | sink", "source | batching x2 | flows x2 | sink"]
    {
        let other = folder.path().join("other.csv");
        records(&capture, &other, &["--workers", layout, "--oversubscribe"]);
        assert!(fs::read(&other).unwrap() == expected, "{layout}");
    }
    let npy = folder.path().join("flows.npy");
    records(&capture, &npy, &[]);
    let bytes = fs::read(&npy).unwrap();
    let header = u16::from_le_bytes([bytes[8], bytes[9]]) as usize + 10;
    let words = String::from_utf8_lossy(&bytes[..header]).into_owned();
    let rows = rows(&csv);
    assert!(words.contains(&format!("'shape': ({},)", rows.len())), "{words}");
    let first = &bytes[header..];
    assert_eq!(first[..8], rows[0]["flowId"].parse::<u64>().unwrap().to_le_bytes());
    assert_eq!((bytes.len() - header) % rows.len(), 0);
    let parquet = folder.path().join("flows.parquet");
    records(&capture, &parquet, &[]);
    assert!(fs::read(&parquet).unwrap().starts_with(b"PAR1"));
}

#[test]
fn a_log_of_zeek_has_the_same_flows_as_its_reader_says() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, log) = (folder.path().join("flows.csv"), folder.path().join("conn.log"));
    let capture = text(example("synth-mini.pcap.gz"));
    records(&capture, &csv, &[]);
    records(&capture, &log, &[]);
    let (rows, log_text) = (rows(&csv), fs::read_to_string(&log).unwrap());
    let lines: Vec<Vec<&str>> = log_text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    assert!(lines.len() == rows.len() && rows.len() > 100, "{} of {}", lines.len(), rows.len());
    for (line, row) in lines.iter().zip(&rows) {
        let found = [line[1], line[2], line[3], line[4], line[5], line[10], line[13]];
        let names = [
            "flowId",
            "sourceIPAddress",
            "sourceTransportPort",
            "destinationIPAddress",
            "destinationTransportPort",
            "packetTotalCount",
            "reverseOctetTotalCount",
        ];
        assert_eq!(found, names.map(|name| row[name].as_str()));
        let nanos: i128 = line[0].replace('.', "").parse().unwrap();
        assert_eq!(nanos.to_string(), row["flowStartNanoseconds"]);
    }
    let python = std::env::var("LEGONF_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = "import sys\nfrom zat.zeek_log_reader import ZeekLogReader\n\
                  rows = [row for row in ZeekLogReader(sys.argv[1], strict=True).readrows()]\n\
                  print(len(rows), sum(row['orig_pkts'] + row['resp_pkts'] for row in rows))";
    let read = std::process::Command::new(python).args(["-c", script]).arg(&log).output();
    match read {
        Ok(read) if read.status.success() => {
            let packets = sum(&rows, &["packetTotalCount", "reversePacketTotalCount"]);
            let expected = format!("{} {packets}", rows.len());
            let said = String::from_utf8(read.stdout).unwrap();
            assert_eq!(said.lines().last(), Some(expected.as_str()));
        }
        Ok(read) if !String::from_utf8_lossy(&read.stderr).contains("No module named") => {
            panic!("{}", String::from_utf8_lossy(&read.stderr))
        }
        _ => eprintln!("not read by Zeek's analysis tools: no Python with zat (LEGONF_PYTHON names one)"),
    }
}

#[test]
fn timeouts_cut_flows_and_options_that_mean_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, capture) = (folder.path().join("flows.csv"), text(example("synth-mini.pcap.gz")));
    records(&capture, &csv, &[]);
    let usual = rows(&csv).len();
    records(&capture, &csv, &["--idle", "10ms"]);
    assert!(rows(&csv).len() > usual);
    let error = fail(["flows", &capture, "-o", &text(folder.path().join("flows.xlsx"))]);
    assert!(error.contains("flows.xlsx") && error.contains(".parquet"), "{error}");
    let counted = succeed(["flows", &capture]);
    assert!(counted.starts_with(&format!("{usual} flows\n")), "{counted}");
    assert!(fail(["flows", "nothing.pcap", "-o", &text(&csv), "--force"]).contains("nothing.pcap"));
    assert!(rows(&csv).len() > usual, "a file that was there stays where the capture cannot be read");
}

/// What nfstream tells of the same captures: `experiments/flows/README.md` has the whole comparison.
#[test]
fn real_captures_are_read_whole() {
    let Some(scans) = shared("data/scans") else { return };
    let report = succeed(["flows", &text(scans.join("masscan-tcp.pcap")), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["flows"], &report["packets"]), (&1001.into(), &1005.into()));
}
