//! Lanes: who waits joins the next transaction of whichever committer is free.
//!
//! Nobody lingers: a committer begins with what there is, and batches form by themselves while all are busy.
//! The first of two members for one branch is taken, the other waits for the next statement; and a fork's ends
//! are in one transaction of this process at a time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asl::data::timestamp::Timestamp;
use futures::future::BoxFuture;
use sqlx::postgres::PgConnection;
use tokio::sync::oneshot;

use super::{Kind, run};
use crate::adapters::postgres::clock::DatabaseClock;
use crate::adapters::postgres::connection::{Connections, answered};
use crate::adapters::postgres::executions;
use crate::adapters::postgres::failure::Fault;
use crate::ports::store::{BranchKey, Change, Commit, Error, NewExecution, Started, Verdict};

/// Members of one transaction.
const MEMBERS_MAX: usize = 256;
/// The same where each has many rows or a transaction of its own; more would make the others wait.
const FORKS_MAX: usize = 32;
const ALONE_MAX: usize = 1;
/// Bodies of one transaction; one member may have more.
const BODY_BYTES_MAX: usize = 4 << 20;
/// How often a transaction is tried that others make fail.
const TRIES_MAX: u32 = 5;

/// What members were answered, and the database's time if it was told.
#[derive(Debug)]
pub(in crate::adapters::postgres) struct Answered<A> {
    pub(in crate::adapters::postgres) answers: Vec<A>,
    pub(in crate::adapters::postgres) now: Option<Timestamp>,
}

/// One that waits.
#[derive(Debug)]
struct Waiting<T, A> {
    item: T,
    answer: oneshot::Sender<Result<A, Error>>,
}

type WaitingCommit = Waiting<Commit, Verdict>;
type WaitingStart = Waiting<NewExecution, Started>;

/// What a committer takes at once.
#[derive(Debug)]
enum Batch {
    Commits(Kind, Vec<WaitingCommit>),
    Starts(Vec<WaitingStart>),
}

/// The lanes, and the committers that empty them.
#[derive(Debug)]
pub(in crate::adapters::postgres) struct Lanes {
    connections: Connections,
    committers_max: u32,
    history_events_max: u64,
    clock: Arc<DatabaseClock>,
    queues: Mutex<Queues>,
}

#[derive(Debug, Default)]
struct Queues {
    committers: u32,
    /// Which lane is looked at first.
    turn: usize,
    moves: VecDeque<WaitingCommit>,
    forks: VecDeque<WaitingCommit>,
    finishes: VecDeque<WaitingCommit>,
    alone: VecDeque<WaitingCommit>,
    ends: Ends,
    starts: VecDeque<WaitingStart>,
}

/// Ends by the parent whose fork they are in.
#[derive(Debug, Default)]
struct Ends {
    waiting: HashMap<BranchKey, VecDeque<WaitingCommit>>,
    /// Forks with ends that wait and none in a transaction, longest first.
    ready: VecDeque<BranchKey>,
    busy: HashSet<BranchKey>,
}

impl Lanes {
    pub(in crate::adapters::postgres) fn new(
        connections: Connections,
        committers_max: u32,
        history_events_max: u64,
        clock: Arc<DatabaseClock>,
    ) -> Self {
        let queues = Mutex::default();
        Lanes { connections, committers_max: committers_max.max(1), history_events_max, clock, queues }
    }

    pub(in crate::adapters::postgres) async fn close(&self) {
        self.connections.close().await;
    }

