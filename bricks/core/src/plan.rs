//! Where bricks run: what the controller wants of the runtime.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bricks that one worker runs one after the other, and how many such workers there are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Identifiers of the bricks in the order of the graph, with [`Plan::SOURCE`] and [`Plan::SINK`] at its ends.
    pub bricks: Vec<String>,
    /// Workers that share the batches of this stage, each with bricks of its own.
    #[serde(default = "one")]
    pub replicas: usize,
}

/// A slot of a brick's state that goes to another replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotMove {
    /// Identifier of the brick.
    pub brick: String,
    /// The shard of its work, from 0, as in [`StageLoad::shards`](crate::StageLoad).
    pub shard: usize,
    /// The slot.
    pub slot: u16,
    /// The replica that gets it, from 0.
    pub to: u16,
}

const fn one() -> usize {
    1
}

/// Every brick of a graph in its place: stages in the order of the data's flow, with a bounded queue between each two.
///
/// As text stages stand between bars, and replicas behind an x: `source batching | extractor | mapping autoencoder x2
/// | decision sink`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The stages.
    pub stages: Vec<Stage>,
    /// Slots that go to other replicas, once the stages are in force. Without them slots move only where replicas come
    /// or go. Not part of the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<SlotMove>,
}

impl Plan {
    /// Stands for the source in the first stage.
    pub const SOURCE: &str = "source";
    /// Stands for the sink in the last stage.
    pub const SINK: &str = "sink";

    /// All bricks in one worker, with the source and the sink: run to completion.
    pub fn fused<'a>(bricks: impl IntoIterator<Item = &'a str>) -> Self {
        Self { stages: vec![Stage { bricks: Self::with_ends(bricks), replicas: 1 }], moves: Vec::new() }
    }

    /// A worker for each brick, for the source and for the sink.
    pub fn pipeline<'a>(bricks: impl IntoIterator<Item = &'a str>) -> Self {
        let stage = |id| Stage { bricks: vec![id], replicas: 1 };
        Self { stages: Self::with_ends(bricks).into_iter().map(stage).collect(), moves: Vec::new() }
    }

    /// Workers of all stages.
    pub fn workers(&self) -> usize {
        self.stages.iter().map(|stage| stage.replicas).fold(0, usize::saturating_add)
    }

    /// The stage that holds a brick.
    pub fn stage_of(&self, brick: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.bricks.iter().any(|id| id == brick))
    }

    fn with_ends<'a>(bricks: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let all = [Self::SOURCE].into_iter().chain(bricks).chain([Self::SINK]);
        all.map(str::to_owned).collect()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, stage) in self.stages.iter().enumerate() {
            let bar = if index == 0 { "" } else { " | " };
            write!(f, "{bar}{}", stage.bricks.join(" "))?;
            if stage.replicas != 1 {
                write!(f, " x{}", stage.replicas)?;
            }
        }
        Ok(())
    }
}

/// A text that is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected stages such as \"source batching | extractor | mapping autoencoder x2 | decision sink\", found {0}"
)]
pub struct PlanSyntax(String);

impl FromStr for Plan {
    type Err = PlanSyntax;

    fn from_str(text: &str) -> Result<Self, PlanSyntax> {
        let stages = text.split('|').map(stage).collect::<Result<_, _>>()?;
        Ok(Self { stages, moves: Vec::new() })
    }
}

fn stage(text: &str) -> Result<Stage, PlanSyntax> {
    let mut bricks: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let count = |word: &String| word.strip_prefix('x').and_then(|n| n.parse::<usize>().ok());
    let replicas = bricks.last().and_then(count);
    if replicas.is_some() {
        bricks.pop();
    }
    match replicas.unwrap_or(1) {
        _ if bricks.is_empty() => Err(PlanSyntax("a stage without a brick".into())),
        0 => Err(PlanSyntax(format!("x0 behind {}", bricks.join(" ")))),
        replicas => Ok(Stage { bricks, replicas }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read_as_they_are_written() {
        let text = "source a | b | c d x2 | e sink";
        let plan: Plan = text.parse().unwrap();
        assert_eq!((plan.to_string().as_str(), plan.workers()), (text, 5));
        assert_eq!(
            (plan.stage_of("d"), plan.stage_of("sink"), plan.stage_of("x2")),
            (Some(2), Some(3), None)
        );
        assert_eq!(Plan::fused(["a", "b"]).to_string(), "source a b sink");
        assert_eq!(Plan::pipeline(["a", "b"]).to_string(), "source | a | b | sink");
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for (text, words) in
            [("", "without a brick"), ("a | | b", "without a brick"), ("a | x2", "without"), ("a x0", "x0")]
        {
            let error = text.parse::<Plan>().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
