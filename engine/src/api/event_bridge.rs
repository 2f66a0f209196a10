//! The bus in EventBridge's words: its rules and targets, and events (EventBridge API reference). There is one
//! bus, `default`; its rules are triggers.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::errors::ApiError;
use super::parameters::{BusAction, Parameters};
use crate::events::bus_rule::BusRule;
use crate::events::envelope::{Arrival, ENTRIES_BYTES_MAX, ENTRIES_MAX, Entry, Envelope};
use crate::events::pattern::Pattern;
use crate::ports::triggers::{KeptTrigger, Origin};
use crate::services::triggers::{Definition, TriggerError};
use crate::services::{Core, Unavailable};

mod rules;
mod targets;

/// Rules of one page where none is asked for.
const LIMIT_DEFAULT: usize = 100;
/// How often a change is tried that others make at the same time.
const RACES_MAX: u32 = 16;

/// Answers a request.
pub async fn act(core: &Core, action: BusAction, parameters: &Parameters) -> Result<Value, ApiError> {
    check_bus(core, parameters.text("EventBusName"))?;
    match action {
        BusAction::PutRule => rules::put(core, parameters).await,
        BusAction::DescribeRule => rules::describe(core, parameters).await,
        BusAction::ListRules => rules::list(core, parameters).await,
        BusAction::EnableRule => rules::enable(core, parameters, true).await,
        BusAction::DisableRule => rules::enable(core, parameters, false).await,
        BusAction::DeleteRule => rules::delete(core, parameters).await,
        BusAction::PutTargets => targets::put(core, parameters).await,
        BusAction::RemoveTargets => targets::remove(core, parameters).await,
        BusAction::ListTargetsByRule => targets::list(core, parameters).await,
        BusAction::PutEvents => put_events(core, parameters).await,
        BusAction::TestEventPattern => test_event_pattern(parameters),
    }
}

/// PutEvents. What is wrong with an entry is its own answer; the others are published.
async fn put_events(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let entries = entries(parameters)?;
    let bytes: usize = entries.iter().map(Entry::bytes).sum();
    if bytes > ENTRIES_BYTES_MAX {
        let message = "Total size of the entries in the request is over the limit.";
        return Err(ApiError::validation(message));
    }
    let mut events = Vec::with_capacity(entries.len());
    let mut answers = Vec::with_capacity(entries.len());
    for entry in entries {
        check_bus(core, entry.event_bus_name.as_deref())?;
        match Envelope::of_entry(entry, arrival(core)) {
            Ok(event) => {
                answers.push(json!({"EventId": event.id}));
                events.push(event);
            }
            Err(error) => {
                answers.push(json!({"ErrorCode": error.code(), "ErrorMessage": error.to_string()}));
            }
        }
    }
    core.put_events(&events).await?;
    let failed = answers.len() - events.len();
    Ok(json!({"FailedEntryCount": failed, "Entries": answers}))
}

fn entries(parameters: &Parameters) -> Result<Vec<Entry>, ApiError> {
    let given = parameters.value("Entries").and_then(Value::as_array).map_or(0, Vec::len);
    if !(1..=ENTRIES_MAX).contains(&given) {
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have \
             length less than or equal to {ENTRIES_MAX} and greater than or equal to 1"
        )));
    }
    let entries = parameters.value("Entries").cloned().unwrap_or_default();
    serde_json::from_value(entries).map_err(|error| ApiError::serialization(error.to_string()))
}

fn arrival(core: &Core) -> Arrival {
    Arrival {
        id: Uuid::new_v4().to_string(),
        account: core.home.account.clone(),
        region: core.home.region.clone(),
        at: core.clock.now(),
    }
}

