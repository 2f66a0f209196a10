//! Which message of a channel was confirmed, and which came back.
//!
//! The driver hands a returned message over together with some confirm: the next one to be resolved after the
//! return arrived, whichever message that confirms. Only the returned message itself tells whose it is. What
//! is certain:
//!
//! * A message whose confirm brought no return was not returned, unless an earlier resolved confirm brought
//!   the return. So it is decided after everything that is resolved has been looked at.
//! * A message whose confirm brought the return of another may itself have been returned; its own return has
//!   surely been handed over when all messages before it are resolved. So it is decided then.

use std::collections::{BTreeMap, BTreeSet};

use lapin::types::ShortString;
use lapin::{Confirmation, message::BasicReturnMessage};
use tokio::time::Instant;

use super::batch::{Outcome, Ticket};

/// Of one channel.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By the number of the message, which is the order on the wire.
    open: BTreeMap<u64, Entry>,
    /// Confirmed together with the return of another.
    unsure: BTreeSet<u64>,
    last_number: u64,
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    routing_key: ShortString,
    id: ShortString,
    sent: Instant,
    is_returned: bool,
}

/// How a message ended on the wire.
pub(super) type Resolved = (u64, lapin::Result<Confirmation>);

impl Ledger {
    /// Numbers a message that is about to go out.
    pub(super) fn enter(&mut self, ticket: Ticket, routing_key: ShortString, id: ShortString) -> u64 {
        self.last_number += 1;
        let entry = Entry { ticket, routing_key, id, sent: Instant::now(), is_returned: false };
        self.open.insert(self.last_number, entry);
        self.last_number
    }

    /// Takes in all that is resolved by now and answers what can be decided. Gives the routing keys of what
    /// was returned.
    pub(super) fn resolve(&mut self, resolved: Vec<Resolved>) -> Vec<ShortString> {
        let (mut sure, mut lost) = (Vec::new(), Vec::new());
        for (number, result) in resolved {
            match result {
                Ok(Confirmation::Ack(None)) => sure.push(number),
                Ok(Confirmation::Ack(Some(returned))) => {
                    self.unsure.insert(number);
                    self.mark(&returned);
                }
                Ok(Confirmation::Nack(returned)) => {
                    lost.push(number);
                    returned.iter().for_each(|returned| self.mark(returned));
                }
                Ok(Confirmation::NotRequested) | Err(_) => lost.push(number),
            }
        }
        let mut keys = Vec::new();
        for number in sure {
            self.decide(number, &mut keys);
        }
        for number in lost {
            if let Some(entry) = self.open.remove(&number) {
                entry.ticket.answer(Outcome::InDoubt);
            }
        }
        self.decide_unsure(&mut keys);
        keys
    }

    /// When the oldest message went out that nothing is known of.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.open.values().next().map(|entry| entry.sent)
    }

    fn mark(&mut self, returned: &BasicReturnMessage) {
        let delivery = &returned.delivery;
        let id = delivery.properties.message_id().as_ref().map_or("", ShortString::as_str);
        let is_it = |entry: &&mut Entry| {
            !entry.is_returned && entry.routing_key == delivery.routing_key && entry.id.as_str() == id
        };
        if let Some(entry) = self.open.values_mut().find(is_it) {
            entry.is_returned = true;
        }
    }

    fn decide(&mut self, number: u64, keys: &mut Vec<ShortString>) {
        let Some(entry) = self.open.remove(&number) else { return };
        if entry.is_returned {
            entry.ticket.answer(Outcome::Returned);
            keys.push(entry.routing_key);
        } else {
            entry.ticket.answer(Outcome::Confirmed);
        }
    }

    fn decide_unsure(&mut self, keys: &mut Vec<ShortString>) {
        let returned = |number: &u64| self.open.get(number).is_some_and(|entry| entry.is_returned);
        let known: Vec<u64> = self.unsure.iter().copied().filter(returned).collect();
        for number in known {
            self.unsure.remove(&number);
            self.decide(number, keys);
        }
        while let (Some(unsure), Some(open)) = (self.unsure.first().copied(), self.first_open()) {
            if open < unsure {
                return;
            }
            self.unsure.remove(&unsure);
            self.decide(unsure, keys);
        }
    }

    fn first_open(&self) -> Option<u64> {
        self.open.keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lapin::BasicProperties;
    use lapin::message::Delivery;

    use super::super::batch::Batch;
    use super::*;

    fn returned(number: u64) -> BasicReturnMessage {
        let mut delivery = Delivery::mock(0, "".into(), key(number), false, Vec::new());
        delivery.properties = BasicProperties::default().with_message_id("id".into());
        BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() }
    }

    fn key(number: u64) -> ShortString {
        format!("queue.{number}").into()
    }

    /// Messages 1 to 4 are on their way; each step tells which are acknowledged, each with the return of
    /// which.
    fn check(steps: &[&[(u64, Option<u64>)]], expected: [Outcome; 4]) {
        let batch = Batch::of(4);
        let mut ledger = Ledger::default();
        for number in 1..=4 {
            let ticket = Arc::clone(&batch).ticket(usize::try_from(number).unwrap() - 1);
            assert!(ticket.is_sent());
            assert_eq!(ledger.enter(ticket, key(number), "id".into()), number);
        }
        for step in steps {
            let ack = |(number, brought): &(u64, Option<u64>)| {
                (*number, Ok(Confirmation::Ack(brought.map(returned))))
            };
            ledger.resolve(step.iter().map(ack).collect());
        }
        assert_eq!(batch.close(), expected, "{steps:?}");
    }

    #[test]
    fn a_return_belongs_to_the_message_it_names() {
        use Outcome::{Confirmed, InDoubt, Returned};
        check(
            &[&[(1, None), (2, Some(2)), (3, None), (4, None)]],
            [Confirmed, Returned, Confirmed, Confirmed],
        );
        // Brought by another that is resolved with it, or before it.
        check(
            &[&[(2, None), (1, Some(2)), (3, None), (4, None)]],
            [Confirmed, Returned, Confirmed, Confirmed],
        );
        check(
            &[&[(1, Some(4))], &[(4, None)], &[(2, None), (3, None)]],
            [Confirmed, Confirmed, Confirmed, Returned],
        );
        // Each brings the other's.
        check(&[&[(3, Some(2))], &[(2, Some(3))], &[(1, None)]], [Confirmed, Returned, Returned, InDoubt]);
    }

    #[test]
    fn who_brings_a_return_is_decided_when_all_before_it_are() {
        use Outcome::{Confirmed, InDoubt, Returned};
        check(&[&[(3, Some(4))]], [InDoubt, InDoubt, InDoubt, InDoubt]);
        check(&[&[(3, Some(4))], &[(1, None), (2, None)]], [Confirmed, Confirmed, Confirmed, InDoubt]);
        check(&[&[(3, Some(1))], &[(1, None), (2, None)]], [Returned, Confirmed, Confirmed, InDoubt]);
    }
}
