//! A server, as a caller sees it: the Step Functions API (AWS JSON 1.0 over HTTP), PutEvents, and what the console
//! asks.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

/// Speaks to one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
}

/// How a request to `/console/api/` is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or changes.
    Post,
    /// Removes.
    Delete,
}

/// A call without an answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server answers with an error of the API.
    #[error("{code}: {message}")]
    Refused {
        /// `StateMachineDoesNotExist`, `ValidationException`, …: without a prefix.
        code: String,
        /// What the server says.
        message: String,
    },
    /// There is no server, it went away, or it is over its limits. Asking again may help.
    #[error("{0}")]
    Unavailable(String),
    /// What answers does not speak the API.
    #[error("{0}")]
    Foreign(String),
}

impl CallError {
    /// Whether the server refused with this code.
    pub fn is(&self, expected: &str) -> bool {
        matches!(self, CallError::Refused { code, .. } if code == expected)
    }
}

/// An API of AWS.
struct Service {
    /// Before the action, in the header that names it.
    target: &'static str,
    content_type: &'static str,
    /// As signatures name it.
    name: &'static str,
}

const STATES: Service =
    Service { target: "AWSStepFunctions", content_type: "application/x-amz-json-1.0", name: "states" };
const EVENTS: Service =
    Service { target: "AWSEvents", content_type: "application/x-amz-json-1.1", name: "events" };

/// Warren asks for no signature but for the form of one. A server that checks signatures will refuse it.
fn unsigned(service: &Service) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=warren/20200101/us-east-1/{}/aws4_request, SignedHeaders=host;x-amz-target, \
         Signature=0",
        service.name
    )
}

/// Longer than any call takes, GetActivityTask (60 s) included.
const CALL_TIMEOUT: Duration = Duration::from_secs(75);

/// For what has no end of its own.
const NO_TIMEOUT: Duration = Duration::from_secs(u32::MAX as u64);

impl Client {
    /// A client for a server, `http://127.0.0.1:8083`. Nothing is sent yet.
    pub fn new(endpoint: &str) -> Result<Self, CallError> {
        let url = reqwest::Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(host) = url.as_ref().and_then(reqwest::Url::host_str) else {
            return Err(CallError::Foreign(format!("{endpoint:?} is not a URL like http://127.0.0.1:8083")));
        };
        let mut http = reqwest::Client::builder().timeout(CALL_TIMEOUT);
        if ["127.0.0.1", "localhost", "[::1]"].contains(&host) {
            // A proxy for the rest of the world does not know what listens on this machine.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| CallError::Foreign(reason(&error)))?;
        Ok(Client { http, endpoint: endpoint.trim_end_matches('/').to_owned() })
    }

    /// Where the server is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes a request to what is under `/console/api/`.
    pub async fn console(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, CallError> {
        let url = format!("{}/console/api/{path}", self.endpoint);
        let request = match method {
            Method::Get => self.http.get(url),
            Method::Post => self.http.post(url),
            Method::Delete => self.http.delete(url),
        };
        let request = request.header(CONTENT_TYPE, "application/json");
        let sent = match body {
            Some(body) => request.body(body.to_string()).send(),
            None => request.send(),
        };
        let response = sent.await.map_err(|error| self.unreachable(&error))?;
        let (status, body) = (response.status(), response.bytes().await);
        let body = body.map_err(|error| self.unreachable(&error))?;
        match serde_json::from_slice::<Value>(&body) {
            Ok(answer) if status.is_success() => Ok(answer),
            Ok(answer) => Err(self.not_done(status, &answer)),
            Err(_) => Err(self.not_done(status, &Value::Null)),
        }
    }

    /// Makes a call and waits for its answer. Dropping the future closes the connection.
    pub async fn call(&self, action: &str, request: Value) -> Result<Value, CallError> {
        self.ask(&STATES, action, request).await
    }

    /// PutEvents of EventBridge.
    pub async fn put_events(&self, request: Value) -> Result<Value, CallError> {
        self.ask(&EVENTS, "PutEvents", request).await
    }

    async fn ask(&self, service: &Service, action: &str, request: Value) -> Result<Value, CallError> {
        let sent = self
            .http
            .post(format!("{}/", self.endpoint))
            .header(CONTENT_TYPE, service.content_type)
            .header("X-Amz-Target", format!("{}.{action}", service.target))
            .header(AUTHORIZATION, unsigned(service))
            .body(request.to_string())
            .send();
        let response = sent.await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let answer = serde_json::from_slice::<Value>(&body);
        match answer {
            Ok(answer) if status.is_success() => Ok(answer),
            // Some actions answer with nothing at all.
            Err(_) if status.is_success() && body.is_empty() => Ok(Value::Null),
            Ok(answer) if answer.get("__type").is_some() => Err(refused(status.as_u16(), &answer)),
            Ok(_) | Err(_) if status.is_server_error() => {
                Err(CallError::Unavailable(format!("{} answers {status}", self.endpoint)))
            }
            Ok(_) | Err(_) => Err(CallError::Foreign(format!(
                "{} answers {status} to {action}, and not as the API of AWS does",
                self.endpoint
            ))),
        }
    }

    /// Begins to read an answer that goes on, without an end in time.
    pub async fn follow(&self, path: &str) -> Result<reqwest::Response, CallError> {
        let sent = self.http.get(format!("{}{path}", self.endpoint)).timeout(NO_TIMEOUT).send();
        let response = sent.await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, body) = (response.status(), response.bytes().await.unwrap_or_default());
        Err(self.not_done(status, &serde_json::from_slice(&body).unwrap_or_default()))
    }

    fn unreachable(&self, error: &reqwest::Error) -> CallError {
        CallError::Unavailable(format!("failed to reach {}: {}", self.endpoint, reason(error)))
    }

    fn not_done(&self, status: StatusCode, answer: &Value) -> CallError {
        let message = answer["message"].as_str();
        let said = message.map_or_else(|| format!("{} answers {status}", self.endpoint), str::to_owned);
        match message {
            _ if status.is_server_error() => CallError::Unavailable(said),
            Some(_) => CallError::Refused { code: status.as_str().to_owned(), message: said },
            None => CallError::Foreign(format!("{said}; is it Warren, and of this release?")),
        }
    }
}

fn refused(status: u16, answer: &Value) -> CallError {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = text("__type");
    let code = kind.rsplit('#').next().unwrap_or(kind).to_owned();
    // The API has both spellings.
    let message = [text("message"), text("Message")].concat();
    if status >= 500 || code == "ThrottlingException" {
        return CallError::Unavailable(format!("{code}: {message}"));
    }
    CallError::Refused { code, message }
}

/// The last cause: the ones before it say the same in general terms.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
