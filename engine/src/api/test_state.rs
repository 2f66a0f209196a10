//! TestState: one state by itself, its work done or played.
//!
//! ```text
//!   definition ─▶ subject ─┐
//!   context ──────────────▶ Trial ─▶ task, branches ─▶ mock, else the connector
//!   input, variables ──────┘   ▲                            │
//!                              └─────────── answer ◀────────┘   ─▶ report
//! ```

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use asl::branch::{Answer, Progress, TaskRequest, Tick, Trial, Verdict};
use asl::data::context::ExecutionFacts;
use asl::data::{Failure, Variables, json};
use asl::definition::{STATE_ALONE, Severity, check_state_alone, check_to_try};
use asl::program::{Pattern, Program, Resource, State, StateId, StateKind};
use async_trait::async_trait;
use connectors::{Exchange, Request, Submission};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::errors::ApiError;
use super::executions::read_input;
use super::parameters::Parameters;
use crate::services::{Core, computing};
use conditions::Conditions;
use mock::Mock;

mod conditions;
mod items;
mod mock;
mod report;

/// How long a test may take, as on AWS.
const SECONDS_MAX: u32 = 300;

/// TestState.
pub async fn test(core: &Core, mut parameters: Parameters) -> Result<Value, ApiError> {
    let subject = Subject::read(&parameters)?;
    let input_text = parameters.take_text("input").unwrap_or_else(|| "{}".to_owned());
    let input = read_input(&input_text, core.limits.payload_bytes_max)?;
    let variables = variables(parameters.text("variables"))?;
    let mock = Mock::read(&parameters, subject.state())?;
    let conditions = Conditions::read(&parameters, subject.state(), mock.as_ref())?;
    if mock.is_none() {
        can_be_called(subject.state(), parameters.text("roleArn"))?;
    }
    let now = core.clock.now();
    let facts = facts(core, parameters.text("roleArn"), input.clone());
    let setting = conditions.setting(&facts, parameters.text("roleArn"), subject.state(), now);
    let tick =
        Tick { now, seed: seed(), task_token: Uuid::new_v4().simple().to_string(), activity_missing: false };
    let mut trial = Trial::new(
        &subject.program,
        subject.id,
        &facts,
        &setting,
        &core.limits,
        tick,
        conditions.retries_used,
    );
    let listener = Listener::default();
    let mut progress = computing::aside(|| trial.begin(input.clone(), variables));
    let verdict = loop {
        let next = match progress {
            Progress::Over(verdict) => break verdict,
            Progress::Wait { seconds } if seconds > f64::from(SECONDS_MAX) => {
                break Verdict::Failed { failure: Failure::timeout(), retrier: None };
            }
            Progress::Wait { .. } => trial.awake(),
            Progress::Task(request) => {
                let answer = match &mock {
                    Some(mock) => mock.answer(),
                    None => call(core, &facts, request, &listener).await,
                };
                computing::aside(|| trial.answer(answer))
            }
            Progress::Fork { children } => {
                let Some(mock) = &mock else { return Err(needs_mock()) };
                trial.answer(conditions.fork_answer(mock, children, trial.steps())?)
            }
        };
        progress = next.ok_or_else(|| ApiError::validation("This state cannot be tested"))?;
    };
    let level = report::Level::of(parameters.text("inspectionLevel"));
    let exchange = listener.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(report::answer(level, &verdict, &input, &trial, exchange.as_ref()))
}

/// The state that is tested, in the program that it belongs to.
struct Subject {
    program: Program,
    id: StateId,
}

impl Subject {
    fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        let definition = parameters.required("definition");
        let name = parameters.text("stateName");
        let checked = match name {
            None => check_state_alone(definition),
            Some(_) => check_to_try(definition),
        };
        let Some(program) = checked.program else {
            let errors = checked.diagnostics.iter().filter(|found| found.severity == Severity::Error);
            let texts: Vec<String> = errors.map(ToString::to_string).collect();
            let message = format!("Invalid State Machine Definition: '{}'", texts.join(", "));
            return Err(ApiError::new("InvalidDefinition", message));
        };
        let name = name.unwrap_or(STATE_ALONE);
        let index = program.states.iter().position(|state| &*state.name == name);
        let id = index.and_then(|index| u32::try_from(index).ok()).map(StateId);
        let id = id.ok_or_else(|| ApiError::validation("State not found in definition"))?;
        Ok(Subject { program, id })
    }

    fn state(&self) -> &State {
        self.program.state(self.id)
    }
}

