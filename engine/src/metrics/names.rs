//! Handles by names that users choose: so many and no more, or one who makes machines in a loop would fill the
//! memory of Warren and of Prometheus.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use ::metrics::Counter;

use super::catalogue::deployment::OVERFLOWN;
use super::metric::{Label, NAMES_MAX, OTHER};
use super::registry::Registry;

/// The handles of each name, made when it is first seen.
pub(super) struct Names<H> {
    what: Label,
    made: RwLock<HashMap<String, Arc<H>>>,
    other: OnceLock<Other<H>>,
}

/// What all names share that came too late.
struct Other<H> {
    handles: Arc<H>,
    overflown: Counter,
}

impl<H> Names<H> {
    /// No name is known yet. `what` is the label that the names are values of.
    pub(super) fn new(what: Label) -> Self {
        Names { what, made: RwLock::default(), other: OnceLock::new() }
    }

    /// The handles of a name; `make` gets the name, or [`OTHER`].
    pub(super) fn get(&self, registry: &Registry, name: &str, make: impl FnOnce(&str) -> H) -> Arc<H> {
        {
            let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(handles) = made.get(name) {
                return handles.clone();
            }
            if made.len() >= NAMES_MAX {
                return self.other(registry, make);
            }
        }
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= NAMES_MAX && !made.contains_key(name) {
            drop(made);
            return self.other(registry, make);
        }
        made.entry(name.to_owned()).or_insert_with(|| Arc::new(make(name))).clone()
    }

    fn other(&self, registry: &Registry, make: impl FnOnce(&str) -> H) -> Arc<H> {
        let other = self.other.get_or_init(|| Other {
            handles: Arc::new(make(OTHER)),
            overflown: registry.counter(&OVERFLOWN, &[self.what.name()]),
        });
        other.overflown.increment(1);
        other.handles.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_share_one_place() {
        let registry = Registry::new().unwrap();
        let names = Names::new(Label::Machine);
        let get = |name: &str| names.get(&registry, name, str::to_owned);
        for number in 0..NAMES_MAX {
            assert_eq!(*get(&number.to_string()), number.to_string());
        }
        assert_eq!(*get("late"), OTHER);
        assert_eq!(*get("later"), OTHER);
        assert_eq!(*get("0"), "0");
        let text = registry.render();
        assert!(text.contains("warren_metrics_overflown_total{what=\"machine\"} 2\n"), "{text}");
    }
}
