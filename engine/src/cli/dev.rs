//! `warren dev`: API and engine in one process, on the embedded adapters.
//!
//! The broker is in this process and forgets with it; what must survive is in SQLite. So a start publishes
//! again what was in flight ([`Core::recover`]), and Express executions that were running are gone.

use std::fs::{File, TryLockError};
use std::future::IntoFuture;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use connectors::Connector;
use connectors::lambda::LambdaConnector;
use connectors::states::StatesConnector;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::output::Output;
use super::{DevArgs, Error, Exit};
use crate::adapters::in_process::InProcess;
use crate::adapters::sqlite::{Location, SqliteStore};
use crate::adapters::system_clock::SystemClock;
use crate::config::Config;
use crate::ports::broker::{self, Family, Queue};
use crate::services::child_executions::ChildExecutions;
use crate::services::counted::Counted;
use crate::services::headers::Headers;
use crate::services::outages::Outages;
use crate::services::programs::Programs;
use crate::services::scheduler::NearTimer;
use crate::services::shards::Shards;
use crate::services::tokens::Tokens;
use crate::services::watermarks::Watermarks;
use crate::services::{Admission, Core, executor, express, scheduler, task_runner};

/// Messages to services that are kept for one that is slow; older ones are dropped, as they are hints.
const HINTS_MAX: usize = 4_096;
/// Transitions of Express executions that may wait for an engine before starts are refused.
const EXPRESS_WAITING_MAX: u64 = 100_000;
/// How long a stop waits for work at hand, and for clients that still read.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A server in this process.
pub struct Running {
    /// Where it answers: `http://127.0.0.1:8083`.
    pub endpoint: String,
    stop: CancellationToken,
    services: TaskTracker,
    /// Held while the data directory is ours.
    _lock: Option<File>,
}

/// Serves until told to stop.
pub async fn run(config: Config, args: DevArgs) -> Result<Exit, Error> {
    let config = args.over(config);
    let kept = match &config.data.directory {
        Some(directory) => format!("in {}", directory.display()),
        None => "in memory, gone with this process (keep it with --data DIR)".to_owned(),
    };
    let (region, account) = (config.aws.region.clone(), config.aws.account.clone());
    let running = start(config).await?;
    let endpoint = &running.endpoint;
    let mut told = Output::stderr();
    told.line(format_args!("Warren serves the AWS Step Functions API on {endpoint}"));
    told.line(format_args!("  region {region}, account {account}; any credentials are accepted"));
    told.line(format_args!("  data {kept}"));
    told.line(format_args!(
        "  try: aws stepfunctions list-state-machines --endpoint-url {endpoint} --region {region}"
    ));
    told.line("  Ctrl-C stops it");
    stop_signal().await;
    told.line("Warren stops");
    running.stop().await;
    Ok(Exit::Well)
}

async fn stop_signal() {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        // Without a handler the signal ends the process by itself.
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

impl Running {
    /// Stops in order: no new requests, no new deliveries, then what is at hand.
    pub async fn stop(self) {
        self.stop.cancel();
        self.services.close();
        if tokio::time::timeout(STOP_WITHIN, self.services.wait()).await.is_err() {
            tracing::warn!("some work was cut off; it goes on at the next start");
        }
    }
}

/// Starts a server in this process.
pub async fn start(config: Config) -> Result<Running, Error> {
    let address = format!("{}:{}", config.server.host, config.server.port);
    let listener = TcpListener::bind(&address).await.map_err(|error| {
        let fix = match error.kind() {
            ErrorKind::AddrInUse | ErrorKind::PermissionDenied => "choose another port with --port N",
            _ => "choose another address with --host",
        };
        Error::Failed(format!("failed to listen on {address}: {error}; {fix}"))
    })?;
    let local = listener.local_addr().map_err(|error| Error::Failed(format!("failed to listen: {error}")))?;
    let stop = CancellationToken::new();
    let data = Data::open(&config).await?;
    let (near_timers, timers) = mpsc::unbounded_channel();
    let core = assemble(&config, &data, near_timers, stop.clone())
        .map_err(|error| Error::Failed(format!("failed to start: {error}")))?;
    let services = TaskTracker::new();
    declare(&core).await.map_err(|error| Error::Failed(error.to_string()))?;
    // Before anything moves, or what moves would be sent out twice.
    let found = core.recover().await.map_err(|error| Error::Failed(error.to_string()))?;
    begin(&core, timers, &stop, &services);
    if found > 0 {
        tracing::info!("{found} branches of executions go on");
    }
    let router = crate::api::router(core);
    let asked = stop.clone();
    services.spawn(async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(asked.clone().cancelled_owned());
        // Long polls would keep a graceful stop waiting for a minute.
        tokio::select! {
            served = serving.into_future() => if let Err(error) = served {
                tracing::error!(%error, "the API has stopped");
            },
            () = async { asked.cancelled().await; tokio::time::sleep(Duration::from_secs(1)).await } => {}
        }
    });
    Ok(Running { endpoint: format!("http://{local}"), stop, services, _lock: data.lock })
}

/// What is kept beyond the process, or not.
struct Data {
    store: SqliteStore,
    token_key: [u8; 32],
    lock: Option<File>,
}

