//! Branch rows: as they are stored, read and written.
//!
//! Statements take any number of rows at once, as one JSON array of arrays: a round trip to the connection's
//! thread costs more than a row.

use asl::branch::{BranchPath, EventRef};
use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use serde::Serialize;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, query};
use uuid::Uuid;

use super::failure::{corrupt, failure};
use crate::ids::{ExecutionId, Stamp};
use crate::ports::store::{BranchKey, Error, Fence, Phase, RowState, StoredBranch};

/// A branch row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) key: BranchKey,
    pub(super) fence: Fence,
    pub(super) state: RowState,
    pub(super) moved_at: Timestamp,
    /// Recorded by this branch and by all that it joined.
    pub(super) events: u64,
    /// Its children, from its fork until its next transition.
    pub(super) fork: Option<Fork>,
    pub(super) cause: Option<EventRef>,
}

/// The children of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fork {
    pub(super) children: u32,
    /// How many have run or run; also the index of the next one to launch.
    pub(super) launched: u32,
    /// How many have not ended.
    pub(super) open: u32,
    /// Index of the first that failed.
    pub(super) failed: Option<u32>,
}

impl Row {
    /// A row of a branch that has made no transition.
    pub(super) fn new(key: BranchKey, phase: Phase, now: Timestamp) -> Self {
        Row {
            key,
            fence: Fence { seq: 0, stamp: Stamp::draw() },
            state: RowState { phase, wake: None, due: None, task: None },
            moved_at: now,
            events: 0,
            fork: None,
            cause: None,
        }
    }

    pub(super) fn failed_child(&self) -> Option<BranchPath> {
        let index = self.fork?.failed?;
        Some(self.key.branch.child(self.fence.seq, index))
    }

    pub(super) fn stored(self, body: Bytes) -> StoredBranch {
        StoredBranch {
            failed_child: self.failed_child(),
            key: self.key,
            fence: self.fence,
            state: self.state,
            moved_at: self.moved_at,
            cause: self.cause,
            body,
        }
    }
}

/// The columns of a branch row `b`, in the order [`decode`] reads them; they are followed by the body of its
/// last history row `h` where that is asked for.
macro_rules! branch_columns {
    () => {
        "b.execution, b.branch, b.seq, b.stamp, b.phase, b.moved_at, b.wake, b.due, b.task, b.events, \
         b.children, b.launched, b.open, b.failed, b.cause"
    };
}
/// Joins to a branch row `b` its last history row `h`.
macro_rules! last_history {
    () => {
        " CROSS JOIN history h ON h.execution = b.execution AND h.branch = b.branch AND h.seq = b.seq "
    };
}
pub(super) use {branch_columns, last_history};

/// Column of the body, after [`branch_columns`].
const BODY: usize = 15;

/// Reads a number that must be there.
pub(super) fn number<T: TryFrom<i64>>(row: &SqliteRow, column: usize) -> Result<T, Error> {
    let value: i64 = row.try_get(column).map_err(failure)?;
    T::try_from(value).map_err(|_| corrupt(format_args!("column {column}: {value} is out of range")))
}

/// Reads a number or nothing.
pub(super) fn maybe_number<T: TryFrom<i64>>(row: &SqliteRow, column: usize) -> Result<Option<T>, Error> {
    let Some(value) = row.try_get::<Option<i64>, _>(column).map_err(failure)? else { return Ok(None) };
    let number = T::try_from(value);
    number.map(Some).map_err(|_| corrupt(format_args!("column {column}: {value} is out of range")))
}

pub(super) fn time(row: &SqliteRow, column: usize) -> Result<Timestamp, Error> {
    number::<i64>(row, column).map(Timestamp::from_milliseconds)
}

pub(super) fn maybe_time(row: &SqliteRow, column: usize) -> Result<Option<Timestamp>, Error> {
    Ok(maybe_number::<i64>(row, column)?.map(Timestamp::from_milliseconds))
}

pub(super) fn id(row: &SqliteRow, column: usize) -> Result<Uuid, Error> {
    let bytes: &[u8] = row.try_get(column).map_err(failure)?;
    Uuid::from_slice(bytes).map_err(corrupt)
}