/// TestEventPattern.
fn test_event_pattern(parameters: &Parameters) -> Result<Value, ApiError> {
    let pattern = pattern(parameters.required("EventPattern"))?;
    let event: Value = serde_json::from_str(parameters.required("Event"))
        .map_err(|error| ApiError::validation(format!("Parameter Event is not valid. Reason: {error}")))?;
    let Value::Object(fields) = &event else {
        return Err(ApiError::validation("Parameter Event is not valid. Reason: it is not a JSON object."));
    };
    for name in ["id", "account", "source", "time", "region", "resources", "detail-type"] {
        if !fields.contains_key(name) {
            return Err(ApiError::validation(format!(
                "Parameter Event is not valid. Reason: the field '{name}' is missing."
            )));
        }
    }
    Ok(json!({"Result": pattern.matches(&event)}))
}

fn pattern(text: &str) -> Result<Pattern, ApiError> {
    Pattern::parse(text).map_err(|error| ApiError::new("InvalidEventPatternException", error.to_string()))
}

/// The only bus, by its name or its ARN.
fn check_bus(core: &Core, name: Option<&str>) -> Result<(), ApiError> {
    let arn = format!("arn:aws:events:{}:{}:event-bus/default", core.home.region, core.home.account);
    match name {
        None | Some("default") => Ok(()),
        Some(name) if name == arn => Ok(()),
        Some(name) => {
            Err(ApiError::new("ResourceNotFoundException", format!("Event bus {name} does not exist.")))
        }
    }
}

/// The rule of this name, with the row that keeps it.
async fn find(core: &Core, name: &str) -> Result<Option<(KeptTrigger, BusRule)>, ApiError> {
    let Some(kept) = core.triggers.trigger(name).await.map_err(Unavailable::from)? else { return Ok(None) };
    match Definition::from_json(&kept.definition) {
        Ok(Definition::Rule(rule)) if kept.origin == Origin::Api => Ok(Some((kept, rule))),
        _ => Err(ApiError::validation(format!(
            "'{name}' is a trigger that was not made by this API; see `warren trigger show {name}`."
        ))),
    }
}

async fn existing(core: &Core, name: &str) -> Result<(KeptTrigger, BusRule), ApiError> {
    find(core, name).await?.ok_or_else(|| {
        let message = format!("Rule {name} does not exist on EventBus default.");
        ApiError::new("ResourceNotFoundException", message)
    })
}

/// Changes a rule, also while others do.
async fn change(
    core: &Core,
    name: &str,
    change: impl Fn(&mut BusRule) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    for _ in 0..RACES_MAX {
        let (kept, mut rule) = existing(core, name).await?;
        change(&mut rule)?;
        match core.change_trigger(&kept, &Definition::Rule(rule)).await {
            Ok(_) => return Ok(()),
            Err(TriggerError::Changed(_)) => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Err(concurrent(name))
}

fn concurrent(name: &str) -> ApiError {
    let message = format!("Rule {name} is being changed by others at the same time; try again.");
    ApiError::new("ConcurrentModificationException", message)
}

fn refused(error: TriggerError) -> ApiError {
    match error {
        TriggerError::Unavailable(error) => error.into(),
        TriggerError::Invalid(problems) => ApiError::validation(problems.join("; ")),
        TriggerError::Taken(_) | TriggerError::Changed(_) => {
            ApiError::new("ConcurrentModificationException", error.to_string())
        }
    }
}

/// A page of named things: those after the token, and the token of the next page.
fn page<T>(
    parameters: &Parameters,
    items: impl Iterator<Item = (String, T)>,
    name: &'static str,
    show: impl Fn(&T) -> Value,
) -> Value {
    let limit = parameters.whole("Limit").and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let from = parameters.text("NextToken").unwrap_or_default();
    let mut rest: Vec<(String, T)> =
        items.filter(|(key, _)| from.is_empty() || key.as_str() > from).take(limit + 1).collect();
    let more = rest.len() > limit;
    rest.truncate(limit);
    let mut answer = Map::new();
    answer.insert(name.to_owned(), rest.iter().map(|(_, item)| show(item)).collect());
    if let (true, Some((last, _))) = (more, rest.last()) {
        answer.insert("NextToken".to_owned(), json!(last));
    }
    Value::Object(answer)
}
