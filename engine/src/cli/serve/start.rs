//! From a process that listens to one that works: reach the database, then the broker, then begin.
//!
//! Every step is repeated until it is done, with pauses from 0.1 to 5 s. It can be repeated at any point:
//! migrations run under a lock of the database, settings are those of whoever offered them first, and to
//! declare a queue again changes nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::readiness::Conditions;
use super::upkeep;
use crate::api::CoreCell;
use crate::api::health::Missing;
use crate::cli::composition::supervision::BackOff;
use crate::cli::composition::{self, Parts, Timers, Work, random_key};
use crate::cli::outside::Outside;
use crate::config::{Config, Role};
use crate::ports::store::{self, Store};
use crate::services::Core;

/// How often the database is asked whether it is there.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// A database that does not answer within this time is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The setting that holds the width of the families of queues, in decimal digits.
const QUEUES: &str = "queues";
/// The setting that holds the key of task tokens.
const TOKEN_KEY: &str = "task_token_key";

/// What a start needs.
pub struct Start {
    pub config: Config,
    pub outside: Outside,
    pub conditions: Arc<Conditions>,
    /// Filled when the API may begin.
    pub core: CoreCell,
    pub work: Arc<Work>,
    pub stop: CancellationToken,
}

/// What all processes of a deployment share, from the database.
pub struct Shared {
    /// Signs task tokens.
    pub token_key: [u8; 32],
    /// The width of the families of queues.
    pub queues: u16,
}

impl Start {
    /// Ends when the process is told to stop.
    pub async fn run(self) {
        let Some(shared) = self.reach_database().await else { return };
        let Some((core, timers)) = self.assemble(shared) else { return };
        self.spawn(keep_time(self.outside.clone(), self.stop.clone()));
        self.spawn(watch_database(self.outside.store(), self.conditions.clone(), self.stop.clone()));
        if self.config.server.roles.has(Role::Engine) {
            let days = self.config.store.retention_days;
            self.spawn(upkeep::run(self.outside.clone(), days, self.stop.clone()));
        }
        if self.declare(&core).await {
            self.work.begin(&core, &self.config.server.roles, timers);
            // Only now: what the API publishes needs its queues.
            let _ = self.core.set(core);
            self.conditions.begun();
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.work.spawn(task);
    }

    /// `None`: told to stop.
    async fn reach_database(&self) -> Option<Shared> {
        let (mut back_off, mut told) = (BackOff::default(), None);
        loop {
            let missing = match self.prepare_database().await {
                Ok(shared) => {
                    self.conditions.database(None);
                    if told.is_some() {
                        tracing::info!("the database is there");
                    }
                    return Some(shared);
                }
                Err(missing) => missing,
            };
            // Once for each kind: how it shows may change from try to try.
            if told.replace(missing.what) != Some(missing.what) {
                tracing::warn!("waiting for the {}: {}", missing.what, missing.reason);
            }
            self.conditions.database(Some(missing));
            if !back_off.pause(&self.stop).await {
                return None;
            }
        }
    }

    async fn prepare_database(&self) -> Result<Shared, Missing> {
        let away = |error: store::Error| Missing { what: "database", reason: error.to_string() };
        if self.config.store.migrate_at_start {
            let applied = self.outside.migrate().await.map_err(away)?;
            if applied > 0 {
                tracing::info!("{applied} migrations brought the tables up to date");
            }
        } else {
            let pending = self.outside.migrations_pending().await.map_err(away)?;
            if pending > 0 {
                let reason = format!("the tables are {pending} migrations behind; run `warren migrate`");
                return Err(Missing { what: "migrations", reason });
            }
            self.outside.prepare_partitions().await.map_err(away)?;
        }
        read_settings(&self.config, self.outside.store().as_ref()).await.map_err(away)
    }

    /// `None`: it can never be done.
    fn assemble(&self, shared: Shared) -> Option<(Arc<Core>, Timers)> {
        let parts = Parts {
            store: self.outside.store(),
            catalog: self.outside.catalog(),
            broker: self.outside.broker(),
            clock: self.outside.clock(),
            token_key: shared.token_key,
            queues: shared.queues,
        };
        match composition::assemble(&self.config, parts, self.stop.clone()) {
            Ok(assembled) => Some(assembled),
            Err(error) => {
                tracing::error!("failed to start: {error}");
                self.conditions.cannot_begin(format!("failed to start: {error}"));
                None
            }
        }
    }

    /// Answers `false` if told to stop before it is done.
    async fn declare(&self, core: &Core) -> bool {
        let (mut back_off, mut told) = (BackOff::default(), false);
        while let Err(error) = composition::declare(core).await {
            if !told {
                tracing::warn!("waiting for the broker: {error}");
                told = true;
            }
            self.conditions.cannot_begin(error.to_string());
            if !back_off.pause(&self.stop).await {
                return false;
            }
        }
        true
    }
}

fn read_key(kept: Vec<u8>) -> Result<[u8; 32], store::Error> {
    let wrong =
        |kept: Vec<u8>| store::Error::Corrupt(format!("{TOKEN_KEY} has {} bytes, not 32", kept.len()));
    kept.try_into().map_err(wrong)
}

fn read_queues(kept: &[u8]) -> Result<u16, store::Error> {
    let number =
        std::str::from_utf8(kept).ok().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| store::Error::Corrupt(format!("{QUEUES} is no number of queues")))
}

async fn keep_time(outside: Outside, stop: CancellationToken) {
    outside.keep_time(stop).await;
}

/// Asks whether the database is there, for `/readyz`. Nothing waits for the answer.
async fn watch_database(store: Arc<dyn Store>, conditions: Arc<Conditions>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(ASK_EVERY) => {}
        }
        let reason = match timeout(ANSWER_WITHIN, store.now()).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("it does not answer within {} s", ANSWER_WITHIN.as_secs())),
        };
        // Those who use it have told the log.
        conditions.database(reason.map(|reason| Missing { what: "database", reason }));
    }
}

/// What all processes of a deployment share; made by whoever comes first.
pub async fn read_settings(config: &Config, store: &dyn Store) -> Result<Shared, store::Error> {
    let token_key = match &config.tasks.token_key {
        Some(key) => key.0,
        None => read_key(store.setting(TOKEN_KEY, &random_key()).await?)?,
    };
    let wanted = config.broker.queues.get();
    let kept = store.setting(QUEUES, wanted.to_string().as_bytes()).await?;
    let queues = read_queues(&kept)?;
    if queues != wanted {
        tracing::info!("the deployment's families of queues are {queues} wide, not {wanted} as configured");
    }
    Ok(Shared { token_key, queues })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_deployment_are_read_or_refused() {
        assert_eq!(read_queues(b"12").unwrap(), 12);
        for wrong in [&b""[..], b"0", b"-1", b"70000", b"\xff"] {
            assert!(read_queues(wrong).is_err());
        }
        assert_eq!(read_key(vec![1; 32]).unwrap(), [1; 32]);
        assert!(read_key(vec![1; 31]).is_err());
    }
}
