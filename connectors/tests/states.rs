//! Nested executions, against an engine that is told what to answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic like the tests themselves")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asl::data::Failure;
use asl::program::{Pattern, Resource, ServiceResource};
use async_trait::async_trait;
use connectors::states::{Description, Executions, Refused, Start, StartedExecution, StatesConnector};
use connectors::{Connector, Request, Submission};
use serde_json::{Value, json};
use tokio::sync::Notify;

const MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:child";
const CHILD: &str = "arn:aws:states:us-east-1:000000000000:execution:child:c";
const STARTED_AT: i64 = 1_691_663_476_594;

/// Answers what it was given, and notes what it was asked.
#[derive(Default)]
struct Engine {
    starts: Mutex<Vec<Start>>,
    start_answers: Mutex<VecDeque<Result<StartedExecution, Refused>>>,
    /// Without one, executions do not end.
    end: Option<Description>,
    ended_asked: Mutex<Vec<String>>,
    stopped: Mutex<Vec<String>>,
    waiting: Notify,
    stopping: Notify,
}

#[async_trait]
impl Executions for Engine {
    async fn start(&self, start: Start) -> Result<StartedExecution, Refused> {
        self.starts.lock().unwrap().push(start);
        let answer = self.start_answers.lock().unwrap().pop_front();
        answer.unwrap_or_else(|| Ok(StartedExecution { arn: CHILD.to_owned(), started_at: STARTED_AT }))
    }

    async fn ended(&self, arn: &str) -> Result<Description, Refused> {
        self.ended_asked.lock().unwrap().push(arn.to_owned());
        self.waiting.notify_one();
        match &self.end {
            Some(end) => Ok(end.clone()),
            None => std::future::pending().await,
        }
    }

    async fn stop(&self, arn: &str) {
        self.stopped.lock().unwrap().push(arn.to_owned());
        self.stopping.notify_one();
    }
}

#[derive(Default)]
struct Submitted(Mutex<Vec<Value>>);

#[async_trait]
impl Submission for Submitted {
    async fn submitted(&self, output: Value) {
        self.0.lock().unwrap().push(output);
    }
}

fn request(pattern: Pattern, parameters: Value) -> Request {
    Request {
        id: "attempt-1".to_owned(),
        resource: Resource::Service(ServiceResource {
            arn: format!("arn:aws:states:::states:startExecution{pattern}"),
            service: "states".to_owned(),
            action: "startExecution".to_owned(),
            pattern,
        }),
        parameters,
        execution_arn: "arn:aws:states:us-east-1:000000000000:execution:parent:p".to_owned(),
        timeout: None,
        again: false,
    }
}

/// Runs a task and answers its result and what was submitted.
async fn run(engine: &Arc<Engine>, request: Request) -> (Result<Value, Failure>, Vec<Value>) {
    let connector = StatesConnector::new(Arc::clone(engine) as Arc<dyn Executions>);
    assert!(connector.claims(&request.resource));
    let submitted = Submitted::default();
    let result = connector.run(request, &submitted).await;
    (result, submitted.0.into_inner().unwrap())
}

fn description(status: &str) -> Description {
    Description {
        arn: CHILD.to_owned(),
        state_machine_arn: MACHINE.to_owned(),
        name: "c".to_owned(),
        status: status.to_owned(),
        started_at: STARTED_AT,
        stopped_at: STARTED_AT + 1,
        input: "{}".to_owned(),
        output: None,
        error: None,
        cause: None,
    }
}

fn ending(end: Description) -> Arc<Engine> {
    Arc::new(Engine { end: Some(end), ..Engine::default() })
}

