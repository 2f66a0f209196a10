//! From a document to a test file, or to all that is wrong with it. `schemas/tests/test.json` says the same.

use asl::data::timestamp::Timestamp;
use serde_json::{Map, Value};

use super::expected::Expected;
use super::observed::Status;
use crate::cli::TypeArg;
use crate::cli::play::mocks::Mocks;
use crate::fields::{Fields, Problem, nearest};

/// A test file, as it is written: nothing that it names has been read.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) definition: Option<String>,
    pub(super) workflow: TypeArg,
    /// A MockConfigFile, for cases that name a test case of it.
    pub(super) mock_config: Option<String>,
    /// The machine in it.
    pub(super) machine: Option<String>,
    pub(super) defaults: Given,
    pub(super) cases: Vec<WrittenCase>,
}

/// What a case begins with.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) input: Option<InputFrom>,
    pub(super) mocks: Option<MocksFrom>,
    pub(super) start: Option<Timestamp>,
}

/// Where an input is.
#[derive(Debug)]
pub(super) enum InputFrom {
    Here(Value),
    File(String),
}

/// Where mocks are.
#[derive(Debug)]
pub(super) enum MocksFrom {
    Here(Mocks),
    File(String),
}

/// One case.
#[derive(Debug)]
pub(super) struct WrittenCase {
    pub(super) name: String,
    /// Why it is not to be played.
    pub(super) skip: Option<String>,
    pub(super) given: Given,
    /// The test case of the MockConfigFile.
    pub(super) mock_case: Option<String>,
    pub(super) expected: Expected,
}

/// Reads a test file.
pub(super) fn read(document: &Value) -> Result<Written, Vec<Problem>> {
    let Some(object) = document.as_object() else {
        let message = "is not an object; write cases at least".to_owned();
        return Err(vec![Problem { field: String::new(), message }]);
    };
    let mut problems = Vec::new();
    let written = file(object, &mut problems);
    if problems.is_empty() { Ok(written) } else { Err(problems) }
}

fn file(object: &Map<String, Value>, problems: &mut Vec<Problem>) -> Written {
    let mut fields = Fields::new(object, "", problems);
    fields.any("$schema");
    fields.text("description");
    let definition = fields.text("definition").map(str::to_owned);
    let workflow =
        choice(&mut fields, "type", &[("STANDARD", TypeArg::Standard), ("EXPRESS", TypeArg::Express)]);
    let mock_config = fields.text("mock_config").map(str::to_owned);
    let machine = fields.text("machine").map(str::to_owned);
    if machine.is_some() && mock_config.is_none() {
        fields.report("machine", "is that of a mock_config; write mock_config as well");
    }
    let mut defaults = Given::default();
    if let Some(object) = fields.object("defaults", "what all cases begin with") {
        let place = fields.place("defaults");
        let mut inner = Fields::new(object, &place, fields.problems());
        defaults = given(&mut inner);
        inner.finish();
    }
    let mut cases: Vec<WrittenCase> = Vec::new();
    let list = fields.any("cases").map(Value::as_array);
    match list {
        Some(Some(list)) if !list.is_empty() => {
            for (index, written) in list.iter().enumerate() {
                let place = format!("/cases/{index}");
                if let Some(case) = case(written, &place, mock_config.is_some(), fields.problems()) {
                    if cases.iter().any(|other| other.name == case.name) {
                        fields.report(
                            &format!("cases/{index}/name"),
                            "is the name of a case before; give it one of its own",
                        );
                    }
                    cases.push(case);
                }
            }
        }
        Some(_) => fields.report("cases", "is not a list of cases; write one case at least"),
        None => fields.report("cases", "is missing; write a list of cases"),
    }
    fields.finish();
    Written { definition, workflow: workflow.unwrap_or_default(), mock_config, machine, defaults, cases }
}

