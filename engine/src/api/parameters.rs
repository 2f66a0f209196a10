//! Checks a request's members against the service model, in the service's words.
//!
//! A value of the wrong JSON type is a `SerializationException`; one that breaks a constraint is a
//! `ValidationException` that lists every broken constraint.

use serde_json::{Map, Value};

use super::errors::ApiError;

mod event_bridge;
mod members;

pub use event_bridge::BusAction;
pub use members::Action;

/// What a request asks for, by the service that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Step Functions.
    States(Action),
    /// EventBridge.
    Bus(BusAction),
}

impl Target {
    /// The action's name.
    pub fn name(self) -> &'static str {
        match self {
            Target::States(action) => action.name(),
            Target::Bus(action) => action.name(),
        }
    }

    /// What its request may hold.
    pub fn members(self) -> &'static [Member] {
        match self {
            Target::States(action) => action.members(),
            Target::Bus(action) => action.members(),
        }
    }
}

/// A member of a request.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// As on the wire.
    name: &'static str,
    required: bool,
    shape: Shape,
}

/// What a member may hold.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A string of so many characters. A secret is never repeated in a message.
    Text { min: usize, max: usize, secret: bool },
    /// A string of ASCII characters.
    Ascii { max: usize },
    /// The name of an alias: of so many characters, few of them special, and more than a number.
    AliasName { max: usize },
    /// One of these strings, in the order in which messages list them.
    Word(&'static [&'static str]),
    /// A whole number.
    Whole { min: i64, max: i64 },
    /// A number.
    Number { min: f64, max: f64 },
    /// A boolean.
    Flag,
    /// An object.
    Structure(&'static [Member]),
    /// An array.
    List(&'static Shape),
}

/// Most characters of a value that a message repeats.
const VALUE_CHARACTERS_MAX: usize = 4_096;

/// A request that satisfies the model: members have the types their getters name.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters(Map<String, Value>);

impl Parameters {
    /// Checks a request.
    pub fn check(members: &[Member], request: Map<String, Value>) -> Result<Self, ApiError> {
        let mut broken = Vec::new();
        let request = without_nulls(request);
        check_members(members, &request, "", &mut broken)?;
        match broken.len() {
            0 => Ok(Parameters(request)),
            1 => Err(ApiError::validation(format!("1 validation error detected: {}", broken[0]))),
            count => Err(ApiError::validation(format!(
                "{count} validation errors detected: {}",
                broken.join("; ")
            ))),
        }
    }

    /// A string; empty if it was not given, which a required one always is.
    pub fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// A string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A string, out of the request: for long ones.
    pub fn take_text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn whole(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// A boolean.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }

    /// A structure or a list.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether it was given.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Null is the same as absent.
fn without_nulls(fields: Map<String, Value>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = match value {
                Value::Object(fields) => Value::Object(without_nulls(fields)),
                Value::Array(items) => Value::Array(items.into_iter().map(inner_without_nulls).collect()),
                other => other,
            };
            (name, value)
        })
        .collect()
}

fn inner_without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(without_nulls(fields)),
        other => other,
    }
}

/// `path` is what stands before the members' names.
fn check_members(
    members: &[Member],
    fields: &Map<String, Value>,
    path: &str,
    broken: &mut Vec<String>,
) -> Result<(), ApiError> {
    for member in members {
        let path = format!("{path}{}", member.name);
        match fields.get(member.name) {
            Some(value) => check_value(&member.shape, value, &path, broken)?,
            None if member.required => broken.push(format!(
                "Value null at '{path}' failed to satisfy constraint: Member must not be null"
            )),
            None => {}
        }
    }
    Ok(())
}

