//! Messages: published, delivered, in flight, dead, waiting.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram};

use super::catalogue::messages as catalogue;
use super::executions::seconds;
use super::on;
use super::registry::Registry;
use crate::ports::broker::{Address, Delivery, DeliveryTag, Family, Publication, Published, Queue, Settle};

/// What queues are for, as the label `queue` says it, and how their names begin; then what is published to all who
/// ask for it, and the queues of others.
const KINDS: [&str; 15] = [
    "standard",
    "results",
    "express",
    "calls",
    "inner",
    "functions",
    "activities",
    "tasks",
    "reply",
    "poison",
    "dead",
    "triggers",
    "onlookers",
    "exchange",
    "other",
];
/// The kinds whose messages can be found dead.
const DEADLY: [&str; 9] =
    ["standard", "results", "express", "calls", "inner", "activities", "tasks", "poison", "triggers"];
/// The place of `poison`.
const POISON: usize = 9;

/// The place of `exchange`.
const EXCHANGE: usize = 13;
/// The place of `other`.
const OTHER: usize = 14;

/// The place in [`KINDS`] of what a queue is for.
fn place(queue: &Queue) -> usize {
    let name = queue.as_str();
    let family = name.split_once('.').map_or(name, |(family, _)| family);
    let known = KINDS[..EXCHANGE].iter().position(|kind| *kind == family);
    known.filter(|_| queue.is_ours()).unwrap_or(OTHER)
}

/// Handles by kind of queue.
pub(super) struct Messages {
    kinds: [Handles; KINDS.len()],
    publish: Histogram,
    lag: OnceLock<Gauge>,
    ready: [OnceLock<Gauge>; KINDS.len()],
}

struct Handles {
    published: [Counter; OUTCOMES.len()],
    delivered: Counter,
    redelivered: Counter,
    in_flight: Gauge,
}

const OUTCOMES: [&str; 3] = ["confirmed", "returned", "in_doubt"];

fn outcome(published: Published) -> usize {
    match published {
        Published::Confirmed => 0,
        Published::Returned => 1,
        Published::InDoubt => 2,
    }
}

impl Messages {
    pub(super) fn new(registry: &Registry) -> Self {
        let handles = |kind| Handles {
            published: OUTCOMES.map(|outcome| registry.counter(&catalogue::PUBLISHED, &[kind, outcome])),
            delivered: registry.counter(&catalogue::DELIVERED, &[kind]),
            redelivered: registry.counter(&catalogue::REDELIVERED, &[kind]),
            in_flight: registry.gauge(&catalogue::IN_FLIGHT, &[kind]),
        };
        let messages = Messages {
            kinds: KINDS.map(handles),
            publish: registry.histogram(&catalogue::PUBLISH, &[]),
            lag: OnceLock::new(),
            ready: Default::default(),
        };
        // At 0 from the start: the first dead letter must be seen as one more.
        for kind in DEADLY {
            for reason in Reason::ALL {
                registry.counter(&catalogue::DEAD_LETTERED, &[kind, reason.name()]).increment(0);
            }
        }
        messages
    }
}

/// The queues of a batch on its way out, as many as it has publications.
pub struct Outgoing(Vec<usize>);

impl Outgoing {
    /// Remembers where a batch goes.
    pub fn of(batch: &[Publication]) -> Self {
        let place = |publication: &Publication| match &publication.to {
            Address::Queue(queue) => place(queue),
            Address::Exchange(..) => EXCHANGE,
        };
        Outgoing(batch.iter().map(place).collect())
    }

    /// The broker has said what became of each, after this time.
    pub fn published(&self, outcomes: &[Published], took: Duration) {
        let Some(on) = on() else { return };
        on.messages.publish.record(took);
        let mut counts = [[0_u64; OUTCOMES.len()]; KINDS.len()];
        for (place, published) in self.0.iter().zip(outcomes) {
            counts[*place][outcome(*published)] += 1;
        }
        for (handles, counts) in on.messages.kinds.iter().zip(counts) {
            for (counter, count) in handles.published.iter().zip(counts).filter(|(_, count)| *count > 0) {
                counter.increment(count);
            }
        }
    }
}

/// What one consumer has been given and has not settled.
pub struct Taken {
    kind: usize,
    in_flight: AtomicI64,
}

impl Taken {
    /// By a consumer of this queue, so far nothing.
    pub fn from(queue: &Queue) -> Self {
        Taken { kind: place(queue), in_flight: AtomicI64::new(0) }
    }

    /// It was given these.
    pub fn delivered(&self, deliveries: &[Delivery]) {
        let Some(on) = on() else { return };
        let handles = &on.messages.kinds[self.kind];
        handles.delivered.increment(deliveries.len() as u64);
        let again = deliveries.iter().filter(|delivery| delivery.redeliveries > 0).count();
        if again > 0 {
            handles.redelivered.increment(again as u64);
        }
        self.change(i64::try_from(deliveries.len()).unwrap_or(i64::MAX));
    }

