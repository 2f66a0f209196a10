//! One call of [`Branch::apply`](super::Branch::apply): what it records, what it asks for.

use std::borrow::Cow;

use serde_json::Value;

use super::effect::in_state;
use super::{
    Branch, BranchEnd, BranchFailure, BranchResult, Effect, EventRef, FailedState, Outcome, Role, Run, Tick,
    Transition, Visit, Waiting,
};
use crate::data::failure::names;
use crate::data::json::is_deeper_than;
use crate::data::random::Random;
use crate::data::steps::Steps;
use crate::data::template::Template;
use crate::data::variables::Assigned;
use crate::data::{Budget, Context, Failure, Problem, Scope};
use crate::history::{EventKind, HistoryEvent, Iteration};
use crate::limits::{FUSED_BYTES_MAX, JSON_DEPTH_MAX};
use crate::program::{Edge, Next, State, StateType, Way};

/// The branch and what has happened to it in this call.
pub(super) struct Turn<'a> {
    pub(super) branch: &'a mut Branch,
    pub(super) run: &'a Run<'a>,
    pub(super) tick: &'a Tick,
    pub(super) random: Random,
    history: Vec<HistoryEvent>,
    effects: Vec<Effect>,
    ways: Vec<Edge>,
    /// Of the inputs and outputs in `history`.
    recorded_bytes: usize,
    /// Whether an expression of the state has failed in this call.
    evaluation_failed: bool,
    /// What its expressions may still cost.
    pub(super) budget: Budget,
    /// What its data became, where somebody looks.
    pub(super) steps: Steps,
    /// What `Retry` and `Catch` made of a failure.
    pub(super) handled: Handled,
}

/// What `Retry` and `Catch` made of the last failure of this call, for those who look at one state closely.
#[derive(Debug, Default)]
pub(super) struct Handled {
    /// The failure, where somebody looks.
    pub(super) failure: Option<Failure>,
    /// The retrier that matched, whether it granted another attempt or not.
    pub(super) retrier: Option<usize>,
    /// The catcher that matched.
    pub(super) catcher: Option<usize>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(branch: &'a mut Branch, run: &'a Run<'a>, tick: &'a Tick) -> Self {
        let random = Random::from_seed(tick.seed);
        Turn {
            branch,
            run,
            tick,
            random,
            history: Vec::new(),
            effects: Vec::new(),
            ways: Vec::new(),
            recorded_bytes: 0,
            evaluation_failed: false,
            budget: Budget::of_attempt(),
            steps: Steps::default(),
            handled: Handled::default(),
        }
    }

    /// Closes the call: the branch has made one more transition.
    pub(super) fn finish(self) -> Transition {
        self.branch.seq += 1;
        Transition { history: self.history, effects: self.effects, ways: self.ways }
    }

    /// The `seq` of this transition.
    pub(super) fn seq(&self) -> u32 {
        self.branch.seq + 1
    }

