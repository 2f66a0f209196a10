//! Versions and aliases of state machines.
//!
//! Whoever changes those of a machine locks its row first: a number is given once, and a version that an alias leads
//! to is there.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, query};

use super::executions::without_nul;
use super::failure::Fault;
use super::rows::{Id, narrow};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::lists::{numbered_page, page};
use crate::adapters::sql::rows::signed;
use crate::adapters::sql::versions::{
    ALIAS_MADE, alias_column_list, decode_alias, decode_route, decode_version, decode_versioned_machine,
    route_columns, version_column_list, versioned_machine_columns,
};
use crate::ids::{MachineId, RevisionId};
use crate::ports::catalog::versions::{
    Alias, AliasChange, Aliased, NewVersion, Published, Route, Routes, Version,
};
use crate::ports::catalog::{Machine, Page};

/// The current revision and the last number given, of a machine that nobody else changes now.
async fn lock(connection: &mut PgConnection, machine: MachineId) -> Result<Option<PgRow>, Fault> {
    let lock = query("SELECT revision, versions FROM machines WHERE id = $1 FOR UPDATE").bind(Id(machine.0));
    Ok(lock.fetch_optional(connection).await?)
}

/// See [`Versions::publish`](crate::ports::catalog::versions::Versions::publish).
pub(super) async fn publish(
    connection: &mut PgConnection,
    machine: MachineId,
    new: NewVersion,
) -> Result<Published, Fault> {
    let mut transaction = connection.begin().await?;
    let done = publish_locked(&mut transaction, machine, new).await?;
    transaction.commit().await?;
    Ok(done)
}

async fn publish_locked(
    connection: &mut PgConnection,
    machine: MachineId,
    new: NewVersion,
) -> Result<Published, Fault> {
    const PRESENT: &str = concat!(
        "SELECT ",
        version_column_list!(),
        " FROM versions v WHERE v.machine = $1 AND v.revision = $2"
    );
    let Some(row) = lock(connection, machine).await? else { return Ok(Published::NoMachine) };
    let (revision, last) = (RevisionId(row.id(0)?), row.number::<u32>(1)?);
    if new.revision.is_some_and(|expected| expected != revision) {
        return Ok(Published::OtherRevision);
    }
    let present = query(PRESENT).bind(Id(machine.0)).bind(Id(revision.0));
    if let Some(present) = present.fetch_optional(&mut *connection).await? {
        return Ok(Published::Version(decode_version(&present, 0)?));
    }
    let count = query("SELECT count(*) FROM versions WHERE machine = $1").bind(Id(machine.0));
    if count.fetch_one(&mut *connection).await?.number::<u32>(0)? >= new.versions_max {
        return Ok(Published::Full);
    }
    let NewVersion { description, created_at, .. } = new;
    let version = Version { number: last.saturating_add(1), revision, description, created_at };
    insert(connection, machine, &version).await?;
    Ok(Published::Version(version))
}

async fn insert(connection: &mut PgConnection, machine: MachineId, version: &Version) -> Result<(), Fault> {
    const INSERT: &str = "
        WITH counted AS (UPDATE machines SET versions = $2 WHERE id = $1)
        INSERT INTO versions (machine, number, revision, description, created_at)
        VALUES ($1, $2, $3, $4, $5)";
    let insert = query(INSERT)
        .bind(Id(machine.0))
        .bind(narrow(version.number))
        .bind(Id(version.revision.0))
        .bind(version.description.as_deref().map(without_nul))
        .bind(version.created_at.milliseconds());
    insert.execute(connection).await?;
    Ok(())
}

pub(super) async fn find(
    connection: &mut PgConnection,
    machine: &str,
    number: u32,
) -> Result<Option<(Machine, Version)>, Fault> {
    const FIND: &str = concat!(versioned_machine_columns!(), "WHERE m.name = $1 AND v.number = $2");
    let found = query(FIND).bind(machine).bind(i64::from(number)).fetch_optional(connection).await?;
    found.as_ref().map(decode_versioned_machine).transpose()
}

