//! The life of one engine. It dies at a call of a port, before the call or after it: whatever else it does
//! nobody can see, so these are all the moments at which it can die.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use super::broker::FaultyConsumer;
use super::fate::Fate;

pub struct Node {
    pub fate: Arc<Fate>,
    pub death: CancellationToken,
    consumers: Mutex<Vec<Weak<FaultyConsumer>>>,
}

impl Node {
    pub fn new(fate: Arc<Fate>) -> Arc<Self> {
        Arc::new(Node { fate, death: CancellationToken::new(), consumers: Mutex::default() })
    }

    /// Passes while the engine lives. What is called by a dead one never returns.
    pub async fn alive(&self) {
        if !self.death.is_cancelled() && self.fate.strikes(|rates| rates.killed) {
            self.kill();
        }
        if self.death.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// What its consumers had not settled goes back to the broker.
    pub fn kill(&self) {
        self.death.cancel();
        for consumer in self.lock().drain(..).filter_map(|consumer| consumer.upgrade()) {
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
