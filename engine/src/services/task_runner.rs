//! Calls connectors: takes requests from their queues and sends back what became of them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asl::branch::Answer;
use asl::data::Failure;
use asl::data::failure::names;
use asl::program::{Pattern, Resource};
use async_trait::async_trait;
use connectors::{Connector, Submission};
use futures::FutureExt;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::messages::{TaskMessage, TaskReport, TaskResult, decode, encode};
use crate::metrics;
use crate::ports::broker::{self, Consumer, Delivery, Family, Headers, Publication, Queue, Settle};
use crate::services::functions::{OWN, request_of};
use crate::services::{Cancelled, Core};

/// Requests taken in one go.
const BATCH_MAX: usize = 64;
/// Pause before what is away is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Calls that run, by task id, so that what nobody waits for can be ended. Copies of a request are calls of one id.
#[derive(Default)]
struct Running {
    calls: Mutex<BTreeMap<(String, u64), CancellationToken>>,
    begun: AtomicU64,
}

impl Running {
    /// Answers what ends the call from outside, and the name under which it is told that it has ended.
    fn begin(&self, id: &str, stop: &CancellationToken) -> (CancellationToken, (String, u64)) {
        let token = stop.child_token();
        let call = (id.to_owned(), self.begun.fetch_add(1, Ordering::Relaxed));
        self.lock().insert(call.clone(), token.clone());
        (token, call)
    }

    fn end(&self, call: &(String, u64)) {
        self.lock().remove(call);
    }