impl Data {
    async fn open(config: &Config) -> Result<Self, Error> {
        let events_max = config.limits.history_events_max.get();
        let clock = Arc::new(SystemClock);
        let failed = |error: crate::ports::store::Error| Error::Failed(error.to_string());
        let Some(directory) = &config.data.directory else {
            let store = SqliteStore::open(Location::Memory, events_max, clock).await.map_err(failed)?;
            return Ok(Data { store, token_key: random_key(), lock: None });
        };
        let unusable = |error: std::io::Error| {
            Error::Failed(format!("failed to use the data directory {}: {error}", directory.display()))
        };
        std::fs::create_dir_all(directory).map_err(unusable)?;
        let lock = lock(directory)?;
        let token_key = token_key(&directory.join("token.key")).map_err(unusable)?;
        let location = Location::File(directory.join("warren.db"));
        let store = SqliteStore::open(location, events_max, clock).await.map_err(failed)?;
        Ok(Data { store, token_key, lock: Some(lock) })
    }
}

/// Two processes on one directory would each have half of the messages.
fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
    let file = File::create(&path)
        .map_err(|error| Error::Failed(format!("failed to create {}: {error}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Failed(format!(
            "failed to use the data directory {}: another Warren uses it; stop that one or name another directory",
            directory.display()
        ))),
        Err(TryLockError::Error(error)) => {
            Err(Error::Failed(format!("failed to lock {}: {error}", path.display())))
        }
    }
}

/// The key of task tokens: with the data, so that a token outlives a restart.
fn token_key(path: &Path) -> std::io::Result<[u8; 32]> {
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::read(path) {
        Ok(bytes) => <[u8; 32]>::try_from(bytes).map_err(|bytes| {
            std::io::Error::other(format!("{} holds {} bytes, not 32", path.display(), bytes.len()))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = random_key();
            // Written whole or not at all: a crash must not leave half a key.
            let fresh = path.with_extension("new");
            let mut options = File::options();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(&key)?;
            file.sync_all()?;
            std::fs::rename(&fresh, path)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    key
}

fn assemble(
    config: &Config,
    data: &Data,
    near_timers: mpsc::UnboundedSender<NearTimer>,
    stopping: CancellationToken,
) -> std::io::Result<Arc<Core>> {
    let store = Arc::new(data.store.clone());
    let children = Arc::new(ChildExecutions::default());
    let connectors: Vec<Arc<dyn Connector>> = vec![
        Arc::new(LambdaConnector::new(config.functions.clone())?),
        Arc::new(StatesConnector::new(children.clone())),
    ];
    let core = Arc::new(Core {
        store: store.clone(),
        catalog: store,
        broker: Arc::new(InProcess::new()),
        clock: Arc::new(SystemClock),
        home: config.home(),
        limits: config.limits.of_language(),
        admission: Admission {
            open_executions_max: config.limits.open_executions_max.get(),
            express_waiting_max: EXPRESS_WAITING_MAX,
        },
        open_executions: Counted::default(),
        express_waiting: Counted::default(),
        connectors,
        programs: Programs::default(),
        headers: Headers::default(),
        tokens: Tokens::new(data.token_key),
        shards: Shards::new(1),
        engine: Uuid::new_v4().simple().to_string(),
        near_timers,
        cancelled: broadcast::channel(HINTS_MAX).0,
        closed: broadcast::channel(HINTS_MAX).0,
        stopping,
        replies: express::Replies::default(),
        ended_forks: express::EndedForks::default(),
        reply_queues: express::ReplyQueues::default(),
        cut_off: CancellationToken::new(),
        outages: Outages::default(),
        watermarks: Watermarks::default(),
    });
    children.attach(&core);
    Ok(core)
}

async fn declare(core: &Core) -> Result<(), broker::Error> {
    let mut queues: Vec<Queue> =
        Family::ALL.into_iter().flat_map(|family| core.shards.queues(family)).collect();
    queues.push(Queue::reply(&core.engine));
    queues.extend(core.connectors.iter().map(|connector| Queue::tasks(connector.name())));
    core.broker.declare(&queues).await
}

/// Starts the services.
fn begin(
    core: &Arc<Core>,
    timers: mpsc::UnboundedReceiver<NearTimer>,
    stop: &CancellationToken,
    services: &TaskTracker,
) {
    for queue in [Family::Standard, Family::Results].into_iter().flat_map(|family| core.shards.queues(family))
    {
        spawn(services, executor::run(core.clone(), queue, stop.clone()));
    }
    for family in [Family::Express, Family::Calls, Family::Inner] {
        for queue in core.shards.queues(family) {
            spawn(services, express::run(core.clone(), family, queue, stop.clone()));
        }
    }
    spawn(services, express::run_replies(core.clone(), stop.clone()));
    for connector in &core.connectors {
        spawn(services, task_runner::run(core.clone(), connector.clone(), stop.clone()));
    }
    services.spawn(scheduler::run(core.clone(), timers, stop.clone()));
}

fn spawn(services: &TaskTracker, service: impl Future<Output = Result<(), broker::Error>> + Send + 'static) {
    services.spawn(async move {
        if let Err(error) = service.await {
            tracing::error!(%error, "a service has stopped");
        }
    });
}
