//! Messages to queues of the broker: `sqs:sendMessage` and `sqs:sendMessageBatch`, optimized or `aws-sdk:`,
//! alone and `.waitForTaskToken`.
//!
//! A queue is named by the last part of its `QueueUrl`. Ids of messages are made from the id of the task
//! attempt: an engine that asks again, because another died meanwhile, sends messages that a receiver can
//! tell for those it has.

mod batch;

use std::sync::Arc;
use std::time::Duration;

use asl::data::Failure;
use asl::program::Resource;
use async_trait::async_trait;
use serde_json::{Value, json};
use url::Url;

use crate::message::attributes::{Attributes, Problem, md5_of_body};
use crate::message::{BYTES_MAX, Message, Undelivered, sequence_number, serialized};
use crate::metadata::derived_uuid;
use crate::parameters::Parameters;
use crate::service::{self, Call, Refusal, Service};
use crate::{Connector, Request, Submission};

const SERVICES: [&str; 2] = ["sqs", "aws-sdk:sqs"];
const SQS: Service = Service { prefix: "SQS", label: "AmazonSQS", sdk: "Sqs" };
const DELAY_SECONDS_MAX: i64 = 900;

/// What the connector needs of the engine.
///
/// An implementation must guarantee:
/// * A message that is answered `Ok` is on the broker for good: confirmed, and on a queue. One that is not
///   may be there all the same, except for [`Undelivered::NoDestination`].
/// * Messages go out with their id and headers; the same message again is the same message to whoever
///   compares ids. Nobody promises more: a receiver sees each at least once.
/// * Queues that the engine moves executions with are not to be reached: they do not exist here.
/// * It answers in the time that a confirm takes, and gives up on a broker that is away or blocked instead
///   of waiting for it. Futures may be dropped at any time; messages may then have been sent or not.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Sends messages to a queue, and answers for each of them, in their order.
    async fn send(&self, queue: &str, messages: Vec<Message>) -> Vec<Result<(), Undelivered>>;
}

/// Sends messages to queues.
pub struct SqsConnector {
    queues: Arc<dyn Queues>,
}

impl SqsConnector {
    /// A connector to the queues of this engine.
    pub fn new(queues: Arc<dyn Queues>) -> Self {
        SqsConnector { queues }
    }

    async fn send(&self, request: &Request, call: &Call) -> Result<Value, Failure> {
        let mut parameters = Parameters::new(&request.parameters, &known(&["QueueUrl"]));
        let url = parameters.text("QueueUrl").unwrap_or_default();
        let entry = Entry::read(&mut parameters);
        parameters.check()?;
        let queue = QueueName::of(url, call)?;
        let id = derived_uuid("sqs:sendMessage", &request.id);
        let (message, digests) = entry
            .message(id, &queue)
            .map_err(|Refused { code, message }| call.refused(&Refusal::bad_request(code, message)))?;
        let sent = self.queues.send(&queue.name, vec![message]).await.into_iter().next();
        sent.unwrap_or_else(unanswered).map_err(|error| undelivered(&error, call))?;
        let mut members = vec![("MessageId", json!(id.to_string()))];
        members.extend(digests.members());
        members.extend(queue.fifo.then(|| ("SequenceNumber", json!(sequence_number(0)))));
        Ok(call.answered(members))
    }
}

#[async_trait]
impl Connector for SqsConnector {
    fn name(&self) -> &'static str {
        "sqs"
    }

    fn claims(&self, resource: &Resource) -> bool {
        matches!(service::action(resource, &SERVICES), Some("sendMessage" | "sendMessageBatch"))
    }

    async fn run(&self, request: Request, _submission: &dyn Submission) -> Result<Value, Failure> {
        let call = Call::of(SQS, &request);
        match service::action(&request.resource, &SERVICES) {
            Some("sendMessageBatch") => self.send_batch(&request, &call).await,
            _ => self.send(&request, &call).await,
        }
    }
}

/// The fields of a message, and those beside it.
fn known<'a>(beside: &[&'a str]) -> Vec<&'a str> {
    let own =
        ["MessageBody", "DelaySeconds", "MessageAttributes", "MessageDeduplicationId", "MessageGroupId"];
    [beside, &own].concat()
}

/// A message as a task gives it.
struct Entry {
    body: String,
    delay_seconds: Option<i64>,
    attributes: Result<Attributes, String>,
    group_id: Option<String>,
    deduplication_id: Option<String>,
}

/// Why SQS would not take a message.
struct Refused {
    code: &'static str,
    message: String,
}

/// What SQS answers about a message's contents, so that a sender can compare.
struct Digests {
    body: String,
    attributes: Option<String>,
}

impl Digests {
    fn members(&self) -> Vec<(&'static str, Value)> {
        let attributes = self.attributes.as_ref().map(|digest| ("MD5OfMessageAttributes", json!(digest)));
        attributes.into_iter().chain([("MD5OfMessageBody", json!(self.body))]).collect()
    }
}

