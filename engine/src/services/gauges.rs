//! What nobody comes across on the way and has to be asked for: how much waits, and for how long.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::ports::broker::{Family, Queue};
use crate::services::{Core, Unavailable};

/// How often it is asked: as often as Prometheus looks, by default.
const ASK_EVERY: Duration = Duration::from_secs(15);

/// Triggers whose queues are asked for.
const TRIGGERS_MAX: usize = 200;

/// Asks until told to stop. Each engine does: whichever is asked by Prometheus knows.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut turns = tokio::time::interval(ASK_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = turns.tick() => {}
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Those whose work needs what is away tell the log.
            asked = core.ask_gauges() => if let Err(error) = asked {
                tracing::debug!(%error, "some metrics are old");
            }
        }
    }
}

impl Core {
    /// Asks once. What is away keeps nothing else from being asked.
    pub async fn ask_gauges(&self) -> Result<(), Unavailable> {
        if let Some(lag) = self.watermarks.lag(self.shards.queues(Family::Standard), self.clock.now()) {
            metrics::messages::lag(lag);
        }
        let executions = self.ask_executions().await;
        self.ask_queues().await.and(executions)
    }

    async fn ask_queues(&self) -> Result<(), Unavailable> {
        for family in Family::ALL {
            let mut waiting = 0;
            for queue in self.shards.queues(family) {
                waiting += self.broker.ready(&queue).await?;
            }
            metrics::messages::ready(family, waiting);
        }
        for queue in [Queue::poison(), Queue::dead()] {
            metrics::messages::waiting(&queue, self.broker.ready(&queue).await?);
        }
        // Each asks the broker: of a deployment with more of them only the first are told.
        for kept in self.triggers.triggers().await?.iter().take(TRIGGERS_MAX) {
            if let Some(waiting) = self.events_waiting(kept).await? {
                metrics::triggers::waiting(&kept.name, waiting);
            }
        }
        Ok(())
    }

    async fn ask_executions(&self) -> Result<(), Unavailable> {
        let open = self.count_open_executions().await?;
        // Ids are in the order of starts, and rows in that of ids.
        let first = self.store.live_branches(None, 1).await?;
        let oldest = first.first().and_then(|row| row.key.execution.drawn_at());
        metrics::executions::open(open, oldest, self.clock.now());
        Ok(())
    }
}
