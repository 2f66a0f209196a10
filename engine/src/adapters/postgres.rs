//! The store and the catalog in Postgres: for any number of engines that share one database.
//!
//! ```text
//! commit, start ─▶ lanes ─▶ committers, a connection each (commit.rs)     rows ─▶ branches · history
//! all else      ─▶ a connection of the others, one call each              listed by executions · machines
//! ```
//!
//! Everything runs at READ COMMITTED; correctness comes from the fence, row locks and their order: branches by
//! execution, children before parents, then executions. No session state is relied on, so a pooler in
//! transaction mode may stand in between, if it lets the session's settings through.
//!
//! What happens under failure: nothing is known about a call whose connection was lost, and the caller is told
//! [`Error::Unavailable`]; doing it again as if redelivered finds out, since what stands moved the fence. Calls
//! fail within seconds while the database is away, and connect again by themselves when it is back.

mod catalog;
mod clock;
mod commit;
mod connection;
mod due;
mod executions;
mod failure;
mod fork;
mod history;
mod machines;
mod migrations;
mod partitions;
mod promptly;
mod redrive;
mod rows;
mod settings;
mod tags;
mod triggers;
mod unannounced;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::ids::ExecutionId;
use crate::ports::clock::Clock;
use crate::ports::store::changes::Announced;
use crate::ports::store::redrive::{LastRows, Redrive, Redriven};
use crate::ports::store::{
    BranchKey, Claim, Claimed, Commit, Error, Fence, Joined, NewExecution, OnClose, OnFailed, Started, Store,
    StoredBranch, Verdict,
};
use clock::DatabaseClock;
use commit::Lanes;
use connection::{Connections, Presence};
use failure::Fault;

/// How often the time is asked for where no commit tells it.
const CLOCK_SECONDS: Duration = Duration::from_secs(10);

/// How to reach and use the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database`, with `sslmode` and the like as parameters.
    pub url: String,
    /// Connections that commit: how many transactions of transitions go on at once.
    pub commit_connections: u32,
    /// Connections for all else.
    pub read_connections: u32,
    /// No branch records more events, with all above it and all that it joined.
    pub history_events_max: u64,
    /// What the server lists the connections as.
    pub application_name: String,
}

/// Keeps executions and what the API shows in Postgres.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    lanes: Arc<Lanes>,
    others: Arc<Connections>,
    clock: Arc<DatabaseClock>,
}

/// Does something on a connection, which is kept if all goes well.
macro_rules! ask {
    ($store:expr, $connection:ident => $work:expr) => {{
        let mut link = $store.others.take().await?;
        let $connection = link.connection();
        let done = $crate::adapters::postgres::connection::answered($work).await;
        match done {
            Ok(done) => {
                link.keep();
                Ok(done)
            }
            Err(fault) => Err($store.failed(fault)),
        }
    }};
}
use ask;

impl PostgresStore {
    /// A store in the database of this configuration; fails only if the URL is unusable. Nothing is connected
    /// yet. Must be used in a runtime.
    pub fn open(config: PostgresConfig) -> Result<Self, Error> {
        let options = connection::options(&config)?;
        let presence = Arc::new(Presence::default());
        let clock = Arc::new(DatabaseClock::new());
        let commits = Connections::new(options.clone(), config.commit_connections, Arc::clone(&presence));
        let lanes =
            Lanes::new(commits, config.commit_connections, config.history_events_max, Arc::clone(&clock));
        let others = Arc::new(Connections::new(options, config.read_connections, presence));
        Ok(PostgresStore { lanes: Arc::new(lanes), others, clock })
    }

    /// Brings the schema up to date; answers how many migrations that took. Several instances may do so at once.
    pub async fn migrate(&self) -> Result<u32, Error> {
        let mut link = self.others.take().await?;
        // As long as it takes: a migration may rewrite a table.
        let applied = migrations::run(link.connection()).await.map_err(|fault| self.failed(fault))?;
        link.keep();
        Ok(applied)
    }

    /// How many migrations the schema is behind. Changes nothing.
    pub async fn migrations_pending(&self) -> Result<u32, Error> {
        ask!(self, connection => migrations::pending(connection))
    }

    /// Makes the partitions that will be needed. Once at the start and then at least daily.
    pub async fn prepare_partitions(&self) -> Result<(), Error> {
        ask!(self, connection => partitions::prepare(connection))
    }

    /// Removes executions that closed before this time; answers how many. In chunks, each by itself.
    pub async fn prune(&self, closed_before: Timestamp) -> Result<u64, Error> {
        let mut link = self.others.take().await?;
        let pruned = partitions::prune(link.connection(), closed_before).await;
        let pruned = pruned.map_err(|fault| self.failed(fault))?;
        link.keep();
        Ok(pruned)
    }

