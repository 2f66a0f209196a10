//! The transition loop of Standard executions.
//!
//! ```text
//!   consume ─▶ decode ─▶ apply ─▶ commit ─▶ publish ─▶ acknowledge
//! ```
//!
//! Batches form by themselves: what is ready is taken, nothing is waited for. A crash before the last
//! step brings the deliveries back; the fence makes that harmless, and because a delivery says that it was
//! delivered before, what should have followed its commit is published again.

use std::sync::Arc;
use std::time::Duration;

use asl::branch::{Event, Waiting};
use asl::data::Failure;
use asl::data::failure::names;
use tokio_util::sync::CancellationToken;

use crate::ids::ExecutionId;
use crate::messages::{Body, Move, Nudge, TaskReport, TaskResult, Transition, decode};
use crate::ports::broker::{self, Consumer, Delivery, Publication, Published, Queue, Settle};
use crate::ports::store::{self, BranchKey, Commit, Fence, Phase, StoredBranch, Verdict};
use crate::services::advance::{After, Backing, Step, Subject};
use crate::services::{Core, Unavailable};

/// Deliveries worked at a time.
const BATCH_MAX: usize = 64;
/// Deliveries taken from the broker and not settled: one batch at work and one waiting.
const PREFETCH: usize = 2 * BATCH_MAX;
/// Pause before what is away is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// Error of an execution whose message cannot be worked.
const POISON: &str = "Warren.Poison";
/// How often a task's answer is tried on a row that others move meanwhile.
const RACES_MAX: u32 = 16;

/// Works one queue of Standard messages until told to stop.
pub async fn run(core: Arc<Core>, queue: Queue, stop: CancellationToken) -> Result<(), broker::Error> {
    let consumer = core.broker.consume(&queue, PREFETCH).await?;
    loop {
        let deliveries = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            deliveries = consumer.next(BATCH_MAX) => deliveries?,
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            worked = core.work_batch(consumer.as_ref(), &deliveries, false) => worked?,
        }
    }
}

/// A delivery whose message can be applied to a branch.
struct Ready {
    step: Step,
    redelivered: bool,
}

/// What a delivery leads to.
enum Work {
    /// A commit in the batch.
    Step(Box<Ready>),
    /// Publications, without a commit.
    Publish(Vec<Publication>),
    /// Nothing: stale.
    Nothing,
    /// It cannot be read.
    Dead(String),
}

