//! Changes of the layout that somebody asks for, as plans.

use super::Facts;
use legonf_core::{Plan, SLOTS, SlotMove, Snapshot, Stage, State, WorkerLoad};
use std::fmt;

/// A change of the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The controller is to leave a brick's stage alone, or no more.
    Pin {
        /// The brick.
        brick: String,
        /// Whether it is to leave it alone.
        is_pinned: bool,
    },
    /// The controller is to decide by another policy.
    Policy {
        /// The policy, as in a file of `--policy` (TOML).
        policy: String,
    },
    /// A brick, with those that share its workers, is to have so many replicas.
    Scale {
        /// The brick.
        brick: String,
        /// How many.
        replicas: usize,
    },
    /// A replica is to have no more work.
    Drain {
        /// Its name, such as `kitsune/mapping#2`.
        replica: String,
    },
    /// A slot of a brick's state is to go to another replica.
    Move {
        /// Slot and replica.
        slot: SlotMove,
    },
    /// The controller is to leave the layout as it is, or to go on.
    Pause {
        /// Whether it is to leave it.
        is_paused: bool,
    },
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such brick, replica or slot.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be as things are.
    #[error("{0}")]
    Impossible(String),
    /// The runtime did not put it in force.
    #[error("{0}")]
    NotApplied(String),
    /// Too many changes wait.
    #[error("other changes wait already; try again")]
    Busy,
    /// There is no layout yet.
    #[error("the run has not begun yet; try again")]
    NotBegun,
    /// The run is over.
    #[error("the run is over")]
    Over,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale { brick, replicas } => write!(f, "scale {brick} to {replicas}"),
            Self::Drain { replica } => write!(f, "drain {replica}"),
            Self::Policy { .. } => f.write_str("another policy"),
            Self::Pin { brick, is_pinned: true } => write!(f, "pin {brick}"),
            Self::Pin { brick, is_pinned: false } => write!(f, "unpin {brick}"),
            Self::Pause { is_paused: true } => f.write_str("pause the controller"),
            Self::Pause { is_paused: false } => f.write_str("resume the controller"),
            Self::Move { slot } => {
                write!(
                    f,
                    "move slot {} of shard {} of {} to replica {}",
                    slot.slot, slot.shard, slot.brick, slot.to
                )
            }
        }
    }
}

impl Change {
    /// Whether it changes what the controller goes by, and not the layout.
    pub(super) fn is_for_the_controller(&self) -> bool {
        matches!(self, Self::Pause { .. } | Self::Pin { .. } | Self::Policy { .. })
    }

    /// The plan that this makes of the one in force.
    ///
    /// # Errors
    /// If it names what is not there, or cannot be.
    pub(super) fn plan(&self, facts: &Facts, snapshot: &Snapshot) -> Result<Plan, Refusal> {
        match self {
            Self::Scale { brick, replicas } => scale(brick, *replicas, facts, snapshot),
            Self::Drain { replica } => drain(replica, snapshot),
            Self::Move { slot } => shift(slot, snapshot),
            Self::Pause { .. } | Self::Policy { .. } => Ok(layout(snapshot)),
            Self::Pin { brick, .. } if facts.brick(brick).is_none() => Err(unknown_brick(brick, facts)),
            Self::Pin { .. } => Ok(layout(snapshot)),
        }
    }
}

/// The plan in force without the moves that led to it.
fn layout(snapshot: &Snapshot) -> Plan {
    Plan { stages: snapshot.plan.stages.clone(), moves: Vec::new() }
}

fn unknown_brick(brick: &str, facts: &Facts) -> Refusal {
    let ids: Vec<_> = facts.bricks.iter().map(|brick| &*brick.id).collect();
    Refusal::Unknown(format!("no brick `{brick}`; there are: {}", ids.join(", ")))
}

/// Whether several workers can share a brick's work.
fn divides(facts: &Facts, id: &str) -> bool {
    facts.brick(id).is_some_and(|brick| brick.state != State::Serial)
}

