//! Schedules: each tick starts one execution.
//!
//! A tick is claimed for a while. If whoever claimed it dies, another instance claims it again: a Standard
//! execution has the tick in its name and starts once; an Express one may start twice, and is never left out.
//! Ticks that were missed because nothing ran are made up for by one execution.

use std::sync::Arc;
use std::time::Duration;

use asl::data::timestamp::Timestamp;
use tokio_util::sync::CancellationToken;

use super::caps::Caps;
use super::compiled::{Compiled, From, Read};
use super::keeping::next_tick;
use crate::ports::triggers::KeptTrigger;
use crate::services::{Core, Unavailable};

/// How often ticks are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A tick that was claimed and not done is claimed again after this long.
const CLAIMED_MILLISECONDS: i64 = 30_000;
/// Ticks claimed at a time.
const TICKS_MAX: u32 = 100;

/// Starts what is due until told to stop.
pub(super) async fn run(core: Arc<Core>, stop: CancellationToken) {
    loop {
        match core.claim_due_ticks().await {
            Ok(claimed) => {
                let ticks = claimed.into_iter().map(|kept| core.work_tick(kept));
                futures::future::join_all(ticks).await;
            }
            Err(error) => core.outages.noticed(&error),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

impl Core {
    async fn claim_due_ticks(&self) -> Result<Vec<KeptTrigger>, Unavailable> {
        let now = self.clock.now();
        let until = now.plus_milliseconds(CLAIMED_MILLISECONDS);
        Ok(self.triggers.claim_ticks(now, until, TICKS_MAX).await?)
    }

    /// Starts the executions of a tick, and sets the next one.
    async fn work_tick(self: &Arc<Self>, kept: KeptTrigger) {
        let Some(tick) = kept.next_tick else { return };
        let parts = Compiled::all(&kept, &self.home).unwrap_or_default();
        let mut next = None;
        for part in &parts {
            self.start_tick(part, tick).await;
            let after = tick.max(self.clock.now());
            next = next.or_else(|| next_tick(&part.from, kept.created_at, after));
        }
        // If this is lost, the tick is claimed again: the names of its executions are taken then.
        if let Err(error) = self.triggers.ticked(kept.id, tick, next).await {
            self.outages.noticed(&error.into());
        }
    }

    async fn start_tick(self: &Arc<Self>, part: &Compiled, tick: Timestamp) {
        let From::Schedule(_) = &part.from else { return };
        let delivery = part.tick_delivery(&self.home, tick);
        let started = match part.read(&delivery, self.clock.now()) {
            Read::Ignored => return,
            Read::Order(order) => self.start_for_sure(part, &Caps::new(None, None), &order).await,
            Read::Dead(reason) => Err(reason),
        };
        if let Err(reason) = started {
            self.file(part, &delivery, &reason).await;
        }
    }
}
