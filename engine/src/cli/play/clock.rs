//! The time of a run.

use std::time::{Duration, Instant};

use asl::data::timestamp::Timestamp;

/// Tells the time, and waits.
pub(in crate::cli) enum Clock {
    /// That of this machine; waiting takes as long as it takes.
    Real {
        /// When the run began.
        start: Timestamp,
        /// The same, on the clock that never goes back.
        began: Instant,
    },
    /// Stands still; waiting is a jump.
    Jumping {
        /// What it shows.
        now: Timestamp,
    },
}

impl Clock {
    pub(in crate::cli) fn real(start: Timestamp) -> Self {
        Clock::Real { start, began: Instant::now() }
    }

    pub(in crate::cli) fn jumping(start: Timestamp) -> Self {
        Clock::Jumping { now: start }
    }

    pub(in crate::cli) fn now(&self) -> Timestamp {
        match self {
            Clock::Real { start, began } => start.plus_milliseconds(milliseconds(began.elapsed())),
            Clock::Jumping { now } => *now,
        }
    }

    /// How long it is until then; at least a millisecond, so that waiting always comes to an end.
    pub(in crate::cli) fn until(&self, at: Timestamp) -> Duration {
        let left = at.milliseconds().saturating_sub(self.now().milliseconds());
        Duration::from_millis(u64::try_from(left).unwrap_or(0).max(1))
    }

    /// Waits until then.
    pub(in crate::cli) fn wait(&mut self, at: Timestamp) {
        match self {
            Clock::Real { .. } => std::thread::sleep(self.until(at)),
            Clock::Jumping { now } => *now = at.max(*now),
        }
    }

    /// Something real was waited for.
    pub(in crate::cli) fn passed(&mut self, time: Duration) {
        if let Clock::Jumping { now } = self {
            *now = now.plus_milliseconds(milliseconds(time));
        }
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