impl Core {
    /// Works a batch until it is settled. What is away holds it; what cannot be read in it is put aside.
    /// Fails only when the consumer is gone, and its deliveries with it.
    async fn work_batch(
        &self,
        consumer: &dyn Consumer,
        deliveries: &[Delivery],
        mut again: bool,
    ) -> Result<(), broker::Error> {
        while let Err(error) = self.turn(consumer, deliveries, again).await {
            // The turn may have committed before it failed: what followed its commits is made again, as if
            // the deliveries had come back.
            again = true;
            match (&error, deliveries) {
                (Unavailable::Broker(broker::Error::Cancelled), _) => return Err(broker::Error::Cancelled),
                (Unavailable::Store(store::Error::Corrupt(_)) | Unavailable::Definition(_), [one]) => {
                    match self.put_aside(consumer, one, &error).await {
                        Ok(()) => return Ok(()),
                        Err(Unavailable::Broker(broker::Error::Cancelled)) => {
                            return Err(broker::Error::Cancelled);
                        }
                        Err(error) => tracing::warn!(%error, "holding a delivery that cannot be worked"),
                    }
                }
                // One of them is to blame: each gets a turn of its own.
                (Unavailable::Store(store::Error::Corrupt(_)) | Unavailable::Definition(_), _) => {
                    for one in deliveries.chunks(1) {
                        Box::pin(self.work_batch(consumer, one, again)).await?;
                    }
                    return Ok(());
                }
                // The world's failures are not the message's: the deliveries are kept, and no more taken.
                (Unavailable::Store(_) | Unavailable::Broker(_), _) => {
                    tracing::warn!(%error, "holding {} deliveries", deliveries.len());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Fails the execution of a message that can never be worked, and files the message.
    async fn put_aside(
        &self,
        consumer: &dyn Consumer,
        delivery: &Delivery,
        error: &Unavailable,
    ) -> Result<(), Unavailable> {
        self.fail_execution_of(delivery, &error.to_string()).await?;
        consumer.settle(vec![(delivery.tag, Settle::DeadLetter(error.to_string()))]).await?;
        Ok(())
    }

    /// Fails the execution that the id of a message names.
    async fn fail_execution_of(&self, delivery: &Delivery, reason: &str) -> Result<(), Unavailable> {
        tracing::error!(reason, message = %delivery.id, "a message cannot be worked");
        if let Some(id) = delivery.id.split('/').next().and_then(|id| id.parse().ok()) {
            self.fail_execution(id, Failure::new(POISON, reason)).await?;
        }
        Ok(())
    }

    /// One turn of the loop over a batch of deliveries. After an error the same batch is given `again`.
    async fn turn(
        &self,
        consumer: &dyn Consumer,
        deliveries: &[Delivery],
        again: bool,
    ) -> Result<(), Unavailable> {
        let mut settled = Vec::with_capacity(deliveries.len());
        let mut publications = Vec::with_capacity(deliveries.len());
        let mut commits: Vec<Commit> = Vec::with_capacity(deliveries.len());
        let mut afters: Vec<(After, bool)> = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let mut settle = Settle::Acknowledge;
            match self.work(delivery, again || delivery.redeliveries > 0).await? {
                Work::Step(ready) => {
                    commits.push(ready.step.commit);
                    afters.push((ready.step.after, ready.redelivered));
                }
                Work::Publish(more) => publications.extend(more),
                Work::Nothing => {}
                Work::Dead(reason) => {
                    self.fail_execution_of(delivery, &reason).await?;
                    settle = Settle::DeadLetter(reason);
                }
            }
            settled.push((delivery.tag, settle));
        }
        let keys: Vec<(BranchKey, Fence)> =
            commits.iter().map(|commit| (commit.key.clone(), commit.fence)).collect();
        let verdicts = if commits.is_empty() { Vec::new() } else { self.store.commit(commits).await? };
        for (((after, redelivered), verdict), (key, fence)) in afters.iter().zip(&verdicts).zip(&keys) {
            match verdict {
                Verdict::Done { .. } => publications.extend(self.follow_up(after, verdict).await?),
                Verdict::Stale if *redelivered => {
                    publications.extend(self.republish_if_ahead(key, *fence).await?)
                }
                // If every stale message published its successor, one duplicate would breed another at
                // each hop to the end of the execution.
                Verdict::Stale => {}
                Verdict::HistoryFull => self.close_full(after).await?,
            }
        }
        self.publish(publications).await?;
        consumer.settle(settled).await?;
        Ok(())
    }

    /// Publishes until the broker has all of it.
    pub async fn publish(&self, mut publications: Vec<Publication>) -> Result<(), Unavailable> {
        while !publications.is_empty() {
            let published = self.broker.publish(publications.clone()).await?;
            let mut again = Vec::new();
            for (publication, outcome) in publications.into_iter().zip(published) {
                match outcome {
                    Published::Confirmed => {}
                    Published::InDoubt => again.push(publication),
                    Published::Returned => {
                        again.extend(crate::services::task_runner::returned(&publication));
                    }
                }
            }
            publications = again;
        }
        Ok(())
    }

    async fn work(&self, delivery: &Delivery, redelivered: bool) -> Result<Work, Unavailable> {
        if delivery.correlation_id.is_some() {
            return match decode::<TaskResult>(&delivery.body) {
                Ok(result) => self.work_result(result, redelivered).await,
                Err(error) => Ok(Work::Dead(error.to_string())),
            };
        }
        match decode::<Move>(&delivery.body) {
            Ok(Move::Transition(transition)) => self.work_transition(*transition, redelivered).await,
            Ok(Move::Nudge(nudge)) => self.work_nudge(nudge, redelivered).await,
            Err(error) => Ok(Work::Dead(error.to_string())),
        }
    }

    async fn work_transition(&self, message: Transition, redelivered: bool) -> Result<Work, Unavailable> {
        let header = Arc::new(message.execution);
        self.headers.keep(&header);
        let Some(compiled) = self.compiled_or_failed(header.id, header.revision).await? else {
            return Ok(Work::Nothing);
        };
        let fence = Fence { seq: message.value.seq, stamp: message.stamp };
        let subject = Subject { header, compiled, path: message.path, fence, value: message.value };
        self.step_with(subject, Event::Enter { after: message.after }, redelivered).await
    }

    async fn step_with(
        &self,
        subject: Subject,
        event: Event,
        redelivered: bool,
    ) -> Result<Work, Unavailable> {
        let id = subject.header.id;
        match self.advance(subject, event, Backing::Delivery).await {
            Ok(Ok(step)) => Ok(Work::Step(Box::new(Ready { step, redelivered }))),
            Ok(Err(_stale)) => Ok(Work::Nothing),
            Err(Unavailable::Definition(reason)) => {
                self.fail_execution(id, Failure::new(names::RUNTIME, reason)).await?;
                Ok(Work::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    async fn work_nudge(&self, nudge: Nudge, redelivered: bool) -> Result<Work, Unavailable> {
        let Some(row) = self.branch(&nudge.key()).await? else { return Ok(Work::Nothing) };
        if row.fence != nudge.fence() {
            let lost = redelivered && row.fence.seq == nudge.seq + 1;
            return Ok(Work::Publish(if lost { self.republish_family(&row).await? } else { Vec::new() }));
        }
        let now = self.clock.now();
        match row.state.phase {
            Phase::Runnable => self.work_runnable(row, redelivered).await,
            Phase::Sleeping | Phase::Dispatched if row.state.wake.is_some_and(|wake| wake <= now) => {
                match self.subject(row).await? {
                    Some(subject) => self.step_with(subject, Event::TimerFired, redelivered).await,
                    None => Ok(Work::Nothing),
                }
            }
            Phase::Sleeping | Phase::Dispatched | Phase::Forked | Phase::Queued | Phase::Ended => {
                Ok(Work::Nothing)
            }
        }
    }

    /// A row that nobody else moves: it enters its state, or its children are done.
    async fn work_runnable(&self, row: StoredBranch, redelivered: bool) -> Result<Work, Unavailable> {
        let key = row.key.clone();
        let (fence, failed, after) = (row.fence, row.failed_child.is_some(), row.cause.clone());
        let Some(subject) = self.subject(row).await? else { return Ok(Work::Nothing) };
        if let Waiting::Branches { .. } = subject.value.waiting {
            return if failed {
                Ok(Work::Publish(self.fail_fork(&key, subject).await?))
            } else {
                match self.join(&key, fence, subject).await? {
                    Some(step) => Ok(Work::Step(Box::new(Ready { step, redelivered }))),
                    None => Ok(Work::Nothing),
                }
            };
        }
        self.step_with(subject, Event::Enter { after }, redelivered).await
    }

    /// A task's answer, by message. Committed at once: another engine may be moving the same row.
    async fn work_result(&self, result: TaskResult, redelivered: bool) -> Result<Work, Unavailable> {
        let key = BranchKey { execution: result.execution, branch: result.path };
        let event = match result.report {
            TaskReport::Submitted(output) => Event::TaskSubmitted { task: result.task, output },
            TaskReport::Ended(answer) => {
                Event::TaskEnded { task: result.task, answer, source: asl::branch::Source::Call }
            }
        };
        match self.tell_task(&key, result.task, event, Backing::Delivery).await {
            Ok(Some(publications)) => Ok(Work::Publish(publications)),
            Ok(None) if redelivered => Ok(Work::Publish(self.republish_after_task(&key, result.task).await?)),
            Ok(None) => Ok(Work::Nothing),
            Err(Unavailable::Definition(reason)) => {
                self.fail_execution(key.execution, Failure::new(names::RUNTIME, reason)).await?;
                Ok(Work::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells a branch what became of its task, and commits. `None` when the task is over.
    pub async fn tell_task(
        &self,
        key: &BranchKey,
        task: u32,
        event: Event,
        backing: Backing,
    ) -> Result<Option<Vec<Publication>>, Unavailable> {
        for _ in 0..RACES_MAX {
            let Some(row) = self.branch(key).await? else { return Ok(None) };
            if row.state.phase != Phase::Dispatched || row.state.task != Some(task) {
                return Ok(None);
            }
            let Some(subject) = self.subject(row).await? else { return Ok(None) };
            let step = match self.advance(subject, event.clone(), backing).await? {
                Ok(step) => step,
                Err(_stale) => return Ok(None),
            };
            match self.commit_one(step.commit).await? {
                verdict @ Verdict::Done { .. } => {
                    return Ok(Some(self.follow_up(&step.after, &verdict).await?));
                }
                // Only `seq` and stamp moved, by a heartbeat say: the row is read again.
                Verdict::Stale => {}
                Verdict::HistoryFull => {
                    self.close_full(&step.after).await?;
                    return Ok(Some(Vec::new()));
                }
            }
        }
        let busy = "the branch moves faster than its task can be answered".to_owned();
        Err(Unavailable::Store(store::Error::Unavailable(busy)))
    }

    /// Commits one step by itself.
    pub async fn commit_one(&self, commit: Commit) -> Result<Verdict, Unavailable> {
        let mut verdicts = self.store.commit(vec![commit]).await?;
        Ok(verdicts.pop().unwrap_or(Verdict::Stale))
    }

    /// A branch row.
    pub async fn branch(&self, key: &BranchKey) -> Result<Option<StoredBranch>, Unavailable> {
        let mut rows = self.store.branches(std::slice::from_ref(key)).await?;
        Ok(rows.pop().flatten())
    }

    /// A row with all that is needed to move it. `None` when its execution is gone or was failed here.
    pub async fn subject(&self, row: StoredBranch) -> Result<Option<Subject>, Unavailable> {
        let id = row.key.execution;
        let header = match self.header(id).await {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(compiled) = self.compiled_or_failed(id, header.revision).await? else { return Ok(None) };
        match decode::<Body>(&row.body) {
            Ok(Body { value: Some(value), .. }) => {
                Ok(Some(Subject { header, compiled, path: row.key.branch, fence: row.fence, value }))
            }
            Ok(Body { value: None, .. }) => Ok(None),
            Err(error) => {
                self.fail_execution(id, Failure::new(names::RUNTIME, error.to_string())).await?;
                Ok(None)
            }
        }
    }

    async fn compiled_or_failed(
        &self,
        id: ExecutionId,
        revision: crate::ids::RevisionId,
    ) -> Result<Option<Arc<crate::services::programs::Compiled>>, Unavailable> {
        match self.programs.get(self.catalog.as_ref(), revision).await.map_err(Unavailable::from) {
            Ok(compiled) => Ok(Some(compiled)),
            Err(Unavailable::Definition(reason)) => {
                self.fail_execution(id, Failure::new(names::RUNTIME, reason)).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
