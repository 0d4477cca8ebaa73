//! What a brick is: the unit that is placed, run and replicated (LEGO §III-A).

use crate::{Batch, BindError, ColumnSpec, Layout, Port, WestEast};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// Whether a brick's answer to a packet depends on packets before it, and so how it can be replicated.
///
/// Files say `stateless`, `keyed` or `serial`. `stateful` is read as `keyed`, and `single` as `serial`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The answer depends on the packet alone: any replica may take any batch.
    #[default]
    Stateless,
    /// The answer depends on earlier packets with the same keys: replicas give the same answer if traffic is split by these keys.
    #[serde(alias = "stateful")]
    Keyed,
    /// There can be one instance only: the source, the sink, and a brick that cannot be divided.
    #[serde(alias = "single")]
    Serial,
}

impl State {
    /// The word for it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Keyed => "keyed",
            Self::Serial => "serial",
        }
    }
}

/// What the graph needs to know of a brick before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Name of the kind in the catalogue and in graph files, such as `feature-mapping`.
    pub kind: &'static str,
    /// Name for people; where LEGO's Table I has the brick, its name there.
    pub title: &'static str,
    /// Columns that must be filled before the brick runs.
    pub reads: Cow<'static, [ColumnSpec]>,
    /// Columns that the brick fills. It changes a column in place if it also reads it.
    pub writes: Cow<'static, [ColumnSpec]>,
    /// Stateless, keyed or serial.
    pub state: State,
}

/// A fault that ends the run; a dropped packet is a [`Disposition`](crate::Disposition), never a fault.
#[derive(Debug, thiserror::Error)]
#[error("{brick}: {reason}")]
pub struct BrickError {
    /// The kind of the brick that failed.
    pub brick: &'static str,
    /// What went wrong, in one line.
    pub reason: String,
}

/// A network function's building block.
///
/// A brick enriches a batch in place: it reads and fills the columns that its descriptor names. It never removes or
/// reorders items, never names another brick, and knows nothing of queues, threads or replicas.
///
/// A brick declares its columns, finds their handles when it is put into a graph, and fills them batch by batch:
///
/// ```
/// use legonf_core::{
///     Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Handle, Headers, Layout, State,
/// };
///
/// /// Whether a packet is longer than Ethernet carries without jumbo frames.
/// const IS_JUMBO: ColumnSpec = ColumnSpec::scalar("is-jumbo", Element::Bool);
///
/// #[derive(Default)]
/// struct Jumbo {
///     is_jumbo: Handle<Vec<bool>>,
/// }
///
/// impl Brick for Jumbo {
///     fn descriptor(&self) -> Descriptor {
///         Descriptor {
///             kind: "jumbo",
///             title: "jumbo frames",
///             reads: vec![ColumnSpec::HEADERS].into(),
///             writes: vec![IS_JUMBO].into(),
///             state: State::Stateless,
///         }
///     }
///
///     fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
///         self.is_jumbo = layout.handle(&IS_JUMBO)?;
///         Ok(())
///     }
///
///     fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
///         let is_jumbo = batch.columns.get_mut(self.is_jumbo);
///         is_jumbo.clear();
///         is_jumbo.extend(batch.headers.iter().map(|headers| headers.wire_len > 1518));
///         Ok(())
///     }
/// }
///
/// let mut brick = Jumbo::default();
/// // A graph does this for all its bricks; a brick alone is bound to a layout of its own columns.
/// let layout = Layout::binding(&mut [&mut brick])?;
/// let mut batch = Batch::new(&layout);
/// batch.headers.extend([60, 9000].map(|wire_len| Headers { wire_len, ..Headers::default() }));
/// brick.process(&mut batch)?;
/// assert_eq!(batch.columns.get(brick.is_jumbo), &[false, true]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Brick: Send {
    /// Kind, columns and statefulness. Asked before a run, not for every batch.
    fn descriptor(&self) -> Descriptor;

    /// Looks up the handles of the brick's columns in the layout of a graph. Called before the first batch, and again if the brick
    /// is put into another graph. A brick that uses nothing but packets and headers has nothing to do.
    ///
    /// # Errors
    /// If the layout does not have a column as the descriptor declares it.
    fn bind(&mut self, _layout: &Layout) -> Result<(), BindError> {
        Ok(())
    }

    /// Processes one batch. In steady state it does not allocate, block, read a clock or log.
    ///
    /// # Errors
    /// Only for faults of the brick itself (an engine that fails), never for what a packet contains.
    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError>;

    /// Makes ready what the first batch would have to wait for, such as scratch memory. Called at most once, before
    /// [`bind`](Self::bind) and the first batch. No result and no counter may depend on it; a brick with state does not change it
    /// here.
    ///
    /// # Errors
    /// If the brick cannot process a batch at all.
    fn warm(&mut self) -> Result<(), BrickError> {
        Ok(())
    }

    /// Begins the next [`process`](Self::process) behind those begun before, and does not wait for it: a brick that runs elsewhere works
    /// while earlier answers are awaited. The same batches are then given to `process` in this order, before anything else of the
    /// kind. Returns whether it was begun; by default it is not.
    fn begin(&mut self, batch: &Batch) -> bool {
        let _ = batch;
        false
    }

    /// Whether the instance is gone, with what it knew of the traffic: it ran in another process or on another host, and that does not
    /// answer any more. What it was asked last has had no effect on the batch. The runtime puts another brick in its place, as for
    /// one that panicked.
    fn is_lost(&self) -> bool {
        false
    }

    /// Processor time that the brick has spent in another process or on another host so far. The runtime adds it to that of the
    /// thread, which waits meanwhile.
    fn spent_elsewhere(&self) -> Duration {
        Duration::ZERO
    }

    /// Counters to be shown at the end of a run, as (name, value): evictions, malformed packets by reason.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Bytes that the brick keeps from batch to batch for what it knows of the traffic; 0 for a stateless one.
    fn state_size(&self) -> u64 {
        0
    }

    /// The ports that the brick may send packets to, in any order: those of every [`Disposition`](crate::Disposition) that it may set.
    fn ports(&self) -> Vec<Port> {
        Vec::new()
    }

    /// How replicas share the brick's work, if it is keyed and can be divided.
    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        None
    }
}
