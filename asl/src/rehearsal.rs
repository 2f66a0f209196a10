//! A whole execution in memory: all its branches, its clock, its history.
//!
//! Everything outside is played by the caller, one call at a time, so the same calls always give the same
//! history. This is what `warren run` drives, and what the tests of the language stand on.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::branch::{
    Aborted, Answer, Branch, BranchEnd, BranchPath, BranchResult, Effect, Event, EventRef, Fork, Outcome,
    Run, Source, StaleEvent, TaskRequest, Tick,
};
use crate::data::Failure;
use crate::data::context::ExecutionFacts;
use crate::data::failure::names;
use crate::data::random::Random;
use crate::data::timestamp::Timestamp;
use crate::history::{EventKind, HistoryEvent};
use crate::limits::Limits;
use crate::program::{Edge, Program};

/// An execution that runs in memory.
pub struct Rehearsal<'a> {
    program: &'a Program,
    facts: ExecutionFacts,
    limits: Limits,
    now: Timestamp,
    random: Random,
    branches: BTreeMap<BranchPath, Live>,
    ready: VecDeque<(BranchPath, Event)>,
    tasks: VecDeque<ScheduledTask>,
    rows: Vec<Row>,
    first_ids: BTreeMap<(BranchPath, u32), u64>,
    events: u64,
    outcome: Option<Outcome>,
}

/// A task that waits for an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduledTask {
    /// The branch that scheduled it.
    pub path: BranchPath,
    /// The state's name.
    pub state: String,
    /// What is asked.
    pub request: TaskRequest,
    /// The token that answers it from outside.
    pub token: String,
}

/// One transition as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The branch that moved.
    pub path: BranchPath,
    /// Its transition.
    pub seq: u32,
    /// Id of the first event.
    pub first_id: u64,
    /// What it recorded, possibly nothing.
    pub events: Vec<HistoryEvent>,
    /// The ways by which it left states.
    pub ways: Vec<Edge>,
}

struct Live {
    branch: Branch,
    timer: Option<Timestamp>,
    fork: Option<Family>,
}

/// The children of a fork.
struct Family {
    seq: u32,
    size: u32,
    launched: u32,
    outputs: BTreeMap<u32, Value>,
    events: u64,
    waiting: VecDeque<Branch>,
}

impl<'a> Rehearsal<'a> {
    /// Starts an execution. `seed` decides all randomness in it.
    pub fn start(
        program: &'a Program,
        facts: ExecutionFacts,
        input_text: String,
        limits: Limits,
        now: Timestamp,
        seed: [u8; 32],
    ) -> Self {
        let path = BranchPath::root();
        let run = Run { program, execution: &facts, limits: &limits, path: &path, setting: None };
        let (branch, started) = Branch::start(&run, facts.input.clone(), input_text, now);
        let row = Row { path: path.clone(), seq: 0, first_id: 1, events: vec![started], ways: Vec::new() };
        Rehearsal {
            program,
            limits,
            now,
            random: Random::from_seed(seed),
            branches: BTreeMap::from([(path.clone(), Live { branch, timer: None, fork: None })]),
            ready: VecDeque::from([(path, Event::Enter { after: None })]),
            tasks: VecDeque::new(),
            first_ids: BTreeMap::from([((row.path.clone(), row.seq), row.first_id)]),
            rows: vec![row],
            events: 1,
            outcome: None,
            facts,
        }
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// All transitions so far, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Makes the next transition that needs nothing from outside. False when there is none: it is over,
    /// or waits for a task or for time to pass.
    pub fn step(&mut self) -> bool {
        while let Some((path, event)) = self.ready.pop_front() {
            if self.apply(&path, event).is_ok() {
                return true;
            }
        }
        false
    }

    /// How many branches could move now.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// As [`step`](Self::step), beginning with the branch in this place of those that could move: any
    /// order is possible where engines are many.
    pub fn step_in_order(&mut self, first: usize) -> bool {
        if !self.ready.is_empty() {
            let places = self.ready.len();
            self.ready.rotate_left(first % places);
        }
        self.step()
    }

    /// The next task that was scheduled and not handed out yet.
    pub fn next_task(&mut self) -> Option<ScheduledTask> {
        self.tasks.pop_front()
    }

    /// When the next timer fires.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.branches.values().filter_map(|live| live.timer).min()
    }

