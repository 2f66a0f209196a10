//! Ends that no delivery stands behind, until somebody has announced them.

use asl::data::timestamp::Timestamp;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::failure::failure;
use super::rows::{blob, hex, json};
use crate::adapters::sql::Columns as _;
use crate::ids::ExecutionId;
use crate::ports::store::changes::Announced;
use crate::ports::store::{Error, OUTBOX_MILLISECONDS};

/// Within the transaction that closes them, or sets them going again, once it has.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    executions: &[ExecutionId],
    now: Timestamp,
) -> Result<(), Error> {
    const KEEP: &str = "
        INSERT INTO unannounced (execution, due, number)
        SELECT x.id, ?2, 2 * x.redrives + CASE x.status WHEN 0 THEN 1 ELSE 2 END
        FROM json_each(?1) k CROSS JOIN executions x ON x.id = unhex(k.value)
        ON CONFLICT (execution) DO UPDATE SET number = max(number, excluded.number)";
    let due = now.plus_milliseconds(OUTBOX_MILLISECONDS);
    let keep = query(KEEP).bind(list(executions)?).bind(due.milliseconds());
    keep.execute(connection).await.map_err(failure)?;
    Ok(())
}

/// Whether it is kept.
pub(super) async fn is_kept(
    connection: &mut SqliteConnection,
    execution: ExecutionId,
) -> Result<bool, Error> {
    let kept = query("SELECT 1 FROM unannounced WHERE execution = ?1").bind(blob(execution.0));
    Ok(kept.fetch_optional(connection).await.map_err(failure)?.is_some())
}

/// See [`Store::claim_unannounced`](crate::ports::store::Store::claim_unannounced).
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    now: Timestamp,
    again_after_ms: i64,
    limit: u32,
) -> Result<Vec<ExecutionId>, Error> {
    const FIND: &str = "SELECT execution FROM unannounced WHERE due <= ?1 ORDER BY due, execution LIMIT ?2";
    const PUT_OFF: &str = "
        UPDATE unannounced SET due = ?2 WHERE execution IN (SELECT unhex(value) FROM json_each(?1))";
    let find = query(FIND).bind(now.milliseconds()).bind(i64::from(limit));
    let found = find.fetch_all(&mut *connection).await.map_err(failure)?;
    let claimed = found.iter().map(|row| row.id(0).map(ExecutionId)).collect::<Result<Vec<_>, _>>()?;
    if claimed.is_empty() {
        return Ok(claimed);
    }
    let again = now.plus_milliseconds(again_after_ms);
    let put_off = query(PUT_OFF).bind(list(&claimed)?).bind(again.milliseconds());
    put_off.execute(connection).await.map_err(failure)?;
    Ok(claimed)
}

/// See [`Store::announced`](crate::ports::store::Store::announced).
pub(super) async fn forget(connection: &mut SqliteConnection, changes: &[Announced]) -> Result<(), Error> {
    const FORGET: &str = "
        DELETE FROM unannounced WHERE EXISTS (
            SELECT 1 FROM json_each(?1) a WHERE unhex(a.value ->> 0) = execution AND number <= a.value ->> 1)";
    let changes: Vec<_> = changes.iter().map(|change| (hex(change.execution.0), change.number)).collect();
    query(FORGET).bind(json(&changes)?).execute(connection).await.map_err(failure)?;
    Ok(())
}

fn list(executions: &[ExecutionId]) -> Result<String, Error> {
    let executions: Vec<_> = executions.iter().map(|execution| hex(execution.0)).collect();
    json(&executions)
}
