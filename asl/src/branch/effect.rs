//! What a branch asks for.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Branch, EventRef};
use crate::data::Failure;
use crate::data::timestamp::Timestamp;
use crate::history::HistoryEvent;
use crate::program::{Edge, Resource, StateName};

/// Everything one event causes. Committed whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// What is recorded.
    pub history: Vec<HistoryEvent>,
    /// What must be done once it is recorded, and never before.
    pub effects: Vec<Effect>,
    /// The ways by which states were left, in order. Nothing depends on them: they are for telling.
    pub ways: Vec<Edge>,
}

/// What must be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send [`Event::Enter`](super::Event::Enter).
    Continue,
    /// Send the task out.
    ScheduleTask(TaskRequest),
    /// Send [`Event::TimerFired`](super::Event::TimerFired), not before this time. Replaces the timer
    /// asked for before; any other transition of the branch takes it away.
    StartTimer {
        /// When.
        at: Timestamp,
    },
    /// Make children and send each [`Event::Enter`](super::Event::Enter).
    Fork(Fork),
    /// The branch, a child, is over.
    EndBranch(BranchEnd),
    /// The execution is over.
    Finish(Outcome),
}

impl Effect {
    /// The task that it sends out, if it is that.
    pub fn task(&self) -> Option<&TaskRequest> {
        match self {
            Effect::ScheduleTask(request) => Some(request),
            Effect::Continue
            | Effect::StartTimer { .. }
            | Effect::Fork(_)
            | Effect::EndBranch(_)
            | Effect::Finish(_) => None,
        }
    }
}

/// A task to be sent out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRequest {
    /// The `seq` that scheduled it: with execution and branch it names the attempt.
    pub task: u32,
    /// What to call.
    pub resource: Resource,
    /// What to call it with.
    pub parameters: Value,
    /// Seconds that it may take.
    pub timeout_seconds: Option<u32>,
    /// Seconds that may pass without a heartbeat.
    pub heartbeat_seconds: Option<u32>,
    /// When it was scheduled; not known of requests that an earlier release made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
}

/// Children to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork {
    /// In index order, never empty. Child `i` is `path.child(seq, i)` of this transition's `seq`.
    pub children: Vec<Branch>,
    /// How many run at a time; at least 1.
    pub window: u32,
}

/// How a child branch ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BranchEnd {
    /// Its output, or why it has none.
    pub result: BranchResult,
    /// Its last event.
    pub last: EventRef,
    /// Its last event, the closing one of the iteration left out.
    pub last_inner: EventRef,
}

/// Output or failure of a child branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BranchResult {
    /// It ended well.
    Succeeded(Value),
    /// It failed.
    Failed(BranchFailure),
}

/// Why a child branch failed. Its cause may name an event whose id is known only once it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BranchFailure {
    /// The failure; where `state` is given, the cause lacks its beginning.
    pub failure: Failure,
    /// The state that was being executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FailedState>,
}

/// The state that failed, for the beginning of the cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedState {
    /// Its name.
    pub name: StateName,
    /// Its `StateEntered` event.
    pub entered: EventRef,
}

impl BranchFailure {
    /// The failure with its cause complete. `id` tells the id of a recorded event.
    pub fn resolve(self, id: impl FnOnce(&EventRef) -> Option<u64>) -> Failure {
        match self.state {
            None => self.failure,
            Some(state) => {
                let id = id(&state.entered).unwrap_or_default();
                in_state(&state.name, id, self.failure)
            }
        }
    }
}

/// A failure of processing a state, its cause begun as on AWS.
pub(super) fn in_state(name: &str, entered_id: u64, failure: Failure) -> Failure {
    let text = failure.cause.unwrap_or_default();
    let cause = format!(
        "An error occurred while executing the state '{name}' (entered at the event id #{entered_id}). {text}"
    );
    Failure { error: failure.error, cause: Some(cause) }
}

/// How an execution ends by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With this output: JSON text.
    Succeeded(String),
    /// With this error.
    Failed(Failure),
}
