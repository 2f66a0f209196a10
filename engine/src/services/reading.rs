//! From a batch of deliveries to the steps that they ask for: all rows that they need in one read, then
//! each applied.

use std::collections::HashMap;
use std::sync::Arc;

use asl::branch::{Event, Source, Waiting};
use asl::data::Failure;
use asl::data::failure::names;
use asl::data::timestamp::Timestamp;

use crate::ids::{ExecutionId, RevisionId};
use crate::messages::{Move, Nudge, Standing, TaskReport, TaskResult, Transition, decode};
use crate::ports::broker::{Delivery, Publication};
use crate::ports::store::{self, BranchKey, Change, Commit, Fence, Phase, StoredBranch, Verdict};
use crate::services::advance::{After, Backing, Step, Subject};
use crate::services::functions::Reply;
use crate::services::programs::Compiled;
use crate::services::publishing::Outgoing;
use crate::services::watermarks::Mark;
use crate::services::{Core, Unavailable};

/// How often a task's answer is tried on a row that others move meanwhile.
const RACES_MAX: u32 = 16;

/// What a delivery leads to.
pub enum Work {
    /// A commit in the batch.
    Step(Box<Ready>),
    /// Publications, without a commit.
    Publish(Outgoing),
    /// Nothing: stale.
    Nothing,
    /// It cannot be read.
    Dead(String),
}

impl Work {
    fn publish(publications: Vec<Publication>) -> Self {
        Work::Publish(publications.into())
    }
}

/// A step and what it comes from.
pub struct Ready {
    /// To be committed.
    pub step: Step,
    /// Decides what a stale verdict means.
    pub origin: Origin,
}

/// A step whose commit is under way.
pub struct Pending {
    /// To be done once it stands.
    pub after: After,
    /// Decides what a stale verdict means.
    pub origin: Origin,
}

/// What a step comes from.
pub enum Origin {
    /// A message that carries the branch, or names its row.
    Delivery {
        /// Whether it may have been worked before.
        redelivered: bool,
    },
    /// A task's answer: it meets whatever row there is.
    Task(Box<Told>),
    /// A commit made just now, whose row asks for the rest by itself.
    Inline,
}

/// A task's branch and what it is told.
#[derive(Debug, Clone)]
pub struct Told {
    key: BranchKey,
    task: u32,
    event: Event,
    redelivered: bool,
}

impl Ready {
    /// The commit, and the rest.
    pub fn split(self) -> (Commit, Pending) {
        (self.step.commit, Pending { after: self.step.after, origin: self.origin })
    }
}

/// A delivery that was read.
enum Message {
    Transition(Box<Transition>),
    Nudge(Nudge),
    Result(TaskResult),
    Reply(BranchKey, u32, Reply),
    Unreadable(String),
}

impl Message {
    fn read(delivery: &Delivery) -> Self {
        if let Some((key, task, reply)) = Reply::read(delivery) {
            return Message::Reply(key, task, reply);
        }
        if delivery.correlation_id.is_some() {
            return decode(&delivery.body)
                .map_or_else(|error| Message::Unreadable(error.to_string()), Message::Result);
        }
        match decode::<Move>(&delivery.body) {
            Ok(Move::Transition(transition)) => Message::Transition(transition),
            Ok(Move::Nudge(nudge)) => Message::Nudge(nudge),
            Err(error) => Message::Unreadable(error.to_string()),
        }
    }

    /// When the commit was made that it follows.
    fn made_at(&self) -> Option<Timestamp> {
        match self {
            Message::Transition(transition) => transition.at,
            Message::Nudge(nudge) => nudge.at,
            Message::Result(_) | Message::Reply(..) | Message::Unreadable(_) => None,
        }
    }

    /// The row that must be read for it.
    fn row(&self) -> Option<BranchKey> {
        match self {
            // It carries all that is in the row.
            Message::Transition(_) | Message::Unreadable(_) => None,
            Message::Nudge(nudge) => Some(nudge.key()),
            Message::Result(result) => {
                Some(BranchKey { execution: result.execution, branch: result.path.clone() })
            }
            Message::Reply(key, ..) => Some(key.clone()),
        }
    }
}

