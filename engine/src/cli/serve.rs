//! `warren serve`: one of any number of equal processes on RabbitMQ and Postgres.
//!
//! ```text
//!   listen ─▶ /healthz, /readyz at once
//!     └─▶ database: reach, migrate, settings ─▶ core ─▶ broker: declare ─▶ API, services of the roles
//!              ▲ again until it is there                   ▲ again until it is there
//! ```
//!
//! What is away keeps nothing from starting and ends nothing: the process waits, says so in `/readyz` and
//! once in its log, and goes on by itself. After the start, Express executions need no database.
//!
//! A signal stops it in order: no new requests and deliveries; what is at hand is worked to its end; the
//! broker's connections are closed when everything is settled. What is not through in time comes back to
//! another process. A second signal ends it at once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::composition::{Work, connections, http, measuring};
use super::output::Output;
use super::outside::Outside;
use super::{Error, Exit};
use crate::api;
use crate::config::{Config, Flag, Role};
use readiness::Conditions;
use start::Start;

mod readiness;
mod start;
mod upkeep;

/// How long the connections have to close, beyond the time for work at hand.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What `warren serve` is told.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// What this process does, with commas between: api, engine, connectors, triggers; all unless configured.
    #[arg(long, value_name = "ROLES")]
    roles: Option<String>,
    /// The address to listen on; 127.0.0.1 unless configured.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The port to listen on; 8083 unless configured, 0 takes any that is free.
    #[arg(long)]
    port: Option<u16>,
}

impl ServeArgs {
    /// The settings that these flags give.
    pub fn flags(&self) -> Vec<Flag> {
        let flags = [
            self.roles.clone().map(|roles| Flag {
                key: "server.roles",
                value: roles.into(),
                name: "--roles",
            }),
            self.listen.clone().map(|host| Flag { key: "server.host", value: host.into(), name: "--listen" }),
            self.port.map(|port| Flag { key: "server.port", value: port.into(), name: "--port" }),
        ];
        flags.into_iter().flatten().collect()
    }
}

/// Serves until told to stop.
pub async fn run(config: Config) -> Result<Exit, Error> {
    let mut signals = Signals::new()?;
    let listener = http::listen(&config.server, "--listen").await?;
    let endpoint = http::endpoint(&listener)?;
    let outside = Outside::open(&config, "serve")?;
    check_connections(&config)?;
    measuring::begin(&config, &config.server.roles)?;
    announce(&config, &endpoint);
    let stop = CancellationToken::new();
    let work = Arc::new(Work::new(stop.clone()));
    let conditions = Arc::new(Conditions::new(outside.broker(), work.standing.clone()));
    let core = Arc::new(OnceLock::new());
    let mut router: Router = api::health(conditions.clone());
    router = router.merge(api::metrics(conditions.clone(), core.clone()));
    work.spawn(measuring::tidy(stop.clone()));
    if config.server.roles.has(Role::Api) {
        router = router.merge(api::router(core.clone()));
    }
    let drain = Duration::from_secs(config.server.drain_seconds.into());
    work.spawn(http::serve(listener, router, stop.clone(), drain));
    let start =
        Start { config, outside: outside.clone(), conditions, core, work: work.clone(), stop: stop.clone() };
    work.spawn(start.run());

    signals.next().await;
    Output::stderr().line(format_args!(
        "Warren stops; work at hand has {} s, a second signal ends it at once",
        drain.as_secs()
    ));
    tokio::select! {
        () = finish(&work, &outside, drain) => {}
        () = signals.next() => tracing::warn!("some work was cut off; another process goes on with it"),
    }
    Ok(Exit::Well)
}

/// Lets what is at hand come to its end, then closes the connections.
async fn finish(work: &Work, outside: &Outside, drain: Duration) {
    if !work.stop(drain).await {
        tracing::warn!("some work was cut off; another process goes on with it");
    }
    if tokio::time::timeout(CLOSE_WITHIN, outside.close()).await.is_err() {
        tracing::warn!("the connections did not close in time");
    }
}

/// What calls for others must be able to open what it calls with.
fn check_connections(config: &Config) -> Result<(), Error> {
    if config.server.roles.has(Role::Connectors) {
        for setting in connections::check(config).map_err(Error::Usage)? {
            tracing::warn!(
                "`{setting}` is a secret that is not sealed: whoever reads the configuration can use it; `warren \
                 connection seal` seals it"
            );
        }
    }
    Ok(())
}

fn announce(config: &Config, endpoint: &str) {
    let mut told = Output::stderr();
    if config.server.roles.has(Role::Api) {
        told.line(format_args!("Warren serves the AWS Step Functions API on {endpoint}"));
    } else {
        told.line(format_args!("Warren answers /healthz, /readyz and /metrics on {endpoint}"));
    }
    let (region, account) = (&config.aws.region, &config.aws.account);
    told.line(format_args!("  roles {}", config.server.roles));
    told.line(format_args!("  region {region}, account {account}; any credentials are accepted"));
    told.line(format_args!("  broker {}, queues {}*", config.broker.url, config.broker.prefix));
    told.line(format_args!("  database {}", config.store.url));
    told.line("  Ctrl-C stops it");
    if !is_loopback(&config.server.host) {
        tracing::warn!(
            "{} is no loopback address, and there is no authentication yet: whoever reaches it may do everything",
            config.server.host
        );
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The two signals that stop a process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(|error| Error::Failed(format!("failed to start: {error}")));
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_this_machine_alone() {
        for host in ["127.0.0.1", "127.1.2.3", "::1", "localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["0.0.0.0", "::", "192.0.2.1", "warren.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
