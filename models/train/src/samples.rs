//! What a classifier is trained on: flows with their labels.

use crate::TrainError;
use legonf_extract::flow::{IMAGE_BYTES, STATISTICS, statistics};

/// Flows with their features, labels and, where they are known, the captures that they come from.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Names of the classes; a label is a place in this list.
    pub classes: Vec<String>,
    /// Names of the captures or devices that flows come from; none where that is not known.
    pub groups: Vec<String>,
    /// Cells of a row's sequence; 0 where flows have none.
    pub sequence_width: usize,
    bytes: Vec<u8>,
    statistics: Vec<f32>,
    sequence: Vec<f32>,
    labels: Vec<usize>,
    of_group: Vec<usize>,
}

/// One flow.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// Its first payload bytes; at most [`IMAGE_BYTES`] are used.
    pub bytes: &'a [u8],
    /// Lengths, directions and gaps of its first packets.
    pub sequence: &'a [f32],
    /// Its class.
    pub label: usize,
    /// Where it comes from.
    pub group: usize,
}

impl Samples {
    /// No flows yet, of these classes.
    pub fn new(classes: Vec<String>, groups: Vec<String>, sequence_width: usize) -> Self {
        Self { classes, groups, sequence_width, ..Self::default() }
    }

    /// Adds a flow.
    ///
    /// # Panics
    /// If its sequence has another width than those of the others.
    pub fn push(&mut self, flow: &Flow<'_>) {
        assert_eq!(flow.sequence.len(), self.sequence_width, "the width of a sequence");
        let used = &flow.bytes[..flow.bytes.len().min(IMAGE_BYTES)];
        self.bytes.extend_from_slice(used);
        self.bytes.resize((self.labels.len() + 1) * IMAGE_BYTES, 0);
        let mut values = [0.0; STATISTICS];
        statistics(used, &mut values);
        self.statistics.extend_from_slice(&values);
        self.sequence.extend_from_slice(flow.sequence);
        self.labels.push(flow.label);
        self.of_group.push(flow.group);
    }

    /// Number of flows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of each flow.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The group of each flow.
    pub fn of_group(&self) -> &[usize] {
        &self.of_group
    }

    /// The first payload bytes of a flow, filled up with zeros.
    pub fn bytes(&self, row: usize) -> &[u8] {
        &self.bytes[row * IMAGE_BYTES..][..IMAGE_BYTES]
    }

    /// The statistics of a flow's bytes.
    pub fn statistics(&self, row: usize) -> &[f32] {
        &self.statistics[row * STATISTICS..][..STATISTICS]
    }

    /// The sequence of a flow.
    pub fn sequence(&self, row: usize) -> &[f32] {
        &self.sequence[row * self.sequence_width..][..self.sequence_width]
    }

    /// The flows of these numbers, in this order.
    pub fn subset(&self, rows: &[usize]) -> Self {
        let mut subset = Self::new(self.classes.clone(), self.groups.clone(), self.sequence_width);
        for row in rows {
            subset.bytes.extend_from_slice(self.bytes(*row));
            subset.statistics.extend_from_slice(self.statistics(*row));
            subset.sequence.extend_from_slice(self.sequence(*row));
            subset.labels.push(self.labels[*row]);
            subset.of_group.push(self.of_group[*row]);
        }
        subset
    }

    /// The same flows with their bytes changed and their statistics computed anew.
    pub fn with_bytes(&self, mut change: impl FnMut(usize, &mut [u8])) -> Self {
        let mut changed = self.clone();
        let rows =
            changed.bytes.chunks_exact_mut(IMAGE_BYTES).zip(changed.statistics.chunks_exact_mut(STATISTICS));
        for (row, (bytes, values)) in rows.enumerate() {
            change(row, bytes);
            let mut computed = [0.0; STATISTICS];
            statistics(bytes, &mut computed);
            values.copy_from_slice(&computed);
        }
        changed
    }

    /// The same flows with `width` more cells behind each sequence.
    ///
    /// # Panics
    /// If `more` gives another number of cells.
    pub fn with_more<'a>(&self, width: usize, more: impl Fn(usize) -> &'a [f32]) -> Self {
        let sequence = (0..self.len()).flat_map(|row| {
            let cells = more(row);
            assert_eq!(cells.len(), width, "the cells of a row");
            self.sequence(row).iter().chain(cells).copied()
        });
        Self { sequence_width: self.sequence_width + width, sequence: sequence.collect(), ..self.clone() }
    }

    /// Flows of each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        self.labels.iter().for_each(|label| counts[*label] += 1);
        counts
    }

    /// Checks that there are two classes or more, and flows of each.
    ///
    /// # Errors
    /// Names the class.
    pub fn check(&self) -> Result<(), TrainError> {
        if let [] | [_] = &*self.classes {
            let only = self.classes.first().map_or("none", String::as_str);
            return Err(TrainError::Samples(format!(
                "one class only ({only}): a classifier needs two or more"
            )));
        }
        let empty = self.counts().iter().position(|count| *count == 0);
        empty.map_or(Ok(()), |class| {
            let name = &self.classes[class];
            let reason = "has no samples; leave it out, or give captures with flows that have payload";
            Err(TrainError::Samples(format!("class `{name}` {reason}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(labels: &[usize], classes: &[&str]) -> Samples {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let mut samples = Samples::new(names(classes), Vec::new(), 1);
        for label in labels {
            samples.push(&Flow {
                bytes: &[*label as u8 + 1; 900],
                sequence: &[0.5],
                label: *label,
                group: 0,
            });
        }
        samples
    }

    #[test]
    fn rows_are_cut_filled_and_picked() {
        let mut all = samples(&[0, 1], &["a", "b"]);
        all.push(&Flow { bytes: b"xy", sequence: &[2.0], label: 1, group: 0 });
        assert_eq!(all.bytes(2)[..3], *b"xy\0");
        assert_eq!(all.statistics(0)[0], 784.0);
        let some = all.subset(&[2, 0]);
        assert_eq!((some.labels(), some.sequence(0), some.bytes(1)[0]), (&[1, 0][..], &[2.0][..], 1));
        let hidden = all.with_bytes(|_, bytes| bytes[1..].fill(0));
        assert_eq!((hidden.statistics(2)[0], hidden.bytes(2)[0]), (1.0, b'x'));
    }

    #[test]
    fn one_class_and_a_class_without_samples_are_named() {
        let text = |samples: Samples| samples.check().unwrap_err().to_string();
        assert!(text(samples(&[0], &["camera"])).contains("one class only (camera)"));
        assert!(text(samples(&[0, 0], &["camera", "plug"])).contains("class `plug` has no samples"));
        assert!(samples(&[0, 1], &["camera", "plug"]).check().is_ok());
    }
}
