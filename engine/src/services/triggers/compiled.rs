//! A trigger as it is worked: what is read from its queue, and what is made of a message.

use asl::data::json;
use asl::data::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::letters;
use super::starting::Order;
use crate::arn::{Arn, Home, Resource};
use crate::events::bus_rule::BusRule;
use crate::events::envelope::{Arrival, Envelope};
use crate::events::execution_name::ExecutionName;
use crate::events::input::{Message, Subject};
use crate::events::rule::{Machine, NameFrom, Source, Trigger};
use crate::events::schedule::Schedule;
use crate::metrics;
use crate::ports::broker::{Delivery, DeliveryTag, Exchange, Headers, Queue};
use crate::ports::triggers::KeptTrigger;

/// What triggers call the bus, whatever the prefix of its exchange is.
const BUS: &str = "warren.triggers";
/// What they call the exchange of status changes.
const EVENTS: &str = "warren.events";

/// What a trigger is defined by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    /// A file, or the command line.
    Trigger(Box<Trigger>),
    /// The EventBridge API.
    Rule(BusRule),
}

impl Definition {
    /// From a trigger's JSON; else every problem.
    pub fn of_trigger(value: &Value) -> Result<Self, Vec<String>> {
        let trigger = Trigger::from_value(value)
            .map_err(|error| error.problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Ok(Definition::Trigger(Box::new(trigger)))
    }

    /// As [`to_json`](Self::to_json) wrote it.
    pub fn from_json(text: &str) -> Result<Self, Vec<String>> {
        serde_json::from_str(text).map_err(|error| vec![error.to_string()])
    }

    /// As it is kept.
    pub fn to_json(&self) -> String {
        // Only maps with keys that are no strings fail here, and there are none in these types.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What people are shown of it.
    pub fn to_value(&self) -> Value {
        match self {
            Definition::Trigger(trigger) => trigger.to_value(),
            Definition::Rule(rule) => serde_json::to_value(rule).unwrap_or_default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Definition::Trigger(trigger) => trigger.name.as_str(),
            Definition::Rule(rule) => &rule.name,
        }
    }

    /// Whether it is to work at all.
    pub fn is_enabled(&self) -> bool {
        match self {
            Definition::Trigger(trigger) => trigger.enabled,
            Definition::Rule(rule) => rule.enabled,
        }
    }

    /// The first tick of its schedule after a time.
    pub(super) fn next_tick(&self, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
        match self {
            Definition::Trigger(trigger) => match &trigger.from {
                Source::Schedule(schedule) => schedule.next_after(after, anchor),
                Source::Exchange { .. } | Source::Queue { .. } => None,
            },
            Definition::Rule(rule) => rule.schedule()?.next_after(after, anchor),
        }
    }

    /// The triggers that it is made of, each with what tells it from the others.
    fn triggers(self) -> Result<Vec<(String, Trigger)>, Vec<String>> {
        match self {
            Definition::Trigger(trigger) => Ok(vec![(String::new(), *trigger)]),
            Definition::Rule(rule) => rule.triggers(),
        }
    }
}

/// Where a trigger's messages come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum From {
    Exchange { exchange: Exchange, binding: String },
    Queue,
    Schedule(Box<Schedule>),
}

/// A trigger, or one target of a rule.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) trigger: Trigger,
    /// What tells it from others of the same trigger.
    pub(super) part: String,
    /// The state machine's name, with a version or an alias behind a colon or not.
    pub(super) machine: String,
    pub(super) from: From,
    /// What it consumes; a schedule nothing.
    pub(super) queue: Option<Queue>,
    pub(super) dead_letters: Queue,
    /// As templates show it.
    rule_arn: String,
    /// Told apart from other rules in the names of executions: a rule names them as EventBridge does, by
    /// nothing that the sender could know.
    named_by: Option<String>,
}

/// An event to try a trigger on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The message's body.
    pub event: Value,
    /// The message's id.
    #[serde(default)]
    pub id: String,
    /// The message's routing key.
    #[serde(default)]
    pub routing_key: String,
    /// The message's headers.
    #[serde(default)]
    pub headers: Headers,
}

/// What would become of an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether it starts an execution.
    pub starts: bool,
    /// The state machine's name, with a version or an alias behind a colon or not.
    pub machine: String,
    /// The execution's name; drawn anew each time if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the execution gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Why nothing is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a message leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    /// It is not meant.
    Ignored,
    /// An execution.
    Order(Order),
    /// It cannot be worked, for this reason.
    Dead(String),
}

/// The name of the state machine that a trigger starts, with the version or the alias behind a colon.
fn machine(machine: &Machine, home: &Home) -> Result<String, String> {
    let text = match machine {
        Machine::Name(name) => return Ok(name.clone()),
        Machine::Arn(text) => text,
    };
    let arn = Arn::parse(text).map_err(|error| format!("/machine: {error}"))?;
    match arn.resource {
        Resource::StateMachine { .. } | Resource::Qualified { .. } if !home.is_home_of(&arn) => Err(format!(
            "/machine: {text} is not of this deployment, whose region is {} and whose account is {}",
            home.region, home.account
        )),
        Resource::StateMachine { name } => Ok(name.to_owned()),
        Resource::Qualified { name, qualifier } => Ok(format!("{name}:{qualifier}")),
        other => Err(format!("/machine: {}", other.out_of_place())),
    }
}

impl Compiled {
    /// All parts of a trigger.
    pub(super) fn all(kept: &KeptTrigger, home: &Home) -> Result<Vec<Self>, Vec<String>> {
        let triggers = Definition::from_json(&kept.definition)?.triggers()?;
        triggers.into_iter().map(|(part, trigger)| Compiled::of(kept, &part, trigger, home)).collect()
    }

