//! The broker and the database that the configuration names, for all commands that work on a deployment.

use std::sync::Arc;
use std::time::Duration;

use asl::data::timestamp::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::composition::Parts;
use crate::adapters::amqp::{self, Amqp, AmqpConfig};
use crate::adapters::postgres::{PostgresConfig, PostgresStore};
use crate::config::{Config, QueueType};
use crate::ports::broker::{self, Broker};
use crate::ports::catalog::Catalog;
use crate::ports::clock::Clock;
use crate::ports::store::{self, Store};
use shared::Shared;

mod shared;

/// Both, opened. Neither need be there yet.
#[derive(Clone)]
pub struct Outside {
    broker: Arc<Amqp>,
    store: PostgresStore,
}

impl Outside {
    /// Begins to connect, under the name `warren COMMAND`. Fails only where an address cannot be one.
    pub fn open(config: &Config, command: &str) -> Result<Self, Error> {
        let broker = Amqp::open(AmqpConfig {
            url: config.broker.url.reveal().to_owned(),
            prefix: config.broker.prefix.clone(),
            queue_type: match config.broker.queue_type {
                QueueType::Quorum => amqp::QueueType::Quorum,
                QueueType::Classic => amqp::QueueType::Classic,
            },
            confirm_within: Duration::from_secs(config.broker.confirm_seconds.get().into()),
            heartbeat_seconds: config.broker.heartbeat_seconds.get(),
            connection_name: format!("warren {command}"),
        });
        let broker = broker.map_err(|error| Error::Usage(format!("wrong value of `broker.url`: {error}")))?;
        Ok(Outside { broker: Arc::new(broker), store: open_store(config, command)? })
    }

    /// Messages.
    pub fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    /// Standard executions.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    /// What the API lists and describes.
    pub fn catalog(&self) -> Arc<dyn Catalog> {
        Arc::new(self.store.clone())
    }

    /// The database's clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.store.clock()
    }

    /// What a core is made of: the database is asked for what all processes of the deployment share.
    pub async fn parts(&self, config: &Config) -> Result<Parts, store::Error> {
        let store = self.store();
        let Shared { token_key, queues } = Shared::read(config, store.as_ref()).await?;
        Ok(Parts {
            store,
            catalog: self.catalog(),
            triggers: Arc::new(self.store.clone()),
            broker: self.broker(),
            clock: self.clock(),
            token_key,
            queues,
            shows_transitions: false,
        })
    }

    /// Waits for the broker.
    pub async fn reach_broker(&self, within: Duration) -> Result<(), broker::Error> {
        self.broker.ready_within(within).await
    }

    /// The product and the release of the broker, once it was reached.
    pub fn server(&self) -> Option<(String, (u32, u32, u32))> {
        self.broker.server().map(|server| (server.product, server.version))
    }

    /// Brings the tables up to date. Answers how many migrations that took.
    pub async fn migrate(&self) -> Result<u32, store::Error> {
        migrate(&self.store).await
    }

    /// How many migrations the tables are behind.
    pub async fn migrations_pending(&self) -> Result<u32, store::Error> {
        self.store.migrations_pending().await
    }

    /// Makes the partitions that will be needed.
    pub async fn prepare_partitions(&self) -> Result<(), store::Error> {
        self.store.prepare_partitions().await
    }

    /// Removes executions that closed before this time. Answers how many.
    pub async fn prune(&self, closed_before: Timestamp) -> Result<u64, store::Error> {
        self.store.prune(closed_before).await
    }

    /// Settings of the database and facts about it, by name.
    pub async fn report(&self) -> Result<Vec<(String, String)>, store::Error> {
        self.store.settings_report().await
    }

    /// Keeps the clock right until it is stopped.
    pub async fn keep_time(&self, stop: CancellationToken) {
        self.store.keep_time(stop).await;
    }

    /// Ends the connections in order: what is settled and published reaches the broker first.
    pub async fn close(&self) {
        self.broker.close().await;
        self.store.close().await;
    }
}

/// The database alone, which need not be there yet.
pub fn open_store(config: &Config, command: &str) -> Result<PostgresStore, Error> {
    let store = PostgresStore::open(PostgresConfig {
        url: config.store.url.reveal().to_owned(),
        commit_connections: config.store.commit_connections.get().into(),
        read_connections: config.store.read_connections.get().into(),
        history_events_max: config.limits.history_events_max.get(),
        application_name: format!("warren {command}"),
    });
    store.map_err(|error| Error::Usage(format!("wrong value of `store.url`: {error}")))
}

/// Brings the tables up to date, and makes the partitions that will be needed first: what is written before
/// them is in nobody's.
pub async fn migrate(store: &PostgresStore) -> Result<u32, store::Error> {
    let applied = store.migrate().await?;
    store.prepare_partitions().await?;
    Ok(applied)
}
