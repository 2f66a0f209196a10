//! What must hold of every history.

use std::collections::BTreeMap;

use serde_json::Value;

/// The events that end an execution.
const ENDS: [&str; 4] = ["ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"];

/// Checks that ids are 1, 2, 3, … (S1), that each event follows an earlier one, and that there is one end, at
/// the end (S6), unless it was redriven. Answers how often each type of event is in it.
pub fn check(history: &[Value]) -> BTreeMap<&str, u64> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, event) in (1..).zip(history) {
        assert_eq!(event["id"].as_u64(), Some(id), "S1: ids have a gap or a duplicate: {event}");
        let previous = event["previousEventId"].as_u64().expect("S1: each event follows one");
        assert!(previous < id, "S1: it follows a later event: {event}");
        *counts.entry(kind(event)).or_default() += 1;
    }
    let ends: u64 = ENDS.iter().filter_map(|end| counts.get(end)).sum();
    let redrives = counts.get("ExecutionRedriven").copied().unwrap_or_default();
    assert_eq!(
        ends,
        1 + redrives,
        "S6: an execution ends once, and once more after each redrive: {counts:?}"
    );
    assert!(
        ENDS.contains(&kind(&history[history.len() - 1])),
        "S6: something comes after the end: {counts:?}"
    );
    counts
}

/// Checks also that these events are in it so often.
pub fn check_counts(history: &[Value], expected: &[(&str, u64)]) {
    let counts = check(history);
    for (kind, count) in expected {
        assert_eq!(counts.get(kind).copied().unwrap_or_default(), *count, "{kind}: {counts:?}");
    }
}

/// The output of an execution that succeeded.
pub fn output(history: &[Value]) -> Value {
    let end = &history[history.len() - 1]["executionSucceededEventDetails"]["output"];
    serde_json::from_str(end.as_str().expect("it has succeeded")).expect("JSON")
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().expect("a type")
}
