//! Rows of state machines, their revisions, and activities.

use super::Columns;
use crate::ids::{MachineId, RevisionId};
use crate::ports::catalog::{Activity, Machine, Revision, WorkflowType};
use crate::ports::store::Error;

/// The columns of a revision `r`, in the order [`decode_revision`] reads them.
macro_rules! revision_columns {
    () => {
        "r.id, r.initial, r.definition, r.role_arn, r.settings, r.created_at"
    };
}
/// The columns of a machine `m` behind those of a revision `r` of it, in the order [`decode_machine`] reads them,
/// and its number.
macro_rules! machine_column_list {
    () => {
        concat!(
            $crate::adapters::sql::machines::revision_columns!(),
            ", m.id, m.name, m.workflow_type, m.created_at, m.made"
        )
    };
}
/// Machines with their current revisions.
macro_rules! machine_columns {
    () => {
        concat!(
            "SELECT ",
            $crate::adapters::sql::machines::machine_column_list!(),
            " FROM machines m JOIN revisions r ON r.id = m.revision "
        )
    };
}
pub(in crate::adapters) use {machine_column_list, machine_columns, revision_columns};

/// The column of the number in [`machine_column_list`].
pub const MACHINE_MADE: usize = 10;
/// How many columns there are in [`machine_column_list`].
pub const MACHINE_COLUMNS: usize = 11;

/// A type as it is stored.
pub fn type_name(workflow_type: WorkflowType) -> &'static str {
    match workflow_type {
        WorkflowType::Standard => "STANDARD",
        WorkflowType::Express => "EXPRESS",
    }
}

fn workflow_type(name: &str) -> Result<WorkflowType, Error> {
    match name {
        "STANDARD" => Ok(WorkflowType::Standard),
        "EXPRESS" => Ok(WorkflowType::Express),
        other => Err(Error::corrupt(format_args!("'{other}' is no workflow type"))),
    }
}

/// Reads [`revision_columns`].
pub fn decode_revision<R: Columns>(row: &R) -> Result<Revision, R::Error> {
    Ok(Revision {
        id: RevisionId(row.id(0)?),
        initial: row.flag(1)?,
        definition: row.text(2)?.to_owned(),
        role_arn: row.text(3)?.to_owned(),
        settings: row.text(4)?.to_owned(),
        created_at: row.time(5)?,
    })
}

/// Reads [`machine_columns`].
pub fn decode_machine<R: Columns>(row: &R) -> Result<Machine, R::Error> {
    Ok(Machine {
        id: MachineId(row.id(6)?),
        name: row.text(7)?.to_owned(),
        workflow_type: workflow_type(row.text(8)?)?,
        created_at: row.time(9)?,
        revision: decode_revision(row)?,
    })
}

/// Reads name and time.
pub fn decode_activity<R: Columns>(row: &R) -> Result<Activity, R::Error> {
    Ok(Activity { name: row.text(0)?.to_owned(), created_at: row.time(1)? })
}
