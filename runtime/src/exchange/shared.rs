//! Columns of a batch that replicas read together.

use legonf_core::{Batch, Columns};
use std::sync::Arc;

/// Columns that are taken out of a batch for all replicas to read, and put back once they have done their parts. The memory
/// stays for the next time.
#[derive(Default)]
pub(crate) struct SharedColumns(Arc<Batch>);

impl SharedColumns {
    /// Takes columns out of a batch.
    pub fn lend(&mut self, batch: &mut Batch, columns: Columns) -> Arc<Batch> {
        if Arc::get_mut(&mut self.0).is_none() {
            self.0 = Arc::default();
        }
        self.exchange(batch, columns);
        self.0.clone()
    }

    /// What was lent last.
    pub fn read(&self) -> Arc<Batch> {
        self.0.clone()
    }

    /// Puts them back. Where somebody still has them, as parts that nobody will process, it is a copy.
    pub fn reclaim(&mut self, batch: &mut Batch, columns: Columns) {
        self.exchange(batch, columns);
    }

    /// The rows of flows go with the columns: some of these may be of flows.
    fn exchange(&mut self, batch: &mut Batch, columns: Columns) {
        let shared = Arc::make_mut(&mut self.0);
        shared.exchange(batch, columns);
        std::mem::swap(&mut shared.flows, &mut batch.flows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{ColumnSpec, Element, Headers, Layout};

    #[test]
    fn what_is_lent_comes_back() {
        let (columns, other) = (Columns::HEADERS, ColumnSpec::scalar("other", Element::F64));
        let headers = vec![Headers { seq: 7, ..Headers::default() }];
        let layout = Layout::of([&other]).unwrap();
        let other = layout.handle::<Vec<f64>>(&other).unwrap();
        let mut batch = Batch { headers: headers.clone(), ..Batch::new(&layout) };
        batch.columns.get_mut(other).push(1.0);
        let memory = batch.headers.as_ptr();
        let mut shared = SharedColumns::default();
        let lent = shared.lend(&mut batch, columns);
        assert!(lent.headers == headers && batch.headers.is_empty() && batch.columns.get(other) == &[1.0]);
        drop(lent);
        shared.reclaim(&mut batch, columns);
        assert!(batch.headers == headers && batch.headers.as_ptr() == memory);
        let kept = shared.lend(&mut batch, columns);
        shared.reclaim(&mut batch, columns);
        assert!(batch.headers == headers && kept.headers == headers);
    }
}
