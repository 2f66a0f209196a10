//! Finds what the broker has lost: rows whose message should be in flight and is not.
//!
//! Deliveries that come back and rows that are due see to nearly all of it. What is left is a queue that was
//! deleted, or a broker that lost its disk. So this walks over all branch rows, slowly, and publishes again
//! what has no message by the watermark; a row that it finds is worth a warning. It never sends a task out
//! again, as a function's backlog may be hours long.

use std::sync::Arc;
use std::time::Duration;

use asl::data::timestamp::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::timers::{self, Cause};
use crate::ports::broker::Family;
use crate::ports::store::{self, BranchKey, Phase, StoredBranch};
use crate::services::{Core, Unavailable};

/// Time between two walks.
const PAUSE: Duration = Duration::from_secs(600);
/// Rows read at a time.
const CHUNK: u32 = 500;
/// A walk takes at most this part of a connection's time.
const SHARE: u32 = 50;

/// Walks over all rows every ten minutes until told to stop.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            swept = core.sweep() => match swept {
                Ok(0) => {}
                Ok(found) => tracing::warn!(found, "messages were lost by the broker, and are published again"),
                Err(error) => core.outages.noticed(&error),
            }
        }
    }
}

impl Core {
    /// One walk. Answers how many rows had lost their message.
    pub async fn sweep(&self) -> Result<u64, Unavailable> {
        let (mut after, mut found) = (None, 0);
        loop {
            let began = Instant::now();
            let Some(lost_before) = self.lost_before() else { return Ok(found) };
            let rows = self.store.live_branches(after.as_ref(), CHUNK).await?;
            let Some(last) = rows.last() else {
                timers::swept(found);
                return Ok(found);
            };
            after = Some(last.key.clone());
            found += self.publish_lost(&rows, lost_before).await?;
            tokio::time::sleep(began.elapsed() * (SHARE - 1)).await;
        }
    }

    /// Runnable rows that moved before this have no message in flight; `None` while that is not known.
    pub fn lost_before(&self) -> Option<Timestamp> {
        self.watermarks.lost_before(self.shards.queues(Family::Standard), self.clock.now())
    }

    async fn publish_lost(&self, rows: &[StoredBranch], lost_before: Timestamp) -> Result<u64, Unavailable> {
        let is_lost = |row: &&StoredBranch| {
            // What is due is the scheduler's.
            row.state.phase == Phase::Runnable && row.state.due.is_none() && row.moved_at < lost_before
        };
        let suspects: Vec<BranchKey> = rows.iter().filter(is_lost).map(|row| row.key.clone()).collect();
        if suspects.is_empty() {
            return Ok(0);
        }
        // Read again: most have only moved since the walk began.
        let mut found = 0;
        for row in self.store.branches(&suspects).await?.iter().flatten().filter(is_lost) {
            self.announce_begun(std::slice::from_ref(row)).await?;
            match self.republish(row).await {
                Ok(publications) => {
                    timers::made_again(Cause::Sweep, publications.len());
                    self.publish(publications).await?;
                }
                // One row that cannot be read must not hide those behind it.
                Err(error @ (Unavailable::Store(store::Error::Corrupt(_)) | Unavailable::Definition(_))) => {
                    tracing::error!(%error, execution = %row.key.execution, "a branch is left aside");
                    continue;
                }
                Err(error) => return Err(error),
            }
            found += 1;
        }
        Ok(found)
    }
}
