//! Execution rows: made, closed, listed.

use std::borrow::Cow;
use std::collections::HashSet;

use asl::branch::BranchPath;
use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row as _, query};
use uuid::Uuid;

use super::commit::statement::{now, place_bits};
use super::commit::{Answered, remove_all};
use super::failure::{Fault, corrupt};
use super::rows::{self, Id, narrow};
use super::{history, unannounced};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::executions::{
    EXECUTION_COLUMNS, decode, decode_name_holder, execution_column_list, execution_columns, status_number,
};
use crate::adapters::sql::lists::{page, unreadable};
use crate::adapters::sql::rows::signed;
use crate::ids::{ExecutionId, Stamp};
use crate::ports::catalog::versions::Qualifier;
use crate::ports::catalog::{Ends, Execution, ExecutionFilter, Page, StartedBy, WithEnds};
use crate::ports::store::{
    Closing, Error, Fence, Last, NewExecution, OUTBOX_MILLISECONDS, OnClose, Open, Started,
};

/// Postgres keeps any text but one with this character. The history has it as it was.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Makes executions that were asked for together. See [`Store::start`](crate::ports::store::Store::start).
pub(super) fn run_starts<'a>(
    connection: &'a mut PgConnection,
    executions: &'a [&'a NewExecution],
) -> BoxFuture<'a, Result<Answered<Started>, Fault>> {
    start(connection, executions).boxed()
}

async fn start(
    connection: &mut PgConnection,
    executions: &[&NewExecution],
) -> Result<Answered<Started>, Fault> {
    let stamps: Vec<_> = executions.iter().map(|_| Stamp::draw()).collect();
    let wanted: Vec<_> = executions.iter().copied().zip(stamps.iter().copied()).collect();
    let (made, now) = if executions.iter().any(|execution| is_named(execution)) {
        // Names first, in one order for all, so that two that want the same ones wait and do not meet.
        let mut transaction = connection.begin().await?;
        let winners = take_names(&mut transaction, executions).await?;
        let holds = |execution: &NewExecution| !is_named(execution) || winners.contains(&execution.id);
        let wanted: Vec<_> = wanted.iter().copied().filter(|(execution, _)| holds(execution)).collect();
        let done = insert(&mut transaction, &wanted).await?;
        // A name without an execution must not stay.
        drop_names(&mut transaction, executions, &winners, &done.0).await?;
        transaction.commit().await?;
        done
    } else {
        insert(connection, &wanted).await?
    };
    let mut answers = Vec::new();
    for (execution, stamp) in wanted {
        answers.push(match made.contains(&execution.id) {
            true => Started::Created(Fence { seq: 0, stamp }),
            false => holder(connection, execution).await?,
        });
    }
    Ok(Answered { answers, now: Some(now) })
}

/// Whether the caller gave the name.
fn is_named(execution: &NewExecution) -> bool {
    execution.name != execution.id.to_string()
}

/// Takes the names that are free. Answers who has got one.
async fn take_names(
    connection: &mut PgConnection,
    executions: &[&NewExecution],
) -> Result<HashSet<ExecutionId>, Fault> {
    // A name may be another execution's made-up one.
    const TAKE: &str = "
        INSERT INTO execution_names (machine_name, name, machine, execution)
        SELECT i.machine_name, i.name, i.machine, i.execution
        FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[])
             AS i(machine_name, name, machine, execution, made_up)
        WHERE NOT EXISTS (SELECT FROM executions x WHERE x.id = i.made_up AND x.machine = i.machine
                          AND x.name = i.name)
        ORDER BY i.machine_name, i.name, i.machine
        ON CONFLICT DO NOTHING RETURNING execution";
    let named: Vec<_> = executions.iter().filter(|execution| is_named(execution)).collect();
    let take = query(TAKE)
        .bind(named.iter().map(|execution| execution.machine_name.as_str()).collect::<Vec<_>>())
        .bind(named.iter().map(|execution| execution.name.as_str()).collect::<Vec<_>>())
        .bind(named.iter().map(|execution| Id(execution.machine.0)).collect::<Vec<_>>())
        .bind(named.iter().map(|execution| Id(execution.id.0)).collect::<Vec<_>>())
        .bind(named.iter().map(|execution| made_up(&execution.name).map(Id)).collect::<Vec<_>>());
    let taken = take.fetch_all(connection).await?;
    taken.iter().map(|row| Ok(ExecutionId(row.id(0)?))).collect()
}

