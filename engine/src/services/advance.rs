//! One step of a Standard branch: apply an event, make the commit, and know what follows it.
//!
//! ```text
//!   advance ──▶ Step { commit, after } ──store──▶ Verdict ──▶ follow_up ──▶ publications, timers
//! ```

use std::sync::Arc;

use asl::branch::{
    Branch, BranchEnd, BranchPath, BranchResult, Effect, Event, Fork, Outcome, Run, StaleEvent, TaskRequest,
    Tick, Transition as Moved, Waiting,
};
use asl::data::context::{ExecutionFacts, Redrive};
use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;
use asl::history::HistoryEvent;
use asl::limits::Limits;
use asl::program::{Resource, StateKind};
use uuid::Uuid;

use crate::messages::{Body, Header, Nudge, TaskMessage, encode};
use crate::ports::broker::{Family, Publication, Queue};
use crate::ports::store::{
    BranchKey, Change, Closing, Commit, ExecutionStatus, Fence, HistoryRow, NewBranch, OUTBOX_MILLISECONDS,
    Phase, RowState, Verdict,
};
use crate::services::observed::Before;
use crate::services::programs::Compiled;
use crate::services::publishing::Outgoing;
use crate::services::scheduler::{NEAR_MILLISECONDS, NearTimer};
use crate::services::status_events::Ended;
use crate::services::tokens::TaskKey;
use crate::services::transitions::InState;
use crate::services::{Announces, Core, Unavailable, activity_name, computing};

/// A near timer's row is due this much later than the timer itself, so that no poller races it.
pub(super) const NEAR_GRACE_MILLISECONDS: i64 = 2_000;

/// Who answers for the publications that follow a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// A delivery, acknowledged only afterwards.
    Delivery,
    /// Nobody: the row itself asks for it after a while.
    Row,
}

/// What a branch is moved with.
pub struct Subject {
    /// Of its execution.
    pub header: Arc<Header>,
    /// Its execution's definition.
    pub compiled: Arc<Compiled>,
    /// Its name.
    pub path: BranchPath,
    /// What its row must be at.
    pub fence: Fence,
    /// Its value.
    pub value: Branch,
}

/// A commit, and what is needed to go on from it.
pub struct Step {
    /// To be committed.
    pub commit: Commit,
    /// To be done once it stands.
    pub after: After,
}

/// What follows a commit.
pub struct After {
    /// Of the execution.
    pub header: Arc<Header>,
    /// The branch.
    pub path: BranchPath,
    /// Its value now.
    pub value: Option<Branch>,
    /// Whether it goes on at once.
    pub goes_on: bool,
    /// The task to send out.
    pub request: Option<TaskRequest>,
    /// The timer to set.
    pub timer: Option<Timestamp>,
    /// A task that nobody waits for any more.
    pub dropped_task: Option<u32>,
    /// How the execution closed, if it is over.
    pub finished: Option<Closing>,
    /// The last redrive of the execution.
    pub redrive: Option<Redrive>,
    /// The state that it moved in, where somebody is told of transitions.
    pub state: Option<InState>,
    /// What was recorded, for an execution whose history is full, and for metrics.
    pub events: Vec<HistoryEvent>,
    /// What it was before, for metrics.
    pub before: Before,
}

/// A branch with all that its next transition needs, so that it can be made without waiting.
pub struct Prepared {
    subject: Subject,
    facts: ExecutionFacts,
    limits: Limits,
    tick: Tick,
    backing: Backing,
    announces: Announces,
}

impl Prepared {
    /// Applies an event. Stale when the branch does not wait for it.
    pub fn apply(mut self, event: Event) -> Result<Result<Step, StaleEvent>, Unavailable> {
        let subject = &mut self.subject;
        let run = Run {
            program: &subject.compiled.program,
            execution: &self.facts,
            limits: &self.limits,
            path: &subject.path,
            setting: None,
        };
        let dropped_task = dropped_task(&subject.value, &event);
        let state =
            self.announces.transitions.then(|| InState::of(&subject.compiled, &subject.value)).flatten();
        let now = self.tick.now;
        let before =
            Before::of(&subject.header, &subject.path, &subject.value, &event, &subject.compiled, now);
        let woken_at = matches!(event, Event::TimerFired).then_some(now);
        let moved = match computing::apply(&mut subject.value, &run, event, &self.tick)? {
            Ok(moved) => moved,
            Err(stale) => return Ok(Err(stale)),
        };
        let unannounced = self.announces.status_changes && self.backing == Backing::Row;
        let times = Times { now, woken_at, backing: self.backing, unannounced };
        let mut step = step(self.subject, moved, times, dropped_task, before);
        step.after.state = state;
        Ok(Ok(step))
    }
}

