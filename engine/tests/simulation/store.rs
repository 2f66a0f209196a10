//! A store that may fail before a call took effect, after it, or in the middle of a batch.
//!
//! The store in memory does its work at once. SQLite works on a runtime of its own, and the simulation stands
//! still meanwhile: its clock would run ahead of a store that works in another thread.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};

use asl::branch::EventRef;
use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use engine::adapters::sqlite::{Location, SqliteStore};
use engine::cli::replay::recording::What;
use engine::ids::{ExecutionId, MachineId, RevisionId};
use engine::ports::catalog::{
    Activity, Catalog, Created, Ends, Execution, ExecutionFilter, Machine, NumberedRow, Page, Revision,
    Updated, WithEnds,
};
use engine::ports::clock::Clock;
use engine::ports::store::changes::Announced;
use engine::ports::store::redrive::{LastRows, Redrive, Redriven};
use engine::ports::store::{
    BranchKey, Claim, Claimed, Commit, Error, Fence, Joined, NewExecution, OnClose, OnFailed, Started, Store,
    StoredBranch, Verdict,
};
use engine::ports::triggers::Triggers;
use futures::FutureExt;
use tokio::runtime::{Builder, Runtime};

use super::clock::SimulatedClock;
use super::connector::Ledger;
use super::memory_store::MemoryStore;
use super::node::Node;
use super::notes;
use engine::ports::catalog::tags::Tag;

/// Where SQLite works.
static ELSEWHERE: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

/// Both halves of a store.
pub trait Both: Store + Catalog + Triggers {}
impl<T: Store + Catalog + Triggers> Both for T {}

/// What keeps the executions of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    Memory,
    Sqlite,
}

/// The store behind all engines of a run.
#[derive(Clone)]
pub struct Database {
    store: Arc<dyn Both>,
    backing: Backing,
    clock: Arc<SimulatedClock>,
}

impl Database {
    pub fn new(backing: Backing, history_events_max: u64, clock: Arc<SimulatedClock>) -> Self {
        let store: Arc<dyn Both> = match backing {
            Backing::Memory => Arc::new(MemoryStore::new(1, history_events_max, clock.clone())),
            Backing::Sqlite => {
                let for_store = Arc::new(clock.for_store());
                let open = SqliteStore::open(Location::Memory, history_events_max, for_store);
                Arc::new(elsewhere(open).unwrap())
            }
        };
        Database { store, backing, clock }
    }

    /// Nothing happens to triggers here.
    pub fn triggers(&self) -> Arc<dyn Triggers> {
        self.store.clone()
    }

    /// Does it while everything else stands still.
    pub fn ask<T, F, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        W: FnOnce(Arc<dyn Both>) -> F,
    {
        self.clock.now();
        let work = work(self.store.clone());
        match self.backing {
            Backing::Memory => work.now_or_never().expect("the store in memory never waits"),
            Backing::Sqlite => elsewhere(work),
        }
    }
}

/// Waits for work on the other runtime.
fn elsewhere<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    ELSEWHERE.spawn(async move { tell.send(work.await) });
    told.recv().unwrap()
}

/// What one engine sees of the store that it shares with others.
pub struct FaultyStore {
    pub database: Database,
    pub node: Arc<Node>,
    pub ledger: Arc<Ledger>,
}

impl FaultyStore {
    pub(super) async fn ask<T, F, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        W: FnOnce(Arc<dyn Both>) -> F + Send,
    {
        let fate = &self.node.fate;
        self.node.alive().await;
        fate.pause().await;
        if fate.strikes(|rates| rates.store_away) {
            self.node.fault("the store is away");
            return Err(Error::Unavailable("simulated".to_owned()));
        }
        let answer = self.database.ask(work);
        fate.pause().await;
        self.node.alive().await;
        if fate.strikes(|rates| rates.answer_lost) {
            self.node.fault("the answer of the store is lost");
            return Err(Error::Unavailable("the answer was lost".to_owned()));
        }
        answer
    }

    /// How much of a batch is committed: all but now and then.
    fn tear(&self, batch: &mut Vec<Commit>) -> bool {
        let fate = &self.node.fate;
        let torn = batch.len() > 1 && fate.strikes(|rates| rates.torn);
        if torn {
            let first = fate.draw(|lottery| lottery.index(batch.len()));
            drop(batch.drain(..first));
            batch.truncate(1 + fate.draw(|lottery| lottery.index(batch.len())));
            self.node.fault("a part of a batch is committed, and the answer is lost");
        }
        torn
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn start(&self, execution: NewExecution) -> Result<Started, Error> {
        let (id, name, node) = (execution.id.to_string(), execution.name.clone(), self.node.clone());
        self.ask(|db| async move {
            let started = db.start(execution).await?;
            node.note(|| What::Started { execution: id, name, outcome: format!("{started:?}") });
            Ok(started)
        })
        .await
    }

    async fn commit(&self, mut batch: Vec<Commit>) -> Result<Vec<Verdict>, Error> {
        let (ledger, node) = (self.ledger.clone(), self.node.clone());
        let torn = self.tear(&mut batch);
        let verdicts = self.ask(|db| async move {
            let verdicts = db.commit(batch.clone()).await?;
            ledger.committed(&batch, &verdicts);
            for (commit, verdict) in batch.iter().zip(&verdicts) {
                node.note(|| notes::committed(commit, verdict, false));
            }
            Ok(verdicts)
        });
        let verdicts = verdicts.await?;
        if torn { Err(Error::Unavailable("a part was committed".to_owned())) } else { Ok(verdicts) }
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
        let (key, node) = (key.clone(), self.node.clone());
        self.ask(move |db| async move {
            let decided = Arc::new(Mutex::new(None));
            let keeps = decided.clone();
            let decide: OnFailed = Box::new(move |failed| {
                let commit = decide(failed);
                keeps.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&commit);
                commit
            });
            let verdict = db.fail_fork(&key, fence, decide).await?;
            if let Some(commit) = decided.lock().unwrap_or_else(PoisonError::into_inner).take() {
                node.note(|| notes::committed(&commit, &verdict, true));
            }
            Ok(verdict)
        })
        .await
    }

