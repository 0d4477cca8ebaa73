//! Parts of batches, in the order of the batches.

use super::part::Labelled;
use crate::worker::order::Order;

/// Gives parts out in the order of their batches. A new replica does not know the first batch that it has a part of before that
/// has come: it is the first of an epoch.
pub(crate) struct Inbox<T> {
    order: Order<T>,
    is_begun: bool,
    early: Vec<T>,
}

impl<T: Labelled> Inbox<T> {
    /// From a batch on, if it is known.
    pub fn from(first: Option<u64>) -> Self {
        Self { order: Order::from(first.unwrap_or(0)), is_begun: first.is_some(), early: Vec::new() }
    }

    pub fn put(&mut self, part: T) {
        if !self.is_begun && !part.label().is_first {
            return self.early.push(part);
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            self.order = Order::from(part.label().number);
            for early in self.early.drain(..) {
                self.order.put(early.label().number, early);
            }
        }
        self.order.put(part.label().number, part);
    }

    /// The next part, if it is here.
    pub fn take(&mut self) -> Option<T> {
        self.order.take()
    }

    /// Number of the batch whose part is to be given out next.
    pub fn next_number(&self) -> u64 {
        self.order.next_number()
    }

    /// Gives out all that is held, before its turn.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.order.drain()
    }
}
