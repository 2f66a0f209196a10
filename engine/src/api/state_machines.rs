//! State machines and their revisions.

use std::sync::Arc;
use std::time::Duration;

use asl::data::Failure;
use asl::definition::{WorkflowType, check};
use serde_json::{Map, Value, json};

use super::definitions::{accept, type_word, workflow_type};
use super::errors::ApiError;
use super::lookup::{self, MachineArn};
use super::pages::PageRequest;
use super::parameters::Parameters;
use super::settings::{Settings, publishes};
use super::{tags, versions};
use crate::ids::{MachineId, RevisionId};
use crate::names;
use crate::ports::catalog::{Created, ExecutionFilter, Machine, Revision, StartedBy, Updated};
use crate::ports::store::ExecutionStatus;
use crate::services::{Core, Unavailable};

/// Executions that the end of a machine stops at a time.
const STOPPED_PER_PAGE: u32 = 100;
/// Between two attempts to stop them while the store is away.
const STOP_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often that is tried before the executions are left to run on.
const STOP_ATTEMPTS_MAX: u32 = 600;

/// CreateStateMachine. The same machine again answers the one that is there; role and tags may differ.
pub async fn create(core: &Core, mut parameters: Parameters) -> Result<Value, ApiError> {
    let name = parameters.required("name").to_owned();
    names::check(&name)?;
    let role_arn = role(parameters.required("roleArn"))?;
    let settings = Settings::read(&parameters)?;
    check_description(&parameters)?;
    let tags = tags::of_new(core, &parameters)?;
    let workflow_type = workflow_type(&parameters);
    let definition = parameters.take_text("definition").unwrap_or_default();
    accept(&definition, workflow_type)?;
    let now = core.clock.now();
    let revision = Revision {
        id: RevisionId::new(),
        initial: true,
        definition,
        role_arn,
        settings: settings.to_stored(),
        created_at: now,
    };
    let machine = Machine { id: MachineId::new(), name, workflow_type, created_at: now, revision };
    check_room(core, &machine.name).await?;
    let machine = match core.catalog.create_machine(machine.clone(), tags).await? {
        Created::New => machine,
        Created::Exists(present) if is_same(&present, &machine, &settings)? => present,
        Created::Exists(present) => {
            let arn = core.home.state_machine(&present.name);
            let message = format!("State Machine Already Exists: '{arn}'");
            return Err(ApiError::new("StateMachineAlreadyExists", message));
        }
    };
    core.door.forget(&machine.name);
    let mut answer = Map::new();
    answer.insert("stateMachineArn".into(), core.home.state_machine(&machine.name).into());
    answer.insert("creationDate".into(), machine.created_at.seconds().into());
    publish_if_asked(core, &machine, &parameters, &mut answer).await?;
    Ok(Value::Object(answer))
}

/// Whether one more machine may be made; the same again needs no room. Two that are made at the same time may both
/// find the last place free.
async fn check_room(core: &Core, name: &str) -> Result<(), ApiError> {
    let machines_max = core.quotas.state_machines_max;
    let is_full = core.catalog.count_machines().await? >= u64::from(machines_max);
    if is_full && core.catalog.machine(name).await?.is_none() {
        let message = format!(
            "State Machine Limit Exceeded: there are {machines_max} state machines, the most there can be"
        );
        return Err(ApiError::new("StateMachineLimitExceeded", message));
    }
    Ok(())
}

/// Adds the ARN of the version that the request asks for. A request that is made again, because its answer was lost or
/// because this failed, gets the same version.
async fn publish_if_asked(
    core: &Core,
    machine: &Machine,
    parameters: &Parameters,
    answer: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    if publishes(parameters) {
        let description = parameters.text("versionDescription");
        let version =
            versions::publish_current(core, machine, Some(machine.revision.id), description).await?;
        let arn = core.home.qualified(&machine.name, version.number);
        answer.insert("stateMachineVersionArn".into(), arn.into());
    }
    Ok(())
}

/// Definitions are compared as text, as on AWS.
fn is_same(present: &Machine, asked: &Machine, settings: &Settings) -> Result<bool, ApiError> {
    Ok(present.workflow_type == asked.workflow_type
        && present.revision.definition == asked.revision.definition
        && Settings::stored(&present.revision.settings)?.is_made_like(settings))
}

/// How often a change is made anew that another one has overtaken.
const UPDATE_TRIES: usize = 5;

