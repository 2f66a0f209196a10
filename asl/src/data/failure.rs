//! How the work of a state fails: a name and a cause.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::limits::CAUSE_CHARACTERS_MAX;

/// The reserved error names that Warren itself raises or treats apart (Step Functions
/// developer guide, "Error names").
pub mod names {
    /// Matches all but [`RUNTIME`].
    pub const ALL: &str = "States.ALL";
    /// A problem of the definition or its data at run time; neither retried nor caught.
    pub const RUNTIME: &str = "States.Runtime";
    /// A JSONata expression failed.
    pub const QUERY_EVALUATION_ERROR: &str = "States.QueryEvaluationError";
    /// A payload over its limit.
    pub const DATA_LIMIT_EXCEEDED: &str = "States.DataLimitExceeded";
    /// A task over `TimeoutSeconds`, or without a heartbeat.
    pub const TIMEOUT: &str = "States.Timeout";
    /// A task without a heartbeat, in `ErrorEquals`.
    pub const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";
    /// A task failed; in `ErrorEquals` all but [`TIMEOUT`].
    pub const TASK_FAILED: &str = "States.TaskFailed";
}

/// Why a state cannot be processed: the failure, and where an expression failed that one's field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What the state fails with.
    pub failure: Failure,
    /// The field of the JSONata expression that failed: `Output/result`.
    pub location: Option<String>,
    /// Whether the expression itself was evaluated, and its value is of no use.
    pub is_evaluated: bool,
}

impl Problem {
    /// A JSONata expression that failed, or whose value is of no use.
    pub fn evaluation(cause: impl Into<String>, location: Option<&str>) -> Self {
        let mut cause = cause.into();
        // It may hold the value that the expression fell over; a Catch must be able to carry it.
        if let Some((end, _)) = cause.char_indices().nth(CAUSE_CHARACTERS_MAX) {
            cause.truncate(end);
        }
        Problem {
            failure: Failure::new(names::QUERY_EVALUATION_ERROR, cause),
            location: location.map(str::to_owned),
            is_evaluated: false,
        }
    }

    /// A value that has the right type, and is of no use all the same.
    pub fn useless(cause: impl Into<String>, location: &str) -> Self {
        Problem { is_evaluated: true, ..Problem::evaluation(cause, Some(location)) }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Problem { failure, location: None, is_evaluated: false }
    }
}

/// An error as the language knows it. Data, not a fault of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error name, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A text, possibly holding JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl Failure {
    /// With a name and a cause.
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Failure { error: Some(error.into()), cause: Some(cause.into()) }
    }

    /// `States.Runtime` with this cause.
    pub fn runtime(cause: impl Into<String>) -> Self {
        Failure::new(names::RUNTIME, cause)
    }

    /// `States.Timeout`, which has no cause.
    pub fn timeout() -> Self {
        Failure { error: Some(names::TIMEOUT.to_owned()), cause: None }
    }

    /// `States.DataLimitExceeded` of a state or task.
    pub fn data_limit_exceeded(what: &str) -> Self {
        let cause = format!(
            "The state/task '{what}' returned a result with a size exceeding the maximum number of bytes service limit."
        );
        Failure::new(names::DATA_LIMIT_EXCEEDED, cause)
    }

    /// Whether this is the named error.
    pub fn is(&self, name: &str) -> bool {
        self.error.as_deref() == Some(name)
    }

    /// What a Catch sees: `{"Error": …, "Cause": …}`, absent parts left out. A failure that says nothing at all,
    /// of SendTaskFailure, is shown with both as null (recorded on AWS, 2024).
    pub fn error_output(&self) -> Value {
        if self.error.is_none() && self.cause.is_none() {
            return json!({"Error": null, "Cause": null});
        }
        let mut output = json!({});
        if let Some(error) = &self.error {
            output["Error"] = error.clone().into();
        }
        if let Some(cause) = &self.cause {
            output["Cause"] = cause.clone().into();
        }
        output
    }
}
