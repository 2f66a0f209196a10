//! What runs: the transition loop, its timers, its callers.
//!
//! [`Core`] is what they share. A service is named by its role and knows only the ports. Where one waits for
//! several things, it looks at them in a fixed order (`biased`), so that a simulation can be repeated.
//!
//! ```text
//!   executions · callbacks        scheduler          task_runner
//!     (for callers)                 │ timers            ▲   │
//!        │ start, stop, answer      ▼                   │   ▼
//!        ├──▶ store ◀──────── executor ──requests──▶ tasks.* · activities.*
//!        └──▶ broker ────────▶  (Standard)  ◀──results──
//!             broker ────────▶  express  (no store)
//! ```

use std::sync::Arc;

use asl::limits::Limits;
use asl::program::Resource;
use connectors::Connector;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use crate::arn::Home;
use crate::ids::ExecutionId;
use crate::ports::broker::{Broker, Prefix, Queue};
use crate::ports::catalog::Catalog;
use crate::ports::clock::Clock;
use crate::ports::store::Store;
use crate::ports::triggers::Triggers;

pub mod advance;
pub mod bus;
pub mod callbacks;
pub mod child_executions;
pub mod computing;
pub mod counted;
pub mod door;
pub mod executions;
pub mod executor;
pub mod express;
pub mod forks;
pub mod functions;
pub mod fused;
pub mod gauges;
pub mod headers;
pub mod late_core;
pub mod messaging;
pub mod metered;
pub mod moves;
pub mod observed;
pub mod onlookers;
pub mod outages;
pub mod poison;
pub mod pollers;
pub mod programs;
pub mod publishing;
pub mod queues;
pub mod reading;
pub mod redrivable;
pub mod redrive;
pub mod republish;
pub mod scheduler;
pub mod shards;
pub mod status_events;
pub mod sweeper;
pub mod task_runner;
pub mod throttle;
pub mod tokens;
pub mod transitions;
pub mod triggers;
pub mod watermarks;

use counted::Counted;
use door::Door;
use headers::Headers;
use onlookers::Onlookers;
use outages::Outages;
use pollers::Pollers;
use programs::Programs;
use scheduler::NearTimer;
use shards::Shards;
use throttle::Throttle;
use tokens::Tokens;
use watermarks::Watermarks;

/// What all services of an engine share.
pub struct Core {
    /// Standard executions.
    pub store: Arc<dyn Store>,
    /// What the API lists and describes.
    pub catalog: Arc<dyn Catalog>,
    /// What starts executions by itself.
    pub triggers: Arc<dyn Triggers>,
    /// Messages.
    pub broker: Arc<dyn Broker>,
    /// The deployment's clock.
    pub clock: Arc<dyn Clock>,
    /// Region and account.
    pub home: Home,
    /// What the names of our own queues and exchanges begin with.
    pub prefix: Prefix,
    /// Quotas.
    pub limits: Limits,
    /// Bounds of the door.
    pub admission: Admission,
    /// Bounds of what is kept.
    pub quotas: Quotas,
    /// How many requests are taken.
    pub throttle: Throttle,
    /// Workers that wait for tasks here.
    pub pollers: Pollers,
    /// What is told to those who listen.
    pub announces: Announces,
    /// Those who look on through this process.
    pub onlookers: Onlookers,
    /// Machines that executions are started of.
    pub door: Door,
    /// Open Standard executions.
    pub open_executions: Counted,
    /// Transitions of Express executions that wait for an engine.
    pub express_waiting: Counted,
    /// Whether queues and topics of others that tasks send to are made where they are missing.
    pub declares_queues: bool,
    /// What Task states can call, activities aside.
    pub connectors: Vec<Arc<dyn Connector>>,
    /// Compiled definitions.
    pub programs: Programs,
    /// Headers of executions.
    pub headers: Headers,
    /// Task tokens.
    pub tokens: Tokens,
    /// The width of the families of queues.
    pub shards: Shards,
    /// Names this engine instance: its reply queue.
    pub engine: String,
    /// Tells the scheduler of timers that fire soon.
    pub near_timers: mpsc::UnboundedSender<NearTimer>,
    /// Tells the task runner what nobody waits for any more. Best effort.
    pub cancelled: broadcast::Sender<Cancelled>,
    /// Tells who waits for the end of an execution. Best effort.
    pub closed: broadcast::Sender<ExecutionId>,
    /// Cancelled when this engine begins to stop.
    pub stopping: CancellationToken,
    /// Cancelled when what is still at hand then is cut off.
    pub cut_off: CancellationToken,
    /// What is away.
    pub outages: Outages,
    /// How far the queues of Standard transitions are worked.
    pub watermarks: Watermarks,
    /// Calls and children of Express executions that this engine waits for.
    pub replies: express::Replies,
    /// Forks of Express executions that are over before all their children are.
    pub ended_forks: express::EndedForks,
    /// What this engine holds of Express executions.
    pub held_bytes: express::HeldBytes,
    /// Reply queues of other engines that were there just now.
    pub reply_queues: express::ReplyQueues,
}

