//! What the connector `events` needs of the engine: events for the bus, which is an exchange.
//!
//! ```text
//!   events:putEvents ──▶ triggers / SOURCE.DETAIL-TYPE ──▶ triggers, and queues that others have bound to it
//! ```
//!
//! Each goes out in the envelope that EventBridge has for it, under the id that is also that of its message.

use std::sync::Arc;

use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use connectors::events::{Bus, Entry};
use connectors::message::Undelivered;

use crate::arn::Home;
use crate::events::envelope::Envelope;
use crate::ports::broker::{Address, Exchange, Publication};
use crate::services::late_core::{LateCore, STOPPING};
use crate::services::messaging::deliver;
use crate::services::{Core, Unavailable};

/// The longest routing key (AMQP 0-9-1, short strings).
const KEY_BYTES_MAX: usize = 255;
/// What the sender of an event says of its trace, as AWS names it.
const TRACE: &str = "x-amzn-trace-id";

/// The bus of this engine.
pub struct EngineBus {
    core: Arc<LateCore>,
}

impl EngineBus {
    /// Of this engine.
    pub fn new(core: Arc<LateCore>) -> Self {
        EngineBus { core }
    }
}

#[async_trait]
impl Bus for EngineBus {
    async fn put(&self, entries: Vec<Entry>) -> Vec<Result<(), Undelivered>> {
        let Some(core) = self.core.get() else {
            return vec![Err(Undelivered::Unavailable(STOPPING.to_owned())); entries.len()];
        };
        let now = core.clock.now();
        let event = |entry| publication(&core.home, entry, now);
        let events: Vec<Publication> = entries.into_iter().map(event).collect();
        deliver(&core, &events).await
    }
}

/// An event as EventBridge hands it on (user guide, "Structure of an event").
fn envelope(home: &Home, entry: &Entry, now: Timestamp) -> Envelope {
    Envelope {
        version: "0".to_owned(),
        id: entry.id.to_string(),
        detail_type: entry.detail_type.clone(),
        source: entry.source.clone(),
        account: home.account.clone(),
        time: entry.time.map_or(now, Timestamp::from_milliseconds),
        region: home.region.clone(),
        resources: entry.resources.clone(),
        // The connector has read it as an object.
        detail: serde_json::from_str(&entry.detail).unwrap_or_default(),
    }
}

/// An event of a task as it goes out.
fn publication(home: &Home, entry: Entry, now: Timestamp) -> Publication {
    let event = envelope(home, &entry, now);
    let headers = entry.trace_header.map(|trace| (TRACE.to_owned(), trace)).into_iter().collect();
    Publication { headers, ..on_the_bus(&event) }
}

fn on_the_bus(event: &Envelope) -> Publication {
    let mut key = format!("{}.{}", event.source, event.detail_type);
    key.truncate(key.floor_char_boundary(KEY_BYTES_MAX));
    let to = Address::Exchange(Exchange::triggers(), key);
    Publication::new(to, event.id.clone(), event.to_value().to_string().into())
}

impl Core {
    /// Publishes events to the bus; returns when the broker has all of them. Published again, an event has the
    /// same id.
    pub async fn put_events(&self, events: &[Envelope]) -> Result<(), Unavailable> {
        self.publish(events.iter().map(on_the_bus).collect()).await
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn entry() -> Entry {
        Entry {
            id: Uuid::from_u128(7),
            source: "shop.orders".to_owned(),
            detail_type: "Order Placed".to_owned(),
            detail: r#"{"b": 1.50, "a": 12345678901234567890}"#.to_owned(),
            resources: vec!["arn:aws:states:r:a:execution:m:e".to_owned()],
            time: Some(1_767_323_045_678),
            trace_header: Some("Root=1".to_owned()),
        }
    }

    #[test]
    fn an_event_goes_out_as_eventbridge_hands_it_on() {
        let published = publication(&Home::default(), entry(), Timestamp::from_milliseconds(0));
        let expected = r#"{"version":"0","id":"00000000-0000-0000-0000-000000000007","detail-type":"Order Placed","source":"shop.orders","account":"000000000000","time":"2026-01-02T03:04:05Z","region":"us-east-1","resources":["arn:aws:states:r:a:execution:m:e"],"detail":{"b":1.5,"a":12345678901234567890}}"#;
        assert_eq!(published.body, expected.as_bytes());
        assert_eq!(published.id, "00000000-0000-0000-0000-000000000007");
        assert_eq!(published.headers[TRACE], "Root=1");
        let to = Address::Exchange(Exchange::triggers(), "shop.orders.Order Placed".to_owned());
        assert_eq!(published.to, to);
    }

    #[test]
    fn without_a_time_it_happened_now() {
        let entry = Entry { time: None, trace_header: None, ..entry() };
        let published = publication(&Home::default(), entry.clone(), Timestamp::from_milliseconds(1_999));
        assert!(published.headers.is_empty());
        let envelope = envelope(&Home::default(), &entry, Timestamp::from_milliseconds(1_999));
        assert_eq!(envelope.to_value()["time"], "1970-01-01T00:00:01Z");
    }

    #[test]
    fn a_routing_key_is_cut_where_amqp_ends() {
        let entry = Entry { detail_type: "é".repeat(200), ..entry() };
        let Address::Exchange(_, key) = publication(&Home::default(), entry, Timestamp::default()).to else {
            panic!("the bus is an exchange")
        };
        assert_eq!(key.len(), 254);
    }
}