/// The execution whose made-up name this would be.
fn made_up(name: &str) -> Option<Uuid> {
    name.parse::<ExecutionId>().ok().filter(|id| id.to_string() == name).map(|id| id.0)
}

async fn drop_names(
    connection: &mut PgConnection,
    executions: &[&NewExecution],
    winners: &HashSet<ExecutionId>,
    made: &HashSet<ExecutionId>,
) -> Result<(), Fault> {
    const DROP: &str = "
        DELETE FROM execution_names n USING unnest($1::text[], $2::text[], $3::uuid[]) AS i(machine_name, name, machine)
        WHERE n.machine_name = i.machine_name AND n.name = i.name AND n.machine = i.machine";
    let lost = |execution: &&&NewExecution| winners.contains(&execution.id) && !made.contains(&execution.id);
    let lost: Vec<_> = executions.iter().filter(lost).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let names = query(DROP)
        .bind(lost.iter().map(|execution| execution.machine_name.as_str()).collect::<Vec<_>>())
        .bind(lost.iter().map(|execution| execution.name.as_str()).collect::<Vec<_>>())
        .bind(lost.iter().map(|execution| Id(execution.machine.0)).collect::<Vec<_>>());
    names.execute(connection).await?;
    Ok(())
}

/// Makes those whose machine is there and that are not made yet. Answers which, and the time.
async fn insert(
    connection: &mut PgConnection,
    wanted: &[(&NewExecution, Stamp)],
) -> Result<(HashSet<ExecutionId>, Timestamp), Fault> {
    const INSERT: &str = concat!(
        "WITH clock AS MATERIALIZED (SELECT ",
        now!(),
        " AS ms, pg_current_xact_id()::text::bigint << ",
        place_bits!(),
        " AS base), fresh AS MATERIALIZED (SELECT i.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], ",
        "$5::text[], $6::bytea[], $7::bigint[], $8::bigint[], $9::int[], $10::int[], $11::bytea[], $13::int[], ",
        "$14::text[]) AS i(id, machine, revision, machine_name, name, input_hash, started_at, deadline, stamp, ",
        "count, body, version, alias) ",
        "JOIN machines m ON m.id = i.machine WHERE NOT EXISTS (SELECT FROM executions x WHERE x.id = i.id)), ",
        "made AS (INSERT INTO executions (id, machine, revision, started_at, deadline, status, machine_name, name, ",
        "input_hash, version, alias) SELECT id, machine, revision, started_at, deadline, 0, machine_name, name, ",
        "input_hash, version, alias FROM fresh), roots AS (INSERT INTO branches (execution, branch, seq, stamp, phase, moved_at, due, before, ",
        "events, below) SELECT f.id, 'r', 0, f.stamp, 0, c.ms, c.ms + $12::bigint, 0, f.count, 0 ",
        "FROM fresh f, clock c), ",
        "first AS (INSERT INTO history (execution, branch, seq, pos, count, body) ",
        "SELECT f.id, 'r', 0, c.base, f.count, f.body FROM fresh f, clock c) ",
        "SELECT coalesce(array_agg(f.id), '{}'), (SELECT ms FROM clock) FROM fresh f"
    );
    let times = |of: fn(&NewExecution) -> Option<Timestamp>| {
        wanted.iter().map(|(new, _)| of(new).map(Timestamp::milliseconds)).collect::<Vec<_>>()
    };
    let insert = query(INSERT)
        .bind(wanted.iter().map(|(new, _)| Id(new.id.0)).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(new, _)| Id(new.machine.0)).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(new, _)| Id(new.revision.0)).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(new, _)| new.machine_name.as_str()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(new, _)| new.name.as_str()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(new, _)| new.input_hash.as_slice()).collect::<Vec<_>>())
        .bind(times(|new| Some(new.started_at)))
        .bind(times(|new| new.deadline))
        .bind(wanted.iter().map(|(_, stamp)| narrow(stamp.0)).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(new, _)| i32::from(new.history.events)).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(new, _)| &*new.history.body).collect::<Vec<_>>())
        .bind(OUTBOX_MILLISECONDS)
        .bind(qualifiers(wanted).map(|of| of.map(|of| narrow(of.version))).collect::<Vec<_>>())
        .bind(qualifiers(wanted).map(|of| of?.alias.as_deref()).collect::<Vec<_>>());
    let row = insert.fetch_one(connection).await?;
    let made = row.try_get::<Vec<Id>, _>(0)?;
    Ok((made.into_iter().map(|id| ExecutionId(id.0)).collect(), row.time(1)?))
}