/// UpdateStateMachine. What changes nothing makes no revision. Changes of different members that are made at once
/// are all made.
pub async fn update(core: &Core, mut parameters: Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("stateMachineArn").to_owned();
    let mut machine = lookup::machine(core, &arn).await?;
    const CHANGES: [&str; 5] =
        ["definition", "roleArn", "loggingConfiguration", "tracingConfiguration", "encryptionConfiguration"];
    if !CHANGES.iter().any(|name| parameters.has(name)) {
        let message = "Either the definition, the role ARN, the LoggingConfiguration, \
                       or the TracingConfiguration must be specified";
        return Err(ApiError::new("MissingRequiredParameter", message));
    }
    check_description(&parameters)?;
    let role_arn = parameters.text("roleArn").map(role).transpose()?;
    let definition = parameters.take_text("definition");
    if let Some(definition) = &definition {
        accept(definition, machine.workflow_type)?;
    }
    for _ in 0..UPDATE_TRIES {
        let changed = changed(core, &machine, definition.as_ref(), role_arn.as_ref(), &parameters)?;
        if let Some(revision) = changed {
            let from = machine.revision.id;
            let updated = core.catalog.update_machine(machine.id, from, revision.clone()).await?;
            core.door.forget(&machine.name);
            match updated {
                Updated::Done => machine.revision = revision,
                Updated::Gone => return Err(ApiError::no_machine(&arn)),
                Updated::Overtaken => {
                    machine = lookup::machine(core, &arn).await?;
                    continue;
                }
            }
        }
        let mut answer = Map::new();
        answer.insert("updateDate".into(), machine.revision.created_at.seconds().into());
        show_revision_id(&machine.revision, &mut answer);
        publish_if_asked(core, &machine, &parameters, &mut answer).await?;
        return Ok(Value::Object(answer));
    }
    Err(ApiError::conflict("The state machine is being changed by others; try again"))
}

/// The revision that a change makes; `None` where it changes nothing.
fn changed(
    core: &Core,
    machine: &Machine,
    definition: Option<&String>,
    role_arn: Option<&String>,
    parameters: &Parameters,
) -> Result<Option<Revision>, ApiError> {
    let present = &machine.revision;
    let before = Settings::stored(&present.settings)?;
    let settings = before.clone().changed(parameters)?;
    let revision = Revision {
        id: RevisionId::new(),
        initial: false,
        definition: definition.unwrap_or(&present.definition).clone(),
        role_arn: role_arn.unwrap_or(&present.role_arn).clone(),
        settings: settings.to_stored(),
        created_at: core.clock.now(),
    };
    let unchanged = revision.definition == present.definition
        && revision.role_arn == present.role_arn
        && settings.is_like(&before);
    Ok((!unchanged).then_some(revision))
}

/// DeleteStateMachine. Deleting what is gone is no error. Its executions are stopped afterwards.
pub async fn delete(core: Arc<Core>, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("stateMachineArn");
    let name = match lookup::machine_arn(&core, arn)? {
        MachineArn::Machine(name) => name,
        MachineArn::Elsewhere => return Ok(json!({})),
        MachineArn::Labelled => return Err(ApiError::labelled(arn)),
        MachineArn::Version { .. } | MachineArn::Alias { .. } => return Err(ApiError::unqualified(arn)),
    };
    let deleted = match core.catalog.machine(name).await? {
        Some(machine) => core.catalog.delete_machine(machine.id).await?.then_some(machine),
        None => None,
    };
    core.door.forget(name);
    if let Some(machine) = deleted
        && machine.workflow_type == WorkflowType::Standard
    {
        tokio::spawn(stop_executions(core, machine.id));
    }
    Ok(json!({}))
}

/// Stops what runs of a machine that is gone. No new execution can start by then.
async fn stop_executions(core: Arc<Core>, machine: MachineId) {
    for _ in 0..STOP_ATTEMPTS_MAX {
        match stop_all(&core, machine).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%machine, %error, "the executions of a deleted state machine are not stopped yet");
                tokio::time::sleep(STOP_AGAIN_AFTER).await;
            }
        }
    }
    tracing::error!(%machine, "executions of a deleted state machine run on");
}

async fn stop_all(core: &Core, machine: MachineId) -> Result<(), Unavailable> {
    let status = Some(ExecutionStatus::Running);
    let filter = ExecutionFilter { machine, started_by: StartedBy::Any, status };
    loop {
        // Always the first ones: what is stopped leaves the list, and a redrive takes its first place.
        let page = core.catalog.executions(&filter, STOPPED_PER_PAGE, None).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        for execution in page.items {
            let failure = Failure { error: None, cause: Some("The state machine was deleted.".to_owned()) };
            core.stop_execution(execution.id, failure).await?;
        }
    }
}

