//! Queues by name, and what waits in each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ports::broker::{Address, Headers, Publication, Queue};

/// A message that waits, or is out with a consumer.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: Bytes,
    pub(super) reply_to: Option<Queue>,
    pub(super) correlation_id: Option<String>,
    pub(super) headers: Headers,
    pub(super) routing_key: String,
    /// When it is of no use any more.
    expires_at: Option<Instant>,
    pub(super) redeliveries: u32,
}

impl From<Publication> for Message {
    fn from(publication: Publication) -> Self {
        Message {
            id: publication.id,
            body: publication.body,
            reply_to: publication.reply_to,
            correlation_id: publication.correlation_id,
            headers: publication.headers,
            routing_key: match publication.to {
                Address::Queue(queue) => queue.as_str().to_owned(),
                Address::Exchange(_, routing_key) => routing_key,
            },
            expires_at: publication.expires.map(|after| Instant::now() + after),
            redeliveries: 0,
        }
    }
}

/// All queues that were declared.
#[derive(Debug, Default)]
pub(super) struct Queues {
    by_name: RwLock<HashMap<Queue, Arc<QueueState>>>,
}

impl Queues {
    pub(super) fn find(&self, name: &Queue) -> Option<Arc<QueueState>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn declare(&self, name: &Queue) -> Arc<QueueState> {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_name.entry(name.clone()).or_insert_with(|| Arc::new(QueueState::new(name.clone()))))
    }

    pub(super) fn delete(&self, name: &Queue) {
        let removed = self.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some(queue) = removed {
            queue.close();
        }
    }

    /// Files a message that came from `queue` among the dead letters.
    pub(super) fn bury(&self, queue: &Queue, message: Message, reason: &str) {
        let text = String::from_utf8_lossy(&message.body);
        let letter = json!({ "reason": reason, "queue": queue.as_str(), "body": text });
        let body = Bytes::from(letter.to_string());
        self.declare(&Queue::dead()).push(Message { body, redeliveries: 0, ..message });
    }
}

/// One queue.
#[derive(Debug)]
pub(super) struct QueueState {
    pub(super) name: Queue,
    waiting: Mutex<Waiting>,
    /// Wakes one receiver that has room. INVARIANT: whoever leaves messages behind, having been woken or
    /// not, wakes another one; so a message never waits while a receiver with room sleeps.
    pub(super) arrived: Notify,
    /// Wakes receivers that wait for room.
    pub(super) deleted: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    ready: VecDeque<Message>,
    deleted: bool,
}

impl Waiting {
    /// As far as they are in front, where they would be delivered next.
    fn drop_expired(&mut self) {
        let is_over = |message: &Message| message.expires_at.is_some_and(|at| at <= Instant::now());
        while self.ready.pop_front_if(|message| is_over(message)).is_some() {}
    }
}

/// What a receiver finds.
pub(super) enum Taken {
    /// Messages, at least one.
    Some(Vec<Message>),
    /// None now.
    Nothing,
    /// None ever.
    Deleted,
}

impl QueueState {
    fn new(name: Queue) -> Self {
        QueueState { name, waiting: Mutex::default(), arrived: Notify::new(), deleted: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To the back. Into a queue that is deleted a message goes as into one that never was.
    pub(super) fn push(&self, message: Message) {
        let mut waiting = self.lock();
        if waiting.deleted {
            return;
        }
        waiting.ready.push_back(message);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// To the front, so that the first of `messages` comes first, each counted as a redelivery.
    pub(super) fn put_back(&self, messages: impl DoubleEndedIterator<Item = Message>) {
        let mut waiting = self.lock();
        if waiting.deleted {
            return;
        }
        for mut message in messages.rev() {
            message.redeliveries = message.redeliveries.saturating_add(1);
            waiting.ready.push_front(message);
        }
        let any = !waiting.ready.is_empty();
        drop(waiting);
        if any {
            self.arrived.notify_one();
        }
    }

    pub(super) fn take(&self, at_most: usize) -> Taken {
        let mut waiting = self.lock();
        if waiting.deleted {
            return Taken::Deleted;
        }
        waiting.drop_expired();
        let count = at_most.min(waiting.ready.len());
        let messages: Vec<Message> = waiting.ready.drain(..count).collect();
        let more = !waiting.ready.is_empty();
        drop(waiting);
        if more {
            self.arrived.notify_one();
        }
        if messages.is_empty() { Taken::Nothing } else { Taken::Some(messages) }
    }

    pub(super) fn ready(&self) -> u64 {
        let mut waiting = self.lock();
        waiting.drop_expired();
        waiting.ready.len() as u64
    }

    fn close(&self) {
        let mut waiting = self.lock();
        waiting.deleted = true;
        waiting.ready = VecDeque::new();
        drop(waiting);
        self.arrived.notify_waiters();
        self.deleted.notify_waiters();
    }
}
