//! A deployment: one store, one broker, some engines, and those who use it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asl::branch::Answer;
use asl::definition::WorkflowType;
use asl::limits::Limits;
use engine::adapters::in_process::InProcess;
use engine::arn::Home;
use engine::cli::replay::recording::What;
use engine::ids::{MachineId, RevisionId};
use engine::ports::broker::{self, Broker, Family, Prefix, Queue};
use engine::ports::catalog::{Activity, Machine, Revision};
use engine::ports::clock::Clock;
use engine::services::callbacks::TaskError;
use engine::services::counted::Counted;
use engine::services::door::Door;
use engine::services::headers::Headers;
use engine::services::onlookers::Onlookers;
use engine::services::outages::Outages;
use engine::services::pollers::Pollers;
use engine::services::programs::Programs;
use engine::services::shards::Shards;
use engine::services::throttle::Throttle;
use engine::services::tokens::Tokens;
use engine::services::watermarks::Watermarks;
use engine::services::{Admission, Announces, Core, Quotas, executor, express, scheduler, task_runner};
use serde_json::json;
use tokio::sync::{broadcast, mpsc};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::broker::{FaultyBroker, Placement};
use super::clock::SimulatedClock;
use super::connector::{FakeConnector, Ledger};
use super::fate::Fate;
use super::journal::Journal;
use super::listener::Listener;
use super::node::Node;
use super::store::{Backing, Database, FaultyStore};
use super::workflow::{Kind, Workflow};

/// The activity that tasks may name.
pub const ACTIVITY: &str = "work";
/// Engines that run at a time.
const ENGINES: usize = 2;
/// A caller gives a call up after this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a world is made from.
pub struct Plan {
    pub fate: Fate,
    pub backing: Backing,
    pub history_events_max: u64,
    /// States that one transition may run through; drawn if it is not given.
    pub fused_states_max: Option<u32>,
    pub journal: Arc<Journal>,
}

impl Plan {
    /// A world in memory that nobody takes notes of.
    pub fn of(fate: Fate) -> Self {
        Plan {
            fate,
            backing: Backing::Memory,
            history_events_max: 25_000,
            fused_states_max: None,
            journal: Journal::closed(),
        }
    }
}

pub struct World {
    pub fate: Arc<Fate>,
    pub clock: Arc<SimulatedClock>,
    pub database: Database,
    pub ledger: Arc<Ledger>,
    pub listener: Arc<Listener>,
    journal: Arc<Journal>,
    broker: Mutex<Arc<dyn Broker>>,
    placement: Arc<Placement>,
    engines: Mutex<Vec<Engine>>,
    /// How many engines there have been.
    engines_begun: AtomicU32,
    history_events_max: u64,
    /// States that one transition may run through.
    fused_states_max: u32,
    shows_transitions: bool,
    lost_engines: AtomicU32,
    blackouts: AtomicU32,
}

struct Engine {
    core: Arc<Core>,
    node: Arc<Node>,
    services: Vec<AbortHandle>,
}

