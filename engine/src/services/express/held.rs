//! Transitions that need an answer: a task, or children. Their delivery is held until it is in.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use asl::branch::{Answer, Branch, BranchResult, Event, Fork, Source, TaskRequest, Waiting};
use asl::data::Failure;
use asl::data::failure::names;

use super::ExpressTurn;
use crate::messages::{Express, ExpressResult, TaskMessage, TaskReport, TaskResult, decode, encode};
use crate::ports::broker::{Publication, Queue};
use crate::services::Unavailable;
use crate::services::task_runner::unserved_failure;

/// Children of one fork that are out at a time where the definition says nothing.
const WINDOW: u32 = 100;
/// How a held delivery goes on.
pub(super) enum Held {
    /// With this event.
    Event(Box<Event>),
    /// The execution's time is over.
    TimedOut,
    /// A part of a synchronous execution was lost with its engine.
    Lost,
}

impl ExpressTurn<'_> {
    /// Sends a task out and waits for its answer, its time-out or the end of the execution's time.
    pub(super) async fn hold_task(&self, request: TaskRequest) -> Result<Held, Unavailable> {
        let task = request.task;
        let times_out = match &self.message.value.waiting {
            Waiting::Task(attempt) => attempt.next_deadline(),
            _ => None,
        };
        let message = TaskMessage {
            execution_arn: self.message.arn.clone(),
            execution: self.message.execution.id,
            path: self.message.path.clone(),
            request,
            token: String::new(),
            again: self.delivery.redeliveries > 0,
        };
        let id = message.id();
        let ended = |answer| Held::Event(Box::new(Event::TaskEnded { task, answer, source: Source::Call }));
        let Some(queue) = self.core.queue_for(&message.request.resource) else {
            return Ok(ended(Answer::Failed(unserved_failure(&message))));
        };
        let mut expected = self.core.replies.expect(id.clone());
        self.core
            .publish(vec![Publication {
                reply_to: Some(Queue::reply(&self.core.engine)),
                correlation_id: Some(id.clone()),
                ..Publication::new(queue, id.clone(), encode(&message))
            }])
            .await?;
        let until = times_out.map_or(self.message.deadline, |at| at.min(self.message.deadline));
        let left = Duration::from_millis(self.core.milliseconds_until(until));
        let answer = tokio::time::timeout(left, expected.answers.recv()).await.ok().flatten();
        match answer.map(|delivery| decode::<TaskResult>(&delivery.body)) {
            Some(Ok(TaskResult { report: TaskReport::Ended(answer), .. })) => Ok(ended(answer)),
            Some(Ok(TaskResult { report: TaskReport::Submitted(_), .. }) | Err(_)) => Ok(ended(
                Answer::Failed(Failure::new(names::TASK_FAILED, "the answer of the task cannot be read")),
            )),
            None => {
                self.core.cancel(id);
                // By the runtime's clock it is time; the deployment's may be a little behind.
                tokio::time::sleep(Duration::from_millis(self.core.milliseconds_until(until))).await;
                Ok(if until < self.message.deadline {
                    Held::Event(Box::new(Event::TimerFired))
                } else {
                    Held::TimedOut
                })
            }
        }
    }

    /// Sends children out, a window of them at a time, and waits for all of them or the first failure.
    pub(super) async fn hold_fork(&self, fork: Fork) -> Result<Held, Unavailable> {
        let seq = self.message.value.seq;
        let id = format!("{}/{}/{seq}", self.message.execution.id, self.message.path);
        let mut expected = self.core.replies.expect(id.clone());
        self.core.ended_forks.begin(&self.message, seq);
        let size = fork.children.len();
        let mut waiting: VecDeque<(u32, Branch)> = (0..).zip(fork.children).collect();
        let window = usize::try_from(fork.window.min(WINDOW)).unwrap_or(1).min(size);
        self.send_children(&mut waiting, window, &id).await?;
        let mut outputs = BTreeMap::new();
        loop {
            let left = Duration::from_millis(self.core.milliseconds_until(self.message.deadline));
            let Ok(Some(delivery)) = tokio::time::timeout(left, expected.answers.recv()).await else {
                return Ok(Held::TimedOut);
            };
            let (path, end) = match decode::<ExpressResult>(&delivery.body) {
                Ok(ExpressResult::Branch(path, end)) => (path, end),
                Ok(ExpressResult::Lost) => return Ok(Held::Lost),
                Ok(ExpressResult::Failed(failure)) => {
                    let last = self.message.value.last.clone();
                    let Some(last) = last else { return Ok(Held::Lost) };
                    self.core.ended_forks.add(&self.message, seq, self.core.clock.now());
                    let event = Event::BranchFailed { failure, last, aborted: Vec::new(), events: 0 };
                    return Ok(Held::Event(Box::new(event)));
                }
                Ok(_) | Err(_) => continue,
            };
            let Some(place) = path.place() else { continue };
            match end.result {
                BranchResult::Failed(failure) => {
                    self.core.ended_forks.add(&self.message, seq, self.core.clock.now());
                    self.core.cancel(format!("{}/{}.", self.message.execution.id, self.message.path));
                    // No history is kept, so no id is known: the cause says event 0.
                    let failure = failure.resolve(|_| None);
                    let event =
                        Event::BranchFailed { failure, last: end.last_inner, aborted: Vec::new(), events: 0 };
                    return Ok(Held::Event(Box::new(event)));
                }
                BranchResult::Succeeded(output) => {
                    // A copy of a child may end twice; the map keeps one.
                    if outputs.insert(place.index, output).is_none() {
                        self.send_children(&mut waiting, 1, &id).await?;
                    }
                }
            }
            if outputs.len() == size {
                let outputs = outputs.into_values().collect();
                let event = Event::BranchesJoined { outputs, last: end.last, events: 0 };
                return Ok(Held::Event(Box::new(event)));
            }
        }
    }

    async fn send_children(
        &self,
        waiting: &mut VecDeque<(u32, Branch)>,
        count: usize,
        correlation_id: &str,
    ) -> Result<(), Unavailable> {
        let mut publications = Vec::with_capacity(count);
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
            let reply_to = Some(Queue::reply(&self.core.engine));
            let publication =
                self.core.express_publication(child, reply_to, Some(correlation_id.to_owned()), None).await?;
            publications.push(publication);
        }
        self.core.publish(publications).await
    }
}
