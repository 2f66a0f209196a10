//! How an execution moves: [`Branch::apply`], the one entrance.
//!
//! A branch is one sequential thread of control: the root of an execution, a branch of a `Parallel`, an
//! iteration of a `Map`. It is a value: told an event, it becomes another value and says what is to be
//! recorded and done. Between two events it waits for exactly one thing:
//!
//! ```text
//!            Enter                    TimerFired
//!   Enter ──────────▶ Pass · Choice · Succeed · Fail ──▶ Enter | over
//!         ──────────▶ Wait ────────────────────────────▶ Enter | over
//!         ──────────▶ Task ──TaskEnded·TimerFired──────▶ Enter | Retry | over
//!         ──────────▶ Parallel · Map ──Branches…───────▶ Enter | Retry | over
//!   Retry ──TimerFired──▶ as Enter, without entering the state again
//!   any, failed or cut short ──redriven──▶ Enter, without entering the state again
//! ```

#![deny(clippy::wildcard_enum_match_arm)]

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::context::{ExecutionFacts, MapItem, Redrive};
use crate::data::timestamp::Timestamp;
use crate::data::{Budget, Variables};
use crate::history::{EventKind, HistoryEvent};
use crate::limits::Limits;
use crate::program::{Program, StateId, StateKind};

mod address;
mod choice;
mod effect;
mod event;
mod fail;
mod map;
mod parallel;
mod pass;
mod redrive;
mod retry;
mod task;
mod trial;
mod turn;
mod wait;

pub use address::{AddressError, BranchPath, EventRef, Place};
pub use effect::{
    BranchEnd, BranchFailure, BranchResult, Effect, FailedState, Fork, Outcome, TaskRequest, Transition,
};
pub use event::{Aborted, Answer, Event, Source, StaleEvent};
pub use redrive::{Family, Member, Remains};
pub use trial::{Progress, Setting, Trial, Verdict};
use turn::Turn;

/// The value of a branch. It says all that is needed to go on, so it can travel in a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// Transitions made; the next is `seq + 1`.
    pub seq: u32,
    /// The state it stands before or in.
    pub state: StateId,
    /// What it waits for.
    pub waiting: Waiting,
    /// The state's raw input.
    pub data: Value,
    /// The execution's input as its caller wrote it, until the first state has shown it: AWS does not
    /// reformat it before. `None` where it is compact JSON anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// The variables that its states see.
    #[serde(default, skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
    /// The innermost iteration it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Arc<MapItem>>,
    /// What kind of child it is.
    #[serde(default, skip_serializing_if = "Role::is_plain")]
    pub role: Role,
    /// How often each retrier of the state was used in this visit; empty means never.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<u32>,
    /// The visit to the state it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit: Option<Visit>,
    /// The last event it recorded, or the one it starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<EventRef>,
    /// The last redrive of its execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive: Option<Redrive>,
    /// Events recorded by it and by its ended descendants; exact ids in the root while nothing is forked.
    pub events: u64,
}

/// What kind of child a branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Role {
    /// The root, or a branch of a `Parallel`.
    #[default]
    Plain,
    /// An iteration of this `Map` state, its start already recorded.
    Iteration(StateId),
    /// An iteration of this `Map` state that has yet to record its start.
    Queued(StateId),
}

impl Role {
    fn is_plain(&self) -> bool {
        matches!(self, Role::Plain)
    }
}

/// A visit to a state: from `StateEntered` to `StateExited`, retries included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// When it began.
    pub entered_at: Timestamp,
    /// Its `StateEntered`.
    pub entered: EventRef,
    /// The id of that, exact in the root.
    pub entered_id: u64,
}

/// What a branch waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Waiting {
    /// Its turn to enter its state; or, after a redrive, to go on in the one it is in.
    Enter,
    /// The end of a `Wait` state.
    Wait {
        /// When.
        until: Timestamp,
    },
    /// The end of a task.
    Task(TaskAttempt),
    /// The back-off before another attempt.
    Retry {
        /// When.
        at: Timestamp,
    },
    /// Its children.
    Branches {
        /// The `seq` that made them.
        fork: u32,
        /// How many run at a time. All at once, says what earlier releases wrote.
        #[serde(default = "unlimited", skip_serializing_if = "is_unlimited")]
        window: u32,
    },
    /// Nothing: it is over.
    Over,
}