#[tokio::test]
async fn a_started_execution_is_answered_as_aws_does() {
    for pattern in [Pattern::RequestResponse, Pattern::WaitForTaskToken] {
        let engine = Arc::new(Engine::default());
        let (output, submitted) = run(&engine, request(pattern, json!({"StateMachineArn": MACHINE}))).await;
        assert!(submitted.is_empty());
        let mut output = output.unwrap();
        let date = output["SdkHttpMetadata"]["HttpHeaders"]["Date"].take();
        assert!(date.as_str().unwrap().ends_with(" GMT"));
        let id = output["SdkResponseMetadata"]["RequestId"].as_str().unwrap().to_owned();
        let date = date.as_str().unwrap();
        let expected = format!(
            concat!(
                r#"{{"ExecutionArn":"{child}","SdkHttpMetadata":{{"AllHttpHeaders":{{"x-amzn-RequestId":["{id}"],"#,
                r#""connection":["keep-alive"],"Content-Length":["103"],"Date":["{date}"],"#,
                r#""Content-Type":["application/x-amz-json-1.0"]}},"HttpHeaders":{{"connection":"keep-alive","#,
                r#""Content-Length":"103","Content-Type":"application/x-amz-json-1.0","Date":null,"#,
                r#""x-amzn-RequestId":"{id}"}},"HttpStatusCode":200}},"SdkResponseMetadata":{{"RequestId":"{id}"}},"#,
                r#""StartDate":1691663476594}}"#
            ),
            child = CHILD,
            id = id,
            date = date
        );
        assert_eq!(output.to_string(), expected);
    }
}