pub(super) fn bytes(row: &SqliteRow, column: usize) -> Result<Bytes, Error> {
    row.try_get::<Vec<u8>, _>(column).map(Bytes::from).map_err(failure)
}

pub(super) fn text(row: &SqliteRow, column: usize) -> Result<String, Error> {
    row.try_get(column).map_err(failure)
}

pub(super) fn path(row: &SqliteRow, column: usize) -> Result<BranchPath, Error> {
    row.try_get::<&str, _>(column).map_err(failure)?.parse().map_err(corrupt)
}

/// A number as the database counts. No count comes near the end of its range.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn blob(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

pub(super) fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

/// Rows as a statement takes them.
pub(super) fn json<T: Serialize>(rows: &[T]) -> Result<String, Error> {
    serde_json::to_string(rows).map_err(corrupt)
}

fn phase_number(phase: Phase) -> u8 {
    match phase {
        Phase::Runnable => 0,
        Phase::Sleeping => 1,
        Phase::Dispatched => 2,
        Phase::Forked => 3,
        Phase::Queued => 4,
        Phase::Ended => 5,
    }
}

fn phase(number: u8) -> Result<Phase, Error> {
    Ok(match number {
        0 => Phase::Runnable,
        1 => Phase::Sleeping,
        2 => Phase::Dispatched,
        3 => Phase::Forked,
        4 => Phase::Queued,
        5 => Phase::Ended,
        _ => return Err(corrupt(format_args!("{number} is no phase"))),
    })
}

/// Reads [`branch_columns`].
pub(super) fn decode(row: &SqliteRow) -> Result<Row, Error> {
    let key = BranchKey { execution: ExecutionId(id(row, 0)?), branch: path(row, 1)? };
    let state = RowState {
        phase: phase(number(row, 4)?)?,
        wake: maybe_time(row, 6)?,
        due: maybe_time(row, 7)?,
        task: maybe_number(row, 8)?,
    };
    let fork = match maybe_number(row, 10)? {
        Some(children) => Some(Fork {
            children,
            launched: number(row, 11)?,
            open: number(row, 12)?,
            failed: maybe_number(row, 13)?,
        }),
        None => None,
    };
    let cause: Option<&str> = row.try_get(14).map_err(failure)?;
    Ok(Row {
        key,
        fence: Fence { seq: number(row, 2)?, stamp: Stamp(number(row, 3)?) },
        state,
        moved_at: time(row, 5)?,
        events: number(row, 9)?,
        fork,
        cause: cause.map(str::parse).transpose().map_err(corrupt)?,
    })
}

/// Reads [`branch_columns`] and the body after them.
pub(super) fn decode_stored(row: &SqliteRow) -> Result<StoredBranch, Error> {
    Ok(decode(row)?.stored(bytes(row, BODY)?))
}

/// The rows among `keys` that exist.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    keys: impl Iterator<Item = &BranchKey>,
) -> Result<Vec<Row>, Error> {
    const LOAD: &str = concat!(
        "SELECT ",
        branch_columns!(),
        " FROM json_each(?1) k CROSS JOIN branches b",
        " ON b.execution = unhex(k.value ->> 0) AND b.branch = k.value ->> 1"
    );
    let found = query(LOAD).bind(json_keys(keys)?).fetch_all(connection).await.map_err(failure)?;
    found.iter().map(decode).collect()
}

/// The same with bodies, each with its position in `keys`.
pub(super) async fn load_with_bodies(
    connection: &mut SqliteConnection,
    keys: impl Iterator<Item = &BranchKey>,
) -> Result<Vec<(usize, Row, Bytes)>, Error> {
    const LOAD: &str = concat!(
        "SELECT ",
        branch_columns!(),
        ", h.body, k.key FROM json_each(?1) k CROSS JOIN branches b",
        " ON b.execution = unhex(k.value ->> 0) AND b.branch = k.value ->> 1",
        last_history!()
    );
    let found = query(LOAD).bind(json_keys(keys)?).fetch_all(connection).await.map_err(failure)?;
    found.iter().map(|row| Ok((number(row, BODY + 1)?, decode(row)?, bytes(row, BODY)?))).collect()
}

