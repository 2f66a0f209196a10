//! Nested executions: `arn:aws:states:::states:startExecution`, alone, `.sync`, `.sync:2` and
//! `.waitForTaskToken`.
//!
//! A child that its task did not name gets a name made from the id of the attempt. So an engine that asks
//! again, because another died meanwhile, finds the child it has started instead of starting a second one.

use std::sync::Arc;

use asl::data::{Failure, failure::names};
use asl::program::{Pattern, Resource, ServiceResource};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::metadata::{HttpAnswer, ServiceError, derived_uuid};
use crate::parameters::Parameters;
use crate::{Connector, Request, Submission};

/// What the connector needs of the engine.
///
/// An implementation must guarantee:
/// * [`start`](Self::start) has the idempotency of StartExecution: the same name and input as those of a
///   running execution answer that execution.
/// * Futures may be dropped at any time; a start may then have happened or not.
#[async_trait]
pub trait Executions: Send + Sync {
    /// Starts an execution.
    async fn start(&self, start: Start) -> Result<StartedExecution, Refused>;

    /// Waits until an execution is closed and describes it.
    async fn ended(&self, arn: &str) -> Result<Description, Refused>;

    /// Aborts an execution, best effort; one that is unknown or closed is left alone. Called when the task
    /// that waits is given up. An engine that is shutting down must leave the execution alone as well: the
    /// task will be asked again and wait for it.
    async fn stop(&self, arn: &str);
}

/// An execution to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// A state machine, a version or an alias, as the task names it.
    pub state_machine_arn: String,
    /// The name of the execution.
    pub name: String,
    /// JSON, as far as the connector knows.
    pub input: String,
    /// As the task gives it.
    pub trace_header: Option<String>,
    /// Whether the task waits for the end: then it must be one that can be described.
    pub waits: bool,
    /// The execution that asks.
    pub parent_arn: String,
    /// The attempt that asks: [`Request::id`].
    pub task: String,
}

/// An execution that was started, now or before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedExecution {
    /// Its ARN.
    pub arn: String,
    /// When, in milliseconds since the epoch.
    pub started_at: i64,
}

/// What the API refused, in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// `StateMachineDoesNotExist`, `ExecutionAlreadyExists`.
    pub code: String,
    /// The text of the error.
    pub message: String,
}

/// A closed execution, as DescribeExecution shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its ARN.
    pub arn: String,
    /// Its state machine.
    pub state_machine_arn: String,
    /// Its name.
    pub name: String,
    /// `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
    pub status: String,
    /// In milliseconds since the epoch.
    pub started_at: i64,
    /// In milliseconds since the epoch.
    pub stopped_at: i64,
    /// JSON.
    pub input: String,
    /// JSON, if it succeeded.
    pub output: Option<String>,
    /// The name of its error, if it has one.
    pub error: Option<String>,
    /// The cause of its error, if it has one.
    pub cause: Option<String>,
}

/// Starts executions.
pub struct StatesConnector {
    executions: Arc<dyn Executions>,
}

impl StatesConnector {
    /// A connector to the executions of this engine.
    pub fn new(executions: Arc<dyn Executions>) -> Self {
        StatesConnector { executions }
    }

    /// Starts the child, or finds the one that this attempt has started before.
    async fn start(&self, child: &Child, again: bool) -> Result<StartedExecution, Refused> {
        let refused = match self.executions.start(child.start.clone()).await {
            Ok(started) => return Ok(started),
            Err(refused) => refused,
        };
        match &child.own_arn {
            Some(arn) if again && refused.code == "ExecutionAlreadyExists" => {
                let Description { started_at, .. } = self.executions.ended(arn).await?;
                Ok(StartedExecution { arn: arn.clone(), started_at })
            }
            _ => Err(refused),
        }
    }
}

#[async_trait]
impl Connector for StatesConnector {
    /// Most only wait for the end of another execution. With fewer places, the requests of those others
    /// might wait behind them.
    fn held_max(&self) -> usize {
        10_000
    }

    fn name(&self) -> &'static str {
        "states"
    }

    fn claims(&self, resource: &Resource) -> bool {
        match resource {
            Resource::Activity { .. } | Resource::Function { .. } => false,
            Resource::Service(ServiceResource { service, action, .. }) => {
                service == "states" && action == "startExecution"
            }
        }
    }

    async fn run(&self, request: Request, submission: &dyn Submission) -> Result<Value, Failure> {
        let child = Child::of(&request)?;
        let call_id = derived_uuid("states", &request.id).to_string();
        let failure = |refused| failure(&refused, &call_id);
        let pattern = pattern(&request.resource);
        if matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken) {
            let started = self.start(&child, request.again).await.map_err(failure)?;
            return Ok(start_output(&started, &call_id));
        }
        let mut abandoned = StopOnDrop { executions: &self.executions, arn: child.own_arn.clone() };
        let started = match self.start(&child, request.again).await {
            Ok(started) => started,
            Err(refused) => {
                abandoned.arn = None;
                return Err(failure(refused));
            }
        };
        abandoned.arn = Some(started.arn.clone());
        submission.submitted(start_output(&started, &call_id)).await;
        let ended = self.executions.ended(&started.arn).await;
        abandoned.arn = None;
        end_output(&ended.map_err(failure)?, pattern)
    }
}

