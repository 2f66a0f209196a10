//! The official test suite of JSONata. It is not part of this repository: `make conformance SUITE=FOLDER` runs it from
//! where it lies, and prints how much of it passes.

use std::collections::BTreeMap;
use std::path::Path;

use asl::data::expression::{Limits, Query, QueryError};
use asl::data::random::Random;
use asl::data::timestamp::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Cases that must pass: all but those that no implementation in Rust can express (two with a lone surrogate), three
/// that name the error code of the suite's own harness, and one error code.
const PASSED_MIN: usize = 1_680;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    expr: String,
    /// Also null, which is an input; a case without one has a `dataset` that is null.
    #[serde(default, deserialize_with = "present")]
    data: Option<Value>,
    #[serde(default)]
    dataset: Option<String>,
    #[serde(default)]
    bindings: Map<String, Value>,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    undefined_result: bool,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    unordered: bool,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The suite tests the language, not how much of it a workflow may use.
const LIMITS: Limits = Limits {
    steps_max: 20_000_000,
    regex_steps_max: 20_000_000,
    depth_max: 2_000,
    elements_max: 10_000_000,
    memory_bytes_max: usize::MAX,
    ..Limits::DEFAULT
};

fn run(case: &Case, datasets: &BTreeMap<String, Value>) -> Result<Option<Value>, QueryError> {
    let input = match (&case.data, &case.dataset) {
        (Some(data), _) => Some(data),
        (None, Some(name)) => datasets.get(name),
        (None, None) => None,
    };
    let query = Query::compile(&case.expr, LIMITS)?;
    let variables = case.bindings.clone().into_iter().collect();
    let now = Timestamp::from_milliseconds(1_700_000_000_000);
    query.evaluate(input, variables, now, &mut Random::from_seed([7; 32]))
}

/// What is wrong with what came out, if anything is.
fn problem(case: &Case, found: Result<Option<Value>, QueryError>, has_result: bool) -> Option<String> {
    let code = case.code.as_deref().or_else(|| case.error.as_ref()?.get("code")?.as_str());
    match (found, code) {
        (Err(error), Some(code)) if error.code == code => None,
        (Err(error), _) => Some(format!("{error} ({code:?} expected)")),
        (Ok(found), Some(code)) => Some(format!("{found:?} instead of {code}")),
        (Ok(None), None) => has_result.then(|| "nothing came out".to_owned()),
        (Ok(found), None) => {
            let wanted = case.result.clone().unwrap_or_default();
            let found = found.unwrap_or_default();
            let same = same(&found, &wanted) || case.unordered && same(&sorted(&found), &sorted(&wanted));
            (!same || case.undefined_result).then(|| format!("{found} instead of {wanted}"))
        }
    }
}

/// Equal, numbers by value.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let member = |name: &String| right.get(name);
            left.len() == right.len()
                && left.iter().all(|(name, left)| member(name).is_some_and(|right| same(left, right)))
        }
        (left, right) => left == right,
    }
}

fn sorted(value: &Value) -> Value {
    let Value::Array(elements) = value else { return value.clone() };
    let mut elements = elements.clone();
    elements.sort_by_key(ToString::to_string);
    Value::Array(elements)
}

/// Two cases hold half of a surrogate pair, which no text of Rust can; they are read as something else, and fail.
fn without_lone_surrogates(text: &str) -> String {
    text.replace(r"\ud800", "?")
}

#[test]
#[ignore = "the suite is not part of this repository: `make conformance SUITE=FOLDER`"]
fn the_official_suite_passes() {
    let folder = std::env::var_os("WARREN_JSONATA_SUITE").expect("it says where the suite lies");
    let read = |name: &str| {
        let path = Path::new(&folder).join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let cases: Vec<Value> = serde_json::from_str(&without_lone_surrogates(&read("cases.json"))).unwrap();
    let datasets: BTreeMap<String, Value> = serde_json::from_str(&read("datasets.json")).unwrap();
    let (mut passed, all) = (0, cases.len());
    for case in cases {
        let id = case["id"].as_str().unwrap_or_default().to_owned();
        let has_result = case.get("result").is_some();
        let found = match serde_json::from_value::<Case>(case) {
            Ok(case) => problem(&case, run(&case, &datasets), has_result)
                .map(|problem| format!("{}: {problem}", case.expr)),
            Err(error) => Some(error.to_string()),
        };
        match found {
            None => passed += 1,
            Some(problem) => println!("{id}: {}", problem.chars().take(300).collect::<String>()),
        }
    }
    println!("conformance of JSONata: {passed}/{all}");
    assert!(passed >= PASSED_MIN, "only {passed} of {all} cases pass");
}
