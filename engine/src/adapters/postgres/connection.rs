//! Connections: opened when needed, kept while they are whole.
//!
//! A connection comes back only after all went well on it; after any fault, a dropped call or a panic it is
//! closed, and the server takes back what was not committed. Nothing is retried here: whether to do it again
//! is for those who know what a second time means.
//!
//! What happens under failure: while the database is away every call fails within seconds, which is logged
//! once, as is its return.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::PostgresConfig;
use super::failure::Fault;
use super::promptly::send_promptly;
use crate::ports::store::Error;

/// How long an attempt to connect may take.
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(3);
/// How long a call waits for a connection that others use.
const WAIT_SECONDS_MAX: Duration = Duration::from_secs(10);
/// How long a connection may have been idle to be used without asking whether it is alive.
const IDLE_SECONDS_UNASKED: Duration = Duration::from_secs(2);
/// How long an answer is waited for. Above what the server allows a statement, for servers that vanish.
pub(super) const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(30);

/// What every session is set to. Statements are keyed, so a plan that reads a whole table is never wanted, not
/// even one that was made while the table was small; none is worth making anew for its values, or compiling.
const SESSION: [(&str, &str); 8] = [
    ("statement_timeout", "10s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// How to reach the database; fails only if the text cannot be read.
pub(super) fn options(config: &PostgresConfig) -> Result<PgConnectOptions, Error> {
    let options: PgConnectOptions = config
        .url
        .parse()
        .map_err(|error| Error::Corrupt(format!("the database's URL is unusable: {error}")))?;
    Ok(options.application_name(&config.application_name).options(SESSION).disable_statement_logging())
}

/// Whether the database was last found there, so that a change is logged once.
#[derive(Debug, Default)]
pub(super) struct Presence {
    away: AtomicBool,
}

impl Presence {
    fn lost(&self, why: &str) {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "the database cannot be reached");
        }
    }

    fn found(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("the database is back");
        }
    }
}

/// At most so many connections.
#[derive(Debug)]
pub(super) struct Connections {
    options: PgConnectOptions,
    places: Semaphore,
    idle: Mutex<Vec<(PgConnection, Instant)>>,
    presence: Arc<Presence>,
}

/// A connection that is in use. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Link<'a> {
    connection: PgConnection,
    home: &'a Connections,
    _place: SemaphorePermit<'a>,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions, count: u32, presence: Arc<Presence>) -> Self {
        let places = usize::try_from(count.max(1)).unwrap_or(Semaphore::MAX_PERMITS);
        Connections { options, places: Semaphore::new(places), idle: Mutex::default(), presence }
    }

    /// A connection: an idle one that is alive, else a new one.
    pub(super) async fn take(&self) -> Result<Link<'_>, Fault> {
        let place = timeout(WAIT_SECONDS_MAX, self.places.acquire()).await;
        let busy = |_| Fault::Unknown("all connections to the database are busy".to_owned());
        let closed = |_| Fault::Unknown("the store is closed".to_owned());
        let place = place.map_err(busy)?.map_err(closed)?;
        while let Some((mut connection, since)) = self.pop() {
            if since.elapsed() < IDLE_SECONDS_UNASKED || is_alive(&mut connection).await {
                return Ok(Link { connection, home: self, _place: place });
            }
        }
        let connection = self.connect().await?;
        Ok(Link { connection, home: self, _place: place })
    }

    /// Closes what is idle: the others likely died of the same.
    pub(super) fn distrust(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Ends all connections in order. Later calls fail.
    pub(super) async fn close(&self) {
        self.places.close();
        while let Some((connection, _)) = self.pop() {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a connection did not end in order");
            }
        }
    }

    fn pop(&self) -> Option<(PgConnection, Instant)> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn connect(&self) -> Result<PgConnection, Fault> {
        let connected = match timeout(CONNECT_SECONDS_MAX, self.options.connect()).await {
            Ok(connected) => connected.map_err(|error| Fault::Unknown(error.to_string())),
            Err(_) => Err(Fault::Unknown("the database does not answer".to_owned())),
        };
        match &connected {
            Ok(_) => {
                if self.options.get_socket().is_none() {
                    send_promptly(self.options.get_port());
                }
                self.presence.found();
            }
            Err(Fault::Unknown(why) | Fault::Again(why) | Fault::Lasting(why)) => self.presence.lost(why),
        }
        connected
    }
}

async fn is_alive(connection: &mut PgConnection) -> bool {
    matches!(timeout(CONNECT_SECONDS_MAX, connection.ping()).await, Ok(Ok(())))
}

impl Link<'_> {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Gives the connection back after all went well.
    pub(super) fn keep(self) {
        let Link { connection, home, _place } = self;
        home.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
    }
}

/// Waits for an answer, but not for ever.
pub(super) async fn answered<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let silent = |_| Fault::Unknown("the database does not answer".to_owned());
    timeout(ANSWER_SECONDS_MAX, work).await.map_err(silent)?
}
