//! How many agents a graph gets: pure policy over what agents say of themselves.
//!
//! The controller in the process of the graph gives a further replica to the agent with the most free cores, where an agent with C cores has room
//! for C bricks. So it asks for more by filling the agents up, and gives back by taking replicas away. Here one free place is kept: without it the
//! controller's next replica would find none. Processor time says nothing of that, since what an agent can measure is the load of its whole node.

/// An agent, as it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agent {
    /// Cores that it may use.
    pub cores: f64,
    /// Bricks that it hosts.
    pub bricks: u32,
}

impl Agent {
    /// Bricks that it has room for.
    fn free(&self) -> u32 {
        (self.cores.max(0.0) as u32).saturating_sub(self.bricks)
    }
}

/// After how many looks in a row something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Looks without a free place, before an agent is added.
    pub up: u32,
    /// Looks with one agent too many, before it is taken away.
    pub down: u32,
}

/// What was seen of a graph so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scaler {
    full: u32,
    idle: u32,
}

impl Scaler {
    /// How many agents there are to be after a look at all of them, in the order of their ordinals; between `min` and `max`.
    ///
    /// `agents` is nothing where one of those that are wanted does not answer: then nothing is said, and counting begins anew.
    pub fn look(
        &mut self,
        wanted: u32,
        (min, max): (u32, u32),
        agents: Option<&[Agent]>,
        patience: Patience,
    ) -> u32 {
        let within = wanted.clamp(min, max);
        let Some((last, others)) = agents.and_then(<[Agent]>::split_last).filter(|_| within == wanted) else {
            *self = Self::default();
            return within;
        };
        let free: u32 = others.iter().map(Agent::free).sum();
        self.full = if free + last.free() == 0 && wanted < max { self.full + 1 } else { 0 };
        // What the last one hosts goes to the others, which still have a place left then.
        self.idle = if wanted > min && free > last.bricks { self.idle + 1 } else { 0 };
        let change =
            i64::from(self.full >= patience.up.max(1)) - i64::from(self.idle >= patience.down.max(1));
        if change != 0 {
            *self = Self::default();
        }
        wanted.saturating_add_signed(change as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { up: 2, down: 3 };

    /// What is wanted after each look at agents with two cores and so many bricks each; none where they do not answer.
    fn wanted(looks: &[Option<&[u32]>]) -> Vec<u32> {
        let mut scaler = Scaler::default();
        let mut wanted = looks[0].map_or(1, |bricks| bricks.len() as u32);
        let look = |bricks: &Option<&[u32]>| {
            let agents: Option<Vec<_>> =
                bricks.map(|bricks| bricks.iter().map(|&bricks| Agent { cores: 2.0, bricks }).collect());
            wanted = scaler.look(wanted, (1, 3), agents.as_deref(), PATIENCE);
            wanted
        };
        looks.iter().map(look).collect()
    }

    fn again(bricks: &[u32], looks: usize) -> Vec<Option<&[u32]>> {
        vec![Some(bricks); looks]
    }

    #[test]
    fn one_is_added_when_all_are_full_for_long_enough() {
        assert_eq!(wanted(&[Some(&[2]), Some(&[2]), Some(&[2, 0])]), [1, 2, 2]);
        assert_eq!(wanted(&[Some(&[2]), Some(&[1]), Some(&[2]), Some(&[2])]), [1, 1, 1, 2]);
        assert_eq!(wanted(&[Some(&[2]), None, Some(&[2])]), [1, 1, 1]);
        assert_eq!(wanted(&[Some(&[2, 2, 2]), Some(&[2, 2, 2]), Some(&[2, 2, 9])]), [3, 3, 3]);
    }

    #[test]
    fn the_last_one_goes_when_the_others_have_room_and_one_place_more() {
        assert_eq!(wanted(&again(&[1, 0], 3)), [2, 2, 1]);
        assert_eq!(wanted(&again(&[0, 1], 3)), [2, 2, 1]);
        assert_eq!(wanted(&again(&[1, 1], 4)), [2; 4]);
        assert_eq!(wanted(&again(&[2, 0], 4)), [2; 4]);
        assert_eq!(wanted(&again(&[0], 4)), [1; 4]);
        assert_eq!(wanted(&[Some(&[1, 0]), Some(&[1, 0]), None, Some(&[1, 0])]), [2; 4]);
    }

    #[test]
    fn bounds_that_change_hold_at_once() {
        let mut scaler = Scaler { full: 1, idle: 1 };
        assert_eq!(scaler.look(9, (1, 3), None, PATIENCE), 3);
        assert_eq!(scaler.look(0, (1, 3), Some(&[]), PATIENCE), 1);
        assert_eq!(scaler, Scaler::default());
    }
}