fn qualifiers<'a>(wanted: &'a [(&NewExecution, Stamp)]) -> impl Iterator<Item = Option<&'a Qualifier>> {
    wanted.iter().map(|(new, _)| new.qualifier.as_ref())
}

/// Who has the name of an execution that was not made; itself, if it was made before.
async fn holder(connection: &mut PgConnection, execution: &NewExecution) -> Result<Started, Fault> {
    const HOLDER: &str = "
        SELECT x.id, x.input_hash, x.status, x.started_at FROM executions x WHERE x.machine = $3 AND x.id IN (
            SELECT n.execution FROM execution_names n
            WHERE n.machine_name = $1 AND n.name = $2 AND n.machine = $3
            UNION ALL SELECT $4::uuid UNION ALL SELECT $5::uuid) LIMIT 1";
    let holder = query(HOLDER)
        .bind(&execution.machine_name)
        .bind(&execution.name)
        .bind(Id(execution.machine.0))
        .bind(Id(execution.id.0))
        .bind(made_up(&execution.name).map(Id));
    if let Some(row) = holder.fetch_optional(&mut *connection).await? {
        return decode_name_holder(&row);
    }
    let machine = query("SELECT FROM machines WHERE id = $1").bind(Id(execution.machine.0));
    match machine.fetch_optional(connection).await? {
        None => Ok(Started::NoMachine),
        Some(_) => Err(Fault::Unknown("the name was given up while it was asked for".to_owned())),
    }
}

/// See [`Store::close`](crate::ports::store::Store::close).
pub(super) async fn close(
    connection: &mut PgConnection,
    execution: ExecutionId,
    decide: OnClose,
) -> Result<bool, Fault> {
    let mut transaction = connection.begin().await?;
    let mut taken = take(&mut transaction, execution).await?;
    if matches!(taken, Taken { runs: Some(_), root: None }) {
        // A redrive was committed after its rows were looked for, and before it was asked whether it runs.
        transaction.rollback().await?;
        transaction = connection.begin().await?;
        taken = take(&mut transaction, execution).await?;
    }
    let Taken { runs: Some(Runs { deadline }), root } = taken else {
        transaction.rollback().await?;
        return Ok(false);
    };
    let root = root.ok_or_else(|| corrupt(format_args!("running {execution} has no root")))?;
    let body = history::body(&mut transaction, &root.key, root.fence.seq).await?;
    let body = body.ok_or_else(|| corrupt(format_args!("the root of {execution} has no history")))?;
    let (after, events) = history::end(&mut transaction, execution).await?;
    match decide(Open { root: root.stored(body), events, deadline }) {
        None => {
            transaction.rollback().await?;
            Ok(false)
        }
        Some(last) => {
            append(&mut transaction, execution, &last, after).await?;
            put(&mut transaction, execution, &last.closing).await?;
            transaction.commit().await?;
            Ok(true)
        }
    }
}

/// An execution whose rows were removed.
struct Taken {
    /// Whether it runs.
    runs: Option<Runs>,
    root: Option<rows::Row>,
}

struct Runs {
    deadline: Option<Timestamp>,
}

/// Removes all rows of an execution and locks its own.
async fn take(connection: &mut PgConnection, execution: ExecutionId) -> Result<Taken, Fault> {
    const RUNS: &str = "SELECT deadline FROM executions WHERE id = $1 AND status = 0 FOR UPDATE";
    let removed = remove_all(connection, execution).await?;
    let found = query(RUNS).bind(Id(execution.0)).fetch_optional(connection).await?;
    let runs = |row: PgRow| Ok::<_, Fault>(Runs { deadline: row.maybe_time(0)? });
    let root = removed.into_iter().map(|(row, _)| row).find(|row| row.key.branch.is_root());
    Ok(Taken { runs: found.map(runs).transpose()?, root })
}

