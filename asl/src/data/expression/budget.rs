//! What all expressions of one transition may cost together.

use std::cell::Cell;
use std::rc::Rc;

/// Steps of all expressions of one transition: eight that take all that one may, about two seconds.
const STEPS_MAX: u64 = 4_000_000;
/// Steps more for each item that a Map makes an input of.
const STEPS_PER_ITEM: u64 = 400;

/// Steps that are left. Copies share them.
///
/// A transition is made at one go, and what it costs holds an engine: a state may have a thousand expressions, a
/// Map tens of thousands of items.
#[derive(Debug, Clone)]
pub struct Budget(Rc<Cell<u64>>);

impl Budget {
    /// That of a transition.
    pub fn of_transition() -> Self {
        Budget(Rc::new(Cell::new(STEPS_MAX)))
    }

    /// Adds what the inputs of so many items may cost.
    pub fn add_items(&self, items: usize) {
        let more = STEPS_PER_ITEM.saturating_mul(u64::try_from(items).unwrap_or(u64::MAX));
        self.0.set(self.0.get().saturating_add(more));
    }

    /// What is left.
    pub(super) fn left(&self) -> u64 {
        self.0.get()
    }

    /// Takes what was used.
    pub(super) fn spend(&self, steps: u64) {
        self.0.set(self.0.get().saturating_sub(steps));
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::of_transition()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Limits, Query};
    use super::*;
    use crate::data::random::Random;
    use crate::data::timestamp::Timestamp;

    fn evaluate(budget: &Budget, text: &str) -> Result<bool, bool> {
        let query = Query::compile(text, Limits::DEFAULT).unwrap();
        let mut random = Random::from_seed([0; 32]);
        let found = query.evaluate_within(budget, None, Vec::new(), Timestamp::default(), &mut random);
        found.map(|found| found == Some(json!(3))).map_err(|error| error.is_limit())
    }

    #[test]
    fn expressions_pay_with_what_those_before_them_left() {
        let budget = Budget(Rc::new(Cell::new(10)));
        assert_eq!(evaluate(&budget, "1 + 2"), Ok(true));
        let left = budget.left();
        assert!((1..10).contains(&left), "{left} of 10 steps are left");
        assert_eq!(evaluate(&budget, "$sum([1..9].($ * $))"), Err(true));
        assert_eq!(budget.left(), 0);
        assert_eq!(evaluate(&budget, "1 + 2"), Err(true));
        budget.add_items(1);
        assert_eq!(evaluate(&budget, "1 + 2"), Ok(true));
    }

    #[test]
    fn a_step_with_a_regular_expression_is_dearer() {
        let budget = Budget::of_transition();
        let before = budget.left();
        let _ = evaluate(&budget, "$match('aaa', /a/)");
        let dear = before - budget.left();
        assert!(dear >= 50, "{dear} steps");
    }
}
