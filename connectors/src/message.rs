//! A message on its way to the broker, as `sqs:sendMessage` and `sns:publish` hand it over.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use uuid::Uuid;

pub(crate) mod attributes;

/// Bytes of a message, its attributes included: AWS's quota for one of SQS or SNS.
pub(crate) const BYTES_MAX: usize = 262_144;

/// A message for a queue or a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the message for good: the same when the same attempt of a task is made again.
    pub id: Uuid,
    /// Text; JSON where the task gave a JSON value.
    pub body: String,
    /// The attributes: texts and numbers as they are written, bytes as base64. No name begins with
    /// `warren-`: those are the engine's own.
    pub headers: BTreeMap<String, String>,
    /// Delivered only after this long.
    pub delay: Option<Duration>,
    /// Messages of one group keep their order, on a destination that keeps any (`….fifo`).
    pub group_id: Option<String>,
    /// By which a receiver can tell two messages that are one.
    pub deduplication_id: Option<String>,
}

/// Why the broker does not have a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered {
    /// Nothing of that name takes messages. Asking again changes nothing.
    NoDestination,
    /// The broker is away, blocked, or did not say whether it has the message: it may have it.
    Unavailable(String),
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undelivered::NoDestination => f.write_str("the destination does not exist"),
            Undelivered::Unavailable(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Undelivered {}

/// A text as the service gets it: a JSON value that is none is written out.
pub(crate) fn serialized(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The number of a message of a destination that keeps an order: 20 digits that grow. They come from the
/// clock of this machine, so they say nothing of two machines that send at the same moment.
pub(crate) fn sequence_number(index: usize) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:020}", now.as_nanos() + index as u128)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_written_out_and_text_is_not_quoted() {
        assert_eq!(serialized(&json!("\"quoted\"")), "\"quoted\"");
        assert_eq!(serialized(&json!({"b": 1.0, "a": [null]})), r#"{"b":1.0,"a":[null]}"#);
        assert_eq!(serialized(&json!(7)), "7");
    }

    #[test]
    fn sequence_numbers_have_20_digits() {
        let (first, second) = (sequence_number(0), sequence_number(1));
        assert_eq!((first.len(), second.len()), (20, 20));
        assert!(first < second);
    }
}
