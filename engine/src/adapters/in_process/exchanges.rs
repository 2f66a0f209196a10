//! Topic exchanges: who gets what by its routing key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ports::broker::{Exchange, Queue};

/// All exchanges that were declared.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    by_name: Mutex<BTreeMap<Exchange, Bindings>>,
}

#[derive(Debug, Default)]
struct Bindings {
    queues: BTreeSet<(Queue, String)>,
    /// They get all of it.
    exchanges: BTreeSet<Exchange>,
}

impl Exchanges {
    pub(super) fn declare(&self, exchange: &Exchange) {
        self.lock().entry(exchange.clone()).or_default();
    }

    /// False if there is no such exchange.
    pub(super) fn bind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> bool {
        let mut by_name = self.lock();
        let Some(bindings) = by_name.get_mut(exchange) else { return false };
        bindings.queues.insert((queue.clone(), pattern.to_owned()));
        true
    }

    pub(super) fn unbind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) {
        if let Some(bindings) = self.lock().get_mut(exchange) {
            bindings.queues.remove(&(queue.clone(), pattern.to_owned()));
        }
    }

    /// A queue that is gone is bound to nothing.
    pub(super) fn forget(&self, queue: &Queue) {
        for bindings in self.lock().values_mut() {
            bindings.queues.retain(|(bound, _)| bound != queue);
        }
    }

    /// False if one of them does not exist.
    pub(super) fn join(&self, from: &Exchange, to: &Exchange) -> bool {
        let mut by_name = self.lock();
        if !by_name.contains_key(to) {
            return false;
        }
        let Some(bindings) = by_name.get_mut(from) else { return false };
        bindings.exchanges.insert(to.clone());
        true
    }

    /// The queues for a routing key, each once; `None` if there is no such exchange.
    pub(super) fn route(&self, exchange: &Exchange, key: &str) -> Option<BTreeSet<Queue>> {
        let by_name = self.lock();
        by_name.get(exchange)?;
        let (mut queues, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![exchange]);
        while let Some(exchange) = open.pop() {
            let Some(bindings) = by_name.get(exchange).filter(|_| seen.insert(exchange)) else { continue };
            let matching = bindings.queues.iter().filter(|(_, pattern)| matches(pattern, key));
            queues.extend(matching.map(|(queue, _)| queue.clone()));
            open.extend(&bindings.exchanges);
        }
        Some(queues)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Exchange, Bindings>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a routing key is of this pattern: words between dots, `*` for one of them, `#` for any number.
/// The work is bounded by the product of their lengths.
fn matches(pattern: &str, key: &str) -> bool {
    let words: Vec<&str> = key.split('.').collect();
    // Whether what was read of the pattern matches the first `n` words.
    let mut reached = vec![false; words.len() + 1];
    reached[0] = true;
    for wanted in pattern.split('.') {
        let mut next = vec![false; words.len() + 1];
        if wanted == "#" {
            let mut any = false;
            for (place, reached) in next.iter_mut().zip(&reached) {
                any |= reached;
                *place = any;
            }
        } else {
            for (index, word) in words.iter().enumerate() {
                next[index + 1] = reached[index] && (wanted == "*" || wanted == *word);
            }
        }
        reached = next;
    }
    reached[words.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_word_by_word() {
        for (pattern, key, expected) in [
            ("#", "a.b.c", true),
            ("#", "", true),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#.c", "a.b.c", true),
            ("#.b", "a.b.c", false),
            ("*.#.c", "c", false),
            ("*.#.c", "a.c", true),
            ("a.#.#.d", "a.b.c.d", true),
            ("a.b", "a.b", true),
            ("a.b", "a.B", false),
        ] {
            assert_eq!(matches(pattern, key), expected, "{pattern} {key}");
        }
    }
}
