//! Answers to this engine's calls and from its children, passed on to those that wait for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::BATCH_MAX;
use crate::ports::broker::{self, Delivery, Queue, Settle};
use crate::services::Core;

/// Answers that this engine waits for, by correlation id.
#[derive(Default)]
pub struct Replies {
    waiting: Mutex<HashMap<String, Vec<Waiter>>>,
    count: AtomicU64,
}

/// One of those that wait for the same answer: a message that arrived twice is worked twice.
struct Waiter {
    number: u64,
    send: mpsc::UnboundedSender<Delivery>,
}

/// A place in [`Replies`], given back when dropped.
pub(super) struct Expected<'a> {
    replies: &'a Replies,
    id: String,
    number: u64,
    pub(super) answers: mpsc::UnboundedReceiver<Delivery>,
}

impl Replies {
    pub(super) fn expect(&self, id: String) -> Expected<'_> {
        let (send, answers) = mpsc::unbounded_channel();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.lock().entry(id.clone()).or_default().push(Waiter { number, send });
        Expected { replies: self, id, number, answers }
    }

    fn pass_on(&self, delivery: Delivery) {
        let waiting = self.lock();
        for waiter in delivery.correlation_id.as_ref().and_then(|id| waiting.get(id)).into_iter().flatten() {
            // Who waited may be gone this instant: then the answer is late.
            let _ = waiter.send.send(delivery.clone());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Waiter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected<'_> {
    /// Whether nobody else waits for the same answer.
    pub(super) fn is_alone(&self) -> bool {
        self.replies.lock().get(&self.id).is_none_or(|waiters| waiters.len() == 1)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        let mut waiting = self.replies.lock();
        if let Some(waiters) = waiting.get_mut(&self.id) {
            waiters.retain(|waiter| waiter.number != self.number);
            if waiters.is_empty() {
                waiting.remove(&self.id);
            }
        }
    }
}

/// Passes on the answers that come to this engine's reply queue.
pub async fn run_replies(core: Arc<Core>, stop: CancellationToken) -> Result<(), broker::Error> {
    let consumer = core.broker.consume(&Queue::reply(&core.engine), usize::MAX).await?;
    loop {
        let deliveries = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            deliveries = consumer.next(BATCH_MAX) => deliveries?,
        };
        let settled = deliveries.iter().map(|delivery| (delivery.tag, Settle::Acknowledge)).collect();
        for delivery in deliveries {
            core.replies.pass_on(delivery);
        }
        consumer.settle(settled).await?;
    }
}
