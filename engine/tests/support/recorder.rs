//! What workers did, in a table that only grows, in a database that Warren does not know.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

/// The database is restarted by some tests.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// A connection that is not there by then is tried anew.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);
/// Pause before what is away is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// One thing that a worker did.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The function.
    pub function: String,
    /// The task attempt that asked for it.
    pub key: String,
    /// What it was asked with.
    pub input: String,
    /// When, in seconds.
    pub at: f64,
}

/// Writes and reads the table.
#[derive(Clone)]
pub struct Recorder {
    pool: PgPool,
}

impl Recorder {
    /// A table in a new database of this name.
    pub async fn create(server: &str, database: &str) -> Self {
        let options: PgConnectOptions = server.parse().unwrap();
        let admin = PgPool::connect_with(options.clone()).await.unwrap();
        create_database(&admin, database).await;
        // A pool waits ever longer between two attempts to connect, within one acquisition.
        let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(CONNECTED_WITHIN);
        let pool = pool.connect_lazy_with(options.database(database));
        let table = "CREATE TABLE effects (id bigserial PRIMARY KEY, function text, key text, input text, \
                     at timestamptz NOT NULL DEFAULT clock_timestamp())";
        sqlx::query(table).execute(&pool).await.unwrap();
        Recorder { pool }
    }

    /// Adds rows, and answers when they are safe. A batch whose answer was lost is written twice: a
    /// duplicate here only says that a worker may have acted twice.
    pub async fn add(&self, effects: &[(String, String, String)]) {
        let column = |pick: fn(&(String, String, String)) -> &String| {
            effects.iter().map(pick).cloned().collect::<Vec<_>>()
        };
        let (functions, keys, inputs) = (column(|e| &e.0), column(|e| &e.1), column(|e| &e.2));
        let insert = "INSERT INTO effects (function, key, input) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])";
        patiently(|| sqlx::query(insert).bind(&functions).bind(&keys).bind(&inputs).execute(&self.pool))
            .await;
    }

    /// All rows, in the order in which they were written.
    pub async fn all(&self) -> Vec<Effect> {
        let select = "SELECT function, key, input, extract(epoch FROM at)::float8 FROM effects ORDER BY id";
        let rows: Vec<(String, String, String, f64)> =
            patiently(|| sqlx::query_as(select).fetch_all(&self.pool)).await;
        rows.into_iter().map(|(function, key, input, at)| Effect { function, key, input, at }).collect()
    }

    /// How often each key was recorded.
    pub async fn times(&self) -> BTreeMap<String, u64> {
        let mut times = BTreeMap::new();
        for effect in self.all().await {
            *times.entry(effect.key).or_default() += 1;
        }
        times
    }
}

/// A database without anything in it.
pub async fn create_database(admin: &PgPool, name: &str) {
    let create = AssertSqlSafe(format!("CREATE DATABASE \"{name}\""));
    sqlx::query(create).execute(admin).await.unwrap();
}

/// Asks until the database answers.
pub async fn patiently<T, F: Future<Output = Result<T, sqlx::Error>>>(ask: impl Fn() -> F) -> T {
    let began = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) if is_final(&error) => panic!("the database refuses: {error}"),
            Err(error) => assert!(began.elapsed() < BACK_WITHIN, "the database does not come back: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether asking again is of no use: the database answers, and neither shuts down, starts nor lacks anything.
fn is_final(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| !["08", "53", "57", "25006"].iter().any(|class| code.starts_with(class)))
}
