//! State machines, their revisions, and activities.

use sqlx::query;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::executions::{page, unreadable};
use super::failure::{corrupt, failure};
use super::rows::{blob, id, number, signed, text, time};
use crate::ids::{MachineId, RevisionId};
use crate::ports::catalog::{Activity, Created, Machine, Page, Revision, WorkflowType};
use crate::ports::store::Error;

/// The columns of a revision `r`, in the order [`decode_revision`] reads them.
macro_rules! revision_columns {
    () => {
        "r.id, r.initial, r.definition, r.role_arn, r.settings, r.created_at"
    };
}
/// The columns of a machine `m` behind those of its revision.
macro_rules! machine_columns {
    () => {
        concat!(
            "SELECT ",
            revision_columns!(),
            ", m.id, m.name, m.workflow_type, m.created_at, m.made",
            " FROM machines m JOIN revisions r ON r.id = m.revision "
        )
    };
}

fn type_name(workflow_type: WorkflowType) -> &'static str {
    match workflow_type {
        WorkflowType::Standard => "STANDARD",
        WorkflowType::Express => "EXPRESS",
    }
}

fn workflow_type(name: &str) -> Result<WorkflowType, Error> {
    match name {
        "STANDARD" => Ok(WorkflowType::Standard),
        "EXPRESS" => Ok(WorkflowType::Express),
        other => Err(corrupt(format_args!("'{other}' is no workflow type"))),
    }
}

fn decode_revision(row: &SqliteRow) -> Result<Revision, Error> {
    Ok(Revision {
        id: RevisionId(id(row, 0)?),
        initial: number::<i64>(row, 1)? != 0,
        definition: text(row, 2)?,
        role_arn: text(row, 3)?,
        settings: text(row, 4)?,
        created_at: time(row, 5)?,
    })
}

fn decode_machine(row: &SqliteRow) -> Result<Machine, Error> {
    Ok(Machine {
        id: MachineId(id(row, 6)?),
        name: text(row, 7)?,
        workflow_type: workflow_type(&text(row, 8)?)?,
        created_at: time(row, 9)?,
        revision: decode_revision(row)?,
    })
}

pub(super) async fn create(
    connection: &mut SqliteConnection,
    machine: Machine,
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
    revision: Revision,
) -> Result<bool, Error> {
    let point = query("UPDATE machines SET revision = ?2 WHERE id = ?1");
    let point = point.bind(blob(machine.0)).bind(blob(revision.id.0));
    let there = point.execute(&mut *connection).await.map_err(failure)?.rows_affected() > 0;
    if there {
        add_revision(connection, machine, revision).await?;
    }
    Ok(there)
}

pub(super) async fn delete(connection: &mut SqliteConnection, machine: MachineId) -> Result<bool, Error> {
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

pub(super) async fn list(
    connection: &mut SqliteConnection,
    limit: u32,
    from: Option<&str>,
) -> Result<Page<Machine>, Error> {
    const LIST: &str = concat!(machine_columns!(), "WHERE m.made > ?1 ORDER BY m.made LIMIT ?2");
    let list = query(LIST).bind(after(from)?).bind(signed(u64::from(limit) + 1));
    let found = list.fetch_all(connection).await.map_err(failure)?;
    let numbered = |row| Ok((number::<i64>(row, 10)?, decode_machine(row)?));
    let items = found.iter().map(numbered).collect::<Result<Vec<_>, Error>>()?;
    Ok(without_numbers(page(items, limit, |(made, _)| made.to_string())))
}

/// The number of the last item of the page before.
fn after(from: Option<&str>) -> Result<i64, Error> {
    from.map_or(Ok(0), |from| from.parse().map_err(|_| unreadable(from)))
}

fn without_numbers<T>(page: Page<(i64, T)>) -> Page<T> {
    Page { items: page.items.into_iter().map(|(_, item)| item).collect(), next: page.next }
}

fn decode_activity(row: &SqliteRow) -> Result<Activity, Error> {
    Ok(Activity { name: text(row, 0)?, created_at: time(row, 1)? })
}

pub(super) async fn create_activity(
    connection: &mut SqliteConnection,
    activity: Activity,
) -> Result<Activity, Error> {
    const INSERT: &str = "INSERT INTO activities (name, created_at) VALUES (?1, ?2)";
    if let Some(there) = find_activity(connection, &activity.name).await? {
        return Ok(there);
    }
    let insert = query(INSERT).bind(activity.name.clone()).bind(activity.created_at.milliseconds());
    insert.execute(connection).await.map_err(failure)?;
    Ok(activity)
}

pub(super) async fn delete_activity(connection: &mut SqliteConnection, name: &str) -> Result<bool, Error> {
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

pub(super) async fn list_activities(
    connection: &mut SqliteConnection,
    limit: u32,
    from: Option<&str>,
) -> Result<Page<Activity>, Error> {
    const LIST: &str = "SELECT name, created_at, made FROM activities WHERE made > ?1 ORDER BY made LIMIT ?2";
    let list = query(LIST).bind(after(from)?).bind(signed(u64::from(limit) + 1));
    let found = list.fetch_all(connection).await.map_err(failure)?;
    let numbered = |row| Ok((number::<i64>(row, 2)?, decode_activity(row)?));
    let items = found.iter().map(numbered).collect::<Result<Vec<_>, Error>>()?;
    Ok(without_numbers(page(items, limit, |(made, _)| made.to_string())))
}
