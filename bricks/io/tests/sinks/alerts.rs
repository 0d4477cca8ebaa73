use super::{batch, bound, layout, on_a_full_disk, scores, verdicts, written, written_twice};
use legonf_core::{Batch, LinkType, Sink, Timestamp, Verdict};
use legonf_io::sink::AlertPcap;
use pcap_parser::{Block, PcapError, PcapNGReader, traits::PcapReaderIterator};
use std::fs;
use std::path::Path;

fn create(path: &Path) -> AlertPcap {
    AlertPcap::create(path).unwrap()
}

/// (link type, nanoseconds, wire length, bytes) of each packet, and the interfaces' link types.
type Read = (Vec<(u16, u64, u32, Vec<u8>)>, Vec<u16>);

fn read(bytes: &[u8]) -> Read {
    let mut reader = PcapNGReader::new(1 << 20, bytes).unwrap();
    let (mut packets, mut links) = (Vec::new(), Vec::new());
    loop {
        let (used, block) = match reader.next() {
            Ok(read) => read,
            Err(PcapError::Incomplete(_)) => {
                reader.refill().unwrap();
                continue;
            }
            Err(PcapError::Eof) => return (packets, links),
            Err(error) => panic!("{error:?}"),
        };
        if let pcap_parser::PcapBlockOwned::NG(block) = block {
            match block {
                Block::InterfaceDescription(i) => {
                    assert_eq!((i.if_tsresol, i.snaplen), (9, 0));
                    links.push(i.linktype.0 as u16);
                }
                Block::EnhancedPacket(p) => {
                    let nanos = u64::from(p.ts_high) << 32 | u64::from(p.ts_low);
                    let bytes = p.data[..p.caplen as usize].to_vec();
                    packets.push((links[p.if_id as usize], nanos, p.origlen, bytes));
                }
                Block::SectionHeader(_) => {}
                other => panic!("{other:?}"),
            }
        }
        reader.consume(used);
    }
}

#[test]
fn only_alerts_are_kept() {
    let bytes = written_twice("alerts.pcapng", create, &[batch(0), batch(4)]);
    let packet = (1, 1_700_000_001_123_456_789, 60, vec![1; 5]);
    assert_eq!(read(&bytes), (vec![packet.clone(), packet], vec![1]));
}

#[test]
fn each_link_type_has_an_interface() {
    let mut mixed = Batch::new(&layout());
    let links = [LinkType::RawIp, LinkType::Ethernet, LinkType::RawIp, LinkType::LinuxSll2, LinkType::Null];
    for (i, link) in (0..).zip(links) {
        let size = [0, 1, 4, 65_535, 3][i as usize];
        mixed.packets.push(i, Timestamp::from_nanos(i as i64 - 1), 70_000, link, &vec![i as u8; size]);
        scores(&mut mixed).push(1.0);
        verdicts(&mut mixed).push(Verdict::ANOMALOUS);
    }
    let (packets, links) = read(&written("alerts.pcapng", create, &[mixed]));
    assert_eq!(links, [101, 1, 276, 0]);
    let seen: Vec<_> = packets.iter().map(|(link, nanos, wire, b)| (*link, *nanos, *wire, b.len())).collect();
    assert_eq!(
        seen,
        [
            (101, 0, 70_000, 0),
            (1, 0, 70_000, 1),
            (101, 1, 70_000, 4),
            (276, 2, 70_000, 65_535),
            (0, 3, 70_000, 3)
        ]
    );
}

#[test]
fn a_table_of_headers_has_no_packets() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = bound(create(&dir.path().join("alerts.pcapng")));
    let mut table = batch(0);
    table.packets.clear();
    sink.write(&table).unwrap();
    sink.finish().unwrap();
    assert_eq!((sink.skipped(), sink.written()), (1, 0));
    let bytes = fs::read(dir.path().join("alerts.pcapng")).unwrap();
    assert_eq!(read(&bytes), (vec![], vec![1]), "an empty file has an interface still");
}

#[test]
fn faults_name_the_file() {
    assert_eq!(on_a_full_disk(create), "cannot write /dev/full: the disk is full");
}

#[test]
fn packets_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.pcapng");
    // Not even a partial file of an earlier run keeps its permissions.
    fs::write(dir.path().join("alerts.pcapng.partial"), "").unwrap();
    let mut sink = create(&path);
    sink.finish().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
