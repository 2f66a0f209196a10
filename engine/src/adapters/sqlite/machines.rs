//! State machines, their revisions, and activities.

use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::failure::failure;
use super::rows::blob;
use super::{tags, versions};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::lists::{after, numbered_page};
use crate::adapters::sql::machines::{
    MACHINE_MADE, decode_activity, decode_machine, decode_revision, machine_columns, revision_columns,
    type_name,
};
use crate::adapters::sql::rows::signed;
use crate::ids::{MachineId, RevisionId};
use crate::ports::catalog::tags::{Tag, TagOwner};
use crate::ports::catalog::{Activity, Created, Machine, Page, Revision, Updated};
use crate::ports::store::Error;

pub(super) async fn create(
    connection: &mut SqliteConnection,
    machine: Machine,
    tags: Vec<Tag>,
) -> Result<Created<Machine>, Error> {
    const INSERT: &str = "
        INSERT INTO machines (id, name, workflow_type, created_at, revision) VALUES (?1, ?2, ?3, ?4, ?5)";
    if let Some(taken) = find(connection, &machine.name).await? {
        return Ok(Created::Exists(taken));
    }
    let insert = query(INSERT)
        .bind(blob(machine.id.0))
        .bind(machine.name)
        .bind(type_name(machine.workflow_type))
        .bind(machine.created_at.milliseconds())
        .bind(blob(machine.revision.id.0));
    insert.execute(&mut *connection).await.map_err(failure)?;
    add_revision(connection, machine.id, machine.revision).await?;
    tags::put(connection, &TagOwner::Machine(machine.id), &tags).await?;
    Ok(Created::New)
}

async fn add_revision(
    connection: &mut SqliteConnection,
    machine: MachineId,
    revision: Revision,
) -> Result<(), Error> {
    const INSERT: &str = "
        INSERT INTO revisions (id, machine, initial, definition, role_arn, settings, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let insert = query(INSERT)
        .bind(blob(revision.id.0))
        .bind(blob(machine.0))
        .bind(revision.initial)
        .bind(revision.definition)
        .bind(revision.role_arn)
        .bind(revision.settings)
        .bind(revision.created_at.milliseconds());
    insert.execute(connection).await.map_err(failure)?;
    Ok(())
}

pub(super) async fn update(
    connection: &mut SqliteConnection,
    machine: MachineId,
    from: RevisionId,
    revision: Revision,
) -> Result<Updated, Error> {
    // One writer at a time: nothing comes between the two statements.
    let point = query("UPDATE machines SET revision = ?2 WHERE id = ?1 AND revision = ?3");
    let point = point.bind(blob(machine.0)).bind(blob(revision.id.0)).bind(blob(from.0));
    if point.execute(&mut *connection).await.map_err(failure)?.rows_affected() > 0 {
        add_revision(connection, machine, revision).await?;
        return Ok(Updated::Done);
    }
    let there = query("SELECT 1 FROM machines WHERE id = ?1").bind(blob(machine.0));
    let there = there.fetch_optional(&mut *connection).await.map_err(failure)?;
    Ok(if there.is_some() { Updated::Overtaken } else { Updated::Gone })
}

pub(super) async fn delete(connection: &mut SqliteConnection, machine: MachineId) -> Result<bool, Error> {
    versions::remove_all(connection, machine).await?;
    tags::remove_all(connection, &TagOwner::Machine(machine)).await?;
    let delete = query("DELETE FROM machines WHERE id = ?1").bind(blob(machine.0));
    Ok(delete.execute(connection).await.map_err(failure)?.rows_affected() > 0)
}

pub(super) async fn find(connection: &mut SqliteConnection, name: &str) -> Result<Option<Machine>, Error> {
    const FIND: &str = concat!(machine_columns!(), "WHERE m.name = ?1");
    let found = query(FIND).bind(name.to_owned()).fetch_optional(connection).await.map_err(failure)?;
    found.as_ref().map(decode_machine).transpose()
}

pub(super) async fn revision(
    connection: &mut SqliteConnection,
    id: RevisionId,
) -> Result<Option<Revision>, Error> {
    const FIND: &str = concat!("SELECT ", revision_columns!(), " FROM revisions r WHERE r.id = ?1");
    let found = query(FIND).bind(blob(id.0)).fetch_optional(connection).await.map_err(failure)?;
    found.as_ref().map(decode_revision).transpose()
}

pub(super) async fn count(connection: &mut SqliteConnection) -> Result<u64, Error> {
    query("SELECT count(*) FROM machines").fetch_one(connection).await.map_err(failure)?.number(0)
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    limit: u32,
    from: Option<&str>,
) -> Result<Page<Machine>, Error> {
    const LIST: &str = concat!(machine_columns!(), "WHERE m.made > ?1 ORDER BY m.made LIMIT ?2");
    let list = query(LIST).bind(after(from)?).bind(signed(u64::from(limit) + 1));
    let found = list.fetch_all(connection).await.map_err(failure)?;
    numbered_page(&found, limit, MACHINE_MADE, decode_machine)
}

pub(super) async fn create_activity(
    connection: &mut SqliteConnection,
    activity: Activity,
    tags: Vec<Tag>,
) -> Result<Activity, Error> {
    const INSERT: &str = "INSERT INTO activities (name, created_at) VALUES (?1, ?2)";
    if let Some(there) = find_activity(connection, &activity.name).await? {
        return Ok(there);
    }
    let insert = query(INSERT).bind(activity.name.clone()).bind(activity.created_at.milliseconds());
    insert.execute(&mut *connection).await.map_err(failure)?;
    tags::put(connection, &TagOwner::Activity(activity.name.clone()), &tags).await?;
    Ok(activity)
}

pub(super) async fn delete_activity(connection: &mut SqliteConnection, name: &str) -> Result<bool, Error> {
    tags::remove_all(connection, &TagOwner::Activity(name.to_owned())).await?;
    let delete = query("DELETE FROM activities WHERE name = ?1").bind(name.to_owned());
    Ok(delete.execute(connection).await.map_err(failure)?.rows_affected() > 0)
}

pub(super) async fn find_activity(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<Activity>, Error> {
    const FIND: &str = "SELECT name, created_at FROM activities WHERE name = ?1";
    let found = query(FIND).bind(name.to_owned()).fetch_optional(connection).await.map_err(failure)?;
    found.as_ref().map(decode_activity).transpose()
}

pub(super) async fn count_activities(connection: &mut SqliteConnection) -> Result<u64, Error> {
    query("SELECT count(*) FROM activities").fetch_one(connection).await.map_err(failure)?.number(0)
}

pub(super) async fn list_activities(
    connection: &mut SqliteConnection,
    limit: u32,
    from: Option<&str>,
) -> Result<Page<Activity>, Error> {
    const LIST: &str = "SELECT name, created_at, made FROM activities WHERE made > ?1 ORDER BY made LIMIT ?2";
    let list = query(LIST).bind(after(from)?).bind(signed(u64::from(limit) + 1));
    let found = list.fetch_all(connection).await.map_err(failure)?;
    numbered_page(&found, limit, 2, decode_activity)
}
