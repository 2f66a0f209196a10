//! The broker: publications and deliveries.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::metrics;
use crate::metrics::messages::{Outgoing, Taken, dead_letters};
use crate::ports::broker::{
    Broker, Consumer, Delivery, DeliveryTag, Error, Exchange, Health, Publication, Published, Queue, Settle,
};

/// A broker that counts, if metrics are on.
pub fn metered(broker: Arc<dyn Broker>) -> Arc<dyn Broker> {
    if metrics::are_on() { Arc::new(Metered(broker)) } else { broker }
}

struct Metered(Arc<dyn Broker>);

#[async_trait]
impl Broker for Metered {
    async fn declare(&self, queues: &[Queue]) -> Result<(), Error> {
        self.0.declare(queues).await
    }

    async fn declare_exchange(&self, exchange: &Exchange) -> Result<(), Error> {
        self.0.declare_exchange(exchange).await
    }

    async fn bind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
        self.0.bind(queue, exchange, pattern).await
    }

    async fn unbind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
        self.0.unbind(queue, exchange, pattern).await
    }

    async fn join(&self, from: &Exchange, to: &Exchange) -> Result<(), Error> {
        self.0.join(from, to).await
    }

    async fn delete(&self, queue: &Queue) -> Result<(), Error> {
        self.0.delete(queue).await
    }

    async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Published>, Error> {
        let (outgoing, began) = (Outgoing::of(&batch), Instant::now());
        let published = self.0.publish(batch).await?;
        outgoing.published(&published, began.elapsed());
        Ok(published)
    }

    fn emit(&self, publication: Publication) {
        self.0.emit(publication);
    }

    async fn consume(&self, queue: &Queue, prefetch: usize) -> Result<Arc<dyn Consumer>, Error> {
        let consumer = self.0.consume(queue, prefetch).await?;
        Ok(Arc::new(MeteredConsumer { consumer, taken: Taken::from(queue) }))
    }

    async fn ready(&self, queue: &Queue) -> Result<u64, Error> {
        self.0.ready(queue).await
    }

    fn health(&self) -> Health {
        self.0.health()
    }
}

struct MeteredConsumer {
    consumer: Arc<dyn Consumer>,
    taken: Taken,
}

#[async_trait]
impl Consumer for MeteredConsumer {
    async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        let deliveries = self.consumer.next(max).await?;
        self.taken.delivered(&deliveries);
        Ok(deliveries)
    }

    async fn stop(&self) -> Result<(), Error> {
        self.consumer.stop().await
    }

    async fn settle(&self, settled: Vec<(DeliveryTag, Settle)>) -> Result<(), Error> {
        let (count, dead) = (settled.len(), dead_letters(&settled));
        self.consumer.settle(settled).await?;
        self.taken.settled(count);
        for reason in dead {
            self.taken.dead_lettered(&reason);
        }
        Ok(())
    }
}
