//! The connections of HTTP tasks: those of the configuration, opened when a task names one.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use connectors::http::{Connection, Connections, Unavailable};

use crate::config::{Config, ConnectionConfig, Error, Key};

/// The tables `[connections.NAME]`, and the key to what is sealed in them.
pub struct ConfiguredConnections {
    connections: BTreeMap<String, ConnectionConfig>,
    key: Result<Option<Key>, Error>,
}

impl ConfiguredConnections {
    /// Those of this configuration. A key that cannot be read is missed only when a connection needs it:
    /// processes that call nothing need none.
    pub fn new(config: &Config) -> Self {
        ConfiguredConnections { connections: config.connections.clone(), key: config.secrets.read_key() }
    }

    fn open(&self, name: &str) -> Result<Option<Connection>, String> {
        let Some(connection) = self.connections.get(name) else { return Ok(None) };
        let key = self.key.as_ref().map_err(ToString::to_string)?;
        connection.open(name, key.as_ref()).map(Some).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Connections for ConfiguredConnections {
    async fn find(&self, arn_or_name: &str) -> Result<Option<Arc<Connection>>, Unavailable> {
        let found = name(arn_or_name).map(|name| self.open(name)).transpose();
        found.map(|found| found.flatten().map(Arc::new)).map_err(Unavailable)
    }
}

/// The name in `arn:PARTITION:events:REGION:ACCOUNT:connection/NAME[/ID]`, or the text itself where it is no
/// ARN. Region and account do not matter, as with functions.
fn name(arn_or_name: &str) -> Option<&str> {
    if !arn_or_name.starts_with("arn:") {
        return Some(arn_or_name);
    }
    let parts: Vec<&str> = arn_or_name.splitn(6, ':').collect();
    let [_, _, "events", _, _, resource] = parts[..] else { return None };
    resource.strip_prefix("connection/")?.split('/').next()
}

/// Opens all connections once, so that one that cannot be opened is found before a task needs it. Answers the
/// settings that hold a secret as it is.
pub fn check(config: &Config) -> Result<Vec<String>, String> {
    let all = ConfiguredConnections::new(config);
    let problems: Vec<String> = all.connections.keys().filter_map(|name| all.open(name).err()).collect();
    if let Some(problem) = problems.into_iter().reduce(|all, problem| format!("{all}\n{problem}")) {
        return Err(problem);
    }
    Ok(all.connections.iter().filter_map(|(name, connection)| connection.unsealed(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_named_by_its_arn_or_alone() {
        for (text, expected) in [
            ("arn:aws:events:us-east-1:000000000000:connection/shop/1a2b", Some("shop")),
            ("arn:aws-cn:events:r:a:connection/shop", Some("shop")),
            ("shop", Some("shop")),
            ("arn:aws:events:r:a:event-bus/default", None),
            ("arn:aws:sqs:r:a:shop", None),
            ("arn:aws:events", None),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }

    fn config(password: &str) -> Config {
        let written = serde_json::json!({"basic": {"username": "u", "password": password}});
        let connection = serde_json::from_value(written).unwrap();
        Config { connections: BTreeMap::from([("shop".to_owned(), connection)]), ..Config::default() }
    }

    #[tokio::test]
    async fn a_connection_is_found_or_says_why_not() {
        let plain = ConfiguredConnections::new(&config("hush"));
        assert!(plain.find("other").await.unwrap().is_none());
        assert!(plain.find("arn:aws:events:r:a:rule/shop").await.unwrap().is_none());
        assert_eq!(plain.find("arn:aws:events:r:a:connection/shop/1").await.unwrap().unwrap().name, "shop");
        let sealed = ConfiguredConnections::new(&config("warren-sealed.1:AAAA"));
        let Unavailable(reason) = sealed.find("shop").await.unwrap_err();
        assert!(reason.contains("`connections.shop.basic.password`") && reason.contains("`secrets.key`"));
    }

    #[test]
    fn a_start_finds_what_does_not_open_and_what_is_not_sealed() {
        assert_eq!(check(&config("hush")).unwrap(), ["connections.shop.basic.password"]);
        assert!(check(&config("warren-sealed.1:AAAA")).unwrap_err().contains("connections.shop"));
        let mut unread = config("warren-sealed.1:AAAA");
        unread.secrets.key_file = Some("/nowhere/at/all".into());
        assert!(check(&unread).unwrap_err().contains("/nowhere/at/all"));
    }
}
