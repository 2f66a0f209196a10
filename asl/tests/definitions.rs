//! What is accepted as a definition, and what is refused in which words.

use asl::definition::{Checked, Severity, WorkflowType, check, locate};
use asl::program::{
    Comparison, Condition, Items, Jitter, MachineId, Next, Operand, Order, Pattern, Quantity, Resource,
    StateId, StateKind, Text, Until,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const LAMBDA: &str = "arn:aws:lambda:us-east-1:123456789012:function:work";
const SEND: &str = "arn:aws:states:::sqs:sendMessage";

/// A machine of one state, called `S`.
fn one(state: Value) -> Value {
    json!({"StartAt": "S", "States": {"S": state}})
}

/// A state with some fields more.
fn with(mut state: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().into_iter().flatten() {
        state[name] = value.clone();
    }
    state
}

fn pass(fields: Value) -> Value {
    one(with(json!({"Type": "Pass", "End": true}), fields))
}

fn task(fields: Value) -> Value {
    one(with(json!({"Type": "Task", "Resource": LAMBDA, "End": true}), fields))
}

fn wait(fields: Value) -> Value {
    one(with(json!({"Type": "Wait", "End": true}), fields))
}

fn fail(fields: Value) -> Value {
    one(with(json!({"Type": "Fail"}), fields))
}

/// A machine that starts with a Choice of one rule, which leads to `T`.
fn choice(rule: Value) -> Value {
    let rule = if rule.get("Next").is_some() { rule } else { with(rule, json!({"Next": "T"})) };
    json!({"StartAt": "S", "States": {
        "S": {"Type": "Choice", "Choices": [rule]},
        "T": {"Type": "Succeed"},
    }})
}

fn processor() -> Value {
    json!({"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}})
}

fn map(fields: Value) -> Value {
    one(with(json!({"Type": "Map", "ItemProcessor": processor(), "End": true}), fields))
}

/// A Distributed Map.
fn distributed(fields: Value) -> Value {
    let config = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}});
    map(with(json!({"ItemProcessor": with(processor(), config)}), fields))
}

/// The field `ItemReader` for an object in S3.
fn item_reader(config: Value) -> Value {
    json!({"ItemReader": {
        "Resource": "arn:aws:states:::s3:getObject",
        "Parameters": {"Bucket": "b", "Key.$": "$.k"},
        "ReaderConfig": config,
    }})
}

fn jsonata(mut definition: Value) -> Value {
    definition["QueryLanguage"] = json!("JSONata");
    definition
}

fn standard(definition: &Value) -> Checked {
    check(&definition.to_string(), WorkflowType::Standard)
}

fn errors(checked: &Checked) -> Vec<String> {
    checked.errors().map(ToString::to_string).collect()
}

/// Each definition compiles.
fn accepted(definitions: impl IntoIterator<Item = Value>) {
    for definition in definitions {
        let checked = standard(&definition);
        assert_eq!(errors(&checked), [] as [&str; 0], "{definition}");
        assert_eq!(checked.unsupported, [], "{definition}");
        assert!(checked.program.is_some(), "{definition}");
    }
}

/// Each definition has these errors, written without `SCHEMA_VALIDATION_FAILED: `, and the places of all
/// can be found in its text.
fn refused<const N: usize>(cases: [(Value, &[&str]); N]) {
    for (definition, expected) in cases {
        let checked = standard(&definition);
        let found = errors(&checked);
        let found: Vec<&str> = found
            .iter()
            .map(|error| error.strip_prefix("SCHEMA_VALIDATION_FAILED: ").unwrap_or(error))
            .collect();
        assert_eq!(found, expected, "{definition}");
        assert_eq!(checked.program, None);
        for location in checked.diagnostics.iter().filter_map(|diagnostic| diagnostic.location.as_ref()) {
            assert!(locate(&definition.to_string(), location).is_some(), "{location} in {definition}");
        }
    }
}

/// Each definition is correct, but needs these, which cannot run yet.
fn unsupported<const N: usize>(cases: [(Value, &[&str]); N]) {
    for (definition, expected) in cases {
        let checked = standard(&definition);
        assert_eq!(errors(&checked), [] as [&str; 0], "{definition}");
        let found: Vec<String> = checked
            .unsupported
            .iter()
            .map(|diagnostic| {
                format!("{} at {}", diagnostic.message, diagnostic.location.as_deref().unwrap_or(""))
            })
            .collect();
        let expected: Vec<String> = expected.iter().map(|what| format!("Warren cannot run {what}")).collect();
        assert_eq!(found, expected, "{definition}");
        assert_eq!(checked.program, None);
    }
}

#[test]
fn a_text_that_holds_no_definition_is_refused() {
    let object = "SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object at null";
    let cases = [
        ("", object),
        (" \n", object),
        ("[]", object),
        ("\"x\"", object),
        (
            "not a definition",
            "INVALID_JSON_DESCRIPTION: Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: (String)\"not a definition\"; line: 1, column: 4]",
        ),
    ];
    for (text, expected) in cases {
        let checked = check(text, WorkflowType::Standard);
        assert_eq!(errors(&checked), [expected]);
    }
    let checked = check("not a definition", WorkflowType::Standard);
    let location = checked.diagnostics[0].location.as_deref();
    assert_eq!(location, Some("[Source: (String)\"not a definition\"; line: 1, column: 4]"));
}

#[test]
fn the_fields_of_a_machine_are_checked() {
    let end = json!({"A": {"Type": "Succeed"}});
    refused([
        (json!({}), &["These fields are required: [States, StartAt] at /"]),
        (json!({"StartAt": "A"}), &["These fields are required: [States] at /"]),
        (json!({"States": end}), &["These fields are required: [StartAt] at /"]),
        (json!({"StartAt": "A", "States": []}), &["Expected value of type [OBJECT] at /States"]),
        (json!({"StartAt": "A", "States": {}}), &["Value cannot be empty at /States"]),
        (
            json!({"StartAt": 1, "States": []}),
            &["Expected value of type [OBJECT] at /States", "Expected value of type [STRING] at /StartAt"],
        ),
        (json!({"StartAt": "A", "States": end, "Extra": 1}), &["Field 'Extra' is not supported at /"]),
        (
            json!({"Fn::Sub": "text"}),
            &["These fields are required: [States, StartAt] at /", "Field 'Fn::Sub' is not supported at /"],
        ),
        (
            json!({"StartAt": "A", "States": end, "Version": "2.0"}),
            &["Value should be one of the following: [1.0] at /Version"],
        ),
        (
            json!({"StartAt": "A", "States": end, "TimeoutSeconds": -1}),
            &["Minimum value is 0 at /TimeoutSeconds"],
        ),
        (
            json!({"StartAt": "A", "States": end, "QueryLanguage": "SQL"}),
            &["Value should be one of the following: [JSONPath, JSONata] at /QueryLanguage"],
        ),
        (
            json!({"StartAt": 1, "States": end}),
            &[
                "Expected value of type [STRING] at /StartAt",
                "MISSING_TRANSITION_TARGET: State \"A\" is not reachable. at /States/A",
            ],
        ),
    ]);
    accepted([
        json!({"StartAt": "A", "States": end}),
        json!({"Comment": "c", "Version": "1.0", "TimeoutSeconds": 60, "QueryLanguage": "JSONPath", "StartAt": "A", "States": end}),
        json!({"Comment": ["any", 1], "TimeoutSeconds": 0, "StartAt": "A", "States": end}),
    ]);
}

