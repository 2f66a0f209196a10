//! Redrives: a closed execution runs again.

use asl::data::context::Redrive as Mark;
use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use engine::ids::ExecutionId;
use engine::ports::store::redrive::{
    LastRows, RebuiltHistory, Redrive, Redriven, TOKEN_MILLISECONDS, TOKENS_MAX,
};
use engine::ports::store::{BranchKey, ExecutionStatus, Fence, HistoryRow};

use super::{Fork, Record, Row, Stamps, State};

/// A redrive that was made.
pub(super) struct Made {
    at: Timestamp,
    token: Option<String>,
}

impl State {
    pub(super) fn last_rows(&self, key: &BranchKey) -> LastRows {
        let Some(record) = self.executions.get(&key.execution) else { return LastRows::new() };
        let rows = record.history.range((key.branch.clone(), 0)..=(key.branch.clone(), u32::MAX));
        rows.rev().take(2).map(|((_, seq), entry)| (*seq, entry.body.clone())).collect()
    }

    pub(super) fn redriven_as(&self, id: ExecutionId, token: &str, now: Timestamp) -> Option<Timestamp> {
        let made = self.executions.get(&id)?.redrives.iter().rev().take(TOKENS_MAX as usize);
        let since = now.plus_milliseconds(-TOKEN_MILLISECONDS);
        let mut made = made.filter(|made| made.at > since);
        made.find(|made| made.token.as_deref() == Some(token)).map(|made| made.at)
    }

    pub(super) fn redrive(&mut self, redrive: Redrive, now: Timestamp) -> Redriven {
        let State { executions, stamps, machines, .. } = self;
        let closed = |record: &&mut Record| {
            !record.runs()
                && record.redrives.len() == redrive.redriven_before as usize
                && machines.values().any(|machine| machine.id == record.execution.machine)
        };
        match executions.get_mut(&redrive.execution).filter(closed) {
            Some(record) if record.unannounced.is_some() => Redriven::Unannounced,
            Some(record) => record.reopen(redrive, now, stamps),
            None => Redriven::Stale,
        }
    }
}

impl Record {
    fn reopen(&mut self, redrive: Redrive, now: Timestamp, stamps: &mut Stamps) -> Redriven {
        self.execution.status = ExecutionStatus::Running;
        self.execution.stopped_at = None;
        self.execution.error = None;
        self.execution.redrive = Some(Mark { count: redrive.redriven_before + 1, at: redrive.at });
        self.execution.place = redrive.place;
        self.redrives.push(Made { at: redrive.at, token: redrive.token });
        self.deadline = redrive.deadline;
        if redrive.unannounced {
            self.keep_in_mind(now);
        }
        let mut fences = Vec::new();
        for rebuilt in redrive.branches {
            let row = match rebuilt.history {
                RebuiltHistory::New(row) => row,
                RebuiltHistory::Copy(branch, seq) => {
                    HistoryRow { events: 0, body: Bytes::clone(&self.history[&(branch, seq)].body) }
                }
            };
            self.append(rebuilt.branch.clone(), rebuilt.seq, row);
            let fence = Fence { seq: rebuilt.seq, stamp: stamps.draw() };
            fences.push(fence);
            let events = if rebuilt.branch.is_root() { self.events } else { 0 };
            let fork = rebuilt.fork.map(|fork| Fork {
                children: fork.children,
                launched: fork.launched,
                open: fork.open,
                failed: None,
            });
            let (path, state, cause) = (rebuilt.branch, rebuilt.state, rebuilt.cause);
            let key = path.to_string();
            self.branches.insert(key, Row { path, fence, state, moved_at: now, events, fork, cause });
        }
        Redriven::Done(fences)
    }
}
