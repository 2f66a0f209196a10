//! Rules.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{RACES_MAX, change, concurrent, existing, find, page, pattern, refused};
use crate::api::errors::ApiError;
use crate::api::parameters::Parameters;
use crate::events::bus_rule::BusRule;
use crate::events::schedule::Schedule;
use crate::ports::triggers::Origin;
use crate::services::triggers::{Definition, TriggerError};
use crate::services::{Core, Unavailable};

/// PutRule: makes a rule, or replaces all of it but its targets.
pub async fn put(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let name = parameters.required("Name");
    check_name(name)?;
    let given = given(parameters)?;
    for _ in 0..RACES_MAX {
        let put = match find(core, name).await? {
            Some((kept, rule)) => {
                let changed = BusRule { targets: rule.targets, ..given.clone() };
                core.change_trigger(&kept, &Definition::Rule(changed)).await
            }
            None => core.make_trigger(Origin::Api, &Definition::Rule(given.clone())).await,
        };
        match put {
            Ok(_) => return Ok(json!({"RuleArn": arn(core, name)})),
            Err(TriggerError::Taken(_) | TriggerError::Changed(_)) => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Err(concurrent(name))
}

/// A rule without targets, as a request describes it.
fn given(parameters: &Parameters) -> Result<BusRule, ApiError> {
    let text = |name| parameters.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let (event_pattern, schedule_expression) = (text("EventPattern"), text("ScheduleExpression"));
    if event_pattern.is_none() && schedule_expression.is_none() {
        let message = "Parameter(s) EventPattern or ScheduleExpression must be specified.";
        return Err(ApiError::validation(message));
    }
    if let Some(text) = &event_pattern {
        pattern(text)?;
    }
    if let Some(expression) = &schedule_expression {
        // `at(…)` is the Scheduler's, not a rule's.
        let is_rule = !expression.starts_with("at(");
        if !is_rule || Schedule::parse(expression, None).is_err() {
            return Err(ApiError::validation("Parameter ScheduleExpression is not valid."));
        }
    }
    Ok(BusRule {
        name: parameters.required("Name").to_owned(),
        description: text("Description"),
        event_pattern,
        schedule_expression,
        role_arn: text("RoleArn"),
        enabled: parameters.text("State") != Some("DISABLED"),
        targets: BTreeMap::new(),
    })
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let is_good = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if name.chars().all(is_good) {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+"
    )))
}

/// DescribeRule.
pub async fn describe(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let (_, rule) = existing(core, parameters.required("Name")).await?;
    let mut shown = show(core, &rule);
    if let Value::Object(fields) = &mut shown {
        fields.insert("CreatedBy".to_owned(), json!(core.home.account));
    }
    Ok(shown)
}

/// ListRules, by name.
pub async fn list(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let prefix = parameters.text("NamePrefix").unwrap_or_default();
    let kept = core.triggers.triggers().await.map_err(Unavailable::from)?;
    let rules = kept.into_iter().filter(|kept| kept.origin == Origin::Api && kept.name.starts_with(prefix));
    let rules = rules.filter_map(|kept| match Definition::from_json(&kept.definition) {
        Ok(Definition::Rule(rule)) => Some((kept.name, rule)),
        _ => None,
    });
    Ok(page(parameters, rules, "Rules", |rule| show(core, rule)))
}

fn show(core: &Core, rule: &BusRule) -> Value {
    let mut shown = Map::new();
    let mut say = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            shown.insert(name.to_owned(), json!(value));
        }
    };
    say("Name", Some(&rule.name));
    say("Arn", Some(&arn(core, &rule.name)));
    say("EventPattern", rule.event_pattern.as_deref());
    say("State", Some(if rule.enabled { "ENABLED" } else { "DISABLED" }));
    say("Description", rule.description.as_deref());
    say("ScheduleExpression", rule.schedule_expression.as_deref());
    say("RoleArn", rule.role_arn.as_deref());
    say("EventBusName", Some("default"));
    Value::Object(shown)
}

/// EnableRule and DisableRule.
pub async fn enable(core: &Core, parameters: &Parameters, enabled: bool) -> Result<Value, ApiError> {
    change(core, parameters.required("Name"), |rule| {
        rule.enabled = enabled;
        Ok(())
    })
    .await?;
    Ok(json!({}))
}

/// DeleteRule. Deleting what is gone is no error.
pub async fn delete(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    if let Some((kept, rule)) = find(core, parameters.required("Name")).await? {
        if !rule.targets.is_empty() {
            return Err(ApiError::validation("Rule can't be deleted since it has targets."));
        }
        core.remove_trigger(&kept).await.map_err(refused)?;
    }
    Ok(json!({}))
}

fn arn(core: &Core, name: &str) -> String {
    format!("arn:aws:events:{}:{}:rule/{name}", core.home.region, core.home.account)
}
