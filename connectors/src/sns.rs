//! Messages to topics of the broker: `sns:publish`, optimized or `aws-sdk:`, alone and `.waitForTaskToken`.
//!
//! A topic is named by the last part of its ARN. There are no text messages to telephones, and no endpoints
//! of applications: a task that wants one fails clearly. Ids of messages are made from the id of the task
//! attempt, as those of the queues are.

use std::sync::Arc;

use asl::data::Failure;
use asl::program::Resource;
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::message::attributes::{Attributes, Problem};
use crate::message::{BYTES_MAX, Message, Undelivered, sequence_number, serialized};
use crate::metadata::derived_uuid;
use crate::parameters::Parameters;
use crate::service::{self, Call, Refusal, Service};
use crate::{Connector, Request, Submission};

const SERVICES: [&str; 2] = ["sns", "aws-sdk:sns"];
const SNS: Service = Service { prefix: "SNS", label: "AmazonSNS", sdk: "Sns" };
/// Characters of a subject, and of the name of a topic (SNS API reference, Publish and CreateTopic).
const SUBJECT_CHARACTERS_MAX: usize = 100;
const NAME_CHARACTERS_MAX: usize = 256;
/// What the XML of an answer takes beside its values, and what a sequence number adds.
const ANSWER_BYTES: usize = 222;
const SEQUENCE_NUMBER_BYTES: usize = 38;

/// What the connector needs of the engine.
///
/// An implementation must guarantee:
/// * A message that is answered `Ok` is on the broker for good, whether or not anybody listens to the topic.
///   One that is not may be there all the same, except for [`Undelivered::NoDestination`].
/// * It goes out with its id and headers; the same message again is the same to whoever compares ids.
/// * What the engine itself publishes to (its events, its triggers) is no topic.
/// * It answers in the time that a confirm takes, and gives up on a broker that is away or blocked. The
///   future may be dropped at any time; the message may then have been published or not.
#[async_trait]
pub trait Topics: Send + Sync {
    /// Publishes a message, with a subject for those that show one.
    async fn publish(&self, topic: &str, subject: Option<&str>, message: Message) -> Result<(), Undelivered>;
}

/// Publishes to topics.
pub struct SnsConnector {
    topics: Arc<dyn Topics>,
}

impl SnsConnector {
    /// A connector to the topics of this engine.
    pub fn new(topics: Arc<dyn Topics>) -> Self {
        SnsConnector { topics }
    }
}

#[async_trait]
impl Connector for SnsConnector {
    fn name(&self) -> &'static str {
        "sns"
    }

    fn claims(&self, resource: &Resource) -> bool {
        service::action(resource, &SERVICES) == Some("publish")
    }

    async fn run(&self, request: Request, _submission: &dyn Submission) -> Result<Value, Failure> {
        let call = Call::of(SNS, &request);
        let notice = Notice::read(&request.parameters)?;
        let refused = |refusal: Refusal| call.refused(&refusal);
        let topic = notice.topic().map_err(refused)?;
        let id = derived_uuid("sns:publish", &request.id);
        let message = notice.message(id, &topic).map_err(refused)?;
        let published = self.topics.publish(&topic.name, notice.subject, message).await;
        published.map_err(|error| match error {
            Undelivered::NoDestination => call.refused(&no_such_topic()),
            Undelivered::Unavailable(reason) => call.unreachable(reason),
        })?;
        let id = id.to_string();
        let mut bytes = ANSWER_BYTES + 2 * id.len();
        let mut members = vec![("MessageId", json!(id))];
        if topic.fifo {
            let number = sequence_number(0);
            bytes += SEQUENCE_NUMBER_BYTES + number.len();
            members.push(("SequenceNumber", json!(number)));
        }
        Ok(call.answered_in(members, "text/xml", bytes))
    }
}

/// The parameters of a task.
struct Notice<'a> {
    topic_arn: Option<&'a str>,
    target_arn: Option<&'a str>,
    phone_number: Option<&'a str>,
    text: String,
    subject: Option<&'a str>,
    structure: Option<&'a str>,
    attributes: Result<Attributes, String>,
    group_id: Option<&'a str>,
    deduplication_id: Option<&'a str>,
}

impl<'a> Notice<'a> {
    fn read(written: &'a Value) -> Result<Self, Failure> {
        const KNOWN: [&str; 9] = [
            "TopicArn",
            "TargetArn",
            "PhoneNumber",
            "Message",
            "Subject",
            "MessageStructure",
            "MessageAttributes",
            "MessageGroupId",
            "MessageDeduplicationId",
        ];
        let mut parameters = Parameters::new(written, &KNOWN);
        let attributes = match Attributes::read(parameters.value("MessageAttributes")) {
            Ok(attributes) => Ok(attributes),
            Err(Problem::Refused(reason)) => Err(reason),
            Err(Problem::Shape) => {
                parameters.refuse("MessageAttributes");
                Ok(Attributes::default())
            }
        };
        let notice = Notice {
            topic_arn: parameters.text("TopicArn"),
            target_arn: parameters.text("TargetArn"),
            phone_number: parameters.text("PhoneNumber"),
            text: parameters.value("Message").map(serialized).unwrap_or_default(),
            subject: parameters.text("Subject"),
            structure: parameters.text("MessageStructure"),
            attributes,
            group_id: parameters.text("MessageGroupId"),
            deduplication_id: parameters.text("MessageDeduplicationId"),
        };
        parameters.check()?;
        Ok(notice)
    }