impl Entry {
    fn read(parameters: &mut Parameters<'_>) -> Self {
        let attributes = match Attributes::read(parameters.value("MessageAttributes")) {
            Ok(attributes) => Ok(attributes),
            Err(Problem::Refused(reason)) => Err(reason),
            Err(Problem::Shape) => {
                parameters.refuse("MessageAttributes");
                Ok(Attributes::default())
            }
        };
        Entry {
            body: parameters.value("MessageBody").map(serialized).unwrap_or_default(),
            delay_seconds: parameters.integer("DelaySeconds"),
            attributes,
            group_id: parameters.text("MessageGroupId").map(str::to_owned),
            deduplication_id: parameters.text("MessageDeduplicationId").map(str::to_owned),
        }
    }

    /// What counts against the size of a request.
    fn bytes(&self) -> usize {
        self.body.len() + self.attributes.as_ref().map_or(0, Attributes::bytes)
    }

    /// The message, if SQS would take it.
    fn message(self, id: uuid::Uuid, queue: &QueueName) -> Result<(Message, Digests), Refused> {
        let bytes = self.bytes();
        if self.body.is_empty() {
            return Err(missing("MessageBody"));
        }
        let attributes = self.attributes.map_err(invalid)?;
        if bytes > BYTES_MAX {
            return Err(invalid(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {BYTES_MAX} bytes."
            )));
        }
        let delay = delay(self.delay_seconds, queue)?;
        match (queue.fifo, &self.group_id, &self.deduplication_id) {
            (true, None, _) => return Err(missing("MessageGroupId")),
            (false, _, Some(id)) => return Err(unfit("MessageDeduplicationId", id)),
            (true, Some(_), _) | (false, _, None) => {}
        }
        let digests = Digests {
            body: md5_of_body(&self.body),
            attributes: (!attributes.is_empty()).then(|| attributes.md5()),
        };
        let Entry { body, group_id, deduplication_id, .. } = self;
        let headers = attributes.headers();
        Ok((Message { id, body, headers, delay, group_id, deduplication_id }, digests))
    }
}

fn delay(seconds: Option<i64>, queue: &QueueName) -> Result<Option<Duration>, Refused> {
    match seconds {
        None | Some(0) => Ok(None),
        Some(seconds) if queue.fifo => Err(unfit("DelaySeconds", &seconds.to_string())),
        Some(seconds @ 1..=DELAY_SECONDS_MAX) => Ok(Some(Duration::from_secs(seconds.unsigned_abs()))),
        Some(seconds) => Err(invalid(format!(
            "Value {seconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and \
             <= {DELAY_SECONDS_MAX}."
        ))),
    }
}

fn missing(parameter: &str) -> Refused {
    let message = format!("The request must contain the parameter {parameter}.");
    Refused { code: "MissingParameter", message }
}

fn invalid(message: String) -> Refused {
    Refused { code: "InvalidParameterValue", message }
}

fn unfit(parameter: &str, value: &str) -> Refused {
    invalid(format!(
        "Value {value} for parameter {parameter} is invalid. Reason: The request include parameter that is \
         not valid for this queue type."
    ))
}

/// A queue by its name: letters, digits, `-` and `_`; one that keeps an order ends in `.fifo`.
#[derive(Debug, PartialEq, Eq)]
struct QueueName {
    name: String,
    fifo: bool,
}

impl QueueName {
    fn of(written: &str, call: &Call) -> Result<Self, Failure> {
        if written.is_empty() {
            let Refused { code, message } = missing("QueueUrl");
            return Err(call.refused(&Refusal::bad_request(code, message)));
        }
        let name = match Url::parse(written).ok().filter(|url| url.has_host()) {
            // On AWS a host is asked for its queues, and one that is no host of SQS does not answer.
            Some(url) if url.path().trim_end_matches('/').is_empty() => {
                let host = url.host_str().unwrap_or_default();
                return Err(call.unreachable(format!("{host}: Name or service not known")));
            }
            Some(_) | None => written.trim_end_matches('/').rsplit('/').next().unwrap_or_default(),
        };
        let fifo = name.ends_with(".fifo");
        let stem = name.strip_suffix(".fifo").unwrap_or(name);
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if stem.is_empty() || name.len() > 80 || !stem.bytes().all(usable) {
            return Err(no_such_queue(call));
        }
        Ok(QueueName { name: name.to_owned(), fifo })
    }
}

fn unanswered() -> Result<(), Undelivered> {
    Err(Undelivered::Unavailable("the broker did not say whether it has the message".to_owned()))
}

fn undelivered(error: &Undelivered, call: &Call) -> Failure {
    match error {
        Undelivered::NoDestination => no_such_queue(call),
        Undelivered::Unavailable(reason) => call.unreachable(reason),
    }
}

fn no_such_queue(call: &Call) -> Failure {
    call.refused(&Refusal {
        exception: Some("QueueDoesNotExistException"),
        ..Refusal::bad_request(
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    })
}
