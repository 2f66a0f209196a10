//! How a case is to end, and what of it was otherwise.

use serde_json::Value;

use super::observed::{Observed, Status};
use crate::cli::play::compare::{Difference, Extent, differences};

/// What is expected of a case. What is not given is not looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Expected {
    pub(super) status: Status,
    pub(super) output: Option<Value>,
    pub(super) output_contains: Option<Value>,
    pub(super) error: Option<String>,
    pub(super) cause: Option<String>,
    pub(super) cause_contains: Option<String>,
    /// The states of the outermost machine, in order.
    pub(super) path: Option<Vec<String>>,
    /// The same, with others between them.
    pub(super) path_contains: Option<Vec<String>>,
    /// How often states are entered, those of branches and iterations as well.
    pub(super) visits: Vec<(String, u64)>,
    /// What tasks are called with: all calls, in order.
    pub(super) calls: Vec<(String, Vec<Value>)>,
    /// The same, in part.
    pub(super) calls_contain: Vec<(String, Vec<Value>)>,
    /// Values that variables of the outermost machine have in the end.
    pub(super) variables: Vec<(String, Value)>,
    pub(super) duration_seconds: Option<f64>,
    pub(super) duration_seconds_max: Option<f64>,
}

/// Something that was not as expected.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Problem {
    /// Two values differ.
    Differs {
        /// What was looked at: `output`.
        check: String,
        /// Where, and how.
        difference: Difference,
    },
    /// The case could not be played, or not as it is written.
    Told(String),
}

impl Problem {
    fn of(check: impl Into<String>, expected: impl Into<Value>, actual: impl Into<Value>) -> Self {
        let (expected, actual) = (Some(expected.into()), Some(actual.into()));
        Problem::Differs {
            check: check.into(),
            difference: Difference { place: "$".to_owned(), expected, actual },
        }
    }
}

impl Expected {
    /// All that was otherwise. How it ended is not compared further when it ended in another way.
    pub(super) fn problems(&self, observed: &Observed) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.status == observed.status {
            self.end(observed, &mut problems);
        } else {
            problems.push(Problem::of("status", self.status.as_str(), observed.status.as_str()));
        }
        self.way(observed, &mut problems);
        self.called(observed, &mut problems);
        self.took(observed, &mut problems);
        problems
    }

    fn end(&self, observed: &Observed, problems: &mut Vec<Problem>) {
        for (expected, extent) in [(&self.output, Extent::Whole), (&self.output_contains, Extent::Part)] {
            let Some(expected) = expected else { continue };
            compare("output", expected, observed.output.as_ref(), extent, problems);
        }
        for (check, expected, actual) in
            [("error", &self.error, &observed.error), ("cause", &self.cause, &observed.cause)]
        {
            if expected.is_some() && expected != actual {
                problems.push(Problem::of(check, expected.clone(), actual.clone()));
            }
        }
        if let Some(part) = &self.cause_contains
            && !observed.cause.as_ref().is_some_and(|cause| cause.contains(part))
        {
            problems.push(Problem::of("cause contains", part.clone(), observed.cause.clone()));
        }
        for (name, expected) in &self.variables {
            let check = format!("variable {name}");
            compare(&check, expected, observed.variables.get(name), Extent::Whole, problems);
        }
    }

    fn way(&self, observed: &Observed, problems: &mut Vec<Problem>) {
        if let Some(path) = &self.path
            && *path != observed.path
        {
            problems.push(Problem::of("path", path.clone(), observed.path.clone()));
        }
        if let Some(path) = &self.path_contains {
            let mut left = observed.path.iter();
            if !path.iter().all(|state| left.any(|visited| visited == state)) {
                problems.push(Problem::of("path contains", path.clone(), observed.path.clone()));
            }
        }
        for (state, expected) in &self.visits {
            let actual = observed.visits.get(state).copied().unwrap_or_default();
            if actual != *expected {
                problems.push(Problem::of(format!("visits of '{state}'"), *expected, actual));
            }
        }
    }

    fn called(&self, observed: &Observed, problems: &mut Vec<Problem>) {
        for (all, extent) in [(&self.calls, Extent::Whole), (&self.calls_contain, Extent::Part)] {
            for (state, expected) in all {
                let calls = observed.calls.iter().filter(|call| *call.state == **state);
                let actual: Vec<Value> = calls.map(|call| call.parameters.clone()).collect();
                if actual.len() != expected.len() {
                    let check = format!("number of calls of '{state}'");
                    problems.push(Problem::of(check, expected.len(), actual.len()));
                }
                for (index, (expected, actual)) in expected.iter().zip(&actual).enumerate() {
                    let check = format!("call {index} of '{state}'");
                    compare(&check, expected, Some(actual), extent, problems);
                }
            }
        }
    }

    fn took(&self, observed: &Observed, problems: &mut Vec<Problem>) {
        let milliseconds = |seconds: f64| (seconds * 1000.0).round() as i64;
        let actual = observed.milliseconds as f64 / 1000.0;
        if let Some(seconds) = self.duration_seconds
            && milliseconds(seconds) != observed.milliseconds
        {
            problems.push(Problem::of("duration_seconds", seconds, actual));
        }
        if let Some(seconds) = self.duration_seconds_max
            && milliseconds(seconds) < observed.milliseconds
        {
            problems.push(Problem::of("duration_seconds_max", seconds, actual));
        }
    }

    /// The states that it names.
    pub(super) fn states(&self) -> impl Iterator<Item = &str> {
        let paths = [&self.path, &self.path_contains].into_iter().flatten().flatten();
        let visits = self.visits.iter().map(|(state, _)| state);
        paths.chain(visits).map(String::as_str).chain(self.callers())
    }

    /// The states whose calls it names.
    pub(super) fn callers(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().chain(&self.calls_contain).map(|(state, _)| state.as_str())
    }
}

