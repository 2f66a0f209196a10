//! Reads fields: each function reports what is wrong with a value and answers the compiled form.
//!
//! An absent field is never an error here; see [`Checker::required`]. `None` means absent, or wrong and
//! reported.

use serde_json::{Map, Value};

use super::diagnostic::Code;
use super::expressions::Given;
use super::fields::Object;
use super::place::Place;
use super::{Checker, QueryLanguage};
use crate::data::path::{Path, ReferencePath, Root};
use crate::data::template::{Template, TemplateProblem};
use crate::data::{ResultPath, Selection};
use crate::program::Quantity;

impl<'a> Checker<'a> {
    /// A string that is taken as it is, in either language.
    pub(super) fn string(&mut self, object: Object<'a, '_>, name: &str) -> Option<&'a str> {
        let value = object.get(name)?;
        if value.as_str().is_none() {
            self.report.error(&object.place.field(name), "Expected value of type [STRING]");
        }
        value.as_str()
    }

    /// A string out of a few.
    pub(super) fn one_of(&mut self, object: Object<'a, '_>, name: &str, allowed: &[&str]) -> Option<&'a str> {
        let text = self.string(object, name)?;
        if allowed.contains(&text) {
            return Some(text);
        }
        let message = format!("Value should be one of the following: [{}]", allowed.join(", "));
        self.report.error(&object.place.field(name), message);
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, object: Object<'a, '_>, name: &str) -> Option<bool> {
        let value = object.get(name)?;
        if !value.is_boolean() {
            self.report.error(&object.place.field(name), "Expected value of type [BOOLEAN]");
        }
        value.as_bool()
    }

    /// An object.
    pub(super) fn object(&mut self, object: Object<'a, '_>, name: &str) -> Option<&'a Map<String, Value>> {
        let value = object.get(name)?;
        if !value.is_object() {
            self.report.error(&object.place.field(name), "Expected value of type [OBJECT]");
        }
        value.as_object()
    }

    /// An array with at least one element.
    pub(super) fn list(&mut self, object: Object<'a, '_>, name: &str) -> Option<&'a Vec<Value>> {
        let value = object.get(name)?;
        let place = object.place.field(name);
        match value.as_array() {
            None => self.report.error(&place, "Expected value of type [ARRAY]"),
            Some(elements) if elements.is_empty() => self.report.error(&place, "Value cannot be empty"),
            Some(elements) => return Some(elements),
        }
        None
    }

    /// An integer within bounds.
    pub(super) fn whole(&mut self, object: Object<'a, '_>, name: &str, min: u32, max: u32) -> Option<u32> {
        let value = object.get(name)?;
        let place = object.place.field(name);
        let Some(number) = integer(value) else {
            self.report.error(&place, "Expected value of type Integer");
            return None;
        };
        if number < f64::from(min) {
            self.report.error(&place, format!("Minimum value is {min}"));
        } else if number > f64::from(max) {
            self.report.error(&place, format!("Maximum value is {max}"));
        } else {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "integral and within u32"
            )]
            return Some(number as u32);
        }
        None
    }

    /// A number within bounds.
    pub(super) fn number(
        &mut self,
        object: Object<'a, '_>,
        name: &str,
        min: u32,
        max: Option<u32>,
    ) -> Option<&'a serde_json::Number> {
        let value = object.get(name)?;
        let place = object.place.field(name);
        let Value::Number(number) = value else {
            self.report.error(&place, "Expected value of type Number");
            return None;
        };
        let size = number.as_f64().unwrap_or(f64::MAX);
        // AWS writes the bounds of a number that may have a fraction with one.
        if size < f64::from(min) {
            self.report.error(&place, format!("Minimum value is {min}.0"));
            return None;
        }
        if let Some(max) = max.filter(|max| size > f64::from(*max)) {
            self.report.error(&place, format!("Maximum value is {max}.0"));
            return None;
        }
        Some(number)
    }

    /// An integer in `name`, or the path to one in `path_name`, not both; in JSONata an expression.
    pub(super) fn quantity(
        &mut self,
        object: Object<'a, '_>,
        [name, path_name]: [&str; 2],
        min: u32,
        max: u32,
    ) -> Option<Quantity<u32>> {
        self.at_most_one(object, &[name, path_name]);
        if object.has(path_name) {
            return self.reference_path(object, path_name).map(Quantity::Path);
        }
        if let Given::Expression(expression) = self.expression(object, name) {
            return expression.map(Quantity::Expression);
        }
        self.whole(object, name, min, max).map(Quantity::Literal)
    }

    /// `InputPath` or `OutputPath`.
    pub(super) fn selection(&mut self, object: Object<'a, '_>, name: &str) -> Selection {
        match object.get(name) {
            None => Selection::Whole,
            Some(Value::Null) => Selection::Nothing,
            Some(Value::String(text)) if text == "$" => Selection::Whole,
            // A path that is none has been reported, and the definition is not run.
            Some(_) => self.path(object, name).map_or(Selection::Whole, Selection::At),
        }
    }

    /// A path.
    pub(super) fn path(&mut self, object: Object<'a, '_>, name: &str) -> Option<Path> {
        let text = self.string(object, name)?;
        let place = object.place.field(name);
        match Path::parse(text) {
            Ok(path) => {
                self.note(&path);
                Some(path)
            }
            Err(_) => {
                self.report.error(&place, NOT_A_PATH);
                None
            }
        }
    }

    /// A reference path, to the input, the context object or a variable.
    pub(super) fn reference_path(&mut self, object: Object<'a, '_>, name: &str) -> Option<ReferencePath> {
        if object.language == QueryLanguage::Jsonata {
            return None;
        }
        let path = self.path(object, name)?;
        match ReferencePath::parse(path.text()) {
            Ok(reference) => Some(reference),
            Err(error) => {
                self.report.error(&object.place.field(name), error.message);
                None
            }
        }
    }

    /// Refuses paths into the context object in fields that have none of them.
    pub(super) fn outside_of_context(&mut self, object: Object<'a, '_>, names: &[&str]) {
        for name in names {
            let is_of_context = object.get(name).and_then(Value::as_str).is_some_and(is_context_path);
            if is_of_context && !object.is_jsonata() {
                let message = "Value is not a Reference Path: Reference path must not be a path into the context object";
                self.report.error(&object.place.field(name), message);
            }
        }
    }

    /// `ResultPath`: `null`, or a reference path into the input.
    pub(super) fn result_path(&mut self, object: Object<'a, '_>) -> ResultPath {
        match object.get("ResultPath") {
            None => return ResultPath::Replace,
            Some(Value::Null) => return ResultPath::Discard,
            Some(_) => {}
        }
        let Some(path) = self.reference_path(object, "ResultPath") else {
            return ResultPath::Discard;
        };
        if *path.root() != Root::Input {
            let message = "Value is not a Reference Path: Reference path must be a path into the input";
            self.report.error(&object.place.field("ResultPath"), message);
        }
        if path.text() == "$" { ResultPath::Replace } else { ResultPath::At(path) }
    }

    /// A payload template.
    pub(super) fn template(&mut self, object: Object<'a, '_>, name: &str) -> Option<Template> {
        let value = object.get(name)?;
        let place = object.place.field(name);
        self.compile_template(value, &place)
    }

    /// A payload template at a place.
    pub(super) fn compile_template(&mut self, value: &Value, place: &Place<'_>) -> Option<Template> {
        self.warn_without_dollar(value, place);
        match Template::compile(value) {
            Ok(template) => {
                for path in template.paths() {
                    self.note(path);
                }
                Some(template)
            }
            Err(errors) => {
                for error in errors {
                    let name = error.field.strip_suffix(".$").unwrap_or(&error.field);
                    let message = match error.problem {
                        TemplateProblem::NotAnExpression => format!(
                            "The value for the field '{}' must be a valid JSONPath or a valid intrinsic function call",
                            error.field
                        ),
                        TemplateProblem::Duplicate => {
                            format!("There should only be one of the following fields: [{name}, {name}.$]")
                        }
                    };
                    self.report.error(&place.below(&error.place), message);
                }
                None
            }
        }
    }

    /// Warns of strings that look like paths in fields whose names do not end in `.$`.
    fn warn_without_dollar(&mut self, value: &Value, place: &Place<'_>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let place = place.field(name);
                    match value {
                        Value::String(text) if !name.ends_with(".$") && looks_like_expression(text) => {
                            let message = format!(
                                "The name of the field '{name}' does not end with '.$', so its value is taken as it is"
                            );
                            self.report.push_at(Code::NoDollar, &place, message);
                        }
                        _ => self.warn_without_dollar(value, &place),
                    }
                }
            }
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.warn_without_dollar(element, &place.element(index));
                }
            }
            _ => {}
        }
    }

    /// Warns of a string that looks like a path in a field that has a `…Path` form.
    pub(super) fn warn_without_path(&mut self, text: &str, place: &Place<'_>) {
        if looks_like_expression(text) {
            let message = "The value looks like a path, but the name of the field does not end with 'Path'";
            self.report.push_at(Code::NoPath, place, message);
        }
    }
}

