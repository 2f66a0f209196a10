//! Queues of others, fed and read for whoever tries something out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use crate::ports::broker::{
    self, Consumer, Content, Delivery, Health, Publication, Published, Queue, Settle,
};
use crate::services::Core;

/// Messages published at a time.
const CHUNK_MAX: u32 = 500;
/// A message that is there takes no longer to come.
const THERE_WITHIN: Duration = Duration::from_millis(300);
/// What comes so long after the others belongs to the next request.
const TOGETHER: Duration = Duration::from_millis(50);

/// Messages, each as the others.
#[derive(Debug, Clone)]
pub struct ToSend {
    /// JSON, or any text.
    pub body: String,
    /// Beside it.
    pub headers: BTreeMap<String, String>,
    /// How many.
    pub count: u32,
}

/// Why messages were not sent, or not received.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Nobody has made the queue.
    #[error("there is no queue '{0}'")]
    NoQueue(String),
    /// To take from it, or put into it, would break executions.
    #[error("the queue '{0}' is Warren's own")]
    Ours(String),
    /// Some may be there.
    #[error("it is not known whether the broker has all of them")]
    InDoubt,
    /// The broker is away.
    #[error(transparent)]
    Unavailable(#[from] broker::Error),
}

/// Messages that were taken from a queue. Dropped before they are told to be delivered, they go back.
pub struct Received {
    consumer: Arc<dyn Consumer>,
    deliveries: Vec<Delivery>,
}

impl Received {
    /// The messages.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Whoever asked for them has them.
    pub async fn delivered(self) -> Result<(), broker::Error> {
        let settled = self.deliveries.iter().map(|delivery| (delivery.tag, Settle::Acknowledge)).collect();
        self.consumer.settle(settled).await
    }
}

impl Core {
    /// Sends messages to a queue of somebody else, which is made first if `declares`.
    pub async fn send_to(&self, name: &str, declares: bool, messages: ToSend) -> Result<(), NotSent> {
        if self.prefix.is_of(name) {
            return Err(NotSent::Ours(name.to_owned()));
        }
        let queue = Queue::theirs(name);
        if declares {
            self.broker.declare(std::slice::from_ref(&queue)).await?;
        }
        let ToSend { body, headers, count } = messages;
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
        let content = if is_json { Content::Json } else { Content::Text };
        let body = Bytes::from(body);
        let message = || Publication {
            content,
            headers: headers.clone(),
            ..Publication::new(queue.clone(), Uuid::new_v4().to_string(), body.clone())
        };
        let mut left = count;
        while left > 0 {
            let chunk = left.min(CHUNK_MAX);
            let published = self.broker.publish((0..chunk).map(|_| message()).collect()).await?;
            if published.contains(&Published::Returned) {
                return Err(NotSent::NoQueue(name.to_owned()));
            }
            if published.contains(&Published::InDoubt) {
                return Err(NotSent::InDoubt);
            }
            left -= chunk;
        }
        Ok(())
    }

    /// Takes up to `max` messages from a queue of somebody else; waits so long for the first.
    pub async fn receive_from(&self, name: &str, max: usize, wait: Duration) -> Result<Received, NotSent> {
        if self.prefix.is_of(name) && !self.prefix.is_of_the_dead(name) {
            return Err(NotSent::Ours(name.to_owned()));
        }
        let consumer = match self.broker.consume(&Queue::theirs(name), max).await {
            Ok(consumer) => consumer,
            Err(_) if self.broker.health() == Health::Good => return Err(NotSent::NoQueue(name.to_owned())),
            Err(error) => return Err(error.into()),
        };
        let deadline = Instant::now() + wait.max(THERE_WITHIN);
        let mut deliveries = Vec::new();
        let first = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Ok(Received { consumer, deliveries }),
            first = timeout_at(deadline, consumer.next(max)) => first,
        };
        let mut came = first.unwrap_or(Ok(Vec::new()))?;
        while !came.is_empty() {
            deliveries.append(&mut came);
            if deliveries.len() >= max {
                break;
            }
            came =
                timeout(TOGETHER, consumer.next(max - deliveries.len())).await.unwrap_or(Ok(Vec::new()))?;
        }
        Ok(Received { consumer, deliveries })
    }
}
