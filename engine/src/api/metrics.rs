//! `GET /metrics`: what Prometheus reads.
//!
//! How broker and store are is asked at this moment, of those that `/readyz` asks; nothing here waits for either.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::CoreCell;
use super::health::Readiness;
use crate::metrics;
use crate::metrics::conditions::Standing;
use crate::ports::broker::Health;

/// What tells how the process is.
#[derive(Clone)]
pub(super) struct Told {
    pub readiness: Arc<dyn Readiness>,
    pub core: CoreCell,
}

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What [`Missing::what`](super::health::Missing::what) says of the store.
const OF_STORE: [&str; 2] = ["database", "migrations"];

pub(super) async fn show(State(told): State<Told>) -> Response {
    metrics::conditions::stand(&told.standing());
    match metrics::render() {
        Some(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
        None => (StatusCode::NOT_FOUND, "metrics are off: metrics.enabled is false\n").into_response(),
    }
}

impl Told {
    fn standing(&self) -> Standing {
        let missing: Vec<&str> = self.readiness.missing().iter().map(|missing| missing.what).collect();
        let (broker_up, broker_blocked) = match self.core.get().map(|core| core.broker.health()) {
            Some(Health::Good) => (true, false),
            Some(Health::Blocked(_)) => (true, true),
            Some(Health::Away(_)) => (false, false),
            // The process is starting.
            None => (!missing.contains(&"broker"), false),
        };
        let store_up = !OF_STORE.iter().any(|what| missing.contains(what));
        Standing { broker_up, broker_blocked, store_up, missing }
    }
}