fn is_context_path(text: &str) -> bool {
    text.starts_with("$$")
}

/// AWS's answer to something that is not a path.
pub(super) const NOT_A_PATH: &str = "Value must be a valid JSONPath.";
/// A path below the input or the context, or an intrinsic call.
pub(super) fn looks_like_expression(text: &str) -> bool {
    let path = text == "$" || ["$.", "$[", "$$."].iter().any(|start| text.starts_with(start));
    path || text.starts_with("States.") && text.ends_with(')')
}

/// A number without fraction; `5.0` is one.
fn integer(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.fract() == 0.0)
}

/// Whether a path into the context object may reach `Execution.Input`. Says no only to what certainly
/// leads elsewhere: filters can reach back to the root, so a path with one always may.
pub(super) fn may_see_execution_input(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("$$.").filter(|rest| !rest.contains('?')) else {
        return true;
    };
    let (first, rest) = split_name(rest);
    match first {
        "StateMachine" | "State" | "Task" | "Map" => false,
        "Execution" => {
            let second = rest.strip_prefix('.').map(|rest| split_name(rest).0);
            !matches!(second, Some("Id" | "Name" | "RoleArn" | "StartTime" | "RedriveCount" | "RedriveTime"))
        }
        _ => true,
    }
}

/// A plain member name at the start of a path, and what follows.
fn split_name(path: &str) -> (&str, &str) {
    path.split_at(path.find(['.', '[']).unwrap_or(path.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_path_that_may_reach_the_input_is_known() {
        let reaching = [
            "$$",
            "$$.Execution",
            "$$.Execution.Input",
            "$$.Execution.Input.a",
            "$$.Execution.Input[0]",
            "$$..x",
            "$$['Execution']['Input']",
            "$$.*",
            "$$.Execution.*",
            "$$.Execution..Input",
            "$$.Execution['Input']",
            "$$.Map[?(@.a == $.Execution.Input)]",
            "$$[*]",
            "$$.Unknown",
        ];
        for text in reaching {
            assert!(may_see_execution_input(text), "{text}");
        }
        let others = [
            "$$.Execution.Id",
            "$$.Execution.StartTime",
            "$$.StateMachine.Id",
            "$$.State.Name",
            "$$.Task.Token",
            "$$.Map.Item.Value",
            "$$.Map.Item.Value[0].Input",
            "$$.Map..Input",
            "$$.Map",
        ];
        for text in others {
            assert!(!may_see_execution_input(text), "{text}");
        }
    }
}
