//! What was decided, and why: the lines of the event log.

use legonf_core::{HostLoad, Plan, WorkerLoad, count};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the controller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Gives a stage another worker.
    Replicate,
    /// Takes one away.
    Merge,
    /// Puts neighbouring stages into one worker.
    Fuse,
    /// Divides a stage among two workers.
    Unfuse,
    /// Moves hot slots between the replicas of a stage.
    Rebalance,
    /// Lets another layout have a turn, goes back, or keeps the one that carries more.
    Arrange,
    /// Gives a stage a worker in place of one that is stuck.
    Replace,
    /// Would do something, but must not.
    Refuse,
}

/// The figures behind a decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Part of the time that the busiest worker of the stage wanted to compute.
    pub load: f64,
    /// Batches before the stage.
    pub queue: usize,
    /// Milliseconds that a batch waited for the worker of the stage for which it waited longest, on average.
    #[serde(default)]
    pub waiting_ms: f64,
    /// Milliseconds that this one computed for a batch, on average.
    #[serde(default)]
    pub computing_ms: f64,
    /// Packets a second through the stage.
    pub rate: f64,
    /// Nanoseconds of processor time a packet that its bricks cost, as far as is known by now.
    #[serde(default)]
    pub ns: f64,
    /// Packets of the replica that gets most, as a multiple of an even share; 0 where nothing is shared out by slots.
    #[serde(default)]
    pub imbalance: f64,
    /// Workers of the stage.
    pub replicas: usize,
    /// Ticks in a row for which this was so.
    pub ticks: u32,
    /// Cores that the graph does not use.
    pub free_cores: f64,
    /// Packets a second that were lost for want of capacity.
    #[serde(default)]
    pub dropped: f64,
    /// What each worker of the stage did in the last tick.
    #[serde(default)]
    pub each: Vec<WorkerLoad>,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What is done.
    pub action: Action,
    /// Bricks of the stage.
    pub bricks: Vec<String>,
    /// Why, in words.
    pub reason: String,
    /// Why, in figures.
    pub figures: Figures,
    /// The plan that follows; none where the one in force stays.
    pub plan: Option<Plan>,
}

/// A line of the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The run begins.
    Start {
        /// Seconds since the run began.
        at: f64,
        /// The plan in force.
        plan: Plan,
        /// The host.
        host: HostLoad,
    },
    /// The controller decided.
    Decision {
        /// Seconds since the run began.
        at: f64,
        /// What, and why.
        #[serde(flatten)]
        decision: Decision,
    },
    /// Somebody has asked for a change.
    Order {
        /// Seconds since the run began.
        at: f64,
        /// The change, in words.
        change: String,
        /// The plan that follows.
        plan: Plan,
    },
    /// A plan is in force, or was refused by the runtime.
    Applied {
        /// Seconds since the run began.
        at: f64,
        /// The plan.
        plan: Plan,
        /// Milliseconds that it took.
        took_ms: f64,
        /// Why it is not in force, if so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// A promise was not kept in some ticks in a row.
    Violation {
        /// Seconds since the run began.
        at: f64,
        /// What was promised, such as `rate` or `latency`.
        promise: String,
        /// What was promised.
        promised: f64,
        /// What was measured.
        measured: f64,
    },
    /// What the bricks cost is no longer what the log said last.
    Costs {
        /// Seconds since the run began.
        at: f64,
        /// Nanoseconds of processor time a packet, by brick.
        ns: BTreeMap<String, f64>,
    },
    /// A model came into force.
    Swap {
        /// Seconds since the run began, when it was seen.
        at: f64,
        /// Number of the first packet that it judges.
        seq: u64,
        /// Name of its file.
        model: String,
        /// Its name in the graph, where that names models.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A threshold came into force.
    Threshold {
        /// Seconds since the run began, when it was seen.
        at: f64,
        /// Number of the first packet that is judged by it.
        seq: u64,
        /// Scores above it are anomalous.
        threshold: f64,
    },
    /// Whom alerts are told of has changed.
    Suppression {
        /// Seconds since the run began.
        at: f64,
        /// Number of the first packet for which it holds.
        seq: u64,
        /// The change, in words.
        change: String,
    },
    /// The controller decides by another policy.
    Policy {
        /// Seconds since the run began.
        at: f64,
        /// The policy (TOML).
        policy: String,
    },
    /// The run is over.
    End {
        /// Seconds since the run began.
        at: f64,
        /// Packets whose results the sink took.
        packets: u64,
        /// Ticks in which each promise was not kept; those that were always kept are left out.
        #[serde(default)]
        violations: BTreeMap<String, u64>,
    },
}

impl Event {
    /// Seconds since the run began.
    pub fn at(&self) -> f64 {
        match self {
            Self::Start { at, .. }
            | Self::Decision { at, .. }
            | Self::Order { at, .. }
            | Self::Applied { at, .. }
            | Self::Violation { at, .. }
            | Self::Costs { at, .. }
            | Self::Swap { at, .. }
            | Self::Threshold { at, .. }
            | Self::Suppression { at, .. }
            | Self::Policy { at, .. }
            | Self::End { at, .. } => *at,
        }
    }

    /// The event as a line of JSON.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self)
            .unwrap_or_else(|error| format!("{{\"event\":\"error\",\"reason\":\"{error}\"}}"))
    }

    /// Reads a line of an event log.
    ///
    /// # Errors
    /// If it is none, with what was expected.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// The event in one line for people.
    pub fn text(&self) -> String {
        let rest = match self {
            Self::Start { plan, host, .. } => format!("start      {plan} ({:.1} cores)", host.cores),
            Self::Decision { decision, .. } => decision.text(),
            Self::Order { change, plan, .. } => format!("order      {change}: {plan}"),
            Self::Applied { plan, took_ms, refused: None, .. } => {
                format!("in force   {plan} (after {took_ms:.2} ms)")
            }
            Self::Applied { plan, refused: Some(why), .. } => format!("refused    {plan}: {why}"),
            Self::Violation { promise, promised, measured, .. } => {
                format!("violation  {promise}: {measured:.1}, promised {promised:.1}")
            }
            Self::Costs { ns, .. } => format!("costs      {} ns a packet", list(ns, |ns| format!("{ns:.1}"))),
            Self::Swap { seq, model, .. } => format!("model      {model} from packet {seq} on"),
            Self::Threshold { seq, threshold, .. } => {
                format!("threshold  {threshold} from packet {seq} on")
            }
            Self::Suppression { seq, change, .. } => format!("suppress   {change}, from packet {seq} on"),
            Self::Policy { policy, .. } => {
                format!("policy     {}", policy.lines().collect::<Vec<_>>().join("; "))
            }
            Self::End { packets, violations, .. } if violations.is_empty() => {
                format!("end        {}, no violation", count(*packets, "packet"))
            }
            Self::End { packets, violations, .. } => {
                format!(
                    "end        {}, ticks of violation: {}",
                    count(*packets, "packet"),
                    list(violations, u64::to_string)
                )
            }
        };
        format!("{:9.3} s  {rest}", self.at())
    }
}

