//! One state by itself, without an execution around it (TestState).
//!
//! ```text
//!   begin ──▶ Over(verdict)                    Pass · Choice · Wait · Succeed · Fail, and what fails early
//!         ──▶ Task(request) ──answer──▶ Over   the caller plays who answers it
//!         ──▶ Fork(items)   ──answer──▶ Over   the caller plays all branches or iterations
//! ```

use serde_json::Value;

use super::turn::{Handled, Turn};
use super::{
    Answer, Branch, BranchFailure, BranchPath, Effect, EventRef, Outcome, Role, Run, TaskRequest, Tick,
    Transition, Waiting,
};
use crate::data::context::ExecutionFacts;
use crate::data::steps::{Step, Steps};
use crate::data::{Failure, Variables};
use crate::history::EventKind;
use crate::limits::Limits;
use crate::program::{Program, StateId, StateKind, StateName};

/// What an execution would have had.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The context object, whole.
    pub context: Value,
    /// What the `ItemReader` of a Map has read.
    pub items: Option<Value>,
}

/// A state that is tried.
pub struct Trial<'a> {
    program: &'a Program,
    execution: &'a ExecutionFacts,
    setting: &'a Setting,
    limits: Limits,
    tick: Tick,
    path: BranchPath,
    branch: Branch,
    steps: Vec<(Step, Value)>,
}

/// How far a trial is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The task has been made and waits for its answer.
    Task(TaskRequest),
    /// The branches, or so many iterations, wait to be run.
    Fork {
        /// Branches or items.
        children: u32,
    },
    /// It waits until then; nothing else can happen.
    Wait {
        /// Seconds from its beginning.
        seconds: f64,
    },
    /// It is over.
    Over(Verdict),
}

/// How a trial ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The state was left.
    Succeeded {
        /// With this output.
        output: Value,
        /// To this state, unless it ends its machine.
        next: Option<StateName>,
    },
    /// It failed, and would be tried again.
    Retriable {
        /// With this.
        failure: Failure,
        /// The place of the retrier.
        retrier: usize,
        /// The pause before the next attempt, in seconds.
        seconds: i64,
    },
    /// It failed, and a catcher goes on.
    Caught {
        /// With this.
        failure: Failure,
        /// The place of the retrier that has no attempt left, if one matched.
        retrier: Option<usize>,
        /// The place of the catcher.
        catcher: usize,
        /// What goes on.
        output: Value,
        /// To this state.
        next: Option<StateName>,
    },
    /// It failed for good.
    Failed {
        /// With this.
        failure: Failure,
        /// The place of the retrier that has no attempt left, if one matched.
        retrier: Option<usize>,
    },
}

impl<'a> Trial<'a> {
    /// Puts a state of the program before an attempt at its work. `retries` is how often each of its retriers
    /// has been used.
    pub fn new(
        program: &'a Program,
        state: StateId,
        execution: &'a ExecutionFacts,
        setting: &'a Setting,
        limits: &Limits,
        tick: Tick,
        retries: u32,
    ) -> Self {
        let branch = Branch {
            seq: 0,
            state,
            waiting: Waiting::Enter,
            data: Value::Null,
            written: None,
            variables: Variables::default(),
            item: None,
            role: Role::Plain,
            retries: Vec::new(),
            // Without a visit no failure says at which event the state was entered.
            visit: None,
            last: None,
            redrive: None,
            events: 0,
        };
        // What comes after the state is not part of it.
        let limits = Limits { fused_states_max: 1, ..limits.clone() };
        let path = BranchPath::root();
        let mut trial = Trial { program, execution, setting, limits, tick, path, branch, steps: Vec::new() };
        trial.branch.retries = vec![retries; trial.retriers()];
        trial
    }

    /// Makes the attempt, on this input with these variables.
    pub fn begin(&mut self, input: Value, variables: Variables) -> Progress {
        self.branch.data = input;
        self.branch.variables = variables;
        self.turn(|turn| turn.attempt())
    }

    /// What was asked for has ended so: the task, or all of the branches or iterations. `None` where nothing
    /// was asked for.
    pub fn answer(&mut self, answer: Answer) -> Option<Progress> {
        match self.branch.waiting.clone() {
            Waiting::Task(_) => Some(self.turn(|turn| turn.task_answered(answer))),
            Waiting::Branches { .. } => Some(self.turn(|turn| turn.fork_answered(answer))),
            Waiting::Enter | Waiting::Wait { .. } | Waiting::Retry { .. } | Waiting::Over => None,
        }
    }

    /// The wait is over.
    pub fn awake(&mut self) -> Option<Progress> {
        match self.branch.waiting {
            Waiting::Wait { .. } => Some(self.turn(|turn| turn.wait_is_over())),
            Waiting::Enter
            | Waiting::Task(_)
            | Waiting::Branches { .. }
            | Waiting::Retry { .. }
            | Waiting::Over => None,
        }
    }

