//! What the console and the command line ask beside the Step Functions API: plain JSON over HTTP, under
//! `/console/api`. What cannot be done is answered with its status and `{"message": …}`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::CoreCell;
use super::errors::ApiError;
use super::protocol;
use crate::ports::broker;
use crate::services::{Core, Unavailable};

mod events;
mod queues;
mod triggers;

/// The routes of the console API.
pub fn routes() -> Router<CoreCell> {
    Router::new()
        .nest("/console/api", triggers::routes())
        .route("/console/api/events", get(events::watch))
        .route("/console/api/queues/{name}/messages", post(queues::send))
        .route("/console/api/queues/{name}/receive", post(queues::receive))
}

/// Why a request is not done. The text is for the caller.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    message: String,
}

impl Problem {
    fn bad_request(message: impl Into<String>) -> Self {
        Problem { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    fn not_found(message: impl Into<String>) -> Self {
        Problem { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    fn conflict(message: impl Into<String>) -> Self {
        Problem { status: StatusCode::CONFLICT, message: message.into() }
    }

    fn unavailable(message: impl Into<String>) -> Self {
        Problem { status: StatusCode::SERVICE_UNAVAILABLE, message: message.into() }
    }
}

impl From<broker::Error> for Problem {
    fn from(error: broker::Error) -> Self {
        Problem::unavailable(error.to_string())
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        Problem { status: error.status(), message: error.message().to_owned() }
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        Problem::unavailable(error.to_string())
    }
}

/// An answer, or why there is none.
struct Answer(Result<(StatusCode, Value), Problem>);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self.0 {
            Ok((status, body)) => json_response(status, &body),
            Err(problem) => problem.into_response(),
        }
    }
}

/// The JSON that a request holds.
async fn body(request: Request) -> Result<Value, Problem> {
    let bytes = protocol::read(request.into_body()).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::bad_request(format!("The request's body is not JSON: {error}")))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        json_response(self.status, &json!({ "message": self.message }))
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The core, once it is there.
fn ready(core: &CoreCell) -> Result<&Arc<Core>, Problem> {
    core.get().ok_or_else(|| Problem::unavailable("Warren is starting; GET /readyz tells what it waits for."))
}

/// A name and a value, decoded.
type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The parameters of a query; each must be one of `known`, and there once.
fn parameters<'a>(query: Option<&'a str>, known: &[&str]) -> Result<Vec<Parameter<'a>>, Problem> {
    let mut found: Vec<Parameter<'a>> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if !known.contains(&&*name) {
            let known = known.join(", ");
            return Err(Problem::bad_request(format!("There is no parameter '{name}'; there are {known}")));
        }
        if found.iter().any(|(before, _)| *before == name) {
            return Err(Problem::bad_request(format!("Give '{name}' once")));
        }
        found.push((name, value));
    }
    Ok(found)
}

/// `true` or `false`.
fn flag(name: &str, value: &str) -> Result<bool, Problem> {
    value.parse().map_err(|_| Problem::bad_request(format!("'{name}' is true or false, not '{value}'")))
}
