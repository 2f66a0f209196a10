//! What a trigger cannot work: filed as it came in the trigger's own queue, with the reason in its headers.

use std::time::Duration;

use super::compiled::Compiled;
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
        loop {
            match self.broker.publish(vec![letter.clone()]).await.as_deref() {
                Ok([Published::Confirmed]) => return,
                Ok([Published::Returned]) => {
                    if let Err(error) = self.broker.declare(std::slice::from_ref(&trigger.dead_letters)).await
                    {
                        self.outages.noticed(&error.into());
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "a dead letter waits for the broker"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn letter(trigger: &Compiled, delivery: &Delivery, reason: &str, time: String) -> Publication {
    let mut headers = delivery.headers.clone();
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    let queue = trigger.queue.as_ref().map(Queue::to_string).unwrap_or_default();
    for (name, value) in [(REASON, reason), (TRIGGER, trigger.name()), (QUEUE, &queue), (TIME, &time)] {
        headers.insert(name.to_owned(), value.to_owned());
    }
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&delivery.body).is_ok();
    let content = if is_json { Content::Json } else { Content::Text };
    let letter = Publication::new(trigger.dead_letters.clone(), delivery.id.clone(), delivery.body.clone());
    Publication {
        headers,
        content,
        correlation_id: delivery.correlation_id.clone(),
        reply_to: delivery.reply_to.clone(),
        ..letter
    }
}
