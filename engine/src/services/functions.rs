//! Functions that AMQP clients serve: requests to `functions.<name>`, and what comes back.
//!
//! A request's body is the function's payload and nothing else; what a worker may want to know beside it is
//! in headers. Its message id and correlation id are the name of the task attempt, the same when it is sent
//! again. That a queue exists means that there are workers: Warren never makes one, and a request that finds
//! none goes to the connector, which has the function's URL or fails the task.
//!
//! A reply repeats the correlation id. Its body is the output, or, with the header `warren-error`, the cause
//! of that error. A reply with `warren-heartbeat` says that the worker is still at it.

use std::time::Duration;

use asl::branch::{Answer, Event, Source, TaskAttempt, Waiting};
use asl::program::{Pattern, Resource};
use bytes::Bytes;
use connectors::{QueueReply, Request};

use crate::ids::ExecutionId;
use crate::messages::{Standing, TaskMessage, decode};
use crate::ports::broker::{Address, Delivery, Headers, Publication, Queue};
use crate::ports::store::{BranchKey, StoredBranch};
use crate::services::{Core, Unavailable};

/// On answers of our own task runner, which are no worker's.
pub const OWN: &str = "warren-type";
/// The execution's ARN.
const EXECUTION: &str = "warren-execution";
/// "true" on a request that may have been sent before.
const AGAIN: &str = "warren-again";
/// The error's name, on the reply of a function that failed.
const ERROR: &str = "warren-error";
/// On a reply that is no answer yet.
const HEARTBEAT: &str = "warren-heartbeat";

/// Pause before a queue that was made again is published to.
const DECLARED_PAUSE: Duration = Duration::from_millis(50);
/// Heartbeats of one task that come faster than this are one.
const BEAT_PAUSE_MILLISECONDS: i64 = 250;

/// What a worker sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is still at it.
    Heartbeat,
    /// It is done.
    Ended(QueueReply),
}

impl Reply {
    /// A delivery that is a worker's, with the task attempt that it is about. `None` for messages of our own,
    /// and for those that name no attempt.
    pub fn read(delivery: &Delivery) -> Option<(BranchKey, u32, Self)> {
        if delivery.headers.contains_key(OWN) {
            return None;
        }
        let (key, task) = attempt(delivery.correlation_id.as_deref()?)?;
        if delivery.headers.get(HEARTBEAT).is_some_and(|said| said != "false") {
            return Some((key, task, Reply::Heartbeat));
        }
        let error = delivery.headers.get(ERROR).cloned();
        let body = String::from_utf8_lossy(&delivery.body).into_owned();
        Some((key, task, Reply::Ended(QueueReply { error, body })))
    }
}

/// The attempt that a task's id names.
fn attempt(id: &str) -> Option<(BranchKey, u32)> {
    let mut parts = id.splitn(3, '/');
    let execution: ExecutionId = parts.next()?.parse().ok()?;
    let branch = parts.next()?.parse().ok()?;
    let task = parts.next()?.parse().ok()?;
    Some((BranchKey { execution, branch }, task))
}

/// A task as connectors see it.
pub fn request_of(message: &TaskMessage, again: bool) -> Request {
    Request {
        id: message.id(),
        resource: message.request.resource.clone(),
        parameters: message.request.parameters.clone(),
        execution_arn: message.execution_arn.clone(),
        timeout: timeout(message),
        again,
    }
}

pub(super) fn timeout(message: &TaskMessage) -> Option<Duration> {
    message.request.timeout_seconds.map(|seconds| Duration::from_secs(u64::from(seconds)))
}

impl Core {
    /// The request for the workers of a function; `None` for other tasks.
    pub fn function_request(&self, message: &TaskMessage, reply_to: Queue) -> Option<Publication> {
        let resource = &message.request.resource;
        let connector = self.connectors.iter().find(|connector| connector.claims(resource))?;
        let call = connector.queued(&request_of(message, message.again))?;
        let mut headers = Headers::from([(EXECUTION.to_owned(), message.execution_arn.clone())]);
        if message.again {
            headers.insert(AGAIN.to_owned(), "true".to_owned());
        }
        let id = message.id();
        let queue = Queue::function(&call.function);
        Some(Publication {
            reply_to: Some(reply_to),
            correlation_id: Some(id.clone()),
            expires: timeout(message),
            headers,
            ..Publication::new(queue, id, call.payload.into())
        })
    }

    /// What a task's branch is told when a worker has answered.
    pub fn function_answer(&self, request: &Request, task: u32, reply: QueueReply) -> Event {
        let resource = &request.resource;
        let connector = self.connectors.iter().find(|connector| connector.claims(resource));
        let answered = match connector {
            Some(connector) => connector.answered(request, reply),
            None => Err(asl::data::Failure { error: reply.error, cause: Some(reply.body) }),
        };
        match (resource, answered) {
            (Resource::Service(service), Ok(output)) if service.pattern == Pattern::WaitForTaskToken => {
                Event::TaskSubmitted { task, output }
            }
            (_, Ok(output)) => {
                Event::TaskEnded { task, answer: Answer::Succeeded(output), source: Source::Call }
            }
            (_, Err(failure)) => {
                Event::TaskEnded { task, answer: Answer::Failed(failure), source: Source::Call }
            }
        }
    }