fn scale(brick: &str, replicas: usize, facts: &Facts, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let impossible = |reason: String| Err(Refusal::Impossible(reason));
    let mut plan = layout(snapshot);
    let Some(at) = plan.stage_of(brick) else { return Err(unknown_brick(brick, facts)) };
    let cores = snapshot.host.cores.ceil() as usize;
    if replicas == 0 {
        return impossible(format!("`{brick}` needs a replica"));
    }
    if replicas > 1 && !divides(facts, brick) {
        return impossible(format!("the work of `{brick}` cannot be divided, so it has one replica"));
    }
    if replicas > cores.max(1) && !facts.may_oversubscribe {
        return impossible(format!(
            "{replicas} replicas of `{brick}`, and there are {cores} cores; --oversubscribe allows more"
        ));
    }
    if replicas > 1 && !plan.stages[at].bricks.iter().all(|id| divides(facts, id)) {
        alone(&mut plan.stages, at, brick);
    }
    let at = plan.stage_of(brick).unwrap_or(at);
    plan.stages[at].replicas = replicas;
    Ok(plan)
}

/// Gives a brick a stage of its own. Those before and behind it stay together.
fn alone(stages: &mut Vec<Stage>, at: usize, brick: &str) {
    let Stage { bricks, replicas } = stages.remove(at);
    let place = bricks.iter().position(|id| id == brick).unwrap_or_default();
    let parts = [&bricks[..place], &bricks[place..=place], &bricks[place + 1..]];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let parts = parts.map(|part| Stage { bricks: part.to_vec(), replicas });
    stages.splice(at..at, parts);
}

fn drain(replica: &str, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let Some(worker) = snapshot.workers.iter().find(|worker| worker.name == replica) else {
        let names: Vec<_> = snapshot.workers.iter().map(|worker| &*worker.name).collect();
        return Err(Refusal::Unknown(format!("no replica `{replica}`; there are: {}", names.join(", "))));
    };
    let all: Vec<&WorkerLoad> = snapshot.of_stage(worker.stage).collect();
    let place = all.iter().position(|other| other.name == replica).unwrap_or_default();
    let mut plan = layout(snapshot);
    let stage = &mut plan.stages[worker.stage];
    if all.len() == 1 {
        return Err(Refusal::Impossible(format!("`{replica}` is the only replica; it has all the work")));
    }
    if place + 1 == all.len() {
        stage.replicas -= 1;
        return Ok(plan);
    }
    let shards = &snapshot.stages[worker.stage].shards;
    if shards.is_empty() {
        let last = &all[all.len() - 1].name;
        let reason = "replicas without state take any batch, and the last one goes first";
        return Err(Refusal::Impossible(format!("`{replica}`: {reason}: drain `{last}`")));
    }
    // In turn to the others.
    let others: Vec<u16> = (0..all.len() as u16).filter(|other| usize::from(*other) != place).collect();
    for shard in shards {
        let owned = (0..shard.owners.len()).filter(|slot| usize::from(shard.owners[*slot]) == place);
        plan.moves.extend(owned.zip(others.iter().cycle()).map(|(slot, to)| SlotMove {
            brick: shard.brick.clone(),
            shard: shard.shard,
            slot: slot as u16,
            to: *to,
        }));
    }
    Ok(plan)
}

