//! Transitions that need an answer: a task, or children. Their delivery is held until it is in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use asl::branch::{
    Answer, Branch, BranchEnd, BranchFailure, BranchPath, BranchResult, Effect, Event, Fork, Run, Source,
    TaskRequest, Waiting,
};
use asl::data::Failure;
use asl::data::failure::names;
use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;

use super::replies::Expected;
use super::turn::Turn;
use crate::messages::{Express, ExpressResult, TaskMessage, TaskReport, TaskResult, decode};
use crate::metrics::states::transition;
use crate::ports::broker::{Delivery, Publication, Published, Queue};
use crate::services::advance::random_tick;
use crate::services::functions::{Reply, request_of};
use crate::services::transitions::InState;
use crate::services::{Unavailable, computing};

/// Children of one fork that are out at a time where the definition says nothing.
const WINDOW: u32 = 100;
/// Messages of children that have ended, taken in one go.
const TAKEN_MAX: usize = 256;
/// Children that run within the hop before others get a turn.
const CHILDREN_AT_ONCE: usize = 64;

/// How a held delivery goes on.
pub(super) enum Held {
    /// With this event.
    Event(Box<Event>),
    /// The execution's time is over.
    TimedOut,
    /// A part of a synchronous execution was lost with its engine.
    Lost,
}

impl Held {
    /// Whether all children have ended well.
    fn is_join(&self) -> bool {
        matches!(self, Held::Event(event) if matches!(**event, Event::BranchesJoined { .. }))
    }
}

/// Whether what a turn asks for is on its way.
enum Sent {
    Out,
    /// It may be, and must not be sent again.
    InDoubt,
}

/// What came for a task that is out.
enum Came {
    Beat,
    Ended(Box<Event>),
}

impl Turn {
    /// Sends a task out and waits for its answer, its time-out or the end of the execution's time.
    pub(super) async fn hold_task(&mut self, request: TaskRequest) -> Result<Held, Unavailable> {
        let message = TaskMessage {
            execution_arn: self.message.arn.clone(),
            execution: self.message.execution.id,
            path: self.message.path.clone(),
            request,
            token: String::new(),
            again: self.delivery.redeliveries > 0,
        };
        let id = message.id();
        let core = self.core.clone();
        let mut expected = core.replies.expect(id.clone());
        if let Sent::InDoubt = self.send_task(&message).await? {
            return Ok(Held::Lost);
        }
        crate::crash_point!("express-asked");
        loop {
            let until = self.task_deadline();
            let left = Duration::from_millis(core.milliseconds_until(until));
            let came = tokio::time::timeout(left, expected.answers.recv()).await.ok().flatten();
            match came.map(|delivery| self.came(&message, &delivery)) {
                Some(Came::Ended(event)) => {
                    crate::crash_point!("express-answered");
                    return Ok(Held::Event(event));
                }
                Some(Came::Beat) => self.beat(),
                None => {
                    core.cancel(id);
                    // By the runtime's clock it is time; the deployment's may be a little behind.
                    tokio::time::sleep(Duration::from_millis(core.milliseconds_until(until))).await;
                    return Ok(if until < self.message.deadline {
                        Held::Event(Box::new(Event::TimerFired))
                    } else {
                        Held::TimedOut
                    });
                }
            }
        }
    }

    /// To the workers of its function, or, where there are none, to its connector.
    async fn send_task(&self, message: &TaskMessage) -> Result<Sent, Unavailable> {
        let reply_to = Queue::reply(&self.core.engine);
        let left = self.core.milliseconds_until(self.task_deadline());
        let expires = Some(Duration::from_millis(left.max(1)));
        if let Some(publication) = self.core.function_request(message, reply_to.clone()) {
            let publication = Publication { expires, ..publication };
            loop {
                let published = self.core.broker.publish(vec![publication.clone()]).await;
                if published.is_err() && self.message.synchronous {
                    return Ok(Sent::InDoubt);
                }
                match published?.first() {
                    Some(Published::InDoubt) if self.message.synchronous => return Ok(Sent::InDoubt),
                    Some(Published::InDoubt) => {}
                    Some(Published::Returned) => break,
                    Some(Published::Confirmed) | None => return Ok(Sent::Out),
                }
            }
        }
        let publication = self.core.connector_request(message, reply_to);
        self.ask(vec![Publication { expires, ..publication }]).await
    }

