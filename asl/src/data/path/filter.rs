//! Whether an item passes a filter: Jayway's comparisons, with its conversions.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::ast::{Filter, ItemPath, Operand, Operator};
use super::budget::Budget;
use super::error::Fault;
use super::evaluate::{self, Require};
use super::literal::parse_number;
use super::pattern::Pattern;

/// Whether `item` passes. A comparison that makes no sense (`in` with a number, `@.a[0]` on text)
/// fails the whole filter for this item, even under `!` and `||`.
pub(super) fn accepts<'a>(
    filter: &Filter,
    item: &'a Value,
    root: &'a Value,
    budget: &mut Budget,
) -> Result<bool, Fault<'a>> {
    match test(filter, item, root, budget) {
        Err(fault) if fault.is_no_match() => Ok(false),
        result => result,
    }
}

fn test<'a>(
    filter: &Filter,
    item: &'a Value,
    root: &'a Value,
    budget: &mut Budget,
) -> Result<bool, Fault<'a>> {
    budget.step(1)?;
    budget.deeper(|budget| match filter {
        Filter::Or(filters) => any(filters, |inner| test(inner, item, root, budget)),
        Filter::And(filters) => {
            any(filters, |inner| test(inner, item, root, budget).map(|passed| !passed)).map(|failed| !failed)
        }
        Filter::Not(inner) => test(inner, item, root, budget).map(|passed| !passed),
        Filter::Exists { path, wanted } => exists(path, item, root, budget).map(|found| found == *wanted),
        Filter::Compare { left, operator, right } => {
            let left = side(left, item, root, budget)?;
            let right = side(right, item, root, budget)?;
            compare(&left, *operator, &right, budget)
        }
    })
}

/// Whether `wanted` holds for one of them; stops at the first, and at a fault.
fn any<'a, T>(
    all: impl IntoIterator<Item = T>,
    mut wanted: impl FnMut(T) -> Result<bool, Fault<'a>>,
) -> Result<bool, Fault<'a>> {
    for one in all {
        if wanted(one)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn exists<'a>(
    path: &ItemPath,
    item: &'a Value,
    root: &'a Value,
    budget: &mut Budget,
) -> Result<bool, Fault<'a>> {
    let document = if path.from_root { root } else { item };
    match evaluate::find(&path.route, document, root, Require::Properties, budget) {
        Ok(found) => Ok(!found.is_empty() || !path.route.is_definite()),
        Err(fault) if fault.is_no_match() => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// One side of a comparison, evaluated.
enum Side<'f, 'a> {
    Missing,
    Pattern(&'f Pattern),
    Value(Cow<'a, Value>),
    Literal(&'f Value),
}

impl Side<'_, '_> {
    fn value(&self) -> Option<&Value> {
        match self {
            Side::Missing | Side::Pattern(_) => None,
            Side::Value(value) => Some(value),
            Side::Literal(value) => Some(value),
        }
    }

    /// The items of an array; `None` for an object; a fault for what has no items at all.
    fn list<'b>(&self) -> Result<Option<&[Value]>, Fault<'b>> {
        match self.value() {
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(Value::Object(_)) => Ok(None),
            _ => no_match(),
        }
    }
}

/// A fault that [`accepts`] turns into "does not pass".
fn no_match<'a, T>() -> Result<T, Fault<'a>> {
    Err(Fault::NoResults)
}

fn side<'f, 'a>(
    operand: &'f Operand,
    item: &'a Value,
    root: &'a Value,
    budget: &mut Budget,
) -> Result<Side<'f, 'a>, Fault<'a>> {
    let path = match operand {
        Operand::Literal(value) => return Ok(Side::Literal(value)),
        Operand::Pattern(pattern) => return Ok(Side::Pattern(pattern)),
        Operand::Path(path) => path,
    };
    let document = if path.from_root { root } else { item };
    match evaluate::evaluate(&path.route, document, root, budget) {
        Ok(value) => Ok(Side::Value(value)),
        Err(fault @ Fault::Primitive { .. }) => Err(fault),
        Err(fault) if fault.is_no_match() => Ok(Side::Missing),
        Err(fault) => Err(fault),
    }
}

fn compare<'a>(
    left: &Side<'_, '_>,
    operator: Operator,
    right: &Side<'_, '_>,
    budget: &mut Budget,
) -> Result<bool, Fault<'a>> {
    match operator {
        Operator::Equal => equal_sides(left, right, budget),
        Operator::NotEqual => equal_sides(left, right, budget).map(|equal| !equal),
        Operator::SameTypeEqual => same_type_equal(left, right, budget),
        Operator::SameTypeNotEqual => same_type_equal(left, right, budget).map(|equal| !equal),
        Operator::Less => Ok(order(left, right).is_some_and(Ordering::is_lt)),
        Operator::LessOrEqual => Ok(order(left, right).is_some_and(Ordering::is_le)),
        Operator::Greater => Ok(order(left, right).is_some_and(Ordering::is_gt)),
        Operator::GreaterOrEqual => Ok(order(left, right).is_some_and(Ordering::is_ge)),
        Operator::Matches => matches(left, right, budget),
        Operator::In => is_in(left, right, budget),
        Operator::NotIn => is_in(left, right, budget).map(|found| !found),
        Operator::SubsetOf | Operator::AnyOf | Operator::NoneOf => {
            compare_lists(left, operator, right, budget)
        }
        Operator::All => contains_all(left, right, budget),
        Operator::Contains => contains(left, right, budget),
        Operator::Size => Ok(has_size(left, right)),
        Operator::Empty => is_empty(left, right),
    }
}

fn equal_sides<'a>(
    left: &Side<'_, '_>,
    right: &Side<'_, '_>,
    budget: &mut Budget,
) -> Result<bool, Fault<'a>> {
    match (left.value(), right.value()) {
        (Some(left), Some(right)) => equal(left, right, budget),
        _ => Ok(false),
    }
}

