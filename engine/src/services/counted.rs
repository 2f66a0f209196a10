//! A number that takes time to count, and need not be new.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The number as it was counted last.
#[derive(Debug, Default)]
pub struct Counted(Mutex<Option<(Instant, u64)>>);

impl Counted {
    /// The number, unless it was counted longer ago than this. Whoever finds it too old counts it, and
    /// meanwhile the old one serves the others.
    pub fn recent(&self, old: Duration) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (counted, number) = (*last)?;
        if counted.elapsed() < old {
            return Some(number);
        }
        *last = Some((Instant::now(), number));
        None
    }

    /// It was counted just now.
    pub fn counted(&self, number: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), number));
    }
}
