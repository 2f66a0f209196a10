//! The language itself: compiled by `jlens-core`, evaluated within limits that are counted.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use jlens_core::ast::BinaryOp;
use jlens_core::reads::{Read, Reads};
use jlens_core::{Bindings, CancelToken, Error, HostFunction, Node, NodeKind, Options, function_catalog};
use serde_json::{Number, Value};

use super::host::{Own, Shared, host_function};
use super::meter::Meter;
use super::{functions, message, rewrite};
use crate::data::budget::Budget;
use crate::data::random::Random;
use crate::data::timestamp::Timestamp;

/// What one evaluation may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps: nodes evaluated, calls made.
    pub steps_max: u64,
    /// Steps where the expression has a regular expression, of whose backtracking 1,024 steps count as one.
    pub regex_steps_max: u64,
    /// Levels of evaluation.
    pub depth_max: usize,
    /// Bytes of a string.
    pub string_bytes_max: usize,
    /// Bytes of all strings together, and of the elements of all ranges.
    pub memory_bytes_max: usize,
    /// Elements of an array.
    pub elements_max: usize,
    /// Bytes of the result as compact JSON.
    pub result_bytes_max: usize,
}

impl Limits {
    /// Those of a workflow: an expression that needs more takes more than 250 ms or 64 MiB somewhere.
    pub const DEFAULT: Limits = Limits {
        steps_max: 500_000,
        regex_steps_max: 14_000,
        depth_max: 1_000,
        string_bytes_max: 1_048_576,
        memory_bytes_max: 33_554_432,
        elements_max: functions::RANGE_ELEMENTS_MAX,
        result_bytes_max: 1_048_576,
    };
}

/// A compiled expression of the language. `$partition`, `$range`, `$hash`, `$random`, `$uuid` and `$parse` are
/// known in it.
///
/// ```
/// use asl::data::expression::{Limits, Query};
/// use asl::data::random::Random;
/// use asl::data::timestamp::Timestamp;
/// use serde_json::json;
///
/// let query = Query::compile("$sum(items.price)", Limits::DEFAULT)?;
/// let input = json!({"items": [{"price": 2}, {"price": 3.5}]});
/// let mut random = Random::from_seed([0; 32]);
/// let found = query.evaluate(Some(&input), Vec::new(), Timestamp::default(), &mut random)?;
/// assert_eq!(found, Some(json!(5.5)));
/// # Ok::<(), asl::data::expression::QueryError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Query {
    expression: jlens_core::Expression,
    /// The same behind definitions of functions, which must not hide variables of these names.
    defined: Option<jlens_core::Expression>,
    redefined: Vec<&'static str>,
    limits: Limits,
    reads: Reads,
    /// Every name behind a `$`.
    names: BTreeSet<String>,
    /// Our functions among them.
    functions: Vec<Own>,
    has_regex: bool,
    has_lambda: bool,
    /// Its parts, if it only reads what it is given, a few times: that is paid for with the giving, and needs no
    /// meter.
    plain: Option<u64>,
}

/// Why an expression cannot be compiled or evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// The code of JSONata, `T2001`; empty for a limit.
    pub code: String,
    /// In JSONata's words; a limit in AWS's.
    pub message: String,
    /// Where, in UTF-16 code units from the beginning; of syntax errors only.
    pub position: Option<usize>,
    /// The token that the error is about, where there is one.
    pub token: Option<String>,
}

/// The last wall, behind all that is counted: what comes to it would hold an engine, and comes to it again.
const LAST_WALL: Duration = Duration::from_secs(10);
/// Closures that hold each other are dropped one within the other: as many as [`Meter`] lets live need less.
const CLOSURE_STACK_BYTES: usize = 64 * 1024 * 1024;

/// The result is a function, which is no value.
const FUNCTION: &str = "function";

impl QueryError {
    /// Whether there is no failure but a result that is no value.
    pub(super) fn is_function(&self) -> bool {
        self.code == FUNCTION
    }

    fn of(error: &Error) -> Self {
        let limit = match error.code() {
            "U1006" | "D1012" => "Expression evaluation timeout",
            "U1001" | "U1003" | "D2014" => "Expression evaluation memory limit exceeded",
            "D1011" => "Stack overflow error",
            _ => "",
        };
        let message = if limit.is_empty() { message::of(error) } else { limit.to_owned() };
        let code = error.code().to_owned();
        QueryError { code, message, position: None, token: error.token() }
    }

    /// Whether a limit was reached.
    pub fn is_limit(&self) -> bool {
        matches!(self.code.as_str(), "U1001" | "U1003" | "U1006" | "D1011" | "D1012" | "D2014")
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_limit() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.code, self.message)
        }
    }
}

impl std::error::Error for QueryError {}

