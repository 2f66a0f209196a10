//! What was delivered too often: the broker gave it up, and so its execution is failed and it is filed. An execution
//! that has gone on without it, since it was redriven say, is left alone.
//!
//! A message gets here when engines die of it, over and over. So nothing of it is read but its id.

use std::sync::Arc;
use std::time::Duration;

use asl::data::Failure;
use tokio_util::sync::CancellationToken;

use crate::messages::{ExpressResult, encode};
use crate::ports::broker::{self, Consumer, Delivery, Publication, Queue, Settle};
use crate::ports::store::BranchKey;
use crate::services::{Core, Unavailable};

/// Error of an execution whose message cannot be worked.
pub const POISON: &str = "Warren.Poison";
/// Letters taken at a time.
const PREFETCH: usize = 16;
/// Pause before what is away is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Works what the broker has given up until told to stop.
pub async fn run(core: Arc<Core>, stop: CancellationToken) -> Result<(), broker::Error> {
    let consumer = core.broker.consume(&Queue::poison(), PREFETCH).await?;
    loop {
        let deliveries = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            deliveries = consumer.next(PREFETCH) => deliveries?,
        };
        for delivery in &deliveries {
            if has_expired(delivery) {
                consumer.settle(vec![(delivery.tag, Settle::Acknowledge)]).await?;
                continue;
            }
            let reason = "it was delivered too often: engines that worked it died";
            while let Err(error) = core.put_aside(consumer.as_ref(), delivery, reason).await {
                if let Unavailable::Broker(broker::Error::Cancelled) = error {
                    return Err(broker::Error::Cancelled);
                }
                core.outages.noticed(&error);
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
}

/// Whether it was not taken in time, rather than too often: then nobody waits for it any more.
fn has_expired(delivery: &Delivery) -> bool {
    delivery.headers.get("x-first-death-reason").is_some_and(|reason| reason == "expired")
}

impl Core {
    /// Fails the execution of a message that can never be worked, and files the message.
    pub(super) async fn put_aside(
        &self,
        consumer: &dyn Consumer,
        delivery: &Delivery,
        reason: &str,
    ) -> Result<(), Unavailable> {
        self.fail_execution_of(delivery, reason).await?;
        consumer.settle(vec![(delivery.tag, Settle::DeadLetter(reason.to_owned()))]).await?;
        Ok(())
    }

    /// Fails the execution that the id of a message names, if it may wait for the message, and tells who waits for the message's end.
    pub(super) async fn fail_execution_of(
        &self,
        delivery: &Delivery,
        reason: &str,
    ) -> Result<(), Unavailable> {
        tracing::error!(reason, message = %delivery.id, "a message cannot be worked");
        let failure = Failure::new(POISON, reason);
        if let (Some(queue), Some(id)) = (&delivery.reply_to, &delivery.correlation_id)
            && queue.is_reply()
        {
            let failed = encode(&ExpressResult::Failed(failure.clone()));
            let told = Publication::new(queue.clone(), format!("{}/end", delivery.id), failed);
            self.publish(vec![Publication { correlation_id: Some(id.clone()), ..told }]).await?;
        }
        if let Some((key, seq)) = moves(&delivery.id)
            && let Some(row) = self.branch(&key).await?
            && may_wait_for(row.fence.seq, row.state.task, seq)
        {
            self.fail_execution(key.execution, failure).await?;
        }
        Ok(())
    }
}

/// The branch that a message with this id moves, and the transition that it is about: `execution/branch/seq`, and
/// perhaps more. A status event, `execution/number`, only tells of an execution.
fn moves(id: &str) -> Option<(BranchKey, u32)> {
    let mut parts = id.split('/');
    let key = BranchKey { execution: parts.next()?.parse().ok()?, branch: parts.next()?.parse().ok()? };
    Some((key, parts.next()?.parse().ok()?))
}

/// Whether a branch that stands at `at`, with this task out, may wait for what a message about `seq` brings. A
/// redrive goes on two transitions behind all that was on its way before.
fn may_wait_for(at: u32, task: Option<u32>, seq: u32) -> bool {
    // One transition further it has taken the message, which still answers for what follows that.
    at <= seq.saturating_add(1) || task == Some(seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ExecutionId;

    #[test]
    fn a_status_event_that_cannot_be_worked_leaves_its_execution_alone() {
        let id = ExecutionId::new();
        let key = |branch: &str| BranchKey { execution: id, branch: branch.parse().unwrap() };
        assert_eq!(moves(&format!("{id}/r/7")), Some((key("r"), 7)));
        assert_eq!(moves(&format!("{id}/r.2.3/4/ended")), Some((key("r.2.3"), 4)));
        for other in [format!("{id}/1"), id.to_string(), "order/r/1".to_owned(), String::new()] {
            assert_eq!(moves(&other), None, "{other}");
        }
    }

    #[test]
    fn what_was_on_its_way_before_a_redrive_leaves_the_execution_alone() {
        let now = [(7, None, 7), (8, None, 7), (8, Some(8), 7), (12, Some(7), 7), (8, Some(8), 8)];
        for (at, task, seq) in now {
            assert!(may_wait_for(at, task, seq), "{at} {task:?} {seq}");
        }
        let over = [(9, None, 7), (12, Some(11), 7), (u32::MAX, None, 0)];
        for (at, task, seq) in over {
            assert!(!may_wait_for(at, task, seq), "{at} {task:?} {seq}");
        }
    }
}
