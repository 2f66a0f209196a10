//! Timers, and messages that were made again.

use ::metrics::{Counter, Histogram};

use super::catalogue::deployment as catalogue;
use super::executions::seconds;
use super::on;
use super::registry::Registry;

/// What a message is made again for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A delivery came back: its engine may have died between commit and publish.
    Redelivery,
    /// Nobody was answerable for it but its row.
    Due,
    /// The broker has lost it.
    Sweep,
    /// Everything is made again.
    Recover,
}

impl Cause {
    /// All, in the order of their handles.
    const ALL: [Cause; 4] = [Cause::Redelivery, Cause::Due, Cause::Sweep, Cause::Recover];

    fn name(self) -> &'static str {
        match self {
            Cause::Redelivery => "redelivery",
            Cause::Due => "due",
            Cause::Sweep => "sweep",
            Cause::Recover => "recover",
        }
    }
}

/// Handles of what the scheduler and the sweeper do.
pub(super) struct Timers {
    from_memory: Counter,
    from_rows: Counter,
    lateness: Histogram,
    again: [Counter; Cause::ALL.len()],
    sweeps: Counter,
    found: Counter,
}

impl Timers {
    pub(super) fn new(registry: &Registry) -> Self {
        Timers {
            from_memory: registry.counter(&catalogue::TIMERS, &["memory"]),
            from_rows: registry.counter(&catalogue::TIMERS, &["row"]),
            lateness: registry.histogram(&catalogue::TIMER_LATENESS, &[]),
            again: Cause::ALL.map(|cause| registry.counter(&catalogue::REPUBLISHED, &[cause.name()])),
            sweeps: registry.counter(&catalogue::SWEEPS, &[]),
            found: registry.counter(&catalogue::SWEEP_FOUND, &[]),
        }
    }
}

/// So many were fired at their time, from memory.
pub fn fired_from_memory(count: usize) {
    if let Some(on) = on() {
        on.timers.from_memory.increment(count as u64);
    }
}

/// So many were found due in their rows.
pub fn fired_from_rows(count: usize) {
    if let Some(on) = on() {
        on.timers.from_rows.increment(count as u64);
    }
}

/// One took effect so many milliseconds after its time.
pub fn late_by(milliseconds: i64) {
    if let Some(on) = on() {
        on.timers.lateness.record(seconds(milliseconds));
    }
}

/// So many messages are made again.
pub fn made_again(cause: Cause, messages: usize) {
    if let (Some(on), true) = (on(), messages > 0) {
        on.timers.again[cause as usize].increment(messages as u64);
    }
}

/// All rows were walked over, and the messages of so many were lost.
pub fn swept(found: u64) {
    if let Some(on) = on() {
        on.timers.sweeps.increment(1);
        on.timers.found.increment(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_place() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
        }
    }
}
