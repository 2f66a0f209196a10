//! Branch rows.

use std::fmt::Debug;

use asl::branch::EventRef;
use asl::data::timestamp::Timestamp;
use bytes::Bytes;

use super::Columns;
use crate::ids::{ExecutionId, Stamp};
use crate::ports::store::{BranchKey, Error, Fence, Phase, RowState, StoredBranch};

/// A branch row. How events are counted is each database's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<Events> {
    /// Which branch.
    pub key: BranchKey,
    /// Where it is.
    pub fence: Fence,
    /// What it does.
    pub state: RowState,
    /// When it last moved.
    pub moved_at: Timestamp,
    /// How many events are recorded.
    pub events: Events,
    /// Its children, from its fork until its next transition.
    pub fork: Option<Fork>,
    /// The event its start follows, or the end that made it runnable.
    pub cause: Option<EventRef>,
}

/// The children of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// How many.
    pub children: u32,
    /// How many have run or run; also the index of the next one to launch.
    pub launched: u32,
    /// How many have not ended.
    pub open: u32,
    /// Index of the first that failed.
    pub failed: Option<u32>,
}

impl<Events> Row<Events> {
    /// The row as the port tells it.
    pub fn stored(self, body: Bytes) -> StoredBranch {
        let failed = self.fork.and_then(|fork| fork.failed);
        StoredBranch {
            failed_child: failed.map(|index| self.key.branch.child(self.fence.seq, index)),
            key: self.key,
            fence: self.fence,
            state: self.state,
            moved_at: self.moved_at,
            cause: self.cause,
            body,
        }
    }

    /// Whether it is at this fence, runnable, and its fork as asked.
    pub fn is_runnable_parent(&self, fence: Fence, asked: impl Fn(Fork) -> bool) -> bool {
        self.fence == fence && self.state.phase == Phase::Runnable && self.fork.is_some_and(asked)
    }
}

/// The columns of a branch row `b`, in the order [`decode`] reads them. Behind them is what the database counts.
macro_rules! row_columns {
    () => {
        "b.execution, b.branch, b.seq, b.stamp, b.phase, b.moved_at, b.wake, b.due, b.task, \
         b.children, b.launched, b.open, b.failed, b.cause"
    };
}
pub(in crate::adapters) use row_columns;

/// The first column behind [`row_columns`].
pub const BEHIND_ROW: usize = 14;

/// Reads [`row_columns`].
pub fn decode<R: Columns, Events>(row: &R, events: Events) -> Result<Row<Events>, R::Error> {
    let key = BranchKey { execution: ExecutionId(row.id(0)?), branch: row.path(1)? };
    let state = RowState {
        phase: phase(row.number(4)?)?,
        wake: row.maybe_time(6)?,
        due: row.maybe_time(7)?,
        task: row.maybe_number(8)?,
    };
    let fork = match row.maybe_number(9)? {
        Some(children) => Some(Fork {
            children,
            launched: row.number(10)?,
            open: row.number(11)?,
            failed: row.maybe_number(12)?,
        }),
        None => None,
    };
    let cause = row.maybe_text(13)?.map(str::parse).transpose();
    Ok(Row {
        key,
        fence: Fence { seq: row.number(2)?, stamp: Stamp(row.number(3)?) },
        state,
        moved_at: row.time(5)?,
        events,
        fork,
        cause: cause.map_err(Error::corrupt)?,
    })
}

/// A phase as it is stored. Statements name some of these numbers.
pub fn phase_number(phase: Phase) -> i16 {
    match phase {
        Phase::Runnable => 0,
        Phase::Sleeping => 1,
        Phase::Dispatched => 2,
        Phase::Forked => 3,
        Phase::Queued => 4,
        Phase::Ended => 5,
    }
}

fn phase(number: i16) -> Result<Phase, Error> {
    Ok(match number {
        0 => Phase::Runnable,
        1 => Phase::Sleeping,
        2 => Phase::Dispatched,
        3 => Phase::Forked,
        4 => Phase::Queued,
        5 => Phase::Ended,
        _ => return Err(Error::corrupt(format_args!("{number} is no phase"))),
    })
}

/// A number as databases count. No count comes near the end of its range.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Rows with their bodies, each in its place among so many that were asked for.
pub fn in_places<Events>(found: Vec<(usize, Row<Events>, Bytes)>, asked: usize) -> Vec<Option<StoredBranch>> {
    let mut branches = vec![None; asked];
    for (place, row, body) in found {
        if let Some(slot) = branches.get_mut(place) {
            *slot = Some(row.stored(body));
        }
    }
    branches
}

/// The row, if it can be read: one that cannot must not keep all others from going on.
pub fn readable<E: Debug>(decoded: Result<StoredBranch, E>) -> Option<StoredBranch> {
    decoded.inspect_err(|error| tracing::error!(?error, "a branch is left aside")).ok()
}
