//! Sums of products with fixed weights: convolutions and matrix products.
//!
//! Values are stored with channels last. The products for a place are then few runs of adjacent numbers, and the channels of the
//! output lie in the lanes of vectors. Each sum is one chain of fused multiply-adds in the order of the weights, beginning with the
//! bias, so that neither the number of places that are computed together nor the instruction set changes a bit.

use super::activation::Activation;
use multiversion::multiversion;
use multiversion::target::match_target;

/// Output channels of a panel of weights.
pub(super) const LANES: usize = 16;
/// Places that are computed together where there are as many.
const PLACES: usize = 6;
/// Panels that are computed together where there are few places.
const PANELS: usize = 4;

/// Numbers of so many channels.
pub(super) type Vector = [f32; LANES];

/// Where the numbers lie that are weighed. A matrix product has one place a row, or as many as there are vectors in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Geometry {
    /// Lines, places of a line, and channels of the input.
    pub(super) input: [usize; 3],
    /// Zeros above, left, below and right of it.
    pub(super) pads: [usize; 4],
    /// Lines and places of the output.
    pub(super) output: [usize; 2],
    /// Steps between these in the input.
    pub(super) steps: [usize; 2],
    /// Where runs of numbers begin, from the first number of a place on, in the padded input.
    pub(super) offsets: Vec<usize>,
    /// Numbers of a run.
    pub(super) run: usize,
}

impl Geometry {
    /// That of `count` vectors of `width` numbers, each weighed by itself.
    pub(super) fn vectors(count: usize, width: usize) -> Self {
        let (input, output) = ([1, count, width], [1, count]);
        Self { input, pads: [0; 4], output, steps: [1, 1], offsets: vec![0], run: width }
    }

    /// Numbers of a line of the padded input.
    pub(super) fn line(&self) -> usize {
        (self.pads[1] + self.input[1] + self.pads[3]) * self.input[2]
    }

    /// Numbers of the padded input.
    pub(super) fn padded(&self) -> usize {
        (self.pads[0] + self.input[0] + self.pads[2]) * self.line()
    }

    fn is_padded(&self) -> bool {
        self.pads != [0; 4]
    }

    /// Places of the output.
    pub(super) fn places(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Where the numbers of each place begin.
    fn begins(&self) -> Vec<u32> {
        let [lines, places] = self.output;
        let steps = [self.steps[0] * self.line(), self.steps[1] * self.input[2]];
        let begin = |line: usize| (0..places).map(move |place| (line * steps[0] + place * steps[1]) as u32);
        (0..lines).flat_map(begin).collect()
    }

    /// Numbers that [`padded_of`](Self::padded_of) needs.
    pub(super) fn scratch(&self) -> usize {
        if self.is_padded() { self.padded() } else { 0 }
    }

    /// The input of a row with its zeros around it, in `padded` if there are any.
    pub(super) fn padded_of<'a>(&self, input: &'a [f32], padded: &'a mut [f32]) -> &'a [f32] {
        if !self.is_padded() {
            return input;
        }
        let padded = &mut padded[..self.padded()];
        self.pad(input, padded);
        padded
    }

    fn pad(&self, input: &[f32], padded: &mut [f32]) {
        let [top, left, _, right] = self.pads.map(|pad| pad * self.input[2]);
        let (line, width) = (self.line(), self.input[1] * self.input[2]);
        let (above, rest) = padded.split_at_mut(top / self.input[2].max(1) * line);
        let (inside, below) = rest.split_at_mut(self.input[0] * line);
        above.fill(0.0);
        below.fill(0.0);
        for (to, from) in inside.chunks_exact_mut(line.max(1)).zip(input.chunks_exact(width.max(1))) {
            to[..left].fill(0.0);
            to[left..left + width].copy_from_slice(from);
            to[left + width..][..right].fill(0.0);
        }
    }
}

/// A convolution or a matrix product, with what follows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Linear {
    pub(super) geometry: Geometry,
    /// Channels of the output.
    pub(super) channels: usize,
    /// Panels, one after the other: of each weight of a sum those of [`LANES`] channels.
    pub(super) panels: Vec<Vector>,
    pub(super) bias: Vec<Vector>,
    /// Where the numbers of each place begin in the padded input of a row.
    begins: Vec<u32>,
    pub(super) activation: Activation,
}

impl Linear {
    /// `weight(k, c)` is the weight of the `k`-th number of a place for channel `c`, runs one after the other.
    pub(super) fn new(
        geometry: Geometry,
        channels: usize,
        bias: impl Fn(usize) -> f32,
        weight: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let count = geometry.offsets.len() * geometry.run;
        let lanes = |panel: usize, of: &dyn Fn(usize) -> f32| {
            std::array::from_fn(|lane| {
                let channel = panel * LANES + lane;
                if channel < channels { of(channel) } else { 0.0 }
            })
        };
        let all = channels.div_ceil(LANES);
        let weights = |panel| (0..count).map(move |k| (panel, k));
        let panels = (0..all).flat_map(weights).map(|(panel, k)| lanes(panel, &|c| weight(k, c))).collect();
        let bias = (0..all).map(|panel| lanes(panel, &bias)).collect();
        let begins = geometry.begins();
        Self { geometry, channels, panels, bias, begins, activation: Activation::None }
    }

    /// Multiplies each channel of the output, and adds to it.
    pub(super) fn scale(&mut self, factors: &[f32], addends: &[f32]) {
        let count = self.products();
        for (channel, (factor, addend)) in factors.iter().zip(addends).enumerate() {
            let (panel, lane) = (channel / LANES, channel % LANES);
            for weights in &mut self.panels[panel * count..][..count] {
                weights[lane] *= factor;
            }
            let bias = &mut self.bias[panel][lane];
            *bias = bias.mul_add(*factor, *addend);
        }
    }

