//! What a test of a state has shown.

use std::io;

use asl::branch::{Trial, Verdict};
use asl::data::Failure;
use connectors::{Exchange, HttpPart};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value, json};

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// How it ended.
    Info,
    /// What the data became on its way as well.
    Debug,
    /// And how a call over HTTP went.
    Trace,
}

impl Level {
    /// `inspectionLevel`; INFO unless given.
    pub fn of(word: Option<&str>) -> Self {
        match word {
            Some("DEBUG") => Level::Debug,
            Some("TRACE") => Level::Trace,
            Some(_) | None => Level::Info,
        }
    }
}

/// The answer to the request.
pub fn answer(
    level: Level,
    verdict: &Verdict,
    input: &Value,
    trial: &Trial<'_>,
    exchange: Option<&Exchange>,
) -> Value {
    let mut answer = Map::new();
    let status = match verdict {
        Verdict::Succeeded { output, next } => {
            left(&mut answer, output, next.as_deref());
            "SUCCEEDED"
        }
        Verdict::Retriable { failure, .. } => {
            failed(&mut answer, failure);
            "RETRIABLE"
        }
        Verdict::Caught { failure, output, next, .. } => {
            failed(&mut answer, failure);
            left(&mut answer, output, next.as_deref());
            "CAUGHT_ERROR"
        }
        Verdict::Failed { failure, .. } => {
            failed(&mut answer, failure);
            "FAILED"
        }
    };
    answer.insert("status".into(), status.into());
    if level != Level::Info {
        let mut data = inspection(verdict, input, trial);
        if let (Level::Trace, Some(exchange)) = (level, exchange) {
            show(exchange, &mut data);
        }
        answer.insert("inspectionData".into(), Value::Object(data));
    }
    Value::Object(answer)
}

fn left(answer: &mut Map<String, Value>, output: &Value, next: Option<&str>) {
    answer.insert("output".into(), spaced(output).into());
    if let Some(next) = next {
        answer.insert("nextState".into(), next.into());
    }
}

fn failed(answer: &mut Map<String, Value>, failure: &Failure) {
    if let Some(error) = &failure.error {
        answer.insert("error".into(), error.clone().into());
    }
    if let Some(cause) = &failure.cause {
        answer.insert("cause".into(), cause.clone().into());
    }
}

fn inspection(verdict: &Verdict, input: &Value, trial: &Trial<'_>) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("input".into(), spaced(input).into());
    for (step, value) in trial.steps() {
        let shown = if step.is_count() { value.clone() } else { spaced(value).into() };
        data.insert(step.name().into(), shown);
    }
    let variables = trial.variables();
    if !variables.is_empty() {
        let all: Map<String, Value> =
            variables.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        data.insert("variables".into(), spaced(&Value::Object(all)).into());
    }
    if let Some(details) = error_details(verdict) {
        data.insert("errorDetails".into(), details);
    }
    data
}

fn show(exchange: &Exchange, data: &mut Map<String, Value>) {
    let Exchange { method, url, sent, status, status_text, received } = exchange;
    let protocol = url.split_once(':').map_or("http", |(scheme, _)| scheme);
    data.insert(
        "request".into(),
        json!({
            "protocol": protocol, "method": method, "url": url,
            "headers": headers(sent), "body": sent.body,
        }),
    );
    data.insert(
        "response".into(),
        json!({
            "protocol": protocol, "statusCode": status.to_string(), "statusMessage": status_text,
            "headers": headers(received), "body": received.body,
        }),
    );
}

/// `[name: value, name: value]`.
fn headers(part: &HttpPart) -> String {
    let lines: Vec<String> = part.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("[{}]", lines.join(", "))
}

/// Which retrier and which catcher had to do with the failure.
fn error_details(verdict: &Verdict) -> Option<Value> {
    let (retrier, catcher, seconds) = match verdict {
        Verdict::Succeeded { .. } => return None,
        Verdict::Retriable { retrier, seconds, .. } => (Some(*retrier), None, Some(*seconds)),
        Verdict::Caught { retrier, catcher, .. } => (*retrier, Some(*catcher), None),
        Verdict::Failed { retrier, .. } => (*retrier, None, None),
    };
    let mut details = Map::new();
    if let Some(catcher) = catcher {
        details.insert("catchIndex".into(), json!(catcher));
    }
    if let Some(retrier) = retrier {
        details.insert("retryIndex".into(), json!(retrier));
    }
    if let Some(seconds) = seconds {
        details.insert("retryBackoffIntervalSeconds".into(), json!(seconds));
    }
    (!details.is_empty()).then_some(Value::Object(details))
}

/// JSON with a blank behind each comma and colon, as AWS shows what it has tested (recorded, 2025).
fn spaced(value: &Value) -> String {
    let mut bytes = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, Spaced));
    match (written, String::from_utf8(bytes)) {
        (Ok(()), Ok(text)) => text,
        // Values come from JSON, and are written to memory: neither can fail.
        (_, _) => value.to_string(),
    }
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_follows_each_comma_and_colon() {
        let value = json!({"a": [1, 2.5, {"b": null}], "c": "x,y:z", "d": {}});
        assert_eq!(spaced(&value), r#"{"a": [1, 2.5, {"b": null}], "c": "x,y:z", "d": {}}"#);
    }
}