fn json_keys<'a>(keys: impl Iterator<Item = &'a BranchKey>) -> Result<String, Error> {
    let keys: Vec<_> = keys.map(|key| (hex(key.execution.0), &key.branch)).collect();
    json(&keys)
}

/// Makes or overwrites rows.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    rows: impl Iterator<Item = &Row>,
) -> Result<(), Error> {
    const PUT: &str = "
        INSERT INTO branches (execution, branch, seq, stamp, phase, moved_at, wake, due, task, events,
                              children, launched, open, failed, cause)
        SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
               value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11,
               value ->> 12, value ->> 13, value ->> 14
        FROM json_each(?1) WHERE true
        ON CONFLICT (execution, branch) DO UPDATE SET
            seq = excluded.seq, stamp = excluded.stamp, phase = excluded.phase,
            moved_at = excluded.moved_at, wake = excluded.wake, due = excluded.due, task = excluded.task,
            events = excluded.events, children = excluded.children, launched = excluded.launched,
            open = excluded.open, failed = excluded.failed, cause = excluded.cause";
    let rows: Vec<_> = rows.map(encode).collect();
    if rows.is_empty() {
        return Ok(());
    }
    query(PUT).bind(json(&rows)?).execute(connection).await.map_err(failure)?;
    Ok(())
}

/// The columns of [`put`].
fn encode(row: &Row) -> impl Serialize {
    let Fence { seq, stamp } = row.fence;
    let RowState { phase, wake, due, task } = row.state;
    let fork = row.fork;
    (
        hex(row.key.execution.0),
        row.key.branch.clone(),
        seq,
        stamp,
        phase_number(phase),
        row.moved_at,
        wake,
        due,
        task,
        row.events,
        fork.map(|fork| fork.children),
        fork.map(|fork| fork.launched),
        fork.map(|fork| fork.open),
        fork.and_then(|fork| fork.failed),
        row.cause.as_ref().map(ToString::to_string),
    )
}

/// Branch rows of an execution from the first path to before the second.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Range(String, String, String);

impl Range {
    /// All below a branch.
    pub(super) fn below(key: &BranchKey) -> Self {
        let (from, to) = key.branch.descendants();
        Range(hex(key.execution.0), from, to)
    }

    /// All of an execution.
    pub(super) fn whole(execution: ExecutionId) -> Self {
        let (_, to) = BranchPath::root().descendants();
        Range(hex(execution.0), BranchPath::root().to_string(), to)
    }
}

/// Deletes the rows in these ranges.
pub(super) async fn delete(connection: &mut SqliteConnection, ranges: &[Range]) -> Result<(), Error> {
    const DELETE: &str = "
        DELETE FROM branches WHERE (execution, branch) IN (
            SELECT b.execution, b.branch FROM json_each(?1) r CROSS JOIN branches b
            ON b.execution = unhex(r.value ->> 0) AND b.branch >= r.value ->> 1 AND b.branch < r.value ->> 2)";
    if ranges.is_empty() {
        return Ok(());
    }
    query(DELETE).bind(json(ranges)?).execute(connection).await.map_err(failure)?;
    Ok(())
}

/// The events that the rows in each range have recorded, with what they joined.
pub(super) async fn events_in(
    connection: &mut SqliteConnection,
    ranges: &[Range],
) -> Result<Vec<u64>, Error> {
    const SUM: &str = "
        SELECT (SELECT coalesce(sum(b.events), 0) FROM branches b WHERE b.execution = unhex(r.value ->> 0)
                AND b.branch >= r.value ->> 1 AND b.branch < r.value ->> 2)
        FROM json_each(?1) r ORDER BY r.key";
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let sums = query(SUM).bind(json(ranges)?).fetch_all(connection).await.map_err(failure)?;
    sums.iter().map(|row| number(row, 0)).collect()
}