impl Core {
    /// Applies an event to a branch. Stale when the branch does not wait for it.
    pub async fn advance(
        &self,
        subject: Subject,
        event: Event,
        backing: Backing,
    ) -> Result<Result<Step, StaleEvent>, Unavailable> {
        self.prepare(subject, backing).await?.apply(event)
    }

    /// Gathers what the next transition of a branch needs.
    pub async fn prepare(&self, subject: Subject, backing: Backing) -> Result<Prepared, Unavailable> {
        let tick = self.tick(&subject, self.clock.now()).await?;
        let facts = self.facts(&subject.header, &subject.compiled, subject.value.redrive);
        let (limits, announces) = (self.limits.clone(), self.announces);
        Ok(Prepared { subject, facts, limits, tick, backing, announces })
    }

    /// What the context object says of an execution.
    pub fn facts(&self, header: &Header, compiled: &Compiled, redrive: Option<Redrive>) -> ExecutionFacts {
        ExecutionFacts {
            id: self.home.execution(&header.machine_name, &header.name),
            name: header.name.clone(),
            role_arn: compiled.role_arn.clone(),
            started_at: header.started_at,
            input: header.input.clone().unwrap_or_default(),
            redrive,
            state_machine_id: self.home.state_machine(&header.machine_name),
            state_machine_name: header.machine_name.clone(),
        }
    }

    async fn tick(&self, subject: &Subject, now: Timestamp) -> Result<Tick, Unavailable> {
        let mut tick = random_tick(now);
        let schedules = matches!(subject.value.waiting, Waiting::Enter | Waiting::Retry { .. });
        if !schedules || !subject.compiled.program.has_state(subject.value.state) {
            return Ok(tick);
        }
        if let StateKind::Task(task) = &subject.compiled.program.state(subject.value.state).kind {
            match &task.resource {
                Resource::Activity { arn } => {
                    let own = *arn == self.home.activity(activity_name(arn));
                    let found = own && self.catalog.activity(activity_name(arn)).await?.is_some();
                    tick.activity_missing = !found;
                }
                Resource::Service(service) if service.pattern.is_submitted() => {
                    let branch = BranchKey { execution: subject.header.id, branch: subject.path.clone() };
                    tick.task_token = self.tokens.issue(&TaskKey { branch, task: subject.value.seq + 1 });
                }
                Resource::Service(_) | Resource::Function { .. } => {}
            }
        }
        Ok(tick)
    }

    /// What a commit that stands asks for: messages to publish, an end to announce. Sets near timers and shows
    /// the transition on the way.
    pub async fn follow_up(&self, after: &After, verdict: &Verdict) -> Result<Outgoing, Unavailable> {
        let Verdict::Done { fence, launched, parent } = verdict else { return Ok(Outgoing::default()) };
        if self.announces.transitions {
            self.show_standard(&after.header, &after.path, fence.seq, after.state.as_ref(), &after.events);
        }
        after.before.stands(WorkflowType::Standard, &after.header, &after.events, after.request.as_ref());
        let key = BranchKey { execution: after.header.id, branch: after.path.clone() };
        let mut publications = Vec::with_capacity(1 + launched.len());
        if let (true, Some(value)) = (after.goes_on, &after.value) {
            publications.push(self.transition(&after.header, &after.path, *fence, value.clone(), None));
        }
        if let Some(request) = &after.request {
            publications
                .push(self.task_publication(&after.header, &after.path, request.clone(), false).await?);
        }
        if let Some(at) = after.timer {
            self.set_near_timer(&key, *fence, at);
        }
        if let Some(task) = after.dropped_task {
            self.cancel(format!("{}/{}/{task}", after.header.id, after.path));
        }
        if !launched.is_empty() {
            crate::crash_point!("forked");
        }
        for child in launched {
            publications.extend(self.launched_transition(&after.header, child));
        }
        if let Some((key, fence)) = parent {
            crate::crash_point!("joined");
            publications.push(self.nudge(key, *fence));
        }
        let ended = self.ended(after);
        Ok(Outgoing { publications, ended: ended.into_iter().collect() })
    }

