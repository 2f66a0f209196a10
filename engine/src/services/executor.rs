//! The transition loop of Standard executions.
//!
//! ```text
//!   consume ─▶ read ─▶ apply ─▶ commit ─▶ publish ─▶ acknowledge
//! ```
//!
//! Batches form by themselves: what is ready is taken, nothing is waited for; while one batch commits, the
//! next is applied. A crash before the last step brings the deliveries back; the fence makes that harmless,
//! and because a delivery says that it was delivered before, what should have followed its commit is
//! published again.

use std::sync::Arc;
use std::time::Duration;

use asl::definition::WorkflowType;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::metrics::states::Batch;
use crate::ports::broker::{self, Consumer, Delivery, Queue, Settle};
use crate::ports::store::{self, Commit, Verdict};
use crate::services::publishing::Outgoing;
use crate::services::reading::{Origin, Ready, Work};
use crate::services::watermarks::Mark;
use crate::services::{Core, Unavailable};

/// Deliveries worked at a time.
const BATCH_MAX: usize = 128;
/// Batches that are under way at a time: while some commit, others are applied or published.
const TURNS_MAX: usize = 4;
/// Deliveries taken from the broker and not settled: all batches under way, and as much waiting.
const PREFETCH: usize = 2 * TURNS_MAX * BATCH_MAX;
/// Commits in a row that one batch makes, where states are fused; then others have their turn.
const ROUNDS_MAX: u32 = 8;
/// Pause before what is away is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// A message that was delivered so often before is worked alone: it may be what ended the engines before.
const SUSPECT_REDELIVERIES: u32 = 3;

/// Works one queue of Standard messages until told to stop; then what is at hand is worked to its end.
pub async fn run(core: Arc<Core>, queue: Queue, stop: CancellationToken) -> Result<(), broker::Error> {
    let consumer = core.broker.consume(&queue, PREFETCH).await?;
    let mark = core.watermarks.begin(&queue, core.clock.now());
    // Deliveries mean nothing without their consumer.
    let gone = CancellationToken::new();
    let _ends = gone.clone().drop_guard();
    let mut turns = FuturesUnordered::new();
    let mut receives = true;
    let mut ended = loop {
        tokio::select! {
            biased;
            () = stop.cancelled(), if receives => match consumer.stop().await {
                Ok(()) => receives = false,
                Err(error) => break Err(error),
            },
            Some(turn) = turns.next() => if let Err(error) = turn { break Err(error) },
            deliveries = mark.next(consumer.as_ref(), BATCH_MAX), if turns.len() < TURNS_MAX => match deliveries {
                Err(error) => break Err(error),
                Ok(deliveries) if deliveries.is_empty() => break Ok(()),
                Ok(deliveries) => for batch in batches(deliveries) {
                    turns.push(core.work_batch(consumer.as_ref(), batch, false, &gone, &mark));
                },
            },
        }
    };
    if ended.is_err() {
        gone.cancel();
    }
    while let Some(turn) = turns.next().await {
        ended = ended.and(turn);
    }
    ended
}

/// The deliveries as they are worked together: suspects alone, so that they take nobody along.
fn batches(deliveries: Vec<Delivery>) -> Vec<Vec<Delivery>> {
    let (suspects, others): (Vec<_>, Vec<_>) =
        deliveries.into_iter().partition(|delivery| delivery.redeliveries >= SUSPECT_REDELIVERIES);
    let others = (!others.is_empty()).then_some(others);
    others.into_iter().chain(suspects.into_iter().map(|suspect| vec![suspect])).collect()
}

