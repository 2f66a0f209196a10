//! The texts of JSONata's errors, with numbers as JavaScript prints them.

use jlens_core::Error;
use jlens_core::error::catalog;
use serde_json::Value;

use super::query::normal_number;

/// The message of an error: the template of its code, filled with its details. `{{name}}` stands for a detail
/// as JSON, `{{{name}}}` for its bare text.
pub(super) fn of(error: &Error) -> String {
    let Some(entry) = catalog().iter().find(|entry| entry.code == error.code()) else {
        return error.message();
    };
    let mut message = String::with_capacity(entry.template.len() + 16);
    let mut rest = entry.template;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (bare, behind) = match behind.strip_prefix('{') {
            Some(behind) => (true, behind),
            None => (false, behind),
        };
        let Some((name, behind)) = behind.split_once(if bare { "}}}" } else { "}}" }) else {
            return error.message();
        };
        message.push_str(before);
        message.push_str(&detail(error, name, bare));
        rest = behind;
    }
    message.push_str(rest);
    message
}

fn detail(error: &Error, name: &str, bare: bool) -> String {
    match error.detail(name) {
        None => "undefined".to_owned(),
        Some(Value::String(text)) if bare => text.clone(),
        Some(Value::Number(number)) => normal_number(number.clone()).to_string(),
        Some(other) => other.to_string(),
    }
}