    /// Where it goes: exactly one destination, which is a topic.
    fn topic(&self) -> Result<TopicName, Refusal> {
        if self.phone_number.is_some() {
            return Err(invalid("PhoneNumber Reason: Warren sends no text messages; publish to a TopicArn"));
        }
        match (self.topic_arn, self.target_arn) {
            (Some(arn), None) => TopicName::of(arn).ok_or_else(|| invalid("TopicArn")),
            (None, Some(arn)) => TopicName::of(arn).ok_or_else(|| invalid("TargetArn")),
            (None, None) => Err(invalid("TopicArn or TargetArn Reason: no value for required parameter")),
            (Some(_), Some(_)) => Err(invalid("Only one of TopicArn or TargetArn can be specified")),
        }
    }

    /// The message, if SNS would take it.
    fn message(&self, id: uuid::Uuid, topic: &TopicName) -> Result<Message, Refusal> {
        if self.text.is_empty() {
            return Err(invalid("Empty message"));
        }
        if self.subject.is_some_and(|subject| !is_subject(subject)) {
            return Err(invalid("Subject"));
        }
        let attributes = self.attributes.as_ref().map_err(|reason| Refusal {
            exception: Some("InvalidParameterValueException"),
            ..Refusal::bad_request("ParameterValueInvalid", reason)
        })?;
        if self.text.len() + attributes.bytes() > BYTES_MAX {
            return Err(invalid("Message too long"));
        }
        if topic.fifo && self.group_id.is_none() {
            return Err(invalid("The MessageGroupId parameter is required for FIFO topics"));
        }
        Ok(Message {
            id,
            body: self.body()?,
            headers: attributes.headers(),
            delay: None,
            group_id: self.group_id.map(str::to_owned),
            deduplication_id: self.deduplication_id.map(str::to_owned),
        })
    }

    /// What listeners get. Of a message that has a text for each protocol, they are what SNS calls `sqs`.
    fn body(&self) -> Result<String, Refusal> {
        match self.structure {
            None | Some("") => Ok(self.text.clone()),
            Some("json") => {
                let texts: Value = serde_json::from_str(&self.text)
                    .map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
                let default = texts["default"]
                    .as_str()
                    .ok_or_else(|| invalid("Message Structure - No default entry in JSON message body"))?;
                Ok(texts["sqs"].as_str().unwrap_or(default).to_owned())
            }
            Some(_) => Err(invalid("MessageStructure")),
        }
    }
}

/// SNS API reference, Publish, `Subject`: printable ASCII that begins with a letter, a digit or punctuation.
fn is_subject(subject: &str) -> bool {
    let printable = subject.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    printable && !subject.is_empty() && !subject.starts_with(' ') && subject.len() <= SUBJECT_CHARACTERS_MAX
}

fn invalid(what: &str) -> Refusal {
    Refusal {
        exception: Some("InvalidParameterException"),
        ..Refusal::bad_request("InvalidParameter", format!("Invalid parameter: {what}"))
    }
}

fn no_such_topic() -> Refusal {
    Refusal {
        status: 404,
        code: "NotFound",
        exception: Some("NotFoundException"),
        message: "Topic does not exist".to_owned(),
    }
}

/// A topic by its name: letters, digits, `-` and `_`; one that keeps an order ends in `.fifo`.
#[derive(Debug, PartialEq, Eq)]
struct TopicName {
    name: String,
    fifo: bool,
}

impl TopicName {
    /// Of `arn:PARTITION:sns:REGION:ACCOUNT:NAME`.
    fn of(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "sns", _, _, name] = parts[..] else { return None };
        let stem = name.strip_suffix(".fifo").unwrap_or(name);
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if stem.is_empty() || name.len() > NAME_CHARACTERS_MAX || !stem.bytes().all(usable) {
            return None;
        }
        Some(TopicName { name: name.to_owned(), fifo: name.ends_with(".fifo") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_by_the_end_of_its_arn() {
        let name = |arn: &str| TopicName::of(arn).map(|topic| (topic.name, topic.fifo));
        assert_eq!(name("arn:aws:sns:r:a:orders"), Some(("orders".to_owned(), false)));
        assert_eq!(name("arn:aws-cn:sns:r:a:orders.fifo"), Some(("orders.fifo".to_owned(), true)));
        for arn in [
            "",
            "orders",
            "arn:aws:sqs:r:a:orders",
            "arn:aws:sns:r:a:",
            "arn:aws:sns:r:a:.fifo",
            "arn:aws:sns:r:a:app/GCM/x",
            "arn:aws:sns:r:a:orders:1",
            "arn:aws:sns:r:a:warren.events",
        ] {
            assert_eq!(name(arn), None, "{arn}");
        }
    }

    #[test]
    fn a_subject_is_a_line_of_ascii() {
        for (subject, is) in [
            ("Order 7", true),
            ("!", true),
            ("", false),
            (" x", false),
            ("a\nb", false),
            ("Größe", false),
            (&"x".repeat(101), false),
        ] {
            assert_eq!(is_subject(subject), is, "{subject}");
        }
    }
}
