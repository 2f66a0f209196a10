//! What an evaluation makes, counted while it runs: the library bounds each string and array, not all together.

use jlens_core::ast::BinaryOp;
use jlens_core::audit::{CaptureLimits, Outcome, Tracer, ValueRef};
use jlens_core::{CancelToken, Node, NodeKind};
use serde_json::Value;

use super::rewrite;

/// Bytes that a closure takes, and its place on the stack when closures that hold each other are dropped.
const CLOSURE_BYTES: usize = 1_024;
/// Elements that all comparisons of an evaluation look at together, at most: each is one step to the library,
/// however long the arrays are.
const COMPARED_MAX: usize = 10_000_000;
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
    /// Elements that may still be looked at by comparisons.
    comparable: usize,
}

impl Meter {
    /// With so many bytes; the token stops what makes more.
    pub(super) fn new(bytes: usize, token: CancelToken) -> Self {
        Meter { left: bytes, token, result_is_function: false, steps: 0, comparable: COMPARED_MAX }
    }

    fn pay(&mut self, value: ValueRef<'_>) {
        let bytes = match value.type_name() {
            "string" => value.to_json().as_ref().and_then(Value::as_str).map_or(0, str::len),
            "array" => elements(value).saturating_mul(ELEMENT_BYTES),
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
        for operand in [lhs, rhs] {
            if operand.type_name() != "array" {
                continue;
            }
            match self.comparable.checked_sub(elements(operand)) {
                Some(left) => self.comparable = left,
                None => self.token.cancel(),
            }
        }
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
fn elements(array: ValueRef<'_>) -> usize {
    let limits = CaptureLimits { max_items: 0, ..CaptureLimits::default() };
    let shown = array.capture(&limits);
    let left_out = shown.as_ref().and_then(|shown| shown.get(0)?.as_str());
    let digits = left_out.map(|text| text.chars().filter(char::is_ascii_digit).collect::<String>());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
