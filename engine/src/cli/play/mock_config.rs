//! The MockConfigFile of Step Functions Local, as it is:
//!
//! ```json
//! {
//!   "StateMachines": {"order": {"TestCases": {"HappyPath": {"Check": "CheckedAtOnce"}}}},
//!   "MockedResponses": {"CheckedAtOnce": {"0": {"Return": {"ok": true}}}}
//! }
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::mocks::{Mocks, StateMocks, object};
use crate::fields::nearest;

/// A MockConfigFile. Whatever it holds beside machines, cases and responses is left alone.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct MockConfig {
    /// In the order of the file.
    machines: Vec<(String, TestCases)>,
    responses: BTreeMap<String, StateMocks>,
}

/// The test cases of a machine: for each, the name of a response by state.
type TestCases = Vec<(String, Vec<(String, String)>)>;

impl MockConfig {
    /// Whether a document is one.
    pub(in crate::cli) fn is_one(value: &Value) -> bool {
        value.get("StateMachines").is_some() || value.get("MockedResponses").is_some()
    }

    /// Reads one.
    pub(in crate::cli) fn of(value: &Value) -> Result<Self, String> {
        let file = object(value, "a MockConfigFile")?;
        let mut responses = BTreeMap::new();
        for (name, written) in member(file, "MockedResponses")? {
            // A response has a state's form and a name of its own.
            responses.insert(name.clone(), StateMocks::of(name, written)?);
        }
        let mut machines = Vec::new();
        for (name, written) in member(file, "StateMachines")? {
            let machine = object(written, &format!("the state machine '{name}'"))?;
            let mut cases = Vec::new();
            for (case, states) in member(machine, "TestCases")? {
                cases.push((case.clone(), states_of(case, states, &responses)?));
            }
            machines.push((name.clone(), cases));
        }
        Ok(MockConfig { machines, responses })
    }

    /// The machines that have test cases, in their order.
    pub(in crate::cli) fn machines(&self) -> impl Iterator<Item = &str> {
        self.machines.iter().map(|(name, _)| name.as_str())
    }

    /// The test cases of a machine, in their order.
    pub(in crate::cli) fn cases(&self, machine: &str) -> Result<impl Iterator<Item = &str>, String> {
        Ok(self.cases_of(machine)?.iter().map(|(name, _)| name.as_str()))
    }

    /// The answers of a test case of a machine. Without one, of its only one, or tells which there are.
    pub(in crate::cli) fn choose(&self, machine: &str, case: Option<&str>) -> Result<Mocks, String> {
        let cases = self.cases_of(machine)?;
        let names = || listed(cases.iter().map(|(name, _)| name.as_str()));
        let case = match (case, cases.as_slice()) {
            (Some(case), _) => case,
            (None, [(only, _)]) => only.as_str(),
            (None, []) => return Err(format!("the machine '{machine}' has no test cases")),
            (None, _) => {
                return Err(format!("it has several test cases; choose one with --case: {}", names()));
            }
        };
        let Some((_, states)) = cases.iter().find(|(name, _)| name == case) else {
            let meant = meant(case, cases.iter().map(|(name, _)| name.as_str()));
            return Err(format!(
                "the machine '{machine}' has no test case '{case}'{meant}; it has {}",
                names()
            ));
        };
        let answers = |(state, response): &(String, String)| {
            self.responses.get(response).map(|response| (state.clone(), response.clone()))
        };
        Ok(Mocks::from_states(states.iter().filter_map(answers)))
    }

    fn cases_of(&self, machine: &str) -> Result<&TestCases, String> {
        let found = self.machines.iter().find(|(name, _)| name == machine);
        found.map(|(_, cases)| cases).ok_or_else(|| {
            let meant = meant(machine, self.machines());
            let there = listed(self.machines());
            format!("it has no state machine '{machine}'{meant}; it has {there} (chosen by --machine)")
        })
    }
}