fn unlimited() -> u32 {
    u32::MAX
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "asked by serde")]
fn is_unlimited(window: &u32) -> bool {
    *window == unlimited()
}

/// A task that is out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskAttempt {
    /// The `seq` that scheduled it.
    pub task: u32,
    /// How far it is.
    pub stage: Stage,
    /// `TimeoutSeconds`.
    pub timeout_seconds: Option<u32>,
    /// `HeartbeatSeconds`.
    pub heartbeat_seconds: Option<u32>,
    /// When it times out.
    pub times_out_at: Option<Timestamp>,
    /// When it is taken for dead.
    pub heartbeat_due_at: Option<Timestamp>,
    /// When it was scheduled; not known of attempts that an earlier release made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// When a worker took it, of an activity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// An answer that came before the call was recorded as submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<Answer>,
}

impl TaskAttempt {
    /// The next time at which something is overdue.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.times_out_at, self.heartbeat_due_at].into_iter().flatten().min()
    }
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// An activity task that no worker has taken.
    Scheduled,
    /// Being worked on, or called.
    Started,
    /// Called; the end comes later (`.sync`, `.waitForTaskToken`).
    Submitted,
}

/// What does not change while an execution runs.
pub struct Run<'a> {
    /// What it runs.
    pub program: &'a Program,
    /// Of the context object.
    pub execution: &'a ExecutionFacts,
    /// Quotas of the service.
    pub limits: &'a Limits,
    /// The branch that is told the event.
    pub path: &'a BranchPath,
    /// What stands in for an execution where a state is tried by itself.
    pub setting: Option<&'a Setting>,
}

/// Time and randomness of one transition, and what its state would have to ask the service.
#[derive(Debug, Clone)]
pub struct Tick {
    /// Now.
    pub now: Timestamp,
    /// For jitter and random intrinsics.
    pub seed: [u8; 32],
    /// The token of a task that this transition schedules, made from (execution, branch, `seq + 1`).
    pub task_token: String,
    /// Whether the activity of the state that this transition runs does not exist.
    pub activity_missing: bool,
}

impl Branch {
    /// The root branch of a new execution, with its `ExecutionStarted`. `input` is what the caller gave.
    pub fn start(run: &Run<'_>, input: Value, input_text: String, now: Timestamp) -> (Self, HistoryEvent) {
        let compact = input.to_string();
        let written = (input_text != compact).then(|| input_text.clone());
        let branch = Branch {
            seq: 0,
            state: run.program.start_at(run.program.root()),
            waiting: Waiting::Enter,
            data: input,
            written,
            variables: Variables::default(),
            item: None,
            role: Role::Plain,
            retries: Vec::new(),
            visit: None,
            // The first StateEntered shows 0 as its predecessor, like ExecutionStarted itself.
            last: None,
            redrive: None,
            events: 1,
        };
        let kind =
            EventKind::ExecutionStarted { input: input_text, role_arn: run.execution.role_arn.clone() };
        (branch, HistoryEvent { at: now, previous: None, kind })
    }

    /// Same branch, event and tick give the same transition: this is what makes replay, simulation and
    /// the corpus work. On an error the branch is as it was.
    pub fn apply(&mut self, run: &Run<'_>, event: Event, tick: &Tick) -> Result<Transition, StaleEvent> {
        if !run.program.has_state(self.state) {
            return Err(StaleEvent);
        }
        let mut turn = Turn::new(self, run, tick);
        turn.take(event)?;
        turn.run_on();
        Ok(turn.finish())
    }
}