fn list<V>(values: &BTreeMap<String, V>, show: impl Fn(&V) -> String) -> String {
    values.iter().map(|(name, value)| format!("{name} {}", show(value))).collect::<Vec<_>>().join(", ")
}

impl Decision {
    fn text(&self) -> String {
        let figures = &self.figures;
        let dropped = if figures.dropped > 0.0 {
            format!(", {:.0} packets/s dropped", figures.dropped)
        } else {
            String::new()
        };
        format!(
            "{:<10} {}: {} (load {:.2}, queue {}, a batch waits {:.2} ms and computes {:.2} ms, {:.0} packets/s{dropped}, {:.0} ns a packet, {} workers, {:.2} cores free, {} ticks)",
            self.action.label(),
            self.bricks.join(" "),
            self.reason,
            figures.load,
            figures.queue,
            figures.waiting_ms,
            figures.computing_ms,
            figures.rate,
            figures.ns,
            figures.replicas,
            figures.free_cores,
            figures.ticks
        )
    }
}

impl Action {
    /// The word written to the log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Replicate => "replicate",
            Self::Merge => "merge",
            Self::Fuse => "fuse",
            Self::Unfuse => "unfuse",
            Self::Rebalance => "rebalance",
            Self::Arrange => "arrange",
            Self::Replace => "replace",
            Self::Refuse => "refuse",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_are_written() {
        let plan: Plan = "source a | b x2 sink".parse().unwrap_or_default();
        let figures = Figures {
            load: 0.99,
            queue: 7,
            waiting_ms: 3.5,
            computing_ms: 0.5,
            rate: 1e6,
            ns: 450.0,
            imbalance: 1.5,
            replicas: 1,
            ticks: 2,
            free_cores: 1.25,
            dropped: 50.0,
            each: vec![WorkerLoad { name: "g/b#3".into(), received: 256, ..WorkerLoad::default() }],
        };
        let bricks = vec!["b".to_owned()];
        let decision = Decision {
            action: Action::Replicate,
            bricks,
            reason: "overloaded".into(),
            figures,
            plan: Some(plan.clone()),
        };
        for event in [
            Event::Start { at: 0.0, plan: plan.clone(), host: HostLoad::default() },
            Event::Decision { at: 0.5, decision },
            Event::Order { at: 0.5, change: "scale b to 2".into(), plan: plan.clone() },
            Event::Applied { at: 0.6, plan: plan.clone(), took_ms: 1.5, refused: None },
            Event::Applied { at: 0.6, plan, took_ms: 1.5, refused: Some("no".into()) },
            Event::Violation { at: 1.0, promise: "rate".into(), promised: 2.0, measured: 1.0 },
            Event::Costs { at: 1.5, ns: BTreeMap::from([("b".to_owned(), 451.5)]) },
            Event::End { at: 2.0, packets: 7, violations: BTreeMap::from([("rate".to_owned(), 3)]) },
            Event::End { at: 2.0, packets: 7, violations: BTreeMap::new() },
        ] {
            assert_eq!(Event::from_line(&event.to_line()).unwrap(), event);
            assert_eq!(event.text().lines().count(), 1);
        }
        assert!(Event::from_line("{}").is_err());
    }
}
