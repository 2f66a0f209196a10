//! Triggers: what starts an execution of which state machine, and how.
//!
//! A trigger is a file (`triggers/*.yaml` or `.json`), the body of an API call, and a row in the store; in all
//! of them it is the same object, described by `schemas/triggers/trigger.json`:
//!
//! ```yaml
//! name: orders                     # letters, digits, . - and _; at most 64
//! description: Orders of the shop
//! machine: order                   # name or ARN, also of a version or an alias
//! from:                            # one of exchange, queue and schedule
//!   exchange: warren.triggers      # events that are published there
//!   binding: order.#               # with this routing key; # unless given
//!   # queue: jobs                  # or the messages of a queue that exists
//!   # schedule: rate(5 minutes)    # or the clock
//!   # timezone: Europe/Berlin      # UTC unless given
//! pattern: { source: [shop], detail-type: [OrderPlaced] }
//! input: { path: $.detail }        # or {template: …, paths: {name: path}}, or {constant: …}; else the event
//! name_from: message_id            # of the execution; or {path: $.detail.id}
//! batch: { messages: 100, seconds: 5 }
//! rate_per_second: 50              # starts in a second, of each process
//! concurrency: 20                  # executions of this trigger that may be open
//! retry: { attempts: 5, seconds: 1, seconds_max: 60 }
//! dead_letters: orders.dead        # a queue; trigger-<name>.dead unless given
//! enabled: true
//! ```
//!
//! Reading one reports every problem, each with its field and with what to write there.

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path as FilePath;

use asl::data::json;
use asl::data::path::{Path, PathError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::execution_name::ExecutionName;
use super::input::Input;
use super::pattern::Pattern;
use super::schedule::Schedule;
use crate::yaml;

mod invalid;
mod names;
mod read;
mod write;

pub use crate::fields::Problem;
pub use invalid::InvalidTrigger;
pub use names::{BrokerName, InvalidText, Machine, RoutingKey, TriggerName};

/// Longest trigger, in bytes (64 KiB).
pub const TRIGGER_BYTES_MAX: usize = 65_536;
/// Most values in a trigger that is YAML, those that aliases repeat included.
const YAML_NODES_MAX: usize = 10_000;
/// Longest description, in characters, as of an EventBridge rule.
pub const DESCRIPTION_CHARACTERS_MAX: usize = 512;
/// Most messages of one batch.
pub const BATCH_MESSAGES_MAX: u32 = 1_000;
/// Longest time that a batch waits to fill.
pub const BATCH_SECONDS_MAX: u32 = 300;
/// Most starts in a second that a trigger can be held to.
pub const RATE_PER_SECOND_MAX: u32 = 100_000;
/// Most open executions that a trigger can be held to.
pub const CONCURRENCY_MAX: u32 = 1_000_000;
/// Most further tries of a start that fails, as of an EventBridge target.
pub const RETRY_ATTEMPTS_MAX: u32 = 185;
/// Longest pause between two tries (a day).
pub const RETRY_SECONDS_MAX: u32 = 86_400;

/// A trigger, ready to work.
///
/// ```
/// use engine::events::rule::Trigger;
///
/// let text = "{name: orders, machine: order, from: {queue: jobs}, concurrency: 0, colour: red}";
/// let error = Trigger::parse_yaml(text, "orders.yaml").unwrap_err();
/// let fields: Vec<&str> = error.problems.iter().map(|problem| problem.field.as_str()).collect();
/// assert_eq!(fields, ["/concurrency", "/colour"]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Trigger {
    /// Its name.
    pub name: TriggerName,
    /// For people.
    pub description: Option<String>,
    /// What it starts.
    pub machine: Machine,
    /// What sets it off.
    pub from: Source,
    /// Which events are meant; all if absent.
    pub pattern: Option<EventPattern>,
    /// What the execution gets.
    pub input: Input,
    /// What the execution is called.
    pub name_from: NameFrom,
    /// Whether one execution gets many events.
    pub batch: Option<Batch>,
    /// Starts in a second, of each process.
    pub rate_per_second: Option<Count<RATE_PER_SECOND_MAX>>,
    /// Executions of this trigger that may be open.
    pub concurrency: Option<Count<CONCURRENCY_MAX>>,
    /// What happens when a start fails.
    pub retry: Retry,
    /// Where events go that could not start an execution.
    pub dead_letters: BrokerName,
    /// Whether it works.
    pub enabled: bool,
}

