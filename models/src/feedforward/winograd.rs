//! Convolutions of 3 x 3 by Winograd's minimal filtering, F(4 x 4, 3 x 3).
//!
//! A. Lavin and S. Gray, *Fast Algorithms for Convolutional Neural Networks* (CVPR 2016), section 4. Sixteen places of the output
//! take 36 products of each pair of channels in place of 144. A tile of 6 x 6 places is transformed, Bᵀ·d·B; its 36 numbers are
//! weighed by as many matrices, G·g·Gᵀ; and the sums are transformed back, Aᵀ·m·A. The polynomials are taken at 0, ±1/√2, ±√2 and
//! infinity: at these points the error is about twice that of plain sums, at 0, ±1 and ±2 about five times.
//!
//! Each sum is one chain in the order of the channels, and the transforms are written out, so that neither the number of tiles that
//! are computed together nor the instruction set changes a bit.

use super::activation::Activation;
use super::linear::{Geometry, LANES, Linear, Vector, add_product, put};
use multiversion::multiversion;
use multiversion::target::match_target;
use std::ops::Range;

/// Places of the output that a tile gives on an axis, and of the input that it takes.
const STEP: usize = 4;
const SIDE: usize = 6;
/// Numbers of a tile.
const POINTS: usize = SIDE * SIDE;
/// Tiles that are transformed together, and those that are weighed together at most.
const GROUP: usize = 24;
const TOGETHER: usize = 6;
/// Panels that are weighed together where vectors are as wide as a panel.
const WIDE: usize = 2;
/// Channels that are transformed together.
const PART: usize = 8;
/// Tiles from which on transforms are worth it, and numbers of all weights up to which they are: more come from memory for each row.
const FEW: usize = 4;
const MOST: usize = 1 << 21;

/// The points, and the powers of them that are no powers of two.
const LOW: f32 = std::f32::consts::FRAC_1_SQRT_2;
const HIGH: f32 = std::f32::consts::SQRT_2;
const LOW_CUBED: f32 = LOW / 2.0;
const HIGH_CUBED: f32 = HIGH * 2.0;

type Part = [f32; PART];

/// A convolution of 3 x 3 with steps of one, with what follows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Winograd {
    /// That of the convolution; its pads reach as far as whole tiles do.
    geometry: Geometry,
    /// Channels of the output.
    channels: usize,
    /// Tiles of a line.
    across: usize,
    /// Where tiles begin in the padded input.
    begins: Vec<u32>,
    groups: Vec<Group>,
    /// Transformed weights, panel by panel: of each of the [`POINTS`] and each channel of the input those of [`LANES`] channels.
    panels: Vec<Vector>,
    bias: Vec<Vector>,
    activation: Activation,
}

/// Tiles that are transformed together.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    tiles: Range<usize>,
    /// Those that are weighed together, counted from the first one of the group.
    packs: Vec<Range<usize>>,
}

impl Winograd {
    /// The same convolution, if it is one of 3 x 3 with steps of one, over enough channels and places.
    pub(super) fn of(linear: &Linear) -> Option<Self> {
        let mut geometry = linear.geometry.clone();
        let (line, [_, _, depth], output) = (geometry.line(), geometry.input, geometry.output);
        let square = geometry.offsets == [0, line, 2 * line] && geometry.run == 3 * depth;
        let tiles: usize = output.iter().map(|places| places.div_ceil(STEP)).product();
        let fewer = tiles >= FEW && 2 * tiles * POINTS <= 9 * geometry.places();
        let weights = POINTS * depth * linear.bias.len() * LANES;
        let wide = depth.is_multiple_of(PART) && linear.channels >= PART && weights <= MOST;
        if !square || !fewer || !wide || geometry.steps != [1, 1] {
            return None;
        }
        let [down, across] = output.map(|places| places.div_ceil(STEP));
        // Zeros below and to the right, where the last tiles reach beyond the input.
        geometry.pads[2] += down * STEP - output[0];
        geometry.pads[3] += across * STEP - output[1];
        let step = [STEP * geometry.line(), STEP * depth];
        let begins =
            (0..down * across).map(|tile| (tile / across * step[0] + tile % across * step[1]) as u32);
        Some(Self {
            channels: linear.channels,
            across,
            begins: begins.collect(),
            groups: even(tiles, GROUP)
                .map(|tiles| Group { packs: even(tiles.len(), TOGETHER).collect(), tiles })
                .collect(),
            panels: linear
                .panels
                .chunks_exact(9 * depth)
                .flat_map(|panel| transformed(panel, depth))
                .collect(),
            bias: linear.bias.clone(),
            activation: linear.activation,
            geometry,
        })
    }

