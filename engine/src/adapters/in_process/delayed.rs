//! Messages that are published but not due.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::queue::{Message, QueueState};

/// Holds messages until they are due, then moves them to their queues. One task serves all of them; it runs
/// while there are any, and ends with this.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    agenda: Mutex<Agenda>,
    /// The first entry changed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Agenda {
    /// By time, then in the order they were published.
    entries: BTreeMap<(Instant, u64), Entry>,
    last_number: u64,
    mover: Option<AbortHandle>,
}

#[derive(Debug)]
struct Entry {
    /// A queue that is deleted takes its delayed messages with it.
    queue: Weak<QueueState>,
    message: Message,
}

impl Delayed {
    /// Keeps the message for so long.
    pub(super) fn add(&self, queue: &Arc<QueueState>, message: Message, delay: Duration) {
        let now = Instant::now();
        // What is due after the end of time is due at a time nobody sees.
        let due = now.checked_add(delay).unwrap_or(now + Duration::from_secs(u32::MAX.into()));
        let mut agenda = self.shared.lock();
        agenda.last_number += 1;
        let key = (due, agenda.last_number);
        agenda.entries.insert(key, Entry { queue: Arc::downgrade(queue), message });
        let first = agenda.entries.first_key_value().is_some_and(|(first, _)| *first == key);
        if agenda.mover.is_none() {
            let task = tokio::spawn(move_when_due(Arc::clone(&self.shared)));
            agenda.mover = Some(task.abort_handle());
        } else if first {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Delayed {
    fn drop(&mut self) {
        if let Some(mover) = self.shared.lock().mover.take() {
            mover.abort();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Agenda> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what is due and tells when the next is. `None`: nothing is left and the mover ends.
    fn move_due(&self) -> Option<Instant> {
        let mut agenda = self.lock();
        while let Some(first) = agenda.entries.first_entry() {
            let due = first.key().0;
            if due > Instant::now() {
                return Some(due);
            }
            let entry = first.remove();
            if let Some(queue) = entry.queue.upgrade() {
                queue.push(entry.message);
            }
        }
        agenda.mover = None;
        None
    }
}

async fn move_when_due(shared: Arc<Shared>) {
    while let Some(due) = shared.move_due() {
        tokio::select! {
            biased;
            () = sleep_until(due) => {}
            () = shared.changed.notified() => {}
        }
    }
}
