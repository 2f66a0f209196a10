//! A schema for each test in one database, dropped however the test ends: making and dropping whole databases
//! would have the server write out everything each time.
//!
//! The server is that of `WARREN_TEST_DATABASE_URL`, else the local one. The database `warren_test` is made
//! there if it is missing, and stays: transactions of other databases do not hold up what histories show.

use engine::adapters::postgres::{PostgresConfig, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use uuid::Uuid;

fn server() -> String {
    std::env::var("WARREN_TEST_DATABASE_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned())
}

/// The name of the database that tests share.
const DATABASE: &str = "warren_test";

/// The server's URL with another database.
fn shared() -> String {
    let server = server();
    let (base, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (base, _) = base.rsplit_once('/').unwrap();
    format!("{base}/{DATABASE}?{parameters}")
}

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<PgConnectOptions>().unwrap().connect().await
}

/// Runs a statement outside of any test's schema.
async fn run(statement: String) {
    let mut connection = match connect(&shared()).await {
        Ok(connection) => connection,
        Err(_) => {
            // Of several tests that find it missing, one makes it.
            let mut server = connect(&server()).await.unwrap();
            let made = server.execute(AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"))).await;
            tracing::debug!(?made, "the database of the tests");
            connect(&shared()).await.unwrap()
        }
    };
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}

/// What a test takes for a database of its own.
pub struct TestDatabase {
    name: String,
}

impl TestDatabase {
    /// With Warren's tables and nothing in them.
    pub async fn new() -> Self {
        let database = Self::empty().await;
        let store = database.open(0);
        store.migrate().await.unwrap();
        store.close().await;
        database
    }

    /// Without any table.
    pub async fn empty() -> Self {
        let name = format!("warren_test_{}", Uuid::new_v4().simple());
        run(format!("CREATE SCHEMA {name}")).await;
        TestDatabase { name }
    }

    pub fn config(&self, history_events_max: u64) -> PostgresConfig {
        PostgresConfig {
            url: self.url(),
            commit_connections: 2,
            read_connections: 2,
            history_events_max,
            application_name: self.name.clone(),
        }
    }

    pub fn open(&self, history_events_max: u64) -> PostgresStore {
        PostgresStore::open(self.config(history_events_max)).unwrap()
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url()).await.unwrap()
    }

    fn url(&self) -> String {
        format!("{}&options[search_path]={}", shared(), self.name)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Whoever still uses it is in the way, and may be in a runtime that has stopped.
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{0}'; \
             DROP SCHEMA {0} CASCADE",
            self.name
        );
        // In a runtime of its own: the test's may be at its end.
        let ended = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(end));
        });
        if ended.join().is_err() {
            eprintln!("the schema {} of a test is left", self.name);
        }
    }
}
