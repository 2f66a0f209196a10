//! Between the names of the API (`startDate`) and those that tasks see (`StartDate`).

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

/// Members that are dates: seconds since the epoch in the API, ISO 8601 for tasks.
const DATES: [&str; 6] = ["creationDate", "updateDate", "startDate", "stopDate", "redriveDate", "timestamp"];
/// The member below which names are not the API's but the user's: those of states.
const USER_NAMED: &str = "variableReferences";

/// `StartDate` as the API has it.
pub(super) fn camel(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(characters).collect()
}

fn pascal(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

/// A value of a request, its members named as the API names them.
pub(super) fn request(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (camel(&name), request(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(request).collect()),
        value => value,
    }
}

/// A response as the AWS SDK shows it.
pub(super) fn response(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let shown: Map<_, _> = members.into_iter().map(|(name, value)| member(&name, value)).collect();
            Value::Object(shown)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(response).collect()),
        value => value,
    }
}

fn member(name: &str, value: Value) -> (String, Value) {
    let shown = match value {
        value if name == USER_NAMED => value,
        Value::Number(seconds) if DATES.contains(&name) => {
            let date = seconds.as_f64().and_then(date);
            date.map_or(Value::Number(seconds), |date| json!(date))
        }
        value => response(value),
    };
    (pascal(name), shown)
}

/// As Java's `Instant` prints it: with as many digits as it needs, in threes.
fn date(seconds: f64) -> Option<String> {
    let date = DateTime::from_timestamp_millis((seconds * 1000.0).round() as i64)?;
    Some(date.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_have_names_and_dates_of_the_sdk() {
        let shown = response(json!({
            "executions": [{"startDate": 1_691_663_476.594, "name": "n"}, {"startDate": 1_691_663_476}],
            "input": "{\"startDate\":1}",
            "billingDetails": {"billedMemoryUsedInMB": 64},
            "variableReferences": {"first state": ["x"]},
            "stopDate": "given",
            "redriveCount": 0,
        }));
        let expected = json!({
            "Executions": [
                {"StartDate": "2023-08-10T10:31:16.594Z", "Name": "n"},
                {"StartDate": "2023-08-10T10:31:16Z"},
            ],
            "Input": "{\"startDate\":1}",
            "BillingDetails": {"BilledMemoryUsedInMB": 64},
            "VariableReferences": {"first state": ["x"]},
            "StopDate": "given",
            "RedriveCount": 0,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn requests_have_the_names_of_the_api() {
        let written =
            json!({"Level": "ALL", "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": 1}}]});
        let sent = json!({"level": "ALL", "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": 1}}]});
        assert_eq!(request(written), sent);
        assert_eq!(request(json!({"": {"Über": 1}})), json!({"": {"Über": 1}}));
    }
}
