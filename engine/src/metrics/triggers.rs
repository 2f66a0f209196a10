//! Triggers: events in, executions out.

use std::sync::{Arc, OnceLock};

use ::metrics::{Counter, Gauge, Histogram};

use super::catalogue::triggers as catalogue;
use super::executions::seconds;
use super::metric::Label;
use super::names::Names;
use super::on;
use super::registry::Registry;

/// Handles of all triggers.
pub(super) struct Triggers {
    names: Names<Handles>,
}

impl Default for Triggers {
    fn default() -> Self {
        Triggers { names: Names::new(Label::Trigger) }
    }
}

struct Handles {
    received: Counter,
    matched: Counter,
    started: Counter,
    retried: Counter,
    dead_lettered: Counter,
    paused: Gauge,
    /// Made when first told: schedules have no queue, and not every process asks.
    waiting: OnceLock<Gauge>,
    batches: Histogram,
    /// Made when first told: of a trigger without events nothing is known.
    lag: OnceLock<Gauge>,
}

impl Handles {
    fn new(registry: &Registry, trigger: &str) -> Self {
        let values = [trigger];
        let counter = |metric| registry.counter(metric, &values);
        Handles {
            received: counter(&catalogue::RECEIVED),
            matched: counter(&catalogue::MATCHED),
            started: counter(&catalogue::STARTED),
            retried: counter(&catalogue::RETRIED),
            dead_lettered: counter(&catalogue::DEAD_LETTERED),
            paused: registry.gauge(&catalogue::PAUSED, &values),
            waiting: OnceLock::new(),
            batches: registry.histogram(&catalogue::BATCHES, &values),
            lag: OnceLock::new(),
        }
    }
}

fn find(trigger: &str) -> Option<(&'static Registry, Arc<Handles>)> {
    let on = on()?;
    let make = |name: &str| Handles::new(&on.registry, name);
    Some((&on.registry, on.triggers.names.get(&on.registry, trigger, make)))
}

/// So many events came.
pub fn received(trigger: &str, events: usize) {
    if let Some((_, handles)) = find(trigger) {
        handles.received.increment(events as u64);
    }
}

/// So many of them are wanted.
pub fn matched(trigger: &str, events: usize) {
    if let Some((_, handles)) = find(trigger) {
        handles.matched.increment(events as u64);
    }
}

/// An execution was started with so many events.
pub fn started(trigger: &str, events: usize) {
    if let Some((_, handles)) = find(trigger) {
        handles.started.increment(1);
        handles.batches.record(events as f64);
    }
}

/// A start is tried again.
pub fn retried(trigger: &str) {
    if let Some((_, handles)) = find(trigger) {
        handles.retried.increment(1);
    }
}

/// So many events are put aside, as nothing can be started with them.
pub fn dead_lettered(trigger: &str, events: usize) {
    if let Some((_, handles)) = find(trigger) {
        handles.dead_lettered.increment(events as u64);
    }
}

/// It is paused, or not.
pub fn paused(trigger: &str, paused: bool) {
    if let Some((_, handles)) = find(trigger) {
        handles.paused.set(f64::from(u8::from(paused)));
    }
}

/// The event that was taken last had waited for so many milliseconds.
pub fn lag(trigger: &str, milliseconds: i64) {
    if let Some((registry, handles)) = find(trigger) {
        let gauge = handles.lag.get_or_init(|| registry.gauge(&catalogue::LAG, &[trigger]));
        gauge.set(seconds(milliseconds));
    }
}

/// So many events wait in its queue. Where none does, none is late.
pub fn waiting(trigger: &str, events: u64) {
    if let Some((registry, handles)) = find(trigger) {
        let gauge = handles.waiting.get_or_init(|| registry.gauge(&catalogue::WAITING, &[trigger]));
        gauge.set(events as f64);
        if let (0, Some(lag)) = (events, handles.lag.get()) {
            lag.set(0.0);
        }
    }
}
