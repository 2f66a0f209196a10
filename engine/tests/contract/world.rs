//! What the promises of a store are told with: an adapter, a machine, and commits written short.

use std::sync::Arc;

use asl::branch::{BranchPath, EventRef};
use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use engine::ids::{ExecutionId, MachineId, RevisionId, Stamp};
use engine::ports::catalog::{Catalog, Created, Machine, Revision, WorkflowType};
use engine::ports::store::{
    BranchKey, Change, Closing, Commit, ExecutionStatus, Fence, HistoryRow, Launched, NewBranch,
    NewExecution, Phase, RowState, Started, Store, StoredBranch, Verdict,
};
use engine::ports::triggers::Triggers;

/// All that is kept.
pub trait Database: Store + Catalog + Triggers {}
impl<T: Store + Catalog + Triggers> Database for T {}

/// Opens stores.
#[async_trait]
pub trait Adapter: Send + Sync {
    /// A store in which nobody else writes. Adapters that keep things open the same data each time.
    async fn open(&self, history_events_max: u64) -> Arc<dyn Database>;
}

/// A time that every execution here starts at.
pub const START: Timestamp = Timestamp::from_milliseconds(1_700_000_000_000);
/// Room for any history here.
pub const PLENTY: u64 = 1_000_000;

/// A store with a machine.
pub struct World {
    pub db: Arc<dyn Database>,
    pub machine: Machine,
}

/// Where a branch is.
#[derive(Debug, Clone, PartialEq)]
pub struct At {
    pub key: BranchKey,
    pub fence: Fence,
}

/// What a commit that stands answers.
#[derive(Debug)]
pub struct Done {
    pub at: At,
    pub launched: Vec<Launched>,
    pub parent: Option<At>,
}

