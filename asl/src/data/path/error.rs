//! Why an evaluation failed: cheap while it is only a possibility, in Jayway's words once it is told.

use std::fmt;

use serde_json::Value;

use super::ast::{Route, Segment};
use super::budget::RECURSION_MAX;

/// Why a path has no value. [`fmt::Display`] gives Jayway's text, which AWS repeats in its causes;
/// paths in it are printed in brackets (`$['a']['b'][0]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathError {
    /// Everything but the last place exists.
    NoResults {
        /// The whole path.
        path: String,
    },
    /// A place before the last is missing.
    MissingProperty {
        /// The path up to the missing place.
        path: String,
    },
    /// A name was asked of something that is no object.
    NotAnObject {
        /// The name or names, in brackets.
        property: String,
        /// The path to what was found.
        path: String,
        /// What was found, as a Java class, or `null`.
        found: &'static str,
    },
    /// `*` with more behind it met something without children.
    NotAContainer {
        /// The path to what was found.
        path: String,
        /// What was found, as a Java class, or `null`.
        found: &'static str,
    },
    /// An index, list or slice was asked of null.
    IsNull {
        /// The path to the null.
        path: String,
    },
    /// An index, list or slice was asked of something that is no array.
    NotAnArray {
        /// The rest of the path, from the index on.
        filter: String,
        /// What was found, as Java prints it, up to [`PathError::CONTEXT_CHARS_MAX`] characters.
        context: String,
    },
    /// A filter was asked of something without children.
    Primitive {
        /// The rest of the path, from the filter on.
        filter: String,
        /// What was found, as Java prints it, up to [`PathError::CONTEXT_CHARS_MAX`] characters.
        context: String,
    },
    /// A function does not exist or has nothing to work on.
    Function {
        /// The whole text.
        message: String,
    },
    /// The evaluation would cost more steps, depth or memory than one path may.
    LimitExceeded,
}

impl PathError {
    /// The most characters of a value that an error repeats: as many as a cause may have.
    pub const CONTEXT_CHARS_MAX: usize = 32_768;

    /// Whether the document lacks what the path asks for, or has something else there. The other
    /// failures lie in the path itself.
    pub fn is_not_found(&self) -> bool {
        match self {
            PathError::NoResults { .. }
            | PathError::MissingProperty { .. }
            | PathError::NotAnObject { .. }
            | PathError::NotAContainer { .. }
            | PathError::IsNull { .. }
            | PathError::NotAnArray { .. } => true,
            PathError::Primitive { .. } | PathError::Function { .. } | PathError::LimitExceeded => false,
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::NoResults { path } => write!(out, "No results for path: {path}"),
            PathError::MissingProperty { path } => write!(out, "Missing property in path {path}"),
            PathError::NotAnObject { property, path, found } => write!(
                out,
                "Expected to find an object with property {property} in path {path} but found \
                 '{found}'. This is not a json object according to the JsonProvider: \
                 'com.jayway.jsonpath.spi.json.JsonSmartJsonProvider'."
            ),
            PathError::NotAContainer { path, found } => {
                write!(out, "Expected to find an object or array in path {path} but found '{found}'. ")
            }
            PathError::IsNull { path } => write!(out, "The path {path} is null"),
            PathError::NotAnArray { filter, context } => {
                write!(out, "Filter: {filter} can only be applied to arrays. Current context is: {context}")
            }
            PathError::Primitive { filter, context } => write!(
                out,
                "Filter: {filter} can not be applied to primitives. Current context is: {context}"
            ),
            PathError::Function { message } => out.write_str(message),
            PathError::LimitExceeded => out.write_str("The path takes too many steps on this document"),
        }
    }
}

impl std::error::Error for PathError {}

/// A failure during evaluation. Most are swallowed (by filters, and for paths that are not
/// definite), so it holds where and on what, and becomes text only in [`Fault::describe`].
#[derive(Debug)]
pub(super) enum Fault<'a> {
    NoResults,
    MissingProperty {
        at: usize,
    },
    NotAnObject {
        at: usize,
        found: &'a Value,
    },
    NotAContainer {
        at: usize,
        found: &'a Value,
    },
    IsNull {
        at: usize,
    },
    NotAnArray {
        at: usize,
        found: &'a Value,
    },
    Primitive {
        at: usize,
        found: &'a Value,
    },
    Function {
        message: String,
    },
    LimitExceeded,
    /// The failure of an argument, told while its own path was at hand.
    Told(PathError),
}

