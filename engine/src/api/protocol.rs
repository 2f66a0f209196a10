//! AWS JSON 1.0: from an HTTP request to an action and an object, and back.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::errors::ApiError;
use super::hand_over::{Reply, TaskBody};
use super::parameters::{Action, BusAction, Target};

/// Longest request, in bytes: a definition of 1 MiB whose every character is escaped (`\u0041`, 6 MiB),
/// and what goes with it.
const REQUEST_BYTES_MAX: usize = 8 * 1_048_576;
/// Most bytes of a request over its limit that are read and thrown away, so that its sender comes to
/// read the answer. A longer one finds the connection closed.
const DISCARDED_BYTES_MAX: usize = 64 * 1_048_576;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const SERVICE: &str = "AWSStepFunctions.";
const BUS: &str = "AWSEvents.";

/// Reads a body whole.
pub async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut chunks = body.into_data_stream();
    let mut read = Vec::new();
    let mut discarded = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk: Bytes = chunk.map_err(|error| {
            ApiError::serialization(format!("The request's body ends too early: {error}"))
        })?;
        if discarded == 0 && read.len() + chunk.len() <= REQUEST_BYTES_MAX {
            read.extend_from_slice(&chunk);
            continue;
        }
        discarded += chunk.len();
        if discarded > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if discarded > 0 {
        let message = format!("The request is too large: at most {REQUEST_BYTES_MAX} bytes are taken");
        return Err(ApiError::validation(message));
    }
    Ok(read)
}

/// What the headers ask for.
pub fn target(headers: &HeaderMap) -> Result<Target, ApiError> {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).ok_or_else(|| {
        ApiError::unknown_operation("The header X-Amz-Target is missing: AWSStepFunctions.<Action>")
    })?;
    if let Some(name) = target.strip_prefix(BUS) {
        return BusAction::named(name).map(Target::Bus).ok_or_else(|| no_operation(target));
    }
    named(target.strip_prefix(SERVICE).unwrap_or_default(), target).map(Target::States)
}

fn no_operation(target: &str) -> ApiError {
    ApiError::unknown_operation(format!("There is no operation '{target}'"))
}

/// The action of this name, which was asked for by `target`.
pub fn named(name: &str, target: &str) -> Result<Action, ApiError> {
    Action::named(name).ok_or_else(|| no_operation(target))
}

/// The object that a body holds; an empty body holds an empty one.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ApiError::serialization("The request's body must be a JSON object")),
        Err(error) => Err(ApiError::serialization(format!("The request's body is not JSON: {error}"))),
    }
}

/// An answer.
pub fn success(request: Uuid, reply: Reply) -> Response {
    let body = match reply {
        Reply::Json(value) => Body::from(value.to_string()),
        Reply::Task(value, hand_over) => Body::new(TaskBody::new(value.to_string(), hand_over)),
    };
    respond(request, StatusCode::OK, body)
}

/// An error answer.
pub fn failure(request: Uuid, error: &ApiError) -> Response {
    respond(request, error.status(), Body::from(error.to_json().to_string()))
}

fn respond(request: Uuid, status: StatusCode, body: Body) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response();
    if let Ok(id) = HeaderValue::from_str(&request.to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(named: Option<&'static str>, expected: Result<Target, &str>) {
        let mut headers = HeaderMap::new();
        if let Some(named) = named {
            headers.insert("x-amz-target", HeaderValue::from_static(named));
        }
        let named = target(&headers).map_err(|error| {
            assert_eq!(error.code(), "UnknownOperationException");
            error.to_json()["message"].as_str().unwrap().to_owned()
        });
        assert_eq!(named, expected.map_err(str::to_owned));
    }

    #[test]
    fn the_target_names_the_action() {
        check(Some("AWSStepFunctions.StartExecution"), Ok(Target::States(Action::StartExecution)));
        check(Some("AWSEvents.PutEvents"), Ok(Target::Bus(BusAction::PutEvents)));
        check(Some("AWSEvents.Fly"), Err("There is no operation 'AWSEvents.Fly'"));
        check(Some("AWSStepFunctions.Fly"), Err("There is no operation 'AWSStepFunctions.Fly'"));
        check(Some("DynamoDB.StartExecution"), Err("There is no operation 'DynamoDB.StartExecution'"));
        check(None, Err("The header X-Amz-Target is missing: AWSStepFunctions.<Action>"));
    }

    #[test]
    fn only_an_object_is_a_request() {
        assert_eq!(object(b"").unwrap(), Map::new());
        assert_eq!(object(b"{}").unwrap(), Map::new());
        for body in [&b"["[..], b"[]", b"1", b"{\"a\":", b"\xff"] {
            assert_eq!(object(body).unwrap_err().code(), "SerializationException");
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        assert_eq!(read(Body::from(vec![b' '; REQUEST_BYTES_MAX])).await.unwrap().len(), REQUEST_BYTES_MAX);
        let error = read(Body::from(vec![b' '; REQUEST_BYTES_MAX + 1])).await.unwrap_err();
        assert_eq!(error.code(), "ValidationException");
    }
}