    /// Floating-point operations of a row in sums of products; those of lanes without a channel and those of transforms do not count.
    pub(super) fn operations(&self) -> u64 {
        2 * (self.begins.len() * POINTS * self.geometry.input[2] * self.channels) as u64
    }

    /// Numbers that it needs beside its input and output.
    pub(super) fn scratch(&self) -> usize {
        self.geometry.scratch() + POINTS * GROUP * (self.geometry.input[2] + WIDE * LANES)
    }

    /// Computes rows: `input` and `output` hold them one after the other.
    pub(super) fn run(&self, input: &[f32], output: &mut [f32], scratch: &mut [f32]) {
        let (padded, scratch) = scratch.split_at_mut(self.geometry.scratch());
        let (tiles, sums) = scratch.split_at_mut(POINTS * GROUP * self.geometry.input[2]);
        let sums = &mut sums.as_chunks_mut().0[..POINTS * GROUP * WIDE];
        let width = self.geometry.input.iter().product::<usize>();
        let cells = self.geometry.places() * self.channels;
        for (input, output) in input.chunks_exact(width).zip(output.chunks_exact_mut(cells)) {
            row(self, self.geometry.padded_of(input, padded), output, tiles, sums);
        }
    }
}

/// G·g·Gᵀ of a panel: of the numbers of a tile after one another, those of each channel of the input.
fn transformed(panel: &[Vector], depth: usize) -> Vec<Vector> {
    let at = |p: f64, product: f64, [a, b, c]: [f64; 3]| (a + p * b + p * p * c) / product;
    let (low, high) = (0.5_f64.sqrt(), 2.0_f64.sqrt());
    let line =
        |g: [f64; 3]| [g[0], at(low, -1.5, g), at(-low, -1.5, g), at(high, 6.0, g), at(-high, 6.0, g), g[2]];
    let mut made = vec![[0.0; LANES]; POINTS * depth];
    for (channel, lane) in (0..depth).flat_map(|channel| (0..LANES).map(move |lane| (channel, lane))) {
        let weight = |y: usize, x: usize| f64::from(panel[(3 * y + x) * depth + channel][lane]);
        let columns = [0, 1, 2].map(|x| line([0, 1, 2].map(|y| weight(y, x))));
        for y in 0..SIDE {
            for (x, value) in line(columns.map(|column| column[y])).into_iter().enumerate() {
                made[(y * SIDE + x) * depth + channel][lane] = value as f32;
            }
        }
    }
    made
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn row(network: &Winograd, input: &[f32], output: &mut [f32], tiles: &mut [f32], sums: &mut [Vector]) {
    match_target! {
        "x86_64+avx512f" => groups::<WIDE>(network, input, output, tiles, sums),
        _ => groups::<1>(network, input, output, tiles, sums),
    }
}

/// All tiles of a row, in groups of nearly the same size; `J` panels at once where there are as many.
#[inline(always)]
fn groups<const J: usize>(
    network: &Winograd,
    input: &[f32],
    output: &mut [f32],
    tiles: &mut [f32],
    sums: &mut [Vector],
) {
    for group in &network.groups {
        for pack in &group.packs {
            let to = &mut tiles[pack.start * network.geometry.input[2]..];
            for (p, at) in pack.clone().enumerate() {
                let input = &input[network.begins[group.tiles.start + at] as usize..];
                take(network, input, &mut to[p * PART..], [group.tiles.len(), pack.len()]);
            }
        }
        let mut panel = 0;
        while panel + J <= network.bias.len() {
            panels::<J>(network, panel, group, tiles, sums, output);
            panel += J;
        }
        while panel < network.bias.len() {
            panels::<1>(network, panel, group, tiles, sums, output);
            panel += 1;
        }
    }
}

/// Parts of `0..count` of at most `most`, as few and as even as can be.
fn even(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = count.div_ceil(most);
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

/// Bᵀ·d·B of a tile, for all channels, to where those of the first number and the first channels are. Of each number there are
/// `tiles`, and [`PART`] channels of `pack` of them lie side by side.
#[inline(always)]
fn take(network: &Winograd, input: &[f32], to: &mut [f32], [tiles, pack]: [usize; 2]) {
    let (depth, line) = (network.geometry.input[2], network.geometry.line());
    for channel in (0..depth).step_by(PART) {
        let mut lines = [[[0.0; PART]; SIDE]; SIDE];
        for x in 0..SIDE {
            let mut column = [[0.0; PART]; SIDE];
            for (y, part) in column.iter_mut().enumerate() {
                part.copy_from_slice(&input[y * line + x * depth + channel..][..PART]);
            }
            let column = spread(column);
            for y in 0..SIDE {
                lines[y][x] = column[y];
            }
        }
        for (y, line) in lines.into_iter().enumerate() {
            for (x, part) in spread(line).into_iter().enumerate() {
                to[(y * SIDE + x) * tiles * depth + channel * pack..][..PART].copy_from_slice(&part);
            }
        }
    }
}

/// Bᵀ·d.
#[inline(always)]
fn spread([a, b, c, d, e, f]: [Part; SIDE]) -> [Part; SIDE] {
    let (low, high) = (fused(c, -2.0, e), fused(c, -0.5, e));
    let (odd_low, odd_high) = (fused(d, LOW, times(b, -HIGH)), fused(d, HIGH, times(b, -LOW)));
    [
        fused(c, -2.5, add(a, e)),
        add(low, odd_low),
        sub(low, odd_low),
        add(high, odd_high),
        sub(high, odd_high),
        fused(d, -2.5, add(b, f)),
    ]
}

/// Aᵀ·m.
#[inline(always)]
fn gathered([a, b, c, d, e, f]: [Part; SIDE]) -> [Part; STEP] {
    let (low, odd_low, high, odd_high) = (add(b, c), sub(b, c), add(d, e), sub(d, e));
    [
        add(add(a, low), high),
        fused(odd_high, HIGH, times(odd_low, LOW)),
        fused(high, 2.0, times(low, 0.5)),
        fused(odd_high, HIGH_CUBED, fused(odd_low, LOW_CUBED, f)),
    ]
}

/// `J` panels for a group of tiles.
#[inline(always)]
fn panels<const J: usize>(
    network: &Winograd,
    panel: usize,
    group: &Group,
    tiles: &[f32],
    sums: &mut [Vector],
    output: &mut [f32],
) {
    let (depth, count) = (network.geometry.input[2], group.tiles.len());
    for point in 0..POINTS {
        let mut weights = [&network.panels[..]; J];
        for (j, weights) in weights.iter_mut().enumerate() {
            *weights = &weights[((panel + j) * POINTS + point) * depth..][..depth];
        }
        let tiles = &tiles[point * count * depth..][..count * depth];
        let sums = &mut sums[point * count * J..][..count * J];
        for pack in &group.packs {
            let (from, to) = (&tiles[pack.start * depth..], &mut sums[pack.start * J..]);
            match pack.len() {
                6 => products::<J, 6>(depth, weights, from, to),
                5 => products::<J, 5>(depth, weights, from, to),
                4 => products::<J, 4>(depth, weights, from, to),
                3 => products::<J, 3>(depth, weights, from, to),
                2 => products::<J, 2>(depth, weights, from, to),
                _ => products::<J, 1>(depth, weights, from, to),
            }
        }
    }
    for (at, tile) in group.tiles.clone().enumerate() {
        for j in 0..J {
            let of = |point: usize| &sums[(point * count + at) * J + j];
            give(network, panel + j, tile, of, output);
        }
    }
}

/// The sums of `P` tiles for `J` panels.
#[inline(always)]
fn products<const J: usize, const P: usize>(
    depth: usize,
    weights: [&[Vector]; J],
    from: &[f32],
    to: &mut [Vector],
) {
    let mut sums = [[[0.0; LANES]; J]; P];
    let parts = from[..P * depth].as_chunks::<PART>().0.as_chunks::<P>().0;
    for (part, tiles) in parts.iter().enumerate() {
        let mut near = [&[[0.0; LANES]; PART]; J];
        for (near, weights) in near.iter_mut().zip(weights) {
            *near = &weights.as_chunks().0[part];
        }
        for k in 0..PART {
            for p in 0..P {
                for j in 0..J {
                    sums[p][j] = add_product(tiles[p][k], &near[j][k], &sums[p][j]);
                }
            }
        }
    }
    to[..P * J].copy_from_slice(sums.as_flattened());
}

/// Aᵀ·m·A of a tile for a panel, with the bias and what follows, to where it belongs in the output.
#[inline(always)]
fn give<'a>(
    network: &Winograd,
    panel: usize,
    tile: usize,
    of: impl Fn(usize) -> &'a Vector,
    output: &mut [f32],
) {
    let mut values = [[[0.0; LANES]; STEP]; STEP];
    for lane in (0..LANES).step_by(PART) {
        let mut bias = [0.0; PART];
        bias.copy_from_slice(&network.bias[panel][lane..][..PART]);
        let mut lines = [[[0.0; PART]; SIDE]; STEP];
        for x in 0..SIDE {
            let mut column = [[0.0; PART]; SIDE];
            for (y, part) in column.iter_mut().enumerate() {
                part.copy_from_slice(&of(y * SIDE + x)[lane..][..PART]);
            }
            for (line, part) in lines.iter_mut().zip(gathered(column)) {
                line[x] = part;
            }
        }
        for (y, line) in lines.into_iter().enumerate() {
            for (x, part) in gathered(line).into_iter().enumerate() {
                values[y][x][lane..][..PART].copy_from_slice(&add(part, bias));
            }
        }
    }
    let [lines, places] = network.geometry.output;
    let [line, place] = [tile / network.across * STEP, tile % network.across * STEP];
    for y in 0..STEP.min(lines - line) {
        for x in 0..STEP.min(places - place) {
            let to = &mut output[((line + y) * places + place + x) * network.channels..][..network.channels];
            put(network.activation, &mut to[panel * LANES..], &values[y][x..][..1]);
        }
    }
}

#[inline(always)]
fn add(mut a: Part, b: Part) -> Part {
    for lane in 0..PART {
        a[lane] += b[lane];
    }
    a
}

#[inline(always)]
fn sub(mut a: Part, b: Part) -> Part {
    for lane in 0..PART {
        a[lane] -= b[lane];
    }
    a
}

#[inline(always)]
fn times(mut a: Part, by: f32) -> Part {
    for a in &mut a {
        *a *= by;
    }
    a
}

/// a·b + c.
#[inline(always)]
fn fused(a: Part, by: f32, mut c: Part) -> Part {
    for lane in 0..PART {
        c[lane] = a[lane].mul_add(by, c[lane]);
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruction_sets_give_the_same_bits() {
        let number = |seed: usize| move |i: usize| ((i * 7919 + seed) % 997) as f32 / 997.0 - 0.5;
        let (depth, line) = (16, 21 * 16);
        let geometry = Geometry {
            input: [18, 19, depth],
            pads: [1, 1, 1, 1],
            output: [18, 19],
            steps: [1, 1],
            offsets: vec![0, line, 2 * line],
            run: 3 * depth,
        };
        let linear = Linear::new(geometry, 60, number(1), |k, c| number(2)(k * 60 + c));
        let filter = Winograd::of(&linear).unwrap();
        let input: Vec<f32> = (0..18 * 19 * depth).map(number(3)).collect();
        let mut scratch = vec![0.0; filter.scratch()];
        let mut chosen = vec![0.0; 18 * 19 * 60];
        filter.run(&input, &mut chosen, &mut scratch);

        // Without vector instructions, and with as many panels at once as for the widest vectors.
        let mut padded = vec![0.0; filter.geometry.scratch()];
        let padded = filter.geometry.padded_of(&input, &mut padded);
        let (mut tiles, mut sums) =
            (vec![0.0; POINTS * GROUP * depth], vec![[0.0; LANES]; POINTS * GROUP * WIDE]);
        for panels in [1, WIDE] {
            let mut plain = vec![0.0; chosen.len()];
            match panels {
                1 => groups::<1>(&filter, padded, &mut plain, &mut tiles, &mut sums),
                _ => groups::<WIDE>(&filter, padded, &mut plain, &mut tiles, &mut sums),
            }
            assert_eq!(plain, chosen, "{panels}");
        }
    }
}
