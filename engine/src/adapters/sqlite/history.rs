//! History rows: appended by commits, read by pages.

use asl::branch::{BranchPath, EventRef};
use bytes::Bytes;
use sqlx::query;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::failure::failure;
use super::rows::{blob, hex, json};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::history::{AllIds, Ids, decode, window};
use crate::adapters::sql::rows::signed;
use crate::ids::ExecutionId;
use crate::ports::catalog::{Ends, NumberedRow};
use crate::ports::store::Error;

/// Bodies that one statement takes. SQLite's values end at 1 GB; memory matters much earlier.
const BODY_BYTES_PER_STATEMENT: usize = 8 << 20;

/// A row to be appended.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) execution: ExecutionId,
    pub(super) branch: BranchPath,
    pub(super) seq: u32,
    pub(super) first_id: u64,
    pub(super) events: u16,
    pub(super) body: Bytes,
}

/// Appends rows. Their bodies travel as one blob that the statement cuts apart.
pub(super) async fn append(connection: &mut SqliteConnection, rows: &[Appended]) -> Result<(), Error> {
    const APPEND: &str = "
        INSERT INTO history (execution, branch, seq, first_id, events, body)
        SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4,
               coalesce(substr(?2, value ->> 5, value ->> 6), x'')
        FROM json_each(?1)";
    let mut rows = rows;
    while !rows.is_empty() {
        let mut columns = Vec::new();
        let mut bodies = Vec::new();
        for row in rows {
            let from = bodies.len() + 1;
            columns.push((
                hex(row.execution.0),
                &row.branch,
                row.seq,
                row.first_id,
                row.events,
                from,
                row.body.len(),
            ));
            bodies.extend_from_slice(&row.body);
            if bodies.len() >= BODY_BYTES_PER_STATEMENT {
                break;
            }
        }
        rows = rows.get(columns.len()..).unwrap_or_default();
        let append = query(APPEND).bind(json(&columns)?).bind(bodies);
        append.execute(&mut *connection).await.map_err(failure)?;
    }
    Ok(())
}

/// The rows that hold a window of ids; see [`Catalog::history`](crate::ports::catalog::Catalog::history).
pub(super) async fn page(
    connection: &mut SqliteConnection,
    id: ExecutionId,
    from: u64,
    limit: u32,
    reverse: bool,
) -> Result<Vec<NumberedRow>, Error> {
    // The row that holds id ?2 is the last that begins at or before it; from there on, up to ?3.
    const FORWARD: &str = "
        SELECT first_id, branch, seq, events, body FROM history
        WHERE execution = ?1 AND events > 0 AND first_id <= ?3 AND first_id + events > ?2 AND first_id >= coalesce(
            (SELECT max(first_id) FROM history WHERE execution = ?1 AND events > 0 AND first_id <= ?2), 0)
        ORDER BY first_id";
    const REVERSE: &str = "
        SELECT first_id, branch, seq, events, body FROM history
        WHERE execution = ?1 AND events > 0 AND first_id <= ?3 AND first_id + events > ?2 AND first_id >= coalesce(
            (SELECT max(first_id) FROM history WHERE execution = ?1 AND events > 0 AND first_id <= ?2), 0)
        ORDER BY first_id DESC";
    let Some(ids) = window(from, limit, reverse) else { return Ok(Vec::new()) };
    let statement = if reverse { REVERSE } else { FORWARD };
    let page = query(statement).bind(blob(id.0)).bind(signed(*ids.start())).bind(signed(*ids.end()));
    let rows = page.fetch_all(connection).await.map_err(failure)?;
    rows.iter().map(decode).collect()
}

/// How many events are recorded; 0 if there is no such execution.
pub(super) async fn recorded(connection: &mut SqliteConnection, id: ExecutionId) -> Result<u64, Error> {
    let count = query("SELECT events FROM executions WHERE id = ?1").bind(blob(id.0));
    let row = count.fetch_optional(connection).await.map_err(failure)?;
    row.map_or(Ok(0), |row| row.number(0))
}

/// The ids of events, `None` where one is not recorded.
pub(super) async fn ids(
    connection: &mut SqliteConnection,
    id: ExecutionId,
    events: &[EventRef],
) -> Result<Vec<Option<u64>>, Error> {
    const IDS: &str = "
        SELECT e.key, h.first_id, h.events FROM json_each(?2) e CROSS JOIN history h
        ON h.execution = ?1 AND h.branch = e.value ->> 0 AND h.seq = e.value ->> 1";
    let wanted: Vec<_> = events.iter().map(|event| (&event.branch, event.seq)).collect();
    let lookup = query(IDS).bind(blob(id.0)).bind(json(&wanted)?);
    let mut found = vec![None; events.len()];
    for row in lookup.fetch_all(connection).await.map_err(failure)? {
        let position: usize = row.number(0)?;
        let in_row = Ids { first: row.number(1)?, events: row.number(2)? };
        if let (Some(slot), Some(event)) = (found.get_mut(position), events.get(position)) {
            *slot = in_row.id(event.offset);
        }
    }
    Ok(found)
}

/// The first and the last body of the root.
pub(super) async fn ends(connection: &mut SqliteConnection, id: ExecutionId) -> Result<Option<Ends>, Error> {
    const ENDS: &str = "
        SELECT f.body, CASE WHEN x.status <> 0 THEN (
            SELECT l.body FROM history l WHERE l.execution = x.id AND l.branch = 'r'
            ORDER BY l.seq DESC LIMIT 1) END
        FROM executions x JOIN history f ON f.execution = x.id AND f.branch = 'r' AND f.seq = 0
        WHERE x.id = ?1";
    let row = query(ENDS).bind(blob(id.0)).fetch_optional(connection).await.map_err(failure)?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Ends { first: row.bytes(0)?, last: row.maybe_bytes(1)? }))
}

/// See [`Store::first_bodies`](crate::ports::store::Store::first_bodies).
pub(super) async fn first_bodies(
    connection: &mut SqliteConnection,
    executions: &[ExecutionId],
) -> Result<Vec<Option<Bytes>>, Error> {
    const FIRST: &str = "
        SELECT k.key, h.body FROM json_each(?1) k CROSS JOIN history h
        ON h.execution = unhex(k.value) AND h.branch = 'r' AND h.seq = 0";
    let wanted: Vec<_> = executions.iter().map(|execution| hex(execution.0)).collect();
    let mut bodies = vec![None; executions.len()];
    for row in query(FIRST).bind(json(&wanted)?).fetch_all(connection).await.map_err(failure)? {
        if let Some(slot) = bodies.get_mut(row.number::<usize>(0)?) {
            *slot = Some(row.bytes(1)?);
        }
    }
    Ok(bodies)
}

/// The ids of all events at this moment.
pub(super) async fn all_ids(connection: &mut SqliteConnection, id: ExecutionId) -> Result<AllIds, Error> {
    const ALL: &str = "SELECT branch, seq, first_id, events FROM history WHERE execution = ?1 AND events > 0";
    let found = query(ALL).bind(blob(id.0)).fetch_all(connection).await.map_err(failure)?;
    let entry = |row: &SqliteRow| {
        Ok(((row.path(0)?, row.number(1)?), Ids { first: row.number(2)?, events: row.number(3)? }))
    };
    Ok(AllIds(found.iter().map(entry).collect::<Result<_, Error>>()?))
}
