//! What replicas do with a batch, one after the other in one thread, and what each takes of a processor.

use crate::{Clock, ExperimentError, Scorer};
use legonf_core::{Batch, Headers, Rows, Storage, WestEast};
use legonf_extract::{Config, FeatureQuantization};
use legonf_models::kitnet::KitNet;
use legonf_splitter::{CHUNK, Ownership, PartialRows, Partitioner, Plan, SubBatch};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Processor time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent {
    /// Of what whichever replica is free does: partitioning, and rows that no replica could complete alone.
    pub shared: Duration,
    /// Of each replica.
    pub replicas: Vec<Duration>,
}

impl Spent {
    /// Of a single instance.
    pub fn alone(spent: Duration) -> Self {
        Self { shared: Duration::ZERO, replicas: vec![spent] }
    }
}

/// One replica.
struct Replica {
    brick: FeatureQuantization,
    scorer: Scorer,
    partial: PartialRows,
}

/// The replicas of a stage `extractor mapping autoencoder`.
pub(crate) struct Pieces {
    partitioner: Partitioner,
    owners: Vec<Box<[u16]>>,
    parts: Vec<SubBatch>,
    replicas: Vec<Replica>,
    batch: Batch,
    rows: Rows,
    /// Memory for rows of which cells are taken.
    room: Option<Box<dyn Storage>>,
    places: Vec<usize>,
    scorer: Scorer,
    clock: Clock,
    pub spent: Spent,
}

impl Pieces {
    /// So many replicas with empty state.
    pub fn new(
        config: &Config,
        plan: &Plan,
        network: &Arc<KitNet>,
        owners: Vec<Box<[u16]>>,
        count: usize,
        clock: Clock,
    ) -> Result<Self, ExperimentError> {
        let partitioner = Partitioner::new(&FeatureQuantization::new(config)?.division(), plan)?.compacted();
        let groups: Vec<_> = partitioner.groups().map(<[String]>::to_vec).collect();
        let scorer = || Scorer::new(network.clone());
        let replica = |_| {
            let mut brick = FeatureQuantization::new(config)?;
            brick.divide(&groups)?;
            Ok(Replica { brick, scorer: scorer(), partial: PartialRows::default() })
        };
        let replicas = (0..count).map(replica).collect::<Result<_, ExperimentError>>()?;
        let (parts, spent) = (vec![SubBatch::default(); count], Spent::default());
        let (batch, rows, room, places) = Default::default();
        let scorer = scorer();
        let mut this =
            Self { partitioner, owners, parts, replicas, batch, rows, room, places, scorer, clock, spent };
        this.reset();
        Ok(this)
    }

    /// Measures anew.
    pub fn reset(&mut self) {
        self.spent = Spent { shared: Duration::ZERO, replicas: vec![Duration::ZERO; self.replicas.len()] };
    }

    /// Takes a batch.
    pub fn push(&mut self, packets: &[Headers]) -> Result<(), ExperimentError> {
        self.batch.headers.clear();
        self.batch.headers.extend_from_slice(packets);
        let start = (self.clock)();
        let ownership = Ownership { owners: &self.owners, moving: &[] };
        let headers = &self.batch.headers;
        self.partitioner.partition(headers, |_| true, &ownership, &mut self.parts, &mut |_, _| {});
        let mut last = (self.clock)();
        self.spent.shared += last.saturating_sub(start);
        for replica in 0..self.replicas.len() {
            self.travel(replica)?;
            last = self.charge(replica, last);
        }
        for replica in 0..self.replicas.len() {
            self.complete(replica)?;
            last = self.charge(replica, last);
        }
        self.finish();
        self.spent.shared += (self.clock)().saturating_sub(last);
        Ok(())
    }

    /// Charges a replica for the time since `last`.
    fn charge(&mut self, replica: usize, last: Duration) -> Duration {
        let now = (self.clock)();
        self.spent.replicas[replica] += now.saturating_sub(last);
        now
    }

    /// Computes the cells that travel.
    fn travel(&mut self, replica: usize) -> Result<(), ExperimentError> {
        let Self { partitioner, parts, replicas, batch, rows, room, .. } = self;
        let (part, brick) = (&mut parts[replica], &mut replicas[replica].brick);
        partitioner.travelling().try_for_each(|shard| {
            partitioner.compute((shard, 0), CHUNK, part, rows, room, &mut |places, rows| {
                brick.process_part(shard, batch, places, rows)
            })
        })?;
        Ok(())
    }

    /// Completes the rows of the packets whose home a replica is, and scores them.
    fn complete(&mut self, replica: usize) -> Result<(), ExperimentError> {
        self.replicas[replica].partial.clear();
        let mut start = 0;
        while let Some(piece) = self.parts[replica].at_home()[0].piece(start, CHUNK) {
            start = piece.end;
            self.complete_some(replica, piece)?;
        }
        Ok(())
    }

    fn complete_some(&mut self, replica: usize, range: Range<usize>) -> Result<(), ExperimentError> {
        let Self { partitioner, parts, replicas, batch, rows, .. } = self;
        let selection = &parts[replica].at_home()[0];
        let Replica { brick, scorer, partial } = &mut replicas[replica];
        rows.reset(range.len(), partitioner.width());
        brick.process_part(partitioner.home(), batch, &selection.places[range.clone()], rows)?;
        let here = selection.partial_of(range.clone());
        partitioner.join(selection, range.clone(), |replica| parts[replica].cells.as_deref(), rows);
        for (row, index) in range.enumerate() {
            match here.iter().find(|found| found.index as usize == index) {
                Some(found) => {
                    let entry = selection.entries[index];
                    partial.push(
                        selection.places[index],
                        entry.kind,
                        entry.routes,
                        found.is_home,
                        (&*rows, row),
                    );
                }
                None => scorer.push(rows.row(row), |_| {}),
            }
        }
        scorer.flush(|_| {});
        Ok(())
    }

    /// Joins and scores the rows that no replica could complete alone.
    fn finish(&mut self) {
        let Self { partitioner, replicas, rows, places, scorer, .. } = self;
        places.clear();
        places.extend(replicas.iter().flat_map(|replica| replica.partial.places()));
        places.sort_unstable();
        places.dedup();
        rows.reset(places.len(), partitioner.width());
        replicas.iter().for_each(|replica| partitioner.join_partial(&replica.partial, places, rows));
        rows.iter().for_each(|row| scorer.push(row, |_| {}));
        scorer.flush(|_| {});
    }
}
