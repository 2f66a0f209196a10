//! EventBridge's `InputTemplate`: JSON as text, with placeholders in it.
//!
//! EventBridge pastes what it finds as it is, so that a quotation mark in an event ends the string around it,
//! and what follows becomes part of the JSON. Here it is escaped: a value cannot leave its place. Wherever
//! EventBridge's result is the JSON that was meant, this is the same.

use std::borrow::Cow;

use asl::data::json;
use serde_json::Value;

use super::placeholder::{Names, Piece, Source, cut};
use super::{INPUT_BYTES_MAX, InputError, Subject};

/// Longest template, as on EventBridge.
pub const TEMPLATE_CHARACTERS_MAX: usize = 8_192;

/// A template, cut into pieces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TextTemplate {
    pieces: Vec<TextPiece>,
    /// The template is one string, in which EventBridge shows objects without their quotation marks.
    is_string: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum TextPiece {
    Literal(String),
    /// In a place for a value.
    Value(Source),
    /// Inside the quotes of a string.
    Text(Source),
}

impl TextTemplate {
    pub(super) fn compile(text: &str, names: &Names) -> Result<TextTemplate, String> {
        let length = text.chars().count();
        if !(1..=TEMPLATE_CHARACTERS_MAX).contains(&length) {
            return Err(format!("has {length} characters; write 1 to {TEMPLATE_CHARACTERS_MAX}"));
        }
        let mut quotes = Quotes::default();
        let mut pieces = Vec::new();
        for piece in cut(text, names)? {
            pieces.push(match piece {
                Piece::Literal(literal) => {
                    quotes.read(literal);
                    TextPiece::Literal(literal.to_owned())
                }
                Piece::Slot(source) if quotes.open => TextPiece::Text(source),
                Piece::Slot(source) => TextPiece::Value(source),
            });
        }
        let template = TextTemplate { pieces, is_string: text.trim_start().starts_with('"') };
        template.check()?;
        Ok(template)
    }

    /// Whether it becomes JSON whatever the placeholders stand for: with a string for each, and with a number.
    fn check(&self) -> Result<(), String> {
        for value in ["\"\"", "0"] {
            let filled: String = self
                .pieces
                .iter()
                .map(|piece| match piece {
                    TextPiece::Literal(literal) => literal.as_str(),
                    TextPiece::Value(_) => value,
                    TextPiece::Text(_) => "",
                })
                .collect();
            json::parse(&filled).map_err(|error| {
                let message = error.message();
                format!(
                    "is not JSON, whatever the event: {message}; a text needs its own quotes, and no placeholder can be the name of a member"
                )
            })?;
        }
        Ok(())
    }

    pub(super) fn of(&self, subject: &Subject<'_>) -> Result<Value, InputError> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                TextPiece::Literal(literal) => out.push_str(literal),
                TextPiece::Value(source) => match source.find(subject)? {
                    Some(value) => out.push_str(&value.to_string()),
                    None => out.push_str("\"\""),
                },
                TextPiece::Text(source) => {
                    let found = source.find(subject)?;
                    let text = found.as_deref().map_or(Cow::Borrowed(""), |value| self.shown(value));
                    let quoted = Value::from(text).to_string();
                    out.push_str(&quoted[1..quoted.len() - 1]);
                }
            }
            if out.len() > INPUT_BYTES_MAX {
                return Err(InputError::TooLarge);
            }
        }
        json::parse(&out).map_err(|error| InputError::TooDeep(error.message().to_owned()))
    }

    fn shown<'a>(&self, value: &'a Value) -> Cow<'a, str> {
        match value {
            Value::Object(_) | Value::Array(_) if self.is_string => value.to_string().replace('"', "").into(),
            value => shown(value),
        }
    }
}

/// A value among text: a string without its quotes, nothing for null, anything else as JSON.
pub(super) fn shown(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Whether a place in JSON is inside a string.
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.open => self.escaped = true,
                b'"' => self.open = !self.open,
                _ => {}
            }
        }
    }
}
