//! Names of executions that events start.
//!
//! The name is what makes a start happen once: a second start of a Standard execution with the same name and
//! input is the first one, whoever tries it. So an event that is delivered twice, or a schedule that two
//! engines fire, must lead to the same name on every engine, and different ones to different names.

use std::fmt;

use asl::data::timestamp::Timestamp;
use asl::limits::NAME_CHARACTERS_MAX;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::events::rule::TriggerName;
use crate::names;

/// Hexadecimal digits of a hash that stand for what is no name: 160 bits.
const DIGITS: usize = 40;

/// A name that an execution can have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionName(String);

impl ExecutionName {
    /// Of a message: its id where that is a name, else a hash of it. An empty id names nothing, as all
    /// messages without one share it.
    ///
    /// ```
    /// use engine::events::execution_name::ExecutionName;
    ///
    /// assert_eq!(ExecutionName::of_message("order-7").unwrap().as_str(), "order-7");
    /// assert_eq!(ExecutionName::of_message("orders/7").unwrap().as_str().len(), 40);
    /// ```
    pub fn of_message(id: &str) -> Option<ExecutionName> {
        if id.is_empty() {
            return None;
        }
        Some(ExecutionName(match names::check(id) {
            Ok(()) => id.to_owned(),
            Err(_) => hash([id]),
        }))
    }

    /// Of what a path finds in an event, as of a message's id. Only texts and numbers name something.
    pub fn of_value(found: &Value) -> Option<ExecutionName> {
        match found {
            Value::String(text) => ExecutionName::of_message(text),
            Value::Number(number) => ExecutionName::of_message(&number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Of a batch: a hash of the ids of its messages, in order. The broker may cut the same messages into
    /// other batches when it delivers them again; only the same batch is known again.
    pub fn of_batch<'a>(message_ids: impl IntoIterator<Item = &'a str>) -> ExecutionName {
        ExecutionName(hash(message_ids))
    }

    /// Of a schedule's tick: the trigger and the time, which every engine computes alike:
    /// `nightly-20261121T100000`. Times are UTC.
    pub fn of_tick(trigger: &TriggerName, due: Timestamp) -> ExecutionName {
        let time = due.whole_second().to_string();
        let time: String = time.chars().filter(|character| !"-:Z".contains(*character)).collect();
        let name = format!("{trigger}-{time}");
        let fits = name.chars().count() <= NAME_CHARACTERS_MAX;
        ExecutionName(if fits { name } else { hash([name.as_str()]) })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for ExecutionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        // With its length in front, no two lists of texts read alike.
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    let digits: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    digits[..DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_id_that_is_a_name_is_the_name() {
        for id in ["4edeb1d7-bae4-4302-b6b6-a9e8b7cd38f0", "order_7", "7", "été"] {
            assert_eq!(ExecutionName::of_message(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn any_other_id_is_hashed() {
        let hashed = ExecutionName::of_message("orders/7").unwrap();
        assert_eq!(hashed.as_str(), "47b55a4d0deba7a65e8bafdc2ef27538d94acac6");
        let long = ExecutionName::of_message(&"a".repeat(81)).unwrap();
        assert!(long.as_str().len() == 40 && long != hashed);
        assert_eq!(ExecutionName::of_message(""), None);
    }

    #[test]
    fn what_a_path_finds_is_a_text_or_a_number() {
        let name = |found: Value| ExecutionName::of_value(&found).map(ExecutionName::into_string);
        assert_eq!(name(json!("a")).as_deref(), Some("a"));
        assert_eq!(name(json!(17)).as_deref(), Some("17"));
        for nothing in [json!(null), json!(true), json!([]), json!({}), json!("")] {
            assert_eq!(name(nothing), None);
        }
    }

    #[test]
    fn a_batch_is_named_by_its_messages_in_order() {
        let name = |ids: &[&str]| ExecutionName::of_batch(ids.iter().copied());
        assert_eq!(name(&["a", "b"]), name(&["a", "b"]));
        assert!(name(&["a", "b"]) != name(&["b", "a"]) && name(&["a", "b"]) != name(&["ab"]));
    }

    #[test]
    fn a_tick_is_named_by_its_trigger_and_time() {
        let name = |trigger: &str, milliseconds: i64| {
            let trigger = TriggerName::new(trigger).unwrap();
            ExecutionName::of_tick(&trigger, Timestamp::from_milliseconds(milliseconds))
        };
        assert_eq!(name("nightly", 1_795_255_200_000).as_str(), "nightly-20261121T100000");
        assert_eq!(name(&"n".repeat(64), 1_795_255_200_123).as_str().len(), 80);
        assert_eq!(name(&"n".repeat(64), i64::MAX).as_str().len(), 40);
    }

    proptest! {
        #[test]
        fn every_name_can_be_taken(id in ".{1,100}", milliseconds in any::<i64>()) {
            prop_assert!(names::check(ExecutionName::of_message(&id).unwrap().as_str()).is_ok());
            let trigger = TriggerName::new(&"n".repeat(64)).unwrap();
            let tick = ExecutionName::of_tick(&trigger, Timestamp::from_milliseconds(milliseconds));
            prop_assert!(names::check(tick.as_str()).is_ok(), "{}", tick);
        }
    }
}
