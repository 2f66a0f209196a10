//! Execution rows: made, counted, closed, listed.

use std::collections::BTreeMap;

use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use sqlx::query;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::failure::failure;
use super::history::{Appended, append};
use super::rows::{self, Range, Row, blob, hex, json};
use super::unannounced;
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::executions::{
    EXECUTION_COLUMNS, decode, decode_name_holder, execution_column_list, execution_columns, status_number,
};
use crate::adapters::sql::lists::{page, unreadable};
use crate::adapters::sql::rows::signed;
use crate::ids::ExecutionId;
use crate::ports::catalog::{Ends, Execution, ExecutionFilter, Page, StartedBy, WithEnds};
use crate::ports::store::{
    BranchKey, Closing, Error, HistoryRow, Last, NewExecution, OUTBOX_MILLISECONDS, OnClose, Open, Phase,
    Started,
};

/// See [`Store::start`](crate::ports::store::Store::start).
pub(super) async fn start(
    connection: &mut SqliteConnection,
    execution: NewExecution,
    now: Timestamp,
) -> Result<Started, Error> {
    let machine = query("SELECT 1 FROM machines WHERE id = ?1").bind(blob(execution.machine.0));
    if machine.fetch_optional(&mut *connection).await.map_err(failure)?.is_none() {
        return Ok(Started::NoMachine);
    }
    if let Some(holder) = name_holder(connection, &execution).await? {
        return Ok(holder);
    }
    insert(connection, &execution).await?;
    let key = BranchKey { execution: execution.id, branch: asl::branch::BranchPath::root() };
    let mut root = Row::new(key, Phase::Runnable, now);
    root.state.due = Some(now.plus_milliseconds(OUTBOX_MILLISECONDS));
    root.events = execution.history.events.into();
    rows::put(connection, std::iter::once(&root)).await?;
    let HistoryRow { events, body } = execution.history;
    let first =
        Appended { execution: execution.id, branch: root.key.branch, seq: 0, first_id: 1, events, body };
    append(connection, &[first]).await?;
    Ok(Started::Created(root.fence))
}

async fn name_holder(
    connection: &mut SqliteConnection,
    execution: &NewExecution,
) -> Result<Option<Started>, Error> {
    const HOLDER: &str = "
        SELECT id, input_hash, status, started_at FROM executions
        WHERE machine_name = ?1 AND name = ?2 AND machine = ?3";
    let holder = query(HOLDER).bind(execution.machine_name.clone()).bind(execution.name.clone());
    let found = holder.bind(blob(execution.machine.0)).fetch_optional(connection).await.map_err(failure)?;
    found.as_ref().map(decode_name_holder).transpose()
}

async fn insert(connection: &mut SqliteConnection, execution: &NewExecution) -> Result<(), Error> {
    const INSERT: &str = "
        INSERT INTO executions (id, events, machine, machine_name, revision, name, input_hash, status,
                                started_at, deadline, version, alias)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11)";
    let qualifier = execution.qualifier.as_ref();
    let insert = query(INSERT)
        .bind(blob(execution.id.0))
        .bind(i64::from(execution.history.events))
        .bind(blob(execution.machine.0))
        .bind(execution.machine_name.clone())
        .bind(blob(execution.revision.0))
        .bind(execution.name.clone())
        .bind(execution.input_hash.to_vec())
        .bind(execution.started_at.milliseconds())
        .bind(execution.deadline.map(Timestamp::milliseconds))
        .bind(qualifier.map(|qualifier| qualifier.version))
        .bind(qualifier.and_then(|qualifier| qualifier.alias.clone()));
    insert.execute(connection).await.map_err(failure)?;
    Ok(())
}

/// What a transaction does to an execution that runs.
#[derive(Debug)]
pub(super) struct Tally {
    /// Recorded so far.
    pub(super) events: u64,
    pub(super) closing: Option<Closing>,
}

/// The executions among `ids` that run.
pub(super) async fn tallies(
    connection: &mut SqliteConnection,
    ids: impl Iterator<Item = ExecutionId>,
) -> Result<BTreeMap<ExecutionId, Tally>, Error> {
    const TALLIES: &str = "
        SELECT x.id, x.events FROM json_each(?1) k CROSS JOIN executions x
        ON x.id = unhex(k.value) WHERE x.status = 0";
    let ids: Vec<_> = ids.map(|id| hex(id.0)).collect();
    let found = query(TALLIES).bind(json(&ids)?).fetch_all(connection).await.map_err(failure)?;
    let tally =
        |row: &SqliteRow| Ok((ExecutionId(row.id(0)?), Tally { events: row.number(1)?, closing: None }));
    found.iter().map(tally).collect()
}

