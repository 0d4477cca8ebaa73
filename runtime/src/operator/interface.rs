//! What is asked of a brick that was found to be divided, and how its counters add up.

use legonf_core::{Brick, BrickError, WestEast};

/// Counters by name.
pub(crate) type Counters = Vec<(&'static str, u64)>;

/// The west-east interface of a brick that was found to have one.
pub(crate) fn west_east(brick: &mut dyn Brick) -> Result<&mut dyn WestEast, BrickError> {
    let missing = |brick| BrickError { brick, reason: "it has no west-east interface any more".into() };
    // Its descriptor takes memory, so it is asked for the kind only where that is told.
    if brick.west_east().is_none() {
        return Err(missing(brick.descriptor().kind));
    }
    brick.west_east().ok_or_else(|| missing("brick"))
}

/// Adds counters up by name, modulo 2^64: a part of them may be less than nothing.
pub(crate) fn add(sum: &mut Counters, counters: &[(&'static str, u64)]) {
    for (name, value) in counters {
        match sum.iter_mut().find(|(known, _)| known == name) {
            Some((_, total)) => *total = total.wrapping_add(*value),
            None => sum.push((name, *value)),
        }
    }
}
