//! Runs of Distributed Maps (api.md §3). A definition with a Distributed Map is not taken, so there are none: the
//! actions answer as AWS does where there is none.

use serde_json::Value;

use super::errors::ApiError;
use super::lookup;
use super::pages::PageRequest;
use super::parameters::Parameters;
use crate::arn::{Arn, Resource};
use crate::services::Core;

/// ListMapRuns, of an execution that exists.
pub async fn list(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let execution = lookup::execution(core, parameters.required("executionArn")).await?;
    let request = PageRequest::read(&core.tokens, format!("map runs of {}", execution.id), parameters)?;
    Ok(request.answer("mapRuns", Vec::new(), None))
}

/// DescribeMapRun.
pub fn describe(parameters: &Parameters) -> Result<Value, ApiError> {
    Err(missing(parameters))
}

/// UpdateMapRun, of which one value at least must be given.
pub fn update(parameters: &Parameters) -> Result<Value, ApiError> {
    const CHANGES: [&str; 3] = ["maxConcurrency", "toleratedFailureCount", "toleratedFailurePercentage"];
    if !CHANGES.iter().any(|name| parameters.has(name)) {
        let message = format!("Give at least one of {}", CHANGES.join(", "));
        return Err(ApiError::missing(message));
    }
    Err(missing(parameters))
}

fn missing(parameters: &Parameters) -> ApiError {
    let arn = parameters.required("mapRunArn");
    match Arn::parse(arn).map(|arn| arn.resource) {
        Ok(Resource::MapRun { .. }) => ApiError::not_found(arn),
        Ok(other) => other.out_of_place().into(),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parameters::Action;
    use super::*;

    fn refused(action: Action, request: Value) -> (&'static str, String) {
        let Value::Object(fields) = request else { panic!("a request is an object") };
        let parameters = Parameters::check(action.members(), fields).unwrap();
        let answer = match action {
            Action::UpdateMapRun => update(&parameters),
            _ => describe(&parameters),
        };
        let error = answer.unwrap_err();
        (error.code(), error.message().to_owned())
    }

    #[test]
    fn there_is_no_map_run() {
        let arn = "arn:aws:states:us-east-1:000000000000:mapRun:m/map:1";
        let not_found = ("ResourceNotFound", format!("Resource not found: '{arn}'"));
        assert_eq!(refused(Action::DescribeMapRun, json!({"mapRunArn": arn})), not_found);
        assert_eq!(refused(Action::UpdateMapRun, json!({"mapRunArn": arn, "maxConcurrency": 1})), not_found);
        assert_eq!(refused(Action::UpdateMapRun, json!({"mapRunArn": arn})).0, "ValidationException");
        assert_eq!(refused(Action::DescribeMapRun, json!({"mapRunArn": "x"})).0, "InvalidArn");
    }
}
