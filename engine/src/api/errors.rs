//! What a caller is told when it does not get what it asked for: AWS's code, AWS's words.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::arn::ArnError;
use crate::messages::DecodeError;
use crate::names::InvalidName;
use crate::ports::store;
use crate::services::Unavailable;
use crate::services::callbacks::TaskError;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    code: &'static str,
    message: String,
    reason: Option<&'static str>,
}

/// `reason` of a `ValidationException` about the ARN of a Distributed Map.
const LABELED_ARN: &str = "API_DOES_NOT_SUPPORT_LABELED_ARNS";
/// `reason` of a `ValidationException` about what an alias leads to.
const INVALID_ROUTING: &str = "INVALID_ROUTING_CONFIGURATION";
/// `reason` of a `ValidationException` about something left out.
const MISSING_PARAMETER: &str = "MISSING_REQUIRED_PARAMETER";

impl ApiError {
    /// With AWS's code and a message.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        ApiError { code, message: message.into(), reason: None }
    }

    /// `ValidationException`.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// `ValidationException` because something must be given.
    pub fn missing(message: impl Into<String>) -> Self {
        ApiError { reason: Some(MISSING_PARAMETER), ..Self::validation(message) }
    }

    /// `ValidationException` because the ARN names a Distributed Map.
    pub fn labelled(arn: &str) -> Self {
        let message = format!("This operation does not take the ARN of a Distributed Map: '{arn}'");
        ApiError { reason: Some(LABELED_ARN), ..Self::validation(message) }
    }

    /// `ValidationException` because an alias cannot lead there.
    pub fn invalid_routing(message: impl Into<String>) -> Self {
        ApiError { reason: Some(INVALID_ROUTING), ..Self::validation(message) }
    }

    /// `ValidationException` because the ARN names a version or an alias where a machine is asked for.
    pub fn unqualified(arn: &str) -> Self {
        Self::validation(format!("Give the ARN of a state machine, not of a version or an alias: '{arn}'"))
    }

    /// `ConflictException`.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(CONFLICT, message)
    }

    /// `ServiceQuotaExceededException`.
    pub fn quota(message: impl Into<String>) -> Self {
        Self::new(QUOTA, message)
    }

    /// `SerializationException`: the request cannot be read.
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message)
    }

    /// `UnknownOperationException`.
    pub fn unknown_operation(message: impl Into<String>) -> Self {
        Self::new("UnknownOperationException", message)
    }

    /// `StateMachineDoesNotExist`.
    pub fn no_machine(arn: &str) -> Self {
        Self::new("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"))
    }

    /// `ExecutionDoesNotExist`.
    pub fn no_execution(arn: &str) -> Self {
        Self::new("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"))
    }

    /// `ActivityDoesNotExist`.
    pub fn no_activity(arn: &str) -> Self {
        Self::new("ActivityDoesNotExist", format!("Activity Does Not Exist: '{arn}'"))
    }

    /// `ResourceNotFound`.
    pub fn not_found(arn: &str) -> Self {
        Self::new("ResourceNotFound", format!("Resource not found: '{arn}'"))
    }

    /// `ResourceNotFound`, as AWS says it of aliases and what they lead to.
    pub fn no_resource() -> Self {
        Self::new("ResourceNotFound", "Request references a resource that does not exist.")
    }

    /// `InvalidToken`, of a task or of a page.
    pub fn invalid_token() -> Self {
        Self::new("InvalidToken", "Invalid Token: 'Invalid token'")
    }

    /// `StateMachineTypeNotSupported`.
    pub fn wrong_machine_type() -> Self {
        let message = "This operation is not supported by this type of state machine";
        Self::new("StateMachineTypeNotSupported", message)
    }

    /// `ThrottlingException`: too much at present, or the broker is away. Clients try again by themselves.
    pub fn throttled(message: impl Into<String>) -> Self {
        Self::new("ThrottlingException", message)
    }

    fn internal(message: &str) -> Self {
        Self::new(INTERNAL, message)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self.code {
            INTERNAL => StatusCode::INTERNAL_SERVER_ERROR,
            CONFLICT => StatusCode::CONFLICT,
            QUOTA => StatusCode::PAYMENT_REQUIRED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// AWS's code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What it says.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The body.
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("__type".into(), format!("{}#{}", namespace(self.code), self.code).into());
        body.insert("message".into(), self.message.clone().into());
        if let Some(reason) = self.reason {
            body.insert("reason".into(), reason.into());
        }
        Value::Object(body)
    }
}

