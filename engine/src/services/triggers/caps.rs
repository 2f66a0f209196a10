//! How fast a trigger may start, and how many of its executions may be open: per process.
//!
//! They outlive consumers and revisions: what is open stays open when a queue is consumed anew.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, interval, sleep_until};

use crate::events::rule::Trigger;
use crate::ids::ExecutionId;
use crate::services::Core;

/// An end that was not announced here is found after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The caps of one trigger, or of one target of a rule.
pub(super) struct Caps {
    state: Mutex<State>,
    /// A place is free again.
    freed: Notify,
}

struct State {
    limits: Limits,
    /// When the next one may start.
    next: Instant,
    /// Executions that are about to start.
    starting: usize,
    open: HashSet<ExecutionId>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Limits {
    per_second: Option<u32>,
    places: Option<usize>,
}

impl Limits {
    fn of(trigger: &Trigger) -> Self {
        Limits {
            per_second: trigger.rate_per_second.map(|rate| rate.get()),
            places: trigger.concurrency.map(|places| places.get() as usize),
        }
    }
}

/// Among the executions that are open; given back when it is dropped.
pub(super) struct Place<'a> {
    caps: &'a Caps,
    is_counted: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_counted {
            self.caps.lock().starting -= 1;
            self.caps.freed.notify_one();
        }
    }
}

impl Caps {
    pub(super) fn of(trigger: &Trigger) -> Self {
        Caps::new(Limits::of(trigger))
    }

    /// None.
    pub(super) fn none() -> Self {
        Caps::new(Limits::default())
    }

    fn new(limits: Limits) -> Self {
        let state = State { limits, next: Instant::now(), starting: 0, open: HashSet::new() };
        Caps { state: Mutex::new(state), freed: Notify::new() }
    }

    /// From now on as the trigger says.
    pub(super) fn follow(&self, trigger: &Trigger) {
        self.lock().limits = Limits::of(trigger);
        self.freed.notify_waiters();
    }

    /// Waits until another execution may start. Answers its place among those that are open.
    pub(super) async fn admit(&self) -> Place<'_> {
        let place = loop {
            let freed = self.freed.notified();
            if let Some(place) = self.place() {
                break place;
            }
            freed.await;
        };
        let at = {
            let mut state = self.lock();
            state.limits.per_second.filter(|rate| *rate > 0).map(|rate| {
                let at = state.next.max(Instant::now());
                state.next = at + Duration::from_secs(1) / rate;
                at
            })
        };
        if let Some(at) = at {
            sleep_until(at).await;
        }
        place
    }

    fn place(&self) -> Option<Place<'_>> {
        let mut state = self.lock();
        let Some(places) = state.limits.places else { return Some(Place { caps: self, is_counted: false }) };
        if state.starting + state.open.len() >= places {
            return None;
        }
        state.starting += 1;
        Some(Place { caps: self, is_counted: true })
    }

    /// Whether the executions that are open are counted.
    pub(super) fn are_counted(&self) -> bool {
        self.lock().limits.places.is_some()
    }

    /// An execution keeps its place until it is closed.
    pub(super) fn keep(&self, id: ExecutionId, place: &Place<'_>) {
        if place.is_counted {
            self.lock().open.insert(id);
        }
    }

    fn is_over(&self, id: ExecutionId) {
        if self.lock().open.remove(&id) {
            self.freed.notify_one();
        }
    }

    /// Gives back the places of executions that are closed. Never ends.
    pub(super) async fn watch(&self, core: &Core) {
        // Other limits come with another consumer; most triggers have none, and need not hear of every end.
        if !self.are_counted() {
            return std::future::pending().await;
        }
        let mut closed = core.closed.subscribe();
        let mut looks = interval(LOOK_AGAIN);
        loop {
            tokio::select! {
                biased;
                id = closed.recv() => if let Ok(id) = id { self.is_over(id); },
                _ = looks.tick() => self.look(core).await,
            }
        }
    }

    async fn look(&self, core: &Core) {
        let open: Vec<ExecutionId> = self.lock().open.iter().copied().collect();
        if open.is_empty() {
            return;
        }
        // While the store is away nothing is known to have ended.
        if let Ok(running) = core.catalog.still_running(&open).await {
            for id in open.into_iter().filter(|id| !running.contains(id)) {
                self.is_over(id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(places: usize) -> Limits {
        Limits { places: Some(places), ..Limits::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn starts_are_spread_over_a_second() {
        let caps = Caps::new(Limits { per_second: Some(10), ..Limits::default() });
        let begin = Instant::now();
        for _ in 0..21 {
            caps.admit().await;
        }
        assert_eq!(begin.elapsed().as_millis(), 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_open_keeps_its_place() {
        let caps = Caps::new(places(2));
        let (first, second) = (ExecutionId::new(), ExecutionId::new());
        for id in [first, second] {
            let place = caps.admit().await;
            caps.keep(id, &place);
        }
        let mut third = std::pin::pin!(caps.admit());
        assert!(futures::poll!(third.as_mut()).is_pending());
        caps.is_over(first);
        assert!(third.await.is_counted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_failed_gives_its_place_back() {
        let caps = Caps::new(places(1));
        let place = caps.admit().await;
        let mut other = std::pin::pin!(caps.admit());
        assert!(futures::poll!(other.as_mut()).is_pending());
        drop(place);
        assert!(other.await.is_counted);
    }

    #[tokio::test(start_paused = true)]
    async fn more_places_let_others_in_and_what_is_open_still_counts() {
        let caps = Caps::new(places(1));
        let place = caps.admit().await;
        caps.keep(ExecutionId::new(), &place);
        drop(place);
        let mut second = std::pin::pin!(caps.admit());
        assert!(futures::poll!(second.as_mut()).is_pending());
        caps.lock().limits = places(2);
        caps.freed.notify_waiters();
        let second = second.await;
        let mut third = std::pin::pin!(caps.admit());
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(second);
    }
}
