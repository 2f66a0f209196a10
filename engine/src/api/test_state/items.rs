//! What an `ItemReader` would have read, from the text as it stands at its source.

use serde_json::Value;

/// The items: an array or object of JSON, else a JSON value a line. Any other text is one item a line.
pub fn read(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Array(_) | Value::Object(_))) => value,
        Ok(_) | Err(_) => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let item = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line));
            Value::Array(lines.map(item).collect())
        }
    }
}
