//! Versions and aliases of state machines.

use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::failure::failure;
use super::rows::{blob, json};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::lists::{after, numbered_page, page};
use crate::adapters::sql::rows::signed;
use crate::adapters::sql::versions::{
    ALIAS_MADE, alias_column_list, below, decode_alias, decode_route, decode_version,
    decode_versioned_machine, route_columns, version_column_list, versioned_machine_columns,
};
use crate::ids::{MachineId, RevisionId};
use crate::ports::catalog::versions::{
    Alias, AliasChange, Aliased, NewVersion, Published, Route, Routes, Version,
};
use crate::ports::catalog::{Machine, Page};
use crate::ports::store::Error;

/// See [`Versions::publish`](crate::ports::catalog::versions::Versions::publish).
pub(super) async fn publish(
    connection: &mut SqliteConnection,
    machine: MachineId,
    new: NewVersion,
) -> Result<Published, Error> {
    const PRESENT: &str = concat!(
        "SELECT ",
        version_column_list!(),
        " FROM versions v WHERE v.machine = ?1 AND v.revision = ?2"
    );
    let current = query("SELECT revision, versions FROM machines WHERE id = ?1").bind(blob(machine.0));
    let Some(row) = current.fetch_optional(&mut *connection).await.map_err(failure)? else {
        return Ok(Published::NoMachine);
    };
    let (revision, last) = (RevisionId(row.id(0)?), row.number::<u32>(1)?);
    if new.revision.is_some_and(|expected| expected != revision) {
        return Ok(Published::OtherRevision);
    }
    let present = query(PRESENT).bind(blob(machine.0)).bind(blob(revision.0));
    if let Some(present) = present.fetch_optional(&mut *connection).await.map_err(failure)? {
        return Ok(Published::Version(decode_version(&present, 0)?));
    }
    let count = query("SELECT count(*) FROM versions WHERE machine = ?1").bind(blob(machine.0));
    let count = count.fetch_one(&mut *connection).await.map_err(failure)?;
    if count.number::<u32>(0)? >= new.versions_max {
        return Ok(Published::Full);
    }
    let NewVersion { description, created_at, .. } = new;
    let version = Version { number: last.saturating_add(1), revision, description, created_at };
    insert(connection, machine, &version).await?;
    Ok(Published::Version(version))
}

async fn insert(
    connection: &mut SqliteConnection,
    machine: MachineId,
    version: &Version,
) -> Result<(), Error> {
    const INSERT: &str = "
        INSERT INTO versions (machine, number, revision, description, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let count = query("UPDATE machines SET versions = ?2 WHERE id = ?1");
    let count = count.bind(blob(machine.0)).bind(version.number);
    count.execute(&mut *connection).await.map_err(failure)?;
    let insert = query(INSERT)
        .bind(blob(machine.0))
        .bind(version.number)
        .bind(blob(version.revision.0))
        .bind(version.description.clone())
        .bind(version.created_at.milliseconds());
    insert.execute(connection).await.map_err(failure)?;
    Ok(())
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    machine: &str,
    number: u32,
) -> Result<Option<(Machine, Version)>, Error> {
    const FIND: &str = concat!(versioned_machine_columns!(), "WHERE m.name = ?1 AND v.number = ?2");
    let find = query(FIND).bind(machine.to_owned()).bind(number);
    let found = find.fetch_optional(connection).await.map_err(failure)?;
    found.as_ref().map(decode_versioned_machine).transpose()
}

/// A page begins below a number, so later versions, which have higher ones, shift nothing.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    machine: MachineId,
    limit: u32,
    from: Option<&str>,
) -> Result<Page<Version>, Error> {
    const LIST: &str = concat!(
        "SELECT ",
        version_column_list!(),
        " FROM versions v WHERE v.machine = ?1 AND v.number < ?2 ORDER BY v.number DESC LIMIT ?3"
    );
    let list = query(LIST).bind(blob(machine.0)).bind(below(from)?).bind(signed(u64::from(limit) + 1));
    let found = list.fetch_all(connection).await.map_err(failure)?;
    let items = found.iter().map(|row| decode_version(row, 0)).collect::<Result<_, _>>()?;
    Ok(page(items, limit, |version: &Version| version.number.to_string()))
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    machine: MachineId,
    number: u32,
) -> Result<Vec<String>, Error> {
    const KEPT_BY: &str =
        "SELECT name FROM aliases WHERE machine = ?1 AND ?2 IN (version, other) ORDER BY made";
    let kept_by = query(KEPT_BY).bind(blob(machine.0)).bind(number);
    let rows = kept_by.fetch_all(&mut *connection).await.map_err(failure)?;
    let names = rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect::<Result<Vec<_>, Error>>()?;
    if names.is_empty() {
        let delete = query("DELETE FROM versions WHERE machine = ?1 AND number = ?2");
        delete.bind(blob(machine.0)).bind(number).execute(connection).await.map_err(failure)?;
    }
    Ok(names)
}

/// All versions and aliases of a machine that goes.
pub(super) async fn remove_all(connection: &mut SqliteConnection, machine: MachineId) -> Result<(), Error> {
    for table in ["DELETE FROM versions WHERE machine = ?1", "DELETE FROM aliases WHERE machine = ?1"] {
        query(table).bind(blob(machine.0)).execute(&mut *connection).await.map_err(failure)?;
    }
    Ok(())
}