impl Query {
    /// Compiles an expression.
    pub fn compile(text: &str, limits: Limits) -> Result<Query, QueryError> {
        let located = |error: &Error| {
            let mut located = QueryError::of(error);
            located.position = error.position();
            located
        };
        let ast = jlens_core::parse(text).map_err(|error| located(&error))?;
        let (mut names, mut called) = (BTreeSet::new(), BTreeSet::new());
        // Whether `$string` is asked for more than one line, which its definition of ours cannot.
        let mut prints = false;
        let (mut has_regex, mut has_lambda) = (false, false);
        rewrite::walk(&ast.root, |node| match &node.kind {
            NodeKind::Variable { name } => {
                names.insert(name.clone());
            }
            NodeKind::Function { procedure, args } => {
                if let NodeKind::Variable { name } = &procedure.kind {
                    called.insert(name.clone());
                    prints |= name == "string" && args.len() > 1;
                }
            }
            NodeKind::Lambda(_) | NodeKind::Partial { .. } => has_lambda = true,
            NodeKind::Regex { .. } => has_regex = true,
            _ => {}
        });
        let plain = plain(&ast.root);
        // The library makes a regular expression of its picture.
        has_regex |= names.contains("toMillis");
        let compile = |text: &str| jlens_core::Expression::compile(text).map_err(|error| located(&error));
        let spanned = rewrite::with_spans(text, &ast.root);
        let mut redefined = rewrite::redefined(&names);
        redefined.retain(|name| !(prints && *name == "string"));
        let defined = match redefined.is_empty() {
            true => None,
            false => Some(compile(&rewrite::with_definitions(&spanned, &redefined))?),
        };
        let used = |own: &Own| match own {
            Own::Span => spanned != text,
            Own::Distinct | Own::Fits => defined.is_some(),
            own => names.contains(own.name()),
        };
        let functions: Vec<Own> = Own::ALL.into_iter().filter(used).collect();
        let expression = compile(&spanned)?;
        let reads = Reads::default();
        let mut query = Query {
            expression,
            defined,
            redefined,
            limits,
            reads,
            names,
            functions,
            has_regex,
            has_lambda,
            plain,
        };
        let shared = Shared::new(&Random::from_seed([0; 32]), limits);
        // A function that does not exist fails when it is called, and reads nothing.
        let catalog = function_catalog();
        let mut bindings = query.bindings(Vec::new(), &shared);
        for name in
            called.iter().filter(|name| !catalog.iter().any(|function| function.name == name.as_str()))
        {
            if bindings.get_function(name).is_none() {
                bindings = bindings.function(name, HostFunction::new(0, |_, _| Ok(None)).without_input());
            }
        }
        query.reads = query.expression.reads_with(&bindings);
        Ok(query)
    }

    /// The expression as it was read.
    pub(super) fn root(&self) -> &Node {
        &self.expression.ast().root
    }

