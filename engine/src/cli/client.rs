//! The Step Functions API, as a caller sees it: AWS JSON 1.0 over HTTP.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

/// Speaks to one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
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

/// Warren asks for no signature but for the form of one. A server that checks signatures will refuse it.
const UNSIGNED: &str = "AWS4-HMAC-SHA256 Credential=warren/20200101/us-east-1/states/aws4_request, \
                        SignedHeaders=host;x-amz-target, Signature=0";
/// Longer than any call takes, GetActivityTask (60 s) included.
const CALL_TIMEOUT: Duration = Duration::from_secs(75);

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

    /// Makes a call and waits for its answer. Dropping the future closes the connection.
    pub async fn call(&self, action: &str, request: Value) -> Result<Value, CallError> {
        let sent = self
            .http
            .post(format!("{}/", self.endpoint))
            .header(CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("X-Amz-Target", format!("AWSStepFunctions.{action}"))
            .header(AUTHORIZATION, UNSIGNED)
            .body(request.to_string())
            .send();
        let unreachable =
            |error| CallError::Unavailable(format!("failed to reach {}: {}", self.endpoint, reason(&error)));
        let response = sent.await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
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
                "{} answers {status} to {action}, and not as the Step Functions API does",
                self.endpoint
            ))),
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
