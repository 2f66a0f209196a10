//! The broker inside the process: queues in memory, gone with it.
//!
//! ```text
//! publish ─▶ Queues ─▶ QueueState { ready } ─▶ Receiver { unsettled } ─▶ acknowledge
//!    └ delay ▶ Delayed ┘             ▲── requeue, consumer dropped ──┘ └─▶ dead
//! ```
//!
//! Every queue has a lock of its own, held for a few instructions and never across an `await`. The order of
//! locks is: a receiver's, then a queue's.
//!
//! A dead letter keeps its id, reply address and correlation id; its body is the JSON object
//! `{"reason", "queue", "body"}`, `body` being the text of the original.

mod delayed;
mod exchanges;
mod queue;
mod receiver;

use std::sync::Arc;

use async_trait::async_trait;

use crate::ports::broker::{
    Address, Broker, Consumer, Error, Exchange, Health, Publication, Published, Queue,
};

use delayed::Delayed;
use exchanges::Exchanges;
use queue::{Message, QueueState, Queues};
use receiver::Receiver;

/// A broker for one process. Delayed publications need a tokio runtime with a timer.
#[derive(Debug)]
pub struct InProcess {
    queues: Arc<Queues>,
    exchanges: Exchanges,
    delayed: Delayed,
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl InProcess {
    /// A broker with Warren's own exchanges, and no queue but [`Queue::dead`], which makes itself with its
    /// first letter.
    pub fn new() -> Self {
        let exchanges = Exchanges::default();
        for exchange in [Exchange::events(), Exchange::triggers(), Exchange::transitions()] {
            exchanges.declare(&exchange);
        }
        // The bus gets the status changes of executions too.
        exchanges.join(&Exchange::events(), &Exchange::triggers());
        InProcess { queues: Arc::default(), exchanges, delayed: Delayed::default() }
    }

    fn publish_one(&self, publication: Publication) -> Published {
        let queues = match &publication.to {
            Address::Queue(queue) => return self.put(self.queues.find(queue).as_ref(), publication),
            Address::Exchange(exchange, key) => self.exchanges.route(exchange, key),
        };
        let Some(queues) = queues else { return Published::Returned };
        for queue in queues {
            self.put(self.queues.find(&queue).as_ref(), publication.clone());
        }
        Published::Confirmed
    }

    fn put(&self, queue: Option<&Arc<QueueState>>, publication: Publication) -> Published {
        let Some(queue) = queue else { return Published::Returned };
        let delay = publication.delay.filter(|delay| !delay.is_zero());
        let message = Message::from(publication);
        match delay {
            Some(delay) => self.delayed.add(queue, message, delay),
            None => queue.push(message),
        }
        Published::Confirmed
    }
}

fn no_exchange(exchange: &Exchange) -> Error {
    Error::Unavailable(format!("there is no exchange '{exchange}'"))
}

#[async_trait]
impl Broker for InProcess {
    async fn declare(&self, queues: &[Queue]) -> Result<(), Error> {
        for queue in queues {
            self.queues.declare(queue);
        }
        Ok(())
    }

    async fn declare_exchange(&self, exchange: &Exchange) -> Result<(), Error> {
        self.exchanges.declare(exchange);
        Ok(())
    }

    async fn bind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
        self.exchanges.bind(queue, exchange, pattern).then_some(()).ok_or_else(|| no_exchange(exchange))
    }

    async fn unbind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
        self.exchanges.unbind(queue, exchange, pattern);
        Ok(())
    }

    async fn join(&self, from: &Exchange, to: &Exchange) -> Result<(), Error> {
        self.exchanges.join(from, to).then_some(()).ok_or_else(|| no_exchange(from))
    }

    fn emit(&self, publication: Publication) {
        self.publish_one(publication);
    }

    async fn delete(&self, queue: &Queue) -> Result<(), Error> {
        self.exchanges.forget(queue);
        self.queues.delete(queue);
        Ok(())
    }

    async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Published>, Error> {
        Ok(batch.into_iter().map(|publication| self.publish_one(publication)).collect())
    }

    async fn consume(&self, queue: &Queue, prefetch: usize) -> Result<Arc<dyn Consumer>, Error> {
        let found = self.queues.find(queue);
        let source = found.ok_or_else(|| Error::Unavailable(format!("there is no queue '{queue}'")))?;
        Ok(Arc::new(Receiver::new(source, Arc::clone(&self.queues), prefetch)))
    }

    async fn ready(&self, queue: &Queue) -> Result<u64, Error> {
        Ok(self.queues.find(queue).map_or(0, |queue| queue.ready()))
    }

    fn health(&self) -> Health {
        Health::Good
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ports::broker::Settle;

    /// A lost wake-up would leave messages behind, and this waiting for ever.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_wake_up_is_lost_among_many_consumers_on_many_threads() {
        const MESSAGES: usize = 20_000;
        let broker = Arc::new(InProcess::new());
        let queue = Queue::named("orders");
        broker.declare(std::slice::from_ref(&queue)).await.unwrap();
        let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
        for prefetch in [1, 1, 2, 3, 5, 8, 13, 1_000] {
            let consumer = broker.consume(&queue, prefetch).await.unwrap();
            // Two calls at once on each: they also share the room.
            for _ in 0..2 {
                let (consumer, sender) = (Arc::clone(&consumer), sender.clone());
                tokio::spawn(async move {
                    while let Ok(deliveries) = consumer.next(4).await {
                        tokio::task::yield_now().await;
                        let count = deliveries.len();
                        let how = |tag: u64| {
                            if tag.is_multiple_of(17) { Settle::Requeue } else { Settle::Acknowledge }
                        };
                        let settled: Vec<_> =
                            deliveries.iter().map(|delivery| (delivery.tag, how(delivery.tag.0))).collect();
                        let back = settled.iter().filter(|(_, how)| *how == Settle::Requeue).count();
                        consumer.settle(settled).await.unwrap();
                        sender.send(count - back).unwrap();
                    }
                });
            }
        }
        for publisher in 0..4 {
            let (broker, queue) = (Arc::clone(&broker), queue.clone());
            tokio::spawn(async move {
                for number in 0..MESSAGES / 4 {
                    let id = format!("{publisher}.{number}");
                    let publication = Publication::new(queue.clone(), id, Bytes::new());
                    broker.publish(vec![publication]).await.unwrap();
                    if number % 7 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        let mut done = 0;
        while done < MESSAGES {
            done += received.recv().await.unwrap();
        }
        assert_eq!(done, MESSAGES);
        broker.delete(&queue).await.unwrap();
    }
}
