//! A store that may fail before a call took effect, or after it.
//!
//! The store works on a runtime of its own, and the simulation stands still meanwhile: its clock would
//! run ahead of a store that works in another thread.

use std::sync::Arc;
use std::sync::mpsc;

use asl::branch::EventRef;
use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use engine::adapters::sqlite::SqliteStore;
use engine::ids::{ExecutionId, MachineId, RevisionId};
use engine::ports::catalog::{
    Activity, Catalog, Created, Ends, Execution, ExecutionFilter, Machine, NumberedRow, Page, Revision,
};
use engine::ports::clock::Clock;
use engine::ports::store::{
    BranchKey, Claim, Claimed, Commit, Error, Fence, Joined, NewExecution, OnClose, OnFailed, Started, Store,
    StoredBranch, Verdict,
};
use tokio::runtime::Handle;

use super::clock::SimulatedClock;
use super::connector::Ledger;
use super::node::Node;

/// The store behind all engines of a run.
#[derive(Clone)]
pub struct Database {
    store: SqliteStore,
    runtime: Handle,
    clock: Arc<SimulatedClock>,
}

impl Database {
    pub fn new(store: SqliteStore, runtime: Handle, clock: Arc<SimulatedClock>) -> Self {
        Database { store, runtime, clock }
    }

    /// Does it while everything else stands still.
    pub fn ask<T, F, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        W: FnOnce(SqliteStore) -> F,
    {
        self.clock.now();
        let (tell, told) = mpsc::channel();
        let work = work(self.store.clone());
        self.runtime.spawn(async move { tell.send(work.await) });
        told.recv().unwrap()
    }
}

/// What one engine sees of the store that it shares with others.
pub struct FaultyStore {
    pub database: Database,
    pub node: Arc<Node>,
    pub ledger: Arc<Ledger>,
}