    /// What the state's data became so far.
    pub fn steps(&self) -> &[(Step, Value)] {
        &self.steps
    }

    /// The variables as they are now.
    pub fn variables(&self) -> &Variables {
        &self.branch.variables
    }

    fn retriers(&self) -> usize {
        match &self.program.state(self.branch.state).kind {
            StateKind::Task(task) => task.handling.retriers.len(),
            StateKind::Parallel(parallel) => parallel.handling.retriers.len(),
            StateKind::Map(map) => map.handling.retriers.len(),
            StateKind::Pass(_)
            | StateKind::Choice(_)
            | StateKind::Wait(_)
            | StateKind::Succeed
            | StateKind::Fail(_) => 0,
        }
    }

    fn turn(&mut self, act: impl FnOnce(&mut Turn<'_>)) -> Progress {
        let run = Run {
            program: self.program,
            execution: self.execution,
            limits: &self.limits,
            path: &self.path,
            setting: Some(self.setting),
        };
        let mut turn = Turn::new(&mut self.branch, &run, &self.tick);
        turn.steps = Steps::kept();
        act(&mut turn);
        let steps = std::mem::take(&mut turn.steps).into_seen();
        let handled = std::mem::take(&mut turn.handled);
        let transition = turn.finish();
        for (step, value) in steps {
            self.steps.retain(|(known, _)| *known != step);
            self.steps.push((step, value));
        }
        self.progress(transition, handled)
    }

    fn progress(&self, transition: Transition, handled: Handled) -> Progress {
        let mut exited = None;
        let mut children = 0;
        for event in &transition.history {
            if let EventKind::StateExited { output, .. } = &event.kind {
                exited = serde_json::from_str(output).ok();
            }
            if let EventKind::MapStateStarted { length } = event.kind {
                children = length;
            }
        }
        let Handled { failure, retrier, catcher } = handled;
        let mut failed = failure;
        for effect in transition.effects {
            match effect {
                Effect::ScheduleTask(request) => return Progress::Task(request),
                Effect::Fork(fork) => {
                    let forked = u32::try_from(fork.children.len()).unwrap_or(u32::MAX);
                    return Progress::Fork { children: children.max(forked) };
                }
                Effect::Finish(Outcome::Failed(failure)) => {
                    let failure = failed.take().unwrap_or(failure);
                    return Progress::Over(Verdict::Failed { failure, retrier });
                }
                Effect::Continue
                | Effect::StartTimer { .. }
                | Effect::EndBranch(_)
                | Effect::Finish(Outcome::Succeeded(_)) => {}
            }
        }
        match (&self.branch.waiting, failed) {
            (Waiting::Wait { until }, _) => {
                let milliseconds = until.milliseconds().saturating_sub(self.tick.now.milliseconds());
                Progress::Wait { seconds: milliseconds as f64 / 1000.0 }
            }
            (Waiting::Retry { at }, Some(failure)) => {
                let milliseconds = at.milliseconds().saturating_sub(self.tick.now.milliseconds());
                let retrier = retrier.unwrap_or_default();
                Progress::Over(Verdict::Retriable { failure, retrier, seconds: milliseconds / 1000 })
            }
            (_, failed) => {
                let output = exited.unwrap_or_default();
                let next = matches!(self.branch.waiting, Waiting::Enter)
                    .then(|| self.program.state(self.branch.state).name.clone());
                Progress::Over(match (failed, catcher) {
                    (Some(failure), Some(catcher)) => {
                        Verdict::Caught { failure, retrier, catcher, output, next }
                    }
                    (_, _) => Verdict::Succeeded { output, next },
                })
            }
        }
    }
}

impl Turn<'_> {
    /// All branches or iterations have ended so, as told by somebody who did not run them.
    fn fork_answered(&mut self, answer: Answer) {
        let last = self.branch.last.clone().unwrap_or_else(|| EventRef {
            branch: self.run.path.clone(),
            seq: self.branch.seq,
            offset: 0,
        });
        let done = match (answer, &self.state().kind) {
            (Answer::Failed(failure), _) => return self.handle(BranchFailure { failure, state: None }),
            (Answer::Succeeded(result), StateKind::Parallel(parallel)) => {
                self.leave_fork_with(result, last, EventKind::ParallelStateSucceeded, parallel.next)
            }
            (Answer::Succeeded(result), StateKind::Map(map)) => {
                self.leave_fork_with(result, last, EventKind::MapStateSucceeded, map.next)
            }
            (
                Answer::Succeeded(_),
                StateKind::Pass(_)
                | StateKind::Task(_)
                | StateKind::Choice(_)
                | StateKind::Wait(_)
                | StateKind::Succeed
                | StateKind::Fail(_),
            ) => Ok(()),
        };
        if let Err(problem) = done {
            self.fail_in_state(problem);
        }
    }
}
