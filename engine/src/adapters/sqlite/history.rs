//! History rows: appended by commits, read by pages.

use std::collections::HashMap;

use asl::branch::{BranchPath, EventRef};
use bytes::Bytes;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::failure::failure;
use super::rows::{blob, bytes, hex, json, number, path, signed};
use crate::ids::ExecutionId;
use crate::ports::catalog::{Ends, NumberedRow};
use crate::ports::store::{Error, EventIds};

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
    if limit == 0 {
        return Ok(Vec::new());
    }
    let reach = u64::from(limit - 1);
    let (first, last, statement) = if reverse {
        (from.saturating_sub(reach), from, REVERSE)
    } else {
        (from, from.saturating_add(reach), FORWARD)
    };
    let page = query(statement).bind(blob(id.0)).bind(signed(first)).bind(signed(last));
    let rows = page.fetch_all(connection).await.map_err(failure)?;
    let decode = |row| {
        Ok(NumberedRow {
            first_id: number(row, 0)?,
            branch: path(row, 1)?,
            seq: number(row, 2)?,
            events: number(row, 3)?,
            body: bytes(row, 4)?,
        })
    };
    rows.iter().map(decode).collect()
}

/// How many events are recorded; 0 if there is no such execution.
pub(super) async fn recorded(connection: &mut SqliteConnection, id: ExecutionId) -> Result<u64, Error> {
    let count = query("SELECT events FROM executions WHERE id = ?1").bind(blob(id.0));
    let row = count.fetch_optional(connection).await.map_err(failure)?;
    row.map_or(Ok(0), |row| number(&row, 0))
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
        let position: usize = number(&row, 0)?;
        let in_row = Numbers { first_id: number(&row, 1)?, events: number(&row, 2)? };
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
    let last: Option<Vec<u8>> = sqlx::Row::try_get(&row, 1).map_err(failure)?;
    Ok(Some(Ends { first: bytes(&row, 0)?, last: last.map(Bytes::from) }))
}

/// Ids of all events of an execution at one moment.
#[derive(Debug)]
pub(super) struct AllIds {
    rows: HashMap<(BranchPath, u32), Numbers>,
}

/// The ids in one history row.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    first_id: u64,
    events: u16,
}

impl Numbers {
    fn id(self, offset: u16) -> Option<u64> {
        (offset < self.events).then(|| self.first_id + u64::from(offset))
    }
}

impl AllIds {
    /// Reads where each history row begins. All of them, because the question is asked in the middle of a
    /// decision, which cannot wait for an answer; a fork fails rarely.
    pub(super) async fn load(connection: &mut SqliteConnection, id: ExecutionId) -> Result<Self, Error> {
        const ALL: &str =
            "SELECT branch, seq, first_id, events FROM history WHERE execution = ?1 AND events > 0";
        let found = query(ALL).bind(blob(id.0)).fetch_all(connection).await.map_err(failure)?;
        let entry = |row| {
            let numbers = Numbers { first_id: number(row, 2)?, events: number(row, 3)? };
            Ok(((path(row, 0)?, number(row, 1)?), numbers))
        };
        Ok(AllIds { rows: found.iter().map(entry).collect::<Result<_, Error>>()? })
    }
}

impl EventIds for AllIds {
    fn id(&self, event: &EventRef) -> Option<u64> {
        self.rows.get(&(event.branch.clone(), event.seq))?.id(event.offset)
    }
}