    /// What a Standard branch that waits for a task is told by its worker's reply; `None` if nothing.
    pub(super) async fn reply_event(
        &self,
        row: &StoredBranch,
        task: u32,
        reply: Reply,
    ) -> Result<Option<Event>, Unavailable> {
        match reply {
            Reply::Heartbeat => {
                let value = decode::<Standing>(&row.body).ok().and_then(|body| body.value);
                let beats = match value.map(|value| value.waiting) {
                    Some(Waiting::Task(attempt)) => self.is_beat_needed(&attempt),
                    Some(_) | None => false,
                };
                Ok(beats.then_some(Event::Heartbeat { task }))
            }
            Reply::Ended(reply) => {
                let scheduled = (row.fence.seq == task).then(|| row.body.clone());
                let Some(message) = self.stored_task(&row.key, task, scheduled).await? else {
                    return Ok(None);
                };
                Ok(Some(self.function_answer(&request_of(&message, false), task, reply)))
            }
        }
    }

    /// Whether a heartbeat is worth a write: somebody listens, and the last one was not just now. A longer
    /// pause would take a worker for dead that beats first early and then late, both in time.
    pub(super) fn is_beat_needed(&self, attempt: &TaskAttempt) -> bool {
        let (Some(seconds), Some(due)) = (attempt.heartbeat_seconds, attempt.heartbeat_due_at) else {
            return false;
        };
        let left = due.milliseconds().saturating_sub(self.clock.now().milliseconds());
        left <= i64::from(seconds) * 1_000 - BEAT_PAUSE_MILLISECONDS
    }

    /// The task of an attempt, as the row that scheduled it holds it; `body` is that row's, where known.
    async fn stored_task(
        &self,
        key: &BranchKey,
        task: u32,
        body: Option<Bytes>,
    ) -> Result<Option<TaskMessage>, Unavailable> {
        let body = match body {
            Some(body) => Some(body),
            None => self.store.body(key, task).await?,
        };
        let Some(body) = body else { return Ok(None) };
        let Ok(Standing { request: Some(request), .. }) = decode::<Standing>(&body) else { return Ok(None) };
        let Some(header) = self.header(key.execution).await? else { return Ok(None) };
        Ok(Some(self.task_message(&header, &key.branch, request, true)))
    }

    /// What is sent instead of a publication that no queue took. A function without workers is the
    /// connector's; an engine that is gone waits for nothing; any other queue is ours, and is made again.
    pub(super) async fn unroutable(
        &self,
        publication: Publication,
    ) -> Result<Option<Publication>, Unavailable> {
        let queue = match &publication.to {
            Address::Queue(queue) if !queue.is_reply() => queue,
            // Nobody would hear it.
            Address::Queue(_) | Address::Exchange(..) => return Ok(None),
        };
        if !queue.is_function() {
            tracing::warn!(%queue, "a queue was gone, and is made again");
            self.broker.declare(std::slice::from_ref(queue)).await?;
            // It may be there and have nobody to keep its messages: not again at once.
            tokio::time::sleep(DECLARED_PAUSE).await;
            return Ok(Some(publication));
        }
        let Some((key, task)) = attempt(&publication.id) else { return Ok(None) };
        let Some(message) = self.stored_task(&key, task, None).await? else { return Ok(None) };
        let reply_to = publication.reply_to;
        Ok(reply_to.map(|reply_to| self.connector_request(&message, reply_to)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::broker::DeliveryTag;

    const ID: &str = "019a0000-0000-7000-8000-000000000001/r.2.3/4";

    fn check(correlation_id: Option<&str>, headers: &[(&str, &str)], body: &str, reply: Option<Reply>) {
        let delivery = Delivery {
            tag: DeliveryTag(1),
            id: String::new(),
            body: Bytes::from(body.to_owned()),
            reply_to: None,
            correlation_id: correlation_id.map(str::to_owned),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            redeliveries: 0,
            routing_key: String::new(),
        };
        let read = Reply::read(&delivery);
        assert!(read.as_ref().is_none_or(|(key, task, _)| (key.branch.as_str(), *task) == ("r.2.3", 4)));
        assert_eq!(read.map(|(.., reply)| reply), reply);
    }

    #[test]
    fn a_reply_is_an_output_an_error_or_a_sign_of_life() {
        let ended = |error: Option<&str>, body: &str| {
            Some(Reply::Ended(QueueReply { error: error.map(str::to_owned), body: body.to_owned() }))
        };
        check(Some(ID), &[], "{}", ended(None, "{}"));
        check(Some(ID), &[("warren-error", "Late")], "cause", ended(Some("Late"), "cause"));
        check(Some(ID), &[("warren-heartbeat", "true")], "", Some(Reply::Heartbeat));
    }

    #[test]
    fn other_messages_are_no_replies() {
        check(None, &[], "{}", None);
        check(Some("whatever"), &[], "{}", None);
        check(Some(ID), &[("warren-type", "task-result.1")], "{}", None);
    }
}
