//! Warren's own API from inside a state machine, against an API that is told what to answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic like the tests themselves")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use asl::data::Failure;
use asl::program::{Pattern, Resource, ServiceResource};
use async_trait::async_trait;
use connectors::sfn::{Api, Refused, SfnConnector};
use connectors::{Connector, Request, Submission};
use serde_json::{Value, json};

const MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:shop";

/// Notes what it is asked, and answers what it was told.
#[derive(Default)]
struct Told {
    asked: Mutex<Vec<(String, Value)>>,
    answers: Mutex<VecDeque<Result<Value, Refused>>>,
}

#[async_trait]
impl Api for Told {
    async fn call(&self, action: &str, parameters: Value) -> Result<Value, Refused> {
        self.asked.lock().unwrap().push((action.to_owned(), parameters));
        self.answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok(json!({})))
    }
}

struct NoSubmission;

#[async_trait]
impl Submission for NoSubmission {
    async fn submitted(&self, output: Value) {
        panic!("a call of the API is not submitted: {output}");
    }
}

fn refused(code: &str, message: &str, status: u16) -> Result<Value, Refused> {
    Err(Refused { code: code.to_owned(), message: message.to_owned(), status })
}

fn resource(service: &str, action: &str, pattern: Pattern) -> Resource {
    Resource::Service(ServiceResource {
        arn: format!("arn:aws:states:::{service}:{action}{pattern}"),
        service: service.to_owned(),
        action: action.to_owned(),
        pattern,
    })
}

/// A task that is told these answers: what it asked, and what became of it.
async fn run(
    action: &str,
    parameters: Value,
    again: bool,
    answers: Vec<Result<Value, Refused>>,
) -> (Vec<(String, Value)>, Result<Value, Failure>) {
    let api = Arc::new(Told { answers: Mutex::new(answers.into()), ..Told::default() });
    let request = Request {
        id: "attempt-1".to_owned(),
        resource: resource("aws-sdk:sfn", action, Pattern::RequestResponse),
        parameters,
        execution_arn: "arn:aws:states:us-east-1:000000000000:execution:m:e".to_owned(),
        timeout: None,
        again,
    };
    let result = SfnConnector::new(api.clone()).run(request, &NoSubmission).await;
    let asked = api.asked.lock().unwrap().clone();
    (asked, result)
}

/// The failure of a task, the id of the call in it replaced.
fn error(result: Result<Value, Failure>) -> (String, String) {
    let failure = result.unwrap_err();
    let cause = failure.cause.unwrap_or_default();
    let (before, rest) = cause.split_once("Request ID: ").unwrap();
    (failure.error.unwrap_or_default(), format!("{before}Request ID: <id>{}", &rest[36..]))
}

