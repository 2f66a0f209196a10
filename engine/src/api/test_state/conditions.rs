//! What a state that is tested finds around it: the context object, and what has happened before.

use asl::branch::{Answer, Setting};
use asl::data::context::ExecutionFacts;
use asl::data::steps::Step;
use asl::data::timestamp::Timestamp;
use asl::data::{Failure, json};
use asl::definition::STATE_ALONE;
use asl::program::{ItemReader, Items, Resource, State, StateKind};
use serde_json::{Map, Value, json};

use super::super::errors::ApiError;
use super::super::parameters::Parameters;
use super::mock::Mock;
use super::{items, object};

/// What a Map fails with that too many iterations of failed.
const EXCEEDED: &str = "States.ExceedToleratedFailureThreshold";
const EXCEEDED_CAUSE: &str = "The specified tolerated failure threshold was exceeded";

/// The token of a task that is only played.
const PLAYED_TOKEN: &str = "test-state-task-token";

/// `context` and `stateConfiguration`.
pub struct Conditions {
    context: Option<Value>,
    /// Attempts that the retrier has granted before.
    pub retries_used: u32,
    failed_iterations: Option<u32>,
    items: Option<Value>,
}

impl Conditions {
    /// Reads them. Most make sense only for what is played.
    pub fn read(parameters: &Parameters, state: &State, mock: Option<&Mock>) -> Result<Self, ApiError> {
        let configuration = parameters.value("stateConfiguration");
        let given = |name: &str| configuration.and_then(|configuration| configuration.get(name));
        let count = |name: &str| {
            given(name).and_then(Value::as_u64).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
        };
        let needs_mock = [
            ("retrierRetryCount", "RetrierRetryCount"),
            ("errorCausedByState", "ErrorCausedByState"),
            ("mapIterationFailureCount", "MapIterationFailureCount"),
            ("mapItemReaderData", "MapItemReaderData"),
        ];
        if mock.is_none() {
            if let Some((_, name)) = needs_mock.iter().find(|(name, _)| given(name).is_some()) {
                return Err(without_mock(name));
            }
            if parameters.has("context") {
                return Err(without_mock("Context"));
            }
        }
        let context = parameters.text("context").map(|text| context(text, state)).transpose()?;
        let items = given("mapItemReaderData").and_then(Value::as_str).zip(reader(state));
        let items = items
            .map(|(text, reader)| items::read(reader, text))
            .transpose()
            .map_err(|why| ApiError::validation(format!("Invalid MapItemReaderData provided: {why}")))?;
        Ok(Conditions {
            context,
            retries_used: count("retrierRetryCount").unwrap_or(0),
            failed_iterations: count("mapIterationFailureCount"),
            items,
        })
    }

    /// What the state sees of an execution.
    pub fn setting(
        &self,
        facts: &ExecutionFacts,
        role_arn: Option<&str>,
        state: &State,
        now: Timestamp,
    ) -> Setting {
        let context = self.context.clone().unwrap_or_else(|| self.synthetic(facts, role_arn, state, now));
        Setting { context, items: self.items.clone() }
    }

    /// The context object of an Express execution that has just entered the state.
    fn synthetic(
        &self,
        facts: &ExecutionFacts,
        role_arn: Option<&str>,
        state: &State,
        now: Timestamp,
    ) -> Value {
        let mut shown = Map::new();
        shown.insert("Name".into(), STATE_ALONE.into());
        shown.insert("EnteredTime".into(), now.to_string().into());
        if matches!(state.kind, StateKind::Task(_) | StateKind::Parallel(_) | StateKind::Map(_)) {
            shown.insert("RetryCount".into(), self.retries_used.into());
        }
        let mut context = json!({
            "Execution": {
                "Id": facts.id,
                "Input": facts.input,
                "Name": facts.name,
                "RoleArn": role_arn,
                "StartTime": facts.started_at.to_string(),
            },
            "StateMachine": {"Id": facts.state_machine_id, "Name": facts.state_machine_name},
            "State": shown,
        });
        if has_token(state) {
            context["Task"] = json!({"Token": PLAYED_TOKEN});
        }
        context
    }

