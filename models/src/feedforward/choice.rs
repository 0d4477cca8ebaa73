//! Choices between two values by a condition, and what conditions are made of.

use super::builder::{Builder, Refused, View};
use super::call::Call;
use super::operators::reals;
use super::step::Operation;

/// A comparison of two numbers. It does not hold where one of them is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// That of an operator.
    pub(super) fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            "Greater" => Self::Greater,
            "GreaterOrEqual" => Self::GreaterOrEqual,
            "Less" => Self::Less,
            "LessOrEqual" => Self::LessOrEqual,
            _ => return None,
        })
    }

    fn holds(self, a: f32, b: f32) -> bool {
        match self {
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
        }
    }

    /// Compares cell by cell, 1 where the comparison holds and else 0. A side that is shorter than the output is the same for each row.
    pub(super) fn run(self, a: &[f32], b: &[f32], output: &mut [i32]) {
        for (cell, to) in output.iter_mut().enumerate() {
            *to = self.holds(a[cell % a.len()], b[cell % b.len()]).into();
        }
    }
}

/// Takes the first side where the condition holds, else the second: whole rows by a condition of one cell a row, or cells. A side that
/// is shorter than the output is the same for each row, or for each cell.
pub(super) fn choose(condition: &[i32], sides: [&[f32]; 2], output: &mut [f32]) {
    let width = (output.len() / condition.len().max(1)).max(1);
    for (row, (to, holds)) in output.chunks_exact_mut(width).zip(condition).enumerate() {
        match sides[usize::from(*holds == 0)] {
            [only] => to.fill(*only),
            side => to.copy_from_slice(&side[row * width % side.len()..][..width]),
        }
    }
}

/// The `kept` largest of each `count` numbers in falling order; what is not a number comes last.
pub(super) fn top(count: usize, kept: usize, input: &[f32], output: &mut [f32]) {
    for (from, to) in input.chunks_exact(count).zip(output.chunks_exact_mut(kept)) {
        to.fill(f32::NAN);
        for value in from {
            let place = to.iter().position(|kept| value > kept || kept.is_nan()).unwrap_or(kept);
            if place < kept {
                to[place..].rotate_right(1);
                to[place] = *value;
            }
        }
    }
}

/// A comparison as a step.
pub(super) fn compare(
    builder: &mut Builder,
    call: &Call<'_>,
    comparison: Comparison,
) -> Result<View, Refused> {
    let sides = [call.input(0)?.clone(), call.input(1)?.clone()];
    builder.combine_by(|sides| Operation::Compare(comparison, sides), sides, call.lead)
}

/// The first or the second of two values by a condition that comes from the rows.
pub(super) fn by_condition(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let condition = call.rows(0)?;
    if !builder.is_integer(&condition) {
        return Err("has a condition that is no truth value".into());
    }
    builder.choose(condition, [call.input(1)?.clone(), call.input(2)?.clone()], call.lead)
}

/// The largest numbers along the last axis. Their places are not known here.
pub(super) fn largest(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let view = builder.plain(view)?;
    let axis = call.axis(call.int("axis", -1), view.shape.len())?;
    let kept = call.list("k", 1)?.unwrap_or_default();
    let count = view.shape[axis];
    let kept = match kept[..] {
        [kept] => usize::try_from(kept).ok().filter(|kept| (1..=count).contains(kept)),
        _ => None,
    };
    let kept = kept.ok_or_else(|| format!("keeps another number of values than 1 to {count}"))?;
    if axis + 1 != view.shape.len() || call.int("largest", 1) != 1 {
        return Err("finds the least numbers, or not along the last axis".into());
    }
    let mut shape = view.shape.clone();
    shape[axis] = kept;
    builder.push(Operation::Top(count, kept), vec![view.slot], shape)
}