/// DescribeStateMachine, of a machine or of a version.
pub async fn describe(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("stateMachineArn");
    let mut answer = Map::new();
    let machine = match lookup::machine_arn(core, arn)? {
        MachineArn::Version { name, number } => {
            let found = core.catalog.version(name, number).await?;
            let (machine, version) = found.ok_or_else(|| ApiError::no_machine(arn))?;
            versions::show(core, &machine, &version, &mut answer);
            machine
        }
        _ => {
            let machine = lookup::machine(core, arn).await?;
            answer.insert("stateMachineArn".into(), core.home.state_machine(&machine.name).into());
            answer.insert("creationDate".into(), machine.created_at.seconds().into());
            machine
        }
    };
    answer.insert("status".into(), "ACTIVE".into());
    answer.insert("type".into(), type_word(machine.workflow_type).into());
    show(machine.name, &machine.revision, &mut answer)?;
    Ok(Value::Object(answer))
}

/// DescribeStateMachineForExecution: as it was when the execution started.
pub async fn describe_for_execution(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("executionArn");
    let execution = lookup::execution(core, arn).await?;
    let revision = core.catalog.revision(execution.revision).await?;
    let revision = revision.ok_or_else(|| ApiError::no_execution(arn))?;
    let mut answer = Map::new();
    answer.insert("stateMachineArn".into(), core.home.state_machine(&execution.machine_name).into());
    answer.insert("updateDate".into(), revision.created_at.seconds().into());
    show(execution.machine_name, &revision, &mut answer)?;
    Ok(Value::Object(answer))
}

/// What both descriptions show of a revision.
fn show(name: String, revision: &Revision, answer: &mut Map<String, Value>) -> Result<(), ApiError> {
    answer.insert("name".into(), name.into());
    answer.insert("definition".into(), revision.definition.clone().into());
    answer.insert("roleArn".into(), revision.role_arn.clone().into());
    show_revision_id(revision, answer);
    Settings::stored(&revision.settings)?.describe(answer);
    let checked = check(&revision.definition, WorkflowType::Standard);
    if !checked.variable_references.is_empty() {
        answer.insert("variableReferences".into(), json!(checked.variable_references));
    }
    // As recorded: what was described in the language of today shows the encryption that is always there.
    if checked.program.is_some_and(|program| program.uses_variables_or_jsonata()) {
        answer.entry("encryptionConfiguration").or_insert_with(|| json!({"type": "AWS_OWNED_KEY"}));
    }
    Ok(())
}

/// AWS shows no id of the revision that a machine was created with.
fn show_revision_id(revision: &Revision, answer: &mut Map<String, Value>) {
    if !revision.initial {
        answer.insert("revisionId".into(), revision.id.to_string().into());
    }
}

/// ListStateMachines.
pub async fn list(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let request = PageRequest::read(&core.tokens, "state machines", parameters)?;
    let page = core.catalog.machines(request.limit, request.from.as_deref()).await?;
    let items = page.items.iter().map(|machine| {
        json!({
            "stateMachineArn": core.home.state_machine(&machine.name),
            "name": machine.name,
            "type": type_word(machine.workflow_type),
            "creationDate": machine.created_at.seconds(),
        })
    });
    Ok(request.answer("stateMachines", items.collect(), page.next.as_deref()))
}

fn check_description(parameters: &Parameters) -> Result<(), ApiError> {
    if parameters.has("versionDescription") && !publishes(parameters) {
        return Err(ApiError::validation("Version description can only be set when publish is true"));
    }
    Ok(())
}

/// Any role will do that looks like one: nothing here assumes it.
fn role(arn: &str) -> Result<String, ApiError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, "iam", _, _, resource]
            if !partition.is_empty()
                && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty()) =>
        {
            Ok(arn.to_owned())
        }
        _ => Err(ApiError::new("InvalidArn", format!("Invalid Role Arn: '{arn}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_looks_like_one() {
        let good = [
            "arn:aws:iam::000000000000:role/r",
            "arn:aws:iam::1:role/service-role/r",
            "arn:aws-cn:iam::1:role/r",
        ];
        for arn in good {
            assert_eq!(role(arn).as_deref(), Ok(arn));
        }
        let bad =
            ["", "r", "arn:aws:iam::1:user/u", "arn:aws:iam::1:role/", "arn:aws:states:us-east-1:1:role/r"];
        for arn in bad {
            let expected = ApiError::new("InvalidArn", format!("Invalid Role Arn: '{arn}'"));
            assert_eq!(role(arn), Err(expected));
        }
    }
}
