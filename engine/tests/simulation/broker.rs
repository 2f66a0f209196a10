//! A broker that keeps its promises and nothing beyond them: messages come twice, late, in any order;
//! publishes end in doubt; consumers are cancelled and what they held comes back, acknowledged or not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use engine::cli::replay::recording::What;
use engine::ports::broker::{
    Broker, Consumer, Delivery, DeliveryTag, Error, Exchange, Family, Health, Publication, Published, Queue,
    Settle,
};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::connector::Ledger;
use super::listener::Listener;
use super::node::Node;

/// Which queue of a family the messages of an execution wait in. The engine's choice depends on the
/// execution's id, which no seed determines; the order of their first messages is as good a choice.
pub struct Placement {
    width: u16,
    executions: Mutex<BTreeMap<String, u16>>,
}

impl Placement {
    pub fn new(width: u16) -> Self {
        Placement { width, executions: Mutex::default() }
    }

    pub fn width(&self) -> u16 {
        self.width
    }

    fn place(&self, publication: &mut Publication) {
        let families = [
            (Family::Standard, "standard."),
            (Family::Results, "results."),
            (Family::Express, "express."),
            (Family::Calls, "calls."),
            (Family::Inner, "inner."),
        ];
        let Some(name) = publication.to.queue().map(Queue::as_str) else { return };
        let Some((family, _)) = families.iter().find(|(_, prefix)| name.starts_with(prefix)) else { return };
        let execution = publication.id.split('/').next().unwrap_or_default().to_owned();
        let mut executions = self.executions.lock().unwrap_or_else(PoisonError::into_inner);
        let next = u16::try_from(executions.len() % usize::from(self.width)).unwrap();
        let shard = *executions.entry(execution).or_insert(next);
        publication.to = Queue::of(*family, shard).into();
    }
}

/// What one engine sees of the broker that it shares with others.
pub struct FaultyBroker {
    pub inner: Arc<dyn Broker>,
    pub node: Arc<Node>,
    pub ledger: Arc<Ledger>,
    pub placement: Arc<Placement>,
    pub listener: Arc<Listener>,
}

impl FaultyBroker {
    async fn publish_one(&self, mut publication: Publication) -> Result<Published, Error> {
        let fate = &self.node.fate;
        self.placement.place(&mut publication);
        if publication.delay.is_none() && fate.strikes(|rates| rates.late) {
            publication.delay = Some(fate.milliseconds(300));
        }
        // Nothing fences an Express message: its copies run on, and make copies, until the end.
        let is_express = publication.to.queue().is_some_and(is_express);
        let spared = is_express && !fate.draw(|lottery| lottery.one_in(8));
        let in_doubt = fate.strikes(|rates| rates.in_doubt) && !spared;
        if in_doubt && fate.draw(|lottery| lottery.one_in(2)) {
            self.note(&publication, "lost, in doubt");
            return Ok(Published::InDoubt);
        }
        if fate.strikes(|rates| rates.twice) && !spared {
            let delay = Some(fate.milliseconds(3_000) + publication.delay.unwrap_or_default());
            let copy = Publication { delay, ..publication.clone() };
            self.note(&copy, "a copy");
            self.inner.publish(vec![copy]).await?;
        }
        let outcome = if in_doubt { "there, in doubt" } else { "there" };
        self.note(&publication, outcome);
        self.listener.hear(&publication);
        let published = self.inner.publish(vec![publication]).await?;
        let [published] = published[..] else { return Ok(Published::InDoubt) };
        Ok(if in_doubt { Published::InDoubt } else { published })
    }

    fn note(&self, publication: &Publication, outcome: &str) {
        self.node.note(|| What::Published {
            queue: publication.to.to_string(),
            id: publication.id.clone(),
            delay_milliseconds: publication.delay.map(|delay| u64::try_from(delay.as_millis()).unwrap()),
            outcome: outcome.to_owned(),
        });
    }

    fn away(&self) -> bool {
        let away = self.node.fate.strikes(|rates| rates.broker_away);
        if away {
            self.node.fault("the broker is away");
        }
        away
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

    async fn declare_exchange(&self, exchange: &Exchange) -> Result<(), Error> {
        self.node.alive().await;
        self.inner.declare_exchange(exchange).await
    }

    async fn bind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
        self.node.alive().await;
        self.inner.bind(queue, exchange, pattern).await
    }

