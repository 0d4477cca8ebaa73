//! One split of the traffic, compared with the single instance packet by packet.

use super::{Options, Pairs};
use crate::{Cluster, ExperimentError, Make, Scorer, Setup};
use legonf_core::{Field, Headers, Key};
use legonf_models::kitnet::KitNet;
use legonf_splitter::Projector;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// A split and what it does to the scores.
pub(super) struct Split {
    pub(super) name: &'static str,
    pub(super) paper: Option<f64>,
    /// Whether every score must be the single instance's.
    pub(super) exact: bool,
    pub(super) cluster: Cluster,
    pub(super) tally: Tally,
    /// Slots whose state went from one replica to another.
    pub(super) moved: u64,
    scorer: Scorer,
    counting: Option<Counting>,
}

/// How a split's scores compare with the single instance's.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Scores so far.
    pub(super) scored: u64,
    /// Scores that are counted in the sums: finite, and not skipped.
    pub(super) counted: u64,
    pub(super) sum: f64,
    pub(super) sum_of_deviations: f64,
    pub(super) worst: f64,
    /// Scores with other bits.
    pub(super) differing: u64,
    /// The first of them: packet, score, and the single instance's.
    pub(super) first: Option<(u64, f64, f64)>,
    pub(super) alerts: u64,
    pub(super) lost: u64,
    pub(super) gained: u64,
}

struct Counting {
    pair: Projector,
    /// Pairs of the packets whose scores are to come, and whether a copy would have to be sent.
    waiting: VecDeque<(u64, bool)>,
    pairs: Pairs,
}

impl Split {
    pub(super) fn new(setup: &Setup<'_>, network: Arc<KitNet>) -> Result<Self, ExperimentError> {
        let (cluster, scorer) = (Cluster::new(setup)?, Scorer::new(network));
        Ok(Self {
            name: "",
            paper: None,
            exact: false,
            cluster,
            tally: Tally::default(),
            moved: 0,
            scorer,
            counting: None,
        })
    }

    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(super) fn beside(self, paper: f64) -> Self {
        Self { paper: Some(paper), ..self }
    }

    pub(super) fn must_not_deviate(self) -> Self {
        Self { exact: true, ..self }
    }

    pub(super) fn counting_pairs(self, seed: u64) -> Self {
        let counting = Counting { pair: pair(seed), waiting: VecDeque::new(), pairs: Pairs::default() };
        Self { counting: Some(counting), ..self }
    }

    pub(super) fn copying(self, pairs: &HashSet<u64>, seed: u64) -> Self {
        Self { cluster: self.cluster.copying(pair(seed), pairs), ..self }
    }

    pub(super) fn pairs(&self) -> Option<&Pairs> {
        self.counting.as_ref().map(|counting| &counting.pairs)
    }

    pub(super) fn push(&mut self, packets: &[Headers], single: &[f64], options: &Options) {
        if let Some(counting) = &mut self.counting {
            let of = |h: &Headers| (counting.pair.hash(h), self.cluster.divides(h));
            counting.waiting.extend(packets.iter().map(of));
        }
        let Self { cluster, scorer, tally, counting, .. } = self;
        cluster.push(packets, &mut |_, row| {
            scorer.push(row, |score| compare(tally, counting.as_mut(), score, single, options));
        });
    }

    /// Places slots by measured load.
    pub(super) fn place_by_load(
        &mut self,
        make: Make<'_>,
        single: &[f64],
        options: &Options,
    ) -> Result<(), ExperimentError> {
        let Self { cluster, scorer, tally, counting, moved, .. } = self;
        *moved += cluster.place_by_load(make, &mut |_, row| {
            scorer.push(row, |score| compare(tally, counting.as_mut(), score, single, options));
        })? as u64;
        Ok(())
    }

    pub(super) fn flush(&mut self, single: &[f64], options: &Options) {
        let Self { cluster, scorer, tally, counting, .. } = self;
        cluster.flush(&mut |_, row| {
            scorer.push(row, |score| compare(tally, counting.as_mut(), score, single, options));
        });
        scorer.flush(|score| compare(tally, counting.as_mut(), score, single, options));
    }
}

/// The unordered pair of hosts.
fn pair(seed: u64) -> Projector {
    Projector::new(&Key::new(&[Field::SrcIp, Field::DstIp], true).expect("two distinct fields"), seed)
}

fn compare(
    tally: &mut Tally,
    counting: Option<&mut Counting>,
    score: f64,
    single: &[f64],
    options: &Options,
) {
    let (seq, expected) = (tally.scored, single[tally.scored as usize]);
    let deviation = tally.add(score, expected, options);
    if let Some(counting) = counting
        && let Some((pair, copied)) = counting.waiting.pop_front()
    {
        counting.pairs.add(pair, copied, if seq < options.skip { 0.0 } else { deviation });
    }
}

impl Tally {
    /// Counts the next packet's score, and returns how far it is from the single instance's.
    fn add(&mut self, score: f64, expected: f64, options: &Options) -> f64 {
        let seq = self.scored;
        self.scored += 1;
        if score.to_bits() != expected.to_bits() {
            self.differing += 1;
            self.first.get_or_insert((seq, score, expected));
        }
        let above = |score: f64| options.threshold.is_some_and(|threshold| score > threshold);
        self.alerts += u64::from(above(score));
        self.lost += u64::from(above(expected) && !above(score));
        self.gained += u64::from(above(score) && !above(expected));
        let deviation = (score - expected).abs();
        if seq < options.skip || !score.is_finite() || !deviation.is_finite() {
            return 0.0;
        }
        self.counted += 1;
        self.sum += score;
        self.sum_of_deviations += deviation;
        self.worst = self.worst.max(deviation);
        deviation
    }
}
