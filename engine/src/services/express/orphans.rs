//! Children whose parent's engine is gone: nobody waits for them, and the parent makes them anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::messages::Express;
use crate::ports::broker::{Delivery, Publication, Published, Queue};
use crate::services::{Core, Unavailable};

/// A reply queue that was there is taken to be there for so long.
const TRUSTED: Duration = Duration::from_secs(5);
/// Reply queues that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// When the reply queues of other engines were last seen.
#[derive(Debug, Default)]
pub struct ReplyQueues {
    seen: Mutex<HashMap<Queue, Instant>>,
}

impl ReplyQueues {
    fn is_trusted(&self, queue: &Queue) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(queue).is_some_and(|at| at.elapsed() < TRUSTED)
    }

    fn saw(&self, queue: &Queue) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED_MAX {
            seen.retain(|_, at| at.elapsed() < TRUSTED);
        }
        seen.insert(queue.clone(), Instant::now());
    }
}

impl Core {
    /// Whether a message belongs to a branch that nobody waits for: the queue for its answer is gone.
    pub(super) async fn is_orphan(
        &self,
        message: &Express,
        delivery: &Delivery,
    ) -> Result<bool, Unavailable> {
        let Some(queue) = delivery.reply_to.as_ref().filter(|_| !message.path.is_root()) else {
            return Ok(false);
        };
        if *queue == Queue::reply(&self.engine) || self.reply_queues.is_trusted(queue) {
            return Ok(false);
        }
        // Nobody expects it, so whoever gets it drops it.
        let probe = Publication::new(queue.clone(), "probe".to_owned(), Bytes::new());
        match self.broker.publish(vec![probe]).await?.first() {
            Some(Published::Returned) => Ok(true),
            Some(Published::Confirmed | Published::InDoubt) | None => {
                self.reply_queues.saw(queue);
                Ok(false)
            }
        }
    }
}