fn check_value(shape: &Shape, value: &Value, path: &str, broken: &mut Vec<String>) -> Result<(), ApiError> {
    let constraint = match (shape, value) {
        (Shape::Text { min, max, .. }, Value::String(text)) => length(text, *min, *max),
        (Shape::Ascii { max }, Value::String(text)) => length(text, 0, *max).or_else(|| {
            let message = "Member must satisfy regular expression pattern: \\p{ASCII}*";
            (!text.is_ascii()).then(|| message.to_owned())
        }),
        (Shape::AliasName { max }, Value::String(text)) => length(text, 1, *max).or_else(|| {
            let message = format!("Member must satisfy regular expression pattern: {ALIAS_NAME}");
            (!is_alias_name(text)).then_some(message)
        }),
        (Shape::Word(words), Value::String(text)) => (!words.contains(&text.as_str()))
            .then(|| format!("Member must satisfy enum value set: [{}]", words.join(", "))),
        (Shape::Whole { min, max }, Value::Number(number)) => {
            let number = number.as_i64().ok_or_else(|| mismatch(shape, value, path))?;
            range(number, *min, *max)
        }
        (Shape::Number { min, max }, Value::Number(number)) => between(number.as_f64(), *min, *max),
        (Shape::Flag, Value::Bool(_)) => None,
        (Shape::Structure(members), Value::Object(fields)) => {
            check_members(members, fields, &format!("{path}."), broken)?;
            None
        }
        (Shape::List(of), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check_value(of, item, &format!("{path}.{}.member", index + 1), broken)?;
            }
            None
        }
        _ => return Err(mismatch(shape, value, path)),
    };
    if let Some(constraint) = constraint {
        let value = shown(shape, value);
        broken.push(format!("Value{value} at '{path}' failed to satisfy constraint: {constraint}"));
    }
    Ok(())
}

fn length(text: &str, min: usize, max: usize) -> Option<String> {
    // A text has at most as many characters as bytes, so the long ones are seldom counted.
    if text.len() > max && text.chars().count() > max {
        return Some(format!("Member must have length less than or equal to {max}"));
    }
    (text.is_empty() && min > 0).then(|| format!("Member must have length greater than or equal to {min}"))
}

fn range(number: i64, min: i64, max: i64) -> Option<String> {
    if number > max {
        return Some(format!("Member must have value less than or equal to {max}"));
    }
    (number < min).then(|| format!("Member must have value greater than or equal to {min}"))
}

fn between(number: Option<f64>, min: f64, max: f64) -> Option<String> {
    let number = number.unwrap_or(f64::NAN);
    if number >= min && number <= max {
        return None;
    }
    Some(match number < min {
        true => format!("Member must have value greater than or equal to {min}"),
        false => format!("Member must have value less than or equal to {max}"),
    })
}

/// What [`Shape::AliasName`] says of itself.
const ALIAS_NAME: &str = r"^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$";

fn is_alias_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    text.bytes().all(is_allowed) && !text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The value between quotes with a blank before it, or nothing for a secret.
fn shown(shape: &Shape, value: &Value) -> String {
    let text = match (shape, value) {
        (Shape::Text { secret: true, .. }, _) => return String::new(),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    };
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => format!(" '{}…'", &text[..end]),
        None => format!(" '{text}'"),
    }
}

