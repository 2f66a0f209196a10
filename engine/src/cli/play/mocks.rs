//! Results of tasks, given by state and attempt.
//!
//! The form is that of `MockedResponses` of Step Functions Local, by the name of a state:
//!
//! ```json
//! {"Check": {"0": {"Throw": {"Error": "Busy", "Cause": "…"}}, "1-3": {"Return": {"ok": true}}}}
//! ```
//!
//! Attempts count from 0, for each branch of a Parallel and each iteration of a Map on its own: a retry is the next
//! attempt, of the task as well as of the Parallel or Map around it, and so is another visit. What the task is called
//! with can decide as well: of a list, the first counts whose `When` is part of the task's parameters.
//!
//! ```json
//! {"Check": [{"When": {"item": "lamp"}, "0": {"Throw": {"Error": "SoldOut"}}}, {"0-9": {"Return": {}}}]}
//! ```
//!
//! `AfterSeconds` beside `Return` or `Throw` is how long the task takes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use asl::branch::Answer;
use asl::data::Failure;
use asl::limits::TIMEOUT_SECONDS_MAX;
use asl::program::{Program, StateType};
use serde_json::{Map, Value};

use super::compare::contains;
use super::mock_config::MockConfig;
use super::player::Call;
use crate::cli::{Error, source};
use crate::fields::nearest;

/// The answers to the tasks of an execution.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::cli) struct Mocks {
    states: BTreeMap<String, StateMocks>,
}

/// The answers of one state: the first that is meant counts. Shared, as many cases have the same.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct StateMocks(Arc<[Mock]>);

#[derive(Debug, Clone, PartialEq)]
struct Mock {
    /// What the task must be called with at least.
    when: Option<Value>,
    /// Without overlap.
    answers: Vec<(RangeInclusive<u32>, Reply)>,
}

/// What a task gets.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Reply {
    pub(in crate::cli) answer: Answer,
    /// How long it takes.
    pub(in crate::cli) after_seconds: u32,
}

impl Mocks {
    /// Reads a file. Of a MockConfigFile, `machine` and `case` choose.
    pub(in crate::cli) fn read(
        path: &Path,
        program: &Program,
        machine: &str,
        case: Option<&str>,
    ) -> Result<Self, Error> {
        let wrong = |message: String| Error::Usage(format!("{}: {message}", path.display()));
        let value = source::document(path)?;
        let mocks = if MockConfig::is_one(&value) {
            let config = MockConfig::of(&value).map_err(wrong)?;
            // As in Step Functions Local, what it says of other states than those here is left alone.
            return config.choose(machine, case).map_err(wrong);
        } else if let Some(case) = case {
            return Err(wrong(format!("it has no test cases, '{case}' is for a MockConfigFile")));
        } else {
            Mocks::of(&value).map_err(wrong)?
        };
        mocks.check(program).map_err(wrong)?;
        Ok(mocks)
    }

    /// The answers by state.
    pub(in crate::cli) fn of(value: &Value) -> Result<Self, String> {
        let states = object(value, "the mocks")?.iter();
        let states = states.map(|(state, written)| Ok((state.clone(), StateMocks::of(state, written)?)));
        Ok(Mocks { states: states.collect::<Result<_, String>>()? })
    }

    /// The answers of these states.
    pub(in crate::cli) fn from_states(states: impl IntoIterator<Item = (String, StateMocks)>) -> Self {
        Mocks { states: states.into_iter().collect() }
    }

    /// These, and those of `others` for states that have none here.
    pub(in crate::cli) fn or(mut self, others: &Mocks) -> Self {
        for (state, mocks) in &others.states {
            self.states.entry(state.clone()).or_insert_with(|| mocks.clone());
        }
        self
    }

    /// Only Task states of the program have mocks.
    pub(in crate::cli) fn check(&self, program: &Program) -> Result<(), String> {
        for state in self.states.keys() {
            match program.state_named(state).map(|found| found.state_type()) {
                Some(StateType::Task) => {}
                Some(other) => {
                    return Err(format!(
                        "only Task states have mocks, '{state}' is a {} state",
                        other.name()
                    ));
                }
                None => {
                    let meant = nearest(state, program.states.iter().map(|known| &*known.name));
                    let meant = meant.map(|meant| format!("; did you mean '{meant}'?")).unwrap_or_default();
                    return Err(format!("the definition has no state '{state}'{meant}"));
                }
            }
        }
        Ok(())
    }