/// What `variables` gives, by name.
fn variables(text: Option<&str>) -> Result<Variables, ApiError> {
    let Some(text) = text else { return Ok(Variables::default()) };
    match json::parse(text) {
        Ok(Value::Object(values)) => Ok(values.into_iter().collect()),
        Ok(_) => Err(ApiError::validation("Variables must be a JSON object")),
        Err(error) => Err(ApiError::validation(format!("Variables must be valid JSON: {}", error.message()))),
    }
}

/// Whether a state can be tested without a mock: its work is then done for real.
fn can_be_called(state: &State, role_arn: Option<&str>) -> Result<(), ApiError> {
    match &state.kind {
        StateKind::Map(_) | StateKind::Parallel(_) => Err(needs_mock()),
        StateKind::Task(task) => {
            let waits = match &task.resource {
                Resource::Activity { .. } => true,
                Resource::Function { .. } => false,
                Resource::Service(service) => service.pattern != Pattern::RequestResponse,
            };
            if waits {
                return Err(ApiError::validation(
                    "A mock must be specified when testing a Task state that waits for an activity, for a job \
                     (.sync) or for a task token (.waitForTaskToken)",
                ));
            }
            if role_arn.is_none() {
                return Err(ApiError::validation("RoleArn must be specified when testing a Task state"));
            }
            Ok(())
        }
        StateKind::Pass(_)
        | StateKind::Choice(_)
        | StateKind::Wait(_)
        | StateKind::Succeed
        | StateKind::Fail(_) => Ok(()),
    }
}

/// AWS's words, which are older than mocks.
fn needs_mock() -> ApiError {
    ApiError::new(
        "InvalidDefinition",
        "TestState API does not support Map or Parallel states. Supported state types include: \
         [Task, Wait, Pass, Succeed, Fail, Choice]",
    )
}

/// The execution that there would have been: an Express one of a machine of no name.
fn facts(core: &Core, role_arn: Option<&str>, input: Value) -> ExecutionFacts {
    let (machine, execution) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let home = &core.home;
    ExecutionFacts {
        id: format!("arn:aws:states:{}:{}:express:{machine}:{execution}", home.region, home.account),
        name: execution,
        role_arn: role_arn.unwrap_or_default().to_owned(),
        started_at: core.clock.now(),
        input,
        redrive: None,
        state_machine_id: home.state_machine(&machine),
        state_machine_name: machine,
    }
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    seed[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    seed
}

/// Calls what the task names. Whoever asked for the test may go away; the call then ends.
async fn call(core: &Core, facts: &ExecutionFacts, request: TaskRequest, listener: &Listener) -> Answer {
    let Some(connector) = core.connectors.iter().find(|connector| connector.claims(&request.resource)) else {
        return Answer::Failed(crate::services::task_runner::unserved_failure(&request.resource));
    };
    let seconds = request.timeout_seconds.unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
    let limit = Duration::from_secs(u64::from(seconds));
    let called = Request {
        id: format!("test/{}", Uuid::new_v4()),
        resource: request.resource,
        parameters: request.parameters,
        execution_arn: facts.id.clone(),
        timeout: Some(limit),
        again: false,
    };
    match tokio::time::timeout(limit, connector.run(called, listener)).await {
        Ok(Ok(output)) => Answer::Succeeded(output),
        Ok(Err(failure)) => Answer::Failed(failure),
        Err(_) => Answer::Failed(Failure::timeout()),
    }
}

/// Listens to a call. Only jobs are submitted, and those are not called in a test.
#[derive(Default)]
struct Listener(Mutex<Option<Exchange>>);

#[async_trait]
impl Submission for Listener {
    async fn submitted(&self, _: Value) {}

    fn exchanged(&self, made: &dyn Fn() -> Exchange) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(made());
    }
}

/// A JSON object in a member of the request.
fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what} must be a object"))
}
