//! `States.MathAdd`, `States.MathRandom`, and how AWS makes integers of numbers.

use serde_json::Value;

use super::evaluate::{INVALID, Invalid};
use crate::data::random::{JavaRandom, Random};

/// The sum of two integers of 32 bits; fractions are rounded first, halves upwards (`-1.5` is `-1`).
pub(super) fn add([left, right]: [Value; 2]) -> Result<Value, Invalid> {
    let left = rounded(&left).ok_or(INVALID)?;
    let right = rounded(&right).ok_or(INVALID)?;
    left.checked_add(right).map(Value::from).ok_or(INVALID)
}

/// An integer in `start..end`, the same for the same seed: that of `java.util.Random`.
pub(super) fn random(arguments: &[Value], random: &mut Random) -> Result<Value, Invalid> {
    let (start, end, seed) = match arguments {
        [start, end] => (start, end, None),
        [start, end, seed] => (start, end, Some(truncated(seed).ok_or(INVALID)?)),
        _ => return Err(INVALID),
    };
    let start = truncated(start).and_then(|start| i32::try_from(start).ok()).ok_or(INVALID)?;
    let end = truncated(end).and_then(|end| i32::try_from(end).ok()).ok_or(INVALID)?;
    if start >= end {
        return Err(INVALID);
    }
    let value = match seed {
        Some(seed) => i64::from(JavaRandom::new(seed).next_between(start, end)),
        None => i64::from(start) + random.below(u64::from(end.abs_diff(start))) as i64,
    };
    Ok(Value::from(value))
}

/// A number without its fraction; what lies outside of 64 bits becomes the nearest that does not.
pub(super) fn truncated(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else { return None };
    number.as_i64().or_else(|| number.as_f64().map(|number| number as i64))
}

fn rounded(value: &Value) -> Option<i32> {
    let Value::Number(number) = value else { return None };
    if let Some(integer) = number.as_i64() {
        return i32::try_from(integer).ok();
    }
    let number = number.as_f64()?;
    // Not `floor(number + 0.5)`: the addition itself rounds, and 0.49999999999999994 would be 1.
    let floor = number.floor();
    let nearest = if number - floor >= 0.5 { floor + 1.0 } else { floor };
    (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&nearest).then_some(nearest as i32)
}
