//! How far each queue of Standard transitions is worked: what tells a backlog from a loss.
//!
//! Queues are first in, first out. So once an engine receives for the first time a message made at some
//! moment, whatever was put into that queue before is either at work or lost; and a consumer that has room
//! and gets nothing shows that its queue is empty. The least of all queues is the *watermark*: a runnable
//! row that moved well before it, and still has not moved on, has no message in flight.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use asl::data::timestamp::Timestamp;
use futures::future::{Either, select};

use crate::ports::broker::{Consumer, Delivery, Error, Queue};

/// A message is at work for so long at most before it is taken for lost; and a queue that has just been
/// taken up must show for so long what is in it.
const PATIENCE_MILLISECONDS: i64 = 10_000;

/// The marks of all queues that this engine consumes.
#[derive(Debug, Default)]
pub struct Watermarks {
    marks: Mutex<HashMap<Queue, Weak<Progress>>>,
}

#[derive(Debug)]
struct Progress {
    since: Timestamp,
    /// When the newest message was made that came here for the first time; milliseconds.
    newest: AtomicI64,
    idle: AtomicBool,
}

/// The mark of one queue, while it is consumed.
pub struct Mark(Arc<Progress>);

impl Watermarks {
    /// A queue is consumed from now on.
    pub fn begin(&self, queue: &Queue, now: Timestamp) -> Mark {
        let progress =
            Arc::new(Progress { since: now, newest: AtomicI64::new(i64::MIN), idle: AtomicBool::new(false) });
        self.lock().insert(queue.clone(), Arc::downgrade(&progress));
        Mark(progress)
    }

    /// Runnable rows that moved before this have no message in flight. `None`: too little is known of one
    /// of these queues.
    pub fn lost_before(&self, queues: impl Iterator<Item = Queue>, now: Timestamp) -> Option<Timestamp> {
        let marks = self.lock();
        let mut least = now;
        for queue in queues {
            let progress = marks.get(&queue).and_then(Weak::upgrade)?;
            least = least.min(progress.reached(now)?);
        }
        Some(least.plus_milliseconds(-PATIENCE_MILLISECONDS))
    }

    /// How far engines are behind: milliseconds that a message may have waited in one of these queues. `None`:
    /// too little is known.
    pub fn lag(&self, queues: impl Iterator<Item = Queue>, now: Timestamp) -> Option<i64> {
        let reached = self.lost_before(queues, now)?.plus_milliseconds(PATIENCE_MILLISECONDS);
        Some(now.milliseconds().saturating_sub(reached.milliseconds()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Queue, Weak<Progress>>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn reached(&self, now: Timestamp) -> Option<Timestamp> {
        if now < self.since.plus_milliseconds(PATIENCE_MILLISECONDS) {
            return None;
        }
        if self.idle.load(Ordering::Relaxed) {
            return Some(now);
        }
        let newest = self.newest.load(Ordering::Relaxed);
        (newest > i64::MIN).then(|| Timestamp::from_milliseconds(newest))
    }
}

/// Nothing is ready while this lives.
struct Idle<'a>(&'a AtomicBool);

impl<'a> Idle<'a> {
    fn begin(idle: &'a AtomicBool) -> Self {
        idle.store(true, Ordering::Relaxed);
        Idle(idle)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Mark {
    /// As [`Consumer::next`], and notices when there is nothing to take.
    pub async fn next(&self, consumer: &dyn Consumer, max: usize) -> Result<Vec<Delivery>, Error> {
        match select(consumer.next(max), std::future::ready(())).await {
            Either::Left((taken, _)) => taken,
            Either::Right(((), waiting)) => {
                let _until_something_comes = Idle::begin(&self.0.idle);
                waiting.await
            }
        }
    }

    /// A message made at this time has come for the first time.
    pub fn reached(&self, at: Timestamp) {
        self.0.newest.fetch_max(at.milliseconds(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_milliseconds(second * 1_000)
    }

    fn check(marks: &Watermarks, queues: &[&str], now: i64, lost_before: Option<i64>) {
        let queues = queues.iter().map(|name| Queue::named(*name));
        assert_eq!(marks.lost_before(queues, second(now)), lost_before.map(second));
    }

    #[test]
    fn the_queue_that_is_least_far_decides() {
        let marks = Watermarks::default();
        let (left, right) =
            (marks.begin(&Queue::named("l"), second(0)), marks.begin(&Queue::named("r"), second(0)));
        left.reached(second(50));
        right.reached(second(30));
        right.reached(second(20));
        check(&marks, &["l", "r"], 60, Some(20));
        check(&marks, &["l"], 60, Some(40));
        let queues = || ["l", "r"].into_iter().map(Queue::named);
        assert_eq!(marks.lag(queues(), second(60)), Some(30_000));
        assert_eq!(marks.lag(queues(), second(9)), None);
    }

    #[test]
    fn a_queue_that_was_just_taken_up_or_is_not_consumed_says_nothing() {
        let marks = Watermarks::default();
        let mark = marks.begin(&Queue::named("l"), second(0));
        check(&marks, &["l"], 60, None);
        mark.reached(second(1));
        check(&marks, &["l"], 9, None);
        check(&marks, &["l", "other"], 60, None);
        drop(mark);
        check(&marks, &["l"], 60, None);
    }

    #[tokio::test]
    async fn a_queue_without_ready_messages_is_as_far_as_now() {
        use crate::adapters::in_process::InProcess;
        use crate::ports::broker::Broker;
        let broker = InProcess::new();
        let queue = Queue::named("l");
        broker.declare(std::slice::from_ref(&queue)).await.unwrap();
        let consumer = broker.consume(&queue, 10).await.unwrap();
        let marks = Watermarks::default();
        let mark = marks.begin(&queue, second(0));
        let waits = std::pin::pin!(mark.next(consumer.as_ref(), 10));
        assert!(futures::poll!(waits).is_pending());
        check(&marks, &["l"], 60, Some(50));
    }
}
