//! Variables: what `Assign` keeps for the states to come.
//!
//! A branch carries those of its own scope together with those of the scopes around it, as they were when it
//! began. That is enough: an inner scope can read what is outside and cannot assign it, and nothing leaves it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::data::Failure;
use crate::data::json::is_deeper_than;
use crate::limits::{ASSIGN_BYTES_MAX, JSON_DEPTH_MAX, VARIABLE_BYTES_MAX, VARIABLES_BYTES_MAX};

/// The variables that a branch sees. Cheap to copy: children share what they began with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(Arc<Map<String, Value>>);

impl Variables {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Their size as compact JSON.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + text_bytes(value)).sum()
    }

    /// What an `Assign` made, checked against the limits; not yet visible. `state` is the state's name.
    pub fn assigned(&self, made: Value, state: &str) -> Result<Assigned, Failure> {
        let Value::Object(values) = made else { return Ok(Assigned::default()) };
        let mut texts = Map::with_capacity(values.len());
        let (mut bytes, mut replaced) = (0, 0);
        for (name, value) in &values {
            let text = value.to_string();
            if text.len() > VARIABLE_BYTES_MAX || is_deeper_than(value, JSON_DEPTH_MAX) {
                return Err(Failure::data_limit_exceeded(state));
            }
            bytes += name.len() + text.len();
            replaced += self.0.get(name).map_or(0, |old| name.len() + text_bytes(old));
            texts.insert(name.clone(), Value::String(text));
        }
        let all = self.bytes().saturating_sub(replaced) + bytes;
        if bytes > ASSIGN_BYTES_MAX || all > VARIABLES_BYTES_MAX {
            return Err(Failure::data_limit_exceeded(state));
        }
        Ok(Assigned { values, texts })
    }

    /// Makes visible what an `Assign` made.
    pub fn apply(&mut self, assigned: Map<String, Value>) {
        if !assigned.is_empty() {
            Arc::make_mut(&mut self.0).extend(assigned);
        }
    }
}

impl FromIterator<(String, Value)> for Variables {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(variables: T) -> Self {
        Variables(Arc::new(variables.into_iter().collect()))
    }
}

/// The values of one `Assign`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assigned {
    /// By name.
    pub values: Map<String, Value>,
    /// The same as JSON texts, as the history shows them.
    pub texts: Map<String, Value>,
}

fn text_bytes(value: &Value) -> usize {
    value.to_string().len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_assignment_is_seen_once_it_is_applied() {
        let mut variables = Variables::default();
        let assigned = variables.assigned(json!({"a": [1], "b": "x"}), "S").unwrap();
        assert_eq!(Value::Object(assigned.texts), json!({"a": "[1]", "b": "\"x\""}));
        assert!(variables.is_empty());
        variables.apply(assigned.values);
        assert_eq!(variables.get("a"), Some(&json!([1])));
        assert_eq!(variables.bytes(), 8);
    }

    #[test]
    fn limits_count_one_variable_one_assignment_and_all() {
        let text = |bytes: usize| Value::String("x".repeat(bytes - 2));
        let mut variables = Variables::default();
        let full = Variables::assigned(&variables, json!({"a": text(VARIABLE_BYTES_MAX + 1)}), "S");
        assert!(full.unwrap_err().is("States.DataLimitExceeded"));
        assert!(variables.assigned(json!({"a": text(VARIABLE_BYTES_MAX - 1)}), "S").is_ok());
        let half = VARIABLE_BYTES_MAX / 2 + 1;
        assert!(variables.assigned(json!({"a": text(half), "b": text(half)}), "S").is_err());
        let place = |number: usize| format!("v{number}");
        let bytes = VARIABLE_BYTES_MAX - 16;
        for number in 0..40 {
            let made = Value::Object([(place(number), text(bytes))].into_iter().collect());
            variables.apply(variables.assigned(made, "S").unwrap().values);
        }
        assert!(variables.assigned(json!({"more": text(bytes)}), "S").is_err());
        assert!(variables.assigned(json!({"v1": text(bytes)}), "S").is_ok());
    }
}
