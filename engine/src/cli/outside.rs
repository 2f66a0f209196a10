//! The broker and the database that the configuration names.

use std::sync::Arc;

use asl::data::timestamp::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::adapters::in_process::InProcess;
use crate::adapters::sqlite::{Location, SqliteStore};
use crate::adapters::system_clock::SystemClock;
use crate::config::Config;
use crate::ports::broker::Broker;
use crate::ports::catalog::Catalog;
use crate::ports::clock::Clock;
use crate::ports::store::{self, Store};

/// Both, opened. Neither need be there yet.
#[derive(Clone)]
pub struct Outside {
    broker: Arc<InProcess>,
    store: SqliteStore,
}

impl Outside {
    /// Fails only where the configuration cannot be used.
    pub async fn open(config: &Config, _command: &str) -> Result<Self, Error> {
        let store = SqliteStore::open(
            Location::Memory,
            config.limits.history_events_max.get(),
            Arc::new(SystemClock),
        )
        .await
        .map_err(|e| Error::Failed(e.to_string()))?;
        Ok(Outside { broker: Arc::new(InProcess::new()), store })
    }
    pub fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }
    pub fn catalog(&self) -> Arc<dyn Catalog> {
        Arc::new(self.store.clone())
    }
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }
    pub async fn migrate(&self) -> Result<u32, store::Error> {
        Ok(0)
    }
    pub async fn migrations_pending(&self) -> Result<Option<u32>, store::Error> {
        Ok(None)
    }
    pub async fn prepare_partitions(&self) -> Result<(), store::Error> {
        Ok(())
    }
    pub async fn prune(&self, _before: Timestamp) -> Result<(), store::Error> {
        Ok(())
    }
    pub async fn keep_time(&self, stop: CancellationToken) {
        stop.cancelled().await
    }
    pub async fn close(&self) {}
}
