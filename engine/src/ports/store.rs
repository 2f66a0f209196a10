//! The store: keeps Standard executions. This is its writing half; reading for the API is
//! [`catalog`](super::catalog).
//!
//! Two rows carry an execution's progress. A *branch row* is the fence: it exists while the branch does,
//! and a commit passes only if it names the row's `(seq, stamp)`. A *history row* is appended by each
//! transition: its events, and the branch's value after it. Bodies are opaque bytes to the store.

use std::sync::Arc;

use asl::branch::{BranchPath, EventRef};
use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

use super::catalog::versions::Qualifier;
use crate::ids::{ExecutionId, MachineId, RevisionId, Stamp};
use changes::Announced;
use redrive::{LastRows, Redrive, Redriven};

pub mod changes;
mod checks;
pub mod redrive;

/// How long after a commit that no delivery stands behind the scheduler looks after its row (10 s).
pub const OUTBOX_MILLISECONDS: i64 = 10_000;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away, busy or full; nothing is known about what was asked. Do it again as if redelivered.
    #[error("failed to reach the store: {0}")]
    Unavailable(String),
    /// A row cannot be read: a fault of the data or of Warren, which repeating does not mend.
    #[error("failed to read what the store holds: {0}")]
    Corrupt(String),
}

impl Error {
    /// For a value that no commit of ours writes.
    pub fn corrupt(what: impl std::fmt::Display) -> Self {
        Error::Corrupt(what.to_string())
    }
}

/// Names a branch of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchKey {
    /// The execution.
    pub execution: ExecutionId,
    /// The branch in it.
    pub branch: BranchPath,
}

impl BranchKey {
    /// The branch whose fork this one is a child of; `None` for a root.
    pub fn parent(&self) -> Option<Self> {
        Some(BranchKey { execution: self.execution, branch: self.branch.place()?.parent })
    }
}

/// What a commit must find, or it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// Transitions that the branch has made (0 after it was created).
    pub seq: u32,
    /// The stamp of the last of them.
    pub stamp: Stamp,
}

/// What a branch is doing, between two transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A message that moves it on is, or should be, on its way.
    Runnable,
    /// It waits for a time.
    Sleeping,
    /// A task is out.
    Dispatched,
    /// Its children run.
    Forked,
    /// It waits for room in its fork.
    Queued,
    /// It has ended and waits for its siblings.
    Ended,
}

/// The state of a branch row after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowState {
    /// What the branch does next.
    pub phase: Phase,
    /// When its timer fires; a timer never takes effect earlier.
    pub wake: Option<Timestamp>,
    /// When the scheduler looks at the row (timers, and commits without a delivery behind them).
    pub due: Option<Timestamp>,
    /// `seq` of the transition that scheduled the task that is out.
    pub task: Option<u32>,
}

impl RowState {
    /// In this phase, with no timer and no task.
    pub fn at_rest(phase: Phase) -> Self {
        RowState { phase, wake: None, due: None, task: None }
    }
}

/// What a transition appends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// How many history events the body holds.
    pub events: u16,
    /// The events, and the branch's value after them.
    pub body: Bytes,
}

/// One fenced transition.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Which branch.
    pub key: BranchKey,
    /// What it must be at. The commit moves it to `seq + 1` with a fresh stamp.
    pub fence: Fence,
    /// A timer's commit: passes only if the row's `wake` is not after this time.
    pub woken_at: Option<Timestamp>,
    /// Appended under `seq + 1`.
    pub history: HistoryRow,
    /// Whether this is the parent's transition after all its children ended: all rows below it go first,
    /// whatever `change` says.
    pub joins: bool,
    /// What else changes.
    pub change: Change,
}

