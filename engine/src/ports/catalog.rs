//! The store's other half: what the API lists and describes.

use asl::branch::{BranchPath, EventRef};
use asl::data::context::Redrive;
use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

use super::store::{Error, ExecutionStatus};
use crate::ids::{ExecutionId, MachineId, RevisionId};

pub mod tags;
pub mod versions;

use tags::{Tag, Tags};
use versions::{Qualifier, Versions};

/// Type of a state machine.
pub use asl::definition::WorkflowType;

/// A state machine with its current revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Its id; a machine made again under the same name has another.
    pub id: MachineId,
    /// Unique.
    pub name: String,
    /// Standard or Express; never changes.
    pub workflow_type: WorkflowType,
    /// When it was made.
    pub created_at: Timestamp,
    /// The current revision.
    pub revision: Revision,
}

/// What a machine was at one time. Immutable; outlives the machine while an execution runs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Its id.
    pub id: RevisionId,
    /// Whether it is the first, the one the machine was created with.
    pub initial: bool,
    /// The definition's text as given.
    pub definition: String,
    /// The role's ARN as given.
    pub role_arn: String,
    /// Logging, tracing and encryption as given: a JSON object, opaque here.
    pub settings: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Unique.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An execution as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// Its machine, possibly gone.
    pub machine: MachineId,
    /// Its machine's name.
    pub machine_name: String,
    /// What it runs.
    pub revision: RevisionId,
    /// The version or alias it was started by.
    pub qualifier: Option<Qualifier>,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: ExecutionStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it closed.
    pub stopped_at: Option<Timestamp>,
    /// Its error name, once closed with one.
    pub error: Option<String>,
    /// The last time that it was redriven.
    pub redrive: Option<Redrive>,
    /// Its place in lists: its id, or one drawn when it was redriven.
    pub place: ExecutionId,
}

/// The first and the last history row of an execution's root: its input; its output, error and cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The root's `seq` 0 body.
    pub first: Bytes,
    /// The root's last body, once closed.
    pub last: Option<Bytes>,
}

/// An execution as it stands, with its ends.
#[derive(Debug, Clone, PartialEq)]
pub struct WithEnds {
    /// It.
    pub execution: Execution,
    /// Its input; its output, error and cause.
    pub ends: Ends,
    /// The `seq` of its root's last history row.
    pub last_seq: u32,
}

/// A history row with the id of its first event and the ids that its events refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedRow {
    /// Id of the first event in the body.
    pub first_id: u64,
    /// The branch.
    pub branch: BranchPath,
    /// Its transition.
    pub seq: u32,
    /// How many events.
    pub events: u16,
    /// The events, and the value after them.
    pub body: Bytes,
}

/// A page of a list: items, and the place to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end. Opaque.
    pub next: Option<String>,
}

/// Which executions to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Of this machine.
    pub machine: MachineId,
    /// Started in which way.
    pub started_by: StartedBy,
    /// Only with this status.
    pub status: Option<ExecutionStatus>,
}

/// Which of a machine's executions to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartedBy {
    /// All.
    Any,
    /// Those that run this version because they were started by it, or by an alias that led to it.
    Version(u32),
    /// Those started by this alias.
    Alias(String),
}

/// What became of making a machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Created<T> {
    /// It is new.
    New,
    /// The name is taken by this one.
    Exists(T),
}

/// What became of a change of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// It is made.
    Done,
    /// Another change was made meanwhile: read again.
    Overtaken,
    /// The machine is gone.
    Gone,
}

/// Reads and keeps what the API shows.
#[async_trait]
pub trait Catalog: Versions + Tags {
    /// Makes a machine with its first revision and its tags, unless the name is taken. Atomic.
    async fn create_machine(&self, machine: Machine, tags: Vec<Tag>) -> Result<Created<Machine>, Error>;
    /// Makes a revision the current one in the place of the one that it was made from. Atomic.
    async fn update_machine(
        &self,
        machine: MachineId,
        from: RevisionId,
        revision: Revision,
    ) -> Result<Updated, Error>;
    /// Removes a machine with its versions, aliases and tags; its executions and their revisions stay. False if it is gone.
    async fn delete_machine(&self, machine: MachineId) -> Result<bool, Error>;
    /// The machine with this name.
    async fn machine(&self, name: &str) -> Result<Option<Machine>, Error>;
    /// A revision.
    async fn revision(&self, id: RevisionId) -> Result<Option<Revision>, Error>;
    /// How many machines there are.
    async fn count_machines(&self) -> Result<u64, Error>;
    /// Machines in the order they were made.
    async fn machines(&self, limit: u32, from: Option<&str>) -> Result<Page<Machine>, Error>;

    /// Makes an activity with its tags, unless it exists; answers the one that is there. Atomic.
    async fn create_activity(&self, activity: Activity, tags: Vec<Tag>) -> Result<Activity, Error>;
    /// Removes an activity with its tags. False if it is gone.
    async fn delete_activity(&self, name: &str) -> Result<bool, Error>;
    /// The activity with this name.
    async fn activity(&self, name: &str) -> Result<Option<Activity>, Error>;
    /// How many activities there are.
    async fn count_activities(&self) -> Result<u64, Error>;
    /// Activities in the order they were made.
    async fn activities(&self, limit: u32, from: Option<&str>) -> Result<Page<Activity>, Error>;

    /// The execution of a machine (by its name) with this name.
    async fn execution(&self, machine_name: &str, name: &str) -> Result<Option<Execution>, Error>;
    /// The execution with this id.
    async fn execution_by_id(&self, id: ExecutionId) -> Result<Option<Execution>, Error>;
    /// Those of these executions that are not closed, in any order.
    async fn still_running(&self, ids: &[ExecutionId]) -> Result<Vec<ExecutionId>, Error>;
    /// Its input and how it ended.
    async fn ends(&self, id: ExecutionId) -> Result<Option<Ends>, Error>;
    /// Executions with their input and how they ended, in the order asked; `None` where there is no such one.
    async fn executions_with_ends(&self, ids: &[ExecutionId]) -> Result<Vec<Option<WithEnds>>, Error>;
    /// Executions, those that were started or redriven last first. Stable while new ones start.
    async fn executions(
        &self,
        filter: &ExecutionFilter,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Execution>, Error>;
    /// Running executions, over all machines.
    async fn running(&self) -> Result<u64, Error>;

    /// History rows that hold the events with ids `from..from + limit` (forwards), or `from` and before
    /// (`reverse`), in that order. The first and last row may hold more than was asked. An id is given once and
    /// for all: while an execution runs, events are shown, counted and numbered once nothing can come before
    /// them any more, which may be a moment after their commit.
    async fn history(
        &self,
        id: ExecutionId,
        from: u64,
        limit: u32,
        reverse: bool,
    ) -> Result<Vec<NumberedRow>, Error>;
    /// How many events it has recorded.
    async fn history_events(&self, id: ExecutionId) -> Result<u64, Error>;
    /// The ids of events, in the order asked; `None` for one that is not recorded.
    async fn event_ids(&self, id: ExecutionId, events: &[EventRef]) -> Result<Vec<Option<u64>>, Error>;
}