/// What the door lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Open Standard executions; AWS allows a million.
    pub open_executions_max: u64,
    /// Transitions of Express executions that wait for an engine.
    pub express_waiting_max: u64,
}

/// What can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// Versions of a state machine; AWS allows a thousand.
    pub versions_max: u32,
    /// Aliases of a state machine; AWS allows a hundred.
    pub aliases_max: u32,
    /// Tags of a state machine or an activity; AWS allows fifty.
    pub tags_max: u32,
    /// State machines; AWS allows a hundred thousand.
    pub state_machines_max: u32,
    /// Activities; AWS allows a hundred thousand.
    pub activities_max: u32,
    /// Workers that wait for tasks of one activity, in each process; AWS allows a thousand.
    pub activity_workers_max: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Quotas {
            versions_max: 1_000,
            aliases_max: 100,
            tags_max: 50,
            state_machines_max: 100_000,
            activities_max: 100_000,
            activity_workers_max: 1_000,
        }
    }
}

/// What is told to those who listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announces {
    /// Each change of the status of a Standard execution, at least once.
    pub status_changes: bool,
    /// Each transition, as it may be seen in passing.
    pub transitions: bool,
}

/// Work that nobody waits for any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// Task ids beginning so: one task, all of a branch and below, or all of an execution.
    pub prefix: String,
}

/// Something outside is away: the caller may try again.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::ports::store::Error),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] crate::ports::broker::Error),
    /// A definition that was accepted cannot be run.
    #[error("{0}")]
    Definition(String),
}

impl From<programs::Error> for Unavailable {
    fn from(error: programs::Error) -> Self {
        match error {
            programs::Error::Store(error) => Unavailable::Store(error),
            programs::Error::Unusable(text) => Unavailable::Definition(text),
        }
    }
}

impl Core {
    /// The queue that serves a resource; `None` if nothing does.
    pub fn queue_for(&self, resource: &Resource) -> Option<Queue> {
        if let Resource::Activity { arn } = resource {
            return Some(Queue::activity(activity_name(arn)));
        }
        let connector = self.connectors.iter().find(|connector| connector.claims(resource))?;
        Some(Queue::tasks(connector.name()))
    }

    /// Tells the task runner that nobody waits for any task of this execution.
    pub fn cancel_calls_of(&self, execution: ExecutionId) {
        self.cancel(format!("{execution}/"));
    }

    /// Tells the task runner that nobody waits for these tasks any more.
    pub fn cancel(&self, prefix: String) {
        // No receiver means that nothing runs here.
        let _ = self.cancelled.send(Cancelled { prefix });
    }
}

/// The name in an activity's ARN.
pub fn activity_name(arn: &str) -> &str {
    arn.rsplit_once(":activity:").map_or(arn, |(_, name)| name)
}
