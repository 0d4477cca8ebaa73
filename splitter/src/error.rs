//! Why traffic cannot be split as asked.

use legonf_core::{Key, KeyError, PacketKinds, UnknownKind};

/// A group set, a plan or a partitioner that cannot be, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The text is not TOML, or has a key or a type that is not expected.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line of the text, from 1.
        line: usize,
        /// What was found and expected.
        message: String,
    },
    /// There is no group at all.
    #[error(
        "there is no [[group]]: expected one at least, with name = \"...\" and fields = [\"SrcIP\", ...]"
    )]
    NoGroup,
    /// More groups than can be related in good time.
    #[error("{0} groups: expected {max} at most", max = crate::MAX_GROUPS)]
    TooManyGroups(usize),
    /// Two groups share a name.
    #[error("group \"{0}\" is defined twice; every name must be unique")]
    DuplicateGroup(String),
    /// A key of a group is wrong.
    #[error("group \"{group}\": {key}: {reason}")]
    Key {
        /// The group.
        group: String,
        /// Where in the group.
        key: String,
        /// What is wrong.
        reason: KeyError,
    },
    /// No kind of packet has this name.
    #[error("group \"{group}\": packets: {reason}")]
    UnknownKind {
        /// The group.
        group: String,
        /// What is wrong.
        reason: UnknownKind,
    },
    /// Two keys of a group apply to the same packets.
    #[error(
        "group \"{group}\": two keys for the packets {packets}: expected one key for each kind of packet"
    )]
    Contradiction {
        /// The group.
        group: String,
        /// The packets.
        packets: PacketKinds,
    },
    /// A group has no packet, or more keys than there are kinds of packets.
    #[error("group \"{0}\" applies to no packet: expected packets of one kind at least")]
    NoPacket(String),
    /// The plan is for another schema.
    #[error(
        "the plan is for the schema \"{plan}\", not for \"{schema}\": run `legonf split {schema}` for its own"
    )]
    Schema {
        /// Schema of the plan.
        plan: String,
        /// Schema that was to be split.
        schema: String,
    },
    /// A plan does not say, or says twice, where a group's packets go.
    #[error(
        "the plan names {times} routes for group \"{group}\" and packets of kind {kind}: expected 1; \
         `legonf split --json` makes a plan"
    )]
    Uncovered {
        /// The group.
        group: String,
        /// The kind of packet.
        kind: &'static str,
        /// How many routes there are.
        times: usize,
    },
    /// A plan's route does not keep a group's streams whole, though the plan is called exact.
    #[error("the plan is called exact, but a split by {key} divides the streams of group \"{group}\"")]
    Inexact {
        /// The group.
        group: String,
        /// The route's key.
        key: Key,
    },
    /// A plan names a group that the schema does not have.
    #[error("the plan names group \"{0}\", which the schema does not have")]
    UnknownGroup(String),
    /// Streams that depend on one another whatever key divides them.
    #[error("streams of {schema} ({group}) cannot be divided: {why}")]
    Coupled {
        /// What was to be divided.
        schema: String,
        /// The group.
        group: String,
        /// Why.
        why: String,
    },
    /// No key divides the groups.
    #[error("no key keeps the groups of {0} whole")]
    Whole(String),
    /// Cells that no shard computes.
    #[error("{kind} packets of {schema} have cells of no group")]
    Cells {
        /// What was to be divided.
        schema: String,
        /// The kind of packet.
        kind: &'static str,
    },
    /// More routes than a packet's mark has bits.
    #[error("a shard with {0} routes: expected {max} at most; give groups fewer keys", max = crate::MAX_ROUTES)]
    Routes(usize),
}
