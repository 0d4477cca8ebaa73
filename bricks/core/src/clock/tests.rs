use super::*;
use crate::{Headers, LinkType};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;
const YEAR: i64 = 365 * 86_400 * SECOND;
const START: i64 = 1_700_000_000 * SECOND;

/// Stream times of packets in nanoseconds, and the clock after them.
fn tick(times: impl IntoIterator<Item = i64>) -> (Vec<i64>, Clock) {
    let mut clock = Clock::default();
    let stream = times.into_iter().zip(0..).map(|(time, seq)| {
        let headers = Headers { timestamp: Timestamp::from_nanos(time), seq, shift: 0, ..Headers::default() };
        let shift = clock.shift(seq, headers.timestamp);
        Headers { shift, ..headers }.stream_time().as_nanos()
    });
    (stream.collect(), clock)
}

/// Times of a packet each 0.3 s, from START.
fn steady(packets: i64) -> Vec<i64> {
    (0..packets).map(|at| START + at * 3 * SECOND / 10).collect()
}

#[test]
fn an_ordinary_capture_keeps_every_time() {
    let gaps = [0, 1, SECOND, 59 * SECOND, 1_000 * SECOND, 7];
    let times: Vec<i64> =
        gaps.iter().scan(START, |time, gap| Some(std::mem::replace(time, *time + gap))).collect();
    let (stream, clock) = tick(times.clone());
    assert_eq!((stream, clock.faults()), (times.clone(), ClockFaults::default()));
    assert_eq!(clock.elapsed(), times[5].abs_diff(times[0]));
    assert_eq!(Clock::default().elapsed(), 0);
}

#[test]
fn a_packet_that_was_overtaken_keeps_its_time() {
    let times = vec![START, START + 5 * SECOND, START + 4 * SECOND, START + 5 * SECOND + 1];
    let (stream, clock) = tick(times.clone());
    assert_eq!(stream, times);
    assert_eq!(clock.faults(), ClockFaults { reordered: 1, first: Some(2), ..ClockFaults::default() });
    assert_eq!(clock.elapsed(), (5 * SECOND + 1).cast_unsigned());
}

#[test]
fn one_wrong_time_stamp_costs_nothing() {
    for wrong in [START + 80 * YEAR, 0, i64::MAX, i64::MIN] {
        let mut times = steady(10);
        times[4] = wrong;
        let (stream, clock) = tick(times);
        let mut right = steady(10);
        right[4] = right[3];
        assert_eq!(stream, right);
        let ClockFaults { reordered, steps_back, jumps, first, .. } = clock.faults();
        assert_eq!((reordered, steps_back, jumps, first), (0, 1, 1, Some(4)));
        assert_eq!(clock.elapsed(), (27 * SECOND / 10).cast_unsigned());
    }
}

#[test]
fn a_clock_that_was_set_goes_on_from_there() {
    for by in [YEAR, -YEAR, 10 * 86_400 * SECOND, -2 * SECOND] {
        let mut times = steady(10);
        times[5..].iter_mut().for_each(|time| *time += by);
        let (stream, clock) = tick(times);
        // The packet at which it was set comes at once.
        let mut right = steady(10);
        right[5..].iter_mut().for_each(|time| *time -= 3 * SECOND / 10);
        assert_eq!(stream, right);
        let faults = clock.faults();
        assert_eq!((faults.steps_back, faults.jumps), if by < 0 { (1, 0) } else { (0, 1) });
        assert_eq!(faults.back + faults.ahead, (by + 3 * SECOND / 10).unsigned_abs());
        assert_eq!((faults.first, clock.elapsed()), (Some(5), (24 * SECOND / 10).cast_unsigned()));
    }
}

#[test]
fn two_clocks_in_one_capture_are_told_apart() {
    // Every other packet by a clock that is three seconds behind.
    let times = steady(100).into_iter().zip(0..).map(|(time, at)| time - at % 2 * 3 * SECOND);
    let (stream, clock) = tick(times);
    let mut right = steady(100);
    let early = 3 * SECOND / 10;
    right.iter_mut().skip(1).step_by(2).for_each(|time| *time -= early);
    assert_eq!(stream, right);
    assert_eq!((clock.faults().steps_back, clock.faults().jumps), (50, 49));
}