/// The code of a failure that is not the caller's.
const INTERNAL: &str = "InternalServerException";

const CONFLICT: &str = "ConflictException";
const QUOTA: &str = "ServiceQuotaExceededException";

/// What stands before `#` in `__type`. Clients cut it off.
fn namespace(code: &str) -> &'static str {
    match code {
        "SerializationException" | "UnknownOperationException" | INTERNAL => "com.amazon.coral.service",
        "ThrottlingException" => "com.amazon.coral.availability",
        "ValidationException" => "com.amazon.coral.validate",
        _ => "com.amazonaws.swf.service.v2.model",
    }
}

impl From<ArnError> for ApiError {
    fn from(error: ArnError) -> Self {
        ApiError::new("InvalidArn", format!("Invalid Arn: '{error}'"))
    }
}

impl From<InvalidName> for ApiError {
    fn from(error: InvalidName) -> Self {
        ApiError::new("InvalidName", error.to_string())
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(_) => {
                tracing::warn!(%error, "a request is refused");
                ApiError::internal("The store cannot be reached at the moment; try again.")
            }
            store::Error::Corrupt(_) => corrupt(&error),
        }
    }
}

impl From<Unavailable> for ApiError {
    fn from(error: Unavailable) -> Self {
        match error {
            Unavailable::Store(error) => error.into(),
            Unavailable::Broker(error) => {
                tracing::warn!(%error, "a request is refused");
                ApiError::throttled("The message broker cannot be reached at the moment; try again.")
            }
            Unavailable::Definition(_) => corrupt(&error),
        }
    }
}

impl From<DecodeError> for ApiError {
    fn from(error: DecodeError) -> Self {
        corrupt(&error)
    }
}

impl From<TaskError> for ApiError {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::InvalidToken => ApiError::invalid_token(),
            TaskError::TimedOut => {
                ApiError::new("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
            }
            TaskError::Unavailable(error) => error.into(),
        }
    }
}

/// For data that cannot be read: the details are for the operator alone.
pub fn corrupt(error: &dyn std::error::Error) -> ApiError {
    tracing::error!(%error, "a request failed");
    ApiError::internal("What is stored cannot be read; the engine's log says more.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::arn::Arn;

    fn check(error: ApiError, status: u16, expected: Value) {
        assert_eq!(error.status().as_u16(), status, "{error:?}");
        assert_eq!(error.to_json(), expected);
    }

    #[test]
    fn errors_are_written_as_clients_read_them() {
        check(
            ApiError::no_machine("arn:x"),
            400,
            json!({
                "__type": "com.amazonaws.swf.service.v2.model#StateMachineDoesNotExist",
                "message": "State Machine Does Not Exist: 'arn:x'",
            }),
        );
        check(
            Arn::parse("no_an_activity_arn").unwrap_err().into(),
            400,
            json!({
                "__type": "com.amazonaws.swf.service.v2.model#InvalidArn",
                "message": "Invalid Arn: 'Invalid ARN prefix: no_an_activity_arn'",
            }),
        );
        check(
            ApiError::missing("say more"),
            400,
            json!({
                "__type": "com.amazon.coral.validate#ValidationException",
                "message": "say more",
                "reason": "MISSING_REQUIRED_PARAMETER",
            }),
        );
        check(
            TaskError::TimedOut.into(),
            400,
            json!({
                "__type": "com.amazonaws.swf.service.v2.model#TaskTimedOut",
                "message": "Task Timed Out: 'Provided task does not exist anymore'",
            }),
        );
    }

    #[test]
    fn an_absent_store_is_the_services_fault_and_a_secret() {
        check(
            store::Error::Unavailable("postgres://user:password@host".to_owned()).into(),
            500,
            json!({
                "__type": "com.amazon.coral.service#InternalServerException",
                "message": "The store cannot be reached at the moment; try again.",
            }),
        );
    }

    #[test]
    fn an_absent_broker_throttles() {
        let error = Unavailable::Broker(crate::ports::broker::Error::Unavailable("away".to_owned()));
        assert_eq!(ApiError::from(error).code(), "ThrottlingException");
    }
}
