//! What exists on the broker: queues, the ladder of delays, the last stops.
//!
//! Arguments never depend on the broker's version, as a queue outlives an upgrade and its arguments cannot
//! change. A delivery limit is always given and positive: −1 means without limit on 4.x and one delivery on
//! 3.x, and none at all means 20 on 4.x.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::envelope::Names;
use super::exchanges;
use super::ladder;
use super::link::Session;
use crate::ports::broker::{Error, Queue};

/// Deliveries before a message goes to the poison queue: a backstop behind the engine's own count.
const DELIVERIES_MAX: i64 = 50;
/// For the last stop, behind which a message would be dropped.
const DELIVERIES_OF_DEAD_MAX: i64 = 1_000_000;
const NAME_BYTES_MAX: usize = 255;
/// What waits for an onlooker at the broker; the oldest gives way.
const ONLOOKER_MESSAGES_MAX: i32 = 10_000;

/// How queues keep what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueueType {
    /// Replicated over the nodes of a cluster; needs a majority of them.
    #[default]
    Quorum,
    /// On one node.
    Classic,
}

/// What this adapter has declared, and how.
#[derive(Debug)]
pub(super) struct Topology {
    names: Names,
    queue_type: QueueType,
    declared: Mutex<BTreeSet<Queue>>,
}

