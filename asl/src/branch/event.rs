//! What a branch is told.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Branch, BranchPath, EventRef};
use crate::data::Failure;

/// What happened to a branch.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It is its turn: enter the state it stands before.
    Enter {
        /// For an iteration that waited for room: the event its start follows.
        after: Option<EventRef>,
    },
    /// The time it asked for has come.
    TimerFired,
    /// A worker took the activity task.
    ActivityStarted {
        /// The task, by the `seq` that scheduled it.
        task: u32,
        /// As the worker gave it.
        worker_name: Option<String>,
    },
    /// The call was accepted and the task goes on (`.sync`, `.waitForTaskToken`).
    TaskSubmitted {
        /// The task.
        task: u32,
        /// The call's answer.
        output: Value,
    },
    /// The task has ended.
    TaskEnded {
        /// The task.
        task: u32,
        /// How.
        answer: Answer,
        /// Who says so.
        source: Source,
    },
    /// A worker lives.
    Heartbeat {
        /// The task.
        task: u32,
    },
    /// All children have ended well.
    BranchesJoined {
        /// Their outputs, in index order.
        outputs: Vec<Value>,
        /// The last event of the one that ended last.
        last: EventRef,
        /// Events that they and theirs recorded.
        events: u64,
    },
    /// A child has failed; the others are no more.
    BranchFailed {
        /// With what.
        failure: Failure,
        /// The last event of the one that failed, its closing `MapIterationFailed` left out.
        last: EventRef,
        /// Those that had begun and not ended, and theirs, in key order.
        aborted: Vec<Aborted>,
        /// Events that the children and theirs recorded.
        events: u64,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// With this output.
    Succeeded(Value),
    /// With this error.
    Failed(Failure),
}

/// Who says that a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The call itself.
    Call,
    /// The call itself, after it was told of as submitted.
    SubmittedCall,
    /// Somebody with the task token.
    Token,
}

/// A branch that a sibling's failure ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Aborted {
    /// Its name.
    pub path: BranchPath,
    /// Its value.
    pub branch: Branch,
}

/// The event does not fit what the branch waits for: late, repeated, or meant for another attempt.
/// Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleEvent;

impl std::fmt::Display for StaleEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the branch does not wait for this event")
    }
}

impl std::error::Error for StaleEvent {}