fn compare(
    check: &str,
    expected: &Value,
    actual: Option<&Value>,
    extent: Extent,
    problems: &mut Vec<Problem>,
) {
    let found = match actual {
        Some(actual) => differences(expected, actual, extent),
        None => vec![Difference { place: "$".to_owned(), expected: Some(expected.clone()), actual: None }],
    };
    problems
        .extend(found.into_iter().map(|difference| Problem::Differs { check: check.to_owned(), difference }));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::play::player::Call;

    fn observed() -> Observed {
        Observed {
            status: Status::Succeeded,
            output: Some(json!({"a": 1, "b": 2})),
            path: ["A", "B", "C"].map(str::to_owned).to_vec(),
            visits: [("A".to_owned(), 1), ("I".to_owned(), 2)].into(),
            calls: vec![
                Call { state: "A".into(), attempt: 0, parameters: json!({"x": 1, "y": 2}) },
                Call { state: "A".into(), attempt: 1, parameters: json!({"x": 1, "y": 2}) },
            ],
            variables: json!({"v": 3}).as_object().unwrap().clone(),
            milliseconds: 1_500,
            ..Observed::default()
        }
    }

    fn failed() -> Observed {
        let (error, cause) = (Some("E".to_owned()), Some("the cause".to_owned()));
        Observed { status: Status::Failed, output: None, error, cause, ..observed() }
    }

    fn checks(expected: &Expected, observed: &Observed) -> Vec<String> {
        let name = |problem: Problem| match problem {
            Problem::Differs { check, difference } => format!("{check} {}", difference.place),
            Problem::Told(text) => text,
        };
        expected.problems(observed).into_iter().map(name).collect()
    }

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn what_is_as_expected_is_not_told() {
        let expected = Expected {
            output: Some(json!({"b": 2, "a": 1})),
            output_contains: Some(json!({"b": 2})),
            path: names(&["A", "B", "C"]),
            path_contains: names(&["A", "C"]),
            visits: vec![("I".to_owned(), 2), ("Z".to_owned(), 0)],
            calls: vec![("A".to_owned(), vec![json!({"x": 1, "y": 2}); 2]), ("Z".to_owned(), vec![])],
            calls_contain: vec![("A".to_owned(), vec![json!({"x": 1}), json!({})])],
            variables: vec![("v".to_owned(), json!(3))],
            duration_seconds: Some(1.5),
            duration_seconds_max: Some(1.5),
            ..Expected::default()
        };
        assert_eq!(checks(&expected, &observed()), [""; 0]);
        let expected = Expected {
            status: Status::Failed,
            error: Some("E".to_owned()),
            cause: Some("the cause".to_owned()),
            cause_contains: Some("cause".to_owned()),
            ..Expected::default()
        };
        assert_eq!(checks(&expected, &failed()), [""; 0]);
    }

    #[test]
    fn what_is_otherwise_is_told_by_its_name() {
        let expected = Expected {
            output: Some(json!({"a": 1})),
            output_contains: Some(json!({"b": 3})),
            path: names(&["A"]),
            path_contains: names(&["C", "A"]),
            visits: vec![("I".to_owned(), 3)],
            calls: vec![("A".to_owned(), vec![json!({"x": 2, "y": 2})])],
            variables: vec![("w".to_owned(), json!(3))],
            duration_seconds: Some(1.501),
            duration_seconds_max: Some(1.4),
            ..Expected::default()
        };
        let all = [
            "output $.b",
            "output $.b",
            "variable w $",
            "path $",
            "path contains $",
            "visits of 'I' $",
            "number of calls of 'A' $",
            "call 0 of 'A' $.x",
            "duration_seconds $",
            "duration_seconds_max $",
        ];
        assert_eq!(checks(&expected, &observed()), all);
        let expected = Expected {
            status: Status::Failed,
            error: Some("F".to_owned()),
            cause: Some("another".to_owned()),
            cause_contains: Some("x".to_owned()),
            ..Expected::default()
        };
        assert_eq!(checks(&expected, &failed()), ["error $", "cause $", "cause contains $"]);
    }

    #[test]
    fn another_end_is_told_once() {
        let expected = Expected { output: Some(json!(1)), path: names(&["A"]), ..Expected::default() };
        assert_eq!(checks(&expected, &failed()), ["status $", "path $"]);
    }
}
