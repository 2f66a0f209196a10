//! Definitions as the API takes and judges them.

use asl::definition::{Checked, Diagnostic, Severity, WorkflowType, check};
use serde_json::{Map, Value, json};

use super::errors::ApiError;
use super::parameters::Parameters;

/// Diagnostics of an answer where none or 0 is asked for, and the most that can be asked for.
const DIAGNOSTICS_MAX: usize = 100;

/// `type` of a request: Standard unless given.
pub fn workflow_type(parameters: &Parameters) -> WorkflowType {
    match parameters.text("type") {
        Some("EXPRESS") => WorkflowType::Express,
        _ => WorkflowType::Standard,
    }
}

/// The API's word for a type.
pub fn type_word(workflow_type: WorkflowType) -> &'static str {
    match workflow_type {
        WorkflowType::Standard => "STANDARD",
        WorkflowType::Express => "EXPRESS",
    }
}

/// Lets pass what can be run. What is wrong comes first; what is right but cannot run here yet is only
/// told of a definition that AWS would take.
pub fn accept(definition: &str, workflow_type: WorkflowType) -> Result<(), ApiError> {
    let checked = check(definition, workflow_type);
    let errors: Vec<&Diagnostic> = of(&checked, Severity::Error).collect();
    let refused = if errors.is_empty() { checked.unsupported.iter().collect() } else { errors };
    if refused.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = refused.into_iter().map(ToString::to_string).collect();
    let message = format!("Invalid State Machine Definition: '{}'", texts.join(", "));
    Err(ApiError::new("InvalidDefinition", message))
}

/// ValidateStateMachineDefinition. The result is AWS's: what cannot run here yet is a warning.
pub fn validate(parameters: &Parameters) -> Result<Value, ApiError> {
    let checked = check(parameters.required("definition"), workflow_type(parameters));
    let wrong = of(&checked, Severity::Error).count() > 0;
    let mut told: Vec<Value> = of(&checked, Severity::Error).map(|found| shown(found, "ERROR")).collect();
    if parameters.text("severity") == Some("WARNING") {
        let warnings = of(&checked, Severity::Warning).chain(&checked.unsupported);
        told.extend(warnings.map(|found| shown(found, "WARNING")));
    }
    let limit = match parameters.whole("maxResults").and_then(|limit| usize::try_from(limit).ok()) {
        None | Some(0) => DIAGNOSTICS_MAX,
        Some(limit) => limit,
    };
    let truncated = told.len() > limit;
    told.truncate(limit);
    let result = if wrong { "FAIL" } else { "OK" };
    Ok(json!({"result": result, "diagnostics": told, "truncated": truncated}))
}

fn of(checked: &Checked, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
    checked.diagnostics.iter().filter(move |diagnostic| diagnostic.severity == severity)
}

fn shown(diagnostic: &Diagnostic, severity: &str) -> Value {
    let mut shown = Map::new();
    shown.insert("severity".into(), severity.into());
    shown.insert("code".into(), diagnostic.code.as_str().into());
    shown.insert("message".into(), diagnostic.message.clone().into());
    if let Some(location) = &diagnostic.location {
        shown.insert("location".into(), location.clone().into());
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Action;
    use super::*;

    const GOOD: &str = r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#;
    const NOT_YET: &str = r#"{"StartAt": "A", "States": {"A": {"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}}}"#;

    fn validated(members: Value) -> Value {
        let Value::Object(fields) = members else { panic!("a request is an object") };
        let action = Action::ValidateStateMachineDefinition;
        validate(&Parameters::check(action.members(), fields).unwrap()).unwrap()
    }

    #[test]
    fn a_good_definition_has_no_diagnostics() {
        let expected = json!({"result": "OK", "diagnostics": [], "truncated": false});
        assert_eq!(validated(json!({"definition": GOOD})), expected);
        assert_eq!(accept(GOOD, WorkflowType::Standard), Ok(()));
    }

    #[test]
    fn a_bad_definition_is_told_with_its_place() {
        let message = "These fields are required: [States, StartAt]";
        let expected = json!({
            "result": "FAIL",
            "diagnostics": [{
                "severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": message, "location": "/",
            }],
            "truncated": false,
        });
        assert_eq!(validated(json!({"definition": "{}"})), expected);
        let text = format!("Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: {message} at /'");
        assert_eq!(accept("{}", WorkflowType::Standard), Err(ApiError::new("InvalidDefinition", text)));
    }

    #[test]
    fn no_place_is_no_member() {
        let shown = validated(json!({"definition": " "}));
        assert_eq!(shown["diagnostics"][0].get("location"), None);
        assert_eq!(shown["result"], "FAIL");
    }

    #[test]
    fn what_cannot_run_yet_is_valid_but_not_taken() {
        assert_eq!(validated(json!({"definition": NOT_YET}))["result"], "OK");
        let warned = validated(json!({"definition": NOT_YET, "severity": "WARNING"}));
        assert_eq!(warned["diagnostics"][0]["severity"], "WARNING");
        let error = accept(NOT_YET, WorkflowType::Standard).unwrap_err();
        assert_eq!(error.code(), "InvalidDefinition");
        assert!(error.to_json()["message"].as_str().unwrap().contains("yet"), "{error:?}");
    }

    #[test]
    fn more_than_asked_for_is_truncated() {
        let two = r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}, "X": 1, "Y": 2}"#;
        let all = validated(json!({"definition": two}));
        assert!(all["diagnostics"].as_array().unwrap().len() > 1, "{all}");
        let one = validated(json!({"definition": two, "maxResults": 1}));
        assert_eq!((one["diagnostics"].as_array().unwrap().len(), &one["truncated"]), (1, &json!(true)));
    }
}
