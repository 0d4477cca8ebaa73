//! When a training has learnt from enough packets.

use legonf_core::Schema;
use std::time::Duration;

/// Half-lives of the slowest statistic that a training should last: what a statistic is then has 98% of its final weight.
const HALF_LIVES: f64 = 6.0;
/// Half-lives of the slowest statistic below which a training is said to be short.
pub const LEAST_HALF_LIVES: f64 = 5.0;

/// How long is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Span {
    /// With the packets that the training's options ask for, and over six half-lives of the slowest statistic (600 s for the
    /// schemas that ship) from the first packet on, whichever takes longer. Where the captures have those packets and end before
    /// that time, with all that there is. Rows of a table have no time.
    #[default]
    Settled,
    /// With the packets that the training's options ask for.
    Packets,
    /// Over so much stream time from the first packet on.
    Time(Duration),
}

/// What a training needs: it ends with the first packet by which it has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Packets that train the ensemble.
    pub packets: u64,
    /// Stream time since the first packet.
    pub time: Duration,
    /// Whether the packets will do where the captures end before that time.
    pub lenient: bool,
}

impl Goal {
    /// That of a training with so many packets for the ensemble.
    pub fn new(span: Span, packets: u64, schema: &Schema) -> Self {
        match span {
            Span::Settled => Self { packets, time: schema.half_lives(HALF_LIVES), lenient: true },
            Span::Packets => Self { packets, time: Duration::ZERO, lenient: false },
            Span::Time(time) => Self { packets: 1, time, lenient: false },
        }
    }

    /// Whether the number of packets alone says when it is reached.
    pub fn is_of_packets(&self) -> bool {
        self.time.is_zero()
    }

    /// Whether so many packets have trained the ensemble, over so much time; rows of a table have none.
    pub fn is_reached(&self, packets: u64, elapsed: Option<Duration>) -> bool {
        packets >= self.packets && elapsed.is_none_or(|elapsed| elapsed >= self.time)
    }

    /// Whether captures that end now will do.
    pub fn allows_end(&self, packets: u64) -> bool {
        self.lenient && packets >= self.packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_reached_by_packets_and_time() {
        let schema = legonf_extract::schema_by_name(legonf_extract::DEFAULT_SCHEMA).unwrap();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let goal = Goal::new(Span::Settled, 100, &schema);
        assert!(goal.is_reached(100, seconds(600)) && goal.is_reached(100, None));
        assert!(!goal.is_reached(99, seconds(900)) && !goal.is_reached(900, seconds(599)));
        assert!(goal.allows_end(100) && !goal.allows_end(99));
        let packets = Goal::new(Span::Packets, 100, &schema);
        assert!(packets.is_of_packets() && packets.is_reached(100, seconds(0)) && !packets.allows_end(100));
        let time = Goal::new(Span::Time(Duration::from_secs(30)), 100, &schema);
        assert!(time.is_reached(1, seconds(30)) && !time.is_reached(900, seconds(29)));
    }
}