    /// The execution's end, if it is over.
    fn ended(&self, after: &After) -> Option<Ended> {
        let closing = after.finished.clone()?;
        self.execution_is_over(after.header.id);
        let last = after.events.last().filter(|_| self.announces.status_changes)?.kind.clone();
        Some(Ended { header: after.header.clone(), redrive: after.redrive, closing, last })
    }

    /// Forgets an execution and tells who waits for its end.
    pub fn execution_is_over(&self, id: crate::ids::ExecutionId) {
        crate::crash_point!("closed");
        self.headers.forget(id);
        // Nobody may be waiting.
        let _ = self.closed.send(id);
    }

    pub(super) fn set_near_timer(&self, key: &BranchKey, fence: Fence, at: Timestamp) {
        if at.milliseconds() - self.clock.now().milliseconds() <= NEAR_MILLISECONDS {
            // Without a scheduler the row's `due` brings the timer, a little later.
            let _ = self.near_timers.send(NearTimer { at, nudge: Nudge::new(key, fence, self.clock.now()) });
        }
    }

    /// The message that sends a task out, or, where nothing serves its resource, the one that fails it.
    pub async fn task_publication(
        &self,
        header: &Header,
        path: &BranchPath,
        request: TaskRequest,
        again: bool,
    ) -> Result<Publication, Unavailable> {
        let results = self.shards.queue(Family::Results, header.id);
        let mut message = self.task_message(header, path, request, again);
        if let Some(publication) = self.function_request(&message, results.clone()) {
            return Ok(publication);
        }
        if let Resource::Activity { arn } = &message.request.resource {
            self.broker.declare(&[Queue::activity(activity_name(arn))]).await?;
            // Workers may be few and requests many, some of them over by then: the input stays in the row.
            message.request.parameters = serde_json::Value::Null;
        }
        Ok(self.connector_request(&message, results))
    }

    /// A task with all that its message says.
    pub fn task_message(
        &self,
        header: &Header,
        path: &BranchPath,
        request: TaskRequest,
        again: bool,
    ) -> TaskMessage {
        let branch = BranchKey { execution: header.id, branch: path.clone() };
        let token = self.tokens.issue(&TaskKey { branch, task: request.task });
        TaskMessage {
            execution_arn: self.home.execution(&header.machine_name, &header.name),
            execution: header.id,
            path: path.clone(),
            request,
            token,
            again,
        }
    }

    /// The request for a task's connector, or for the workers of its activity.
    pub fn connector_request(&self, message: &TaskMessage, reply_to: Queue) -> Publication {
        let Some(queue) = self.queue_for(&message.request.resource) else {
            return crate::services::task_runner::unserved(message, reply_to);
        };
        let id = message.id();
        Publication {
            reply_to: Some(reply_to),
            correlation_id: Some(id.clone()),
            expires: crate::services::functions::timeout(message),
            ..Publication::new(queue, id, encode(message))
        }
    }
}