    fn cancel(&self, cancelled: &Cancelled) {
        let calls = self.lock();
        let from = (cancelled.prefix.clone(), 0);
        let below = cancelled.prefix.ends_with(['/', '.']);
        for ((id, _), token) in
            calls.range(from..).take_while(|((id, _), _)| id.starts_with(&cancelled.prefix))
        {
            // Task 3 is not task 31.
            if below || *id == cancelled.prefix {
                token.cancel();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, u64), CancellationToken>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one connector's queue until told to stop; then the calls that run may end until they are cut off.
/// When its consumer is gone they are cut off at once. The request of one that is cut off comes back.
pub async fn run(
    core: Arc<Core>,
    connector: Arc<dyn Connector>,
    stop: CancellationToken,
) -> Result<(), broker::Error> {
    let consumer = core.broker.consume(&Queue::tasks(connector.name()), connector.held_max()).await?;
    let running = Arc::new(Running::default());
    let tracker = TaskTracker::new();
    let mut cancelled = core.cancelled.subscribe();
    let cut_off = core.cut_off.child_token();
    let mut receives = true;
    let served = loop {
        tokio::select! {
            biased;
            () = stop.cancelled(), if receives => match consumer.stop().await {
                Ok(()) => receives = false,
                Err(error) => break Err(error),
            },
            cancelled = cancelled.recv() => match cancelled {
                Ok(cancelled) => running.cancel(&cancelled),
                // Best effort: a call whose end nobody waits for ends by itself, and its answer is stale.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break Ok(()),
            },
            deliveries = consumer.next(BATCH_MAX) => match deliveries {
                Err(error) => break Err(error),
                Ok(deliveries) if deliveries.is_empty() => break Ok(()),
                Ok(deliveries) => for delivery in deliveries {
                    let call = Call {
                        core: core.clone(),
                        connector: connector.clone(),
                        consumer: consumer.clone(),
                        running: running.clone(),
                    };
                    let cut_off = cut_off.clone();
                    tracker.spawn(async move { call.take(delivery, cut_off).await });
                },
            },
        }
    };
    if served.is_err() {
        cut_off.cancel();
    }
    tracker.close();
    loop {
        tokio::select! {
            biased;
            () = tracker.wait() => return served,
            cancelled = cancelled.recv() => match cancelled {
                Ok(cancelled) => running.cancel(&cancelled),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => cut_off.cancel(),
            },
        }
    }
}

/// How a call ends.
enum Outcome {
    Ended(TaskReport),
    Cancelled,
    HeldTooLong,
}

/// Brokers take back what is held for half an hour. A call that waits for something long that goes on by
/// itself is asked again in time; any other would be made twice, and is left to the broker.
async fn held_too_long(message: &TaskMessage) {
    const HELD_MAX: Duration = Duration::from_secs(20 * 60);
    match &message.request.resource {
        Resource::Service(service) if matches!(service.pattern, Pattern::Sync | Pattern::Sync2) => {
            tokio::time::sleep(HELD_MAX).await;
        }
        Resource::Service(_) | Resource::Function { .. } | Resource::Activity { .. } => {
            std::future::pending().await
        }
    }
}

struct Call {
    core: Arc<Core>,
    connector: Arc<dyn Connector>,
    consumer: Arc<dyn Consumer>,
    running: Arc<Running>,
}

impl Call {
    async fn take(self, delivery: Delivery, cut_off: CancellationToken) {
        let settle = match decode::<TaskMessage>(&delivery.body) {
            Err(error) => {
                let reason = error.to_string();
                tokio::select! {
                    biased;
                    () = cut_off.cancelled() => Settle::Requeue,
                    () = self.fail_for_sure(&delivery, &reason) => Settle::DeadLetter(reason),
                }
            }
            Ok(message) => {
                self.count_taken(&message, &delivery);
                let id = message.id();
                let (cancelled, call) = self.running.begin(&id, &cut_off);
                let outcome = tokio::select! {
                    biased;
                    () = cancelled.cancelled() => Outcome::Cancelled,
                    report = self.call(&message, &delivery) => Outcome::Ended(report),
                    () = held_too_long(&message) => Outcome::HeldTooLong,
                };
                self.running.end(&call);
                match outcome {
                    Outcome::Ended(report) => {
                        self.report(&message, &delivery, report).await;
                        Settle::Acknowledge
                    }
                    Outcome::HeldTooLong => {
                        self.ask_again(message, &delivery).await;
                        Settle::Acknowledge
                    }
                    // At shutdown the request goes back, for the next engine; otherwise nobody waits.
                    Outcome::Cancelled if cut_off.is_cancelled() => Settle::Requeue,
                    Outcome::Cancelled => Settle::Acknowledge,
                }
            }
        };
        if let Err(error) = self.consumer.settle(vec![(delivery.tag, settle)]).await {
            tracing::warn!(%error, "a task request comes again");
        }
    }

    /// How long a request waited; one that is sent or delivered again did not wait all that time.
    fn count_taken(&self, message: &TaskMessage, delivery: &Delivery) {
        let first = !message.again && delivery.redeliveries == 0;
        if let Some(at) = message.request.scheduled_at.filter(|_| first) {
            let waited = self.core.clock.now().milliseconds().saturating_sub(at.milliseconds());
            metrics::tasks::taken(&message.request.resource, waited);
        }
    }

    async fn call(&self, message: &TaskMessage, delivery: &Delivery) -> TaskReport {
        let submission = Submitted { call: self, message, delivery, told: AtomicBool::new(false) };
        let request = request_of(message, message.again || delivery.redeliveries > 0);
        let run = AssertUnwindSafe(self.connector.run(request, &submission));
        let answer = match run.catch_unwind().await {
            Ok(Ok(output)) => Answer::Succeeded(output),
            Ok(Err(failure)) => Answer::Failed(failure),
            // A bug; it must not hold the request for ever.
            Err(_) => Answer::Failed(Failure::new(names::RUNTIME, "the connector failed on this request")),
        };
        if submission.told.into_inner() { TaskReport::JobEnded(answer) } else { TaskReport::Ended(answer) }
    }

    /// Nobody will answer the task: its execution must not wait for that.
    async fn fail_for_sure(&self, delivery: &Delivery, reason: &str) {
        while let Err(error) = self.core.fail_execution_of(delivery, reason).await {
            self.core.outages.noticed(&error);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Puts the request at the end of its queue: whoever takes it goes on waiting.
    async fn ask_again(&self, message: TaskMessage, delivery: &Delivery) {
        let message = TaskMessage { again: true, ..message };
        let publication = Publication {
            reply_to: delivery.reply_to.clone(),
            correlation_id: delivery.correlation_id.clone(),
            ..Publication::new(Queue::tasks(self.connector.name()), delivery.id.clone(), encode(&message))
        };
        self.core.publish_for_sure(vec![publication]).await;
    }

    /// Reports until the broker has it: an answer must not be lost, the work is done.
    async fn report(&self, message: &TaskMessage, delivery: &Delivery, report: TaskReport) {
        let publication = answer(&self.core, message, delivery, ended_or_submitted(message, report));
        self.core.publish_for_sure(vec![publication]).await;
    }
}

/// The answer of a call whose task ends by its token is what `TaskSubmitted` shows.
fn ended_or_submitted(message: &TaskMessage, report: TaskReport) -> TaskReport {
    match (&message.request.resource, report) {
        (Resource::Service(service), TaskReport::Ended(Answer::Succeeded(output)))
            if service.pattern == Pattern::WaitForTaskToken =>
        {
            TaskReport::Submitted(output)
        }
        (_, report) => report,
    }
}

struct Submitted<'a> {
    call: &'a Call,
    message: &'a TaskMessage,
    delivery: &'a Delivery,
    told: AtomicBool,
}

#[async_trait]
impl Submission for Submitted<'_> {
    async fn submitted(&self, output: Value) {
        self.told.store(true, Ordering::Relaxed);
        self.call.report(self.message, self.delivery, TaskReport::Submitted(output)).await;
    }
}

fn answer(core: &Core, message: &TaskMessage, delivery: &Delivery, report: TaskReport) -> Publication {
    let reply_to =
        delivery.reply_to.clone().unwrap_or_else(|| core.shards.queue(Family::Results, message.execution));
    result(message, reply_to, delivery.correlation_id.clone(), report)
}

fn result(
    message: &TaskMessage,
    queue: Queue,
    correlation_id: Option<String>,
    report: TaskReport,
) -> Publication {
    let kind = match &report {
        TaskReport::Submitted(_) => "submitted",
        TaskReport::Ended(_) | TaskReport::JobEnded(_) => "ended",
    };
    let body = TaskResult {
        execution: message.execution,
        path: message.path.clone(),
        task: message.request.task,
        report,
    };
    let id = message.id();
    let publication = Publication::new(queue, format!("{id}/{kind}"), encode(&body));
    let headers = Headers::from([(OWN.to_owned(), "task-result.1".to_owned())]);
    Publication { correlation_id: correlation_id.or(Some(id)), headers, ..publication }
}

/// The answer to a task whose resource nothing serves: it fails.
pub fn unserved(message: &TaskMessage, results: Queue) -> Publication {
    result(
        message,
        results,
        None,
        TaskReport::Ended(Answer::Failed(unserved_failure(&message.request.resource))),
    )
}

/// Why a task fails whose resource nothing serves.
pub fn unserved_failure(resource: &Resource) -> Failure {
    let arn = match resource {
        Resource::Activity { arn } | Resource::Function { arn } => arn,
        Resource::Service(service) => &service.arn,
    };
    Failure::new(
        names::TASK_FAILED,
        format!("The resource '{arn}' is known, but this Warren has no connector for it."),
    )
}
