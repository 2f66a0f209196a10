//! History rows: read by pages, numbered by counting.
//!
//! Ids are running sums of `count` in the order of `pos`. In an execution that runs, rows are read only of
//! transactions older than all that are still open: what commits later can then only follow, so that pages
//! never change. A closed execution is read whole. So that a caller sees what it has just caused, a read waits
//! a moment for the transactions that were open when it was asked; if one lasts, it answers what is certain.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use asl::branch::{BranchPath, EventRef};
use bytes::Bytes;
use sqlx::postgres::PgConnection;
use sqlx::{Row as _, query};

use super::commit::statement::place_bits;
use super::failure::Fault;
use super::rows::{Id, narrow};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::history::{AllIds, Ids, decode, window};
use crate::adapters::sql::rows::signed;
use crate::ids::ExecutionId;
use crate::ports::catalog::{Ends, NumberedRow};
use crate::ports::store::BranchKey;

/// How long a read waits for what was open, and after which time it asks again.
const SETTLE_SECONDS_MAX: Duration = Duration::from_secs(3);
const SETTLE_PAUSE: Duration = Duration::from_millis(5);

/// The oldest transaction that may still commit here. One that is known to work in another database of the
/// server does not count; what is not known, does.
macro_rules! oldest_open {
    () => {
        "(SELECT coalesce(min(t.xid::text::bigint), pg_snapshot_xmax(pg_current_snapshot())::text::bigint) \
         FROM pg_snapshot_xip(pg_current_snapshot()) AS t(xid) WHERE NOT EXISTS (\
         SELECT FROM pg_stat_activity a WHERE a.backend_xid = t.xid::xid AND a.datname <> current_database()))"
    };
}
/// The rows of execution $1 that have an order for good.
macro_rules! certain {
    () => {
        concat!(
            "FROM history h WHERE h.execution = $1 AND (h.pos < ",
            oldest_open!(),
            " << ",
            place_bits!(),
            " OR (SELECT x.status <> 0 FROM executions x WHERE x.id = $1)) "
        )
    };
}
/// Those with events, with the id of their first event.
macro_rules! numbered {
    () => {
        concat!(
            "WITH numbered AS MATERIALIZED (SELECT h.branch, h.seq, h.count, ",
            "1 + sum(h.count) OVER (ORDER BY h.pos, h.branch, h.seq) - h.count AS first_id ",
            certain!(),
            "AND h.count > 0) "
        )
    };
}