    /// Lets time pass; timers that are due become ready.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        for (path, live) in &mut self.branches {
            if live.timer.is_some_and(|at| at <= self.now) {
                live.timer = None;
                self.ready.push_back((path.clone(), Event::TimerFired));
            }
        }
    }

    /// Tells a branch what became of its task. Stale when the branch no longer waits for it.
    pub fn tell(&mut self, path: &BranchPath, event: Event) -> Result<(), StaleEvent> {
        self.apply(path, event)
    }

    /// A task has been answered by the call itself.
    pub fn answer(&mut self, task: &ScheduledTask, answer: Answer) -> Result<(), StaleEvent> {
        self.tell(&task.path, Event::TaskEnded { task: task.request.task, answer, source: Source::Call })
    }

    /// The history as GetExecutionHistory shows it.
    pub fn history(&self) -> Vec<Value> {
        let mut shown = Vec::new();
        for row in &self.rows {
            for (id, event) in (row.first_id..).zip(&row.events) {
                let previous = event.previous.as_ref().and_then(|event| self.event_id(event)).unwrap_or(0);
                let mut event = event.clone();
                if let Some(mentioned) = event.mentioned() {
                    let mentioned = self.event_id(mentioned);
                    event.complete(mentioned);
                }
                shown.push(event.to_json(id, previous, true));
            }
        }
        shown
    }

    fn event_id(&self, event: &EventRef) -> Option<u64> {
        let first_id = self.first_ids.get(&(event.branch.clone(), event.seq))?;
        Some(first_id + u64::from(event.offset))
    }

    fn tick(&mut self, token: String) -> Tick {
        let mut seed = [0; 32];
        for chunk in seed.chunks_mut(8) {
            chunk.copy_from_slice(&self.random.next_u64().to_le_bytes());
        }
        Tick { now: self.now, seed, task_token: token, activity_missing: false }
    }

    fn apply(&mut self, path: &BranchPath, event: Event) -> Result<(), StaleEvent> {
        let seq = self.branches.get(path).ok_or(StaleEvent)?.branch.seq + 1;
        let token = format!("{path}/{seq}");
        let tick = self.tick(token.clone());
        let live = self.branches.get_mut(path).ok_or(StaleEvent)?;
        let run =
            Run { program: self.program, execution: &self.facts, limits: &self.limits, path, setting: None };
        let transition = live.branch.apply(&run, event, &tick)?;
        live.timer = None;
        let state = self.program.state(live.branch.state).name.to_string();
        self.record(path, seq, transition.history, transition.ways);
        for effect in transition.effects {
            match effect {
                Effect::Continue => self.ready.push_back((path.clone(), Event::Enter { after: None })),
                Effect::ScheduleTask(request) => {
                    let (path, state, token) = (path.clone(), state.clone(), token.clone());
                    self.tasks.push_back(ScheduledTask { path, state, request, token });
                }
                Effect::StartTimer { at } => self.set_timer(path, at),
                Effect::Fork(fork) => self.fork(path, seq, fork),
                Effect::EndBranch(end) => self.end_branch(path, end),
                Effect::Finish(outcome) => self.finish(outcome),
            }
        }
        self.keep_history_limit();
        Ok(())
    }

    fn record(&mut self, path: &BranchPath, seq: u32, events: Vec<HistoryEvent>, ways: Vec<Edge>) {
        let first_id = self.events + 1;
        self.events += events.len() as u64;
        self.first_ids.insert((path.clone(), seq), first_id);
        self.rows.push(Row { path: path.clone(), seq, first_id, events, ways });
    }

    fn set_timer(&mut self, path: &BranchPath, at: Timestamp) {
        if let Some(live) = self.branches.get_mut(path) {
            live.timer = Some(at);
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.branches.clear();
        self.ready.clear();
        self.tasks.clear();
    }

    fn fork(&mut self, path: &BranchPath, seq: u32, fork: Fork) {
        let size = u32::try_from(fork.children.len()).unwrap_or(u32::MAX);
        let family = Family {
            seq,
            size,
            launched: 0,
            outputs: BTreeMap::new(),
            events: 0,
            waiting: fork.children.into(),
        };
        if let Some(live) = self.branches.get_mut(path) {
            live.fork = Some(family);
        }
        for _ in 0..fork.window.min(size) {
            self.launch(path, None);
        }
    }

    /// Begins the next child that waits for room.
    fn launch(&mut self, parent: &BranchPath, after: Option<EventRef>) {
        let Some(family) = self.branches.get_mut(parent).and_then(|live| live.fork.as_mut()) else { return };
        let Some(branch) = family.waiting.pop_front() else { return };
        let path = parent.child(family.seq, family.launched);
        family.launched += 1;
        self.branches.insert(path.clone(), Live { branch, timer: None, fork: None });
        self.ready.push_back((path, Event::Enter { after }));
    }

    fn end_branch(&mut self, path: &BranchPath, end: BranchEnd) {
        let Some(place) = path.place() else { return };
        let recorded = self.branches.remove(path).map_or(0, |live| live.branch.events);
        let Some(family) = self.branches.get_mut(&place.parent).and_then(|live| live.fork.as_mut()) else {
            return;
        };
        family.events += recorded;
        match end.result {
            BranchResult::Succeeded(output) => {
                family.outputs.insert(place.index, output);
                let complete = family.outputs.len() == family.size as usize;
                if complete {
                    self.join(&place.parent, end.last);
                } else {
                    self.launch(&place.parent, Some(end.last_inner));
                }
            }
            BranchResult::Failed(failure) => {
                let failure = failure.resolve(|event| self.event_id(event));
                self.fail_fork(&place.parent, failure, end.last_inner);
            }
        }
    }

    fn join(&mut self, parent: &BranchPath, last: EventRef) {
        let Some(family) = self.branches.get_mut(parent).and_then(|live| live.fork.take()) else { return };
        let outputs = family.outputs.into_values().collect();
        let event = Event::BranchesJoined { outputs, last, events: family.events };
        self.ready.push_back((parent.clone(), event));
    }

    fn fail_fork(&mut self, parent: &BranchPath, failure: Failure, last: EventRef) {
        let (from, to) = parent.descendants();
        let below: Vec<BranchPath> = self
            .branches
            .keys()
            .filter(|path| path.as_str() >= from.as_str() && path.as_str() < to.as_str())
            .cloned()
            .collect();
        let mut events =
            self.branches.get_mut(parent).and_then(|live| live.fork.take()).map_or(0, |family| family.events);
        let mut aborted = Vec::new();
        for path in below {
            let Some(live) = self.branches.remove(&path) else { continue };
            self.ready.retain(|(ready, _)| *ready != path);
            events += live.branch.events + live.fork.map_or(0, |family| family.events);
            if live.branch.seq > 0 {
                aborted.push(Aborted { path, branch: live.branch });
            }
        }
        let event = Event::BranchFailed { failure, last, aborted, events };
        self.ready.push_back((parent.clone(), event));
    }

    /// Over the limit, the history is cut so that `ExecutionFailed` is its last event.
    fn keep_history_limit(&mut self) {
        let max = self.limits.history_events_max;
        let over = self.events > max || (self.events == max && self.outcome.is_none());
        if !over {
            return;
        }
        while self.events >= max {
            let Some(row) = self.rows.last_mut() else { return };
            let excess = usize::try_from(self.events + 1 - max).unwrap_or(usize::MAX);
            let kept = row.events.len().saturating_sub(excess);
            self.events -= (row.events.len() - kept) as u64;
            row.events.truncate(kept);
            if kept > 0 {
                break;
            }
            self.rows.pop();
        }
        let failure = history_full(max);
        let previous = self.rows.iter().rev().find(|row| !row.events.is_empty()).map(|row| EventRef {
            branch: row.path.clone(),
            seq: row.seq,
            offset: u16::try_from(row.events.len() - 1).unwrap_or(u16::MAX),
        });
        let event =
            HistoryEvent { at: self.now, previous, kind: EventKind::ExecutionFailed(failure.clone()) };
        let seq = self.rows.last().map_or(0, |row| row.seq) + 1;
        self.record(&BranchPath::root(), seq, vec![event], Vec::new());
        self.finish(Outcome::Failed(failure));
    }
}

/// What an execution fails with whose history has no more room.
pub fn history_full(events_max: u64) -> Failure {
    Failure::new(
        names::RUNTIME,
        format!("The execution reached the maximum number of history events ({events_max})."),
    )
}