/// Writes counts and closings.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    tallies: &BTreeMap<ExecutionId, Tally>,
    now: Timestamp,
) -> Result<(), Error> {
    // Apart from the closings, so that a plain transition touches no index.
    const COUNT: &str = "
        UPDATE executions SET events = c.value ->> 1 FROM json_each(?1) c WHERE executions.id = unhex(c.value ->> 0)";
    const CLOSE: &str = "
        UPDATE executions SET status = c.value ->> 1, stopped_at = c.value ->> 2, error = c.value ->> 3
        FROM json_each(?1) c WHERE executions.id = unhex(c.value ->> 0)";
    let counts: Vec<_> = tallies.iter().map(|(id, tally)| (hex(id.0), tally.events)).collect();
    query(COUNT).bind(json(&counts)?).execute(&mut *connection).await.map_err(failure)?;
    let closing = |(id, tally): (&ExecutionId, &Tally)| {
        let closing = tally.closing.clone()?;
        Some((hex(id.0), status_number(closing.status), closing.at, closing.error))
    };
    let closings: Vec<_> = tallies.iter().filter_map(closing).collect();
    if !closings.is_empty() {
        query(CLOSE).bind(json(&closings)?).execute(&mut *connection).await.map_err(failure)?;
    }
    let is_kept = |tally: &Tally| tally.closing.as_ref().is_some_and(|closing| closing.unannounced);
    let kept: Vec<_> = tallies.iter().filter(|(_, tally)| is_kept(tally)).map(|(id, _)| *id).collect();
    if kept.is_empty() { Ok(()) } else { unannounced::keep(connection, &kept, now).await }
}

/// See [`Store::close`](crate::ports::store::Store::close).
pub(super) async fn close(
    connection: &mut SqliteConnection,
    execution: ExecutionId,
    decide: OnClose,
    now: Timestamp,
) -> Result<bool, Error> {
    const DEADLINE: &str = "SELECT deadline FROM executions WHERE id = ?1";
    let mut tallies = tallies(connection, std::iter::once(execution)).await?;
    let Some(tally) = tallies.get_mut(&execution) else { return Ok(false) };
    let found = query(DEADLINE).bind(blob(execution.0)).fetch_one(&mut *connection).await.map_err(failure)?;
    let deadline = found.maybe_time(0)?;
    let key = BranchKey { execution, branch: asl::branch::BranchPath::root() };
    let found = rows::load_with_bodies(connection, std::iter::once(&key)).await?.pop();
    let (_, root, body) =
        found.ok_or_else(|| Error::corrupt(format_args!("running {execution} has no root")))?;
    let Some(last) = decide(Open { root: root.stored(body), events: tally.events, deadline }) else {
        return Ok(false);
    };
    let Last { rows, closing } = last;
    let mut appended = Vec::new();
    for (branch, seq, HistoryRow { events, body }) in rows {
        appended.push(Appended { execution, branch, seq, first_id: tally.events + 1, events, body });
        tally.events += u64::from(events);
    }
    tally.closing = Some(closing);
    append(connection, &appended).await?;
    put(connection, &tallies, now).await?;
    rows::delete(connection, &[Range::whole(execution)]).await?;
    Ok(true)
}

