//! Tags of state machines and activities (api.md §3).

use serde_json::{Value, json};

use super::errors::ApiError;
use super::lookup::{self, MachineArn};
use super::parameters::Parameters;
use crate::arn::{Arn, Resource};
use crate::ports::catalog::tags::{Tag, TagOwner, Tagged};
use crate::services::Core;

/// TagResource.
pub async fn add(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("resourceArn");
    let owner = owner(core, arn).await?;
    let tags_max = core.quotas.tags_max;
    match core.catalog.add_tags(&owner, &given(parameters), tags_max).await? {
        Tagged::Done => Ok(json!({})),
        Tagged::Full => Err(too_many(tags_max)),
        Tagged::NoOwner => Err(ApiError::not_found(arn)),
    }
}

/// UntagResource. A key that is not there is no error.
pub async fn remove(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let owner = owner(core, parameters.required("resourceArn")).await?;
    let keys = parameters.value("tagKeys").and_then(Value::as_array).into_iter().flatten();
    let keys: Vec<String> = keys.filter_map(Value::as_str).map(str::to_owned).collect();
    core.catalog.remove_tags(&owner, &keys).await?;
    Ok(json!({}))
}

/// ListTagsForResource.
pub async fn list(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let owner = owner(core, parameters.required("resourceArn")).await?;
    let tags = core.catalog.tags(&owner).await?;
    let tags: Vec<Value> = tags.iter().map(|tag| json!({"key": tag.key, "value": tag.value})).collect();
    Ok(json!({"tags": tags}))
}

/// `tags` of a request that makes their owner: as many as an owner may have.
pub fn of_new(core: &Core, parameters: &Parameters) -> Result<Vec<Tag>, ApiError> {
    let tags = given(parameters);
    match usize::try_from(core.quotas.tags_max) {
        Ok(tags_max) if tags.len() > tags_max => Err(too_many(core.quotas.tags_max)),
        _ => Ok(tags),
    }
}

fn given(parameters: &Parameters) -> Vec<Tag> {
    let tags = parameters.value("tags").and_then(Value::as_array).into_iter().flatten();
    let text = |tag: &Value, member: &str| tag[member].as_str().unwrap_or_default().to_owned();
    tags.map(|tag| Tag { key: text(tag, "key"), value: text(tag, "value") }).collect()
}

fn too_many(tags_max: u32) -> ApiError {
    ApiError::new("TooManyTags", format!("Too many tags: a resource has at most {tags_max}"))
}

/// The machine or the activity that an ARN names. Nothing else has tags, not even a version.
async fn owner(core: &Core, arn: &str) -> Result<TagOwner, ApiError> {
    let found = match Arn::parse(arn)?.resource {
        Resource::Activity { .. } => match lookup::activity_name(core, arn)? {
            Some(name) => {
                core.catalog.activity(name).await?.map(|activity| TagOwner::Activity(activity.name))
            }
            None => None,
        },
        _ => match lookup::machine_arn(core, arn)? {
            MachineArn::Machine(name) => {
                core.catalog.machine(name).await?.map(|machine| TagOwner::Machine(machine.id))
            }
            MachineArn::Version { .. }
            | MachineArn::Alias { .. }
            | MachineArn::Labelled
            | MachineArn::Elsewhere => None,
        },
    };
    found.ok_or_else(|| ApiError::not_found(arn))
}
