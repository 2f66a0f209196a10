//! A store over plain maps: the contract said as simply as it can be, for tests that need many stores.
//!
//! Every call does its work at once, under one lock, in the task of its caller. Stamps come from a seed. What it
//! keeps is gone with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use asl::branch::{BranchPath, EventRef};
use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use engine::ids::{ExecutionId, MachineId, RevisionId, Stamp};
use engine::ports::catalog::tags::{Tag, TagOwner};
use engine::ports::catalog::{Activity, Execution, Machine, Revision};
use engine::ports::clock::Clock;
use engine::ports::store::changes::{Announced, change_number};
use engine::ports::store::redrive::{LastRows, Redrive, Redriven};
use engine::ports::store::{
    BranchKey, Claim, Claimed, Commit, Error, ExecutionStatus, Fence, HistoryRow, Joined, Last, NewExecution,
    OUTBOX_MILLISECONDS, OnClose, OnFailed, Open, Phase, RowState, Started, Store, StoredBranch, Verdict,
};

#[path = "memory_store/catalog.rs"]
mod catalog;
#[path = "memory_store/commits.rs"]
mod commits;
#[path = "memory_store/forks.rs"]
mod forks;
#[path = "memory_store/redrive.rs"]
mod redrive;
#[path = "memory_store/tags.rs"]
mod tags;
#[path = "memory_store/triggers.rs"]
mod triggers;
#[path = "memory_store/versions.rs"]
mod versions;

/// Keeps everything in memory.
pub struct MemoryStore {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

/// All that is kept.
struct State {
    /// In the order they were made, by number.
    machines: BTreeMap<u64, Machine>,
    revisions: BTreeMap<RevisionId, Revision>,
    activities: BTreeMap<u64, Activity>,
    executions: BTreeMap<ExecutionId, Record>,
    settings: BTreeMap<String, Vec<u8>>,
    triggers: BTreeMap<String, triggers::Kept>,
    trigger_remains: Vec<engine::ports::triggers::Remains>,
    /// Versions and aliases.
    published: BTreeMap<MachineId, versions::Published>,
    tags: BTreeMap<TagOwner, Vec<Tag>>,
    /// The number of the last machine or activity.
    made: u64,
    stamps: Stamps,
    history_events_max: u64,
}

/// An execution.
struct Record {
    execution: Execution,
    input_hash: [u8; 32],
    deadline: Option<Timestamp>,
    redrives: Vec<redrive::Made>,
    /// The number of the last change that is not announced, and when somebody else announces it.
    unannounced: Option<(u32, Timestamp)>,
    /// Recorded so far.
    events: u64,
    /// By path, whose order as text makes all below a branch a range.
    branches: BTreeMap<String, Row>,
    history: BTreeMap<(BranchPath, u32), Entry>,
    /// The keys of the history in the order of their commits.
    order: Vec<(BranchPath, u32)>,
}

/// A branch row.
#[derive(Clone)]
struct Row {
    path: BranchPath,
    fence: Fence,
    state: RowState,
    moved_at: Timestamp,
    /// Recorded by this branch and by all that it joined.
    events: u64,
    fork: Option<Fork>,
    cause: Option<EventRef>,
}

/// The children of a row.
#[derive(Clone, Copy)]
struct Fork {
    children: u32,
    /// How many run or have run: the index of the next one to launch.
    launched: u32,
    /// How many have not ended.
    open: u32,
    failed: Option<u32>,
}

/// A history row.
struct Entry {
    first_id: u64,
    events: u16,
    body: Bytes,
}

/// Stamps that depend on nothing but the seed (splitmix64, Steele 2014).
struct Stamps(u64);

impl Stamps {
    fn draw(&mut self) -> Stamp {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Stamp(u32::try_from(mixed >> 33).unwrap())
    }
}

impl MemoryStore {
    /// An empty one. No execution records more than `history_events_max` events in its transitions.
    pub fn new(seed: u64, history_events_max: u64, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            machines: BTreeMap::new(),
            revisions: BTreeMap::new(),
            activities: BTreeMap::new(),
            executions: BTreeMap::new(),
            settings: BTreeMap::new(),
            triggers: BTreeMap::new(),
            trigger_remains: Vec::new(),
            published: BTreeMap::new(),
            tags: BTreeMap::new(),
            made: 0,
            stamps: Stamps(seed),
            history_events_max,
        };
        MemoryStore { state: Mutex::new(state), clock }
    }

