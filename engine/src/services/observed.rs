//! What transitions and ends of executions tell the metrics.
//!
//! ```text
//!   branch, event ─▶ Before ─▶ apply ─▶ (Standard: commit) ─▶ stands ─▶ metrics
//! ```
//!
//! A Standard transition is told by whoever is told that its commit stands, which is one, and once: an answer that
//! is lost is followed by a stale one. An Express transition is told when it was made.

use std::sync::Arc;

use asl::branch::{Branch, BranchPath, Event, TaskAttempt, TaskRequest, Waiting};
use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;
use asl::history::{EventKind, HistoryEvent};
use asl::program::{Resource, StateId, StateKind};

use crate::ids::ExecutionId;
use crate::messages::{Express, Header, decode};
use crate::metrics::executions::{Ended, UNKNOWN};
use crate::metrics::tasks::Took;
use crate::metrics::{self, executions, states, tasks, timers};
use crate::ports::catalog::Machine;
use crate::ports::store::ExecutionStatus;
use crate::services::Core;
use crate::services::executions::StartError;
use crate::services::programs::Compiled;

/// What is no longer known of a branch once it has moved. Empty where metrics are off.
#[derive(Default)]
pub struct Before {
    /// For the first transition of an execution: milliseconds since it was started.
    begun: Option<i64>,
    /// For a timer: milliseconds since its time.
    late: Option<i64>,
    /// The task that was out.
    task: Option<Task>,
}

/// A task that was out, as it was.
struct Task {
    compiled: Arc<Compiled>,
    state: StateId,
    scheduled_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    /// Whether its timer, if it fires now, says that its worker is silent.
    is_silent: bool,
}

impl Before {
    /// Notes a branch that is about to be told an event.
    pub fn of(
        header: &Header,
        path: &BranchPath,
        branch: &Branch,
        event: &Event,
        compiled: &Arc<Compiled>,
        now: Timestamp,
    ) -> Self {
        if !metrics::are_on() {
            return Before::default();
        }
        let since = |at: Timestamp| now.milliseconds().saturating_sub(at.milliseconds());
        let fires = matches!(event, Event::TimerFired);
        let is_first = branch.seq == 0 && path.is_root() && matches!(event, Event::Enter { .. });
        Before {
            begun: is_first.then(|| since(header.started_at)),
            late: timer(&branch.waiting).filter(|_| fires).map(since),
            task: match &branch.waiting {
                Waiting::Task(attempt) => Some(Task::of(attempt, branch.state, compiled, now)),
                Waiting::Enter
                | Waiting::Wait { .. }
                | Waiting::Retry { .. }
                | Waiting::Branches { .. }
                | Waiting::Over => None,
            },
        }
    }

    /// The transition stands: it recorded this, and sent this task out.
    pub fn stands(
        &self,
        workflow: WorkflowType,
        header: &Header,
        history: &[HistoryEvent],
        request: Option<&TaskRequest>,
    ) {
        if !metrics::are_on() {
            return;
        }
        states::transition(workflow, history);
        if let Some(milliseconds) = self.begun {
            executions::begun(workflow, milliseconds);
        }
        if let Some(milliseconds) = self.late {
            timers::late_by(milliseconds);
        }
        if let Some(task) = &self.task {
            task.tell(history);
        }
        if let Some(TaskRequest { resource, .. }) = request {
            tasks::scheduled(resource);
            if !matches!(resource, Resource::Activity { .. }) {
                tasks::started(resource);
            }
        }
        if let Some((how, at)) = history.last().and_then(end) {
            ended(header, workflow, how, at);
        }
    }
}

/// When the timer of a branch fires.
fn timer(waiting: &Waiting) -> Option<Timestamp> {
    match waiting {
        Waiting::Wait { until: at } | Waiting::Retry { at } => Some(*at),
        Waiting::Task(attempt) => attempt.next_deadline(),
        Waiting::Enter | Waiting::Branches { .. } | Waiting::Over => None,
    }
}

impl Task {
    fn of(attempt: &TaskAttempt, state: StateId, compiled: &Arc<Compiled>, now: Timestamp) -> Self {
        Task {
            compiled: compiled.clone(),
            state,
            scheduled_at: attempt.scheduled_at,
            started_at: attempt.started_at,
            is_silent: attempt.times_out_at.is_none_or(|at| now < at),
        }
    }

