//! Columns that stay with a worker.

use legonf_core::{Batch, Columns};

/// Columns that a worker fills and nobody behind it looks at. They are taken out of each batch before it goes on and put into the
/// next one: a pipeline has many batches on their way, and together they are larger than a core's cache.
#[derive(Default)]
pub(crate) struct Locker {
    columns: Columns,
    own: Batch,
}

impl Locker {
    pub fn of(columns: Columns) -> Self {
        Self { columns, own: Batch::default() }
    }

    /// Puts the columns into a batch, empty.
    pub fn lend(&mut self, batch: &mut Batch) {
        self.own.clear();
        batch.exchange(&mut self.own, self.columns);
    }

    /// Takes them back.
    pub fn take(&mut self, batch: &mut Batch) {
        batch.exchange(&mut self.own, self.columns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Column;

    #[test]
    fn memory_stays_and_contents_do_not() {
        let mut locker = Locker::of(Columns::of(&[Column::Scores]));
        let (mut first, mut second) = (Batch::default(), Batch::default());
        locker.lend(&mut first);
        first.scores.push(1.0);
        first.features.reset(1, 2);
        let memory = first.scores.as_ptr();
        locker.take(&mut first);
        assert!(first.scores.is_empty() && first.features.len() == 1);
        locker.lend(&mut second);
        assert!(second.scores.is_empty() && second.scores.as_ptr() == memory);
    }
}