impl Turn<'_> {
    /// The table of transitions: what the branch waits for, and inside it what happened.
    fn take(&mut self, event: Event) -> Result<(), StaleEvent> {
        match &self.branch.waiting {
            Waiting::Enter => match event {
                Event::Enter { after } => self.enter(after),
                Event::TimerFired
                | Event::ActivityStarted { .. }
                | Event::TaskSubmitted { .. }
                | Event::TaskEnded { .. }
                | Event::Heartbeat { .. }
                | Event::BranchesJoined { .. }
                | Event::BranchFailed { .. } => return Err(StaleEvent),
            },
            Waiting::Wait { until: at } | Waiting::Retry { at } => match event {
                Event::TimerFired if *at <= self.tick.now => self.woken(),
                Event::TimerFired
                | Event::Enter { .. }
                | Event::ActivityStarted { .. }
                | Event::TaskSubmitted { .. }
                | Event::TaskEnded { .. }
                | Event::Heartbeat { .. }
                | Event::BranchesJoined { .. }
                | Event::BranchFailed { .. } => return Err(StaleEvent),
            },
            Waiting::Task(attempt) => {
                let attempt = attempt.clone();
                return match event {
                    Event::TimerFired => self.task_timer_fired(attempt),
                    Event::ActivityStarted { task, worker_name } if task == attempt.task => {
                        self.activity_started(attempt, worker_name)
                    }
                    Event::TaskSubmitted { task, output } if task == attempt.task => {
                        self.task_submitted(attempt, output)
                    }
                    Event::TaskEnded { task, answer, source } if task == attempt.task => {
                        self.task_ended(attempt, answer, source)
                    }
                    Event::Heartbeat { task } if task == attempt.task => self.heartbeat(attempt),
                    Event::ActivityStarted { .. }
                    | Event::TaskSubmitted { .. }
                    | Event::TaskEnded { .. }
                    | Event::Heartbeat { .. }
                    | Event::Enter { .. }
                    | Event::BranchesJoined { .. }
                    | Event::BranchFailed { .. } => Err(StaleEvent),
                };
            }
            Waiting::Branches { .. } => match event {
                Event::BranchesJoined { outputs, last, events } => {
                    self.branches_joined(outputs, last, events)
                }
                Event::BranchFailed { failure, last, aborted, events } => {
                    self.branch_failed(failure, last, aborted, events);
                }
                Event::Enter { .. }
                | Event::TimerFired
                | Event::ActivityStarted { .. }
                | Event::TaskSubmitted { .. }
                | Event::TaskEnded { .. }
                | Event::Heartbeat { .. } => return Err(StaleEvent),
            },
            Waiting::Over => return Err(StaleEvent),
        }
        Ok(())
    }

    /// The time it waited for has come: a `Wait` is over, or another attempt begins.
    fn woken(&mut self) {
        if matches!(self.branch.waiting, Waiting::Wait { .. }) {
            self.wait_is_over();
        } else {
            self.attempt();
        }
    }

    /// Goes on, within this transition, through the states that touch nothing outside, as far as the limit
    /// of fused states allows. Should it be made again, it is made again as a whole.
    fn run_on(&mut self) {
        for _ in 1..self.run.limits.fused_states_max {
            if self.branch.waiting != Waiting::Enter || !self.state().is_pure() || self.is_full() {
                return;
            }
            self.drop_continue();
            self.enter(None);
        }
    }

    /// Enters the state: the first attempt at its work. A state that a redrive found entered is not entered
    /// again.
    fn enter(&mut self, after: Option<EventRef>) {
        self.record_iteration_start(after);
        if self.branch.visit.is_none() {
            self.record_entered();
        }
        self.attempt();
    }

    /// Does the state's work, for the first time or again.
    fn attempt(&mut self) {
        self.budget = Budget::of_attempt();
        let state = self.state();
        let done = match &state.kind {
            StateKind::Pass(pass) => self.pass(pass),
            StateKind::Task(task) => self.schedule_task(task),
            StateKind::Choice(choice) => self.choose(choice),
            StateKind::Wait(wait) => self.wait(wait),
            StateKind::Succeed => self.succeed(),
            StateKind::Fail(fail) => self.fail_state(fail),
            StateKind::Parallel(parallel) => self.fork_parallel(parallel),
            StateKind::Map(map) => self.fork_map(map),
        };
        if let Err(problem) = done {
            self.fail_in_state(problem);
        }
    }

    fn branches_joined(&mut self, outputs: Vec<Value>, last: EventRef, events: u64) {
        self.branch.events += events;
        let state = self.state();
        let done = match &state.kind {
            StateKind::Parallel(parallel) => self.parallel_joined(outputs, last, parallel.next),
            StateKind::Map(map) => self.map_joined(outputs, last, map.next),
            StateKind::Pass(_)
            | StateKind::Task(_)
            | StateKind::Choice(_)
            | StateKind::Wait(_)
            | StateKind::Succeed
            | StateKind::Fail(_) => Ok(()),
        };
        if let Err(problem) = done {
            self.fail_in_state(problem);
        }
    }
}