/// What sets a trigger off.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Messages that are published to an exchange, through a queue of the trigger's own.
    Exchange {
        /// The exchange; `warren.triggers` is the bus.
        exchange: BrokerName,
        /// What that queue is bound with.
        binding: RoutingKey,
    },
    /// The messages of a queue that exists.
    Queue {
        /// The queue.
        queue: BrokerName,
    },
    /// The clock.
    Schedule(Schedule),
}

/// A pattern with its text as a value.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPattern {
    source: Value,
    compiled: Pattern,
}

impl EventPattern {
    /// From its text: of two members of one name a JSON value keeps the last, a pattern both.
    pub fn parse(text: &str) -> Result<Self, String> {
        let compiled = Pattern::parse(text).map_err(|error| error.to_string())?;
        let source = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(EventPattern { source, compiled })
    }

    /// The pattern as written.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Whether an event is meant.
    pub fn matches(&self, event: &Value) -> bool {
        self.compiled.matches(event)
    }
}

/// What an execution is called.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum NameFrom {
    /// After the id of the message; for a schedule after the time it was due.
    #[default]
    MessageId,
    /// After what a path finds in the event.
    Path(Path),
}

impl NameFrom {
    /// The name for one event; none if there is nothing to name it after.
    pub fn name(&self, event: &Value, message_id: Option<&str>) -> Result<Option<ExecutionName>, PathError> {
        match self {
            NameFrom::MessageId => Ok(message_id.and_then(ExecutionName::of_message)),
            NameFrom::Path(path) => match path.evaluate(event) {
                Ok(found) => Ok(ExecutionName::of_value(&found)),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

/// How many events one execution gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// At most so many.
    pub messages: Count<BATCH_MESSAGES_MAX>,
    /// Those that come in so many seconds; 0: those that are there.
    pub seconds: u32,
}

/// What happens when a start fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Further tries; none if 0.
    pub attempts: u32,
    /// Pause before the first of them; it doubles from try to try.
    pub seconds: Count<RETRY_SECONDS_MAX>,
    /// The longest pause.
    pub seconds_max: Count<RETRY_SECONDS_MAX>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { attempts: 5, seconds: Count::of::<1>(), seconds_max: Count::of::<60>() }
    }
}

impl Retry {
    /// Seconds to pause after so many tries have failed; none if there is no further one.
    pub fn pause_seconds(&self, failed: u32) -> Option<u32> {
        let further = failed.checked_sub(1)?;
        if further >= self.attempts {
            return None;
        }
        let doubled = 2_u32.checked_pow(further).and_then(|times| self.seconds.get().checked_mul(times));
        Some(doubled.map_or(self.seconds_max.get(), |seconds| seconds.min(self.seconds_max.get())))
    }
}

/// A number from 1 to a maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count<const MAX: u32>(NonZeroU32);

impl<const MAX: u32> Count<MAX> {
    /// The number, if it is one of them.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).filter(|number| number.get() <= MAX).map(Count)
    }

