//! Events for the bus: `events:putEvents`, optimized or as `aws-sdk:eventbridge:putEvents`, alone and
//! `.waitForTaskToken`.
//!
//! There is one bus, `default`. Each entry is judged alone: those that can be events are put, and the task
//! fails with `EventBridge.FailedEntry` if any was not. (The AWS SDK leaves it to its caller to look.)

mod entry;

use std::sync::Arc;

use asl::data::Failure;
use asl::program::Resource;
use async_trait::async_trait;
use serde_json::{Value, json};
use uuid::Uuid;

use self::entry::{Rejected, Written};
use crate::message::{BYTES_MAX, Undelivered};
use crate::metadata::derived_uuid;
use crate::parameters::Parameters;
use crate::service::{self, Call, Refusal, Service, object};
use crate::{Connector, Request, Submission};

const SERVICES: [&str; 2] = ["events", "aws-sdk:eventbridge"];
const EVENTS: Service = Service { prefix: "EventBridge", label: "AmazonEventBridge", sdk: "EventBridge" };
/// Entries in one request (EventBridge quotas).
const ENTRIES_MAX: usize = 10;

/// An event for the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Names the event for good: the same when the same attempt of a task is made again.
    pub id: Uuid,
    /// Who says it: `shop.orders`.
    pub source: String,
    /// What it is about: `OrderPlaced`.
    pub detail_type: String,
    /// A JSON object, as text.
    pub detail: String,
    /// ARNs that it concerns; those of the execution and its machine among them.
    pub resources: Vec<String>,
    /// When it happened, in milliseconds since the epoch; without it, now.
    pub time: Option<i64>,
    /// As the task gives it.
    pub trace_header: Option<String>,
}

/// What the connector needs of the engine.
///
/// An implementation must guarantee:
/// * An event that is answered `Ok` is on the broker for good, whether or not anybody listens. One that is
///   not may be there all the same.
/// * It goes out with its id; the same entry again is the same to whoever compares ids.
/// * It answers in the time that a confirm takes, and gives up on a broker that is away or blocked. The
///   future may be dropped at any time; events may then have been put or not.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Puts events on the default bus, and answers for each of them, in their order.
    async fn put(&self, entries: Vec<Entry>) -> Vec<Result<(), Undelivered>>;
}

/// Puts events on the bus.
pub struct EventsConnector {
    bus: Arc<dyn Bus>,
}

impl EventsConnector {
    /// A connector to the bus of this engine.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        EventsConnector { bus }
    }

    /// What became of each entry, in their order.
    async fn put(
        &self,
        entries: Vec<Result<Entry, Rejected>>,
        call: &Call,
    ) -> Result<Vec<Result<Uuid, Rejected>>, Failure> {
        let events: Vec<Entry> = entries.iter().flatten().cloned().collect();
        let count = events.len();
        let mut outcomes = if count == 0 { Vec::new() } else { self.bus.put(events).await };
        outcomes.resize_with(count, || {
            Err(Undelivered::Unavailable("the broker did not say whether it has the event".to_owned()))
        });
        // Nothing went through, and not for what the entries are: the service was not there.
        if let (true, Some(Err(error))) = (outcomes.iter().all(Result::is_err), outcomes.first()) {
            return Err(call.unreachable(error));
        }
        let mut outcomes = outcomes.into_iter();
        Ok(entries
            .into_iter()
            .map(|entry| {
                let id = entry?.id;
                match outcomes.next() {
                    Some(Ok(())) => Ok(id),
                    Some(Err(error)) => Err(Rejected::unavailable(&error)),
                    None => Err(Rejected::unavailable(&"nothing is known of the event")),
                }
            })
            .collect())
    }
}

#[async_trait]
impl Connector for EventsConnector {
    fn name(&self) -> &'static str {
        "events"
    }

    fn claims(&self, resource: &Resource) -> bool {
        service::action(resource, &SERVICES) == Some("putEvents")
    }

    async fn run(&self, request: Request, _submission: &dyn Submission) -> Result<Value, Failure> {
        let call = Call::of(EVENTS, &request);
        let written = read(&request.parameters)?;
        check(&written).map_err(|refusal| call.refused(&refusal))?;
        let added = if call.is_sdk() { Vec::new() } else { own_arns(&request.execution_arn) };
        let entries = written.into_iter().enumerate().map(|(index, written)| {
            written.entry(derived_uuid(&format!("events:putEvents:{index}"), &request.id), &added)
        });
        let put = self.put(entries.collect(), &call).await?;
        let failed = put.iter().filter(|outcome| outcome.is_err()).count();
        let shown: Vec<Value> = put
            .iter()
            .map(|outcome| match outcome {
                Ok(id) => json!({"EventId": id.to_string()}),
                Err(rejected) => rejected.shown(),
            })
            .collect();
        // Recorded on AWS: here no integration wraps the answer.
        let answer = object(&[("Entries", json!(shown)), ("FailedEntryCount", json!(failed))]);
        if failed > 0 && !call.is_sdk() {
            return Err(Failure::new("EventBridge.FailedEntry", answer.to_string()));
        }
        Ok(answer)
    }
}

fn read(written: &Value) -> Result<Vec<Written>, Failure> {
    let mut parameters = Parameters::new(written, &["Entries"]);
    parameters.require("Entries");
    let list = parameters.value("Entries").map(Value::as_array);
    if list == Some(None) {
        parameters.refuse("Entries");
    }
    let mut entries = Vec::new();
    for entry in list.flatten().into_iter().flatten() {
        let (read, part) = Written::read(entry);
        entries.push(read);
        parameters.include(part);
    }
    parameters.check()?;
    Ok(entries)
}

/// What EventBridge refuses a whole request for.
fn check(entries: &[Written]) -> Result<(), Refusal> {
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        let (rule, limit) = if entries.is_empty() { ("greater", 1) } else { ("less", ENTRIES_MAX) };
        return Err(Refusal::bad_request(
            "ValidationException",
            format!(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must \
                 have length {rule} than or equal to {limit}"
            ),
        ));
    }
    if entries.iter().map(Written::bytes).sum::<usize>() > BYTES_MAX {
        let message = "Total size of the entries in the request is over the limit.";
        return Err(Refusal::bad_request("ValidationException", message));
    }
    Ok(())
}

/// The ARN of the execution that asks, and of its state machine: what Step Functions adds to every event.
fn own_arns(execution: &str) -> Vec<String> {
    let mut arns = vec![execution.to_owned()];
    let segments: Vec<&str> = execution.split(':').collect();
    if let [arn, partition, service, region, account, "execution" | "express", machine, ..] = segments[..] {
        // A child of a Map is of `MACHINE/LABEL`.
        let machine = machine.split('/').next().unwrap_or_default();
        arns.push([arn, partition, service, region, account, "stateMachine", machine].join(":"));
    }
    arns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_known_by_its_executions() {
        for (execution, machine) in [
            ("arn:aws:states:r:a:execution:shop:e1", Some("arn:aws:states:r:a:stateMachine:shop")),
            ("arn:aws:states:r:a:express:shop:e1:uuid", Some("arn:aws:states:r:a:stateMachine:shop")),
            ("arn:aws:states:r:a:execution:shop/each:uuid", Some("arn:aws:states:r:a:stateMachine:shop")),
            ("local", None),
        ] {
            let expected: Vec<_> = [Some(execution), machine].into_iter().flatten().collect();
            assert_eq!(own_arns(execution), expected);
        }
    }
}
