//! The contract between the engine and what a Task state calls.

use std::time::Duration;

use asl::data::Failure;
use asl::program::Resource;
use async_trait::async_trait;
use serde_json::Value;

/// One attempt of one task.
#[derive(Debug, Clone)]
pub struct Request {
    /// Names the attempt: the same when it is asked again after a crash, another one for a retry.
    pub id: String,
    /// What to call.
    pub resource: Resource,
    /// What to call it with: the task's `Parameters`, or the input of a plain function.
    pub parameters: Value,
    /// The ARN of the execution that asks.
    pub execution_arn: String,
    /// How long the task may take; the engine drops the call when it is over.
    pub timeout: Option<Duration>,
    /// Whether this attempt may have been made before, by an engine that died meanwhile.
    pub again: bool,
}

/// Where a connector reports that its call was accepted and the task goes on (`TaskSubmitted`), before
/// [`Connector::run`] returns. At most once per run; only for [`Pattern::Sync`](asl::program::Pattern)
/// and its like.
#[async_trait]
pub trait Submission: Send + Sync {
    /// Reports the immediate answer of the call.
    async fn submitted(&self, output: Value);

    /// Tells how a call over HTTP went, to those who look at one closely; the closure is not called for others.
    fn exchanged(&self, made: &dyn Fn() -> Exchange) {
        let _ = made;
    }
}

/// A call over HTTP as it went, without what a connection adds: that is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// `GET`.
    pub method: String,
    /// With its query.
    pub url: String,
    /// What was sent.
    pub sent: HttpPart,
    /// The status of the answer.
    pub status: u16,
    /// What that means, where it is known.
    pub status_text: String,
    /// What came back.
    pub received: HttpPart,
}

/// Headers and body of a request or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpPart {
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// As text; bytes that are none are replaced.
    pub body: String,
}

/// A call as a worker on the queue of a function gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedCall {
    /// The function's name.
    pub function: String,
    /// What it is called with: JSON text.
    pub payload: String,
}

/// What a worker on a queue answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueReply {
    /// The error's name, where the worker says that it failed.
    pub error: Option<String>,
    /// JSON text; of a failure, its cause.
    pub body: String,
}

/// A service integration.
///
/// An implementation must guarantee:
/// * **Dropping the future of [`run`](Self::run) ends the work**: time-out, stop and shutdown do just
///   that. Processes, and whatever they started, are killed; connections are closed; a job that AWS would
///   cancel is cancelled, best effort.
/// * **It is bounded**: in what it runs at a time, in what it keeps of an answer.
/// * **It never panics on what an answer holds**; whatever goes wrong is a [`Failure`] with AWS's error
///   name and cause for that service.
/// * **`again`** is honoured: what can be recognised as done is not done twice.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The name of its queue, and of its configuration section: `lambda`, `states`.
    fn name(&self) -> &'static str;

    /// Whether it runs tasks with this resource.
    fn claims(&self, resource: &Resource) -> bool;

    /// Runs a task to its end and answers its result. For [`WaitForTaskToken`], to the call's own end:
    /// the answer is then what `TaskSubmitted` shows, and the task ends by its token.
    ///
    /// [`WaitForTaskToken`]: asl::program::Pattern::WaitForTaskToken
    async fn run(&self, request: Request, submission: &dyn Submission) -> Result<Value, Failure>;

    /// Requests that it takes before it has answered them: somewhat more than it runs at a time. What it
    /// takes waits for nobody else, and brokers take back what is held for half an hour.
    fn held_max(&self) -> usize {
        256
    }

    /// The call as workers on a queue of their own may take it; `None` where only [`run`](Self::run) does.
    /// Nothing may be assumed of such workers: where there are none, the call is run.
    fn queued(&self, request: &Request) -> Option<QueuedCall> {
        let _ = request;
        None
    }

    /// The task's result from what a worker answered to [`queued`](Self::queued).
    fn answered(&self, request: &Request, reply: QueueReply) -> Result<Value, Failure> {
        let _ = request;
        Err(Failure { error: reply.error, cause: Some(reply.body) })
    }
}
