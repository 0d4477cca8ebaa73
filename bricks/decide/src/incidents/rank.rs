//! The incidents of most weight.

use legonf_core::{Activity, Incident};
use std::cmp::Reverse;

/// Incidents that are kept, at most.
const MOST: usize = 4096;

/// Incidents in bounded memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    incidents: Vec<Incident>,
    left_out: u64,
}

/// What is told of first: a scan or a flood, then a high severity, then many packets, then what began first.
fn order(incident: &Incident) -> impl Ord + use<> {
    let other = incident.activity == Activity::Other;
    (other, Reverse(incident.severity), Reverse(incident.packets), incident.first_seq)
}

impl Kept {
    pub fn add(&mut self, incident: Incident) {
        self.incidents.push(incident);
        if self.incidents.len() >= 2 * MOST {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        self.incidents.sort_by_cached_key(order);
        self.left_out += self.incidents.len().saturating_sub(MOST) as u64;
        self.incidents.truncate(MOST);
    }

    pub fn left_out(&self) -> u64 {
        self.left_out + self.incidents.len().saturating_sub(MOST) as u64
    }

    /// The most weight first.
    pub fn ranked(&self) -> Vec<Incident> {
        let mut ranked = self.clone();
        ranked.shorten();
        ranked.incidents
    }
}
