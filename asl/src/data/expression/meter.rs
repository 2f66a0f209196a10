//! What an evaluation makes, counted while it runs: the library bounds each string and array, not all together.

use jlens_core::ast::BinaryOp;
use jlens_core::audit::{CaptureLimits, Outcome, Tracer, ValueRef};
use jlens_core::{CancelToken, Node, NodeKind};
use serde_json::Value;

use super::rewrite;

/// Bytes that a closure takes, and its place on the stack when closures that hold each other are dropped.
const CLOSURE_BYTES: usize = 1_024;
/// Elements of an array, or bytes of a text, that something done with it looks at in the time of a step: to the
/// library `$sum($v)` is one step, however long the array is.
const ELEMENTS_PER_STEP: u64 = 32;
const BYTES_PER_STEP: u64 = 256;
/// Bytes that a member of an object takes.
const MEMBER_BYTES: usize = 96;
/// Bytes that an element of an array takes, and a little more.
pub(super) const ELEMENT_BYTES: usize = 32;

/// Counts the bytes of the strings and arrays that an evaluation makes, and stops it when they are too many.
pub(super) struct Meter {
    /// Bytes that may still be made.
    pub(super) left: usize,
    /// Cancelled when there are none.
    pub(super) token: CancelToken,
    /// Whether the evaluation ended in a function, which is no value.
    pub(super) result_is_function: bool,
    /// Steps that it took.
    pub(super) steps: u64,
    /// Steps that may still be spent on looking at what is long.
    looks_left: u64,
    looks_max: u64,
}

impl Meter {
    /// With so many bytes, and steps to look at what is long; the token stops what makes or takes more.
    pub(super) fn new(bytes: usize, looks: u64, token: CancelToken) -> Self {
        let (looks_left, looks_max) = (looks, looks);
        Meter { left: bytes, token, result_is_function: false, steps: 0, looks_left, looks_max }
    }

    /// Steps that were spent on looking at what is long.
    pub(super) fn looked_at(&self) -> u64 {
        self.looks_max - self.looks_left
    }

    fn look_at(&mut self, value: ValueRef<'_>) {
        let steps = match value.type_name() {
            "array" => elements(value) / ELEMENTS_PER_STEP,
            "string" => bytes(value) / BYTES_PER_STEP,
            _ => return,
        };
        match self.looks_left.checked_sub(steps) {
            Some(left) => self.looks_left = left,
            None => {
                self.looks_left = 0;
                self.token.cancel();
            }
        }
    }

    fn pay(&mut self, value: ValueRef<'_>) {
        let bytes = match value.type_name() {
            "string" => usize::try_from(bytes(value)).unwrap_or(usize::MAX),
            "array" => usize::try_from(elements(value)).unwrap_or(usize::MAX).saturating_mul(ELEMENT_BYTES),
            // What it shares with others is not counted again.
            _ => MEMBER_BYTES,
        };
        self.take(bytes);
    }

    fn take(&mut self, bytes: usize) {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => self.token.cancel(),
        }
    }
}

impl Tracer for Meter {
    fn exit(&mut self, node: &Node, outcome: Outcome<'_>) {
        let is_function = matches!(outcome, Outcome::Value(value) if value.type_name() == "function");
        match &node.kind {
            // A call in the last place is a closure, too, that is gone with the call.
            NodeKind::Lambda(lambda) if is_function && !lambda.thunk => self.take(CLOSURE_BYTES),
            NodeKind::Partial { .. } if is_function => self.take(CLOSURE_BYTES),
            NodeKind::Object { pairs } => self.take(MEMBER_BYTES.saturating_mul(pairs.len() + 1)),
            _ => {}
        }
        if let (
            NodeKind::Variable { .. } | NodeKind::Path { .. } | NodeKind::Function { .. },
            Outcome::Value(value),
        ) = (&node.kind, outcome)
        {
            self.look_at(value);
        }
        let makes = match &node.kind {
            NodeKind::Binary { op: BinaryOp::Concat, .. }
            | NodeKind::Array { .. }
            | NodeKind::Wildcard
            | NodeKind::Descendant => true,
            NodeKind::Function { procedure, .. } => {
                matches!(&procedure.kind, NodeKind::Variable { name } if rewrite::is_large(name))
            }
            _ => false,
        };
        if let (true, Outcome::Value(value)) = (makes, outcome) {
            self.pay(value);
        }
    }

    fn operands(&mut self, _: &Node, lhs: ValueRef<'_>, rhs: ValueRef<'_>) {
        self.look_at(lhs);
        self.look_at(rhs);
    }

    fn steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    fn end(&mut self, outcome: Outcome<'_>) {
        if let Outcome::Value(value) = outcome {
            self.result_is_function = value.type_name() == "function";
        }
    }
}

/// How many elements an array has: a view of it without any says how many it leaves out.
fn elements(array: ValueRef<'_>) -> u64 {
    let limits = CaptureLimits { max_items: 0, ..CaptureLimits::default() };
    let shown = array.capture(&limits);
    let left_out = shown.as_ref().and_then(|shown| shown.get(0)?.as_str());
    let digits = left_out.map(|text| text.chars().filter(char::is_ascii_digit).collect::<String>());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// How many bytes a text has.
fn bytes(text: ValueRef<'_>) -> u64 {
    text.to_json().as_ref().and_then(Value::as_str).map_or(0, |text| text.len() as u64)
}
