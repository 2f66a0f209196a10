//! How fast a trigger may start, and how many of its executions may be open: per instance of Warren.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval, sleep_until};

use crate::events::rule::Trigger;
use crate::ids::ExecutionId;
use crate::services::Core;

/// An end that was not announced here is found after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The caps of one trigger.
pub(super) struct Caps {
    pause: Option<Duration>,
    next: Mutex<Instant>,
    places: Option<Arc<Semaphore>>,
    open: Mutex<HashMap<ExecutionId, OwnedSemaphorePermit>>,
}

impl Caps {
    pub(super) fn of(trigger: &Trigger) -> Self {
        let number = |count: u32| NonZeroU32::new(count);
        Caps::new(
            trigger.rate_per_second.and_then(|rate| number(rate.get())),
            trigger.concurrency.and_then(|places| number(places.get())),
        )
    }

    pub(super) fn new(per_second: Option<NonZeroU32>, concurrency: Option<NonZeroU32>) -> Self {
        let places = |count: NonZeroU32| Arc::new(Semaphore::new(count.get() as usize));
        Caps {
            pause: per_second.map(|rate| Duration::from_secs(1) / rate.get()),
            next: Mutex::new(Instant::now()),
            places: concurrency.map(places),
            open: Mutex::default(),
        }
    }

    /// Waits until another execution may start. Answers its place among those that are open.
    pub(super) async fn admit(&self) -> Option<OwnedSemaphorePermit> {
        let place = match &self.places {
            // It is never closed.
            Some(places) => places.clone().acquire_owned().await.ok(),
            None => None,
        };
        if let Some(pause) = self.pause {
            let at = {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                let at = (*next).max(Instant::now());
                *next = at + pause;
                at
            };
            sleep_until(at).await;
        }
        place
    }

    /// Whether the executions that are open are counted.
    pub(super) fn are_counted(&self) -> bool {
        self.places.is_some()
    }

    /// An execution keeps its place until it is closed.
    pub(super) fn keep(&self, id: ExecutionId, place: Option<OwnedSemaphorePermit>) {
        if let Some(place) = place {
            self.lock().insert(id, place);
        }
    }

    /// Gives back the places of executions that are closed. Never ends.
    pub(super) async fn watch(&self, core: &Core) {
        if self.places.is_none() {
            return std::future::pending().await;
        }
        let mut closed = core.closed.subscribe();
        let mut looks = interval(LOOK_AGAIN);
        loop {
            tokio::select! {
                biased;
                id = closed.recv() => if let Ok(id) = id { self.lock().remove(&id); },
                _ = looks.tick() => self.look(core).await,
            }
        }
    }

    async fn look(&self, core: &Core) {
        let open: Vec<ExecutionId> = self.lock().keys().copied().collect();
        if open.is_empty() {
            return;
        }
        // While the store is away nothing is known to have ended.
        if let Ok(running) = core.catalog.still_running(&open).await {
            let mut places = self.lock();
            for id in open {
                if !running.contains(&id) {
                    places.remove(&id);
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ExecutionId, OwnedSemaphorePermit>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn starts_are_spread_over_a_second() {
        let caps = Caps::new(NonZeroU32::new(10), None);
        let begin = Instant::now();
        for _ in 0..21 {
            caps.admit().await;
        }
        assert_eq!(begin.elapsed().as_millis(), 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_open_keeps_its_place() {
        let caps = Caps::new(None, NonZeroU32::new(2));
        let (first, second) = (ExecutionId::new(), ExecutionId::new());
        for id in [first, second] {
            let place = caps.admit().await;
            caps.keep(id, place);
        }
        let mut third = std::pin::pin!(caps.admit());
        assert!(futures::poll!(third.as_mut()).is_pending());
        caps.lock().remove(&first);
        assert!(third.await.is_some());
    }
}