fn mismatch(shape: &Shape, value: &Value, path: &str) -> ApiError {
    let expected = match shape {
        Shape::Text { .. } | Shape::Ascii { .. } | Shape::AliasName { .. } | Shape::Word(_) => "a string",
        Shape::Number { .. } => "a number",
        Shape::Whole { .. } => "a whole number",
        Shape::Flag => "a boolean",
        Shape::Structure(_) => "an object",
        Shape::List(_) => "an array",
    };
    let given = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    ApiError::serialization(format!("'{path}' must be {expected}, not {given}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The message of the error; empty if there is none.
    fn check(action: &str, request: Value, expected: &str) {
        let Value::Object(fields) = request.clone() else { panic!("a request is an object") };
        let members = Action::named(action).unwrap().members();
        let message = match Parameters::check(members, fields) {
            Ok(_) => String::new(),
            Err(error) => error.to_json()["message"].as_str().unwrap().to_owned(),
        };
        assert_eq!(message, expected, "{action} {request}");
    }

    #[test]
    fn a_broken_constraint_is_told_in_the_words_of_the_service() {
        let long = "x".repeat(3_097);
        check(
            "ListExecutions",
            json!({"stateMachineArn": "a", "maxResults": 1001}),
            "1 validation error detected: Value '1001' at 'maxResults' failed to satisfy constraint: \
             Member must have value less than or equal to 1000",
        );
        check(
            "ListExecutions",
            json!({"stateMachineArn": "a", "nextToken": long}),
            &format!(
                "1 validation error detected: Value '{long}' at 'nextToken' failed to satisfy constraint: \
                 Member must have length less than or equal to 3096"
            ),
        );
        check(
            "ListExecutions",
            json!({"stateMachineArn": "a", "statusFilter": "succeeded"}),
            "1 validation error detected: Value 'succeeded' at 'statusFilter' failed to satisfy constraint: \
             Member must satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING]",
        );
        check(
            "ListStateMachines",
            json!({"maxResults": -1}),
            "1 validation error detected: Value '-1' at 'maxResults' failed to satisfy constraint: \
             Member must have value greater than or equal to 0",
        );
        check(
            "StartExecution",
            json!({"stateMachineArn": "a", "traceHeader": "é"}),
            "1 validation error detected: Value 'é' at 'traceHeader' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: \\p{ASCII}*",
        );
    }

    #[test]
    fn all_broken_constraints_are_told() {
        check(
            "CreateStateMachine",
            json!({"name": "", "definition": "{}", "roleArn": null}),
            "2 validation errors detected: Value '' at 'name' failed to satisfy constraint: \
             Member must have length greater than or equal to 1; \
             Value null at 'roleArn' failed to satisfy constraint: Member must not be null",
        );
    }

    #[test]
    fn a_nested_member_is_named_with_its_path() {
        check(
            "CreateActivity",
            json!({"name": "a", "tags": [{"key": "k"}, {"key": ""}]}),
            "1 validation error detected: Value '' at 'tags.2.member.key' failed to satisfy constraint: \
             Member must have length greater than or equal to 1",
        );
        check(
            "UpdateStateMachine",
            json!({"stateMachineArn": "a", "loggingConfiguration": {"level": "LOUD"}}),
            "1 validation error detected: Value 'LOUD' at 'loggingConfiguration.level' failed to satisfy \
             constraint: Member must satisfy enum value set: [ALL, ERROR, FATAL, OFF]",
        );
    }

    #[test]
    fn a_secret_is_not_repeated() {
        check(
            "StopExecution",
            json!({"executionArn": "a", "error": "x".repeat(257)}),
            "1 validation error detected: Value at 'error' failed to satisfy constraint: \
             Member must have length less than or equal to 256",
        );
    }

    #[test]
    fn a_value_of_another_type_cannot_be_read() {
        check(
            "ListActivities",
            json!({"maxResults": "10"}),
            "'maxResults' must be a whole number, not a string",
        );
        check(
            "ListActivities",
            json!({"maxResults": 1.5}),
            "'maxResults' must be a whole number, not a number",
        );
        check("CreateActivity", json!({"name": 1}), "'name' must be a string, not a number");
        check("CreateActivity", json!({"name": "a", "tags": {}}), "'tags' must be an array, not an object");
        check(
            "CreateActivity",
            json!({"name": "a", "tags": [null]}),
            "'tags.1.member' must be an object, not null",
        );
    }

    #[test]
    fn length_counts_characters_and_null_is_absent() {
        check("CreateActivity", json!({"name": "é".repeat(80)}), "");
        check("CreateActivity", json!({"name": "a", "tags": null, "more": 1}), "");
        check("CreateActivity", json!({"name": "a", "tags": [{"key": "k", "value": null}]}), "");
    }
}
