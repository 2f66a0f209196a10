//! A state without a machine around it.

use serde_json::{Map, Value, json};

use super::machine::targets;

/// The name of a state that is checked alone, as AWS calls it.
pub const STATE_ALONE: &str = "StateName";

/// The least machine that a state can stand in: it begins there, and where it leads to is the end.
pub(super) fn machine_of(state: Value) -> Value {
    if !state.is_object() {
        return state;
    }
    let ends = targets(&state).filter(|name| *name != STATE_ALONE);
    let mut states: Map<String, Value> =
        ends.map(|name| (name.to_owned(), json!({"Type": "Succeed"}))).collect();
    states.insert(STATE_ALONE.to_owned(), state);
    json!({"StartAt": STATE_ALONE, "States": states})
}

#[cfg(test)]
mod tests {
    use super::super::{WorkflowType, check, check_state_alone, check_to_try};
    use super::*;

    #[test]
    fn a_state_alone_leads_where_it_wants() {
        let state = r#"{"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": true, "Next": "B"}],
            "Default": "StateName"}"#;
        let program = check_state_alone(state).program.unwrap();
        let names: Vec<&str> = program.states.iter().map(|state| &*state.name).collect();
        assert_eq!(names, ["B", STATE_ALONE]);
    }

    #[test]
    fn what_is_wrong_with_it_has_its_place() {
        let found = |state: &str| check_state_alone(state).diagnostics[0].to_string();
        assert_eq!(
            found(r#"{"Type": "Parallel", "Branches": [], "End": true}"#),
            "SCHEMA_VALIDATION_FAILED: Value cannot be empty at /States/StateName/Branches"
        );
        assert_eq!(found("[]"), "SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object at null");
    }

    #[test]
    fn what_cannot_run_yet_can_be_tried() {
        let map = r#"{"Type": "Map", "End": true, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#;
        assert!(check_state_alone(map).program.is_some());
        let machine = format!(r#"{{"StartAt": "M", "States": {{"M": {map}}}}}"#);
        assert!(check_to_try(&machine).program.is_some());
        assert!(check(&machine, WorkflowType::Standard).program.is_none());
    }
}
