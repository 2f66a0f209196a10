//! Starting and stopping executions: what a caller waits for.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use asl::branch::{Branch, BranchPath, EventRef, Run};
use asl::data::Failure;
use asl::data::failure::names;
use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;
use asl::history::{EventKind, HistoryEvent};
use asl::rehearsal::history_full;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ids::ExecutionId;
use crate::messages::{Body, Header, encode};
use crate::metrics::{self, executions::Ended};
use crate::names::{InvalidName, check as check_name};
use crate::ports::broker::{Health, Publication};
use crate::ports::catalog::Machine;
use crate::ports::catalog::versions::Qualifier;
use crate::ports::store::{self, Closing, ExecutionStatus, HistoryRow, Last, NewExecution, Open, Started};
use crate::services::advance::After;
use crate::services::programs::Compiled;
use crate::services::{Core, Unavailable, observed};

/// A year, after which a Standard execution times out (AWS quota).
pub(super) const STANDARD_SECONDS_MAX: u32 = 31_536_000;
/// How often others may end and redrive an execution before who stops it is told to come again.
const STOP_RACES_MAX: u32 = 5;

/// What a start needs.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// The machine, with the revision to run.
    pub machine: Machine,
    /// The version or the alias that this is by.
    pub qualifier: Option<Qualifier>,
    /// The name, if the caller gave one.
    pub name: Option<String>,
    /// The input.
    pub input: Value,
    /// The input as the caller wrote it.
    pub input_text: String,
}

/// An execution that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Its ARN.
    pub arn: String,
    /// When it started.
    pub started_at: Timestamp,
}

/// Why an execution was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another one has the name.
    #[error("failed to start: the execution {arn} exists")]
    AlreadyExists {
        /// The other one.
        arn: String,
    },
    /// Its name cannot be taken.
    #[error(transparent)]
    Name(InvalidName),
    /// The machine is gone.
    #[error("failed to start: the state machine is gone")]
    NoMachine,
    /// As many executions are open as may be.
    #[error("{0}")]
    Full(String),
    /// Too much is going on.
    #[error("{0}")]
    Throttled(String),
    /// The definition that was stored cannot be run.
    #[error("failed to start: {0}")]
    Definition(String),
    /// Something is away.
    #[error(transparent)]
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for StartError {
    fn from(error: E) -> Self {
        match error.into() {
            Unavailable::Definition(text) => StartError::Definition(text),
            other => StartError::Unavailable(other),
        }
    }
}

/// A synchronous execution that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncOutcome {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub stopped_at: Timestamp,
    /// How it ended.
    pub end: SyncEnd,
}

/// How a synchronous execution ended.
#[derive(Debug, Clone, PartialEq)]
pub enum SyncEnd {
    /// With this output: JSON text.
    Succeeded(String),
    /// With this error.
    Failed(Failure),
    /// It took too long.
    TimedOut,
}

impl Core {
    /// Starts an execution: Standard, or Express without waiting for its end. A Standard start that is
    /// repeated with the same name and input while the first one runs answers that one.
    pub async fn start_execution(&self, request: StartRequest) -> Result<StartedExecution, StartError> {
        let started = self.start_if_admitted(&request).await;
        observed::refused(&request.machine, &started);
        started
    }

    async fn start_if_admitted(&self, request: &StartRequest) -> Result<StartedExecution, StartError> {
        request.name.as_deref().map_or(Ok(()), check_name).map_err(StartError::Name)?;
        self.admit()?;
        match request.machine.workflow_type {
            WorkflowType::Standard => self.start_standard(request).await,
            WorkflowType::Express => self.start_express(request).await,
        }
    }

    /// Nobody is let in whose first message would have to wait for the broker.
    pub(super) fn admit(&self) -> Result<(), StartError> {
        match self.broker.health() {
            Health::Good => Ok(()),
            Health::Blocked(reason) | Health::Away(reason) => {
                Err(StartError::Throttled(format!("Rate exceeded: the broker takes no messages ({reason})")))
            }
        }
    }

    /// Nobody is let in where as many executions are open as may be.
    pub(super) async fn admit_open(&self) -> Result<(), StartError> {
        let open = self.count_open_executions().await?;
        if open >= self.admission.open_executions_max {
            return Err(StartError::Full(format!(
                "Execution Limit Exceeded: {open} executions are open, which is the limit \
                 (limits.open_executions_max)"
            )));
        }
        Ok(())
    }

