//! Functions as tasks see them: real processes, and a real HTTP host.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic like the tests themselves")]

use std::time::Duration;

use asl::data::Failure;
use asl::program::{Pattern, Resource, ServiceResource};
use async_trait::async_trait;
use connectors::lambda::{FunctionsConfig, LambdaConnector};
use connectors::{Connector, Request, Submission};
use serde_json::{Value, json};

#[path = "lambda/commands.rs"]
mod commands;
#[path = "lambda/urls.rs"]
mod urls;

/// Nothing takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(60);

struct NoSubmission;

#[async_trait]
impl Submission for NoSubmission {
    async fn submitted(&self, output: Value) {
        panic!("a function is not submitted: {output}");
    }
}

fn connector(config: Value) -> LambdaConnector {
    let config: FunctionsConfig = serde_json::from_value(config).unwrap();
    LambdaConnector::new(config).unwrap()
}

fn request(resource: Resource, parameters: Value) -> Request {
    Request {
        id: "attempt-1".to_owned(),
        resource,
        parameters,
        execution_arn: "arn:aws:states:us-east-1:000000000000:execution:m:e".to_owned(),
        timeout: None,
        again: false,
    }
}

fn function(name: &str) -> Resource {
    Resource::Function { arn: format!("arn:aws:lambda:eu-west-1:111122223333:function:{name}") }
}

fn service(action: &str, pattern: Pattern) -> Resource {
    Resource::Service(ServiceResource {
        arn: format!("arn:aws:states:::lambda:{action}{pattern}"),
        service: "lambda".to_owned(),
        action: action.to_owned(),
        pattern,
    })
}

/// Runs a task whose resource is the function.
async fn direct(connector: &LambdaConnector, name: &str, input: Value) -> Result<Value, Failure> {
    let run = connector.run(request(function(name), input), &NoSubmission);
    tokio::time::timeout(HANGS, run).await.unwrap()
}

/// Runs a task `lambda:invoke`.
async fn invoke(connector: &LambdaConnector, parameters: Value) -> Result<Value, Failure> {
    let run = connector.run(request(service("invoke", Pattern::RequestResponse), parameters), &NoSubmission);
    tokio::time::timeout(HANGS, run).await.unwrap()
}

/// The id of the call inside a cause, replaced: it depends on the task attempt only.
fn without_id(failure: Failure) -> (String, String) {
    let cause = failure.cause.unwrap_or_default();
    let words = cause.split_inclusive([' ', ';']).map(|word| {
        let id = word.trim_end_matches([' ', ';']);
        if id.len() == 36 && id.split('-').count() == 5 { word.replace(id, "<id>") } else { word.to_owned() }
    });
    (failure.error.unwrap_or_default(), words.collect())
}

#[test]
fn functions_and_the_patterns_of_invoke_are_claimed() {
    let connector = connector(json!({}));
    assert!(connector.claims(&function("f")));
    assert!(connector.claims(&service("invoke", Pattern::RequestResponse)));
    assert!(connector.claims(&service("invoke", Pattern::WaitForTaskToken)));
    assert!(!connector.claims(&service("invoke", Pattern::Sync)));
    assert!(!connector.claims(&service("other", Pattern::RequestResponse)));
    assert!(!connector.claims(&Resource::Activity { arn: "a".to_owned() }));
}

#[tokio::test]
async fn a_function_that_nothing_serves_is_not_found() {
    let connector = connector(json!({}));
    let cause = |arn: &str| {
        let cause = format!(
            "Function not found: {arn} (Service: AWSLambda; Status Code: 404; \
             Error Code: ResourceNotFoundException; Request ID: <id>; Proxy: null)"
        );
        ("Lambda.ResourceNotFoundException".to_owned(), cause)
    };
    let failure = direct(&connector, "f", json!({})).await.unwrap_err();
    assert_eq!(without_id(failure), cause("arn:aws:lambda:eu-west-1:111122223333:function:f:$LATEST"));
    let failure = invoke(&connector, json!({"FunctionName": "f", "Qualifier": "PROD"})).await.unwrap_err();
    assert_eq!(without_id(failure), cause("arn:aws:lambda:us-east-1:000000000000:function:f:PROD"));
}

#[tokio::test]
async fn parameters_that_cannot_be_used_fail_the_task() {
    let connector = connector(json!({"f": {"command": "cat"}}));
    let check = async |parameters: Value, error: &str, says: &str| {
        let (name, cause) = without_id(invoke(&connector, parameters).await.unwrap_err());
        assert_eq!(name, error);
        assert!(cause.contains(says), "{cause}");
    };
    let runtime = "States.Runtime";
    check(
        json!({"Payload": 1}),
        runtime,
        "The Parameters '{\"Payload\":1}' could not be used to start the Task: \
         [The field 'FunctionName' is required but was missing]",
    )
    .await;
    check(
        json!({"FunctionName": "f", "Version": 1}),
        runtime,
        "[The field \"Version\" is not supported by Step Functions]",
    )
    .await;
    check(json!({"FunctionName": "f", "InvocationType": "Later"}), runtime, "'InvocationType'").await;
    check(json!({"FunctionName": "f", "LogType": "All"}), runtime, "'LogType'").await;
    check(json!({"FunctionName": "a b"}), "Lambda.ValidationException", "Value 'a b' at 'functionName'")
        .await;
    check(
        json!({"FunctionName": "f:1", "Qualifier": "2"}),
        "Lambda.InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier. \
         (Service: AWSLambda; Status Code: 400;",
    )
    .await;
    check(
        json!({"FunctionName": "f", "Payload": "no JSON"}),
        "Lambda.InvalidRequestContentException",
        "Could not parse request body into json",
    )
    .await;
}
