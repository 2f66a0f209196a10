//! Walks over branch rows: those whose time has come, and all.

use asl::data::timestamp::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::query;
use uuid::Uuid;

use super::failure::Fault;
use super::rows::{BODY, Id, branch_columns, decode_stored, last_history, load_with_bodies};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::rows::{in_places, readable};
use crate::ports::store::{BranchKey, Claim, Claimed, Phase, StoredBranch};

/// See [`Store::claim_due`](crate::ports::store::Store::claim_due). The earliest come first. Rows that another
/// claim or a commit holds are left to it.
pub(super) async fn claim(connection: &mut PgConnection, claim: Claim) -> Result<Claimed, Fault> {
    // Phase 0 is `Runnable`.
    const CLAIM: &str = concat!(
        "WITH due AS MATERIALIZED (SELECT execution, branch, due, moved_at, phase FROM branches WHERE due <= $1 ",
        "ORDER BY due, execution, branch LIMIT $2 FOR UPDATE SKIP LOCKED), ",
        "b AS (UPDATE branches r SET due = $3, ",
        "moved_at = CASE WHEN r.phase = 0 AND r.moved_at < $4 THEN $1 ELSE r.moved_at END ",
        "FROM due d WHERE r.execution = d.execution AND r.branch = d.branch ",
        "RETURNING r.*, d.moved_at AS moved_before, d.due AS was_due) SELECT ",
        branch_columns!(),
        ", h.body, b.moved_before FROM b",
        last_history!(),
        "ORDER BY b.was_due, b.execution, b.branch"
    );
    let Claim { now, again_after_ms, moved_before, limit } = claim;
    let again = now.plus_milliseconds(again_after_ms);
    let claim = query(CLAIM)
        .bind(now.milliseconds())
        .bind(i64::from(limit))
        .bind(again.milliseconds())
        .bind(moved_before.milliseconds());
    let found = claim.fetch_all(connection).await?;
    let more = !found.is_empty() && found.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    for row in &found {
        let is_old = row.time(BODY + 1)? < moved_before;
        rows.extend(readable(decode_stored(row)).filter(|row| row.state.phase != Phase::Runnable || is_old));
    }
    Ok(Claimed { rows, more })
}

/// See [`Store::branches`](crate::ports::store::Store::branches).
pub(super) async fn branches(
    connection: &mut PgConnection,
    keys: &[BranchKey],
) -> Result<Vec<Option<StoredBranch>>, Fault> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok(in_places(load_with_bodies(connection, keys.iter()).await?, keys.len()))
}

/// See [`Store::live_branches`](crate::ports::store::Store::live_branches).
pub(super) async fn live(
    connection: &mut PgConnection,
    after: Option<&BranchKey>,
    limit: u32,
) -> Result<Vec<StoredBranch>, Fault> {
    const LIVE: &str = concat!(
        "SELECT ",
        branch_columns!(),
        ", h.body FROM branches b",
        last_history!(),
        "WHERE (b.execution, b.branch) > ($1, $2) ORDER BY b.execution, b.branch LIMIT $3"
    );
    // Nothing sorts before these, and no row has them.
    let (execution, branch) = after.map_or((Uuid::nil(), ""), |key| (key.execution.0, key.branch.as_str()));
    let live = query(LIVE).bind(Id(execution)).bind(branch).bind(i64::from(limit));
    let found = live.fetch_all(connection).await?;
    Ok(found.iter().filter_map(|row| readable(decode_stored(row))).collect())
}

/// The database's time.
pub(super) async fn now(connection: &mut PgConnection) -> Result<Timestamp, Fault> {
    const NOW: &str = concat!("SELECT ", super::commit::statement::now!());
    let row = query(NOW).fetch_one(connection).await?;
    row.time(0)
}