/// Appends rows after all that are there, in their order.
async fn append(
    connection: &mut PgConnection,
    execution: ExecutionId,
    last: &Last,
    after: i64,
) -> Result<(), Fault> {
    const APPEND: &str = concat!(
        "INSERT INTO history (execution, branch, seq, pos, count, body) SELECT $1, i.branch, i.seq, ",
        "greatest($2, pg_current_xact_id()::text::bigint << ",
        place_bits!(),
        ") + i.place, i.count, i.body FROM unnest($3::text[], $4::int[], $5::int[], $6::bytea[]) WITH ORDINALITY ",
        "AS i(branch, seq, count, body, place)"
    );
    let rows = &last.rows;
    let append = query(APPEND)
        .bind(Id(execution.0))
        .bind(after)
        .bind(rows.iter().map(|(branch, _, _)| branch.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, seq, _)| narrow(*seq)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, row)| i32::from(row.events)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, row)| &*row.body).collect::<Vec<_>>());
    append.execute(connection).await?;
    Ok(())
}

async fn put(connection: &mut PgConnection, execution: ExecutionId, closing: &Closing) -> Result<(), Fault> {
    const CLOSE: &str = "UPDATE executions SET status = $2, stopped_at = $3, error = $4 WHERE id = $1";
    let close = query(CLOSE)
        .bind(Id(execution.0))
        .bind(status_number(closing.status))
        .bind(closing.at.milliseconds())
        .bind(closing.error.as_deref().map(without_nul));
    close.execute(&mut *connection).await?;
    if closing.unannounced { unannounced::keep(connection, execution).await } else { Ok(()) }
}

/// See [`Store::overdue`](crate::ports::store::Store::overdue).
pub(super) async fn overdue(
    connection: &mut PgConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ExecutionId>, Fault> {
    const OVERDUE: &str =
        "SELECT id FROM executions WHERE status = 0 AND deadline <= $1 ORDER BY deadline LIMIT $2";
    let overdue = query(OVERDUE).bind(now.milliseconds()).bind(i64::from(limit));
    overdue.fetch_all(connection).await?.iter().map(|row| Ok(ExecutionId(row.id(0)?))).collect()
}

/// Running executions: as many as there are roots.
pub(super) async fn running(connection: &mut PgConnection) -> Result<u64, Fault> {
    let count = query("SELECT count(*) FROM branches WHERE branch = $1").bind(BranchPath::root().to_string());
    count.fetch_one(connection).await?.number(0)
}

/// An execution runs as long as its root is there.
pub(super) async fn still_running(
    connection: &mut PgConnection,
    ids: &[ExecutionId],
) -> Result<Vec<ExecutionId>, Fault> {
    const FIND: &str = "SELECT execution FROM branches WHERE execution = ANY($1::uuid[]) AND branch = $2";
    let ids: Vec<Id> = ids.iter().map(|execution| Id(execution.0)).collect();
    let rows = query(FIND).bind(ids).bind(BranchPath::root().to_string()).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(ExecutionId(row.id(0)?))).collect()
}

/// The execution with these names. A machine made again under its old name may have used a name again: the
/// newest counts.
pub(super) async fn by_name(
    connection: &mut PgConnection,
    machine_name: &str,
    name: &str,
) -> Result<Option<Execution>, Fault> {
    const BY_NAME: &str = concat!(
        execution_columns!(),
        "WHERE x.machine_name = $1 AND x.name = $2 AND x.id IN (SELECT n.execution FROM execution_names n ",
        "WHERE n.machine_name = $1 AND n.name = $2 UNION ALL SELECT $3::uuid) ",
        "ORDER BY x.started_at DESC, x.id DESC LIMIT 1"
    );
    let find = query(BY_NAME).bind(machine_name).bind(name).bind(made_up(name).map(Id));
    find.fetch_optional(connection).await?.as_ref().map(decode).transpose()
}

/// The execution with this id.
pub(super) async fn by_id(
    connection: &mut PgConnection,
    execution: ExecutionId,
) -> Result<Option<Execution>, Fault> {
    const BY_ID: &str = concat!(execution_columns!(), "WHERE x.id = $1");
    let found = query(BY_ID).bind(Id(execution.0)).fetch_optional(connection).await?;
    found.as_ref().map(decode).transpose()
}

