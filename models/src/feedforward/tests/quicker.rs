//! Steps in quicker forms: convolutions by Winograd's filtering, and over rows of a table.

use super::*;

const LOW: f32 = std::f32::consts::FRAC_1_SQRT_2;
const HIGH: f32 = std::f32::consts::SQRT_2;

/// Bᵀ·d, number by number in the order of the engine.
fn spread([a, b, c, d, e, f]: [f32; 6]) -> [f32; 6] {
    let (low, high) = (c.mul_add(-2.0, e), c.mul_add(-0.5, e));
    let (odd_low, odd_high) = (d.mul_add(LOW, b * -HIGH), d.mul_add(HIGH, b * -LOW));
    let ends = [c.mul_add(-2.5, a + e), d.mul_add(-2.5, b + f)];
    [ends[0], low + odd_low, low - odd_low, high + odd_high, high - odd_high, ends[1]]
}

/// Aᵀ·m.
fn gathered([a, b, c, d, e, f]: [f32; 6]) -> [f32; 4] {
    let (low, odd_low, high, odd_high) = (b + c, b - c, d + e, d - e);
    [
        (a + low) + high,
        odd_high.mul_add(HIGH, odd_low * LOW),
        high.mul_add(2.0, low * 0.5),
        odd_high.mul_add(HIGH * 2.0, odd_low.mul_add(LOW / 2.0, f)),
    ]
}

/// G·g.
fn weighed([a, b, c]: [f64; 3]) -> [f64; 6] {
    let at = |p: f64, product: f64| (a + p * b + p * p * c) / product;
    let (low, high) = (0.5_f64.sqrt(), 2.0_f64.sqrt());
    [a, at(low, -1.5), at(-low, -1.5), at(high, 6.0), at(-high, 6.0), c]
}

/// A transform of columns and then of lines.
fn both<const N: usize, const M: usize, T: Copy + Default>(
    cells: [[T; N]; N],
    transform: impl Fn([T; N]) -> [T; M],
) -> [[T; M]; M] {
    let columns: [[T; M]; N] = std::array::from_fn(|x| transform(std::array::from_fn(|y| cells[y][x])));
    std::array::from_fn(|y| transform(std::array::from_fn(|x| columns[x][y])))
}

/// A tile of the output for a channel.
fn tile(
    plain: &Plain,
    x: &[f32],
    weights: &[f32],
    channel: usize,
    [line, place]: [usize; 2],
) -> [[f32; 4]; 4] {
    let mut sums = [[0.0_f32; 6]; 6];
    let depth = plain.input[0];
    for d in 0..depth {
        let at = |y: usize, column: usize| plain.at(x, d, line + y, place + column);
        let cells = both(std::array::from_fn(|y| std::array::from_fn(|x| at(y, x))), spread);
        let weight = |y: usize, x: usize| f64::from(weights[(channel * depth + d) * 9 + y * 3 + x]);
        let weights = both(std::array::from_fn(|y| std::array::from_fn(|x| weight(y, x))), weighed);
        for (sum, (cell, weight)) in
            sums.as_flattened_mut().iter_mut().zip(cells.as_flattened().iter().zip(weights.as_flattened()))
        {
            *sum = cell.mul_add(*weight as f32, *sum);
        }
    }
    both(sums, gathered)
}

