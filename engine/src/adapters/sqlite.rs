//! The store and the catalog in SQLite: one file, one process, no server.
//!
//! One connection writes, as SQLite has one writer anyway; so counters are exact and every history row knows
//! the id of its first event when it is made. Commits that wait for the writer share its next transaction.
//! A few more connections read.
//!
//! What happens under failure: a process that dies leaves what it committed and nothing else. A call whose
//! future is dropped still takes effect or does not, as a whole, since every write runs in a task of its own.

mod catalog;
mod commit;
mod connection;
mod due;
mod executions;
mod failure;
mod fork;
mod history;
mod machines;
mod redrive;
mod rows;
mod settings;
mod tags;
mod triggers;
mod unannounced;
mod versions;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Mutex, MutexGuard, oneshot};

use crate::ids::ExecutionId;
use crate::ports::clock::Clock;
use crate::ports::store::changes::Announced;
use crate::ports::store::redrive::{LastRows, Redrive, Redriven};
use crate::ports::store::{
    BranchKey, Claim, Claimed, Commit, Error, Fence, Joined, NewExecution, OnClose, OnFailed, Started, Store,
    StoredBranch, Verdict,
};
use connection::Link;

/// Connections that read a file beside the writer.
const READERS: usize = 2;

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In memory, gone with the store.
    Memory,
    /// In this file, made if it is missing, with `-wal` and `-shm` beside it while it is open.
    File(PathBuf),
}

/// Keeps executions and what the API shows in SQLite.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Mutex<Link>,
    /// None for a database in memory, which belongs to one connection.
    readers: Vec<Mutex<Link>>,
    next_reader: AtomicUsize,
    clock: Arc<dyn Clock>,
    history_events_max: u64,
    waiting: std::sync::Mutex<Vec<Waiting>>,
}

/// A batch that waits for the writer.
struct Waiting {
    batch: Vec<Commit>,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Vec<Verdict>, Error>>;

impl SqliteStore {
    /// Opens a database and brings its schema up to date. No execution records more than
    /// `history_events_max` events in its transitions. Must be used in the runtime it is opened in.
    pub async fn open(
        location: Location,
        history_events_max: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let (writer, readers) = match location {
            Location::Memory => {
                let mut writer = Link::memory().await?;
                writer.migrate().await?;
                (writer, Vec::new())
            }
            Location::File(path) => {
                let mut writer = Link::file(&path).await?;
                writer.migrate().await?;
                let mut readers = Vec::new();
                for _ in 0..READERS {
                    readers.push(Mutex::new(Link::file(&path).await?));
                }
                (writer, readers)
            }
        };
        let shared = Shared {
            writer: Mutex::new(writer),
            readers,
            next_reader: AtomicUsize::new(0),
            clock,
            history_events_max,
            waiting: std::sync::Mutex::default(),
        };
        Ok(SqliteStore { shared: Arc::new(shared) })
    }

    /// Ends the connections in order, if this is the last reference to the store; else it does nothing and
    /// the end of the process does as well.
    pub async fn close(self) -> Result<(), Error> {
        let Some(shared) = Arc::into_inner(self.shared) else { return Ok(()) };
        for reader in shared.readers {
            reader.into_inner().close().await?;
        }
        shared.writer.into_inner().close().await
    }

    /// A connection to read with: one that is free, if there is one.
    async fn reader(&self) -> MutexGuard<'_, Link> {
        let Shared { writer, readers, next_reader, .. } = &*self.shared;
        let mut reader = match readers.iter().find_map(|reader| reader.try_lock().ok()) {
            Some(free) => free,
            None => {
                let next = next_reader.fetch_add(1, Ordering::Relaxed).checked_rem(readers.len());
                next.and_then(|index| readers.get(index)).unwrap_or(writer).lock().await
            }
        };
        reader.mend().await;
        reader
    }

    /// Runs a write in a transaction and a task of its own, so that it is whole even if the caller is gone.
    async fn write<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection, Timestamp) -> BoxFuture<'c, Result<T, Error>>
            + Send
            + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move {
            let mut writer = shared.begin_write().await?;
            let done = work(writer.statement(), shared.clock.now()).await;
            writer.end(done).await
        });
        match task.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Error::Unavailable("the runtime is shutting down".to_owned())),
        }
    }
}

