//! The store: every question and its answer.

use std::sync::Arc;

use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

use crate::ids::ExecutionId;
use crate::metrics;
use crate::metrics::store::{Asked, Operation, committed};
use crate::ports::store::changes::Announced;
use crate::ports::store::redrive::{LastRows, Redrive, Redriven};
use crate::ports::store::{
    BranchKey, Claim, Claimed, Commit, Error, Fence, Joined, NewExecution, OnClose, OnFailed, Started, Store,
    StoredBranch, Verdict,
};

/// A store that counts, if metrics are on.
pub fn metered(store: Arc<dyn Store>) -> Arc<dyn Store> {
    if metrics::are_on() { Arc::new(Metered(store)) } else { store }
}

struct Metered(Arc<dyn Store>);

/// The answer to a question, timed.
async fn ask<T>(operation: Operation, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let asked = Asked::now(operation);
    let answer = answer.await;
    asked.answered(&answer);
    answer
}

#[async_trait]
impl Store for Metered {
    async fn start(&self, execution: NewExecution) -> Result<Started, Error> {
        ask(Operation::Start, self.0.start(execution)).await
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<Verdict>, Error> {
        let verdicts = ask(Operation::Commit, self.0.commit(batch)).await?;
        committed(&verdicts);
        Ok(verdicts)
    }

    async fn branches(&self, keys: &[BranchKey]) -> Result<Vec<Option<StoredBranch>>, Error> {
        ask(Operation::Branches, self.0.branches(keys)).await
    }

    async fn body(&self, key: &BranchKey, seq: u32) -> Result<Option<Bytes>, Error> {
        ask(Operation::Body, self.0.body(key, seq)).await
    }

    async fn joined(&self, key: &BranchKey, fence: Fence) -> Result<Option<Joined>, Error> {
        ask(Operation::Joined, self.0.joined(key, fence)).await
    }

    async fn fail_fork(&self, key: &BranchKey, fence: Fence, decide: OnFailed) -> Result<Verdict, Error> {
        let verdict = ask(Operation::FailFork, self.0.fail_fork(key, fence, decide)).await?;
        committed(std::slice::from_ref(&verdict));
        Ok(verdict)
    }

    async fn close(&self, execution: ExecutionId, decide: OnClose) -> Result<bool, Error> {
        ask(Operation::Close, self.0.close(execution, decide)).await
    }

    async fn last_rows(&self, keys: &[BranchKey]) -> Result<Vec<LastRows>, Error> {
        ask(Operation::LastRows, self.0.last_rows(keys)).await
    }

    async fn redrive(&self, redrive: Redrive) -> Result<Redriven, Error> {
        ask(Operation::Redrive, self.0.redrive(redrive)).await
    }

    async fn redriven_as(
        &self,
        execution: ExecutionId,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        ask(Operation::RedrivenAs, self.0.redriven_as(execution, token, now)).await
    }

    async fn claim_due(&self, claim: Claim) -> Result<Claimed, Error> {
        ask(Operation::ClaimDue, self.0.claim_due(claim)).await
    }

    async fn first_bodies(&self, executions: &[ExecutionId]) -> Result<Vec<Option<Bytes>>, Error> {
        ask(Operation::FirstBodies, self.0.first_bodies(executions)).await
    }

    async fn claim_unannounced(
        &self,
        now: Timestamp,
        again_after_ms: i64,
        limit: u32,
    ) -> Result<Vec<ExecutionId>, Error> {
        ask(Operation::ClaimUnannounced, self.0.claim_unannounced(now, again_after_ms, limit)).await
    }

    async fn announced(&self, changes: &[Announced]) -> Result<(), Error> {
        ask(Operation::Announced, self.0.announced(changes)).await
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ExecutionId>, Error> {
        ask(Operation::Overdue, self.0.overdue(now, limit)).await
    }

    async fn live_branches(&self, after: Option<&BranchKey>, limit: u32) -> Result<Vec<StoredBranch>, Error> {
        ask(Operation::LiveBranches, self.0.live_branches(after, limit)).await
    }

    async fn now(&self) -> Result<Timestamp, Error> {
        ask(Operation::Now, self.0.now()).await
    }

    async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>, Error> {
        ask(Operation::Setting, self.0.setting(name, initial)).await
    }
}
