//! Every field of every packet equals tshark's, on the capture that ships with the project.
#![allow(clippy::unwrap_used)]

#[path = "common/columns.rs"]
mod columns;
#[path = "common/mod.rs"]
mod common;

use std::path::Path;

#[test]
fn synth_mini_equals_its_tshark_export() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/synth-mini"));
    let export = std::fs::read_to_string(folder.join("synth-mini.pcap.tsv")).unwrap();
    let rows: Vec<&str> = export.lines().skip(1).collect();
    let packets = common::read(&folder.join("synth-mini.pcap.gz"));
    assert_eq!((packets.len(), rows.len()), (3500, 3500));
    for ((record, bytes), row) in packets.iter().zip(rows) {
        let parsed = columns::columns(&legonf_wire::parse(record, bytes));
        let expected = columns::of_row(row);
        for ((name, ours), theirs) in columns::COLUMNS.iter().zip(&parsed).zip(&expected) {
            assert_eq!(ours, theirs, "{name} of packet {}", record.seq);
        }
    }
}
