//! The life of one engine. It dies at a call of a port, before the call or after it: whatever else it does
//! nobody can see, so these are all the moments at which it can die. At the same moments it may freeze, and go on
//! later as if nothing had happened.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use engine::cli::replay::recording::What;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::broker::FaultyConsumer;
use super::clock::SimulatedClock;
use super::fate::Fate;
use super::journal::Journal;

/// The longest time that an engine freezes for.
const FROZEN_MILLISECONDS_MAX: u64 = 20_000;

pub struct Node {
    pub fate: Arc<Fate>,
    pub death: CancellationToken,
    name: String,
    clock: Arc<SimulatedClock>,
    journal: Arc<Journal>,
    thaws_at: Mutex<Option<Instant>>,
    consumers: Mutex<Vec<Weak<FaultyConsumer>>>,
}

impl Node {
    pub fn new(
        name: String,
        fate: Arc<Fate>,
        clock: Arc<SimulatedClock>,
        journal: Arc<Journal>,
    ) -> Arc<Self> {
        let node = Arc::new(Node {
            fate,
            death: CancellationToken::new(),
            name,
            clock,
            journal,
            thaws_at: Mutex::default(),
            consumers: Mutex::default(),
        });
        node.note(|| What::Began);
        node
    }

    /// Writes down what this engine does.
    pub fn note(&self, what: impl FnOnce() -> What) {
        self.journal.note(&self.clock, &self.name, what);
    }

    /// Writes down what went wrong.
    pub fn fault(&self, what: &str) {
        self.note(|| What::Fault { what: what.to_owned() });
    }

    /// Passes while the engine lives. What is called by a dead one never returns.
    pub async fn alive(&self) {
        if !self.death.is_cancelled() && self.fate.strikes(|rates| rates.killed) {
            self.kill();
        }
        if !self.death.is_cancelled() && self.fate.strikes(|rates| rates.frozen) {
            self.freeze();
        }
        while let Some(thaws_at) = self.thaws_at().filter(|at| *at > Instant::now()) {
            tokio::time::sleep_until(thaws_at).await;
        }
        if self.death.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    fn thaws_at(&self) -> Option<Instant> {
        *self.thaws_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what it does now may have been decided before it froze.
    pub fn was_frozen_within(&self, while_ago: Duration) -> bool {
        self.thaws_at().is_some_and(|thaws_at| Instant::now() < thaws_at + while_ago)
    }

    /// Nothing moves for a while. Some of what its consumers hold is given to others.
    fn freeze(&self) {
        let pause = self.fate.milliseconds(FROZEN_MILLISECONDS_MAX);
        self.note(|| What::Fault { what: format!("frozen for {} ms", pause.as_millis()) });
        *self.thaws_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
        let consumers: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        for consumer in consumers {
            if self.fate.draw(|lottery| lottery.one_in(2)) {
                consumer.cancel();
            }
        }
    }

    /// What its consumers had not settled goes back to the broker.
    pub fn kill(&self) {
        if !self.death.is_cancelled() {
            self.note(|| What::Crashed);
        }
        self.death.cancel();
        let consumers = std::mem::take(&mut *self.lock());
        for consumer in consumers.into_iter().filter_map(|consumer| consumer.upgrade()) {
            consumer.cancel();
        }
    }

    pub fn owns(&self, consumer: &Arc<FaultyConsumer>) {
        let mut consumers = self.lock();
        consumers.retain(|consumer| consumer.strong_count() > 0);
        consumers.push(Arc::downgrade(consumer));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<FaultyConsumer>>> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
