//! Rows of versions and aliases.

use super::Columns;
use super::lists::unreadable;
use super::machines::{MACHINE_COLUMNS, decode_machine};
use crate::ids::RevisionId;
use crate::ports::catalog::Machine;
use crate::ports::catalog::versions::{Alias, Route, Routes, Version};
use crate::ports::store::Error;

/// The columns of a version `v`, in the order [`decode_version`] reads them.
macro_rules! version_column_list {
    () => {
        "v.number, v.revision, v.description, v.created_at"
    };
}
/// The columns of an alias `a`, in the order [`decode_alias`] reads them, and its number.
macro_rules! alias_column_list {
    () => {
        "a.name, a.description, a.version, a.weight, a.other, a.created_at, a.updated_at, a.made"
    };
}
/// A version with its machine, which has the version's revision.
macro_rules! versioned_machine_columns {
    () => {
        concat!(
            "SELECT ",
            $crate::adapters::sql::machines::machine_column_list!(),
            ", ",
            $crate::adapters::sql::versions::version_column_list!(),
            " FROM versions v JOIN machines m ON m.id = v.machine JOIN revisions r ON r.id = v.revision "
        )
    };
}
/// Where an alias leads: the machine with the revision of each version, its number and its weight.
macro_rules! route_columns {
    () => {
        concat!(
            "SELECT ",
            $crate::adapters::sql::machines::machine_column_list!(),
            ", v.number, CASE WHEN v.number = a.version THEN a.weight ELSE 100 - a.weight END ",
            "FROM aliases a JOIN machines m ON m.id = a.machine ",
            "JOIN versions v ON v.machine = m.id AND v.number IN (a.version, a.other) ",
            "JOIN revisions r ON r.id = v.revision "
        )
    };
}
pub(in crate::adapters) use {
    alias_column_list, route_columns, version_column_list, versioned_machine_columns,
};

/// The column of the number in [`alias_column_list`].
pub const ALIAS_MADE: usize = 7;

/// Where a list of versions goes on: below the number of the last one of the page before.
pub fn below(from: Option<&str>) -> Result<i64, Error> {
    from.map_or(Ok(i64::MAX), |from| from.parse().map_err(|_| unreadable(from)))
}

/// Reads [`version_column_list`], which begins with this column.
pub fn decode_version<R: Columns>(row: &R, first: usize) -> Result<Version, R::Error> {
    Ok(Version {
        number: row.number(first)?,
        revision: RevisionId(row.id(first + 1)?),
        description: row.maybe_text(first + 2)?.map(str::to_owned),
        created_at: row.time(first + 3)?,
    })
}

/// Reads [`versioned_machine_columns`].
pub fn decode_versioned_machine<R: Columns>(row: &R) -> Result<(Machine, Version), R::Error> {
    Ok((decode_machine(row)?, decode_version(row, MACHINE_COLUMNS)?))
}

/// Reads [`alias_column_list`].
pub fn decode_alias<R: Columns>(row: &R) -> Result<Alias, R::Error> {
    let first = Route { version: row.number(2)?, weight: row.number(3)? };
    Ok(Alias {
        name: row.text(0)?.to_owned(),
        description: row.maybe_text(1)?.map(str::to_owned),
        routes: Routes { first, other: row.maybe_number(4)? },
        created_at: row.time(5)?,
        updated_at: row.time(6)?,
    })
}

/// Reads [`route_columns`].
pub fn decode_route<R: Columns>(row: &R) -> Result<(Route, Machine), R::Error> {
    let route = Route { version: row.number(MACHINE_COLUMNS)?, weight: row.number(MACHINE_COLUMNS + 1)? };
    Ok((route, decode_machine(row)?))
}