    fn resource(&self) -> Option<&Resource> {
        if !self.compiled.program.has_state(self.state) {
            return None;
        }
        match &self.compiled.program.state(self.state).kind {
            StateKind::Task(task) => Some(&task.resource),
            _ => None,
        }
    }

    /// What a transition says of it. Of another task that the transition sends out it says no end.
    fn tell(&self, history: &[HistoryEvent]) {
        let Some(resource) = self.resource() else { return };
        for event in history {
            let since = |at: Timestamp| event.at.milliseconds().saturating_sub(at.milliseconds());
            let how = match &event.kind {
                EventKind::ActivityStarted { .. } => {
                    tasks::started(resource);
                    if let Some(at) = self.scheduled_at {
                        tasks::taken(resource, since(at));
                    }
                    continue;
                }
                EventKind::ActivitySucceeded { .. }
                | EventKind::LambdaFunctionSucceeded { .. }
                | EventKind::TaskSucceeded { .. } => tasks::Ended::Succeeded,
                EventKind::ActivityFailed(_)
                | EventKind::LambdaFunctionFailed(_)
                | EventKind::TaskFailed { .. } => tasks::Ended::Failed,
                EventKind::ActivityTimedOut(_)
                | EventKind::LambdaFunctionTimedOut(_)
                | EventKind::TaskTimedOut { .. } => {
                    if self.is_silent {
                        tasks::Ended::HeartbeatTimedOut
                    } else {
                        tasks::Ended::TimedOut
                    }
                }
                _ => continue,
            };
            // What no worker takes begins when it is sent; an activity that nobody took has not begun.
            let is_activity = matches!(resource, Resource::Activity { .. });
            let began = self.started_at.or(self.scheduled_at.filter(|_| !is_activity));
            tasks::ended(resource, how, Took { run: began.map(since), all: self.scheduled_at.map(since) });
            return;
        }
    }
}

/// How an execution ends with this event, if it does.
fn end(event: &HistoryEvent) -> Option<(Ended, Timestamp)> {
    match &event.kind {
        EventKind::ExecutionSucceeded { .. } => Some((Ended::Succeeded, event.at)),
        EventKind::ExecutionFailed(_) => Some((Ended::Failed, event.at)),
        _ => None,
    }
}

/// An execution has ended.
pub fn ended(header: &Header, workflow: WorkflowType, how: Ended, at: Timestamp) {
    let took = at.milliseconds().saturating_sub(header.started_at.milliseconds());
    executions::ended(&header.machine_name, workflow, how, took);
}

/// A start was answered; counted if it is to be tried again later.
pub fn refused<T>(machine: &Machine, started: &Result<T, StartError>) {
    if let Err(StartError::Throttled(_) | StartError::Full(_)) = started {
        executions::throttled(&machine.name, machine.workflow_type);
    }
}

/// An Express message is given up: if it is a root's, so is its execution.
pub fn given_up(body: &[u8], now: Timestamp) {
    if !metrics::are_on() {
        return;
    }
    if let Ok(message) = decode::<Express>(body)
        && message.path.is_root()
    {
        ended(&message.execution, WorkflowType::Express, Ended::Failed, now);
    }
}

impl Core {
    /// A Standard execution was closed from outside its own transitions.
    pub(super) async fn closed_from_outside(&self, id: ExecutionId, status: ExecutionStatus, at: Timestamp) {
        let how = match status {
            ExecutionStatus::Running => return,
            ExecutionStatus::Succeeded => Ended::Succeeded,
            ExecutionStatus::Failed => Ended::Failed,
            ExecutionStatus::TimedOut => Ended::TimedOut,
            ExecutionStatus::Aborted => Ended::Aborted,
        };
        if !metrics::are_on() {
            return;
        }
        // A header that cannot be read leaves the machine's name out, not the execution.
        match self.header(id).await {
            Ok(Some(header)) => ended(&header, WorkflowType::Standard, how, at),
            Ok(None) | Err(_) => {
                let started_at = id.drawn_at().unwrap_or(at);
                let took = at.milliseconds().saturating_sub(started_at.milliseconds());
                executions::ended(UNKNOWN, WorkflowType::Standard, how, took);
            }
        }
    }
}
