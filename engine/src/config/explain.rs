//! Every key with its value, and where the value comes from.
//!
//! The keys are those of the schema, which a test holds equal to what the code reads.

use figment::Figment;
use figment::value::{Dict, Value};

use super::secret::mask;

const SCHEMA: &str = include_str!("../../../schemas/config/warren.schema.json");
/// Keys that are shown masked from end to end.
const SECRETS: [&str; 1] = ["tasks.token_key"];

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

/// All settings, in the order of the schema, then those of functions.
pub(super) fn settings(figment: &Figment) -> Vec<Setting> {
    let mut settings: Vec<Setting> =
        keys().into_iter().map(|(key, default)| setting(figment, key, default)).collect();
    // The tables of functions have names of the user's own.
    let functions = figment.find_value("functions").ok().and_then(Value::into_dict).unwrap_or_default();
    for (name, table) in functions {
        for key in table.into_dict().unwrap_or_else(Dict::new).into_keys() {
            settings.push(setting(figment, format!("functions.{name}.{key}"), None));
        }
    }
    settings
}

/// The keys of the schema with their defaults.
fn keys() -> Vec<(String, Option<serde_json::Value>)> {
    // The schema is part of the program and read by a test: it is JSON.
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    let properties = |of: &serde_json::Value| of["properties"].as_object().cloned().unwrap_or_default();
    let mut keys = Vec::new();
    for (section, content) in properties(&schema) {
        for (key, property) in properties(&content) {
            keys.push((format!("{section}.{key}"), property.get("default").cloned()));
        }
    }
    keys
}

fn setting(figment: &Figment, key: String, default: Option<serde_json::Value>) -> Setting {
    let written = figment.find_value(&key).ok();
    let metadata = figment.find_metadata(&key).filter(|_| written.is_some());
    let origin = metadata.map_or_else(|| "default".to_owned(), |metadata| metadata.name.clone().into_owned());
    let value = written.and_then(|value| serde_json::to_value(value).ok()).or(default);
    let value = value.map(|value| if SECRETS.contains(&key.as_str()) { "***".into() } else { shown(value) });
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
        let file = "[server]\nport = 1\nhost = 'h'\n[functions.f]\nurl = 'http://u:secret@h'\n\
                    [tasks]\ntoken_key = 'secret'\n[store]\nurl = 'postgres://u:secret@h/d'";
        let variables = [("WARREN__BROKER__URL".to_owned(), "amqp://u:secret@h".to_owned())];
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
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
