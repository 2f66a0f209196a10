//! From the ARN in a request to what it names.
//!
//! An ARN of another region, account or partition is in order but names nothing here: the answer is that
//! the thing does not exist.

use super::errors::ApiError;
use crate::arn::{Arn, Resource, version_number};
use crate::ports::catalog::{Execution, Machine};
use crate::services::Core;
use crate::services::door::Startable;

/// What the ARN of a state machine names.
#[derive(Debug, PartialEq, Eq)]
pub enum MachineArn<'a> {
    /// The machine of this name.
    Machine(&'a str),
    /// A version of a machine.
    Version {
        /// The machine's name.
        name: &'a str,
        /// Its number.
        number: u32,
    },
    /// An alias of a machine.
    Alias {
        /// The machine's name.
        name: &'a str,
        /// Its own.
        alias: &'a str,
    },
    /// A Distributed Map in a machine.
    Labelled,
    /// A machine elsewhere.
    Elsewhere,
}

/// Reads the ARN of a state machine.
pub fn machine_arn<'a>(core: &Core, text: &'a str) -> Result<MachineArn<'a>, ApiError> {
    let arn = Arn::parse(text)?;
    let named = match arn.resource {
        Resource::StateMachine { name } => MachineArn::Machine(name),
        Resource::Qualified { name, qualifier } => match version_number(qualifier) {
            Some(number) => MachineArn::Version { name, number },
            None => MachineArn::Alias { name, alias: qualifier },
        },
        Resource::Labelled { .. } => MachineArn::Labelled,
        other => return Err(other.out_of_place().into()),
    };
    Ok(if core.home.is_home_of(&arn) { named } else { MachineArn::Elsewhere })
}

/// The machine that an ARN names; a version or an alias is none.
pub async fn machine(core: &Core, text: &str) -> Result<Machine, ApiError> {
    let found = match machine_arn(core, text)? {
        MachineArn::Machine(name) => core.catalog.machine(name).await?,
        MachineArn::Labelled => return Err(ApiError::labelled(text)),
        MachineArn::Version { .. } | MachineArn::Alias { .. } | MachineArn::Elsewhere => None,
    };
    found.ok_or_else(|| ApiError::no_machine(text))
}

/// What an ARN names, a machine, a version or an alias, to start an execution of.
pub async fn machine_to_start(core: &Core, text: &str) -> Result<Startable, ApiError> {
    let found = match machine_arn(core, text)? {
        MachineArn::Machine(name) => core.machine_to_start(name).await?,
        MachineArn::Version { name, number } => core.machine_to_start(&format!("{name}:{number}")).await?,
        MachineArn::Alias { name, alias } => core.machine_to_start(&format!("{name}:{alias}")).await?,
        MachineArn::Labelled => return Err(ApiError::labelled(text)),
        MachineArn::Elsewhere => None,
    };
    found.ok_or_else(|| ApiError::no_machine(text))
}

/// The Standard execution that an ARN names.
pub async fn execution(core: &Core, text: &str) -> Result<Execution, ApiError> {
    let arn = Arn::parse(text)?;
    let Resource::Execution { machine, name } = arn.resource else {
        return Err(arn.resource.out_of_place().into());
    };
    let found = if core.home.is_home_of(&arn) { core.catalog.execution(machine, name).await? } else { None };
    found.ok_or_else(|| ApiError::no_execution(text))
}

/// The name of the activity that an ARN names; `None` if it would be elsewhere.
pub fn activity_name<'a>(core: &Core, text: &'a str) -> Result<Option<&'a str>, ApiError> {
    let arn = Arn::parse(text)?;
    let Resource::Activity { name } = arn.resource else {
        return Err(arn.resource.out_of_place().into());
    };
    Ok(core.home.is_home_of(&arn).then_some(name))
}
