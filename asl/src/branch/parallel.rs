//! `Parallel`, and what it shares with `Map`: children that end well, or one that fails.

use serde_json::Value;

use super::turn::Turn;
use super::{Aborted, Branch, BranchFailure, Effect, EventRef, Fork, Role, Waiting};
use crate::data::{Failure, Problem};
use crate::history::{EventKind, Iteration};
use crate::limits::FORK_BYTES_MAX;
use crate::program::{MachineId, Next, Parallel, StateType};

impl Turn<'_> {
    /// One attempt: a child for each branch, all at once.
    pub(super) fn fork_parallel(&mut self, parallel: &Parallel) -> Result<(), Problem> {
        let raw = std::mem::take(&mut self.branch.data);
        let arguments = self.parallel_arguments(&raw);
        self.branch.data = raw;
        let arguments = arguments?;
        let each = self.bounded(&arguments, &self.state().name)?.len() + self.branch.variables.bytes();
        let bytes = each.saturating_mul(parallel.branches.len());
        if bytes > FORK_BYTES_MAX {
            return Err(Failure::data_limit_exceeded(&self.state().name).into());
        }
        let started = self.record(EventKind::ParallelStateStarted);
        let children = parallel
            .branches
            .iter()
            .map(|machine| self.child(*machine, arguments.clone(), &started, Role::Plain))
            .collect();
        // All branches of a Parallel run at once, as on AWS; a definition bounds how many there are.
        self.fork(children, u32::MAX);
        Ok(())
    }

    fn parallel_arguments(&mut self, raw: &Value) -> Result<Value, Problem> {
        let context = self.context();
        let effective = self.effective_input(raw, &context)?;
        Ok(self.state().flow.arguments(effective, &context, &mut self.random)?.into_owned())
    }

    /// A child that starts from an event of this branch.
    pub(super) fn child(&self, machine: MachineId, data: Value, after: &EventRef, role: Role) -> Branch {
        Branch {
            seq: 0,
            state: self.run.program.start_at(machine),
            waiting: Waiting::Enter,
            data,
            written: None,
            variables: self.branch.variables.clone(),
            item: self.branch.item.clone(),
            role,
            retries: Vec::new(),
            visit: None,
            last: Some(after.clone()),
            redrive: self.branch.redrive,
            events: 0,
        }
    }

    pub(super) fn fork(&mut self, children: Vec<Branch>, window: u32) {
        self.branch.waiting = Waiting::Branches { fork: self.seq(), window };
        self.effect(Effect::Fork(Fork { children, window }));
    }

    /// All branches have ended well.
    pub(super) fn parallel_joined(
        &mut self,
        outputs: Vec<Value>,
        last: EventRef,
        next: Next,
    ) -> Result<(), Problem> {
        self.leave_fork(outputs, last, EventKind::ParallelStateSucceeded, next)
    }

    /// Leaves a fork that ended well. Both closing events follow the last event of the children.
    pub(super) fn leave_fork(
        &mut self,
        outputs: Vec<Value>,
        last: EventRef,
        succeeded: EventKind,
        next: Next,
    ) -> Result<(), Problem> {
        self.leave_fork_with(Value::Array(outputs), last, succeeded, next)
    }

    /// The same with a result that the children made elsewhere.
    pub(super) fn leave_fork_with(
        &mut self,
        result: Value,
        last: EventRef,
        succeeded: EventKind,
        next: Next,
    ) -> Result<(), Problem> {
        // From here on nothing is forked: a failure is one of the state itself.
        self.branch.waiting = Waiting::Enter;
        let raw = self.take_raw_input();
        self.record_after(Some(last.clone()), succeeded);
        self.exit_with_result(raw, result, next, Some(last))
    }

    /// A child has failed: says which others were aborted, then Retry and Catch decide.
    pub(super) fn branch_failed(
        &mut self,
        failure: Failure,
        last: EventRef,
        aborted: Vec<Aborted>,
        events: u64,
    ) {
        self.branch.events += events;
        for branch in deepest_first(aborted) {
            self.record_aborted(&branch, &last);
        }
        // What follows, a new attempt or the state's end, follows the failing event itself.
        self.branch.last = Some(last);
        self.handle(BranchFailure { failure, state: None });
    }

    fn record_aborted(&mut self, aborted: &Aborted, last: &EventRef) {
        let branch = &aborted.branch;
        let program = self.run.program;
        if !program.has_state(branch.state) {
            return;
        }
        let state = match (&branch.visit, program.state(branch.state).state_type()) {
            (None, _) => None,
            (Some(_), StateType::Task) => Some(EventKind::TaskStateAborted),
            (Some(_), StateType::Wait) => Some(EventKind::WaitStateAborted),
            (Some(_), StateType::Parallel) => Some(EventKind::ParallelStateAborted),
            (Some(_), StateType::Map) => Some(EventKind::MapStateAborted),
            (Some(_), StateType::Pass | StateType::Succeed | StateType::Fail | StateType::Choice) => None,
        };
        if let Some(kind) = state {
            self.record_after(Some(last.clone()), kind);
        }
        if let (Role::Iteration(map), Some(place)) = (branch.role, aborted.path.place()) {
            let name = program.state(map).name.to_string();
            let iteration = Iteration { name, index: place.index };
            self.record_after(Some(last.clone()), EventKind::MapIterationAborted(iteration));
        }
    }
}

/// Children before parents, siblings by index.
fn deepest_first(mut aborted: Vec<Aborted>) -> Vec<Aborted> {
    aborted.sort_by_key(|aborted| {
        let mut numbers: Vec<u32> =
            aborted.path.as_str().split('.').skip(1).filter_map(|part| part.parse().ok()).collect();
        // A longer path must come before its own prefix: the prefix gets an end above all indexes.
        numbers.push(u32::MAX);
        numbers
    });
    aborted
}
