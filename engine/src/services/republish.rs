//! The rows are their own outbox: from a row, the message that should be in flight is made again.
//!
//! Two need it: a delivery that came back because its engine died between commit and publish, and a
//! start after a crash of the whole deployment ([`Core::recover`]). Fencing makes it harmless when the
//! message was in flight after all.

use asl::branch::{Branch, Stage, Waiting};
use asl::program::{Pattern, Resource, StateKind};

use crate::messages::{Body, decode};
use crate::metrics::timers::{self, Cause};
use crate::ports::broker::Publication;
use crate::ports::store::{BranchKey, Fence, Phase, StoredBranch};
use crate::services::{Core, Unavailable};

/// Rows that a recovery reads at a time.
const CHUNK: u32 = 500;

impl Core {
    /// After a stale, redelivered message: if its commit is the row's last one, what followed it may have
    /// been lost.
    pub async fn republish_if_ahead(
        &self,
        key: &BranchKey,
        sent: Fence,
    ) -> Result<Vec<Publication>, Unavailable> {
        match self.branch(key).await? {
            Some(row) if row.fence.seq == sent.seq + 1 => self.republish_family(&row).await,
            // It may have ended the execution, which was redriven since.
            Some(row) if row.fence.seq > sent.seq + 1 => self.announce_if_ended_by(key, sent.seq + 1).await,
            Some(_) => Ok(Vec::new()),
            None => self.announce_if_ended_by(key, sent.seq + 1).await,
        }
    }

    /// After a redelivered result of a task that is over: if the row's last transition took the result,
    /// what followed it may have been lost. Any other row is somebody else's: asking again for a task that
    /// it has meanwhile sent out would run that twice.
    pub async fn republish_after_task(
        &self,
        key: &BranchKey,
        task: u32,
    ) -> Result<Vec<Publication>, Unavailable> {
        let Some(row) = self.branch(key).await? else { return self.announce_if_ended_after(key, task).await };
        if row.state.task == Some(task) || row.fence.seq == 0 {
            return Ok(Vec::new());
        }
        let Some(before) = self.store.body(key, row.fence.seq - 1).await? else { return Ok(Vec::new()) };
        let before = decode::<Body>(&before).ok().and_then(|body| body.value).map(|value| value.waiting);
        match before {
            Some(Waiting::Task(attempt)) if attempt.task == task => self.republish_family(&row).await,
            Some(_) | None => self.announce_if_ended_after(key, task).await,
        }
    }

    /// The messages that should be in flight for a row and for those that its last transition woke: the
    /// children that it launched; for one that has ended, its parent and the sibling that took its place.
    pub async fn republish_family(&self, row: &StoredBranch) -> Result<Vec<Publication>, Unavailable> {
        let publications = self.family_of(row).await?;
        timers::made_again(Cause::Redelivery, publications.len());
        Ok(publications)
    }

    async fn family_of(&self, row: &StoredBranch) -> Result<Vec<Publication>, Unavailable> {
        let mut publications = self.republish(row).await?;
        let parent = match (row.state.phase, row.key.branch.place()) {
            (Phase::Forked, _) => row.key.clone(),
            (Phase::Ended, Some(place)) => BranchKey { branch: place.parent, ..row.key.clone() },
            (_, _) => return Ok(publications),
        };
        if row.state.phase == Phase::Ended
            && let Some(parent) = self.branch(&parent).await?
        {
            publications.extend(self.republish(&parent).await?);
        }
        let (from, to) = parent.branch.descendants();
        let mut after = Some(parent.clone());
        loop {
            let rows = self.store.live_branches(after.as_ref(), CHUNK).await?;
            let below = |child: &&StoredBranch| {
                let path = child.key.branch.as_str();
                child.key.execution == parent.execution && (from.as_str()..to.as_str()).contains(&path)
            };
            for child in rows.iter().filter(below).filter(|child| child.fence.seq == 0) {
                publications.extend(self.republish(child).await?);
            }
            after = rows.last().filter(below).map(|last| last.key.clone());
            if after.is_none() {
                return Ok(publications);
            }
        }
    }

    /// The message that should be in flight for a row; none if it waits for something that comes by
    /// itself (a timer, its children, a worker that has the token).
    pub async fn republish(&self, row: &StoredBranch) -> Result<Vec<Publication>, Unavailable> {
        let value = match decode::<Body>(&row.body) {
            Ok(Body { value: Some(value), .. }) => value,
            Ok(Body { value: None, .. }) => return Ok(Vec::new()),
            Err(error) => {
                tracing::error!(%error, execution = %row.key.execution, "a branch cannot be read");
                return Ok(Vec::new());
            }
        };
        match row.state.phase {
            Phase::Sleeping | Phase::Forked | Phase::Queued | Phase::Ended => Ok(Vec::new()),
            Phase::Runnable if matches!(value.waiting, Waiting::Branches { .. }) => {
                Ok(vec![self.nudge(&row.key, row.fence)])
            }
            Phase::Runnable => {
                let Some(header) = self.header(row.key.execution).await? else { return Ok(Vec::new()) };
                Ok(vec![self.transition(&header, &row.key.branch, row.fence, value, row.cause.clone())])
            }
            Phase::Dispatched => Ok(self.resend_task(row, &value).await?.into_iter().collect()),
        }
    }

    async fn resend_task(
        &self,
        row: &StoredBranch,
        value: &Branch,
    ) -> Result<Option<Publication>, Unavailable> {
        let Waiting::Task(attempt) = &value.waiting else { return Ok(None) };
        let Some(header) = self.header(row.key.execution).await? else { return Ok(None) };
        let compiled = self.programs.get(self.catalog.as_ref(), header.revision).await?;
        if !compiled.program.has_state(value.state) {
            return Ok(None);
        }
        let StateKind::Task(task) = &compiled.program.state(value.state).kind else { return Ok(None) };
        if !is_call_open(&task.resource, attempt.stage) {
            return Ok(None);
        }
        let Some(body) = self.store.body(&row.key, attempt.task).await? else { return Ok(None) };
        let Ok(Body { request: Some(request), .. }) = decode::<Body>(&body) else { return Ok(None) };
        Ok(Some(self.task_publication(&header, &row.key.branch, request, true).await?))
    }

    /// Publishes again what was in flight when everything died: for a broker that forgets with the
    /// process. Answers how many branches it found.
    pub async fn recover(&self) -> Result<u64, Unavailable> {
        let (mut after, mut found) = (None, 0);
        loop {
            let rows = self.store.live_branches(after.as_ref(), CHUNK).await?;
            let Some(last) = rows.last() else { return Ok(found) };
            after = Some(last.key.clone());
            self.announce_begun(&rows).await?;
            let mut publications = Vec::new();
            for row in &rows {
                publications.extend(self.republish(row).await?);
            }
            found += rows.len() as u64;
            timers::made_again(Cause::Recover, publications.len());
            self.publish(publications).await?;
        }
    }
}

/// Whether a call that died with its engine must be made again. A worker that has taken an activity task,
/// and whoever got a task token, still has it.
fn is_call_open(resource: &Resource, stage: Stage) -> bool {
    match (resource, stage) {
        (Resource::Activity { .. }, stage) => stage == Stage::Scheduled,
        (Resource::Function { .. }, _) => true,
        (Resource::Service(service), Stage::Submitted) => {
            matches!(service.pattern, Pattern::Sync | Pattern::Sync2)
        }
        (Resource::Service(_), Stage::Scheduled | Stage::Started) => true,
    }
}
