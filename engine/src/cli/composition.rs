//! How `dev` and `serve` are put together: a core from its parts, the services of a role, and how all of it
//! is stopped.
//!
//! ```text
//!   Parts (adapters, keys) ─▶ assemble ─▶ Core ─▶ services(roles) ─▶ supervision ─▶ stop, in order
//! ```

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use asl::limits::Limits;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::api::throttling;
use crate::config::{Config, Role, Roles, Throttling};
use crate::metrics;
use crate::ports::broker::{self, Broker, Family, Prefix, Queue};
use crate::ports::catalog::Catalog;
use crate::ports::clock::Clock;
use crate::ports::store::Store;
use crate::ports::triggers::Triggers;
use crate::services::counted::Counted;
use crate::services::door::Door;
use crate::services::headers::Headers;
use crate::services::late_core::LateCore;
use crate::services::metered::{metered_broker, metered_store};
use crate::services::onlookers::Onlookers;
use crate::services::outages::Outages;
use crate::services::pollers::Pollers;
use crate::services::programs::Programs;
use crate::services::scheduler::NearTimer;
use crate::services::shards::Shards;
use crate::services::throttle::Throttle;
use crate::services::tokens::Tokens;
use crate::services::watermarks::Watermarks;
use crate::services::{
    Admission, Announces, Core, Quotas, executor, express, gauges, poison, scheduler, sweeper, task_runner,
    triggers,
};
use supervision::{Service, Standing};

pub mod connections;

mod connectors;

pub mod http;

pub mod measuring;

pub mod supervision;

pub mod trigger_files;

/// Messages to services that are kept for one that is slow; older ones are dropped, as they are hints.
const HINTS_MAX: usize = 4_096;
/// Transitions of Express executions that may wait for an engine before starts are refused.
const EXPRESS_WAITING_MAX: u64 = 100_000;
/// States that one transition may run through where states are fused.
const FUSED_STATES_MAX: u32 = 100;
/// How long what was cut off has to give back what it holds.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(1);

/// What a core is made of.
pub struct Parts {
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
    /// Signs task tokens.
    pub token_key: [u8; 32],
    /// The width of the families of queues.
    pub queues: u16,
    /// Whether transitions are shown unless the configuration says otherwise.
    pub shows_transitions: bool,
}

/// The timers that the scheduler of this process keeps in memory.
pub type Timers = mpsc::UnboundedReceiver<NearTimer>;

/// A core, and its timers. They are nobody's where no scheduler runs: their rows are found by another one.
pub fn assemble(
    config: &Config,
    parts: Parts,
    stopping: CancellationToken,
) -> std::io::Result<(Arc<Core>, Timers)> {
    let (near_timers, timers) = mpsc::unbounded_channel();
    let late = Arc::new(LateCore::default());
    let connectors = connectors::all(config, &late)?;
    let core = Arc::new(Core {
        store: metered_store(parts.store),
        catalog: parts.catalog,
        triggers: parts.triggers,
        broker: metered_broker(parts.broker),
        clock: parts.clock,
        home: config.home(),
        prefix: Prefix::new(config.broker.prefix.clone()),
        limits: Limits {
            fused_states_max: if config.engine.fuse { FUSED_STATES_MAX } else { 1 },
            ..config.limits.of_language()
        },
        admission: Admission {
            open_executions_max: config.limits.open_executions_max.get(),
            express_waiting_max: EXPRESS_WAITING_MAX,
        },
        quotas: Quotas {
            versions_max: config.limits.versions_max.get(),
            aliases_max: config.limits.aliases_max.get(),
            tags_max: config.limits.tags_max.get(),
            state_machines_max: config.limits.state_machines_max.get(),
            activities_max: config.limits.activities_max.get(),
            activity_workers_max: config.limits.activity_workers_max.get(),
        },
        throttle: throttle(&config.throttling)?,
        pollers: Pollers::default(),
        announces: Announces {
            status_changes: config.events.status_changes,
            transitions: config.events.transitions.unwrap_or(parts.shows_transitions),
        },
        onlookers: Onlookers::default(),
        door: Door::default(),
        open_executions: Counted::default(),
        express_waiting: Counted::default(),
        declares_queues: config.broker.declare_queues,
        connectors,
        programs: Programs::default(),
        headers: Headers::default(),
        tokens: Tokens::new(parts.token_key),
        shards: Shards::new(parts.queues),
        engine: Uuid::new_v4().simple().to_string(),
        near_timers,
        cancelled: broadcast::channel(HINTS_MAX).0,
        closed: broadcast::channel(HINTS_MAX).0,
        stopping,
        replies: express::Replies::default(),
        ended_forks: express::EndedForks::default(),
        reply_queues: express::ReplyQueues::default(),
        held_bytes: express::HeldBytes::default(),
        cut_off: CancellationToken::new(),
        outages: Outages::default(),
        watermarks: Watermarks::default(),
    });
    late.attach(&core);
    Ok((core, timers))
}

fn throttle(config: &Throttling) -> std::io::Result<Throttle> {
    let given = config.requests.iter().map(|requests| (requests.action.clone(), requests.bucket));
    let buckets = throttling::buckets(config.aws_quotas, &given.collect::<Vec<_>>());
    let invalid = |problem| std::io::Error::new(std::io::ErrorKind::InvalidInput, problem);
    Ok(Throttle::new(buckets.map_err(invalid)?))
}

/// Makes sure that all queues exist that anybody publishes to, whoever consumes from them.
pub async fn declare(core: &Core) -> Result<(), broker::Error> {
    let mut queues: Vec<Queue> =
        Family::ALL.into_iter().flat_map(|family| core.shards.queues(family)).collect();
    queues.extend([Queue::reply(&core.engine), Queue::poison()]);
    queues.extend(core.connectors.iter().map(|connector| Queue::tasks(connector.name())));
    core.broker.declare(&queues).await
}