    /// A decision that panics has changed nothing yet.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn root() -> String {
    BranchPath::root().to_string()
}

impl Row {
    /// A branch that has made no transition.
    fn new(path: BranchPath, phase: Phase, stamp: Stamp, now: Timestamp) -> Self {
        let (fence, state) = (Fence { seq: 0, stamp }, RowState::at_rest(phase));
        Row { path, fence, state, moved_at: now, events: 0, fork: None, cause: None }
    }
}

impl Record {
    fn append(&mut self, branch: BranchPath, seq: u32, row: HistoryRow) {
        let HistoryRow { events, body } = row;
        self.history.insert((branch.clone(), seq), Entry { first_id: self.events + 1, events, body });
        self.order.push((branch, seq));
        self.events += u64::from(events);
    }

    /// Its last change is to be announced.
    fn keep_in_mind(&mut self, now: Timestamp) {
        let redrives = self.execution.redrive.map_or(0, |redrive| redrive.count);
        let number = change_number(redrives, self.execution.status);
        let due = self.unannounced.map_or(now.plus_milliseconds(OUTBOX_MILLISECONDS), |(_, due)| due);
        self.unannounced = Some((number, due));
    }

    fn runs(&self) -> bool {
        self.execution.status == ExecutionStatus::Running
    }

    /// Of the root's last history row.
    fn last_seq(&self) -> u32 {
        let root = BranchPath::root();
        self.history.range((root.clone(), 0)..=(root, u32::MAX)).next_back().map_or(0, |((_, seq), _)| *seq)
    }

    fn row(&self, path: &BranchPath) -> Option<&Row> {
        self.branches.get(path.as_str())
    }

    fn below(&self, path: &BranchPath) -> impl Iterator<Item = &Row> {
        let (from, to) = path.descendants();
        self.branches.range(from..to).map(|(_, row)| row)
    }

    /// The body of a branch's last transition.
    fn body(&self, row: &Row) -> Bytes {
        self.history[&(row.path.clone(), row.fence.seq)].body.clone()
    }

    fn stored(&self, row: &Row) -> StoredBranch {
        let failed = row.fork.and_then(|fork| fork.failed);
        StoredBranch {
            key: BranchKey { execution: self.execution.id, branch: row.path.clone() },
            fence: row.fence,
            state: row.state,
            moved_at: row.moved_at,
            cause: row.cause.clone(),
            failed_child: failed.map(|index| row.path.child(row.fence.seq, index)),
            body: self.body(row),
        }
    }

    fn id_of(&self, event: &EventRef) -> Option<u64> {
        let entry = self.history.get(&(event.branch.clone(), event.seq))?;
        (event.offset < entry.events).then(|| entry.first_id + u64::from(event.offset))
    }

    fn close(&mut self, closing: engine::ports::store::Closing, now: Timestamp) {
        self.execution.status = closing.status;
        if closing.unannounced {
            self.keep_in_mind(now);
        }
        self.execution.stopped_at = Some(closing.at);
        self.execution.error = closing.error;
        self.branches.clear();
    }
}

