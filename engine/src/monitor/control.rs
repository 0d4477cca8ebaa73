//! The control of a run that others see: snapshots go to them, and changes that they ask for are plans.

use super::{Change, Done, Monitor, Refusal, Waiting};
use crate::agent::{Agent, Host};
use legonf_controller::{ControllerError, Event};
use legonf_core::{Pace, Plan, Snapshot};
use legonf_runtime::{Control, PlanError};
use std::sync::Arc;
use std::time::Duration;

/// Time between two snapshots where no controller asks for them.
const PERIOD: Duration = Duration::from_millis(100);

/// Puts a controller, if there is one, and those who watch before a run.
pub(crate) struct Monitored<'a> {
    agent: Option<&'a mut Agent>,
    watched: Option<Watched>,
}

/// What is shown, and to whom.
struct Watched {
    monitor: Arc<Monitor>,
    host: Host,
    at: f64,
    /// Events of the controller that were shown.
    shown: usize,
    /// The change that is being put in force.
    current: Option<Waiting>,
}

impl<'a> Monitored<'a> {
    /// A run under a controller, seen through a monitor, or both.
    pub fn new(agent: Option<&'a mut Agent>, monitor: Option<&Arc<Monitor>>) -> Self {
        if let Some((agent, monitor)) = agent.as_ref().zip(monitor) {
            monitor.set_policy(&agent.policy_text());
        }
        let watched = |monitor: &Arc<Monitor>| Watched {
            monitor: monitor.clone(),
            host: Host::begin(),
            at: 0.0,
            shown: 0,
            current: None,
        };
        Self { agent, watched: monitor.map(watched) }
    }

    /// The control, where one is needed.
    pub fn control(&mut self) -> Option<&mut dyn Control> {
        (self.agent.is_some() || self.watched.is_some()).then_some(self)
    }
}

impl Watched {
    /// Looks at changes that wait, up to one that leads to another plan.
    fn change(&mut self, mut agent: Option<&mut Agent>, snapshot: &Snapshot) -> Option<(Plan, String)> {
        let monitor = self.monitor.clone();
        while let Some(Waiting { change, answer }) = monitor.next_waiting() {
            match change.plan(monitor.facts(), snapshot) {
                Err(refusal) => answer(Err(refusal)),
                Ok(plan) if change.is_for_the_controller() => {
                    answer(self.order(agent.as_deref_mut(), &change, plan));
                }
                Ok(plan) if plan.stages == snapshot.plan.stages && plan.moves.is_empty() => {
                    answer(Ok(Done { plan, took: Duration::ZERO }));
                }
                Ok(plan) => {
                    let told = change.to_string();
                    self.current = Some(Waiting { change, answer });
                    return Some((plan, told));
                }
            }
        }
        None
    }

    /// Changes what the controller goes by.
    fn order(&self, agent: Option<&mut Agent>, change: &Change, plan: Plan) -> Result<Done, Refusal> {
        let Some(agent) = agent else {
            return Err(Refusal::Impossible("this run has no controller, so the layout stays".into()));
        };
        let (at, impossible) = (self.at, |error: ControllerError| Refusal::Impossible(error.to_string()));
        let ordered = Event::Order { at, change: change.to_string(), plan: plan.clone() };
        let event = match change {
            Change::Pause { is_paused } => {
                agent.pause(*is_paused);
                self.monitor.pause(*is_paused);
                ordered
            }
            Change::Pin { brick, is_pinned } => {
                agent.pin(brick, *is_pinned).map_err(impossible)?;
                ordered
            }
            Change::Policy { policy } => {
                let config = crate::steering::policy(policy).map_err(impossible)?;
                agent.set_policy(config).map_err(impossible)?;
                Event::Policy { at, policy: agent.policy_text() }
            }
            Change::Scale { .. } | Change::Drain { .. } | Change::Move { .. } => ordered,
        };
        agent.note(event);
        self.monitor.set_policy(&agent.policy_text());
        Ok(Done { plan, took: Duration::ZERO })
    }

    /// Shows what the controller has logged since the last time.
    fn show_events(&mut self, agent: &Agent) {
        let events = agent.events();
        events[self.shown..].iter().for_each(|event| self.monitor.log(event.clone()));
        self.shown = events.len();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(Waiting { answer, .. }) = self.current.take() {
            answer(Err(Refusal::Over));
        }
        self.monitor.end();
    }
}

impl Control for Monitored<'_> {
    fn period(&self) -> Duration {
        self.agent.as_ref().map_or(PERIOD, |agent| agent.period())
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        let mut plan = self.agent.as_mut().and_then(|agent| agent.tick(snapshot));
        let Some(watched) = &mut self.watched else { return plan };
        if self.agent.is_none() {
            snapshot.host = watched.host.sample();
            if watched.at == 0.0 {
                let (at, plan, host) = (0.0, snapshot.plan.clone(), snapshot.host.clone());
                watched.monitor.log(Event::Start { at, plan, host });
            }
        }
        watched.at = snapshot.at;
        watched.monitor.show(snapshot);
        let mut events = Vec::new();
        // What the controller compares is let be until it is done.
        let compares = self.agent.as_ref().is_some_and(|agent| agent.held().is_some());
        if plan.is_none()
            && !compares
            && let Some((wanted, change)) = watched.change(self.agent.as_deref_mut(), snapshot)
        {
            events.push(Event::Order { at: snapshot.at, change, plan: wanted.clone() });
            plan = Some(wanted);
        }
        events.extend(watched.monitor.renewed(snapshot.at, self.agent.is_none()));
        for event in events {
            match &mut self.agent {
                Some(agent) => agent.note(event),
                None => watched.monitor.log(event),
            }
        }
        if let Some(agent) = &self.agent {
            watched.show_events(agent);
        }
        plan
    }

    fn pace(&self) -> Pace {
        self.agent.as_ref().map(|agent| agent.pace()).unwrap_or_default()
    }

    fn applied(&mut self, plan: &Plan, took: Duration, result: Result<(), &PlanError>) {
        if let Some(agent) = &mut self.agent {
            agent.applied(plan, took, result);
        }
        let Some(watched) = &mut self.watched else { return };
        let refused = result.err().map(ToString::to_string);
        match &self.agent {
            Some(agent) => watched.show_events(agent),
            None => {
                let (at, took_ms) = (watched.at + took.as_secs_f64(), took.as_secs_f64() * 1e3);
                let plan = plan.clone();
                watched.monitor.log(Event::Applied { at, plan, took_ms, refused: refused.clone() });
            }
        }
        if let Some(Waiting { answer, .. }) = watched.current.take() {
            answer(match refused {
                None => Ok(Done { plan: plan.clone(), took }),
                Some(reason) => Err(Refusal::NotApplied(reason)),
            });
        }
    }
}
