//! Transitions: each is looked at in its turn, and passes whole or changes nothing.

use asl::branch::{EventRef, Place};
use asl::data::timestamp::Timestamp;
use engine::ports::store::{
    BranchKey, Change, Commit, Fence, HistoryRow, Launched, NewBranch, OUTBOX_MILLISECONDS, Phase, RowState,
    Verdict,
};

use super::{Fork, Record, Row, Stamps, State};

/// The last place in the history is kept for the event that ends the execution.
fn fits(recorded: u64, commit: &Commit, max: u64) -> bool {
    let after = recorded + u64::from(commit.history.events);
    if matches!(commit.change, Change::Finish(_)) { after <= max } else { after < max }
}

fn passes(row: &Row, commit: &Commit) -> bool {
    let awake = commit.woken_at.is_none_or(|now| row.state.wake.is_some_and(|wake| wake <= now));
    row.fence == commit.fence && awake
}

impl State {
    /// Commits one member; its execution records at most `history_events_max` events.
    pub(super) fn commit(&mut self, commit: Commit, now: Timestamp, history_events_max: u64) -> Verdict {
        let State { executions, stamps, .. } = self;
        let record = executions.get_mut(&commit.key.execution).filter(|record| record.runs());
        let Some(record) = record else { return Verdict::Stale };
        if !record.row(&commit.key.branch).is_some_and(|row| passes(row, &commit)) {
            return Verdict::Stale;
        }
        if !fits(record.events, &commit, history_events_max) {
            return Verdict::HistoryFull;
        }
        record.pass(commit, now, stamps)
    }
}

impl Record {
    fn pass(&mut self, commit: Commit, now: Timestamp, stamps: &mut Stamps) -> Verdict {
        let Commit { key: BranchKey { execution, branch }, fence, history, joins, change, .. } = commit;
        let fence = Fence { seq: fence.seq + 1, stamp: stamps.draw() };
        if joins {
            let joined = self.remove_below(&branch);
            self.branches.get_mut(branch.as_str()).unwrap().events += joined;
        }
        let events = self.branches[branch.as_str()].events + u64::from(history.events);
        self.append(branch.clone(), fence.seq, history);
        let state = match &change {
            Change::Move(state) => *state,
            Change::Fork { .. } => RowState::at_rest(Phase::Forked),
            Change::EndBranch { .. } | Change::Finish(_) => RowState::at_rest(Phase::Ended),
        };
        let path = branch.clone();
        let row = Row { path, fence, state, moved_at: now, events, fork: None, cause: None };
        self.branches.insert(branch.to_string(), row);
        let (mut launched, mut parent) = (Vec::new(), None);
        match change {
            Change::Move(_) => {}
            Change::Fork { children, window } => {
                let count = u32::try_from(children.len()).unwrap();
                let first = window.min(count);
                let fork = Fork { children: count, launched: first, open: count, failed: None };
                self.branches.get_mut(branch.as_str()).unwrap().fork = Some(fork);
                launched = self.make(children, first, now, stamps);
            }
            Change::EndBranch { failed, last, last_inner } => {
                let place = branch.place().unwrap();
                match self.end(&place, failed, last, now, stamps) {
                    End::Nothing => {}
                    End::Wakes(fence) => {
                        parent = Some((BranchKey { execution, branch: place.parent }, fence));
                    }
                    End::Launches(index) => {
                        launched.push(self.launch(&place, index, last_inner, now, stamps));
                    }
                }
            }
            Change::Finish(closing) => self.close(closing, now),
        }
        Verdict::Done { fence, launched, parent }
    }

    /// Makes the children of a fork, the first so many runnable.
    fn make(
        &mut self,
        all: Vec<NewBranch>,
        first: u32,
        now: Timestamp,
        stamps: &mut Stamps,
    ) -> Vec<Launched> {
        let mut launched = Vec::new();
        for (index, child) in (0..).zip(all) {
            let NewBranch { branch, history: HistoryRow { events, body } } = child;
            let phase = if index < first { Phase::Runnable } else { Phase::Queued };
            let row = Row::new(branch.clone(), phase, stamps.draw(), now);
            if phase == Phase::Runnable {
                let (branch, body) = (branch.clone(), body.clone());
                launched.push(Launched { branch, fence: row.fence, after: None, body });
            }
            self.branches.insert(branch.to_string(), row);
            self.append(branch, 0, HistoryRow { events, body });
        }
        launched
    }

    /// Tells a parent that a child has ended.
    fn end(
        &mut self,
        child: &Place,
        failed: bool,
        last: EventRef,
        now: Timestamp,
        stamps: &mut Stamps,
    ) -> End {
        let Some(row) = self.branches.get_mut(child.parent.as_str()) else { return End::Nothing };
        let waits = row.state.phase == Phase::Forked && row.fence.seq == child.fork;
        // A parent that is runnable already, as a sibling failed, takes no more notice.
        let Some(fork) = row.fork.as_mut().filter(|_| waits) else { return End::Nothing };
        fork.open -= 1;
        row.cause = Some(last);
        if failed || fork.open == 0 {
            fork.failed = failed.then_some(child.index);
            let due = Some(now.plus_milliseconds(OUTBOX_MILLISECONDS));
            row.state = RowState { due, ..RowState::at_rest(Phase::Runnable) };
            row.fence.stamp = stamps.draw();
            row.moved_at = now;
            return End::Wakes(row.fence);
        }
        if fork.launched == fork.children {
            return End::Nothing;
        }
        fork.launched += 1;
        End::Launches(fork.launched - 1)
    }

    /// Launches the next sibling in line.
    fn launch(
        &mut self,
        ended: &Place,
        index: u32,
        after: EventRef,
        now: Timestamp,
        stamps: &mut Stamps,
    ) -> Launched {
        let branch = ended.parent.child(ended.fork, index);
        let mut row = Row::new(branch.clone(), Phase::Runnable, stamps.draw(), now);
        row.state.due = Some(now.plus_milliseconds(OUTBOX_MILLISECONDS));
        row.cause = Some(after.clone());
        let (fence, body) = (row.fence, self.body(&row));
        self.branches.insert(branch.to_string(), row);
        Launched { branch, fence, after: Some(after), body }
    }
}

/// What the end of a child leads to.
enum End {
    Nothing,
    /// The parent goes on, at this fence.
    Wakes(Fence),
    /// The sibling with this index begins.
    Launches(u32),
}
