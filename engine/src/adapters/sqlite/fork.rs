//! Forks: how the children of a branch are gathered when all have ended, or when one has failed.

use std::cmp::Ordering;

use asl::branch::BranchPath;
use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;
use std::sync::Arc;

use super::commit::Batch;
use super::failure::{corrupt, failure};
use super::history::AllIds;
use super::rows::{self, Fork, Range, Row, blob, branch_columns, bytes, decode_stored, last_history, path};
use crate::ports::store::{
    BranchKey, Change, Error, Failed, Fence, JOIN_BYTES_MAX, Joined, OnFailed, Phase, StoredBranch, Verdict,
};

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
    let ready =
        |row: &Row| row.fence == fence && row.state.phase == Phase::Runnable && row.fork.is_some_and(asked);
    Ok(found.filter(|(_, row, _)| ready(row)).map(|(_, row, body)| (row, body)))
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
    let mut bodies = Vec::new();
    let mut size = 0;
    let mut children = children.fetch(connection);
    while let Some(row) = children.try_next().await.map_err(failure)? {
        let child = path(&row, 0)?;
        let place = child.place().filter(|place| place.parent == key.branch && place.fork == fork);
        let place = place.ok_or_else(|| corrupt(format_args!("'{child}' is left in a joined fork")))?;
        let body = bytes(&row, 1)?;
        size += body.len();
        if size > JOIN_BYTES_MAX {
            return Ok(None);
        }
        bodies.push((place.index, body));
    }
    bodies.sort_by_key(|(index, _)| *index);
    Ok(Some(bodies.into_iter().map(|(_, body)| body).collect()))
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
    let ids = Arc::new(AllIds::load(connection, key.execution).await?);
    let Some(commit) = decide(Failed { parent, child, aborted, events, ids }) else {
        return Ok(Verdict::Stale);
    };
    let answers = matches!(commit.change, Change::Move(_) | Change::EndBranch { .. } | Change::Finish(_));
    if commit.key != *key || !answers {
        return Err(corrupt(format_args!(
            "the failed fork of '{}' is answered by another commit",
            key.branch
        )));
    }
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
    let missing = || corrupt(format_args!("the failed child of '{}' is gone", parent.key.branch));
    let failed = parent.failed_child.clone().ok_or_else(missing)?;
    let (from, to) = parent.key.branch.descendants();
    let remains = query(REMAINS).bind(blob(parent.key.execution.0)).bind(from).bind(to);
    let found = remains.bind(failed.to_string()).fetch_all(connection).await.map_err(failure)?;
    let mut aborted = found.iter().map(decode_stored).collect::<Result<Vec<_>, _>>()?;
    let position = aborted.iter().position(|branch| branch.key.branch == failed).ok_or_else(missing)?;
    let child = aborted.swap_remove(position);
    aborted.sort_by(|left, right| path_order(&left.key.branch, &right.key.branch));
    Ok((child, aborted))
}

/// Parents before children, and siblings by index, which is not the order of their texts.
fn path_order(left: &BranchPath, right: &BranchPath) -> Ordering {
    let numbers = |path: &BranchPath| {
        path.as_str().split('.').filter_map(|part| part.parse::<u32>().ok()).collect::<Vec<_>>()
    };
    numbers(left).cmp(&numbers(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_in_the_order_of_their_numbers() {
        let sorted = ["r", "r.2.0", "r.2.2", "r.2.2.1.0", "r.2.10", "r.10.0"];
        let mut paths: Vec<BranchPath> = sorted.iter().rev().map(|path| path.parse().unwrap()).collect();
        paths.sort_by(path_order);
        assert_eq!(paths.iter().map(BranchPath::as_str).collect::<Vec<_>>(), sorted);
    }
}