    /// The bindings that it reads, but functions.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        let is_own = |name: &str| Own::ALL.iter().any(|own| own.name() == name);
        self.reads.bindings().keys().map(String::as_str).filter(move |name| !is_own(name))
    }

    /// Every name behind a `$`, of a variable or not.
    pub(super) fn all_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether what lies under these names, the first that of a binding, may be read.
    pub(super) fn may_read(&self, path: &[&str]) -> bool {
        let Some((binding, fields)) = path.split_first() else { return true };
        let Some(mut read) = self.reads.binding(binding) else { return self.reads.every_binding() };
        for field in fields {
            match read {
                Read::Whole => return true,
                Read::Fields(known) => match known.get(*field) {
                    Some(below) => read = below,
                    None => return false,
                },
            }
        }
        true
    }

    /// The part of a value that is read of what lies under these names.
    pub(super) fn part(&self, path: &[&str], value: &Value) -> Value {
        let mut read = path.first().and_then(|binding| self.reads.binding(binding));
        for field in path.iter().skip(1) {
            match read {
                Some(Read::Fields(known)) => read = known.get(*field),
                Some(Read::Whole) | None => break,
            }
        }
        read.map_or_else(|| value.clone(), |read| read.cut(value))
    }

    /// The value on an input and with variables; `None` is undefined. What it costs is counted in steps, so the
    /// same arguments always lead to the same end.
    pub fn evaluate(
        &self,
        input: Option<&Value>,
        variables: Vec<(String, Value)>,
        now: Timestamp,
        random: &mut Random,
    ) -> Result<Option<Value>, QueryError> {
        self.evaluate_within(&Budget::default(), input, variables, now, random)
    }

    /// The same, with no more than is left of a budget, which pays for it.
    pub(crate) fn evaluate_within(
        &self,
        budget: &Budget,
        input: Option<&Value>,
        variables: Vec<(String, Value)>,
        now: Timestamp,
        random: &mut Random,
    ) -> Result<Option<Value>, QueryError> {
        let limits = self.limits;
        // A step with regular expressions is a dearer one.
        let (steps_max, price) = match self.has_regex {
            true => (limits.regex_steps_max, limits.steps_max / limits.regex_steps_max.max(1)),
            false => (limits.steps_max, 1),
        };
        let price = price.max(1);
        let token = CancelToken::new();
        let options = Options::new()
            .now(now.milliseconds())
            .seed(random.next_u64())
            .timeout(LAST_WALL)
            .max_steps(steps_max.min(budget.left() / price))
            .cancel_token(token.clone())
            .max_depth(limits.depth_max)
            .max_string_length(limits.string_bytes_max)
            .max_array_length(limits.elements_max)
            .max_result_size(limits.result_bytes_max);
        let shared = Shared::new(random, limits);
        let hidden = variables.iter().any(|(name, _)| self.redefined.contains(&name.as_str()));
        let expression = self.defined.as_ref().filter(|_| !hidden).unwrap_or(&self.expression);
        let bindings = self.bindings(variables, &shared);
        if let Some(parts) = self.plain {
            budget.spend(parts);
            match expression.evaluate_with(input, &bindings, &options) {
                Ok(Some(value)) => return Ok(Some(normal(value))),
                // Nothing, or a function: the meter tells.
                Ok(None) => {}
                Err(error) => return Err(QueryError::of(&error)),
            }
        }
        let mut meter = Meter::new(limits.memory_bytes_max, limits.steps_max.min(budget.left()), token);
        let mut evaluate = || expression.evaluate_traced(input, &bindings, &options, &mut meter);
        let found = if self.has_lambda { stacker::grow(CLOSURE_STACK_BYTES, evaluate) } else { evaluate() };
        budget.spend(meter.steps.saturating_mul(price).saturating_add(meter.looked_at()));
        *random = shared.into_random();
        match found {
            Ok(Some(value)) => Ok(Some(normal(value))),
            Ok(None) if !meter.result_is_function => Ok(None),
            Ok(None) => Err(QueryError {
                code: FUNCTION.to_owned(),
                message: "The result is a function".to_owned(),
                position: None,
                token: None,
            }),
            Err(error) => Err(QueryError::of(&error)),
        }
    }

    fn bindings(&self, variables: Vec<(String, Value)>, shared: &Shared) -> Bindings {
        let mut bindings: Bindings = variables.into_iter().collect();
        for own in &self.functions {
            let taken = bindings.get(own.name()).is_some();
            if !taken {
                bindings = bindings.function(own.name(), host_function(*own, shared.clone()));
            }
        }
        bindings
    }
}

/// Paths of an expression that is read without a meter.
const PLAIN_PATHS_MAX: usize = 4;
/// All of its parts.
const PLAIN_NODES_MAX: u64 = 32;

/// How many parts an expression has that is made of a few paths, constants, comparisons and arithmetic alone, so that
/// it costs no more than a few walks over what it reads.
fn plain(root: &Node) -> Option<u64> {
    let (mut plain, mut paths, mut nodes) = (true, 0, 0);
    rewrite::walk(root, |node| {
        nodes += 1;
        let attrs = &node.attrs;
        plain &=
            attrs.stages.is_empty() && attrs.predicate.is_empty() && attrs.group.is_none() && !attrs.tuple;
        plain &= match &node.kind {
            NodeKind::Path { .. } => {
                paths += 1;
                true
            }
            NodeKind::Binary { op, .. } => !matches!(op, BinaryOp::Concat | BinaryOp::In),
            NodeKind::Name { .. }
            | NodeKind::Variable { .. }
            | NodeKind::String { .. }
            | NodeKind::Number { .. }
            | NodeKind::Bool { .. }
            | NodeKind::Null
            | NodeKind::Condition { .. } => true,
            _ => false,
        };
    });
    (plain && paths <= PLAIN_PATHS_MAX && nodes <= PLAIN_NODES_MAX).then_some(nodes)
}

/// The same value with its numbers as JavaScript prints them: no fraction where there is none.
fn normal(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(normal_number(number)),
        Value::Array(elements) => Value::Array(elements.into_iter().map(normal).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, member)| (name, normal(member))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

/// The same for one number.
pub(super) fn normal_number(number: Number) -> Number {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 => {
            // Both bounds are exact, and what lies between them converts exactly.
            if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float) {
                Number::from(float as i64)
            } else if (0.0..18_446_744_073_709_551_616.0).contains(&float) {
                Number::from(float as u64)
            } else {
                number
            }
        }
        Some(_) | None => number,
    }
}