impl Shared {
    /// The writer, in a transaction, with nothing left over from whoever had it before.
    async fn begin_write(&self) -> Result<MutexGuard<'_, Link>, Error> {
        let mut writer = self.writer.lock().await;
        writer.mend().await;
        writer.begin_write().await?;
        Ok(writer)
    }

    /// Adds a batch to those that wait. Answers whether it is the first.
    fn wait(&self, batch: Waiting) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(batch);
        waiting.len() == 1
    }

    /// Commits all batches that wait. The first of them has called this; the
    /// others joined it until it had the writer.
    async fn commit_waiting(&self) {
        let writer = self.begin_write().await;
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let mut answers = Vec::new();
        let mut together = Vec::new();
        for Waiting { batch, answer } in waiting {
            answers.push((batch.len(), answer));
            together.extend(batch);
        }
        let done = match writer {
            Ok(mut writer) => self.commit_batch(&mut writer, &together).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(verdicts) => hand_out(verdicts, answers),
            // One of them may be to blame: each has a transaction of its own then.
            Err(_) if answers.len() > 1 => self.commit_each(&together, answers).await,
            Err(error) => {
                if let Some((_, answer)) = answers.pop() {
                    tell(answer, Err(error));
                }
            }
        }
    }

    async fn commit_each(&self, together: &[Commit], answers: Vec<(usize, Answer)>) {
        let mut rest = together;
        for (length, answer) in answers {
            let (own, others) = rest.split_at(length);
            tell(answer, self.commit_alone(own).await);
            rest = others;
        }
    }

    async fn commit_alone(&self, batch: &[Commit]) -> Result<Vec<Verdict>, Error> {
        let mut writer = self.begin_write().await?;
        self.commit_batch(&mut writer, batch).await
    }

    async fn commit_batch(&self, writer: &mut Link, batch: &[Commit]) -> Result<Vec<Verdict>, Error> {
        let now = self.clock.now();
        let done = commit::commit(writer.statement(), batch, now, self.history_events_max).await;
        writer.end(done).await
    }
}

fn hand_out(verdicts: Vec<Verdict>, answers: Vec<(usize, Answer)>) {
    let mut verdicts = verdicts.into_iter();
    for (length, answer) in answers {
        tell(answer, Ok(verdicts.by_ref().take(length).collect()));
    }
}

/// Whoever has gone away does not wait for the answer.
fn tell(answer: Answer, verdicts: Result<Vec<Verdict>, Error>) {
    let _ = answer.send(verdicts);
}

#[async_trait]
impl Store for SqliteStore {
    async fn start(&self, execution: NewExecution) -> Result<Started, Error> {
        self.write(|connection, now| executions::start(connection, execution, now).boxed()).await
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<Verdict>, Error> {
        batch.iter().try_for_each(Commit::check)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, verdicts) = oneshot::channel();
        // Whoever comes first has a task on its way that takes all.
        if self.shared.wait(Waiting { batch, answer }) {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move { shared.commit_waiting().await });
        }
        verdicts.await.unwrap_or_else(|_| Err(Error::Unavailable("the commit was given up".to_owned())))
    }

    async fn branches(&self, keys: &[BranchKey]) -> Result<Vec<Option<StoredBranch>>, Error> {
        due::branches(self.reader().await.statement(), keys).await
    }

    async fn body(&self, key: &BranchKey, seq: u32) -> Result<Option<Bytes>, Error> {
        due::body(self.reader().await.statement(), key, seq).await
    }

    async fn joined(&self, key: &BranchKey, fence: Fence) -> Result<Option<Joined>, Error> {
        let mut reader = self.reader().await;
        reader.begin_read().await?;
        let done = fork::joined(reader.statement(), key, fence).await;
        reader.end(done).await
    }

    async fn fail_fork(&self, key: &BranchKey, fence: Fence, decide: OnFailed) -> Result<Verdict, Error> {
        let key = key.clone();
        self.write(move |connection, now| {
            async move { fork::fail(connection, &key, fence, decide, now).await }.boxed()
        })
        .await
    }

    async fn close(&self, execution: ExecutionId, decide: OnClose) -> Result<bool, Error> {
        self.write(move |connection, now| executions::close(connection, execution, decide, now).boxed()).await
    }

    async fn last_rows(&self, keys: &[BranchKey]) -> Result<Vec<LastRows>, Error> {
        redrive::last_rows(self.reader().await.statement(), keys).await
    }

    async fn redrive(&self, redrive: Redrive) -> Result<Redriven, Error> {
        self.write(|connection, now| redrive::redrive(connection, redrive, now).boxed()).await
    }

    async fn redriven_as(
        &self,
        execution: ExecutionId,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        redrive::redriven_as(self.reader().await.statement(), execution, token, now).await
    }

    async fn claim_due(&self, claim: Claim) -> Result<Claimed, Error> {
        self.write(move |connection, _| due::claim(connection, claim).boxed()).await
    }

    async fn first_bodies(&self, executions: &[ExecutionId]) -> Result<Vec<Option<Bytes>>, Error> {
        history::first_bodies(self.reader().await.statement(), executions).await
    }

    async fn claim_unannounced(
        &self,
        now: Timestamp,
        again_after_ms: i64,
        limit: u32,
    ) -> Result<Vec<ExecutionId>, Error> {
        self.write(move |connection, _| unannounced::claim(connection, now, again_after_ms, limit).boxed())
            .await
    }

    async fn announced(&self, changes: &[Announced]) -> Result<(), Error> {
        let changes = changes.to_vec();
        self.write(|connection, _| async move { unannounced::forget(connection, &changes).await }.boxed())
            .await
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ExecutionId>, Error> {
        executions::overdue(self.reader().await.statement(), now, limit).await
    }

    async fn live_branches(&self, after: Option<&BranchKey>, limit: u32) -> Result<Vec<StoredBranch>, Error> {
        due::live(self.reader().await.statement(), after, limit).await
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        Ok(self.shared.clock.now())
    }

    async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>, Error> {
        let (name, initial) = (name.to_owned(), initial.to_vec());
        self.write(|connection, _| settings::first(connection, name, initial).boxed()).await
    }
}

#[cfg(test)]
mod tests;
