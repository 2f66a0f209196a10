//! The broker: carries messages between equal engines.
//!
//! At least once: a message is delivered until it is acknowledged, possibly more than once, and in the
//! order of its queue unless it comes back. A delivery that was not settled when its consumer went away
//! is delivered again, marked as such.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

mod address;

pub use address::{Address, Exchange, Family, Prefix, Queue};

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Where it goes.
    pub to: Address,
    /// Names the message once and for all; publishing again uses the same id.
    pub id: String,
    /// JSON, unless `content` says otherwise.
    pub body: Bytes,
    /// What the body is.
    pub content: Content,
    /// Where an answer goes.
    pub reply_to: Option<Queue>,
    /// What an answer repeats.
    pub correlation_id: Option<String>,
    /// Delivered only after this long.
    pub delay: Option<Duration>,
    /// Of no use after this long: dropped if it still waits in its queue then.
    pub expires: Option<Duration>,
    /// What strangers read: workers in any language.
    pub headers: Headers,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// JSON.
    #[default]
    Json,
    /// Any text.
    Text,
}

/// Names and texts beside a body.
pub type Headers = BTreeMap<String, String>;

impl Publication {
    /// With nothing but its body.
    pub fn new(to: impl Into<Address>, id: String, body: Bytes) -> Self {
        Publication {
            to: to.into(),
            id,
            body,
            content: Content::Json,
            reply_to: None,
            correlation_id: None,
            delay: None,
            expires: None,
            headers: Headers::new(),
        }
    }
}

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The broker has it and will not lose it.
    Confirmed,
    /// No such queue, or no such exchange: nobody will ever get it. An exchange that has no queue for it is
    /// no such case: it is [`Confirmed`](Self::Confirmed).
    Returned,
    /// Unknown: publish it again with the same id.
    InDoubt,
}

/// A message that has arrived and must be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names this delivery to its consumer.
    pub tag: DeliveryTag,
    /// The publication's id.
    pub id: String,
    /// The publication's body.
    pub body: Bytes,
    /// The publication's reply address.
    pub reply_to: Option<Queue>,
    /// The publication's correlation id.
    pub correlation_id: Option<String>,
    /// The publication's headers: texts, numbers and truth values, as texts.
    pub headers: Headers,
    /// The routing key that it came by.
    pub routing_key: String,
    /// How often it was delivered before; 0 the first time.
    pub redeliveries: u32,
}

/// Names a delivery to the consumer that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryTag(pub u64);

/// How a delivery ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settle {
    /// Done; it never comes back.
    Acknowledge,
    /// Back to the front of its queue, counted as a redelivery.
    Requeue,
    /// To the queue of dead letters, with this reason.
    DeadLetter(String),
}

/// Why the broker did not do it. Nothing was lost: what was published unconfirmed may be there or not,
/// what was not settled comes back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away for now; try again.
    #[error("failed to reach the broker: {0}")]
    Unavailable(String),
    /// The consumer is gone, and its unsettled deliveries with it.
    #[error("the consumer was cancelled")]
    Cancelled,
}

/// How a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It takes and gives messages.
    Good,
    /// It takes no messages for now, for this reason: out of memory or disk.
    Blocked(String),
    /// It cannot be reached, for this reason.
    Away(String),
}

/// Carries messages.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Makes sure that these queues exist. May be repeated.
    async fn declare(&self, queues: &[Queue]) -> Result<(), Error>;

    /// Makes sure that this topic exchange exists. May be repeated.
    async fn declare_exchange(&self, exchange: &Exchange) -> Result<(), Error>;

    /// From now on the queue, which exists, gets what is published to the exchange, which exists, with a
    /// routing key of this pattern (`*` one word, `#` any number of words). May be repeated.
    async fn bind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error>;

    /// Undoes [`bind`](Self::bind). A binding that does not exist is no error.
    async fn unbind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error>;

    /// From now on one exchange gets all that is published to the other; both exist. May be repeated.
    async fn join(&self, from: &Exchange, to: &Exchange) -> Result<(), Error>;

    /// Removes a queue with all that is in it. A queue that does not exist is no error.
    async fn delete(&self, queue: &Queue) -> Result<(), Error>;

    /// Publishes all, pipelined, and tells for each what became of it, in the same order. Not atomic:
    /// some may be confirmed and others not. Calls at the same time share the way: a caller that has more
    /// to do need not wait for one before it makes the next. Always ends: what no confirm came for in time
    /// is in doubt.
    async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Published>, Error>;

    /// Publishes without waiting and without learning what became of it: what there is no room for, or what
    /// the broker loses, is gone. For who looks on.
    fn emit(&self, publication: Publication);

    /// Begins to receive from a queue, at most `prefetch` unsettled deliveries at a time. When the last
    /// reference to the consumer is dropped, what is unsettled goes back to the queue.
    async fn consume(&self, queue: &Queue, prefetch: usize) -> Result<Arc<dyn Consumer>, Error>;

    /// Messages that wait in the queue for a consumer; delayed ones do not count. 0 if it does not exist.
    async fn ready(&self, queue: &Queue) -> Result<u64, Error>;

    /// How it is, without asking it.
    fn health(&self) -> Health;
}

/// Receives from one queue.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Waits for a delivery, then takes what else is ready, up to `max` in all. Never waits for more.
    /// Cancel safe: a delivery is never lost in a dropped call. After [`stop`](Self::stop) nothing more comes
    /// than what had come by then, at last an empty batch.
    async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error>;

    /// Receives no more: messages go to other consumers. What has come is handed out and settled as before.
    async fn stop(&self) -> Result<(), Error>;

    /// Settles deliveries of this consumer. A tag that is unknown or settled is ignored.
    async fn settle(&self, settled: Vec<(DeliveryTag, Settle)>) -> Result<(), Error>;
}
