//! How bricks are laid out over workers, and whether that fits a graph.

mod moves;

use crate::exchange::{Downstream, EXACT, Partition, Split, Undivided};
use crate::graph::declared::Use;
use crate::{Graph, PlanError};
use legonf_core::{Columns, Plan, PlanSyntax, Stage, State};
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

/// Workers of all stages at most.
pub const MAX_WORKERS: usize = 256;

/// How bricks are laid out over workers. The results are the same bytes in all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Run to completion: source, bricks and sink in one worker.
    Fused,
    /// A worker each.
    #[default]
    Pipeline,
    /// As a plan says.
    Stages(Plan),
}

impl Layout {
    /// The plan that this is for a graph.
    pub fn plan(&self, graph: &Graph) -> Plan {
        let ids = graph.nodes().iter().map(|node| node.id.as_str());
        match self {
            Self::Fused => Plan::fused(ids),
            Self::Pipeline => Plan::pipeline(ids),
            Self::Stages(plan) => plan.clone(),
        }
    }

    /// Whether a graph can be run in this layout.
    ///
    /// # Errors
    /// As a run under it would end.
    pub fn check(&self, graph: &mut Graph) -> Result<(), PlanError> {
        Shape::of(graph, Columns::ALL, EXACT).resolve(&self.plan(graph), MAX_WORKERS).map(drop)
    }
}

/// `fused`, `pipeline`, or the stages of a [`Plan`].
impl FromStr for Layout {
    type Err = PlanSyntax;

    fn from_str(text: &str) -> Result<Self, PlanSyntax> {
        match text {
            "fused" => Ok(Self::Fused),
            "pipeline" => Ok(Self::Pipeline),
            stages => stages.parse().map(Self::Stages),
        }
    }
}

/// A stage by the numbers of its bricks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StageSpec {
    pub operators: Range<usize>,
    pub source: bool,
    pub sink: bool,
    pub replicas: usize,
}

impl StageSpec {
    /// Whether two stages hold the same bricks, whatever their replicas.
    pub fn same_bricks(&self, other: &Self) -> bool {
        (&self.operators, self.source, self.sink) == (&other.operators, other.source, other.sink)
    }
}

/// What a plan is checked against: identifier and statefulness of each brick, in order.
pub(crate) struct Shape {
    pub name: String,
    pub bricks: Vec<(String, State)>,
    /// How each brick's work is divided among replicas, or why it cannot be.
    pub splits: Vec<Result<Arc<Split>, Undivided>>,
    /// What each brick reads and fills, and what the sink reads; nothing where packets go different ways.
    columns: Option<(Vec<Use>, Columns)>,
    /// What there is before the first brick.
    given: Columns,
    /// The columns of the table of flows.
    flows: Columns,
}

impl Shape {
    /// The shape of a graph with a sink that reads some columns.
    pub fn of(graph: &mut Graph, sink: Columns, partition: Partition<'_>) -> Self {
        let name = graph.name().to_owned();
        let brick = |node: &crate::Node| (node.id.clone(), node.brick.descriptor().state);
        let bricks = graph.nodes().iter().map(brick).collect();
        let declared = graph.declared();
        let split = |(operator, node): (usize, &mut crate::Node)| {
            Split::of((operator, &node.id), &mut *node.brick, &declared, partition).map(Arc::new)
        };
        let splits = graph.nodes_mut().iter_mut().enumerate().map(split).collect();
        let columns = graph.routes().is_none().then(|| (declared.uses.clone(), sink));
        let given = Columns::PACKETS.union(Columns::HEADERS).union(declared.begun());
        Self { name, bricks, splits, columns, given, flows: declared.flows }
    }

    /// The identifier of each brick.
    pub fn ids(&self) -> Vec<String> {
        self.bricks.iter().map(|(id, _)| id.clone()).collect()
    }

    /// The columns that are filled in a stage, or in some of its bricks, and that nobody behind it looks at: they can stay with
    /// the worker, whose core has them in its cache. Headers go along: by them packets are counted.
    pub fn kept(&self, source: bool, operators: Range<usize>, sink: bool) -> Columns {
        let Some((bricks, results)) = &self.columns else { return Columns::NONE };
        let (headers, packets) = (Columns::HEADERS, Columns::PACKETS);
        let filled = |bricks: &[Use]| bricks.iter().fold(Columns::NONE, |all, brick| all.union(brick.writes));
        // What a brick finds, it may have been given; what it fills, it may change in place.
        let mut found = if source { Columns::NONE } else { filled(&bricks[..operators.start]) };
        let mut here = if source { packets } else { Columns::NONE };
        for brick in &bricks[operators.clone()] {
            found = found.union(if source { Columns::NONE } else { brick.reads.without(here) });
            here = here.union(brick.writes);
        }
        let counted =
            if filled(&bricks[..operators.end]).holds(headers) { headers } else { headers.union(packets) };
        let behind = bricks[operators.end..]
            .iter()
            .fold(*results, |all, brick| all.union(brick.reads).union(brick.writes));
        here.without(found).without(if sink { Columns::NONE } else { behind.union(counted) })
    }

