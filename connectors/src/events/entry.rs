//! One entry of `putEvents`: as it is written, and the event it is, if it can be one.

use std::fmt::Display;

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Entry;
use crate::message::serialized;
use crate::parameters::Parameters;

const KNOWN: [&str; 7] =
    ["Source", "DetailType", "Detail", "EventBusName", "Resources", "Time", "TraceHeader"];
/// What counts for a time (EventBridge user guide, "Calculating PutEvents event entry size").
const TIME_BYTES: usize = 14;

/// An entry as a task writes it.
pub(super) struct Written {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    bus: Option<String>,
    resources: Vec<String>,
    time: Option<i64>,
    trace_header: Option<String>,
}

/// Why an entry is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejected {
    code: &'static str,
    message: String,
}

impl Written {
    /// What is written, and what is wrong with its shape.
    pub(super) fn read(written: &Value) -> (Self, Parameters<'_>) {
        let mut fields = Parameters::new(written, &KNOWN);
        if !written.is_object() {
            fields.refuse("Entries");
        }
        let time = fields.value("Time").map(milliseconds);
        if time == Some(None) {
            fields.refuse("Time");
        }
        let resources = fields.value("Resources").map(texts);
        if resources == Some(None) {
            fields.refuse("Resources");
        }
        let written = Written {
            source: fields.text("Source").map(str::to_owned),
            detail_type: fields.text("DetailType").map(str::to_owned),
            detail: fields.value("Detail").map(serialized),
            bus: fields.text("EventBusName").map(str::to_owned),
            resources: resources.flatten().unwrap_or_default(),
            time: time.flatten(),
            trace_header: fields.text("TraceHeader").map(str::to_owned),
        };
        (written, fields)
    }

    /// What counts against the size of a request.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.source, &self.detail_type, &self.detail];
        let texts = texts.into_iter().flatten().chain(&self.resources).map(String::len).sum::<usize>();
        texts + if self.time.is_some() { TIME_BYTES } else { 0 }
    }

    /// The event, with these ARNs added to its own.
    pub(super) fn entry(self, id: Uuid, added: &[String]) -> Result<Entry, Rejected> {
        if self.bus.as_deref().is_some_and(|bus| !is_default(bus)) {
            let bus = self.bus.unwrap_or_default();
            let message = format!("Event bus {bus} does not exist.");
            return Err(Rejected { code: "ResourceNotFoundException", message });
        }
        let source = required("Source", self.source)?;
        if source.starts_with("aws.") {
            let message = "Not authorized for the source.".to_owned();
            return Err(Rejected { code: "NotAuthorizedForSourceException", message });
        }
        let detail_type = required("DetailType", self.detail_type)?;
        let detail = required("Detail", self.detail)?;
        if !matches!(serde_json::from_str(&detail), Ok(Value::Object(_))) {
            let message = "Detail is malformed.".to_owned();
            return Err(Rejected { code: "MalformedDetail", message });
        }
        let resources = self.resources.into_iter().chain(added.iter().cloned()).collect();
        let (time, trace_header) = (self.time, self.trace_header);
        Ok(Entry { id, source, detail_type, detail, resources, time, trace_header })
    }
}

impl Rejected {
    /// The bus did not say that it has the event.
    pub(super) fn unavailable(reason: &impl Display) -> Self {
        Rejected { code: "InternalFailure", message: reason.to_string() }
    }

    /// As the answer shows it.
    pub(super) fn shown(&self) -> Value {
        json!({"ErrorCode": self.code, "ErrorMessage": self.message})
    }
}

fn required(name: &str, value: Option<String>) -> Result<String, Rejected> {
    value.filter(|text| !text.is_empty()).ok_or_else(|| Rejected {
        code: "InvalidArgument",
        message: format!("Parameter {name} is not valid. Reason: {name} is a required argument."),
    })
}

/// Whether it is the one bus that there is, by its name or its ARN.
fn is_default(bus: &str) -> bool {
    bus == "default" || bus.starts_with("arn:") && bus.ends_with(":event-bus/default")
}

fn texts(list: &Value) -> Option<Vec<String>> {
    list.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

/// A time as the SDK takes it: ISO 8601, or seconds since the epoch.
fn milliseconds(time: &Value) -> Option<i64> {
    match time {
        Value::String(text) => Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()),
        Value::Number(seconds) => {
            let milliseconds = seconds.as_f64()? * 1000.0;
            DateTime::from_timestamp_millis(milliseconds as i64).map(|time| time.timestamp_millis())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: Value, rejected: Option<(&str, &str)>) {
        let mut written = json!({"Source": "shop", "DetailType": "Ordered", "Detail": {"id": 7}});
        for (name, value) in change.as_object().unwrap() {
            written[name] = value.clone();
        }
        let (read, part) = Written::read(&written);
        part.check().unwrap();
        let entry = read.entry(Uuid::nil(), &[]);
        let said = entry.as_ref().err().map(|rejected| (rejected.code, rejected.message.as_str()));
        assert_eq!(said, rejected, "{written}");
    }

    #[test]
    fn an_entry_that_is_no_event_says_why() {
        let missing = "Parameter Source is not valid. Reason: Source is a required argument.";
        let malformed = Some(("MalformedDetail", "Detail is malformed."));
        check(json!({}), None);
        check(json!({"Detail": r#"{"id": 7}"#, "EventBusName": "default"}), None);
        check(json!({"EventBusName": "arn:aws:events:r:a:event-bus/default"}), None);
        check(json!({"Source": null}), Some(("InvalidArgument", missing)));
        check(json!({"Source": ""}), Some(("InvalidArgument", missing)));
        check(
            json!({"Source": "aws.s3"}),
            Some(("NotAuthorizedForSourceException", "Not authorized for the source.")),
        );
        for detail in [json!("\"text\""), json!("{"), json!([1]), json!(7), json!("[]")] {
            check(json!({"Detail": detail}), malformed);
        }
        check(
            json!({"EventBusName": "other"}),
            Some(("ResourceNotFoundException", "Event bus other does not exist.")),
        );
    }

    #[test]
    fn times_are_read_as_the_sdk_reads_them() {
        for (time, expected) in [
            (json!("2026-01-02T03:04:05.678Z"), Some(1_767_323_045_678)),
            (json!("2026-01-02T04:04:05+01:00"), Some(1_767_323_045_000)),
            (json!(1_767_323_045.678), Some(1_767_323_045_678)),
            (json!("yesterday"), None),
            (json!(1e300), None),
            (json!(true), None),
        ] {
            assert_eq!(milliseconds(&time), expected, "{time}");
        }
    }

    #[test]
    fn what_has_a_wrong_shape_is_refused() {
        for written in [json!("text"), json!({"Time": "x"}), json!({"Resources": [1]}), json!({"Source": 1})]
        {
            assert!(Written::read(&written).1.check().is_err(), "{written}");
        }
    }
}
