//! What one attempt at the work of a state may compute.
//!
//! A transition is made at one go, and what it computes holds an engine: a state may have ten thousand expressions,
//! a Map tens of thousands of items. Each is bounded by itself; this bounds them together. All of it is counted, so
//! that an attempt that is made again comes to the same end. A step is about as much as JSONata does in half a
//! microsecond.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::Value;

use crate::data::Failure;

/// Steps of one attempt: about two seconds.
const STEPS_MAX: u64 = 4_000_000;
/// Steps more for a Map that makes an input of each item: many small ones may each read the whole of its input.
const STEPS_OF_MAP: u64 = 6_000_000;
/// Steps more for each of those items.
const STEPS_PER_ITEM: u64 = 400;
/// Values that are copied in one step.
const VALUES_PER_STEP: u64 = 8;
/// Bytes of texts that are copied in one step.
const BYTES_PER_STEP: u64 = 256;

/// Steps that are left. Copies share them.
#[derive(Debug, Clone)]
pub struct Budget(Rc<Cell<u64>>);

impl Budget {
    /// That of an attempt.
    pub fn of_attempt() -> Self {
        Budget(Rc::new(Cell::new(STEPS_MAX)))
    }

    /// Adds what the inputs of so many items may cost.
    pub fn add_items(&self, items: usize) {
        let each = STEPS_PER_ITEM.saturating_mul(u64::try_from(items).unwrap_or(u64::MAX));
        self.0.set(self.0.get().saturating_add(STEPS_OF_MAP).saturating_add(each));
    }

    /// What is left.
    pub fn left(&self) -> u64 {
        self.0.get()
    }

    /// Takes what was used.
    pub fn spend(&self, steps: u64) {
        self.0.set(self.0.get().saturating_sub(steps));
    }

    /// Takes what a copy of a value costs, so many times over.
    pub fn spend_on(&self, value: &Value, times: u64) {
        self.spend(copy_steps(value).saturating_mul(times));
    }

    /// Whether so much was used that another state should have a transition of its own.
    pub fn is_touched(&self) -> bool {
        self.left() < STEPS_MAX - STEPS_MAX / 8
    }

    /// Fails where nothing is left: what was computed since is not to be trusted.
    pub fn check(&self) -> Result<(), Failure> {
        if self.left() > 0 {
            return Ok(());
        }
        Err(Failure::runtime("The expressions of the state take too many steps together."))
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::of_attempt()
    }
}

/// Steps that a copy of a value costs.
fn copy_steps(value: &Value) -> u64 {
    let (mut values, mut bytes) = (0, 0);
    count(value, &mut values, &mut bytes);
    values / VALUES_PER_STEP + bytes / BYTES_PER_STEP
}

/// Values are no deeper than JSON that was read.
fn count(value: &Value, values: &mut u64, bytes: &mut u64) {
    *values += 1;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => *bytes += text.len() as u64,
        Value::Array(items) => items.iter().for_each(|item| count(item, values, bytes)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            *bytes += name.len() as u64;
            count(member, values, bytes);
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::data::expression::{Limits, Query};
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
        let budget = Budget::of_attempt();
        let before = budget.left();
        let _ = evaluate(&budget, "$match('aaa', /a/)");
        let dear = before - budget.left();
        assert!(dear >= 50, "{dear} steps");
    }
}
