//! Redrive: an execution that had failed, was stopped or timed out goes on where it stopped.
//!
//! ```text
//!   closed execution ─last rows─▶ remains ─asl─▶ branches as they go on ─store─▶ runs ─▶ RUNNING ─▶ messages
//! ```
//!
//! What is over does not change, so it is read at leisure; the commit stands only if nobody else has redriven the
//! execution meanwhile. Branches below the root get new names, as those of a fork that is made anew: whatever is
//! still on its way to the old ones finds nobody. Each row asks for its own message, should this process die.

use std::collections::VecDeque;

use asl::branch::{Branch, BranchPath, EventRef, Family, Member, Role, Waiting};
use asl::data::context::Redrive;
use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;
use asl::history::{EventKind, HistoryEvent};
use asl::program::StateKind;

use crate::ids::ExecutionId;
use crate::messages::{Body, encode};
use crate::metrics;
use crate::ports::broker::Health;
use crate::ports::catalog::Execution;
use crate::ports::store::redrive::{Rebuilt, RebuiltFork, RebuiltHistory, Redriven};
use crate::ports::store::{
    BranchKey, Error, Fence, HistoryRow, OUTBOX_MILLISECONDS, Phase, RowState, redrive as port,
};
use crate::services::advance::{NEAR_GRACE_MILLISECONDS, value_body};
use crate::services::computing::aside;
use crate::services::executions::{STANDARD_SECONDS_MAX, StartError};
use crate::services::programs::Compiled;
use crate::services::scheduler::NEAR_MILLISECONDS;
use crate::services::{Core, Unavailable};

mod closed;

use closed::{Child, Closed};

/// How often somebody else may be first before the caller is told to come again.
const RACES_MAX: u32 = 5;

/// Why an execution was not redriven.
#[derive(Debug)]
pub enum RedriveError {
    /// It may not be, for this reason.
    NotRedrivable(String),
    /// There is no such execution any more.
    Gone,
    /// Not now, for a reason for which none would be started either.
    NotAdmitted(StartError),
}

impl<E: Into<StartError>> From<E> for RedriveError {
    fn from(error: E) -> Self {
        RedriveError::NotAdmitted(error.into())
    }
}

impl Core {
    /// Sets a closed Standard execution going again; answers when. Asked again under the same token, it answers the
    /// same and does nothing.
    pub async fn redrive_execution(
        &self,
        id: ExecutionId,
        token: Option<&str>,
    ) -> Result<Timestamp, RedriveError> {
        for _ in 0..RACES_MAX {
            let execution = self.catalog.execution_by_id(id).await?.ok_or(RedriveError::Gone)?;
            // Read after the execution: whoever has made it run has left the token before.
            if let Some(token) = token
                && let Some(at) = self.store.redriven_as(id, token, self.clock.now()).await?
            {
                return Ok(at);
            }
            if let Some(reason) = self.not_redrivable(&execution).await? {
                return Err(RedriveError::NotRedrivable(reason));
            }
            self.admit()?;
            self.admit_open().await?;
            if let Some(at) = self.try_redrive(&execution, token).await? {
                return Ok(at);
            }
        }
        let busy = Error::Unavailable("others redrive this execution all the time".to_owned());
        Err(busy.into())
    }

    /// `None` if somebody else was first.
    async fn try_redrive(
        &self,
        execution: &Execution,
        token: Option<&str>,
    ) -> Result<Option<Timestamp>, RedriveError> {
        let compiled = self.programs.get(self.catalog.as_ref(), execution.revision).await?;
        let at = self.clock.now();
        let redriven_before = execution.redrive.map_or(0, |redrive| redrive.count);
        let redrive = Redrive { count: redriven_before + 1, at };
        let plan = self.plan(execution, &compiled, redrive).await?;
        let seconds = compiled.program.timeout_seconds.unwrap_or(STANDARD_SECONDS_MAX);
        let deadline = at.plus_seconds(i64::from(seconds.min(STANDARD_SECONDS_MAX)));
        let last_deadline = execution.started_at.plus_seconds(i64::from(STANDARD_SECONDS_MAX));
        let (branches, values) = plan.rows.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let asked = port::Redrive {
            execution: execution.id,
            redriven_before,
            at,
            place: ExecutionId::new(),
            deadline: Some(deadline.min(last_deadline)),
            token: token.map(str::to_owned),
            unannounced: self.announces.status_changes,
            branches: branches.clone(),
        };
        let fences = match self.store.redrive(asked).await? {
            Redriven::Done(fences) => fences,
            Redriven::Stale => return Ok(None),
            Redriven::Unannounced => {
                self.announce_marked(&[execution.id]).await?;
                return Ok(None);
            }
        };
        crate::crash_point!("redrive-committed");
        metrics::executions::redriven(&execution.machine_name, WorkflowType::Standard);
        let rows = branches.into_iter().zip(values).zip(fences);
        let begun = Begun { id: execution.id, event: plan.event, seq: plan.root_seq };
        // It runs: what is not published now, its rows ask for later.
        if let Err(error) = self.go_on(begun, rows).await {
            tracing::warn!(%error, execution = %execution.id, "what follows a redrive is late");
        }
        Ok(Some(at))
    }

