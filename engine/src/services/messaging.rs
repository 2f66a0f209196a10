//! What the connectors `sqs` and `sns` need of the engine: messages to queues and topics that are not ours.
//!
//! ```text
//!   sqs:sendMessage QUEUE ──▶ the queue of that name           read by whoever wants it, over AMQP
//!   sns:publish TOPIC     ──▶ the exchange of that name ──▶ queues that are bound to it
//! ```
//!
//! A message keeps its id, so that a receiver can tell one that was sent twice. Its attributes are headers;
//! what SQS and SNS have beside them are headers, too, whose names begin with `warren-`. The routing key of a
//! message to a topic is its subject.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connectors::message::{Message, Undelivered};
use connectors::sns::Topics;
use connectors::sqs::Queues;
use serde::de::IgnoredAny;

use crate::ports::broker::{
    self, Address, Broker, Content, Exchange, Headers, Prefix, Publication, Published, Queue,
};
use crate::services::Core;
use crate::services::late_core::{LateCore, STOPPING};

/// The order that the sender of a message wants kept.
const GROUP_ID: &str = "warren-group-id";
/// By which a receiver can tell two messages that are one.
const DEDUPLICATION_ID: &str = "warren-deduplication-id";
/// The subject of a message to a topic.
const SUBJECT: &str = "warren-subject";
/// How often a message is sent: again where the broker said nothing, or where its destination was made.
const TRIES_MAX: u32 = 3;
/// Pause before a destination that was made is sent to: it may be there and not be ready yet.
const MADE_PAUSE: Duration = Duration::from_millis(50);
/// The longest name of a queue, an exchange or a header (AMQP 0-9-1, short strings).
const NAME_BYTES_MAX: usize = 255;

/// The engine as these connectors see it.
pub struct Messaging {
    core: Arc<LateCore>,
    prefix: Prefix,
}

impl Messaging {
    /// Of this engine, whose own queues and exchanges have names that begin with `prefix`.
    pub fn new(core: Arc<LateCore>, prefix: Prefix) -> Self {
        Messaging { core, prefix }
    }

    /// Whether messages may go to what has this name: it could be the engine's own, here or in a broker.
    fn is_theirs(&self, name: &str) -> bool {
        !self.prefix.reserves(name) && name.len() <= NAME_BYTES_MAX
    }

    async fn deliver(&self, publications: &[Publication]) -> Vec<Outcome> {
        match self.core.get() {
            Some(core) => deliver(&core, publications).await,
            None => vec![Err(Undelivered::Unavailable(STOPPING.to_owned())); publications.len()],
        }
    }
}

#[async_trait]
impl Queues for Messaging {
    async fn send(&self, queue: &str, messages: Vec<Message>) -> Vec<Outcome> {
        if !self.is_theirs(queue) {
            return vec![Err(Undelivered::NoDestination); messages.len()];
        }
        let to = Address::Queue(Queue::theirs(queue));
        let publications: Vec<_> =
            messages.into_iter().map(|message| publication(to.clone(), message)).collect();
        self.deliver(&publications).await
    }
}

#[async_trait]
impl Topics for Messaging {
    async fn publish(&self, topic: &str, subject: Option<&str>, message: Message) -> Outcome {
        if !self.is_theirs(topic) {
            return Err(Undelivered::NoDestination);
        }
        let key = subject.unwrap_or_default().to_owned();
        let mut publication = publication(Address::Exchange(Exchange::theirs(topic), key), message);
        publication.headers.extend(subject.map(|subject| (SUBJECT.to_owned(), subject.to_owned())));
        self.deliver(&[publication]).await.pop().unwrap_or_else(|| Err(unsaid()))
    }
}

fn publication(to: Address, message: Message) -> Publication {
    let Message { id, body, headers, delay, group_id, deduplication_id } = message;
    let cut = |mut name: String| {
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        name
    };
    let mut headers: Headers = headers.into_iter().map(|(name, value)| (cut(name), value)).collect();
    let beside = [(GROUP_ID, group_id), (DEDUPLICATION_ID, deduplication_id)];
    headers.extend(beside.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let content = content(&body);
    Publication { content, delay, headers, ..Publication::new(to, id.to_string(), body.into()) }
}

/// A body is JSON if it is an object or an array of it; a number or a word is as well a text.
fn content(body: &str) -> Content {
    let is_json =
        body.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(body).is_ok();
    if is_json { Content::Json } else { Content::Text }
}

fn unsaid() -> Undelivered {
    Undelivered::Unavailable("the broker did not say whether it has the message".to_owned())
}

/// Sends messages to one destination, and tells for each what became of it.
pub(super) async fn deliver(core: &Core, publications: &[Publication]) -> Vec<Outcome> {
    Sending { broker: core.broker.as_ref(), makes: core.declares_queues }.all(publications).await
}

/// What becomes of a message.
type Outcome = Result<(), Undelivered>;

/// How messages are sent.
struct Sending<'a> {
    broker: &'a dyn Broker,
    /// Whether a destination is made that does not exist.
    makes: bool,
}

