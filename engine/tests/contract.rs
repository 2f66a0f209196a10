//! The contract: every promise of a port is a test, and every adapter of the port passes all of them.
//!
//! A suite is a list of promises, each a function of an adapter. A new adapter adds a module below.

#![expect(clippy::unwrap_used, reason = "a failure here is the result of a test")]

mod contract {
    /// Makes a test of each promise: `attribute`, then what the promise is a function of.
    macro_rules! promises {
        ($suite:ident, $attribute:meta, $adapter:expr, $($promise:ident)*) => { $(
            #[$attribute]
            async fn $promise() {
                $crate::contract::$suite::$promise($adapter).await;
            }
        )* };
    }

    pub mod broker;
    pub mod catalog;
    pub mod durability;
    pub mod exchanges;
    mod postgres;
    pub mod store_closes;
    pub mod store_commits;
    pub mod store_failures;
    pub mod store_forks;
    pub mod store_redrives;
    pub mod store_schedule;
    pub mod tags;
    pub mod triggers;
    pub mod versions;
    pub mod world;

    pub(crate) use promises;
}

mod in_process_broker {
    use std::sync::Arc;

    use engine::adapters::in_process::InProcess;

    use crate::contract::{broker, exchanges};

    broker::promises_to!(tokio::test(start_paused = true), Arc::new(InProcess::new()));
    exchanges::promises_to!(tokio::test(start_paused = true), Arc::new(InProcess::new()));
    broker::exact_promises_to!(tokio::test(start_paused = true), Arc::new(InProcess::new()));
}

#[path = "support/amqp.rs"]
mod amqp;

/// On a real broker: `WARREN_TEST_AMQP_URL` tells where it is.
mod rabbitmq {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use engine::adapters::amqp::Amqp;
    use engine::ports::broker::{Broker, Consumer, Error, Exchange, Health, Publication, Published, Queue};

    use crate::amqp::Prefix;
    use crate::contract::{broker, exchanges};

    /// Its queues are gone when the test is.
    struct Swept {
        amqp: Amqp,
        _prefix: Prefix,
    }

    async fn swept() -> Arc<dyn Broker> {
        let prefix = Prefix::new(&["orders", "all", "some"]);
        let amqp = Amqp::open(prefix.config()).unwrap();
        amqp.ready_within(Duration::from_secs(60)).await.unwrap();
        Arc::new(Swept { amqp, _prefix: prefix })
    }

    #[async_trait]
    impl Broker for Swept {
        async fn declare(&self, queues: &[Queue]) -> Result<(), Error> {
            self.amqp.declare(queues).await
        }

        async fn declare_exchange(&self, exchange: &Exchange) -> Result<(), Error> {
            self.amqp.declare_exchange(exchange).await
        }

        async fn bind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
            self.amqp.bind(queue, exchange, pattern).await
        }

        async fn unbind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
            self.amqp.unbind(queue, exchange, pattern).await
        }

        async fn join(&self, from: &Exchange, to: &Exchange) -> Result<(), Error> {
            self.amqp.join(from, to).await
        }

        fn emit(&self, publication: Publication) {
            self.amqp.emit(publication);
        }

        async fn delete(&self, queue: &Queue) -> Result<(), Error> {
            self.amqp.delete(queue).await
        }

        async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Published>, Error> {
            self.amqp.publish(batch).await
        }

        async fn consume(&self, queue: &Queue, prefetch: usize) -> Result<Arc<dyn Consumer>, Error> {
            self.amqp.consume(queue, prefetch).await
        }

        async fn ready(&self, queue: &Queue) -> Result<u64, Error> {
            self.amqp.ready(queue).await
        }

        fn health(&self) -> Health {
            self.amqp.health()
        }
    }

    broker::promises_to!(tokio::test(flavor = "multi_thread", worker_threads = 2), swept().await);
    exchanges::promises_to!(tokio::test(flavor = "multi_thread", worker_threads = 2), swept().await);
}

#[path = "support/memory_store.rs"]
mod memory_store_model;

/// The store that the simulation uses: it passes what the real ones pass.
mod memory_store {
    use std::sync::Arc;

    use async_trait::async_trait;
    use engine::adapters::system_clock::SystemClock;

    use crate::contract::world::{Adapter, Database};
    use crate::contract::{
        catalog, store_closes, store_commits, store_failures, store_forks, store_redrives, store_schedule,
        tags, triggers, versions,
    };
    use crate::memory_store_model::MemoryStore;