fn shift(slot: &SlotMove, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let SlotMove { brick, shard, slot: number, to } = slot;
    let mut shards = snapshot.stages.iter().enumerate().flat_map(|(stage, load)| {
        load.shards.iter().filter(|shard| shard.brick == *brick).map(move |shard| (stage, shard))
    });
    let first = shards.next();
    let Some((stage, _)) = first else {
        return Err(Refusal::Unknown(format!("`{brick}` has no replicas that share its state")));
    };
    let Some((_, load)) = first.into_iter().chain(shards).find(|(_, load)| load.shard == *shard) else {
        return Err(Refusal::Unknown(format!("`{brick}` has no shard {shard}")));
    };
    let replicas = snapshot.plan.stages[stage].replicas;
    if usize::from(*number) >= SLOTS || usize::from(*to) >= replicas {
        return Err(Refusal::Unknown(format!(
            "slot {number} to replica {to}: slots are 0 to {}, and replicas of `{brick}` 0 to {}",
            SLOTS - 1,
            replicas - 1
        )));
    }
    let mut plan = layout(snapshot);
    if load.owners.get(usize::from(*number)) != Some(to) {
        plan.moves.push(slot.clone());
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::super::BrickFacts;
    use super::*;
    use legonf_core::{HostLoad, ShardLoad, StageLoad};

    fn facts() -> Facts {
        let brick = |id: &str, state| BrickFacts { id: id.into(), kind: String::new(), state };
        let (serial, keyed, none) = (State::Serial, State::Keyed, State::Stateless);
        let bricks = [("source", serial), ("a", none), ("k", keyed), ("s", serial), ("sink", serial)];
        Facts { bricks: bricks.map(|(id, state)| brick(id, state)).into(), ..Facts::default() }
    }

    fn snapshot(plan: &str) -> Snapshot {
        let plan: Plan = plan.parse().unwrap();
        let mut snapshot =
            Snapshot { host: HostLoad { cores: 4.0, ..HostLoad::default() }, ..Snapshot::default() };
        for (stage, place) in plan.stages.iter().enumerate() {
            let name = |n| format!("g/{}#{n}", place.bricks.join("+"));
            let worker = |n| WorkerLoad { stage, name: name(n), ..WorkerLoad::default() };
            snapshot.workers.extend((0..place.replicas).map(worker));
            let shared = place.replicas > 1 && place.bricks.iter().any(|id| id == "k");
            let owners = (0..SLOTS).map(|slot| (slot % place.replicas) as u16).collect();
            let shard = ShardLoad { brick: "k".into(), shard: 0, packets: vec![0; SLOTS], owners };
            let shards = if shared { vec![shard] } else { Vec::new() };
            snapshot.stages.push(StageLoad { shards, ..StageLoad::default() });
        }
        Snapshot { plan, ..snapshot }
    }

    fn scaled(plan: &str, brick: &str, replicas: usize) -> Result<String, String> {
        let change = Change::Scale { brick: brick.into(), replicas };
        let plan = change.plan(&facts(), &snapshot(plan));
        plan.map(|plan| plan.to_string()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_brick_gets_replicas_with_those_that_can_have_them() {
        for (plan, brick, replicas, expected) in [
            ("source | a | k | s | sink", "k", 3, "source | a | k x3 | s | sink"),
            ("source | a k x2 | s sink", "a", 1, "source | a k | s sink"),
            ("source a k s sink", "k", 2, "source a | k x2 | s sink"),
            ("source a k s sink", "s", 1, "source a k s sink"),
        ] {
            assert_eq!(scaled(plan, brick, replicas).unwrap(), expected);
        }
        for (brick, replicas, words) in [
            ("x", 2, "no brick `x`; there are: source, a, k, s, sink"),
            ("k", 0, "needs a replica"),
            ("s", 2, "cannot be divided"),
            ("source", 2, "cannot be divided"),
            ("k", 5, "--oversubscribe"),
        ] {
            let reason = scaled("source | a | k | s | sink", brick, replicas).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn a_replica_goes_or_gives_its_slots_away() {
        let drained = |plan: &str, replica: &str| {
            Change::Drain { replica: replica.into() }.plan(&facts(), &snapshot(plan))
        };
        let plan = drained("source | a | k x3 | s | sink", "g/k#2").unwrap();
        assert_eq!((plan.to_string().as_str(), plan.moves.len()), ("source | a | k x2 | s | sink", 0));
        let plan = drained("source | a | k x3 | s | sink", "g/k#0").unwrap();
        assert_eq!(plan.to_string(), "source | a | k x3 | s | sink");
        assert_eq!(plan.moves.len(), SLOTS.div_ceil(3));
        let to = |replica| plan.moves.iter().filter(|slot| slot.to == replica).count();
        assert!(to(0) == 0 && to(1).abs_diff(to(2)) <= 1);
        for (replica, words) in [
            ("g/k#7", "no replica `g/k#7`; there are: g/source#0, "),
            ("g/s#0", "only replica"),
            ("g/a#0", "drain `g/a#1`"),
        ] {
            let reason = drained("source | a x2 | k | s | sink", replica).unwrap_err().to_string();
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn a_slot_goes_where_there_is_a_replica() {
        let moved = |shard, slot, to| {
            let slot = SlotMove { brick: "k".into(), shard, slot, to };
            Change::Move { slot }.plan(&facts(), &snapshot("source | a | k x2 | s | sink"))
        };
        assert_eq!(moved(0, 5, 0).unwrap().moves.len(), 1);
        assert_eq!(moved(0, 5, 1).unwrap().moves.len(), 0, "it is there");
        for refused in [moved(1, 5, 0), moved(0, 4096, 0), moved(0, 5, 2)] {
            assert!(matches!(refused, Err(Refusal::Unknown(_))), "{refused:?}");
        }
    }
}
