//! Plays all that is outside of an execution: who answers its tasks, and time.

use std::collections::BTreeMap;
use std::iter::successors;
use std::time::Instant;

use asl::branch::{Answer, BranchPath, Event, Outcome, Source};
use asl::data::timestamp::Timestamp;
use asl::program::{Resource, StateName};
use asl::rehearsal::{Rehearsal, Row, ScheduledTask};
use serde_json::{Value, json};

use super::clock::Clock;
use super::functions::{Functions, unanswered};
use super::mocks::{Mocks, Reply};
use super::narration::Narration;
use crate::cli::Error;

/// A task as it was called.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Call {
    /// The state.
    pub(in crate::cli) state: StateName,
    /// Which call of it in its branch or iteration, from 0.
    pub(in crate::cli) attempt: u32,
    /// What with.
    pub(in crate::cli) parameters: Value,
}

/// How a run ends.
pub(in crate::cli) enum Ending {
    /// By itself.
    Over(Outcome),
    /// By the time limit of the definition.
    TimedOut,
    /// By the time limit of the command.
    Overdue,
}

pub(in crate::cli) struct Player<'a> {
    rehearsal: Rehearsal<'a>,
    clock: Clock,
    mocks: Option<Mocks>,
    /// Absent where nothing real is to be called.
    functions: Option<Functions>,
    narration: Option<Narration<'a>>,
    /// How often each task was scheduled, by the iterations and branches that it is in.
    attempts: BTreeMap<(Vec<u32>, StateName), u32>,
    calls: Vec<Call>,
    /// Answers of mocks that take their time, by when they come.
    due: BTreeMap<(Timestamp, usize), (ScheduledTask, Answer)>,
    /// When the command gives up.
    overdue_at: Option<Timestamp>,
    /// When the execution times out.
    times_out_at: Option<Timestamp>,
}

impl<'a> Player<'a> {
    pub(in crate::cli) fn new(
        rehearsal: Rehearsal<'a>,
        clock: Clock,
        mocks: Option<Mocks>,
        functions: Option<Functions>,
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
            calls: Vec::new(),
            due: BTreeMap::new(),
            overdue_at: None,
            times_out_at: None,
        }
    }

    /// Sets the limits, in seconds from now.
    pub(in crate::cli) fn stop_after(&mut self, command: Option<u32>, definition: Option<u32>) {
        let now = self.clock.now();
        let after = |seconds: u32| now.plus_seconds(i64::from(seconds));
        self.overdue_at = command.map(after);
        self.times_out_at = definition.map(after);
    }

    /// The calls of tasks so far, in order.
    pub(in crate::cli) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// All transitions so far, in order.
    pub(in crate::cli) fn rows(&self) -> &[Row] {
        self.rehearsal.rows()
    }

    pub(in crate::cli) fn history(&self) -> Vec<Value> {
        self.rehearsal.history()
    }

    pub(in crate::cli) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Plays to the end. Fails when a task has nobody to answer it.
    pub(in crate::cli) fn play(&mut self) -> Result<Ending, Error> {
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
        let state = StateName::from(task.state.as_str());
        let attempts = self.attempts.entry((indexes(&task.path), state.clone())).or_default();
        let attempt = *attempts;
        *attempts += 1;
        let parameters = task.request.parameters.clone();
        let answer = self.mocks.as_ref().map(|mocks| mocks.answer(&task.state, attempt, &parameters));
        self.calls.push(Call { state, attempt, parameters });
        if let Some(Reply { answer, after_seconds }) = answer.transpose()?.flatten() {
            if after_seconds == 0 {
                self.tell(&task, answer);
            } else {
                self.take_up(&task);
                let at = self.clock.now().plus_seconds(i64::from(after_seconds));
                self.due.insert((at, self.calls.len()), (task, answer));
            }
            return Ok(());
        }
        match &mut self.functions {
            Some(functions) => functions.start(task),
            None => Err(unanswered(&task, "the mocks of the case", "")),
        }
    }

    /// Tells the branch what became of its task. One that has gone on without it is not interested.
    fn tell(&mut self, task: &ScheduledTask, answer: Answer) {
        self.take_up(task);
        let ended = Event::TaskEnded { task: task.request.task, answer, source: Source::Call };
        let _ = self.rehearsal.tell(&task.path, ended);
    }

    /// Tells the branch that its task is being worked on, and, where the end comes later, that the call was answered:
    /// what a mock throws is how it ended. Told again, it is not interested.
    fn take_up(&mut self, task: &ScheduledTask) {
        let id = task.request.task;
        let (is_activity, is_submitted) = match &task.request.resource {
            Resource::Activity { .. } => (true, false),
            Resource::Function { .. } => (false, false),
            Resource::Service(service) => (false, service.pattern.is_submitted()),
        };
        if is_activity {
            let _ = self.rehearsal.tell(&task.path, Event::ActivityStarted { task: id, worker_name: None });
        }
        if is_submitted {
            let _ = self.rehearsal.tell(&task.path, Event::TaskSubmitted { task: id, output: json!({}) });
        }
    }

    /// Waits for what comes first: an answer, or a timer.
    fn wait(&mut self) -> Result<(), Error> {
        if let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= self.clock.now()) {
            let (task, answer) = entry.remove();
            self.tell(&task, answer);
            return Ok(());
        }
        let due = self.due.keys().next().map(|(at, _)| *at);
        let times = [self.rehearsal.next_timer(), self.times_out_at, self.overdue_at, due];
        let next = times.into_iter().flatten().min();
        if let Some(functions) = self.functions.as_mut().filter(|functions| functions.are_pending()) {
            let began = Instant::now();
            let answered = functions.next(next.map(|at| self.clock.until(at)));
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

/// Which branch or iteration a task is in, from the inside out. Without the transitions that forked: what is forked
/// again, by a retry or another visit, goes on where it was. The states that forked follow from the task's name.
fn indexes(path: &BranchPath) -> Vec<u32> {
    let places = successors(path.place(), |place| place.parent.place());
    places.map(|place| place.index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_that_is_forked_again_is_the_same() {
        let root = BranchPath::root();
        assert!(indexes(&root).is_empty());
        assert_eq!(indexes(&root.child(3, 1).child(2, 0)), indexes(&root.child(7, 1).child(4, 0)));
        assert_ne!(indexes(&root.child(3, 1).child(2, 0)), indexes(&root.child(3, 0).child(2, 1)));
    }
}
