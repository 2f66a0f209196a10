//! Forks: how the children of a branch are gathered when all have ended, or when one has failed.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, query};

use super::commit::statement::{Member, Terms};
use super::commit::{apply, remove_below};
use super::failure::{Fault, corrupt};
use super::history;
use super::rows::{self, Id, Row, last_history};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::forks::{Bodies, part};
use crate::adapters::sql::rows::Fork;
use crate::ports::store::{BranchKey, Failed, Fence, Joined, OnFailed, Phase, StoredBranch, Verdict};

/// See [`Store::joined`](crate::ports::store::Store::joined). Not for a fork with a failed child. What is read
/// in several statements holds together: nobody but this join changes a fork whose children have all ended,
/// and who deletes it makes the join's commit stale.
pub(super) async fn joined(
    connection: &mut PgConnection,
    key: &BranchKey,
    fence: Fence,
) -> Result<Option<Joined>, Fault> {
    let complete = |fork: Fork| fork.open == 0 && fork.failed.is_none();
    let Some((row, body)) = runnable_parent(connection, key, fence, complete).await? else { return Ok(None) };
    let children = row.fork.map_or(0, |fork| fork.children);
    let bodies = bodies(connection, key, fence.seq).await?;
    let too_large = bodies.is_none();
    let bodies = bodies.unwrap_or_default();
    if !too_large && bodies.len() != usize::try_from(children).unwrap_or(usize::MAX) {
        // Taken away in between.
        return Ok(None);
    }
    let events = row.events.below;
    Ok(Some(Joined { parent: row.stored(body), bodies, too_large, events }))
}

/// The parent and its body, if it is at this fence, runnable, and its fork is as asked.
async fn runnable_parent(
    connection: &mut PgConnection,
    key: &BranchKey,
    fence: Fence,
    asked: impl Fn(Fork) -> bool + Send,
) -> Result<Option<(Row, Bytes)>, Fault> {
    let found = rows::load_with_bodies(connection, std::iter::once(key)).await?.pop();
    let found = found.filter(|(_, row, _)| row.is_runnable_parent(fence, asked));
    Ok(found.map(|(_, row, body)| (row, body)))
}

/// The last bodies of the children of a fork, by index; `None` if they are too large together.
async fn bodies(
    connection: &mut PgConnection,
    key: &BranchKey,
    fork: u32,
) -> Result<Option<Vec<Bytes>>, Fault> {
    const BODIES: &str = concat!(
        "SELECT b.branch, h.body FROM branches b",
        last_history!(),
        "WHERE b.execution = $1 AND b.branch >= $2 AND b.branch < $3"
    );
    let (from, to) = key.branch.descendants();
    let children = query(BODIES).bind(Id(key.execution.0)).bind(from).bind(to);
    let mut bodies = Bodies::new(key, fork);
    let mut children = children.fetch(connection);
    while let Some(row) = children.try_next().await? {
        if !bodies.add(&row.path(0)?, row.bytes(1)?)? {
            return Ok(None);
        }
    }
    Ok(Some(bodies.in_order()))
}

/// See [`Store::fail_fork`](crate::ports::store::Store::fail_fork).
pub(super) async fn fail(
    connection: &mut PgConnection,
    key: &BranchKey,
    fence: Fence,
    decide: OnFailed,
) -> Result<Verdict, Fault> {
    let has_failed = |fork: Fork| fork.failed.is_some();
    let Some((row, body)) = runnable_parent(connection, key, fence, has_failed).await? else {
        return Ok(Verdict::Stale);
    };
    // So that the ids that texts name are those that pages will show.
    history::settle(connection, key.execution).await?;
    let mut transaction = connection.begin().await?;
    let removed = remove_below(&mut transaction, key).await?;
    let Some(parent) = lock(&mut transaction, key, fence).await?.then(|| row.stored(body)) else {
        transaction.rollback().await?;
        return Ok(Verdict::Stale);
    };
    let events = removed.iter().map(|(_, events)| events).sum();
    let (child, aborted) = remains(&mut transaction, &parent, removed).await?;
    // Those below may have recorded events in transactions that began after this one.
    let (ids, after) = history::all_ids(&mut transaction, key.execution).await?;
    let failed = Failed { parent, child, aborted, events, ids: Arc::new(ids) };
    let Some(commit) = decide(failed) else {
        transaction.rollback().await?;
        return Ok(Verdict::Stale);
    };
    commit.check_answers_failed_fork(key)?;
    let member = Member { joined: events, ..Member::new(&commit) };
    // The history may grow without end here.
    let verdict = apply(&mut transaction, member, Terms { after, history_events_max: u64::MAX }).await?;
    match verdict {
        Verdict::Done { .. } => transaction.commit().await?,
        Verdict::Stale | Verdict::HistoryFull => transaction.rollback().await?,
    }
    Ok(verdict)
}

/// Locks a row, if it is at this fence.
async fn lock(connection: &mut PgConnection, key: &BranchKey, fence: Fence) -> Result<bool, Fault> {
    const LOCK: &str = "
        SELECT FROM branches WHERE execution = $1 AND branch = $2 AND seq = $3 AND stamp = $4 FOR UPDATE";
    let lock = query(LOCK)
        .bind(Id(key.execution.0))
        .bind(key.branch.as_str())
        .bind(rows::narrow(fence.seq))
        .bind(rows::narrow(fence.stamp.0));
    Ok(lock.fetch_optional(connection).await?.is_some())
}

/// The failed child, and all others below the parent that had begun and not ended, in path order.
async fn remains(
    connection: &mut PgConnection,
    parent: &StoredBranch,
    removed: Vec<(Row, u64)>,
) -> Result<(StoredBranch, Vec<StoredBranch>), Fault> {
    let had_begun = |row: &Row| row.fence.seq > 0 && row.state.phase != Phase::Ended;
    let has_failed = |row: &Row| Some(&row.key.branch) == parent.failed_child.as_ref();
    let left = removed.into_iter().map(|(row, _)| row);
    let left: Vec<_> = left.filter(|row| had_begun(row) || has_failed(row)).collect();
    let transitions: Vec<_> = left.iter().map(|row| (&row.key.branch, row.fence.seq)).collect();
    let mut bodies = history::bodies(connection, parent.key.execution, &transitions).await?;
    let stored = |row: Row| {
        let body = bodies.remove(&row.key.branch);
        let body = body.ok_or_else(|| corrupt(format_args!("'{}' has no history", row.key.branch)))?;
        Ok(row.stored(body))
    };
    let left = left.into_iter().map(stored).collect::<Result<_, Fault>>()?;
    Ok(part(parent, left)?)
}