/// A page begins below a number, so later versions, which have higher ones, shift nothing.
pub(super) async fn list(
    connection: &mut PgConnection,
    machine: MachineId,
    limit: u32,
    below: i64,
) -> Result<Page<Version>, Fault> {
    const LIST: &str = concat!(
        "SELECT ",
        version_column_list!(),
        " FROM versions v WHERE v.machine = $1 AND v.number < $2 ORDER BY v.number DESC LIMIT $3"
    );
    let list = query(LIST).bind(Id(machine.0)).bind(below).bind(signed(u64::from(limit) + 1));
    let found = list.fetch_all(connection).await?;
    let items = found.iter().map(|row| decode_version(row, 0)).collect::<Result<_, _>>()?;
    Ok(page(items, limit, |version| version.number.to_string()))
}

pub(super) async fn delete(
    connection: &mut PgConnection,
    machine: MachineId,
    number: u32,
) -> Result<Vec<String>, Fault> {
    let mut transaction = connection.begin().await?;
    let done = delete_locked(&mut transaction, machine, number).await?;
    transaction.commit().await?;
    Ok(done)
}

async fn delete_locked(
    connection: &mut PgConnection,
    machine: MachineId,
    number: u32,
) -> Result<Vec<String>, Fault> {
    const KEPT_BY: &str =
        "SELECT name FROM aliases WHERE machine = $1 AND $2::bigint IN (version, other) ORDER BY made";
    lock(connection, machine).await?;
    let kept_by = query(KEPT_BY).bind(Id(machine.0)).bind(i64::from(number));
    let rows = kept_by.fetch_all(&mut *connection).await?;
    let names = rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect::<Result<Vec<_>, Fault>>()?;
    if names.is_empty() {
        let delete = query("DELETE FROM versions WHERE machine = $1 AND number = $2::bigint");
        delete.bind(Id(machine.0)).bind(i64::from(number)).execute(&mut *connection).await?;
    }
    Ok(names)
}

