//! `Assign`: names of variables, and which scope they belong to.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::diagnostic::Code;
use super::fields::Object;
use super::place::Place;
use super::{Checker, QueryLanguage};
use crate::data::expression::Uses;
use crate::data::template::Template;
use crate::limits;

/// The variables of one machine and of those around it.
pub(super) struct Variables<'a, 'o> {
    names: BTreeSet<&'a str>,
    outer: Option<&'o Variables<'a, 'o>>,
}

impl Variables<'_, '_> {
    fn has(&self, name: &str) -> bool {
        let mut scope = Some(self);
        while let Some(variables) = scope {
            if variables.names.contains(name) {
                return true;
            }
            scope = variables.outer;
        }
        false
    }
}

impl<'a> Checker<'a> {
    /// All variables that the states of a machine assign; reports those that exist further out.
    pub(super) fn variables<'o>(
        &mut self,
        states: &'a Map<String, Value>,
        place: &Place<'_>,
        outer: Option<&'o Variables<'a, 'o>>,
    ) -> Variables<'a, 'o> {
        let mut names = BTreeSet::new();
        for (state, value) in states {
            for assign in assigns(value) {
                for key in assign.keys() {
                    let name = key.strip_suffix(".$").unwrap_or(key);
                    if outer.is_some_and(|outer| outer.has(name)) {
                        let message = format!(
                            "Invalid variable name '{name}': the variable is already defined in an outer scope."
                        );
                        self.report.push_at(Code::InvalidVariableName, &place.field(state), message);
                    }
                    names.insert(name);
                }
            }
        }
        Variables { names, outer }
    }

    /// An `Assign` of a state, a rule or a catcher.
    pub(super) fn assign(&mut self, object: Object<'a, '_>, uses: Uses) -> Option<Template> {
        let fields = self.object(object, "Assign")?;
        let place = object.place.field("Assign");
        for key in fields.keys() {
            let name = match object.language {
                QueryLanguage::JsonPath => key.strip_suffix(".$").unwrap_or(key),
                QueryLanguage::Jsonata => key,
            };
            self.variable_name(name, &place.field(key));
        }
        self.payload(object, "Assign", uses)
    }

    fn variable_name(&mut self, name: &str, place: &Place<'_>) {
        if name == "states" {
            let message = "Cannot assign to reserved variable '$states'.";
            self.report.push_at(Code::ReservedVariableName, place, message);
        } else if !is_identifier(name) {
            let message =
                format!("Invalid variable name '{name}': the variable name contains invalid characters.");
            self.report.push_at(Code::InvalidVariableName, place, message);
        } else if name.chars().count() > limits::NAME_CHARACTERS_MAX {
            let message = format!("Invalid variable name '{name}': the variable name is too long.");
            self.report.push_at(Code::InvalidVariableName, place, message);
        }
    }
}

/// Every `Assign` of a state: its own, those of its rules, those of its catchers.
fn assigns(state: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let nested = [state.get("Choices"), state.get("Catch")]
        .into_iter()
        .filter_map(|list| list?.as_array())
        .flatten()
        .filter_map(|entry| entry.get("Assign"));
    state.get("Assign").into_iter().chain(nested).filter_map(Value::as_object)
}

/// A letter, then letters, digits and underscores (of any script: ID_Start and ID_Continue, nearly).
fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(char::is_alphabetic)
        && characters.all(|character| character.is_alphanumeric() || character == '_')
}
