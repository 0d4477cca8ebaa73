//! Parts of batches that a divided brick has begun to process elsewhere, while others come.

use super::part::Labelled;
use super::{HomePart, Part, Split};
use crate::operator::Operator;

/// A part in one of its two phases.
pub(crate) enum Task {
    First(Box<Part>),
    Last(Box<HomePart>),
}

/// What a brick has begun of a part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    Nothing,
    /// The first calls, but not all.
    Some,
    All,
}

impl Task {
    /// The epoch of its batch, if that is known.
    pub fn epoch(&self) -> Option<u64> {
        let label = match self {
            Self::First(part) => part.label(),
            Self::Last(part) => part.label(),
        };
        label.table.as_ref().map(|table| table.epoch)
    }

    /// Begins the calls that processing it makes, in their order: one for each selection with packets, since a brick elsewhere takes all
    /// of one at once. Where it has none there is nothing to wait for.
    pub fn begin(&self, split: &Split, operator: &mut Operator) -> Begun {
        let partitioner = &split.partitioner;
        let (packets, sub, width) = match self {
            Self::First(part) => (part.packets.as_deref(), Some(&part.sub), partitioner.row_width()),
            Self::Last(part) => {
                let gathered = part.gathered.as_deref();
                let sub = gathered.map(|gathered| &gathered.parts[part.label.replica].sub);
                (gathered.and_then(|gathered| gathered.packets.as_deref()), sub, partitioner.width())
            }
        };
        let (Some(packets), Some(sub)) = (packets, sub) else { return Begun::Nothing };
        let is_first = matches!(self, Self::First(_));
        let shards = (0..split.shards()).filter(|shard| (*shard == partitioner.home()) != is_first);
        let selections = shards.flat_map(|shard| sub.selections[shard].iter().map(move |of| (shard, of)));
        let mut begun = Begun::All;
        for (number, (shard, selection)) in selections.filter(|(_, of)| of.waits()).enumerate() {
            if !operator.begin_part(shard, packets, &selection.places, width) {
                begun = if number == 0 { Begun::Nothing } else { Begun::Some };
                break;
            }
        }
        begun
    }
}
