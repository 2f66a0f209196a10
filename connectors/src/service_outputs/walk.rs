//! A result beside the shape it should have.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::FieldValidation;
use super::catalog::{Bounds, Service, Shape, Structure};

/// A value still to be looked at, and the field it is told by.
type Place<'a> = (&'a str, &'a Shape, &'a Value);

/// Looks at members in the order of the result, each with all that is in it, and stops at the first that does
/// not fit. The places to go to are a list and not a recursion: whoever wrote the result chose its depth.
pub(super) fn check(
    service: &Service,
    output: &Shape,
    open: &[&str],
    result: &Value,
    mode: FieldValidation,
) -> Result<(), String> {
    let (Shape::Structure(output), Value::Object(members)) = (output, result) else {
        return Err("Mocked result must be a JSON object.".to_owned());
    };
    require(output, members, mode)?;
    let closed = inside(service, output, members).filter(|(name, ..)| !open.contains(name));
    let mut places: Vec<Place<'_>> = closed.collect();
    while let Some((field, shape, value)) = places.pop() {
        match (shape, value) {
            (Shape::Structure(structure), Value::Object(members)) => {
                require(structure, members, mode)?;
                places.extend(inside(service, structure, members));
            }
            (Shape::Map(part), Value::Object(members)) => {
                let part = service.shape(*part);
                places.extend(members.iter().rev().map(|(name, value)| (name.as_str(), part, value)));
            }
            (Shape::List { of, length }, Value::Array(items)) => {
                within_length(length, items.len()).map_err(|problem| told(field, problem))?;
                let of = service.shape(*of);
                places.extend(items.iter().rev().map(|item| (field, of, item)));
            }
            (shape, value) => leaf(shape, value).map_err(|problem| told(field, problem))?,
        }
    }
    Ok(())
}

fn told(field: &str, problem: &str) -> String {
    format!("Mock result schema validation error: Field '{field}' {problem}")
}

fn require(structure: &Structure, members: &Map<String, Value>, mode: FieldValidation) -> Result<(), String> {
    let is_missing = |names: &&[String; 2]| !names.iter().any(|name| members.contains_key(name));
    match structure.must_have.iter().find(is_missing) {
        Some([name, _]) if mode == FieldValidation::Strict => {
            Err(format!("Mock result schema validation error: Required field '{name}' is missing"))
        }
        _ => Ok(()),
    }
}

/// The members that the model knows, the last one first: the first is taken next.
fn inside<'a>(
    service: &'a Service,
    structure: &'a Structure,
    members: &'a Map<String, Value>,
) -> impl Iterator<Item = Place<'a>> {
    members.iter().rev().filter_map(|(name, value)| {
        let shape = service.shape(structure.member(name)?);
        Some((name.as_str(), shape, value))
    })
}

/// A value that has no parts, or the wrong ones.
fn leaf(shape: &Shape, value: &Value) -> Result<(), &'static str> {
    match (shape, value) {
        (Shape::Text(length), Value::String(text)) => within_length(length, text.chars().count()),
        (Shape::Enum(values), Value::String(text)) if values.contains(text) => Ok(()),
        (Shape::Enum(_), Value::String(_)) => Err("is not an expected value"),
        (Shape::Number(bounds), Value::Number(number)) => {
            let number = number.as_f64();
            match beyond(bounds, |bound| number.and_then(|number| number.partial_cmp(bound))) {
                Some(Ordering::Less) => Err("is less than the minimum value"),
                Some(Ordering::Greater) => Err("exceeds the maximum value"),
                _ => Ok(()),
            }
        }
        (Shape::Boolean, Value::Bool(_)) | (Shape::Any, _) => Ok(()),
        (Shape::Structure(_) | Shape::Map(_), _) => Err("must be an object"),
        (Shape::List { .. }, _) => Err("must be an array"),
        (Shape::Text(_) | Shape::Enum(_), _) => Err("must be a string"),
        (Shape::Number(_), _) => Err("must be a number"),
        (Shape::Boolean, _) => Err("must be a boolean"),
    }
}

fn within_length(bounds: &Bounds<u64>, length: usize) -> Result<(), &'static str> {
    match beyond(bounds, |bound| Some((length as u64).cmp(bound))) {
        Some(Ordering::Less) => Err("is smaller than the minimum length"),
        Some(Ordering::Greater) => Err("exceeds the maximum length"),
        _ => Ok(()),
    }
}

/// On which side of its bounds something is, told how it compares to each.
fn beyond<T>(bounds: &Bounds<T>, compare: impl Fn(&T) -> Option<Ordering>) -> Option<Ordering> {
    let below = bounds.min.as_ref().and_then(&compare).filter(|order| order.is_lt());
    below.or_else(|| bounds.max.as_ref().and_then(&compare).filter(|order| order.is_gt()))
}
