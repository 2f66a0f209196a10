//! Messages and events of tasks, against a broker that is told what to answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic like the tests themselves")]

use std::sync::{Arc, Mutex};

use asl::data::Failure;
use asl::program::{Pattern, Resource, ServiceResource};
use async_trait::async_trait;
use connectors::events::{Bus, Entry, EventsConnector};
use connectors::message::{Message, Undelivered};
use connectors::sns::{SnsConnector, Topics};
use connectors::sqs::{Queues, SqsConnector};
use connectors::{Connector, Request, Submission};
use serde_json::{Value, json};

#[path = "broker/events.rs"]
mod events;
#[path = "broker/sns.rs"]
mod sns;
#[path = "broker/sqs.rs"]
mod sqs;

const EXECUTION: &str = "arn:aws:states:us-east-1:000000000000:execution:shop:e";

/// Notes what it gets. It answers what it was told, and that it has the message when it was told nothing.
#[derive(Default)]
struct Broker {
    messages: Mutex<Vec<(String, Message)>>,
    subjects: Mutex<Vec<Option<String>>>,
    entries: Mutex<Vec<Entry>>,
    answers: Mutex<Vec<Result<(), Undelivered>>>,
    /// Answers for all but the last.
    forgetful: bool,
}

impl Broker {
    fn answering(answers: &[Result<(), Undelivered>]) -> Arc<Self> {
        Arc::new(Broker { answers: Mutex::new(answers.to_vec()), ..Broker::default() })
    }

    fn answer(&self) -> Result<(), Undelivered> {
        let mut answers = self.answers.lock().unwrap();
        if answers.is_empty() { Ok(()) } else { answers.remove(0) }
    }

    fn answers(&self, count: usize) -> Vec<Result<(), Undelivered>> {
        (usize::from(self.forgetful)..count).map(|_| self.answer()).collect()
    }

    /// The one message that came in, and where.
    fn only(&self) -> (String, Message) {
        let messages = self.messages.lock().unwrap();
        let [only] = &messages[..] else { panic!("one message comes in: {messages:?}") };
        only.clone()
    }
}

#[async_trait]
impl Queues for Broker {
    async fn send(&self, queue: &str, messages: Vec<Message>) -> Vec<Result<(), Undelivered>> {
        let count = messages.len();
        let messages = messages.into_iter().map(|message| (queue.to_owned(), message));
        self.messages.lock().unwrap().extend(messages);
        self.answers(count)
    }
}

#[async_trait]
impl Topics for Broker {
    async fn publish(&self, topic: &str, subject: Option<&str>, message: Message) -> Result<(), Undelivered> {
        self.messages.lock().unwrap().push((topic.to_owned(), message));
        self.subjects.lock().unwrap().push(subject.map(str::to_owned));
        self.answer()
    }
}

#[async_trait]
impl Bus for Broker {
    async fn put(&self, entries: Vec<Entry>) -> Vec<Result<(), Undelivered>> {
        let count = entries.len();
        self.entries.lock().unwrap().extend(entries);
        self.answers(count)
    }
}

struct NoSubmission;

#[async_trait]
impl Submission for NoSubmission {
    async fn submitted(&self, output: Value) {
        panic!("a message is not submitted: {output}");
    }
}

fn unavailable() -> Result<(), Undelivered> {
    Err(Undelivered::Unavailable("the broker is away".to_owned()))
}

fn resource(name: &str, pattern: Pattern) -> Resource {
    let (service, action) = name.rsplit_once(':').unwrap();
    Resource::Service(ServiceResource {
        arn: format!("arn:aws:states:::{name}{pattern}"),
        service: service.to_owned(),
        action: action.to_owned(),
        pattern,
    })
}

/// Runs a task whose resource is `sqs:sendMessage` or the like.
async fn run(connector: &dyn Connector, name: &str, parameters: Value) -> Result<Value, Failure> {
    let resource = resource(name, Pattern::RequestResponse);
    assert!(connector.claims(&resource), "{name}");
    let request = Request {
        id: "attempt-1".to_owned(),
        resource,
        parameters,
        execution_arn: EXECUTION.to_owned(),
        timeout: None,
        again: false,
    };
    connector.run(request, &NoSubmission).await
}

/// The failure of a task, the id of the call in it replaced.
fn error(result: Result<Value, Failure>) -> (String, String) {
    let failure = result.unwrap_err();
    let cause = failure.cause.unwrap_or_default();
    let cause = match cause.split_once("Request ID: ") {
        Some((before, rest)) => format!("{before}Request ID: <id>{}", &rest[36..]),
        None => cause,
    };
    (failure.error.unwrap_or_default(), cause)
}

#[test]
fn tasks_that_end_with_the_call_or_by_a_token_are_claimed() {
    let broker = Arc::new(Broker::default());
    let connectors: [(&dyn Connector, &[&str]); 3] = [
        (
            &SqsConnector::new(broker.clone()),
            &[
                "sqs:sendMessage",
                "sqs:sendMessageBatch",
                "aws-sdk:sqs:sendMessage",
                "aws-sdk:sqs:sendMessageBatch",
            ],
        ),
        (&SnsConnector::new(broker.clone()), &["sns:publish", "aws-sdk:sns:publish"]),
        (&EventsConnector::new(broker), &["events:putEvents", "aws-sdk:eventbridge:putEvents"]),
    ];
    let other = ["sqs:receiveMessage", "aws-sdk:sqs:purgeQueue", "lambda:invoke", "aws-sdk:sns:subscribe"];
    for (connector, claimed) in connectors {
        let all = connectors.iter().flat_map(|(_, names)| names.iter()).chain(&other);
        for name in all {
            let claims = claimed.contains(name);
            assert_eq!(connector.claims(&resource(name, Pattern::RequestResponse)), claims, "{name}");
            assert_eq!(connector.claims(&resource(name, Pattern::WaitForTaskToken)), claims, "{name}");
            assert!(!connector.claims(&resource(name, Pattern::Sync)));
        }
        let function = Resource::Function { arn: "arn:aws:lambda:r:a:function:sqs".to_owned() };
        assert!(!connector.claims(&function));
    }
}
