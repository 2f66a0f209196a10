//! What held deliveries take in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Over this (128 MiB) forks send one child at a time: the deepest level can always finish, and what is above
/// it then goes.
const BUDGET_BYTES: usize = 134_217_728;

/// The bodies of deliveries that are held in this process.
#[derive(Debug, Default)]
pub struct HeldBytes(AtomicUsize);

/// A body that is held, until it is dropped.
pub(super) struct Holding<'a> {
    held: &'a HeldBytes,
    bytes: usize,
}

impl HeldBytes {
    pub(super) fn hold(&self, bytes: usize) -> Holding<'_> {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Holding { held: self, bytes }
    }

    pub(super) fn is_over_budget(&self) -> bool {
        self.0.load(Ordering::Relaxed) > BUDGET_BYTES
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_is_free_again() {
        let held = HeldBytes::default();
        let first = held.hold(BUDGET_BYTES);
        assert!(!held.is_over_budget());
        let second = held.hold(1);
        assert!(held.is_over_budget());
        drop(first);
        assert!(!held.is_over_budget());
        drop(second);
    }
}
