//! The rules of a Choice.

use serde_json::Value;

use super::expressions::Given;
use super::fields::Object;
use super::machine::Surroundings;
use super::place::Place;
use super::{Checker, QueryLanguage};
use crate::data::expression::Uses;
use crate::data::path::{Path, ReferencePath};
use crate::program::{Choice, Comparison, Condition, Operand, Order, Rule, StringPattern, TypeTest};

/// What a rule is about; each rule has one of these fields.
const SELECTORS: [&str; 5] = ["And", "Or", "Not", "Variable", "Condition"];

/// A comparison operator.
#[derive(Clone, Copy)]
enum Operator {
    Ordered(Type, Order, Form),
    Matches,
    Is(TypeTest),
    IsPresent,
}

/// What an operator compares.
#[derive(Clone, Copy)]
enum Type {
    String,
    Numeric,
    Boolean,
    Timestamp,
}

/// Where an operator's operand is.
#[derive(Clone, Copy)]
enum Form {
    Literal,
    Path,
}

/// Reads the name of an operator.
fn operator(name: &str) -> Option<Operator> {
    let test = match name {
        "StringMatches" => return Some(Operator::Matches),
        "IsPresent" => return Some(Operator::IsPresent),
        "IsNull" => TypeTest::Null,
        "IsNumeric" => TypeTest::Numeric,
        "IsString" => TypeTest::String,
        "IsBoolean" => TypeTest::Boolean,
        "IsTimestamp" => TypeTest::Timestamp,
        _ => return ordered(name),
    };
    Some(Operator::Is(test))
}

/// `<Type><Order>[Path]`.
fn ordered(name: &str) -> Option<Operator> {
    let (kind, rest) = [
        ("String", Type::String),
        ("Numeric", Type::Numeric),
        ("Boolean", Type::Boolean),
        ("Timestamp", Type::Timestamp),
    ]
    .into_iter()
    .find_map(|(prefix, kind)| Some((kind, name.strip_prefix(prefix)?)))?;
    let (order, form) = match rest.strip_suffix("Path") {
        Some(order) => (order, Form::Path),
        None => (rest, Form::Literal),
    };
    let order = match order {
        "Equals" => Order::Equals,
        _ if matches!(kind, Type::Boolean) => return None,
        "LessThan" => Order::LessThan,
        "GreaterThan" => Order::GreaterThan,
        "LessThanEquals" => Order::LessThanEquals,
        "GreaterThanEquals" => Order::GreaterThanEquals,
        _ => return None,
    };
    Some(Operator::Ordered(kind, order, form))
}

impl<'a> Checker<'a> {
    pub(super) fn choice(&mut self, object: Object<'a, '_>, around: &Surroundings<'a, '_>) -> Option<Choice> {
        let default = self.target(object, "Default", around.machine);
        let place = object.place.field("Choices");
        let mut rules = Vec::new();
        for (index, rule) in self.list(object, "Choices")?.iter().enumerate() {
            let place = place.element(index);
            if let Some(rule) = self.rule_object(rule, &place, object.language) {
                rules.extend(self.rule(rule, around));
            }
        }
        Some(Choice { rules, default })
    }