impl FaultyStore {
    async fn ask<T, F, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        W: FnOnce(SqliteStore) -> F + Send,
    {
        let fate = &self.node.fate;
        self.node.alive().await;
        fate.pause().await;
        if fate.strikes(|rates| rates.store_away) {
            return Err(Error::Unavailable("simulated".to_owned()));
        }
        let answer = self.database.ask(work);
        fate.pause().await;
        self.node.alive().await;
        if fate.strikes(|rates| rates.answer_lost) {
            return Err(Error::Unavailable("the answer was lost".to_owned()));
        }
        answer
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn start(&self, execution: NewExecution) -> Result<Started, Error> {
        self.ask(|db| async move { db.start(execution).await }).await
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<Verdict>, Error> {
        let ledger = self.ledger.clone();
        self.ask(|db| async move {
            let verdicts = db.commit(batch.clone()).await?;
            ledger.committed(&batch, &verdicts);
            Ok(verdicts)
        })
        .await
    }

    async fn branches(&self, keys: &[BranchKey]) -> Result<Vec<Option<StoredBranch>>, Error> {
        let keys = keys.to_vec();
        self.ask(|db| async move { db.branches(&keys).await }).await
    }

    async fn body(&self, key: &BranchKey, seq: u32) -> Result<Option<Bytes>, Error> {
        let key = key.clone();
        self.ask(move |db| async move { db.body(&key, seq).await }).await
    }

    async fn joined(&self, key: &BranchKey, fence: Fence) -> Result<Option<Joined>, Error> {
        let key = key.clone();
        self.ask(move |db| async move { db.joined(&key, fence).await }).await
    }

    async fn fail_fork(&self, key: &BranchKey, fence: Fence, decide: OnFailed) -> Result<Verdict, Error> {
        let key = key.clone();
        self.ask(move |db| async move { db.fail_fork(&key, fence, decide).await }).await
    }

    async fn close(&self, execution: ExecutionId, decide: OnClose) -> Result<bool, Error> {
        self.ask(move |db| async move { Store::close(&db, execution, decide).await }).await
    }

    async fn claim_due(&self, claim: Claim) -> Result<Claimed, Error> {
        self.ask(move |db| async move { db.claim_due(claim).await }).await
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        self.ask(|db| async move { Store::now(&db).await }).await
    }

    async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>, Error> {
        let (name, initial) = (name.to_owned(), initial.to_vec());
        self.ask(move |db| async move { db.setting(&name, &initial).await }).await
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ExecutionId>, Error> {
        self.ask(move |db| async move { db.overdue(now, limit).await }).await
    }

    async fn live_branches(&self, after: Option<&BranchKey>, limit: u32) -> Result<Vec<StoredBranch>, Error> {
        let after = after.cloned();
        self.ask(move |db| async move { db.live_branches(after.as_ref(), limit).await }).await
    }
}

#[async_trait]
impl Catalog for FaultyStore {
    async fn create_machine(&self, machine: Machine) -> Result<Created<Machine>, Error> {
        self.ask(|db| async move { db.create_machine(machine).await }).await
    }

    async fn update_machine(&self, machine: MachineId, revision: Revision) -> Result<bool, Error> {
        self.ask(move |db| async move { db.update_machine(machine, revision).await }).await
    }

    async fn delete_machine(&self, machine: MachineId) -> Result<bool, Error> {
        self.ask(move |db| async move { db.delete_machine(machine).await }).await
    }

    async fn machine(&self, name: &str) -> Result<Option<Machine>, Error> {
        let name = name.to_owned();
        self.ask(|db| async move { db.machine(&name).await }).await
    }

    async fn revision(&self, id: RevisionId) -> Result<Option<Revision>, Error> {
        self.ask(move |db| async move { db.revision(id).await }).await
    }

    async fn machines(&self, limit: u32, from: Option<&str>) -> Result<Page<Machine>, Error> {
        let from = from.map(str::to_owned);
        self.ask(move |db| async move { db.machines(limit, from.as_deref()).await }).await
    }

    async fn create_activity(&self, activity: Activity) -> Result<Activity, Error> {
        self.ask(|db| async move { db.create_activity(activity).await }).await
    }

    async fn delete_activity(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.ask(|db| async move { db.delete_activity(&name).await }).await
    }

    async fn activity(&self, name: &str) -> Result<Option<Activity>, Error> {
        let name = name.to_owned();
        self.ask(|db| async move { db.activity(&name).await }).await
    }

    async fn activities(&self, limit: u32, from: Option<&str>) -> Result<Page<Activity>, Error> {
        let from = from.map(str::to_owned);
        self.ask(move |db| async move { db.activities(limit, from.as_deref()).await }).await
    }

    async fn execution(&self, machine_name: &str, name: &str) -> Result<Option<Execution>, Error> {
        let (machine_name, name) = (machine_name.to_owned(), name.to_owned());
        self.ask(|db| async move { db.execution(&machine_name, &name).await }).await
    }

    async fn execution_by_id(&self, id: ExecutionId) -> Result<Option<Execution>, Error> {
        self.ask(move |db| async move { db.execution_by_id(id).await }).await
    }

    async fn ends(&self, id: ExecutionId) -> Result<Option<Ends>, Error> {
        self.ask(move |db| async move { db.ends(id).await }).await
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Execution>, Error> {
        let (filter, from) = (filter.clone(), from.map(str::to_owned));
        self.ask(move |db| async move { db.executions(&filter, limit, from.as_deref()).await }).await
    }

    async fn running(&self) -> Result<u64, Error> {
        self.ask(|db| async move { db.running().await }).await
    }

    async fn history(
        &self,
        id: ExecutionId,
        from: u64,
        limit: u32,
        reverse: bool,
    ) -> Result<Vec<NumberedRow>, Error> {
        self.ask(move |db| async move { db.history(id, from, limit, reverse).await }).await
    }

    async fn history_events(&self, id: ExecutionId) -> Result<u64, Error> {
        self.ask(move |db| async move { db.history_events(id).await }).await
    }

    async fn event_ids(&self, id: ExecutionId, events: &[EventRef]) -> Result<Vec<Option<u64>>, Error> {
        let events = events.to_vec();
        self.ask(move |db| async move { db.event_ids(id, &events).await }).await
    }
}
