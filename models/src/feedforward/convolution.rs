//! Convolutions and windows over one or two axes.

use super::builder::{Builder, Refused, View};
use super::call::{Call, counts};
use super::linear::{Geometry, LANES, Linear};
use super::operators::reals;
use super::pool::{Pool, Reduction};
use super::shapes::over;
use super::step::Operation;
use super::tensor::{MAX_CELLS, cells};

/// A window as the attributes of a node describe it, for lines and places of a line; the lines of one axis are one.
#[derive(Debug)]
struct Window {
    /// Axes of the value that it moves over.
    axes: usize,
    input: [usize; 2],
    kernel: [usize; 2],
    steps: [usize; 2],
    dilations: [usize; 2],
    /// Before and behind.
    pads: [[usize; 2]; 2],
    output: [usize; 2],
}

impl Window {
    /// That of a node over a value of channels and one or two further axes.
    fn of(call: &Call<'_>, view: &View, kernel: &[i64]) -> Result<Self, Refused> {
        let axes = view.shape.len().saturating_sub(1);
        if !(1..=2).contains(&axes) || call.lead != 1 {
            return Err(format!("of rows of {:?}: expected channels and one or two axes", view.shape));
        }
        let input = two(&view.shape[1..], 1);
        let kernel = Self::list(Some(kernel), axes)?;
        let steps = Self::list(call.ints("strides"), axes)?;
        let dilations = Self::list(call.ints("dilations"), axes)?;
        if [kernel, steps, dilations].concat().contains(&0) {
            return Err("has a window, a step or a dilation of zero".into());
        }
        let mut window = Self { axes, input, kernel, steps, dilations, pads: [[0; 2]; 2], output: [0; 2] };
        window.pads = window.padding(call)?;
        let up = call.int("ceil_mode", 0) == 1;
        for axis in 0..2 {
            window.output[axis] = window.places(axis, up).ok_or("has a window larger than its input")?;
        }
        Ok(window)
    }

    fn list(values: Option<&[i64]>, axes: usize) -> Result<[usize; 2], Refused> {
        let Some(values) = values.filter(|values| !values.is_empty()) else { return Ok([1, 1]) };
        let values = counts(values)?;
        if values.len() == axes {
            Ok(two(&values, 1))
        } else {
            Err(format!("has {values:?} for {axes} axes"))
        }
    }

    /// Cells that the window reaches over on an axis.
    fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    /// Cells outside that belong to the input.
    fn padding(&self, call: &Call<'_>) -> Result<[[usize; 2]; 2], Refused> {
        let same = |axis: usize| {
            let wanted = self.input[axis].div_ceil(self.steps[axis]);
            ((wanted.max(1) - 1) * self.steps[axis] + self.reach(axis)).saturating_sub(self.input[axis])
        };
        let both = |more_before: bool| {
            std::array::from_fn(|axis| {
                let (less, more) = (same(axis) / 2, same(axis).div_ceil(2));
                if more_before { [more, less] } else { [less, more] }
            })
        };
        match call.text("auto_pad") {
            b"SAME_UPPER" => Ok(both(false)),
            b"SAME_LOWER" => Ok(both(true)),
            b"VALID" => Ok([[0; 2]; 2]),
            _ => self.stated(call.ints("pads").unwrap_or_default()),
        }
    }

    fn stated(&self, pads: &[i64]) -> Result<[[usize; 2]; 2], Refused> {
        if pads.is_empty() {
            return Ok([[0; 2]; 2]);
        }
        match counts(pads)?[..] {
            [before, behind] if self.axes == 1 => Ok([[0, 0], [before, behind]]),
            [above, left, below, right] if self.axes == 2 => Ok([[above, below], [left, right]]),
            _ => Err(format!("has {} pads for {} axes", pads.len(), self.axes)),
        }
    }

    /// Places of the window on an axis; with `up` a last one that begins inside counts.
    fn places(&self, axis: usize, up: bool) -> Option<usize> {
        let [before, behind] = self.pads[axis];
        let free = (before + self.input[axis] + behind).checked_sub(self.reach(axis))?;
        let step = self.steps[axis];
        let places = if up { free.div_ceil(step) } else { free / step } + 1;
        let inside = (places - 1) * step < self.input[axis] + before;
        Some(if up && !inside { places - 1 } else { places })
    }

    /// The shape of an output of so many channels.
    fn shape(&self, channels: usize) -> Vec<usize> {
        [&[channels], &self.output[2 - self.axes..]].concat()
    }

    /// The axes of a value stored with channels last.
    fn order(&self) -> Vec<usize> {
        (1..=self.axes).chain([0]).collect()
    }
}

