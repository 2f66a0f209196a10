//! `warren dev`: API and engine in one process, on the embedded adapters.
//!
//! The broker is in this process and forgets with it; what must survive is in SQLite. So a start publishes
//! again what was in flight (`Core::recover`), and Express executions that were running are gone.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use figment::value::Value;
use tokio_util::sync::CancellationToken;

use super::composition::trigger_files::{self, Watch};
use super::composition::{self, Parts, Work, connections, http, measuring, random_key};
use super::output::Output;
use super::{Error, Exit};
use crate::adapters::in_process::InProcess;
use crate::adapters::sqlite::{Location, SqliteStore};
use crate::adapters::system_clock::SystemClock;
use crate::api;
use crate::api::health::AlwaysReady;
use crate::config::{Config, Granted, Roles};

/// How long a stop waits for work at hand, and for clients that still read.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How long a stop waits for requests at hand: long polls would keep it waiting for a minute.
const REQUESTS_WITHIN: Duration = Duration::from_secs(1);

/// What this command takes for granted, as it is for one machine: queues and topics need not be made before, and
/// tasks may call what listens here.
pub fn granted() -> [Granted; 2] {
    let here = ["http://127.0.0.0/8:*", "http://[::1]:*"].map(Value::from);
    [
        Granted { key: "broker.declare_queues", value: true.into() },
        Granted { key: "http.egress.allow", value: here.to_vec().into() },
    ]
}

/// A server in this process.
pub struct Running {
    /// Where it answers: `http://127.0.0.1:8083`.
    pub endpoint: String,
    work: Work,
    /// Held while the data directory is ours.
    _lock: Option<File>,
}

/// Serves until told to stop.
pub async fn run(config: Config) -> Result<Exit, Error> {
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
        if !self.work.stop(STOP_WITHIN).await {
            tracing::warn!("some work was cut off; it goes on at the next start");
        }
    }
}

/// Starts a server in this process.
pub async fn start(config: Config) -> Result<Running, Error> {
    connections::check(&config).map_err(Error::Usage)?;
    let listener = http::listen(&config.server, "--listen").await?;
    let endpoint = http::endpoint(&listener)?;
    let stop = CancellationToken::new();
    let roles = Roles::default();
    measuring::begin(&config, &roles)?;
    let data = Data::open(&config).await?;
    let parts = Parts {
        store: Arc::new(data.store.clone()),
        catalog: Arc::new(data.store.clone()),
        triggers: Arc::new(data.store),
        broker: Arc::new(InProcess::new()),
        clock: Arc::new(SystemClock),
        token_key: data.token_key,
        queues: 1,
        shows_transitions: true,
    };
    let (core, timers) = composition::assemble(&config, parts, stop.clone())
        .map_err(|error| Error::Failed(format!("failed to start: {error}")))?;
    composition::declare(&core).await.map_err(|error| Error::Failed(error.to_string()))?;
    // Before anything moves, or what moves would be sent out twice.
    let found = core.recover().await.map_err(|error| Error::Failed(error.to_string()))?;
    // The broker is as new as the process.
    core.lay_out_triggers().await.map_err(|error| Error::Failed(error.to_string()))?;
    let work = Work::new(stop.clone());
    work.begin(&core, &roles, timers);
    let default = PathBuf::from("triggers");
    if let Some(directory) = config.triggers.directory.clone().or_else(|| default.is_dir().then_some(default))
    {
        work.spawn(trigger_files::follow(core.clone(), directory, Watch::Always, stop.clone()));
    }
    work.spawn(measuring::tidy(stop.clone()));
    if found > 0 {
        tracing::info!("{found} branches of executions go on");
    }
    let (core, readiness) = (Arc::new(OnceLock::from(core)), Arc::new(AlwaysReady));
    let router = api::router(core.clone()).merge(api::health(readiness.clone()));
    let router = router.merge(api::metrics(readiness, core));
    work.spawn(http::serve(listener, router, stop, REQUESTS_WITHIN));
    Ok(Running { endpoint, work, _lock: data.lock })
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
