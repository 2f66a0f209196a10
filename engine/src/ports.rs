//! The two ports of the engine, and the clock. Everything outside is reached through them.
//!
//! Each method says what is atomic, what may happen twice, and what a failure means. Each promise has a
//! test in `tests/contract/`, which every adapter passes.

pub mod broker;
pub mod catalog;
pub mod clock;
pub mod store;
pub mod triggers;