    async fn start_standard(&self, request: &StartRequest) -> Result<StartedExecution, StartError> {
        self.admit_open().await?;
        let machine = &request.machine;
        let compiled = self.programs.get(self.catalog.as_ref(), machine.revision.id).await?;
        let (header, branch, event) = self.begin(request, &compiled);
        let body = Body { events: vec![event], value: Some(branch.clone()), request: None, end: None };
        let started_at = header.started_at;
        let seconds = compiled.program.timeout_seconds.unwrap_or(STANDARD_SECONDS_MAX);
        let outcome = self
            .store
            .start(NewExecution {
                id: header.id,
                machine: machine.id,
                machine_name: machine.name.clone(),
                revision: machine.revision.id,
                qualifier: request.qualifier.clone(),
                name: header.name.clone(),
                input_hash: Sha256::digest(request.input.to_string()).into(),
                started_at,
                deadline: Some(started_at.plus_seconds(i64::from(seconds.min(STANDARD_SECONDS_MAX)))),
                history: HistoryRow { events: 1, body: encode(&body) },
            })
            .await?;
        let arn = self.home.execution(&machine.name, &header.name);
        match outcome {
            Started::Created(fence) => {
                metrics::executions::started(&header.machine_name, WorkflowType::Standard);
                crate::crash_point!("start-committed");
                let id = header.id;
                self.show_start(&header, &body.events);
                let header = Arc::new(header);
                self.headers.keep(&header);
                let first = self.transition(&header, &BranchPath::root(), fence, branch, None);
                // The execution stands: what is not published now, the row asks for later.
                if let Err(error) = self.begin_moving(&header, &request.input_text, first).await {
                    tracing::warn!(%error, %arn, "the first transition is late");
                }
                Ok(StartedExecution { id, arn, started_at })
            }
            Started::NoMachine => Err(StartError::NoMachine),
            Started::NameTaken { id, input_hash, status: ExecutionStatus::Running, started_at }
                if input_hash == <[u8; 32]>::from(Sha256::digest(request.input.to_string())) =>
            {
                Ok(StartedExecution { id, arn, started_at })
            }
            Started::NameTaken { .. } => Err(StartError::AlreadyExists { arn }),
        }
    }

    /// Announced before it moves: a root that has moved has been announced, whoever dies on the way.
    async fn begin_moving(
        &self,
        header: &Header,
        input_text: &str,
        first: Publication,
    ) -> Result<(), Unavailable> {
        self.announce_begin(header, input_text).await?;
        crate::crash_point!("begin-announced");
        self.publish(vec![first]).await
    }

    /// Open executions, counted at most once a second: counting takes time in proportion to them.
    pub(super) async fn count_open_executions(&self) -> Result<u64, Unavailable> {
        const COUNT_AGAIN: Duration = Duration::from_secs(1);
        if let Some(open) = self.open_executions.recent(COUNT_AGAIN) {
            return Ok(open);
        }
        let open = self.catalog.running().await?;
        self.open_executions.counted(open);
        Ok(open)
    }

    /// The header of a new execution, its root branch and its first event.
    pub(super) fn begin(
        &self,
        request: &StartRequest,
        compiled: &Compiled,
    ) -> (Header, Branch, HistoryEvent) {
        let id = ExecutionId::new();
        let started_at = self.clock.now();
        let header = Header {
            id,
            revision: request.machine.revision.id,
            qualifier: request.qualifier.clone(),
            machine_name: request.machine.name.clone(),
            name: request.name.clone().unwrap_or_else(|| id.to_string()),
            started_at,
            input: compiled.reads_execution_input.then(|| request.input.clone()),
        };
        let facts = self.facts(&header, compiled, None);
        let path = BranchPath::root();
        let run = Run {
            program: &compiled.program,
            execution: &facts,
            limits: &self.limits,
            path: &path,
            setting: None,
        };
        let (branch, event) =
            Branch::start(&run, request.input.clone(), request.input_text.clone(), started_at);
        (header, branch, event)
    }

    /// Stops a Standard execution. Answers when it stopped: now, or before if it was closed already.
    pub async fn stop_execution(
        &self,
        id: ExecutionId,
        failure: Failure,
    ) -> Result<Option<Timestamp>, Unavailable> {
        for _ in 0..STOP_RACES_MAX {
            let (status, kind) = (ExecutionStatus::Aborted, EventKind::ExecutionAborted);
            let closed = self.close(id, status, failure.clone(), kind).await?;
            crate::crash_point!("stop-committed");
            if closed.is_some() {
                // Who hears of it may redrive it at once: then its row tells of no stop.
                self.announce(&[id]).await;
                return Ok(closed);
            }
            let Some(execution) = self.catalog.execution_by_id(id).await? else { return Ok(None) };
            if execution.stopped_at.is_some() {
                return Ok(execution.stopped_at);
            }
            // It was closed, and has been redriven since: it runs.
        }
        let busy = "others end and redrive this execution all the time".to_owned();
        Err(store::Error::Unavailable(busy).into())
    }

