//! A consumer of one queue.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

use super::queue::{Message, QueueState, Queues, Taken};
use crate::ports::broker::{Consumer, Delivery, DeliveryTag, Error, Settle};

/// Receives from a queue; what it has not settled goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    source: Arc<QueueState>,
    queues: Arc<Queues>,
    prefetch: usize,
    unsettled: Mutex<Unsettled>,
    is_stopped: AtomicBool,
    /// Wakes the calls that wait for room.
    settled: Notify,
}

#[derive(Debug, Default)]
struct Unsettled {
    /// By tag, which is the order of delivery.
    messages: BTreeMap<u64, Message>,
    last_tag: u64,
}

/// What there is for a call now.
enum Attempt {
    Deliveries(Vec<Delivery>),
    QueueEmpty,
    NoRoom,
    Deleted,
}

impl Receiver {
    /// At most `prefetch` unsettled deliveries; 0 is taken as 1, as nothing could arrive otherwise.
    pub(super) fn new(source: Arc<QueueState>, queues: Arc<Queues>, prefetch: usize) -> Self {
        let prefetch = prefetch.max(1);
        Receiver {
            source,
            queues,
            prefetch,
            unsettled: Mutex::default(),
            is_stopped: AtomicBool::new(false),
            settled: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Unsettled> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self, max: usize) -> Attempt {
        let mut unsettled = self.lock();
        let room = self.prefetch.saturating_sub(unsettled.messages.len());
        match self.source.take(room.min(max.max(1))) {
            Taken::Some(messages) => {
                Attempt::Deliveries(messages.into_iter().map(|message| unsettled.hold(message)).collect())
            }
            Taken::Nothing if room == 0 => Attempt::NoRoom,
            Taken::Nothing => Attempt::QueueEmpty,
            Taken::Deleted => Attempt::Deleted,
        }
    }

    /// Waits until there may be something. A wake-up from the queue that finds no room here is passed on to
    /// another receiver: by the drop of `arrived`, or, if it was used up, by the `take` of nothing.
    async fn attempt_or_wait(&self, max: usize) -> Attempt {
        let arrived = self.source.arrived.notified();
        tokio::pin!(arrived);
        arrived.as_mut().enable();
        let attempt = self.attempt(max);
        if matches!(attempt, Attempt::QueueEmpty) {
            arrived.await;
        }
        attempt
    }
}

impl Unsettled {
    fn hold(&mut self, message: Message) -> Delivery {
        self.last_tag += 1;
        let delivery = Delivery {
            tag: DeliveryTag(self.last_tag),
            id: message.id.clone(),
            body: message.body.clone(),
            reply_to: message.reply_to.clone(),
            correlation_id: message.correlation_id.clone(),
            headers: message.headers.clone(),
            redeliveries: message.redeliveries,
            routing_key: message.routing_key.clone(),
        };
        self.messages.insert(self.last_tag, message);
        delivery
    }
}

#[async_trait]
impl Consumer for Receiver {
    async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        // A queue that is never empty must not keep this task from yielding.
        consume_budget().await;
        loop {
            // These waits begin before the look, so that nothing that happens after it is missed.
            let settled = self.settled.notified();
            if self.is_stopped.load(Ordering::Relaxed) {
                // A wake-up that was meant for this receiver is another one's now.
                self.source.arrived.notify_one();
                return Ok(Vec::new());
            }
            let deleted = self.source.deleted.notified();
            match self.attempt_or_wait(max).await {
                Attempt::Deliveries(deliveries) => return Ok(deliveries),
                Attempt::Deleted => return Err(Error::Cancelled),
                Attempt::QueueEmpty => {}
                Attempt::NoRoom => tokio::select! {
                    biased;
                    () = settled => {}
                    () = deleted => {}
                },
            }
        }
    }

    async fn stop(&self) -> Result<(), Error> {
        // Nothing comes before it is asked for, so nothing is left to hand out.
        self.is_stopped.store(true, Ordering::Relaxed);
        self.settled.notify_waiters();
        self.source.arrived.notify_waiters();
        Ok(())
    }

    async fn settle(&self, settled: Vec<(DeliveryTag, Settle)>) -> Result<(), Error> {
        let mut requeued = BTreeMap::new();
        let mut dead = Vec::new();
        let mut unsettled = self.lock();
        for (tag, how) in settled {
            let Some(message) = unsettled.messages.remove(&tag.0) else { continue };
            match how {
                Settle::Acknowledge => {}
                Settle::Requeue => drop(requeued.insert(tag, message)),
                Settle::DeadLetter(reason) => dead.push((message, reason)),
            }
        }
        drop(unsettled);
        self.source.put_back(requeued.into_values());
        for (message, reason) in dead {
            self.queues.bury(&self.source.name, message, &reason);
        }
        self.settled.notify_waiters();
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let unsettled = self.unsettled.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.source.put_back(std::mem::take(&mut unsettled.messages).into_values());
    }
}
