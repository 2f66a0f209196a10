//! Triggers: events, queues and schedules that start executions.
//!
//! ```text
//!   rows ──▶ supervisor ─┬─ one line for each part of each trigger:  queue ─▶ start ─▶ acknowledge
//!   (every second)       └─ ticks: claim ─▶ start ─▶ next
//! ```
//!
//! Any number of processes work all triggers together; they share nothing but the rows and the queues. A
//! trigger that was changed, paused or removed anywhere is seen everywhere within a second; what waits for it in a
//! process goes back to its queue then, and what is being started has a moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ids::TriggerId;
use crate::metrics;
use crate::ports::broker;
use crate::ports::triggers::KeptTrigger;
use crate::services::{Core, Unavailable};

mod batches;
mod caps;
mod compiled;
mod keeping;
mod letters;
mod line;
mod starting;
mod ticks;

use batches::Batches;
use caps::Caps;
use compiled::Compiled;
pub use compiled::{Definition, Sample, Verdict};
pub use keeping::{Backlog, TriggerError};
use line::Line;

/// How often the rows are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause before a queue that cannot be consumed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked for what remains of triggers that are no more.
const CLEAR_EVERY: Duration = Duration::from_secs(10);
/// What is being started when its trigger is changed, paused or removed has so long.
const GIVE_BACK_AFTER: Duration = Duration::from_secs(1);
/// A message is held for so long at most: brokers take it back after half an hour, and count that.
const HELD_MAX: Duration = Duration::from_secs(10 * 60);

/// How a line is stopped.
#[derive(Clone)]
struct Stops {
    /// No more is taken; what was taken is worked to its end.
    stop: CancellationToken,
    /// What was taken goes back, a moment later.
    give_back: CancellationToken,
}

impl Stops {
    /// Returns when nothing may be held any more.
    async fn gives_back(&self) {
        self.give_back.cancelled().await;
        sleep(GIVE_BACK_AFTER).await;
    }
}

/// A trigger that is worked.
struct Worked {
    revision: i64,
    stops: Stops,
}

/// What this process works.
struct Supervisor {
    core: Arc<Core>,
    stop: CancellationToken,
    worked: HashMap<TriggerId, Worked>,
    /// By trigger and part, also of those that rest.
    caps: HashMap<(TriggerId, String), Arc<Caps>>,
    /// Lines that work, and those that are about to end.
    lines: TaskTracker,
}

/// Works triggers until told to stop; then what is at hand is worked to its end, unless it is cut off.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let ticks = tokio::spawn(ticks::run(core.clone(), stop.clone()));
    let mut supervisor = Supervisor {
        core: core.clone(),
        stop: stop.clone(),
        worked: HashMap::new(),
        caps: HashMap::new(),
        lines: TaskTracker::new(),
    };
    let mut cleared: Option<Instant> = None;
    loop {
        match core.triggers.triggers().await {
            Ok(kept) => supervisor.follow(&kept),
            // What is worked goes on.
            Err(error) => core.outages.noticed(&Unavailable::from(error)),
        }
        if cleared.is_none_or(|at| at.elapsed() >= CLEAR_EVERY) {
            if let Err(error) = core.clear_remains().await {
                tracing::debug!(%error, "queues of triggers that are no more wait to be removed");
            }
            cleared = Some(Instant::now());
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep(LOOK_EVERY) => {}
        }
    }
    // Both have been told to stop as well.
    supervisor.lines.close();
    supervisor.lines.wait().await;
    let _ = ticks.await;
}

impl Supervisor {
    /// Makes what is worked follow the rows.
    fn follow(&mut self, kept: &[KeptTrigger]) {
        let wanted: HashMap<TriggerId, &KeptTrigger> =
            kept.iter().filter(|kept| !kept.paused).map(|kept| (kept.id, kept)).collect();
        self.worked.retain(|id, worked| {
            let stays = wanted.get(id).is_some_and(|kept| kept.revision == worked.revision);
            if !stays {
                worked.stops.give_back.cancel();
                worked.stops.stop.cancel();
            }
            stays
        });
        self.caps.retain(|(id, _), _| kept.iter().any(|kept| kept.id == *id));
        for kept in kept {
            metrics::triggers::paused(&kept.name, kept.paused);
            if !kept.paused && !self.worked.contains_key(&kept.id) {
                let worked = self.begin(kept);
                self.worked.insert(kept.id, worked);
            }
        }
    }

    fn begin(&mut self, kept: &KeptTrigger) -> Worked {
        let stops = Stops { stop: self.stop.child_token(), give_back: CancellationToken::new() };
        let parts = Compiled::all(kept, &self.core.home).unwrap_or_else(|problems| {
            tracing::error!(trigger = %kept.name, problems = problems.join("; "), "a trigger cannot be worked");
            Vec::new()
        });
        for part in parts.into_iter().filter(|part| part.queue.is_some()) {
            let caps = self.caps.entry((kept.id, part.part.clone()));
            let caps = caps.or_insert_with(|| Arc::new(Caps::of(&part.trigger))).clone();
            caps.follow(&part.trigger);
            self.lines.spawn(keep(self.core.clone(), Arc::new(part), caps, stops.clone()));
        }
        Worked { revision: kept.revision, stops }
    }
}

/// Works one queue, again and again, until told to stop.
async fn keep(core: Arc<Core>, part: Arc<Compiled>, caps: Arc<Caps>, stops: Stops) {
    let mut failed = 0_u32;
    loop {
        match serve(&core, &part, &caps, &stops).await {
            Ok(()) => return,
            // At first its queue may be gone because the trigger is, or the broker for a moment.
            Err(error) if failed == 1 => {
                tracing::warn!(trigger = %part.name(), %error, "a trigger waits for its queue");
            }
            Err(_) => {}
        }
        failed = failed.saturating_add(1);
        tokio::select! {
            biased;
            () = stops.stop.cancelled() => return,
            () = sleep(PAUSE) => {}
        }
    }
}

async fn serve(
    core: &Arc<Core>,
    part: &Arc<Compiled>,
    caps: &Arc<Caps>,
    stops: &Stops,
) -> Result<(), Unavailable> {
    let Some(queue) = &part.queue else { return Ok(()) };
    core.lay_out(std::slice::from_ref(part)).await?;
    let consume = async |prefetch| core.broker.consume(queue, prefetch).await;
    let (core, trigger, caps, stops) = (core.clone(), part.clone(), caps.clone(), stops.clone());
    let served: Result<(), broker::Error> = match part.trigger.batch {
        Some(batch) => {
            let consumer = consume(Batches::prefetch(&batch)).await?;
            Batches::run(core, trigger, batch, consumer, caps, stops).await
        }
        None => {
            let consumer = consume(Line::prefetch(part)).await?;
            Line::run(core, trigger, consumer, caps, stops).await
        }
    };
    Ok(served?)
}