    /// The state that the branch is in.
    pub(super) fn state(&self) -> &'a State {
        self.run.program.state(self.branch.state)
    }

    /// Whether this transition should not grow further: its history is one row, and it holds an engine.
    pub(super) fn is_full(&self) -> bool {
        self.recorded_bytes >= FUSED_BYTES_MAX || self.budget.is_touched()
    }

    /// The branch goes on within this transition.
    pub(super) fn drop_continue(&mut self) {
        self.effects.retain(|effect| *effect != Effect::Continue);
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Records an event that follows the branch's last one, and makes it the last.
    pub(super) fn record(&mut self, kind: EventKind) -> EventRef {
        self.record_after(self.branch.last.clone(), kind)
    }

    /// Records an event that follows another, and makes it the branch's last.
    pub(super) fn record_after(&mut self, previous: Option<EventRef>, kind: EventKind) -> EventRef {
        let reference = EventRef {
            branch: self.run.path.clone(),
            seq: self.seq(),
            // A transition records at most a window of iterations, which is far below u16::MAX.
            offset: u16::try_from(self.history.len()).unwrap_or(u16::MAX),
        };
        self.history.push(HistoryEvent { at: self.tick.now, previous, kind });
        self.branch.events += 1;
        self.branch.last = Some(reference.clone());
        reference
    }

    /// An iteration that had to wait for room says now that it begins.
    pub(super) fn record_iteration_start(&mut self, after: Option<EventRef>) {
        if let Role::Queued(map) = self.branch.role {
            self.branch.role = Role::Iteration(map);
            let iteration = self.iteration(map);
            let previous = after.or_else(|| self.branch.last.clone());
            self.record_after(previous, EventKind::MapIterationStarted(iteration));
        }
    }

    fn iteration(&self, map: crate::program::StateId) -> Iteration {
        let index = self.run.path.place().map_or(0, |place| place.index);
        Iteration { name: self.run.program.state(map).name.to_string(), index }
    }

    pub(super) fn record_entered(&mut self) {
        self.evaluation_failed = false;
        let state = self.state();
        let input = self.branch.written.take().unwrap_or_else(|| self.branch.data.to_string());
        self.recorded_bytes += input.len();
        let entered = self.record(EventKind::StateEntered {
            state: state.state_type(),
            name: state.name.to_string(),
            input,
        });
        self.branch.retries = Vec::new();
        self.branch.visit =
            Some(Visit { entered_at: self.tick.now, entered, entered_id: self.branch.events });
    }

    /// The context object of the state as it is now.
    pub(super) fn context(&self) -> Context<'a> {
        let state = self.state();
        let entered_at = self.branch.visit.as_ref().map_or(self.tick.now, |visit| visit.entered_at);
        let mut context = match self.run.setting {
            None => Context::new(self.run.execution, &state.name, entered_at),
            Some(setting) => Context::given(self.run.execution, &state.name, setting.context.clone()),
        };
        context.item = self.branch.item.clone();
        context.variables = self.branch.variables.clone();
        context.now = self.tick.now;
        context.budget = self.budget.clone();
        if matches!(state.state_type(), StateType::Task | StateType::Parallel | StateType::Map) {
            let count = self.branch.retries.iter().fold(0_u32, |sum, used| sum.saturating_add(*used));
            context.retry_count = Some(count);
        }
        context
    }

    /// The raw input through `InputPath`, `Parameters` left aside.
    pub(super) fn effective_input<'b>(
        &self,
        raw: &'b Value,
        context: &'b Context<'b>,
    ) -> Result<Cow<'b, Value>, Failure> {
        self.state().flow.effective_input(Scope::new(raw, context))
    }

    /// The raw input, left in place where another attempt or a catcher may still need it.
    pub(super) fn take_raw_input(&mut self) -> Value {
        match self.handling() {
            Some(handling) if !(handling.catchers.is_empty() && handling.retriers.is_empty()) => {
                self.branch.data.clone()
            }
            Some(_) | None => std::mem::take(&mut self.branch.data),
        }
    }

    /// What an `Assign` makes; visible only once the state is left.
    pub(super) fn assigned(
        &mut self,
        assign: Option<&Template>,
        scope: Scope<'_>,
    ) -> Result<Assigned, Problem> {
        let Some(assign) = assign else { return Ok(Assigned::default()) };
        let made = assign.evaluate(scope, &mut self.random)?;
        Ok(self.branch.variables.assigned(made, &self.state().name)?)
    }

    /// Leaves the state whose work has this result; `after` is the predecessor of its last event.
    pub(super) fn exit_with_result(
        &mut self,
        raw: Value,
        result: Value,
        next: Next,
        after: Option<EventRef>,
    ) -> Result<(), Problem> {
        let context = self.context();
        let state = self.state();
        let scope = state.flow.assign_scope(&raw, &result, &context);
        let assigned = self.assigned(state.assign.as_ref(), scope)?;
        let output = state.flow.output(raw, result, &context, &mut self.random, &mut self.steps)?;
        self.exit(output, assigned, (Way::Onward, next), after)
    }

    /// Leaves a state that has no result: what goes on is its effective input.
    pub(super) fn exit_with_input(&mut self, effective: Value, onward: (Way, Next)) -> Result<(), Problem> {
        let context = self.context();
        let state = self.state();
        let assigned = self.assigned(state.assign.as_ref(), Scope::new(&effective, &context))?;
        let output = state.flow.output_of(effective, &context, &mut self.random)?;
        let after = self.branch.last.clone();
        self.exit(output, assigned, onward, after)
    }

    /// Leaves the state with this output, whose predecessor is `after`.
    pub(super) fn exit(
        &mut self,
        output: Value,
        assigned: Assigned,
        (way, next): (Way, Next),
        after: Option<EventRef>,
    ) -> Result<(), Problem> {
        let state = self.state();
        let text = self.bounded(&output, &state.name)?;
        self.recorded_bytes += text.len();
        self.record_after(
            after,
            EventKind::StateExited {
                state: state.state_type(),
                name: state.name.to_string(),
                output: text.clone(),
                assigned: assigned.texts,
            },
        );
        self.branch.variables.apply(assigned.values);
        self.ways.push(Edge { from: self.branch.state, way });
        self.leave(output, text, next);
        Ok(())
    }

    /// Goes where `next` says: the state has been left.
    pub(super) fn leave(&mut self, output: Value, text: String, next: Next) {
        self.branch.visit = None;
        self.branch.retries = Vec::new();
        match next {
            Next::State(state) => {
                self.branch.state = state;
                self.branch.data = output;
                self.branch.waiting = Waiting::Enter;
                self.effect(Effect::Continue);
            }
            Next::End => self.end(output, text),
        }
    }

    /// The compact text of a value, if its size and depth are within bounds, and so is what it took to make it.
    pub(super) fn bounded(&self, value: &Value, what: &str) -> Result<String, Failure> {
        self.budget.check()?;
        let text = value.to_string();
        if text.len() > self.run.limits.payload_bytes_max || is_deeper_than(value, JSON_DEPTH_MAX) {
            return Err(Failure::data_limit_exceeded(what));
        }
        Ok(text)
    }

    /// The branch's machine has ended well.
    fn end(&mut self, output: Value, text: String) {
        self.branch.waiting = Waiting::Over;
        self.branch.data = Value::Null;
        if self.run.path.is_root() {
            self.record(EventKind::ExecutionSucceeded { output: text.clone() });
            self.effect(Effect::Finish(Outcome::Succeeded(text)));
        } else {
            self.end_branch(BranchResult::Succeeded(output));
        }
    }

    /// The branch's machine has failed.
    pub(super) fn end_failed(&mut self, failure: BranchFailure) {
        self.branch.waiting = Waiting::Over;
        self.branch.data = Value::Null;
        if self.run.path.is_root() {
            let failure = failure.resolve(|_| None);
            self.record(EventKind::ExecutionFailed(failure.clone()));
            self.effect(Effect::Finish(Outcome::Failed(failure)));
        } else {
            self.end_branch(BranchResult::Failed(failure));
        }
    }

    fn end_branch(&mut self, result: BranchResult) {
        // A branch that ends has entered a state, so it has recorded an event.
        let Some(last_inner) = self.branch.last.clone() else { return };
        let mut last = last_inner.clone();
        if let Role::Iteration(map) = self.branch.role {
            let iteration = self.iteration(map);
            last = self.record(match &result {
                BranchResult::Succeeded(_) => EventKind::MapIterationSucceeded(iteration),
                BranchResult::Failed(_) => EventKind::MapIterationFailed(iteration),
            });
        }
        self.effect(Effect::EndBranch(BranchEnd { result, last, last_inner }));
    }

    /// Processing the state failed: the cause says where, then Retry and Catch decide.
    pub(super) fn fail_in_state(&mut self, problem: Problem) {
        let failed = self.told(problem);
        self.handle(failed);
    }

    /// A problem as the failure that it becomes. A failed expression has an event of its own.
    pub(super) fn told(&mut self, problem: Problem) -> BranchFailure {
        let Problem { failure, location, is_evaluated } = problem;
        let is_evaluation = failure.is(names::QUERY_EVALUATION_ERROR);
        let is_told = is_evaluation || failure.is(names::RUNTIME);
        let failed = match (&self.branch.visit, is_told) {
            (Some(visit), true) if self.run.path.is_root() => BranchFailure {
                failure: in_state(&self.state().name, visit.entered_id, failure),
                state: None,
            },
            (Some(visit), true) => BranchFailure {
                failure,
                state: Some(FailedState { name: self.state().name.clone(), entered: visit.entered.clone() }),
            },
            (_, _) => BranchFailure { failure, state: None },
        };
        if is_evaluation {
            let state = self.state().name.to_string();
            let kind = EventKind::EvaluationFailed { failed: failed.clone(), location, state };
            let previous = if is_evaluated { self.branch.last.clone() } else { self.before_evaluation() };
            self.record_after(previous, kind);
            self.evaluation_failed = true;
        }
        failed
    }

    /// What an `EvaluationFailed` follows. Where the state was entered just now, AWS names the event before
    /// that.
    fn before_evaluation(&self) -> Option<EventRef> {
        match self.history.last() {
            Some(HistoryEvent { previous, kind: EventKind::StateEntered { .. }, .. }) => previous.clone(),
            Some(_) | None => self.branch.last.clone(),
        }
    }

    /// Whether a `Parallel` or `Map` has failed as one: a child has, or an expression before there were any.
    pub(super) fn fork_has_failed(&self, waiting: &Waiting) -> bool {
        let has_succeeded = |event: &HistoryEvent| {
            matches!(event.kind, EventKind::ParallelStateSucceeded | EventKind::MapStateSucceeded)
        };
        let forked = matches!(waiting, Waiting::Branches { .. });
        forked || self.evaluation_failed && !self.history.iter().any(has_succeeded)
    }
}