/// Text equals a number that is spelled alike; a number equals text that has its value. So `"2" == 2`
/// both ways, but `"2.0" == 2` only with the number on the left.
fn equal<'a>(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, Fault<'a>> {
    budget.step(1)?;
    Ok(match (left, right) {
        (Value::Number(left), Value::Number(right)) => order_numbers(left, right).is_eq(),
        (Value::Number(left), Value::String(right)) => {
            parse_number(right).is_some_and(|right| order_numbers(left, &right).is_eq())
        }
        (Value::String(left), Value::Number(right)) => *left == right.to_string(),
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => {
            // Bounds the recursion of the comparison by the limit on depth.
            budget.charge(left)?;
            left == right
        }
        _ => left == right,
    })
}

fn same_type_equal<'a>(
    left: &Side<'_, '_>,
    right: &Side<'_, '_>,
    budget: &mut Budget,
) -> Result<bool, Fault<'a>> {
    match (left.value(), right.value()) {
        (Some(Value::Number(_)), Some(Value::String(_)))
        | (Some(Value::String(_)), Some(Value::Number(_))) => Ok(false),
        _ => equal_sides(left, right, budget),
    }
}

/// Numbers have an order, and texts, but not one with the other.
fn order(left: &Side<'_, '_>, right: &Side<'_, '_>) -> Option<Ordering> {
    match (left.value()?, right.value()?) {
        (Value::Number(left), Value::Number(right)) => Some(order_numbers(left, right)),
        // Java orders text by UTF-16 units.
        (Value::String(left), Value::String(right)) => Some(left.encode_utf16().cmp(right.encode_utf16())),
        _ => None,
    }
}

fn order_numbers(left: &Number, right: &Number) -> Ordering {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// One side is a pattern, the other a value or an array of them, of which one must match. What is
/// neither text, number nor boolean counts as empty text.
fn matches<'a>(left: &Side<'_, '_>, right: &Side<'_, '_>, budget: &mut Budget) -> Result<bool, Fault<'a>> {
    let (pattern, value) = match (left, right) {
        (Side::Pattern(_), Side::Pattern(_)) => return Ok(false),
        (Side::Pattern(pattern), value) | (value, Side::Pattern(pattern)) => (pattern, value.value()),
        _ => return Ok(false),
    };
    let mut is_match = |value: &Value| {
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            Value::Number(_) | Value::Bool(_) => Cow::Owned(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => Cow::Borrowed(""),
        };
        budget.matches(pattern, &text)
    };
    match value {
        Some(Value::Array(items)) => any(items, is_match),
        Some(value) => is_match(value),
        None => is_match(&Value::Null),
    }
}

fn is_in<'a>(left: &Side<'_, '_>, right: &Side<'_, '_>, budget: &mut Budget) -> Result<bool, Fault<'a>> {
    let items = right.list()?;
    match (left.value(), items) {
        (Some(value), Some(items)) => any(items, |item| equal(value, item, budget)),
        _ => Ok(false),
    }
}

fn compare_lists<'a>(
    left: &Side<'_, '_>,
    operator: Operator,
    right: &Side<'_, '_>,
    budget: &mut Budget,
) -> Result<bool, Fault<'a>> {
    let Some(right) = right.list()? else { return Ok(false) };
    let Some(left) = left.list()? else { return Ok(false) };
    let mut is_right = |item: &Value| any(right, |other| equal(item, other, budget));
    match operator {
        Operator::AnyOf => any(left, is_right),
        Operator::NoneOf => any(left, is_right).map(|found| !found),
        _ => any(left, |item| is_right(item).map(|found| !found)).map(|stranger| !stranger),
    }
}

fn contains_all<'a>(
    left: &Side<'_, '_>,
    right: &Side<'_, '_>,
    budget: &mut Budget,
) -> Result<bool, Fault<'a>> {
    let Some(required) = right.list()? else { return no_match() };
    match left.value() {
        Some(Value::Array(items)) => {
            let mut misses =
                |wanted: &Value| any(items, |item| equal(wanted, item, budget)).map(|found| !found);
            any(required, &mut misses).map(|missed| !missed)
        }
        // Jayway passes objects, which have no items to look through.
        Some(Value::Object(_)) => Ok(true),
        _ => Ok(false),
    }
}

fn contains<'a>(left: &Side<'_, '_>, right: &Side<'_, '_>, budget: &mut Budget) -> Result<bool, Fault<'a>> {
    match (left.value(), right.value()) {
        (Some(Value::String(text)), Some(Value::String(part))) => {
            budget.step(1 + text.len())?;
            Ok(text.contains(part.as_str()))
        }
        (Some(Value::Array(items)), Some(value)) => any(items, |item| equal(value, item, budget)),
        _ => Ok(false),
    }
}

/// The length of text in UTF-16 units, or of an array.
fn has_size(left: &Side<'_, '_>, right: &Side<'_, '_>) -> bool {
    let Some(Value::Number(wanted)) = right.value() else { return false };
    let size = match left.value() {
        Some(Value::String(text)) => text.encode_utf16().count(),
        Some(Value::Array(items)) => items.len(),
        _ => return false,
    };
    order_numbers(wanted, &size.into()).is_eq()
}

fn is_empty<'a>(left: &Side<'_, '_>, right: &Side<'_, '_>) -> Result<bool, Fault<'a>> {
    let empty = match left.value() {
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        _ => return Ok(false),
    };
    match right.value() {
        Some(Value::Bool(wanted)) => Ok(empty == *wanted),
        _ => no_match(),
    }
}
