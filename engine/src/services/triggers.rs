//! Triggers: events, queues and schedules that start executions.
//!
//! ```text
//!   rows ──▶ supervisor ─┬─ one line for each part of each trigger:  queue ─▶ start ─▶ acknowledge
//!   (every second)       └─ ticks: claim ─▶ start ─▶ next
//! ```
//!
//! Any number of instances work all triggers together; they share nothing but the rows and the queues. A
//! trigger that was changed, paused or removed anywhere is seen everywhere within a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

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
use compiled::Compiled;
pub use compiled::{Definition, Sample, Verdict};
pub use keeping::{Backlog, TriggerError};
use line::Line;

/// How often the rows are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause before a queue that cannot be consumed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// A trigger that is worked.
struct Worked {
    revision: i64,
    stop: CancellationToken,
    lines: Vec<JoinHandle<()>>,
}

/// Works triggers until told to stop; then what is at hand is worked to its end, unless it is cut off.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let ticks = tokio::spawn(ticks::run(core.clone(), stop.clone()));
    let mut worked: HashMap<TriggerId, Worked> = HashMap::new();
    loop {
        match core.triggers.triggers().await {
            Ok(kept) => follow(&core, &stop, &mut worked, kept).await,
            // What is worked goes on.
            Err(error) => core.outages.noticed(&Unavailable::from(error)),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    for trigger in worked.into_values() {
        trigger.end().await;
    }
    // It has been told to stop as well.
    let _ = ticks.await;
}

/// Makes what is worked follow the rows.
async fn follow(
    core: &Arc<Core>,
    stop: &CancellationToken,
    worked: &mut HashMap<TriggerId, Worked>,
    kept: Vec<KeptTrigger>,
) {
    let wanted: HashMap<TriggerId, &KeptTrigger> =
        kept.iter().filter(|kept| !kept.paused).map(|kept| (kept.id, kept)).collect();
    let over: Vec<TriggerId> = worked
        .iter()
        .filter(|(id, worked)| wanted.get(id).is_none_or(|kept| kept.revision != worked.revision))
        .map(|(id, _)| *id)
        .collect();
    for id in over {
        if let Some(trigger) = worked.remove(&id) {
            trigger.end().await;
        }
    }
    for kept in &kept {
        metrics::triggers::paused(&kept.name, kept.paused);
    }
    for (id, kept) in wanted {
        worked.entry(id).or_insert_with(|| Worked::begin(core, kept, stop));
    }
}

impl Worked {
    fn begin(core: &Arc<Core>, kept: &KeptTrigger, stop: &CancellationToken) -> Self {
        let stop = stop.child_token();
        let parts = Compiled::all(kept, &core.home).unwrap_or_else(|problems| {
            tracing::error!(trigger = %kept.name, problems = problems.join("; "), "a trigger cannot be worked");
            Vec::new()
        });
        let lines = parts.into_iter().filter(|part| part.queue.is_some());
        let lines = lines.map(|part| tokio::spawn(keep(core.clone(), Arc::new(part), stop.clone())));
        Worked { revision: kept.revision, lines: lines.collect(), stop }
    }

    async fn end(self) {
        self.stop.cancel();
        for line in self.lines {
            if let Err(error) = line.await {
                tracing::error!(%error, "a trigger's line failed");
            }
        }
    }
}

/// Works one queue, again and again, until told to stop.
async fn keep(core: Arc<Core>, part: Arc<Compiled>, stop: CancellationToken) {
    let mut failed = 0_u32;
    loop {
        match serve(&core, &part, &stop).await {
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
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn serve(core: &Arc<Core>, part: &Arc<Compiled>, stop: &CancellationToken) -> Result<(), Unavailable> {
    let Some(queue) = &part.queue else { return Ok(()) };
    core.lay_out(std::slice::from_ref(part)).await?;
    let consume = async |prefetch| core.broker.consume(queue, prefetch).await;
    let (core, trigger, stop) = (core.clone(), part.clone(), stop.clone());
    let served: Result<(), broker::Error> = match part.trigger.batch {
        Some(batch) => {
            let consumer = consume(Batches::prefetch(&batch)).await?;
            Batches::run(core, trigger, batch, consumer, stop).await
        }
        None => {
            let consumer = consume(Line::prefetch(part)).await?;
            Line::run(core, trigger, consumer, stop).await
        }
    };
    Ok(served?)
}
