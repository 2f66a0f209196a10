//! Versions of state machines: published, listed, deleted (api.md §3).

use serde_json::{Map, Value, json};

use super::errors::ApiError;
use super::lookup::{self, MachineArn};
use super::pages::PageRequest;
use super::parameters::Parameters;
use crate::ids::RevisionId;
use crate::ports::catalog::versions::{NewVersion, Published, Version};
use crate::ports::catalog::{Machine, Revision};
use crate::services::Core;

/// `revisionId` of a request about the revision that a machine was created with: AWS shows no id of it.
const INITIAL: &str = "INITIAL";

/// PublishStateMachineVersion. A revision that has a version keeps that one.
pub async fn publish(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("stateMachineArn");
    let machine = lookup::machine(core, arn).await?;
    let asked = parameters.text("revisionId");
    let current = shown_id(&machine.revision);
    if let Some(asked) = asked
        && asked != current
    {
        return Err(other_revision(asked, &current));
    }
    let revision = asked.map(|_| machine.revision.id);
    let description = parameters.text("description");
    let version = publish_current(core, &machine, revision, description).await?;
    Ok(json!({
        "stateMachineVersionArn": core.home.qualified(&machine.name, version.number),
        "creationDate": version.created_at.seconds(),
    }))
}

/// Gives the machine's current revision, which must be this one if there is one here, a version.
pub async fn publish_current(
    core: &Core,
    machine: &Machine,
    revision: Option<RevisionId>,
    description: Option<&str>,
) -> Result<Version, ApiError> {
    let versions_max = core.quotas.versions_max;
    let version = NewVersion {
        revision,
        description: description.map(str::to_owned),
        created_at: core.clock.now(),
        versions_max,
    };
    match core.catalog.publish(machine.id, version).await? {
        Published::Version(version) => {
            core.door.forget(&machine.name);
            Ok(version)
        }
        Published::OtherRevision => Err(other_revision(&shown_id(&machine.revision), "another one by now")),
        Published::Full => {
            let arn = core.home.state_machine(&machine.name);
            Err(ApiError::quota(format!(
                "The state machine has {versions_max} versions, the most it can have: '{arn}'"
            )))
        }
        Published::NoMachine => Err(ApiError::no_machine(&core.home.state_machine(&machine.name))),
    }
}

fn shown_id(revision: &Revision) -> String {
    if revision.initial { INITIAL.to_owned() } else { revision.id.to_string() }
}

fn other_revision(asked: &str, current: &str) -> ApiError {
    ApiError::conflict(format!(
        "Failed to publish the State Machine version for revision {asked}. \
         The current State Machine revision is {current}."
    ))
}

/// DeleteStateMachineVersion. Deleting what is gone is no error; what an alias leads to stays.
pub async fn delete(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("stateMachineVersionArn");
    let (name, number) = match lookup::machine_arn(core, arn)? {
        MachineArn::Version { name, number } => (name, number),
        MachineArn::Elsewhere | MachineArn::Alias { .. } => return Ok(json!({})),
        MachineArn::Labelled => return Err(ApiError::labelled(arn)),
        MachineArn::Machine(_) => {
            let message = format!("Give the ARN of a version of a state machine: '{arn}' has no number");
            return Err(ApiError::validation(message));
        }
    };
    let Some(machine) = core.catalog.machine(name).await? else { return Ok(json!({})) };
    let aliases = core.catalog.delete_version(machine.id, number).await?;
    core.door.forget(name);
    if aliases.is_empty() {
        return Ok(json!({}));
    }
    Err(ApiError::conflict(format!(
        "Version to be deleted must not be referenced by an alias. \
         Current list of aliases referencing this version: [{}]",
        aliases.join(", ")
    )))
}

/// ListStateMachineVersions. A machine that is not there has none: the action knows no error for it.
pub async fn list(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("stateMachineArn");
    let name = match lookup::machine_arn(core, arn)? {
        MachineArn::Machine(name) => Some(name),
        MachineArn::Elsewhere => None,
        MachineArn::Labelled => return Err(ApiError::labelled(arn)),
        MachineArn::Version { .. } | MachineArn::Alias { .. } => return Err(ApiError::unqualified(arn)),
    };
    let machine = match name {
        Some(name) => core.catalog.machine(name).await?,
        None => None,
    };
    let Some(machine) = machine else {
        return Ok(PageRequest::read(&core.tokens, "no versions", parameters)?.answer(
            "stateMachineVersions",
            Vec::new(),
            None,
        ));
    };
    let request = PageRequest::read(&core.tokens, format!("versions of {}", machine.id), parameters)?;
    let page = core.catalog.versions(machine.id, request.limit, request.from.as_deref()).await?;
    let items = page.items.iter().map(|version| {
        json!({
            "stateMachineVersionArn": core.home.qualified(&machine.name, version.number),
            "creationDate": version.created_at.seconds(),
        })
    });
    Ok(request.answer("stateMachineVersions", items.collect(), page.next.as_deref()))
}

/// Adds what a description of a version shows in place of the machine's own.
pub fn show(core: &Core, machine: &Machine, version: &Version, answer: &mut Map<String, Value>) {
    answer.insert("stateMachineArn".into(), core.home.qualified(&machine.name, version.number).into());
    answer.insert("creationDate".into(), version.created_at.seconds().into());
    if let Some(description) = &version.description {
        answer.insert("description".into(), description.clone().into());
    }
}
