//! The ends of forks: all children have ended well, or one has failed.

use std::sync::mpsc;

use asl::branch::{Aborted, BranchEnd, BranchResult, Event, EventRef};
use asl::data::Failure;
use asl::data::failure::names;

use crate::messages::{Body, decode};
use crate::ports::store::{self, BranchKey, Failed, Fence, StoredBranch, Verdict};
use crate::services::advance::{Backing, Step, Subject};
use crate::services::publishing::Outgoing;
use crate::services::{Core, Unavailable};

impl Core {
    /// All children have ended well: the parent goes on with their outputs.
    pub async fn join(
        &self,
        key: &BranchKey,
        fence: Fence,
        subject: Subject,
        backing: Backing,
    ) -> Result<Option<Step>, Unavailable> {
        let Some(joined) = self.store.joined(key, fence).await? else { return Ok(None) };
        let Some(last) = joined.parent.cause else { return Err(corrupt(key)) };
        if joined.too_large {
            let state = &subject.compiled.program.state(subject.value.state).name;
            let failure = Failure::data_limit_exceeded(state);
            let event = Event::BranchFailed { failure, last, aborted: Vec::new(), events: joined.events };
            return self.joining(subject, event, backing).await;
        }
        let mut outputs = Vec::with_capacity(joined.bodies.len());
        for body in &joined.bodies {
            match decode::<Body>(body).map(|body| body.end) {
                Ok(Some(BranchEnd { result: BranchResult::Succeeded(output), .. })) => outputs.push(output),
                Ok(_) | Err(_) => return Err(corrupt(key)),
            }
        }
        let event = Event::BranchesJoined { outputs, last, events: joined.events };
        self.joining(subject, event, backing).await
    }

    async fn joining(
        &self,
        subject: Subject,
        event: Event,
        backing: Backing,
    ) -> Result<Option<Step>, Unavailable> {
        let Ok(mut step) = self.advance(subject, event, backing).await? else { return Ok(None) };
        step.commit.joins = true;
        Ok(Some(step))
    }

    /// A child has failed: its siblings are no more, and the parent retries, catches or fails.
    pub async fn fail_fork(&self, key: &BranchKey, subject: Subject) -> Result<Outgoing, Unavailable> {
        let fence = subject.fence;
        let prepared = self.prepare(subject, Backing::Delivery).await?;
        let (tell, told) = mpsc::channel();
        // Asked inside the transaction, which deletes the siblings and appends what this decides.
        let decide = Box::new(move |failed: Failed| {
            let (told, commit) = match prepared.apply(event_of(failed)) {
                Ok(Ok(step)) => (Ok(step.after), Some(step.commit)),
                Ok(Err(_stale)) => {
                    (Err(Unavailable::Definition("the fork's end does not fit".to_owned())), None)
                }
                Err(error) => (Err(error), None),
            };
            tell.send(told).ok()?;
            commit
        });
        let verdict = self.store.fail_fork(key, fence, decide).await?;
        match (told.try_recv(), &verdict) {
            (Ok(Err(error)), _) => Err(error),
            (Ok(Ok(after)), Verdict::Done { .. }) => {
                match after.finished {
                    Some(_) => self.cancel_calls_of(key.execution),
                    None => self.cancel(format!("{}/{}.", key.execution, key.branch)),
                }
                self.follow_up(&after, &verdict).await
            }
            (Ok(Ok(after)), Verdict::HistoryFull) => {
                self.close_full(&after).await?;
                Ok(Outgoing::default())
            }
            (Ok(Ok(_)), Verdict::Stale) => Ok(Outgoing::default()),
            // Stale without having asked is a row that moved; the delivery behind that move goes on.
            (Err(_), _) => Ok(Outgoing::default()),
        }
    }
}

fn corrupt(key: &BranchKey) -> Unavailable {
    Unavailable::Store(store::Error::Corrupt(format!(
        "the children of branch {} of execution {} ended without a result",
        key.branch, key.execution
    )))
}

fn event_of(failed: Failed) -> Event {
    let end = decode::<Body>(&failed.child.body).ok().and_then(|body| body.end);
    let (failure, last) = match end {
        Some(BranchEnd { result: BranchResult::Failed(failure), last_inner, .. }) => {
            (failure.resolve(|event| failed.ids.id(event)), last_inner)
        }
        Some(_) | None => {
            let seq = failed.child.fence.seq;
            let last = EventRef { branch: failed.child.key.branch, seq, offset: 0 };
            (Failure::new(names::RUNTIME, "a branch ended without a result"), last)
        }
    };
    let aborted = failed.aborted.into_iter().filter_map(aborted).collect();
    Event::BranchFailed { failure, last, aborted, events: failed.events }
}

fn aborted(row: StoredBranch) -> Option<Aborted> {
    let branch = decode::<Body>(&row.body).ok()?.value?;
    Some(Aborted { path: row.key.branch, branch })
}
