//! Commits: many members, one transaction.
//!
//! ```text
//! load what the members name ─▶ decide each in turn, in memory ─▶ write what changed
//! ```
//!
//! A member that is refused has changed nothing in memory, so it changes nothing in the database. As a
//! passed member's row gets a stamp that nobody knows yet, no two members of a batch build on each other;
//! that is why rows can be written in any order, and deletions last.

use std::collections::{BTreeMap, BTreeSet};

use asl::branch::EventRef;
use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;

use super::executions::{self, Tally};
use super::history::{self, Appended};
use super::rows::{self, Range, Row};
use crate::adapters::sql::rows::Fork;
use crate::ids::{ExecutionId, Stamp};
use crate::ports::store::{
    BranchKey, Change, Closing, Commit, Error, Fence, HistoryRow, Launched, NewBranch, OUTBOX_MILLISECONDS,
    Phase, RowState, Verdict,
};

/// See [`Store::commit`](crate::ports::store::Store::commit). No execution grows past `history_events_max`.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    batch: &[Commit],
    now: Timestamp,
    history_events_max: u64,
) -> Result<Vec<Verdict>, Error> {
    let mut batch_state = Batch::load(connection, batch, now).await?;
    batch_state.history_events_max = history_events_max;
    let verdicts = batch.iter().map(|commit| batch_state.apply(commit)).collect::<Result<_, _>>()?;
    batch_state.write(connection).await?;
    Ok(verdicts)
}

/// A transaction in memory.
#[derive(Debug)]
pub(super) struct Batch {
    now: Timestamp,
    history_events_max: u64,
    /// Rows that exist, as far as the members name them.
    rows: BTreeMap<BranchKey, Row>,
    /// Executions that run.
    executions: BTreeMap<ExecutionId, Tally>,
    /// The siblings that may be launched.
    queued: BTreeMap<BranchKey, (Row, Bytes)>,
    /// Events recorded below the branches that join.
    below: BTreeMap<BranchKey, u64>,
    changed: BTreeSet<BranchKey>,
    history: Vec<Appended>,
    gone: Vec<Range>,
}

