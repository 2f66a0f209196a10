//! Connections: how they are opened, used one transaction at a time, and found whole again.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, SqlSafeStr};

use super::failure::{failure, is_busy};
use crate::ports::store::Error;

/// How often the beginning of a transaction is tried while another process writes.
const BEGIN_TRIES_MAX: u32 = 3;
/// How long one try waits for the other process.
const BUSY_SECONDS_MAX: u64 = 5;
/// Pages of the log after which it is moved into the database; 16 MiB.
const LOG_PAGES: &str = "4000";
/// Memory for pages per connection, in KiB (the sign says so).
const CACHE_KIBIBYTES: &str = "-4000";
/// Rows that a query may be ahead of its reader.
const ROWS_AHEAD: usize = 256;

/// A connection and whether a transaction may be open on it.
#[derive(Debug)]
pub(super) struct Link {
    connection: SqliteConnection,
    open: bool,
}

impl Link {
    /// A database in memory, gone with the connection.
    pub(super) async fn memory() -> Result<Self, Error> {
        Self::connect(options().filename(":memory:").in_memory(true)).await
    }

    /// A database file, made if it is missing. What was committed survives the death of the process; what
    /// was committed in the last moments may be lost with the machine (`synchronous` is NORMAL).
    pub(super) async fn file(path: &Path) -> Result<Self, Error> {
        let options = options()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("wal_autocheckpoint", LOG_PAGES);
        Self::connect(options).await
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self, Error> {
        let connection = options.connect().await.map_err(failure)?;
        Ok(Link { connection, open: false })
    }

    /// Brings the schema up to date. Migrations only ever add to those before.
    pub(super) async fn migrate(&mut self) -> Result<(), Error> {
        let migrations = [
            (1, "tables", include_str!("../../../../schemas/sqlite/0001_tables.sql")),
            (2, "settings", include_str!("../../../../schemas/sqlite/0002_settings.sql")),
            (3, "unannounced", include_str!("../../../../schemas/sqlite/0003_unannounced.sql")),
            (4, "triggers", include_str!("../../../../schemas/sqlite/0004_triggers.sql")),
            (5, "versions", include_str!("../../../../schemas/sqlite/0005_versions.sql")),
            (6, "tags", include_str!("../../../../schemas/sqlite/0006_tags.sql")),
            (7, "redrives", include_str!("../../../../schemas/sqlite/0007_redrives.sql")),
        ];
        let migrations = migrations.into_iter().map(|(number, name, sql)| {
            Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        });
        let migrator = Migrator::with_migrations(migrations.collect::<Vec<_>>());
        migrator.run_direct(None, &mut self.connection, false).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => failure(error),
            other => Error::Corrupt(other.to_string()),
        })
    }

    /// For a single statement.
    pub(super) fn statement(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Begins to write, with the only write lock there is. [`Link::end`] must follow.
    pub(super) async fn begin_write(&mut self) -> Result<(), Error> {
        let mut tries = 1;
        loop {
            match self.begin("BEGIN IMMEDIATE").await {
                Err(error) if is_busy(&error) && tries < BEGIN_TRIES_MAX => tries += 1,
                begun => return begun.map_err(failure),
            }
        }
    }

    /// Begins to read one state of the database with several statements. [`Link::end`] must follow.
    pub(super) async fn begin_read(&mut self) -> Result<(), Error> {
        self.begin("BEGIN").await.map_err(failure)
    }

    async fn begin(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        // Before the await: a call that is dropped there may have begun.
        self.open = true;
        self.execute(statement).await
    }

    /// Ends a transaction: all of it stands, or, after an error, nothing.
    pub(super) async fn end<T>(&mut self, done: Result<T, Error>) -> Result<T, Error> {
        let done = match done {
            Ok(value) => self.execute("COMMIT").await.map(|()| value).map_err(failure),
            Err(error) => Err(error),
        };
        if done.is_ok() {
            self.open = false;
        } else {
            self.mend().await;
        }
        done
    }

    /// Takes back what a transaction left that failed, panicked or was dropped. SQLite itself may have done
    /// so after some errors; then there is nothing to take back, which it calls an error too.
    pub(super) async fn mend(&mut self) {
        if self.open {
            let _nothing_to_take_back = self.execute("ROLLBACK").await;
            self.open = false;
        }
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        self.connection.execute(statement).await.map(drop)
    }

    /// Ends the connection in order; a file's log is moved into it when the last one ends.
    pub(super) async fn close(self) -> Result<(), Error> {
        self.connection.close().await.map_err(failure)
    }
}

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .foreign_keys(false)
        .busy_timeout(Duration::from_secs(BUSY_SECONDS_MAX))
        .row_buffer_size(ROWS_AHEAD)
        .pragma("cache_size", CACHE_KIBIBYTES)
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}
