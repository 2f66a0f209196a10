//! The AWS Step Functions API: AWS JSON 1.0 over HTTP.
//!
//! ```text
//!   POST / ─▶ protocol ─▶ parameters ─▶ one file per resource ─▶ services, catalog
//!             body, action  the model's     rules of the action
//!             answers,      constraints
//!             errors
//! ```
//!
//! Any host name is served (SDKs put `sync-` before it for some actions) and no signature is asked for.
//! A handler runs as long as its caller waits and is dropped with it, so it never holds what a vanished
//! caller would take along: see `hand_over`.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use uuid::Uuid;

use crate::metrics::api as requests;
use crate::services::Core;

pub mod health;

pub mod from_tasks;

pub mod throttling;

mod metrics;

mod protocol;

mod console;

mod errors;
mod parameters;

mod definitions;
mod lookup;
mod pages;
mod settings;

mod activities;
mod aliases;
mod event_bridge;
mod executions;
mod hand_over;
mod history;
mod map_runs;
mod state_machines;
mod tags;
mod tasks;
mod test_state;
mod versions;

use errors::ApiError;
use hand_over::Reply;
use health::Readiness;
use parameters::{Action, Parameters, Target};

/// The core, once it is there: a process may listen before it has reached what its work needs.
pub type CoreCell = Arc<OnceLock<Arc<Core>>>;

/// `GET /healthz` and `GET /readyz`.
pub fn health(readiness: Arc<dyn Readiness>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthy))
        .route("/readyz", get(health::ready))
        .with_state(readiness)
}

/// `GET /metrics`.
pub fn metrics(readiness: Arc<dyn Readiness>, core: CoreCell) -> Router {
    let told = metrics::Told { readiness, core };
    Router::new().route("/metrics", get(metrics::show)).with_state(told)
}

/// The API as an HTTP service. Until there is a core, callers are asked to come again.
pub fn router(core: CoreCell) -> Router {
    Router::new().route("/", post(serve)).merge(console::routes()).with_state(core)
}

async fn serve(State(core): State<CoreCell>, request: Request) -> Response {
    let id = Uuid::new_v4();
    let target = protocol::target(request.headers());
    let counted = requests::Request::begin(target.as_ref().ok().map(|target| target.name()));
    match take(core.get(), target, request).await {
        Ok(reply) => {
            counted.answered(None);
            protocol::success(id, reply)
        }
        Err(error) => {
            counted.answered(Some(error.code()));
            tracing::debug!(request = %id, code = error.code(), "a request is refused");
            protocol::failure(id, &error)
        }
    }
}

async fn take(
    core: Option<&Arc<Core>>,
    target: Result<Target, ApiError>,
    request: Request,
) -> Result<Reply, ApiError> {
    // The body is read in any case: a connection with an unread body cannot be used again.
    let body = protocol::read(request.into_body()).await;
    let target = target?;
    let parameters = Parameters::check(target.members(), protocol::object(&body?)?)?;
    let core =
        core.ok_or_else(|| ApiError::throttled("Warren is starting; GET /readyz tells what it waits for."))?;
    match target {
        Target::States(action) => act(core.clone(), action, parameters).await,
        Target::Bus(action) => event_bridge::act(core, action, &parameters).await.map(Reply::Json),
    }
}

async fn act(core: Arc<Core>, action: Action, parameters: Parameters) -> Result<Reply, ApiError> {
    let core_ref = &*core;
    if !core.throttle.admits(action.name()) {
        return Err(ApiError::throttled("Rate exceeded"));
    }
    let answer = match action {
        Action::CreateStateMachine => state_machines::create(core_ref, parameters).await,
        Action::UpdateStateMachine => state_machines::update(core_ref, parameters).await,
        Action::DeleteStateMachine => state_machines::delete(core, &parameters).await,
        Action::DescribeStateMachine => state_machines::describe(core_ref, &parameters).await,
        Action::ListStateMachines => state_machines::list(core_ref, &parameters).await,
        Action::PublishStateMachineVersion => versions::publish(core_ref, &parameters).await,
        Action::DeleteStateMachineVersion => versions::delete(core_ref, &parameters).await,
        Action::ListStateMachineVersions => versions::list(core_ref, &parameters).await,
        Action::CreateStateMachineAlias => aliases::create(core_ref, &parameters).await,
        Action::UpdateStateMachineAlias => aliases::update(core_ref, &parameters).await,
        Action::DescribeStateMachineAlias => aliases::describe(core_ref, &parameters).await,
        Action::DeleteStateMachineAlias => aliases::delete(core_ref, &parameters).await,
        Action::ListStateMachineAliases => aliases::list(core_ref, &parameters).await,
        Action::TagResource => tags::add(core_ref, &parameters).await,
        Action::UntagResource => tags::remove(core_ref, &parameters).await,
        Action::ListTagsForResource => tags::list(core_ref, &parameters).await,
        Action::ListMapRuns => map_runs::list(core_ref, &parameters).await,
        Action::DescribeMapRun => map_runs::describe(&parameters),
        Action::UpdateMapRun => map_runs::update(&parameters),
        Action::ValidateStateMachineDefinition => definitions::validate(&parameters),
        Action::StartExecution => executions::start(core_ref, parameters).await,
        Action::StartSyncExecution => executions::start_sync(core_ref, parameters).await,
        Action::StopExecution => executions::stop(core_ref, &parameters).await,
        Action::RedriveExecution => executions::redrive(core_ref, &parameters).await,
        Action::DescribeExecution => executions::describe(core_ref, &parameters).await,
        Action::DescribeStateMachineForExecution => {
            state_machines::describe_for_execution(core_ref, &parameters).await
        }
        Action::ListExecutions => executions::list(core_ref, &parameters).await,
        Action::GetExecutionHistory => history::get(core_ref, &parameters).await,
        Action::CreateActivity => activities::create(core_ref, &parameters).await,
        Action::DeleteActivity => activities::delete(core_ref, &parameters).await,
        Action::DescribeActivity => activities::describe(core_ref, &parameters).await,
        Action::ListActivities => activities::list(core_ref, &parameters).await,
        Action::GetActivityTask => return activities::take_task(core_ref, &parameters).await,
        Action::SendTaskSuccess => tasks::succeed(core_ref, &parameters).await,
        Action::SendTaskFailure => tasks::fail(core_ref, &parameters).await,
        Action::SendTaskHeartbeat => tasks::heartbeat(core_ref, &parameters).await,
        Action::TestState => test_state::test(core_ref, parameters).await,
    };
    answer.map(Reply::Json)
}
