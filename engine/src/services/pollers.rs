//! Workers that wait for a task of an activity in this process: only so many at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many wait, by activity.
#[derive(Debug, Clone, Default)]
pub struct Pollers {
    waiting: Arc<Mutex<HashMap<String, u32>>>,
}

/// A worker that waits, until this is dropped.
#[derive(Debug)]
pub struct Poller {
    activity: String,
    all: Pollers,
}

impl Pollers {
    /// Counts one more for this activity; `None` if so many wait already.
    pub fn enter(&self, activity: &str, workers_max: u32) -> Option<Poller> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.get(activity).copied().unwrap_or_default();
        if count >= workers_max {
            return None;
        }
        waiting.insert(activity.to_owned(), count + 1);
        Some(Poller { activity: activity.to_owned(), all: self.clone() })
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let mut waiting = self.all.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.activity) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.activity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_leaves_makes_room() {
        let pollers = Pollers::default();
        let first = pollers.enter("paint", 2);
        let second = pollers.enter("paint", 2);
        assert!(first.is_some() && second.is_some() && pollers.enter("paint", 2).is_none());
        assert!(pollers.enter("dry", 2).is_some());
        drop(first);
        assert!(pollers.enter("paint", 2).is_some());
        drop(second);
        assert!(pollers.waiting.lock().unwrap().is_empty());
    }
}
