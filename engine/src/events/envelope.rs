//! The form that events have on the bus (EventBridge API reference, `PutEvents`).
//!
//! Any JSON object may be an event of a trigger. This form is what Warren's own events have, and what is made
//! of the entries of a `PutEvents` call, so that patterns and inputs written for EventBridge fit.

use asl::data::json;
use asl::data::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most entries of one `PutEvents` call.
pub const ENTRIES_MAX: usize = 10;
/// Most bytes that the entries of one call have together (256 KiB), counted by [`Entry::bytes`].
pub const ENTRIES_BYTES_MAX: usize = 262_144;

/// What EventBridge counts for the time of an entry.
const TIME_BYTES: usize = 14;

/// An event as patterns see it.
///
/// ```
/// use engine::events::envelope::{Arrival, Entry, Envelope};
/// use asl::data::timestamp::Timestamp;
///
/// let entry: Entry = serde_json::from_str(
///     r#"{"Source": "shop", "DetailType": "OrderPlaced", "Detail": "{\"total\": 120}"}"#,
/// )?;
/// let arrival = Arrival {
///     id: "4edeb1d7-bae4-4302-b6b6-a9e8b7cd38f0".to_owned(),
///     account: "000000000000".to_owned(),
///     region: "us-east-1".to_owned(),
///     at: Timestamp::from_milliseconds(1_795_255_200_000),
/// };
/// let event = Envelope::of_entry(entry, arrival)?.to_value();
/// assert_eq!(event["time"], "2026-11-21T10:00:00Z");
/// assert_eq!(event["detail"]["total"], 120);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// `0`, the only version that there is.
    #[serde(default = "version")]
    pub version: String,
    /// Names the event; a UUID.
    pub id: String,
    /// With `source`, says what `detail` holds.
    #[serde(rename = "detail-type")]
    pub detail_type: String,
    /// Who sent it; names that begin with `aws.` are those of services.
    pub source: String,
    /// Twelve digits.
    pub account: String,
    /// When it happened; shown without its fraction of a second.
    #[serde(with = "iso_8601")]
    pub time: Timestamp,
    /// The region.
    pub region: String,
    /// ARNs of what it is about.
    #[serde(default)]
    pub resources: Vec<String>,
    /// What happened; an object.
    pub detail: Value,
}

fn version() -> String {
    "0".to_owned()
}

/// What the bus adds to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The event's id.
    pub id: String,
    /// The bus's account.
    pub account: String,
    /// The bus's region.
    pub region: String,
    /// When it reached the bus; its time, if it names none.
    pub at: Timestamp,
}

/// One event of a `PutEvents` call, as sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// Required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail_type: Option<String>,
    /// Required: the text of a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// ARNs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// Seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    /// Name or ARN of the bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    /// An X-Ray trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_header: Option<String>,
}

/// Why an entry is no event: `ErrorCode` and `ErrorMessage` of its result, as EventBridge answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A required parameter is missing or empty.
    #[error("Parameter {0} is not valid. Reason: {0} is a required argument.")]
    Missing(&'static str),
    /// `Detail` is not the text of a JSON object.
    #[error("Detail is malformed.")]
    MalformedDetail,
    /// Sources that begin with `aws.` are not for everybody.
    #[error("Not authorized for the source.")]
    NotAuthorized,
}

impl EntryError {
    /// The entry's `ErrorCode`.
    pub fn code(&self) -> &'static str {
        match self {
            EntryError::Missing(_) => "InvalidArgument",
            EntryError::MalformedDetail => "MalformedDetail",
            EntryError::NotAuthorized => "NotAuthorizedForSourceException",
        }
    }
}

impl Entry {
    /// What EventBridge counts against the size of a call.
    pub fn bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let resources: usize = self.resources.iter().flatten().map(String::len).sum();
        let time = self.time.map_or(0, |_| TIME_BYTES);
        time + length(&self.source) + length(&self.detail_type) + length(&self.detail) + resources
    }
}

impl Envelope {
    /// The event that an entry asks for.
    pub fn of_entry(entry: Entry, arrival: Arrival) -> Result<Envelope, EntryError> {
        let required = |text: Option<String>, name| {
            text.filter(|text| !text.is_empty()).ok_or(EntryError::Missing(name))
        };
        let source = required(entry.source, "Source")?;
        // Warren's own events are told by their source.
        if source.starts_with("aws.") {
            return Err(EntryError::NotAuthorized);
        }
        let detail_type = required(entry.detail_type, "DetailType")?;
        let detail = required(entry.detail, "Detail")?;
        let detail = json::parse(&detail).map_err(|_| EntryError::MalformedDetail)?;
        if !detail.is_object() {
            return Err(EntryError::MalformedDetail);
        }
        let time =
            entry.time.map_or(arrival.at, |seconds| Timestamp::from_milliseconds((seconds * 1000.0) as i64));
        let resources = entry.resources.unwrap_or_default();
        Ok(Envelope { time, ..Envelope::new(source, detail_type, resources, detail, arrival) })
    }

    /// What a schedule sends to its target when it is due.
    pub fn scheduled(rule_arn: &str, arrival: Arrival) -> Envelope {
        let detail = Value::Object(serde_json::Map::new());
        let (source, detail_type) = ("aws.events".to_owned(), "Scheduled Event".to_owned());
        Envelope::new(source, detail_type, vec![rule_arn.to_owned()], detail, arrival)
    }

