//! A connection that comes back.
//!
//! ```text
//! dial ─▶ set up what must exist ─▶ Up(session) ─▶ lost ─▶ Away(reason) ─ 0.1–5 s ─▶ dial
//! ```
//!
//! Whoever uses a session holds it until it fails, then waits for the next one. A session never mends
//! itself: what was on its way in it is in doubt.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use lapin::tcp::{AMQPUriTcpExt, OwnedTLSConfig};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};

use super::greeting::{self, Server};
use super::topology::Topology;
use crate::ports::broker::Error;

/// For everything that happens until a connection can be used, but the declarations.
const DIAL_WITHIN: Duration = Duration::from_secs(10);
/// For the declarations: hundreds of queues on a broker that is busy starting.
const SET_UP_WITHIN: Duration = Duration::from_secs(120);
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// How often a connection is looked at that told nothing of its end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The first that dead-letters at least once.
const OLDEST_VERSION: (u32, u32, u32) = (3, 10, 0);

/// What a connection is for. Two, because a broker that is out of memory stops reading from those that
/// publish, and acknowledgements must still get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Publishing,
    Consuming,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::Publishing => "publishing",
            Role::Consuming => "consuming",
        }
    }
}

/// A connection while it lasts.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
}

#[derive(Debug, Clone)]
pub(super) enum State {
    Away(Arc<str>),
    Up(Arc<Session>),
}

/// The connection of one role, whichever session it is in.
#[derive(Debug)]
pub(super) struct Link {
    role: Role,
    uri: AMQPUri,
    name: String,
    topology: Arc<Topology>,
    state: watch::Sender<State>,
    blocked: Mutex<Option<String>>,
    server: Mutex<Option<Server>>,
}

impl Session {
    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection.create_channel().await
    }

    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected()
    }
}

impl Link {
    pub(super) fn new(role: Role, uri: AMQPUri, name: &str, topology: Arc<Topology>) -> Arc<Self> {
        let away = State::Away("not connected yet".into());
        Arc::new(Link {
            role,
            uri,
            name: format!("{name} ({})", role.as_str()),
            topology,
            state: watch::Sender::new(away),
            blocked: Mutex::default(),
            server: Mutex::default(),
        })
    }

    /// The session that is up now, or the next one if it is up in time.
    pub(super) async fn session(&self, deadline: Instant) -> Result<Arc<Session>, Error> {
        let mut states = self.state.subscribe();
        let up = timeout_at(deadline, states.wait_for(|state| matches!(state, State::Up(_)))).await;
        if let Ok(Ok(state)) = up
            && let State::Up(session) = &*state
        {
            return Ok(Arc::clone(session));
        }
        Err(Error::Unavailable(self.away().unwrap_or_else(|| "the connection was lost".to_owned())))
    }

