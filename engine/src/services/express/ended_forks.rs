//! Forks of Express executions that are over, and whose children may not know it yet.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use asl::branch::BranchPath;
use asl::data::timestamp::Timestamp;

use crate::ids::ExecutionId;
use crate::messages::Express;

/// Forks that are over although children of them may still be on their way, until their execution is over
/// anyway. What such a child would do, nobody waits for.
#[derive(Default)]
pub struct EndedForks {
    forks: Mutex<HashMap<(ExecutionId, BranchPath, u32), Timestamp>>,
}

impl EndedForks {
    /// A copy of the message forks again: its children are waited for, whatever became of the others.
    pub(super) fn begin(&self, message: &Express, fork: u32) {
        let mut forks = self.forks.lock().unwrap_or_else(PoisonError::into_inner);
        forks.remove(&(message.execution.id, message.path.clone(), fork));
    }

    pub(super) fn add(&self, message: &Express, fork: u32, now: Timestamp) {
        let mut forks = self.forks.lock().unwrap_or_else(PoisonError::into_inner);
        forks.retain(|_, deadline| *deadline > now);
        forks.insert((message.execution.id, message.path.clone(), fork), message.deadline);
    }

    /// Whether a branch belongs to such a fork. Only for branches that answer to this engine: a copy of the
    /// fork that another engine holds is another one, and may well be waited for.
    pub(super) fn has(&self, message: &Express) -> bool {
        let forks = self.forks.lock().unwrap_or_else(PoisonError::into_inner);
        if forks.is_empty() {
            return false;
        }
        let key = message.path.place().map(|place| (message.execution.id, place.parent, place.fork));
        key.is_some_and(|key| forks.contains_key(&key))
    }
}
