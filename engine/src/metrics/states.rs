//! Transitions and the states that they enter: the hottest of all, so every handle has a place of its own.

use std::time::Instant;

use ::metrics::{Counter, Histogram};
use asl::definition::WorkflowType;
use asl::history::{EventKind, HistoryEvent};
use asl::program::StateType;

use super::catalogue::{executions as catalogue, messages};
use super::executions::{TYPES, place, type_name};
use super::on;
use super::registry::Registry;

/// The types of states, in the order of their handles.
const STATES: [StateType; 8] = [
    StateType::Pass,
    StateType::Task,
    StateType::Choice,
    StateType::Wait,
    StateType::Succeed,
    StateType::Fail,
    StateType::Parallel,
    StateType::Map,
];

/// By type of execution.
pub(super) struct States([Handles; 2]);

struct Handles {
    transitions: Counter,
    entered: [Counter; STATES.len()],
    batch_size: Histogram,
    batch_seconds: Histogram,
}

impl States {
    pub(super) fn new(registry: &Registry) -> Self {
        States(TYPES.map(|workflow| {
            let kind = type_name(workflow);
            Handles {
                transitions: registry.counter(&catalogue::TRANSITIONS, &[kind]),
                entered: STATES
                    .map(|state| registry.counter(&catalogue::STATES_ENTERED, &[kind, state.name()])),
                batch_size: registry.histogram(&messages::BATCH_SIZE, &[kind]),
                batch_seconds: registry.histogram(&messages::BATCH_SECONDS, &[kind]),
            }
        }))
    }
}

fn state_place(state: StateType) -> usize {
    match state {
        StateType::Pass => 0,
        StateType::Task => 1,
        StateType::Choice => 2,
        StateType::Wait => 3,
        StateType::Succeed => 4,
        StateType::Fail => 5,
        StateType::Parallel => 6,
        StateType::Map => 7,
    }
}

/// A transition was made that recorded this.
pub fn transition(workflow: WorkflowType, history: &[HistoryEvent]) {
    let Some(on) = on() else { return };
    let handles = &on.states.0[place(workflow)];
    handles.transitions.increment(1);
    // Where states are fused there are many of a kind: one addition for each kind.
    let mut entered = [0_u64; STATES.len()];
    for event in history {
        if let EventKind::StateEntered { state, .. } = &event.kind {
            entered[state_place(*state)] += 1;
        }
    }
    for (counter, times) in handles.entered.iter().zip(entered) {
        if times > 0 {
            counter.increment(times);
        }
    }
}

/// Messages that are worked together.
pub struct Batch(Option<(WorkflowType, Instant)>);

impl Batch {
    /// So many are taken up.
    pub fn begin(workflow: WorkflowType, messages: usize) -> Self {
        Batch(on().map(|on| {
            on.states.0[place(workflow)].batch_size.record(messages as f64);
            (workflow, Instant::now())
        }))
    }

    /// All that they cause is safe.
    pub fn end(self) {
        if let (Batch(Some((workflow, began))), Some(on)) = (self, on()) {
            on.states.0[place(workflow)].batch_seconds.record(began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_state_has_its_place() {
        for (place, state) in STATES.into_iter().enumerate() {
            assert_eq!(state_place(state), place);
        }
    }
}