/// Waits until all transactions have ended that are open now, but not for long; not at all for an execution
/// that is closed.
pub(super) async fn settle(connection: &mut PgConnection, execution: ExecutionId) -> Result<(), Fault> {
    const OPEN: &str = concat!(
        "SELECT ",
        oldest_open!(),
        ", pg_snapshot_xmax(pg_current_snapshot())::text::bigint, ",
        "coalesce((SELECT status <> 0 FROM executions WHERE id = $1), true)"
    );
    let mut next = None;
    let began = Instant::now();
    while began.elapsed() < SETTLE_SECONDS_MAX {
        let row = query(OPEN).bind(Id(execution.0)).fetch_one(&mut *connection).await?;
        let (oldest, newest, closed): (i64, i64, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if closed || oldest >= *next.get_or_insert(newest) {
            return Ok(());
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    tracing::debug!("a long transaction holds up what histories show");
    Ok(())
}

/// The rows that hold a window of ids; see [`Catalog::history`](crate::ports::catalog::Catalog::history).
pub(super) async fn page(
    connection: &mut PgConnection,
    execution: ExecutionId,
    from: u64,
    limit: u32,
    reverse: bool,
) -> Result<Vec<NumberedRow>, Fault> {
    const PAGE: &str = concat!(
        numbered!(),
        "SELECT n.first_id::bigint, n.branch, n.seq, n.count, h.body FROM numbered n JOIN history h ",
        "ON h.execution = $1 AND h.branch = n.branch AND h.seq = n.seq ",
        "WHERE n.first_id <= $3 AND n.first_id + n.count > $2 ORDER BY n.first_id"
    );
    let Some(ids) = window(from, limit, reverse) else { return Ok(Vec::new()) };
    settle(connection, execution).await?;
    let page = query(PAGE).bind(Id(execution.0)).bind(signed(*ids.start())).bind(signed(*ids.end()));
    let rows = page.fetch_all(connection).await?;
    let mut rows = rows.iter().map(decode).collect::<Result<Vec<_>, Fault>>()?;
    if reverse {
        rows.reverse();
    }
    Ok(rows)
}

/// How many events are recorded; 0 if there is no such execution.
pub(super) async fn recorded(connection: &mut PgConnection, execution: ExecutionId) -> Result<u64, Fault> {
    const COUNT: &str = concat!("SELECT coalesce(sum(h.count), 0)::bigint ", certain!());
    settle(connection, execution).await?;
    query(COUNT).bind(Id(execution.0)).fetch_one(connection).await?.number(0)
}

/// The ids of events, `None` where one is not recorded.
pub(super) async fn ids(
    connection: &mut PgConnection,
    execution: ExecutionId,
    events: &[EventRef],
) -> Result<Vec<Option<u64>>, Fault> {
    const IDS: &str = concat!(
        numbered!(),
        "SELECT e.place, n.first_id::bigint, n.count FROM unnest($2::text[], $3::int[]) WITH ORDINALITY ",
        "AS e(branch, seq, place) JOIN numbered n ON n.branch = e.branch AND n.seq = e.seq"
    );
    if events.is_empty() {
        return Ok(Vec::new());
    }
    settle(connection, execution).await?;
    let branches: Vec<_> = events.iter().map(|event| event.branch.as_str()).collect();
    let seqs: Vec<_> = events.iter().map(|event| narrow(event.seq)).collect();
    let rows = query(IDS).bind(Id(execution.0)).bind(branches).bind(seqs).fetch_all(connection).await?;
    let mut found = vec![None; events.len()];
    for row in &rows {
        let position = row.number::<usize>(0)?.saturating_sub(1);
        let in_row = Ids { first: row.number(1)?, events: row.number(2)? };
        if let (Some(slot), Some(event)) = (found.get_mut(position), events.get(position)) {
            *slot = in_row.id(event.offset);
        }
    }
    Ok(found)
}

/// The first and the last body of the root.
pub(super) async fn ends(
    connection: &mut PgConnection,
    execution: ExecutionId,
) -> Result<Option<Ends>, Fault> {
    const ENDS: &str = "
        SELECT f.body, CASE WHEN x.status <> 0 THEN (
            SELECT l.body FROM history l WHERE l.execution = $1 AND l.branch = 'r'
            ORDER BY l.seq DESC LIMIT 1) END
        FROM executions x JOIN history f ON f.execution = $1 AND f.branch = 'r' AND f.seq = 0
        WHERE x.id = $1";
    let Some(row) = query(ENDS).bind(Id(execution.0)).fetch_optional(connection).await? else {
        return Ok(None);
    };
    Ok(Some(Ends { first: row.bytes(0)?, last: row.maybe_bytes(1)? }))
}

/// See [`Store::first_bodies`](crate::ports::store::Store::first_bodies).
pub(super) async fn first_bodies(
    connection: &mut PgConnection,
    executions: &[ExecutionId],
) -> Result<Vec<Option<Bytes>>, Fault> {
    const FIRST: &str = "
        SELECT k.place, h.body FROM unnest($1::uuid[]) WITH ORDINALITY AS k(execution, place)
        JOIN history h ON h.execution = k.execution AND h.branch = 'r' AND h.seq = 0";
    let wanted: Vec<_> = executions.iter().map(|execution| Id(execution.0)).collect();
    let mut bodies = vec![None; executions.len()];
    for row in &query(FIRST).bind(wanted).fetch_all(connection).await? {
        if let Some(slot) = bodies.get_mut(row.number::<usize>(0)?.saturating_sub(1)) {
            *slot = Some(row.bytes(1)?);
        }
    }
    Ok(bodies)
}

/// The body of one transition.
pub(super) async fn body(
    connection: &mut PgConnection,
    key: &BranchKey,
    seq: u32,
) -> Result<Option<Bytes>, Fault> {
    const BODY: &str = "SELECT body FROM history WHERE execution = $1 AND branch = $2 AND seq = $3";
    let body = query(BODY).bind(Id(key.execution.0)).bind(key.branch.as_str()).bind(narrow(seq));
    body.fetch_optional(connection).await?.map(|row| row.bytes(0)).transpose()
}

/// The bodies of transitions, by branch.
pub(super) async fn bodies(
    connection: &mut PgConnection,
    execution: ExecutionId,
    transitions: &[(&BranchPath, u32)],
) -> Result<HashMap<BranchPath, Bytes>, Fault> {
    const BODIES: &str = "
        SELECT h.branch, h.body FROM unnest($2::text[], $3::int[]) AS k(branch, seq)
        JOIN history h ON h.execution = $1 AND h.branch = k.branch AND h.seq = k.seq";
    let branches: Vec<_> = transitions.iter().map(|(branch, _)| branch.as_str()).collect();
    let seqs: Vec<_> = transitions.iter().map(|(_, seq)| narrow(*seq)).collect();
    let found = query(BODIES).bind(Id(execution.0)).bind(branches).bind(seqs).fetch_all(connection).await?;
    found.iter().map(|row| Ok((row.path(0)?, row.bytes(1)?))).collect()
}

/// Where the next row goes to follow all that is visible, and how many events that is.
pub(super) async fn end(connection: &mut PgConnection, execution: ExecutionId) -> Result<(i64, u64), Fault> {
    const END: &str =
        "SELECT coalesce(max(pos) + 1, 0), coalesce(sum(count), 0)::bigint FROM history WHERE execution = $1";
    let row = query(END).bind(Id(execution.0)).fetch_one(connection).await?;
    Ok((row.number(0)?, row.number(1)?))
}

/// The ids of all events at this moment, and where the next row goes.
pub(super) async fn all_ids(
    connection: &mut PgConnection,
    execution: ExecutionId,
) -> Result<(AllIds, i64), Fault> {
    const ALL: &str =
        "SELECT branch, seq, count, pos FROM history WHERE execution = $1 ORDER BY pos, branch, seq";
    let found = query(ALL).bind(Id(execution.0)).fetch_all(connection).await?;
    let (mut all, mut first, mut after) = (AllIds::default(), 1, 0);
    for row in &found {
        let ids = Ids { first, events: row.number(2)? };
        first += u64::from(ids.events);
        after = row.number::<i64>(3)?.saturating_add(1);
        all.0.insert((row.path(0)?, row.number(1)?), ids);
    }
    Ok((all, after))
}
