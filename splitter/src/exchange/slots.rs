//! Sets of slots.

use legonf_core::SLOTS;

/// A set of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSet([u64; SLOTS / 64]);

impl SlotSet {
    /// No slot.
    pub fn none() -> Self {
        Self([0; SLOTS / 64])
    }

    /// Every slot.
    pub fn all() -> Self {
        Self([u64::MAX; SLOTS / 64])
    }

    /// Adds a slot.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn insert(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    /// Whether a slot is in the set.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn holds(&self, slot: usize) -> bool {
        self.0[slot / 64] & 1 << (slot % 64) != 0
    }

    /// The slots in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..SLOTS).filter(|slot| self.holds(*slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_held_once_inserted() {
        let mut slots = SlotSet::none();
        [4095, 0, 64].into_iter().for_each(|slot| slots.insert(slot));
        assert_eq!(slots.iter().collect::<Vec<_>>(), [0, 64, 4095]);
        assert!(SlotSet::all().iter().eq(0..SLOTS));
    }
}
