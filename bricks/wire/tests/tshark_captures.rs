//! Every field of every packet of the captures beside the repository against tshark, with each difference
//! explained in `tshark-differences.tsv`.
#![allow(clippy::unwrap_used)]

#[path = "common/columns.rs"]
mod columns;
#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const TABLE: &str = include_str!("tshark-differences.tsv");

/// The 19 columns of Kitsune's export.
const FIELDS: [&str; 19] = [
    "frame.time_epoch",
    "frame.len",
    "eth.src",
    "eth.dst",
    "ip.src",
    "ip.dst",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "icmp.type",
    "icmp.code",
    "arp.opcode",
    "arp.src.hw_mac",
    "arp.src.proto_ipv4",
    "arp.dst.hw_mac",
    "arp.dst.proto_ipv4",
    "ipv6.src",
    "ipv6.dst",
];

/// Wireshark's numbers of the link types that are compared: Ethernet, raw IP (three), null and loop, SLL, SLL2, PPP, Cisco
/// HDLC, PPI.
const PARSED: [&str; 11] = ["1", "7", "129", "130", "15", "158", "25", "210", "4", "28", "97"];

/// Packets that differ, by capture and field.
type Differences = BTreeMap<(String, String), u64>;

/// The rows of the table: capture, field, packets, and why.
fn table() -> Differences {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let row = |line: &str| {
        let cells: Vec<_> = line.split('\t').collect();
        let [capture, field, packets, why] = cells[..] else { panic!("four cells: {line}") };
        assert!(why.len() > 10, "no explanation: {line}");
        ((capture.to_owned(), field.to_owned()), packets.parse().unwrap())
    };
    let table: Differences = rows.clone().map(row).collect();
    assert_eq!(table.len(), rows.count(), "a row is there twice");
    table
}

/// All captures below a folder, by their path from there.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_capture =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng" || e == "cap");
    let mut all: Vec<_> = files.into_iter().filter(is_capture).collect();
    all.extend(folders.iter().flat_map(|folder| captures(folder)));
    all.sort();
    all
}

/// The rows of tshark's export for the packets whose link type is parsed.
fn export(path: &Path) -> Vec<String> {
    let mut command = Command::new("tshark");
    command.args([
        "-n",
        "-T",
        "fields",
        "-E",
        "separator=/t",
        "-E",
        "occurrence=f",
        "-e",
        "frame.encap_type",
    ]);
    FIELDS.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let output = command.arg("-r").arg(path).output().unwrap();
    let rows = String::from_utf8_lossy(&output.stdout).into_owned();
    let parsed =
        rows.lines().filter_map(|row| row.split_once('\t')).filter(|(link, _)| PARSED.contains(link));
    parsed.map(|(_, row)| row.to_owned()).collect()
}

/// Adds the differences of one capture.
fn compare(path: &Path, name: &str, differences: &mut Differences) {
    let (packets, rows) = (common::read(path), export(path));
    let mut count = |field: &str| *differences.entry((name.to_owned(), field.to_owned())).or_default() += 1;
    if packets.len() != rows.len() {
        println!("{name}: {} packets, tshark has {}", packets.len(), rows.len());
        return count("packets");
    }
    for ((record, bytes), row) in packets.iter().zip(&rows) {
        let ours = columns::columns(&legonf_wire::parse(record, bytes));
        for ((field, ours), theirs) in columns::COLUMNS.iter().zip(&ours).zip(&columns::of_row(row)) {
            if ours != theirs {
                println!("{name} packet {} {field}: {ours:?}, tshark {theirs:?}", record.seq + 1);
                count(field);
            }
        }
    }
}

/// Whether the tshark is there that the table is about: others dissect a little more or less.
fn has_tshark() -> bool {
    let output = Command::new("tshark").arg("--version").output();
    let version = output.map_or_else(|_| String::new(), |o| String::from_utf8_lossy(&o.stdout).into_owned());
    let found = version.contains("TShark (Wireshark) 4.0.");
    if !found {
        eprintln!("skipped: tshark 4.0 is not installed");
    }
    found
}

/// Compares the captures that are wanted, and their differences with those of the table.
fn check(wanted: impl Fn(&str) -> bool) {
    let Some(data) = common::shared("") else { return };
    if !has_tshark() {
        return;
    }
    let name = |path: &PathBuf| path.strip_prefix(&data).unwrap().to_str().unwrap().to_owned();
    let (mut found, mut compared) = (Differences::new(), 0);
    for path in captures(&data).iter().filter(|path| wanted(&name(path))) {
        compare(path, &name(path), &mut found);
        compared += 1;
    }
    assert!(compared > 0, "no capture is there");
    let expected: Differences = table().into_iter().filter(|((capture, _), _)| wanted(capture)).collect();
    let missing: Vec<_> = found.iter().filter(|row| expected.get(row.0) != Some(row.1)).collect();
    let surplus: Vec<_> = expected.iter().filter(|row| found.get(row.0) != Some(row.1)).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "not in the table: {missing:#?}\nonly there: {surplus:#?}"
    );
}

#[test]
fn some_captures_differ_only_as_explained() {
    check(|name| name.starts_with("scans/nmap") || name.starts_with("iot23") || name.contains("tunnel.pcap"));
}

#[test]
#[ignore = "takes minutes: tshark reads every capture"]
fn all_captures_differ_only_as_explained() {
    check(|_| true);
}
