//! A broker that keeps its promises and nothing beyond them: messages come twice, late, in any order;
//! publishes end in doubt; consumers are cancelled and what they held comes back.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use engine::ports::broker::{
    Broker, Consumer, Delivery, DeliveryTag, Error, Health, Publication, Published, Queue, Settle,
};
use tokio_util::sync::CancellationToken;

use super::connector::Ledger;
use super::node::Node;

/// What one engine sees of the broker that it shares with others.
pub struct FaultyBroker {
    pub inner: Arc<dyn Broker>,
    pub node: Arc<Node>,
    pub ledger: Arc<Ledger>,
}

impl FaultyBroker {
    async fn publish_one(&self, mut publication: Publication) -> Result<Published, Error> {
        let fate = &self.node.fate;
        if publication.delay.is_none() && fate.strikes(|rates| rates.late) {
            publication.delay = Some(fate.milliseconds(300));
        }
        // Nothing fences an Express message: its copies run on, and make copies, until the end.
        let spared = is_express(&publication.queue) && !fate.draw(|lottery| lottery.one_in(8));
        let in_doubt = fate.strikes(|rates| rates.in_doubt) && !spared;
        if in_doubt && fate.draw(|lottery| lottery.one_in(2)) {
            return Ok(Published::InDoubt);
        }
        if fate.strikes(|rates| rates.twice) && !spared {
            let delay = Some(fate.milliseconds(3_000) + publication.delay.unwrap_or_default());
            self.inner.publish(vec![Publication { delay, ..publication.clone() }]).await?;
        }
        let published = self.inner.publish(vec![publication]).await?;
        let [published] = published[..] else { return Ok(Published::InDoubt) };
        Ok(if in_doubt { Published::InDoubt } else { published })
    }
}

fn is_express(queue: &Queue) -> bool {
    ["express.", "calls.", "inner."].iter().any(|family| queue.as_str().starts_with(family))
}

fn away() -> Error {
    Error::Unavailable("simulated".to_owned())
}

#[async_trait]
impl Broker for FaultyBroker {
    async fn declare(&self, queues: &[Queue]) -> Result<(), Error> {
        self.node.alive().await;
        self.inner.declare(queues).await
    }

    async fn delete(&self, queue: &Queue) -> Result<(), Error> {
        self.node.alive().await;
        self.inner.delete(queue).await
    }

    async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Published>, Error> {
        for publication in &batch {
            self.ledger.asked(publication);
        }
        let mut outcomes = Vec::new();
        self.node.fate.pause().await;
        for publication in batch {
            // Each of them is a moment to die at: some are published and others are not.
            self.node.alive().await;
            if self.node.fate.strikes(|rates| rates.broker_away) {
                return Err(away());
            }
            outcomes.push(self.publish_one(publication).await?);
        }
        self.node.alive().await;
        if self.node.fate.strikes(|rates| rates.broker_away) {
            return Err(away());
        }
        Ok(outcomes)
    }

    async fn consume(&self, queue: &Queue, prefetch: usize) -> Result<Arc<dyn Consumer>, Error> {
        self.node.alive().await;
        if self.node.fate.strikes(|rates| rates.broker_away) {
            return Err(away());
        }
        let inner = Mutex::new(Some(self.inner.consume(queue, prefetch).await?));
        let (node, gone) = (self.node.clone(), CancellationToken::new());
        let consumer = Arc::new(FaultyConsumer { inner, node, gone });
        self.node.owns(&consumer);
        Ok(consumer)
    }

    async fn ready(&self, queue: &Queue) -> Result<u64, Error> {
        self.node.alive().await;
        self.inner.ready(queue).await
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}

/// A consumer that may be gone at any call.
pub struct FaultyConsumer {
    inner: Mutex<Option<Arc<dyn Consumer>>>,
    node: Arc<Node>,
    gone: CancellationToken,
}

impl FaultyConsumer {
    pub fn cancel(&self) {
        drop(self.lock().take());
        self.gone.cancel();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn Consumer>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> Result<Arc<dyn Consumer>, Error> {
        if self.node.fate.strikes(|rates| rates.cancelled) {
            self.cancel();
        }
        self.lock().clone().ok_or(Error::Cancelled)
    }
}

#[async_trait]
impl Consumer for FaultyConsumer {
    async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        self.node.alive().await;
        let inner = self.inner()?;
        let deliveries = tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(Error::Cancelled),
            deliveries = inner.next(max) => deliveries,
        };
        drop(inner);
        self.node.alive().await;
        deliveries
    }

    async fn settle(&self, settled: Vec<(DeliveryTag, Settle)>) -> Result<(), Error> {
        self.node.alive().await;
        self.inner()?.settle(settled).await?;
        self.node.alive().await;
        Ok(())
    }
}
