//! What the database needs every hour: partitions made ahead, and closed executions removed when they are past
//! their retention. Any number of processes may do it at the same time.

use std::num::NonZeroU32;
use std::time::Duration;

use asl::data::timestamp::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::cli::outside::Outside;
use crate::ports::store;

/// How often.
const EVERY: Duration = Duration::from_secs(3_600);
/// When it is tried again after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
const DAY_MILLISECONDS: i64 = 86_400_000;

/// Looks after the database until told to stop.
pub async fn run(outside: Outside, retention_days: NonZeroU32, stop: CancellationToken) {
    loop {
        // Dropped in the middle, it is done by the next process that comes to it.
        let done = tokio::select! {
            () = stop.cancelled() => return,
            done = look_after(&outside, retention_days) => done,
        };
        let pause = match done {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "partitions and retention are not looked after");
                AGAIN_AFTER
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

async fn look_after(outside: &Outside, retention_days: NonZeroU32) -> Result<(), store::Error> {
    outside.prepare_partitions().await?;
    let now = outside.store().now().await?;
    outside.prune(closed_before(now, retention_days)).await
}

fn closed_before(now: Timestamp, retention_days: NonZeroU32) -> Timestamp {
    let kept = i64::from(retention_days.get()).saturating_mul(DAY_MILLISECONDS);
    Timestamp::from_milliseconds(now.milliseconds().saturating_sub(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_counts_in_days() {
        let now = Timestamp::parse("2026-03-31T12:00:00Z").unwrap();
        let before = closed_before(now, NonZeroU32::new(90).unwrap());
        assert_eq!(before, Timestamp::parse("2025-12-31T12:00:00Z").unwrap());
    }
}
