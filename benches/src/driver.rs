//! The load: clients of the public API, and the worker of the function tasks.

use std::time::{SystemTime, UNIX_EPOCH};

pub mod api;
pub mod feed;
pub mod http;
pub mod load;
pub mod standard;
pub mod worker;

/// Milliseconds since 1970 by this machine's clock.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
