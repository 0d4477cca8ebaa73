//! What comes to a hot standby.

use crate::calls::{Frames, Kind, frames};
use legonf_core::{Batch, Columns, LinkType, Timestamp};
use legonf_transport::standby::{Agreement, Heard, Replica};

const OF_SOURCES: Columns = Columns::PACKETS.union(Columns::HEADERS);

/// Lets bytes be what a primary sends. Packets that are taken are numbered without a gap; otherwise nothing shows in the batch.
pub fn standby(data: &[u8]) {
    let channel = || Box::new(Frames::new(data, Kind::Plain));
    let _ = Replica::over(channel()).agree(&Agreement::default());
    let (mut replica, mut batch, mut packets) = (Replica::over(channel()), Batch::default(), 0);
    loop {
        let heard = replica.hear(&mut batch, OF_SOURCES);
        let numbers = batch.packets.iter().map(|(record, _)| record.seq);
        assert!(numbers.zip(packets..).all(|(seq, number)| seq == number), "packets are in order");
        assert!(batch.headers.iter().map(|headers| headers.seq).zip(packets..).all(|(seq, number)| seq == number));
        assert_eq!(batch.is_empty(), !matches!(heard, Ok(Heard::Packets)));
        packets += batch.len() as u64;
        assert_eq!(replica.accepted(), packets);
        if heard.is_err() {
            return;
        }
    }
}

/// An agreement, and a stream of two packets.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let digest = [7; 32];
    let agreement = [&[2, 1, 5][..], b"graph", &digest].concat();
    let packet = |seq: u8| {
        let mut batch = Batch::default();
        batch.packets.push(seq.into(), Timestamp::default(), 60, LinkType::Ethernet, &[9]);
        // The number of the first one, and of those that were dropped.
        let mut frame = vec![5, seq, 0];
        batch.encode(OF_SOURCES, &mut frame);
        frame
    };
    vec![frames(&[&agreement]), frames(&[&packet(0), &packet(1), &[7], &[9]])]
}
