//! A pattern as written: JSON whose objects keep every member, also those of one name.
//!
//! EventBridge reads a pattern from front to back. `{"$or": […], "$or": […]}` therefore means both, and
//! `{"detail": {"a": […]}, "detail": {"b": […]}}` asks for both fields; only of two lists for the same field
//! the last one counts. An ordinary JSON object would have forgotten the first of each.

use std::fmt;

use asl::data::json;
use asl::limits::JSON_DEPTH_MAX;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::error::PatternError;

/// A JSON value with its members in the order and number in which they were written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Source>),
    Object(Vec<(String, Source)>),
}

impl Source {
    /// Reads JSON text; what is no JSON is told in AWS's words.
    pub(super) fn parse(text: &str) -> Result<Source, PatternError> {
        serde_json::from_str(text).map_err(|error| match json::parse(text) {
            Err(told) => PatternError::new(told.with_location()),
            Ok(_) => PatternError::new(error.to_string()),
        })
    }

    /// The same of a value that was read already.
    pub(super) fn of(value: &Value) -> Result<Source, PatternError> {
        Source::below(value, JSON_DEPTH_MAX)
            .ok_or_else(|| PatternError::new(format!("The pattern nests deeper than {JSON_DEPTH_MAX}")))
    }

    fn below(value: &Value, levels: usize) -> Option<Source> {
        let levels = levels.checked_sub(1)?;
        Some(match value {
            Value::Null => Source::Null,
            Value::Bool(value) => Source::Bool(*value),
            Value::Number(number) => Source::Number(number.clone()),
            Value::String(text) => Source::String(text.clone()),
            Value::Array(items) => {
                Source::Array(items.iter().map(|item| Source::below(item, levels)).collect::<Option<_>>()?)
            }
            Value::Object(members) => Source::Object(
                members
                    .iter()
                    .map(|(name, member)| Some((name.clone(), Source::below(member, levels)?)))
                    .collect::<Option<_>>()?,
            ),
        })
    }

    /// What stands here, as EventBridge's reader names it in a reason: the text of a literal, else the bracket
    /// that begins it.
    pub(super) fn token(&self) -> String {
        match self {
            Source::Null => "null".to_owned(),
            Source::Bool(value) => value.to_string(),
            Source::Number(number) => number.to_string(),
            Source::String(text) => text.clone(),
            Source::Array(_) => "[".to_owned(),
            Source::Object(_) => "{".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = Source;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Source, E> {
        Ok(Source::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Source, E> {
        Ok(Source::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Source, E> {
        Ok(Source::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Source, E> {
        Ok(Source::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Source, E> {
        Ok(Number::from_f64(value).map_or(Source::Null, Source::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Source, E> {
        Ok(Source::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Source, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Source::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Source, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Source::Object(object))
    }
}