    /// What a stage does behind one of its bricks, which is divided. Where packets go different ways it does nothing before their
    /// batch is whole again.
    pub fn downstream(&self, place: &StageSpec, divided: usize) -> Downstream {
        let behind = divided + 1..place.operators.end;
        let split = self.splits[divided].as_ref().ok();
        let may_follow = self.columns.as_ref().filter(|(bricks, _)| {
            // Rows of flows that were there before are not divided, so that only the whole batch has them.
            let uses = |brick: &Use| !brick.reads.union(brick.writes).intersection(self.flows).is_empty();
            split.is_some_and(|split| split.flows.is_some()) || !bricks[behind.clone()].iter().any(uses)
        });
        let Some((bricks, _)) = may_follow else {
            let fills = split.map_or(Columns::NONE, |split| split.fills());
            return Downstream {
                operators: behind.start..behind.start,
                inputs: Columns::NONE,
                outputs: fills,
            };
        };
        let fills = bricks[divided].writes;
        let filled = bricks[..divided].iter().fold(self.given, |all, brick| all.union(brick.writes));
        let writes = bricks[behind.clone()].iter().fold(fills, |all, brick| all.union(brick.writes));
        let uses = |brick: &Use| brick.reads.union(brick.writes);
        let used = bricks[behind.clone()].iter().fold(Columns::NONE, |all, brick| all.union(uses(brick)));
        let kept = self.kept(false, divided..place.operators.end, false);
        Downstream {
            operators: behind,
            inputs: used.intersection(filled).without(fills),
            outputs: writes.without(kept),
        }
    }

    /// Whether the batches of a stage must come in order.
    pub fn is_ordered(&self, place: &StageSpec) -> bool {
        self.keeps_order(place).is_some() && self.split(place).is_none()
    }

    /// How the work of a stage is divided among replicas, where it has any and one of its bricks has state.
    pub fn split(&self, place: &StageSpec) -> Option<&Arc<Split>> {
        let replicated = place.replicas > 1 && !place.source && !place.sink;
        let stateful = self.stateful(place).next().filter(|_| replicated)?;
        self.splits[stateful].as_ref().ok()
    }

    fn stateful(&self, place: &StageSpec) -> impl Iterator<Item = usize> {
        place.operators.clone().filter(|operator| self.bricks[*operator].1 != State::Stateless)
    }

    /// The stages of a plan, if it has every brick once and in order, and replicas only of what can be shared.
    pub fn resolve(&self, plan: &Plan, most: usize) -> Result<Vec<StageSpec>, PlanError> {
        self.check_bricks(plan)?;
        let workers = plan.workers();
        if workers > most {
            return Err(PlanError::Workers { plan: plan.to_string(), workers, most });
        }
        let mut next = 0;
        let last = plan.stages.len() - 1;
        let place = |(index, stage): (usize, &Stage)| {
            let (source, sink) = (index == 0, index == last);
            let operators = next..next + stage.bricks.len() - usize::from(source) - usize::from(sink);
            next = operators.end;
            self.check_replicas(plan, StageSpec { operators, source, sink, replicas: stage.replicas })
        };
        let places: Vec<StageSpec> = plan.stages.iter().enumerate().map(place).collect::<Result<_, _>>()?;
        let splits: Vec<_> =
            places.iter().filter_map(|place| Some((self.split(place)?, place.replicas))).collect();
        moves::check(plan, |slot| {
            let of = |split: &Split| self.bricks[split.operator].0 == slot.brick;
            splits.iter().find(|(split, _)| of(split)).map(|(split, replicas)| (split.shards(), *replicas))
        })?;
        Ok(places)
    }

    /// Checks that between two plans no state must move that cannot: that of a brick whose split plan is not exact.
    pub fn check_change(&self, plan: &Plan, before: &Plan) -> Result<(), PlanError> {
        let divided = self.splits.iter().flatten().filter(|split| !split.partitioner.is_exact());
        for id in divided.map(|split| &self.bricks[split.operator].0) {
            let replicas = |plan: &Plan| plan.stage_of(id).map(|stage| plan.stages[stage].replicas);
            if replicas(plan) != replicas(before) || plan.moves.iter().any(|slot| slot.brick == *id) {
                let reason = "its streams are divided, by a plan that is not exact".to_owned();
                return Err(PlanError::Undivided { plan: plan.to_string(), brick: id.clone(), reason });
            }
        }
        Ok(())
    }

    fn check_bricks(&self, plan: &Plan) -> Result<(), PlanError> {
        let expected = Plan::fused(self.bricks.iter().map(|(id, _)| id.as_str()));
        let given = plan.stages.iter().flat_map(|stage| &stage.bricks);
        let whole = plan.stages.iter().all(|stage| !stage.bricks.is_empty() && stage.replicas > 0);
        if whole && given.eq(&expected.stages[0].bricks) {
            return Ok(());
        }
        Err(PlanError::Bricks { plan: plan.to_string(), expected: expected.stages[0].bricks.join(" ") })
    }