impl Sending<'_> {
    async fn all(&self, publications: &[Publication]) -> Vec<Outcome> {
        let mut outcomes = vec![Err(unsaid()); publications.len()];
        for _ in 0..TRIES_MAX {
            if let Err(error) = self.those_left(publications, &mut outcomes).await {
                for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_err()) {
                    *outcome = Err(Undelivered::Unavailable(error.to_string()));
                }
                break;
            }
            let is_missing = outcomes.contains(&Err(Undelivered::NoDestination));
            if outcomes.iter().all(Result::is_ok) || is_missing && !self.makes {
                break;
            }
        }
        outcomes
    }

    /// Sends those that did not arrive yet, once. A destination that was missing before is made.
    async fn those_left(
        &self,
        publications: &[Publication],
        outcomes: &mut [Outcome],
    ) -> Result<(), broker::Error> {
        if let Some(missing) = outcomes.iter().position(|outcome| *outcome == Err(Undelivered::NoDestination))
        {
            self.make(&publications[missing].to).await?;
            tokio::time::sleep(MADE_PAUSE).await;
        }
        let left: Vec<usize> = (0..outcomes.len()).filter(|index| outcomes[*index].is_err()).collect();
        let batch = left.iter().map(|index| publications[*index].clone()).collect();
        for (index, published) in left.iter().zip(self.broker.publish(batch).await?) {
            outcomes[*index] = match published {
                Published::Confirmed => Ok(()),
                Published::Returned => Err(Undelivered::NoDestination),
                Published::InDoubt => Err(unsaid()),
            };
        }
        Ok(())
    }

    async fn make(&self, to: &Address) -> Result<(), broker::Error> {
        match to {
            Address::Queue(queue) => self.broker.declare(std::slice::from_ref(queue)).await,
            Address::Exchange(exchange, _) => self.broker.declare_exchange(exchange).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::adapters::in_process::InProcess;
    use crate::ports::broker::Delivery;

    fn message(body: &str) -> Message {
        Message {
            id: Uuid::from_u128(7),
            body: body.to_owned(),
            headers: Headers::from([("colour".to_owned(), "blue".to_owned())]),
            delay: None,
            group_id: Some("g".to_owned()),
            deduplication_id: None,
        }
    }

    async fn received(broker: &InProcess, queue: &Queue) -> Vec<Delivery> {
        broker.consume(queue, 10).await.unwrap().next(10).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_is_missing_is_made_where_that_is_wanted() {
        let (broker, queue) = (InProcess::new(), Queue::theirs("orders"));
        let messages = [publication(Address::Queue(queue.clone()), message("text"))];
        let sent = Sending { broker: &broker, makes: false }.all(&messages).await;
        assert_eq!(sent, [Err(Undelivered::NoDestination)]);
        let sent = Sending { broker: &broker, makes: true }.all(&messages).await;
        assert_eq!(sent, [Ok(())]);
        let delivery = received(&broker, &queue).await.remove(0);
        assert_eq!(
            (delivery.id.as_str(), &delivery.body[..]),
            (&*Uuid::from_u128(7).to_string(), &b"text"[..])
        );
        let headers = [("colour", "blue"), ("warren-group-id", "g")];
        assert_eq!(delivery.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_to_a_topic_comes_to_the_queues_that_are_bound_to_it() {
        let (broker, queue, topic) = (InProcess::new(), Queue::theirs("q"), Exchange::theirs("orders"));
        let to = Address::Exchange(topic.clone(), "placed".to_owned());
        let messages = [publication(to, message("{}"))];
        let sent = Sending { broker: &broker, makes: false }.all(&messages).await;
        assert_eq!(sent, [Err(Undelivered::NoDestination)]);
        assert_eq!(Sending { broker: &broker, makes: true }.all(&messages).await, [Ok(())]);
        broker.declare(std::slice::from_ref(&queue)).await.unwrap();
        broker.bind(&queue, &topic, "placed").await.unwrap();
        assert_eq!(Sending { broker: &broker, makes: false }.all(&messages).await, [Ok(())]);
        assert_eq!(received(&broker, &queue).await.len(), 1);
    }

    #[tokio::test]
    async fn the_engines_own_queues_and_topics_do_not_exist() {
        let with = |prefix: &str| Messaging::new(Arc::default(), Prefix::new(prefix));
        for (prefix, name) in
            [("warren-", "warren-poison"), ("", "poison"), ("", "triggers.fifo"), ("", &"x".repeat(256))]
        {
            let messaging = with(prefix);
            let sent = messaging.send(name, vec![message("a"), message("b")]).await;
            assert_eq!(sent, [Err(Undelivered::NoDestination), Err(Undelivered::NoDestination)], "{name}");
            let published = messaging.publish(name, None, message("a")).await;
            assert_eq!(published, Err(Undelivered::NoDestination), "{name}");
        }
        let gone = Err(Undelivered::Unavailable(STOPPING.to_owned()));
        for (prefix, name) in [("warren-", "poison"), ("", "orders.fifo"), ("warren.", "warren")] {
            assert_eq!(
                with(prefix).send(name, vec![message("a")]).await,
                std::slice::from_ref(&gone),
                "{name}"
            );
        }
    }

    #[test]
    fn a_body_says_what_it_is() {
        for (body, expected) in [
            ("{\"a\": 1}", Content::Json),
            (" [1]\n", Content::Json),
            ("{not json", Content::Text),
            ("7", Content::Text),
            ("hello", Content::Text),
        ] {
            assert_eq!(content(body), expected, "{body}");
        }
    }

    #[test]
    fn the_name_of_a_header_is_cut_where_amqp_ends() {
        let mut long = message("a");
        long.headers = Headers::from([("é".repeat(128), "v".to_owned())]);
        let published = publication(Address::Queue(Queue::theirs("q")), long);
        assert_eq!(published.headers.keys().map(String::len).collect::<Vec<_>>(), [GROUP_ID.len(), 254]);
    }
}