    /// Announces it and sends the messages that its rows wait for.
    async fn go_on(
        &self,
        begun: Begun,
        rows: impl Iterator<Item = ((Rebuilt, Option<Branch>), Fence)>,
    ) -> Result<(), Unavailable> {
        let Some(header) = self.header(begun.id).await? else { return Ok(()) };
        if self.announces.transitions {
            self.show_standard(&header, &BranchPath::root(), begun.seq, None, &[begun.event]);
        }
        let now = self.clock.now();
        let mut publications = Vec::new();
        for ((rebuilt, value), fence) in rows {
            let key = BranchKey { execution: begun.id, branch: rebuilt.branch };
            match (rebuilt.state.phase, value) {
                (Phase::Runnable, Some(value)) if value.waiting == Waiting::Enter => {
                    publications.push(self.transition(&header, &key.branch, fence, value, None));
                }
                (Phase::Runnable, _) => publications.push(self.nudge(&key, fence)),
                (Phase::Sleeping, _) => match rebuilt.state.wake {
                    Some(wake) if wake > now => self.set_near_timer(&key, fence, wake),
                    Some(_) | None => publications.push(self.nudge(&key, fence)),
                },
                (Phase::Dispatched | Phase::Forked | Phase::Queued | Phase::Ended, _) => {}
            }
        }
        if self.announces.status_changes && self.broker.health() == Health::Good {
            self.announce_marked(&[begun.id]).await?;
        }
        self.publish(publications).await
    }

    /// Its branches as they go on.
    async fn plan(
        &self,
        execution: &Execution,
        compiled: &Compiled,
        redrive: Redrive,
    ) -> Result<Plan, RedriveError> {
        let root = BranchPath::root();
        let recorded = self.catalog.history_events(execution.id).await?;
        let mut closed = Closed::new(self, execution.id, &compiled.program, redrive);
        // Histories are removed before what lists them.
        let left = closed.root().await?.ok_or(RedriveError::Gone)?;
        let root_seq = left.seq + 1;
        let redriven = EventRef { branch: root.clone(), seq: root_seq, offset: 0 };
        let kind = EventKind::ExecutionRedriven { redrive_count: redrive.count };
        let event = HistoryEvent { at: redrive.at, previous: Some(left.last.clone()), kind };
        let mut value = left.found.go_on(&compiled.program, redrive, &redriven)?;
        if let Some(visit) = &mut value.visit {
            // Counted along the root alone, it would leave out what children recorded that were joined at the end.
            let ids = self.catalog.event_ids(execution.id, std::slice::from_ref(&visit.entered)).await?;
            visit.entered_id = ids.into_iter().next().flatten().unwrap_or(visit.entered_id);
        }
        // Nothing of what is recorded is still to be joined.
        value.events = recorded + 1;
        let mut plan = Plan { event, root_seq, rows: Vec::new() };
        let mut open = VecDeque::from([Standing { old: root.clone(), new: root, seq: root_seq, value }]);
        while let Some(standing) = open.pop_front() {
            let Some(fork) = standing.fork() else {
                let event = plan.event_of(&standing.new);
                plan.rows.push(aside(|| standing.at_work(redrive.at, Phase::Runnable, event)));
                continue;
            };
            let window = self.window(compiled, &standing.value, fork.window);
            let children = closed.children(&standing.old, fork.seq, &redriven).await?;
            let family = Family::of(children.iter().map(Child::value), window);
            let last = if family.open == 0 { self.last_of(execution.id, &children).await? } else { None };
            let forked = Forked { children: count(&children), family: &family, last, window };
            let event = plan.event_of(&standing.new);
            plan.rows.push(aside(|| standing.forked(redrive.at, &forked, event)));
            for ((index, child), member) in (0..).zip(children).zip(&family.members) {
                let new = standing.new.child(standing.seq, index);
                match child {
                    Child::Ended { path, seq, .. } => plan.rows.push(ended(new, path, seq)),
                    Child::GoesOn { path, value } if *member == Member::Queued => {
                        let standing = Standing { old: path, new, seq: 0, value: *value };
                        plan.rows.push(aside(|| standing.at_work(redrive.at, Phase::Queued, None)));
                    }
                    Child::GoesOn { path, value } => {
                        // `seq` 0 is one that has not begun: where a sibling fails, stores leave it out of
                        // `Failed::aborted`.
                        let seq = if matches!(value.role, Role::Queued(_)) { 0 } else { 1 };
                        open.push_back(Standing { old: path, new, seq, value: *value });
                    }
                }
            }
        }
        Ok(plan)
    }

    /// How many children run at a time. What earlier releases wrote does not say it of a Map.
    fn window(&self, compiled: &Compiled, value: &Branch, window: u32) -> u32 {
        match compiled.program.state(value.state).kind {
            StateKind::Map(_) => window.min(self.limits.map_concurrency_default),
            _ => window,
        }
    }

