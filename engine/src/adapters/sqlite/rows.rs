//! Branch rows: as they are stored, read and written.
//!
//! Statements take any number of rows at once, as one JSON array of arrays: a round trip to the connection's
//! thread costs more than a row.

use asl::branch::BranchPath;
use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use serde::Serialize;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, query};
use uuid::Uuid;

use super::failure::failure;
use crate::adapters::sql::rows::{BEHIND_ROW, phase_number};
use crate::adapters::sql::{self, Columns};
use crate::ids::{ExecutionId, Stamp};
use crate::ports::store::{BranchKey, Error, Fence, Phase, RowState, StoredBranch};

/// A branch row, with the events recorded by the branch and by all that it joined.
pub(super) type Row = sql::rows::Row<u64>;

impl Row {
    /// A row of a branch that has made no transition.
    pub(super) fn new(key: BranchKey, phase: Phase, now: Timestamp) -> Self {
        Row {
            key,
            fence: Fence { seq: 0, stamp: Stamp::draw() },
            state: RowState::at_rest(phase),
            moved_at: now,
            events: 0,
            fork: None,
            cause: None,
        }
    }
}

/// The columns of a branch row `b`, in the order [`decode`] reads them; they are followed by the body of its
/// last history row `h` where that is asked for.
macro_rules! branch_columns {
    () => {
        concat!($crate::adapters::sql::rows::row_columns!(), ", b.events")
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
const BODY: usize = BEHIND_ROW + 1;

impl Columns for SqliteRow {
    type Error = Error;

    fn maybe_integer(&self, column: usize) -> Result<Option<i64>, Error> {
        self.try_get(column).map_err(failure)
    }

    fn maybe_text(&self, column: usize) -> Result<Option<&str>, Error> {
        self.try_get(column).map_err(failure)
    }

    fn maybe_bytes(&self, column: usize) -> Result<Option<Bytes>, Error> {
        Ok(self.try_get::<Option<Vec<u8>>, _>(column).map_err(failure)?.map(Bytes::from))
    }

    fn flag(&self, column: usize) -> Result<bool, Error> {
        Ok(self.number::<i64>(column)? != 0)
    }

    fn id(&self, column: usize) -> Result<Uuid, Error> {
        let bytes: &[u8] = self.try_get(column).map_err(failure)?;
        Uuid::from_slice(bytes).map_err(Error::corrupt)
    }
}

pub(super) fn blob(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

pub(super) fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

/// Rows as a statement takes them.
pub(super) fn json<T: Serialize>(rows: &[T]) -> Result<String, Error> {
    serde_json::to_string(rows).map_err(Error::corrupt)
}

/// Reads [`branch_columns`].
pub(super) fn decode(row: &SqliteRow) -> Result<Row, Error> {
    sql::rows::decode(row, row.number(BEHIND_ROW)?)
}

/// Reads [`branch_columns`] and the body after them.
pub(super) fn decode_stored(row: &SqliteRow) -> Result<StoredBranch, Error> {
    Ok(decode(row)?.stored(row.bytes(BODY)?))
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
    found.iter().map(|row| Ok((row.number(BODY + 1)?, decode(row)?, row.bytes(BODY)?))).collect()
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
    sums.iter().map(|row| row.number(0)).collect()
}