/// A member that is an object; empty if there is none.
fn member<'v>(
    object_of: &'v Map<String, Value>,
    name: &str,
) -> Result<impl Iterator<Item = (&'v String, &'v Value)>, String> {
    let members = object_of.get(name).map(|value| object(value, &format!("\"{name}\""))).transpose()?;
    Ok(members.into_iter().flatten())
}

fn states_of(
    case: &str,
    written: &Value,
    responses: &BTreeMap<String, StateMocks>,
) -> Result<Vec<(String, String)>, String> {
    let states = object(written, &format!("the test case '{case}'"))?;
    let named = |(state, response): (&String, &Value)| {
        let Some(name) = response.as_str() else {
            return Err(format!(
                "the test case '{case}' gives '{state}' no name of a response, but {response}"
            ));
        };
        if !responses.contains_key(name) {
            let meant = meant(name, responses.keys().map(String::as_str));
            return Err(format!(
                "the test case '{case}' gives '{state}' the response '{name}', which is not in \"MockedResponses\"{meant}"
            ));
        }
        Ok((state.clone(), name.to_owned()))
    };
    states.iter().map(named).collect()
}

fn meant<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    nearest(name, known).map(|meant| format!(" (did you mean '{meant}'?)")).unwrap_or_default()
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Value {
        json!({
            "StateMachines": {
                "order": {"TestCases": {"Happy": {"A": "Fine"}, "Sad": {"A": "Busy", "B": "Fine"}}},
                "single": {"TestCases": {"Only": {"A": "Fine"}}},
                "none": {"TestCases": {}},
            },
            "MockedResponses": {
                "Fine": {"0": {"Return": {"StatusCode": 200}}},
                "Busy": {"0": {"Throw": {"Error": "E", "Cause": "c"}}, "1-2": {"Return": 1}},
            },
        })
    }

    #[test]
    fn a_case_is_the_answers_of_its_states() {
        let read = MockConfig::of(&config()).unwrap();
        assert_eq!(read.machines().collect::<Vec<_>>(), ["order", "single", "none"]);
        assert_eq!(read.cases("order").unwrap().collect::<Vec<_>>(), ["Happy", "Sad"]);
        let expected = json!({
            "A": config()["MockedResponses"]["Busy"], "B": config()["MockedResponses"]["Fine"],
        });
        assert_eq!(read.choose("order", Some("Sad")).unwrap(), Mocks::of(&expected).unwrap());
        assert_eq!(read.choose("single", None), read.choose("single", Some("Only")));
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let read = MockConfig::of(&config()).unwrap();
        let cases = [
            (read.choose("order", None), "choose one with --case: 'Happy', 'Sad'"),
            (read.choose("none", None), "the machine 'none' has no test cases"),
            (
                read.choose("order", Some("happy")),
                "no test case 'happy' (did you mean 'Happy'?); it has 'Happy', 'Sad'",
            ),
            (
                read.choose("ordre", Some("Happy")),
                "no state machine 'ordre' (did you mean 'order'?); it has 'order', 'single', 'none'",
            ),
        ];
        for (chosen, says) in cases {
            let error = chosen.unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let with = |pointer: &str, value: Value| {
            let mut written = config();
            *written.pointer_mut(pointer).unwrap() = value;
            MockConfig::of(&written).unwrap_err()
        };
        let cases = [
            (with("/StateMachines", json!([])), "\"StateMachines\" must be an object"),
            (with("/StateMachines/order", json!(1)), "the state machine 'order' must be an object"),
            (with("/StateMachines/order/TestCases/Sad/B", json!(1)), "'Sad' gives 'B' no name"),
            (with("/StateMachines/order/TestCases/Sad/B", json!("Fin")), "did you mean 'Fine'?"),
            (with("/MockedResponses/Busy/0", json!({})), "attempt \"0\" of the mock of 'Busy' needs"),
        ];
        for (error, says) in cases {
            assert!(error.contains(says), "{error}");
        }
    }
}
