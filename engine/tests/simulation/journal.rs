//! What happened in a run, step by step, for `warren replay`. Kept only when a run is made again because it
//! failed: a seed repeats its run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::cli::replay::recording::{Step, What};

use super::clock::SimulatedClock;

/// The steps of one run, in order; none where nobody asked for them.
#[derive(Default)]
pub struct Journal {
    steps: Mutex<Option<Vec<Step>>>,
}

impl Journal {
    /// Keeps nothing.
    pub fn closed() -> Arc<Self> {
        Arc::default()
    }

    pub fn open() -> Arc<Self> {
        Arc::new(Journal { steps: Mutex::new(Some(Vec::new())) })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Step>>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what an engine did, or what befell everybody if `engine` is empty.
    pub fn note(&self, clock: &SimulatedClock, engine: &str, what: impl FnOnce() -> What) {
        if let Some(steps) = &mut *self.lock() {
            let at_milliseconds = u64::try_from(clock.last()).unwrap();
            steps.push(Step { at_milliseconds, engine: engine.to_owned(), what: what() });
        }
    }

    pub fn take(&self) -> Vec<Step> {
        self.lock().take().unwrap_or_default()
    }
}
