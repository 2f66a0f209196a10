//! Answers to tasks by their token.

use asl::branch::Answer;
use asl::data::{Failure, json};
use serde_json::{Value, json};

use super::errors::ApiError;
use super::parameters::Parameters;
use crate::services::Core;

/// SendTaskSuccess.
pub async fn succeed(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let token = parameters.required("taskToken");
    // A token that is none is told before an output that is none (recorded on AWS, 2025).
    core.tokens.read(token).ok_or_else(ApiError::invalid_token)?;
    let output = read_output(parameters.required("output"), core.limits.payload_bytes_max)?;
    core.complete_task(token, Answer::Succeeded(output)).await?;
    Ok(json!({}))
}

/// SendTaskFailure.
pub async fn fail(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let failure = failure(parameters);
    core.complete_task(parameters.required("taskToken"), Answer::Failed(failure)).await?;
    Ok(json!({}))
}

/// SendTaskHeartbeat.
pub async fn heartbeat(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    core.heartbeat(parameters.required("taskToken")).await?;
    Ok(json!({}))
}

/// The members `error` and `cause` of a request.
pub fn failure(parameters: &Parameters) -> Failure {
    let text = |name| parameters.text(name).map(str::to_owned);
    Failure { error: text("error"), cause: text("cause") }
}

fn read_output(text: &str, bytes_max: usize) -> Result<Value, ApiError> {
    let invalid = |why: String| ApiError::new("InvalidOutput", format!("Invalid Output: '{why}'"));
    if text.len() > bytes_max {
        return Err(invalid(format!("It has {} bytes; at most {bytes_max} are taken", text.len())));
    }
    json::parse(text).map_err(|error| invalid(error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_json_within_the_limit() {
        assert_eq!(read_output("[1]", 3), Ok(json!([1])));
        let long = ApiError::new("InvalidOutput", "Invalid Output: 'It has 3 bytes; at most 2 are taken'");
        assert_eq!(read_output("[1]", 2), Err(long));
        assert_eq!(read_output("not json", 100).unwrap_err().code(), "InvalidOutput");
    }
}