    /// Replicas may share batches, or the work of one brick with state, if that can be divided.
    fn check_replicas(&self, plan: &Plan, place: StageSpec) -> Result<StageSpec, PlanError> {
        if place.replicas == 1 {
            return Ok(place);
        }
        let undivided = |brick: usize, reason: &str| PlanError::Undivided {
            plan: plan.to_string(),
            brick: self.bricks[brick].0.clone(),
            reason: reason.to_owned(),
        };
        if let Some(brick) = self.keeps_order(&place).filter(|_| place.source || place.sink) {
            let (plan, brick, replicas) = (plan.to_string(), brick.to_owned(), place.replicas);
            return Err(PlanError::End { plan, brick, replicas });
        }
        let stateful: Vec<usize> = self.stateful(&place).collect();
        match stateful[..] {
            [] => Ok(place),
            [brick] => self.splits[brick]
                .as_ref()
                .map(|_| place)
                .map_err(|reason| undivided(brick, &reason.to_string())),
            [_, brick, ..] => {
                Err(undivided(brick, "another brick of its stage has state, too: give it a stage of its own"))
            }
        }
    }

    /// The brick or end for which a stage must have its batches one after the other.
    fn keeps_order(&self, place: &StageSpec) -> Option<&str> {
        let end = if place.source { Some(Plan::SOURCE) } else { place.sink.then_some(Plan::SINK) };
        end.or(self.stateful(place).next().map(|operator| self.bricks[operator].0.as_str()))
    }

    /// The plan of some stages.
    pub fn plan<'a>(&self, places: impl IntoIterator<Item = &'a StageSpec>) -> Plan {
        let stage = |place: &StageSpec| {
            let ids = self.bricks[place.operators.clone()].iter().map(|(id, _)| id.as_str());
            let source = place.source.then_some(Plan::SOURCE);
            let all = source.into_iter().chain(ids).chain(place.sink.then_some(Plan::SINK));
            Stage { bricks: all.map(str::to_owned).collect(), replicas: place.replicas }
        };
        Plan { stages: places.into_iter().map(stage).collect(), ..Plan::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        let bricks = [("a", State::Stateless), ("b", State::Keyed), ("c", State::Stateless)];
        let bricks = bricks.map(|(id, state)| (id.to_owned(), state)).into();
        Shape {
            name: "t".into(),
            bricks,
            splits: vec![Err(Undivided::NoInterface); 3],
            columns: None,
            given: Columns::PACKETS,
            flows: Columns::NONE,
        }
    }

    #[test]
    fn what_nobody_behind_a_stage_looks_at_stays_with_it() {
        let brick = |reads, writes| Use { kind: "k", reads, writes };
        let [features, scores] = [2, 3].map(Columns::one);
        let parse = brick(Columns::PACKETS, Columns::HEADERS);
        let extract = brick(Columns::HEADERS, features);
        let score = brick(features, scores);
        let smooth = brick(scores, scores);
        let shape = Shape { columns: Some((vec![parse, extract, score, smooth], scores)), ..shape() };
        assert_eq!(shape.kept(true, 0..0, false), Columns::NONE);
        assert_eq!(shape.kept(true, 0..1, false), Columns::PACKETS);
        assert_eq!(shape.kept(false, 0..2, false), Columns::NONE);
        assert_eq!(shape.kept(false, 1..3, false), features);
        assert_eq!(shape.kept(false, 2..4, true), scores);
        // The scores that it changes come from before.
        assert_eq!(shape.kept(false, 3..4, true), Columns::NONE);
        assert_eq!(Shape { columns: None, ..shape }.kept(true, 0..4, true), Columns::NONE);
    }

    fn resolve(text: &str) -> Result<Vec<StageSpec>, String> {
        shape().resolve(&text.parse().unwrap(), 6).map_err(|e| e.to_string())
    }

    #[test]
    fn stages_are_ranges_of_bricks() {
        let places = resolve("source | a x2 | b c | sink").unwrap();
        let operators: Vec<_> =
            places.iter().map(|p| (p.operators.clone(), p.source, p.sink, p.replicas)).collect();
        let expected = [
            (0..0, true, false, 1),
            (0..1, false, false, 2),
            (1..3, false, false, 1),
            (3..3, false, true, 1),
        ];
        assert_eq!(operators, expected);
        assert_eq!(shape().plan(&places).to_string(), "source | a x2 | b c | sink");
        assert_eq!(resolve("source a b c sink").unwrap().len(), 1);
    }

    #[test]
    fn plans_that_do_not_fit_say_what_would() {
        for (plan, words) in [
            ("source | a | b | sink", "expected the bricks \"source a b c sink\""),
            ("source | a | c | b | sink", "in this order"),
            ("source | a | a | b | c | sink", "each once"),
            ("a | b | c", "\"source a b c sink\""),
            (
                "source | a | b c x2 | sink",
                "`b` keeps state that cannot be divided among replicas: it has no west-east interface",
            ),
            ("source a x2 | b c | sink", "`source` is an end"),
            ("source | a | b | c sink x2", "`sink`"),
            ("source | a x3 | b | c x2 | sink", "8 workers, and at most 6"),
        ] {
            let error = resolve(plan).unwrap_err();
            assert!(error.contains(words), "{plan}: {error}");
        }
    }
}
