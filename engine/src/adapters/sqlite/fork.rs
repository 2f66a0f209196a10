//! Forks: how the children of a branch are gathered when all have ended, or when one has failed.

use std::sync::Arc;

use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::commit::Batch;
use super::failure::failure;
use super::history;
use super::rows::{self, Range, Row, blob, branch_columns, decode_stored, last_history};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::forks::{Bodies, part};
use crate::adapters::sql::rows::Fork;
use crate::ports::store::{BranchKey, Error, Failed, Fence, Joined, OnFailed, StoredBranch, Verdict};

/// See [`Store::joined`](crate::ports::store::Store::joined). Not for a fork with a failed child.
pub(super) async fn joined(
    connection: &mut SqliteConnection,
    key: &BranchKey,
    fence: Fence,
) -> Result<Option<Joined>, Error> {
    let complete = |fork: Fork| fork.open == 0 && fork.failed.is_none();
    let Some((row, body)) = runnable_parent(connection, key, fence, complete).await? else { return Ok(None) };
    let events = rows::events_in(connection, &[Range::below(key)]).await?.iter().sum();
    let bodies = bodies(connection, key, fence.seq).await?;
    let too_large = bodies.is_none();
    Ok(Some(Joined { parent: row.stored(body), bodies: bodies.unwrap_or_default(), too_large, events }))
}

/// The parent and its body, if it is at this fence, runnable, and its fork is as asked.
async fn runnable_parent(
    connection: &mut SqliteConnection,
    key: &BranchKey,
    fence: Fence,
    asked: impl Fn(Fork) -> bool + Send,
) -> Result<Option<(Row, Bytes)>, Error> {
    let found = rows::load_with_bodies(connection, std::iter::once(key)).await?.pop();
    let found = found.filter(|(_, row, _)| row.is_runnable_parent(fence, asked));
    Ok(found.map(|(_, row, body)| (row, body)))
}

/// The last bodies of the children of a fork, by index; `None` if they are too large together.
async fn bodies(
    connection: &mut SqliteConnection,
    key: &BranchKey,
    fork: u32,
) -> Result<Option<Vec<Bytes>>, Error> {
    const BODIES: &str = concat!(
        "SELECT b.branch, h.body FROM branches b",
        last_history!(),
        "WHERE b.execution = ?1 AND b.branch >= ?2 AND b.branch < ?3"
    );
    let (from, to) = key.branch.descendants();
    let children = query(BODIES).bind(blob(key.execution.0)).bind(from).bind(to);
    let mut bodies = Bodies::new(key, fork);
    let mut children = children.fetch(connection);
    while let Some(row) = children.try_next().await.map_err(failure)? {
        if !bodies.add(&row.path(0)?, row.bytes(1)?)? {
            return Ok(None);
        }
    }
    Ok(Some(bodies.in_order()))
}

/// See [`Store::fail_fork`](crate::ports::store::Store::fail_fork).
pub(super) async fn fail(
    connection: &mut SqliteConnection,
    key: &BranchKey,
    fence: Fence,
    decide: OnFailed,
    now: Timestamp,
) -> Result<Verdict, Error> {
    let has_failed = |fork: Fork| fork.failed.is_some();
    let Some((row, body)) = runnable_parent(connection, key, fence, has_failed).await? else {
        return Ok(Verdict::Stale);
    };
    let parent = row.stored(body);
    let events = rows::events_in(connection, &[Range::below(key)]).await?.iter().sum();
    let (child, aborted) = remains(connection, &parent).await?;
    let ids = Arc::new(history::all_ids(connection, key.execution).await?);
    let Some(commit) = decide(Failed { parent, child, aborted, events, ids }) else {
        return Ok(Verdict::Stale);
    };
    commit.check_answers_failed_fork(key)?;
    let mut batch = Batch::load(connection, std::slice::from_ref(&commit), now).await?;
    batch.remove_below(key, events);
    let verdict = batch.apply(&commit)?;
    if verdict != Verdict::Stale {
        batch.write(connection).await?;
    }
    Ok(verdict)
}

/// The failed child, and all others below the parent that had begun and not ended, in path order.
async fn remains(
    connection: &mut SqliteConnection,
    parent: &StoredBranch,
) -> Result<(StoredBranch, Vec<StoredBranch>), Error> {
    // Phase 5 is `Ended`.
    const REMAINS: &str = concat!(
        "SELECT ",
        branch_columns!(),
        ", h.body FROM branches b",
        last_history!(),
        "WHERE b.execution = ?1 AND b.branch >= ?2 AND b.branch < ?3",
        " AND (b.seq > 0 AND b.phase <> 5 OR b.branch = ?4)"
    );
    let failed = parent.failed_child.as_ref().map(ToString::to_string);
    let (from, to) = parent.key.branch.descendants();
    let remains = query(REMAINS).bind(blob(parent.key.execution.0)).bind(from).bind(to);
    let found = remains.bind(failed).fetch_all(connection).await.map_err(failure)?;
    part(parent, found.iter().map(decode_stored).collect::<Result<_, _>>()?)
}
