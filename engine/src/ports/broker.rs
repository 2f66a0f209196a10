//! The broker: carries messages between equal engines.
//!
//! At least once: a message is delivered until it is acknowledged, possibly more than once, and in the
//! order of its queue unless it comes back. A delivery that was not settled when its consumer went away
//! is delivered again, marked as such.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// Where messages wait. The names are those of the design; an adapter adds its prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue(String);

/// The families of queues that move executions. Each is several queues wide, so that the broker's cores
/// share the work; Standard and Express never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Transitions, timers and joins of Standard executions.
    Standard,
    /// Replies to tasks of Standard executions.
    Results,
    /// Express transitions that never wait for an answer.
    Express,
    /// Express Task, Parallel and Map states of root branches, whose delivery is held.
    Calls,
    /// The same inside branches.
    Inner,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 5] =
        [Family::Standard, Family::Results, Family::Express, Family::Calls, Family::Inner];

    fn as_str(self) -> &'static str {
        match self {
            Family::Standard => "standard",
            Family::Results => "results",
            Family::Express => "express",
            Family::Calls => "calls",
            Family::Inner => "inner",
        }
    }
}

impl Queue {
    /// One queue of a family.
    pub fn of(family: Family, shard: u16) -> Self {
        Queue(format!("{}.{shard}", family.as_str()))
    }
    /// Task requests for a function that an AMQP client serves.
    pub fn function(name: &str) -> Self {
        Queue(format!("functions.{name}"))
    }
    /// Replies to one engine instance. It belongs to the connection of the broker that declared it, as do
    /// the consumers of that broker: what is held and its answers are lost together.
    pub fn reply(engine: &str) -> Self {
        Queue(format!("reply.{engine}"))
    }
    /// Task requests for a connector.
    pub fn tasks(connector: &str) -> Self {
        Queue(format!("tasks.{connector}"))
    }
    /// Task requests for the workers of an activity.
    pub fn activity(name: &str) -> Self {
        Queue(format!("activities.{name}"))
    }
    /// Whether it is that of a function.
    pub fn is_function(&self) -> bool {
        self.0.starts_with("functions.")
    }
    /// Whether it is that of an engine's replies.
    pub fn is_reply(&self) -> bool {
        self.0.starts_with("reply.")
    }
    /// What was delivered too often: it may be what ends engines.
    pub fn poison() -> Self {
        Queue("poison".to_owned())
    }
    /// What could not be worked, filed with its reason.
    pub fn dead() -> Self {
        Queue("dead".to_owned())
    }
    /// From a name that an adapter or a message carries.
    pub fn named(name: impl Into<String>) -> Self {
        Queue(name.into())
    }
    /// The name without an adapter's prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Where it goes.
    pub queue: Queue,
    /// Names the message once and for all; publishing again uses the same id.
    pub id: String,
    /// JSON.
    pub body: Bytes,
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

/// Names and texts beside a body.
pub type Headers = BTreeMap<String, String>;

impl Publication {
    /// With nothing but its body.
    pub fn new(queue: Queue, id: String, body: Bytes) -> Self {
        Publication {
            queue,
            id,
            body,
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
    /// No such queue: nobody will ever get it.
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
    /// The publication's headers, those whose value is a text.
    pub headers: Headers,
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

    /// Removes a queue with all that is in it. A queue that does not exist is no error.
    async fn delete(&self, queue: &Queue) -> Result<(), Error>;

    /// Publishes all, pipelined, and tells for each what became of it, in the same order. Not atomic:
    /// some may be confirmed and others not. Calls at the same time share the way: a caller that has more
    /// to do need not wait for one before it makes the next. Always ends: what no confirm came for in time
    /// is in doubt.
    async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Published>, Error>;

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
    /// Cancel safe: a delivery is never lost in a dropped call.
    async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error>;

    /// Settles deliveries of this consumer. A tag that is unknown or settled is ignored.
    async fn settle(&self, settled: Vec<(DeliveryTag, Settle)>) -> Result<(), Error>;
}