impl Core {
    /// Works a batch until it is settled. What is away holds it; what cannot be read in it is put aside.
    /// Fails only when the consumer is gone, and its deliveries with it.
    async fn work_batch(
        &self,
        consumer: &dyn Consumer,
        deliveries: Vec<Delivery>,
        mut again: bool,
        gone: &CancellationToken,
        mark: &Mark,
    ) -> Result<(), broker::Error> {
        while let Err(error) = self.turn(consumer, &deliveries, again, mark).await {
            // The turn may have committed before it failed: what followed its commits is made again, as if
            // the deliveries had come back.
            again = true;
            match (&error, deliveries.as_slice()) {
                (Unavailable::Broker(broker::Error::Cancelled), _) => return Err(broker::Error::Cancelled),
                (Unavailable::Store(store::Error::Corrupt(_)) | Unavailable::Definition(_), [one]) => {
                    match self.put_aside(consumer, one, &error.to_string()).await {
                        Ok(()) => return Ok(()),
                        Err(Unavailable::Broker(broker::Error::Cancelled)) => {
                            return Err(broker::Error::Cancelled);
                        }
                        Err(error) => self.outages.noticed(&error),
                    }
                }
                // One of them is to blame, and the commits of others may stand: each gets a turn of its own.
                (Unavailable::Store(store::Error::Corrupt(_)) | Unavailable::Definition(_), _) => {
                    for one in deliveries {
                        Box::pin(self.work_batch(consumer, vec![one], again, gone, mark)).await?;
                    }
                    return Ok(());
                }
                // The world's failures are not the message's: the deliveries are kept, and no more taken.
                (Unavailable::Store(_) | Unavailable::Broker(_), _) => self.outages.noticed(&error),
            }
            tokio::select! {
                biased;
                () = gone.cancelled() => return Err(broker::Error::Cancelled),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        Ok(())
    }

    /// One turn of the loop over a batch of deliveries. After an error the same batch is given `again`.
    async fn turn(
        &self,
        consumer: &dyn Consumer,
        deliveries: &[Delivery],
        again: bool,
        mark: &Mark,
    ) -> Result<(), Unavailable> {
        crate::crash_point!("received");
        let batch = Batch::begin(WorkflowType::Standard, deliveries.len());
        let mut settled = Vec::with_capacity(deliveries.len());
        let mut outgoing = Outgoing::default();
        let mut steps = Vec::with_capacity(deliveries.len());
        for (delivery, work) in deliveries.iter().zip(self.read(deliveries, again, mark).await?) {
            let mut settle = Settle::Acknowledge;
            match work {
                Work::Step(ready) => steps.push(*ready),
                Work::Publish(more) => outgoing.add(more),
                Work::Nothing => {}
                Work::Dead(reason) => {
                    self.fail_execution_of(delivery, &reason).await?;
                    settle = Settle::DeadLetter(reason);
                }
            }
            settled.push((delivery.tag, settle));
        }
        self.commit_all(steps, &mut outgoing).await?;
        self.send(outgoing).await?;
        crate::crash_point!("confirmed");
        consumer.settle(settled).await?;
        crate::crash_point!("acknowledged");
        batch.end();
        self.outages.over();
        Ok(())
    }

    /// Commits steps together and gathers what follows those that stand.
    async fn commit_all(&self, mut steps: Vec<Ready>, outgoing: &mut Outgoing) -> Result<(), Unavailable> {
        // Where states are fused, what a commit makes runnable may be worked here and now.
        for round in 1.. {
            if steps.is_empty() {
                return Ok(());
            }
            let (commits, ready): (Vec<Commit>, Vec<_>) = steps.into_iter().map(Ready::split).unzip();
            let sent: Vec<_> = commits.iter().map(|commit| (commit.key.clone(), commit.fence)).collect();
            crate::crash_point!("applied");
            let verdicts = self.commit(commits).await?;
            crate::crash_point!("committed");
            steps = Vec::new();
            for ((ready, verdict), (key, fence)) in ready.into_iter().zip(verdicts).zip(&sent) {
                match (verdict, ready.origin) {
                    (verdict @ Verdict::Done { .. }, origin) => {
                        if matches!(origin, Origin::Task(_)) {
                            crate::crash_point!("task-recorded");
                        }
                        let (inline, rest) = match round {
                            ..=ROUNDS_MAX => self.run_on(&ready.after, verdict).await?,
                            _ => (Vec::new(), verdict),
                        };
                        steps.extend(inline);
                        outgoing.add(self.follow_up(&ready.after, &rest).await?);
                    }
                    (Verdict::Stale, Origin::Delivery { redelivered: true }) => {
                        outgoing.add(self.republish_if_ahead(key, *fence).await?);
                    }
                    // If every stale message published its successor, one duplicate would breed another at
                    // each hop to the end of the execution.
                    (Verdict::Stale, Origin::Delivery { .. } | Origin::Inline) => {}
                    // Only `seq` and stamp may have moved, by a heartbeat say: the row is read again.
                    (Verdict::Stale, Origin::Task(result)) => {
                        outgoing.add(self.work_result_alone(*result).await?);
                    }
                    (Verdict::HistoryFull, _) => self.close_full(&ready.after).await?,
                }
            }
        }
        Ok(())
    }
}