#[test]
fn captures_follow_each_other_at_once() {
    let (_, mut clock) = tick(steady(5));
    let before = clock.elapsed();
    for later in [9 * YEAR, -9 * YEAR] {
        clock = clock.next_capture();
        let first = clock.stream_time(0, Timestamp::from_nanos(START + later));
        assert_eq!((first.as_nanos(), clock.elapsed()), (START + before.cast_signed(), before));
    }
    let next = clock.stream_time(1, Timestamp::from_nanos(START - 9 * YEAR + SECOND));
    assert_eq!(next.as_nanos(), START + before.cast_signed() + SECOND);
    assert!(clock.faults().is_empty());
}

#[test]
fn packets_and_tables_of_headers_are_marked_and_rows_are_not() {
    let times = [START, START + YEAR];
    let mut batch = Batch::default();
    for (time, seq) in times.into_iter().zip(0..) {
        batch.packets.push(seq, Timestamp::from_nanos(time), 60, LinkType::Ethernet, &[]);
    }
    Clock::default().mark(&mut batch);
    assert_eq!([0, 1].map(|at| batch.packets.record(at).shift), [0, -YEAR]);
    let mut copy = crate::Packets::default();
    copy.push_copy(batch.packets.record(1), &[7]);
    assert_eq!((copy.record(0).shift, copy.bytes(0)), (-YEAR, &[7][..]));

    let table = |timeless| {
        let timed =
            |(time, seq)| Headers { seq, timestamp: Timestamp::from_nanos(time), ..Headers::default() };
        let headers = times.into_iter().zip(0..).map(timed).collect();
        let (mut batch, mut clock) = (Batch { headers, timeless, ..Batch::default() }, Clock::default());
        clock.mark(&mut batch);
        (batch.headers[1].shift, clock.faults().jumps)
    };
    assert_eq!(table(false), (-YEAR, 1));
    assert_eq!(table(true), (0, 0));
}

proptest! {
    #[test]
    fn whatever_the_time_stamps_the_stream_goes_on(
        times in prop::collection::vec(prop_oneof![any::<i64>(), START..START + 5 * SECOND], 1..60),
    ) {
        let (stream, clock) = tick(times.clone());
        // Never further ahead than the longest gap, nor further behind than what was overtaken.
        let mut latest = stream[0];
        for time in &stream {
            prop_assert!(time.saturating_sub(latest) <= MOST);
            prop_assert!(latest.saturating_sub(*time) <= REORDERING);
            latest = latest.max(*time);
        }
        prop_assert_eq!(clock.elapsed(), latest.abs_diff(stream[0]));
        let ClockFaults { reordered, steps_back, jumps, .. } = clock.faults();
        prop_assert!(reordered + steps_back + jumps < times.len() as u64);
    }
}

#[test]
fn a_stream_that_is_resumed_goes_on_and_counts_faults_anew() {
    let times = [5, 6, 900, 7, 7_000, 7_001].map(|second| Timestamp::from_nanos(second * SECOND));
    let (mut whole, mut cut) = (Clock::default(), Clock::default());
    for (seq, time) in (0..).zip(times) {
        if seq == 3 {
            assert!(cut.faults().is_empty());
            cut = cut.resumed();
        }
        assert_eq!(whole.shift(seq, time), cut.shift(seq, time));
        assert_eq!((whole.elapsed(), whole.age(time)), (cut.elapsed(), cut.age(time)));
    }
    assert_eq!(cut.faults(), whole.faults());
    assert!(cut.resumed().faults().is_empty() && cut.resumed().elapsed() == cut.elapsed());
}

#[test]
fn a_stream_is_as_old_as_the_time_since_its_first_packet() {
    let mut clock = Clock::default();
    for (seq, second) in [(0, 5), (1, 6)] {
        clock.shift(seq, Timestamp::from_nanos(second * SECOND));
    }
    let age = |second: i64| clock.age(Timestamp::from_nanos(second * SECOND));
    assert_eq!((age(5), age(6), age(4)), (0, SECOND.cast_unsigned(), 0));
    assert_eq!(clock.age(Timestamp::from_nanos(i64::MIN)), 0);
    assert_eq!(clock.age(Timestamp::from_nanos(i64::MAX)), (i64::MAX - 5 * SECOND).cast_unsigned());
}