/// 32 random bytes, for a key that nobody has given.
pub fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    key
}

/// What runs in this process, until it is stopped in order.
pub struct Work {
    /// No new requests, no new deliveries.
    stop: CancellationToken,
    /// Cancelled when nothing is held any more: what is held may wait for branches, which move until then.
    stop_branches: CancellationToken,
    /// Cancelled when those that wait for answers are through: answers are passed on until then.
    stop_replies: CancellationToken,
    /// Whatever may wait for answers.
    tasks: TaskTracker,
    branches: TaskTracker,
    replies: TaskTracker,
    /// The core's, once there is one.
    cut_off: OnceLock<CancellationToken>,
    /// Which services are down.
    pub standing: Arc<Standing>,
}

impl Work {
    /// Nothing yet. It is told to stop by `stop`.
    pub fn new(stop: CancellationToken) -> Self {
        Work {
            stop,
            stop_branches: CancellationToken::new(),
            stop_replies: CancellationToken::new(),
            tasks: TaskTracker::new(),
            branches: TaskTracker::new(),
            cut_off: OnceLock::new(),
            replies: TaskTracker::new(),
            standing: Arc::default(),
        }
    }

    /// Adds something that ends by itself soon after the stop.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Starts the services of these roles.
    pub fn begin(&self, core: &Arc<Core>, roles: &Roles, timers: Timers) {
        // A second core would be a mistake of the composition; the first one stays.
        let _ = self.cut_off.set(core.cut_off.clone());
        let keep = |service, stop: &CancellationToken| {
            supervision::keep(service, core.clone(), self.standing.clone(), stop.clone())
        };
        for service in services(core, roles) {
            self.tasks.spawn(keep(service, &self.stop));
        }
        for service in branches(core, roles) {
            self.branches.spawn(keep(service, &self.stop_branches));
        }
        // Calls and children of Express executions, and synchronous executions of the API.
        let replies = replies(core);
        let kept = supervision::keep(replies, core.clone(), self.standing.clone(), self.stop_replies.clone());
        self.replies.spawn(kept);
        if roles.has(Role::Engine) {
            self.tasks.spawn(scheduler::run(core.clone(), timers, self.stop.clone()));
            self.tasks.spawn(sweeper::run(core.clone(), self.stop.clone()));
            if metrics::are_on() {
                self.tasks.spawn(gauges::run(core.clone(), self.stop.clone()));
            }
        }
        if roles.has(Role::Triggers) {
            self.tasks.spawn(triggers::run(core.clone(), self.stop.clone()));
        }
    }

    /// Stops in order: no new requests and deliveries, then what is at hand, then the branches and answers
    /// that it waits for. Answers whether all of it was through in time; what was not goes back.
    pub async fn stop(&self, within: Duration) -> bool {
        self.stop.cancel();
        let deadline = Instant::now() + within;
        for tracker in [&self.tasks, &self.branches, &self.replies] {
            tracker.close();
        }
        let through = timeout_at(deadline, self.through()).await.is_ok();
        if !through {
            if let Some(cut_off) = self.cut_off.get() {
                cut_off.cancel();
            }
            // It ends soon, or with the process.
            let _ = timeout(GIVE_BACK_WITHIN, self.through()).await;
        }
        through
    }

    async fn through(&self) {
        self.tasks.wait().await;
        self.stop_branches.cancel();
        self.branches.wait().await;
        self.stop_replies.cancel();
        self.replies.wait().await;
    }
}

/// The services of these roles that take messages, those of branches and replies apart.
fn services(core: &Arc<Core>, roles: &Roles) -> Vec<Service> {
    let mut services = Vec::new();
    if roles.has(Role::Engine) {
        for family in [Family::Standard, Family::Results, Family::Calls] {
            services.extend(core.shards.queues(family).map(|queue| mover(core, family, queue)));
        }
        let poisoned = core.clone();
        services.push(Service::new(Queue::poison(), move |stop| poison::run(poisoned.clone(), stop).boxed()));
    }
    if roles.has(Role::Connectors) {
        services.extend(core.connectors.iter().map(|connector| {
            let (core, connector) = (core.clone(), connector.clone());
            Service::new(Queue::tasks(connector.name()), move |stop| {
                task_runner::run(core.clone(), connector.clone(), stop).boxed()
            })
        }));
    }
    services
}

/// The services that move branches of Express executions on.
fn branches(core: &Arc<Core>, roles: &Roles) -> Vec<Service> {
    let families = if roles.has(Role::Engine) { vec![Family::Express, Family::Inner] } else { Vec::new() };
    let queues = |family| core.shards.queues(family).map(move |queue| mover(core, family, queue));
    families.into_iter().flat_map(queues).collect()
}

/// The service that moves executions on by the messages of one queue.
fn mover(core: &Arc<Core>, family: Family, queue: Queue) -> Service {
    type Ran = BoxFuture<'static, Result<(), broker::Error>>;
    let (core, consumed) = (core.clone(), queue.clone());
    Service::new(queue, move |stop| -> Ran {
        let (core, queue) = (core.clone(), consumed.clone());
        match family {
            Family::Standard | Family::Results => executor::run(core, queue, stop).boxed(),
            Family::Express | Family::Calls | Family::Inner => {
                express::run(core, family, queue, stop).boxed()
            }
        }
    })
}

fn replies(core: &Arc<Core>) -> Service {
    let reply = core.clone();
    Service::new(Queue::reply(&core.engine), move |stop| express::run_replies(reply.clone(), stop).boxed())
}
