//! From a trigger to JSON, in the order of the file.

use serde_json::{Map, Value, json};

use super::{Batch, NameFrom, Source, Trigger};
use crate::events::input::Input;

/// Writes a trigger.
pub(super) fn trigger(trigger: &Trigger) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    };
    put("name", Some(trigger.name.as_str().into()));
    put("description", trigger.description.as_deref().map(Value::from));
    put("machine", Some(trigger.machine.as_str().into()));
    put("from", Some(from(&trigger.from)));
    put("pattern", trigger.pattern.as_ref().map(|pattern| pattern.source.clone()));
    put("input", input(&trigger.input));
    put("name_from", name_from(trigger));
    put("batch", trigger.batch.map(batch));
    put("rate_per_second", trigger.rate_per_second.map(|count| count.get().into()));
    put("concurrency", trigger.concurrency.map(|count| count.get().into()));
    put("retry", Some(retry(trigger)));
    put("dead_letters", Some(trigger.dead_letters.as_str().into()));
    put("enabled", Some(trigger.enabled.into()));
    Value::Object(object)
}

fn from(source: &Source) -> Value {
    match source {
        Source::Exchange { exchange, binding } => {
            json!({"exchange": exchange.as_str(), "binding": binding.as_str()})
        }
        Source::Queue { queue } => json!({"queue": queue.as_str()}),
        Source::Schedule(schedule) => {
            json!({"schedule": schedule.expression(), "timezone": schedule.zone()})
        }
    }
}

fn input(input: &Input) -> Option<Value> {
    Some(match input {
        Input::Whole => return None,
        Input::Constant(value) => json!({"constant": value}),
        Input::Path(path) => json!({"path": path.text()}),
        Input::Template(template) if template.paths().is_empty() => json!({"template": template.source()}),
        Input::Template(template) => {
            let paths: Map<String, Value> =
                template.paths().iter().map(|(name, path)| (name.clone(), path.as_str().into())).collect();
            json!({"template": template.source(), "paths": paths})
        }
    })
}

/// A schedule's executions are named after their time, whatever stands here.
fn name_from(trigger: &Trigger) -> Option<Value> {
    match (&trigger.from, &trigger.name_from) {
        (Source::Schedule(_), _) => None,
        (_, NameFrom::MessageId) => Some("message_id".into()),
        (_, NameFrom::Path(path)) => Some(json!({"path": path.text()})),
    }
}

fn batch(batch: Batch) -> Value {
    json!({"messages": batch.messages.get(), "seconds": batch.seconds})
}

fn retry(trigger: &Trigger) -> Value {
    let retry = trigger.retry;
    json!({
        "attempts": retry.attempts,
        "seconds": retry.seconds.get(),
        "seconds_max": retry.seconds_max.get(),
    })
}