impl Batch {
    /// Reads all that the members' decisions need. The history may grow without end.
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        batch: &[Commit],
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut keys = BTreeSet::new();
        for commit in batch {
            keys.insert(commit.key.clone());
            keys.extend(parent(commit));
        }
        let rows = rows::load(connection, keys.iter()).await?;
        let executions: BTreeSet<_> = rows.iter().map(|row| row.key.execution).collect();
        let mut loaded = Batch {
            now,
            history_events_max: u64::MAX,
            executions: executions::tallies(connection, executions.into_iter()).await?,
            rows: rows.into_iter().map(|row| (row.key.clone(), row)).collect(),
            queued: BTreeMap::new(),
            below: BTreeMap::new(),
            changed: BTreeSet::new(),
            history: Vec::new(),
            gone: Vec::new(),
        };
        loaded.load_queued(connection, batch).await?;
        loaded.load_below(connection, batch).await?;
        Ok(loaded)
    }

    /// As many queued siblings of each fork as children of it end here.
    async fn load_queued(
        &mut self,
        connection: &mut SqliteConnection,
        batch: &[Commit],
    ) -> Result<(), Error> {
        let mut ends: BTreeMap<BranchKey, u32> = BTreeMap::new();
        for parent in batch.iter().filter_map(parent) {
            *ends.entry(parent).or_default() += 1;
        }
        let mut siblings = Vec::new();
        for (parent, count) in ends {
            let Some((fence, fork)) = self.rows.get(&parent).and_then(|row| Some((row.fence, row.fork?)))
            else {
                continue;
            };
            let next = fork.launched..fork.children.min(fork.launched.saturating_add(count));
            siblings.extend(next.map(|index| BranchKey {
                execution: parent.execution,
                branch: parent.branch.child(fence.seq, index),
            }));
        }
        if !siblings.is_empty() {
            let loaded = rows::load_with_bodies(connection, siblings.iter()).await?;
            self.queued = loaded.into_iter().map(|(_, row, body)| (row.key.clone(), (row, body))).collect();
        }
        Ok(())
    }

    async fn load_below(&mut self, connection: &mut SqliteConnection, batch: &[Commit]) -> Result<(), Error> {
        let joins = batch.iter().filter(|commit| commit.joins);
        let keys: Vec<_> = joins.map(|commit| commit.key.clone()).collect();
        let ranges: Vec<_> = keys.iter().map(Range::below).collect();
        let sums = rows::events_in(connection, &ranges).await?;
        self.below = keys.into_iter().zip(sums).collect();
        Ok(())
    }

    /// Deletes all below a branch, which takes over the events recorded there.
    pub(super) fn remove_below(&mut self, key: &BranchKey, events: u64) {
        if let Some(row) = self.rows.get_mut(key) {
            row.events += events;
        }
        let (from, to) = key.branch.descendants();
        let below = |other: &BranchKey| {
            other.execution == key.execution && (from.as_str()..to.as_str()).contains(&other.branch.as_str())
        };
        self.rows.retain(|other, _| !below(other));
        self.changed.retain(|other| !below(other));
        self.gone.push(Range::below(key));
    }

    /// Decides about one member and keeps what it changes.
    pub(super) fn apply(&mut self, commit: &Commit) -> Result<Verdict, Error> {
        let Some(row) = self.rows.get(&commit.key).filter(|row| passes(row, commit)) else {
            return Ok(Verdict::Stale);
        };
        let Some(tally) =
            self.executions.get_mut(&commit.key.execution).filter(|tally| tally.closing.is_none())
        else {
            return Ok(Verdict::Stale);
        };
        if !fits(tally.events, commit, self.history_events_max) {
            return Ok(Verdict::HistoryFull);
        }
        let fence = Fence { seq: row.fence.seq + 1, stamp: Stamp::draw() };
        let HistoryRow { events, body } = commit.history.clone();
        let BranchKey { execution, branch } = commit.key.clone();
        let first_id = tally.events + 1;
        tally.events += u64::from(events);
        self.history.push(Appended { execution, branch, seq: fence.seq, first_id, events, body });
        self.change(commit, fence)
    }

    fn change(&mut self, commit: &Commit, fence: Fence) -> Result<Verdict, Error> {
        let (mut launched, mut parent) = (Vec::new(), None);
        if commit.joins {
            let events = self.below.get(&commit.key).copied().unwrap_or_default();
            self.remove_below(&commit.key, events);
        }
        match &commit.change {
            Change::Move(state) => self.move_row(commit, fence, *state, None),
            Change::Fork { children, window } => launched = self.fork(commit, fence, children, *window),
            Change::EndBranch { failed, last, last_inner } => {
                self.move_row(commit, fence, RowState::at_rest(Phase::Ended), None);
                (parent, launched) = self.end(&commit.key, *failed, last, last_inner)?;
            }
            Change::Finish(closing) => self.finish(commit.key.execution, closing),
        }
        Ok(Verdict::Done { fence, launched, parent })
    }

    fn move_row(&mut self, commit: &Commit, fence: Fence, state: RowState, fork: Option<Fork>) {
        if let Some(row) = self.rows.get_mut(&commit.key) {
            let events = row.events + u64::from(commit.history.events);
            let key = commit.key.clone();
            *row = Row { key, fence, state, moved_at: self.now, events, fork, cause: None };
            self.changed.insert(commit.key.clone());
        }
    }

    fn fork(&mut self, commit: &Commit, fence: Fence, children: &[NewBranch], window: u32) -> Vec<Launched> {
        let count = u32::try_from(children.len()).unwrap_or(u32::MAX);
        let first = window.min(count);
        let fork = Fork { children: count, launched: first, open: count, failed: None };
        self.move_row(commit, fence, RowState::at_rest(Phase::Forked), Some(fork));
        let execution = commit.key.execution;
        let mut launched = Vec::new();
        for (index, child) in (0..count).zip(children) {
            let NewBranch { branch, history: HistoryRow { events, body } } = child.clone();
            let phase = if index < first { Phase::Runnable } else { Phase::Queued };
            let row = Row::new(BranchKey { execution, branch: branch.clone() }, phase, self.now);
            if phase == Phase::Runnable {
                let (branch, body) = (branch.clone(), body.clone());
                launched.push(Launched { branch, fence: row.fence, after: None, body });
            }
            let first_id = self.executions.get(&execution).map_or(0, |tally| tally.events) + 1;
            self.history.push(Appended { execution, branch, seq: 0, first_id, events, body });
            self.keep(row);
        }
        launched
    }

    /// What the end of a child does to its parent and to the next sibling in line.
    fn end(
        &mut self,
        child: &BranchKey,
        failed: bool,
        last: &EventRef,
        last_inner: &EventRef,
    ) -> Result<Consequence, Error> {
        let nothing = (None, Vec::new());
        let Some(place) = child.branch.place() else { return Ok(nothing) };
        let key = BranchKey { execution: child.execution, branch: place.parent };
        // A parent that is runnable already, as a sibling failed, takes no more notice.
        let forked = |row: &&mut Row| row.state.phase == Phase::Forked && row.fence.seq == place.fork;
        let Some(row) = self.rows.get_mut(&key).filter(forked) else { return Ok(nothing) };
        let Some(fork) = row.fork.as_mut() else { return Ok(nothing) };
        fork.open = fork.open.saturating_sub(1);
        fork.failed = failed.then_some(place.index);
        row.cause = Some(last.clone());
        self.changed.insert(key.clone());
        if failed || fork.open == 0 {
            let due = self.now.plus_milliseconds(OUTBOX_MILLISECONDS);
            row.state = RowState { due: Some(due), ..RowState::at_rest(Phase::Runnable) };
            row.fence.stamp = Stamp::draw();
            row.moved_at = self.now;
            return Ok((Some((key, row.fence)), Vec::new()));
        }
        if fork.launched == fork.children {
            return Ok(nothing);
        }
        let next = BranchKey { branch: key.branch.child(place.fork, fork.launched), ..key };
        fork.launched += 1;
        Ok((None, vec![self.launch(&next, last_inner)?]))
    }

    fn launch(&mut self, child: &BranchKey, after: &EventRef) -> Result<Launched, Error> {
        let queued = self.queued.remove(child);
        let (_, body) =
            queued.ok_or_else(|| Error::corrupt(format_args!("'{}' is not queued", child.branch)))?;
        let cause = Some(after.clone());
        let mut row = Row { cause: cause.clone(), ..Row::new(child.clone(), Phase::Runnable, self.now) };
        // Nobody but its sibling's end knows of it, and that may have no delivery that comes back.
        row.state.due = Some(self.now.plus_milliseconds(OUTBOX_MILLISECONDS));
        let launched = Launched { branch: child.branch.clone(), fence: row.fence, after: cause, body };
        self.keep(row);
        Ok(launched)
    }

    fn finish(&mut self, execution: ExecutionId, closing: &Closing) {
        if let Some(tally) = self.executions.get_mut(&execution) {
            tally.closing = Some(closing.clone());
        }
        self.changed.retain(|key| key.execution != execution);
        self.gone.push(Range::whole(execution));
    }

    fn keep(&mut self, row: Row) {
        self.changed.insert(row.key.clone());
        self.rows.insert(row.key.clone(), row);
    }

    /// Writes what the members changed.
    pub(super) async fn write(self, connection: &mut SqliteConnection) -> Result<(), Error> {
        if self.history.is_empty() {
            return Ok(());
        }
        history::append(connection, &self.history).await?;
        rows::put(connection, self.changed.iter().filter_map(|key| self.rows.get(key))).await?;
        executions::put(connection, &self.executions, self.now).await?;
        rows::delete(connection, &self.gone).await
    }
}

/// What the end of a child leads to: the parent that became runnable, the siblings that did.
type Consequence = (Option<(BranchKey, Fence)>, Vec<Launched>);

/// The parent that a member's end concerns.
fn parent(commit: &Commit) -> Option<BranchKey> {
    commit.key.parent().filter(|_| matches!(commit.change, Change::EndBranch { .. }))
}

fn passes(row: &Row, commit: &Commit) -> bool {
    let awake = commit.woken_at.is_none_or(|now| row.state.wake.is_some_and(|wake| wake <= now));
    row.fence == commit.fence && awake
}

/// The last place is kept for the event that ends the execution.
fn fits(recorded: u64, commit: &Commit, max: u64) -> bool {
    let after = recorded + u64::from(commit.history.events);
    match commit.change {
        Change::Finish(_) => after <= max,
        Change::Move(_) | Change::Fork { .. } | Change::EndBranch { .. } => after < max,
    }
}