    /// How the branches or iterations of a state end. So many failed iterations may be too many.
    pub fn fork_answer(
        &self,
        mock: &Mock,
        children: u32,
        steps: &[(Step, Value)],
    ) -> Result<Answer, ApiError> {
        let Some(failed) = self.failed_iterations else { return Ok(mock.answer()) };
        if failed > children {
            return Err(ApiError::validation(
                "Map iteration failure count must be less than or equal to the number of Map iterations",
            ));
        }
        let noted = |step: Step| steps.iter().find(|(known, _)| *known == step)?.1.as_f64();
        let percentage = 100.0 * f64::from(failed) / f64::from(children.max(1));
        let over_count = noted(Step::ToleratedFailureCount).is_some_and(|most| f64::from(failed) > most);
        let over_percentage = noted(Step::ToleratedFailurePercentage).is_some_and(|most| percentage > most);
        Ok(match mock.answer() {
            Answer::Succeeded(_) if over_count || over_percentage => {
                Answer::Failed(Failure::new(EXCEEDED, EXCEEDED_CAUSE))
            }
            answer => answer,
        })
    }
}

fn reader(state: &State) -> Option<&ItemReader> {
    let StateKind::Map(map) = &state.kind else { return None };
    match &map.items {
        Items::Reader(reader) => Some(reader),
        Items::Input | Items::Path(_) | Items::Template(_) => None,
    }
}

fn without_mock(name: &str) -> ApiError {
    ApiError::validation(format!("TestState does not support {name} when a mock is not specified."))
}

/// Whether the context object of such a task holds a token.
fn has_token(state: &State) -> bool {
    matches!(&state.kind, StateKind::Task(task)
        if matches!(&task.resource, Resource::Service(service) if service.pattern.is_submitted()))
}

/// What a member of the context object may hold.
#[derive(Clone, Copy)]
enum Shape {
    Anything,
    Text,
    Whole,
    Members(&'static [(&'static str, Shape)]),
}

const CONTEXT: &[(&str, Shape)] = &[
    (
        "Execution",
        Shape::Members(&[
            ("Id", Shape::Text),
            ("Input", Shape::Anything),
            ("Name", Shape::Text),
            ("RoleArn", Shape::Text),
            ("StartTime", Shape::Text),
            ("RedriveCount", Shape::Whole),
            ("RedriveTime", Shape::Text),
        ]),
    ),
    (
        "State",
        Shape::Members(&[("EnteredTime", Shape::Text), ("Name", Shape::Text), ("RetryCount", Shape::Whole)]),
    ),
    ("StateMachine", Shape::Members(&[("Id", Shape::Text), ("Name", Shape::Text)])),
    ("Task", Shape::Members(&[("Token", Shape::Text)])),
];

/// A context object as the request gives it: any part of a real one, but nothing else.
fn context(text: &str, state: &State) -> Result<Value, ApiError> {
    let invalid = |why: String| ApiError::validation(format!("Invalid Context object provided: {why}"));
    let value = json::parse(text).map_err(|error| invalid(error.message().to_owned()))?;
    let members = object(&value, "Context").map_err(invalid)?;
    if members.contains_key("Map") {
        return Err(invalid("'Map' field is not supported when mocking a Context object".to_owned()));
    }
    check("", members, CONTEXT).map_err(invalid)?;
    if members.contains_key("Task") && !has_token(state) {
        return Err(ApiError::validation(
            "Context object contains 'Task' when state is not a Task state with a '.sync' or \
             '.waitForTaskToken' service integration pattern",
        ));
    }
    Ok(value)
}

fn check(path: &str, members: &Map<String, Value>, shapes: &[(&str, Shape)]) -> Result<(), String> {
    for (name, value) in members {
        let Some((_, shape)) = shapes.iter().find(|(known, _)| known == name) else {
            return Err(format!("Field '{name}' is not allowed"));
        };
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match shape {
            Shape::Text if !value.is_string() => return Err(format!("{path} must be a string")),
            Shape::Whole if !value.is_i64() => return Err(format!("{path} must be a integer")),
            Shape::Anything | Shape::Text | Shape::Whole => {}
            Shape::Members(shapes) => check(&path, object(value, &path)?, shapes)?,
        }
    }
    Ok(())
}
