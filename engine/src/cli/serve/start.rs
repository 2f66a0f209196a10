//! From a process that listens to one that works: reach the database, then the broker, then begin.
//!
//! Every step is repeated until it is done, with pauses from 0.1 to 5 s. It can be repeated at any point:
//! migrations run under a lock of the database, settings are those of whoever offered them first, and to
//! declare a queue again changes nothing.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::readiness::Conditions;
use super::upkeep;
use crate::api::CoreCell;
use crate::api::health::Missing;
use crate::cli::composition::supervision::BackOff;
use crate::cli::composition::trigger_files::{self, Watch};
use crate::cli::composition::{self, Parts, Timers, Work};
use crate::cli::outside::Outside;
use crate::config::{Config, Role};
use crate::ports::store;
use crate::services::Core;

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

impl Start {
    /// Ends when the process is told to stop.
    pub async fn run(self) {
        let Some(parts) = self.reach_database().await else { return };
        let Some((core, timers)) = self.assemble(parts) else { return };
        self.attend_database();
        if self.declare(&core).await {
            self.work.begin(&core, &self.config.server.roles, timers);
            if let (true, Some(directory)) =
                (self.config.server.roles.has(Role::Triggers), self.config.triggers.directory.clone())
            {
                let files = trigger_files::follow(core.clone(), directory, Watch::AtStart, self.stop.clone());
                self.work.spawn(files);
            }
            // Only now: what the API publishes needs its queues.
            let _ = self.core.set(core);
            self.conditions.begun();
        }
    }

    /// `None`: told to stop.
    async fn reach_database(&self) -> Option<Parts> {
        let (mut back_off, mut told) = (BackOff::default(), None);
        loop {
            let missing = match self.prepare_database().await {
                Ok(parts) => {
                    self.conditions.database(None);
                    if told.is_some() {
                        tracing::info!("the database is there");
                    }
                    return Some(parts);
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

    async fn prepare_database(&self) -> Result<Parts, Missing> {
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
        self.outside.parts(&self.config).await.map_err(away)
    }

    /// `None`: it can never be done.
    fn assemble(&self, parts: Parts) -> Option<(Arc<Core>, Timers)> {
        match composition::assemble(&self.config, parts, self.stop.clone()) {
            Ok(assembled) => Some(assembled),
            Err(error) => {
                tracing::error!("failed to start: {error}");
                self.conditions.cannot_begin(format!("failed to start: {error}"));
                None
            }
        }
    }

    /// What goes on beside the services: the clock, the eye on the database, and what it needs every hour.
    fn attend_database(&self) {
        let (outside, stop) = (self.outside.clone(), self.stop.clone());
        self.work.spawn(async move { outside.keep_time(stop).await });
        let (conditions, store, stop) = (self.conditions.clone(), self.outside.store(), self.stop.clone());
        self.work.spawn(async move { conditions.watch_database(store.as_ref(), stop).await });
        if self.config.server.roles.has(Role::Engine) {
            let days = self.config.store.retention_days;
            self.work.spawn(upkeep::run(self.outside.clone(), days, self.stop.clone()));
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
