//! Targets of rules: state machines.

use serde_json::{Value, json};

use super::{change, existing, page};
use crate::api::errors::ApiError;
use crate::api::parameters::Parameters;
use crate::arn::Arn;
use crate::events::bus_rule::{TARGETS_MAX, Target};
use crate::services::Core;

/// PutTargets: adds targets, or replaces those with the same id. What is wrong with one is its own answer.
pub async fn put(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let given = parameters.value("Targets").cloned().unwrap_or_default();
    let given: Vec<Target> =
        serde_json::from_value(given).map_err(|error| ApiError::serialization(error.to_string()))?;
    let (mut failed, mut good) = (Vec::new(), Vec::new());
    for target in given {
        match check(core, &target) {
            Ok(()) => good.push(target),
            Err(message) => failed.push(failure(&target.id, "InvalidArgument", &message)),
        }
    }
    let name = parameters.required("Rule");
    change(core, name, |rule| {
        rule.targets.extend(good.iter().map(|target| (target.id.clone(), target.clone())));
        if rule.targets.len() > TARGETS_MAX {
            let message = "The requested resource exceeds the maximum number allowed.";
            return Err(ApiError::new("LimitExceededException", message));
        }
        Ok(())
    })
    .await?;
    Ok(json!({"FailedEntryCount": failed.len(), "FailedEntries": failed}))
}

/// Why a target cannot be one.
fn check(core: &Core, target: &Target) -> Result<(), String> {
    let is_ours = Arn::parse(&target.arn).is_ok_and(|arn| core.home.is_home_of(&arn));
    if target.machine().is_none() || !is_ours {
        return Err(format!(
            "Parameter {} is not valid. Reason: only state machines of this Warren can be targets.",
            target.arn
        ));
    }
    let inputs = [target.input.is_some(), target.input_path.is_some(), target.input_transformer.is_some()];
    if inputs.into_iter().filter(|given| *given).count() > 1 {
        let reason = "Only one of Input, InputPath, or InputTransformer must be provided for target";
        return Err(format!("{reason} {}.", target.id));
    }
    target.reading().map(|_| ())
}

/// RemoveTargets.
pub async fn remove(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let ids: Vec<&str> = parameters
        .value("Ids")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let name = parameters.required("Rule");
    let (_, rule) = existing(core, name).await?;
    let unknown = ids.iter().filter(|id| !rule.targets.contains_key(**id));
    let message = format!("Rule {name} does not have a target with this id.");
    let failed: Vec<Value> = unknown.map(|id| failure(id, "ResourceNotFoundException", &message)).collect();
    change(core, name, |rule| {
        rule.targets.retain(|id, _| !ids.contains(&id.as_str()));
        Ok(())
    })
    .await?;
    Ok(json!({"FailedEntryCount": failed.len(), "FailedEntries": failed}))
}

/// ListTargetsByRule, by id.
pub async fn list(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let (_, rule) = existing(core, parameters.required("Rule")).await?;
    // Only maps with keys that are no strings fail here, and a target has none.
    let show = |target: &Target| serde_json::to_value(target).unwrap_or_default();
    Ok(page(parameters, rule.targets.into_iter(), "Targets", show))
}

fn failure(id: &str, code: &str, message: &str) -> Value {
    json!({"TargetId": id, "ErrorCode": code, "ErrorMessage": message})
}
