//! Turns timers that are due into messages.
//!
//! A timer is a column of its branch row, so it survives everything. One that fires soon is also kept in
//! memory by the engine that set it, which fires it at its time; the row is due a little later, and only
//! matters if that engine died.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use asl::branch::BranchPath;
use asl::data::Failure;
use asl::data::timestamp::Timestamp;
use asl::history::{EventKind, HistoryEvent};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::ids::ExecutionId;
use crate::messages::{Body, Nudge, encode};
use crate::metrics::timers::{self, Cause};
use crate::ports::store::{Claim, Claimed, Closing, ExecutionStatus, HistoryRow, Last, Open, Phase};
use crate::services::{Core, Unavailable};

/// Timers that fire within this time are kept in memory.
pub const NEAR_MILLISECONDS: i64 = 60_000;
/// How often rows are looked through.
const POLL: Duration = Duration::from_secs(1);
/// Rows claimed in one transaction.
const CLAIM_MAX: u32 = 200;
/// Another scheduler leaves a claimed row alone for so long.
const CLAIM_MILLISECONDS: i64 = 30_000;
/// The longest that a row is put off behind a backlog.
const CLAIM_MILLISECONDS_MAX: i64 = 600_000;
/// Rows are looked at again after so long while it is not known how far the queues are worked.
const UNKNOWN_MILLISECONDS: i64 = 10_000;
/// Timers kept in memory; more are left to their rows.
const NEAR_MAX: usize = 1_000_000;

/// A timer that fires soon.
#[derive(Debug, Clone, PartialEq)]
pub struct NearTimer {
    /// When.
    pub at: Timestamp,
    /// What is sent then.
    pub nudge: Nudge,
}

/// Fires timers until told to stop.
pub async fn run(core: Arc<Core>, mut set: mpsc::UnboundedReceiver<NearTimer>, stop: CancellationToken) {
    let mut near = Near::default();
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let pause = near.pause(core.clock.now());
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = poll.tick() => warn_on_error(core.poll_due().await),
            () = tokio::time::sleep(pause) => {
                let due = near.take_due(core.clock.now());
                timers::fired_from_memory(due.len());
                let publications = due.iter().map(|due| core.nudge(&due.key(), due.fence())).collect();
                warn_on_error(core.publish(publications).await);
            }
            Some(timer) = set.recv() => near.add(timer),
        }
    }
}

fn warn_on_error(result: Result<(), Unavailable>) {
    if let Err(error) = result {
        tracing::warn!(%error, "timers are late");
    }
}

/// Timers in memory, the soonest first.
#[derive(Default)]
struct Near {
    heap: BinaryHeap<Reverse<(Timestamp, u64)>>,
    nudges: std::collections::HashMap<u64, Nudge>,
    count: u64,
}

impl Near {
    fn add(&mut self, timer: NearTimer) {
        if self.nudges.len() < NEAR_MAX {
            self.count += 1;
            self.heap.push(Reverse((timer.at, self.count)));
            self.nudges.insert(self.count, timer.nudge);
        }
    }

    fn pause(&self, now: Timestamp) -> Duration {
        let Some(Reverse((at, _))) = self.heap.peek() else { return Duration::from_secs(3_600) };
        let milliseconds = at.milliseconds().saturating_sub(now.milliseconds());
        Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
    }

    fn take_due(&mut self, now: Timestamp) -> Vec<Nudge> {
        let mut due = Vec::new();
        while let Some(Reverse((at, id))) = self.heap.peek().copied() {
            if at > now {
                break;
            }
            self.heap.pop();
            due.extend(self.nudges.remove(&id));
        }
        due
    }
}

impl Core {
    /// Looks through the rows once.
    pub async fn poll_due(&self) -> Result<(), Unavailable> {
        // One must not keep the other from its turn.
        let timers = self.fire_due().await;
        let timeouts = self.time_out_overdue().await;
        self.announce_forgotten().await.and(timeouts).and(timers)
    }

