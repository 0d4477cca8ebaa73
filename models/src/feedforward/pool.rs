//! Largest and mean values: of windows, and over whole axes.

use multiversion::multiversion;

/// What is made of many numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    Max,
    Min,
    Sum,
    Mean,
}

impl Reduction {
    fn start(self) -> f32 {
        match self {
            Self::Max => f32::NEG_INFINITY,
            Self::Min => f32::INFINITY,
            Self::Sum | Self::Mean => 0.0,
        }
    }

    /// Takes numbers in, each into the one at its place.
    #[inline(always)]
    fn take(self, all: &mut [f32], more: &[f32]) {
        let pairs = all.iter_mut().zip(more);
        match self {
            Self::Max => pairs.for_each(|(all, x)| *all = if *x <= *all { *all } else { *x }),
            Self::Min => pairs.for_each(|(all, x)| *all = if *x >= *all { *all } else { *x }),
            Self::Sum | Self::Mean => pairs.for_each(|(all, x)| *all += *x),
        }
    }

    #[inline(always)]
    fn finish(self, all: &mut [f32], count: usize) {
        if self == Self::Mean {
            all.iter_mut().for_each(|x| *x /= count as f32);
        }
    }
}

/// Windows over lines and places of an image with channels last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pool {
    pub(super) reduction: Reduction,
    /// Lines, places of a line, channels.
    pub(super) input: [usize; 3],
    pub(super) output: [usize; 2],
    pub(super) window: [usize; 2],
    pub(super) steps: [usize; 2],
    /// Above and left.
    pub(super) pads: [usize; 2],
    /// Whether the mean is by the whole window with its places outside, of which it is that many lines and places at most.
    pub(super) whole: Option<[usize; 2]>,
}

impl Pool {
    /// Cells of a row of the output.
    pub(super) fn cells(&self) -> usize {
        self.output[0] * self.output[1] * self.input[2]
    }

    /// The part of the input that the window at `place` of an axis covers.
    #[inline(always)]
    fn covered(&self, axis: usize, place: usize) -> std::ops::Range<usize> {
        let begin = place * self.steps[axis];
        let end = (begin + self.window[axis]).saturating_sub(self.pads[axis]).min(self.input[axis]);
        begin.saturating_sub(self.pads[axis])..end
    }

    /// Numbers that the mean at a place is divided by on one axis.
    #[inline(always)]
    fn counted(&self, axis: usize, place: usize) -> usize {
        let whole = |most: [usize; 2]| self.window[axis].min(most[axis] - place * self.steps[axis]);
        self.whole.map_or_else(|| self.covered(axis, place).len(), whole)
    }

    fn row(&self, input: &[f32], output: &mut [f32]) {
        let channels = self.input[2];
        for (place, to) in output.chunks_exact_mut(channels).enumerate() {
            let (line, column) = (place / self.output[1], place % self.output[1]);
            to.fill(self.reduction.start());
            for y in self.covered(0, line) {
                for x in self.covered(1, column) {
                    self.reduction.take(to, &input[(y * self.input[1] + x) * channels..][..channels]);
                }
            }
            self.reduction.finish(to, self.counted(0, line) * self.counted(1, column));
        }
    }
}

/// Pools a row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn pool(pool: &Pool, input: &[f32], output: &mut [f32]) {
    pool.row(input, output);
}

/// Reduces the middle one of three axes, of which the last has `inner` numbers and the middle one `count`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn reduce(reduction: Reduction, input: &[f32], output: &mut [f32], count: usize, inner: usize) {
    for (input, output) in input.chunks_exact(count * inner).zip(output.chunks_exact_mut(inner)) {
        output.fill(reduction.start());
        input.chunks_exact(inner).for_each(|more| reduction.take(output, more));
        reduction.finish(output, count);
    }
}