impl Core {
    /// What each delivery leads to, in order. After an error the same deliveries are read `again`.
    pub async fn read(
        &self,
        deliveries: &[Delivery],
        again: bool,
        mark: &Mark,
    ) -> Result<Vec<Work>, Unavailable> {
        let messages: Vec<Message> = deliveries.iter().map(Message::read).collect();
        for (message, delivery) in messages.iter().zip(deliveries) {
            if let (Some(at), 0) = (message.made_at(), delivery.redeliveries) {
                mark.reached(at);
            }
        }
        let keys: Vec<BranchKey> = messages.iter().filter_map(Message::row).collect();
        let mut rows = HashMap::with_capacity(keys.len());
        if !keys.is_empty() {
            let found = self.store.branches(&keys).await?;
            rows.extend(keys.into_iter().zip(found).filter_map(|(key, row)| Some((key, row?))));
        }
        let mut works = Vec::with_capacity(messages.len());
        for (message, delivery) in messages.into_iter().zip(deliveries) {
            let redelivered = again || delivery.redeliveries > 0;
            works.push(self.work(message, &rows, redelivered).await?);
        }
        Ok(works)
    }

    async fn work(
        &self,
        message: Message,
        rows: &HashMap<BranchKey, StoredBranch>,
        redelivered: bool,
    ) -> Result<Work, Unavailable> {
        let row = message.row().and_then(|key| rows.get(&key)).cloned();
        match message {
            Message::Transition(transition) => self.work_transition(*transition, redelivered).await,
            Message::Nudge(nudge) => match row {
                Some(row) => self.work_nudge(&nudge, row, redelivered).await,
                None if redelivered => {
                    Ok(Work::publish(self.announce_if_ended_by(&nudge.key(), nudge.seq + 1).await?))
                }
                None => Ok(Work::Nothing),
            },
            Message::Result(result) => {
                let task = result.task;
                let key = BranchKey { execution: result.execution, branch: result.path };
                let ended = |answer, source| Event::TaskEnded { task, answer, source };
                let event = match result.report {
                    TaskReport::Submitted(output) => Event::TaskSubmitted { task, output },
                    TaskReport::Ended(answer) => ended(answer, Source::Call),
                    TaskReport::JobEnded(answer) => ended(answer, Source::SubmittedCall),
                };
                self.work_result(Told { key, task, event, redelivered }, row).await
            }
            Message::Reply(key, task, reply) => {
                let Some(row) = row.filter(|row| row.state.task == Some(task)) else {
                    return match reply {
                        Reply::Heartbeat => Ok(Work::Nothing),
                        Reply::Ended(_) => self.work_late_result(&key, task, redelivered).await,
                    };
                };
                match self.reply_event(&row, task, reply).await? {
                    Some(event) => self.work_result(Told { key, task, event, redelivered }, Some(row)).await,
                    None => Ok(Work::Nothing),
                }
            }
            Message::Unreadable(reason) => Ok(Work::Dead(reason)),
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
        let origin = Origin::Delivery { redelivered };
        self.step_with(subject, Event::Enter { after: message.after }, origin).await
    }

    async fn step_with(&self, subject: Subject, event: Event, origin: Origin) -> Result<Work, Unavailable> {
        let id = subject.header.id;
        let backing = match origin {
            Origin::Delivery { .. } | Origin::Task(_) => Backing::Delivery,
            Origin::Inline => Backing::Row,
        };
        match self.advance(subject, event, backing).await {
            Ok(Ok(step)) => Ok(Work::Step(Box::new(Ready { step, origin }))),
            Ok(Err(_stale)) => Ok(Work::Nothing),
            Err(Unavailable::Definition(reason)) => {
                self.fail_execution(id, Failure::new(names::RUNTIME, reason)).await?;
                Ok(Work::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    async fn work_nudge(
        &self,
        nudge: &Nudge,
        row: StoredBranch,
        redelivered: bool,
    ) -> Result<Work, Unavailable> {
        if row.fence != nudge.fence() {
            let lost = redelivered && row.fence.seq == nudge.seq + 1;
            return Ok(Work::publish(match lost {
                true => self.republish_family(&row).await?,
                // It may have ended the execution, which was redriven since.
                false if redelivered && row.fence.seq > nudge.seq + 1 => {
                    self.announce_if_ended_by(&row.key, nudge.seq + 1).await?
                }
                false => Vec::new(),
            }));
        }
        let now = self.clock.now();
        match row.state.phase {
            Phase::Runnable => self.work_runnable(row, Origin::Delivery { redelivered }).await,
            Phase::Sleeping | Phase::Dispatched if row.state.wake.is_some_and(|wake| wake <= now) => {
                match self.subject(row).await? {
                    Some(subject) => {
                        self.step_with(subject, Event::TimerFired, Origin::Delivery { redelivered }).await
                    }
                    None => Ok(Work::Nothing),
                }
            }
            Phase::Sleeping | Phase::Dispatched | Phase::Forked | Phase::Queued | Phase::Ended => {
                Ok(Work::Nothing)
            }
        }
    }

    /// A row that nobody else moves: it enters its state, or its children are done.
    pub(super) async fn work_runnable(&self, row: StoredBranch, origin: Origin) -> Result<Work, Unavailable> {
        let key = row.key.clone();
        let (fence, failed, after) = (row.fence, row.failed_child.is_some(), row.cause.clone());
        let Some(subject) = self.subject(row).await? else { return Ok(Work::Nothing) };
        if let Waiting::Branches { .. } = subject.value.waiting {
            return if failed {
                Ok(Work::Publish(self.fail_fork(&key, subject).await?))
            } else {
                match self.join(&key, fence, subject, Backing::Delivery).await? {
                    Some(step) => Ok(Work::Step(Box::new(Ready { step, origin }))),
                    None => Ok(Work::Nothing),
                }
            };
        }
        self.step_with(subject, Event::Enter { after }, origin).await
    }

    /// A task's answer on the row that was read.
    async fn work_result(&self, told: Told, row: Option<StoredBranch>) -> Result<Work, Unavailable> {
        let waits =
            |row: &StoredBranch| row.state.phase == Phase::Dispatched && row.state.task == Some(told.task);
        let Some(row) = row.filter(waits) else {
            return self.work_late_result(&told.key, told.task, told.redelivered).await;
        };
        let Some(subject) = self.subject(row).await? else { return Ok(Work::Nothing) };
        let event = told.event.clone();
        self.step_with(subject, event, Origin::Task(Box::new(told))).await
    }

    /// An answer that nobody waits for. Redelivered, it may be the one that was taken.
    async fn work_late_result(
        &self,
        key: &BranchKey,
        task: u32,
        redelivered: bool,
    ) -> Result<Work, Unavailable> {
        if !redelivered {
            return Ok(Work::Nothing);
        }
        Ok(Work::publish(self.republish_after_task(key, task).await?))
    }

    /// A task's answer that met a row which others moved: committed at once, by itself.
    pub(super) async fn work_result_alone(&self, told: Told) -> Result<Outgoing, Unavailable> {
        let Told { key, task, event, redelivered } = told;
        match self.tell_task(&key, task, event, Backing::Delivery).await {
            Ok(Some(outgoing)) => Ok(outgoing),
            Ok(None) if redelivered => Ok(self.republish_after_task(&key, task).await?.into()),
            Ok(None) => Ok(Outgoing::default()),
            Err(Unavailable::Definition(reason)) => {
                self.fail_execution(key.execution, Failure::new(names::RUNTIME, reason)).await?;
                Ok(Outgoing::default())
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
    ) -> Result<Option<Outgoing>, Unavailable> {
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
                    return Ok(Some(Outgoing::default()));
                }
            }
        }
        let busy = "the branch moves faster than its task can be answered".to_owned();
        Err(Unavailable::Store(store::Error::Unavailable(busy)))
    }

    /// Commits one step by itself.
    pub async fn commit_one(&self, commit: Commit) -> Result<Verdict, Unavailable> {
        let mut verdicts = self.commit(vec![commit]).await?;
        Ok(verdicts.pop().unwrap_or(Verdict::Stale))
    }

    /// Commits steps together, and cancels the calls of executions that are over by that: at once, as they may be
    /// redriven, and then they call under names that begin like these.
    pub(super) async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Verdict>, Unavailable> {
        let ended =
            |commit: &Commit| matches!(commit.change, Change::Finish(_)).then_some(commit.key.execution);
        let ended: Vec<_> = commits.iter().map(ended).collect();
        let verdicts = self.store.commit(commits).await?;
        for (id, verdict) in ended.into_iter().zip(&verdicts) {
            if let (Some(id), Verdict::Done { .. }) = (id, verdict) {
                self.cancel_calls_of(id);
            }
        }
        Ok(verdicts)
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
        match decode::<Standing>(&row.body) {
            Ok(Standing { value: Some(value), .. }) => {
                Ok(Some(Subject { header, compiled, path: row.key.branch, fence: row.fence, value }))
            }
            Ok(Standing { value: None, .. }) => Ok(None),
            Err(error) => {
                self.fail_execution(id, Failure::new(names::RUNTIME, error.to_string())).await?;
                Ok(None)
            }
        }
    }

    async fn compiled_or_failed(
        &self,
        id: ExecutionId,
        revision: RevisionId,
    ) -> Result<Option<Arc<Compiled>>, Unavailable> {
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
