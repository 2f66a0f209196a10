//! From JSON to a trigger, or to all that is wrong with it.

use serde_json::{Map, Value};

use super::{
    BATCH_SECONDS_MAX, Batch, BrokerName, Count, DESCRIPTION_CHARACTERS_MAX, EventPattern, Machine, NameFrom,
    RETRY_ATTEMPTS_MAX, Retry, RoutingKey, Source, Trigger, TriggerName,
};
use crate::events::input::{self, Input, Template};
use crate::events::pattern::Pattern;
use crate::events::schedule::{Schedule, ScheduleError};
use crate::fields::{Fields, Problem};

/// Reads a trigger.
pub(super) fn trigger(value: &Value) -> Result<Trigger, Vec<Problem>> {
    let Some(object) = value.as_object() else {
        let message = "is not an object; write name, machine and from at least".to_owned();
        return Err(vec![Problem { field: String::new(), message }]);
    };
    let mut problems = Vec::new();
    let trigger = whole(object, &mut problems);
    match trigger {
        Some(trigger) if problems.is_empty() => Ok(trigger),
        _ => Err(problems),
    }
}

/// The trigger, unless a field without which there is none is missing or wrong.
fn whole(object: &Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Trigger> {
    let mut fields = Fields::new(object, "", problems);
    let name = fields.required_text("name", "one of letters, digits, . - and _");
    let name = name.and_then(|name| fields.note("name", TriggerName::new(name)));
    let description = fields.read("description", description);
    let machine = fields.required_text("machine", "the name or ARN of a state machine");
    let machine = machine.and_then(|machine| fields.note("machine", Machine::parse(machine)));
    let from = from(&mut fields);
    let pattern = pattern(&mut fields);
    let input = input(&mut fields).unwrap_or_default();
    let name_from = name_from(&mut fields).unwrap_or_default();
    let batch = batch(&mut fields);
    let rate_per_second = count(&mut fields, "rate_per_second");
    let concurrency = count(&mut fields, "concurrency");
    let retry = retry(&mut fields);
    let dead_letters = fields.read("dead_letters", BrokerName::new);
    let enabled = fields.boolean("enabled").unwrap_or(true);
    check_together(&mut fields, from.as_ref(), &name_from);
    fields.finish();
    let name = name?;
    Some(Trigger {
        description,
        machine: machine?,
        from: from?,
        pattern,
        input,
        name_from,
        batch,
        rate_per_second,
        concurrency,
        retry,
        dead_letters: dead_letters.unwrap_or_else(|| name.dead_letters()),
        enabled,
        name,
    })
}

/// What each field alone does not show.
fn check_together(fields: &mut Fields<'_, '_>, from: Option<&Source>, name_from: &NameFrom) {
    if let Some(Source::Schedule(_)) = from {
        for name in ["pattern", "batch", "name_from"] {
            if fields.has(name) {
                fields.report(name, "is of no use to a schedule, which brings no events; leave it out");
            }
        }
        for name in ["rate_per_second", "concurrency"] {
            if fields.has(name) {
                fields.report(
                    name,
                    "is for messages; a schedule starts one execution at each tick; leave it out",
                );
            }
        }
    }
    if fields.has("batch") && matches!(name_from, NameFrom::Path(_)) {
        let message = "names an execution after one event, but a batch has many; leave one of the two out";
        fields.report("name_from", message);
    }
}

fn description(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if length > DESCRIPTION_CHARACTERS_MAX {
        return Err(format!("has {length} characters; write at most {DESCRIPTION_CHARACTERS_MAX}"));
    }
    Ok(text.to_owned())
}

const FROM: &str = "one of {exchange: …, binding: …}, {queue: …} and {schedule: …, timezone: …}";

fn from(fields: &mut Fields<'_, '_>) -> Option<Source> {
    if !fields.has("from") {
        fields.any("from");
        fields.report("from", format!("is missing; write {FROM}"));
        return None;
    }
    let object = fields.object("from", FROM)?;
    let mut fields = Fields::new(object, "/from", fields.problems());
    let exchange = fields.read("exchange", BrokerName::new);
    let binding = fields.read("binding", RoutingKey::new);
    let queue = fields.read("queue", BrokerName::new);
    let schedule = schedule(&mut fields);
    let given: Vec<&str> =
        ["exchange", "queue", "schedule"].into_iter().filter(|name| fields.has(name)).collect();
    for (companion, of) in [("binding", "exchange"), ("timezone", "schedule")] {
        if fields.has(companion) && !fields.has(of) {
            fields.report(companion, format!("goes with {of} alone; leave it out"));
        }
    }
    if given.len() != 1 {
        let given = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
        fields.report("", format!("has {given}; write {FROM}"));
    }
    fields.finish();
    match (exchange, queue, schedule) {
        (Some(exchange), None, None) => {
            Some(Source::Exchange { exchange, binding: binding.unwrap_or_else(RoutingKey::any) })
        }
        (None, Some(queue), None) => Some(Source::Queue { queue }),
        (None, None, Some(schedule)) => Some(Source::Schedule(schedule)),
        _ => None,
    }
}

fn schedule(fields: &mut Fields<'_, '_>) -> Option<Schedule> {
    let zone = fields.text("timezone");
    let expression = fields.text("schedule")?;
    match Schedule::parse(expression, zone) {
        Ok(schedule) => Some(schedule),
        Err(error @ ScheduleError::Expression(_)) => {
            fields.report("schedule", error.to_string());
            None
        }
        Err(error @ ScheduleError::Zone(_)) => {
            fields.report("timezone", error.to_string());
            None
        }
    }
}

fn pattern(fields: &mut Fields<'_, '_>) -> Option<EventPattern> {
    let source = fields.any("pattern")?;
    match Pattern::compile(source) {
        Ok(compiled) => Some(EventPattern { source: source.clone(), compiled }),
        Err(error) => {
            let place = error.place().filter(|place| *place != "/").unwrap_or_default();
            fields.report(&format!("pattern{place}"), error.reason());
            None
        }
    }
}

const INPUT: &str = "one of {path: …}, {template: …, paths: {…}} and {constant: …}, or leave it out";

fn input(fields: &mut Fields<'_, '_>) -> Option<Input> {
    let object = fields.object("input", INPUT)?;
    let mut fields = Fields::new(object, "/input", fields.problems());
    let path = fields.read("path", Input::path);
    let paths = paths(&mut fields);
    let template = fields.any("template").and_then(|source| template(&mut fields, source, &paths));
    let constant = fields.any("constant").cloned().map(Input::Constant);
    let given: Vec<&str> =
        ["path", "template", "constant"].into_iter().filter(|name| fields.has(name)).collect();
    if fields.has("paths") && !fields.has("template") {
        fields.report("paths", "goes with template alone; leave it out");
    }
    if given.len() != 1 {
        let given = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
        fields.report("", format!("has {given}; write {INPUT}"));
    }
    fields.finish();
    path.or(template).or(constant)
}

/// The paths of a template, as texts.
fn paths(fields: &mut Fields<'_, '_>) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for (name, path) in fields.object("paths", "{name: path}").into_iter().flatten() {
        match path.as_str() {
            Some(path) => paths.push((name.clone(), path.to_owned())),
            None => {
                fields.report(&format!("paths/{name}"), "is not a text; write a path such as $.detail.id")
            }
        }
    }
    paths
}