/// See [`Catalog::executions_with_ends`](crate::ports::catalog::Catalog::executions_with_ends).
pub(super) async fn with_ends(
    connection: &mut PgConnection,
    ids: &[ExecutionId],
) -> Result<Vec<Option<WithEnds>>, Fault> {
    const WITH_ENDS: &str = concat!(
        "SELECT ",
        execution_column_list!(),
        ", f.body, CASE WHEN x.status <> 0 THEN l.body END, l.seq, k.place ",
        "FROM unnest($1::uuid[]) WITH ORDINALITY AS k(id, place) JOIN executions x ON x.id = k.id ",
        "JOIN history f ON f.execution = x.id AND f.branch = 'r' AND f.seq = 0 JOIN LATERAL (",
        "SELECT h.body, h.seq FROM history h WHERE h.execution = x.id AND h.branch = 'r' ",
        "ORDER BY h.seq DESC LIMIT 1) l ON true"
    );
    let wanted: Vec<_> = ids.iter().map(|id| Id(id.0)).collect();
    let mut executions = vec![None; ids.len()];
    for row in &query(WITH_ENDS).bind(wanted).fetch_all(connection).await? {
        let last = row.try_get::<Option<&[u8]>, _>(EXECUTION_COLUMNS + 1)?.map(Bytes::copy_from_slice);
        let ends = Ends { first: row.bytes(EXECUTION_COLUMNS)?, last };
        let place = row.number::<usize>(EXECUTION_COLUMNS + 3)?.saturating_sub(1);
        if let Some(slot) = executions.get_mut(place) {
            *slot = Some(WithEnds {
                execution: decode(row)?,
                ends,
                last_seq: row.number(EXECUTION_COLUMNS + 2)?,
            });
        }
    }
    Ok(executions)
}

/// Executions of a machine below a place, in the order of lists. Few were redriven: those are found apart, so that all
/// others are listed by what they have anyway, their ids.
macro_rules! listed {
    ($which:literal) => {
        concat!(
            "SELECT * FROM (",
            execution_columns!(),
            "WHERE x.machine = $1 AND x.place IS NULL AND x.id < $2 ",
            $which,
            "ORDER BY x.id DESC LIMIT $3) AS started UNION ALL SELECT * FROM (",
            execution_columns!(),
            "WHERE x.machine = $1 AND x.place < $2 ",
            $which,
            "ORDER BY x.place DESC LIMIT $3) AS redriven ORDER BY place DESC LIMIT $3"
        )
    };
}

/// See [`Catalog::executions`](crate::ports::catalog::Catalog::executions). A page begins below an id, so
/// later starts, which have higher ids, shift nothing.
pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &ExecutionFilter,
    limit: u32,
    below: ExecutionId,
) -> Result<Page<Execution>, Fault> {
    const ALL: &str = listed!("");
    const WITH_STATUS: &str = listed!("AND x.status = $4 ");
    const OF_VERSION: &str = listed!("AND x.version = $5 AND ($4::smallint IS NULL OR x.status = $4) ");
    const OF_ALIAS: &str = listed!("AND x.alias = $5 AND ($4::smallint IS NULL OR x.status = $4) ");
    // One more than asked tells whether there is a next page.
    let limited = |statement| {
        query(statement).bind(Id(filter.machine.0)).bind(Id(below.0)).bind(signed(u64::from(limit) + 1))
    };
    let status = filter.status.map(status_number);
    let list = match (&filter.started_by, status) {
        (StartedBy::Any, None) => limited(ALL),
        (StartedBy::Any, Some(status)) => limited(WITH_STATUS).bind(status),
        (StartedBy::Version(number), status) => limited(OF_VERSION).bind(status).bind(narrow(*number)),
        (StartedBy::Alias(name), status) => limited(OF_ALIAS).bind(status).bind(name),
    };
    let found = list.fetch_all(connection).await?;
    let items = found.iter().map(decode).collect::<Result<_, _>>()?;
    Ok(page(items, limit, |execution| execution.place.to_string()))
}

/// Where a list of executions goes on.
pub(super) fn below(from: Option<&str>) -> Result<ExecutionId, Error> {
    let parse = |from: &str| from.parse().map_err(|_| unreadable(from));
    from.map_or(Ok(ExecutionId(Uuid::max())), parse)
}
