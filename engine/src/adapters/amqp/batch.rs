//! The answers that a call of `publish` waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// What became of a message, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Outcome {
    /// Waits for a channel.
    Waiting,
    /// On its way.
    Sent,
    /// The broker has it.
    Confirmed,
    /// No such queue.
    Returned,
    /// It left, and that is all that is known.
    InDoubt,
    /// It never left.
    NotSent,
}

impl Outcome {
    fn read(number: u8) -> Self {
        const ALL: [Outcome; 6] = [
            Outcome::Waiting,
            Outcome::Sent,
            Outcome::Confirmed,
            Outcome::Returned,
            Outcome::InDoubt,
            Outcome::NotSent,
        ];
        ALL.get(usize::from(number)).copied().unwrap_or(Outcome::InDoubt)
    }
}

/// One call.
#[derive(Debug)]
pub(super) struct Batch {
    outcomes: Box<[AtomicU8]>,
    open: AtomicUsize,
    all_answered: Notify,
}

/// One message of a call. Dropped without an answer, it answers for itself.
#[derive(Debug)]
pub(super) struct Ticket {
    batch: Arc<Batch>,
    index: usize,
}

impl Batch {
    pub(super) fn of(count: usize) -> Arc<Self> {
        let outcomes = (0..count).map(|_| AtomicU8::new(Outcome::Waiting as u8)).collect();
        Arc::new(Batch { outcomes, open: AtomicUsize::new(count), all_answered: Notify::new() })
    }

    pub(super) fn ticket(self: &Arc<Self>, index: usize) -> Ticket {
        Ticket { batch: Arc::clone(self), index }
    }

    pub(super) async fn finished(&self) {
        let answered = self.all_answered.notified();
        tokio::pin!(answered);
        answered.as_mut().enable();
        if self.open.load(Ordering::Acquire) > 0 {
            answered.await;
        }
    }

    /// Ends the wait. What was not sent by now will not be.
    pub(super) fn close(&self) -> Vec<Outcome> {
        (0..self.outcomes.len())
            .map(|index| {
                self.turn(index, Outcome::Waiting, Outcome::NotSent);
                match Outcome::read(self.outcomes[index].load(Ordering::Acquire)) {
                    Outcome::Sent | Outcome::Waiting => Outcome::InDoubt,
                    known => known,
                }
            })
            .collect()
    }

    fn turn(&self, index: usize, from: Outcome, to: Outcome) -> bool {
        let outcome = &self.outcomes[index];
        outcome.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Ticket {
    /// Says that it leaves now. False if nobody waits for it any more: then it must not leave.
    pub(super) fn is_sent(&self) -> bool {
        self.batch.turn(self.index, Outcome::Waiting, Outcome::Sent)
    }

    pub(super) fn answer(self, outcome: Outcome) {
        self.batch.turn(self.index, Outcome::Sent, outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.batch.turn(self.index, Outcome::Sent, Outcome::InDoubt);
        self.batch.turn(self.index, Outcome::Waiting, Outcome::NotSent);
        if self.batch.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.batch.all_answered.notify_waiters();
        }
    }
}