impl State {
    fn start(&mut self, new: NewExecution, now: Timestamp) -> Started {
        if !self.machines.values().any(|machine| machine.id == new.machine) {
            return Started::NoMachine;
        }
        let holds =
            |record: &&Record| record.execution.machine == new.machine && record.execution.name == new.name;
        if let Some(Record { execution, input_hash, .. }) = self.executions.values().find(holds) {
            let Execution { id, status, started_at, .. } = *execution;
            return Started::NameTaken { id, input_hash: *input_hash, status, started_at };
        }
        let mut row = Row::new(BranchPath::root(), Phase::Runnable, self.stamps.draw(), now);
        row.state.due = Some(now.plus_milliseconds(OUTBOX_MILLISECONDS));
        row.events = new.history.events.into();
        let fence = row.fence;
        let execution = Execution {
            id: new.id,
            machine: new.machine,
            machine_name: new.machine_name,
            revision: new.revision,
            qualifier: new.qualifier,
            name: new.name,
            status: ExecutionStatus::Running,
            started_at: new.started_at,
            stopped_at: None,
            error: None,
            redrive: None,
            place: new.id,
        };
        let mut record = Record {
            execution,
            input_hash: new.input_hash,
            deadline: new.deadline,
            redrives: Vec::new(),
            unannounced: None,
            events: 0,
            branches: BTreeMap::from([(root(), row)]),
            history: BTreeMap::new(),
            order: Vec::new(),
        };
        record.append(BranchPath::root(), 0, new.history);
        self.executions.insert(new.id, record);
        Started::Created(fence)
    }

    fn running(&mut self, execution: ExecutionId) -> Option<&mut Record> {
        self.executions.get_mut(&execution).filter(|record| record.runs())
    }

    fn close(&mut self, execution: ExecutionId, decide: OnClose, now: Timestamp) -> bool {
        let Some(record) = self.running(execution) else { return false };
        let root = record.stored(&record.branches[&root()]);
        let open = Open { root, events: record.events, deadline: record.deadline };
        let Some(Last { rows, closing }) = decide(open) else { return false };
        for (branch, seq, row) in rows {
            record.append(branch, seq, row);
        }
        record.close(closing, now);
        true
    }

    fn claim(&mut self, claim: Claim) -> Claimed {
        let Claim { now, again_after_ms, moved_before, limit } = claim;
        let mut due = Vec::new();
        for (id, record) in &self.executions {
            let rows =
                record.branches.iter().filter_map(|(path, row)| Some((row.state.due?, *id, path.clone())));
            due.extend(rows.filter(|(due, ..)| *due <= now));
        }
        due.sort();
        due.truncate(limit as usize);
        let more = due.len() == limit as usize && limit > 0;
        let mut rows = Vec::new();
        for (_, id, path) in due {
            let record = self.executions.get_mut(&id).unwrap();
            let row = record.branches.get_mut(&path).unwrap();
            row.state.due = Some(now.plus_milliseconds(again_after_ms));
            let is_runnable = row.state.phase == Phase::Runnable;
            if is_runnable && row.moved_at >= moved_before {
                continue;
            }
            if is_runnable {
                row.moved_at = now;
            }
            rows.push(record.stored(&record.branches[&path]));
        }
        Claimed { rows, more }
    }

    fn claim_unannounced(&mut self, now: Timestamp, again_after_ms: i64, limit: u32) -> Vec<ExecutionId> {
        let marked = self.executions.iter().filter_map(|(id, record)| Some((record.unannounced?.1, *id)));
        let mut late: Vec<_> = marked.filter(|(due, _)| *due <= now).collect();
        late.sort();
        late.truncate(limit as usize);
        for (_, id) in &late {
            let mark = self.executions.get_mut(id).unwrap().unannounced.as_mut().unwrap();
            mark.1 = now.plus_milliseconds(again_after_ms);
        }
        late.into_iter().map(|(_, id)| id).collect()
    }

    fn live(&self, after: Option<&BranchKey>, limit: u32) -> Vec<StoredBranch> {
        let first = after.map_or(ExecutionId(uuid_of_nobody()), |key| key.execution);
        let records = self.executions.range(first..).map(|(_, record)| record);
        let rows = records.flat_map(|record| record.branches.values().map(move |row| (record, row)));
        let stored = rows.filter(|(record, row)| {
            after.is_none_or(|after| {
                (record.execution.id, row.path.as_str()) > (after.execution, after.branch.as_str())
            })
        });
        stored.take(limit as usize).map(|(record, row)| record.stored(row)).collect()
    }
}

/// Sorts before every id.
fn uuid_of_nobody() -> uuid::Uuid {
    uuid::Uuid::nil()
}