/// A tick with fresh randomness and nothing asked of the service.
pub fn random_tick(now: Timestamp) -> Tick {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    seed[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    Tick { now, seed, task_token: String::new(), activity_missing: false }
}

/// The task that an event takes away unfinished: a time-out.
fn dropped_task(value: &Branch, event: &Event) -> Option<u32> {
    match (&value.waiting, event) {
        (Waiting::Task(attempt), Event::TimerFired) => Some(attempt.task),
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Times {
    now: Timestamp,
    woken_at: Option<Timestamp>,
    backing: Backing,
    /// Whether no delivery comes back until an end is announced: the store keeps it in mind.
    unannounced: bool,
}

/// Turns a transition into its commit.
fn step(subject: Subject, moved: Moved, times: Times, dropped_task: Option<u32>, before: Before) -> Step {
    let Subject { header, path, fence, value, .. } = subject;
    let mut asked = Asked::default();
    for effect in moved.effects {
        asked.add(effect);
    }
    let over = value.waiting == Waiting::Over;
    let redrive = value.redrive;
    let key = BranchKey { execution: header.id, branch: path.clone() };
    let events = u16::try_from(moved.history.len()).unwrap_or(u16::MAX);
    let value = (!over).then_some(value);
    let body = Body {
        events: moved.history,
        value: value.clone(),
        request: asked.request.clone(),
        end: asked.end.clone(),
    };
    let encoded = encode(&body);
    let row = asked.row(value.as_ref(), times);
    let change = asked.change(&path, fence.seq + 1, row, times);
    let finished = match &change {
        Change::Finish(closing) => Some(closing.clone()),
        Change::Move(_) | Change::Fork { .. } | Change::EndBranch { .. } => None,
    };
    Step {
        commit: Commit {
            key,
            fence,
            woken_at: times.woken_at,
            history: HistoryRow { events, body: encoded },
            joins: false,
            change,
        },
        after: After {
            header,
            path,
            goes_on: matches!(value.as_ref().map(|value| &value.waiting), Some(Waiting::Enter)),
            value,
            request: body.request,
            timer: row.wake,
            dropped_task,
            finished,
            redrive,
            state: None,
            events: body.events,
            before,
        },
    }
}

/// The effects of one transition, sorted by kind.
#[derive(Default)]
struct Asked {
    request: Option<TaskRequest>,
    timer: Option<Timestamp>,
    fork: Option<Fork>,
    end: Option<BranchEnd>,
    outcome: Option<Outcome>,
}

impl Asked {
    fn add(&mut self, effect: Effect) {
        match effect {
            // The value says it too: it stands before a state.
            Effect::Continue => {}
            Effect::ScheduleTask(request) => self.request = Some(request),
            Effect::StartTimer { at } => self.timer = Some(at),
            Effect::Fork(fork) => self.fork = Some(fork),
            Effect::EndBranch(end) => self.end = Some(end),
            Effect::Finish(outcome) => self.outcome = Some(outcome),
        }
    }

    fn row(&self, value: Option<&Branch>, times: Times) -> RowState {
        let (phase, task) = match value.map(|value| &value.waiting) {
            Some(Waiting::Task(attempt)) => (Phase::Dispatched, Some(attempt.task)),
            Some(Waiting::Wait { .. } | Waiting::Retry { .. }) => (Phase::Sleeping, None),
            Some(Waiting::Branches { .. }) => (Phase::Forked, None),
            Some(Waiting::Enter) => (Phase::Runnable, None),
            Some(Waiting::Over) | None => (Phase::Ended, None),
        };
        let due = match (self.timer, phase, times.backing) {
            (Some(at), _, _) if at.milliseconds() - times.now.milliseconds() <= NEAR_MILLISECONDS => {
                Some(at.plus_milliseconds(NEAR_GRACE_MILLISECONDS))
            }
            (Some(at), _, _) => Some(at),
            (None, Phase::Runnable, Backing::Row) => Some(times.now.plus_milliseconds(OUTBOX_MILLISECONDS)),
            (None, _, _) => None,
        };
        RowState { phase, wake: self.timer, due, task }
    }

    fn change(self, path: &BranchPath, seq: u32, row: RowState, times: Times) -> Change {
        if let Some(outcome) = self.outcome {
            return Change::Finish(closing(&outcome, times));
        }
        if let Some(end) = self.end {
            let failed = matches!(end.result, BranchResult::Failed(_));
            return Change::EndBranch { failed, last: end.last, last_inner: end.last_inner };
        }
        match self.fork {
            None => Change::Move(row),
            Some(fork) => {
                let child = |(index, value): (u32, Branch)| NewBranch {
                    branch: path.child(seq, index),
                    history: HistoryRow { events: 0, body: value_body(value) },
                };
                Change::Fork { children: (0..).zip(fork.children).map(child).collect(), window: fork.window }
            }
        }
    }
}

/// The body of a branch's first row: its value alone.
pub fn value_body(value: Branch) -> bytes::Bytes {
    encode(&Body { events: Vec::new(), value: Some(value), request: None, end: None })
}

/// How an execution closes with this outcome.
fn closing(outcome: &Outcome, Times { now: at, unannounced, .. }: Times) -> Closing {
    let (status, error) = match outcome {
        Outcome::Succeeded(_) => (ExecutionStatus::Succeeded, None),
        Outcome::Failed(failure) => (ExecutionStatus::Failed, failure.error.clone()),
    };
    Closing { status, at, error, unannounced }
}