    async fn close(&self, execution: ExecutionId, decide: OnClose) -> Result<bool, Error> {
        let node = self.node.clone();
        let decide: OnClose = Box::new(move |open| {
            let last = decide(open)?;
            let status = last.closing.status.as_str().to_owned();
            node.note(|| What::Closed { execution: execution.to_string(), status });
            Some(last)
        });
        self.ask(move |db| async move { db.close(execution, decide).await }).await
    }

    async fn last_rows(&self, keys: &[BranchKey]) -> Result<Vec<LastRows>, Error> {
        let keys = keys.to_vec();
        self.ask(|db| async move { db.last_rows(&keys).await }).await
    }

    async fn redrive(&self, redrive: Redrive) -> Result<Redriven, Error> {
        let node = self.node.clone();
        self.ask(move |db| async move {
            let (execution, count) = (redrive.execution.to_string(), redrive.redriven_before + 1);
            let redriven = db.redrive(redrive).await?;
            if let Redriven::Done(_) = redriven {
                node.note(|| What::Redriven { execution, count });
            }
            Ok(redriven)
        })
        .await
    }

    async fn redriven_as(
        &self,
        execution: ExecutionId,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        let token = token.to_owned();
        self.ask(move |db| async move { db.redriven_as(execution, &token, now).await }).await
    }

    async fn claim_due(&self, claim: Claim) -> Result<Claimed, Error> {
        let node = self.node.clone();
        self.ask(move |db| async move {
            let claimed = db.claim_due(claim).await?;
            for row in &claimed.rows {
                node.note(|| notes::claimed(row));
            }
            Ok(claimed)
        })
        .await
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        self.ask(|db| async move { db.now().await }).await
    }

    async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>, Error> {
        let (name, initial) = (name.to_owned(), initial.to_vec());
        self.ask(move |db| async move { db.setting(&name, &initial).await }).await
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ExecutionId>, Error> {
        self.ask(move |db| async move { db.overdue(now, limit).await }).await
    }

    async fn first_bodies(&self, executions: &[ExecutionId]) -> Result<Vec<Option<Bytes>>, Error> {
        let executions = executions.to_vec();
        self.ask(move |db| async move { db.first_bodies(&executions).await }).await
    }

    async fn claim_unannounced(
        &self,
        now: Timestamp,
        again_after_ms: i64,
        limit: u32,
    ) -> Result<Vec<ExecutionId>, Error> {
        self.ask(move |db| async move { db.claim_unannounced(now, again_after_ms, limit).await }).await
    }

    async fn announced(&self, changes: &[Announced]) -> Result<(), Error> {
        let changes = changes.to_vec();
        self.ask(move |db| async move { db.announced(&changes).await }).await
    }

    async fn live_branches(&self, after: Option<&BranchKey>, limit: u32) -> Result<Vec<StoredBranch>, Error> {
        let after = after.cloned();
        self.ask(move |db| async move { db.live_branches(after.as_ref(), limit).await }).await
    }
}

#[async_trait]
impl Catalog for FaultyStore {
    async fn create_machine(&self, machine: Machine, tags: Vec<Tag>) -> Result<Created<Machine>, Error> {
        self.ask(|db| async move { db.create_machine(machine, tags).await }).await
    }

    async fn update_machine(
        &self,
        machine: MachineId,
        from: RevisionId,
        revision: Revision,
    ) -> Result<Updated, Error> {
        self.ask(move |db| async move { db.update_machine(machine, from, revision).await }).await
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

    async fn count_machines(&self) -> Result<u64, Error> {
        self.ask(|db| async move { db.count_machines().await }).await
    }

    async fn machines(&self, limit: u32, from: Option<&str>) -> Result<Page<Machine>, Error> {
        let from = from.map(str::to_owned);
        self.ask(move |db| async move { db.machines(limit, from.as_deref()).await }).await
    }

    async fn create_activity(&self, activity: Activity, tags: Vec<Tag>) -> Result<Activity, Error> {
        self.ask(|db| async move { db.create_activity(activity, tags).await }).await
    }

    async fn delete_activity(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.ask(|db| async move { db.delete_activity(&name).await }).await
    }

    async fn activity(&self, name: &str) -> Result<Option<Activity>, Error> {
        let name = name.to_owned();
        self.ask(|db| async move { db.activity(&name).await }).await
    }

    async fn count_activities(&self) -> Result<u64, Error> {
        self.ask(|db| async move { db.count_activities().await }).await
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

    async fn still_running(&self, ids: &[ExecutionId]) -> Result<Vec<ExecutionId>, Error> {
        let ids = ids.to_vec();
        self.ask(move |db| async move { db.still_running(&ids).await }).await
    }

    async fn ends(&self, id: ExecutionId) -> Result<Option<Ends>, Error> {
        self.ask(move |db| async move { db.ends(id).await }).await
    }

    async fn executions_with_ends(&self, ids: &[ExecutionId]) -> Result<Vec<Option<WithEnds>>, Error> {
        let ids = ids.to_vec();
        self.ask(move |db| async move { db.executions_with_ends(&ids).await }).await
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