    /// Products in each sum.
    fn products(&self) -> usize {
        self.geometry.offsets.len() * self.geometry.run
    }

    /// Floating-point operations of a row; those for lanes without a channel do not count.
    pub(super) fn operations(&self) -> u64 {
        2 * (self.geometry.places() * self.products() * self.channels) as u64
    }

    /// Cells of a row of the output.
    pub(super) fn cells(&self) -> usize {
        self.geometry.places() * self.channels
    }

    /// Computes rows: `input` and `output` hold them one after the other.
    pub(super) fn run(&self, input: &[f32], output: &mut [f32], scratch: &mut [f32]) {
        if self.geometry.places() == 1 && !self.geometry.is_padded() {
            let rows = output.len() / self.channels.max(1);
            let width = self.geometry.padded();
            return sums(self, &Places { count: rows, step: width, begins: None }, input, output);
        }
        let places = Places { count: self.begins.len(), step: 0, begins: Some(&self.begins) };
        let width = self.geometry.input.iter().product::<usize>().max(1);
        for (input, output) in input.chunks_exact(width).zip(output.chunks_exact_mut(self.cells())) {
            sums(self, &places, self.geometry.padded_of(input, scratch), output);
        }
    }
}

/// Places of the output, and where their numbers begin.
struct Places<'a> {
    count: usize,
    /// Numbers from one place to the next,
    step: usize,
    /// where these are not in a list.
    begins: Option<&'a [u32]>,
}

impl Places<'_> {
    #[inline(always)]
    fn begin(&self, place: usize) -> usize {
        self.begins.map_or(place * self.step, |begins| begins[place] as usize)
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn sums(linear: &Linear, places: &Places<'_>, input: &[f32], output: &mut [f32]) {
    match_target! {
        "x86_64+avx512f" => all_panels::<2, { 2 * PANELS }>(linear, places, input, output),
        _ => all_panels::<1, PANELS>(linear, places, input, output),
    }
}

/// `J` panels at once where there are [`PLACES`], and else `FEW`; then those that are left.
#[inline(always)]
fn all_panels<const J: usize, const FEW: usize>(
    linear: &Linear,
    places: &Places<'_>,
    input: &[f32],
    output: &mut [f32],
) {
    let (mut panel, all) = (0, linear.bias.len());
    while places.count >= PLACES && panel + J <= all {
        all_places::<J, PLACES>(linear, panel, places, input, output);
        panel += J;
    }
    while places.count < PLACES && panel + FEW <= all {
        all_places::<FEW, 1>(linear, panel, places, input, output);
        panel += FEW;
    }
    while panel < all {
        if places.count >= PLACES {
            all_places::<1, PLACES>(linear, panel, places, input, output);
        } else {
            all_places::<1, 1>(linear, panel, places, input, output);
        }
        panel += 1;
    }
}

/// `J` panels for all places, `P` of them together; the last `P` may overlap those before.
#[inline(always)]
fn all_places<const J: usize, const P: usize>(
    linear: &Linear,
    panel: usize,
    places: &Places<'_>,
    input: &[f32],
    output: &mut [f32],
) {
    let count = linear.products();
    let panels = std::array::from_fn(|j| &linear.panels[(panel + j) * count..][..count]);
    let bias = std::array::from_fn(|j| linear.bias[panel + j]);
    let mut place = 0;
    while place < places.count {
        let first = place.min(places.count - P);
        let begins = std::array::from_fn(|p| places.begin(first + p));
        let sums = tile::<J, P>(panels, bias, input, begins, &linear.geometry);
        for (p, sums) in sums.iter().enumerate() {
            let to = &mut output[(first + p) * linear.channels..][..linear.channels];
            put(linear.activation, &mut to[panel * LANES..], sums);
        }
        place += P;
    }
}

/// Sums of panels after one another, as far as there are channels.
#[inline(always)]
pub(super) fn put(activation: Activation, output: &mut [f32], sums: &[Vector]) {
    for (to, sums) in output.chunks_mut(LANES).zip(sums) {
        let values = activation.of(sums);
        match to.first_chunk_mut() {
            Some(to) => *to = values,
            None => to.copy_from_slice(&values[..to.len()]),
        }
    }
}

/// The sums of `P` places for `J` panels.
#[inline(always)]
fn tile<const J: usize, const P: usize>(
    panels: [&[Vector]; J],
    bias: [Vector; J],
    input: &[f32],
    begins: [usize; P],
    geometry: &Geometry,
) -> [[Vector; J]; P] {
    let (mut sums, run) = ([bias; P], geometry.run);
    for (number, offset) in geometry.offsets.iter().enumerate() {
        let weights: [&[Vector]; J] = std::array::from_fn(|j| &panels[j][number * run..][..run]);
        let inputs: [&[f32]; P] = std::array::from_fn(|p| &input[begins[p] + offset..][..run]);
        for k in 0..run {
            for p in 0..P {
                for j in 0..J {
                    sums[p][j] = add_product(inputs[p][k], &weights[j][k], &sums[p][j]);
                }
            }
        }
    }
    sums
}

#[inline(always)]
pub(super) fn add_product(x: f32, weights: &Vector, sums: &Vector) -> Vector {
    let mut next = *sums;
    for lane in 0..LANES {
        next[lane] = x.mul_add(weights[lane], sums[lane]);
    }
    next
}