#[tokio::test]
async fn an_execution_is_started_in_the_shape_of_the_sdk() {
    let started = json!({"executionArn": "arn", "startDate": 1_691_663_476.594});
    let parameters = json!({"StateMachineArn": MACHINE, "Name": "n", "Input": {"key": "value"}});
    let (asked, result) = run("startExecution", parameters, false, vec![Ok(started)]).await;
    let sent = json!({"stateMachineArn": MACHINE, "name": "n", "input": r#"{"key":"value"}"#});
    assert_eq!(asked, [("StartExecution".to_owned(), sent)]);
    let expected = json!({"ExecutionArn": "arn", "StartDate": "2023-08-10T10:31:16.594Z"});
    assert_eq!(result, Ok(expected));
}

#[tokio::test]
async fn an_execution_without_a_name_is_found_when_it_is_asked_for_again() {
    let parameters = || json!({"StateMachineArn": MACHINE});
    let (asked, _) = run("startExecution", parameters(), false, vec![]).await;
    let name = asked[0].1["name"].as_str().unwrap().to_owned();
    let taken = || refused("ExecutionAlreadyExists", "Execution Already Exists: 'arn'", 400);
    let described = Ok(json!({"startDate": 1, "status": "SUCCEEDED"}));
    let (asked, result) = run("startExecution", parameters(), true, vec![taken(), described]).await;
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:shop:{name}");
    assert_eq!(asked[0].1["name"], json!(name));
    assert_eq!(asked[1], ("DescribeExecution".to_owned(), json!({"executionArn": arn})));
    assert_eq!(result, Ok(json!({"ExecutionArn": arn, "StartDate": "1970-01-01T00:00:01Z"})));
    // One that somebody else has started is not the task's; nor can a first attempt have started any.
    let named = json!({"StateMachineArn": MACHINE, "Name": "n"});
    for (parameters, again) in [(parameters(), false), (named, true)] {
        let (_, result) = run("startExecution", parameters, again, vec![taken()]).await;
        assert_eq!(error(result).0, "Sfn.ExecutionAlreadyExistsException");
    }
}

#[tokio::test]
async fn a_redrive_is_one_however_often_it_is_asked_for() {
    let parameters = json!({"ExecutionArn": "arn"});
    let (first, _) = run("redriveExecution", parameters.clone(), false, vec![]).await;
    let (second, _) = run("redriveExecution", parameters, true, vec![]).await;
    assert_eq!(first, second);
    assert_eq!(first[0].1["clientToken"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn what_the_api_refuses_is_told_as_the_sdk_tells_it() {
    let cases = [
        (refused("InvalidToken", "Invalid Token: 'Invalid token'", 400), "InvalidTokenException"),
        (refused("ValidationException", "no", 400), "ValidationException"),
        (refused("ConflictException", "no", 409), "ConflictException"),
        (refused("ThrottlingException", "no", 400), "SfnException"),
        (refused("ServiceUnavailable", "the engine is stopping", 503), "SfnException"),
    ];
    for (answer, exception) in cases {
        let Err(Refused { message, status, .. }) = answer.clone() else { panic!("all are refused") };
        let parameters = json!({"TaskToken": "t", "Output": "not JSON"});
        let (asked, result) = run("sendTaskSuccess", parameters, false, vec![answer]).await;
        assert_eq!(asked[0].1, json!({"taskToken": "t", "output": "not JSON"}));
        let cause = format!(
            "{message} (Service: Sfn, Status Code: {status}, Request ID: <id>) (SDK Attempt Count: 1)"
        );
        assert_eq!(error(result), (format!("Sfn.{exception}"), cause));
    }
}

#[tokio::test]
async fn parameters_are_checked_before_the_api_is_asked() {
    for (action, parameters, says) in [
        ("startExecution", json!({}), "[The field 'StateMachineArn' is required but was missing]"),
        (
            "sendTaskSuccess",
            json!({"taskToken": "t"}),
            "[The field \"taskToken\" is not supported by Step Functions, \
             The field 'TaskToken' is required but was missing, \
             The field 'Output' is required but was missing]",
        ),
    ] {
        let (asked, result) = run(action, parameters, false, vec![]).await;
        assert!(result.unwrap_err().cause.unwrap().ends_with(says));
        assert!(asked.is_empty());
    }
}

#[tokio::test]
async fn an_action_that_is_none_is_no_resource() {
    for action in ["listEverything", "StartExecution"] {
        let (asked, result) = run(action, json!({}), false, vec![]).await;
        let cause = format!(
            "The resource provided arn:aws:states:::aws-sdk:sfn:{action} is not recognized. The value is not a \
             valid resource ARN, or the resource is not available in this region."
        );
        assert_eq!(result, Err(Failure::runtime(cause)));
        assert!(asked.is_empty());
    }
}

#[test]
fn all_of_the_service_is_claimed() {
    let connector = SfnConnector::new(Arc::new(Told::default()));
    for (service, pattern, claims) in [
        ("aws-sdk:sfn", Pattern::RequestResponse, true),
        ("aws-sdk:sfn", Pattern::WaitForTaskToken, true),
        ("aws-sdk:sfn", Pattern::Sync, false),
        ("states", Pattern::RequestResponse, false),
        ("aws-sdk:s3", Pattern::RequestResponse, false),
    ] {
        assert_eq!(connector.claims(&resource(service, "startExecution", pattern)), claims, "{service}");
    }
}