fn template(fields: &mut Fields<'_, '_>, source: &Value, paths: &[(String, String)]) -> Option<Input> {
    match Template::value(source, paths) {
        Ok(template) => Some(Input::Template(Box::new(template))),
        Err(problems) => {
            for problem in problems {
                fields.report(&problem.place[1..], problem.message);
            }
            None
        }
    }
}

const NAME_FROM: &str = "message_id, or {path: $.detail.id}";

fn name_from(fields: &mut Fields<'_, '_>) -> Option<NameFrom> {
    let value = fields.any("name_from")?;
    if value == "message_id" {
        return Some(NameFrom::MessageId);
    }
    let Some(object) = value.as_object() else {
        fields.report("name_from", format!("is not understood; write {NAME_FROM}"));
        return None;
    };
    let mut fields = Fields::new(object, "/name_from", fields.problems());
    let path = fields.required_text("path", "a path such as $.detail.id");
    let path = path.and_then(|path| fields.note("path", input::path(path)));
    fields.finish();
    path.map(NameFrom::Path)
}

fn batch(fields: &mut Fields<'_, '_>) -> Option<Batch> {
    let object = fields.object("batch", "{messages: 100, seconds: 5}")?;
    let mut fields = Fields::new(object, "/batch", fields.problems());
    let messages = count(&mut fields, "messages");
    let seconds = fields.number("seconds", 0, BATCH_SECONDS_MAX);
    if !fields.has("messages") {
        fields.report("messages", "is missing; write how many a batch may have");
    }
    fields.finish();
    Some(Batch { messages: messages?, seconds: seconds.unwrap_or(1) })
}

fn retry(fields: &mut Fields<'_, '_>) -> Retry {
    let default = Retry::default();
    let Some(object) = fields.object("retry", "{attempts: 5, seconds: 1, seconds_max: 60}") else {
        return default;
    };
    let mut fields = Fields::new(object, "/retry", fields.problems());
    let attempts = fields.number("attempts", 0, RETRY_ATTEMPTS_MAX).unwrap_or(default.attempts);
    let seconds = count(&mut fields, "seconds").unwrap_or(default.seconds);
    let seconds_max = count(&mut fields, "seconds_max");
    if seconds_max.is_some_and(|most| most < seconds) {
        fields.report("seconds_max", "is less than seconds, the first pause");
    }
    fields.finish();
    Retry { attempts, seconds, seconds_max: seconds_max.unwrap_or(default.seconds_max.max(seconds)) }
}

fn count<const MAX: u32>(fields: &mut Fields<'_, '_>, name: &'static str) -> Option<Count<MAX>> {
    fields.number(name, 1, MAX).and_then(Count::new)
}
