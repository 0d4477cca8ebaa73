//! `legonf split`: granularities, plans and what is refused.
#![allow(clippy::unwrap_used)]

mod common;

use common::{fail, succeed, text};
use serde_json::{Value, json};
use std::fs;

fn split(arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed([&["split", "--json"], arguments].concat())).unwrap()
}

#[test]
fn kitsune_115_needs_a_shard_by_source_and_one_by_pair() {
    for schema in ["kitsune-115", "kitsune-115-clean"] {
        let found = split(&[schema]);
        assert_eq!(found["result"], json!(["SrcIP", "{IP, IP}", "{MAC, MAC} (arp)"]));
        let shards = found["plan"]["shards"].as_array().unwrap();
        assert_eq!(shards.len(), 2);
        let served = |shard: usize, route: usize| {
            let serves = shards[shard]["routes"][route]["serves"].as_array().unwrap();
            serves.iter().map(|s| s["group"].as_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!((served(0, 0), served(1, 0)), (vec!["MI", "H"], vec!["HH", "HH_jit", "HpHp"]));
        assert_eq!((served(1, 1), &shards[1]["routes"][1]["packets"]), (vec!["HpHp"], &json!(["arp"])));
        assert_eq!(found["divided"], json!([]));
    }
    let text = succeed(["split", "kitsune-115"]);
    assert!(
        text.contains("exact plan: 2 shards") && text.contains("arp packets by {MAC, MAC}, for HpHp"),
        "{text}"
    );
}

#[test]
fn the_papers_granularity_is_offered_and_what_it_divides_is_said() {
    let found = split(&["kitsune-115", "--approximate"]);
    assert_eq!(found["result"], json!(["SrcIP"]));
    assert_eq!(found["divided"], json!(["HH", "HH_jit", "HpHp"]));
}

#[test]
fn kitsune_py_100_says_that_no_split_is_exact_and_offers_what_is() {
    let text = succeed(["split", "kitsune-py-100"]);
    for words in [
        "no split of the traffic is exact, short of near-full replication",
        "by table and decay rate. Every packet to up to 20 replicas",
        "HpHp at each of 5, 3, 1, 0.1, 0.01",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn copies_are_counted_on_a_capture() {
    let capture = text(common::example("synth-mini.pcap.gz"));
    let copies = |schema: &str| {
        let found = split(&[schema, "--capture", &capture]);
        let at = found["copies"].as_array().unwrap().clone();
        at.iter().map(|at| at["copies"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    // One copy for each shard, and another for ARP where its two routes part.
    let exact = copies("kitsune-115");
    assert!(exact.len() == 6 && exact.iter().all(|copies| (2.0..2.3).contains(copies)), "{exact:?}");
    // Coupled streams take nearly as many copies as there are replicas.
    let coupled = copies("kitsune-py-100");
    assert!(coupled[0] > 1.5 && coupled[5] > 5.0 && coupled.is_sorted(), "{coupled:?}");
    assert!(succeed(["split", "kitsune-115", "--capture", &capture]).contains("copies of a packet"));
}

#[test]
fn groups_of_ones_own_are_split_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (file, drawing) = (text(folder.path().join("flows.toml")), text(folder.path().join("flows.svg")));
    let tuple = "name = 'flows'\n[[group]]\nname = 'five-tuple'\nboth_directions = true\n\
                 fields = ['SrcIP', 'DstIP', 'SrcPort', 'DstPort', 'Protocol']\n";
    fs::write(&file, tuple).unwrap();
    let found = split(&[&file, "--svg", &drawing]);
    assert_eq!(found["plan"]["shards"].as_array().unwrap().len(), 1);
    assert_eq!(found["result"], json!(["{IP Port, IP Port}-Protocol"]));
    assert!(fs::read_to_string(&drawing).unwrap().contains("{IP Port, IP Port}-Protocol"));
    fs::write(&file, tuple.replace("SrcIP", "SourceIP")).unwrap();
    assert!(
        fail(["split", &file])
            .contains("flows.toml: group \"five-tuple\": fields: unknown field \"SourceIP\"")
    );
    fs::write(&file, "name = 'flows'").unwrap();
    assert!(fail(["split", &file]).contains("there is no [[group]]: expected one at least"));
}

#[test]
fn what_is_neither_schema_nor_file_is_named() {
    let line = fail(["split", "kitsune"]);
    assert!(line.contains("unknown schema 'kitsune'") && line.contains("GROUPS.toml"), "{line}");
    assert!(fail(["split", "missing.toml"]).starts_with("missing.toml: cannot be read: No such file"));
}