#[async_trait]
impl Store for MemoryStore {
    async fn start(&self, execution: NewExecution) -> Result<Started, Error> {
        Ok(self.state().start(execution, self.clock.now()))
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<Verdict>, Error> {
        batch.iter().try_for_each(Commit::check)?;
        let now = self.clock.now();
        let mut state = self.state();
        let max = state.history_events_max;
        Ok(batch.into_iter().map(|commit| state.commit(commit, now, max)).collect())
    }

    async fn branches(&self, keys: &[BranchKey]) -> Result<Vec<Option<StoredBranch>>, Error> {
        let state = self.state();
        let find = |key: &BranchKey| {
            let record = state.executions.get(&key.execution)?;
            Some(record.stored(record.row(&key.branch)?))
        };
        Ok(keys.iter().map(find).collect())
    }

    async fn body(&self, key: &BranchKey, seq: u32) -> Result<Option<Bytes>, Error> {
        let state = self.state();
        let record = state.executions.get(&key.execution);
        let entry = record.and_then(|record| record.history.get(&(key.branch.clone(), seq)));
        Ok(entry.map(|entry| entry.body.clone()))
    }

    async fn joined(&self, key: &BranchKey, fence: Fence) -> Result<Option<Joined>, Error> {
        Ok(self.state().joined(key, fence))
    }

    async fn fail_fork(&self, key: &BranchKey, fence: Fence, decide: OnFailed) -> Result<Verdict, Error> {
        self.state().fail_fork(key, fence, decide, self.clock.now())
    }

    async fn close(&self, execution: ExecutionId, decide: OnClose) -> Result<bool, Error> {
        Ok(self.state().close(execution, decide, self.clock.now()))
    }

    async fn last_rows(&self, keys: &[BranchKey]) -> Result<Vec<LastRows>, Error> {
        let state = self.state();
        Ok(keys.iter().map(|key| state.last_rows(key)).collect())
    }

    async fn redrive(&self, redrive: Redrive) -> Result<Redriven, Error> {
        Ok(self.state().redrive(redrive, self.clock.now()))
    }

    async fn redriven_as(
        &self,
        execution: ExecutionId,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        Ok(self.state().redriven_as(execution, token, now))
    }

    async fn claim_due(&self, claim: Claim) -> Result<Claimed, Error> {
        Ok(self.state().claim(claim))
    }

    async fn first_bodies(&self, executions: &[ExecutionId]) -> Result<Vec<Option<Bytes>>, Error> {
        let state = self.state();
        let first = |id: &ExecutionId| {
            let record = state.executions.get(id)?;
            Some(record.history[&(BranchPath::root(), 0)].body.clone())
        };
        Ok(executions.iter().map(first).collect())
    }

    async fn claim_unannounced(
        &self,
        now: Timestamp,
        again_after_ms: i64,
        limit: u32,
    ) -> Result<Vec<ExecutionId>, Error> {
        Ok(self.state().claim_unannounced(now, again_after_ms, limit))
    }

    async fn announced(&self, changes: &[Announced]) -> Result<(), Error> {
        let mut state = self.state();
        for change in changes {
            if let Some(record) = state.executions.get_mut(&change.execution) {
                record.unannounced = record.unannounced.filter(|(number, _)| *number > change.number);
            }
        }
        Ok(())
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ExecutionId>, Error> {
        let state = self.state();
        let running = state.executions.values().filter(|record| record.runs());
        let deadlines = running.filter_map(|record| Some((record.deadline?, record.execution.id)));
        let mut overdue: Vec<_> = deadlines.filter(|(deadline, _)| *deadline <= now).collect();
        overdue.sort();
        Ok(overdue.into_iter().take(limit as usize).map(|(_, id)| id).collect())
    }

    async fn live_branches(&self, after: Option<&BranchKey>, limit: u32) -> Result<Vec<StoredBranch>, Error> {
        Ok(self.state().live(after, limit))
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        Ok(self.clock.now())
    }

    async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.state().settings.entry(name.to_owned()).or_insert_with(|| initial.to_vec()).clone())
    }
}
