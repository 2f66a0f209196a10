//! What a deployment shares, and how its server is set.

use sqlx::postgres::PgConnection;
use sqlx::{Row as _, query};

use super::failure::Fault;

/// See [`Store::setting`](crate::ports::store::Store::setting).
pub(super) async fn first(
    connection: &mut PgConnection,
    name: &str,
    initial: &[u8],
) -> Result<Vec<u8>, Fault> {
    const FIND: &str = "SELECT value FROM settings WHERE name = $1";
    const OFFER: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    if let Some(row) = query(FIND).bind(name).fetch_optional(&mut *connection).await? {
        return Ok(row.try_get(0)?);
    }
    query(OFFER).bind(name).bind(initial).execute(&mut *connection).await?;
    Ok(query(FIND).bind(name).fetch_one(connection).await?.try_get(0)?)
}

/// Settings of the server and facts about it that decide whether it keeps what it confirms.
pub(super) async fn report(connection: &mut PgConnection) -> Result<Vec<(String, String)>, Fault> {
    // The session's own settings are not the server's, but none of these is among them.
    const REPORT: &str = "
        SELECT name, current_setting(name) FROM pg_settings WHERE name IN
            ('server_version', 'synchronous_commit', 'fsync', 'full_page_writes', 'max_connections', 'autovacuum',
             'synchronous_standby_names', 'max_wal_size')
        UNION ALL SELECT 'longest_transaction_seconds', coalesce(max(extract(epoch FROM now() - xact_start)), 0)::bigint::text
            FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
        UNION ALL SELECT 'connections', count(*)::text FROM pg_stat_activity WHERE backend_type = 'client backend'
        UNION ALL SELECT 'partitions_ahead', count(*)::text
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass('history') AND CASE WHEN c.relname ~ '^history_[0-9]+$'
                THEN substring(c.relname from 9)::bigint > extract(epoch FROM now()) / 86400 ELSE false END
        UNION ALL SELECT 'in_recovery', pg_is_in_recovery()::text";
    let rows = query(REPORT).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
