//! One message, one execution.
//!
//! ```text
//!   deliveries ─▶ read ─┬─ no match ──────────────────▶ acknowledge
//!                       ├─ cannot be read ─▶ letter ──▶ acknowledge
//!                       └─ order ─▶ start ─┬─ durable ▶ acknowledge
//!                                          └─ later: held by itself, until it is either
//! ```
//!
//! A message is acknowledged only once its execution is durable, or it is a dead letter. If this process dies
//! before, it comes again; its name then finds the Standard execution that it has started.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::caps::Caps;
use super::compiled::{Compiled, Read};
use super::letters::tries;
use super::starting::{Missed, Order, Outcome};
use super::{HELD_MAX, Stops};
use crate::ports::broker::{self, Consumer, Delivery, Settle};
use crate::services::Core;
use crate::services::express::Leaving;

/// Deliveries worked at a time.
const BATCH_MAX: usize = 64;
/// Batches that are under way at a time.
const TURNS_MAX: usize = 8;
/// Where starts are spread, the starts of so many seconds are taken from the queue.
const SECONDS_AHEAD: usize = 10;

/// A consumer of a trigger's queue.
pub(super) struct Line {
    core: Arc<Core>,
    trigger: Arc<Compiled>,
    consumer: Arc<dyn Consumer>,
    caps: Arc<Caps>,
    /// What waits by itself.
    held: TaskTracker,
    gone: CancellationToken,
}

impl Line {
    /// Unsettled deliveries at a time: few where starts are counted or spread, so that other processes get some
    /// and none is held for long.
    pub(super) fn prefetch(trigger: &Compiled) -> usize {
        let trigger = &trigger.trigger;
        let places = trigger.concurrency.map_or(usize::MAX, |places| places.get() as usize);
        let in_time = trigger
            .rate_per_second
            .map_or(usize::MAX, |rate| (rate.get() as usize).saturating_mul(SECONDS_AHEAD));
        places.min(in_time).min(2 * TURNS_MAX * BATCH_MAX)
    }

    /// Works the queue until told to stop; then what is at hand is worked to its end, unless it is cut off.
    pub(super) async fn run(
        core: Arc<Core>,
        trigger: Arc<Compiled>,
        consumer: Arc<dyn Consumer>,
        caps: Arc<Caps>,
        stops: Stops,
    ) -> Result<(), broker::Error> {
        // What is held means nothing without its consumer.
        let gone = core.cut_off.child_token();
        let _ends = gone.clone().drop_guard();
        let line = Line { core, trigger, consumer, caps, held: TaskTracker::new(), gone };
        let watched = line.caps.clone();
        let served = line.serve(&stops.stop);
        tokio::select! {
            biased;
            () = line.gone.cancelled() => Ok(()),
            ended = served => ended,
            () = stops.gives_back() => Ok(()),
            () = watched.watch(&line.core) => Ok(()),
        }
    }

    async fn serve(&self, stop: &CancellationToken) -> Result<(), broker::Error> {
        let mut turns = FuturesUnordered::new();
        let mut receives = true;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if receives => {
                    self.consumer.stop().await?;
                    receives = false;
                }
                Some(turn) = turns.next() => turn?,
                deliveries = self.consumer.next(BATCH_MAX), if turns.len() < TURNS_MAX => {
                    let deliveries = deliveries?;
                    if deliveries.is_empty() {
                        break;
                    }
                    turns.push(self.work(deliveries));
                }
            }
        }
        while let Some(turn) = turns.next().await {
            turn?;
        }
        self.held.close();
        self.held.wait().await;
        Ok(())
    }

    async fn work(&self, deliveries: Vec<Delivery>) -> Result<(), broker::Error> {
        let (mut settled, mut orders) = (Vec::with_capacity(deliveries.len()), Vec::new());
        for delivery in deliveries {
            match self.trigger.take(&delivery, self.core.clock.now()) {
                Read::Ignored => settled.push((delivery.tag, Settle::Acknowledge)),
                // Each is settled by itself once it has had its place, or its time has come.
                Read::Order(order) if self.caps.are_counted() || tries(&delivery).not_before.is_some() => {
                    self.hold(delivery, order);
                }
                Read::Order(order) => orders.push((delivery, order)),
                Read::Dead(reason) => {
                    self.core.file(&self.trigger, &delivery, &reason).await;
                    settled.push((delivery.tag, Settle::Acknowledge));
                }
            }
        }
        let starts = orders.iter().map(async |(_, order)| {
            let mut leaving = Leaving::default();
            let started = self.core.start_ordered(&self.trigger, &self.caps, order, &mut leaving).await;
            (started, leaving)
        });
        let mut leaving = Leaving::default();
        let outcomes = join_all(starts).await;
        for ((delivery, order), (started, left)) in orders.into_iter().zip(outcomes) {
            leaving.join(left);
            match started {
                Ok(()) => settled.push((delivery.tag, Settle::Acknowledge)),
                Err(Missed::Away(_) | Missed::Wrong(_)) => self.hold(delivery, order),
            }
        }
        self.core.leave(leaving).await;
        self.consumer.settle(settled).await
    }

    /// Starts it later, and lets the others go on.
    fn hold(&self, delivery: Delivery, order: Order) {
        let (core, trigger, caps) = (self.core.clone(), self.trigger.clone(), self.caps.clone());
        let (consumer, gone) = (self.consumer.clone(), self.gone.clone());
        self.held.spawn(gone.run_until_cancelled_owned(async move {
            let until = Some(Instant::now() + HELD_MAX);
            match core.start_for_sure(&trigger, &caps, &order, tries(&delivery), until).await {
                Outcome::Started => {}
                Outcome::Wrong(reason) => core.file(&trigger, &delivery, &reason).await,
                Outcome::Late(tries) => core.put_back(&trigger, &delivery, tries).await,
            }
            if let Err(error) = consumer.settle(vec![(delivery.tag, Settle::Acknowledge)]).await {
                tracing::debug!(%error, "a message of a trigger comes again");
            }
        }));
    }
}
