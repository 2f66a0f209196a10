//! Values written in a path: text, numbers, words and JSON in Jayway's relaxed form.

use serde_json::{Map, Number, Value};

use super::SyntaxError;
use super::scanner::Scanner;

/// Reads a value: JSON, with single or double quotes and with names that need none.
pub(super) fn json(scanner: &mut Scanner<'_>) -> Result<Value, SyntaxError> {
    skip_space(scanner);
    match scanner.peek() {
        Some('[') => scanner.deeper(array),
        Some('{') => scanner.deeper(object),
        Some('\'' | '"') => scanner.quoted().map(Value::String),
        Some('t' | 'f' | 'n') => word(scanner),
        _ => number(scanner, |letter| matches!(letter, '0'..='9' | '.' | '-' | '+' | 'e' | 'E')),
    }
}

/// Reads `true`, `false` or `null`.
pub(super) fn word(scanner: &mut Scanner<'_>) -> Result<Value, SyntaxError> {
    for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
        if scanner.eat(word) {
            return Ok(value);
        }
    }
    Err(scanner.error("Expected true, false or null"))
}

/// Reads a number outside of JSON: it has no exponent there.
pub(super) fn plain_number(scanner: &mut Scanner<'_>) -> Result<Value, SyntaxError> {
    number(scanner, |letter| matches!(letter, '0'..='9' | '.' | '-'))
}

fn number(scanner: &mut Scanner<'_>, is_part: impl Fn(char) -> bool) -> Result<Value, SyntaxError> {
    let before = scanner.clone();
    let text = scanner.take_while(is_part);
    parse_number(text)
        .map(Value::Number)
        .ok_or_else(|| before.error(format!("Expected a value at position {}", before.position())))
}

/// The number that `text` spells, whole if it is one.
pub(super) fn parse_number(text: &str) -> Option<Number> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(number.into());
    }
    // Rust reads words like "inf" and "nan" as numbers, too.
    let is_digits =
        text.bytes().all(|letter| matches!(letter, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    is_digits.then(|| text.parse::<f64>().ok()).flatten().and_then(Number::from_f64)
}

fn array(scanner: &mut Scanner<'_>) -> Result<Value, SyntaxError> {
    let mut items = Vec::new();
    scanner.eat("[");
    while !next_is(scanner, "]") {
        if !items.is_empty() {
            scanner.expect(",")?;
        }
        items.push(json(scanner)?);
    }
    Ok(Value::Array(items))
}

fn object(scanner: &mut Scanner<'_>) -> Result<Value, SyntaxError> {
    let mut members = Map::new();
    scanner.eat("{");
    while !next_is(scanner, "}") {
        if !members.is_empty() {
            scanner.expect(",")?;
            skip_space(scanner);
        }
        let name = match scanner.peek() {
            Some('\'' | '"') => scanner.quoted()?,
            _ => scanner.take_while(|letter| letter.is_alphanumeric() || letter == '_').to_owned(),
        };
        skip_space(scanner);
        scanner.expect(":")?;
        members.insert(name, json(scanner)?);
    }
    Ok(Value::Object(members))
}

fn next_is(scanner: &mut Scanner<'_>, closing: &str) -> bool {
    skip_space(scanner);
    scanner.eat(closing)
}

fn skip_space(scanner: &mut Scanner<'_>) {
    scanner.take_while(|letter| matches!(letter, ' ' | '\t' | '\n' | '\r'));
}
