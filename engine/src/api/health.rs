//! `GET /healthz` and `GET /readyz`: what a process manager and a load balancer ask.
//!
//! Healthy is a process that answers at all: to restart it would mend nothing. Ready is one that can do its
//! work; what is away is in the body.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Tells whether a process can do its work.
pub trait Readiness: Send + Sync {
    /// What is away at the moment; nothing if it is ready.
    fn missing(&self) -> Vec<Missing>;
}

/// Something that the work needs and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// `broker`, `database`, …
    pub what: &'static str,
    /// How it shows, and how it is mended where that is known.
    pub reason: String,
}

/// Where everything is in this process.
pub struct AlwaysReady;

impl Readiness for AlwaysReady {
    fn missing(&self) -> Vec<Missing> {
        Vec::new()
    }
}

pub(super) async fn healthy() -> Response {
    answer(StatusCode::OK, &json!({ "status": "ok" }))
}

pub(super) async fn ready(State(readiness): State<Arc<dyn Readiness>>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        return answer(StatusCode::OK, &json!({ "status": "ready" }));
    }
    let missing: Vec<Value> =
        missing.iter().map(|missing| json!({ "what": missing.what, "reason": missing.reason })).collect();
    answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "not ready", "missing": missing }))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