impl Topology {
    pub(super) fn new(names: Names, queue_type: QueueType) -> Arc<Self> {
        Arc::new(Topology { names, queue_type, declared: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Queue>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if it was declared here and, as far as is known, still exists.
    pub(super) fn has(&self, queue: &Queue) -> bool {
        self.lock().contains(queue)
    }

    pub(super) fn forget(&self, queue: &Queue) {
        self.lock().remove(queue);
    }

    /// Made again when the connection is lost. A trigger's is not: any process may have removed it with its
    /// trigger, and whoever works the trigger makes it.
    pub(super) fn remember(&self, queue: &Queue) {
        if !queue.is_triggers() {
            self.lock().insert(queue.clone());
        }
    }

    /// The last stops and the ladder.
    pub(super) async fn declare_base(&self, session: &Session) -> Result<(), Error> {
        let channel = session.channel().await.map_err(unavailable)?;
        for name in [self.names.of(&Queue::dead()), self.names.poison()] {
            self.declare_on(&channel, &name, self.last_stop(&name)).await?;
        }
        exchanges::declare_ours(&channel, &self.names).await?;
        for milliseconds in ladder::rungs() {
            self.declare_rung(&channel, milliseconds).await?;
        }
        let _ = channel.close(200, "OK".into()).await;
        Ok(())
    }

    /// All that was declared before the connection was lost. What cannot be declared any more is told and
    /// forgotten: the others must not go without a connection for it.
    pub(super) async fn declare_again(&self, session: &Session) -> Result<(), Error> {
        let queues: Vec<Queue> = self.lock().iter().cloned().collect();
        let mut channel = session.channel().await.map_err(unavailable)?;
        for queue in queues {
            let Err(error) = self.declare_queue(&channel, &queue).await else { continue };
            // The broker may not have noticed yet that the connection before this one is gone, and keep the
            // reply queue for it: without it this connection is of no use.
            if !session.is_up() || queue.is_exclusive() {
                return Err(error);
            }
            tracing::error!(%queue, %error, "a queue is missing");
            self.forget(&queue);
            channel = session.channel().await.map_err(unavailable)?;
        }
        let _ = channel.close(200, "OK".into()).await;
        Ok(())
    }

    /// Those that were not declared yet.
    pub(super) async fn declare(&self, session: &Session, queues: &[Queue]) -> Result<(), Error> {
        let missing: Vec<&Queue> = queues.iter().filter(|queue| !self.has(queue)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let channel = session.channel().await.map_err(unavailable)?;
        for queue in missing {
            self.declare_queue(&channel, queue).await?;
            self.remember(queue);
        }
        let _ = channel.close(200, "OK".into()).await;
        Ok(())
    }

    /// Makes sure of one queue on this channel, which a failure closes.
    async fn declare_queue(&self, channel: &Channel, queue: &Queue) -> Result<(), Error> {
        let name = self.names.of(queue);
        if queue.is_exclusive() {
            // Without `auto_delete`: answers wait while their consumer is replaced.
            let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
            let mut arguments = FieldTable::default();
            if !queue.is_reply() {
                // Of an onlooker who does not keep up, or has left.
                arguments.insert("x-max-length".into(), AMQPValue::LongInt(ONLOOKER_MESSAGES_MAX));
            }
            let declared = channel.queue_declare(name.as_str().into(), options, arguments).await;
            return declared.map(|_| ()).map_err(|error| refused(&name, &error));
        }
        let arguments = if [Queue::dead(), Queue::poison()].contains(queue) {
            self.last_stop(&name)
        } else if queue.is_ours() {
            arguments(self.queue_type, DELIVERIES_MAX, Some(&self.names.poison()))
        } else {
            // Whoever reads it decides what becomes of what it cannot work.
            arguments(self.queue_type, DELIVERIES_OF_DEAD_MAX, None)
        };
        self.declare_on(channel, &name, arguments).await
    }

    async fn declare_on(&self, channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), Error> {
        if name.len() > NAME_BYTES_MAX {
            return Err(Error::Unavailable(format!(
                "the name of queue '{name}' is longer than {NAME_BYTES_MAX} bytes"
            )));
        }
        let declared = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await;
        declared.map(|_| ()).map_err(|error| refused(name, &error))
    }

    fn last_stop(&self, name: &str) -> FieldTable {
        let dead = self.names.of(&Queue::dead());
        if name == dead {
            arguments(self.queue_type, DELIVERIES_OF_DEAD_MAX, None)
        } else {
            arguments(self.queue_type, DELIVERIES_MAX, Some(&dead))
        }
    }

    /// INVARIANT: only a quorum queue that dead-letters at least once and rejects what it has no room for
    /// loses nothing; one that expires loses what is in it.
    async fn declare_rung(&self, channel: &Channel, milliseconds: u64) -> Result<(), Error> {
        let name = self.names.rung(milliseconds);
        let mut rung = at_least_once("");
        insert(&mut rung, "x-queue-type", "quorum");
        rung.insert(
            "x-message-ttl".into(),
            AMQPValue::LongLongInt(milliseconds.try_into().unwrap_or(i64::MAX)),
        );
        self.declare_on(channel, &name, rung).await?;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let exchange = channel
            .exchange_declare(name.as_str().into(), ExchangeKind::Fanout, durable, FieldTable::default())
            .await;
        exchange.map_err(|error| refused(&name, &error))?;
        let bound = channel
            .queue_bind(
                name.as_str().into(),
                name.as_str().into(),
                "".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await;
        bound.map_err(unavailable)
    }
}

fn arguments(queue_type: QueueType, deliveries_max: i64, then: Option<&str>) -> FieldTable {
    match queue_type {
        QueueType::Quorum => {
            let mut arguments = then.map(|_| at_least_once("")).unwrap_or_default();
            insert(&mut arguments, "x-queue-type", "quorum");
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(deliveries_max));
            if let Some(then) = then {
                insert(&mut arguments, "x-dead-letter-routing-key", then);
            }
            arguments
        }
        QueueType::Classic => {
            let mut arguments = FieldTable::default();
            insert(&mut arguments, "x-queue-type", "classic");
            if let Some(then) = then {
                insert(&mut arguments, "x-dead-letter-exchange", "");
                insert(&mut arguments, "x-dead-letter-routing-key", then);
            }
            arguments
        }
    }
}

fn at_least_once(exchange: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    insert(&mut arguments, "x-dead-letter-exchange", exchange);
    insert(&mut arguments, "x-dead-letter-strategy", "at-least-once");
    insert(&mut arguments, "x-overflow", "reject-publish");
    arguments
}

fn insert(table: &mut FieldTable, name: &str, value: &str) {
    table.insert(name.into(), AMQPValue::LongString(value.into()));
}

/// The error that closed a channel, if the broker said why.
pub(super) fn soft_error(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

pub(super) fn unavailable(error: lapin::Error) -> Error {
    Error::Unavailable(error.to_string())
}

pub(super) fn refused(name: &str, error: &lapin::Error) -> Error {
    match soft_error(error) {
        Some(AMQPSoftError::PRECONDITIONFAILED) => Error::Unavailable(format!(
            "'{name}' exists with other arguments; delete it, or change broker.queue_type ({error})"
        )),
        Some(AMQPSoftError::RESOURCELOCKED) => {
            Error::Unavailable(format!("'{name}' belongs to another connection ({error})"))
        }
        Some(AMQPSoftError::ACCESSREFUSED) => Error::Unavailable(format!(
            "the broker's user may not declare '{name}'; grant it configure, write and read ({error})"
        )),
        _ => Error::Unavailable(error.to_string()),
    }
}
