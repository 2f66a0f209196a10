//! Warren's own API from inside a state machine: `aws-sdk:sfn:ACTION`, alone and `.waitForTaskToken`.
//!
//! Parameters and results are those of the API, with names in Pascal case and dates as ISO 8601. An
//! execution that its task did not name gets a name made from the id of the attempt, and a redrive such a
//! client token: so an engine that asks again finds what it has done.

mod actions;
mod casing;

use std::sync::Arc;

use asl::data::Failure;
use asl::program::Resource;
use async_trait::async_trait;
use serde_json::{Map, Value, json};

use self::actions::{Action, is_modelled};
use crate::message::serialized;
use crate::metadata::derived_uuid;
use crate::parameters::Parameters;
use crate::states::execution_arn;
use crate::{Connector, Request, Submission, service};

const SERVICES: [&str; 1] = ["aws-sdk:sfn"];
/// Parameters that are JSON as text. A task may give the JSON itself.
const TEXTS: [&str; 6] = ["Definition", "Input", "Output", "Variables", "Context", "Cause"];

/// What the connector needs of the engine.
///
/// An implementation must guarantee:
/// * [`call`](Self::call) does what a client's call of the action does, and answers just that, with the
///   idempotency of the action.
/// * Futures may be dropped at any time; the action may then have been done or not.
#[async_trait]
pub trait Api: Send + Sync {
    /// Calls an action (`StartExecution`) with the members of its request, and answers those of its
    /// response: names in camel case, dates as seconds since the epoch.
    async fn call(&self, action: &str, parameters: Value) -> Result<Value, Refused>;
}

/// What the API refused, in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// `StateMachineDoesNotExist`, `ThrottlingException`.
    pub code: String,
    /// The text of the error.
    pub message: String,
    /// The HTTP status that a client would see.
    pub status: u16,
}

/// Calls the API of this engine.
pub struct SfnConnector {
    api: Arc<dyn Api>,
}

impl SfnConnector {
    /// A connector to the API of this engine.
    pub fn new(api: Arc<dyn Api>) -> Self {
        SfnConnector { api }
    }

    /// The execution that this attempt has started before and that has ended since, if that is why its
    /// name is taken.
    async fn started_before(&self, request: &Request, named: &Named, refused: &Refused) -> Option<Value> {
        let Named { own_arn: Some(arn), .. } = named else { return None };
        if !request.again || refused.code != "ExecutionAlreadyExists" {
            return None;
        }
        let described = self.api.call("DescribeExecution", json!({"executionArn": arn})).await.ok()?;
        Some(json!({"executionArn": arn, "startDate": described["startDate"]}))
    }
}

#[async_trait]
impl Connector for SfnConnector {
    /// Some wait for other executions. With fewer places, the requests of those might wait behind them.
    fn held_max(&self) -> usize {
        10_000
    }

    fn name(&self) -> &'static str {
        "sfn"
    }

    fn claims(&self, resource: &Resource) -> bool {
        service::action(resource, &SERVICES).is_some()
    }

    async fn run(&self, request: Request, _submission: &dyn Submission) -> Result<Value, Failure> {
        let action = service::action(&request.resource, &SERVICES).and_then(Action::find);
        let action = action.ok_or_else(|| not_recognized(&request.resource))?;
        let mut members = members(action, &request.parameters)?;
        let named = Named::fill(action, &mut members, &request.id);
        let answer = match self.api.call(action.name, Value::Object(members)).await {
            Ok(answer) => answer,
            Err(refused) => match self.started_before(&request, &named, &refused).await {
                Some(answer) => answer,
                None => return Err(failure(&refused, &request.id)),
            },
        };
        Ok(casing::response(answer))
    }
}

/// The members of the request, all problems reported.
fn members(action: &Action, written: &Value) -> Result<Map<String, Value>, Failure> {
    let known: Vec<&str> = action.required.iter().chain(action.optional).copied().collect();
    let mut parameters = Parameters::new(written, &known);
    for name in action.required {
        parameters.require(name);
    }
    let mut members = Map::new();
    for name in &known {
        if let Some(value) = parameters.value(name) {
            let text = TEXTS.contains(name);
            let value = if text { json!(serialized(value)) } else { casing::request(value.clone()) };
            members.insert(casing::camel(name), value);
        }
    }
    parameters.check()?;
    Ok(members)
}

/// What the connector named by itself.
struct Named {
    /// The execution that it starts: nobody else's can have its name.
    own_arn: Option<String>,
}

impl Named {
    /// Adds the name or the client token that a task left out, made from the id of the attempt.
    fn fill(action: &Action, members: &mut Map<String, Value>, request_id: &str) -> Self {
        let own = || derived_uuid(&format!("sfn:{}", action.name), request_id).to_string();
        match action.name {
            "StartExecution" if !members.contains_key("name") => {
                let machine = members.get("stateMachineArn").and_then(Value::as_str).unwrap_or_default();
                let own_arn = execution_arn(machine, &own());
                members.insert("name".to_owned(), json!(own()));
                Named { own_arn }
            }
            "RedriveExecution" => {
                members.entry("clientToken").or_insert_with(|| json!(own()));
                Named { own_arn: None }
            }
            _ => Named { own_arn: None },
        }
    }
}

/// What AWS says of a resource that it does not know.
fn not_recognized(resource: &Resource) -> Failure {
    let arn = match resource {
        Resource::Activity { arn } | Resource::Function { arn } => arn,
        Resource::Service(service) => &service.arn,
    };
    Failure::runtime(format!(
        "The resource provided {arn} is not recognized. The value is not a valid resource ARN, or the \
         resource is not available in this region."
    ))
}

fn failure(refused: &Refused, request_id: &str) -> Failure {
    let Refused { code, message, status } = refused;
    let exception = match code.as_str() {
        code if !is_modelled(code) => "SfnException".to_owned(),
        code if code.ends_with("Exception") => code.to_owned(),
        code => format!("{code}Exception"),
    };
    let request_id = derived_uuid("sfn", request_id).to_string();
    service::sdk_failure("Sfn", &exception, *status, message, &request_id)
}
