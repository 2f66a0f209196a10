//! `[connections.NAME]`: how HTTP calls show who they are.
//!
//! Secrets are written sealed, as `warren connection seal` prints them, or as they are. Both are kept as they are
//! written until a connection is opened, and neither is ever shown.

use std::collections::BTreeMap;

use connectors::http::{
    Additions, Authorization, ClientCredentials, Connection, Rule, Secret, TokenMethod, sealed,
};
use reqwest::Url;
use serde::{Deserialize, Deserializer, de};

use super::secret::Key;

/// Characters of a name (EventBridge API reference, CreateConnection).
const NAME_CHARACTERS_MAX: usize = 64;

/// One connection: `basic`, `api_key` or `oauth`, and what is added to each call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Table")]
pub struct ConnectionConfig {
    bound_to: Option<Rule>,
    way: Way,
    added: Added,
}

/// A connection as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    bound_to: Option<Rule>,
    basic: Option<Basic>,
    api_key: Option<ApiKey>,
    oauth: Option<OAuth>,
    #[serde(default)]
    headers: Texts,
    #[serde(default)]
    query: Texts,
    #[serde(default)]
    body: Texts,
}

/// How a caller shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Basic(Basic),
    ApiKey(ApiKey),
    OAuth(OAuth),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Basic {
    username: String,
    password: Secret,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKey {
    /// Of the header.
    name: String,
    value: Secret,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct OAuth {
    #[serde(deserialize_with = "url")]
    token_url: Url,
    #[serde(default = "post")]
    method: TokenMethod,
    client_id: String,
    client_secret: Secret,
    #[serde(default)]
    headers: Texts,
    #[serde(default)]
    query: Texts,
    #[serde(default)]
    body: Texts,
}

/// By name.
type Texts = BTreeMap<String, Secret>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Added {
    headers: Texts,
    query: Texts,
    body: Texts,
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| de::Error::custom(format!("{text:?} is no URL like https://login.example.com/token")))
}

fn post() -> TokenMethod {
    TokenMethod::Post
}

impl TryFrom<Table> for ConnectionConfig {
    type Error = &'static str;

    fn try_from(table: Table) -> Result<Self, Self::Error> {
        let Table { bound_to, basic, api_key, oauth, headers, query, body } = table;
        let way = match (basic, api_key, oauth) {
            (Some(basic), None, None) => Way::Basic(basic),
            (None, Some(api_key), None) => Way::ApiKey(api_key),
            (None, None, Some(oauth)) => Way::OAuth(oauth),
            _ => return Err("a connection needs one of `basic`, `api_key` and `oauth`"),
        };
        Ok(ConnectionConfig { bound_to, way, added: Added { headers, query, body } })
    }
}

/// Whether a connection may be called so: what stands in its ARN.
pub fn is_name(name: &str) -> bool {
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=NAME_CHARACTERS_MAX).contains(&name.len()) && name.bytes().all(usable)
}

/// Why a connection was not opened. Shows nothing of a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// There is no key for what is sealed.
    #[error(
        "failed to open `{0}`: it is sealed, and there is no key; set `secrets.key` or `secrets.key_file`"
    )]
    NoKey(String),
    /// It does not open.
    #[error("failed to {1}: `{0}`")]
    Sealed(String, sealed::Error),
}

impl ConnectionConfig {
    /// The connection with its secrets opened.
    pub fn open(&self, name: &str, key: Option<&Key>) -> Result<Connection, NotOpened> {
        let opener = Opener { name, key };
        let authorization = match &self.way {
            Way::Basic(Basic { username, password }) => Authorization::Basic {
                username: username.clone(),
                password: opener.open("basic.password", password)?,
            },
            Way::ApiKey(ApiKey { name, value }) => {
                Authorization::ApiKey { name: name.clone(), value: opener.open("api_key.value", value)? }
            }
            Way::OAuth(oauth) => Authorization::ClientCredentials(ClientCredentials {
                endpoint: oauth.token_url.clone(),
                method: oauth.method,
                client_id: oauth.client_id.clone(),
                client_secret: opener.open("oauth.client_secret", &oauth.client_secret)?,
                additions: opener.additions("oauth.", [&oauth.headers, &oauth.query, &oauth.body])?,
            }),
        };
        let Added { headers, query, body } = &self.added;
        let additions = opener.additions("", [headers, query, body])?;
        Ok(Connection { name: name.to_owned(), bound_to: self.bound_to.clone(), authorization, additions })
    }

