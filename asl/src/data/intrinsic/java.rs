//! Traces of Java in AWS's answers: how it writes values and in which order a hash set gives them back.

use std::fmt::{self, Write};

use serde_json::{Number, Value};

/// Writes a value as Java's `toString` does: strings bare, `{a=1, b=[x, y]}`; numbers as in JSON.
pub(super) fn write(output: &mut String, value: &Value) -> fmt::Result {
    match value {
        Value::String(text) => output.write_str(text),
        Value::Array(elements) => {
            output.push('[');
            for (index, element) in elements.iter().enumerate() {
                output.push_str(if index == 0 { "" } else { ", " });
                write(output, element)?;
            }
            output.write_char(']')
        }
        Value::Object(fields) => {
            output.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                output.push_str(if index == 0 { "" } else { ", " });
                write!(output, "{name}=")?;
                write(output, field)?;
            }
            output.write_char('}')
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => write!(output, "{value}"),
    }
}

/// The order in which `new HashSet<>(list)` gives back distinct elements, `count` being the length of
/// the list with its duplicates.
///
/// An inference: AWS answers `[false, true]` to `[true, false, …]` and `[[2,1],[1,2]]` to
/// `[[1,2],[1,2],[2,1]]`, as such a set does, and keeps the order of short runs of small integers and
/// letters, as it does too.
pub(super) fn hash_set_order(elements: Vec<Value>, count: usize) -> Vec<Value> {
    let buckets = (count * 4 / 3 + 1).max(16).next_power_of_two() as u64;
    let mut elements = elements;
    // Stable: elements of one bucket stay in the order of insertion.
    elements.sort_by_cached_key(|element| {
        let hash = hash_code(element) as u32;
        u64::from(hash ^ hash >> 16) & (buckets - 1)
    });
    elements
}

/// Java's `hashCode` of the value as maps, lists, strings and boxed scalars.
fn hash_code(value: &Value) -> i32 {
    match value {
        Value::Null => 0,
        Value::Bool(true) => 1231,
        Value::Bool(false) => 1237,
        Value::Number(number) => hash_of_number(number),
        Value::String(text) => hash_of_string(text),
        Value::Array(elements) => elements
            .iter()
            .fold(1, |hash: i32, element| hash.wrapping_mul(31).wrapping_add(hash_code(element))),
        Value::Object(fields) => fields
            .iter()
            .fold(0, |hash: i32, (name, field)| hash.wrapping_add(hash_of_string(name) ^ hash_code(field))),
    }
}

fn hash_of_string(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

fn hash_of_number(number: &Number) -> i32 {
    if let Some(integer) = number.as_i64() {
        return i32::try_from(integer).unwrap_or(fold_halves(integer as u64));
    }
    fold_halves(number.as_f64().unwrap_or_default().to_bits())
}

fn fold_halves(bits: u64) -> i32 {
    (bits ^ bits >> 32) as i32
}