    /// The database's clock, which also goes while the database is away.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    /// Asks for the time now and then, until it is stopped.
    pub async fn keep_time(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // Away is no reason to complain here: whoever needs the database does.
            let asked = stop.run_until_cancelled(self.now()).await;
            tracing::trace!(?asked, "the time was asked for");
            stop.run_until_cancelled(tokio::time::sleep(CLOCK_SECONDS)).await;
        }
    }

    /// Settings of the server, and facts, by which one sees whether it is fit.
    pub async fn settings_report(&self) -> Result<Vec<(String, String)>, Error> {
        ask!(self, connection => settings::report(connection))
    }

    /// Ends all connections in order. Later calls fail.
    pub async fn close(&self) {
        self.lanes.close().await;
        self.others.close().await;
    }

    fn failed(&self, fault: Fault) -> Error {
        if matches!(fault, Fault::Unknown(_)) {
            self.others.distrust();
        }
        Error::from(fault)
    }
}

fn given_up<E>(_: E) -> Error {
    Error::Unavailable("the call was given up".to_owned())
}

#[async_trait]
impl Store for PostgresStore {
    async fn start(&self, execution: NewExecution) -> Result<Started, Error> {
        self.lanes.start(execution).await.map_err(given_up)?
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<Verdict>, Error> {
        batch.iter().try_for_each(Commit::check)?;
        let mut verdicts = vec![Verdict::Stale; batch.len()];
        for wave in commit::waves(batch) {
            let (positions, members): (Vec<_>, Vec<_>) = wave.into_iter().unzip();
            for (position, answer) in positions.into_iter().zip(self.lanes.commit(members)) {
                let verdict = answer.await.map_err(given_up)??;
                if let Some(slot) = verdicts.get_mut(position) {
                    *slot = verdict;
                }
            }
        }
        Ok(verdicts)
    }

    async fn branches(&self, keys: &[BranchKey]) -> Result<Vec<Option<StoredBranch>>, Error> {
        ask!(self, connection => due::branches(connection, keys))
    }

    async fn body(&self, key: &BranchKey, seq: u32) -> Result<Option<Bytes>, Error> {
        ask!(self, connection => history::body(connection, key, seq))
    }

    async fn joined(&self, key: &BranchKey, fence: Fence) -> Result<Option<Joined>, Error> {
        ask!(self, connection => fork::joined(connection, key, fence))
    }

    async fn fail_fork(&self, key: &BranchKey, fence: Fence, decide: OnFailed) -> Result<Verdict, Error> {
        ask!(self, connection => fork::fail(connection, key, fence, decide))
    }

    async fn close(&self, execution: ExecutionId, decide: OnClose) -> Result<bool, Error> {
        ask!(self, connection => executions::close(connection, execution, decide))
    }

    async fn last_rows(&self, keys: &[BranchKey]) -> Result<Vec<LastRows>, Error> {
        ask!(self, connection => redrive::last_rows(connection, keys))
    }

    async fn redrive(&self, redrive: Redrive) -> Result<Redriven, Error> {
        ask!(self, connection => redrive::redrive(connection, redrive))
    }

    async fn redriven_as(
        &self,
        execution: ExecutionId,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        ask!(self, connection => redrive::redriven_as(connection, execution, token, now))
    }

    async fn claim_due(&self, claim: Claim) -> Result<Claimed, Error> {
        ask!(self, connection => due::claim(connection, claim))
    }

    async fn first_bodies(&self, executions: &[ExecutionId]) -> Result<Vec<Option<Bytes>>, Error> {
        ask!(self, connection => history::first_bodies(connection, executions))
    }

    async fn claim_unannounced(
        &self,
        now: Timestamp,
        again_after_ms: i64,
        limit: u32,
    ) -> Result<Vec<ExecutionId>, Error> {
        ask!(self, connection => unannounced::claim(connection, now, again_after_ms, limit))
    }

    async fn announced(&self, changes: &[Announced]) -> Result<(), Error> {
        ask!(self, connection => unannounced::forget(connection, changes))
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ExecutionId>, Error> {
        ask!(self, connection => executions::overdue(connection, now, limit))
    }

    async fn live_branches(&self, after: Option<&BranchKey>, limit: u32) -> Result<Vec<StoredBranch>, Error> {
        ask!(self, connection => due::live(connection, after, limit))
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        let now = ask!(self, connection => due::now(connection))?;
        self.clock.observe(now);
        Ok(now)
    }

    async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>, Error> {
        ask!(self, connection => settings::first(connection, name, initial))
    }
}