/// See [`Store::overdue`](crate::ports::store::Store::overdue).
pub(super) async fn overdue(
    connection: &mut SqliteConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ExecutionId>, Error> {
    const OVERDUE: &str = "
        SELECT id FROM executions WHERE status = 0 AND deadline <= ?1 ORDER BY deadline, id LIMIT ?2";
    let overdue = query(OVERDUE).bind(now.milliseconds()).bind(i64::from(limit));
    let found = overdue.fetch_all(connection).await.map_err(failure)?;
    found.iter().map(|row| row.id(0).map(ExecutionId)).collect()
}

/// How many run.
pub(super) async fn running(connection: &mut SqliteConnection) -> Result<u64, Error> {
    let count = query("SELECT count(*) FROM executions WHERE status = 0");
    count.fetch_one(connection).await.map_err(failure)?.number(0)
}

pub(super) async fn still_running(
    connection: &mut SqliteConnection,
    ids: &[ExecutionId],
) -> Result<Vec<ExecutionId>, Error> {
    let mut running = Vec::with_capacity(ids.len());
    for id in ids {
        let find = query("SELECT 1 FROM executions WHERE id = ?1 AND status = 0").bind(blob(id.0));
        let found = find.fetch_optional(&mut *connection).await.map_err(failure)?;
        running.extend(found.map(|_| *id));
    }
    Ok(running)
}

/// The execution with these names. A machine made again under its old name may have used a name again: the
/// newest counts.
pub(super) async fn by_name(
    connection: &mut SqliteConnection,
    machine_name: &str,
    name: &str,
) -> Result<Option<Execution>, Error> {
    const BY_NAME: &str = concat!(
        execution_columns!(),
        "WHERE x.machine_name = ?1 AND x.name = ?2 ORDER BY x.started_at DESC, x.id DESC LIMIT 1"
    );
    let find = query(BY_NAME).bind(machine_name.to_owned()).bind(name.to_owned());
    find.fetch_optional(connection).await.map_err(failure)?.as_ref().map(decode).transpose()
}

/// The execution with this id.
pub(super) async fn by_id(
    connection: &mut SqliteConnection,
    id: ExecutionId,
) -> Result<Option<Execution>, Error> {
    const BY_ID: &str = concat!(execution_columns!(), "WHERE x.id = ?1");
    let found = query(BY_ID).bind(blob(id.0)).fetch_optional(connection).await.map_err(failure)?;
    found.as_ref().map(decode).transpose()
}

/// See [`Catalog::executions_with_ends`](crate::ports::catalog::Catalog::executions_with_ends).
pub(super) async fn with_ends(
    connection: &mut SqliteConnection,
    ids: &[ExecutionId],
) -> Result<Vec<Option<WithEnds>>, Error> {
    const WITH_ENDS: &str = concat!(
        "SELECT ",
        execution_column_list!(),
        ", f.body, CASE WHEN x.status <> 0 THEN l.body END, l.seq, k.key ",
        "FROM json_each(?1) k CROSS JOIN executions x ON x.id = unhex(k.value) ",
        "CROSS JOIN history f ON f.execution = x.id AND f.branch = 'r' AND f.seq = 0 ",
        "CROSS JOIN history l ON l.execution = x.id AND l.branch = 'r' AND l.seq = (",
        "SELECT max(h.seq) FROM history h WHERE h.execution = x.id AND h.branch = 'r')"
    );
    let wanted: Vec<_> = ids.iter().map(|id| hex(id.0)).collect();
    let mut executions = vec![None; ids.len()];
    let found = query(WITH_ENDS).bind(json(&wanted)?).fetch_all(connection).await.map_err(failure)?;
    for row in &found {
        let last: Option<Vec<u8>> = sqlx::Row::try_get(row, EXECUTION_COLUMNS + 1).map_err(failure)?;
        let ends = Ends { first: row.bytes(EXECUTION_COLUMNS)?, last: last.map(Bytes::from) };
        if let Some(slot) = executions.get_mut(row.number::<usize>(EXECUTION_COLUMNS + 3)?) {
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
            "WHERE x.machine = ?1 AND x.place IS NULL AND x.id < ?2 ",
            $which,
            "ORDER BY x.id DESC LIMIT ?3) AS started UNION ALL SELECT * FROM (",
            execution_columns!(),
            "WHERE x.machine = ?1 AND x.place < ?2 ",
            $which,
            "ORDER BY x.place DESC LIMIT ?3) AS redriven ORDER BY place DESC LIMIT ?3"
        )
    };
}

/// See [`Catalog::executions`](crate::ports::catalog::Catalog::executions). A page begins below an id, so
/// later starts, which have higher ids, shift nothing.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &ExecutionFilter,
    limit: u32,
    from: Option<&str>,
) -> Result<Page<Execution>, Error> {
    const ALL: &str = listed!("");
    const WITH_STATUS: &str = listed!("AND x.status = ?4 ");
    const OF_VERSION: &str = listed!("AND x.version = ?5 AND (?4 IS NULL OR x.status = ?4) ");
    const OF_ALIAS: &str = listed!("AND x.alias = ?5 AND (?4 IS NULL OR x.status = ?4) ");
    let below = match from {
        // Longer than any id with the same bytes, so above the highest.
        None => vec![0xff; 17],
        Some(from) => blob(from.parse::<ExecutionId>().map_err(|_| unreadable(from))?.0),
    };
    // One more than asked tells whether there is a next page.
    let limited = |statement| {
        query(statement).bind(blob(filter.machine.0)).bind(below).bind(signed(u64::from(limit) + 1))
    };
    let status = filter.status.map(status_number);
    let list = match (&filter.started_by, status) {
        (StartedBy::Any, None) => limited(ALL),
        (StartedBy::Any, Some(status)) => limited(WITH_STATUS).bind(status),
        (StartedBy::Version(number), status) => limited(OF_VERSION).bind(status).bind(*number),
        (StartedBy::Alias(name), status) => limited(OF_ALIAS).bind(status).bind(name.clone()),
    };
    let found = list.fetch_all(connection).await.map_err(failure)?;
    let items = found.iter().map(decode).collect::<Result<_, _>>()?;
    Ok(page(items, limit, |execution| execution.place.to_string()))
}