    /// A number that is known while this is compiled.
    const fn of<const NUMBER: u32>() -> Self {
        const {
            assert!(NUMBER <= MAX);
            match NonZeroU32::new(NUMBER) {
                Some(number) => Count(number),
                None => panic!("a count is at least 1"),
            }
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl<const MAX: u32> fmt::Display for Count<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Trigger {
    /// Reads a trigger's file: JSON or YAML, by its extension. It is named in the error.
    pub fn parse(text: &str, file: &FilePath) -> Result<Trigger, InvalidTrigger> {
        let name = file.display().to_string();
        let is_json = file.extension().is_some_and(|extension| extension == "json");
        if is_json { Trigger::parse_json(text, &name) } else { Trigger::parse_yaml(text, &name) }
    }

    /// Reads a trigger in YAML. `file` is named in the error.
    pub fn parse_yaml(text: &str, file: &str) -> Result<Trigger, InvalidTrigger> {
        Trigger::parse_with(text, file, |text| yaml::read(text, YAML_NODES_MAX))
    }

    /// Reads a trigger in JSON. `file` is named in the error.
    pub fn parse_json(text: &str, file: &str) -> Result<Trigger, InvalidTrigger> {
        Trigger::parse_with(text, file, |text| json::parse(text).map_err(|error| error.with_location()))
    }

    fn parse_with(
        text: &str,
        file: &str,
        read: impl Fn(&str) -> Result<Value, String>,
    ) -> Result<Trigger, InvalidTrigger> {
        let whole = |message| InvalidTrigger::whole(file, message);
        if text.len() > TRIGGER_BYTES_MAX {
            let (bytes, max) = (text.len(), TRIGGER_BYTES_MAX);
            return Err(whole(format!("it has {bytes} bytes; a trigger may have {max}")));
        }
        let value = read(text).map_err(whole)?;
        read::trigger(&value).map_err(|problems| InvalidTrigger { file: file.to_owned(), problems })
    }

    /// Reads a trigger that is JSON already.
    pub fn from_value(value: &Value) -> Result<Trigger, InvalidTrigger> {
        read::trigger(value).map_err(|problems| InvalidTrigger { file: String::new(), problems })
    }

    /// The trigger as JSON, with all that was left out when it was written: a later release may choose
    /// otherwise for new ones.
    pub fn to_value(&self) -> Value {
        write::trigger(self)
    }
}

impl TryFrom<Value> for Trigger {
    type Error = InvalidTrigger;

    fn try_from(value: Value) -> Result<Self, InvalidTrigger> {
        Trigger::from_value(&value)
    }
}

impl From<Trigger> for Value {
    fn from(trigger: Trigger) -> Value {
        trigger.to_value()
    }
}

#[cfg(test)]
mod tests {
    use asl::data::timestamp::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn smallest() -> Value {
        json!({"name": "orders", "machine": "order", "from": {"exchange": "warren.triggers"}})
    }

    /// The smallest trigger with some fields set, or, where null, taken away.
    fn with(fields: Value) -> Value {
        let mut trigger = smallest();
        for (name, value) in fields.as_object().unwrap() {
            if value.is_null() {
                trigger.as_object_mut().unwrap().remove(name);
            } else {
                trigger[name] = value.clone();
            }
        }
        trigger
    }

    fn read(fields: Value) -> Trigger {
        let value = with(fields);
        Trigger::from_value(&value).unwrap_or_else(|error| panic!("{value}: {error}"))
    }

    /// Field and beginning of each problem.
    fn check_problems(fields: Value, expected: &[(&str, &str)]) {
        let value = with(fields);
        let error = Trigger::from_value(&value).expect_err(&value.to_string());
        let told: Vec<&str> = error.problems.iter().map(|problem| problem.field.as_str()).collect();
        let fields: Vec<&str> = expected.iter().map(|(field, _)| *field).collect();
        assert_eq!(told, fields, "{value}: {error}");
        for (problem, (_, begin)) in error.problems.iter().zip(expected) {
            assert!(problem.message.starts_with(begin), "{value}: {problem}");
        }
    }

    #[test]
    fn the_smallest_trigger_has_a_default_for_all_else() {
        let trigger = read(json!({}));
        assert_eq!((trigger.name.as_str(), trigger.machine.as_str()), ("orders", "order"));
        let Source::Exchange { exchange, binding } = &trigger.from else { panic!("{:?}", trigger.from) };
        assert_eq!((exchange.as_str(), binding.as_str()), ("warren.triggers", "#"));
        assert_eq!((&trigger.description, &trigger.pattern, &trigger.batch), (&None, &None, &None));
        assert_eq!((&trigger.input, &trigger.name_from), (&Input::Whole, &NameFrom::MessageId));
        assert_eq!((trigger.rate_per_second, trigger.concurrency), (None, None));
        assert_eq!((trigger.dead_letters.as_str(), trigger.enabled), ("trigger-orders.dead", true));
        let retry = trigger.retry;
        assert_eq!((retry.attempts, retry.seconds.get(), retry.seconds_max.get()), (5, 1, 60));
    }

    #[test]
    fn every_field_is_read() {
        let text = r"
            name: orders
            description: Orders of the shop
            machine: arn:aws:states:us-east-1:000000000000:stateMachine:order:live
            from: {exchange: warren.triggers, binding: order.#}
            pattern: {source: [shop], account: [000000000000], detail: {answer: [no, 7]}}
            input: {template: {id: <id>, key: <message.routing-key>}, paths: {id: $.detail.id}}
            name_from: {path: $.detail.id}
            rate_per_second: 50
            concurrency: 20
            retry: {attempts: 0, seconds: 2, seconds_max: 8}
            dead_letters: orders.dead
            enabled: false
        ";
        let trigger = Trigger::parse_yaml(text, "orders.yaml").unwrap();
        assert_eq!(trigger.machine.as_str(), "arn:aws:states:us-east-1:000000000000:stateMachine:order:live");
        let pattern = trigger.pattern.as_ref().unwrap();
        let event = json!({"source": "shop", "account": "000000000000", "detail": {"answer": "no"}});
        assert!(pattern.matches(&event) && !pattern.matches(&json!({"source": "shop"})));
        assert!(matches!(&trigger.name_from, NameFrom::Path(path) if path.text() == "$.detail.id"));
        assert_eq!((trigger.rate_per_second.unwrap().get(), trigger.concurrency.unwrap().get()), (50, 20));
        assert_eq!((trigger.retry.attempts, trigger.retry.seconds_max.get()), (0, 8));
        assert_eq!((trigger.dead_letters.as_str(), trigger.enabled), ("orders.dead", false));

        let batch = read(json!({"batch": {"messages": 100, "seconds": 5}, "from": {"queue": "jobs"}}));
        assert_eq!(batch.from, Source::Queue { queue: BrokerName::new("jobs").unwrap() });
        assert_eq!(batch.batch.map(|batch| (batch.messages.get(), batch.seconds)), Some((100, 5)));
        let nightly = read(json!({"from": {"schedule": "cron(0 2 * * ? *)", "timezone": "europe/berlin"}}));
        let Source::Schedule(schedule) = &nightly.from else { panic!("{:?}", nightly.from) };
        assert_eq!((schedule.expression(), schedule.zone()), ("cron(0 2 * * ? *)", "Europe/Berlin"));
        let anchor = Timestamp::parse("2026-11-21T10:00:00Z").unwrap();
        assert_eq!(schedule.next_after(anchor, anchor).unwrap().to_string(), "2026-11-22T01:00:00Z");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let triggers = [
            json!({}),
            json!({"description": "d", "pattern": {"source": ["a", {"prefix": "b"}]}, "input": {"path": "$.detail"}}),
            json!({"input": {"template": {"a": ["<x>", "<message.id>"]}, "paths": {"x": "$.x"}}, "enabled": false}),
            json!({"input": {"template": "{\"a\": <aws.events.event.json>}"}}),
            json!({"input": {"constant": null}, "name_from": {"path": "$.id"}}),
            json!({"from": {"queue": "jobs"}, "batch": {"messages": 1}, "retry": {"seconds": 90}}),
            json!({"from": {"queue": "jobs"}, "rate_per_second": 1, "concurrency": 1_000_000}),
        ];
        for fields in triggers {
            let trigger = read(fields);
            let written = serde_json::to_string(&trigger).unwrap();
            assert_eq!(serde_json::from_str::<Trigger>(&written).unwrap(), trigger, "{written}");
            assert_eq!(Trigger::parse_json(&written, "").unwrap().to_value(), trigger.to_value());
            assert_eq!(Trigger::parse_yaml(&written, "").unwrap(), trigger, "{written}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        check_problems(
            json!({
                "name": "a b", "machine": "x/y", "from": {"exchange": "e", "queue": "q", "colour": 1},
                "pattern": {"a": [{"prefx": "x"}]}, "input": {"path": "detail"}, "name_from": "id",
                "batch": {"messages": 0, "seconds": 301}, "rate_per_second": 0, "concurrency": "many",
                "retry": {"attempts": 186, "seconds": 9, "seconds_max": 3}, "dead_letters": "", "enabled": "yes",
                "description": 7, "zone": "UTC",
            }),
            &[
                ("/name", "\"a b\" is not a name; write 1 to 64 letters, digits, . - and _"),
                ("/description", "is not a text"),
                ("/machine", "\"x/y\" is not the name of a state machine"),
                ("/from", "has exchange and queue; write one of {exchange: …, binding: …}"),
                (
                    "/from/colour",
                    "is not a field here; the fields are exchange, binding, queue, timezone, schedule",
                ),
                ("/pattern/a[0]", "Unrecognized match type prefx"),
                ("/input/path", "detail is not a JSONPath"),
                ("/name_from", "is not understood; write message_id, or {path: $.detail.id}"),
                ("/batch/messages", "is not a number from 1 to 1000"),
                ("/batch/seconds", "is not a number from 0 to 300"),
                ("/rate_per_second", "is not a number from 1 to 100000"),
                ("/concurrency", "is not a number from 1 to 1000000"),
                ("/retry/attempts", "is not a number from 0 to 185"),
                ("/retry/seconds_max", "is less than seconds, the first pause"),
                ("/dead_letters", "\"\" is not a name on the broker"),
                ("/enabled", "is neither true nor false"),
                ("/zone", "is not a field here; the fields are name, description, machine, from, pattern"),
            ],
        );
    }

    /// One field with one problem each.
    fn check_each(cases: &[(Value, &str, &str)]) {
        for (fields, field, message) in cases {
            check_problems(fields.clone(), &[(field, message)]);
        }
    }

    #[test]
    fn a_trigger_has_a_name_and_a_machine() {
        check_each(&[
            (json!({"name": null}), "/name", "is missing; write one of letters"),
            (json!({"name": ""}), "/name", "\"\" is not a name"),
            (json!({"name": "n".repeat(65)}), "/name", "\"nnn"),
            (json!({"machine": null}), "/machine", "is missing; write the name or ARN"),
            (json!({"machine": "m".repeat(81)}), "/machine", "\"mmm"),
            (
                json!({"machine": "arn:aws:lambda:us-east-1:000000000000:function:f"}),
                "/machine",
                "arn:aws:lambda",
            ),
            (
                json!({"machine": "arn:aws:states:us-east-1:000000000000:activity:a"}),
                "/machine",
                "arn:aws:states",
            ),
            (
                json!({"machine": "arn:aws:states:us-east-1:000000000000:stateMachine:m/map"}),
                "/machine",
                "arn:",
            ),
            (
                json!({"description": "d".repeat(513)}),
                "/description",
                "has 513 characters; write at most 512",
            ),
        ]);
    }

    #[test]
    fn a_trigger_has_one_source() {
        check_each(&[
            (json!({"from": null}), "/from", "is missing; write one of"),
            (json!({"from": "queue"}), "/from", "is not an object; write one of"),
            (json!({"from": {}}), "/from", "has none; write one of"),
            (json!({"from": {"queue": "q".repeat(256)}}), "/from/queue", "\"qqq"),
            (json!({"from": {"exchange": "e", "binding": "b".repeat(256)}}), "/from/binding", "\"bbb"),
            (json!({"from": {"exchange": 5}}), "/from/exchange", "is not a text"),
            (json!({"from": {"queue": "q", "binding": "#"}}), "/from/binding", "goes with exchange alone"),
            (
                json!({"from": {"queue": "q", "timezone": "UTC"}}),
                "/from/timezone",
                "goes with schedule alone",
            ),
            (
                json!({"from": {"schedule": "rate(1 minutes)"}}),
                "/from/schedule",
                "a rate of 1 minutes is written 1 minute",
            ),
            (
                json!({"from": {"schedule": "rate(1 day)", "timezone": "Mars"}}),
                "/from/timezone",
                "Mars is not a time zone",
            ),
        ]);
    }

    #[test]
    fn what_does_not_go_with_a_schedule_is_refused() {
        check_each(&[
            (
                json!({"from": {"schedule": "rate(1 day)"}, "batch": {"messages": 2}}),
                "/batch",
                "is of no use to a schedule",
            ),
            (
                json!({"from": {"schedule": "rate(1 day)"}, "name_from": "message_id"}),
                "/name_from",
                "is of no use",
            ),
            (json!({"from": {"schedule": "rate(1 day)"}, "pattern": {"a": [1]}}), "/pattern", "is of no use"),
            (
                json!({"from": {"schedule": "rate(1 day)"}, "concurrency": 1}),
                "/concurrency",
                "is for messages",
            ),
        ]);
    }

    #[test]
    fn a_pattern_and_an_input_have_their_rules() {
        check_each(&[
            (json!({"pattern": []}), "/pattern", "Filter is not an object"),
            (json!({"pattern": {"detail": {}}}), "/pattern/detail", "Empty objects are not allowed"),
            (json!({"pattern": {"a": ["x".repeat(5_000)]}}), "/pattern", "The pattern has 5010 characters"),
            (json!({"input": "$"}), "/input", "is not an object; write one of {path: …}"),
            (json!({"input": {}}), "/input", "has none; write one of {path: …}"),
            (json!({"input": {"path": "$", "constant": 1}}), "/input", "has path and constant; write one of"),
            (json!({"input": {"path": "$", "paths": {}}}), "/input/paths", "goes with template alone"),
            (
                json!({"input": {"template": {"a": ["<b>"]}}}),
                "/input/template/a[0]",
                "contains invalid placeholder b",
            ),
            (
                json!({"input": {"template": {}, "paths": {"a": "b"}}}),
                "/input/paths/a",
                "b is not a JSONPath",
            ),
            (
                json!({"input": {"template": {}, "paths": {"a": 1}}}),
                "/input/paths/a",
                "is not a text; write a path",
            ),
            (json!({"input": {"template": "<"}}), "/input/template", "is not JSON, whatever the event"),
        ]);
    }

    #[test]
    fn names_of_executions_and_numbers_have_their_rules() {
        check_each(&[
            (json!({"name_from": {"path": "$$.a"}}), "/name_from/path", "$$.a must begin with $."),
            (json!({"name_from": {}}), "/name_from/path", "is missing; write a path such as"),
            (
                json!({"name_from": {"path": "$.a"}, "batch": {"messages": 2}}),
                "/name_from",
                "names an execution after one event",
            ),
            (json!({"batch": {"seconds": 1}}), "/batch/messages", "is missing; write how many"),
            (json!({"batch": {"messages": 1_001}}), "/batch/messages", "is not a number from 1 to 1000"),
            (json!({"concurrency": -1}), "/concurrency", "is not a number"),
            (json!({"concurrency": 1.5}), "/concurrency", "is not a number"),
            (json!({"retry": {"seconds": 86_401}}), "/retry/seconds", "is not a number from 1 to 86400"),
            (json!({"retry": 3}), "/retry", "is not an object; write {attempts: 5"),
        ]);
    }

    #[test]
    fn an_error_names_the_file() {
        let error = Trigger::parse_yaml("name: a\nmachine: m", "triggers/a.yaml").unwrap_err().to_string();
        assert!(
            error.starts_with("failed to read the trigger in triggers/a.yaml: /from: is missing"),
            "{error}"
        );
        let error = Trigger::parse_json("{\"name\": 1}", "a.json").unwrap_err().to_string();
        assert!(
            error.starts_with("failed to read the trigger in a.json:\n  /name: is not a text"),
            "{error}"
        );
        let error = Trigger::from_value(&json!([])).unwrap_err().to_string();
        assert_eq!(
            error,
            "failed to read the trigger: is not an object; write name, machine and from at least"
        );
        assert!(serde_json::from_str::<Trigger>("{}").unwrap_err().to_string().contains("/name: is missing"));
    }

    #[test]
    fn a_text_that_cannot_be_read_is_told_with_its_place() {
        let refused = |text: &str, told: &str| {
            let error = Trigger::parse_yaml(text, "a.yaml").unwrap_err();
            assert!(error.problems.len() == 1 && error.problems[0].field.is_empty(), "{error}");
            assert!(error.to_string().contains(told), "{error}");
        };
        refused("name: [a", "line 1");
        refused("name: a\nname: b", "duplicate");
        refused("a: &a [x]\nb: *c", "c");
        refused("--- {name: a}\n--- {name: b}", "");
        refused("name: !secret a", "");
        refused("", "is not an object");
        refused(
            &format!("name: {}", "x".repeat(TRIGGER_BYTES_MAX)),
            "it has 65542 bytes; a trigger may have 65536",
        );
        refused(&format!("a: {}", "[".repeat(1_000)), "");
        let lines: Vec<String> = (1..12)
            .map(|line| format!("a{line}: &a{line} [{}]", vec![format!("*a{}", line - 1); 9].join(", ")))
            .collect();
        refused(&format!("a0: &a0 [x, x, x, x]\n{}", lines.join("\n")), "");
        let error = Trigger::parse_json("{'name': 1}", "a.json").unwrap_err().to_string();
        assert!(error.contains("was expecting double-quote to start field name\n at [Source"), "{error}");
    }

    #[test]
    fn an_execution_is_named_after_its_message_or_its_event() {
        let name = |from: Value, event: Value, id: Option<&str>| {
            let name = read(json!({"name_from": from})).name_from.name(&event, id);
            name.map(|name| name.map(ExecutionName::into_string))
        };
        assert_eq!(name(json!("message_id"), json!({}), Some("m-1")), Ok(Some("m-1".to_owned())));
        assert_eq!(name(json!("message_id"), json!({}), None), Ok(None));
        let path = || json!({"path": "$.detail.id"});
        assert_eq!(name(path(), json!({"detail": {"id": 7}}), Some("m-1")), Ok(Some("7".to_owned())));
        assert_eq!(name(path(), json!({"detail": {}}), Some("m-1")), Ok(None));
        assert!(name(json!({"path": "$.detail.sum()"}), json!({"detail": []}), None).is_err());
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = read(json!({"retry": {"attempts": 5, "seconds": 3, "seconds_max": 20}})).retry;
        let pauses: Vec<_> = (0..8).map(|failed| retry.pause_seconds(failed)).collect();
        assert_eq!(pauses, [None, Some(3), Some(6), Some(12), Some(20), Some(20), None, None]);
        let long = read(json!({"retry": {"attempts": 185, "seconds": 86_400, "seconds_max": 86_400}})).retry;
        assert_eq!(long.pause_seconds(185), Some(86_400));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z:{}\\[\\]<>$.&*!|'\"# \n-]{0,60}") {
            let _ = Trigger::parse_yaml(&text, "a.yaml");
            let _ = Trigger::parse_json(&text, "a.json");
        }
    }
}