/// A convolution by Winograd's filtering in plain loops.
fn filtered(plain: &Plain, x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    let [lines, places] = plain.output();
    let mut all = vec![0.0; plain.channels * lines * places];
    for (channel, all) in all.chunks_exact_mut(lines * places).enumerate() {
        for (line, place) in
            (0..lines).step_by(4).flat_map(|line| (0..places).step_by(4).map(move |place| (line, place)))
        {
            let tile = tile(plain, x, weights, channel, [line, place]);
            for (y, x) in (0..4).flat_map(|y| (0..4).map(move |x| (y, x))) {
                if line + y < lines && place + x < places {
                    all[(line + y) * places + place + x] = tile[y][x] + bias[channel];
                }
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_convolution_by_filtering_has_the_bits_of_plain_loops_and_nearly_those_of_sums(
        parts in 1_usize..4, lines in 11_usize..24, places in 11_usize..24, channels in 8_usize..50,
        pad in 0_usize..3, rows in 1_usize..4, seed: u64,
    ) {
        let depth = 8 * parts;
        let plain = Plain { input: [depth, lines, places], channels, kernel: [3, 3], step: 1, pad };
        let weights = numbers(seed, channels * depth * 9);
        let bias = numbers(seed ^ 1, channels);
        let mut engine = FeedForward::open(&plain.network(&weights, &bias).to_bytes()).unwrap();
        let [down, across] = plain.output();
        let direct = 2 * (down * across * 9 * depth * channels) as u64;
        prop_assume!(2 * down.div_ceil(4) * across.div_ceil(4) * 36 <= 9 * down * across);
        prop_assert!(engine.operations() * 2 <= direct);

        let width = depth * lines * places;
        let x = numbers(seed ^ 2, rows * width);
        let given = run(&mut engine, &[column(width, &x)]);
        let of = |of: &dyn Fn(&[f32]) -> Vec<f32>| x.chunks_exact(width).flat_map(of).collect::<Vec<f32>>();
        let expected = of(&|x| filtered(&plain, x, &weights, &bias));
        prop_assert_eq!(&given, &expected);
        let sums = of(&|x| plain.run(x, &weights, &bias));
        let most = sums.iter().fold(0.0_f32, |most, sum| most.max(sum.abs()));
        for (given, sum) in given.iter().zip(&sums) {
            prop_assert!((given - sum).abs() <= 4e-6 * most, "{} {} of {}", given, sum, most);
        }
    }

    #[test]
    fn a_convolution_over_a_table_has_the_bits_of_plain_sums(
        count in 1_usize..300, width in 1_usize..9, length in 9_usize..40, window in 2_usize..9,
        step in 1_usize..5, pad in 0_usize..4, channels in 1_usize..90, seed: u64,
    ) {
        let table = numbers(seed, count * width);
        let (weights, bias) = (numbers(seed ^ 1, channels * width * window), numbers(seed ^ 2, channels));
        let mut engine = FeedForward::open(&lookup([count, width], [channels, window], [step, pad], length, [
            &table, &weights, &bias,
        ]).to_bytes()).unwrap();
        let places = (length + 2 * pad - window) / step + 1;
        prop_assert_eq!(engine.operations(), (places * window * channels) as u64);

        let count = count as i64;
        let number = |at: usize| (at as i64 * 7919 + (seed >> 40) as i64) % (count + 2) - 1;
        let numbers: Vec<i64> = (0..2 * length).map(number).collect();
        let given = run(&mut engine, &[Box::new(Rows::<i64>::of(numbers.chunks_exact(length)))]);
        // What a number gives at a place of the window: it counts from the end below zero, and one that is too large is none.
        let vector = |number: i64, at: usize, channel: usize| {
            let row = if number < 0 { number + count } else { number } as usize;
            let Some(row) = table.get(row * width..(row + 1) * width) else { return f32::NAN };
            let weight = |w: usize| weights[(channel * width + w) * window + at];
            row.iter().enumerate().map(|(w, x)| f64::from(*x) * f64::from(weight(w))).sum::<f64>() as f32
        };
        for (row, numbers) in given.chunks_exact(channels * places).zip(numbers.chunks_exact(length)) {
            for (channel, place) in (0..channels).flat_map(|c| (0..places).map(move |p| (c, p))) {
                let mut sum = bias[channel];
                for at in 0..window {
                    if let Some(number) = (place * step + at).checked_sub(pad).and_then(|at| numbers.get(at)) {
                        sum += vector(*number, at, channel);
                    }
                }
                let given = row[channel * places + place];
                prop_assert!(given == sum || given.is_nan() && sum.is_nan(), "{} {}", given, sum);
            }
        }
    }
}

/// A convolution of rows of a table that integers name.
fn lookup(
    [count, width]: [usize; 2],
    [channels, window]: [usize; 2],
    [step, pad]: [usize; 2],
    length: usize,
    [table, weights, bias]: [&[f32]; 3],
) -> Made {
    let mut network = Made::new("lookup");
    network.input("x", Element::I64, &[length]);
    network.output("y", Element::F32, None);
    network.reals("table", &[count, width], table);
    network.reals("w", &[channels, width, window], weights);
    network.reals("b", &[channels], bias);
    network.node("Gather", &["table", "x"], &["rows"], &[]);
    network.node("Transpose", &["rows"], &["turned"], &[("perm", Attr::Ints(vec![0, 2, 1]))]);
    let attributes = [("strides", Attr::Ints(vec![step as i64])), ("pads", Attr::Ints(vec![pad as i64; 2]))];
    network.node("Conv", &["turned", "w", "b"], &["y"], &attributes);
    network
}

#[test]
fn filtering_gives_the_same_bits_in_batches_of_any_size() {
    let mut network = network(&[8, 16, 17]);
    network.reals("w", &[33, 8, 3, 3], &numbers(1, 33 * 72));
    network.reals("scale", &[33], &numbers(2, 33));
    network.reals("variance", &[33], &[0.5; 33]);
    network.node("Conv", &["x", "w"], &["c"], &[("pads", Attr::Ints(vec![1; 4]))]);
    network.node("BatchNormalization", &["c", "scale", "scale", "scale", "variance"], &["n"], &[]);
    network.node("LeakyRelu", &["n"], &["r"], &[("alpha", Attr::Float(0.1))]);
    network.node("GlobalAveragePool", &["r"], &["y"], &[]);
    let mut engine = FeedForward::open(&network.to_bytes()).unwrap();
    assert!(engine.operations() < 16 * 17 * 9 * 8 * 33, "less than half of the sums of products");
    let width = 8 * 16 * 17;
    let x = numbers(9, 70 * width);
    let all = run(&mut engine, &[column(width, &x)]);
    let mut other = engine.clone();
    for size in [1, 7, 32] {
        let parts = x.chunks(size * width).flat_map(|part| run(&mut other, &[column(width, part)]));
        assert_eq!(parts.collect::<Vec<_>>(), all, "{size}");
    }
}
