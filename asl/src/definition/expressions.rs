//! JSONata in a definition: where expressions may stand, and what they may read there.

use serde_json::Value;

use super::diagnostic::Code;
use super::fields::Object;
use super::place::Place;
use super::values::may_see_execution_input;
use super::{Checker, QueryLanguage};
use crate::data::expression::{Expression, ExpressionError, Uses};
use crate::data::path::{Path, Root};
use crate::data::template::Template;

/// What stands where an expression may stand.
pub(super) enum Given {
    /// Something else.
    Plain,
    /// An expression; `None` if it is wrong, which has been reported.
    Expression(Option<Expression>),
}

impl<'a> Checker<'a> {
    /// The value of a field as an expression, if the language has them and it is one.
    pub(super) fn expression(&mut self, object: Object<'a, '_>, name: &str) -> Given {
        let (true, Some(text)) = (object.is_jsonata(), object.get(name).and_then(Value::as_str)) else {
            return Given::Plain;
        };
        let place = object.place.field(name);
        match Expression::marked(text, &self.field(&place), Uses::Input) {
            None => Given::Plain,
            Some(Ok(expression)) => {
                self.note_expression(&expression);
                Given::Expression(Some(expression))
            }
            Some(Err(errors)) => {
                for error in &errors {
                    self.refuse(&place, error);
                }
                Given::Expression(None)
            }
        }
    }

    /// A template or JSON with expressions, as the language wants it.
    pub(super) fn payload(&mut self, object: Object<'a, '_>, name: &str, uses: Uses) -> Option<Template> {
        if object.language == QueryLanguage::JsonPath {
            return self.template(object, name);
        }
        let value = object.get(name)?;
        let place = object.place.field(name);
        match Template::compile_jsonata(value, &self.field(&place), uses) {
            Ok(template) => {
                for expression in template.expressions() {
                    self.note_expression(expression);
                }
                Some(template)
            }
            Err(errors) => {
                for (below, error) in errors {
                    self.refuse(&place.below(&below), &error);
                }
                None
            }
        }
    }

    fn refuse(&mut self, place: &Place<'_>, error: &ExpressionError) {
        let code = match error {
            ExpressionError::NotClosed => Code::SchemaValidationFailed,
            ExpressionError::Syntax(_) => Code::InvalidJsonataExpression,
            ExpressionError::TopLevel(_) | ExpressionError::Root | ExpressionError::NoSuchMember(_) => {
                Code::UnsupportedJsonataExpression
            }
        };
        self.report.push_at(code, place, error.to_string());
    }

    /// Takes down what a path reads.
    pub(super) fn note(&mut self, path: &Path) {
        match path.root() {
            Root::Input => {}
            Root::Context => self.reads_execution_input |= may_see_execution_input(path.text()),
            Root::Variable(name) => self.note_variable(name),
        }
    }

    fn note_expression(&mut self, expression: &Expression) {
        self.reads_execution_input |= expression.may_see_execution_input();
        for name in expression.variables() {
            self.note_variable(name);
        }
    }

    fn note_variable(&mut self, name: &str) {
        let references = self.variable_references.entry(self.state.0.clone()).or_default();
        references.insert(name.to_owned());
    }

    /// A place as AWS names it in a cause: counted from the state.
    fn field(&self, place: &Place<'_>) -> String {
        let whole = place.to_string();
        let below = whole.strip_prefix(&self.state.1).unwrap_or(&whole);
        below.trim_start_matches('/').to_owned()
    }
}
