//! Requests to the API.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Instant;

use ::metrics::{Counter, Gauge, Histogram};

use super::catalogue::requests as catalogue;
use super::registry::Registry;
use super::{Instruments, on};

/// The code of an answer that is no error.
const OK: &str = "OK";
/// The code of a request whose caller did not wait for the answer.
const GONE: &str = "ClientGone";
/// The action of a request that names none.
const UNKNOWN: &str = "unknown";

/// Handles by action and code. Both come from tables of the program, so there are not many.
pub(super) struct Requests {
    in_flight: Gauge,
    codes: RwLock<HashMap<(&'static str, &'static str), Counter>>,
    actions: RwLock<HashMap<&'static str, Histogram>>,
}

impl Requests {
    pub(super) fn new(registry: &Registry) -> Self {
        Requests {
            in_flight: registry.gauge(&catalogue::IN_FLIGHT, &[]),
            codes: RwLock::default(),
            actions: RwLock::default(),
        }
    }
}

/// A request that is being answered. Dropped before it is, its caller did not wait.
pub struct Request {
    action: &'static str,
    began: Instant,
    on: Option<&'static Instruments>,
}

impl Request {
    /// It came in, and asks for this action.
    pub fn begin(action: Option<&'static str>) -> Self {
        let on = on();
        if let Some(on) = on {
            on.api.in_flight.increment(1.0);
        }
        Request { action: action.unwrap_or(UNKNOWN), began: Instant::now(), on }
    }

    /// It was answered well, or with an error of this code.
    pub fn answered(mut self, error: Option<&'static str>) {
        self.end(error.unwrap_or(OK));
    }

    fn end(&mut self, code: &'static str) {
        let Some(on) = self.on.take() else { return };
        on.api.in_flight.decrement(1.0);
        count(on, self.action, code);
        time(on, self.action, self.began);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.end(GONE);
    }
}

fn count(on: &Instruments, action: &'static str, code: &'static str) {
    let known = on.api.codes.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(counter) = known.get(&(action, code)) {
        return counter.increment(1);
    }
    drop(known);
    let mut codes = on.api.codes.write().unwrap_or_else(PoisonError::into_inner);
    let new = || on.registry.counter(&catalogue::REQUESTS, &[action, code]);
    codes.entry((action, code)).or_insert_with(new).increment(1);
}

fn time(on: &Instruments, action: &'static str, began: Instant) {
    let known = on.api.actions.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(histogram) = known.get(action) {
        return histogram.record(began.elapsed());
    }
    drop(known);
    let mut actions = on.api.actions.write().unwrap_or_else(PoisonError::into_inner);
    let new = || on.registry.histogram(&catalogue::DURATION, &[action]);
    actions.entry(action).or_insert_with(new).record(began.elapsed());
}