    /// What the turn asks for; of a synchronous execution at most once.
    async fn ask(&self, publications: Vec<Publication>) -> Result<Sent, Unavailable> {
        if !self.message.synchronous {
            return self.core.publish(publications).await.map(|()| Sent::Out);
        }
        let lost = self.core.publish_once(publications).await;
        Ok(if lost.is_empty() { Sent::Out } else { Sent::InDoubt })
    }

    fn task_deadline(&self) -> Timestamp {
        let times_out = match &self.message.value.waiting {
            Waiting::Task(attempt) => attempt.next_deadline(),
            _ => None,
        };
        times_out.map_or(self.message.deadline, |at| at.min(self.message.deadline))
    }

    fn came(&self, message: &TaskMessage, delivery: &Delivery) -> Came {
        let task = message.request.task;
        let ended = |answer| Event::TaskEnded { task, answer, source: Source::Call };
        let event = match Reply::read(delivery) {
            Some((.., Reply::Heartbeat)) => return Came::Beat,
            Some((.., Reply::Ended(reply))) => {
                self.core.function_answer(&request_of(message, false), task, reply)
            }
            None => match decode::<TaskResult>(&delivery.body) {
                Ok(TaskResult { report: TaskReport::Ended(answer), .. }) => ended(answer),
                Ok(TaskResult { report: TaskReport::Submitted(_) | TaskReport::JobEnded(_), .. })
                | Err(_) => {
                    let cause = "the answer of the task cannot be read";
                    ended(Answer::Failed(Failure::new(names::TASK_FAILED, cause)))
                }
            },
        };
        Came::Ended(Box::new(event))
    }

    /// The worker is still at it.
    fn beat(&mut self) {
        let now = self.core.clock.now();
        if let Waiting::Task(attempt) = &mut self.message.value.waiting
            && let Some(seconds) = attempt.heartbeat_seconds
        {
            attempt.heartbeat_due_at = Some(now.plus_seconds(i64::from(seconds)));
        }
    }

    /// Runs children to their ends: within the hop where they touch nothing outside and states are fused,
    /// else by messages.
    pub(super) async fn hold_fork(&self, fork: Fork) -> Result<Held, Unavailable> {
        let program = &self.compiled.program;
        let fused = self.core.limits.fused_states_max > 1;
        if fused && fork.children.iter().all(|child| program.is_pure_from(child.state)) {
            return self.run_children(fork).await;
        }
        self.send_and_gather(fork).await
    }

