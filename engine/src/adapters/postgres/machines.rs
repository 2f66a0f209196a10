//! State machines, their revisions, and activities.

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row as _, query};

use super::failure::Fault;
use super::rows::Id;
use super::{tags, versions};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::lists::numbered_page;
use crate::adapters::sql::machines::{
    MACHINE_MADE, decode_activity, decode_machine, decode_revision, machine_columns, revision_columns,
    type_name,
};
use crate::adapters::sql::rows::signed;
use crate::ids::{MachineId, RevisionId};
use crate::ports::catalog::tags::{Tag, TagOwner};
use crate::ports::catalog::{Activity, Created, Machine, Page, Revision, Updated};

pub(super) async fn create(
    connection: &mut PgConnection,
    machine: Machine,
    tags: Vec<Tag>,
) -> Result<Created<Machine>, Fault> {
    const INSERT: &str = "
        INSERT INTO machines (id, name, workflow_type, created_at, revision) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (name) DO NOTHING";
    let mut transaction = connection.begin().await?;
    let insert = query(INSERT)
        .bind(Id(machine.id.0))
        .bind(&machine.name)
        .bind(type_name(machine.workflow_type))
        .bind(machine.created_at.milliseconds())
        .bind(Id(machine.revision.id.0));
    if insert.execute(&mut *transaction).await?.rows_affected() == 0 {
        let taken = find(&mut transaction, &machine.name).await?;
        transaction.rollback().await?;
        return taken.map(Created::Exists).ok_or_else(|| given_up(&machine.name));
    }
    add_revision(&mut transaction, machine.id, machine.revision).await?;
    tags::put(&mut transaction, &TagOwner::Machine(machine.id), &tags).await?;
    transaction.commit().await?;
    Ok(Created::New)
}

/// For a name that was taken when it was asked for and free when its holder was.
fn given_up(name: &str) -> Fault {
    Fault::Unknown(format!("'{name}' was given up while it was asked for"))
}

async fn add_revision(
    connection: &mut PgConnection,
    machine: MachineId,
    revision: Revision,
) -> Result<(), Fault> {
    const INSERT: &str = "
        INSERT INTO revisions (id, machine, initial, definition, role_arn, settings, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let insert = query(INSERT)
        .bind(Id(revision.id.0))
        .bind(Id(machine.0))
        .bind(revision.initial)
        .bind(revision.definition)
        .bind(revision.role_arn)
        .bind(revision.settings)
        .bind(revision.created_at.milliseconds());
    insert.execute(connection).await?;
    Ok(())
}

pub(super) async fn update(
    connection: &mut PgConnection,
    machine: MachineId,
    from: RevisionId,
    revision: Revision,
) -> Result<Updated, Fault> {
    let mut transaction = connection.begin().await?;
    let present = query("SELECT revision FROM machines WHERE id = $1 FOR UPDATE").bind(Id(machine.0));
    let Some(present) = present.fetch_optional(&mut *transaction).await? else { return Ok(Updated::Gone) };
    if present.try_get::<Id, _>(0)?.0 != from.0 {
        return Ok(Updated::Overtaken);
    }
    let point = query("UPDATE machines SET revision = $2 WHERE id = $1");
    point.bind(Id(machine.0)).bind(Id(revision.id.0)).execute(&mut *transaction).await?;
    add_revision(&mut transaction, machine, revision).await?;
    transaction.commit().await?;
    Ok(Updated::Done)
}

pub(super) async fn delete(connection: &mut PgConnection, machine: MachineId) -> Result<bool, Fault> {
    let mut transaction = connection.begin().await?;
    // First, so that whoever changes what is its own is through.
    let delete = query("DELETE FROM machines WHERE id = $1").bind(Id(machine.0));
    let there = delete.execute(&mut *transaction).await?.rows_affected() > 0;
    versions::remove_all(&mut transaction, machine).await?;
    tags::remove_all(&mut transaction, &TagOwner::Machine(machine)).await?;
    transaction.commit().await?;
    Ok(there)
}

pub(super) async fn find(connection: &mut PgConnection, name: &str) -> Result<Option<Machine>, Fault> {
    const FIND: &str = concat!(machine_columns!(), "WHERE m.name = $1");
    let found = query(FIND).bind(name.to_owned()).fetch_optional(connection).await?;
    found.as_ref().map(decode_machine).transpose()
}

pub(super) async fn revision(
    connection: &mut PgConnection,
    id: RevisionId,
) -> Result<Option<Revision>, Fault> {
    const FIND: &str = concat!("SELECT ", revision_columns!(), " FROM revisions r WHERE r.id = $1");
    let found = query(FIND).bind(Id(id.0)).fetch_optional(connection).await?;
    found.as_ref().map(decode_revision).transpose()
}

pub(super) async fn count(connection: &mut PgConnection) -> Result<u64, Fault> {
    query("SELECT count(*) FROM machines").fetch_one(connection).await?.number(0)
}

pub(super) async fn list(
    connection: &mut PgConnection,
    limit: u32,
    after: i64,
) -> Result<Page<Machine>, Fault> {
    const LIST: &str = concat!(machine_columns!(), "WHERE m.made > $1 ORDER BY m.made LIMIT $2");
    let list = query(LIST).bind(after).bind(signed(u64::from(limit) + 1));
    let found = list.fetch_all(connection).await?;
    numbered_page(&found, limit, MACHINE_MADE, decode_machine)
}

pub(super) async fn create_activity(
    connection: &mut PgConnection,
    activity: Activity,
    tags: Vec<Tag>,
) -> Result<Activity, Fault> {
    const INSERT: &str =
        "INSERT INTO activities (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    let mut transaction = connection.begin().await?;
    let insert = query(INSERT).bind(&activity.name).bind(activity.created_at.milliseconds());
    if insert.execute(&mut *transaction).await?.rows_affected() == 0 {
        let there = find_activity(&mut transaction, &activity.name).await?;
        transaction.rollback().await?;
        return there.ok_or_else(|| given_up(&activity.name));
    }
    tags::put(&mut transaction, &TagOwner::Activity(activity.name.clone()), &tags).await?;
    transaction.commit().await?;
    Ok(activity)
}

pub(super) async fn delete_activity(connection: &mut PgConnection, name: &str) -> Result<bool, Fault> {
    let mut transaction = connection.begin().await?;
    let delete = query("DELETE FROM activities WHERE name = $1").bind(name);
    let there = delete.execute(&mut *transaction).await?.rows_affected() > 0;
    tags::remove_all(&mut transaction, &TagOwner::Activity(name.to_owned())).await?;
    transaction.commit().await?;
    Ok(there)
}

pub(super) async fn find_activity(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Option<Activity>, Fault> {
    const FIND: &str = "SELECT name, created_at FROM activities WHERE name = $1";
    let found = query(FIND).bind(name.to_owned()).fetch_optional(connection).await?;
    found.as_ref().map(decode_activity).transpose()
}

pub(super) async fn count_activities(connection: &mut PgConnection) -> Result<u64, Fault> {
    query("SELECT count(*) FROM activities").fetch_one(connection).await?.number(0)
}

pub(super) async fn list_activities(
    connection: &mut PgConnection,
    limit: u32,
    after: i64,
) -> Result<Page<Activity>, Fault> {
    const LIST: &str = "SELECT name, created_at, made FROM activities WHERE made > $1 ORDER BY made LIMIT $2";
    let list = query(LIST).bind(after).bind(signed(u64::from(limit) + 1));
    let found = list.fetch_all(connection).await?;
    numbered_page(&found, limit, 2, decode_activity)
}
