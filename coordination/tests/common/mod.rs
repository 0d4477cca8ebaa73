//! Two sides that propose at the same moment.

use legonf_coordination::open;
use std::sync::Barrier;
use std::thread;

const SIDES: [&str; 2] = ["primary", "standby"];

/// What both sides are told when they propose at the same moment; they must be told the same, and so must others later.
pub fn contest(place: &str, run: &str) -> String {
    let start = Barrier::new(2);
    let ask = |side: &str| {
        let place = open(place).unwrap();
        start.wait();
        place.decide(run, side).unwrap()
    };
    let ask = &ask;
    let [first, second] = thread::scope(|scope| {
        SIDES.map(|side| scope.spawn(move || ask(side))).map(|asked| asked.join().unwrap())
    });
    assert_eq!(first, second, "{run}");
    assert!(SIDES.contains(&first.as_str()), "{first}");
    assert_eq!(open(place).unwrap().decision(run).unwrap().as_ref(), Some(&first));
    first
}
