//! Consumers that are saying goodbye: what they give back must be there before the next one begins, or it
//! would overtake them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::ports::broker::Queue;

/// A goodbye that takes longer is not waited for.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

/// Counts the goodbyes by queue.
#[derive(Debug, Default)]
pub(super) struct Closing {
    leaving: Mutex<BTreeMap<Queue, usize>>,
    left: Notify,
}

/// Held by a consumer; counts from its [`Goodbye::begin`] until it is dropped.
#[derive(Debug)]
pub(super) struct Goodbye {
    closing: Arc<Closing>,
    queue: Queue,
    is_begun: bool,
}

impl Closing {
    pub(super) fn of(self: &Arc<Self>, queue: &Queue) -> Goodbye {
        Goodbye { closing: Arc::clone(self), queue: queue.clone(), is_begun: false }
    }

    /// Waits until nobody is leaving this queue.
    pub(super) async fn done(&self, queue: &Queue) {
        let done = async {
            loop {
                let left = self.left.notified();
                tokio::pin!(left);
                left.as_mut().enable();
                if !self.lock().contains_key(queue) {
                    return;
                }
                left.await;
            }
        };
        let _ = timeout(CLOSED_WITHIN, done).await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Queue, usize>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Goodbye {
    pub(super) fn begin(&mut self) {
        self.is_begun = true;
        *self.closing.lock().entry(self.queue.clone()).or_default() += 1;
    }
}

impl Drop for Goodbye {
    fn drop(&mut self) {
        if !self.is_begun {
            return;
        }
        let mut leaving = self.closing.lock();
        if let Some(count) = leaving.get_mut(&self.queue) {
            *count -= 1;
            if *count == 0 {
                leaving.remove(&self.queue);
            }
        }
        drop(leaving);
        self.closing.left.notify_waiters();
    }
}
