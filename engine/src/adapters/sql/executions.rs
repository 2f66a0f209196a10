//! Execution rows.

use asl::data::context::Redrive;

use super::Columns;
use crate::ids::{ExecutionId, MachineId, RevisionId};
use crate::ports::catalog::Execution;
use crate::ports::catalog::versions::Qualifier;
use crate::ports::store::{Error, ExecutionStatus, Started};

/// A status as it is stored. Statements name 0, the number of those that run.
pub fn status_number(status: ExecutionStatus) -> i16 {
    match status {
        ExecutionStatus::Running => 0,
        ExecutionStatus::Succeeded => 1,
        ExecutionStatus::Failed => 2,
        ExecutionStatus::TimedOut => 3,
        ExecutionStatus::Aborted => 4,
    }
}

fn status(number: i16) -> Result<ExecutionStatus, Error> {
    Ok(match number {
        0 => ExecutionStatus::Running,
        1 => ExecutionStatus::Succeeded,
        2 => ExecutionStatus::Failed,
        3 => ExecutionStatus::TimedOut,
        4 => ExecutionStatus::Aborted,
        _ => return Err(Error::corrupt(format_args!("{number} is no status"))),
    })
}

/// The columns that [`decode`] reads, of an execution `x`.
macro_rules! execution_column_list {
    () => {
        "x.id, x.machine, x.machine_name, x.revision, x.name, x.status, x.started_at, x.stopped_at, x.error, \
         x.version, x.alias, x.redrives, x.redriven_at, coalesce(x.place, x.id) AS place"
    };
}
macro_rules! execution_columns {
    () => {
        concat!("SELECT ", $crate::adapters::sql::executions::execution_column_list!(), " FROM executions x ")
    };
}
pub(in crate::adapters) use {execution_column_list, execution_columns};

/// How many columns there are in [`execution_columns`].
pub const EXECUTION_COLUMNS: usize = 14;

/// Reads [`execution_columns`].
pub fn decode<R: Columns>(row: &R) -> Result<Execution, R::Error> {
    Ok(Execution {
        id: ExecutionId(row.id(0)?),
        machine: MachineId(row.id(1)?),
        machine_name: row.text(2)?.to_owned(),
        revision: RevisionId(row.id(3)?),
        name: row.text(4)?.to_owned(),
        status: status(row.number(5)?)?,
        started_at: row.time(6)?,
        stopped_at: row.maybe_time(7)?,
        error: row.maybe_text(8)?.map(str::to_owned),
        qualifier: qualifier(row, 9)?,
        redrive: redrive(row, 11)?,
        place: ExecutionId(row.id(13)?),
    })
}

/// The version and the alias that an execution was started by.
fn qualifier<R: Columns>(row: &R, first: usize) -> Result<Option<Qualifier>, R::Error> {
    let Some(version) = row.maybe_number(first)? else { return Ok(None) };
    let alias = row.maybe_text(first + 1)?.map(str::to_owned);
    Ok(Some(Qualifier { version, alias }))
}

/// How often an execution was redriven, and when last.
fn redrive<R: Columns>(row: &R, first: usize) -> Result<Option<Redrive>, R::Error> {
    let count = row.number(first)?;
    Ok(row.maybe_time(first + 1)?.map(|at| Redrive { count, at }))
}

/// Reads id, hash of the input, status and start of the execution that has a name.
pub fn decode_name_holder<R: Columns>(row: &R) -> Result<Started, R::Error> {
    Ok(Started::NameTaken {
        id: ExecutionId(row.id(0)?),
        input_hash: row.bytes(1)?.as_ref().try_into().map_err(Error::corrupt)?,
        status: status(row.number(2)?)?,
        started_at: row.time(3)?,
    })
}
