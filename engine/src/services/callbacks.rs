//! Task tokens and activity workers: answers that come through the API.

use std::sync::Arc;
use std::time::Duration;

use asl::branch::{Answer, Event, Source, Stage, TaskAttempt, Waiting};

use crate::messages::{Body, TaskMessage, decode};
use crate::ports::broker::{self, Consumer, Delivery, DeliveryTag, Queue, Settle};
use crate::ports::store::{BranchKey, Phase};
use crate::services::advance::Backing;
use crate::services::tokens::TaskKey;
use crate::services::{Core, Unavailable};

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The token was not issued here.
    #[error("the task token is not valid")]
    InvalidToken,
    /// The attempt is over: answered, timed out, or its execution closed.
    #[error("the task is over")]
    TimedOut,
    /// Something is away.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A task for an activity worker.
pub struct ActivityTask {
    /// Answers it.
    pub token: String,
    /// JSON text.
    pub input: String,
    /// Must be told that the response was written.
    pub hand_over: HandOver,
}

/// A task that is being handed to a worker. Dropped before it is told that the response was written, the
/// task is handed out again.
pub struct HandOver {
    consumer: Arc<dyn Consumer>,
    tag: DeliveryTag,
}

impl HandOver {
    /// The response was written: the task is the worker's.
    pub async fn delivered(self) -> Result<(), Unavailable> {
        self.consumer.settle(vec![(self.tag, Settle::Acknowledge)]).await?;
        Ok(())
    }
}

impl Core {
    /// Ends the task that a token names.
    pub async fn complete_task(&self, token: &str, answer: Answer) -> Result<(), TaskError> {
        let key = self.tokens.read(token).ok_or(TaskError::InvalidToken)?;
        let event = Event::TaskEnded { task: key.task, answer, source: Source::Token };
        self.tell_by_token(key, event).await
    }

    /// Says that the worker of the task that a token names is alive.
    pub async fn heartbeat(&self, token: &str) -> Result<(), TaskError> {
        let key = self.tokens.read(token).ok_or(TaskError::InvalidToken)?;
        if self.is_beatless(&key).await? {
            return Ok(());
        }
        let event = Event::Heartbeat { task: key.task };
        self.tell_by_token(key, event).await
    }

    /// Whether there is nothing to write: nobody listens for beats, or one was recorded just now.
    async fn is_beatless(&self, key: &TaskKey) -> Result<bool, Unavailable> {
        let attempt = self.open_attempt(&key.branch, key.task).await?;
        Ok(attempt.is_some_and(|attempt| attempt.stage != Stage::Scheduled && !self.is_beat_needed(&attempt)))
    }

    async fn tell_by_token(&self, key: TaskKey, event: Event) -> Result<(), TaskError> {
        let told = self.tell_task(&key.branch, key.task, event, Backing::Row).await?;
        let outgoing = told.ok_or(TaskError::TimedOut)?;
        crate::crash_point!("callback-committed");
        // The answer stands: what is not published now, the row asks for later, or the mark of the end.
        if let Err(error) = self.send(outgoing).await {
            tracing::warn!(%error, "the next transition is late");
        }
        Ok(())
    }

    /// Waits up to `wait` for a task of an activity. `None`: nothing came.
    pub async fn take_activity_task(
        &self,
        activity: &str,
        worker_name: Option<String>,
        wait: Duration,
    ) -> Result<Option<ActivityTask>, Unavailable> {
        let queue = Queue::activity(activity);
        self.broker.declare(std::slice::from_ref(&queue)).await?;
        let consumer = self.broker.consume(&queue, 1).await?;
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let came = tokio::select! {
                biased;
                // The worker asks again, and elsewhere.
                () = self.stopping.cancelled() => return Ok(None),
                came = tokio::time::timeout_at(deadline, consumer.next(1)) => came,
            };
            let Ok(deliveries) = came else { return Ok(None) };
            let deliveries = match deliveries {
                Ok(deliveries) => deliveries,
                // The activity was deleted meanwhile.
                Err(broker::Error::Cancelled) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            for delivery in deliveries {
                if let Some(task) = self.hand_out(&consumer, &delivery, worker_name.clone()).await? {
                    return Ok(Some(task));
                }
            }
        }
    }

    /// Records that a worker takes the task; `None` if it is over, and settled.
    async fn hand_out(
        &self,
        consumer: &Arc<dyn Consumer>,
        delivery: &Delivery,
        worker_name: Option<String>,
    ) -> Result<Option<ActivityTask>, Unavailable> {
        let settle = |settle| consumer.settle(vec![(delivery.tag, settle)]);
        let message: TaskMessage = match decode(&delivery.body) {
            Ok(message) => message,
            Err(error) => {
                settle(Settle::DeadLetter(error.to_string())).await?;
                return Ok(None);
            }
        };
        let key = BranchKey { execution: message.execution, branch: message.path.clone() };
        let task = message.request.task;
        let event = Event::ActivityStarted { task, worker_name };
        let Some(input) = self.activity_input(&key, &message).await? else {
            settle(Settle::Acknowledge).await?;
            return Ok(None);
        };
        let taken = match self.tell_task(&key, task, event, Backing::Row).await? {
            Some(outgoing) => {
                self.send(outgoing).await?;
                true
            }
            // A response that was lost: the same token again, and no second event.
            None => delivery.redeliveries > 0 && self.is_started(&key, task).await?,
        };
        if !taken {
            settle(Settle::Acknowledge).await?;
            return Ok(None);
        }
        Ok(Some(ActivityTask {
            token: message.token,
            input,
            hand_over: HandOver { consumer: consumer.clone(), tag: delivery.tag },
        }))
    }

    /// The task's input, as the row that scheduled it holds it; `None` once that is gone.
    async fn activity_input(
        &self,
        key: &BranchKey,
        message: &TaskMessage,
    ) -> Result<Option<String>, Unavailable> {
        let body = self.store.body(key, message.request.task).await?;
        let request = body.and_then(|body| decode::<Body>(&body).ok()).and_then(|body| body.request);
        Ok(request.map(|request| request.parameters.to_string()))
    }

    async fn is_started(&self, key: &BranchKey, task: u32) -> Result<bool, Unavailable> {
        let attempt = self.open_attempt(key, task).await?;
        Ok(attempt.is_some_and(|attempt| attempt.stage == Stage::Started))
    }

    /// The task that a branch waits for, if it is this one.
    async fn open_attempt(&self, key: &BranchKey, task: u32) -> Result<Option<TaskAttempt>, Unavailable> {
        let Some(row) = self.branch(key).await? else { return Ok(None) };
        if row.state.phase != Phase::Dispatched || row.state.task != Some(task) {
            return Ok(None);
        }
        match decode::<Body>(&row.body).ok().and_then(|body| body.value).map(|value| value.waiting) {
            Some(Waiting::Task(attempt)) => Ok(Some(attempt)),
            Some(_) | None => Ok(None),
        }
    }
}
