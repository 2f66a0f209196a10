//! Redrives: a closed execution runs again.
//!
//! Its machine is held first, so that it is not deleted meanwhile, and then its row is taken. It has no branch rows, so
//! that nobody who works on branches can be met.

use asl::data::timestamp::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, query};

use super::commit::statement::{now, place_bits};
use super::executions::without_nul;
use super::failure::{Fault, corrupt};
use super::rows::{Id, key_arrays, narrow};
use super::{history, unannounced};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::rows::{phase_number, signed};
use crate::ids::{ExecutionId, Stamp};
use crate::ports::store::redrive::{
    LastRows, Rebuilt, RebuiltFork, RebuiltHistory, Redrive, Redriven, TOKEN_MILLISECONDS, TOKENS_MAX,
};
use crate::ports::store::{BranchKey, Fence};

/// See [`Store::last_rows`](crate::ports::store::Store::last_rows).
pub(super) async fn last_rows(
    connection: &mut PgConnection,
    keys: &[BranchKey],
) -> Result<Vec<LastRows>, Fault> {
    const LAST: &str = "
        SELECT k.place, l.seq, l.body FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY
        AS k(execution, branch, place) JOIN LATERAL (
            SELECT h.seq, h.body FROM history h WHERE h.execution = k.execution AND h.branch = k.branch
            ORDER BY h.seq DESC LIMIT 2) l ON true
        ORDER BY k.place, l.seq DESC";
    let (executions, branches) = key_arrays(keys.iter());
    let mut found = vec![LastRows::new(); keys.len()];
    for row in &query(LAST).bind(executions).bind(branches).fetch_all(connection).await? {
        if let Some(rows) = found.get_mut(row.number::<usize>(0)?.saturating_sub(1)) {
            rows.push((row.number(1)?, row.bytes(2)?));
        }
    }
    Ok(found)
}

/// See [`Store::redriven_as`](crate::ports::store::Store::redriven_as).
pub(super) async fn redriven_as(
    connection: &mut PgConnection,
    execution: ExecutionId,
    token: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    const FIND: &str = "
        SELECT r.at FROM redrives r JOIN executions x ON x.id = r.execution
        WHERE r.execution = $1 AND r.token = $2 AND r.at > $3 AND r.number > x.redrives - $4
        ORDER BY r.number DESC LIMIT 1";
    let since = now.plus_milliseconds(-TOKEN_MILLISECONDS);
    let find = query(FIND).bind(Id(execution.0)).bind(without_nul(token)).bind(since.milliseconds());
    let found = find.bind(narrow(TOKENS_MAX)).fetch_optional(connection).await?;
    found.map(|row| row.time(0)).transpose()
}

/// See [`Store::redrive`](crate::ports::store::Store::redrive).
pub(super) async fn redrive(connection: &mut PgConnection, redrive: Redrive) -> Result<Redriven, Fault> {
    let mut transaction = connection.begin().await?;
    if !hold_machine(&mut transaction, redrive.execution).await?
        || !reopen(&mut transaction, &redrive).await?
    {
        transaction.rollback().await?;
        return Ok(Redriven::Stale);
    }
    if unannounced::is_kept(&mut transaction, redrive.execution).await? {
        transaction.rollback().await?;
        return Ok(Redriven::Unannounced);
    }
    let (after, recorded) = history::end(&mut transaction, redrive.execution).await?;
    append(&mut transaction, &redrive, after).await?;
    let fences = make_rows(&mut transaction, &redrive, recorded).await?;
    // A day of histories goes at once: one that went while this was decided is not to be gone on with.
    let root = BranchKey { execution: redrive.execution, branch: asl::branch::BranchPath::root() };
    if history::body(&mut transaction, &root, 0).await?.is_none() {
        transaction.rollback().await?;
        return Ok(Redriven::Stale);
    }
    if redrive.unannounced {
        unannounced::keep(&mut transaction, redrive.execution).await?;
    }
    transaction.commit().await?;
    Ok(Redriven::Done(fences))
}

/// Whether its machine is there, and then stays. Who deletes it waits for this, and stops what runs by then.
async fn hold_machine(connection: &mut PgConnection, execution: ExecutionId) -> Result<bool, Fault> {
    const HOLD: &str = "
        SELECT FROM machines m JOIN executions x ON x.machine = m.id WHERE x.id = $1 FOR KEY SHARE OF m";
    let hold = query(HOLD).bind(Id(execution.0));
    Ok(hold.fetch_optional(connection).await?.is_some())
}

/// Makes it run, if it is closed and was redriven as often as told.
async fn reopen(connection: &mut PgConnection, redrive: &Redrive) -> Result<bool, Fault> {
    const REOPEN: &str = "
        WITH reopened AS (
            UPDATE executions SET status = 0, stopped_at = NULL, error = NULL, deadline = $3,
                                  redrives = redrives + 1, redriven_at = $4, place = $6
            WHERE id = $1 AND status <> 0 AND redrives = $2 RETURNING id, redrives)
        INSERT INTO redrives (execution, number, at, token) SELECT id, redrives, $4, $5 FROM reopened";
    let reopen = query(REOPEN)
        .bind(Id(redrive.execution.0))
        .bind(narrow(redrive.redriven_before))
        .bind(redrive.deadline.map(Timestamp::milliseconds))
        .bind(redrive.at.milliseconds())
        .bind(redrive.token.as_deref().map(without_nul))
        .bind(Id(redrive.place.0));
    Ok(reopen.execute(connection).await?.rows_affected() == 1)
}

