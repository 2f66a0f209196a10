//! Tokens of OAuth: asked for once, kept until they expire, and asked for again when a host refuses one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asl::data::Failure;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded::byte_serialize;

use super::client::{Client, Outgoing, Secrets};
use super::connection::{ClientCredentials, Connection, Secret, TokenMethod};
use super::encoding::{Pair, encode};
use super::request::{add_query, basic, header};

/// Connections whose tokens are kept.
const KEPT_MAX: usize = 1_000;
/// The largest answer that is taken from who gives tokens.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a token is good that does not say so.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// The longest that any is kept.
const KEPT_FOR_MAX: Duration = Duration::from_secs(24 * 3600);
/// A token is not used any more this long before it expires.
const MARGIN: Duration = Duration::from_secs(30);

/// A token for calls of one connection.
#[derive(Debug, Clone)]
pub(super) struct Token {
    text: Secret,
    /// For whom: a connection that was changed gets a new one.
    credentials: ClientCredentials,
    expires: Instant,
}

impl Token {
    /// The value of `Authorization`.
    pub(super) fn bearer(&self) -> Result<HeaderValue, Failure> {
        HeaderValue::from_str(&format!("Bearer {}", self.text.reveal()))
            .map_err(|_| invalid("The token that was given cannot be sent in a header"))
    }
}

/// Held while a token is asked for, so that each connection asks once at a time.
type Place = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The tokens that are kept, by connection.
#[derive(Default)]
pub(super) struct Tokens {
    places: Mutex<BTreeMap<String, Place>>,
}

/// The answer of who gives tokens (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    /// In seconds. Some write it as a text.
    expires_in: Option<Value>,
}

impl Granted {
    /// How long the token may be used.
    fn good_for(&self) -> Duration {
        let seconds = match &self.expires_in {
            Some(Value::Number(seconds)) => seconds.as_f64(),
            Some(Value::String(seconds)) => seconds.parse().ok(),
            Some(_) | None => None,
        };
        let told = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        told.unwrap_or(GOOD_FOR).min(KEPT_FOR_MAX).saturating_sub(MARGIN)
    }
}

impl Tokens {
    /// The token of a connection. One that a host has refused is not given again.
    pub(super) async fn get(
        &self,
        client: &Client,
        connection: &Connection,
        credentials: &ClientCredentials,
        refused: Option<&Token>,
    ) -> Result<Token, Failure> {
        let place = self.place(&connection.name);
        let mut kept = place.lock().await;
        if let Some(token) = kept.as_ref() {
            let good = token.expires > Instant::now() && token.credentials == *credentials;
            if good && refused.is_none_or(|refused| refused.text != token.text) {
                return Ok(token.clone());
            }
        }
        *kept = None;
        let token = ask(client, connection, credentials).await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    fn place(&self, name: &str) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= KEPT_MAX && !places.contains_key(name) {
            // Whoever loses a token asks for another.
            places.pop_first();
        }
        places.entry(name.to_owned()).or_default().clone()
    }
}

async fn ask(
    client: &Client,
    connection: &Connection,
    credentials: &ClientCredentials,
) -> Result<Token, Failure> {
    let name = &connection.name;
    let request = request(connection, credentials)?;
    let answer = client.exchange(&request, ANSWER_BYTES_MAX).await.map_err(|error| {
        // The address of who gives tokens is the operator's: the log says what is wrong with it.
        tracing::warn!(?error, connection = name, "a token was not given");
        Failure::new(
            "Events.ConnectionResource.InternalError",
            format!("The token endpoint of the connection '{name}' could not be asked"),
        )
    })?;
    let status = answer.status;
    if status.is_server_error() {
        return Err(Failure::new(
            "Events.ConnectionResource.InternalError",
            format!("The token endpoint of the connection '{name}' answered {status}"),
        ));
    }
    if !status.is_success() {
        return Err(invalid(&format!("The token endpoint of the connection '{name}' answered {status}")));
    }
    let granted: Granted = serde_json::from_slice(&answer.body)
        .map_err(|_| invalid(&format!("The token endpoint of the connection '{name}' gave no token")))?;
    let expires = Instant::now() + granted.good_for();
    Ok(Token { text: granted.access_token, credentials: credentials.clone(), expires })
}

fn invalid(cause: &str) -> Failure {
    Failure::new("Events.ConnectionResource.InvalidConnectionState", cause)
}

/// The request for a token (RFC 6749, sections 2.3.1 and 4.4.2).
fn request(connection: &Connection, credentials: &ClientCredentials) -> Result<Outgoing, Failure> {
    let ClientCredentials { endpoint, method, client_id, client_secret, additions } = credentials;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let user: String = byte_serialize(client_id.as_bytes()).collect();
    let secret: String = byte_serialize(client_secret.reveal().as_bytes()).collect();
    let (name, value) = header(AUTHORIZATION.as_str(), &basic(&user, &Secret::new(secret)), connection)?;
    headers.insert(name, value);
    let (mut url, mut query) = (endpoint.clone(), Vec::new());
    let mut form = vec![("grant_type".to_owned(), Secret::new("client_credentials"))];
    form.retain(|(name, _)| !additions.body.iter().chain(&additions.query).any(|(own, _)| own == name));
    form.extend(additions.body.iter().cloned());
    add_query(&mut url, &mut query, &additions.query);
    let (method, body) = match method {
        TokenMethod::Post => (Method::POST, Some(form)),
        TokenMethod::Put => (Method::PUT, Some(form)),
        TokenMethod::Get => {
            add_query(&mut url, &mut query, &form);
            (Method::GET, None)
        }
    };
    if !query.is_empty() {
        let own = url.query().filter(|own| !own.is_empty()).map(|own| format!("{own}&"));
        url.set_query(Some(&(own.unwrap_or_default() + &encode(&query))));
    }
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    }
    for (name, value) in &additions.headers {
        let (name, value) = header(name, value.reveal(), connection)?;
        headers.insert(name, value);
    }
    let body = body.map(|form| {
        let pairs: Vec<Pair> = form.iter().map(|(name, value)| Pair::new(name, value.reveal())).collect();
        encode(&pairs)
    });
    Ok(Outgoing { method, url, headers, body, secrets: Secrets::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_used_until_shortly_before_it_expires() {
        for (expires_in, seconds) in [
            (json!(3600), 3570),
            (json!("3600"), 3570),
            (json!(null), 270),
            (json!("soon"), 270),
            (json!(-1), 270),
            (json!(10), 0),
            (json!(1e300), 270),
            (json!(1e9), 86_370),
        ] {
            let answer = json!({"access_token": "t", "expires_in": expires_in});
            let granted: Granted = serde_json::from_value(answer).unwrap();
            assert_eq!(granted.good_for().as_secs(), seconds, "{expires_in}");
        }
    }
}
