//! Walks over branch rows: those whose time has come, and all.

use bytes::Bytes;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::failure::failure;
use super::rows::{blob, branch_columns, decode_stored, last_history, load_with_bodies};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::rows::{in_places, readable};
use crate::ports::store::{BranchKey, Claim, Claimed, Error, Phase, StoredBranch};

/// See [`Store::claim_due`](crate::ports::store::Store::claim_due). The earliest come first.
pub(super) async fn claim(connection: &mut SqliteConnection, claim: Claim) -> Result<Claimed, Error> {
    const FIND: &str = concat!(
        "SELECT ",
        branch_columns!(),
        ", h.body FROM branches b",
        last_history!(),
        "WHERE b.due <= ?1 ORDER BY b.due, b.execution, b.branch LIMIT ?2"
    );
    const CLAIM: &str = "
        UPDATE branches SET due = ?3, moved_at = iif(phase = 0 AND moved_at < ?4, ?1, moved_at)
        WHERE (execution, branch) IN (
            SELECT execution, branch FROM branches
            WHERE due <= ?1 ORDER BY due, execution, branch LIMIT ?2)";
    let Claim { now, again_after_ms, moved_before, limit } = claim;
    let again = now.plus_milliseconds(again_after_ms);
    let find = query(FIND).bind(now.milliseconds()).bind(i64::from(limit));
    let rows = find.fetch_all(&mut *connection).await.map_err(failure)?;
    if rows.is_empty() {
        return Ok(Claimed { rows: Vec::new(), more: false });
    }
    let claim = query(CLAIM).bind(now.milliseconds()).bind(i64::from(limit)).bind(again.milliseconds());
    let claim = claim.bind(moved_before.milliseconds());
    claim.execute(connection).await.map_err(failure)?;
    let more = rows.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let mut rows: Vec<_> = rows.iter().filter_map(|row| readable(decode_stored(row))).collect();
    rows.retain(|row| row.state.phase != Phase::Runnable || row.moved_at < moved_before);
    for row in &mut rows {
        row.state.due = Some(again);
        if row.state.phase == Phase::Runnable {
            row.moved_at = now;
        }
    }
    Ok(Claimed { rows, more })
}

/// See [`Store::branches`](crate::ports::store::Store::branches).
pub(super) async fn branches(
    connection: &mut SqliteConnection,
    keys: &[BranchKey],
) -> Result<Vec<Option<StoredBranch>>, Error> {
    Ok(in_places(load_with_bodies(connection, keys.iter()).await?, keys.len()))
}

/// See [`Store::live_branches`](crate::ports::store::Store::live_branches).
pub(super) async fn live(
    connection: &mut SqliteConnection,
    after: Option<&BranchKey>,
    limit: u32,
) -> Result<Vec<StoredBranch>, Error> {
    const LIVE: &str = concat!(
        "SELECT ",
        branch_columns!(),
        ", h.body FROM branches b",
        last_history!(),
        "WHERE (b.execution, b.branch) > (?1, ?2) ORDER BY b.execution, b.branch LIMIT ?3"
    );
    // Nothing sorts before the empty ones, and no row has them.
    let (execution, branch) = match after {
        Some(key) => (blob(key.execution.0), key.branch.to_string()),
        None => (Vec::new(), String::new()),
    };
    let live = query(LIVE).bind(execution).bind(branch).bind(i64::from(limit));
    let found = live.fetch_all(connection).await.map_err(failure)?;
    Ok(found.iter().filter_map(|row| readable(decode_stored(row))).collect())
}

/// See [`Store::body`](crate::ports::store::Store::body).
pub(super) async fn body(
    connection: &mut SqliteConnection,
    key: &BranchKey,
    seq: u32,
) -> Result<Option<Bytes>, Error> {
    const BODY: &str = "SELECT body FROM history WHERE execution = ?1 AND branch = ?2 AND seq = ?3";
    let found = query(BODY)
        .bind(key.execution.0.as_bytes().as_slice())
        .bind(key.branch.as_str())
        .bind(i64::from(seq))
        .fetch_optional(connection)
        .await
        .map_err(failure)?;
    found.map(|row| row.bytes(0)).transpose()
}