fn pattern(resource: &Resource) -> Pattern {
    match resource {
        Resource::Service(service) => service.pattern,
        Resource::Activity { .. } | Resource::Function { .. } => Pattern::RequestResponse,
    }
}

/// The execution a task asks for.
struct Child {
    start: Start,
    /// Its ARN, where the name is the connector's own: nobody else's execution can have it.
    own_arn: Option<String>,
}

impl Child {
    fn of(request: &Request) -> Result<Self, Failure> {
        let known = ["StateMachineArn", "Name", "Input", "TraceHeader"];
        let mut parameters = Parameters::new(&request.parameters, &known);
        let state_machine_arn = parameters.required_text("StateMachineArn").to_owned();
        let given = parameters.text("Name");
        let trace_header = parameters.text("TraceHeader").map(str::to_owned);
        let input = match parameters.value("Input") {
            None => "{}".to_owned(),
            // A string is the text of the input, not a value to quote (recorded on AWS).
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        parameters.check()?;
        let (name, own_arn) = match given {
            Some(name) => (name.to_owned(), None),
            None => {
                let name = derived_uuid("states:startExecution", &request.id).to_string();
                let own_arn = execution_arn(&state_machine_arn, &name);
                (name, own_arn)
            }
        };
        let (parent_arn, task) = (request.execution_arn.clone(), request.id.clone());
        let waits = matches!(pattern(&request.resource), Pattern::Sync | Pattern::Sync2);
        let start = Start { state_machine_arn, name, input, trace_header, waits, parent_arn, task };
        Ok(Child { start, own_arn })
    }
}

/// `arn:P:states:R:A:execution:MACHINE:NAME` of a machine, or a version or alias of it.
pub(crate) fn execution_arn(state_machine_arn: &str, name: &str) -> Option<String> {
    let segments: Vec<_> = state_machine_arn.split(':').collect();
    let [arn, partition, service, region, account, "stateMachine", machine, ..] = segments[..] else {
        return None;
    };
    Some([arn, partition, service, region, account, "execution", machine, name].join(":"))
}

/// Stops the child of a task that nobody waits for any longer.
struct StopOnDrop<'a> {
    executions: &'a Arc<dyn Executions>,
    arn: Option<String>,
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        // Without a runtime the process is about to end, and the child goes on in the next one.
        if let (Some(arn), Ok(runtime)) = (self.arn.take(), tokio::runtime::Handle::try_current()) {
            let executions = Arc::clone(self.executions);
            runtime.spawn(async move { executions.stop(&arn).await });
        }
    }
}

/// The answer of StartExecution in its wrapper.
fn start_output(started: &StartedExecution, call_id: &str) -> Value {
    let StartedExecution { arn, started_at } = started;
    // As AWS prints it, for its length is shown.
    let start_date = format!("{:.12}E9", *started_at as f64 / 1e12);
    let body = format!(r#"{{"executionArn":"{arn}","startDate":{start_date}}}"#);
    let http = HttpAnswer::of_sdk(call_id.to_owned(), "application/x-amz-json-1.0", body.len());
    json!({
        "ExecutionArn": arn,
        "SdkHttpMetadata": http.http_metadata(),
        "SdkResponseMetadata": http.response_metadata(),
        "StartDate": started_at,
    })
}

/// The result of a child: what it was, or its failure with just that as the cause.
fn end_output(ended: &Description, pattern: Pattern) -> Result<Value, Failure> {
    let succeeded = ended.status == "SUCCEEDED";
    let data = |text: &str| match pattern {
        Pattern::Sync2 if succeeded => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    };
    let included = || json!({"Included": true});
    let members = [
        ("Cause", ended.cause.as_ref().map(|cause| json!(cause))),
        ("Error", ended.error.as_ref().map(|error| json!(error))),
        ("ExecutionArn", Some(json!(ended.arn))),
        ("Input", Some(data(&ended.input))),
        ("InputDetails", Some(included())),
        ("Name", Some(json!(ended.name))),
        ("Output", ended.output.as_deref().map(data)),
        ("OutputDetails", ended.output.as_ref().map(|_| included())),
        ("StartDate", Some(json!(ended.started_at))),
        ("StateMachineArn", Some(json!(ended.state_machine_arn))),
        ("Status", Some(json!(ended.status))),
        ("StopDate", Some(json!(ended.stopped_at))),
    ];
    let output: Map<String, Value> =
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let output = Value::Object(output);
    if succeeded { Ok(output) } else { Err(Failure::new(names::TASK_FAILED, output.to_string())) }
}

fn failure(refused: &Refused, request_id: &str) -> Failure {
    let Refused { code, message } = refused;
    let (prefix, service) = ("StepFunctions", "AWSStepFunctions");
    ServiceError { prefix, service, status: 400, code, message, request_id }.failure()
}
