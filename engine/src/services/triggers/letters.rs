//! What a trigger cannot work: filed as it came, with the reason in its headers. And what it cannot work yet: put
//! back to the end of its queue, as brokers take back what is held for half an hour, and count that.

use std::time::Duration;

use asl::data::timestamp::Timestamp;

use super::compiled::Compiled;
use super::starting::Tries;
use crate::metrics;
use crate::ports::broker::{Content, Delivery, Publication, Published, Queue};
use crate::services::Core;

/// Why it is there.
const REASON: &str = "warren-reason";
/// The trigger that could not work it.
const TRIGGER: &str = "warren-trigger";
/// Where it had waited.
const QUEUE: &str = "warren-queue";
/// When it was filed (RFC 3339).
const TIME: &str = "warren-time";
/// On a message that was put back: how often it could not be started,
const ATTEMPTS: &str = "warren-attempts";
/// when it is tried again (RFC 3339),
const NOT_BEFORE: &str = "warren-not-before";
/// and the routing key that it first came by.
const ROUTING_KEY: &str = "warren-routing-key";
/// Headers have room for so much of a reason.
const REASON_BYTES_MAX: usize = 2_048;
/// Pause before a broker that is away is asked again.
const PAUSE: Duration = Duration::from_millis(500);

impl Core {
    /// Files a delivery among the dead letters of its trigger; returns when it is there.
    pub(super) async fn file(&self, trigger: &Compiled, delivery: &Delivery, reason: &str) {
        tracing::warn!(trigger = %trigger.name(), message = %delivery.id, reason, "a message is a dead letter");
        metrics::triggers::dead_lettered(trigger.name(), 1);
        let letter = letter(trigger, delivery, reason, self.clock.now().to_string());
        self.hand_over(&trigger.dead_letters, letter).await;
    }

    /// Puts a delivery to the end of the queue it came from; returns when it is there.
    pub(super) async fn put_back(&self, trigger: &Compiled, delivery: &Delivery, tries: Tries) {
        let Some(queue) = &trigger.queue else { return };
        self.hand_over(queue, again(delivery, queue, tries)).await;
    }

    async fn hand_over(&self, queue: &Queue, message: Publication) {
        loop {
            match self.broker.publish(vec![message.clone()]).await.as_deref() {
                Ok([Published::Confirmed]) => return,
                Ok([Published::Returned]) => {
                    if let Err(error) = self.broker.declare(std::slice::from_ref(queue)).await {
                        self.outages.noticed(&error.into());
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, %queue, "a message waits for the broker"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// How often the message was tried before it was put back.
pub(super) fn tries(delivery: &Delivery) -> Tries {
    let header = |name: &str| delivery.headers.get(name);
    Tries {
        failed: header(ATTEMPTS).and_then(|text| text.parse().ok()).unwrap_or_default(),
        not_before: header(NOT_BEFORE).and_then(|text| Timestamp::parse(text)),
    }
}

/// The routing key that the message first came by.
pub(super) fn routing_key(delivery: &Delivery) -> &str {
    delivery.headers.get(ROUTING_KEY).unwrap_or(&delivery.routing_key)
}

/// The same message for another queue, or for the same once more.
fn copy(delivery: &Delivery, to: &Queue) -> Publication {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&delivery.body).is_ok();
    Publication {
        headers: delivery.headers.clone(),
        content: if is_json { Content::Json } else { Content::Text },
        correlation_id: delivery.correlation_id.clone(),
        reply_to: delivery.reply_to.clone(),
        ..Publication::new(to.clone(), delivery.id.clone(), delivery.body.clone())
    }
}

fn again(delivery: &Delivery, queue: &Queue, tries: Tries) -> Publication {
    let mut again = copy(delivery, queue);
    let key = routing_key(delivery).to_owned();
    again.headers.extend([(ATTEMPTS.to_owned(), tries.failed.to_string()), (ROUTING_KEY.to_owned(), key)]);
    match tries.not_before {
        Some(at) => again.headers.insert(NOT_BEFORE.to_owned(), at.to_string()),
        None => again.headers.remove(NOT_BEFORE),
    };
    again
}

fn letter(trigger: &Compiled, delivery: &Delivery, reason: &str, time: String) -> Publication {
    let mut letter = copy(delivery, &trigger.dead_letters);
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    let queue = trigger.queue.as_ref().map(Queue::to_string).unwrap_or_default();
    for (name, value) in [(REASON, reason), (TRIGGER, trigger.name()), (QUEUE, &queue), (TIME, &time)] {
        letter.headers.insert(name.to_owned(), value.to_owned());
    }
    letter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::broker::{Address, DeliveryTag, Headers};

    fn arrived(publication: Publication) -> Delivery {
        let Address::Queue(queue) = publication.to else { panic!("it goes to a queue") };
        Delivery {
            tag: DeliveryTag(1),
            id: publication.id,
            body: publication.body,
            reply_to: publication.reply_to,
            correlation_id: publication.correlation_id,
            headers: publication.headers,
            routing_key: queue.to_string(),
            redeliveries: 0,
        }
    }

    #[test]
    fn a_message_that_is_put_back_knows_how_often_it_was_tried_and_when_it_is_again() {
        let first = Delivery {
            tag: DeliveryTag(1),
            id: "m-1".to_owned(),
            body: "not JSON".into(),
            reply_to: None,
            correlation_id: Some("c".to_owned()),
            headers: Headers::from([("tenant".to_owned(), "a".to_owned())]),
            routing_key: "shop.placed".to_owned(),
            redeliveries: 0,
        };
        assert_eq!(tries(&first), Tries::default());
        let queue = Queue::theirs("jobs");
        let later = Tries { failed: 3, not_before: Some(Timestamp::from_milliseconds(1_700_000_000_000)) };
        let second = arrived(again(&first, &queue, later));
        assert_eq!(tries(&second), later);
        assert_eq!((second.id.as_str(), &second.body), ("m-1", &first.body));
        assert_eq!(second.headers.get("tenant").map(String::as_str), Some("a"));
        assert_eq!((second.routing_key.as_str(), routing_key(&second)), ("jobs", "shop.placed"));
        let third = arrived(again(&second, &queue, Tries { failed: 4, not_before: None }));
        assert_eq!(tries(&third), Tries { failed: 4, not_before: None });
        assert_eq!(routing_key(&third), "shop.placed");
    }
}