pub(super) async fn create_alias(
    connection: &mut SqliteConnection,
    machine: MachineId,
    alias: Alias,
    aliases_max: u32,
) -> Result<Aliased, Error> {
    const INSERT: &str = "
        INSERT INTO aliases (machine, name, description, version, weight, other, created_at, updated_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let present = query("SELECT 1 FROM machines WHERE id = ?1").bind(blob(machine.0));
    if present.fetch_optional(&mut *connection).await.map_err(failure)?.is_none() {
        return Ok(Aliased::NoAlias);
    }
    if let Some(taken) = alias_of(connection, machine, &alias.name).await? {
        return Ok(Aliased::Exists(taken));
    }
    if !are_there(connection, machine, alias.routes).await? {
        return Ok(Aliased::NoVersion);
    }
    let count = query("SELECT count(*) FROM aliases WHERE machine = ?1").bind(blob(machine.0));
    let count = count.fetch_one(&mut *connection).await.map_err(failure)?;
    if count.number::<u32>(0)? >= aliases_max {
        return Ok(Aliased::Full);
    }
    let insert = query(INSERT)
        .bind(blob(machine.0))
        .bind(alias.name)
        .bind(alias.description)
        .bind(alias.routes.first.version)
        .bind(alias.routes.first.weight)
        .bind(alias.routes.other)
        .bind(alias.created_at.milliseconds())
        .bind(alias.updated_at.milliseconds());
    insert.execute(connection).await.map_err(failure)?;
    Ok(Aliased::Done)
}

pub(super) async fn update_alias(
    connection: &mut SqliteConnection,
    machine: MachineId,
    name: &str,
    change: AliasChange,
) -> Result<Aliased, Error> {
    const UPDATE: &str = "
        UPDATE aliases SET description = ?3, version = ?4, weight = ?5, other = ?6, updated_at = ?7
        WHERE machine = ?1 AND name = ?2";
    let Some(present) = alias_of(connection, machine, name).await? else { return Ok(Aliased::NoAlias) };
    let routes = change.routes.unwrap_or(present.routes);
    if !are_there(connection, machine, routes).await? {
        return Ok(Aliased::NoVersion);
    }
    let update = query(UPDATE)
        .bind(blob(machine.0))
        .bind(name.to_owned())
        .bind(change.description.or(present.description))
        .bind(routes.first.version)
        .bind(routes.first.weight)
        .bind(routes.other)
        .bind(change.updated_at.milliseconds());
    update.execute(connection).await.map_err(failure)?;
    Ok(Aliased::Done)
}

/// Whether all versions are there that an alias would lead to.
async fn are_there(
    connection: &mut SqliteConnection,
    machine: MachineId,
    routes: Routes,
) -> Result<bool, Error> {
    const COUNT: &str = "
        SELECT count(*) FROM versions WHERE machine = ?1 AND number IN (SELECT value FROM json_each(?2))";
    let numbers: Vec<_> = routes.iter().map(|route| route.version).collect();
    let count = query(COUNT).bind(blob(machine.0)).bind(json(&numbers)?);
    Ok(count.fetch_one(connection).await.map_err(failure)?.number::<usize>(0)? == numbers.len())
}

async fn alias_of(
    connection: &mut SqliteConnection,
    machine: MachineId,
    name: &str,
) -> Result<Option<Alias>, Error> {
    const FIND: &str =
        concat!("SELECT ", alias_column_list!(), " FROM aliases a WHERE a.machine = ?1 AND a.name = ?2");
    let find = query(FIND).bind(blob(machine.0)).bind(name.to_owned());
    find.fetch_optional(connection).await.map_err(failure)?.as_ref().map(decode_alias).transpose()
}

pub(super) async fn delete_alias(
    connection: &mut SqliteConnection,
    machine: MachineId,
    name: &str,
) -> Result<bool, Error> {
    let delete = query("DELETE FROM aliases WHERE machine = ?1 AND name = ?2");
    let delete = delete.bind(blob(machine.0)).bind(name.to_owned());
    Ok(delete.execute(connection).await.map_err(failure)?.rows_affected() > 0)
}

pub(super) async fn alias(
    connection: &mut SqliteConnection,
    machine: &str,
    name: &str,
) -> Result<Option<Alias>, Error> {
    const FIND: &str = concat!(
        "SELECT ",
        alias_column_list!(),
        " FROM aliases a JOIN machines m ON m.id = a.machine WHERE m.name = ?1 AND a.name = ?2"
    );
    let find = query(FIND).bind(machine.to_owned()).bind(name.to_owned());
    find.fetch_optional(connection).await.map_err(failure)?.as_ref().map(decode_alias).transpose()
}

pub(super) async fn list_aliases(
    connection: &mut SqliteConnection,
    machine: MachineId,
    version: Option<u32>,
    limit: u32,
    from: Option<&str>,
) -> Result<Page<Alias>, Error> {
    const LIST: &str = concat!(
        "SELECT ",
        alias_column_list!(),
        " FROM aliases a WHERE a.machine = ?1 AND a.made > ?2 ",
        "AND (?4 IS NULL OR ?4 IN (a.version, a.other)) ORDER BY a.made LIMIT ?3"
    );
    let list =
        query(LIST).bind(blob(machine.0)).bind(after(from)?).bind(signed(u64::from(limit) + 1)).bind(version);
    let found = list.fetch_all(connection).await.map_err(failure)?;
    numbered_page(&found, limit, ALIAS_MADE, decode_alias)
}

pub(super) async fn routes(
    connection: &mut SqliteConnection,
    machine: &str,
    alias: &str,
) -> Result<Vec<(Route, Machine)>, Error> {
    const ROUTES: &str =
        concat!(route_columns!(), "WHERE m.name = ?1 AND a.name = ?2 ORDER BY v.number <> a.version");
    let find = query(ROUTES).bind(machine.to_owned()).bind(alias.to_owned());
    find.fetch_all(connection).await.map_err(failure)?.iter().map(decode_route).collect()
}
