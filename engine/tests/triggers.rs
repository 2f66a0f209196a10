//! Triggers as files: the reader takes what `schemas/triggers/trigger.json` allows, and what a release has
//! stored is read by the next one. `triggers/stored.1.json` holds triggers as they were stored; it is never
//! edited, only added to.

#![expect(clippy::unwrap_used, reason = "a failure here is the result of a test")]

use engine::events::rule::Trigger;
use serde_json::{Value, json};

#[path = "support/schema.rs"]
mod schema;

const SCHEMA: &str = "triggers/trigger.json";

/// The smallest trigger with some fields set, or, where null, taken away.
fn with(fields: &Value) -> Value {
    let mut trigger = json!({"name": "orders", "machine": "order", "from": {"exchange": "warren.triggers"}});
    for (name, value) in fields.as_object().unwrap() {
        if value.is_null() {
            trigger.as_object_mut().unwrap().remove(name);
        } else {
            trigger[name] = value.clone();
        }
    }
    trigger
}

/// Whether the reader and the schema take a trigger.
fn taken(fields: &Value) -> (Result<Trigger, String>, Option<String>) {
    let trigger = with(fields);
    let read = Trigger::from_value(&trigger).map_err(|error| error.to_string());
    (read, schema::problem(SCHEMA, &trigger))
}

/// Both take these.
fn accepted() -> Vec<Value> {
    vec![
        json!({}),
        json!({"name": "a.b-C_9", "description": "", "machine": "état", "enabled": false}),
        json!({"machine": "arn:aws:states:us-east-1:000000000000:stateMachine:order"}),
        json!({"machine": "arn:aws:states:us-east-1:000000000000:stateMachine:order:3"}),
        json!({"from": {"exchange": "e", "binding": ""}, "dead_letters": "q"}),
        json!({"from": {"queue": "jobs"}, "batch": {"messages": 1000, "seconds": 0}, "name_from": "message_id"}),
        json!({"from": {"queue": "jobs"}, "batch": {"messages": 1}}),
        json!({"from": {"schedule": "rate(5 minutes)"}}),
        json!({"from": {"schedule": "cron(0 8 ? * MON-FRI *)", "timezone": "Europe/Berlin"}, "input": {"constant": null}}),
        json!({"from": {"schedule": "at(2026-11-21T10:00:00)"}}),
        json!({"input": {"path": "$"}, "name_from": {"path": "$.detail.id"}}),
        json!({"input": {"path": "$['detail-type']"}}),
        json!({"input": {"template": {"a": "<x>"}, "paths": {"x": "$.a[*].b"}}}),
        json!({"input": {"template": "{\"a\": <message.id>}"}}),
        json!({"retry": {}, "rate_per_second": 100_000, "concurrency": 1_000_000}),
        json!({"retry": {"attempts": 185, "seconds": 86_400, "seconds_max": 86_400}}),
        json!({"pattern": {"source": ["a", 1, true, null], "detail": {"b": {"c": [{"exists": false}]}}}}),
        json!({"pattern": {"$or": [{"a": [1]}, {"b": {"$or": [{"c": [1]}, {"d": [2]}]}}]}}),
        json!({"pattern": {"a": [
            {"prefix": "x"}, {"prefix": {"equals-ignore-case": "x"}}, {"suffix": "x"}, {"exactly": "x"},
            {"equals-ignore-case": "x"}, {"wildcard": "x*"}, {"cidr": "10.0.0.0/8"}, {"numeric": ["=", 1]},
            {"numeric": [">", 0, "<=", 5.5]}, {"anything-but": "x"}, {"anything-but": 1}, {"anything-but": ["x"]},
            {"anything-but": [1, 2]}, {"anything-but": {"prefix": "x"}}, {"anything-but": {"wildcard": ["x", "y"]}},
        ]}}),
    ]
}