    /// What this attempt of a state's task gets. `None`: the state has no mock.
    pub(in crate::cli) fn answer(
        &self,
        state: &str,
        attempt: u32,
        parameters: &Value,
    ) -> Result<Option<Reply>, Error> {
        let Some(mocks) = self.states.get(state) else { return Ok(None) };
        let Some(mock) = mocks.0.iter().find(|mock| mock.is_meant(parameters)) else {
            return Err(Error::Failed(format!(
                "no mock of the state '{state}' has a \"When\" that is part of what the task is called with, \
                 {parameters}: add one, or one without \"When\" as the last"
            )));
        };
        match mock.answers.iter().find(|(attempts, _)| attempts.contains(&attempt)) {
            Some((_, reply)) => Ok(Some(reply.clone())),
            None => Err(Error::Failed(format!(
                "the mock of the state '{state}' ends before attempt {attempt}: add \"{attempt}\": \
                 {{\"Return\": …}} to it, or a range like \"{attempt}-9\""
            ))),
        }
    }

    /// The answers that none of these calls got, each in words.
    pub(in crate::cli) fn unused(&self, calls: &[Call]) -> Vec<String> {
        let meant = |call: &Call| {
            let (state, mocks) = self.states.get_key_value(&*call.state)?;
            let place = mocks.0.iter().position(|mock| mock.is_meant(&call.parameters))?;
            Some((state.as_str(), place, call.attempt))
        };
        let used: BTreeSet<(&str, usize, u32)> = calls.iter().filter_map(meant).collect();
        let mut unused = Vec::new();
        for (state, mocks) in &self.states {
            let state = state.as_str();
            for (place, mock) in mocks.0.iter().enumerate() {
                let when = mock.when.as_ref().map(|when| format!(" when {when}")).unwrap_or_default();
                for (attempts, _) in &mock.answers {
                    let answered = (state, place, *attempts.start())..=(state, place, *attempts.end());
                    if used.range(answered).next().is_none() {
                        unused.push(format!("the mock of '{state}' for {}{when}", shown(attempts)));
                    }
                }
            }
        }
        unused
    }
}

impl StateMocks {
    /// The answers of a state, or a list of them with what each is meant for.
    pub(in crate::cli) fn of(state: &str, written: &Value) -> Result<Self, String> {
        let what = format!("the mock of '{state}'");
        let mocks = match written.as_array() {
            None => [Mock::of(&what, written)?].into(),
            Some(list) => list.iter().map(|written| Mock::of(&what, written)).collect::<Result<_, _>>()?,
        };
        Ok(StateMocks(mocks))
    }
}

impl Mock {
    fn of(what: &str, written: &Value) -> Result<Self, String> {
        let mut answers: Vec<(RangeInclusive<u32>, Reply)> = Vec::new();
        let fields = object(written, what)?;
        for (key, written) in fields.iter().filter(|(key, _)| *key != "When") {
            let range = attempts(key).ok_or_else(|| {
                format!("{what} has the key '{key}', which is no attempt: \"0\", or \"1-3\"")
            })?;
            let overlaps =
                |other: &RangeInclusive<u32>| range.start() <= other.end() && other.start() <= range.end();
            if answers.iter().any(|(other, _)| overlaps(other)) {
                return Err(format!("{what} answers an attempt of \"{key}\" twice"));
            }
            answers.push((range, reply(written, &format!("attempt \"{key}\" of {what}"))?));
        }
        Ok(Mock { when: fields.get("When").cloned(), answers })
    }

    fn is_meant(&self, parameters: &Value) -> bool {
        self.when.as_ref().is_none_or(|when| contains(parameters, when))
    }
}

fn attempts(key: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = key.split_once('-').unwrap_or((key, key));
    let (first, last) = (attempt(first)?, attempt(last)?);
    (first <= last).then_some(first..=last)
}

/// A number as it is written in one way only: two keys that differ are two attempts.
fn attempt(text: &str) -> Option<u32> {
    text.parse().ok().filter(|attempt: &u32| attempt.to_string() == text)
}

fn shown(attempts: &RangeInclusive<u32>) -> String {
    match (attempts.start(), attempts.end()) {
        (first, last) if first == last => format!("attempt \"{first}\""),
        (first, last) => format!("the attempts \"{first}-{last}\""),
    }
}