    /// The key of the setting that is secret by all means, if it is not sealed.
    pub fn unsealed(&self, name: &str) -> Option<String> {
        let (key, secret) = match &self.way {
            Way::Basic(basic) => ("basic.password", &basic.password),
            Way::ApiKey(api_key) => ("api_key.value", &api_key.value),
            Way::OAuth(oauth) => ("oauth.client_secret", &oauth.client_secret),
        };
        (!sealed::is_sealed(secret.reveal())).then(|| format!("connections.{name}.{key}"))
    }
}

/// Opens what belongs to one connection.
struct Opener<'a> {
    name: &'a str,
    key: Option<&'a Key>,
}

impl Opener<'_> {
    /// A text that is not sealed is as it is.
    fn open(&self, setting: &str, written: &Secret) -> Result<Secret, NotOpened> {
        if !sealed::is_sealed(written.reveal()) {
            return Ok(written.clone());
        }
        let setting = format!("connections.{}.{setting}", self.name);
        let Some(Key(key)) = self.key else { return Err(NotOpened::NoKey(setting)) };
        sealed::open(key, written.reveal()).map_err(|error| NotOpened::Sealed(setting, error))
    }

    fn additions(&self, before: &str, [headers, query, body]: [&Texts; 3]) -> Result<Additions, NotOpened> {
        let all = |kind: &str, texts: &Texts| {
            texts
                .iter()
                .map(|(name, text)| Ok((name.clone(), self.open(&format!("{before}{kind}.{name}"), text)?)))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Additions {
            headers: all("headers", headers)?,
            query: all("query", query)?,
            body: all("body", body)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KEY: Key = Key([7; 32]);

    fn config(written: Value) -> ConnectionConfig {
        serde_json::from_value(written).unwrap()
    }

    fn sealed(text: &str) -> String {
        sealed::seal(&KEY.0, &Secret::new(text)).unwrap()
    }

    #[test]
    fn sealed_secrets_are_opened_and_others_are_as_they_are() {
        let oauth = config(json!({
            "bound_to": "*.example.com",
            "oauth": {
                "token_url": "https://login.example.com/token",
                "client_id": "warren",
                "client_secret": sealed("hush"),
                "body": {"scope": "orders"},
            },
            "headers": {"X-Tenant": sealed("seven")},
            "query": {"v": "1"},
        }));
        let connection = oauth.open("shop", Some(&KEY)).unwrap();
        let Authorization::ClientCredentials(credentials) = connection.authorization else {
            panic!("{connection:?}")
        };
        assert_eq!(credentials.client_secret.reveal(), "hush");
        assert_eq!(credentials.method, TokenMethod::Post);
        assert_eq!(credentials.additions.body[0].1.reveal(), "orders");
        assert_eq!(connection.additions.headers[0].1.reveal(), "seven");
        assert_eq!(connection.additions.query[0].1.reveal(), "1");
        assert!(connection.bound_to.is_some() && connection.name == "shop");
        assert_eq!(oauth.unsealed("shop"), None);
    }

    #[test]
    fn what_does_not_open_is_named() {
        let basic = config(json!({"basic": {"username": "u", "password": sealed("p")}}));
        let setting = || "connections.c.basic.password".to_owned();
        assert_eq!(basic.open("c", None), Err(NotOpened::NoKey(setting())));
        let wrong = basic.open("c", Some(&Key([8; 32]))).unwrap_err();
        assert_eq!(wrong, NotOpened::Sealed(setting(), sealed::Error::WrongKeyOrDamaged));
        assert_eq!(
            wrong.to_string(),
            "failed to open a secret: it was sealed under another key, or was changed since: \
             `connections.c.basic.password`"
        );
        let added = config(json!({"api_key": {"name": "k", "value": "v"}, "body": {"b": sealed("p")}}));
        assert_eq!(added.open("c", None), Err(NotOpened::NoKey("connections.c.body.b".to_owned())));
    }

    #[test]
    fn a_plain_secret_is_told() {
        let api_key = config(json!({"api_key": {"name": "k", "value": "v"}}));
        assert_eq!(api_key.unsealed("c").as_deref(), Some("connections.c.api_key.value"));
        assert!(!format!("{api_key:?}").contains("\"v\""));
    }

    #[test]
    fn names_are_those_of_arns() {
        assert!(["shop", "Shop.2_a-b", &"x".repeat(64)].into_iter().all(is_name));
        assert!(!["", "a/b", "a b", "a:b", "é", &"x".repeat(65)].into_iter().any(is_name));
    }
}