/// Appends rows after all that are there, in their order. What is copied stays in the database.
async fn append(connection: &mut PgConnection, redrive: &Redrive, after: i64) -> Result<(), Fault> {
    const APPEND: &str = concat!(
        "INSERT INTO history (execution, branch, seq, pos, count, body) SELECT $1, i.branch, i.seq, ",
        "greatest($2, pg_current_xact_id()::text::bigint << ",
        place_bits!(),
        ") + i.place, i.count, coalesce(i.body, h.body) FROM unnest($3::text[], $4::int[], $5::int[], $6::bytea[], ",
        "$7::text[], $8::int[]) WITH ORDINALITY AS i(branch, seq, count, body, other, other_seq, place) ",
        "LEFT JOIN history h ON h.execution = $1 AND h.branch = i.other AND h.seq = i.other_seq"
    );
    let rows = &redrive.branches;
    let new = |rebuilt: &Rebuilt| match &rebuilt.history {
        RebuiltHistory::New(row) => Some(row.clone()),
        RebuiltHistory::Copy(..) => None,
    };
    let other = |rebuilt: &Rebuilt| match &rebuilt.history {
        RebuiltHistory::New(_) => None,
        RebuiltHistory::Copy(branch, seq) => Some((branch.as_str().to_owned(), narrow(*seq))),
    };
    let append = query(APPEND)
        .bind(Id(redrive.execution.0))
        .bind(after)
        .bind(rows.iter().map(|row| row.branch.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| narrow(row.seq)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| new(row).map_or(0, |new| i32::from(new.events))).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| new(row).map(|new| new.body.to_vec())).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| other(row).map(|other| other.0)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| other(row).map(|other| other.1)).collect::<Vec<_>>());
    append.execute(connection).await?;
    Ok(())
}

async fn make_rows(
    connection: &mut PgConnection,
    redrive: &Redrive,
    recorded: u64,
) -> Result<Vec<Fence>, Fault> {
    const MAKE: &str = concat!(
        "INSERT INTO branches (execution, branch, seq, stamp, phase, moved_at, wake, due, before, events, below, ",
        "children, launched, open, cause) SELECT $1, i.branch, i.seq, i.stamp, i.phase, ",
        now!(),
        ", i.wake, i.due, i.before, i.events, 0, i.children, i.launched, i.open, i.cause FROM ",
        "unnest($2::text[], $3::int[], $4::int[], $5::smallint[], $6::bigint[], $7::bigint[], $8::bigint[], ",
        "$9::bigint[], $10::int[], $11::int[], $12::int[], $13::text[]) ",
        "AS i(branch, seq, stamp, phase, wake, due, before, events, children, launched, open, cause)"
    );
    let rows = &redrive.branches;
    let new_events = |row: &Rebuilt| match &row.history {
        RebuiltHistory::New(new) => u64::from(new.events),
        RebuiltHistory::Copy(..) => 0,
    };
    let total = signed(recorded + rows.iter().map(new_events).sum::<u64>());
    let fences: Vec<_> = rows.iter().map(|row| Fence { seq: row.seq, stamp: Stamp::draw() }).collect();
    // The root counts all that is recorded as its own; its children begin after that.
    let counts = |of_root: bool| {
        let count = move |row: &Rebuilt| if row.branch.is_root() == of_root { total } else { 0 };
        rows.iter().map(count).collect::<Vec<i64>>()
    };
    let fork =
        |of: fn(RebuiltFork) -> u32| rows.iter().map(|row| row.fork.map(of).map(narrow)).collect::<Vec<_>>();
    let time = |of: fn(&Rebuilt) -> Option<Timestamp>| {
        rows.iter().map(|row| of(row).map(Timestamp::milliseconds)).collect::<Vec<_>>()
    };
    if rows.iter().any(|row| row.state.task.is_some()) {
        return Err(corrupt("a redriven branch has no task that is out"));
    }
    let make = query(MAKE)
        .bind(Id(redrive.execution.0))
        .bind(rows.iter().map(|row| row.branch.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| narrow(row.seq)).collect::<Vec<_>>())
        .bind(fences.iter().map(|fence| narrow(fence.stamp.0)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| phase_number(row.state.phase)).collect::<Vec<_>>())
        .bind(time(|row| row.state.wake))
        .bind(time(|row| row.state.due))
        .bind(counts(false))
        .bind(counts(true))
        .bind(fork(|fork| fork.children))
        .bind(fork(|fork| fork.launched))
        .bind(fork(|fork| fork.open))
        .bind(rows.iter().map(|row| row.cause.as_ref().map(ToString::to_string)).collect::<Vec<_>>());
    make.execute(connection).await?;
    Ok(fences)
}
