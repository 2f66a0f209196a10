//! Values as they are stored, and branch rows as they are read.

use asl::branch::BranchPath;
use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgConnection, PgHasArrayType, PgRow, PgTypeInfo, PgValueFormat, PgValueRef,
};
use sqlx::{Decode, Encode, Postgres, Row as _, Type, query};
use uuid::Uuid;

use super::failure::{Fault, corrupt};
use crate::ids::{ExecutionId, Stamp};
use crate::ports::store::{BranchKey, Fence, Phase, RowState, StoredBranch};

/// Object ids of the type `uuid` and of its arrays, the same on every server.
const UUID: Oid = Oid(2950);
const UUID_ARRAY: Oid = Oid(2951);

/// A column of type `uuid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(pub(super) Uuid);

impl Type<Postgres> for Id {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UUID)
    }

    fn compatible(info: &PgTypeInfo) -> bool {
        info.oid() == Some(UUID)
    }
}

impl PgHasArrayType for Id {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UUID_ARRAY)
    }
}

impl Encode<'_, Postgres> for Id {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Id {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Id(match value.format() {
            PgValueFormat::Binary => Uuid::from_slice(value.as_bytes()?)?,
            PgValueFormat::Text => value.as_str()?.parse()?,
        }))
    }
}

/// A branch row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) key: BranchKey,
    pub(super) fence: Fence,
    pub(super) state: RowState,
    pub(super) moved_at: Timestamp,
    /// Recorded by this branch, by all that it joined, and by those above when it began.
    pub(super) recorded: u64,
    /// Recorded by the children of its fork that have ended.
    pub(super) below: u64,
    /// Its children, from its fork until its next transition.
    pub(super) fork: Option<Fork>,
    pub(super) cause: Option<asl::branch::EventRef>,
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
    pub(super) fn stored(self, body: Bytes) -> StoredBranch {
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
}

/// The columns of a branch row `b`, in the order [`decode`] reads them; they are followed by the body of its
/// last history row `h` where that is asked for.
macro_rules! branch_columns {
    () => {
        "b.execution, b.branch, b.seq, b.stamp, b.phase, b.moved_at, b.wake, b.due, b.task, \
         b.before + b.events, b.below, b.children, b.launched, b.open, b.failed, b.cause"
    };
}
/// Joins to a branch row `b` its last history row `h`.
macro_rules! last_history {
    () => {
        " JOIN history h ON h.execution = b.execution AND h.branch = b.branch AND h.seq = b.seq "
    };
}
pub(super) use {branch_columns, last_history};

/// Column of the body, after [`branch_columns`].
pub(super) const BODY: usize = 16;

/// Reads a number that must be there.
pub(super) fn number<T: TryFrom<i64>>(row: &PgRow, column: usize) -> Result<T, Fault> {
    maybe_number(row, column)?.ok_or_else(|| corrupt(format_args!("column {column} is empty")))
}

/// Reads a number or nothing, of whichever width.
pub(super) fn maybe_number<T: TryFrom<i64>>(row: &PgRow, column: usize) -> Result<Option<T>, Fault> {
    let value = match row.try_get::<Option<i64>, _>(column) {
        Ok(value) => value,
        Err(_) => match row.try_get::<Option<i32>, _>(column) {
            Ok(value) => value.map(i64::from),
            Err(_) => row.try_get::<Option<i16>, _>(column)?.map(i64::from),
        },
    };
    let out_of_range = |value| corrupt(format_args!("column {column}: {value} is out of range"));
    value.map(|value| T::try_from(value).map_err(|_| out_of_range(value))).transpose()
}

pub(super) fn time(row: &PgRow, column: usize) -> Result<Timestamp, Fault> {
    Ok(Timestamp::from_milliseconds(row.try_get(column)?))
}

pub(super) fn maybe_time(row: &PgRow, column: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_milliseconds))
}

pub(super) fn id(row: &PgRow, column: usize) -> Result<Uuid, Fault> {
    Ok(row.try_get::<Id, _>(column)?.0)
}

pub(super) fn bytes(row: &PgRow, column: usize) -> Result<Bytes, Fault> {
    Ok(Bytes::copy_from_slice(row.try_get(column)?))
}

pub(super) fn path(row: &PgRow, column: usize) -> Result<BranchPath, Fault> {
    row.try_get::<&str, _>(column)?.parse().map_err(corrupt)
}

/// A number as the database counts. No count comes near the end of its range.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The same for a column of four bytes.
pub(super) fn narrow(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn phase_number(phase: Phase) -> i16 {
    match phase {
        Phase::Runnable => 0,
        Phase::Sleeping => 1,
        Phase::Dispatched => 2,
        Phase::Forked => 3,
        Phase::Queued => 4,
        Phase::Ended => 5,
    }
}

fn phase(number: i16) -> Result<Phase, Fault> {
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
pub(super) fn decode(row: &PgRow) -> Result<Row, Fault> {
    let key = BranchKey { execution: ExecutionId(id(row, 0)?), branch: path(row, 1)? };
    let state = RowState {
        phase: phase(number(row, 4)?)?,
        wake: maybe_time(row, 6)?,
        due: maybe_time(row, 7)?,
        task: maybe_number(row, 8)?,
    };
    let fork = match maybe_number(row, 11)? {
        Some(children) => Some(Fork {
            children,
            launched: number(row, 12)?,
            open: number(row, 13)?,
            failed: maybe_number(row, 14)?,
        }),
        None => None,
    };
    let cause: Option<&str> = row.try_get(15)?;
    Ok(Row {
        key,
        fence: Fence { seq: number(row, 2)?, stamp: Stamp(number(row, 3)?) },
        state,
        moved_at: time(row, 5)?,
        recorded: number(row, 9)?,
        below: number(row, 10)?,
        fork,
        cause: cause.map(str::parse).transpose().map_err(corrupt)?,
    })
}

/// Reads [`branch_columns`] and the body after them.
pub(super) fn decode_stored(row: &PgRow) -> Result<StoredBranch, Fault> {
    Ok(decode(row)?.stored(bytes(row, BODY)?))
}

/// Keys as the arrays a statement takes.
pub(super) fn key_arrays<'a>(keys: impl Iterator<Item = &'a BranchKey>) -> (Vec<Id>, Vec<&'a str>) {
    keys.map(|key| (Id(key.execution.0), key.branch.as_str())).unzip()
}

/// The rows that exist among `keys`, with bodies, each with its position there.
pub(super) async fn load_with_bodies(
    connection: &mut PgConnection,
    keys: impl Iterator<Item = &BranchKey>,
) -> Result<Vec<(usize, Row, Bytes)>, Fault> {
    const LOAD: &str = concat!(
        "SELECT ",
        branch_columns!(),
        ", h.body, k.place FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS k(execution, branch, place)",
        " JOIN branches b ON b.execution = k.execution AND b.branch = k.branch",
        last_history!()
    );
    let (executions, branches) = key_arrays(keys);
    let found = query(LOAD).bind(executions).bind(branches).fetch_all(connection).await?;
    let decode_row =
        |row| Ok((number::<usize>(row, BODY + 1)?.saturating_sub(1), decode(row)?, bytes(row, BODY)?));
    found.iter().map(decode_row).collect()
}
