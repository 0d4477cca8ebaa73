//! Choices by conditions, and parts that are computed for some rows alone.

use super::*;

/// The network of [`sequence`] where the lead of the trees is not above `bound`, else the trees alone. With `eager` the mean is an
/// output as well, so that it is computed for each row.
fn cascade(bound: f32, eager: bool) -> Made {
    let mut network = sequence_as("mean");
    network.integers("two", &[2]);
    network.integers("last", &[1]);
    network.reals("bound", &[1], &[bound]);
    network.node("TopK", &["q", "two"], &["top", "places"], &[]);
    network.node("ReduceMax", &["top", "last"], &["best"], &[]);
    network.node("ReduceMin", &["top", "last"], &["second"], &[]);
    network.node("Sub", &["best", "second"], &["lead"], &[]);
    network.node("Greater", &["lead", "bound"], &["settled"], &[]);
    network.node("Where", &["settled", "q", "mean"], &["y"], &[]);
    if eager {
        network.output("mean", Element::F32, Some(&[2]));
    }
    network
}

fn inputs(rows: Range<usize>) -> [Box<dyn Storage>; 2] {
    let raw: Vec<u8> = (rows.start * 20..rows.end * 20).map(|i: usize| (i * 31 % 251) as u8).collect();
    [bytes(20, &raw), column(3, &numbers(7, 300 * 3)[rows.start * 3..rows.end * 3])]
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// What leads of the trees there are among the rows.
fn leads() -> Vec<f32> {
    let mut network = Made::new("trees");
    network.input("statistics", Element::F32, &[3]);
    network.output("q", Element::F32, None);
    stump(&mut network);
    let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
    let q = run(&mut engine, &[inputs(0..300).into_iter().nth(1).unwrap()]);
    let mut leads: Vec<f32> = q.chunks_exact(2).map(|row| (row[0] - row[1]).abs()).collect();
    leads.sort_by(f32::total_cmp);
    leads.dedup();
    leads
}

#[test]
fn rows_have_the_bits_of_those_that_are_all_computed_in_batches_of_any_size() {
    let leads = leads();
    assert!(leads.len() > 2, "{leads:?}");
    for bound in [-1.0, leads[0], leads[1], leads[leads.len() - 1]] {
        let mut lazy = FeedForward::open(&cascade(bound, false).to_bytes()).unwrap();
        let mut eager = FeedForward::open(&cascade(bound, true).to_bytes()).unwrap();
        assert_eq!((lazy.branches().len(), eager.branches().len()), (1, 0));
        assert_eq!(lazy.operations(), eager.operations());
        let all = bits(&run(&mut eager, &inputs(0..300)));
        let mut computed = Vec::new();
        for size in 1..=300 {
            let before = lazy.branches()[0];
            let found = bits(&run(&mut lazy, &inputs(0..size)));
            assert_eq!(found, all[..2 * size], "{bound} {size}");
            let after = lazy.branches()[0];
            assert_eq!(after.passed - before.passed, size as u64);
            computed.push(after.computed - before.computed);
        }
        for start in (0..300).step_by(37) {
            let rows = start..300.min(start + 37);
            assert_eq!(bits(&run(&mut lazy, &inputs(rows.clone()))), all[2 * rows.start..2 * rows.end]);
        }
        match bound {
            -1.0 => assert!(computed.iter().all(|computed| *computed == 0)),
            bound if bound == leads[leads.len() - 1] => assert!(computed.iter().copied().eq(1..=300)),
            _ => assert!((1..300).contains(&computed[299]), "{bound}: {}", computed[299]),
        }
    }
}

#[test]
fn both_sides_and_sides_within_sides_are_computed_for_their_rows() {
    let build = |eager: bool| {
        let mut network = network(&[6]);
        network.reals("zero", &[1], &[0.0]);
        network.integers("first", &[0]);
        network.integers("next", &[1]);
        for (number, name) in ["a", "b", "c"].iter().enumerate() {
            network.reals(&format!("w{name}"), &[6, 4], &numbers(number as u64 + 1, 24));
            network.node("MatMul", &["x", &format!("w{name}")], &[*name], &[]);
        }
        network.node("Gather", &["x", "first"], &["x0"], &[("axis", Attr::Int(1))]);
        network.node("Gather", &["x", "next"], &["x1"], &[("axis", Attr::Int(1))]);
        network.node("GreaterOrEqual", &["x0", "zero"], &["outer"], &[]);
        network.node("Less", &["x1", "zero"], &["inner"], &[]);
        network.node("Where", &["inner", "b", "c"], &["bc"], &[]);
        network.node("Relu", &["bc"], &["r"], &[]);
        network.node("Where", &["outer", "a", "r"], &["y"], &[]);
        for name in ["a", "b", "c"].iter().filter(|_| eager) {
            network.output(name, Element::F32, None);
        }
        network.to_bytes()
    };
    let (mut lazy, mut eager) =
        (FeedForward::open(&build(false)).unwrap(), FeedForward::open(&build(true)).unwrap());
    let x = numbers(11, 100 * 6);
    let expected = run(&mut eager, &[column(6, &x)]);
    assert_eq!(bits(&run(&mut lazy, &[column(6, &x)])), bits(&expected));
    let branches = lazy.branches();
    assert_eq!(branches.iter().map(|branch| branch.computed).sum::<u64>(), 100);
    assert_eq!(branches.iter().map(|branch| branch.operations).collect::<Vec<_>>(), [48, 96]);
    assert!(eager.branches().is_empty());
}

#[test]
fn conditions_of_cells_and_sides_of_constants_choose_cell_by_cell() {
    let mut network = network(&[3]);
    network.reals("bound", &[3], &[0.0, 1.0, f32::NAN]);
    network.reals("one", &[], &[1.0]);
    network.reals("row", &[1, 3], &[7.0, 8.0, 9.0]);
    network.node("LessOrEqual", &["x", "bound"], &["low"], &[]);
    network.node("Where", &["low", "one", "x"], &["h"], &[]);
    network.node("Greater", &["h", "one"], &["high"], &[]);
    network.node("Where", &["high", "row", "h"], &["y"], &[]);
    let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
    assert!(engine.branches().is_empty());
    let x = [-1.0, 2.0, 0.5, 3.0, 1.0, 4.0];
    assert_eq!(run(&mut engine, &[column(3, &x)]), [1.0, 8.0, 0.5, 7.0, 1.0, 9.0]);
}

#[test]
fn the_largest_numbers_come_in_falling_order() {
    let mut network = network(&[2, 4]);
    network.integers("k", &[3]);
    network.node("TopK", &["x", "k"], &["y", "places"], &[("axis", Attr::Int(-1))]);
    let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
    let x = [1.0, 3.0, 3.0, -2.0, 0.0, -1.0, -3.0, -2.0];
    assert_eq!(run(&mut engine, &[column(8, &x)]), [3.0, 3.0, 1.0, 0.0, -1.0, -2.0]);
    let x = [f32::NAN, 2.0, f32::NEG_INFINITY, f32::NAN, f32::NAN, f32::NAN, 4.0, 4.0];
    let given = run(&mut engine, &[column(8, &x)]);
    assert_eq!((&given[..2], &given[3..5]), (&[2.0, f32::NEG_INFINITY][..], &[4.0, 4.0][..]));
    assert!(given[2].is_nan() && given[5].is_nan());
}

#[test]
fn choices_that_are_not_known_are_refused_by_name() {
    let refused = |build: &dyn Fn(&mut Made)| {
        let mut network = network(&[4]);
        network.integers("k", &[5]);
        network.integers("two", &[2]);
        build(&mut network);
        refusal(&network)
    };
    let text = refused(&|network| network.node("Where", &["x", "x", "x"], &["y"], &[]));
    assert_eq!(text, "operator y (Where): has a condition that is no truth value");
    let text = refused(&|network| network.node("TopK", &["x", "k"], &["y"], &[]));
    assert_eq!(text, "operator y (TopK): keeps another number of values than 1 to 4");
    let least = [("largest", Attr::Int(0))];
    let text = refused(&|network| network.node("TopK", &["x", "two"], &["y"], &least));
    assert_eq!(text, "operator y (TopK): finds the least numbers, or not along the last axis");
    let rows = [("axis", Attr::Int(0))];
    let text = refused(&|network| network.node("TopK", &["x", "two"], &["y"], &rows));
    assert_eq!(text, "operator y (TopK): works across rows");
    let text = refused(&|network| {
        network.node("TopK", &["x", "two"], &["values", "places"], &[]);
        network.node("Cast", &["places"], &["y"], &[("to", Attr::Int(1))]);
    });
    assert!(text.contains("reads \"places\", which nothing before it gives"), "{text}");
}