    fn of(kept: &KeptTrigger, part: &str, trigger: Trigger, home: &Home) -> Result<Self, Vec<String>> {
        let machine = machine(&trigger.machine, home).map_err(|problem| vec![problem])?;
        // The id is in the name of the queue, so that removing a trigger never meets one that was made again.
        let id = kept.id.0.simple().to_string();
        let own = || {
            let parts = [trigger.name.as_str(), &id[id.len() - 8..], part];
            Queue::trigger(&parts.join(".").trim_end_matches('.').replace(' ', "_"))
        };
        let (from, queue) = match &trigger.from {
            Source::Exchange { exchange, binding } => {
                let exchange = match exchange.as_str() {
                    BUS => Exchange::triggers(),
                    EVENTS => Exchange::events(),
                    name => Exchange::theirs(name),
                };
                (From::Exchange { exchange, binding: binding.as_str().to_owned() }, Some(own()))
            }
            Source::Queue { queue } => (From::Queue, Some(Queue::theirs(queue.as_str()))),
            Source::Schedule(schedule) => (From::Schedule(Box::new(schedule.clone())), None),
        };
        Ok(Compiled {
            part: part.to_owned(),
            machine,
            from,
            queue,
            dead_letters: Queue::theirs(trigger.dead_letters.as_str()),
            named_by: (!part.is_empty()).then(|| format!("{id}/{part}")),
            rule_arn: format!("arn:aws:events:{}:{}:rule/{}", home.region, home.account, trigger.name),
            trigger,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.trigger.name.as_str()
    }

    /// What a message that has just come leads to; it is counted.
    pub(super) fn take(&self, delivery: &Delivery, now: Timestamp) -> Read {
        let read = self.read(delivery, now);
        metrics::triggers::received(self.name(), 1);
        if matches!(read, Read::Order(_)) {
            metrics::triggers::matched(self.name(), 1);
        }
        read
    }

    /// What a message leads to.
    pub(super) fn read(&self, delivery: &Delivery, now: Timestamp) -> Read {
        let text = match std::str::from_utf8(&delivery.body) {
            Ok(text) => text,
            Err(_) => return Read::Dead("its body is not JSON: it is not UTF-8".to_owned()),
        };
        let event = match json::parse(text) {
            Ok(event) => event,
            Err(error) => return Read::Dead(format!("its body is not JSON: {}", error.with_location())),
        };
        if let Some(sent_at) = event.get("time").and_then(Value::as_str).and_then(Timestamp::parse) {
            metrics::triggers::lag(self.name(), now.milliseconds().saturating_sub(sent_at.milliseconds()));
        }
        if self.trigger.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&event)) {
            return Read::Ignored;
        }
        let headers: Map<String, Value> = delivery
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let message = Message {
            id: Some(delivery.id.as_str()).filter(|id| !id.is_empty()),
            routing_key: letters::routing_key(delivery),
            headers: &headers,
        };
        let subject = Subject {
            event: &event,
            rule_name: self.name(),
            rule_arn: &self.rule_arn,
            ingested_at: now,
            message: Some(message),
        };
        let name = match &self.trigger.name_from {
            NameFrom::MessageId => ExecutionName::of_message(&delivery.id),
            NameFrom::Path(path) => match path.evaluate(&event) {
                Ok(found) => ExecutionName::of_value(&found),
                Err(_) => None,
            },
        };
        let name = name.map(|name| match &self.named_by {
            Some(rule) => ExecutionName::of_batch([rule.as_str(), name.as_str()]),
            None => name,
        });
        match self.trigger.input.of(&subject) {
            Ok(input) => Read::Order(Order { name: name.map(ExecutionName::into_string), input, events: 1 }),
            Err(error) => Read::Dead(error.to_string()),
        }
    }

    /// What would become of an event.
    pub(super) fn verdict(&self, sample: &Sample, now: Timestamp) -> Verdict {
        let delivery = Delivery {
            tag: DeliveryTag(0),
            id: sample.id.clone(),
            body: sample.event.to_string().into(),
            reply_to: None,
            correlation_id: None,
            headers: sample.headers.clone(),
            redeliveries: 0,
            routing_key: sample.routing_key.clone(),
        };
        let machine = self.machine.clone();
        let nothing = |reason: String| Verdict {
            starts: false,
            machine: self.machine.clone(),
            name: None,
            input: None,
            reason: Some(reason),
        };
        match self.read(&delivery, now) {
            Read::Ignored => nothing("the pattern does not match".to_owned()),
            Read::Dead(reason) => nothing(format!("it is a dead letter: {reason}")),
            Read::Order(Order { name, input, .. }) if self.trigger.batch.is_some() => {
                let input = Some(Value::Array(vec![input]));
                Verdict { starts: true, machine, name, input, reason: None }
            }
            Read::Order(Order { name, input, .. }) => {
                Verdict { starts: true, machine, name, input: Some(input), reason: None }
            }
        }
    }

    /// What a tick sends, as if it had come in a message.
    pub(super) fn tick_delivery(&self, home: &Home, tick: Timestamp) -> Delivery {
        let id = ExecutionName::of_tick(&self.trigger.name, tick).as_str().to_owned();
        let (account, region) = (home.account.clone(), home.region.clone());
        let arrival = Arrival { id: id.clone(), account, region, at: tick };
        let event = Envelope::scheduled(&self.rule_arn, arrival);
        Delivery {
            tag: DeliveryTag(0),
            id,
            body: event.to_value().to_string().into(),
            reply_to: None,
            correlation_id: None,
            headers: Headers::new(),
            redeliveries: 0,
            routing_key: String::new(),
        }
    }
}
