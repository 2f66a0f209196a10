//! Functions: `arn:aws:lambda:…:function:NAME` and `arn:aws:states:::lambda:invoke`.
//!
//! A function is served by what `[functions.NAME]` of the configuration says, a command or a URL, and
//! otherwise by the host of the Lambda Invoke API at `default_url`. One that neither serves does not exist:
//! its task fails at once, as on AWS.
//!
//! A function may be called twice with the same input when an engine dies meanwhile, as Lambda's own
//! asynchronous calls may be. Both calls carry the same request id (`X-Amzn-RequestId`, or
//! `WARREN_REQUEST_ID` in the environment of a command), by which a function can tell.

mod answer;
mod command;
mod config;
mod names;
mod process;
mod url;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use asl::data::Failure;
use asl::program::{Pattern, Resource, ServiceResource};
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::answer::{Answer, error_payload, is_error};
pub use self::config::{Command, FunctionConfig, FunctionUrl, FunctionsConfig, Target};
use self::names::FunctionName;
use crate::metadata::{HttpAnswer, ServiceError, derived_uuid, http_date};
use crate::parameters::Parameters;
use crate::{Connector, QueueReply, QueuedCall, Request, Submission};

/// Calls functions.
pub struct LambdaConnector {
    config: FunctionsConfig,
    client: reqwest::Client,
    commands: Arc<Semaphore>,
    calls: Semaphore,
}

/// Calls over HTTP that are out at a time: each takes a connection, and a process has few of those.
const CALLS_MAX: usize = 128;

impl LambdaConnector {
    /// A connector to the functions of this configuration.
    ///
    /// Fails if no HTTP client can be set up on this machine.
    pub fn new(config: FunctionsConfig) -> io::Result<Self> {
        let client = url::client().map_err(io::Error::other)?;
        let commands = Arc::new(Semaphore::new(config.commands_max.get().min(Semaphore::MAX_PERMITS)));
        Ok(LambdaConnector { config, client, commands, calls: Semaphore::new(CALLS_MAX) })
    }

    /// Calls a function and waits for its answer, or for its acceptance where the call is an event.
    async fn call(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let FunctionName { name, .. } = &call.function;
        let Some(FunctionConfig { target, timeout }) = self.config.target(name, call.qualifier()) else {
            return Err(self.not_found(call));
        };
        match target {
            Target::Url(url) => {
                // Held until the answer is in; the function's own time begins once it has its place.
                let _place = self.calls.acquire().await;
                let bytes_max = self.config.output_bytes_max.get();
                let exchange = url::invoke(&self.client, &url, call, bytes_max);
                match tokio::time::timeout(timeout, exchange).await {
                    Ok(answered) => answered,
                    Err(_) => Ok(call.error(timed_out(call, timeout))),
                }
            }
            Target::Command(command) => {
                command::invoke(&self.commands, command, timeout, call, &self.config).await
            }
        }
    }

    fn not_found(&self, call: &Call<'_>) -> Failure {
        let FunctionName { name, .. } = &call.function;
        tracing::warn!(
            "the function {name} is served by nothing: map it with [functions.{name}] `command = …` or \
             `url = …`, or set WARREN__FUNCTIONS__DEFAULT_URL to a host of the Lambda Invoke API"
        );
        let message = format!("Function not found: {}", self.arn(call));
        service_error(404, "ResourceNotFoundException", &message, &call.request_id.to_string())
    }

    fn arn(&self, call: &Call<'_>) -> String {
        let mut function = call.function.clone();
        function.qualifier = call.qualifier().map(str::to_owned);
        function.arn(&self.config.region, &self.config.account)
    }
}

#[async_trait]
impl Connector for LambdaConnector {
    fn name(&self) -> &'static str {
        "lambda"
    }

    fn claims(&self, resource: &Resource) -> bool {
        match resource {
            Resource::Activity { .. } => false,
            Resource::Function { .. } => true,
            Resource::Service(ServiceResource { service, action, pattern, .. }) => {
                service == "lambda"
                    && action == "invoke"
                    && matches!(pattern, Pattern::RequestResponse | Pattern::WaitForTaskToken)
            }
        }
    }

    async fn run(&self, request: Request, _submission: &dyn Submission) -> Result<Value, Failure> {
        let answer = self.call(&Call::of(&request)?).await?;
        match &request.resource {
            Resource::Function { .. } => answer.into_payload(),
            _ => answer.into_response(),
        }
    }

    fn queued(&self, request: &Request) -> Option<QueuedCall> {
        // What cannot be called at all says so when it is run.
        let call = Call::of(request).ok()?;
        let own = self.config.own_target(&call.function.name, call.qualifier()).is_some();
        let waits = call.invocation == Invocation::RequestResponse;
        let name = call.function.name.clone();
        (waits && !own).then_some(QueuedCall { function: name, payload: call.payload })
    }

    fn answered(&self, request: &Request, reply: QueueReply) -> Result<Value, Failure> {
        if let Some(error) = reply.error {
            return Err(Failure::new(error, reply.body));
        }
        let call = Call::of(request)?;
        let failed = is_error(&reply.body);
        let answer = Answer { failed, ..call.local_answer(200, reply.body, None) };
        match &request.resource {
            Resource::Function { .. } => answer.into_payload(),
            _ => answer.into_response(),
        }
    }
}

/// One call of a function.
struct Call<'a> {
    function: FunctionName,
    /// As a parameter of its own.
    qualifier: Option<String>,
    /// JSON.
    payload: String,
    invocation: Invocation,
    /// Whether the end of the log is wanted.
    log: bool,
    client_context: Option<&'a str>,
    request_id: Uuid,
    execution_arn: &'a str,
}

