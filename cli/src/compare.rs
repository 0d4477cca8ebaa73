//! `legonf compare`: every detector on a capture with labels.

use crate::Style;
use crate::failure::{Failure, show};
use legonf_experiments::detectors::{self, Compare};

pub fn run(arguments: &Compare, style: Style) -> Result<(), Failure> {
    show(&detectors::compare(arguments, &style.session())?, detectors::text, style)
}
