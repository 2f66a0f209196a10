//! Schedules: each tick starts one execution.
//!
//! A tick is claimed for a while, and held on to as long as it takes. If whoever claimed it dies, another process claims it again: a Standard
//! execution has the tick in its name and starts once; an Express one may start twice, and is never left out.
//! Ticks that were missed because nothing ran are made up for by one execution.

use std::sync::Arc;
use std::time::Duration;

use asl::data::timestamp::Timestamp;
use futures::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::GIVE_BACK_AFTER;
use super::caps::Caps;
use super::compiled::{Compiled, From, Read};
use super::keeping::next_tick;
use super::starting::{Outcome, Tries};
use crate::ids::TriggerId;
use crate::ports::triggers::KeptTrigger;
use crate::services::{Core, Unavailable};

/// How often ticks are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A tick that was claimed and is not held on to is claimed again after this long.
const CLAIMED: Duration = Duration::from_secs(30);
/// Ticks that are worked at a time.
const TICKS_MAX: usize = 100;

/// Starts what is due until told to stop; what is being started then has a moment.
pub(super) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut working = JoinSet::new();
    loop {
        match core.claim_due_ticks(TICKS_MAX.saturating_sub(working.len())).await {
            Ok(claimed) => claimed.into_iter().for_each(|kept| {
                let core = core.clone();
                working.spawn(async move { core.work_tick(kept).await });
            }),
            Err(error) => core.outages.noticed(&error),
        }
        let mut look = std::pin::pin!(sleep(LOOK_EVERY));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    // What is left is claimed by another process.
                    let _ = timeout(GIVE_BACK_AFTER, async { while working.join_next().await.is_some() {} }).await;
                    return;
                }
                Some(ended) = working.join_next(), if !working.is_empty() => if let Err(error) = ended {
                    tracing::error!(%error, "a tick failed");
                },
                () = look.as_mut() => break,
            }
        }
    }
}

fn claimed_from(now: Timestamp) -> Timestamp {
    now.plus_milliseconds(i64::try_from(CLAIMED.as_millis()).unwrap_or(i64::MAX))
}

impl Core {
    async fn claim_due_ticks(&self, limit: usize) -> Result<Vec<KeptTrigger>, Unavailable> {
        let Some(limit) = u32::try_from(limit).ok().filter(|limit| *limit > 0) else { return Ok(Vec::new()) };
        let now = self.clock.now();
        Ok(self.triggers.claim_ticks(now, claimed_from(now), limit).await?)
    }

    /// Starts the executions of a tick, and sets the next one.
    async fn work_tick(self: &Arc<Self>, kept: KeptTrigger) {
        let Some(tick) = kept.next_tick else { return };
        let parts = match Compiled::all(&kept, &self.home) {
            Ok(parts) => parts,
            // A process of another release may know how; the claim ends by itself.
            Err(problems) => {
                let problems = problems.join("; ");
                tracing::error!(trigger = %kept.name, problems, "a tick is left to other processes");
                return;
            }
        };
        let started = join_all(parts.iter().map(|part| self.start_tick(part, tick)));
        tokio::select! {
            biased;
            _ = started => {}
            // It was changed, told to rest or removed.
            () = self.hold_on_to(kept.id, tick) => return,
        }
        let after = tick.max(self.clock.now());
        let next = parts.iter().find_map(|part| next_tick(&part.from, kept.created_at, after));
        // If this is lost, the tick is claimed again: the names of its executions are taken then.
        if let Err(error) = self.triggers.ticked(kept.id, tick, next).await {
            self.outages.noticed(&error.into());
        }
    }

    /// Keeps a claimed tick; returns when it is lost.
    async fn hold_on_to(&self, id: TriggerId, tick: Timestamp) {
        loop {
            sleep(CLAIMED / 3).await;
            match self.triggers.hold_tick(id, tick, claimed_from(self.clock.now())).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => self.outages.noticed(&error.into()),
            }
        }
    }

    async fn start_tick(self: &Arc<Self>, part: &Compiled, tick: Timestamp) {
        let From::Schedule(_) = &part.from else { return };
        let delivery = part.tick_delivery(&self.home, tick);
        let reason = match part.read(&delivery, self.clock.now()) {
            Read::Ignored => return,
            Read::Dead(reason) => reason,
            Read::Order(order) => {
                match self.start_for_sure(part, &Caps::none(), &order, Tries::default(), None).await {
                    Outcome::Wrong(reason) => reason,
                    Outcome::Started | Outcome::Late(_) => return,
                }
            }
        };
        self.file(part, &delivery, &reason).await;
    }
}
