//! Redrives: a closed execution runs again.

use std::collections::BTreeMap;

use asl::data::timestamp::Timestamp;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::failure::failure;
use super::history::{Appended, append};
use super::rows::{self, Row, blob, hex, json};
use super::unannounced;
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::rows::Fork;
use crate::ids::{ExecutionId, Stamp};
use crate::ports::store::redrive::{
    LastRows, Rebuilt, RebuiltHistory, Redrive, Redriven, TOKEN_MILLISECONDS, TOKENS_MAX,
};
use crate::ports::store::{BranchKey, Error, Fence};

/// See [`Store::last_rows`](crate::ports::store::Store::last_rows).
pub(super) async fn last_rows(
    connection: &mut SqliteConnection,
    keys: &[BranchKey],
) -> Result<Vec<LastRows>, Error> {
    const LAST: &str = "
        SELECT k.key, h.seq, h.body FROM json_each(?1) k CROSS JOIN history h
        ON h.execution = unhex(k.value ->> 0) AND h.branch = k.value ->> 1 AND h.seq IN (
            SELECT l.seq FROM history l WHERE l.execution = unhex(k.value ->> 0) AND l.branch = k.value ->> 1
            ORDER BY l.seq DESC LIMIT 2)
        ORDER BY k.key, h.seq DESC";
    let wanted: Vec<_> = keys.iter().map(|key| (hex(key.execution.0), &key.branch)).collect();
    let mut found = vec![LastRows::new(); keys.len()];
    for row in query(LAST).bind(json(&wanted)?).fetch_all(connection).await.map_err(failure)? {
        if let Some(rows) = found.get_mut(row.number::<usize>(0)?) {
            rows.push((row.number(1)?, row.bytes(2)?));
        }
    }
    Ok(found)
}

/// See [`Store::redriven_as`](crate::ports::store::Store::redriven_as).
pub(super) async fn redriven_as(
    connection: &mut SqliteConnection,
    execution: ExecutionId,
    token: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    const FIND: &str = "
        SELECT r.at FROM redrives r JOIN executions x ON x.id = r.execution
        WHERE r.execution = ?1 AND r.token = ?2 AND r.at > ?3 AND r.number > x.redrives - ?4
        ORDER BY r.number DESC LIMIT 1";
    let since = now.plus_milliseconds(-TOKEN_MILLISECONDS);
    let find = query(FIND).bind(blob(execution.0)).bind(token.to_owned()).bind(since.milliseconds());
    let found = find.bind(TOKENS_MAX).fetch_optional(connection).await.map_err(failure)?;
    found.map(|row| row.time(0)).transpose()
}

/// See [`Store::redrive`](crate::ports::store::Store::redrive).
pub(super) async fn redrive(
    connection: &mut SqliteConnection,
    redrive: Redrive,
    now: Timestamp,
) -> Result<Redriven, Error> {
    if unannounced::is_kept(connection, redrive.execution).await? {
        return Ok(Redriven::Unannounced);
    }
    let Some(recorded) = reopen(connection, &redrive).await? else { return Ok(Redriven::Stale) };
    let execution = redrive.execution;
    let copied = copies(connection, &redrive).await?;
    let (mut appended, mut made, mut events) = (Vec::new(), Vec::new(), recorded);
    for Rebuilt { branch, seq, state, fork, cause, history } in redrive.branches {
        let (count, body) = match history {
            RebuiltHistory::New(row) => (row.events, row.body),
            RebuiltHistory::Copy(path, seq) => {
                let missing = || Error::corrupt(format_args!("'{path}' has no transition {seq}"));
                (0, copied.get(&(path.clone(), seq)).cloned().ok_or_else(missing)?)
            }
        };
        let first_id = events + 1;
        events += u64::from(count);
        let key = BranchKey { execution, branch: branch.clone() };
        made.push(Row {
            fence: Fence { seq, stamp: Stamp::draw() },
            events: if branch.is_root() { events } else { 0 },
            fork: fork.map(|fork| Fork {
                children: fork.children,
                launched: fork.launched,
                open: fork.open,
                failed: None,
            }),
            moved_at: now,
            key,
            state,
            cause,
        });
        appended.push(Appended { execution, branch, seq, first_id, events: count, body });
    }
    append(connection, &appended).await?;
    rows::put(connection, made.iter()).await?;
    let count = query("UPDATE executions SET events = ?2 WHERE id = ?1").bind(blob(execution.0));
    let events = crate::adapters::sql::rows::signed(events);
    count.bind(events).execute(&mut *connection).await.map_err(failure)?;
    if redrive.unannounced {
        unannounced::keep(connection, &[execution], now).await?;
    }
    Ok(Redriven::Done(made.iter().map(|row| row.fence).collect()))
}

/// Makes it run, if its machine is there, and it is closed and was redriven as often as told. Answers how many events it has recorded.
async fn reopen(connection: &mut SqliteConnection, redrive: &Redrive) -> Result<Option<u64>, Error> {
    const REOPEN: &str = "
        UPDATE executions SET status = 0, stopped_at = NULL, error = NULL, deadline = ?3, redrives = redrives + 1,
                              redriven_at = ?4, place = ?5
        WHERE id = ?1 AND status <> 0 AND redrives = ?2
              AND EXISTS (SELECT 1 FROM machines m WHERE m.id = executions.machine)
        RETURNING events";
    const REMEMBER: &str = "INSERT INTO redrives (execution, number, at, token) VALUES (?1, ?2, ?3, ?4)";
    let reopen = query(REOPEN)
        .bind(blob(redrive.execution.0))
        .bind(redrive.redriven_before)
        .bind(redrive.deadline.map(Timestamp::milliseconds))
        .bind(redrive.at.milliseconds())
        .bind(blob(redrive.place.0));
    let Some(row) = reopen.fetch_optional(&mut *connection).await.map_err(failure)? else { return Ok(None) };
    let remember = query(REMEMBER)
        .bind(blob(redrive.execution.0))
        .bind(redrive.redriven_before + 1)
        .bind(redrive.at.milliseconds())
        .bind(redrive.token.clone());
    remember.execute(connection).await.map_err(failure)?;
    row.number(0).map(Some)
}

/// The bodies that are copied.
async fn copies(
    connection: &mut SqliteConnection,
    redrive: &Redrive,
) -> Result<BTreeMap<(asl::branch::BranchPath, u32), bytes::Bytes>, Error> {
    const BODIES: &str = "
        SELECT h.branch, h.seq, h.body FROM json_each(?2) k CROSS JOIN history h
        ON h.execution = ?1 AND h.branch = k.value ->> 0 AND h.seq = k.value ->> 1";
    let copied = |rebuilt: &Rebuilt| match &rebuilt.history {
        RebuiltHistory::New(_) => None,
        RebuiltHistory::Copy(branch, seq) => Some((branch.clone(), *seq)),
    };
    let wanted: Vec<_> = redrive.branches.iter().filter_map(copied).collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let bodies = query(BODIES).bind(blob(redrive.execution.0)).bind(json(&wanted)?);
    let found = bodies.fetch_all(connection).await.map_err(failure)?;
    found.iter().map(|row| Ok(((row.path(0)?, row.number(1)?), row.bytes(2)?))).collect()
}