    /// Why it is away, if it is.
    pub(super) fn away(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Away(reason) => Some(reason.to_string()),
            State::Up(session) if !session.is_up() => Some("the connection was lost".to_owned()),
            State::Up(_) => None,
        }
    }

    /// Why the broker takes nothing, if it does not.
    pub(super) fn blocked(&self) -> Option<String> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was reached last.
    pub(super) fn server(&self) -> Option<Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says goodbye. The caller has stopped [`Link::keep`] before.
    pub(super) async fn close(&self) {
        let state = self.state.send_replace(State::Away("closed".into()));
        if let State::Up(session) = state {
            let _ = timeout(DIAL_WITHIN, session.connection.close(200, "OK".into())).await;
        }
    }

    /// Connects, and connects again, for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        let (mut back_off, mut is_known_away) = (BACK_OFF_MIN, false);
        loop {
            let reason = match self.establish().await {
                Ok(session) => {
                    tracing::info!(connection = %self.name, "connected to the broker");
                    is_known_away = false;
                    self.state.send_replace(State::Up(Arc::clone(&session)));
                    let begin = Instant::now();
                    let reason = self.watch(&session).await;
                    // A broker that drops us at once is given time as if it had not let us in.
                    if begin.elapsed() > BACK_OFF_MAX {
                        back_off = BACK_OFF_MIN;
                    }
                    reason
                }
                Err(reason) => reason,
            };
            self.set_blocked(None);
            self.state.send_replace(State::Away(reason.as_str().into()));
            if !is_known_away {
                tracing::warn!(connection = %self.name, %reason, "lost the broker, connecting again");
                is_known_away = true;
            }
            sleep(jittered(back_off)).await;
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
    }

    async fn establish(&self) -> Result<Arc<Session>, String> {
        let server = timeout(DIAL_WITHIN, greeting::server(&self.uri)).await.map_err(|_| timed_out())??;
        if server.version < OLDEST_VERSION {
            tracing::warn!(?server, "a broker before 3.10 may lose delayed messages when it crashes");
        }
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        let dialled = timeout(DIAL_WITHIN, dial(&self.uri, &self.name)).await.map_err(|_| timed_out())?;
        let session = Arc::new(Session { connection: dialled.map_err(|error| error.to_string())? });
        let set_up = async {
            match self.role {
                Role::Publishing => self.topology.declare_base(&session).await,
                Role::Consuming => self.topology.declare_again(&session).await,
            }
        };
        match timeout(SET_UP_WITHIN, set_up).await {
            Ok(Ok(())) => Ok(session),
            Ok(Err(Error::Unavailable(reason))) => Err(reason),
            Ok(Err(error @ Error::Cancelled)) => Err(error.to_string()),
            Err(_) => Err("declaring the queues took too long".to_owned()),
        }
    }

    /// Until the session is lost; tells why.
    async fn watch(&self, session: &Session) -> String {
        let mut events = std::pin::pin!(events(session));
        let mut reason = None;
        loop {
            match events.next().await {
                Some(Some(Event::ConnectionBlocked(why))) => {
                    tracing::warn!(reason = %why, "the broker takes no messages");
                    self.set_blocked(Some(why));
                }
                Some(Some(Event::ConnectionUnblocked)) => {
                    tracing::info!("the broker takes messages again");
                    self.set_blocked(None);
                }
                Some(Some(Event::Error(error))) => reason = Some(error.to_string()),
                Some(_) => {}
                None => return "the connection was closed".to_owned(),
            }
            if !session.is_up() {
                return reason.unwrap_or_else(|| "the connection was closed".to_owned());
            }
        }
    }

    fn set_blocked(&self, reason: Option<String>) {
        *self.blocked.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// Events of the connection, and now and then none.
fn events(session: &Session) -> impl Stream<Item = Option<Event>> {
    let looks = stream::unfold(interval(LOOK_EVERY), |mut interval| async {
        interval.tick().await;
        Some((None, interval))
    });
    stream::select(session.connection.events_listener().map(Some), looks)
}

async fn dial(uri: &AMQPUri, name: &str) -> lapin::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = lapin::runtime::default_runtime()?;
    // The driver waits in a thread of its own, which must end when nobody waits for it any more.
    let connect = async |uri: AMQPUri, runtime| {
        let tls = OwnedTLSConfig::default();
        let connecting = AMQPUriTcpExt::connect_with_config_async(&uri, tls.as_ref(), &runtime);
        let connected = timeout(DIAL_WITHIN, connecting).await;
        connected
            .map_err(|elapsed| lapin::Error::from(std::io::Error::from(elapsed)))?
            .map_err(lapin::Error::from)
    };
    Connection::connector(uri.clone(), runtime, connect, properties).await
}

fn timed_out() -> String {
    format!("no answer within {} s", DIAL_WITHIN.as_secs())
}

/// Between half of it and all of it, so that engines do not come back at the same moment.
fn jittered(duration: Duration) -> Duration {
    let [random, ..] = uuid::Uuid::new_v4().into_bytes();
    duration.mul_f64(0.5 + f64::from(random) / 512.0)
}