    /// The last event of the child that ended last.
    async fn last_of(
        &self,
        execution: ExecutionId,
        children: &[Child],
    ) -> Result<Option<EventRef>, Unavailable> {
        let ends: Vec<EventRef> = children.iter().filter_map(Child::last).collect();
        let ids = self.catalog.event_ids(execution, &ends).await?;
        Ok(ids.into_iter().zip(ends).max_by_key(|(id, _)| *id).map(|(_, last)| last))
    }
}

/// What is told of a redrive that stands.
struct Begun {
    id: ExecutionId,
    event: HistoryEvent,
    seq: u32,
}

/// The rows to be made, each with its value unless it has ended.
struct Plan {
    event: HistoryEvent,
    root_seq: u32,
    rows: Vec<(Rebuilt, Option<Branch>)>,
}

impl Plan {
    /// What a row of this branch records: only the root's tells of the redrive.
    fn event_of(&self, path: &BranchPath) -> Option<HistoryEvent> {
        path.is_root().then(|| self.event.clone())
    }
}

/// A branch that goes on, under its old and its new name.
struct Standing {
    old: BranchPath,
    new: BranchPath,
    seq: u32,
    value: Branch,
}

/// The fork that a branch waits for.
struct OldFork {
    seq: u32,
    window: u32,
}

/// That fork as it goes on.
struct Forked<'a> {
    children: u32,
    family: &'a Family,
    /// If all have ended: the last event of the last.
    last: Option<EventRef>,
    window: u32,
}

impl Standing {
    fn fork(&self) -> Option<OldFork> {
        match self.value.waiting {
            Waiting::Branches { fork, window } => Some(OldFork { seq: fork, window }),
            _ => None,
        }
    }

    /// The row of a branch that does its work, or sleeps, or waits for room.
    fn at_work(
        mut self,
        now: Timestamp,
        phase: Phase,
        event: Option<HistoryEvent>,
    ) -> (Rebuilt, Option<Branch>) {
        let outbox = now.plus_milliseconds(OUTBOX_MILLISECONDS);
        self.value.seq = self.seq;
        let state = match self.value.waiting {
            Waiting::Wait { until } => {
                let ahead = until.milliseconds().saturating_sub(now.milliseconds());
                let due = match ahead {
                    ..=0 => outbox,
                    1..=NEAR_MILLISECONDS => until.plus_milliseconds(NEAR_GRACE_MILLISECONDS),
                    _ => until,
                };
                let state = RowState::at_rest(Phase::Sleeping);
                RowState { wake: Some(until), due: Some(due), ..state }
            }
            _ if phase == Phase::Runnable => RowState { due: Some(outbox), ..RowState::at_rest(phase) },
            _ => RowState::at_rest(phase),
        };
        let history = RebuiltHistory::New(row(event, &self.value));
        let rebuilt = Rebuilt { branch: self.new, seq: self.seq, state, fork: None, cause: None, history };
        (rebuilt, Some(self.value))
    }

    /// The row of a branch whose children go on, or have all ended.
    fn forked(
        &self,
        now: Timestamp,
        forked: &Forked<'_>,
        event: Option<HistoryEvent>,
    ) -> (Rebuilt, Option<Branch>) {
        let waiting = Waiting::Branches { fork: self.seq, window: forked.window };
        let value = Branch { seq: self.seq, waiting, ..self.value.clone() };
        let Family { launched, open, .. } = *forked.family;
        let due = Some(now.plus_milliseconds(OUTBOX_MILLISECONDS));
        let state = match open {
            0 => RowState { due, ..RowState::at_rest(Phase::Runnable) },
            _ => RowState::at_rest(Phase::Forked),
        };
        let rebuilt = Rebuilt {
            branch: self.new.clone(),
            seq: self.seq,
            state,
            fork: Some(RebuiltFork { children: forked.children, launched, open }),
            cause: forked.last.clone(),
            history: RebuiltHistory::New(row(event, &value)),
        };
        (rebuilt, Some(value))
    }
}

/// The row of a child that has ended well: its output stays where its siblings' will be.
fn ended(new: BranchPath, path: BranchPath, seq: u32) -> (Rebuilt, Option<Branch>) {
    let (state, history) = (RowState::at_rest(Phase::Ended), RebuiltHistory::Copy(path, seq));
    (Rebuilt { branch: new, seq: 1, state, fork: None, cause: None, history }, None)
}

fn row(event: Option<HistoryEvent>, value: &Branch) -> HistoryRow {
    let Some(event) = event else { return HistoryRow { events: 0, body: value_body(value.clone()) } };
    let body = Body { events: vec![event], value: Some(value.clone()), request: None, end: None };
    HistoryRow { events: 1, body: encode(&body) }
}

fn count(children: &[Child]) -> u32 {
    u32::try_from(children.len()).unwrap_or(u32::MAX)
}
