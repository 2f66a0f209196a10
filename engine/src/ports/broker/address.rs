//! Where messages go and where they wait. The names are those of the design; an adapter adds its prefix.

use std::fmt;

/// The first words of the names of what is ours.
const OWN_WORDS: [&str; 16] = [
    "standard",
    "results",
    "express",
    "calls",
    "inner",
    "tasks",
    "functions",
    "activities",
    "reply",
    "triggers",
    "onlookers",
    "events",
    "transitions",
    "delay",
    "poison",
    "dead",
];

/// Whether a queue or an exchange of ours may have this name, without an adapter's prefix.
fn is_own_name(name: &str) -> bool {
    OWN_WORDS.contains(&name.split('.').next().unwrap_or_default())
}

/// What names of ours begin with where others have theirs, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// As it is configured; may be empty.
    pub fn new(prefix: impl Into<String>) -> Self {
        Prefix(prefix.into())
    }

    /// Whether a queue or an exchange of this name is ours, or may become so.
    pub fn reserves(&self, name: &str) -> bool {
        match name.strip_prefix(&self.0) {
            // Without a prefix every name would be ours.
            Some(name) => !self.0.is_empty() || is_own_name(name),
            None => false,
        }
    }

    /// Whether a queue of this name is one that only we may take from and give to.
    pub fn is_of(&self, name: &str) -> bool {
        name.strip_prefix(&self.0).is_some_and(is_own_name)
    }

    /// Whether it is a queue of ours that people read by hand: what could not be worked.
    pub fn is_of_the_dead(&self, name: &str) -> bool {
        name.strip_prefix(&self.0).is_some_and(|name| ["dead", "poison"].contains(&name))
    }
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// To this queue and no other.
    Queue(Queue),
    /// To all queues that are bound to the exchange for this routing key.
    Exchange(Exchange, String),
}

impl Address {
    /// The queue, if it is one.
    pub fn queue(&self) -> Option<&Queue> {
        match self {
            Address::Queue(queue) => Some(queue),
            Address::Exchange(..) => None,
        }
    }
}

impl From<Queue> for Address {
    fn from(queue: Queue) -> Self {
        Address::Queue(queue)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Queue(queue) => queue.fmt(f),
            Address::Exchange(exchange, key) => write!(f, "{exchange}/{key}"),
        }
    }
}

/// Where messages are handed to all who asked for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Exchange {
    name: String,
    is_ours: bool,
}

impl Exchange {
    /// Status changes of executions.
    pub fn events() -> Self {
        Exchange::ours("events")
    }
    /// The bus: events that start executions.
    pub fn triggers() -> Self {
        Exchange::ours("triggers")
    }
    /// Transitions, for who looks on.
    pub fn transitions() -> Self {
        Exchange::ours("transitions")
    }
    /// One that belongs to somebody else: an adapter takes its name as it is.
    pub fn theirs(name: impl Into<String>) -> Self {
        Exchange { name: name.into(), is_ours: false }
    }
    fn ours(name: &str) -> Self {
        Exchange { name: name.to_owned(), is_ours: true }
    }
    /// Whether it is ours, and its name has an adapter's prefix.
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }
    /// The name without an adapter's prefix.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Where messages wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue {
    name: String,
    is_ours: bool,
}

/// The families of queues that move executions. Each is several queues wide, so that the broker's cores
/// share the work; Standard and Express never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Transitions, timers and joins of Standard executions.
    Standard,
    /// Replies to tasks of Standard executions.
    Results,
    /// Express transitions that never wait for an answer.
    Express,
    /// Express Task, Parallel and Map states of root branches, whose delivery is held.
    Calls,
    /// The same inside branches.
    Inner,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 5] =
        [Family::Standard, Family::Results, Family::Express, Family::Calls, Family::Inner];

    fn as_str(self) -> &'static str {
        match self {
            Family::Standard => "standard",
            Family::Results => "results",
            Family::Express => "express",
            Family::Calls => "calls",
            Family::Inner => "inner",
        }
    }
}

impl Queue {
    /// One queue of a family.
    pub fn of(family: Family, shard: u16) -> Self {
        Queue::named(format!("{}.{shard}", family.as_str()))
    }
    /// Task requests for a function that an AMQP client serves.
    pub fn function(name: &str) -> Self {
        Queue::named(format!("functions.{name}"))
    }
    /// Replies to one engine instance. It belongs to the connection of the broker that declared it, as do
    /// the consumers of that broker: what is held and its answers are lost together.
    pub fn reply(engine: &str) -> Self {
        Queue::named(format!("reply.{engine}"))
    }
    /// Task requests for a connector.
    pub fn tasks(connector: &str) -> Self {
        Queue::named(format!("tasks.{connector}"))
    }
    /// Task requests for the workers of an activity.
    pub fn activity(name: &str) -> Self {
        Queue::named(format!("activities.{name}"))
    }
    /// Whether it is that of a function.
    pub fn is_function(&self) -> bool {
        self.is_ours && self.name.starts_with("functions.")
    }
    /// Whether it is that of an engine's replies.
    pub fn is_reply(&self) -> bool {
        self.is_ours && self.name.starts_with("reply.")
    }
    /// What was delivered too often: it may be what ends engines.
    pub fn poison() -> Self {
        Queue::named("poison")
    }
    /// What could not be worked, filed with its reason.
    pub fn dead() -> Self {
        Queue::named("dead")
    }
    /// From a name that an adapter or a message carries.
    pub fn named(name: impl Into<String>) -> Self {
        Queue { name: name.into(), is_ours: true }
    }
    /// One that belongs to somebody else: an adapter takes its name as it is.
    pub fn theirs(name: impl Into<String>) -> Self {
        Queue { name: name.into(), is_ours: false }
    }
    /// Events for a trigger.
    pub fn trigger(name: &str) -> Self {
        Queue::named(format!("triggers.{name}"))
    }
    /// Events for somebody who looks on. It belongs to the connection of the broker that declared it.
    pub fn onlooker(id: &str) -> Self {
        Queue::named(format!("onlookers.{id}"))
    }
    /// Whether it is that of a trigger.
    pub fn is_triggers(&self) -> bool {
        self.is_ours && self.name.starts_with("triggers.")
    }
    /// Whether it is ours, and its name has an adapter's prefix.
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }
    /// Whether it belongs to one connection and ends with it.
    pub fn is_exclusive(&self) -> bool {
        self.is_reply() || self.is_ours && self.name.starts_with("onlookers.")
    }
    /// The name without an adapter's prefix.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours_are_told_from_others() {
        let families = Family::ALL.map(|family| Queue::of(family, 3));
        let queues = [
            Queue::function("f"),
            Queue::reply("e"),
            Queue::tasks("sqs"),
            Queue::activity("a"),
            Queue::trigger("t"),
            Queue::onlooker("o"),
            Queue::poison(),
            Queue::dead(),
        ];
        for queue in families.iter().chain(&queues) {
            assert!(is_own_name(queue.as_str()), "{queue}");
        }
        for exchange in [Exchange::events(), Exchange::triggers(), Exchange::transitions()] {
            assert!(is_own_name(exchange.as_str()), "{exchange}");
        }
        for name in ["orders", "orders.fifo", "deadline", "", "dead-letters"] {
            assert!(!is_own_name(name), "{name}");
        }
    }
}
