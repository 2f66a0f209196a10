//! HTTP calls: `arn:aws:states:::http:invoke`.
//!
//! ```text
//!   parameters + connection ─▶ request ─▶ egress rules ─▶ host ─▶ answer ─▶ result or failure
//!                                 ▲                         │
//!                                 └── a redirect ◀──────────┘    60 seconds for all of it
//! ```
//!
//! What goes out, comes back and fails is as on AWS, but that a connection is not asked for, that redirects
//! are followed, and that hosts of the inside are not called unless the configuration says so. Secrets come
//! in with a [`Connection`] and go out with its calls. No text that is written here shows one; a host that
//! repeats one in its answer does, so a connection is best bound to its host.
//!
//! A call may be made twice when an engine dies meanwhile.

mod answer;
mod client;
mod connection;
mod egress;
mod encoding;
mod redirect;
mod request;
pub mod sealed;
mod token;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use asl::data::Failure;
use asl::program::{Pattern, Resource, ServiceResource};
use async_trait::async_trait;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use tokio::sync::Semaphore;

pub use self::client::Resolver;
use self::client::{Client, Error, Incoming, Outgoing, SystemResolver};
pub use self::connection::{
    Additions, Authorization, ClientCredentials, Connection, Connections, Secret, TokenMethod, Unavailable,
};
pub use self::egress::{Denied, Destination, EgressRules, Rule};
use self::request::{Call, basic, header};
use self::token::{Token, Tokens};
use crate::{Connector, Exchange, HttpPart, Request, Submission};

/// How long a call may take in all: AWS's limit.
const SECONDS_MAX: u64 = 60;
/// How many redirects of one call are followed, at most.
const REDIRECTS_MAX: u8 = 3;
/// The largest body of an answer that is taken, in bytes: AWS's quota for what a state can hold.
const BODY_BYTES_MAX: usize = 262_144;
/// Calls that are out at a time.
const CALLS_MAX: usize = 128;

/// How calls are made.
///
/// ```
/// let config: connectors::http::HttpConfig = serde_json::from_value(serde_json::json!({
///     "egress": {"allow": ["*.internal.example.com"]},
///     "timeout_seconds": 20,
/// })).unwrap();
/// assert_eq!((config.timeout.as_secs(), config.redirects_max), (20, 3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// What may be called.
    pub egress: EgressRules,
    /// How many redirects of one call are followed, 3 at most. With 0, one is a failure like any other
    /// status that is none of success.
    #[serde(deserialize_with = "redirects")]
    pub redirects_max: u8,
    /// How long a call may take in all, 60 seconds at most.
    #[serde(rename = "timeout_seconds", deserialize_with = "seconds")]
    pub timeout: Duration,
    /// What calls say they come from. Not read from this section.
    #[serde(skip)]
    pub region: String,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            egress: EgressRules::default(),
            redirects_max: REDIRECTS_MAX,
            timeout: Duration::from_secs(SECONDS_MAX),
            region: "us-east-1".to_owned(),
        }
    }
}

fn redirects<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let redirects = u8::deserialize(deserializer)?;
    if redirects > REDIRECTS_MAX {
        return Err(de::Error::custom(format!("at most {REDIRECTS_MAX} redirects can be followed")));
    }
    Ok(redirects)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = u64::deserialize(deserializer)?;
    if !(1..=SECONDS_MAX).contains(&seconds) {
        return Err(de::Error::custom(format!("a call may take from 1 to {SECONDS_MAX} seconds")));
    }
    Ok(Duration::from_secs(seconds))
}

/// Makes HTTP calls.
pub struct HttpConnector {
    config: HttpConfig,
    connections: Arc<dyn Connections>,
    client: Client,
    tokens: Tokens,
    calls: Semaphore,
}

impl HttpConnector {
    /// A connector that calls what these rules allow, with these connections.
    ///
    /// Fails if this machine has no certificates to trust.
    pub fn new(config: HttpConfig, connections: Arc<dyn Connections>) -> io::Result<Self> {
        let client = Client::new(config.egress.clone(), Arc::new(SystemResolver))?;
        let (tokens, calls) = (Tokens::default(), Semaphore::new(CALLS_MAX));
        Ok(HttpConnector { config, connections, client, tokens, calls })
    }

    /// Resolves names by other means than this machine's.
    #[must_use]
    pub fn resolving(self, resolver: Arc<dyn Resolver>) -> Self {
        HttpConnector { client: self.client.resolving(resolver), ..self }
    }

    async fn invoke(&self, call: &Call, submission: &dyn Submission) -> Result<Value, Failure> {
        let connection = self.connection(call).await?;
        let connection = connection.as_deref();
        let outgoing = call.outgoing(&self.config.region, connection)?;
        let (token, first) = self.authorized(outgoing.clone(), connection, None).await?;
        let (last, mut incoming) = self.follow(first).await?;
        let refused = incoming.status == StatusCode::UNAUTHORIZED && last.is_authorized();
        if let (true, Some(token)) = (refused, token) {
            let (_, again) = self.authorized(outgoing, connection, Some(&token)).await?;
            incoming = self.follow(again).await?.1;
        }
        submission.exchanged(&|| self.exchange(call, &incoming));
        answer::shown(incoming)
    }

