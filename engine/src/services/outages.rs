//! Says once that something is away, and once that it is back.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::metrics::conditions::{self, Outside};
use crate::services::Unavailable;

/// What this engine has noticed to be away.
#[derive(Debug, Default)]
pub struct Outages {
    store: AtomicBool,
    broker: AtomicBool,
}

impl Outages {
    /// Work is held for this reason, and will be tried again.
    pub fn noticed(&self, error: &Unavailable) {
        let (noticed, what, outside) = match error {
            Unavailable::Store(_) => (&self.store, "the store", Outside::Store),
            Unavailable::Broker(_) => (&self.broker, "the broker", Outside::Broker),
            Unavailable::Definition(_) => return tracing::warn!(%error, "holding work that cannot be done"),
        };
        if noticed.swap(true, Ordering::Relaxed) {
            tracing::debug!(%error, "holding work until {what} is back");
        } else {
            conditions::holding(outside);
            tracing::warn!(%error, "holding work until {what} is back");
        }
    }

    /// Work was done that needs both.
    pub fn over(&self) {
        let known =
            [(&self.store, "the store", Outside::Store), (&self.broker, "the broker", Outside::Broker)];
        for (noticed, what, outside) in known {
            if noticed.load(Ordering::Relaxed) && noticed.swap(false, Ordering::Relaxed) {
                conditions::going_on(outside);
                tracing::info!("{what} is back; work goes on");
            }
        }
    }
}