fn reply(written: &Value, what: &str) -> Result<Reply, String> {
    let fields = object(written, what)?;
    let after_seconds = match fields.get("AfterSeconds") {
        None => 0,
        Some(seconds) => {
            let seconds = seconds.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
            let seconds = seconds.filter(|seconds| *seconds <= TIMEOUT_SECONDS_MAX);
            seconds.ok_or_else(|| format!("\"AfterSeconds\" of {what} is no number of seconds"))?
        }
    };
    let mut others = fields.iter().filter(|(key, _)| *key != "AfterSeconds");
    let answer = match (others.next(), others.next()) {
        (Some((key, value)), None) if key == "Return" => Answer::Succeeded(value.clone()),
        (Some((key, value)), None) if key == "Throw" => Answer::Failed(thrown(value, what)?),
        _ => {
            return Err(format!(
                "{what} needs \"Return\" or \"Throw\", and nothing else but \"AfterSeconds\""
            ));
        }
    };
    Ok(Reply { answer, after_seconds })
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

pub(super) fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Map<String, Value>, String> {
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
            "A": {"0": {"Throw": {"Error": "E", "Cause": "c"}}, "1-2": {"Return": null, "AfterSeconds": 7}},
        }))
        .unwrap();
        let reply = |attempt| mocks.answer("A", attempt, &json!({})).unwrap();
        let failed = Answer::Failed(Failure::new("E", "c"));
        assert_eq!(reply(0), Some(Reply { answer: failed, after_seconds: 0 }));
        assert_eq!(reply(2), Some(Reply { answer: Answer::Succeeded(Value::Null), after_seconds: 7 }));
        let missing = mocks.answer("A", 3, &json!({})).unwrap_err().to_string();
        assert!(missing.contains("ends before attempt 3"), "{missing}");
        assert_eq!(mocks.answer("B", 0, &json!({})).unwrap(), None);
    }

    #[test]
    fn what_a_task_is_called_with_can_decide() {
        let mocks = Mocks::of(&json!({
            "A": [{"When": {"item": {"id": 1}}, "0": {"Return": 1}}, {"When": {"item": {}}, "0": {"Return": 2}}],
        }))
        .unwrap();
        let answer = |parameters: Value| mocks.answer("A", 0, &parameters);
        let returned = |value: Value| Some(Reply { answer: Answer::Succeeded(value), after_seconds: 0 });
        assert_eq!(answer(json!({"item": {"id": 1, "x": 2}})).unwrap(), returned(json!(1)));
        assert_eq!(answer(json!({"item": {"id": 2}})).unwrap(), returned(json!(2)));
        let missing = answer(json!({"x": 1})).unwrap_err().to_string();
        assert!(missing.contains("no mock of the state 'A' has a \"When\"") && missing.contains("{\"x\":1}"));
    }

    #[test]
    fn what_no_call_got_is_told() {
        let mocks = Mocks::of(&json!({
            "A": [{"When": 1, "0-1": {"Return": 1}, "2": {"Return": 1}}, {"0": {"Return": 2}}],
            "B": {"0": {"Return": 1}},
        }))
        .unwrap();
        let calls = [Call { state: "A".into(), attempt: 1, parameters: json!(1) }];
        let expected = [
            "the mock of 'A' for attempt \"2\" when 1",
            "the mock of 'A' for attempt \"0\"",
            "the mock of 'B' for attempt \"0\"",
        ];
        assert_eq!(mocks.unused(&calls), expected);
    }

    #[test]
    fn those_of_a_state_replace_each_other() {
        let mocks = |value: Value| Mocks::of(&value).unwrap();
        let own = mocks(json!({"A": {"0": {"Return": 1}}}));
        let both = own.or(&mocks(json!({"A": {"5": {"Return": 2}}, "B": {"0": {"Return": 2}}})));
        assert_eq!(both, mocks(json!({"A": {"0": {"Return": 1}}, "B": {"0": {"Return": 2}}})));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        check(json!([]), "the mocks must be an object");
        check(json!({"A": 1}), "the mock of 'A' must be an object");
        check(json!({"A": [1]}), "the mock of 'A' must be an object");
        check(json!({"A": {"x": {}}}), "the key 'x', which is no attempt");
        check(json!({"A": {"2-1": {}}}), "the key '2-1', which is no attempt");
        check(json!({"A": {"+0": {}}}), "the key '+0', which is no attempt");
        check(json!({"A": {"0-07": {}}}), "the key '0-07', which is no attempt");
        check(json!({"A": {"0": {}}}), "attempt \"0\" of the mock of 'A' needs \"Return\" or \"Throw\"");
        check(json!({"A": {"0": {"Return": 1, "Throw": {}}}}), "and nothing else");
        check(json!({"A": {"0": {"AfterSeconds": 1}}}), "needs \"Return\" or \"Throw\"");
        check(json!({"A": {"0": {"Return": 1, "AfterSeconds": -1}}}), "is no number of seconds");
        check(json!({"A": {"0": {"Throw": {"Cause": "c"}}}}), "needs \"Error\"");
        check(json!({"A": {"0": {"Throw": {"Error": "E", "Reason": "c"}}}}), "needs \"Error\"");
        check(json!({"A": {"0-3": {"Return": 1}, "2": {"Return": 1}}}), "twice");
    }
}
