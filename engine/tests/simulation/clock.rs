//! The deployment's clock, moved by tokio's paused one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use asl::data::timestamp::Timestamp;
use engine::ports::clock::Clock;
use tokio::time::Instant;

/// When every run begins.
const BEGIN: i64 = 1_800_000_000_000;

/// Moves only when nothing else can happen.
pub struct SimulatedClock {
    began: Instant,
    /// For the store, whose thread has no paused clock.
    last: Arc<AtomicI64>,
}

/// The time of the last look at the [`SimulatedClock`].
pub struct StoreClock(Arc<AtomicI64>);

impl SimulatedClock {
    pub fn new() -> Self {
        SimulatedClock { began: Instant::now(), last: Arc::new(AtomicI64::new(BEGIN)) }
    }

    pub fn for_store(&self) -> StoreClock {
        StoreClock(self.last.clone())
    }

    /// Milliseconds since the run began.
    pub fn elapsed(&self) -> i64 {
        self.now().milliseconds() - BEGIN
    }

    /// The same at the last look at the clock: for other threads.
    pub fn last(&self) -> i64 {
        self.last.load(Ordering::Relaxed) - BEGIN
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.began.elapsed().as_millis()).unwrap();
        self.last.store(BEGIN + elapsed, Ordering::Relaxed);
        Timestamp::from_milliseconds(BEGIN + elapsed)
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_milliseconds(self.0.load(Ordering::Relaxed))
    }
}
