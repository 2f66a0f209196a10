//! How the children of a branch are gathered when all have ended, or when one has failed.

use std::collections::BTreeMap;

use asl::branch::{BranchPath, EventRef};
use asl::data::timestamp::Timestamp;
use engine::ports::store::{
    BranchKey, Error, EventIds, Failed, Fence, JOIN_BYTES_MAX, Joined, OnFailed, Phase, StoredBranch, Verdict,
};

use super::{Fork, Record, State};

/// The ids of all events of an execution at one moment.
#[derive(Debug)]
struct AllIds(BTreeMap<EventRef, u64>);

impl EventIds for AllIds {
    fn id(&self, event: &EventRef) -> Option<u64> {
        self.0.get(event).copied()
    }
}

/// Parents before children, and siblings by index, which is not the order of their texts.
fn numbers(path: &BranchPath) -> Vec<u32> {
    path.as_str().split('.').filter_map(|part| part.parse().ok()).collect()
}

impl Record {
    /// Removes all below a branch; answers how many events were recorded there.
    pub(super) fn remove_below(&mut self, path: &BranchPath) -> u64 {
        let gone: Vec<_> = self.below(path).map(|row| row.path.clone()).collect();
        gone.iter().filter_map(|path| self.branches.remove(path.as_str())).map(|row| row.events).sum()
    }

    /// The parent, if it is at this fence, runnable, and its fork is as asked.
    fn runnable(&self, key: &BranchKey, fence: Fence, asked: fn(Fork) -> bool) -> Option<StoredBranch> {
        let row = self.row(&key.branch)?;
        let ready = row.fence == fence && row.state.phase == Phase::Runnable && row.fork.is_some_and(asked);
        ready.then(|| self.stored(row))
    }

    fn all_ids(&self) -> AllIds {
        let mut ids = BTreeMap::new();
        for ((branch, seq), entry) in &self.history {
            for (id, offset) in (entry.first_id..).zip(0..entry.events) {
                ids.insert(EventRef { branch: branch.clone(), seq: *seq, offset }, id);
            }
        }
        AllIds(ids)
    }
}

impl State {
    pub(super) fn joined(&self, key: &BranchKey, fence: Fence) -> Option<Joined> {
        let record = self.executions.get(&key.execution)?;
        let complete = |fork: Fork| fork.open == 0 && fork.failed.is_none();
        let parent = record.runnable(key, fence, complete)?;
        let children = record.row(&key.branch)?.fork?.children;
        let child = |index| record.row(&key.branch.child(fence.seq, index)).unwrap();
        let mut bodies: Vec<_> = (0..children).map(|index| record.body(child(index))).collect();
        let too_large = bodies.iter().map(|body| body.len()).sum::<usize>() > JOIN_BYTES_MAX;
        if too_large {
            bodies.clear();
        }
        let events = record.below(&key.branch).map(|row| row.events).sum();
        Some(Joined { parent, bodies, too_large, events })
    }

    pub(super) fn fail_fork(
        &mut self,
        key: &BranchKey,
        fence: Fence,
        decide: OnFailed,
        now: Timestamp,
    ) -> Result<Verdict, Error> {
        let Some(record) = self.running(key.execution) else { return Ok(Verdict::Stale) };
        let Some(parent) = record.runnable(key, fence, |fork| fork.failed.is_some()) else {
            return Ok(Verdict::Stale);
        };
        let failed = parent.failed_child.clone().unwrap();
        let child = record.stored(record.row(&failed).unwrap());
        let left = record
            .below(&key.branch)
            .filter(|row| row.fence.seq > 0 && row.state.phase != Phase::Ended && row.path != failed);
        let mut aborted: Vec<_> = left.map(|row| record.stored(row)).collect();
        aborted.sort_by_key(|branch| numbers(&branch.key.branch));
        let events = record.below(&key.branch).map(|row| row.events).sum::<u64>();
        let ids = std::sync::Arc::new(record.all_ids());
        let Some(commit) = decide(Failed { parent, child, aborted, events, ids }) else {
            return Ok(Verdict::Stale);
        };
        commit.check_answers_failed_fork(key)?;
        commit.check()?;
        if commit.fence != fence {
            return Ok(Verdict::Stale);
        }
        record.remove_below(&key.branch);
        record.branches.get_mut(key.branch.as_str()).unwrap().events += events;
        // It is not limited by the history: it may be what ends the execution.
        Ok(self.commit(commit, now, u64::MAX))
    }
}
