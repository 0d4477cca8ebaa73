//! What a graph has learnt of the traffic, in a file: the state of its bricks and the stream's clock.
//!
//! The file is, with all numbers little-endian:
//!
//! | part | bytes |
//! |---|---|
//! | `legonf-state 1` and a line feed | 15 |
//! | length of the header | 8 |
//! | header: JSON, with the clock and, for each brick, its identifier, kind, division, seed and shards | as said |
//! | for each brick, each shard and each run of 64 slots: its length, and what the brick exports of these slots | 8, and as said |
//! | SHA-256 of all before | 32 |
//!
//! It fits every layout, since state is kept by slot. Counters, such as those of evictions, are those of one run and begin anew.

mod file;

use crate::Error;
use file::{Damage, Reader, Writer};
use legonf_core::Clock;
use legonf_runtime::{Graph, Stateful};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What is at the beginning of the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    clock: Clock,
    bricks: Vec<Of>,
}

/// A brick of which there is state, as in [`Stateful`].
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    id: String,
    kind: String,
    division: String,
    seed: u64,
    shards: Vec<Vec<String>>,
}

impl Of {
    fn new(brick: &Stateful) -> Self {
        let Stateful { id, kind, division, seed, shards, .. } = brick.clone();
        Self { id, kind: kind.to_owned(), division, seed, shards }
    }

    /// What of a brick of the graph is not as it was, with the remedy.
    fn difference(&self, now: &Stateful) -> Option<String> {
        let (id, was) = (&now.id, self);
        if was.kind != now.kind {
            return Some(format!("brick `{id}` was of the kind {}, and is {} here", was.kind, now.kind));
        }
        if was.division != now.division {
            let remedy = "use a model or a graph with that schema";
            let (was, now) = (&was.division, &now.division);
            return Some(format!("brick `{id}` had the schema {was}, and has {now} here; {remedy}"));
        }
        if was.seed != now.seed {
            let remedy = "leave --slot-seed out, or give that one";
            let (was, now) = (was.seed, now.seed);
            return Some(format!("brick `{id}` had the slot seed {was}, and has {now} here; {remedy}"));
        }
        (was.shards != now.shards).then(|| format!("brick `{id}` kept other state groups than it does here"))
    }
}

/// A file of state whose bytes are whole.
pub(crate) struct Saved {
    path: PathBuf,
    header: Header,
    reader: Reader,
}

impl Saved {
    /// Opens a file of state, and checks that it is as it was written.
    ///
    /// # Errors
    /// If it cannot be read, is no such file, or is cut short or changed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fault = |damage: Damage| Error::file(path, damage.to_string());
        let mut reader = Reader::open(path).map_err(fault)?;
        let header = reader.piece().map_err(fault)?;
        let header = serde_json::from_slice(&header).map_err(|error| fault(error.into()))?;
        Ok(Self { path: path.to_owned(), header, reader })
    }

    /// The seed by which the streams of a brick were divided into slots.
    pub fn seed(&self, id: &str) -> Option<u64> {
        self.header.bricks.iter().find(|brick| brick.id == id).map(|brick| brick.seed)
    }

    /// Puts the state into a graph that has seen nothing, and gives the clock by which its stream goes on.
    ///
    /// # Errors
    /// Names what is otherwise in this graph.
    pub fn load(mut self, graph: &mut Graph) -> Result<Clock, Error> {
        let bricks = graph.stateful().map_err(Error::refused)?;
        if let Some(difference) = self.difference(&bricks) {
            return Err(self.refused(&difference));
        }
        for brick in &bricks {
            for (shard, _) in brick.every_piece() {
                let state = self.reader.piece().map_err(|damage| self.refused(&damage.to_string()))?;
                let imported = graph.import_state(brick, shard, &state);
                imported.map_err(|error| self.refused(&format!("brick `{}`: {}", brick.id, error.reason)))?;
            }
        }
        self.reader.finish().map_err(|damage| self.refused(&damage.to_string()))?;
        Ok(self.header.clock.resumed())
    }

    fn difference(&self, bricks: &[Stateful]) -> Option<String> {
        let was: Vec<_> = self.header.bricks.iter().map(|brick| brick.id.as_str()).collect();
        let now: Vec<_> = bricks.iter().map(|brick| brick.id.as_str()).collect();
        if was != now {
            let listed = |ids: &[&str]| if ids.is_empty() { "none".into() } else { ids.join(", ") };
            return Some(format!(
                "it is of the bricks {}, and those with state are {} here; use the graph that wrote it",
                listed(&was),
                listed(&now)
            ));
        }
        self.header.bricks.iter().zip(bricks).find_map(|(was, now)| was.difference(now))
    }

    fn refused(&self, reason: &str) -> Error {
        Error::file(&self.path, reason.to_owned())
    }
}

/// Writes the state of a graph, whole or not at all, with the clock of its stream.
///
/// # Errors
/// If the state of a brick cannot be taken out, or the file cannot be written.
pub(crate) fn save(path: &Path, graph: &mut Graph, clock: Clock) -> Result<(), Error> {
    let bricks = graph.stateful().map_err(Error::refused)?;
    let header = Header { clock: clock.resumed(), bricks: bricks.iter().map(Of::new).collect() };
    let mut writer = Writer::create(path)?;
    writer.piece(&serde_json::to_vec(&header)?)?;
    for brick in &bricks {
        for (shard, slots) in brick.every_piece() {
            writer.piece(&graph.copy_state(brick, shard, &slots)?)?;
        }
    }
    writer.finish()
}

/// Refuses to save the state of a graph that has none, or whose state cannot be taken out.
///
/// # Errors
/// Says which.
pub(crate) fn check(graph: &mut Graph, option: &str) -> Result<(), Error> {
    let bricks = graph.stateful().map_err(Error::refused)?;
    let reason = "no brick of the graph keeps state, as where the input is a table of features";
    if bricks.is_empty() {
        return Err(Error::refused(format!("{option}: {reason}; leave it out")));
    }
    Ok(())
}

/// Moves the state of one graph to the same bricks of another, which have seen nothing.
///
/// # Errors
/// If the state of a brick cannot be taken out.
pub(crate) fn hand_over(from: &mut Graph, to: &mut Graph) -> Result<(), Error> {
    let given = from.stateful().map_err(Error::refused)?;
    for brick in to.stateful().map_err(Error::refused)? {
        let Some(of) = given.iter().find(|of| of.id == brick.id) else { continue };
        for (shard, slots) in of.every_piece() {
            to.import_state(&brick, shard, &from.take_state(of, shard, &slots)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
