//! Every key with its value, and where the value comes from.
//!
//! The keys are those of the schema, which a test holds equal to what the code reads.

use figment::Figment;
use figment::value::Value;

use super::secret::mask;

const SCHEMA: &str = include_str!("../../../schemas/config/warren.schema.json");
/// Keys that are shown masked from end to end.
const SECRETS: [&str; 2] = ["tasks.token_key", "secrets.key"];
/// Of a connection, what is no secret: the rest is masked, whatever it is.
const SHOWN_OF_CONNECTIONS: [&str; 6] =
    ["bound_to", "basic.username", "api_key.name", "oauth.token_url", "oauth.method", "oauth.client_id"];

/// A setting as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// `section.key`.
    pub key: String,
    /// Secrets masked; `None` if it is not set.
    pub value: Option<serde_json::Value>,
    /// `default`, a file, a variable or a flag.
    pub origin: String,
}

/// All settings, in the order of the schema, then those of tables whose names are the user's own.
pub(super) fn settings(figment: &Figment) -> Vec<Setting> {
    let mut settings: Vec<Setting> =
        keys().into_iter().map(|(key, default)| setting(figment, key, default)).collect();
    for section in ["functions", "connections"] {
        let tables = figment.find_value(section).ok().and_then(Value::into_dict).unwrap_or_default();
        for (name, table) in tables.iter().filter(|(_, table)| table.as_dict().is_some()) {
            let written = written_keys(&format!("{section}.{name}"), table);
            settings.extend(written.into_iter().map(|key| setting(figment, key, None)));
        }
    }
    settings
}

/// Whether the value of a key is not for everybody.
pub(super) fn is_secret(key: &str) -> bool {
    let of_connection =
        key.strip_prefix("connections.").map(|key| key.split_once('.').unwrap_or((key, "")).1);
    SECRETS.contains(&key) || of_connection.is_some_and(|key| !SHOWN_OF_CONNECTIONS.contains(&key))
}

/// The keys of the schema with their defaults.
fn keys() -> Vec<(String, Option<serde_json::Value>)> {
    // The schema is part of the program and read by a test: it is JSON.
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    let mut keys = Vec::new();
    for (section, content) in schema["properties"].as_object().into_iter().flatten() {
        add_keys(section, content, &mut keys);
    }
    keys
}

fn add_keys(section: &str, content: &serde_json::Value, keys: &mut Vec<(String, Option<serde_json::Value>)>) {
    for (key, property) in content["properties"].as_object().into_iter().flatten() {
        let key = format!("{section}.{key}");
        match property.get("properties") {
            Some(_) => add_keys(&key, property, keys),
            None => keys.push((key, property.get("default").cloned())),
        }
    }
}

/// The keys below one that hold no further ones.
fn written_keys(key: &str, value: &Value) -> Vec<String> {
    match value.as_dict() {
        Some(table) => {
            let inner = table.iter().flat_map(|(name, value)| written_keys(&format!("{key}.{name}"), value));
            inner.collect()
        }
        None => vec![key.to_owned()],
    }
}

fn setting(figment: &Figment, key: String, default: Option<serde_json::Value>) -> Setting {
    let written = figment.find_value(&key).ok();
    let metadata = figment.find_metadata(&key).filter(|_| written.is_some());
    let origin = metadata.map_or_else(|| "default".to_owned(), |metadata| metadata.name.clone().into_owned());
    let value = written.and_then(|value| serde_json::to_value(value).ok()).or(default);
    let value = value.map(|value| if is_secret(&key) { "***".into() } else { shown(value) });
    Setting { key, value, origin }
}

fn shown(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(text) => mask(&text).into(),
        serde_json::Value::Array(items) => items.into_iter().map(shown).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::super::{Flag, figment};

    #[test]
    fn each_setting_is_told_with_its_origin_and_without_secrets() {
        let file = "[server]\nport = 1\nhost = 'h'\n[functions.f]\nurl = 'http://u:hush@h'\n\
                    [tasks]\ntoken_key = 'hush'\n[store]\nurl = 'postgres://u:hush@h/d'\n\
                    [secrets]\nkey = 'hush'\n[http.egress]\nallow = ['10.0.0.0/8']\n\
                    [connections.c]\nbasic = { username = 'u', password = 'hush' }\n\
                    headers = { X-Key = 'hush' }\n[connections.d]\nbasic = 'u:hush'";
        let variables = [("WARREN__BROKER__URL".to_owned(), "amqp://u:hush@h".to_owned())];
        let flags = [Flag { key: "server.port", value: "2".into(), name: "--port" }];
        let settings = super::settings(&figment(file, Path::new("warren.toml"), variables, &flags));
        let check = |key: &str, value: Value, origin: &str| {
            let setting = settings.iter().find(|setting| setting.key == key).unwrap();
            assert_eq!((setting.value.clone(), setting.origin.as_str()), (Some(value), origin), "{key}");
        };
        check("server.host", json!("h"), "warren.toml");
        check("server.port", json!("2"), "the flag --port");
        check("server.drain_seconds", json!(25), "default");
        check("broker.url", json!("amqp://u:***@h"), "the environment variable WARREN__BROKER__URL");
        check("store.url", json!("postgres://u:***@h/d"), "warren.toml");
        check("tasks.token_key", json!("***"), "warren.toml");
        check("functions.f.url", json!("http://u:***@h"), "warren.toml");
        check("secrets.key", json!("***"), "warren.toml");
        check("http.egress.allow", json!(["10.0.0.0/8"]), "warren.toml");
        check("connections.c.basic.username", json!("u"), "warren.toml");
        check("connections.c.basic.password", json!("***"), "warren.toml");
        check("connections.c.headers.X-Key", json!("***"), "warren.toml");
        check("connections.d.basic", json!("***"), "warren.toml");
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
