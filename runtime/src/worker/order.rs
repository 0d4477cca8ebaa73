//! Arrival order, restored where replicas before have lost it.

use crate::worker::envelope::Envelope;
use std::collections::VecDeque;

/// Gives numbered items out in the order of their numbers, without a gap.
///
/// The items held are those that came before their turn. They are of those on their way, whose number the pool bounds.
#[derive(Debug)]
pub(crate) struct Order<T> {
    next: u64,
    /// Item `next + i` at `i`, if it is here.
    held: VecDeque<Option<T>>,
}

impl<T> Order<T> {
    /// Order from item `next` on.
    pub fn from(next: u64) -> Self {
        Self { next, held: VecDeque::new() }
    }

    /// Number of the item that is to be given out next.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Takes an item in.
    ///
    /// # Panics
    /// If its number was given out before.
    pub fn put(&mut self, number: u64, item: T) {
        let ahead = number.checked_sub(self.next).expect("every number comes once");
        let index = usize::try_from(ahead).expect("fewer items on their way than memory has room for");
        while self.held.len() <= index {
            self.held.push_back(None);
        }
        self.held[index] = Some(item);
    }

    /// Gives out all that is held, before its turn.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.held.drain(..).flatten()
    }

    /// Gives the next item out, if it is here.
    pub fn take(&mut self) -> Option<T> {
        let item = self.held.front_mut()?.take()?;
        self.held.pop_front();
        self.next += 1;
        Some(item)
    }
}

/// Batches that wait for those before them.
pub(crate) type Waiting = Order<Box<Envelope>>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_order_becomes_the_order_of_arrival(numbers in Just((5_u64..105).collect::<Vec<_>>()).prop_shuffle()) {
            let (mut order, mut out) = (Order::from(5), Vec::new());
            for number in numbers {
                order.put(number, number);
                while let Some(item) = order.take() {
                    out.push(item);
                }
            }
            prop_assert_eq!(out, (5..105).collect::<Vec<_>>());
            prop_assert_eq!(order.next_number(), 105);
        }
    }

    #[test]
    fn nothing_is_given_out_before_its_turn() {
        let mut order = Order::from(0);
        order.put(1, 'b');
        assert_eq!(order.take(), None);
        order.put(0, 'a');
        assert_eq!((order.take(), order.take(), order.take()), (Some('a'), Some('b'), None));
    }
}
