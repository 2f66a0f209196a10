//! Real engines on a real broker and a real database, each of which dies, freezes or lies at the worst moment.
//!
//! Every test has a prefix and a database of its own on a private broker and a private database, of which there are
//! two pairs, passed from test to test. It loads engines, breaks something, waits until all executions have ended, and asks the oracle
//! ([`faults::oracle`]) whether anything was lost, done twice or left over. The sizes are those of a change;
//! `make faults` multiplies them (`WARREN_FAULTS_SCALE`). `WARREN_SEED` repeats a run as far as the system lets it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "faults"]
mod faults {
    pub mod listener;
    pub mod load;
    pub mod oracle;
    pub mod world;

    mod broker_lost;
    mod callbacks;
    mod copies;
    #[cfg(feature = "crash-points")]
    mod crash_points;
    mod database_lost;
    mod engines_frozen;
    mod engines_killed;
    mod harness;
    mod mixture;
    mod poison;
    mod redrives;
    mod replies_lost;
    mod triggers;
}

#[path = "support"]
mod support {
    pub mod api;
    pub mod engine;
    pub mod histories;
    pub mod lottery;
    pub mod private;
    #[expect(dead_code, reason = "each test uses a part of it")]
    pub mod proxy;
    pub mod recorder;
    pub mod worker;
}
