//! Values as they are stored, and branch rows as they are read.

use bytes::Bytes;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgConnection, PgHasArrayType, PgRow, PgTypeInfo, PgValueFormat, PgValueRef,
};
use sqlx::{Decode, Encode, Postgres, Row as _, Type, query};
use uuid::Uuid;

use super::failure::Fault;
use crate::adapters::sql::rows::BEHIND_ROW;
use crate::adapters::sql::{self, Columns};
use crate::ports::store::{BranchKey, StoredBranch};

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
pub(super) type Row = sql::rows::Row<Events>;

/// How many events a branch counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Events {
    /// Recorded by this branch, by all that it joined, and by those above when it began.
    pub(super) recorded: u64,
    /// Recorded by the children of its fork that have ended.
    pub(super) below: u64,
}

/// The columns of a branch row `b`, in the order [`decode`] reads them; they are followed by the body of its
/// last history row `h` where that is asked for.
macro_rules! branch_columns {
    () => {
        concat!($crate::adapters::sql::rows::row_columns!(), ", b.before + b.events, b.below")
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
pub(super) const BODY: usize = BEHIND_ROW + 2;

impl Columns for PgRow {
    type Error = Fault;

    fn maybe_integer(&self, column: usize) -> Result<Option<i64>, Fault> {
        Ok(match self.try_get::<Option<i64>, _>(column) {
            Ok(value) => value,
            Err(_) => match self.try_get::<Option<i32>, _>(column) {
                Ok(value) => value.map(i64::from),
                Err(_) => self.try_get::<Option<i16>, _>(column)?.map(i64::from),
            },
        })
    }

    fn maybe_text(&self, column: usize) -> Result<Option<&str>, Fault> {
        Ok(self.try_get(column)?)
    }

    fn maybe_bytes(&self, column: usize) -> Result<Option<Bytes>, Fault> {
        Ok(self.try_get::<Option<&[u8]>, _>(column)?.map(Bytes::copy_from_slice))
    }

    fn flag(&self, column: usize) -> Result<bool, Fault> {
        Ok(self.try_get(column)?)
    }

    fn id(&self, column: usize) -> Result<Uuid, Fault> {
        Ok(self.try_get::<Id, _>(column)?.0)
    }
}

/// A number for a column of four bytes. No count comes near the end of its range.
pub(super) fn narrow(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Reads [`branch_columns`].
pub(super) fn decode(row: &PgRow) -> Result<Row, Fault> {
    let events = Events { recorded: row.number(BEHIND_ROW)?, below: row.number(BEHIND_ROW + 1)? };
    sql::rows::decode(row, events)
}

/// Reads [`branch_columns`] and the body after them.
pub(super) fn decode_stored(row: &PgRow) -> Result<StoredBranch, Fault> {
    Ok(decode(row)?.stored(row.bytes(BODY)?))
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
        |row: &PgRow| Ok((row.number::<usize>(BODY + 1)?.saturating_sub(1), decode(row)?, row.bytes(BODY)?));
    found.iter().map(decode_row).collect()
}