#[test]
fn transitions_lead_to_states_of_the_same_machine() {
    let inner = |next: &str| {
        json!({"StartAt": "S", "States": {
            "S": {"Type": "Parallel", "End": true, "Branches": [
                {"StartAt": "B", "States": {"B": {"Type": "Pass", "Next": next}, "C": {"Type": "Succeed"}}}
            ]},
        }})
    };
    refused([
        (
            json!({"StartAt": "pass1", "States": {
                "pass1": {"Type": "Pass", "Next": "pass3"},
                "pass2": {"Type": "Pass", "End": true},
            }}),
            &[
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: pass3 at /States/pass1/Next",
                "MISSING_TRANSITION_TARGET: State \"pass2\" is not reachable. at /States/pass2",
            ],
        ),
        (
            json!({"StartAt": "X", "States": {"A": {"Type": "Succeed"}}}),
            &[
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: X at /StartAt",
                "MISSING_TRANSITION_TARGET: State \"A\" is not reachable. at /States/A",
            ],
        ),
        (
            inner("S"),
            &[
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: S at /States/S/Branches[0]/States/B/Next",
                "MISSING_TRANSITION_TARGET: State \"C\" is not reachable. at /States/S/Branches[0]/States/C",
            ],
        ),
        (
            json!({"StartAt": "A", "States": {
                "A": {"Type": "Pass", "Next": "B"},
                "B": {"Type": "Pass", "Next": "A"},
                "C": {"Type": "Pass", "Next": "D"},
                "D": {"Type": "Choice", "Default": "C", "Choices": [{"Variable": "$.x", "IsNull": true, "Next": "E"}]},
                "E": {"Type": "Succeed"},
            }}),
            &[
                "MISSING_TRANSITION_TARGET: State \"C\" is not reachable. at /States/C",
                "MISSING_TRANSITION_TARGET: State \"D\" is not reachable. at /States/D",
                "MISSING_TRANSITION_TARGET: State \"E\" is not reachable. at /States/E",
            ],
        ),
        (
            json!({"StartAt": "A", "States": {
                "A": {"Type": "Pass", "Next": "B"},
                "B": {"Type": "Pass", "Next": "A"},
            }}),
            &["MISSING_END_STATE: Workflow has no terminal state at null"],
        ),
        (
            json!({"StartAt": "S", "States": {
                "S": {"Type": "Choice", "Default": "D", "Choices": [{"Variable": "$.x", "IsNull": true, "Next": "N"}]},
                "E": {"Type": "Task", "Resource": LAMBDA, "End": true, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "F"}]},
            }}),
            &[
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: D at /States/S/Default",
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: N at /States/S/Choices[0]/Next",
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: F at /States/E/Catch[0]/Next",
                "MISSING_TRANSITION_TARGET: State \"E\" is not reachable. at /States/E",
            ],
        ),
    ]);
    accepted([inner("C")]);
}

#[test]
fn the_outermost_machine_has_an_end() {
    refused([
        (
            json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "NOPE"}}}),
            &[
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: NOPE at /States/A/Next",
                "MISSING_END_STATE: Workflow has no terminal state at null",
            ],
        ),
        (
            json!({"StartAt": "A", "States": {
                "A": {"Type": "Pass", "Next": "B"},
                "B": {"Type": "Map", "ItemProcessor": processor(), "Next": "A"},
                "Unused": {"Type": "Pass", "Next": "A"},
            }}),
            &["MISSING_END_STATE: Workflow has no terminal state at null"],
        ),
        (
            json!({"StartAt": "A", "States": {
                "A": {"Type": "Pass", "Next": "B"},
                "B": {"Type": "Pass", "Next": "A"},
                "a/b": {"Type": "Pass", "End": true},
            }}),
            &["MISSING_TRANSITION_TARGET: State \"a/b\" is not reachable. at /States/a/b"],
        ),
    ]);
    let endless = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Next": "B"},
        "B": {"Type": "Pass", "Next": "A"},
    }});
    accepted([map(json!({"ItemProcessor": endless}))]);
}

#[test]
fn a_state_ends_or_leads_on_but_not_both() {
    let text = "This object should have only one of the following fields: [Next, End] at /States/S";
    refused([
        (one(json!({"Type": "Pass"})), &[text]),
        (one(json!({"Type": "Pass", "End": false})), &[text]),
        (
            one(json!({"Type": "Pass", "End": true, "Next": "S"})),
            &["There should only be one of the following fields: [Next, End] at /States/S"],
        ),
        (
            one(json!({"Type": "Pass", "End": "true"})),
            &["Expected value of type [BOOLEAN] at /States/S/End", text],
        ),
    ]);
    accepted([json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "End": false, "Next": "B"},
        "B": {"Type": "Succeed"},
    }})]);
}

#[test]
fn names_of_states_are_unique_and_not_too_long() {
    let long = "é".repeat(80);
    accepted([json!({"StartAt": long, "States": {long.as_str(): {"Type": "Succeed"}}})]);
    let too_long = "é".repeat(81);
    let location = format!(
        "INVALID_STATE_NAME: Invalid State name: State '{too_long}' exceeds the 80-character limit allowed by the service at /States/{too_long}"
    );
    refused([
        (
            json!({"StartAt": too_long, "States": {too_long.as_str(): {"Type": "Succeed"}}}),
            &[location.as_str()],
        ),
        (
            json!({"StartAt": "", "States": {"": {"Type": "Succeed"}}}),
            &["INVALID_STATE_NAME: Invalid State name: State name cannot be empty at /States/"],
        ),
        (
            one(
                json!({"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}}),
            ),
            &["DUPLICATE_STATE_NAME: Duplicate State name: S at /States/S/ItemProcessor/States/S"],
        ),
    ]);
}

#[test]
fn a_state_that_another_one_hides_is_told() {
    let text =
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}, "A": {"Type": "Succeed"}}}"#;
    assert_eq!(
        errors(&check(text, WorkflowType::Standard)),
        ["DUPLICATE_STATE_NAME: Duplicate State name: A at /States/A"]
    );
}

#[test]
fn a_state_has_a_known_type_and_only_its_fields() {
    let types = "The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/S/Type";
    refused([
        (one(json!({"Type": "Sleep", "End": true})), &[types]),
        (one(json!({"Type": 1, "End": true})), &[types]),
        (one(json!({"End": true})), &["These fields are required: [Type] at /States/S"]),
        (one(json!("Pass")), &["Expected value of type [OBJECT] at /States/S"]),
        (one(json!({"Type": "Succeed", "End": true})), &["Field 'End' is not supported at /States/S"]),
        (map(json!({"TimeoutSeconds": 1})), &["Field 'TimeoutSeconds' is not supported at /States/S"]),
        (pass(json!({"Retry": []})), &["Field 'Retry' is not supported at /States/S"]),
        (
            wait(json!({"Seconds": 1, "ResultPath": null})),
            &["Field 'ResultPath' is not supported at /States/S"],
        ),
        (fail(json!({"InputPath": "$"})), &["Field 'InputPath' is not supported at /States/S"]),
        (pass(json!({"resultPath": "$"})), &["Field 'resultPath' is not supported at /States/S"]),
        (
            pass(json!({"Output": 1})),
            &[
                "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/S",
            ],
        ),
    ]);
}

#[test]
fn paths_are_checked() {
    accepted([
        pass(json!({"InputPath": null, "ResultPath": null, "OutputPath": null})),
        pass(
            json!({"InputPath": "$$.Execution", "ResultPath": "$.a['b'][0]", "OutputPath": "$..a[?(@.b > 1)]"}),
        ),
        pass(json!({"InputPath": "$.delivery-partner", "ResultPath": "$"})),
        map(json!({"ItemsPath": "$$.Execution.Input.items"})),
        task(json!({"TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$$.Execution.Input.h"})),
    ]);
    refused([
        (pass(json!({"InputPath": "a.b"})), &["Value must be a valid JSONPath. at /States/S/InputPath"]),
        (pass(json!({"OutputPath": 1})), &["Expected value of type [STRING] at /States/S/OutputPath"]),
        (
            pass(json!({"OutputPath": "States.UUID()"})),
            &["Value must be a valid JSONPath. at /States/S/OutputPath"],
        ),
    ]);
    for path in ["$.*", "$..a", "$.a[0:1]", "$.a[?(@.b)]", "$$.Execution.Input"] {
        let found = errors(&standard(&pass(json!({"ResultPath": path}))));
        assert_eq!(found.len(), 1, "{path}");
        assert!(
            found[0].starts_with("SCHEMA_VALIDATION_FAILED: Value is not a Reference Path: "),
            "{found:?}"
        );
        assert_eq!(found[0].matches("Value is not").count(), 1, "{found:?}");
        assert!(found[0].ends_with(" at /States/S/ResultPath"), "{found:?}");
    }
}