    /// Fails an execution that cannot go on for a reason of the service.
    pub async fn fail_execution(&self, id: ExecutionId, failure: Failure) -> Result<(), Unavailable> {
        tracing::error!(%id, cause = failure.cause.as_deref().unwrap_or_default(), "an execution cannot go on");
        if self.close(id, ExecutionStatus::Failed, failure, EventKind::ExecutionFailed).await?.is_some() {
            self.announce(&[id]).await;
        }
        Ok(())
    }

    /// Fails an execution whose history has no room for a transition: as many of its events as fit, then
    /// `ExecutionFailed` as the last one there can be.
    pub async fn close_full(&self, after: &After) -> Result<(), Unavailable> {
        let events_max = self.limits.history_events_max;
        let (path, events) = (after.path.clone(), after.events.clone());
        let seq = self.next_seq(after).await?;
        let at = self.clock.now();
        let id = after.header.id;
        let decide = move |open: Open| Some(fill(open, &path, seq, events, events_max, at));
        if self.close_with(id, decide).await? {
            observed::ended(&after.header, WorkflowType::Standard, Ended::Failed, at);
            self.announce(&[id]).await;
        }
        Ok(())
    }

    /// Closes a running execution, marked as unannounced. Answers whether this call closed it; then the caller
    /// announces it.
    pub(super) async fn close_with(
        &self,
        id: ExecutionId,
        decide: impl FnOnce(Open) -> Option<Last> + Send + 'static,
    ) -> Result<bool, Unavailable> {
        let unannounced = self.announces.status_changes;
        let (tell, told) = mpsc::channel();
        let decide = Box::new(move |open: Open| {
            let mut last = decide(open)?;
            last.closing.unannounced = unannounced;
            tell.send(last.rows.clone()).ok()?;
            Some(last)
        });
        let closed = self.store.close(id, decide).await?;
        if closed {
            // At once: it may be redriven, and then it calls under names that begin like these.
            self.cancel_calls_of(id);
            let rows = told.try_recv().unwrap_or_default();
            self.show_close(id, &rows).await;
            self.execution_is_over(id);
        }
        Ok(closed)
    }

    /// The `seq` of the transition that found no room.
    async fn next_seq(&self, after: &After) -> Result<u32, Unavailable> {
        let key = crate::ports::store::BranchKey { execution: after.header.id, branch: after.path.clone() };
        Ok(self.branch(&key).await?.map_or(0, |row| row.fence.seq) + 1)
    }

    /// Waits for the end of a Standard execution.
    pub async fn execution_ended(
        &self,
        id: ExecutionId,
    ) -> Result<Option<crate::ports::catalog::Execution>, Unavailable> {
        /// An end that was not announced here is found after this long.
        const LOOK_AGAIN: Duration = Duration::from_secs(2);
        let mut closed = self.closed.subscribe();
        loop {
            let execution = self.catalog.execution_by_id(id).await?;
            if execution.as_ref().is_none_or(|execution| execution.status != ExecutionStatus::Running) {
                return Ok(execution);
            }
            let announced = async { while closed.recv().await.is_ok_and(|other| other != id) {} };
            // Late or never, the next look finds it.
            let _ = tokio::time::timeout(LOOK_AGAIN, announced).await;
        }
    }
}

/// Cuts a transition's events to what fits, and closes the execution with the event of the limit.
fn fill(
    open: Open,
    path: &BranchPath,
    seq: u32,
    mut events: Vec<HistoryEvent>,
    events_max: u64,
    at: Timestamp,
) -> Last {
    let room = events_max.saturating_sub(open.events + 1);
    events.truncate(usize::try_from(room).unwrap_or(usize::MAX));
    let failure = history_full(events_max);
    let previous = events.len().checked_sub(1).map(|offset| EventRef {
        branch: path.clone(),
        seq,
        offset: u16::try_from(offset).unwrap_or(u16::MAX),
    });
    let error = Some(names::RUNTIME.to_owned());
    let failed = HistoryEvent { at, previous, kind: EventKind::ExecutionFailed(failure) };
    let closing = Closing { status: ExecutionStatus::Failed, at, error, unannounced: false };
    if path.is_root() {
        events.push(failed);
        return super::scheduler::last(seq, events, closing);
    }
    let mut last = super::scheduler::last(open.root.fence.seq + 1, vec![failed], closing);
    let row = HistoryRow {
        events: u16::try_from(events.len()).unwrap_or(u16::MAX),
        body: encode(&Body { events, value: None, request: None, end: None }),
    };
    last.rows.insert(0, (path.clone(), seq, row));
    last
}