/// What a commit does beside moving the fence and appending history. All of it is one atomic step.
#[derive(Debug, Clone)]
pub enum Change {
    /// The branch goes on.
    Move(RowState),
    /// Its children are made: the first `window` runnable, the others queued. The row's phase becomes
    /// [`Phase::Forked`]; with no children it is an error.
    Fork {
        /// In index order; paths are those of the fork `seq + 1`.
        children: Vec<NewBranch>,
        /// How many run at a time; at least 1.
        window: u32,
    },
    /// A child branch ends. Its row stays as [`Phase::Ended`] until the fork is joined. Its parent has
    /// one open child less; the next queued sibling becomes runnable in its place. When no child is open,
    /// or this one failed, the parent becomes runnable with a fresh stamp, once. Whichever becomes runnable
    /// is `due` [`OUTBOX_MILLISECONDS`] later, until it moves: the end may have no delivery behind it that
    /// comes back.
    EndBranch {
        /// Whether it failed; then no sibling is launched.
        failed: bool,
        /// Its last event: what the parent's next event follows.
        last: EventRef,
        /// Its last event but the closing `MapIterationSucceeded`: what a sibling's start follows.
        last_inner: EventRef,
    },
    /// The root ends, and the execution with it. All its branch rows are deleted.
    Finish(Closing),
}

/// A branch to be made.
#[derive(Debug, Clone)]
pub struct NewBranch {
    /// Its path.
    pub branch: BranchPath,
    /// Its `seq` 0 row: no events, the value it starts with.
    pub history: HistoryRow,
}

/// How an execution closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Any but [`ExecutionStatus::Running`].
    pub status: ExecutionStatus,
    /// When.
    pub at: Timestamp,
    /// The error name, for lists.
    pub error: Option<String>,
    /// Whether nobody answers for its announcement, as no delivery comes back: then the store keeps it in mind
    /// until it is [`announced`](Store::announced), and it can be [claimed](Store::claim_unannounced) from 10
    /// seconds later on.
    pub unannounced: bool,
}

/// Status of an execution, as the API says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the API")]
pub enum ExecutionStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl ExecutionStatus {
    /// All of them.
    pub const ALL: [ExecutionStatus; 5] = [
        ExecutionStatus::Running,
        ExecutionStatus::Succeeded,
        ExecutionStatus::Failed,
        ExecutionStatus::TimedOut,
        ExecutionStatus::Aborted,
    ];

    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            ExecutionStatus::Running => "RUNNING",
            ExecutionStatus::Succeeded => "SUCCEEDED",
            ExecutionStatus::Failed => "FAILED",
            ExecutionStatus::TimedOut => "TIMED_OUT",
            ExecutionStatus::Aborted => "ABORTED",
        }
    }
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It stands; the row is now at this fence.
    Done {
        /// The row's new fence.
        fence: Fence,
        /// Children that became runnable: those of the fork's first window, or the sibling launched.
        launched: Vec<Launched>,
        /// The parent, if this made it runnable.
        parent: Option<(BranchKey, Fence)>,
    },
    /// The row is gone or elsewhere: somebody else was first. Nothing changed.
    Stale,
    /// The history has no room for these events. Nothing changed; the execution must be failed with
    /// [`Store::close`]. The limit is exact where one branch runs. A child counts from what was recorded when
    /// it began, so open siblings may together overshoot it before one of them is told.
    HistoryFull,
}

/// A child that became runnable.
#[derive(Debug, Clone, PartialEq)]
pub struct Launched {
    /// The child.
    pub branch: BranchPath,
    /// Its fence.
    pub fence: Fence,
    /// The event its start follows, where a sibling's end made room for it.
    pub after: Option<EventRef>,
    /// Its `seq` 0 body.
    pub body: Bytes,
}

/// A branch row with the body of its last history row.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBranch {
    /// Which branch.
    pub key: BranchKey,
    /// Where it is.
    pub fence: Fence,
    /// What it does.
    pub state: RowState,
    /// When it last moved.
    pub moved_at: Timestamp,
    /// The event its start follows (launched child), or the end that made it runnable (parent).
    pub cause: Option<EventRef>,
    /// For a parent made runnable by a failed child: that child.
    pub failed_child: Option<BranchPath>,
    /// The body of its last history row.
    pub body: Bytes,
}

/// Children's last bodies that one join reads, together, in bytes (256 MiB). Outputs that large are over
/// any payload limit, so nothing is lost by not reading them.
pub const JOIN_BYTES_MAX: usize = 268_435_456;

