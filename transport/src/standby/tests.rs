use super::*;
use crate::{Channel, Stream};
use legonf_core::{Batch, Columns, LinkType, Timestamp};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Duration;

static NEVER: AtomicBool = AtomicBool::new(false);
const LEASE: Duration = Duration::from_secs(20);

/// Two ends of a connection.
fn pair() -> [Stream; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    [connected, listener.accept().unwrap().0].map(|socket| Stream::plain(socket).unwrap())
}

fn agreement(model: &str) -> Agreement {
    let digest = |text: &str| std::array::from_fn(|at| text.as_bytes().get(at).copied().unwrap_or(0));
    Agreement([("graph", "g"), ("model", model)].map(|(name, text)| (name.into(), digest(text))).into())
}

/// What both sides find where the primary has one model, and the standby another or the same.
fn meet(
    theirs: &'static str,
    own: &str,
    lease: Duration,
) -> (JoinHandle<Result<Primary, StandbyError>>, Result<Replica, StandbyError>) {
    let ([packets, at_packets], [heartbeats, at_beats]) = (pair(), pair());
    let primary = thread::spawn(move || {
        let agreement = agreement(theirs);
        let run = Run { name: "run-1", seed: Some(7), agreement: &agreement };
        let packets = Introduced::of(packets, run, false, lease)?;
        let heartbeats = Introduced::of(heartbeats, run, true, lease)?;
        Primary::meet(packets, heartbeats, run, lease, &NEVER)
    });
    let introduced = |stream| Introduction::of(stream, LEASE).unwrap();
    let (packets, heartbeats) = (introduced(at_packets), introduced(at_beats));
    assert!(
        !packets.is_of_heartbeats()
            && heartbeats.is_of_heartbeats()
            && packets.is_of_the_same_run(&heartbeats)
    );
    let mut replica = Replica::new(packets, heartbeats, lease, &NEVER).unwrap();
    let agreed = replica.agree(&agreement(own)).map(|()| replica);
    (primary, agreed)
}

fn packets(numbers: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::default();
    for number in numbers {
        batch.packets.push(number, Timestamp::new(1, 0), 60, LinkType::Ethernet, &[number as u8; 20]);
    }
    batch
}

fn hear(replica: &mut Replica) -> Result<(Heard, usize), StandbyError> {
    let mut batch = Batch::default();
    let heard = replica.hear(&mut batch, Columns::PACKETS.union(Columns::HEADERS))?;
    Ok((heard, batch.len()))
}

const OF_PACKETS: Columns = Columns::PACKETS.union(Columns::HEADERS);

#[test]
fn what_is_accepted_is_at_the_standby() {
    let (primary, replica) = meet("m", "m", LEASE);
    let (mut primary, mut replica) = (primary.join().unwrap().unwrap(), replica.unwrap());
    assert_eq!((replica.run(), replica.seed()), ("run-1", Some(7)));
    let passing = thread::spawn(move || {
        primary.pass_on(&packets(0..3), OF_PACKETS, 0, 0).unwrap();
        primary.idle().unwrap();
        primary.pass_on(&packets(3..5), OF_PACKETS, 3, 9).unwrap();
        primary.hand_over().unwrap();
    });
    let heard: Vec<_> = (0..4).map(|_| hear(&mut replica).unwrap()).collect();
    assert_eq!(heard, [(Heard::Packets, 3), (Heard::Idle, 0), (Heard::Packets, 2), (Heard::HandOver, 0)]);
    assert_eq!((replica.accepted(), replica.dropped()), (5, 9));
    passing.join().unwrap();
}

#[test]
fn another_model_is_refused_by_name_on_both_sides() {
    let (primary, replica) = meet("m", "other", LEASE);
    let reason = "primary and standby differ in this: model; give both the same";
    assert_eq!(replica.err().unwrap().to_string(), reason);
    assert_eq!(primary.join().unwrap().err().unwrap().to_string(), reason);
}

#[test]
fn a_side_that_is_gone_is_noticed_by_the_other() {
    let (primary, replica) = meet("m", "m", LEASE);
    let (primary, mut replica) = (primary.join().unwrap().unwrap(), replica.unwrap());
    drop(primary);
    assert!(matches!(hear(&mut replica), Err(StandbyError::Channel(_))));
    let (primary, replica) = meet("m", "m", LEASE);
    let mut primary = primary.join().unwrap().unwrap();
    drop(replica.unwrap());
    assert!(matches!(primary.pass_on(&packets(0..1), OF_PACKETS, 0, 0), Err(StandbyError::Channel(_))));
}

#[test]
fn a_side_that_is_silent_is_lost_after_its_lease() {
    let ([packets, at_packets], [heartbeats, at_beats]) = (pair(), pair());
    // A primary that says who it is, and then nothing.
    let silent = thread::spawn(move || {
        let mut streams = [packets, heartbeats];
        let mut frame = Vec::new();
        for (number, stream) in streams.iter_mut().enumerate() {
            message::write(&message::HELLO, &mut frame);
            stream.send(&frame).unwrap();
            stream.receive().unwrap();
            message::write(
                &message::Message::Run { run: "r", seed: None, heartbeats: number == 1 },
                &mut frame,
            );
            stream.send(&frame).unwrap();
        }
        streams
    });
    let introduced = |stream| Introduction::of(stream, LEASE).unwrap();
    let (packets, heartbeats) = (introduced(at_packets), introduced(at_beats));
    let mut replica = Replica::new(packets, heartbeats, Duration::from_millis(50), &NEVER).unwrap();
    let streams = silent.join().unwrap();
    assert!(matches!(replica.agree(&agreement("m")), Err(StandbyError::Channel(_))));
    drop(streams);
}

#[test]
fn what_no_primary_sends_is_refused() {
    let spoiled: [fn(&mut Vec<u8>); 4] = [
        |frame| frame.clear(),
        |frame| frame.truncate(frame.len() - 1),
        |frame| frame.push(0),
        // The number of the first packet is another one.
        |frame| frame[1] = 1,
    ];
    for spoil in spoiled {
        let [mut one, other] = pair();
        let mut replica = Replica::over(Box::new(other));
        let mut frame = Vec::new();
        message::write(&message::Message::Packets { first: 0, dropped: 0 }, &mut frame);
        packets(0..2).encode(OF_PACKETS, &mut frame);
        spoil(&mut frame);
        one.send(&frame).unwrap();
        assert!(matches!(hear(&mut replica), Err(StandbyError::Damaged)));
        assert_eq!(replica.accepted(), 0);
    }
    for numbers in [0..0, 1..3] {
        let [mut one, other] = pair();
        let mut replica = Replica::over(Box::new(other));
        let mut frame = Vec::new();
        message::write(&message::Message::Packets { first: 0, dropped: 0 }, &mut frame);
        packets(numbers).encode(OF_PACKETS, &mut frame);
        one.send(&frame).unwrap();
        assert!(matches!(hear(&mut replica), Err(StandbyError::Damaged)));
    }
}