#[tokio::test]
async fn the_input_and_the_name_are_passed_on() {
    let check = async |input: Value, expected: &str| {
        let engine = Arc::new(Engine::default());
        let parameters = json!({"StateMachineArn": MACHINE, "Input": input, "Name": "n", "TraceHeader": "t"});
        run(&engine, request(Pattern::RequestResponse, parameters)).await.0.unwrap();
        let start = engine.starts.lock().unwrap().remove(0);
        assert_eq!((start.input.as_str(), start.name.as_str()), (expected, "n"));
        assert_eq!((start.state_machine_arn.as_str(), start.trace_header.as_deref()), (MACHINE, Some("t")));
        assert_eq!(start.task, "attempt-1");
        assert_eq!(start.parent_arn, "arn:aws:states:us-east-1:000000000000:execution:parent:p");
    };
    check(Value::Null, "{}").await;
    check(json!({"b": 1, "a": [2.0]}), r#"{"b":1,"a":[2.0]}"#).await;
    check(json!("\"text\""), "\"text\"").await;
    check(json!("no JSON"), "no JSON").await;
    check(json!(7), "7").await;
}

#[tokio::test]
async fn a_child_that_succeeds_is_described() {
    let end = Description {
        input: r#"{"n":1}"#.to_owned(),
        output: Some(r#"{"m":2}"#.to_owned()),
        ..description("SUCCEEDED")
    };
    let check = async |pattern: Pattern, input: &str, output: &str| {
        let parameters = json!({"StateMachineArn": MACHINE});
        let (result, submitted) = run(&ending(end.clone()), request(pattern, parameters)).await;
        assert_eq!((submitted.len(), &submitted[0]["ExecutionArn"]), (1, &json!(CHILD)));
        let expected = format!(
            concat!(
                r#"{{"ExecutionArn":"{child}","Input":{input},"InputDetails":{{"Included":true}},"Name":"c","#,
                r#""Output":{output},"OutputDetails":{{"Included":true}},"StartDate":1691663476594,"#,
                r#""StateMachineArn":"{machine}","Status":"SUCCEEDED","StopDate":1691663476595}}"#
            ),
            child = CHILD,
            machine = MACHINE,
            input = input,
            output = output
        );
        assert_eq!(result.unwrap().to_string(), expected);
    };
    check(Pattern::Sync, r#""{\"n\":1}""#, r#""{\"m\":2}""#).await;
    check(Pattern::Sync2, r#"{"n":1}"#, r#"{"m":2}"#).await;
}

#[tokio::test]
async fn a_child_that_does_not_succeed_fails_the_task_with_its_description() {
    let check = async |end: Description, begin: &str| {
        let engine = ending(end);
        let (result, submitted) =
            run(&engine, request(Pattern::Sync2, json!({"StateMachineArn": MACHINE}))).await;
        let cause = format!(
            concat!(
                r#"{{{begin}"ExecutionArn":"{child}","Input":"{{}}","InputDetails":{{"Included":true}},"Name":"c","#,
                r#""StartDate":1691663476594,"StateMachineArn":"{machine}","Status":"{status}","#,
                r#""StopDate":1691663476595}}"#
            ),
            begin = begin,
            child = CHILD,
            machine = MACHINE,
            status = engine.end.as_ref().unwrap().status
        );
        assert_eq!(result, Err(Failure::new("States.TaskFailed", cause)));
        assert_eq!(submitted.len(), 1);
        assert!(engine.stopped.lock().unwrap().is_empty());
    };
    let failed =
        Description { error: Some("E".to_owned()), cause: Some("why".to_owned()), ..description("FAILED") };
    check(failed, r#""Cause":"why","Error":"E","#).await;
    check(description("TIMED_OUT"), "").await;
    check(description("ABORTED"), "").await;
}

#[tokio::test]
async fn what_the_engine_refuses_is_a_failure_in_the_words_of_the_sdk() {
    let check = async |code: &str, error: &str| {
        let engine = Arc::new(Engine::default());
        let refused = Refused { code: code.to_owned(), message: "No.".to_owned() };
        engine.start_answers.lock().unwrap().push_back(Err(refused));
        let (result, submitted) =
            run(&engine, request(Pattern::Sync, json!({"StateMachineArn": MACHINE}))).await;
        let failure = result.unwrap_err();
        assert!(failure.is(error), "{failure:?}");
        let begin =
            format!("No. (Service: AWSStepFunctions; Status Code: 400; Error Code: {code}; Request ID: ");
        let cause = failure.cause.unwrap();
        assert!(cause.starts_with(&begin) && cause.ends_with("; Proxy: null)"), "{cause}");
        assert!(submitted.is_empty() && engine.stopped.lock().unwrap().is_empty());
    };
    check("StateMachineDoesNotExist", "StepFunctions.StateMachineDoesNotExistException").await;
    check("ExecutionAlreadyExists", "StepFunctions.ExecutionAlreadyExistsException").await;
    check("ValidationException", "StepFunctions.ValidationException").await;
}

#[tokio::test]
async fn parameters_that_cannot_be_used_fail_the_task() {
    let engine = Arc::new(Engine::default());
    let (result, _) = run(&engine, request(Pattern::Sync, json!({"Name": 1, "Other": {}}))).await;
    let cause = "The Parameters '{\"Name\":1,\"Other\":{}}' could not be used to start the Task: \
                 [The field \"Other\" is not supported by Step Functions, \
                 The field 'StateMachineArn' is required but was missing, \
                 The value of the field 'Name' has an invalid format]";
    assert_eq!(result, Err(Failure::runtime(cause)));
    assert!(engine.starts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_attempt_asked_again_finds_its_own_child() {
    let engine = ending(Description { output: Some("1".to_owned()), ..description("SUCCEEDED") });
    let refused = Refused { code: "ExecutionAlreadyExists".to_owned(), message: String::new() };
    engine.start_answers.lock().unwrap().extend([Err(refused.clone()), Err(refused.clone()), Err(refused)]);
    let unnamed = |again| Request {
        again,
        ..request(Pattern::Sync, json!({"StateMachineArn": format!("{MACHINE}:PROD")}))
    };
    let (found, submitted) = run(&engine, unnamed(true)).await;
    let name = engine.starts.lock().unwrap()[0].name.clone();
    let own = format!("arn:aws:states:us-east-1:000000000000:execution:child:{name}");
    assert_eq!(found.unwrap()["Status"], "SUCCEEDED");
    assert_eq!(
        (&submitted[0]["ExecutionArn"], &submitted[0]["StartDate"]),
        (&json!(own), &json!(STARTED_AT))
    );
    assert_eq!(*engine.ended_asked.lock().unwrap(), [own.clone(), own]);

    let already = "StepFunctions.ExecutionAlreadyExistsException";
    assert!(run(&engine, unnamed(false)).await.0.unwrap_err().is(already));
    assert_eq!(engine.starts.lock().unwrap()[1].name, name);
    let named = json!({"StateMachineArn": MACHINE, "Name": "given"});
    let named = Request { again: true, ..request(Pattern::Sync, named) };
    assert!(run(&engine, named).await.0.unwrap_err().is(already));
}

#[tokio::test]
async fn a_task_given_up_stops_its_child() {
    let engine = Arc::new(Engine::default());
    let parameters = json!({"StateMachineArn": MACHINE});
    tokio::select! {
        ended = run(&engine, request(Pattern::Sync, parameters)) => panic!("the child does not end: {ended:?}"),
        () = engine.waiting.notified() => {}
    }
    tokio::time::timeout(Duration::from_secs(60), engine.stopping.notified()).await.unwrap();
    assert_eq!(*engine.stopped.lock().unwrap(), [CHILD]);
}