#[test]
fn payload_templates_are_checked_at_all_depths() {
    accepted([
        pass(
            json!({"Parameters": {"a.$": "$.b", "c": [{"d.$": "States.Format('{}', $$.Execution.Id)"}], ".$": 1}}),
        ),
        task(json!({"ResultSelector": {"a.$": "$"}, "Parameters": {}})),
        pass(json!({"Result": {"a.$": "nonsense"}})),
    ]);
    let must = "must be a valid JSONPath or a valid intrinsic function call";
    let cases = [
        (pass(json!({"Parameters": {"a.$": "b"}})), "a.$", "/States/S/Parameters"),
        (pass(json!({"Parameters": {"a.$": 1}})), "a.$", "/States/S/Parameters"),
        (pass(json!({"Parameters": {"a.$": "States.Nothing()"}})), "a.$", "/States/S/Parameters"),
        (pass(json!({"Parameters": {"x": [{"y": {"a.$": "$["}}]}})), "a.$", "/States/S/Parameters/x[0]/y"),
        (task(json!({"ResultSelector": {"a.$": ""}})), "a.$", "/States/S/ResultSelector"),
        (map(json!({"ItemSelector": {"a.$": ""}})), "a.$", "/States/S/ItemSelector"),
    ];
    for (definition, field, place) in cases {
        let expected = format!("The value for the field '{field}' {must} at {place}");
        refused([(definition, &[expected.as_str()])]);
    }
    refused([(
        pass(json!({"Parameters": {"a": 1, "a.$": "$.b"}})),
        &["There should only be one of the following fields: [a, a.$] at /States/S/Parameters"],
    )]);
}

#[test]
fn resources_are_known_or_refused() {
    let known = [
        LAMBDA,
        "arn:aws-cn:lambda:cn-north-1:123456789012:function:work:$LATEST",
        "arn:aws:lambda:us-east-1:123456789012:function:work:alias",
        "arn:aws:rpcmessage:local::function:work",
        "arn:aws:states:eu-west-1:123456789012:activity:paint",
        SEND,
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "arn:aws-us-gov:states:::lambda:invoke",
        "arn:aws:states:::states:startExecution.sync:2",
        "arn:aws:states:::batch:submitJob.sync",
        "arn:aws:states:::http:invoke",
        "arn:aws:states:::aws-sdk:dynamodb:query",
        "arn:aws:states:::aws-sdk:sfn:startSyncExecution.waitForTaskToken",
        "arn:aws:states:::eks:call",
        "arn:aws:states:us-east-1:123456789012:aws-sdk:s3:getObject",
    ];
    accepted(known.map(|resource| task(json!({"Resource": resource}))));
    let unknown = [
        "arn:aws:states:::dynamodb:query",
        "arn:aws:states:::sqs:sendMessage.sync",
        "arn:aws:states:::batch:submitJob.sync:2",
        "arn:aws:states:::dynamodb:getItem.waitForTaskToken",
        "arn:aws:states:::aws-sdk:s3:getObject.sync",
        "arn:aws:states:::aws-sdk:s3",
        "arn:aws:states:::aws-sdk::getObject",
        "arn:aws:states:us-east-1:123456789012:stateMachine:other",
        "arn:aws:states:us-east-1:123456789012:activity:",
        "arn:aws:s3:::bucket",
        "arn:aws:lambda:us-east-1:123456789012:layer:x",
        "arn:aws:rpcmessage:local::function:",
        "arn:aws:rpcmessage:local::queue:work",
    ];
    for resource in unknown {
        let expected = format!(
            "The resource provided {resource} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region. at /States/S/Resource"
        );
        refused([(task(json!({"Resource": resource})), &[expected.as_str()])]);
    }
    let not_an_arn = "Value is not a valid resource ARN at /States/S/Resource";
    refused([
        (task(json!({"Resource": "${LambdaArn}"})), &[not_an_arn]),
        (task(json!({"Resource": "work"})), &[not_an_arn]),
        (task(json!({"Resource": "arn:aws:lambda"})), &[not_an_arn]),
        (one(json!({"Type": "Task", "End": true})), &["These fields are required: [Resource] at /States/S"]),
    ]);
}

#[test]
fn an_express_machine_waits_for_nothing() {
    let cases = [
        (
            "arn:aws:states:::states:startExecution.sync",
            "Express state machine does not support '.sync' service integration at /States/S/Resource",
        ),
        (
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Express state machine does not support '.waitForTaskToken' service integration  at /States/S/Resource",
        ),
        (
            "arn:aws:states:us-east-1:1:activity:a",
            "Express state machine does not support Activity ARN at /States/S/Resource",
        ),
    ];
    for (resource, expected) in cases {
        let checked = check(&task(json!({"Resource": resource})).to_string(), WorkflowType::Express);
        assert_eq!(errors(&checked), [format!("SCHEMA_VALIDATION_FAILED: {expected}")]);
    }
    for resource in [LAMBDA, SEND] {
        let checked = check(&task(json!({"Resource": resource})).to_string(), WorkflowType::Express);
        assert!(checked.program.is_some());
    }
}

#[test]
fn the_fields_of_a_task_are_checked() {
    accepted([
        task(json!({"TimeoutSeconds": 99_999_999, "HeartbeatSeconds": 1})),
        task(json!({"TimeoutSeconds": 5.0})),
        task(json!({"Credentials": {"RoleArn.$": "$.role"}})),
    ]);
    refused([
        (task(json!({"TimeoutSeconds": 0})), &["Minimum value is 1 at /States/S/TimeoutSeconds"]),
        (
            task(json!({"TimeoutSeconds": 100_000_000})),
            &["Maximum value is 99999999 at /States/S/TimeoutSeconds"],
        ),
        (
            task(json!({"TimeoutSeconds": 1.5})),
            &["Expected value of type Integer at /States/S/TimeoutSeconds"],
        ),
        (
            task(json!({"TimeoutSeconds": "60"})),
            &["Expected value of type Integer at /States/S/TimeoutSeconds"],
        ),
        (
            task(json!({"TimeoutSeconds": 5, "HeartbeatSeconds": 5})),
            &["HeartbeatSeconds must be smaller than TimeoutSeconds at /States/S/HeartbeatSeconds"],
        ),
        (
            task(json!({"TimeoutSeconds": 5, "TimeoutSecondsPath": "$.t"})),
            &[
                "There should only be one of the following fields: [TimeoutSeconds, TimeoutSecondsPath] at /States/S",
            ],
        ),
        (
            task(json!({"HeartbeatSeconds": 5, "HeartbeatSecondsPath": "$.t"})),
            &[
                "There should only be one of the following fields: [HeartbeatSeconds, HeartbeatSecondsPath] at /States/S",
            ],
        ),
        (
            task(json!({"Credentials": {}})),
            &["The field 'RoleArn' is required but was missing at /States/S/Credentials"],
        ),
        (
            task(
                json!({"Resource": "arn:aws:states:us-east-1:1:activity:a", "Credentials": {"RoleArn": "r"}}),
            ),
            &["The field 'Credentials' is not supported for activities at /States/S"],
        ),
    ]);
}