impl Engine {
    fn kill(&self) {
        self.node.kill();
        self.services.iter().for_each(AbortHandle::abort);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// With its engines; nobody answers tasks by token or polls for activities yet.
    pub async fn new(plan: Plan) -> Arc<Self> {
        let Plan { fate, backing, history_events_max, fused_states_max, journal } = plan;
        let clock = Arc::new(SimulatedClock::new());
        let database = Database::new(backing, history_events_max, clock.clone());
        let activity = Activity { name: ACTIVITY.to_owned(), created_at: clock.now() };
        database.ask(|db| async move { db.create_activity(activity, Vec::new()).await }).unwrap();
        let drawn = if fate.draw(|lottery| lottery.one_in(3)) { 20 } else { 1 };
        let fused_states_max = fused_states_max.unwrap_or(drawn);
        let width = if fate.draw(|lottery| lottery.one_in(3)) { 2 } else { 1 };
        let world = Arc::new(World {
            fused_states_max,
            shows_transitions: fate.draw(|lottery| lottery.one_in(8)),
            fate: Arc::new(fate),
            ledger: Ledger::new(clock.clone()),
            clock,
            listener: Arc::new(Listener::new(database.clone())),
            database,
            journal,
            broker: Mutex::new(Arc::new(InProcess::new())),
            placement: Arc::new(Placement::new(width)),
            engines: Mutex::default(),
            engines_begun: AtomicU32::new(0),
            history_events_max,
            lost_engines: AtomicU32::new(0),
            blackouts: AtomicU32::new(0),
        });
        world.new_broker().await;
        for _ in 0..ENGINES {
            world.start_engine().await;
        }
        let replaces = world.clone();
        tokio::spawn(async move { replaces.replace_the_dead().await });
        world
    }

    /// Brings in those who answer tasks.
    pub fn employ(self: &Arc<Self>) {
        for worker in [0, 1] {
            tokio::spawn(self.clone().work_activities(worker));
            tokio::spawn(self.clone().answer_tokens());
        }
    }

    /// Whether an engine has died in this run.
    pub fn lost_engines(&self) -> bool {
        self.lost_engines.load(Ordering::Relaxed) > 0
    }

    /// Whether a broker was lost in this run, with all that was in it.
    pub fn blacked_out(&self) -> bool {
        self.blackouts.load(Ordering::Relaxed) > 0
    }

    /// All queues of a family.
    fn queues(&self, family: Family) -> impl Iterator<Item = Queue> + use<> {
        (0..self.placement.width()).map(move |shard| Queue::of(family, shard))
    }

    async fn new_broker(&self) {
        let fresh: Arc<dyn Broker> = Arc::new(InProcess::new());
        let queues: Vec<Queue> = Family::ALL.into_iter().flat_map(|family| self.queues(family)).collect();
        fresh.declare(&queues).await.unwrap();
        fresh.declare(&[Queue::tasks("fake"), Queue::activity(ACTIVITY)]).await.unwrap();
        *lock(&self.broker) = fresh;
    }

    /// Any engine, dead ones that nobody has noticed included.
    pub fn engine(&self) -> Arc<Core> {
        let engines = lock(&self.engines);
        let index = self.fate.draw(|lottery| lottery.index(engines.len()));
        engines[index].core.clone()
    }

    async fn start_engine(&self) -> Arc<Core> {
        let number = self.engines_begun.fetch_add(1, Ordering::Relaxed);
        let name = format!("engine-{number}");
        let node = Node::new(name, self.fate.clone(), self.clock.clone(), self.journal.clone());
        let (near_timers, timers) = mpsc::unbounded_channel();
        let core = self.core(&node, near_timers);
        let broker = lock(&self.broker).clone();
        broker.declare(&[Queue::reply(&core.engine)]).await.unwrap();
        let mut services = Vec::new();
        for queue in self.queues(Family::Standard).chain(self.queues(Family::Results)) {
            let (core, stop) = (core.clone(), core.stopping.clone());
            services.push(keep(move || executor::run(core.clone(), queue.clone(), stop.clone())));
        }
        for family in [Family::Express, Family::Calls, Family::Inner] {
            for queue in self.queues(family) {
                let (core, stop) = (core.clone(), core.stopping.clone());
                services.push(keep(move || express::run(core.clone(), family, queue.clone(), stop.clone())));
            }
        }
        let (replies, tasks, stop) = (core.clone(), core.clone(), core.stopping.clone());
        services.push(keep(move || express::run_replies(replies.clone(), replies.stopping.clone())));
        services.push(keep(move || {
            task_runner::run(tasks.clone(), tasks.connectors[0].clone(), tasks.stopping.clone())
        }));
        services.push(tokio::spawn(scheduler::run(core.clone(), timers, stop)).abort_handle());
        lock(&self.engines).push(Engine { core: core.clone(), node, services });
        core
    }

    fn core(&self, node: &Arc<Node>, near_timers: mpsc::UnboundedSender<scheduler::NearTimer>) -> Arc<Core> {
        let (node, ledger) = (node.clone(), self.ledger.clone());
        let database = self.database.clone();
        let store = Arc::new(FaultyStore { database, node: node.clone(), ledger: ledger.clone() });
        let inner = lock(&self.broker).clone();
        Arc::new(Core {
            store: store.clone(),
            catalog: store,
            triggers: self.database.triggers(),
            declares_queues: false,
            broker: Arc::new(FaultyBroker {
                inner,
                node: node.clone(),
                ledger: ledger.clone(),
                placement: self.placement.clone(),
                listener: self.listener.clone(),
            }),
            clock: self.clock.clone(),
            home: Home::default(),
            prefix: Prefix::new("warren."),
            limits: Limits {
                history_events_max: self.history_events_max,
                fused_states_max: self.fused_states_max,
                ..Limits::default()
            },
            quotas: Quotas::default(),
            throttle: Throttle::default(),
            pollers: Pollers::default(),
            admission: Admission { open_executions_max: 1_000, express_waiting_max: 10_000 },
            announces: Announces { status_changes: true, transitions: self.shows_transitions },
            connectors: vec![Arc::new(FakeConnector { node, ledger })],
            programs: Programs::default(),
            headers: Headers::default(),
            tokens: Tokens::new([7; 32]),
            engine: self.fate.draw(|lottery| lottery.below(u64::MAX)).to_string(),
            shards: Shards::new(self.placement.width()),
            near_timers,
            cancelled: broadcast::channel(64).0,
            closed: broadcast::channel(64).0,
            stopping: CancellationToken::new(),
            door: Door::default(),
            onlookers: Onlookers::default(),
            open_executions: Counted::default(),
            express_waiting: Counted::default(),
            ended_forks: engine::services::express::EndedForks::default(),
            reply_queues: express::ReplyQueues::default(),
            held_bytes: express::HeldBytes::default(),
            cut_off: CancellationToken::new(),
            outages: Outages::default(),
            watermarks: Watermarks::default(),
            replies: express::Replies::default(),
        })
    }

    async fn replace_the_dead(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let Some(dead) = self.a_dead_one() else { continue };
            self.lost_engines.fetch_add(1, Ordering::Relaxed);
            if self.fate.strikes(|rates| rates.blackout) {
                self.blackouts.fetch_add(1, Ordering::Relaxed);
                self.black_out().await;
                continue;
            }
            self.replace(dead).await;
        }
    }

