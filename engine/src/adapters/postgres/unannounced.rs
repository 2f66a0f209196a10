//! Ends that no delivery stands behind, until somebody has announced them.

use asl::data::timestamp::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::query;

use super::commit::statement::now;
use super::failure::Fault;
use super::rows::{Id, narrow};
use crate::adapters::sql::Columns as _;
use crate::ids::ExecutionId;
use crate::ports::store::OUTBOX_MILLISECONDS;
use crate::ports::store::changes::Announced;

/// Within the transaction that closes it, or sets it going again, once it has.
pub(super) async fn keep(connection: &mut PgConnection, execution: ExecutionId) -> Result<(), Fault> {
    const KEEP: &str = concat!(
        "INSERT INTO unannounced (execution, due, number) SELECT x.id, ",
        now!(),
        " + $2, 2 * x.redrives + CASE x.status WHEN 0 THEN 1 ELSE 2 END FROM executions x WHERE x.id = $1 ",
        "ON CONFLICT (execution) DO UPDATE SET number = greatest(unannounced.number, excluded.number)"
    );
    query(KEEP).bind(Id(execution.0)).bind(OUTBOX_MILLISECONDS).execute(connection).await?;
    Ok(())
}

/// Whether it is kept.
pub(super) async fn is_kept(connection: &mut PgConnection, execution: ExecutionId) -> Result<bool, Fault> {
    let kept = query("SELECT FROM unannounced WHERE execution = $1").bind(Id(execution.0));
    Ok(kept.fetch_optional(connection).await?.is_some())
}

/// See [`Store::claim_unannounced`](crate::ports::store::Store::claim_unannounced). What another claim holds is
/// left to it.
pub(super) async fn claim(
    connection: &mut PgConnection,
    now: Timestamp,
    again_after_ms: i64,
    limit: u32,
) -> Result<Vec<ExecutionId>, Fault> {
    const CLAIM: &str = "
        WITH late AS MATERIALIZED (
            SELECT execution FROM unannounced WHERE due <= $1 ORDER BY due, execution LIMIT $2
            FOR UPDATE SKIP LOCKED)
        UPDATE unannounced u SET due = $3 FROM late l WHERE u.execution = l.execution RETURNING u.execution";
    let again = now.plus_milliseconds(again_after_ms);
    let claim = query(CLAIM).bind(now.milliseconds()).bind(i64::from(limit)).bind(again.milliseconds());
    let claimed = claim.fetch_all(connection).await?;
    claimed.iter().map(|row| Ok(ExecutionId(row.id(0)?))).collect()
}

/// See [`Store::announced`](crate::ports::store::Store::announced).
pub(super) async fn forget(connection: &mut PgConnection, changes: &[Announced]) -> Result<(), Fault> {
    const FORGET: &str = "
        DELETE FROM unannounced u USING unnest($1::uuid[], $2::int[]) AS a(execution, number)
        WHERE u.execution = a.execution AND u.number <= a.number";
    let executions: Vec<_> = changes.iter().map(|change| Id(change.execution.0)).collect();
    let numbers: Vec<_> = changes.iter().map(|change| narrow(change.number)).collect();
    query(FORGET).bind(executions).bind(numbers).execute(connection).await?;
    Ok(())
}
