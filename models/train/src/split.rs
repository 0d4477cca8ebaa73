//! How samples are divided into a part to learn from, one to choose by and one to judge by.

use crate::random::Random;
use crate::{Samples, TrainError};
use serde::{Deserialize, Serialize};

/// What is never divided between parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A capture or device: all of its flows are in one part.
    Capture,
    /// A flow. Flows of one capture are alike, so what is learnt of them looks better than it is.
    Flow,
}

/// Shares of the parts that are held out.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// To choose by (when to stop, what confidence is enough).
    pub validation: f64,
    /// To judge by.
    pub test: f64,
}

/// The numbers of the samples in each part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// To learn from.
    pub training: Vec<usize>,
    /// To choose by.
    pub validation: Vec<usize>,
    /// To judge by.
    pub test: Vec<usize>,
}

/// Divides samples, so that each class is in every part, by a seed.
///
/// # Errors
/// If they are to be divided by capture and their captures are not known, or a class has too few captures or flows.
pub fn split(samples: &Samples, unit: Unit, shares: Shares, seed: u64) -> Result<Parts, TrainError> {
    samples.check()?;
    if unit == Unit::Capture && samples.groups.is_empty() {
        let reason = "the samples do not say which capture they come from, so that flows of one capture would be learnt from and judged by";
        return Err(TrainError::Samples(format!("{reason}; --force-split flow does it all the same")));
    }
    let mut parts = Parts::default();
    let mut random = Random::new(seed);
    for class in 0..samples.classes.len() {
        let units = units(samples, class, unit);
        divide(samples, class, units, shares, &mut random).map(|held| parts.add(held))?;
    }
    for part in [&mut parts.training, &mut parts.validation, &mut parts.test] {
        part.sort_unstable();
    }
    Ok(parts)
}

/// The samples of a class, those of a unit together.
fn units(samples: &Samples, class: usize, unit: Unit) -> Vec<Vec<usize>> {
    let rows = (0..samples.len()).filter(|row| samples.labels()[*row] == class);
    match unit {
        Unit::Flow => rows.map(|row| vec![row]).collect(),
        Unit::Capture => {
            let mut units = vec![Vec::new(); samples.groups.len()];
            rows.for_each(|row| units[samples.of_group()[row]].push(row));
            units.retain(|unit| !unit.is_empty());
            units
        }
    }
}

fn divide(
    samples: &Samples,
    class: usize,
    mut units: Vec<Vec<usize>>,
    shares: Shares,
    random: &mut Random,
) -> Result<[Vec<Vec<usize>>; 3], TrainError> {
    let held =
        |share: f64| if share > 0.0 { ((units.len() as f64 * share).round() as usize).max(1) } else { 0 };
    let (validation, test) = (held(shares.validation), held(shares.test));
    if units.len() <= validation + test {
        let name = &samples.classes[class];
        let reason = format!(
            "class `{name}` has {} captures or flows to divide, and needs {}",
            units.len(),
            validation + test + 1
        );
        return Err(TrainError::Samples(format!("{reason}; give more captures of it, or leave it out")));
    }
    random.shuffle(&mut units);
    let training = units.split_off(validation + test);
    let test = units.split_off(validation);
    Ok([training, units, test])
}

impl Parts {
    fn add(&mut self, [training, validation, test]: [Vec<Vec<usize>>; 3]) {
        self.training.extend(training.into_iter().flatten());
        self.validation.extend(validation.into_iter().flatten());
        self.test.extend(test.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Flow;

    fn samples(grouped: bool) -> Samples {
        let groups = if grouped { (0..12).map(|group| format!("c{group}")).collect() } else { Vec::new() };
        let mut samples = Samples::new(vec!["a".into(), "b".into()], groups, 0);
        for row in 0..120 {
            let group = row % 12;
            samples.push(&Flow { bytes: &[1], sequence: &[], label: group % 2, group });
        }
        samples
    }

    const SHARES: Shares = Shares { validation: 0.2, test: 0.3 };

    #[test]
    fn no_capture_is_in_two_parts_and_every_class_in_each() {
        let samples = samples(true);
        let parts = split(&samples, Unit::Capture, SHARES, 3).unwrap();
        let groups = |part: &[usize]| {
            let mut found: Vec<_> = part.iter().map(|row| samples.of_group()[*row]).collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        let all = [&parts.training, &parts.validation, &parts.test].map(|part| groups(part));
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [6, 2, 4]);
        let mut joined = all.concat();
        joined.sort_unstable();
        assert_eq!(joined, (0..12).collect::<Vec<_>>());
        assert_eq!(split(&samples, Unit::Capture, SHARES, 3).unwrap(), parts);
        assert_ne!(split(&samples, Unit::Capture, SHARES, 4).unwrap(), parts);
    }

    #[test]
    fn what_has_no_captures_is_divided_by_flow_only_if_that_is_forced() {
        let samples = samples(false);
        let text = split(&samples, Unit::Capture, SHARES, 3).unwrap_err().to_string();
        assert!(text.contains("--force-split flow"), "{text}");
        let parts = split(&samples, Unit::Flow, SHARES, 3).unwrap();
        assert_eq!((parts.validation.len(), parts.test.len()), (24, 36));
    }

    #[test]
    fn a_class_of_too_few_captures_is_named() {
        let samples = samples(true);
        let few = samples.subset(&(0..120).filter(|row| row % 12 != 1 && row % 12 < 6).collect::<Vec<_>>());
        let text = split(&few, Unit::Capture, SHARES, 3).unwrap_err().to_string();
        assert!(text.contains("class `b` has 2 captures"), "{text}");
    }
}