/// `InvocationType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Invocation {
    RequestResponse,
    Event,
    DryRun,
}

impl Invocation {
    fn as_str(self) -> &'static str {
        match self {
            Invocation::RequestResponse => "RequestResponse",
            Invocation::Event => "Event",
            Invocation::DryRun => "DryRun",
        }
    }
}

const PARAMETERS: [&str; 6] =
    ["FunctionName", "Payload", "Qualifier", "InvocationType", "LogType", "ClientContext"];

impl<'a> Call<'a> {
    fn of(request: &'a Request) -> Result<Self, Failure> {
        match &request.resource {
            Resource::Function { arn } => Self::direct(request, arn),
            _ => Self::invoke(request),
        }
    }

    /// Of a task whose resource is the function: its input is the payload.
    fn direct(request: &'a Request, arn: &str) -> Result<Self, Failure> {
        let request_id = derived_uuid("lambda", &request.id);
        Ok(Call {
            function: function(arn, request_id)?,
            qualifier: None,
            payload: request.parameters.to_string(),
            invocation: Invocation::RequestResponse,
            log: false,
            client_context: None,
            request_id,
            execution_arn: &request.execution_arn,
        })
    }

    /// Of `lambda:invoke`.
    fn invoke(request: &'a Request) -> Result<Self, Failure> {
        let mut parameters = Parameters::new(&request.parameters, &PARAMETERS);
        let written = parameters.required_text("FunctionName");
        let qualifier = parameters.text("Qualifier").map(str::to_owned);
        let client_context = parameters.text("ClientContext");
        let invocation = match parameters.text("InvocationType") {
            None | Some("RequestResponse") => Invocation::RequestResponse,
            Some("Event") => Invocation::Event,
            Some("DryRun") => Invocation::DryRun,
            Some(_) => {
                parameters.refuse("InvocationType");
                Invocation::DryRun
            }
        };
        let log = parameters.text("LogType");
        if log.is_some_and(|log| !["Tail", "None"].contains(&log)) {
            parameters.refuse("LogType");
        }
        let payload = match parameters.value("Payload") {
            None => "{}".to_owned(),
            // A string is the text to send, not a value to quote (recorded on AWS).
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        parameters.check()?;
        let request_id = derived_uuid("lambda", &request.id);
        let function = function(written, request_id)?;
        if function.qualifier.is_some() && qualifier.is_some() && function.qualifier != qualifier {
            let message =
                "The derived qualifier from the function name does not match the specified qualifier.";
            let request_id = request_id.to_string();
            return Err(service_error(400, "InvalidParameterValueException", message, &request_id));
        }
        let log = log == Some("Tail");
        let execution_arn = &request.execution_arn;
        Ok(Call { function, qualifier, payload, invocation, log, client_context, request_id, execution_arn })
    }

    /// The version or alias asked for, however it was written.
    fn qualifier(&self) -> Option<&str> {
        self.qualifier.as_deref().or(self.function.qualifier.as_deref())
    }

    /// The answer of a function that failed with this payload, not by its own doing.
    fn error(&self, payload: String) -> Answer {
        Answer { failed: true, ..self.local_answer(200, payload, None) }
    }

    /// The answer of a function on this machine, with the headers that Lambda would send.
    fn local_answer(&self, status: u16, payload: String, log: Option<String>) -> Answer {
        let mut function = self.function.clone();
        function.qualifier = self.qualifier().map(str::to_owned);
        let ran = self.invocation == Invocation::RequestResponse;
        let version = ran.then(|| function.version().to_owned());
        let request_id = self.request_id.to_string();
        let trace = self.request_id.simple().to_string();
        let trace = format!("root=1-{}-{};parent={};sampled=0", &trace[..8], &trace[8..], &trace[16..]);
        let headers = [
            ("X-Amz-Log-Result", log.clone()),
            ("X-Amz-Executed-Version", version.clone()),
            ("x-amzn-Remapped-Content-Length", Some("0".to_owned())),
            ("Connection", Some("keep-alive".to_owned())),
            ("x-amzn-RequestId", Some(request_id.clone())),
            ("Content-Length", Some(payload.len().to_string())),
            ("Date", Some(http_date())),
            ("X-Amzn-Trace-Id", Some(trace)),
            ("Content-Type", ran.then(|| "application/json".to_owned())),
        ];
        let headers =
            headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let http = HttpAnswer { status, headers, request_id };
        Answer { http, executed_version: version, log_result: log, failed: false, payload }
    }
}

fn function(written: &str, request_id: Uuid) -> Result<FunctionName, Failure> {
    FunctionName::parse(written).ok_or_else(|| {
        let message = format!(
            "1 validation error detected: Value '{written}' at 'functionName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?\
             ([a-z]{{2}}(-gov)?-[a-z]+-\\d{{1}}:)?(\\d{{12}}:)?(function:)?([a-zA-Z0-9-_]+)\
             (:(\\$LATEST|[a-zA-Z0-9-_]+))?"
        );
        service_error(400, "ValidationException", &message, &request_id.to_string())
    })
}

fn service_error(status: u16, code: &str, message: &str, request_id: &str) -> Failure {
    ServiceError { prefix: "Lambda", service: "AWSLambda", status, code, message, request_id }.failure()
}

fn timed_out(call: &Call<'_>, timeout: Duration) -> String {
    let seconds = timeout.as_secs_f64();
    let message = format!("RequestId: {} Error: Task timed out after {seconds:.2} seconds", call.request_id);
    error_payload("Sandbox.Timedout", &message)
}