    fn rule_object<'p>(
        &mut self,
        rule: &'a Value,
        place: &'p Place<'p>,
        language: QueryLanguage,
    ) -> Option<Object<'a, 'p>> {
        if !rule.is_object() {
            self.report.error(place, "Expected value of type [OBJECT]");
        }
        Some(Object { fields: rule.as_object()?, place, language })
    }

    /// A rule at the top, which leads somewhere.
    fn rule(&mut self, rule: Object<'a, '_>, around: &Surroundings<'a, '_>) -> Option<Rule> {
        self.required(rule, &["Next"]);
        let next = self.target(rule, "Next", around.machine);
        let assign = self.assign(rule, Uses::Input);
        let output = if rule.is_jsonata() { self.payload(rule, "Output", Uses::Input) } else { None };
        let condition = self.condition(rule, &["Next", "Assign"]);
        Some(Rule { condition: condition?, assign, output, next: next? })
    }

    /// What a rule says, at any depth. `others` are the fields that it may have beside that. Recursion is
    /// bounded by the depth of JSON.
    fn condition(&mut self, rule: Object<'a, '_>, others: &[&str]) -> Option<Condition> {
        let mut selectors = SELECTORS.into_iter().filter(|name| rule.has(name));
        let (Some(selector), None) = (selectors.next(), selectors.next()) else {
            let names = SELECTORS.join(", ");
            let message = format!("The object must have only one of the following fields, [{names}]");
            self.report.error(rule.place, message);
            return None;
        };
        if rule.is_jsonata() || selector == "Condition" {
            return self.jsonata_condition(rule, others);
        }
        if selector == "Variable" {
            return self.test(rule, others);
        }
        let allowed: Vec<&str> = others.iter().copied().chain([selector]).collect();
        self.only_in(rule, &allowed, &[], &["Output"]);
        if selector == "Not" {
            let place = rule.place.field("Not");
            let inner = self.rule_object(rule.get("Not")?, &place, rule.language)?;
            return Some(Condition::Not(Box::new(self.condition(inner, &[])?)));
        }
        let place = rule.place.field(selector);
        let mut conditions = Vec::new();
        for (index, inner) in self.list(rule, selector)?.iter().enumerate() {
            let place = place.element(index);
            if let Some(inner) = self.rule_object(inner, &place, rule.language) {
                conditions.extend(self.condition(inner, &[]));
            }
        }
        Some(if selector == "And" { Condition::And(conditions) } else { Condition::Or(conditions) })
    }

    /// `Condition`: true, false or an expression.
    fn jsonata_condition(&mut self, rule: Object<'a, '_>, others: &[&str]) -> Option<Condition> {
        self.only_in(rule, others, &["And", "Or", "Not", "Variable"], &["Condition", "Output"]);
        if !rule.is_jsonata() {
            return None;
        }
        match self.expression(rule, "Condition") {
            Given::Expression(expression) => expression.map(Condition::Expression),
            Given::Plain => self.boolean(rule, "Condition").map(Condition::Literal),
        }
    }

    /// `Variable` with its one operator.
    fn test(&mut self, rule: Object<'a, '_>, others: &[&str]) -> Option<Condition> {
        let mut operators = Vec::new();
        for name in rule.fields.keys() {
            if let Some(operator) = operator(name) {
                operators.push((name.as_str(), operator));
            }
        }
        let names: Vec<&str> = operators.iter().map(|(name, _)| *name).collect();
        let allowed: Vec<&str> =
            others.iter().copied().chain(["Variable"]).chain(names.iter().copied()).collect();
        self.only_in(rule, &allowed, &[], &["Output"]);
        let variable = self.variable(rule);
        match operators[..] {
            [(name, operator)] => {
                let comparison = self.comparison(rule, name, operator)?;
                Some(Condition::Test { variable: variable?, comparison })
            }
            [] => {
                self.report.error(rule.place, "This object should have a comparison operator");
                None
            }
            _ => {
                self.at_most_one(rule, &names);
                None
            }
        }
    }

    /// `Variable`. AWS speaks of reference paths here, but accepts any path.
    fn variable(&mut self, rule: Object<'a, '_>) -> Option<Path> {
        let text = self.string(rule, "Variable")?;
        let place = rule.place.field("Variable");
        self.choice_path(text, &place)
    }

    fn choice_path(&mut self, text: &str, place: &Place<'_>) -> Option<Path> {
        if !text.starts_with('$') {
            let message = "Value is not a Reference Path: Reference path didn't start with '$'";
            self.report.error(place, message);
            return None;
        }
        match Path::parse(text) {
            Ok(path) => {
                self.note(&path);
                Some(path)
            }
            Err(error) => {
                self.report.error(place, format!("Value is not a Reference Path: {}", error.message));
                None
            }
        }
    }

    fn comparison(&mut self, rule: Object<'a, '_>, name: &str, operator: Operator) -> Option<Comparison> {
        Some(match operator {
            Operator::Matches => Comparison::Matches(pattern(self.string(rule, name)?)),
            Operator::Is(test) => Comparison::Is(test, self.boolean(rule, name)?),
            Operator::IsPresent => Comparison::IsPresent(self.boolean(rule, name)?),
            Operator::Ordered(kind, order, Form::Path) => {
                let path = self.operand_path(rule, name)?;
                match kind {
                    Type::String => Comparison::String(order, Operand::Path(path)),
                    Type::Numeric => Comparison::Numeric(order, Operand::Path(path)),
                    Type::Boolean => Comparison::Boolean(Operand::Path(path)),
                    Type::Timestamp => Comparison::Timestamp(order, Operand::Path(path)),
                }
            }
            Operator::Ordered(kind, order, Form::Literal) => match kind {
                Type::String => {
                    let text = self.string(rule, name)?;
                    self.warn_without_path(text, &rule.place.field(name));
                    Comparison::String(order, Operand::Literal(text.to_owned()))
                }
                Type::Numeric => {
                    Comparison::Numeric(order, Operand::Literal(self.any_number(rule, name)?.clone()))
                }
                Type::Boolean => Comparison::Boolean(Operand::Literal(self.boolean(rule, name)?)),
                Type::Timestamp => {
                    Comparison::Timestamp(order, Operand::Literal(self.timestamp(rule, name)?))
                }
            },
        })
    }

    fn any_number(&mut self, rule: Object<'a, '_>, name: &str) -> Option<&'a serde_json::Number> {
        let number = rule.get(name)?.as_number();
        if number.is_none() {
            self.report.error(&rule.place.field(name), "Expected value of type Number");
        }
        number
    }

    fn operand_path(&mut self, rule: Object<'a, '_>, name: &str) -> Option<ReferencePath> {
        let text = self.string(rule, name)?;
        let place = rule.place.field(name);
        let path = self.choice_path(text, &place)?;
        match ReferencePath::parse(path.text()) {
            Ok(reference) => Some(reference),
            Err(error) => {
                self.report.error(&place, error.message);
                None
            }
        }
    }
}

/// Cuts a pattern at its stars. `\*` is a star and `\\` a backslash; any other backslash is itself.
fn pattern(text: &str) -> StringPattern {
    let mut pieces = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '*' {
            pieces.push(String::new());
            continue;
        }
        let escaped = characters.next_if(|next| character == '\\' && matches!(next, '*' | '\\'));
        if let Some(piece) = pieces.last_mut() {
            piece.push(escaped.unwrap_or(character));
        }
    }
    StringPattern { pieces }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_cut_at_its_stars() {
        let cases: [(&str, &[&str]); 7] = [
            ("", &[""]),
            ("*", &["", ""]),
            ("a*b", &["a", "b"]),
            ("**", &["", "", ""]),
            (r"a\*b", &["a*b"]),
            (r"a\\*b", &[r"a\", "b"]),
            (r"a\b\", &[r"a\b\"]),
        ];
        for (text, pieces) in cases {
            assert_eq!(pattern(text).pieces, pieces, "{text}");
        }
    }
}
