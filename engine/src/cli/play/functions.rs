//! Functions as the configuration maps them, called for a run.

use std::sync::Arc;
use std::time::Duration;

use asl::branch::Answer;
use asl::program::{Pattern, Resource};
use asl::rehearsal::ScheduledTask;
use async_trait::async_trait;
use connectors::lambda::{FunctionsConfig, LambdaConnector};
use connectors::{Connector, Request, Submission};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::cli::Error;

/// Where a run has its mocks.
const TO_MOCK_FILE: &str = "the file of --mock";

/// The functions of this machine. Nothing is started before the first is called.
pub(in crate::cli) struct Functions {
    config: FunctionsConfig,
    execution_arn: String,
    calls: Option<Calls>,
}

/// What is needed once a function is called.
struct Calls {
    runtime: Runtime,
    connector: Arc<LambdaConnector>,
    sender: mpsc::UnboundedSender<Ended>,
    receiver: mpsc::UnboundedReceiver<Ended>,
    pending: usize,
}

/// A call that is over; without an answer if its task timed out meanwhile.
type Ended = (ScheduledTask, Option<Answer>);

impl Functions {
    pub(in crate::cli) fn new(config: FunctionsConfig, execution_arn: String) -> Self {
        Functions { config, execution_arn, calls: None }
    }

    /// Calls the function of a task. Fails if there is none.
    pub(super) fn start(&mut self, task: ScheduledTask) -> Result<(), Error> {
        let Some(name) = function_of(&task) else { return Err(unanswered(&task, TO_MOCK_FILE, "")) };
        if !self.serves(&name) {
            let or = format!(", or map the function with [functions.{name}] in warren.toml");
            return Err(unanswered(&task, TO_MOCK_FILE, &or));
        }
        if self.calls.is_none() {
            self.calls = Some(Calls::new(self.config.clone()).map_err(|error| {
                Error::Failed(format!("failed to prepare for calling functions: {error}"))
            })?);
        }
        if let Some(calls) = &mut self.calls {
            calls.start(task, self.execution_arn.clone());
        }
        Ok(())
    }

    pub(super) fn are_pending(&self) -> bool {
        self.calls.as_ref().is_some_and(|calls| calls.pending > 0)
    }

    /// The next answer, if one comes within this time.
    pub(super) fn next(&mut self, at_most: Option<Duration>) -> Option<(ScheduledTask, Answer)> {
        let calls = self.calls.as_mut()?;
        let receiver = &mut calls.receiver;
        let ended = calls.runtime.block_on(async {
            match at_most {
                None => receiver.recv().await,
                Some(time) => tokio::time::timeout(time, receiver.recv()).await.ok().flatten(),
            }
        });
        let (task, answer) = ended?;
        calls.pending -= 1;
        answer.map(|answer| (task, answer))
    }

    fn serves(&self, name: &str) -> bool {
        let name = name.split(':').next().unwrap_or(name);
        let mapped = |known: &String| known.split(':').next() == Some(name);
        self.config.default_url.is_some() || self.config.functions.keys().any(mapped)
    }
}

impl Calls {
    fn new(config: FunctionsConfig) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let connector = Arc::new(LambdaConnector::new(config)?);
        let (sender, receiver) = mpsc::unbounded_channel();
        Ok(Calls { runtime, connector, sender, receiver, pending: 0 })
    }

    fn start(&mut self, task: ScheduledTask, execution_arn: String) {
        let (connector, sender) = (Arc::clone(&self.connector), self.sender.clone());
        let timeout = task.request.timeout_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        let request = Request {
            id: format!("{execution_arn}/{}/{}", task.path, task.request.task),
            resource: task.request.resource.clone(),
            parameters: task.request.parameters.clone(),
            execution_arn,
            timeout,
            again: false,
        };
        self.pending += 1;
        self.runtime.spawn(async move {
            let call = connector.run(request, &Nothing);
            let result = match timeout {
                None => Some(call.await),
                Some(timeout) => tokio::time::timeout(timeout, call).await.ok(),
            };
            let answer = result.map(|result| result.map_or_else(Answer::Failed, Answer::Succeeded));
            // Nobody listens once the run is over.
            let _ = sender.send((task, answer));
        });
    }
}

/// A call of a function is over when it answers: there is nothing to submit.
struct Nothing;

#[async_trait]
impl Submission for Nothing {
    async fn submitted(&self, _output: Value) {}
}

/// The function that a task calls and whose answer is its result.
fn function_of(task: &ScheduledTask) -> Option<String> {
    let named = |arn: &str| arn.split_once(":function:").map_or(arn, |(_, name)| name).to_owned();
    match &task.request.resource {
        Resource::Function { arn } => Some(named(arn)),
        Resource::Service(service)
            if service.service == "lambda"
                && service.action == "invoke"
                && service.pattern == Pattern::RequestResponse =>
        {
            // The connector refuses a call that names no function, in AWS's words.
            Some(task.request.parameters["FunctionName"].as_str().map(named).unwrap_or_default())
        }
        Resource::Service(_) | Resource::Activity { .. } => None,
    }
}

/// Says what to do about a task that nobody answers: where to add its result, or what else.
pub(super) fn unanswered(task: &ScheduledTask, place: &str, or: &str) -> Error {
    let arn = match &task.request.resource {
        Resource::Activity { arn } | Resource::Function { arn } => arn,
        Resource::Service(service) => &service.arn,
    };
    let state = &task.state;
    let example = json!({ state: { "0": { "Return": {} } } });
    Error::Failed(format!(
        "nothing answers the task of the state '{state}' ({arn}) here: add its result to {place}, \
         {example}{or}"
    ))
}
