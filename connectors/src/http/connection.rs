//! Connections: how a host is to be convinced that a call may be made, kept apart from state machines.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use url::Url;

use super::egress::Rule;

/// What stands where a secret was.
const MASK: &str = "***";

/// A text that is not shown: not by `Debug`, and there is no other way but [`reveal`](Self::reveal).
///
/// ```
/// use connectors::http::Secret;
///
/// let password = Secret::new("correct horse");
/// assert_eq!(format!("{password:?}"), "***");
/// assert_eq!(password.reveal(), "correct horse");
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text, for the wire alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Where connections are kept.
///
/// An implementation must guarantee that the text of an [`Unavailable`] holds nothing secret: it becomes
/// the cause of a failure, which is history.
#[async_trait]
pub trait Connections: Send + Sync {
    /// The connection of this ARN (`arn:P:events:R:A:connection/NAME/ID`) or name. `None` if there is none.
    async fn find(&self, arn_or_name: &str) -> Result<Option<Arc<Connection>>, Unavailable>;
}

/// Why a connection could not be looked up, or not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// What a call gets besides what its state machine says (EventBridge API reference, CreateConnection).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its name: what failures call it.
    pub name: String,
    /// Where it may be used: written as an egress rule is. Without one, wherever a call may go.
    pub bound_to: Option<Rule>,
    /// How the caller shows who it is.
    pub authorization: Authorization,
    /// What is added to each call.
    pub additions: Additions,
}

/// How a caller shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// `Authorization: Basic …`.
    Basic {
        /// The user.
        username: String,
        /// The user's password.
        password: Secret,
    },
    /// A header.
    ApiKey {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// `Authorization: Bearer …`, with a token that is asked for (RFC 6749, section 4.4).
    ClientCredentials(ClientCredentials),
}

/// Whom to ask for a token, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// Who gives tokens. The egress rules hold here, too.
    pub endpoint: Url,
    /// How it is asked.
    pub method: TokenMethod,
    /// The client.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// What is added to each request for a token: a scope, an audience.
    pub additions: Additions,
}

/// The method of a request for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TokenMethod {
    /// As RFC 6749 has it.
    Post,
    /// With everything in the query.
    Get,
    /// As `POST`.
    Put,
}

/// Named values that are added to a request. They win over those of a state machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions {
    /// Headers.
    pub headers: Vec<(String, Secret)>,
    /// Parameters of the query.
    pub query: Vec<(String, Secret)>,
    /// Members of the body.
    pub body: Vec<(String, Secret)>,
}