    fn new(
        source: String,
        detail_type: String,
        resources: Vec<String>,
        detail: Value,
        arrival: Arrival,
    ) -> Envelope {
        let Arrival { id, account, region, at } = arrival;
        Envelope {
            version: version(),
            id,
            detail_type,
            source,
            account,
            time: at.whole_second(),
            region,
            resources,
            detail,
        }
    }

    /// The event as JSON, its members in EventBridge's order.
    pub fn to_value(&self) -> Value {
        // Only maps with keys that are no strings can fail here, and there are none in this type.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Times as `2026-11-21T10:00:00Z`.
mod iso_8601 {
    use asl::data::timestamp::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, writer: S) -> Result<S::Ok, S::Error> {
        writer.collect_str(&time.whole_second())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(reader)?;
        Timestamp::parse(&text).ok_or_else(|| D::Error::custom(format!("{text} is not a time of ISO 8601")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arrival() -> Arrival {
        Arrival {
            id: "4edeb1d7-bae4-4302-b6b6-a9e8b7cd38f0".to_owned(),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            at: Timestamp::from_milliseconds(1_795_255_200_123),
        }
    }

    fn entry(value: Value) -> Entry {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_entry_becomes_an_event_in_eventbridges_order() {
        let entry = entry(json!({
            "Source": "shop", "DetailType": "OrderPlaced", "Detail": "{\"b\": 1.0, \"a\": null}",
            "Resources": ["arn:x"], "Time": 1_795_255_200.987, "EventBusName": "bus", "Unknown": 1,
        }));
        let event = Envelope::of_entry(entry, arrival()).unwrap();
        let expected = concat!(
            r#"{"version":"0","id":"4edeb1d7-bae4-4302-b6b6-a9e8b7cd38f0","detail-type":"OrderPlaced","#,
            r#""source":"shop","account":"000000000000","time":"2026-11-21T10:00:00Z","region":"us-east-1","#,
            r#""resources":["arn:x"],"detail":{"b":1.0,"a":null}}"#,
        );
        assert_eq!(event.to_value().to_string(), expected);
        assert_eq!(serde_json::from_str::<Envelope>(expected).unwrap().to_value(), event.to_value());
    }

    #[test]
    fn nobody_else_speaks_for_warren() {
        let entry = entry(json!({"Source": "aws.states", "DetailType": "t", "Detail": "{}"}));
        let error = Envelope::of_entry(entry, arrival()).unwrap_err();
        assert_eq!(error.code(), "NotAuthorizedForSourceException");
    }

    #[test]
    fn without_a_time_it_is_that_of_its_arrival() {
        let entry = entry(json!({"Source": "s", "DetailType": "t", "Detail": "{}"}));
        let event = Envelope::of_entry(entry, arrival()).unwrap().to_value();
        assert_eq!((&event["time"], &event["resources"]), (&json!("2026-11-21T10:00:00Z"), &json!([])));
    }

    /// As recorded from EventBridge.
    #[test]
    fn what_is_no_event_is_told_in_its_words() {
        let required =
            |name: &str| format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
        let whole = json!({"Source": "s", "DetailType": "t", "Detail": "{}"});
        for name in ["Source", "DetailType", "Detail"] {
            for missing in [json!(null), json!("")] {
                let mut entry_without = whole.clone();
                entry_without[name] = missing;
                let error = Envelope::of_entry(entry(entry_without), arrival()).unwrap_err();
                assert_eq!((error.code(), error.to_string()), ("InvalidArgument", required(name)));
            }
        }
        for detail in ["text", "\"text\"", "[]", "1", "{", "{'a': 1}"] {
            let mut malformed = whole.clone();
            malformed["Detail"] = json!(detail);
            let error = Envelope::of_entry(entry(malformed), arrival()).unwrap_err();
            assert_eq!(
                (error.code(), error.to_string().as_str()),
                ("MalformedDetail", "Detail is malformed.")
            );
        }
    }

    #[test]
    fn the_size_of_an_entry_is_counted_as_by_eventbridge() {
        let whole =
            json!({"Source": "s", "DetailType": "ty", "Detail": "{\"é\": 1}", "Resources": ["abc", "d"]});
        assert_eq!(entry(whole).bytes(), 1 + 2 + 9 + 4);
        assert_eq!(entry(json!({"Time": 1.5, "EventBusName": "ignored"})).bytes(), 14);
    }

    #[test]
    fn a_schedule_sends_an_event_of_its_own() {
        let event = Envelope::scheduled("arn:aws:events:us-east-1:000000000000:rule/r", arrival()).to_value();
        assert_eq!(
            (&event["source"], &event["detail-type"]),
            (&json!("aws.events"), &json!("Scheduled Event"))
        );
        assert_eq!(event["resources"], json!(["arn:aws:events:us-east-1:000000000000:rule/r"]));
        assert_eq!(event["detail"], json!({}));
    }

    #[test]
    fn an_event_of_another_form_is_refused() {
        for event in [json!({"id": "1"}), json!({"id": 1}), json!([])] {
            assert!(serde_json::from_value::<Envelope>(event).is_err());
        }
        let mut event = Envelope::scheduled("a", arrival()).to_value();
        event["time"] = json!("yesterday");
        let error = serde_json::from_value::<Envelope>(event).unwrap_err();
        assert_eq!(error.to_string(), "yesterday is not a time of ISO 8601");
    }
}
