//! Keeping a table within its bounds.
//!
//! When streams, links or the log have reached their bound, an eighth of the streams goes (those of the least
//! damped weight, so first those that never sent), or of the links (those least recently used). Then all that
//! remains is brought up to date and the log starts anew. The events to be redone for that are limited to
//! [`REDONE`] for each logged one, the latest users of the table first; what is then not up to date goes, too.
//! So a packet's average cost is bounded, and without evictions every bit stays that of the reference.

use super::link::reset;
use super::stream::{NONE, Stream};
use super::{Linked, log};
use crate::py100::arithmetic::Calculator;
use crate::py100::sums::{all_but_lowest, retain};

/// Events redone at a sweep for each event in the log.
const REDONE: usize = 1024;

/// What stays.
struct Keep {
    streams: Vec<bool>,
    links: Vec<bool>,
}

impl Linked {
    /// Evicts what must go, brings the rest up to date and empties the log.
    #[cold]
    pub(super) fn sweep(&mut self, calculator: &mut Calculator) {
        let mut keep = self.choose();
        self.settle_streams(&mut keep, calculator);
        for (link, keep_link) in self.links.iter().zip(&mut keep.links) {
            *keep_link &= link.ends.iter().all(|&end| keep.streams[end as usize]);
        }
        self.settle_links(&mut keep, calculator);
        self.evicted_streams += keep.streams.iter().filter(|k| !**k).count() as u64;
        self.evicted_links += keep.links.iter().filter(|k| !**k).count() as u64;
        self.compact(&keep);
        self.log.clear();
        self.relist();
    }

    fn choose(&self) -> Keep {
        let mut keep = Keep { streams: vec![true; self.streams.len()], links: vec![true; self.links.len()] };
        if self.streams.len() + 2 > self.bounds.streams {
            keep.streams = all_but_lowest(self.streams.len(), |i| self.rank(i));
        }
        if self.links.len() >= self.bounds.links {
            keep.links = all_but_lowest(self.links.len(), |i| self.links[i].touched);
        }
        keep
    }

    /// Rank by damped weight, first whether there is any.
    fn rank(&self, id: usize) -> (bool, i64) {
        let stream = &self.streams[id];
        match self.states.get(stream.state as usize) {
            Some(state) => (true, state.sums.rank(stream.time)),
            None => (false, 0),
        }
    }

    fn settle_streams(&mut self, keep: &mut Keep, calculator: &mut Calculator) {
        let mut order: Vec<u32> =
            (0..self.streams.len() as u32).filter(|&id| keep.streams[id as usize]).collect();
        order.sort_by_key(|&id| (std::cmp::Reverse(self.streams[id as usize].head), id));
        let mut left = REDONE * self.log.len() as usize;
        for id in order {
            self.leave(id);
            if self.streams[id as usize].state == NONE {
                self.streams[id as usize].time = self.time_of_silent(id);
            } else if self.gather(id, left) {
                left -= self.pending.len();
                self.damp(id, calculator);
            } else {
                keep.streams[id as usize] = false;
            }
        }
    }

    fn settle_links(&mut self, keep: &mut Keep, calculator: &mut Calculator) {
        let mut order: Vec<u32> =
            (0..self.links.len() as u32).filter(|&id| keep.links[id as usize]).collect();
        order.sort_by_key(|&id| (std::cmp::Reverse(self.links[id as usize].touched), id));
        let mut left = REDONE * self.log.len() as usize;
        for id in order {
            if self.links[id as usize].is_loop() {
                continue;
            }
            if self.redo(id, left, calculator) {
                left -= self.pending.len();
            } else {
                // To find that there are too many is work, too.
                left -= self.pending.len() / 8;
                keep.links[id as usize] = false;
            }
        }
    }

    /// Removes what goes and renumbers the rest.
    fn compact(&mut self, keep: &Keep) {
        self.names.retain(&keep.streams);
        let mut kept = 0;
        let numbers: Vec<u32> = keep.streams.iter().map(|&k| (kept, kept += u32::from(k)).0).collect();
        let mut states = Vec::with_capacity(self.states.len());
        retain(&mut self.streams, &keep.streams);
        for stream in &mut self.streams {
            if let Some(&state) = self.states.get(stream.state as usize) {
                stream.state = states.len() as u32;
                states.push(state);
            }
        }
        self.states = states;
        let mut link_states = Vec::with_capacity(self.link_states.len());
        retain(&mut self.links, &keep.links);
        for link in &mut self.links {
            link.ends = link.ends.map(|end| numbers[end as usize]);
            if let Some(&state) = self.link_states.get(link.state as usize) {
                link.state = link_states.len() as u32;
                link_states.push(state);
            }
        }
        self.link_states = link_states;
        self.index.rebuild(&self.links);
    }

    /// Makes the lists of all streams anew: everyone has heard everything.
    fn relist(&mut self) {
        for (id, stream) in (0..).zip(&mut self.streams) {
            let Stream { time, state, lively, .. } = *stream;
            *stream = Stream { time, state, lively, far: !self.near.covers(id), ..Stream::new(0.0) };
            debug_assert_eq!(stream.head, log::NONE);
        }
        self.near.clear();
        for id in 0..self.links.len() as u32 {
            reset(&mut self.links[id as usize]);
            self.join(id);
            self.rejoin(self.links[id as usize].ends);
        }
        for id in 0..self.links.len() as u32 {
            let link = self.links[id as usize];
            for side in (0..2).filter(|_| !link.is_loop()) {
                let stream = &self.streams[link.ends[side] as usize];
                if stream.far && stream.state != NONE {
                    self.listen(id, side);
                }
            }
        }
    }

    /// Notes that two streams are linked, before anyone is told by lists.
    fn rejoin(&mut self, ends: [u32; 2]) {
        if ends[0] == ends[1] {
            return;
        }
        if self.near.covers(ends[0].max(ends[1])) {
            self.near.join(ends);
        } else {
            ends.iter().for_each(|&end| self.streams[end as usize].far = true);
        }
    }
}
