//! What plays the work of a state that is tested.

use asl::branch::Answer;
use asl::data::{Failure, json};
use asl::program::{State, StateKind};
use connectors::service_outputs::{self, FieldValidation};
use serde_json::Value;

use super::super::errors::ApiError;
use super::super::parameters::Parameters;

/// How the work of the state ends, as the request says.
#[derive(Debug, Clone, PartialEq)]
pub struct Mock(Answer);

impl Mock {
    /// Reads `mock`, which must suit the state.
    pub fn read(parameters: &Parameters, state: &State) -> Result<Option<Self>, ApiError> {
        let Some(mock) = parameters.value("mock") else { return Ok(None) };
        if !can_be_mocked(state) {
            let name = state.state_type().name();
            let message = format!("State type '{name}' is not supported when a mock is specified");
            return Err(ApiError::validation(message));
        }
        if parameters.flag("revealSecrets") == Some(true) {
            let message = "TestState does not support RevealSecrets when a mock is specified.";
            return Err(ApiError::validation(message));
        }
        let result = mock.get("result").and_then(Value::as_str);
        match (result, mock.get("errorOutput")) {
            (Some(result), None) => {
                let mode = mock.get("fieldValidationMode").and_then(Value::as_str);
                Ok(Some(Mock(Answer::Succeeded(checked(result, mode, state)?))))
            }
            (None, Some(output)) => Ok(Some(Mock(Answer::Failed(failure(output)?)))),
            (Some(_), Some(_)) | (None, None) => Err(ApiError::validation(
                "A test mock should have only one of the following fields: [result, errorOutput].",
            )),
        }
    }

    /// How the work ends.
    pub fn answer(&self) -> Answer {
        self.0.clone()
    }
}

fn can_be_mocked(state: &State) -> bool {
    match &state.kind {
        StateKind::Task(_) | StateKind::Parallel(_) | StateKind::Map(_) => true,
        StateKind::Pass(_)
        | StateKind::Choice(_)
        | StateKind::Wait(_)
        | StateKind::Succeed
        | StateKind::Fail(_) => false,
    }
}

/// The result, if it has the shape that such a state's work has.
fn checked(text: &str, mode: Option<&str>, state: &State) -> Result<Value, ApiError> {
    let result = json::parse(text).map_err(|_| ApiError::validation("Mocked result must be valid JSON"))?;
    let wrong = match &state.kind {
        StateKind::Map(map) if map.writes_results => {
            (!result.is_object()).then_some("Mocked result must be a JSON object.")
        }
        StateKind::Map(_) => (!result.is_array()).then_some("Mocked result must be an array."),
        StateKind::Parallel(parallel) => match result.as_array() {
            None => Some("Mocked result must be an array."),
            Some(results) if results.len() != parallel.branches.len() => {
                Some("Mocked result must contain the same number of items as number of Parallel branches.")
            }
            Some(_) => None,
        },
        StateKind::Task(task) => {
            let checked = service_outputs::check(&task.resource, &result, validation(mode));
            return checked.map(|()| result).map_err(ApiError::validation);
        }
        StateKind::Pass(_)
        | StateKind::Choice(_)
        | StateKind::Wait(_)
        | StateKind::Succeed
        | StateKind::Fail(_) => None,
    };
    wrong.map_or(Ok(result), |wrong| Err(ApiError::validation(wrong)))
}

/// `fieldValidationMode`; STRICT unless given.
fn validation(mode: Option<&str>) -> FieldValidation {
    match mode {
        Some("PRESENT") => FieldValidation::Present,
        Some("NONE") => FieldValidation::None,
        Some(_) | None => FieldValidation::Strict,
    }
}

fn failure(output: &Value) -> Result<Failure, ApiError> {
    let text = |name: &str| output.get(name).and_then(Value::as_str).map(str::to_owned);
    match text("error") {
        Some(error) => Ok(Failure { error: Some(error), cause: text("cause") }),
        None => Err(ApiError::validation("A mocked errorOutput must have the field 'error'.")),
    }
}