#[test]
fn retriers_and_catchers_are_checked() {
    let retry = |retrier: Value| task(json!({"Retry": [retrier]}));
    accepted([
        task(json!({"Retry": [], "Catch": []})),
        retry(json!({"ErrorEquals": ["States.ALL"]})),
        retry(
            json!({"ErrorEquals": ["States.Whatever", "x"], "IntervalSeconds": 0, "MaxAttempts": 0, "BackoffRate": 1.0, "MaxDelaySeconds": 31_622_400, "JitterStrategy": "FULL", "Comment": "c"}),
        ),
        json!({"StartAt": "S", "States": {
            "S": {"Type": "Task", "Resource": LAMBDA, "End": true, "Catch": [
                {"ErrorEquals": ["E"], "Next": "T", "ResultPath": null, "Comment": "c"},
                {"ErrorEquals": ["States.ALL"], "Next": "T", "ResultPath": "$.error"},
            ]},
            "T": {"Type": "Succeed"},
        }}),
    ]);
    let all = "States.ALL must appear alone and at end of list";
    let all_at = |index: usize| format!("{all} at /States/S/Retry[0]/ErrorEquals[{index}]");
    refused([
        (task(json!({"Retry": {}})), &["Expected value of type [ARRAY] at /States/S/Retry"]),
        (task(json!({"Retry": [1]})), &["Expected value of type [OBJECT] at /States/S/Retry[0]"]),
        (retry(json!({})), &["These fields are required: [ErrorEquals] at /States/S/Retry[0]"]),
        (retry(json!({"ErrorEquals": []})), &["Value cannot be empty at /States/S/Retry[0]/ErrorEquals"]),
        (
            retry(json!({"ErrorEquals": [1]})),
            &["Expected value of type [STRING] at /States/S/Retry[0]/ErrorEquals[0]"],
        ),
        (retry(json!({"ErrorEquals": ["States.ALL", "E"]})), &[all_at(0).as_str()]),
        (retry(json!({"ErrorEquals": ["E", "States.ALL"]})), &[all_at(1).as_str()]),
        (
            task(json!({"Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}]})),
            &[all_at(0).as_str()],
        ),
    ]);
}

#[test]
fn how_often_is_retried_and_where_a_failure_leads_is_checked() {
    let retry = |retrier: Value| task(json!({"Retry": [retrier]}));
    refused([
        (
            retry(json!({"ErrorEquals": ["E"], "BackoffRate": 0.5})),
            &["Minimum value is 1.0 at /States/S/Retry[0]/BackoffRate"],
        ),
        (
            retry(json!({"ErrorEquals": ["E"], "MaxAttempts": -1})),
            &["Minimum value is 0 at /States/S/Retry[0]/MaxAttempts"],
        ),
        (
            retry(json!({"ErrorEquals": ["E"], "MaxDelaySeconds": 0})),
            &["Minimum value is 1 at /States/S/Retry[0]/MaxDelaySeconds"],
        ),
        (
            retry(json!({"ErrorEquals": ["E"], "IntervalSeconds": 5, "MaxDelaySeconds": 5})),
            &["MaxDelaySeconds must be greater than IntervalSeconds at /States/S/Retry[0]/MaxDelaySeconds"],
        ),
        (
            retry(json!({"ErrorEquals": ["E"], "JitterStrategy": "HALF"})),
            &["Value should be one of the following: [NONE, FULL] at /States/S/Retry[0]/JitterStrategy"],
        ),
        (
            retry(json!({"ErrorEquals": ["E"], "Next": "S"})),
            &["Field 'Next' is not supported at /States/S/Retry[0]"],
        ),
        (
            task(json!({"Catch": [{"ErrorEquals": ["E"]}]})),
            &["These fields are required: [Next] at /States/S/Catch[0]"],
        ),
        (
            task(json!({"Catch": [{"ErrorEquals": ["E"], "Next": "S", "Output": {}}]})),
            &[
                "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/S/Catch[0]",
            ],
        ),
    ]);
}

/// A rule that compares `$.x`.
fn test(operator: &str, operand: Value) -> Value {
    choice(json!({"Variable": "$.x", operator: operand}))
}

#[test]
fn correct_rules_of_a_choice_are_accepted() {
    let is_null = json!({"Variable": "$.x", "IsNull": true});
    accepted([
        test("StringEquals", json!("a")),
        test("StringLessThanEqualsPath", json!("$.y")),
        test("StringMatches", json!("a*\\*")),
        test("NumericGreaterThan", json!(1.5)),
        test("BooleanEquals", json!(false)),
        test("TimestampLessThan", json!("2020-01-01T00:00:00Z")),
        test("TimestampGreaterThanEqualsPath", json!("$$.State.EnteredTime")),
        test("IsPresent", json!(true)),
        choice(json!({"Variable": "$$.Execution.Name", "IsString": true})),
        choice(json!({"Variable": "$.a[?(@.b == 'c')]", "IsPresent": true})),
        choice(json!({"Variable": "$.delivery-partner", "IsNull": false, "Comment": "c"})),
        choice(json!({"Not": {"And": [{"Or": [is_null]}, is_null], "Comment": "c"}})),
    ]);
}

#[test]
fn comparisons_of_a_choice_have_one_operator_and_its_operand() {
    let no_dollar = "Value is not a Reference Path: Reference path didn't start with '$'";
    let cases = [
        (choice(json!({"Variable": "$.x"})), "This object should have a comparison operator", ""),
        (
            choice(json!({"Variable": "$.x", "IsNull": true, "IsString": true})),
            "There should only be one of the following fields: [IsNull, IsString]",
            "",
        ),
        (choice(json!({"Variable": "x", "IsNull": true})), no_dollar, "/Variable"),
        (choice(json!({"Variable": 1, "IsNull": true})), "Expected value of type [STRING]", "/Variable"),
        (test("StringEquals", json!(1)), "Expected value of type [STRING]", "/StringEquals"),
        (test("NumericEquals", json!("1")), "Expected value of type Number", "/NumericEquals"),
        (test("BooleanEquals", json!("true")), "Expected value of type [BOOLEAN]", "/BooleanEquals"),
        (
            test("TimestampEquals", json!("now")),
            "String does not match RFC3339 timestamp",
            "/TimestampEquals",
        ),
        (test("IsPresent", json!("$.y")), "Expected value of type [BOOLEAN]", "/IsPresent"),
        (test("StringEqualsPath", json!("y")), no_dollar, "/StringEqualsPath"),
    ];
    for (definition, message, place) in cases {
        refused([(definition, &[format!("{message} at /States/S/Choices[0]{place}").as_str()])]);
    }
    refused([(
        test("BooleanLessThan", json!(true)),
        &[
            "Field 'BooleanLessThan' is not supported at /States/S/Choices[0]",
            "This object should have a comparison operator at /States/S/Choices[0]",
        ],
    )]);
}

#[test]
fn rules_of_a_choice_are_built_of_rules_without_next() {
    let is_null = json!({"Variable": "$.x", "IsNull": true});
    let with_next = json!({"Variable": "$.x", "IsNull": true, "Next": "T"});
    let one_of = "The object must have only one of the following fields, [And, Or, Not, Variable, Condition]";
    let cases = [
        (json!({}), one_of, ""),
        (json!({"Variable": "$.x", "IsNull": true, "Not": {}}), one_of, ""),
        (json!({"Not": {}}), one_of, "/Not"),
        (json!({"And": []}), "Value cannot be empty", "/And"),
        (json!({"And": {}}), "Expected value of type [ARRAY]", "/And"),
        (json!({"Or": [1]}), "Expected value of type [OBJECT]", "/Or[0]"),
        (json!({"Not": with_next}), "Field 'Next' is not supported", "/Not"),
        (json!({"And": [with_next]}), "Field 'Next' is not supported", "/And[0]"),
        (json!({"And": [is_null], "IsNull": true}), "Field 'IsNull' is not supported", ""),
        (
            json!({"Condition": true}),
            "The QueryLanguage is set to 'JSONPath', but field 'Condition' is only supported for the 'JSONata' QueryLanguage",
            "",
        ),
    ];
    for (rule, message, place) in cases {
        refused([(choice(rule), &[format!("{message} at /States/S/Choices[0]{place}").as_str()])]);
    }
    let with_choices = |fields: Value| {
        let state = with(json!({"Type": "Choice", "Default": "T"}), fields);
        json!({"StartAt": "S", "States": {"S": state, "T": {"Type": "Succeed"}}})
    };
    refused([
        (with_choices(json!({})), &["These fields are required: [Choices] at /States/S"]),
        (with_choices(json!({"Choices": []})), &["Value cannot be empty at /States/S/Choices"]),
        (
            with_choices(json!({"Choices": [is_null]})),
            &["These fields are required: [Next] at /States/S/Choices[0]"],
        ),
    ]);
}

#[test]
fn a_wait_has_one_way_to_say_how_long() {
    accepted([
        wait(json!({"Seconds": 0})),
        wait(json!({"SecondsPath": "$.s"})),
        wait(json!({"Timestamp": "2016-03-14T01:59:00Z"})),
        wait(json!({"TimestampPath": "$$.Execution.StartTime"})),
    ]);
    let ways = "[SecondsPath, Seconds, TimestampPath, Timestamp] at /States/S";
    refused([
        (
            wait(json!({})),
            &[format!("This object should have only one of the following fields: {ways}").as_str()],
        ),
        (
            wait(json!({"Seconds": 1, "Timestamp": "2016-03-14T01:59:00Z"})),
            &[format!("There should only be one of the following fields: {ways}").as_str()],
        ),
        (wait(json!({"Seconds": -1})), &["Minimum value is 0 at /States/S/Seconds"]),
        (wait(json!({"Seconds": "1"})), &["Expected value of type Integer at /States/S/Seconds"]),
        (
            wait(json!({"Timestamp": "tomorrow"})),
            &["String does not match RFC3339 timestamp at /States/S/Timestamp"],
        ),
    ]);
}

#[test]
fn a_fail_has_texts_or_paths_to_them() {
    accepted([
        fail(json!({})),
        fail(json!({"Error": "E", "Cause": "C"})),
        fail(json!({"ErrorPath": "$.e", "CausePath": "States.Format('{}', $.c)"})),
        fail(json!({"ErrorPath": "$$.Execution.Name"})),
    ]);
    refused([
        (fail(json!({"Error": 1})), &["Expected value of type [STRING] at /States/S/Error"]),
        (
            fail(json!({"Error": "E", "ErrorPath": "$.e"})),
            &["There should only be one of the following fields: [Error, ErrorPath] at /States/S"],
        ),
        (
            fail(json!({"Cause": "E", "CausePath": "$.e"})),
            &["There should only be one of the following fields: [Cause, CausePath] at /States/S"],
        ),
        (fail(json!({"CausePath": "e"})), &["Value must be a valid JSONPath. at /States/S/CausePath"]),
        (
            fail(json!({"CausePath": "States.Array(1)"})),
            &["Value must be a valid JSONPath. at /States/S/CausePath"],
        ),
    ]);
}

#[test]
fn the_machines_inside_a_parallel_are_checked() {
    let parallel = |branches: Value| one(json!({"Type": "Parallel", "End": true, "Branches": branches}));
    accepted([parallel(json!([processor()]))]);
    refused([
        (
            one(json!({"Type": "Parallel", "End": true})),
            &["These fields are required: [Branches] at /States/S"],
        ),
        (parallel(json!([])), &["Value cannot be empty at /States/S/Branches"]),
        (parallel(json!({})), &["Expected value of type [ARRAY] at /States/S/Branches"]),
        (parallel(json!([1])), &["Expected value of type [OBJECT] at /States/S/Branches[0]"]),
        (parallel(json!([{}])), &["These fields are required: [States, StartAt] at /States/S/Branches[0]"]),
        (
            parallel(json!([processor(), with(processor(), json!({"QueryLanguage": "JSONata"}))])),
            &[
                "DUPLICATE_STATE_NAME: Duplicate State name: I at /States/S/Branches[1]/States/I",
                "Field 'QueryLanguage' is not supported at /States/S/Branches[1]",
            ],
        ),
    ]);
}

#[test]
fn the_fields_of_a_map_are_checked() {
    let inline = with(processor(), json!({"ProcessorConfig": {"Mode": "INLINE"}, "Comment": "c"}));
    accepted([
        map(json!({"ItemProcessor": inline, "MaxConcurrency": 0})),
        map(json!({"ToleratedFailureCount": 1, "ToleratedFailurePercentage": 12.5})),
        map(
            json!({"ToleratedFailureCountPath": "$.c", "ToleratedFailurePercentagePath": "$.p", "MaxConcurrencyPath": "$.m"}),
        ),
        map(json!({"ItemSelector": [1, {"a.$": "$$.Map.Item.Value"}], "ItemsPath": "$.items"})),
        map(json!({"Parameters": {"a.$": "$$.Map.Item.Value"}, "Label": "harmless"})),
        one(json!({"Type": "Map", "Iterator": processor(), "End": true})),
    ]);
    let one_of =
        "This object should have only one of the following fields: [ItemProcessor, Iterator] at /States/S";
    refused([
        (one(json!({"Type": "Map", "End": true})), &[one_of]),
        (
            map(json!({"Iterator": {}})),
            &["There should only be one of the following fields: [ItemProcessor, Iterator] at /States/S"],
        ),
        (
            map(json!({"ItemSelector": {}, "Parameters": {}})),
            &["There should only be one of the following fields: [ItemSelector, Parameters] at /States/S"],
        ),
        (map(json!({"MaxConcurrency": -1})), &["Minimum value is 0 at /States/S/MaxConcurrency"]),
        (
            map(json!({"MaxConcurrency": 1, "MaxConcurrencyPath": "$.m"})),
            &[
                "There should only be one of the following fields: [MaxConcurrency, MaxConcurrencyPath] at /States/S",
            ],
        ),
        (
            map(json!({"ToleratedFailurePercentage": 101})),
            &["Maximum value is 100.0 at /States/S/ToleratedFailurePercentage"],
        ),
        (
            map(json!({"ToleratedFailurePercentage": -0.5})),
            &["Minimum value is 0.0 at /States/S/ToleratedFailurePercentage"],
        ),
        (
            map(json!({"MaxConcurrencyPath": "$$.Execution.Input.n"})),
            &[
                "Value is not a Reference Path: Reference path must not be a path into the context object at /States/S/MaxConcurrencyPath",
            ],
        ),
        (map(json!({"ItemsPath": "items"})), &["Value must be a valid JSONPath. at /States/S/ItemsPath"]),
        (map(json!({"ItemProcessor": []})), &["Expected value of type [OBJECT] at /States/S/ItemProcessor"]),
        (
            map(json!({"ItemProcessor": with(processor(), json!({"Version": "1.0"}))})),
            &["Field 'Version' is not supported at /States/S/ItemProcessor"],
        ),
        (
            map(
                json!({"ItemProcessor": with(processor(), json!({"ProcessorConfig": {"Mode": "INLINE", "ExecutionType": "STANDARD"}}))}),
            ),
            &["Field 'ExecutionType' is not supported at /States/S/ItemProcessor/ProcessorConfig"],
        ),
        (
            map(json!({"ItemProcessor": with(processor(), json!({"ProcessorConfig": {"Mode": "REMOTE"}}))})),
            &[
                "Value should be one of the following: [INLINE, DISTRIBUTED] at /States/S/ItemProcessor/ProcessorConfig/Mode",
            ],
        ),
    ]);
}

#[test]
fn a_correct_distributed_map_is_recognized() {
    let batcher = json!({"ItemBatcher": {"MaxItemsPerBatch": 10, "MaxInputBytesPerBatchPath": "$.b", "BatchInput": {"a.$": "$.a"}}});
    let writer = json!({"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b"}, "WriterConfig": {"OutputType": "JSONL", "Transformation": "FLATTEN"}}});
    let state = "Distributed Map yet at /States/S";
    unsupported([
        (distributed(json!({"Label": "copy"})), &[state]),
        (
            distributed(item_reader(
                json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a"], "MaxItems": 0}),
            )),
            &["ItemReader yet at /States/S/ItemReader", state],
        ),
        (
            distributed(item_reader(json!({"ManifestType": "S3_INVENTORY", "MaxItemsPath": "$.m"}))),
            &["ItemReader yet at /States/S/ItemReader", state],
        ),
        (
            distributed(
                json!({"ItemReader": {"Resource": "arn:aws:states:::s3:listObjectsV2", "Parameters": {}}}),
            ),
            &["ItemReader yet at /States/S/ItemReader", state],
        ),
        (distributed(batcher), &["ItemBatcher yet at /States/S/ItemBatcher", state]),
        (distributed(writer), &["ResultWriter yet at /States/S/ResultWriter", state]),
        (
            distributed(json!({"ResultWriter": {"WriterConfig": {"Transformation": "COMPACT"}}})),
            &["ResultWriter yet at /States/S/ResultWriter", state],
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_distributed_map_is_told_though_it_cannot_run() {
    let config = "/States/S/ItemReader/ReaderConfig";
    let mode =
        |config: Value| map(json!({"ItemProcessor": with(processor(), json!({"ProcessorConfig": config}))}));
    refused([
        (
            mode(json!({"Mode": "DISTRIBUTED"})),
            &["These fields are required: [ExecutionType] at /States/S/ItemProcessor/ProcessorConfig"],
        ),
        (
            mode(json!({"Mode": "DISTRIBUTED", "ExecutionType": "FAST"})),
            &[
                "Value should be one of the following: [STANDARD, EXPRESS] at /States/S/ItemProcessor/ProcessorConfig/ExecutionType",
            ],
        ),
        (
            distributed(json!({"Label": "a b"})),
            &["INVALID_LABEL_NAME: Invalid Label name: a b at /States/S/Label"],
        ),
        (
            distributed(json!({"ItemReader": {"Resource": SEND}})),
            &[
                "The field 'Resource' does not match any of the allowed values. Examples: [arn:<partition>:states:::s3:getObject, arn:<partition>:states:::s3:listObjectsV2] at /States/S/ItemReader/Resource",
            ],
        ),
        (
            distributed(item_reader(json!({"InputType": "CSV"}))),
            &[format!("The field 'CSVHeaderLocation' is required at {config}").as_str()],
        ),
        (
            distributed(item_reader(json!({"InputType": "JSON", "CSVHeaderLocation": "FIRST_ROW"}))),
            &[format!("Field 'CSVHeaderLocation' is not supported at {config}").as_str()],
        ),
        (
            distributed(item_reader(json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN"}))),
            &[format!("These fields are required: [CSVHeaders] at {config}").as_str()],
        ),
        (
            distributed(item_reader(json!({}))),
            &[format!("These fields are required: [InputType] at {config}").as_str()],
        ),
        (
            distributed(json!({"ItemBatcher": {"MaxItemsPerBatchPath": "$$.Execution.Input.n"}})),
            &[
                "Value is not a Reference Path: Reference path must not be a path into the context object at /States/S/ItemBatcher/MaxItemsPerBatchPath",
            ],
        ),
        (
            distributed(json!({"Label": "l".repeat(41)})),
            &[format!("INVALID_LABEL_NAME: Invalid Label name: Label '{0}' exceeds the 40-character limit allowed by the service at /States/S/Label", "l".repeat(41)).as_str()],
        ),
        (
            distributed(json!({"ItemBatcher": {"MaxInputBytesPerBatch": 262_145}})),
            &["Maximum value is 262144 at /States/S/ItemBatcher/MaxInputBytesPerBatch"],
        ),
        (
            distributed(json!({"ResultWriter": {}})),
            &["These fields are required: [Resource] at /States/S/ResultWriter"],
        ),
    ]);
    let checked = check(&distributed(json!({})).to_string(), WorkflowType::Express);
    assert_eq!(
        errors(&checked),
        [
            "SCHEMA_VALIDATION_FAILED: Express state machine does not support Distributed Map state at /States/S"
        ]
    );
}

#[test]
fn jsonata_compiles_where_it_may_stand() {
    let jsonata_state = |fields: Value| pass(with(json!({"QueryLanguage": "JSONata"}), fields));
    accepted([
        jsonata_state(json!({"Output": "{% $states.input %}"})),
        jsonata(pass(json!({"Output": {"a": ["{% 1 %}", "text", "x {% y", " {% y %}"]}}))),
        jsonata(wait(json!({"Seconds": "{% 1 + 1 %}"}))),
        jsonata(wait(json!({"Timestamp": "{% $states.input.at %}"}))),
        jsonata(task(json!({
            "Arguments": {"a": 1},
            "Output": "{% $states.result.a %}",
            "Assign": {"x": "{% $states.result %}"},
            "TimeoutSeconds": "{% 5 %}",
            "HeartbeatSeconds": "{% 1 %}",
            "Credentials": {"RoleArn": "{% $r %}"},
            "Catch": [{
                "ErrorEquals": ["States.ALL"],
                "Next": "S",
                "Output": "{% $states.errorOutput.Cause %}",
                "Assign": {"e": "{% $states.errorOutput %}"},
            }],
        }))),
        jsonata(fail(json!({"Error": "{% 'E' %}", "Cause": "text"}))),
        jsonata(map(json!({
            "Items": "{% [1] %}",
            "ItemSelector": {"a": "{% $states.context.Map.Item.Value %}"},
            "MaxConcurrency": "{% 1 %}",
            "ToleratedFailurePercentage": "{% 1 %}",
        }))),
        jsonata(map(json!({"Items": [1, "{% 2 %}"]}))),
        jsonata(map(json!({"Items": {"a": 1}}))),
        jsonata(map(json!({}))),
        jsonata(choice(json!({"Condition": "{% true %}", "Output": 1}))),
        jsonata(choice(json!({"Condition": false, "Assign": {"a": "{% $states.input %}"}}))),
    ]);
}

#[test]
fn a_state_has_the_fields_of_its_language() {
    let only = |field: &str, set: &str, other: &str| {
        format!(
            "The QueryLanguage is set to '{set}', but field '{field}' is only supported for the '{other}' QueryLanguage at /States/S"
        )
    };
    refused([
        (jsonata(pass(json!({"InputPath": "$"}))), &[only("InputPath", "JSONata", "JSONPath").as_str()]),
        (jsonata(pass(json!({"Parameters": {}}))), &[only("Parameters", "JSONata", "JSONPath").as_str()]),
        (task(json!({"Arguments": {}})), &[only("Arguments", "JSONPath", "JSONata").as_str()]),
        (
            jsonata(map(
                json!({"QueryLanguage": "JSONPath", "InputPath": "$", "Output": 1, "MaxConcurrency": -1}),
            )),
            &[
                "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine at /States/S",
                "Minimum value is 0 at /States/S/MaxConcurrency",
            ],
        ),
        (
            pass(json!({"QueryLanguage": "jsonata", "Output": "{% 1 %}", "InputPath": "$"})),
            &[
                &only("InputPath", "JSONata", "JSONPath"),
                "Value should be one of the following: [JSONPath, JSONata] at /States/S/QueryLanguage",
            ],
        ),
        (
            with(pass(json!({"InputPath": "$"})), json!({"QueryLanguage": 5})),
            &["Expected value of type [STRING] at /QueryLanguage", &only("InputPath", "JSONata", "JSONPath")],
        ),
        (
            jsonata(pass(json!({"QueryLanguage": "jsonpath", "Output": 1}))),
            &["Value should be one of the following: [JSONPath, JSONata] at /States/S/QueryLanguage"],
        ),
        (
            jsonata(pass(json!({"Output": {"a": ["{% 1"]}}))),
            &["JSONata string must start with {% and end with %} at /States/S/Output/a[0]"],
        ),
        (jsonata(wait(json!({"Seconds": "5"}))), &["Expected value of type Integer at /States/S/Seconds"]),
        (
            jsonata(choice(json!({"Condition": 1}))),
            &["Expected value of type [BOOLEAN] at /States/S/Choices[0]/Condition"],
        ),
        (jsonata(map(json!({"Items": 1}))), &["Expected value of type [ARRAY] at /States/S/Items"]),
        (
            jsonata(task(json!({"Retry": [{"ErrorEquals": ["E"], "MaxAttempts": "{% 1 %}"}]}))),
            &["Expected value of type Integer at /States/S/Retry[0]/MaxAttempts"],
        ),
    ]);
}

#[test]
fn expressions_that_aws_refuses_are_refused() {
    let bad = |expression: &str| jsonata(pass(json!({"Output": {"a": format!("{{% {expression} %}}")}})));
    let invalid = |what: &str| format!("INVALID_JSONATA_EXPRESSION: {what} at /States/S/Output/a");
    let no_input = |name: &str| {
        format!(
            "UNSUPPORTED_JSONATA_EXPRESSION: Reference to '{name}' at the top level is not supported. at /States/S/Output/a"
        )
    };
    let no_root = "UNSUPPORTED_JSONATA_EXPRESSION: Reference to '$$' is not supported. at /States/S/Output/a";
    let unavailable = |member: &str, place: &str| {
        format!(
            "UNSUPPORTED_JSONATA_EXPRESSION: Field '$states.{member}' does not exist. at /States/S/{place}"
        )
    };
    refused([
        (bad("1 +"), &[invalid("Unexpected end of expression").as_str()]),
        (bad(""), &[invalid("Unexpected end of expression").as_str()]),
        (bad("$x :="), &[invalid("Unexpected end of expression").as_str()]),
        (bad("a[1,2)"), &[invalid("Expected \"]\", got \",\"").as_str()]),
        (bad("\"a"), &[invalid("String literal must be terminated by a matching quote").as_str()]),
        (bad("{\"a\":}"), &[invalid("The symbol \"}\" cannot be used as a unary operator").as_str()]),
        (bad("phone %.other"), &[invalid("The symbol \".\" cannot be used as a unary operator").as_str()]),
        (bad("$match(\"a\", /abc"), &[invalid("No terminating / in regular expression").as_str()]),
        (bad("$f("), &[invalid("Expected \")\" before end of expression").as_str()]),
        (bad("$"), &[no_input("$").as_str()]),
        (bad("$.a"), &[no_input("$").as_str()]),
        (bad("$$.a"), &[no_root]),
        (bad("$states.input.a[$$.b]"), &[no_root]),
        (bad("a.b[c]"), &[no_input("a").as_str()]),
        (bad("$states.input.a & b & a & b"), &[no_input("b").as_str(), no_input("a").as_str()]),
        (bad("$map($states.input.a, function($x) { b })"), &[no_input("b").as_str()]),
        (bad("[*, **.a]"), &[no_input("*").as_str(), no_input("**").as_str()]),
        (bad("$states.Input"), &[unavailable("Input", "Output/a").as_str()]),
        (bad("$states.result"), &[unavailable("result", "Output/a").as_str()]),
        (bad("$states.errorOutput"), &[unavailable("errorOutput", "Output/a").as_str()]),
        (
            jsonata(task(
                json!({"Arguments": "{% $states.result.x %}", "Output": "{% $states.errorOutput %}"}),
            )),
            &[&unavailable("result", "Arguments"), &unavailable("errorOutput", "Output")],
        ),
    ]);
    let whole = "{% $map($states.input.a, function($v, $i) { $v & $ & b.c[$ > 1] }) ~> $join(', ') %}";
    accepted([
        jsonata(pass(json!({"Output": "{% $states.input.a[b = $.c].$uppercase(d) %}"}))),
        jsonata(pass(json!({"Output": "{% $states.input.items^(>price){name: $sum(price)} %}"}))),
        jsonata(pass(json!({"Output": "{% ($x := 1; $x + $now()) %}"}))),
        jsonata(pass(json!({"Output": "{% $eval('1') %}"}))),
        jsonata(pass(json!({"Output": "{% $states.input.a ~> | b | {'c': d}, 'e' | %}"}))),
        jsonata(pass(json!({"Output": "{% $states.input.(a + b) %}"}))),
        jsonata(pass(
            json!({"Output": "{% $map($states.input.a, function($v, $i) { $v & $i }) ~> $join(', ') %}"}),
        )),
    ]);
    assert!(standard(&jsonata(pass(json!({"Output": whole})))).program.is_none());
}

#[test]
fn variables_are_assigned_and_read() {
    let references = |definition: &Value| -> Vec<String> {
        let checked = standard(definition);
        assert!(checked.program.is_some(), "{definition}");
        checked.variable_references.iter().map(|(state, names)| format!("{state}: {names:?}")).collect()
    };
    let cases: [(Value, &[&str]); 7] = [
        (pass(json!({"Assign": {"x": 1, "y2_z.$": "$.a"}})), &[]),
        (pass(json!({"InputPath": "$x.a"})), &[r#"S: {"x"}"#]),
        (pass(json!({"Parameters": {"a.$": "States.Format('{}', $x, $y)"}})), &[r#"S: {"x", "y"}"#]),
        (choice(json!({"Variable": "$x", "StringEqualsPath": "$y"})), &[r#"S: {"x", "y"}"#]),
        (fail(json!({"CausePath": "$c"})), &[r#"S: {"c"}"#]),
        (jsonata(pass(json!({"Output": "{% $x + $states.input.y + $max([$z := 1]) %}"}))), &[r#"S: {"x"}"#]),
        (map(json!({"ItemsPath": "$x", "ItemSelector": {"a.$": "$y"}})), &[r#"S: {"x", "y"}"#]),
    ];
    for (definition, expected) in cases {
        assert_eq!(references(&definition), expected, "{definition}");
    }
    let inner = json!({"StartAt": "I", "States": {"I": {"Type": "Pass", "Assign": {"x": 2}, "End": true}}});
    refused([
        (
            pass(json!({"Assign": {"states": 1}})),
            &[
                "RESERVED_VARIABLE_NAME: Cannot assign to reserved variable '$states'. at /States/S/Assign/states",
            ],
        ),
        (
            pass(json!({"Assign": {"a.b": 1}})),
            &[
                "INVALID_VARIABLE_NAME: Invalid variable name 'a.b': the variable name contains invalid characters. at /States/S/Assign/a.b",
            ],
        ),
        (pass(json!({"Assign": []})), &["Expected value of type [OBJECT] at /States/S/Assign"]),
        (
            map(json!({"Assign": {"x": 1}, "ItemProcessor": inner})),
            &[
                "INVALID_VARIABLE_NAME: Invalid variable name 'x': the variable is already defined in an outer scope. at /States/S/ItemProcessor/States/I",
            ],
        ),
    ]);
    let separate =
        with(inner, json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}}));
    assert_eq!(
        errors(&standard(&map(json!({"Assign": {"x": 1}, "ItemProcessor": separate})))),
        [] as [&str; 0]
    );
}

#[test]
fn what_looks_like_a_mistake_is_a_warning_and_no_error() {
    let cases = [
        (pass(json!({"Parameters": {"a": "$.b"}})), "NO_DOLLAR", "/States/S/Parameters/a"),
        (pass(json!({"Parameters": {"a": {"b": "States.UUID()"}}})), "NO_DOLLAR", "/States/S/Parameters/a/b"),
        (pass(json!({"Result": {"a": "$.b"}})), "PASS_RESULT_IS_STATIC", "/States/S/Result"),
        (fail(json!({"Cause": "$.b"})), "NO_PATH", "/States/S/Cause"),
        (
            choice(json!({"Variable": "$.x", "StringEquals": "$.b"})),
            "NO_PATH",
            "/States/S/Choices[0]/StringEquals",
        ),
    ];
    for (definition, code, location) in cases {
        let checked = standard(&definition);
        assert!(checked.program.is_some(), "{definition}");
        let [warning] = &checked.diagnostics[..] else { panic!("{:?}", checked.diagnostics) };
        assert_eq!(warning.severity, Severity::Warning);
        assert_eq!((warning.code.as_str(), warning.location.as_deref()), (code, Some(location)));
    }
    assert_eq!(standard(&pass(json!({"Parameters": {"price": "$5", "a.$": "$.a"}}))).diagnostics, []);
}

#[test]
fn every_problem_is_reported() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "InputPath": "x", "Nonsense": 1, "Next": "B"},
        "B": {"Type": "Wait", "Seconds": -1, "Next": "C"},
        "C": {"Type": "Task", "Resource": "r", "Retry": [{}], "Next": "D"},
    }});
    assert_eq!(errors(&standard(&definition)).len(), 7);
}

#[test]
fn limits_are_told_and_reports_are_bounded() {
    let states: serde_json::Map<String, Value> =
        (0..10_001).map(|number| (number.to_string(), json!({"Type": "Succeed"}))).collect();
    refused([(
        json!({"StartAt": "0", "States": states}),
        &["Definition must not have more than 10000 states at null"],
    )]);
    let states: serde_json::Map<String, Value> =
        (0..10_000).map(|number| (format!("{number}{}", "x".repeat(80)), json!({"a": 1, "b": 2}))).collect();
    let checked = standard(&json!({"StartAt": "0", "States": states}));
    assert_eq!(checked.diagnostics.len(), 1000);

    let long = "x".repeat(1_048_577);
    assert_eq!(
        errors(&check(&long, WorkflowType::Standard)),
        ["SCHEMA_VALIDATION_FAILED: Definition must not be longer than 1048576 bytes at null"]
    );
    let nested = |depth: usize| {
        (0..depth).fold(processor(), |inner, level| {
            let name = level.to_string();
            let map = json!({"Type": "Map", "ItemProcessor": inner, "End": true});
            json!({"StartAt": name, "States": {name.as_str(): map}})
        })
    };
    accepted([nested(40)]);
    let found = errors(&standard(&nested(60)));
    assert!(found[0].starts_with("INVALID_JSON_DESCRIPTION: Document nesting depth (128)"), "{found:?}");
}

#[test]
fn whether_the_execution_input_is_read_is_known() {
    let cases = [
        (pass(json!({})), false),
        (pass(json!({"InputPath": "$.Execution.Input"})), false),
        (pass(json!({"InputPath": "$$.Execution.Id"})), false),
        (pass(json!({"InputPath": "$$"})), true),
        (pass(json!({"OutputPath": "$$.Execution.Input.a"})), true),
        (pass(json!({"Parameters": {"a": [{"b.$": "$$['Execution']['Input']"}]}})), true),
        (
            pass(json!({"Parameters": {"a.$": "States.Format('{}', States.JsonToString($$.Execution))"}})),
            true,
        ),
        (task(json!({"ResultSelector": {"a.$": "$$..Input"}})), true),
        (task(json!({"Credentials": {"RoleArn.$": "$$.Execution.Input.role"}})), true),
        (task(json!({"TimeoutSecondsPath": "$$.Execution.Input.t"})), true),
        (map(json!({"ItemsPath": "$$.Execution.Input.items"})), true),
        (map(json!({"ItemSelector": {"a.$": "$$.Map.Item.Value"}})), false),
        (fail(json!({"CausePath": "States.JsonToString($$.Execution.Input)"})), true),
        (choice(json!({"Not": {"Variable": "$.x", "StringEqualsPath": "$$.Execution.Input.y"}})), true),
        (wait(json!({"TimestampPath": "$$.Execution.StartTime"})), false),
        (jsonata(pass(json!({"Output": "{% $states.input.Execution.Input %}"}))), false),
        (jsonata(pass(json!({"Output": "{% $states.context.Execution.Id %}"}))), false),
        (jsonata(pass(json!({"Output": "{% $states.context.Execution.Input.a %}"}))), true),
        (jsonata(pass(json!({"Output": "{% ($c := $states.context; $c.Execution) %}"}))), true),
        (jsonata(pass(json!({"Output": "{% $states %}"}))), true),
    ];
    for (definition, expected) in cases {
        assert_eq!(standard(&definition).reads_execution_input, expected, "{definition}");
    }
}

#[test]
fn a_definition_compiles_to_what_it_says() {
    let definition = json!({"StartAt": "Each", "TimeoutSeconds": 60, "States": {
        "Each": {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "Next": "Both", "ItemProcessor": {
            "StartAt": "Send", "States": {
                "Send": {"Type": "Task", "Resource": format!("{SEND}.waitForTaskToken"), "End": true,
                    "Retry": [{"ErrorEquals": ["E"], "JitterStrategy": "FULL"}]},
            },
        }},
        "Both": {"Type": "Parallel", "Next": "Pick", "Branches": [
            {"StartAt": "One", "States": {"One": {"Type": "Succeed"}}},
            {"StartAt": "Two", "States": {"Two": {"Type": "Fail", "Error": "E", "CausePath": "$.c"}}},
        ]},
        "Pick": {"Type": "Choice", "Default": "Later", "Choices": [
            {"Variable": "$.n", "NumericLessThan": 5, "Next": "Later"},
        ]},
        "Later": {"Type": "Wait", "Seconds": 7, "End": true},
    }});
    let program = standard(&definition).program.unwrap();
    assert_eq!(program.timeout_seconds, Some(60));
    let names: Vec<&str> = program.states.iter().map(|state| &*state.name).collect();
    assert_eq!(names, ["Each", "Send", "Both", "One", "Two", "Pick", "Later"]);
    let starts: Vec<u32> = program.machines.iter().map(|machine| machine.start_at.0).collect();
    assert_eq!(starts, [0, 1, 3, 4]);
    let kind = |name: &str| &program.state_named(name).unwrap().kind;

    let StateKind::Map(map) = kind("Each") else { panic!() };
    assert!(matches!(&map.items, Items::Path(path) if path.text() == "$.items"));
    assert_eq!((map.max_concurrency.clone(), map.processor), (Some(Quantity::Literal(2)), MachineId(1)));
    assert_eq!(map.next, Next::State(StateId(2)));

    let StateKind::Task(task) = kind("Send") else { panic!() };
    let Resource::Service(service) = &task.resource else { panic!() };
    assert_eq!((service.service.as_str(), service.action.as_str()), ("sqs", "sendMessage"));
    assert_eq!(service.pattern, Pattern::WaitForTaskToken);
    let retrier = &task.handling.retriers[0];
    assert_eq!((retrier.interval_seconds, retrier.max_attempts, retrier.jitter), (1, 3, Jitter::Full));

    let StateKind::Parallel(parallel) = kind("Both") else { panic!() };
    assert_eq!(parallel.branches, [MachineId(2), MachineId(3)]);

    let StateKind::Fail(fail) = kind("Two") else { panic!() };
    assert_eq!(fail.error, Some(Text::Literal("E".into())));
    assert!(matches!(&fail.cause, Some(Text::Path(path)) if path.text() == "$.c"));

    let StateKind::Choice(choice) = kind("Pick") else { panic!() };
    assert_eq!((choice.default, choice.rules[0].next), (Some(StateId(6)), StateId(6)));
    let Condition::Test { variable, comparison } = &choice.rules[0].condition else { panic!() };
    assert_eq!(variable.text(), "$.n");
    assert_eq!(*comparison, Comparison::Numeric(Order::LessThan, Operand::Literal(5.into())));

    let StateKind::Wait(wait) = kind("Later") else { panic!() };
    assert_eq!((&wait.until, wait.next), (&Until::Seconds(7), Next::End));
}

/// Definitions with something of everything, to be damaged.
fn samples() -> Vec<String> {
    let texts = [
        map(
            json!({"ItemsPath": "$.a", "ItemSelector": {"b.$": "States.Format('{}', $.c)"}, "Retry": [{"ErrorEquals": ["States.ALL"]}]}),
        ),
        choice(
            json!({"And": [{"Variable": "$.x", "StringMatches": "a*"}, {"Not": {"Variable": "$.y", "IsNull": true}}]}),
        ),
        distributed(
            json!({"ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "CSV"}}}),
        ),
        jsonata(task(
            json!({"Arguments": {"a": "{% 1 %}"}, "Assign": {"x": 1}, "Credentials": {"RoleArn": "r"}}),
        )),
        one(
            json!({"Type": "Parallel", "End": true, "Branches": [processor()], "Catch": [{"ErrorEquals": ["E"], "Next": "S"}]}),
        ),
    ];
    texts.iter().map(Value::to_string).collect()
}

/// Text that is nearly JSON.
fn jsonish() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "null",
        "true",
        "1",
        "-",
        ".",
        "e",
        "nul",
        " ",
        "\n",
        "é",
        "\u{1}",
        "\"States\":",
        "\"S\":",
        "\"StartAt\":\"S\"",
        "\"Type\":\"Map\"",
        "\"Next\":\"S\"",
        "\"$.a\"",
        "\\u12",
    ]);
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in prop_oneof![jsonish(), ".{0,200}"], location in "(/[a-zA-Z]{0,8}|\\[[0-9]{1,2}\\]){0,4}") {
        let checked = check(&text, WorkflowType::Standard);
        prop_assert!(checked.program.is_none() || checked.errors().next().is_none());
        for diagnostic in &checked.diagnostics {
            if let Some(location) = &diagnostic.location {
                prop_assert!(locate(&text, location).is_some(), "{} in {}", location, text);
            }
        }
        let _ = locate(&text, &location);
    }

    #[test]
    fn no_damage_to_a_definition_is_too_strange(
        sample in prop::sample::select(samples()),
        from in any::<prop::sample::Index>(),
        length in 0_usize..30,
        insert in jsonish(),
        express in any::<bool>(),
    ) {
        let mut text = sample;
        let mut start = from.index(text.len());
        while !text.is_char_boundary(start) { start -= 1; }
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) { end += 1; }
        text.replace_range(start..end, &insert);
        let workflow = if express { WorkflowType::Express } else { WorkflowType::Standard };
        let checked = check(&text, workflow);
        let clean = checked.errors().next().is_none() && checked.unsupported.is_empty();
        prop_assert_eq!(checked.program.is_some(), clean);
    }
}
