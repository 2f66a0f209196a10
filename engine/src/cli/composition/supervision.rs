//! Keeps services running: one whose consumer is gone is started again.
//!
//! A consumer goes away with its connection, with its queue, or by an operator's hand. The queue is declared
//! before each try, so that one that was deleted comes back. A service that panicked is started again as
//! well. All services of a process tend to fall together, so an outage is told once, when the first falls,
//! and once more when the last stands again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ports::broker::{self, Queue};
use crate::services::Core;

/// The first pause before a service is started again; doubled up to [`BACK_OFF_MAX`].
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// A service that has run so long is taken to stand.
const STANDS_AFTER: Duration = Duration::from_millis(250);

/// One that consumes from a queue until it is told to stop, or until its consumer is gone.
pub struct Service {
    queue: Queue,
    run: Box<dyn Fn(CancellationToken) -> BoxFuture<'static, Result<(), broker::Error>> + Send + Sync>,
}

impl Service {
    /// `run` starts it, each time anew.
    pub fn new(
        queue: Queue,
        run: impl Fn(CancellationToken) -> BoxFuture<'static, Result<(), broker::Error>> + Send + Sync + 'static,
    ) -> Self {
        Service { queue, run: Box::new(run) }
    }
}

/// The pauses between tries: from 0.1 s, doubled, to 5 s.
#[derive(Debug)]
pub struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        BackOff(BACK_OFF_MIN)
    }
}

impl BackOff {
    /// Waits before the next try. Answers `false` if told to stop meanwhile.
    pub async fn pause(&mut self, stop: &CancellationToken) -> bool {
        let pause = self.0;
        self.0 = (pause * 2).min(BACK_OFF_MAX);
        tokio::select! {
            () = stop.cancelled() => false,
            () = sleep(pause) => true,
        }
    }
}

/// Which services are down.
#[derive(Debug, Default)]
pub struct Standing {
    down: Mutex<Down>,
}

#[derive(Debug, Default)]
struct Down {
    queues: BTreeSet<String>,
    /// Whether one of them has stood and fallen, or could not begin.
    told: bool,
}

impl Standing {
    /// The queues that nobody here consumes from at the moment, though somebody should.
    pub fn down(&self) -> Vec<String> {
        self.lock().queues.iter().cloned().collect()
    }

    fn expect(&self, name: &str) {
        self.lock().queues.insert(name.to_owned());
    }

    fn falls(&self, name: &str, reason: &str) {
        let mut down = self.lock();
        if !std::mem::replace(&mut down.told, true) {
            tracing::warn!(
                "lost the consumer of {name}: {reason}; trying again until all consumers are back"
            );
        }
        down.queues.insert(name.to_owned());
    }

    fn stands(&self, name: &str) {
        let mut down = self.lock();
        if down.queues.remove(name) && down.queues.is_empty() && std::mem::take(&mut down.told) {
            tracing::info!("all consumers are back");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Down> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a service, again and again, until told to stop.
pub async fn keep(service: Service, core: Arc<Core>, standing: Arc<Standing>, stop: CancellationToken) {
    let name = service.queue.as_str();
    standing.expect(name);
    let mut back_off = BackOff::default();
    let mut told = false;
    while !stop.is_cancelled() {
        let ended = match core.broker.declare(std::slice::from_ref(&service.queue)).await {
            Ok(()) => {
                let mut running = AbortOnDropHandle::new(tokio::spawn((service.run)(stop.clone())));
                tokio::select! {
                    ended = &mut running => ended,
                    () = sleep(STANDS_AFTER) => {
                        standing.stands(name);
                        (back_off, told) = (BackOff::default(), false);
                        running.await
                    }
                }
            }
            Err(error) => Ok(Err(error)),
        };
        let reason = match ended {
            // Told to stop.
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(crashed) => format!("the service has crashed: {crashed}"),
        };
        if !told {
            standing.falls(name, &reason);
            told = true;
        }
        if !back_off.pause(&stop).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_the_first_fall_to_the_last_return() {
        let standing = Standing::default();
        standing.falls("a", "gone");
        standing.falls("b", "gone");
        standing.stands("a");
        assert_eq!(standing.down(), ["b"]);
        standing.stands("b");
        assert!(standing.down().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_five_seconds() {
        let (mut back_off, stop) = (BackOff::default(), CancellationToken::new());
        let began = tokio::time::Instant::now();
        for _ in 0..7 {
            assert!(back_off.pause(&stop).await);
        }
        // 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 5
        assert_eq!(began.elapsed().as_millis(), 11_300);
        stop.cancel();
        assert!(!back_off.pause(&stop).await);
    }
}
