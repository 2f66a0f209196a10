//! The functions on arrays.

use std::collections::BTreeSet;

use serde_json::Value;

use super::evaluate::{INVALID, Invalid, json_bytes};
use super::math::truncated;
use super::{PARTITION_BYTES_MAX, RANGE_ELEMENTS_MAX, java, text};

/// Chunks of a size of at least 1; the last may be shorter.
pub(super) fn partition([array, size]: [Value; 2]) -> Result<Value, Invalid> {
    let size = truncated(&size).filter(|size| *size >= 1).ok_or(INVALID)?;
    if json_bytes(&array) > PARTITION_BYTES_MAX {
        return Err(INVALID);
    }
    let size = usize::try_from(size).map_err(|_| INVALID)?;
    let mut elements = elements(array)?.into_iter();
    let mut chunks = Vec::with_capacity(elements.len().div_ceil(size));
    while elements.len() > 0 {
        chunks.push(Value::Array(elements.by_ref().take(size).collect()));
    }
    Ok(Value::Array(chunks))
}

/// Whether an element has the same text: AWS finds `true` in `["true"]`, and does not find
/// `{"a":1,"b":2}` in `[{"b":2,"a":1}]`.
pub(super) fn contains([array, value]: [Value; 2]) -> Result<Value, Invalid> {
    let wanted = text::compared(&value);
    let found = elements(array)?.iter().any(|element| text::compared(element) == wanted);
    Ok(Value::Bool(found))
}

/// The integers from `first` to `last`, both included; none when `step` leads away from `last`.
pub(super) fn range([first, last, step]: [Value; 3]) -> Result<Value, Invalid> {
    let [first, last, step] = [&first, &last, &step].map(|value| truncated(value).map(i128::from));
    let (Some(first), Some(last), Some(step)) = (first, last, step) else { return Err(INVALID) };
    if step == 0 {
        return Err(INVALID);
    }
    // Rounded down, so that a range that leads away has less than zero steps.
    let steps = if step > 0 { (last - first).div_euclid(step) } else { (first - last).div_euclid(-step) };
    if steps < 0 {
        return Ok(Value::Array(Vec::new()));
    }
    if steps >= RANGE_ELEMENTS_MAX as i128 {
        return Err(INVALID);
    }
    // Every element lies between two integers of 64 bits.
    Ok((0..=steps).map(|index| Value::from((first + index * step) as i64)).collect())
}

/// The element at an index from 0. An empty array gives `null` for every index.
pub(super) fn get_item([array, index]: [Value; 2]) -> Result<Value, Invalid> {
    let mut elements = elements(array)?;
    let index = truncated(&index).ok_or(INVALID)?;
    if elements.is_empty() {
        return Ok(Value::Null);
    }
    match usize::try_from(index) {
        Ok(index) if index < elements.len() => Ok(elements.swap_remove(index)),
        _ => Err(INVALID),
    }
}

/// The number of elements.
pub(super) fn length([array]: [Value; 1]) -> Result<Value, Invalid> {
    Ok(Value::from(elements(array)?.len()))
}

/// The first of each set of equal elements. Here `1` differs from `"1"`, and the order of an object's
/// keys does not matter.
pub(super) fn unique([array]: [Value; 1]) -> Result<Value, Invalid> {
    let mut elements = elements(array)?;
    let count = elements.len();
    let mut seen = BTreeSet::new();
    elements.retain(|element| seen.insert(text::canonical(element)));
    Ok(Value::Array(java::hash_set_order(elements, count)))
}

fn elements(array: Value) -> Result<Vec<Value>, Invalid> {
    match array {
        Value::Array(elements) => Ok(elements),
        _ => Err(INVALID),
    }
}