fn case(written: &Value, place: &str, has_config: bool, problems: &mut Vec<Problem>) -> Option<WrittenCase> {
    let Some(object) = written.as_object() else {
        let message = "is not an object; write name and what is expected".to_owned();
        problems.push(Problem { field: place.to_owned(), message });
        return None;
    };
    let mut fields = Fields::new(object, place, problems);
    let name = fields.required_text("name", "what the case shows").map(str::to_owned);
    if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        fields.report("name", "is empty; write what the case shows");
    }
    fields.text("description");
    let skip = fields.text("skip").map(str::to_owned);
    let given = given(&mut fields);
    let mock_case = fields.text("mock_case").map(str::to_owned);
    if mock_case.is_some() && !has_config {
        fields
            .report("mock_case", "is a test case of a mock_config; write mock_config at the top of the file");
    }
    let mut expected = Expected::default();
    if let Some(object) = fields.object("expect", "what is expected") {
        let place = fields.place("expect");
        let mut inner = Fields::new(object, &place, fields.problems());
        expected = expect(&mut inner);
        inner.finish();
    }
    fields.finish();
    Some(WrittenCase { name: name?, skip, given, mock_case, expected })
}

fn given(fields: &mut Fields<'_, '_>) -> Given {
    let here = fields.any("input").cloned();
    let file = fields.text("input_file").map(str::to_owned);
    if here.is_some() && file.is_some() {
        fields.report("input_file", "is there beside input; write one of them");
    }
    let mocks = match fields.any("mocks") {
        Some(Value::String(file)) => Some(MocksFrom::File(file.clone())),
        Some(written) => fields.note("mocks", Mocks::of(written)).map(MocksFrom::Here),
        None => None,
    };
    let start = fields.read("start_time", |text| {
        Timestamp::parse(text).ok_or("is not a time; write one like 2026-01-31T08:00:00Z")
    });
    Given { input: here.map(InputFrom::Here).or(file.map(InputFrom::File)), mocks, start }
}

fn expect(fields: &mut Fields<'_, '_>) -> Expected {
    let statuses = Status::ALL.map(|status| (status.as_str(), status));
    let status = choice(fields, "status", &statuses);
    let text = |fields: &mut Fields<'_, '_>, name| fields.text(name).map(str::to_owned);
    let (error, cause) = (text(fields, "error"), text(fields, "cause"));
    let cause_contains = text(fields, "cause_contains");
    let failed = error.is_some() || cause.is_some() || cause_contains.is_some();
    let implied = if failed { Status::Failed } else { Status::Succeeded };
    let expected = Expected {
        status: status.unwrap_or(implied),
        output: fields.any("output").cloned(),
        output_contains: fields.any("output_contains").cloned(),
        error,
        cause,
        cause_contains,
        path: names(fields, "path"),
        path_contains: names(fields, "path_contains"),
        visits: by_state(fields, "visits", "how often, as a whole number", Value::as_u64),
        calls: by_state(fields, "calls", "a list of what it is called with", |list| list.as_array().cloned()),
        calls_contain: by_state(fields, "calls_contain", "a list of what it is called with", |list| {
            list.as_array().cloned()
        }),
        variables: by_state(fields, "variables", "a value", |value| Some(value.clone())),
        duration_seconds: seconds(fields, "duration_seconds"),
        duration_seconds_max: seconds(fields, "duration_seconds_max"),
    };
    for name in ["output", "output_contains"] {
        if fields.has(name) && expected.status != Status::Succeeded {
            let status = expected.status.as_str();
            fields
                .report(name, format!("is expected of an execution that ends {status}, which has no output"));
        }
    }
    if failed && expected.status != Status::Failed {
        fields.report("status", "does not go with error, cause and cause_contains, which only FAILED has");
    }
    expected
}

/// One of some words.
fn choice<T: Copy>(fields: &mut Fields<'_, '_>, name: &'static str, words: &[(&str, T)]) -> Option<T> {
    let text = fields.text(name)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let meant = nearest(text, known.iter().copied());
        let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        fields.report(name, format!("is none of {}{meant}", known.join(", ")));
    }
    found
}

/// A list of names of states.
fn names(fields: &mut Fields<'_, '_>, name: &'static str) -> Option<Vec<String>> {
    let written = fields.any(name)?;
    let list = written.as_array().and_then(|list| {
        list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
    });
    if list.is_none() {
        fields.report(name, "is not a list of names of states");
    }
    list
}

