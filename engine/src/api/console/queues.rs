//! Queues of others, fed and read by hand: `POST /console/api/queues/{name}/messages` and `…/receive`.
//!
//! A queue is named as its owner named it. What is received is acknowledged when the answer is on its way: if that
//! is lost, the messages go back.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Problem, flag, json_response, parameters, ready};
use crate::api::CoreCell;
use crate::api::hand_over::TaskBody;
use crate::ports::broker::Delivery;
use crate::services::queues::{NotSent, ToSend};

/// Messages that one request sends.
const COUNT_MAX: u32 = 10_000;
/// Messages that one request receives.
const RECEIVED_MAX: usize = 100;
/// The longest that a request waits for the first message, in seconds.
const WAIT_SECONDS_MAX: u64 = 60;
/// The longest name of a queue, in bytes (AMQP 0-9-1).
const NAME_BYTES_MAX: usize = 255;

/// What is to be sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendRequest {
    /// JSON is sent as such, anything else as a text.
    body: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "one")]
    count: u32,
}

/// How many are wanted, and how long they are waited for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReceiveRequest {
    max: usize,
    wait_seconds: u64,
}

impl Default for ReceiveRequest {
    fn default() -> Self {
        ReceiveRequest { max: 1, wait_seconds: 0 }
    }
}

fn one() -> u32 {
    1
}

/// `{"body", "headers", "count"}` is answered with `{"sent"}`. With `?declare=true`, a queue that does not exist is
/// made, durable; else it is a 404.
pub(super) async fn send(
    State(core): State<CoreCell>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, Problem> {
    let core = ready(&core)?;
    let request: SendRequest = read(&body)?;
    check_name(&name)?;
    if request.count == 0 || request.count > COUNT_MAX {
        return Err(Problem::bad_request(format!("'count' is a number from 1 to {COUNT_MAX}")));
    }
    let mut declares = false;
    for (name, value) in parameters(query.as_deref(), &["declare"])? {
        declares = flag(&name, &value)?;
    }
    let SendRequest { body, headers, count } = request;
    core.send_to(&name, declares, ToSend { body, headers, count }).await?;
    Ok(json_response(StatusCode::OK, &json!({ "sent": count })))
}

/// `{"max", "wait_seconds"}` is answered with `{"messages": [{"id", "body", "headers", …}]}`, with as many as there
/// are when the first has come.
pub(super) async fn receive(
    State(core): State<CoreCell>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let core = ready(&core)?;
    let ReceiveRequest { max, wait_seconds } =
        if body.is_empty() { ReceiveRequest::default() } else { read(&body)? };
    check_name(&name)?;
    if max == 0 || max > RECEIVED_MAX {
        return Err(Problem::bad_request(format!("'max' is a number from 1 to {RECEIVED_MAX}")));
    }
    if wait_seconds > WAIT_SECONDS_MAX {
        return Err(Problem::bad_request(format!("'wait_seconds' is at most {WAIT_SECONDS_MAX}")));
    }
    let received = core.receive_from(&name, max, Duration::from_secs(wait_seconds)).await?;
    let messages: Vec<Value> = received.deliveries().iter().map(shown).collect();
    let text = json!({ "messages": messages }).to_string();
    let on_delivery = Box::new(move || drop(tokio::spawn(async move { received.delivered().await })));
    let body = Body::new(TaskBody::with(text, on_delivery));
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

impl From<NotSent> for Problem {
    fn from(error: NotSent) -> Self {
        match error {
            NotSent::NoQueue(_) => Problem::not_found(error.to_string()),
            NotSent::Ours(_) => Problem::bad_request(error.to_string()),
            NotSent::InDoubt | NotSent::Unavailable(_) => Problem::unavailable(error.to_string()),
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("The request cannot be read: {error}")))
}

fn check_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!(
            "A queue's name has 1 to {NAME_BYTES_MAX} bytes, and no control characters"
        )));
    }
    Ok(())
}

/// A body that is no text is shown in base64.
fn shown(delivery: &Delivery) -> Value {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), delivery.id.as_str().into());
    match std::str::from_utf8(&delivery.body) {
        Ok(text) => shown.insert("body".to_owned(), text.into()),
        Err(_) => shown.insert("body_base64".to_owned(), STANDARD.encode(&delivery.body).into()),
    };
    shown.insert("headers".to_owned(), json!(delivery.headers));
    shown.insert("routing_key".to_owned(), delivery.routing_key.as_str().into());
    shown.insert("redeliveries".to_owned(), delivery.redeliveries.into());
    if let Some(reply_to) = &delivery.reply_to {
        shown.insert("reply_to".to_owned(), reply_to.as_str().into());
    }
    if let Some(id) = &delivery.correlation_id {
        shown.insert("correlation_id".to_owned(), id.as_str().into());
    }
    Value::Object(shown)
}
