//! The functions on strings and JSON text, and the texts by which values are compared.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::evaluate::{INVALID, Invalid};
use super::java;

const COUNT_MISMATCH: Invalid =
    Invalid { detail: ": number of arguments do not match the occurrences of {}." };

/// Replaces each `{}` of the template by the next argument.
///
/// The escapes `\{`, `\}` and `\\` are undone here and not by the parser, since afterwards nobody could
/// tell an escaped brace from a placeholder. Any other brace makes the template invalid; any other
/// backslash stands for itself.
pub(super) fn format(arguments: &[Value]) -> Result<Value, Invalid> {
    let Some((Value::String(template), mut values)) = arguments.split_first() else { return Err(INVALID) };
    let mut output = String::with_capacity(template.len());
    let mut rest = template.as_str();
    while let Some(index) = rest.find(['\\', '{', '}']) {
        output.push_str(&rest[..index]);
        rest = &rest[index..];
        if let Some(after) = rest.strip_prefix("{}") {
            let (value, others) = values.split_first().ok_or(COUNT_MISMATCH)?;
            java::write(&mut output, value).map_err(|_| INVALID)?;
            values = others;
            rest = after;
        } else if let Some(after) = rest.strip_prefix('\\') {
            let escaped = after.starts_with(['{', '}', '\\']);
            let length = usize::from(escaped);
            output.push_str(if escaped { &after[..length] } else { "\\" });
            rest = &after[length..];
        } else {
            return Err(INVALID);
        }
    }
    output.push_str(rest);
    if values.is_empty() { Ok(Value::String(output)) } else { Err(COUNT_MISMATCH) }
}

/// The value a JSON text stands for; `null` for blank text. At most 128 levels deep.
pub(super) fn string_to_json([text]: [Value; 1]) -> Result<Value, Invalid> {
    let text = text.as_str().ok_or(INVALID)?;
    if text.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
        return Ok(Value::Null);
    }
    let mut value = serde_json::from_str(text).map_err(|_| INVALID)?;
    unsign_zeros(&mut value);
    Ok(value)
}

/// Compact JSON text.
pub(super) fn json_to_string([value]: [Value; 1]) -> Result<Value, Invalid> {
    Ok(Value::String(value.to_string()))
}

/// The pieces between any of the characters of `delimiters`, without empty ones.
pub(super) fn string_split([text, delimiters]: [Value; 2]) -> Result<Value, Invalid> {
    let text = text.as_str().ok_or(INVALID)?;
    let delimiters: Vec<char> = delimiters.as_str().ok_or(INVALID)?.chars().collect();
    Ok(text.split(&delimiters[..]).filter(|piece| !piece.is_empty()).map(Value::from).collect())
}

/// Both objects in one; where a name is in both the second wins. Asking for a deep merge is an error,
/// but, as on AWS, only `true` asks for it.
pub(super) fn json_merge([first, second, deep]: [Value; 3]) -> Result<Value, Invalid> {
    match (first, second, deep) {
        (_, _, Value::Bool(true)) => Err(INVALID),
        (Value::Object(mut merged), Value::Object(second), _) => {
            merged.extend(second);
            Ok(Value::Object(merged))
        }
        _ => Err(INVALID),
    }
}

/// Parses a JSON number; `-0` is `0`, as on AWS.
pub(super) fn parse_number(text: &str) -> Option<Number> {
    let mut value = serde_json::from_str(text).ok()?;
    unsign_zeros(&mut value);
    match value {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

/// The text by which `States.ArrayContains` compares: scalars as `States.Format` writes them.
pub(super) fn compared(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(number) => Cow::Owned(canonical_number(number)),
        _ => Cow::Owned(value.to_string()),
    }
}

/// A text that two values share if, and only if, they are equal: numbers by value, objects regardless
/// of the order of their keys.
pub(super) fn canonical(value: &Value) -> String {
    let mut output = String::new();
    write_canonical(&mut output, value);
    output
}

fn write_canonical(output: &mut String, value: &Value) {
    match value {
        Value::Number(number) => output.push_str(&canonical_number(number)),
        Value::Array(elements) => {
            output.push('[');
            for element in elements {
                write_canonical(output, element);
                output.push(',');
            }
            output.push(']');
        }
        Value::Object(fields) => {
            output.push('{');
            for (name, field) in fields.iter().collect::<BTreeMap<_, _>>() {
                output.push_str(&Value::from(name.as_str()).to_string());
                output.push(':');
                write_canonical(output, field);
                output.push(',');
            }
            output.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => output.push_str(&value.to_string()),
    }
}

/// The shortest text of a number: `1` for `1.0`.
fn canonical_number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            (float as i64).to_string()
        }
        _ => number.to_string(),
    }
}

/// Makes `0` of every `-0`, which as an integer has no sign but is read as a fraction that has.
fn unsign_zeros(value: &mut Value) {
    match value {
        Value::Number(number)
            if number.as_f64().is_some_and(|float| float == 0.0 && float.is_sign_negative()) =>
        {
            *value = Value::from(0);
        }
        Value::Array(elements) => elements.iter_mut().for_each(unsign_zeros),
        Value::Object(fields) => fields.values_mut().for_each(unsign_zeros),
        _ => {}
    }
}