impl Fault<'_> {
    /// Whether AWS takes this for "nothing there" where a path may find nothing. A slice on an
    /// object is not that: recorded, `$[1:5]` on `{}` fails where `$.items[1:5]` gives `[]`.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Fault::NoResults
            | Fault::MissingProperty { .. }
            | Fault::NotAnObject { .. }
            | Fault::NotAContainer { .. }
            | Fault::IsNull { .. } => true,
            Fault::NotAnArray { .. }
            | Fault::Primitive { .. }
            | Fault::Function { .. }
            | Fault::LimitExceeded => false,
            Fault::Told(error) => error.is_not_found() && !matches!(error, PathError::NotAnArray { .. }),
        }
    }

    /// Whether a filter treats this as "does not match". Functions fail the whole path instead.
    pub(super) fn is_no_match(&self) -> bool {
        match self {
            Fault::NotAnArray { .. } | Fault::Primitive { .. } => true,
            Fault::Told(PathError::NotAnArray { .. } | PathError::Primitive { .. }) => true,
            _ => self.is_missing(),
        }
    }

    /// The same in words. The places in a fault count the segments of `route`.
    pub(super) fn describe(self, route: &Route) -> PathError {
        let upto = |at: usize| format!("${}", route.print(0, at));
        let rest = |at: usize| route.print(at, route.segments.len());
        match self {
            Fault::NoResults => PathError::NoResults { path: upto(route.segments.len()) },
            Fault::MissingProperty { at } => PathError::MissingProperty { path: missing(route, at) },
            Fault::NotAnObject { at, found } => PathError::NotAnObject {
                property: route.print(at, at + 1),
                path: upto(at),
                found: java_class(found),
            },
            Fault::NotAContainer { at, found } => {
                PathError::NotAContainer { path: upto(at), found: java_class(found) }
            }
            Fault::IsNull { at } => PathError::IsNull { path: upto(at) },
            Fault::NotAnArray { at, found } => {
                PathError::NotAnArray { filter: rest(at), context: java_text(found) }
            }
            Fault::Primitive { at, found } => {
                PathError::Primitive { filter: rest(at), context: java_text(found) }
            }
            Fault::Function { message } => PathError::Function { message },
            Fault::LimitExceeded => PathError::LimitExceeded,
            Fault::Told(error) => error,
        }
    }
}

/// The path to a missing property. Unlike elsewhere Jayway prints this name unescaped.
fn missing(route: &Route, at: usize) -> String {
    let parent = route.print(0, at);
    match &route.segments[at] {
        Segment::Name(name) => format!("${parent}['{}']", name.text),
        _ => format!("${parent}{}", route.print(at, at + 1)),
    }
}

fn java_class(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "java.lang.Boolean",
        Value::Number(number) if number.is_f64() => "java.lang.Double",
        Value::Number(number) => match number.as_i64() {
            Some(number) if i32::try_from(number).is_ok() => "java.lang.Integer",
            Some(_) => "java.lang.Long",
            None => "java.math.BigInteger",
        },
        Value::String(_) => "java.lang.String",
        Value::Array(_) => "net.minidev.json.JSONArray",
        Value::Object(_) => "java.util.LinkedHashMap",
    }
}

/// A value as Java's collections print it: `{a=[1, 2], b=x}`.
fn java_text(value: &Value) -> String {
    let mut out = JavaText { text: String::new(), chars_left: PathError::CONTEXT_CHARS_MAX };
    out.value(value, RECURSION_MAX);
    out.text
}

struct JavaText {
    text: String,
    chars_left: usize,
}

impl JavaText {
    /// Ends without a sign where the characters or the levels are used up.
    fn value(&mut self, value: &Value, levels: usize) {
        if self.chars_left == 0 || levels == 0 {
            return;
        }
        match value {
            Value::String(text) => self.push(text),
            Value::Array(items) => {
                self.push("[");
                for (at, item) in items.iter().enumerate() {
                    self.push(if at > 0 { ", " } else { "" });
                    self.value(item, levels - 1);
                }
                self.push("]");
            }
            Value::Object(members) => {
                self.push("{");
                for (at, (name, member)) in members.iter().enumerate() {
                    self.push(if at > 0 { ", " } else { "" });
                    self.push(name);
                    self.push("=");
                    self.value(member, levels - 1);
                }
                self.push("}");
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.push(&value.to_string()),
        }
    }

    fn push(&mut self, text: &str) {
        for letter in text.chars().take(self.chars_left) {
            self.text.push(letter);
            self.chars_left -= 1;
        }
    }
}