    struct Model;

    #[async_trait]
    impl Adapter for Model {
        async fn open(&self, history_events_max: u64) -> Arc<dyn Database> {
            Arc::new(MemoryStore::new(1, history_events_max, Arc::new(SystemClock)))
        }
    }

    catalog::promises_to!(tokio::test, &Model);
    versions::promises_to!(tokio::test, &Model);
    tags::promises_to!(tokio::test, &Model);
    triggers::promises_to!(tokio::test, &Model);
    store_commits::promises_to!(tokio::test, &Model);
    store_forks::promises_to!(tokio::test, &Model);
    store_redrives::promises_to!(tokio::test, &Model);
    store_failures::promises_to!(tokio::test, &Model);
    store_closes::promises_to!(tokio::test, &Model);
    store_schedule::promises_to!(tokio::test, &Model);
}

mod sqlite_in_memory {
    use std::sync::Arc;

    use async_trait::async_trait;
    use engine::adapters::sqlite::{Location, SqliteStore};
    use engine::adapters::system_clock::SystemClock;

    use crate::contract::world::{Adapter, Database};
    use crate::contract::{
        catalog, store_closes, store_commits, store_failures, store_forks, store_redrives, store_schedule,
        tags, triggers, versions,
    };

    struct Memory;

    #[async_trait]
    impl Adapter for Memory {
        async fn open(&self, history_events_max: u64) -> Arc<dyn Database> {
            let clock = Arc::new(SystemClock);
            Arc::new(SqliteStore::open(Location::Memory, history_events_max, clock).await.unwrap())
        }
    }

    catalog::promises_to!(tokio::test, &Memory);
    versions::promises_to!(tokio::test, &Memory);
    tags::promises_to!(tokio::test, &Memory);
    triggers::promises_to!(tokio::test, &Memory);
    store_commits::promises_to!(tokio::test, &Memory);
    store_forks::promises_to!(tokio::test, &Memory);
    store_redrives::promises_to!(tokio::test, &Memory);
    store_failures::promises_to!(tokio::test, &Memory);
    store_closes::promises_to!(tokio::test, &Memory);
    store_schedule::promises_to!(tokio::test, &Memory);
}

mod sqlite_in_a_file {
    use std::sync::Arc;

    use async_trait::async_trait;
    use engine::adapters::sqlite::{Location, SqliteStore};
    use engine::adapters::system_clock::SystemClock;
    use tempfile::TempDir;

    use crate::contract::world::{Adapter, Database};
    use crate::contract::{
        catalog, durability, store_closes, store_commits, store_failures, store_forks, store_redrives,
        store_schedule, tags, triggers, versions,
    };

    struct File(TempDir);

    impl File {
        fn new() -> Self {
            File(TempDir::new().unwrap())
        }
    }

    #[async_trait]
    impl Adapter for File {
        async fn open(&self, history_events_max: u64) -> Arc<dyn Database> {
            let location = Location::File(self.0.path().join("warren.db"));
            let clock = Arc::new(SystemClock);
            Arc::new(SqliteStore::open(location, history_events_max, clock).await.unwrap())
        }
    }

    catalog::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    versions::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    tags::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    triggers::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    store_commits::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    store_forks::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    store_redrives::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    store_failures::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    store_closes::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    store_schedule::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
    durability::promises_to!(tokio::test(flavor = "multi_thread"), &File::new());
}

#[path = "support/postgres.rs"]
mod postgres_server;

mod postgres {
    use std::sync::Arc;

    use async_trait::async_trait;

    use crate::contract::world::{Adapter, Database};
    use crate::contract::{
        catalog, durability, store_closes, store_commits, store_failures, store_forks, store_redrives,
        store_schedule, tags, triggers, versions,
    };
    use crate::postgres_server::TestDatabase;

    #[async_trait]
    impl Adapter for TestDatabase {
        async fn open(&self, history_events_max: u64) -> Arc<dyn Database> {
            Arc::new(TestDatabase::open(self, history_events_max))
        }
    }

    catalog::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    versions::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    tags::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    triggers::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    store_commits::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    store_forks::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    store_redrives::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    store_failures::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    store_closes::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    store_schedule::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
    durability::promises_to!(tokio::test(flavor = "multi_thread"), &TestDatabase::new().await);
}
