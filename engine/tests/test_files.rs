//! Test files of `warren test`: the reader takes what `schemas/tests/test.json` allows, and no more.

#![expect(clippy::unwrap_used, reason = "a failure here is the result of a test")]

use serde_json::{Value, json};

#[path = "support/schema.rs"]
mod schema;

const SCHEMA: &str = "tests/test.json";

/// A file of one case with these fields, and these of its own.
fn with(file: Value, case: Value) -> Value {
    let mut written = json!({"cases": [{"name": "a"}]});
    written.as_object_mut().unwrap().extend(file.as_object().unwrap().clone());
    let first = written["cases"].get_mut(0).and_then(Value::as_object_mut);
    first.into_iter().for_each(|first| first.extend(case.as_object().unwrap().clone()));
    written
}

fn case(fields: Value) -> Value {
    with(json!({}), fields)
}

fn expect(fields: Value) -> Value {
    case(json!({ "expect": fields }))
}

fn mock(mock: Value) -> Value {
    case(json!({"mocks": {"A": mock}}))
}

/// Both take these.
fn accepted() -> Vec<Value> {
    vec![
        case(json!({})),
        with(
            json!({"$schema": "s", "description": "d", "definition": "a.json", "type": "EXPRESS"}),
            json!({}),
        ),
        with(json!({"mock_config": "m.json", "machine": "m"}), json!({"mock_case": "c"})),
        with(json!({"defaults": {"input_file": "i.json", "mocks": "m.json"}}), json!({"input": null})),
        with(
            json!({"defaults": {"input": 1, "mocks": {}, "start_time": "2026-01-31T08:00:00.5+01:00"}}),
            json!({}),
        ),
        case(json!({"description": "d", "skip": "why", "start_time": "2026-01-31T08:00:00Z"})),
        mock(json!({})),
        mock(json!({"0": {"Return": null}, "1-3": {"Throw": {"Error": "E"}}, "When": [1]})),
        mock(json!({"0": {"Throw": {"Error": "E", "Cause": "c"}, "AfterSeconds": 99_999_999}})),
        mock(json!([{"When": 1, "0": {"Return": 1, "AfterSeconds": 0}}, {"0": {"Return": 2}}])),
        expect(json!({"status": "SUCCEEDED", "output": {}, "output_contains": []})),
        expect(json!({"status": "FAILED", "error": "E", "cause": "c", "cause_contains": "c"})),
        expect(json!({"status": "TIMED_OUT", "path": ["A"], "path_contains": [], "visits": {"A": 0}})),
        expect(json!({"calls": {"A": [1]}, "calls_contain": {"A": []}, "variables": {"v": null}})),
        expect(json!({"duration_seconds": 0, "duration_seconds_max": 1.5})),
    ]
}

/// Both refuse these.
fn refused() -> Vec<Value> {
    vec![
        json!([]),
        json!({}),
        json!({"cases": []}),
        json!({"cases": {}}),
        json!({"cases": [1]}),
        case(json!({"name": 1})),
        case(json!({"name": " "})),
        json!({"cases": [{}]}),
        with(json!({"colour": "red"}), json!({})),
        with(json!({"type": "standard"}), json!({})),
        with(json!({"definition": 1}), json!({})),
        with(json!({"defaults": {"expect": {}}}), json!({})),
        with(json!({"defaults": []}), json!({})),
        case(json!({"outptu": 1})),
        case(json!({"skip": true})),
        case(json!({"input_file": {}})),
        case(json!({"start_time": "tomorrow"})),
        case(json!({"mocks": []})),
        case(json!({"expect": []})),
        mock(json!(1)),
        mock(json!([1])),
        mock(json!({"x": {"Return": 1}})),
        mock(json!({"0": {}})),
        mock(json!({"0": {"Return": 1, "Throw": {"Error": "E"}}})),
        mock(json!({"0": {"Return": 1, "After": 1}})),
        mock(json!({"0": {"Return": 1, "AfterSeconds": -1}})),
        mock(json!({"0": {"Return": 1, "AfterSeconds": 100_000_000}})),
        mock(json!({"0": {"Throw": {"Cause": "c"}}})),
        mock(json!({"0": {"Throw": {"Error": "E", "Reason": "c"}}})),
        expect(json!({"outptu": 1})),
        expect(json!({"status": "ABORTED"})),
        expect(json!({"error": 1})),
        expect(json!({"path": "A"})),
        expect(json!({"path": [1]})),
        expect(json!({"visits": {"A": -1}})),
        expect(json!({"calls": {"A": {}}})),
        expect(json!({"variables": []})),
        expect(json!({"duration_seconds": -1})),
        expect(json!({"duration_seconds_max": "1"})),
    ]
}

/// The schema takes these, as it knows no more of them; the reader does not.
fn beyond_the_schema() -> Vec<Value> {
    vec![
        json!({"cases": [{"name": "a"}, {"name": "a"}]}),
        with(json!({"machine": "m"}), json!({})),
        case(json!({"mock_case": "c"})),
        case(json!({"input": 1, "input_file": "i.json"})),
        case(json!({"start_time": "2026-02-31T08:00:00Z"})),
        mock(json!({"2-1": {"Return": 1}})),
        mock(json!({"0-2": {"Return": 1}, "1": {"Return": 1}})),
        expect(json!({"status": "FAILED", "output": 1})),
        expect(json!({"status": "SUCCEEDED", "error": "E"})),
    ]
}

fn check(files: Vec<Value>, reads: bool, fits: bool) {
    for file in files {
        let problems = engine::cli::test::problems(&file);
        assert_eq!(problems.is_empty(), reads, "the reader: {file}: {problems:?}");
        let problem = schema::problem(SCHEMA, &file);
        assert_eq!(problem.is_none(), fits, "the schema: {file}: {problem:?}");
    }
}

#[test]
fn the_reader_takes_what_the_schema_takes() {
    check(accepted(), true, true);
    check(refused(), false, false);
    check(beyond_the_schema(), false, true);
}
