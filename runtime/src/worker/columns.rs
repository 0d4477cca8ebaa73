//! Columns that stay with a worker.

use legonf_core::{Batch, Columns};

/// Columns that a worker fills and nobody behind it looks at. They are taken out of each batch before it goes on and put into the
/// next one: a pipeline has many batches on their way, and together they are larger than a core's cache.
#[derive(Default)]
pub(crate) struct WorkerColumns {
    columns: Columns,
    own: Batch,
}

impl WorkerColumns {
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
    use legonf_core::{ColumnSpec, Element, Layout, Rows};

    #[test]
    fn memory_stays_and_contents_do_not() {
        let (stays, goes) =
            (ColumnSpec::scalar("stays", Element::F64), ColumnSpec::rows("goes", Element::F64));
        let layout = Layout::of([&stays, &goes]).unwrap();
        let (stays, goes) =
            (layout.handle::<Vec<f64>>(&stays).unwrap(), layout.handle::<Rows>(&goes).unwrap());
        let mut columns_kept = WorkerColumns::of(stays.column());
        let (mut first, mut second) = (Batch::new(&layout), Batch::new(&layout));
        columns_kept.lend(&mut first);
        first.columns.get_mut(stays).push(1.0);
        first.columns.get_mut(goes).reset(1, 2);
        let memory = first.columns.get(stays).as_ptr();
        columns_kept.take(&mut first);
        assert!(first.columns.get(stays).is_empty() && first.columns.get(goes).len() == 1);
        columns_kept.lend(&mut second);
        assert!(second.columns.get(stays).is_empty() && second.columns.get(stays).as_ptr() == memory);
    }
}