/// What a join reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// The parent, which must be runnable.
    pub parent: StoredBranch,
    /// The last body of each child, in index order; none of them if they are `too_large`.
    pub bodies: Vec<Bytes>,
    /// Whether the bodies have more than [`JOIN_BYTES_MAX`] bytes together.
    pub too_large: bool,
    /// Events that all descendants have recorded.
    pub events: u64,
}

/// What is left below a parent whose child failed, at the moment its rows are deleted.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The parent.
    pub parent: StoredBranch,
    /// The child that failed.
    pub child: StoredBranch,
    /// All other descendants that had begun and not ended, in path order.
    pub aborted: Vec<StoredBranch>,
    /// Events that all descendants have recorded.
    pub events: u64,
    /// The ids of events, for texts that name them.
    pub ids: Arc<dyn EventIds>,
}

/// Resolves event references to ids, from within the transaction that asks.
pub trait EventIds: Send + Sync + std::fmt::Debug {
    /// The id of an event that is recorded.
    fn id(&self, event: &EventRef) -> Option<u64>;
}

/// What is known about an execution at the moment it is closed.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its root branch.
    pub root: StoredBranch,
    /// Events that it has recorded.
    pub events: u64,
    /// When it times out. A redrive sets another one.
    pub deadline: Option<Timestamp>,
}

/// History rows to append when an execution is closed from outside its own transitions.
#[derive(Debug, Clone)]
pub struct Last {
    /// Rows with the branch and `seq` they stand under.
    pub rows: Vec<(BranchPath, u32, HistoryRow)>,
    /// How it closes.
    pub closing: Closing,
}

/// Decides, from what was left, what the parent's transition is. Pure; called inside the transaction.
/// `None` undoes the transaction: nothing changed, and the answer is [`Verdict::Stale`].
pub type OnFailed = Box<dyn FnOnce(Failed) -> Option<Commit> + Send>;
/// Decides, from what was open, what is appended. `None` leaves the execution as it is. Pure.
pub type OnClose = Box<dyn FnOnce(Open) -> Option<Last> + Send>;

/// An execution to be made.
#[derive(Debug, Clone)]
pub struct NewExecution {
    /// Drawn by the caller.
    pub id: ExecutionId,
    /// Its machine.
    pub machine: MachineId,
    /// The machine's name, by which it is found.
    pub machine_name: String,
    /// The definition it runs, whatever becomes of the machine.
    pub revision: RevisionId,
    /// The version or alias it is started by.
    pub qualifier: Option<Qualifier>,
    /// Its name; unique among the machine's if the caller gave it, else the id as text.
    pub name: String,
    /// Equal for equal inputs: tells a repeated start from another one.
    pub input_hash: [u8; 32],
    /// When it starts.
    pub started_at: Timestamp,
    /// When it times out.
    pub deadline: Option<Timestamp>,
    /// The root's `seq` 0 row: `ExecutionStarted`, and the value it starts with.
    pub history: HistoryRow,
}

/// What became of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It exists; its root branch is at this fence.
    Created(Fence),
    /// The name is taken by this execution.
    NameTaken {
        /// Which.
        id: ExecutionId,
        /// Its input.
        input_hash: [u8; 32],
        /// Its status.
        status: ExecutionStatus,
        /// When it started.
        started_at: Timestamp,
    },
    /// The machine is gone.
    NoMachine,
}

/// Which due rows a scheduler takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Rows that are due by then.
    pub now: Timestamp,
    /// When a row that was taken is due again.
    pub again_after_ms: i64,
    /// Runnable rows must have moved before this.
    pub moved_before: Timestamp,
    /// How many rows at most.
    pub limit: u32,
}

/// Rows that were due.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Those to be seen to.
    pub rows: Vec<StoredBranch>,
    /// Whether as many as asked were due: there may be more.
    pub more: bool,
}