    async fn fire_due(&self) -> Result<(), Unavailable> {
        loop {
            let now = self.clock.now();
            // While it is not known how far the queues are worked, only timers are taken.
            let (moved_before, again_after_ms) = match self.lost_before() {
                Some(lost_before) => {
                    let lag = now.milliseconds().saturating_sub(lost_before.milliseconds());
                    let again = lag.saturating_mul(4).clamp(CLAIM_MILLISECONDS, CLAIM_MILLISECONDS_MAX);
                    (lost_before, again)
                }
                None => (Timestamp::default(), UNKNOWN_MILLISECONDS),
            };
            let claim = Claim { now, again_after_ms, moved_before, limit: CLAIM_MAX };
            let Claimed { rows, more } = self.store.claim_due(claim).await?;
            if !rows.is_empty() {
                crate::crash_point!("due-claimed");
                let lost = rows.iter().filter(|row| row.state.phase == Phase::Runnable).count();
                timers::made_again(Cause::Due, lost);
                timers::fired_from_rows(rows.len() - lost);
            }
            self.announce_begun(&rows).await?;
            self.publish(rows.iter().map(|row| self.nudge(&row.key, row.fence)).collect()).await?;
            if !more {
                return Ok(());
            }
        }
    }

    async fn time_out_overdue(&self) -> Result<(), Unavailable> {
        loop {
            let overdue = self.store.overdue(self.clock.now(), CLAIM_MAX).await?;
            let (mut closed, mut failed) = (Vec::new(), None);
            for id in &overdue {
                match self.time_out(*id).await {
                    Ok(true) => closed.push(*id),
                    Ok(false) => {}
                    Err(error) => failed = Some(error),
                }
            }
            self.announce(&closed).await;
            if let Some(error) = failed {
                return Err(error);
            }
            if overdue.len() < CLAIM_MAX as usize {
                return Ok(());
            }
        }
    }

    async fn time_out(&self, id: ExecutionId) -> Result<bool, Unavailable> {
        // It was found among many, and may have closed and been redriven since: then it has more time.
        let is_over = |open: &Open, now| open.deadline.is_some_and(|deadline| deadline <= now);
        let (failure, kind) = (Failure::timeout(), EventKind::ExecutionTimedOut);
        Ok(self.close_if(id, ExecutionStatus::TimedOut, failure, kind, is_over).await?.is_some())
    }

    /// Closes a running execution from outside its own transitions, with one last event. Answers when, if
    /// this call closed it; then the caller announces it.
    pub async fn close(
        &self,
        id: ExecutionId,
        status: ExecutionStatus,
        failure: Failure,
        kind: fn(Failure) -> EventKind,
    ) -> Result<Option<Timestamp>, Unavailable> {
        self.close_if(id, status, failure, kind, |_, _| true).await
    }

    /// The same if, at that time, the execution that is open is one to be closed.
    async fn close_if(
        &self,
        id: ExecutionId,
        status: ExecutionStatus,
        failure: Failure,
        kind: fn(Failure) -> EventKind,
        condition: fn(&Open, Timestamp) -> bool,
    ) -> Result<Option<Timestamp>, Unavailable> {
        let at = self.clock.now();
        let decide = move |open: Open| {
            if !condition(&open, at) {
                return None;
            }
            // As recorded on AWS, the event that ends an execution from outside follows nothing.
            let error = failure.error.clone();
            let event = HistoryEvent { at, previous: None, kind: kind(failure) };
            let closing = Closing { status, at, error, unannounced: false };
            Some(last(open.root.fence.seq + 1, vec![event], closing))
        };
        let closed = self.close_with(id, decide).await?;
        if closed {
            self.closed_from_outside(id, status, at).await;
        }
        Ok(closed.then_some(at))
    }
}

/// One row of the root that closes an execution.
pub fn last(seq: u32, events: Vec<HistoryEvent>, closing: Closing) -> Last {
    let row = HistoryRow {
        events: u16::try_from(events.len()).unwrap_or(u16::MAX),
        body: encode(&Body { events, value: None, request: None, end: None }),
    };
    Last { rows: vec![(BranchPath::root(), seq, row)], closing }
}