    /// Everything dies but the store; then all begins again.
    async fn black_out(&self) {
        self.journal.note(&self.clock, "", || What::Crashed);
        let dead = lock(&self.engines).len();
        lock(&self.engines).iter().for_each(Engine::kill);
        tokio::time::sleep(self.fate.milliseconds(3_000)).await;
        self.new_broker().await;
        for _ in 0..ENGINES {
            self.start_engine().await;
        }
        drop(lock(&self.engines).drain(..dead));
        // As at the start of a process: again until it works, and by others if these die meanwhile.
        loop {
            let core = self.engine();
            match tokio::time::timeout(PATIENCE, core.recover()).await {
                Ok(Ok(_)) => return,
                Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
            if let Some(dead) = self.a_dead_one() {
                self.replace(dead).await;
            }
        }
    }

    fn a_dead_one(&self) -> Option<usize> {
        lock(&self.engines).iter().position(|engine| engine.node.death.is_cancelled())
    }

    async fn replace(&self, dead: usize) {
        lock(&self.engines)[dead].kill();
        tokio::time::sleep(self.fate.milliseconds(3_000)).await;
        self.start_engine().await;
        drop(lock(&self.engines).swap_remove(dead));
    }

    async fn answer_tokens(self: Arc<Self>) {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            while let Some(token) = self.ledger.take_token() {
                // Several that know the token: only one may win.
                for _ in 0..=self.fate.draw(|lottery| lottery.below(2)) {
                    let (world, token) = (self.clone(), token.clone());
                    tokio::spawn(async move { world.answer(&token).await });
                }
            }
        }
    }

    async fn answer(&self, token: &str) {
        tokio::time::sleep(self.fate.milliseconds(1_500)).await;
        loop {
            let core = self.engine();
            if self.fate.draw(|lottery| lottery.one_in(4)) {
                let _ = tokio::time::timeout(PATIENCE, core.heartbeat(token)).await;
            }
            let answer = Answer::Succeeded(json!({ "answered": true }));
            match tokio::time::timeout(PATIENCE, core.complete_task(token, answer)).await {
                Ok(Ok(())) | Ok(Err(TaskError::TimedOut)) => return,
                Ok(Err(TaskError::InvalidToken)) => panic!("a token is not valid"),
                Ok(Err(TaskError::Unavailable(_))) | Err(_) => {
                    tokio::time::sleep(self.fate.milliseconds(500)).await;
                }
            }
        }
    }

    async fn work_activities(self: Arc<Self>, worker: u32) {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let core = self.engine();
            let poll = core.take_activity_task(ACTIVITY, Some(worker.to_string()), Duration::from_secs(5));
            let Ok(Ok(Some(task))) = tokio::time::timeout(PATIENCE, poll).await else { continue };
            if self.fate.draw(|lottery| lottery.one_in(5)) {
                // The response is lost.
                continue;
            }
            if tokio::time::timeout(PATIENCE, task.hand_over.delivered()).await.is_ok() {
                self.answer(&task.token).await;
            }
        }
    }

    /// A machine for a workflow, stored without trouble.
    pub fn machine(&self, name: &str, kind: Kind, workflow: &Workflow) -> Machine {
        let created_at = self.clock.now();
        let machine = Machine {
            id: MachineId::new(),
            name: name.to_owned(),
            workflow_type: match kind {
                Kind::Standard => WorkflowType::Standard,
                Kind::Express => WorkflowType::Express,
            },
            created_at,
            revision: Revision {
                id: RevisionId::new(),
                initial: true,
                definition: workflow.definition.to_string(),
                role_arn: "arn:aws:iam::000000000000:role/simulated".to_owned(),
                settings: "{}".to_owned(),
                created_at,
            },
        };
        let made = machine.clone();
        self.database.ask(|db| async move { db.create_machine(made, Vec::new()).await }).unwrap();
        machine
    }
}

/// Begins a service again whose consumer was cancelled.
fn keep<F, S>(mut service: F) -> AbortHandle
where
    F: FnMut() -> S + Send + 'static,
    S: Future<Output = Result<(), broker::Error>> + Send,
{
    tokio::spawn(async move {
        while service().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .abort_handle()
}
