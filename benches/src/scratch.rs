//! Queues and databases of a run, and their end.
//!
//! Every name has 8 random hexadecimal digits and is written down before anything of that name is made.
//! What a case leaves behind when it is cut off is removed when the run ends. A run that is killed leaves its
//! names: `warren-bench-*` queues and `warren_bench_*` databases; no later run touches them, they may be
//! somebody else's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::process::Command;
use tokio::time::timeout;

use crate::failure::{Context as _, Failure, Result};

/// Families of queues that engines declare; each is so wide at most.
const FAMILIES: [&str; 7] = ["starts", "standard", "results", "express", "calls", "inner", "hop"];
const WIDTH_MAX: u16 = 8;
const SINGLE: [&str; 5] = ["dead", "poison", "functions.bench", "bench", "trigger-bench.dead"];
const EXCHANGES: [&str; 4] = ["events", "triggers", "transitions", "delay"];

/// The servers, and what this run has on them.
#[derive(Debug, Clone)]
pub struct Servers {
    /// URL of the broker.
    pub broker: String,
    /// URL of a database whose user may make others.
    pub store: String,
    made: Arc<Mutex<BTreeSet<String>>>,
}

/// A prefix for queues, and a database, of one case.
#[derive(Debug, Clone)]
pub struct Scratch {
    id: String,
    /// What names of queues begin with.
    pub prefix: String,
    /// URL of the database.
    pub store: String,
}

impl Servers {
    /// Nothing is made yet.
    pub fn new(broker: String, store: String) -> Self {
        Servers { broker, store, made: Arc::default() }
    }

    /// A connection to the broker.
    pub async fn connect(&self) -> Result<Connection> {
        Ok(Connection::connect(&self.broker, ConnectionProperties::default()).await?)
    }

    /// Makes a database and picks a prefix.
    pub async fn scratch(&self) -> Result<Scratch> {
        let id = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
        self.made().insert(id.clone());
        self.database(format!("CREATE DATABASE {}", database_name(&id))).await.context("make a database")?;
        let prefix = prefix(&id);
        let store = with_database(&self.store, &database_name(&id));
        Ok(Scratch { id, prefix, store })
    }

    /// Removes what is known by name. Processes that use it must be gone.
    pub async fn remove(&self, scratch: &Scratch) -> Result<()> {
        self.drop_database(&scratch.id).await?;
        self.delete_queues(&scratch.prefix, &[]).await.context("remove queues")
    }

    /// Removes whatever is still there; says what could not be.
    pub async fn clean(&self) -> Vec<Failure> {
        let made = std::mem::take(&mut *self.made());
        if made.is_empty() {
            return Vec::new();
        }
        let listed = listed().await;
        let mut failures = Vec::new();
        for id in made {
            failures.extend(self.drop_database(&id).await.err());
            failures.extend(self.delete_queues(&prefix(&id), &listed).await.err());
        }
        failures
    }

    async fn drop_database(&self, id: &str) -> Result<()> {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database_name(id));
        self.database(sql).await.context("remove a database")
    }

    /// Deleting what is not there succeeds. Of what is listed, only names with the prefix are taken.
    async fn delete_queues(&self, prefix: &str, listed: &[String]) -> Result<()> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        let families = FAMILIES
            .iter()
            .flat_map(|family| (0..WIDTH_MAX).map(move |shard| format!("{prefix}{family}.{shard}")));
        let single = SINGLE.iter().map(|name| format!("{prefix}{name}"));
        let found = listed.iter().filter(|name| name.starts_with(prefix)).cloned();
        for name in families.chain(single).chain(found) {
            channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
        }
        for name in EXCHANGES {
            let name = format!("{prefix}{name}");
            channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await?;
        }
        connection.close(200, "done".into()).await?;
        Ok(())
    }

    async fn database(&self, sql: String) -> Result<()> {
        let mut connection = PgConnection::connect(&self.store).await?;
        // The only part that varies is eight hexadecimal digits.
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(())
    }

    fn made(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prefix(id: &str) -> String {
    format!("warren-bench-{id}.")
}

fn database_name(id: &str) -> String {
    format!("warren_bench_{id}")
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (main, options) = url.split_once('?').map_or((url, None), |(main, options)| (main, Some(options)));
    let authority = main.find("://").map_or(0, |at| at + 3);
    let server = main[authority..].find('/').map_or(main, |slash| &main[..authority + slash]);
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{server}/{name}{options}")
}

/// All queues, where the broker's own tool is at hand and may be used: AMQP cannot list them.
async fn listed() -> Vec<String> {
    let mut command = Command::new("rabbitmqctl");
    command.args(["list_queues", "--quiet", "--no-table-headers", "name"]).kill_on_drop(true);
    let output = timeout(Duration::from_secs(10), command.output()).await;
    let Ok(Ok(output)) = output else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_keeps_server_and_options() {
        let with = |url| with_database(url, "d");
        assert_eq!(with("postgres://u@h:1/postgres"), "postgres://u@h:1/d");
        assert_eq!(with("postgres://h"), "postgres://h/d");
        assert_eq!(with("postgres://h/a?sslmode=disable"), "postgres://h/d?sslmode=disable");
    }
}
