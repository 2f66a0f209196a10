//! One delivery of an Express branch and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use asl::branch::{BranchEnd, Effect, Event, Fork, Outcome, Run, TaskRequest, Waiting};
use asl::data::Failure;
use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;
use asl::history::{EventKind, HistoryEvent};
use asl::limits::Limits;

use super::Step;
use super::held::Held;
use super::leaving::Left;
use crate::messages::{Express, ExpressResult};
use crate::metrics::executions::Ended;
use crate::ports::broker::{Delivery, Publication};
use crate::services::advance::random_tick;
use crate::services::observed::{self, Before};
use crate::services::programs::Compiled;
use crate::services::transitions::InState;
use crate::services::{Core, Unavailable, computing};

/// A delivery and the branch that it moves.
pub(super) struct Turn {
    pub(super) core: Arc<Core>,
    pub(super) compiled: Arc<Compiled>,
    pub(super) delivery: Delivery,
    pub(super) message: Express,
}

/// What a turn asks for before it goes on.
pub(super) enum Hold {
    Task(TaskRequest),
    Fork(Fork),
}

impl Turn {
    pub(super) fn new(
        core: Arc<Core>,
        compiled: Arc<Compiled>,
        delivery: Delivery,
        message: Express,
    ) -> Self {
        Turn { core, compiled, delivery, message }
    }

    pub(super) fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The first step, for the event that the message stands for.
    pub(super) fn begin(self, event: Event) -> Result<Step, Unavailable> {
        match self.comes_early() {
            Some(at) => Ok(Step::Leave(self.send(Some(at)))),
            None => self.step(event),
        }
    }

    /// Applies an event: the branch is left to its next message, is over, or asks for something.
    fn step(mut self, event: Event) -> Result<Step, Unavailable> {
        if self.message.deadline <= self.core.clock.now() {
            return Ok(Step::Leave(self.time_out()));
        }
        let Some(effects) = self.apply(event)? else { return Ok(Step::Leave(Left::Nothing)) };
        let hold = match first_of(effects) {
            Next::GoOn => return Ok(Step::Leave(self.send(None))),
            Next::Timer(at) if !matches!(self.message.value.waiting, Waiting::Task(_)) => {
                return Ok(Step::Leave(self.send(Some(at))));
            }
            Next::Timer(_) => return Ok(Step::Leave(Left::Nothing)),
            Next::Task(request) => Hold::Task(request),
            Next::Fork(fork) => Hold::Fork(fork),
            Next::EndBranch(end) => {
                let result = ExpressResult::Branch(self.message.path.clone(), end);
                return Ok(Step::Leave(Left::Answer(self.delivery, Box::new(result))));
            }
            Next::Finish(outcome) => return Ok(Step::Leave(self.finish(outcome))),
        };
        Ok(Step::Hold(Box::new(self), Box::new(hold)))
    }

    /// Gets what the turn asks for, and goes on until it is over.
    pub(super) async fn go_on(self, mut hold: Hold) -> Result<Left, Unavailable> {
        let mut turn = self;
        loop {
            let held = match hold {
                Hold::Task(request) => turn.hold_task(request).await?,
                Hold::Fork(fork) => turn.hold_fork(fork).await?,
            };
            let step = match held {
                Held::Event(event) => turn.step(*event)?,
                Held::TimedOut => Step::Leave(turn.time_out()),
                Held::Lost => Step::Leave(turn.lose()),
            };
            match step {
                Step::Leave(left) => return Ok(left),
                Step::Hold(next, asked) => (turn, hold) = (*next, *asked),
            }
        }
    }

    /// For a timer's message that comes before its time, as another clock may have delayed it: that time. An
    /// early timer would be taken for a copy, and the branch be lost.
    fn comes_early(&self) -> Option<Timestamp> {
        let at = match self.message.value.waiting {
            Waiting::Wait { until: at } | Waiting::Retry { at } if self.message.timer => at,
            _ => return None,
        };
        let now = self.core.clock.now();
        (now < at && now < self.message.deadline).then_some(at)
    }

