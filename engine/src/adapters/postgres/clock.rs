//! The database's clock, told from here.
//!
//! Every answer of the database carries its time, which is in the past when the answer arrives. So the latest
//! of several such times, carried on by this machine's steady clock, is never ahead of the database and
//! behind it by less than one way of the fastest answer: a timer that has come here has come there. Samples
//! count for half a minute or so, so that drift is followed. While the database is away the last offset holds.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use asl::data::timestamp::Timestamp;

use crate::ports::clock::Clock;

/// How long samples are gathered before the best of them replaces the one before.
const WINDOW: Duration = Duration::from_secs(15);

/// Tells the database's time.
#[derive(Debug)]
pub(super) struct DatabaseClock {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Database time minus steady time, in microseconds: the best sample of the window before, and of this one.
    settled: Option<i64>,
    gathering: Option<i64>,
    window_began: Option<Instant>,
    /// Never told an earlier time than this.
    told: i64,
}

impl DatabaseClock {
    pub(super) fn new() -> Self {
        DatabaseClock { began: Instant::now(), state: Mutex::default() }
    }

    /// Takes note of a time that an answer of the database carried.
    pub(super) fn observe(&self, time: Timestamp) {
        let now = Instant::now();
        let offset = time.milliseconds().saturating_mul(1000).saturating_sub(self.steady_microseconds(now));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.settled.is_none() && state.gathering.is_none() {
            // What was told before was this machine's own guess.
            state.told = 0;
        }
        if state.window_began.is_none_or(|began| now.duration_since(began) > WINDOW) {
            state.settled = state.gathering.take();
            state.window_began = Some(now);
        }
        state.gathering = state.gathering.max(Some(offset));
    }

    /// Finer than what is told: rounding must not put this clock ahead.
    fn steady_microseconds(&self, now: Instant) -> i64 {
        i64::try_from(now.duration_since(self.began).as_micros()).unwrap_or(i64::MAX)
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        let steady = self.steady_microseconds(Instant::now());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let time = match state.settled.max(state.gathering) {
            Some(offset) => steady.saturating_add(offset).div_euclid(1000),
            // The database was never reached; this machine's time is the best guess.
            None => of_this_machine(),
        };
        state.told = state.told.max(time);
        Timestamp::from_milliseconds(state.told)
    }
}

fn of_this_machine() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_the_database_and_not_this_machine() {
        let clock = DatabaseClock::new();
        let guess = clock.now();
        let hour_behind = guess.plus_seconds(-3600);
        clock.observe(hour_behind);
        let now = clock.now();
        assert!(now >= hour_behind && now < hour_behind.plus_seconds(60), "{now}");
    }

    #[test]
    fn the_fastest_answer_counts_and_time_never_goes_back() {
        let clock = DatabaseClock::new();
        let time = Timestamp::from_milliseconds(1_700_000_000_000);
        clock.observe(time);
        clock.observe(time.plus_milliseconds(-500));
        assert!(clock.now() >= time);
        clock.observe(time.plus_seconds(5));
        let ahead = clock.now();
        assert!(ahead >= time.plus_seconds(5));
        clock.observe(time);
        assert!(clock.now() >= ahead);
    }
}
