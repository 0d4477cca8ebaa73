//! Steps in place of others that compute the same, by the shapes that they work on.

use super::linear::Linear;
use super::plan::Step;
use super::step::Operation;
use super::table::Table;
use super::winograd::Winograd;

/// The same steps, each in the form that is quickest for its shape. The choice does not depend on rows or machine.
pub(super) fn quicker(mut steps: Vec<Step>) -> Vec<Step> {
    for number in 0..steps.len() {
        let Operation::Linear(linear) = &steps[number].operation else { continue };
        if let Some(table) = table(&steps, linear, steps[number].inputs[0]) {
            (steps[number].operation, steps[number].inputs) = table;
        } else if let Some(winograd) = Winograd::of(linear) {
            steps[number].operation = Operation::Winograd(winograd);
        }
    }
    steps
}

/// A convolution of what is looked up in a table as one operation on the integers.
fn table(steps: &[Step], linear: &Linear, input: usize) -> Option<(Operation, Vec<usize>)> {
    let maker = steps.iter().find(|step| step.output == input)?;
    let Operation::Lookup(width, values) = &maker.operation else { return None };
    Some((Operation::Table(Table::of(linear, *width, values)?), maker.inputs.clone()))
}
