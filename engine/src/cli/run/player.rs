//! Plays all that is outside of an execution: who answers its tasks, and time.

use std::collections::BTreeMap;
use std::time::Instant;

use asl::branch::{Answer, BranchPath, Event, Outcome, Source};
use asl::data::timestamp::Timestamp;
use asl::program::{Resource, StateName};
use asl::rehearsal::{Rehearsal, ScheduledTask};
use serde_json::{Value, json};

use super::Error;
use super::clock::Clock;
use super::functions::Functions;
use super::mocks::Mocks;
use super::narration::Narration;

/// How a run ends.
pub(super) enum Ending {
    /// By itself.
    Over(Outcome),
    /// By the time limit of the definition.
    TimedOut,
    /// By the time limit of the command.
    Overdue,
}

pub(super) struct Player<'a> {
    rehearsal: Rehearsal<'a>,
    clock: Clock,
    mocks: Option<Mocks>,
    functions: Functions,
    narration: Option<Narration<'a>>,
    /// How often each branch has scheduled each of its tasks.
    attempts: BTreeMap<(BranchPath, StateName), u32>,
    /// When the command gives up.
    overdue_at: Option<Timestamp>,
    /// When the execution times out.
    times_out_at: Option<Timestamp>,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        rehearsal: Rehearsal<'a>,
        clock: Clock,
        mocks: Option<Mocks>,
        functions: Functions,
        narration: Option<Narration<'a>>,
    ) -> Self {
        let attempts = BTreeMap::new();
        Player {
            rehearsal,
            clock,
            mocks,
            functions,
            narration,
            attempts,
            overdue_at: None,
            times_out_at: None,
        }
    }

    /// Sets the limits, in seconds from now.
    pub(super) fn stop_after(&mut self, command: Option<u32>, definition: Option<u32>) {
        let now = self.clock.now();
        let after = |seconds: u32| now.plus_seconds(i64::from(seconds));
        self.overdue_at = command.map(after);
        self.times_out_at = definition.map(after);
    }

    pub(super) fn history(&self) -> Vec<Value> {
        self.rehearsal.history()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Plays to the end. Fails when a task has nobody to answer it.
    pub(super) fn play(&mut self) -> Result<Ending, Error> {
        self.narrate();
        loop {
            let now = self.clock.now();
            self.rehearsal.advance(now);
            let moved = self.rehearsal.step();
            self.narrate();
            if let Some(outcome) = self.rehearsal.outcome() {
                return Ok(Ending::Over(outcome.clone()));
            }
            let is_over = |limit: Option<Timestamp>| limit.is_some_and(|at| at <= now);
            if is_over(self.times_out_at) {
                return Ok(Ending::TimedOut);
            }
            if is_over(self.overdue_at) {
                return Ok(Ending::Overdue);
            }
            if moved {
                continue;
            }
            match self.rehearsal.next_task() {
                Some(task) => self.begin(task)?,
                None => self.wait()?,
            }
            self.narrate();
        }
    }

    /// Has a task answered: by its mock, or else by its function.
    fn begin(&mut self, task: ScheduledTask) -> Result<(), Error> {
        let key = (task.path.clone(), StateName::from(task.state.as_str()));
        let attempts = self.attempts.entry(key).or_default();
        let attempt = *attempts;
        *attempts += 1;
        if let Some(mocks) = &self.mocks
            && let Some(answer) = mocks.answer(&task.state, attempt)?
        {
            self.tell(&task, answer);
            return Ok(());
        }
        self.functions.start(task)
    }

    /// Tells the branch what became of its task. One that has gone on without it is not interested.
    fn tell(&mut self, task: &ScheduledTask, answer: Answer) {
        let id = task.request.task;
        let (is_activity, is_submitted) = match &task.request.resource {
            Resource::Activity { .. } => (true, false),
            Resource::Function { .. } => (false, false),
            Resource::Service(service) => (false, service.pattern.is_submitted()),
        };
        if is_activity {
            let _ = self.rehearsal.tell(&task.path, Event::ActivityStarted { task: id, worker_name: None });
        }
        if is_submitted && matches!(answer, Answer::Succeeded(_)) {
            let _ = self.rehearsal.tell(&task.path, Event::TaskSubmitted { task: id, output: json!({}) });
        }
        let ended = Event::TaskEnded { task: id, answer, source: Source::Call };
        let _ = self.rehearsal.tell(&task.path, ended);
    }

    /// Waits for what comes first: the answer of a function, or a timer.
    fn wait(&mut self) -> Result<(), Error> {
        let times = [self.rehearsal.next_timer(), self.times_out_at, self.overdue_at];
        let next = times.into_iter().flatten().min();
        if self.functions.are_pending() {
            let began = Instant::now();
            let answered = self.functions.next(next.map(|at| self.clock.until(at)));
            self.clock.passed(began.elapsed());
            if let Some((task, answer)) = answered {
                self.rehearsal.advance(self.clock.now());
                self.tell(&task, answer);
            }
            return Ok(());
        }
        let Some(next) = next else {
            return Err(Error::Failed("the execution waits for something that cannot happen".to_owned()));
        };
        self.clock.wait(next);
        Ok(())
    }

    fn narrate(&mut self) {
        if let Some(narration) = &mut self.narration {
            narration.tell(self.rehearsal.rows());
        }
    }
}
