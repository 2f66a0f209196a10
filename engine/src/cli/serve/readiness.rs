//! What a process waits for, as `/readyz` and the log tell it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::api::health::{Missing, Readiness};
use crate::cli::composition::supervision::Standing;
use crate::ports::broker::{Broker, Health};
use crate::ports::store::Store;

/// How often the database is asked whether it is there.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// A database that does not answer within this time is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What is known about the outside, at any moment.
pub struct Conditions {
    broker: Arc<dyn Broker>,
    standing: Arc<Standing>,
    /// Why the database cannot be used; `None` if it can.
    database: Mutex<Option<Missing>>,
    /// Why the services have not begun; `None` if they have.
    begin: Mutex<Option<String>>,
}

impl Conditions {
    /// Before anything was asked.
    pub fn new(broker: Arc<dyn Broker>, standing: Arc<Standing>) -> Self {
        let asked = Missing { what: "database", reason: "it has not answered yet".to_owned() };
        let begin = Some("the process is starting".to_owned());
        Conditions { broker, standing, database: Mutex::new(Some(asked)), begin: Mutex::new(begin) }
    }

    /// Why the database cannot be used; `None` if it can.
    pub fn database(&self, missing: Option<Missing>) {
        *lock(&self.database) = missing;
    }

    /// Asks whether the database is there, until told to stop. Nothing waits for the answer.
    pub async fn watch_database(&self, store: &dyn Store, stop: CancellationToken) {
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
            self.database(reason.map(|reason| Missing { what: "database", reason }));
        }
    }

    /// The services cannot begin yet.
    pub fn cannot_begin(&self, reason: String) {
        *lock(&self.begin) = Some(reason);
    }

    /// The services have begun.
    pub fn begun(&self) {
        *lock(&self.begin) = None;
    }
}

impl Readiness for Conditions {
    fn missing(&self) -> Vec<Missing> {
        let mut missing: Vec<Missing> = lock(&self.database).iter().cloned().collect();
        match self.broker.health() {
            Health::Good => {}
            Health::Blocked(reason) | Health::Away(reason) => {
                missing.push(Missing { what: "broker", reason });
            }
        }
        if let (true, Some(reason)) = (missing.is_empty(), lock(&self.begin).clone()) {
            missing.push(Missing { what: "queues", reason });
        }
        let down = self.standing.down();
        if missing.is_empty() && !down.is_empty() {
            missing.push(Missing {
                what: "consumers",
                reason: format!("nobody here takes {}", down.join(", ")),
            });
        }
        missing
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::in_process::InProcess;

    fn named(conditions: &Conditions) -> Vec<&'static str> {
        conditions.missing().into_iter().map(|missing| missing.what).collect()
    }

    #[test]
    fn what_is_away_is_named_until_it_is_there() {
        let conditions = Conditions::new(Arc::new(InProcess::new()), Arc::default());
        assert_eq!(named(&conditions), ["database"]);
        let behind = Missing { what: "migrations", reason: "run `warren migrate`".to_owned() };
        conditions.database(Some(behind));
        assert_eq!(named(&conditions), ["migrations"]);
        conditions.database(None);
        assert_eq!(named(&conditions), ["queues"]);
        conditions.begun();
        assert_eq!(named(&conditions), [""; 0]);
        conditions.database(Some(Missing { what: "database", reason: "gone".to_owned() }));
        assert_eq!(named(&conditions), ["database"]);
    }
}
