//! Between a publication of ours and a message on the wire, in both directions.
//!
//! A delayed publication carries two headers of its own: when it is due by the clock of its publisher, and
//! how much of its delay is left when it comes out of the rung it is in. The clock only corrects what rungs
//! are late by, so that engines whose clocks differ never fire earlier than [`CLOCK_CORRECTION_MAX`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::ladder;
use crate::ports::broker::{Address, Content, Delivery, DeliveryTag, Exchange, Headers, Publication, Queue};

/// When a delayed publication is due, in milliseconds since 1970.
const DUE_HEADER: &str = "warren-due-milliseconds";
/// What is left of a delay after the rung.
const LEFT_HEADER: &str = "warren-left-milliseconds";
/// Headers that brokers add, or this adapter; nobody published them. Why a message was given up
/// (`x-first-death-reason`) is for those who find it.
const FOREIGN_HEADERS: [&str; 9] = [
    "x-death",
    "x-first-death-queue",
    "x-first-death-exchange",
    "x-last-death",
    "x-delivery-count",
    "x-acquired-count",
    "x-opt-",
    DUE_HEADER,
    LEFT_HEADER,
];
/// By how much a clock may shorten what is left of a delay.
const CLOCK_CORRECTION_MAX: i64 = 1_000;
const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;

/// A message as it goes over the wire.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) mandatory: bool,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

/// What arrived, kept until it is settled.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
    pub(super) redelivered: bool,
    pub(super) routing_key: ShortString,
}

/// Puts the adapter's prefix before names, and takes it off again.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: String) -> Self {
        Names { prefix }
    }

    pub(super) fn of(&self, queue: &Queue) -> String {
        if queue.is_ours() { format!("{}{queue}", self.prefix) } else { queue.as_str().to_owned() }
    }

    pub(super) fn exchange(&self, exchange: &Exchange) -> String {
        if exchange.is_ours() { format!("{}{exchange}", self.prefix) } else { exchange.as_str().to_owned() }
    }

    /// The exchange and the queue of a rung.
    pub(super) fn rung(&self, milliseconds: u64) -> String {
        format!("{}delay.{milliseconds}", self.prefix)
    }

    pub(super) fn poison(&self) -> String {
        format!("{}poison", self.prefix)
    }

    /// A stranger's address has no prefix and is taken as it is.
    pub(super) fn stripped(&self, name: &str) -> Queue {
        name.strip_prefix(&self.prefix).map_or_else(|| Queue::theirs(name), Queue::named)
    }

    pub(super) fn seal(&self, publication: Publication) -> Envelope {
        let delay = publication.delay.filter(|delay| !delay.is_zero());
        let mut headers = FieldTable::default();
        for (name, value) in &publication.headers {
            headers.insert(short(name.clone()), AMQPValue::LongString(value.as_str().into()));
        }
        let rung = delay.and_then(ladder::rung_within);
        if let Some(delay) = delay {
            let left = milliseconds(delay).saturating_sub_unsigned(rung.unwrap_or_default());
            let due = now_milliseconds().saturating_add(milliseconds(delay)).saturating_add(1);
            headers.insert(DUE_HEADER.into(), AMQPValue::LongLongInt(due));
            headers.insert(LEFT_HEADER.into(), AMQPValue::LongLongInt(left));
        }
        let mode = match &publication.to {
            Address::Queue(queue) if queue.is_exclusive() => TRANSIENT,
            Address::Exchange(exchange, _) if *exchange == Exchange::transitions() => TRANSIENT,
            Address::Queue(_) | Address::Exchange(..) => PERSISTENT,
        };
        let content = match publication.content {
            Content::Json => "application/json",
            Content::Text => "text/plain; charset=utf-8",
        };
        let mut properties = BasicProperties::default()
            .with_delivery_mode(mode)
            .with_content_type(content.into())
            .with_message_id(publication.id.into());
        if !headers.inner().is_empty() {
            properties = properties.with_headers(headers);
        }
        if let Some(reply_to) = &publication.reply_to {
            properties = properties.with_reply_to(self.of(reply_to).into());
        }
        if let Some(correlation_id) = publication.correlation_id {
            properties = properties.with_correlation_id(correlation_id.into());
        }
        // In a rung an expiry would shorten the delay: what is delayed does not expire.
        if let (Some(expires), None) = (publication.expires, delay) {
            properties = properties.with_expiration(expires.as_millis().to_string().into());
        }
        let (exchange, routing_key, mandatory) = match publication.to {
            Address::Queue(queue) => {
                let exchange = rung.map_or_else(ShortString::default, |rung| self.rung(rung).into());
                (exchange, self.of(&queue).into(), true)
            }
            // Its queues are those who asked for it, and nobody need have.
            Address::Exchange(exchange, key) => (self.exchange(&exchange).into(), short(key), false),
        };
        Envelope { exchange, routing_key, mandatory, properties, body: publication.body }
    }

    pub(super) fn open(&self, tag: u64, arrived: &Arrived) -> Delivery {
        let properties = &arrived.properties;
        let text = |value: &Option<ShortString>| value.as_ref().map(|value| value.as_str().to_owned());
        Delivery {
            tag: DeliveryTag(tag),
            id: text(properties.message_id()).unwrap_or_default(),
            body: arrived.body.clone(),
            reply_to: properties.reply_to().as_ref().map(|name| self.stripped(name.as_str())),
            correlation_id: text(properties.correlation_id()),
            headers: arrived.headers(),
            redeliveries: arrived.redeliveries(),
            routing_key: arrived.routing_key.as_str().to_owned(),
        }
    }
}