/// All versions and aliases of a machine that goes.
pub(super) async fn remove_all(connection: &mut PgConnection, machine: MachineId) -> Result<(), Fault> {
    for table in ["DELETE FROM versions WHERE machine = $1", "DELETE FROM aliases WHERE machine = $1"] {
        query(table).bind(Id(machine.0)).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn create_alias(
    connection: &mut PgConnection,
    machine: MachineId,
    alias: Alias,
    aliases_max: u32,
) -> Result<Aliased, Fault> {
    let mut transaction = connection.begin().await?;
    let done = create_alias_locked(&mut transaction, machine, alias, aliases_max).await?;
    transaction.commit().await?;
    Ok(done)
}

async fn create_alias_locked(
    connection: &mut PgConnection,
    machine: MachineId,
    alias: Alias,
    aliases_max: u32,
) -> Result<Aliased, Fault> {
    const INSERT: &str = "
        INSERT INTO aliases (machine, name, description, version, weight, other, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    if lock(connection, machine).await?.is_none() {
        return Ok(Aliased::NoAlias);
    }
    if let Some(taken) = alias_of(connection, machine, &alias.name).await? {
        return Ok(Aliased::Exists(taken));
    }
    if !are_there(connection, machine, alias.routes).await? {
        return Ok(Aliased::NoVersion);
    }
    let count = query("SELECT count(*) FROM aliases WHERE machine = $1").bind(Id(machine.0));
    if count.fetch_one(&mut *connection).await?.number::<u32>(0)? >= aliases_max {
        return Ok(Aliased::Full);
    }
    let insert = query(INSERT)
        .bind(Id(machine.0))
        .bind(&alias.name)
        .bind(alias.description.as_deref().map(without_nul))
        .bind(narrow(alias.routes.first.version))
        .bind(i16::from(alias.routes.first.weight))
        .bind(alias.routes.other.map(narrow))
        .bind(alias.created_at.milliseconds())
        .bind(alias.updated_at.milliseconds());
    insert.execute(&mut *connection).await?;
    Ok(Aliased::Done)
}

pub(super) async fn update_alias(
    connection: &mut PgConnection,
    machine: MachineId,
    name: &str,
    change: AliasChange,
) -> Result<Aliased, Fault> {
    let mut transaction = connection.begin().await?;
    let done = update_alias_locked(&mut transaction, machine, name, change).await?;
    transaction.commit().await?;
    Ok(done)
}

async fn update_alias_locked(
    connection: &mut PgConnection,
    machine: MachineId,
    name: &str,
    change: AliasChange,
) -> Result<Aliased, Fault> {
    const UPDATE: &str = "
        UPDATE aliases SET description = $3, version = $4, weight = $5, other = $6, updated_at = $7
        WHERE machine = $1 AND name = $2";
    lock(connection, machine).await?;
    let Some(present) = alias_of(connection, machine, name).await? else {
        return Ok(Aliased::NoAlias);
    };
    let routes = change.routes.unwrap_or(present.routes);
    if !are_there(connection, machine, routes).await? {
        return Ok(Aliased::NoVersion);
    }
    let description = change.description.or(present.description);
    let update = query(UPDATE)
        .bind(Id(machine.0))
        .bind(name)
        .bind(description.as_deref().map(without_nul))
        .bind(narrow(routes.first.version))
        .bind(i16::from(routes.first.weight))
        .bind(routes.other.map(narrow))
        .bind(change.updated_at.milliseconds());
    update.execute(&mut *connection).await?;
    Ok(Aliased::Done)
}

/// Whether all versions are there that an alias would lead to.
async fn are_there(connection: &mut PgConnection, machine: MachineId, routes: Routes) -> Result<bool, Fault> {
    const COUNT: &str = "SELECT count(*) FROM versions WHERE machine = $1 AND number = ANY($2::bigint[])";
    let numbers: Vec<_> = routes.iter().map(|route| i64::from(route.version)).collect();
    let asked = numbers.len();
    let count = query(COUNT).bind(Id(machine.0)).bind(numbers).fetch_one(connection).await?;
    Ok(count.number::<usize>(0)? == asked)
}

async fn alias_of(
    connection: &mut PgConnection,
    machine: MachineId,
    name: &str,
) -> Result<Option<Alias>, Fault> {
    const FIND: &str =
        concat!("SELECT ", alias_column_list!(), " FROM aliases a WHERE a.machine = $1 AND a.name = $2");
    let found = query(FIND).bind(Id(machine.0)).bind(name).fetch_optional(connection).await?;
    found.as_ref().map(decode_alias).transpose()
}

pub(super) async fn delete_alias(
    connection: &mut PgConnection,
    machine: MachineId,
    name: &str,
) -> Result<bool, Fault> {
    let delete = query("DELETE FROM aliases WHERE machine = $1 AND name = $2").bind(Id(machine.0)).bind(name);
    Ok(delete.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn alias(
    connection: &mut PgConnection,
    machine: &str,
    name: &str,
) -> Result<Option<Alias>, Fault> {
    const FIND: &str = concat!(
        "SELECT ",
        alias_column_list!(),
        " FROM aliases a JOIN machines m ON m.id = a.machine WHERE m.name = $1 AND a.name = $2"
    );
    let found = query(FIND).bind(machine).bind(name).fetch_optional(connection).await?;
    found.as_ref().map(decode_alias).transpose()
}

pub(super) async fn list_aliases(
    connection: &mut PgConnection,
    machine: MachineId,
    version: Option<u32>,
    limit: u32,
    after: i64,
) -> Result<Page<Alias>, Fault> {
    const LIST: &str = concat!(
        "SELECT ",
        alias_column_list!(),
        " FROM aliases a WHERE a.machine = $1 AND a.made > $2 ",
        "AND ($4::bigint IS NULL OR $4::bigint IN (a.version, a.other)) ORDER BY a.made LIMIT $3"
    );
    let list = query(LIST)
        .bind(Id(machine.0))
        .bind(after)
        .bind(signed(u64::from(limit) + 1))
        .bind(version.map(i64::from));
    let found = list.fetch_all(connection).await?;
    numbered_page(&found, limit, ALIAS_MADE, decode_alias)
}

pub(super) async fn routes(
    connection: &mut PgConnection,
    machine: &str,
    alias: &str,
) -> Result<Vec<(Route, Machine)>, Fault> {
    const ROUTES: &str =
        concat!(route_columns!(), "WHERE m.name = $1 AND a.name = $2 ORDER BY v.number <> a.version");
    let found = query(ROUTES).bind(machine).bind(alias).fetch_all(connection).await?;
    found.iter().map(decode_route).collect()
}