pub fn text(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

pub fn row(events: u16, body: &str) -> HistoryRow {
    HistoryRow { events, body: text(body) }
}

pub fn runnable() -> RowState {
    RowState { phase: Phase::Runnable, wake: None, due: None, task: None }
}

pub fn event(at: &At, offset: u16) -> EventRef {
    EventRef { branch: at.key.branch.clone(), seq: at.fence.seq, offset }
}

pub fn machine(name: &str) -> Machine {
    Machine {
        id: MachineId::new(),
        name: name.to_owned(),
        workflow_type: WorkflowType::Standard,
        created_at: START,
        revision: revision(true),
    }
}

pub fn revision(initial: bool) -> Revision {
    Revision {
        id: RevisionId::new(),
        initial,
        definition: "{\"StartAt\": \"é\"}".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/r".to_owned(),
        settings: "{}".to_owned(),
        created_at: START,
    }
}

pub fn closing(status: ExecutionStatus) -> Closing {
    Closing { status, at: START.plus_seconds(9), error: None, unannounced: false }
}

impl At {
    /// A commit of one event.
    pub fn commit(&self, change: Change) -> Commit {
        self.commit_events(1, change)
    }

    pub fn commit_events(&self, events: u16, change: Change) -> Commit {
        let body = format!("{}@{}", self.key.branch, self.fence.seq + 1);
        Commit {
            key: self.key.clone(),
            fence: self.fence,
            woken_at: None,
            history: row(events, &body),
            joins: false,
            change,
        }
    }

    pub fn moved(&self) -> Commit {
        self.commit(Change::Move(runnable()))
    }

    pub fn forked(&self, children: u32, window: u32) -> Commit {
        let child = |index| NewBranch {
            branch: self.key.branch.child(self.fence.seq + 1, index),
            history: row(0, &format!("item {index}")),
        };
        self.commit(Change::Fork { children: (0..children).map(child).collect(), window })
    }

    /// An end of two events, the last of which only closes the iteration.
    pub fn ended(&self) -> Commit {
        self.end(false)
    }

    pub fn failed(&self) -> Commit {
        self.end(true)
    }

    fn end(&self, failed: bool) -> Commit {
        let at = At { fence: Fence { seq: self.fence.seq + 1, ..self.fence }, ..self.clone() };
        let (last, last_inner) = (event(&at, 1), event(&at, 0));
        self.commit_events(2, Change::EndBranch { failed, last, last_inner })
    }

    pub fn joined(&self) -> Commit {
        Commit { joins: true, ..self.commit(Change::Move(runnable())) }
    }

    pub fn finished(&self) -> Commit {
        self.commit(Change::Finish(closing(ExecutionStatus::Succeeded)))
    }

    pub fn child(&self, launched: &Launched) -> At {
        let key = BranchKey { execution: self.key.execution, branch: launched.branch.clone() };
        At { key, fence: launched.fence }
    }

    /// The same place with a stamp that nobody drew.
    pub fn forged(&self) -> At {
        let stamp = Stamp(self.fence.stamp.0 ^ 1);
        At { fence: Fence { stamp, ..self.fence }, ..self.clone() }
    }
}

impl World {
    pub async fn new(adapter: &dyn Adapter) -> Self {
        Self::with_history(adapter, PLENTY).await
    }

    pub async fn with_history(adapter: &dyn Adapter, history_events_max: u64) -> Self {
        let db = adapter.open(history_events_max).await;
        let machine = machine("orders");
        assert_eq!(db.create_machine(machine.clone(), Vec::new()).await.unwrap(), Created::New);
        World { db, machine }
    }

    pub fn execution(&self, name: Option<&str>) -> NewExecution {
        let id = ExecutionId::new();
        NewExecution {
            id,
            machine: self.machine.id,
            machine_name: self.machine.name.clone(),
            revision: self.machine.revision.id,
            qualifier: None,
            name: name.map_or_else(|| id.to_string(), str::to_owned),
            input_hash: [7; 32],
            started_at: START,
            deadline: None,
            history: row(1, "input"),
        }
    }

    /// The root of a new execution, which has recorded one event.
    pub async fn start(&self) -> At {
        self.start_as(self.execution(None)).await
    }

    pub async fn start_as(&self, execution: NewExecution) -> At {
        let key = BranchKey { execution: execution.id, branch: BranchPath::root() };
        match self.db.start(execution).await.unwrap() {
            Started::Created(fence) => At { key, fence },
            other => panic!("{other:?}"),
        }
    }

    pub async fn commit(&self, commit: Commit) -> Verdict {
        let [verdict] = self.db.commit(vec![commit]).await.unwrap().try_into().unwrap();
        verdict
    }

    /// Commits what must pass.
    pub async fn pass(&self, commit: Commit) -> Done {
        let key = commit.key.clone();
        done(key, self.commit(commit).await)
    }

    /// Commits, as one batch, what must pass.
    pub async fn pass_all(&self, batch: Vec<Commit>) -> Vec<Done> {
        let keys: Vec<_> = batch.iter().map(|commit| commit.key.clone()).collect();
        let verdicts = self.db.commit(batch).await.unwrap();
        keys.into_iter().zip(verdicts).map(|(key, verdict)| done(key, verdict)).collect()
    }

    /// A fork of which all children run, and its children.
    pub async fn fork(&self, parent: &At, children: u32) -> (At, Vec<At>) {
        let Done { at, launched, .. } = self.pass(parent.forked(children, children)).await;
        let children = launched.iter().map(|launched| at.child(launched)).collect();
        (at, children)
    }

    pub async fn stored(&self, key: &BranchKey) -> Option<StoredBranch> {
        self.db.branches(std::slice::from_ref(key)).await.unwrap().pop().unwrap()
    }

    /// All branch paths of an execution, in key order.
    pub async fn paths(&self, execution: ExecutionId) -> Vec<String> {
        let live = self.db.live_branches(None, u32::MAX).await.unwrap();
        let own = live.into_iter().filter(|branch| branch.key.execution == execution);
        own.map(|branch| branch.key.branch.to_string()).collect()
    }

    /// The history as `id branch@seq` of each row with events; checks that ids have no gap.
    pub async fn history(&self, execution: ExecutionId) -> Vec<String> {
        let rows = self.db.history(execution, 1, u32::MAX, false).await.unwrap();
        let mut next = 1;
        for row in &rows {
            assert_eq!(row.first_id, next, "ids follow each other");
            next += u64::from(row.events);
        }
        assert_eq!(self.db.history_events(execution).await.unwrap(), next - 1);
        rows.iter().map(|row| format!("{} {}@{}", row.first_id, row.branch, row.seq)).collect()
    }
}

/// A verdict that must be [`Verdict::Done`].
pub fn done(key: BranchKey, verdict: Verdict) -> Done {
    match verdict {
        Verdict::Done { fence, launched, parent } => {
            let parent = parent.map(|(key, fence)| At { key, fence });
            Done { at: At { key, fence }, launched, parent }
        }
        other => panic!("{other:?} for {key:?}"),
    }
}

/// The paths of what was launched.
pub fn names(launched: &Done) -> Vec<&str> {
    launched.launched.iter().map(|launched| launched.branch.as_str()).collect()
}