    /// Puts members into their lanes. Each is answered by itself.
    pub(in crate::adapters::postgres) fn commit(
        self: &Arc<Self>,
        members: Vec<Commit>,
    ) -> Vec<oneshot::Receiver<Result<Verdict, Error>>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = members.into_iter().map(|commit| queues.push(commit)).collect();
        self.staff(&mut queues);
        answers
    }

    /// Puts an execution into the lane of starts.
    pub(in crate::adapters::postgres) fn start(
        self: &Arc<Self>,
        execution: NewExecution,
    ) -> oneshot::Receiver<Result<Started, Error>> {
        let (answer, started) = oneshot::channel();
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.starts.push_back(Waiting { item: execution, answer });
        self.staff(&mut queues);
        started
    }

    /// Sets as many committers to work as there are batches for, while there are connections.
    fn staff(self: &Arc<Self>, queues: &mut Queues) {
        let wanted = queues.batches().min(usize::try_from(self.committers_max).unwrap_or(usize::MAX));
        while usize::try_from(queues.committers).unwrap_or(usize::MAX) < wanted {
            queues.committers += 1;
            let lanes = Arc::clone(self);
            tokio::spawn(Committer { lanes, counts: true }.work());
        }
    }

    /// Commits a batch and answers its members.
    async fn settle(&self, batch: Batch) {
        match batch {
            Batch::Starts(starts) => self.settle_members(starts, executions::run_starts).await,
            Batch::Commits(kind, commits) => {
                let forks: Vec<_> = match kind {
                    Kind::End => commits.iter().filter_map(|waiting| waiting.item.key.parent()).collect(),
                    Kind::Move | Kind::Fork | Kind::Finish | Kind::Alone => Vec::new(),
                };
                let max = self.history_events_max;
                self.settle_members(commits, move |connection, items| run(connection, kind, items, max))
                    .await;
                self.queues.lock().unwrap_or_else(PoisonError::into_inner).ends.done(&forks);
            }
        }
    }

    async fn settle_members<T, A>(
        &self,
        batch: Vec<Waiting<T, A>>,
        work: impl for<'a> Fn(&'a mut PgConnection, &'a [&'a T]) -> BoxFuture<'a, Result<Answered<A>, Fault>>,
    ) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let items: Vec<_> = part.iter().map(|waiting| &waiting.item).collect();
            match self.attempt(&items, &work).await {
                Ok(answers) => {
                    part.into_iter().zip(answers).for_each(|(waiting, answer)| waiting.tell(Ok(answer)))
                }
                Err(fault) if fault.may_be_of_a_member() && part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(fault) => {
                    let error = Error::from(fault);
                    part.into_iter().for_each(|waiting| waiting.tell(Err(again(&error))));
                }
            }
        }
    }

    /// Tries a transaction until no other one is in its way, but not for ever.
    async fn attempt<T, A>(
        &self,
        items: &[&T],
        work: &impl for<'a> Fn(&'a mut PgConnection, &'a [&'a T]) -> BoxFuture<'a, Result<Answered<A>, Fault>>,
    ) -> Result<Vec<A>, Fault> {
        let mut tries = 1;
        loop {
            match self.attempt_once(items, work).await {
                Err(Fault::Again(why)) if tries < TRIES_MAX => {
                    tracing::debug!(why, "a transaction is done again");
                    tokio::time::sleep(jitter(tries)).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn attempt_once<T, A>(
        &self,
        items: &[&T],
        work: &impl for<'a> Fn(&'a mut PgConnection, &'a [&'a T]) -> BoxFuture<'a, Result<Answered<A>, Fault>>,
    ) -> Result<Vec<A>, Fault> {
        let mut link = self.connections.take().await?;
        let done = answered(work(link.connection(), items)).await;
        match done {
            Ok(Answered { answers, now }) => {
                link.keep();
                if let Some(now) = now {
                    self.clock.observe(now);
                }
                Ok(answers)
            }
            Err(fault) => {
                if matches!(fault, Fault::Unknown(_)) {
                    self.connections.distrust();
                }
                Err(fault)
            }
        }
    }
}

impl<T, A> Waiting<T, A> {
    /// Whoever has gone away does not wait for the answer.
    fn tell(self, answer: Result<A, Error>) {
        let _ = self.answer.send(answer);
    }
}

fn again(error: &Error) -> Error {
    match error {
        Error::Unavailable(text) => Error::Unavailable(text.clone()),
        Error::Corrupt(text) => Error::Corrupt(text.clone()),
    }
}

/// A few milliseconds, more with each try, never twice the same.
fn jitter(tries: u32) -> Duration {
    let random = crate::ids::Stamp::draw().0 % 8;
    Duration::from_millis(u64::from(tries * 4 + random))
}

/// Works until no batch is left. However it ends, it counts no longer.
struct Committer {
    lanes: Arc<Lanes>,
    counts: bool,
}

impl Committer {
    async fn work(mut self) {
        while let Some(batch) = self.take() {
            self.lanes.settle(batch).await;
        }
    }

    /// Nobody comes to wait between the look that finds nothing and the end of this committer.
    fn take(&mut self) -> Option<Batch> {
        let mut queues = self.lanes.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = queues.take();
        if batch.is_none() {
            queues.committers = queues.committers.saturating_sub(1);
            self.counts = false;
        }
        batch
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if self.counts {
            let mut queues = self.lanes.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.committers = queues.committers.saturating_sub(1);
        }
    }
}

impl Queues {
    fn push(&mut self, item: Commit) -> oneshot::Receiver<Result<Verdict, Error>> {
        let (answer, verdict) = oneshot::channel();
        let kind = Kind::of(&item);
        let waiting = Waiting { item, answer };
        match kind {
            Kind::Move => self.moves.push_back(waiting),
            Kind::Fork => self.forks.push_back(waiting),
            Kind::Finish => self.finishes.push_back(waiting),
            Kind::Alone => self.alone.push_back(waiting),
            Kind::End => self.ends.push(waiting),
        }
        verdict
    }

    /// How many batches wait, roughly.
    fn batches(&self) -> usize {
        let of = |length: usize, max: usize| length.div_ceil(max);
        of(self.moves.len(), MEMBERS_MAX)
            + of(self.forks.len(), FORKS_MAX)
            + of(self.finishes.len(), MEMBERS_MAX)
            + of(self.alone.len(), ALONE_MAX)
            + of(self.ends.ready.len(), MEMBERS_MAX)
            + of(self.starts.len(), MEMBERS_MAX)
            + usize::try_from(self.committers).unwrap_or(usize::MAX)
    }

    /// The next batch: lanes take turns.
    fn take(&mut self) -> Option<Batch> {
        const LANES: usize = 6;
        for _ in 0..LANES {
            self.turn = (self.turn + 1) % LANES;
            let batch = match self.turn {
                0 => take_commits(&mut self.moves, MEMBERS_MAX, Kind::Move),
                1 => take_commits(&mut self.forks, FORKS_MAX, Kind::Fork),
                2 => take_commits(&mut self.finishes, MEMBERS_MAX, Kind::Finish),
                3 => take_commits(&mut self.alone, ALONE_MAX, Kind::Alone),
                4 => self.ends.take(),
                _ => take_starts(&mut self.starts),
            };
            if batch.is_some() {
                return batch;
            }
        }
        None
    }
}

fn take_commits(lane: &mut VecDeque<WaitingCommit>, max: usize, kind: Kind) -> Option<Batch> {
    let (mut batch, mut deferred) = (Vec::new(), Vec::new());
    let (mut taken, mut size) = (HashSet::new(), 0);
    while batch.len() < max && size < BODY_BYTES_MAX {
        let Some(waiting) = lane.pop_front() else { break };
        if taken.insert(waiting.item.key.clone()) {
            size += weight(&waiting.item);
            batch.push(waiting);
        } else {
            deferred.push(waiting);
        }
    }
    deferred.into_iter().rev().for_each(|waiting| lane.push_front(waiting));
    (!batch.is_empty()).then_some(Batch::Commits(kind, batch))
}

/// Bytes that a commit brings.
fn weight(commit: &Commit) -> usize {
    let own = commit.history.body.len();
    match &commit.change {
        // A row costs about as much as so many bytes.
        Change::Fork { children, .. } => {
            own + children.iter().map(|child| child.history.body.len() + 1024).sum::<usize>()
        }
        Change::Move(_) | Change::EndBranch { .. } | Change::Finish(_) => own,
    }
}

fn take_starts(lane: &mut VecDeque<WaitingStart>) -> Option<Batch> {
    let (mut batch, mut size) = (Vec::new(), 0);
    while batch.len() < MEMBERS_MAX && size < BODY_BYTES_MAX {
        let Some(waiting) = lane.pop_front() else { break };
        size += waiting.item.history.body.len();
        batch.push(waiting);
    }
    (!batch.is_empty()).then_some(Batch::Starts(batch))
}

impl Ends {
    fn push(&mut self, waiting: WaitingCommit) {
        let Some(fork) = waiting.item.key.parent() else { return };
        let line = self.waiting.entry(fork.clone()).or_default();
        if line.is_empty() && !self.busy.contains(&fork) {
            self.ready.push_back(fork);
        }
        line.push_back(waiting);
    }

    /// Ends of forks that are in no other transaction. No branch of the batch is also the parent of another.
    fn take(&mut self) -> Option<Batch> {
        let (mut batch, mut later) = (Vec::new(), Vec::new());
        let (mut ended, mut parents) = (HashSet::new(), HashSet::new());
        let mut size = 0;
        while batch.len() < MEMBERS_MAX && size < BODY_BYTES_MAX {
            let Some(fork) = self.ready.pop_front() else { break };
            let Some(line) = self.waiting.get_mut(&fork) else { continue };
            if ended.contains(&fork) || line.iter().any(|waiting| parents.contains(&waiting.item.key)) {
                later.push(fork);
                continue;
            }
            let mut twice = Vec::new();
            while batch.len() < MEMBERS_MAX && size < BODY_BYTES_MAX {
                let Some(waiting) = line.pop_front() else { break };
                if ended.insert(waiting.item.key.clone()) {
                    size += weight(&waiting.item);
                    batch.push(waiting);
                } else {
                    twice.push(waiting);
                }
            }
            twice.into_iter().rev().for_each(|waiting| line.push_front(waiting));
            if line.is_empty() {
                self.waiting.remove(&fork);
            }
            self.busy.insert(fork.clone());
            parents.insert(fork);
        }
        later.into_iter().rev().for_each(|fork| self.ready.push_front(fork));
        (!batch.is_empty()).then_some(Batch::Commits(Kind::End, batch))
    }

    /// These forks' transaction has ended.
    fn done(&mut self, forks: &[BranchKey]) {
        for fork in forks {
            if self.busy.remove(fork) && self.waiting.contains_key(fork) {
                self.ready.push_back(fork.clone());
            }
        }
    }
}