/// An object with a member for each state (or variable).
fn by_state<T>(
    fields: &mut Fields<'_, '_>,
    name: &'static str,
    what: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Vec<(String, T)> {
    let mut found = Vec::new();
    for (key, written) in fields.object(name, &format!("for each name {what}")).into_iter().flatten() {
        match read(written) {
            Some(read) => found.push((key.clone(), read)),
            None => fields.report(&format!("{name}/{key}"), format!("is wrong; write {what}")),
        }
    }
    found
}

fn seconds(fields: &mut Fields<'_, '_>, name: &'static str) -> Option<f64> {
    let seconds = fields.any(name)?.as_f64().filter(|seconds| *seconds >= 0.0);
    if seconds.is_none() {
        fields.report(name, "is not a number of seconds, 0 or more");
    }
    seconds
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(document: &Value) -> Vec<String> {
        read(document).map(|_| ()).unwrap_err().iter().map(Problem::to_string).collect()
    }

    fn check(expect: Value, says: &str) {
        let told = problems(&json!({"cases": [{"name": "a", "expect": expect}]}));
        assert!(told.iter().any(|told| told.contains(says)), "{told:?} does not say {says}");
    }

    #[test]
    fn every_problem_has_its_place() {
        let told = problems(&json!({
            "definitoin": "a.asl.json", "type": "standard", "machine": "m", "defaults": {"inptu": 1},
            "cases": [
                {"name": "a", "start_time": "now", "expect": {"outptu": 1}}, {"name": "a", "mock_case": "x"}, 1,
                {"mocks": {"A": {"0": {}}}, "input": 1, "input_file": "i.json"},
            ],
        }));
        let begins = [
            "/type: is none of STANDARD, EXPRESS; did you mean STANDARD?",
            "/machine: is that of a mock_config",
            "/defaults/inptu: is not a field here; the fields are input, input_file, mocks, start_time; did you mean input?",
            "/cases/0/start_time: is not a time",
            "/cases/0/expect/outptu: is not a field here",
            "/cases/1/mock_case: is a test case of a mock_config",
            "/cases/1/name: is the name of a case before",
            "/cases/2: is not an object",
            "/cases/3/name: is missing",
            "/cases/3/input_file: is there beside input",
            "/cases/3/mocks: attempt \"0\" of the mock of 'A' needs",
            "/definitoin: is not a field here",
        ];
        assert_eq!(told.len(), begins.len(), "{told:#?}");
        for (told, begin) in told.iter().zip(begins) {
            assert!(told.starts_with(begin), "{told} is not {begin}");
        }
        for (document, says) in [(json!([]), "is not an object"), (json!({}), "/cases: is missing")] {
            assert!(problems(&document)[0].contains(says));
        }
        assert!(problems(&json!({"cases": []}))[0].contains("write one case at least"));
    }

    #[test]
    fn what_cannot_be_expected_is_refused() {
        check(json!({"status": "FAILD"}), "did you mean FAILED?");
        check(json!({"status": "FAILED", "output": 1}), "which has no output");
        check(json!({"status": "SUCCEEDED", "error": "E"}), "which only FAILED has");
        check(json!({"path": ["A", 1]}), "/path: is not a list of names");
        check(json!({"visits": {"A": -1}}), "/visits/A: is wrong; write how often");
        check(json!({"calls": {"A": {}}}), "/calls/A: is wrong; write a list");
        check(json!({"duration_seconds": "1"}), "is not a number of seconds");
        check(json!({"error": 1}), "/error: is not a text");
    }

    #[test]
    fn an_error_implies_that_it_failed() {
        let status = |expect: Value| {
            read(&json!({"cases": [{"name": "a", "expect": expect}]})).unwrap().cases[0].expected.status
        };
        assert_eq!(status(json!({})), Status::Succeeded);
        assert_eq!(status(json!({"cause_contains": "c"})), Status::Failed);
        assert_eq!(status(json!({"status": "TIMED_OUT"})), Status::TimedOut);
    }
}
