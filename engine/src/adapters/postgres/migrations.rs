//! The schema, brought up to date. Migrations only ever add to those before.
//!
//! Several instances may begin at once: each waits for the one before it. The lock belongs to a transaction,
//! so that it works behind a pooler and goes with an instance that dies. All that is missing is made in that
//! transaction, whole or not at all; tables that it changes are locked until it is through.

use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row as _, SqlSafeStr, query};

use super::failure::{Fault, corrupt};

/// Names the lock: `warren`, as a number.
pub(super) const LOCK: i64 = 0x7761_7272_656e;

/// Applies what is missing. Answers how many that were.
pub(super) async fn run(connection: &mut PgConnection) -> Result<u32, Fault> {
    let mut transaction = connection.begin().await?;
    // Another instance may take its time.
    query("SET LOCAL lock_timeout = '60s'").execute(&mut *transaction).await?;
    query("SET LOCAL statement_timeout = '600s'").execute(&mut *transaction).await?;
    query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    let before = applied(&mut transaction).await?;
    let mut migrator = Migrator::with_migrations(migrations());
    // The lock is held already, and not by the session.
    migrator.set_locking(false);
    migrator.run_direct(None, &mut *transaction, false).await.map_err(fault)?;
    let after = applied(&mut transaction).await?;
    transaction.commit().await?;
    Ok(u32::try_from(after.saturating_sub(before)).unwrap_or(u32::MAX))
}

/// How many are missing.
pub(super) async fn pending(connection: &mut PgConnection) -> Result<u32, Fault> {
    let known =
        query("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    let done = if known.try_get(0)? {
        connection.list_applied_migrations("_sqlx_migrations").await.map_err(fault)?.len()
    } else {
        0
    };
    Ok(u32::try_from(migrations().len().saturating_sub(done)).unwrap_or(u32::MAX))
}

fn migrations() -> Vec<Migration> {
    [
        (1, "tables", include_str!("../../../../schemas/postgres/0001_tables.sql")),
        (2, "unannounced", include_str!("../../../../schemas/postgres/0002_unannounced.sql")),
        (3, "triggers", include_str!("../../../../schemas/postgres/0003_triggers.sql")),
        (4, "versions", include_str!("../../../../schemas/postgres/0004_versions.sql")),
        (5, "tags", include_str!("../../../../schemas/postgres/0005_tags.sql")),
        (6, "redrives", include_str!("../../../../schemas/postgres/0006_redrives.sql")),
    ]
    .into_iter()
    .map(|(number, name, sql)| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    })
    .collect()
}

async fn applied(connection: &mut PgConnection) -> Result<usize, Fault> {
    const TABLE: &str = "_sqlx_migrations";
    connection.ensure_migrations_table(TABLE).await.map_err(fault)?;
    Ok(connection.list_applied_migrations(TABLE).await.map_err(fault)?.len())
}

fn fault(error: sqlx::migrate::MigrateError) -> Fault {
    match error {
        sqlx::migrate::MigrateError::Execute(error)
        | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => Fault::from(error),
        other => corrupt(other),
    }
}