    /// `None` when the branch does not wait for the event: a copy of a message that was worked.
    fn apply(&mut self, event: Event) -> Result<Option<Vec<Effect>>, Unavailable> {
        let mut facts = self.core.facts(&self.message.execution, &self.compiled, None);
        facts.id.clone_from(&self.message.arn);
        let limits = self.limits();
        let is_shown = self.core.announces.transitions;
        let state = is_shown.then(|| InState::of(&self.compiled, &self.message.value)).flatten();
        let Turn { core, compiled, message: Express { execution, path, value, .. }, .. } = self;
        let run = Run { program: &compiled.program, execution: &facts, limits: &limits, path, setting: None };
        let tick = random_tick(core.clock.now());
        let before = Before::of(execution, path, value, &event, compiled, tick.now);
        let Ok(moved) = computing::apply(value, &run, event, &tick)? else { return Ok(None) };
        let request = moved.effects.iter().find_map(Effect::task);
        before.stands(WorkflowType::Express, execution, &moved.history, request);
        if is_shown {
            self.core.show_express(&self.message, state.as_ref(), &moved.history);
        }
        Ok(Some(moved.effects))
    }

    /// No history is kept, so it has no limit.
    pub(super) fn limits(&self) -> Limits {
        Limits { history_events_max: u64::MAX, ..self.core.limits.clone() }
    }

    /// Leaves the branch to its next message, now or at a time.
    fn send(self, at: Option<Timestamp>) -> Left {
        let Turn { core, compiled, delivery, mut message } = self;
        message.timer = at.is_some();
        let delay = at.map(|at| {
            let until = at.min(message.deadline);
            Duration::from_millis(core.milliseconds_until(until))
        });
        let publication = core.express_publication(&compiled.program, &message);
        let publication = Box::new(Publication {
            reply_to: delivery.reply_to,
            correlation_id: delivery.correlation_id,
            delay,
            ..publication
        });
        if message.synchronous { Left::NextOnce(publication) } else { Left::Next(publication) }
    }

    fn time_out(self) -> Left {
        self.core.cancel(format!("{}/", self.message.execution.id));
        if self.message.path.is_root() {
            self.ended(Ended::TimedOut);
            tracing::info!(arn = %self.message.arn, "Express execution timed out");
            self.show_time_out();
            return Left::Answer(self.delivery, Box::new(ExpressResult::TimedOut));
        }
        // The root ends by its own deadline; nobody waits for this branch.
        Left::Nothing
    }

    /// A part of a synchronous execution was lost, and with it the execution.
    fn lose(self) -> Left {
        if self.message.path.is_root() {
            self.ended(Ended::Failed);
        }
        Left::Answer(self.delivery, Box::new(ExpressResult::Lost))
    }

    /// The execution ended, and no transition says so.
    fn ended(&self, how: Ended) {
        observed::ended(&self.message.execution, WorkflowType::Express, how, self.core.clock.now());
    }

    fn show_time_out(&self) {
        if self.core.announces.transitions {
            let kind = EventKind::ExecutionTimedOut(Failure::timeout());
            let event = HistoryEvent { at: self.core.clock.now(), previous: None, kind };
            self.core.show_express(&self.message, None, &[event]);
        }
    }

    fn finish(self, outcome: Outcome) -> Left {
        let result = match outcome {
            Outcome::Succeeded(output) => ExpressResult::Succeeded(output),
            Outcome::Failed(failure) => {
                tracing::info!(arn = %self.message.arn, error = failure.error.as_deref(), "Express execution failed");
                ExpressResult::Failed(failure)
            }
        };
        Left::Answer(self.delivery, Box::new(result))
    }
}

/// The one thing that a transition asks for.
enum Next {
    GoOn,
    Timer(Timestamp),
    Task(TaskRequest),
    Fork(Fork),
    EndBranch(BranchEnd),
    Finish(Outcome),
}

/// A task comes with its timer; the task is what counts.
fn first_of(effects: Vec<Effect>) -> Next {
    let mut next = Next::GoOn;
    for effect in effects {
        next = match effect {
            Effect::Continue => Next::GoOn,
            Effect::StartTimer { at } => match next {
                Next::GoOn => Next::Timer(at),
                other => other,
            },
            Effect::ScheduleTask(request) => Next::Task(request),
            Effect::Fork(fork) => Next::Fork(fork),
            Effect::EndBranch(end) => Next::EndBranch(end),
            Effect::Finish(outcome) => Next::Finish(outcome),
        };
    }
    next
}