    /// Children that touch nothing outside, one after the other.
    async fn run_children(&self, fork: Fork) -> Result<Held, Unavailable> {
        let (mut outputs, mut last) = (Vec::with_capacity(fork.children.len()), None);
        let seq = self.message.value.seq;
        for (index, mut child) in (0..).zip(fork.children) {
            if self.message.deadline <= self.core.clock.now() {
                return Ok(Held::TimedOut);
            }
            let Some(end) = self.run_child(&self.message.path.child(seq, index), &mut child)? else {
                return Ok(Held::Lost);
            };
            match end.result {
                BranchResult::Failed(failure) => return Ok(Held::Event(failed(failure, end.last_inner))),
                BranchResult::Succeeded(output) => outputs.push(output),
            }
            last = Some(end.last);
            if outputs.len().is_multiple_of(CHILDREN_AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
        let Some(last) = last else { return Ok(Held::Lost) };
        Ok(Held::Event(Box::new(Event::BranchesJoined { outputs, last, events: 0 })))
    }

    /// The end of a child that touches nothing outside. `None` if it has none, which no such child does.
    fn run_child(&self, path: &BranchPath, child: &mut Branch) -> Result<Option<BranchEnd>, Unavailable> {
        let mut facts = self.core.facts(&self.message.execution, &self.compiled, None);
        facts.id.clone_from(&self.message.arn);
        let limits = self.limits();
        let run =
            Run { program: &self.compiled.program, execution: &facts, limits: &limits, path, setting: None };
        while self.core.clock.now() < self.message.deadline {
            let tick = random_tick(self.core.clock.now());
            let entered = Event::Enter { after: None };
            let is_shown = self.core.announces.transitions;
            let state = is_shown.then(|| InState::of(&self.compiled, child)).flatten();
            let effects = computing::apply(child, &run, entered, &tick)?.map_err(|_stale| {
                Unavailable::Definition("a child does not wait for its beginning".to_owned())
            })?;
            transition(WorkflowType::Express, &effects.history);
            if is_shown {
                let (seq, history) = (child.seq, &effects.history);
                self.core.show_express_child(&self.message, path, seq, state.as_ref(), history);
            }
            let end = effects.effects.into_iter().find_map(|effect| match effect {
                Effect::EndBranch(end) => Some(end),
                Effect::Continue
                | Effect::ScheduleTask(_)
                | Effect::StartTimer { .. }
                | Effect::Fork(_)
                | Effect::Finish(_) => None,
            });
            if end.is_some() {
                return Ok(end);
            }
        }
        Ok(None)
    }

    /// Sends children out, a window of them at a time, and waits for all of them or the first failure.
    async fn send_and_gather(&self, fork: Fork) -> Result<Held, Unavailable> {
        let seq = self.message.value.seq;
        let id = format!("{}/{}/{seq}", self.message.execution.id, self.message.path);
        let mut expected = self.core.replies.expect(id.clone());
        self.core.ended_forks.begin(&self.message, seq);
        let size = fork.children.len();
        let mut waiting: VecDeque<(u32, Branch)> = (0..).zip(fork.children).collect();
        let window = usize::try_from(fork.window.min(WINDOW)).unwrap_or(1).min(size);
        let mut out = BTreeSet::new();
        let room = next_out(&waiting, self.room(window, 0), &mut out);
        if let Sent::InDoubt = self.send_children(&mut waiting, room, &id).await? {
            return Ok(Held::Lost);
        }
        let (mut outputs, mut came) = (BTreeMap::new(), Vec::new());
        loop {
            let left = Duration::from_millis(self.core.milliseconds_until(self.message.deadline));
            // All that has come meanwhile makes room together: its places are filled by one publication.
            let taken = tokio::time::timeout(left, expected.answers.recv_many(&mut came, TAKEN_MAX)).await;
            if taken.unwrap_or(0) == 0 {
                return Ok(Held::TimedOut);
            }
            for delivery in came.drain(..) {
                match self.gather(&mut outputs, size, &delivery) {
                    // One that is not out was sent by a copy of this fork that is gone: it need not be sent again,
                    // and makes no room.
                    ControlFlow::Continue(ended) => {
                        for index in ended {
                            if !out.remove(&index) {
                                waiting.retain(|(waits, _)| *waits != index);
                            }
                        }
                    }
                    ControlFlow::Break(held) => {
                        if !held.is_join() {
                            self.fork_is_over(&expected, seq);
                        }
                        return Ok(held);
                    }
                }
            }
            let room = next_out(&waiting, self.room(window, out.len()), &mut out);
            if let Sent::InDoubt = self.send_children(&mut waiting, room, &id).await? {
                self.fork_is_over(&expected, seq);
                return Ok(Held::Lost);
            }
        }
    }

    /// Children that may be sent beside those that are out.
    fn room(&self, window: usize, out: usize) -> usize {
        let window = if self.core.held_bytes.is_over_budget() { window.min(1) } else { window };
        window.saturating_sub(out)
    }

    /// Takes what a message says of children that have ended: which they are, or how the fork ends.
    fn gather(
        &self,
        outputs: &mut BTreeMap<u32, serde_json::Value>,
        size: usize,
        delivery: &Delivery,
    ) -> ControlFlow<Held, Vec<u32>> {
        let ends = match decode::<ExpressResult>(&delivery.body) {
            Ok(ExpressResult::Branch(path, end)) => vec![(path, end)],
            Ok(ExpressResult::Branches(ends)) => ends,
            Ok(ExpressResult::Lost) => return ControlFlow::Break(Held::Lost),
            Ok(ExpressResult::Failed(failure)) => {
                let Some(last) = self.message.value.last.clone() else {
                    return ControlFlow::Break(Held::Lost);
                };
                let event = Event::BranchFailed { failure, last, aborted: Vec::new(), events: 0 };
                return ControlFlow::Break(Held::Event(Box::new(event)));
            }
            Ok(ExpressResult::Succeeded(_) | ExpressResult::TimedOut) | Err(_) => Vec::new(),
        };
        let mut ended = Vec::with_capacity(ends.len());
        for (path, end) in ends {
            let Some(place) = path.place() else { continue };
            match end.result {
                BranchResult::Failed(failure) => {
                    self.core.cancel(format!("{}/{}.", self.message.execution.id, self.message.path));
                    return ControlFlow::Break(Held::Event(failed(failure, end.last_inner)));
                }
                // A copy of a child may end twice; the map keeps one.
                BranchResult::Succeeded(output) => {
                    if outputs.insert(place.index, output).is_none() {
                        ended.push(place.index);
                    }
                }
            }
            if outputs.len() == size {
                let outputs = std::mem::take(outputs).into_values().collect();
                let event = Event::BranchesJoined { outputs, last: end.last, events: 0 };
                return ControlFlow::Break(Held::Event(Box::new(event)));
            }
        }
        ControlFlow::Continue(ended)
    }

    /// What is left of the children is dropped, unless a copy of this fork waits for them here.
    fn fork_is_over(&self, expected: &Expected<'_>, seq: u32) {
        if expected.is_alone() {
            self.core.ended_forks.add(&self.message, seq, self.core.clock.now());
        }
    }

    async fn send_children(
        &self,
        waiting: &mut VecDeque<(u32, Branch)>,
        count: usize,
        correlation_id: &str,
    ) -> Result<Sent, Unavailable> {
        if count == 0 || waiting.is_empty() {
            return Ok(Sent::Out);
        }
        let mut publications = Vec::with_capacity(count);
        let expires = Some(Duration::from_millis(self.core.milliseconds_until(self.message.deadline)));
        for (index, value) in waiting.drain(..count.min(waiting.len())) {
            let child = Express {
                execution: self.message.execution.clone(),
                arn: self.message.arn.clone(),
                path: self.message.path.child(self.message.value.seq, index),
                value,
                timer: false,
                deadline: self.message.deadline,
                synchronous: self.message.synchronous,
            };
            let publication = self.core.express_publication(&self.compiled.program, &child);
            publications.push(Publication {
                reply_to: Some(Queue::reply(&self.core.engine)),
                correlation_id: Some(correlation_id.to_owned()),
                expires,
                ..publication
            });
        }
        self.ask(publications).await
    }
}

/// A child has failed. No history is kept, so no id is known: the cause says event 0.
fn failed(failure: BranchFailure, last: asl::branch::EventRef) -> Box<Event> {
    let failure = failure.resolve(|_| None);
    Box::new(Event::BranchFailed { failure, last, aborted: Vec::new(), events: 0 })
}

/// Counts the next children as out, as many as there is room for. Answers how many they are.
fn next_out(waiting: &VecDeque<(u32, Branch)>, room: usize, out: &mut BTreeSet<u32>) -> usize {
    let next = waiting.iter().take(room).map(|(index, _)| *index);
    let before = out.len();
    out.extend(next);
    out.len() - before
}
