//! What the store is asked to set going again.

use asl::branch::{BranchPath, EventRef};
use asl::data::timestamp::Timestamp;
use bytes::Bytes;

use super::{Fence, HistoryRow, RowState};
use crate::ids::ExecutionId;

/// How long a token of a redrive is remembered (AWS, 15 minutes).
pub const TOKEN_MILLISECONDS: i64 = 15 * 60 * 1_000;
/// How many tokens of an execution are remembered (AWS).
pub const TOKENS_MAX: u32 = 10;

/// The last history rows of a branch, the newest first: `seq` and body of each, at most two.
pub type LastRows = Vec<(u32, Bytes)>;

/// A closed execution as it goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Redrive {
    /// Which.
    pub execution: ExecutionId,
    /// How often it must have been redriven before, or nothing changes.
    pub redriven_before: u32,
    /// When.
    pub at: Timestamp,
    /// Its place in lists from now on: that of an execution with this id.
    pub place: ExecutionId,
    /// When it times out.
    pub deadline: Option<Timestamp>,
    /// What its caller calls this redrive.
    pub token: Option<String>,
    /// Whether it is to be kept in mind until it is [`announced`](super::Store::announced).
    pub unannounced: bool,
    /// Its branches: the root first, parents before their children.
    pub branches: Vec<Rebuilt>,
}

/// A branch row to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    /// Its path.
    pub branch: BranchPath,
    /// Its `seq`, of which there is no history row yet.
    pub seq: u32,
    /// What it does.
    pub state: RowState,
    /// Its children, if it has forked.
    pub fork: Option<RebuiltFork>,
    /// For one that is runnable as its children have ended: the event that it follows.
    pub cause: Option<EventRef>,
    /// Its history row.
    pub history: RebuiltHistory,
}

/// The children of a row to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuiltFork {
    /// How many.
    pub children: u32,
    /// The index of the next one to launch.
    pub launched: u32,
    /// How many have not ended.
    pub open: u32,
}

/// The history row of a branch to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RebuiltHistory {
    /// This.
    New(HistoryRow),
    /// Of one that has ended: the body of another row of the same execution, without its events.
    Copy(BranchPath, u32),
}

/// What became of a redrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redriven {
    /// It runs; its branches are at these fences, in the order they were given in.
    Done(Vec<Fence>),
    /// It has closed unannounced, and is to be [`announced`](super::Store::announced) first. Nothing changed.
    Unannounced,
    /// It is not closed, was redriven by somebody else, or is gone, or its machine is. Nothing changed.
    Stale,
}