    /// It has settled so many.
    pub fn settled(&self, count: usize) {
        self.change(-i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// One of them is dead now, for this reason.
    pub fn dead_lettered(&self, reason: &str) {
        let Some(on) = on() else { return };
        let reason = if self.kind == POISON { Reason::DeliveredTooOften } else { Reason::of(reason) };
        // Rare enough to be looked up each time.
        on.registry.counter(&catalogue::DEAD_LETTERED, &[KINDS[self.kind], reason.name()]).increment(1);
    }

    fn change(&self, by: i64) {
        let Some(on) = on() else { return };
        self.in_flight.fetch_add(by, Ordering::Relaxed);
        on.messages.kinds[self.kind].in_flight.increment(by as f64);
    }
}

impl Drop for Taken {
    /// What is unsettled goes back with its consumer.
    fn drop(&mut self) {
        let left = *self.in_flight.get_mut();
        if left != 0 {
            self.change(-left);
        }
    }
}

/// Why messages among these are dead.
pub fn dead_letters(settled: &[(DeliveryTag, Settle)]) -> Vec<String> {
    let reason = |(_, settle): &(_, Settle)| match settle {
        Settle::DeadLetter(reason) => Some(reason.clone()),
        Settle::Acknowledge | Settle::Requeue => None,
    };
    settled.iter().filter_map(reason).collect()
}

/// Why a message is dead, by the beginnings of the texts that say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Unreadable,
    Corrupt,
    Definition,
    DeliveredTooOften,
    Other,
}

impl Reason {
    const ALL: [Reason; 5] =
        [Reason::Unreadable, Reason::Corrupt, Reason::Definition, Reason::DeliveredTooOften, Reason::Other];

    fn of(text: &str) -> Self {
        if text.starts_with("failed to read a message") {
            Reason::Unreadable
        } else if text.starts_with("failed to read what the store holds") {
            Reason::Corrupt
        } else if text.starts_with("failed to load the definition")
            || text.starts_with("the interpreter failed")
        {
            Reason::Definition
        } else {
            Reason::Other
        }
    }

    fn name(self) -> &'static str {
        match self {
            Reason::Unreadable => "unreadable",
            Reason::Corrupt => "corrupt",
            Reason::Definition => "definition",
            Reason::DeliveredTooOften => "delivered_too_often",
            Reason::Other => "other",
        }
    }
}

/// So many messages wait in the queues of a family.
pub fn ready(family: Family, messages: u64) {
    waiting(&Queue::of(family, 0), messages);
}

/// So many messages wait in a queue.
pub fn waiting(queue: &Queue, messages: u64) {
    let Some(on) = on() else { return };
    let place = place(queue);
    let gauge =
        on.messages.ready[place].get_or_init(|| on.registry.gauge(&catalogue::READY, &[KINDS[place]]));
    gauge.set(messages as f64);
}

/// Standard transitions made before so many milliseconds are at work or done; later ones may wait.
pub fn lag(milliseconds: i64) {
    let Some(on) = on() else { return };
    let standard = KINDS[place(&Queue::of(Family::Standard, 0))];
    on.messages
        .lag
        .get_or_init(|| on.registry.gauge(&catalogue::LAG, &[standard]))
        .set(seconds(milliseconds));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::decode;
    use crate::ports::store;

    #[test]
    fn every_queue_is_of_a_kind() {
        let check = |queue: Queue, kind: &str| assert_eq!(KINDS[place(&queue)], kind, "{queue}");
        for family in Family::ALL {
            let queue = Queue::of(family, 1);
            check(queue.clone(), queue.as_str().trim_end_matches(".1"));
        }
        check(Queue::function("a.b"), "functions");
        check(Queue::activity("dead"), "activities");
        check(Queue::tasks("lambda"), "tasks");
        check(Queue::reply("0"), "reply");
        check(Queue::poison(), "poison");
        check(Queue::dead(), "dead");
        check(Queue::trigger("t"), "triggers");
        check(Queue::onlooker("0"), "onlookers");
        check(Queue::named("whatever.it.is"), "other");
        check(Queue::named("exchange.x"), "other");
        check(Queue::theirs("standard.1"), "other");
        assert_eq!([KINDS[POISON], KINDS[EXCHANGE], KINDS[OTHER]], ["poison", "exchange", "other"]);
    }

    #[test]
    fn dead_letters_are_told_apart_by_their_texts() {
        let check = |text: String, reason| assert_eq!(Reason::of(&text), reason, "{text}");
        check(decode::<u8>(b"{").unwrap_err().to_string(), Reason::Unreadable);
        check(store::Error::Corrupt("a row".to_owned()).to_string(), Reason::Corrupt);
        let unusable = crate::services::programs::Error::Unusable("no such revision".to_owned());
        check(unusable.to_string(), Reason::Definition);
        check("the interpreter failed on this event".to_owned(), Reason::Definition);
        check("engines that worked it died".to_owned(), Reason::Other);
    }
}
