//! The end of the input for flows that are still open.

use crate::graph::{Graph, Node};
use crate::operator::interface::{add, west_east};
use crate::operator::{panicked, whole};
use crate::{Outcome, RunFault};
use legonf_core::{BATCH, Batch, BrickError, SLOTS, Sink, guarded};

impl Graph {
    /// Ends the flows that a brick still keeps, as at the end of the input, and gives all their rows at once, in order: of a graph
    /// that has no bricks behind that one. A batch without rows where no brick keeps flows.
    ///
    /// # Errors
    /// If the brick cannot.
    pub fn end_flows(&mut self) -> Result<Batch, BrickError> {
        let (mut batch, flows) = (Batch::new(self.layout()), self.declared().flows);
        if let Some(keeper) = self.keeper() {
            let slots: Vec<_> = (0..SLOTS as u16).collect();
            west_east(&mut *self.nodes_mut()[keeper].brick)?.end(0, &slots, &mut batch)?;
        }
        batch.sort_flows(flows, &mut Batch::default(), &mut Vec::new());
        Ok(batch)
    }

    /// The place of the brick that keeps flows.
    fn keeper(&mut self) -> Option<usize> {
        self.nodes_mut().iter_mut().position(|node| {
            node.brick.west_east().is_some_and(|west_east| west_east.division().is_of_flows())
        })
    }
}

/// Ends the flows that are open behind a run, as at the end of the input: their rows pass the bricks behind the one that kept them,
/// and go to the sink in batches without packets. A graph without such a brick, and one whose run ended by a fault, is left as it is.
///
/// All state is in one instance of each brick by then, and flows go slot by slot. So the layout does not show, and about as many rows are in
/// memory as a batch has packets, or a slot flows. Counters of the outcome, and its fault, are brought up to date.
pub fn end_flows(graph: &mut Graph, sink: &mut dyn Sink, outcome: &mut Outcome) {
    let Some(keeper) = graph.keeper().filter(|_| outcome.fault.is_none()) else { return };
    let before: Vec<_> = graph.nodes().iter().map(|node| node.brick.counters()).collect();
    outcome.fault = end(graph, keeper, sink).err();
    for ((node, before), counted) in graph.nodes().iter().zip(before).zip(&mut outcome.counters) {
        let was = |name| before.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value);
        let more: Vec<_> =
            node.brick.counters().iter().map(|(name, now)| (*name, now - was(*name))).collect();
        add(&mut counted.counters, &more);
    }
}

fn end(graph: &mut Graph, keeper: usize, sink: &mut dyn Sink) -> Result<(), RunFault> {
    let declared = graph.declared();
    let (mut batch, mut scratch, mut order) =
        (Batch::new(&declared.layout), Batch::new(&declared.layout), Vec::new());
    for slot in 0..SLOTS {
        attempt(&mut graph.nodes_mut()[keeper], |node| {
            west_east(&mut *node.brick)?.end(0, &[slot as u16], &mut batch)
        })?;
        if batch.flows.is_empty() || batch.flows.len() < BATCH && slot + 1 < SLOTS {
            continue;
        }
        batch.sort_flows(declared.flows, &mut scratch, &mut order);
        for (index, node) in graph.nodes_mut().iter_mut().enumerate().skip(keeper + 1) {
            let uses = declared.uses[index].reads.union(declared.uses[index].writes);
            if !uses.intersection(declared.flows).is_empty() {
                attempt(node, |node| whole::process(&mut *node.brick, index, &declared, &mut batch, 0))?;
            }
        }
        sink.write(&batch).map_err(RunFault::Sink)?;
        batch.clear();
    }
    Ok(())
}

fn attempt(node: &mut Node, work: impl FnOnce(&mut Node) -> Result<(), BrickError>) -> Result<(), RunFault> {
    match guarded(|| work(node)) {
        Ok(done) => Ok(done?),
        Err(message) => Err(panicked(&node.id, message)),
    }
}