impl Envelope {
    /// What it takes in memory, about.
    pub(super) fn weight_bytes(&self) -> usize {
        const AROUND_A_BODY_BYTES: usize = 1_024;
        self.body.len() + AROUND_A_BODY_BYTES
    }

    /// What is answered to whoever published it can be told from what comes back by these.
    pub(super) fn id(&self) -> ShortString {
        self.properties.message_id().clone().unwrap_or_default()
    }
}

impl Arrived {
    fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name)
    }

    fn headers(&self) -> Headers {
        let Some(table) = self.properties.headers() else { return Headers::new() };
        let ours = |name: &str| !FOREIGN_HEADERS.iter().any(|foreign| name.starts_with(foreign));
        let published = table.inner().iter().filter(|(name, _)| ours(name.as_str()));
        published.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
    }

    /// Brokers count in one header, in the other, or only mark what came before.
    fn redeliveries(&self) -> u32 {
        let counts = ["x-delivery-count", "x-acquired-count"];
        let counted = counts.iter().filter_map(|name| integer(self.header(name)?)).max().unwrap_or_default();
        u32::try_from(counted).unwrap_or_default().max(u32::from(self.redelivered))
    }

    /// What is left of its delay; nothing if it is due.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = integer(self.header(LEFT_HEADER)?)?;
        let due = self.header(DUE_HEADER).and_then(integer).unwrap_or(i64::MAX);
        let by_clock = due.saturating_sub(now_milliseconds());
        let left = by_clock.clamp(left.saturating_sub(CLOCK_CORRECTION_MAX), left.max(0));
        u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_millis)
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn now_milliseconds() -> i64 {
    milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn text(value: &AMQPValue) -> Option<String> {
    if let Some(number) = integer(value) {
        return Some(number.to_string());
    }
    match value {
        AMQPValue::Boolean(truth) => Some(truth.to_string()),
        AMQPValue::Float(number) => Some(number.to_string()),
        AMQPValue::Double(number) => Some(number.to_string()),
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn integer(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(number) => Some(i64::from(*number)),
        AMQPValue::ShortShortUInt(number) => Some(i64::from(*number)),
        AMQPValue::ShortInt(number) => Some(i64::from(*number)),
        AMQPValue::ShortUInt(number) => Some(i64::from(*number)),
        AMQPValue::LongInt(number) => Some(i64::from(*number)),
        AMQPValue::LongUInt(number) => Some(i64::from(*number)),
        AMQPValue::LongLongInt(number) => Some(*number),
        _ => None,
    }
}

/// Routing keys have 255 bytes at most.
fn short(mut key: String) -> ShortString {
    key.truncate(key.floor_char_boundary(255));
    key.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(headers: &[(&str, AMQPValue)], redelivered: bool) -> Arrived {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        let properties = BasicProperties::default().with_headers(table);
        Arrived { properties, body: Bytes::new(), redelivered, routing_key: "".into() }
    }

    #[test]
    fn a_message_of_a_stranger_is_taken_as_it_is() {
        let text = AMQPValue::LongString("Sour.Milk".into());
        let headers =
            [("error", text.clone()), ("count", AMQPValue::LongInt(3)), ("x-first-death-queue", text)];
        let delivery = Names::new("warren.".to_owned()).open(7, &arrived(&headers, false));
        assert_eq!((delivery.id.as_str(), delivery.reply_to, delivery.redeliveries), ("", None, 0));
        assert_eq!(
            delivery.headers,
            Headers::from(
                [("count", "3"), ("error", "Sour.Milk")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
            )
        );
    }

    #[test]
    fn redeliveries_are_counted_however_the_broker_does() {
        let count = |name, count| [(name, AMQPValue::LongLongInt(count))];
        let cases = [
            (arrived(&[], false), 0),
            (arrived(&[], true), 1),
            (arrived(&count("x-delivery-count", 4), true), 4),
            (arrived(&count("x-acquired-count", 2), false), 2),
            (arrived(&count("x-delivery-count", 0), true), 1),
        ];
        for (arrived, expected) in cases {
            assert_eq!(arrived.redeliveries(), expected, "{arrived:?}");
        }
    }

    #[test]
    fn a_clock_corrects_what_is_left_of_a_delay_only_a_little() {
        let left = |due_in, left| {
            let due = AMQPValue::LongLongInt(now_milliseconds() + due_in);
            arrived(&[(DUE_HEADER, due), (LEFT_HEADER, AMQPValue::LongLongInt(left))], false).left()
        };
        assert_eq!(left(0, 0), None);
        assert_eq!(left(-5_000, 900), None);
        assert_eq!(left(3_600_000, 5_000), Some(Duration::from_secs(5)));
        assert_eq!(left(-3_600_000, 5_000), Some(Duration::from_secs(4)));
        let on_time = left(4_500, 5_000).unwrap();
        assert!((4_000..=4_500).contains(&on_time.as_millis()), "{on_time:?}");
    }

    #[test]
    fn a_delayed_publication_goes_to_its_largest_rung_and_says_what_is_left() {
        let names = Names::new("warren.".to_owned());
        let publication = Publication::new(Queue::named("orders"), "1".to_owned(), Bytes::new());
        let delay = Some(Duration::from_millis(1_700));
        let envelope = names.seal(Publication { delay, ..publication.clone() });
        assert_eq!(envelope.exchange.as_str(), "warren.delay.1000");
        assert_eq!(envelope.routing_key.as_str(), "warren.orders");
        let headers = envelope.properties.headers().clone().unwrap();
        assert_eq!(headers.inner().get(LEFT_HEADER), Some(&AMQPValue::LongLongInt(700)));
        assert!(names.seal(publication).properties.headers().is_none());
    }
}
