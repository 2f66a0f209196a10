//! Rules of a `Choice` state.

use serde_json::Number;

use super::StateId;
use crate::data::expression::Expression;
use crate::data::path::{Path, ReferencePath};
use crate::data::template::Template;
use crate::data::timestamp::Timestamp;

/// Fields of a `Choice` state.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Tried from top to bottom; never empty.
    pub rules: Vec<Rule>,
    /// Where to go when no rule holds.
    pub default: Option<StateId>,
}

/// A condition and where it leads.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What must hold.
    pub condition: Condition,
    /// `Assign` of the rule: if it holds, this replaces the state's.
    pub assign: Option<Template>,
    /// `Output` of the rule, in JSONata: if it holds, this replaces the state's.
    pub output: Option<Template>,
    /// Where to go when it does.
    pub next: StateId,
}

/// A boolean expression over the state's effective input. Nested no deeper than the JSON it came from.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All hold; stops at the first that does not.
    And(Vec<Condition>),
    /// One holds; stops at the first that does.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A comparison of the value that `variable` names.
    Test {
        /// `Variable`.
        variable: Path,
        /// The operator with its operand.
        comparison: Comparison,
    },
    /// `Condition` in JSONata, given.
    Literal(bool),
    /// `Condition` in JSONata, computed.
    Expression(Expression),
}

/// An operator with its operand.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// `String…`: by UTF-16 code units.
    String(Order, Operand<String>),
    /// `Numeric…`.
    Numeric(Order, Operand<Number>),
    /// `BooleanEquals`.
    Boolean(Operand<bool>),
    /// `Timestamp…`: as instants.
    Timestamp(Order, Operand<Timestamp>),
    /// `StringMatches`.
    Matches(StringPattern),
    /// `Is…`, true or false.
    Is(TypeTest, bool),
    /// `IsPresent`, true or false: the only operator that a missing path does not disturb.
    IsPresent(bool),
}

/// How two values must stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the language")]
pub enum Order {
    Equals,
    LessThan,
    GreaterThan,
    LessThanEquals,
    GreaterThanEquals,
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand<T> {
    /// Given in the definition.
    Literal(T),
    /// Read from the input (the `…Path` operators).
    Path(ReferencePath),
}

/// The type tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the language")]
pub enum TypeTest {
    Null,
    Numeric,
    String,
    Boolean,
    Timestamp,
}

/// The pattern of `StringMatches`: `*` stands for any run of characters, `\*` and `\\` for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringPattern {
    /// The literal texts between the stars: one more than there are stars, empty texts included.
    pub pieces: Vec<String>,
}
