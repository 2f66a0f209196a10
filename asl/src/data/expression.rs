//! JSONata expressions: `"{% … %}"` in a field of a state.
//!
//! ```text
//!   text ──compile──▶ Query ──evaluate──▶ a value, nothing, or an error      (the language, within limits)
//!     │                                        │
//!     └─▶ Expression: what AWS refuses ────────┴─▶ AWS's words, and the field (what a state sees)
//! ```
//!
//! The language is that of the `jlens-core` crate. Expressions come from strangers: an evaluation takes at most
//! so many steps, levels, elements and bytes, all of them counted, so that one that is made again decides alike.
//! Behind that stands a wall of time, the only clock of this crate, for what the library does in one step.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::data::random::Random;
use crate::data::{Problem, Scope, Work};

mod functions;
mod host;
mod message;
mod meter;
mod query;
mod references;
mod rewrite;

pub use query::{Limits, Query, QueryError};

/// What of `$states` an expression may read beside `input` and `context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uses {
    /// Nothing more: there is no result yet, or never.
    Input,
    /// `$states.result`.
    Result,
    /// `$states.errorOutput`.
    Error,
}

/// An expression in a field of a state, ready to evaluate. Cheap to copy.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    /// What stands between the marks.
    text: String,
    /// The field as AWS names it in a cause: `Output/result`.
    field: String,
    query: Query,
}

/// The one function of JSONata that AWS does not have: to call it is to call something else than a function.
const EVAL: &str = "eval";
/// What an expression is given is copied and read: as much as so many copies.
const BINDING_PRICE: u64 = 2;

/// Why a text is no expression, or none that may stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpressionError {
    /// The end mark is missing.
    NotClosed,
    /// It cannot be read; the place is an offset in characters from the beginning of the expression.
    Syntax(QueryError),
    /// A field, `$` or `*` of an input, which expressions do not have.
    TopLevel(String),
    /// `$$`, for the same reason.
    Root,
    /// A member of `$states` that there is not, or not in this field.
    NoSuchMember(String),
}

impl fmt::Display for ExpressionError {
    /// In AWS's words, which say nothing of the place of an error within the expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpressionError::NotClosed => f.write_str("JSONata string must start with {% and end with %}"),
            ExpressionError::Syntax(error) => f.write_str(&error.message),
            ExpressionError::TopLevel(name) => {
                write!(f, "Reference to '{name}' at the top level is not supported.")
            }
            ExpressionError::Root => f.write_str("Reference to '$$' is not supported."),
            ExpressionError::NoSuchMember(name) => write!(f, "Field '$states.{name}' does not exist."),
        }
    }
}

impl std::error::Error for ExpressionError {}

impl Expression {
    /// Compiles a string of a definition, if it begins as an expression does. `field` is its place as AWS names
    /// it.
    pub fn marked(text: &str, field: &str, uses: Uses) -> Option<Result<Expression, Vec<ExpressionError>>> {
        let rest = text.strip_prefix("{%")?;
        Some(match rest.strip_suffix("%}") {
            Some(inner) => Expression::compile(inner.trim(), field, uses),
            None => Err(vec![ExpressionError::NotClosed]),
        })
    }

    fn compile(text: &str, field: &str, uses: Uses) -> Result<Expression, Vec<ExpressionError>> {
        let query =
            Query::compile(text, Limits::DEFAULT).map_err(|error| vec![ExpressionError::Syntax(error)])?;
        let refused = references::refused(query.root(), uses);
        if !refused.is_empty() {
            return Err(refused);
        }
        let (text, field) = (text.to_owned(), field.to_owned());
        Ok(Expression(Arc::new(Compiled { text, field, query })))
    }

    /// The field that it stands in, as AWS names it.
    pub fn field(&self) -> &str {
        &self.0.field
    }

    /// The variables of the workflow that it reads.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.query.variables().filter(|name| *name != "states")
    }

    /// Whether it may read `$states.context.Execution.Input`. Says no only to what certainly does not.
    pub fn may_see_execution_input(&self) -> bool {
        self.0.query.may_read(&["states", "context", "Execution", "Input"])
    }

    /// The value that it has for a state. Nothing, a function, and any failure are
    /// `States.QueryEvaluationError`.
    pub fn evaluate(&self, scope: Scope<'_>, random: &mut Random) -> Result<Value, Problem> {
        let query = &self.0.query;
        let mut variables: Vec<(String, Value)> = Vec::new();
        if query.may_read(&["states"]) {
            let states = self.states(scope);
            scope.context.budget.spend_on(&states, BINDING_PRICE);
            variables.push(("states".to_owned(), states));
        }
        // A variable goes before a function of its name, which the library takes the name for.
        for name in query.all_names() {
            if let Some(value) = scope.context.variables.get(name) {
                let part = query.part(&[name], value);
                scope.context.budget.spend_on(&part, BINDING_PRICE);
                variables.push((name.to_owned(), part));
            }
        }
        if query.all_names().any(|name| name == EVAL) && !variables.iter().any(|(name, _)| name == EVAL) {
            variables.push((EVAL.to_owned(), Value::Null));
        }
        let found = query.evaluate_within(&scope.context.budget, None, variables, scope.context.now, random);
        match found {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.problem("returned nothing (undefined).")),
            Err(error) if error.is_function() => Err(self.problem("returned an unsupported result type.")),
            Err(error) => Err(self.problem(&format!("threw an error during evaluation. {error}"))),
        }
    }

    /// What a value of another type than the field wants is answered with.
    pub fn unexpected(&self, expected: &str, value: &Value) -> Problem {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        self.problem(&format!(
            "returned an unexpected result type. Expected '{expected}', but was '{found}' for value: {value}"
        ))
    }

    fn problem(&self, what: &str) -> Problem {
        let Compiled { text, field, .. } = &*self.0;
        let cause = format!("The JSONata expression '{text}' specified for the field '{field}' {what}");
        Problem::evaluation(cause, Some(field))
    }

    /// `$states`, as far as it is read.
    fn states(&self, scope: Scope<'_>) -> Value {
        let query = &self.0.query;
        let mut states = Map::new();
        let mut put = |name: &str, value: &Value| {
            if query.may_read(&["states", name]) {
                states.insert(name.to_owned(), query.part(&["states", name], value));
            }
        };
        put("input", scope.input);
        match scope.work {
            Work::Ahead => {}
            Work::Result(result) => put("result", result),
            Work::Error(error) => put("errorOutput", error),
        }
        if query.may_read(&["states", "context"]) {
            put("context", scope.context.value());
        }
        Value::Object(states)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text && self.0.field == other.0.field
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("text", &self.0.text).field("field", &self.0.field).finish()
    }
}