/// Keeps Standard executions.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes an execution with its root branch ([`Phase::Runnable`]), or tells who has the name. Atomic.
    async fn start(&self, execution: NewExecution) -> Result<Started, Error>;

    /// Commits a batch. Each member is atomic and answered for itself, in order: one stale member leaves
    /// the others alone. Members for the same branch are taken in order. A failure says nothing about
    /// any member.
    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<Verdict>, Error>;

    /// Branch rows with their last bodies; `None` where there is no such row. In the order asked.
    async fn branches(&self, keys: &[BranchKey]) -> Result<Vec<Option<StoredBranch>>, Error>;

    /// The body of one transition of a branch; `None` where there is none.
    async fn body(&self, key: &BranchKey, seq: u32) -> Result<Option<Bytes>, Error>;

    /// What a join reads, if the parent is still at this fence, runnable and all children have ended.
    async fn joined(&self, key: &BranchKey, fence: Fence) -> Result<Option<Joined>, Error>;

    /// In one transaction: locks the parent (if it is still at this fence and runnable because a child
    /// failed, else [`Verdict::Stale`]), collects and deletes all descendants, asks `decide` for the
    /// parent's transition, commits it (its `change` is [`Change::Move`], [`Change::EndBranch`] or
    /// [`Change::Finish`]).
    async fn fail_fork(&self, key: &BranchKey, fence: Fence, decide: OnFailed) -> Result<Verdict, Error>;

    /// In one transaction: if the execution runs, asks `decide`, appends, deletes all its branch rows and
    /// closes it. Answers whether this call closed it.
    async fn close(&self, execution: ExecutionId, decide: OnClose) -> Result<bool, Error>;

    /// The last history rows of each of these branches, in the order asked; none where there is no such branch.
    async fn last_rows(&self, keys: &[BranchKey]) -> Result<Vec<LastRows>, Error>;

    /// Makes a closed execution run again, with these branches, if it was redriven as often as told and its machine
    /// is there. Atomic: once a machine is deleted, none of its executions begins to run. What it has recorded stays; its branches count as having recorded nothing yet, and the root as all of it.
    async fn redrive(&self, redrive: Redrive) -> Result<Redriven, Error>;

    /// When a redrive of this execution was made under this token, if that is still remembered at `now`: of its
    /// last [`TOKENS_MAX`](redrive::TOKENS_MAX) redrives, within
    /// [`TOKEN_MILLISECONDS`](redrive::TOKEN_MILLISECONDS).
    async fn redriven_as(
        &self,
        execution: ExecutionId,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error>;

    /// Claims branch rows with `due` not after `claim.now`, the earliest first: each is set `due` = `now` +
    /// `again_after_ms`, so that another scheduler leaves it alone for so long. Answers those whose message
    /// should be in flight and is not: timers, and runnable rows that moved before `moved_before`, whose
    /// `moved_at` becomes `now`; a younger runnable row is only put off, as its message may still wait in
    /// its queue. May be answered twice after a crash.
    async fn claim_due(&self, claim: Claim) -> Result<Claimed, Error>;

    /// The bodies of the roots' `seq` 0 rows, in the order asked; `None` where there is no such execution.
    async fn first_bodies(&self, executions: &[ExecutionId]) -> Result<Vec<Option<Bytes>>, Error>;

    /// Claims executions that closed unannounced and have been so for 10 seconds at `now`, the longest first, at
    /// most `limit`. Another claim leaves them alone for `again_after_ms`. They are claimed again after that,
    /// until they are announced.
    async fn claim_unannounced(
        &self,
        now: Timestamp,
        again_after_ms: i64,
        limit: u32,
    ) -> Result<Vec<ExecutionId>, Error>;

    /// These are announced, and need not be kept in mind, unless they have changed since. One that was never
    /// unannounced is no error.
    async fn announced(&self, changes: &[Announced]) -> Result<(), Error>;

    /// Running executions whose deadline is not after `now`, at most `limit`.
    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ExecutionId>, Error>;

    /// All branch rows in key order, after `after`, at most `limit`: what a recovery walks through.
    async fn live_branches(&self, after: Option<&BranchKey>, limit: u32) -> Result<Vec<StoredBranch>, Error>;

    /// The time of the deployment's one clock; an answer shows that the store is there.
    async fn now(&self) -> Result<Timestamp, Error>;

    /// What the whole deployment shares under this name: the first value that anybody offered.
    async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>, Error>;
}
