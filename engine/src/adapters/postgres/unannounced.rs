//! Ends that no delivery stands behind, until somebody has announced them.

use asl::data::timestamp::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::query;

use super::commit::statement::now;
use super::failure::Fault;
use super::rows::Id;
use crate::adapters::sql::Columns as _;
use crate::ids::ExecutionId;
use crate::ports::store::OUTBOX_MILLISECONDS;

/// Within the transaction that closes it.
pub(super) async fn keep(connection: &mut PgConnection, execution: ExecutionId) -> Result<(), Fault> {
    const KEEP: &str = concat!(
        "INSERT INTO unannounced (execution, due) VALUES ($1, ",
        now!(),
        " + $2) ON CONFLICT DO NOTHING"
    );
    query(KEEP).bind(Id(execution.0)).bind(OUTBOX_MILLISECONDS).execute(connection).await?;
    Ok(())
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

/// See [`Store::announced`](crate::ports::store::Store::announced). Answers whether any was kept.
pub(super) async fn forget(connection: &mut PgConnection, executions: &[ExecutionId]) -> Result<bool, Fault> {
    const FORGET: &str = "DELETE FROM unannounced WHERE execution = ANY($1)";
    let executions: Vec<_> = executions.iter().map(|execution| Id(execution.0)).collect();
    Ok(query(FORGET).bind(executions).execute(connection).await?.rows_affected() > 0)
}
