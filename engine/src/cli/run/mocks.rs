//! Results of tasks, given in a file by state and attempt.
//!
//! The form is that of `MockedResponses` of Step Functions Local, by the name of a state:
//!
//! ```json
//! {"Check": {"0": {"Throw": {"Error": "Busy", "Cause": "…"}}, "1-3": {"Return": {"ok": true}}}}
//! ```
//!
//! Attempts count from 0, for each branch on its own: a retry is the next attempt, and so is another visit
//! to the state. Each iteration of a Map begins at 0.

use std::ops::RangeInclusive;
use std::path::Path;

use asl::branch::Answer;
use asl::data::{Failure, json};
use asl::program::{Program, StateType};
use serde_json::{Map, Value};

use super::Error;
use crate::cli::source;

/// The mocks of one file.
pub(super) struct Mocks {
    states: Vec<Mock>,
}

/// The answers of one state.
struct Mock {
    state: String,
    /// In order of attempts, without overlap.
    answers: Vec<(RangeInclusive<u32>, Answer)>,
}

impl Mocks {
    /// Reads a file. It must name only Task states of the program.
    pub(super) fn read(path: &Path, program: &Program) -> Result<Self, Error> {
        let text = source::read(path)?;
        let wrong = |message: String| Error::Usage(format!("{}: {message}", path.display()));
        let value = json::parse(&text).map_err(|error| wrong(error.with_location()))?;
        let mocks = Mocks::of(&value).map_err(wrong)?;
        for Mock { state, .. } in &mocks.states {
            match program.state_named(state).map(|found| found.state_type()) {
                Some(StateType::Task) => {}
                Some(other) => {
                    return Err(wrong(format!(
                        "only Task states have mocks, '{state}' is a {} state",
                        other.name()
                    )));
                }
                None => return Err(wrong(format!("the definition has no state '{state}'"))),
            }
        }
        Ok(mocks)
    }

    fn of(value: &Value) -> Result<Self, String> {
        let states = object(value, "the mocks")?;
        if states.contains_key("MockedResponses") || states.contains_key("StateMachines") {
            return Err(
                "this is a configuration of Step Functions Local; give the answers by state instead: \
                        {\"STATE\": {\"0\": {\"Return\": …}}}, each the content of one of its MockedResponses"
                    .to_owned(),
            );
        }
        let states = states.iter().map(|(state, answers)| Mock::of(state, answers));
        Ok(Mocks { states: states.collect::<Result<_, _>>()? })
    }

    /// What this attempt of a state's task gets. `None`: the state has no mock.
    pub(super) fn answer(&self, state: &str, attempt: u32) -> Result<Option<Answer>, Error> {
        let Some(mock) = self.states.iter().find(|mock| mock.state == state) else { return Ok(None) };
        let found = mock.answers.iter().find(|(attempts, _)| attempts.contains(&attempt));
        match found {
            Some((_, answer)) => Ok(Some(answer.clone())),
            None => Err(Error::Failed(format!(
                "the mock of the state '{state}' ends before attempt {attempt}: add \"{attempt}\": \
                 {{\"Return\": …}} to it, or a range like \"{attempt}-9\""
            ))),
        }
    }
}

impl Mock {
    fn of(state: &str, written: &Value) -> Result<Self, String> {
        let what = format!("the mock of '{state}'");
        let mut answers: Vec<(RangeInclusive<u32>, Answer)> = Vec::new();
        for (key, written) in object(written, &what)? {
            let range = attempts(key).ok_or_else(|| {
                format!("{what} has the key '{key}', which is no attempt: \"0\", or \"1-3\"")
            })?;
            let overlaps =
                |other: &RangeInclusive<u32>| range.start() <= other.end() && other.start() <= range.end();
            if answers.iter().any(|(other, _)| overlaps(other)) {
                return Err(format!("{what} answers an attempt of \"{key}\" twice"));
            }
            answers.push((range, answer(written, &format!("attempt \"{key}\" of {what}"))?));
        }
        Ok(Mock { state: state.to_owned(), answers })
    }
}

fn attempts(key: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = key.split_once('-').unwrap_or((key, key));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..=last)
}

fn answer(written: &Value, what: &str) -> Result<Answer, String> {
    let fields = object(written, what)?;
    let mut fields = fields.iter();
    match (fields.next(), fields.next()) {
        (Some((key, value)), None) if key == "Return" => Ok(Answer::Succeeded(value.clone())),
        (Some((key, value)), None) if key == "Throw" => Ok(Answer::Failed(thrown(value, what)?)),
        _ => Err(format!("{what} needs \"Return\" or \"Throw\", and nothing else")),
    }
}

fn thrown(written: &Value, what: &str) -> Result<Failure, String> {
    let fields = object(written, what)?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let known = fields.iter().all(|(key, value)| (key == "Error" || key == "Cause") && value.is_string());
    match text("Error") {
        Some(error) if known => Ok(Failure { error: Some(error), cause: text("Cause") }),
        _ => Err(format!("the \"Throw\" of {what} needs \"Error\" and may have \"Cause\", both texts")),
    }
}

fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what} must be an object"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value, says: &str) {
        let error = Mocks::of(&value).map(|_| ()).unwrap_err();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn each_attempt_has_its_answer() {
        let mocks = Mocks::of(&json!({
            "A": {"0": {"Throw": {"Error": "E", "Cause": "c"}}, "1-2": {"Return": null}},
        }))
        .unwrap();
        let answer = |attempt| mocks.answer("A", attempt).unwrap();
        assert_eq!(answer(0), Some(Answer::Failed(Failure::new("E", "c"))));
        assert_eq!(answer(2), Some(Answer::Succeeded(Value::Null)));
        assert!(mocks.answer("A", 3).unwrap_err().to_string().contains("ends before attempt 3"));
        assert_eq!(mocks.answer("B", 0).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        check(json!([]), "the mocks must be an object");
        check(json!({"A": 1}), "the mock of 'A' must be an object");
        check(json!({"A": {"x": {}}}), "the key 'x', which is no attempt");
        check(json!({"A": {"2-1": {}}}), "the key '2-1', which is no attempt");
        check(json!({"A": {"0": {}}}), "attempt \"0\" of the mock of 'A' needs \"Return\" or \"Throw\"");
        check(json!({"A": {"0": {"Return": 1, "Throw": {}}}}), "and nothing else");
        check(json!({"A": {"0": {"Throw": {"Cause": "c"}}}}), "needs \"Error\"");
        check(json!({"A": {"0": {"Throw": {"Error": "E", "Reason": "c"}}}}), "needs \"Error\"");
        check(json!({"A": {"0-3": {"Return": 1}, "2": {"Return": 1}}}), "twice");
        check(json!({"StateMachines": {}, "MockedResponses": {}}), "a configuration of Step Functions Local");
    }
}