/// Both refuse these.
fn refused() -> Vec<Value> {
    vec![
        json!({"name": null}),
        json!({"name": "a b"}),
        json!({"name": "n".repeat(65)}),
        json!({"description": "d".repeat(513)}),
        json!({"machine": null}),
        json!({"machine": "a/b"}),
        json!({"machine": "arn:aws:states:us-east-1:000000000000:activity:a"}),
        json!({"machine": "arn:aws:states:us-east-1:000000000000:stateMachine:a/b"}),
        json!({"from": null}),
        json!({"from": {}}),
        json!({"from": {"exchange": "e", "queue": "q"}}),
        json!({"from": {"queue": "q", "binding": "#"}}),
        json!({"from": {"queue": "q\n"}}),
        json!({"from": {"exchange": "e", "timezone": "UTC"}}),
        json!({"from": {"exchange": ""}}),
        json!({"from": {"exchange": "e", "colour": 1}}),
        json!({"from": {"schedule": "every day"}}),
        json!({"from": {"schedule": "rate(1 day)"}, "pattern": {"a": [1]}}),
        json!({"from": {"schedule": "rate(1 day)"}, "batch": {"messages": 1}}),
        json!({"from": {"schedule": "rate(1 day)"}, "name_from": "message_id"}),
        json!({"input": {}}),
        json!({"input": {"path": "$", "constant": 1}}),
        json!({"input": {"path": "detail"}}),
        json!({"input": {"path": "$$.a"}}),
        json!({"input": {"path": "$", "paths": {}}}),
        json!({"input": {"template": {}, "paths": {"a b": "$"}}}),
        json!({"input": {"template": {}, "paths": {"a": 1}}}),
        json!({"name_from": "id"}),
        json!({"name_from": {"path": "$", "more": 1}}),
        json!({"name_from": {"path": "$.a"}, "batch": {"messages": 2}}),
        json!({"batch": {}}),
        json!({"batch": {"messages": 0}}),
        json!({"batch": {"messages": 1001}}),
        json!({"batch": {"messages": 1, "seconds": 301}}),
        json!({"rate_per_second": 0}),
        json!({"rate_per_second": 1.5}),
        json!({"concurrency": 1_000_001}),
        json!({"retry": {"attempts": 186}}),
        json!({"retry": {"seconds": 0}}),
        json!({"retry": {"pause": 1}}),
        json!({"dead_letters": ""}),
        json!({"enabled": "yes"}),
        json!({"colour": "red"}),
        json!({"pattern": {}}),
        json!({"pattern": []}),
        json!({"pattern": {"a": 1}}),
        json!({"pattern": {"a": []}}),
        json!({"pattern": {"a": [[1]]}}),
        json!({"pattern": {"a": [{}]}}),
        json!({"pattern": {"a": [{"prefix": 1}]}}),
        json!({"pattern": {"a": [{"prefix": "x", "suffix": "y"}]}}),
        json!({"pattern": {"a": [{"unknown": 1}]}}),
        json!({"pattern": {"a": [{"numeric": ["="]}]}}),
        json!({"pattern": {"a": [{"numeric": [">", 1, ">", 2]}]}}),
        json!({"pattern": {"a": [{"numeric": [">", 1, "<", 2, 3]}]}}),
        json!({"pattern": {"a": [{"anything-but": ["x", 1]}]}}),
        json!({"pattern": {"a": [{"anything-but": []}]}}),
        json!({"pattern": {"a": [{"anything-but": {"numeric": 1}}]}}),
        json!({"pattern": {"$or": [{"a": [1]}]}}),
    ]
}

/// The schema takes these, as it knows no more of them; the reader does not.
fn beyond_the_schema() -> Vec<Value> {
    vec![
        json!({"from": {"schedule": "rate(1 minutes)"}}),
        json!({"from": {"schedule": "cron(0 0 * * * *)"}}),
        json!({"from": {"schedule": "rate(1 day)", "timezone": "Mars/Phobos"}}),
        json!({"input": {"path": "$["}}),
        json!({"input": {"template": {"a": "<b>"}}}),
        json!({"input": {"template": "not JSON"}}),
        json!({"input": {"template": {}, "paths": {"AwsX": "$"}}}),
        json!({"retry": {"seconds": 9, "seconds_max": 3}}),
        json!({"from": {"queue": "é".repeat(200)}}),
        json!({"pattern": {"a": [{"wildcard": "**"}]}}),
        json!({"pattern": {"a": [{"cidr": "10.0.0.0/99"}]}}),
        json!({"pattern": {"a": [{"numeric": ["=", 1, "<", 2]}]}}),
        json!({"pattern": {"a": [{"anything-but": {"prefix": ""}}]}}),
        json!({"pattern": {"$or": [{"a": [1]}, {"prefix": ["x"]}]}}),
        json!({"pattern": {"a": ["x".repeat(5_000)]}}),
    ]
}

#[test]
fn the_reader_takes_what_the_schema_takes() {
    for fields in accepted() {
        let (read, problem) = taken(&fields);
        assert_eq!(problem, None, "{fields}");
        let written = read.unwrap_or_else(|error| panic!("{fields}: {error}")).to_value();
        assert_eq!(schema::problem(SCHEMA, &written), None, "{written}");
    }
}

#[test]
fn the_reader_refuses_what_the_schema_refuses() {
    for fields in refused() {
        let (read, problem) = taken(&fields);
        assert!(read.is_err() && problem.is_some(), "{fields}: {read:?} {problem:?}");
    }
}

#[test]
fn the_reader_knows_more_than_the_schema() {
    for fields in beyond_the_schema() {
        let (read, problem) = taken(&fields);
        assert!(read.is_err() && problem.is_none(), "{fields}: {read:?} {problem:?}");
    }
}

/// The trigger that the documentation of the code shows.
#[test]
fn the_example_in_the_documentation_is_a_trigger() {
    let source = std::fs::read_to_string(schema::project().join("engine/src/events/rule.rs")).unwrap();
    let example = source.split("```yaml\n").nth(1).unwrap().split("//! ```").next().unwrap();
    let text: Vec<&str> = example.lines().map(|line| line.trim_start_matches("//!")).collect();
    let trigger = Trigger::parse_yaml(&text.join("\n"), "example").unwrap();
    assert_eq!(schema::problem(SCHEMA, &trigger.to_value()), None);
}

#[test]
fn what_was_stored_is_read_and_means_the_same() {
    let file = schema::project().join("engine/tests/triggers/stored.1.json");
    let stored: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(stored.len() >= 5);
    for trigger in stored {
        let read = Trigger::from_value(&trigger).unwrap_or_else(|error| panic!("{trigger}: {error}"));
        assert_eq!(read.to_value(), trigger);
        assert_eq!(schema::problem(SCHEMA, &trigger), None);
    }
}