    /// How a call went, as far as everybody may know.
    fn exchange(&self, call: &Call, incoming: &Incoming) -> Exchange {
        let (url, sent) = match call.outgoing(&self.config.region, None) {
            Ok(outgoing) => {
                let body = outgoing.body.unwrap_or_default();
                (outgoing.url.to_string(), HttpPart { headers: answer::lines(&outgoing.headers), body })
            }
            // It was made once already.
            Err(_) => (call.endpoint().to_string(), HttpPart { headers: Vec::new(), body: String::new() }),
        };
        let body = String::from_utf8_lossy(&incoming.body).into_owned();
        Exchange {
            method: call.method().to_string(),
            url,
            sent,
            status: incoming.status.as_u16(),
            status_text: incoming.status.canonical_reason().unwrap_or_default().to_owned(),
            received: HttpPart { headers: answer::lines(&incoming.headers), body },
        }
    }

    /// The connection that a call names, if it may be used where the call goes.
    async fn connection(&self, call: &Call) -> Result<Option<Arc<Connection>>, Failure> {
        let Some(arn) = &call.connection else { return Ok(None) };
        let failure =
            |name: &str, cause: String| Failure::new(format!("Events.ConnectionResource.{name}"), cause);
        let found =
            self.connections.find(arn).await.map_err(|error| failure("InternalError", error.to_string()))?;
        let missing = || failure("ResourceNotFound", format!("Connection '{arn}' does not exist."));
        let connection = found.ok_or_else(missing)?;
        let destination = self.client.destination(call.endpoint()).map_err(denied)?;
        if connection.bound_to.as_ref().is_some_and(|rule| !rule.covers(&destination)) {
            let name = &connection.name;
            let cause = format!("The connection '{name}' may not be used for {}", destination.host);
            return Err(failure("AccessDenied", cause));
        }
        Ok(Some(connection))
    }

    /// The request with what shows who the caller is; and the token, where that is one.
    async fn authorized(
        &self,
        mut outgoing: Outgoing,
        connection: Option<&Connection>,
        refused: Option<&Token>,
    ) -> Result<(Option<Token>, Outgoing), Failure> {
        let Some(connection) = connection else { return Ok((None, outgoing)) };
        let (name, value, token) = match &connection.authorization {
            Authorization::Basic { username, password } => {
                let (name, value) = header(AUTHORIZATION.as_str(), &basic(username, password), connection)?;
                (name, value, None)
            }
            Authorization::ApiKey { name, value } => {
                let (name, value) = header(name, value.reveal(), connection)?;
                (name, value, None)
            }
            Authorization::ClientCredentials(credentials) => {
                let token = self.tokens.get(&self.client, connection, credentials, refused).await?;
                (AUTHORIZATION, token.bearer()?, Some(token))
            }
        };
        outgoing.authorize(name, value);
        Ok((token, outgoing))
    }

    /// Sends a request, and those that answers ask for instead. Answers the last of both.
    async fn follow(&self, mut outgoing: Outgoing) -> Result<(Outgoing, Incoming), Failure> {
        let mut redirects = 0;
        loop {
            let incoming = self.client.exchange(&outgoing, BODY_BYTES_MAX).await.map_err(failure)?;
            let next = if redirects < self.config.redirects_max.min(REDIRECTS_MAX) {
                redirect::next(&outgoing, &incoming)
            } else {
                None
            };
            match next {
                Some(next) => outgoing = next,
                None => return Ok((outgoing, incoming)),
            }
            redirects += 1;
        }
    }
}

#[async_trait]
impl Connector for HttpConnector {
    fn name(&self) -> &'static str {
        "http"
    }

    fn claims(&self, resource: &Resource) -> bool {
        match resource {
            Resource::Activity { .. } | Resource::Function { .. } => false,
            Resource::Service(ServiceResource { service, action, pattern, .. }) => {
                service == "http" && action == "invoke" && *pattern == Pattern::RequestResponse
            }
        }
    }

    async fn run(&self, request: Request, submission: &dyn Submission) -> Result<Value, Failure> {
        let call = Call::read(&request.parameters)?;
        // Held until the answer is in; the call's own time begins once it has its place.
        let _place = self.calls.acquire().await;
        let limit = self.config.timeout.min(Duration::from_secs(SECONDS_MAX));
        match tokio::time::timeout(limit, self.invoke(&call, submission)).await {
            Ok(answered) => answered,
            Err(_) => {
                let seconds = limit.as_secs_f64();
                Err(failure(Error::Network(format!("The call timed out after {seconds} seconds"))))
            }
        }
    }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Denied(reason) => denied(reason),
        Error::Network(cause) => Failure::new("States.Http.Socket", cause),
        Error::TooLarge => answer::too_large(),
    }
}

/// Not one that passes by itself, and nothing that is wrong with the state machine as such.
fn denied(reason: Denied) -> Failure {
    Failure::new("States.Permissions", format!("The call was not made: {reason}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(section: Value, says: &str) {
        let error = serde_json::from_value::<HttpConfig>(section).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn a_wrong_section_is_reported_clearly() {
        check(json!({"timeout_seconds": 0}), "a call may take from 1 to 60 seconds");
        check(json!({"timeout_seconds": 61}), "a call may take from 1 to 60 seconds");
        check(json!({"redirects_max": 4}), "at most 3 redirects can be followed");
        check(json!({"region": "eu"}), "unknown field `region`");
        check(json!({"egress": {"deny": []}}), "unknown field `deny`");
        check(json!({"egress": {"allow": ["*"]}}), "\"*\" is no egress rule: write an address");
        assert_eq!(serde_json::from_value::<HttpConfig>(json!({})).unwrap(), HttpConfig::default());
    }
}