    async fn unbind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
        self.node.alive().await;
        self.inner.unbind(queue, exchange, pattern).await
    }

    async fn join(&self, from: &Exchange, to: &Exchange) -> Result<(), Error> {
        self.node.alive().await;
        self.inner.join(from, to).await
    }

    fn emit(&self, publication: Publication) {
        self.inner.emit(publication);
    }

    async fn delete(&self, queue: &Queue) -> Result<(), Error> {
        self.node.alive().await;
        self.inner.delete(queue).await
    }

    async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Published>, Error> {
        let mut outcomes = Vec::new();
        for publication in &batch {
            self.ledger.asked(publication, &self.node);
        }
        self.node.fate.pause().await;
        for publication in batch {
            // Each of them is a moment to die at: some are published and others are not.
            self.node.alive().await;
            if self.away() {
                return Err(away());
            }
            outcomes.push(self.publish_one(publication).await?);
        }
        self.node.alive().await;
        if self.away() {
            return Err(away());
        }
        Ok(outcomes)
    }

    async fn consume(&self, queue: &Queue, prefetch: usize) -> Result<Arc<dyn Consumer>, Error> {
        self.node.alive().await;
        if self.away() {
            return Err(away());
        }
        let consumer = Arc::new(FaultyConsumer {
            taken: Mutex::default(),
            inner: Mutex::new(Some(self.inner.consume(queue, prefetch).await?)),
            queue: queue.clone(),
            held: Mutex::default(),
            node: self.node.clone(),
            gone: CancellationToken::new(),
        });
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
    queue: Queue,
    /// The ids of what it has not settled.
    held: Mutex<BTreeMap<DeliveryTag, String>>,
    /// Taken, and not answered yet: a call that is dropped while its engine is frozen loses nothing.
    taken: Mutex<Vec<Delivery>>,
    node: Arc<Node>,
    gone: CancellationToken,
}

impl FaultyConsumer {
    fn taken(&self) -> std::sync::MutexGuard<'_, Vec<Delivery>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it holds comes back, now and then in another order.
    pub fn cancel(&self) {
        let Some(inner) = self.lock().take() else { return };
        let held = std::mem::take(&mut *self.held());
        if !held.is_empty() {
            self.node.note(|| What::Fault {
                what: format!("the consumer of {} is cancelled and gives {} back", self.queue, held.len()),
            });
        }
        let mut tags: Vec<_> = held.into_keys().collect();
        while tags.len() > 1 && self.node.fate.strikes(|rates| rates.reordered) {
            let tag = tags.swap_remove(self.node.fate.draw(|lottery| lottery.index(tags.len())));
            // The broker in this process answers at once.
            inner.settle(vec![(tag, Settle::Requeue)]).now_or_never().unwrap().unwrap();
        }
        drop(inner);
        self.gone.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn Consumer>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<DeliveryTag, String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> Result<Arc<dyn Consumer>, Error> {
        if self.node.fate.strikes(|rates| rates.cancelled) {
            self.cancel();
        }
        self.lock().clone().ok_or(Error::Cancelled)
    }

    fn took(&self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            self.held().insert(delivery.tag, delivery.id.clone());
            self.node.note(|| What::Delivered {
                queue: self.queue.to_string(),
                id: delivery.id.clone(),
                redeliveries: delivery.redeliveries,
            });
        }
    }

    fn settles(&self, settled: &[(DeliveryTag, Settle)]) {
        for (tag, how) in settled {
            let Some(id) = self.held().remove(tag) else { continue };
            let how = match how {
                Settle::Acknowledge => "acknowledged".to_owned(),
                Settle::Requeue => "requeued".to_owned(),
                Settle::DeadLetter(reason) => format!("dead: {reason}"),
            };
            self.node.note(|| What::Settled { queue: self.queue.to_string(), id, how });
        }
    }
}

#[async_trait]
impl Consumer for FaultyConsumer {
    async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        self.node.alive().await;
        let inner = self.inner()?;
        if self.taken().is_empty() {
            let deliveries = tokio::select! {
                biased;
                () = self.gone.cancelled() => Err(Error::Cancelled),
                deliveries = inner.next(max) => deliveries,
            }?;
            self.took(&deliveries);
            *self.taken() = deliveries;
        }
        drop(inner);
        self.node.alive().await;
        if self.gone.is_cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(std::mem::take(&mut *self.taken()))
    }

    async fn stop(&self) -> Result<(), Error> {
        self.node.alive().await;
        self.inner()?.stop().await
    }

    async fn settle(&self, settled: Vec<(DeliveryTag, Settle)>) -> Result<(), Error> {
        self.node.alive().await;
        let inner = self.inner()?;
        // Each would make copies of all that is held, and nothing fences an Express message.
        let spared = is_express(&self.queue);
        if self.node.fate.strikes(|rates| rates.settle_lost) && !spared {
            // It was on its way when the consumer went: the caller is told nothing.
            drop(inner);
            self.node.fault("a settlement is lost");
            self.cancel();
            return Ok(());
        }
        self.settles(&settled);
        inner.settle(settled).await?;
        drop(inner);
        self.node.alive().await;
        Ok(())
    }
}