/// One or two lengths as two; the first one is `one` where it is missing.
fn two(lengths: &[usize], one: usize) -> [usize; 2] {
    match lengths {
        [lines, places, ..] => [*lines, *places],
        [places] => [one, *places],
        [] => [one, one],
    }
}

pub(super) fn convolution(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let constant = call.constant(1)?;
    let weights = constant.as_reals().ok_or("has integers as weights")?;
    if call.int("group", 1) != 1 {
        return Err("in more than one group".into());
    }
    let [channels, depth, kernel @ ..] = &constant.shape[..] else { return Err("has no weights".into()) };
    let kernel: Vec<i64> = kernel.iter().map(|length| *length as i64).collect();
    let window = Window::of(call, &view, &kernel)?;
    if *depth != view.shape[0] || weights.is_empty() {
        return Err(format!("weighs {depth} channels of rows of {:?}", view.shape));
    }
    let bias = call.optional_reals(2)?.unwrap_or_else(|| vec![0.0; *channels]);
    if bias.len() != *channels {
        return Err(format!("adds {} numbers to {channels} channels", bias.len()));
    }
    let geometry = geometry(&window, *depth)?;
    builder.count(geometry.padded() + weights.len() / channels * channels.next_multiple_of(LANES))?;
    // Weights as they are stored in the file: of a channel those of each input channel, of that the window's.
    let size = window.kernel[0] * window.kernel[1];
    let weight = |k: usize, c: usize| weights[(c * depth + k % depth) * size + k / depth];
    let linear = Linear::new(geometry, *channels, |c| bias[c], weight);
    let view = builder.stored(view, &window.order())?;
    placed(builder, &window, Operation::Linear(linear), &view, *channels)
}

/// Adds a step whose output has channels last.
fn placed(
    builder: &mut Builder,
    window: &Window,
    operation: Operation,
    view: &View,
    channels: usize,
) -> Result<View, Refused> {
    let made = builder.push(operation, vec![view.slot], window.shape(channels))?;
    Ok(View { order: window.order(), ..made })
}

/// The runs of numbers that a window covers: of each of its lines one, or of each of its places where these are apart.
fn geometry(window: &Window, depth: usize) -> Result<Geometry, Refused> {
    let [[top, bottom], [left, right]] = window.pads;
    let [lines, places] = window.input;
    cells(&[top + lines + bottom, left + places + right, depth])
        .ok_or_else(|| format!("has more than {MAX_CELLS} numbers with its pads"))?;
    let line = (left + places + right) * depth;
    let [high, wide] = window.kernel;
    let adjacent = window.dilations[1] == 1;
    let (runs, run) = if adjacent { (1, wide * depth) } else { (wide, depth) };
    let offset = |at: usize| at / runs * window.dilations[0] * line + at % runs * window.dilations[1] * depth;
    Ok(Geometry {
        input: [lines, places, depth],
        pads: [top, left, bottom, right],
        output: window.output,
        steps: window.steps,
        offsets: (0..high * runs).map(offset).collect(),
        run,
    })
}

pub(super) fn pool(builder: &mut Builder, call: &Call<'_>, largest: bool) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let window = Window::of(call, &view, call.ints("kernel_shape").unwrap_or_default())?;
    if window.dilations != [1, 1] || call.int("storage_order", 0) != 0 || call.node.output.len() > 1 {
        return Err("with places apart, or with the places of the largest".into());
    }
    let outside = |axis: usize| window.pads[axis].iter().any(|pad| *pad >= window.kernel[axis]);
    if outside(0) || outside(1) {
        return Err("has windows that are outside".into());
    }
    let channels = view.shape[0];
    let padded = [0, 1].map(|axis| window.pads[axis][0] + window.input[axis] + window.pads[axis][1]);
    let operation = Pool {
        reduction: if largest { Reduction::Max } else { Reduction::Mean },
        input: [window.input[0], window.input[1], channels],
        output: window.output,
        window: window.kernel,
        steps: window.steps,
        pads: [window.pads[0][0], window.pads[1][0]],
        whole: (call.int("count_include_pad", 0) == 1).then_some(padded),
    };
    let view = builder.stored(view, &window.order())?;
    placed(builder, &window, Operation::Pool(operation), &view, channels)
}

/// Reduces all axes behind the channels.
pub(super) fn global(builder: &mut Builder, call: &Call<'_>, reduction: Reduction) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let axes: Vec<usize> = (1..view.shape.len()).collect();
    if axes.is_empty() {
        return Err("has no axes behind the channels".into());
    }
    over(builder, view, &axes, true, reduction)
}
