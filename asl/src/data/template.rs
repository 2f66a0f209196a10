//! Payload templates: JSON with paths and intrinsic calls in it, or with JSONata expressions, compiled once.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::data::expression::{Expression, ExpressionError, Uses};
use crate::data::intrinsic::Intrinsic;
use crate::data::path::Path;
use crate::data::random::Random;
use crate::data::{Failure, Problem, Scope};

/// A compiled template (`Parameters`, `ResultSelector`, `ItemSelector` …, and in JSONata `Arguments`,
/// `Output` …).
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// No `.$` anywhere below: taken as it is.
    Literal(Value),
    /// At least one member is computed.
    Object(Vec<Member>),
    /// At least one element holds a computed member.
    Array(Vec<Template>),
    /// `"{% … %}"`: what the expression makes. Only in JSONata.
    Expression(Expression),
}

/// A member of an object in a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Without the suffix `.$`.
    pub name: String,
    /// What it becomes.
    pub value: MemberValue,
}

/// What a member becomes.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberValue {
    /// A name without `.$`.
    Template(Template),
    /// `"name.$": "$.path"`.
    Path(Path),
    /// `"name.$": "States.Format(…)"`.
    Intrinsic(Intrinsic<Path>),
}

/// A `.$` member that is neither a path nor an intrinsic call, or stands twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The member's name as written.
    pub field: String,
    /// JSON pointer style place below the template, such as `/a/b[0]`; empty at its top.
    pub place: String,
    /// What is wrong.
    pub problem: TemplateProblem,
}

/// What can be wrong with a `.$` member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateProblem {
    /// Not a path, not an intrinsic call.
    NotAnExpression,
    /// `"a"` and `"a.$"` side by side.
    Duplicate,
}

impl Template {
    /// Compiles a template, reporting every problem.
    pub fn compile(source: &Value) -> Result<Template, Vec<TemplateError>> {
        let mut errors = Vec::new();
        let template = compile_value(source, "", &mut errors);
        if errors.is_empty() { Ok(template) } else { Err(errors) }
    }

    /// Compiles JSON with JSONata expressions, reporting every problem with its place below. `field` is the
    /// location of the whole as AWS writes it, such as `Output`.
    pub fn compile_jsonata(
        source: &Value,
        field: &str,
        uses: Uses,
    ) -> Result<Template, Vec<(String, ExpressionError)>> {
        let mut errors = Vec::new();
        let template = compile_jsonata(source, field, "", uses, &mut errors);
        if errors.is_empty() { Ok(template) } else { Err(errors) }
    }

    /// All expressions in it.
    pub fn expressions(&self) -> Vec<&Expression> {
        match self {
            Template::Literal(_) => Vec::new(),
            Template::Expression(expression) => vec![expression],
            Template::Array(elements) => elements.iter().flat_map(Template::expressions).collect(),
            Template::Object(members) => members
                .iter()
                .flat_map(|member| match &member.value {
                    MemberValue::Template(template) => template.expressions(),
                    MemberValue::Path(_) | MemberValue::Intrinsic(_) => Vec::new(),
                })
                .collect(),
        }
    }

    /// All paths in it, those inside intrinsic calls included.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Template::Literal(_) | Template::Expression(_) => Vec::new(),
            Template::Array(elements) => elements.iter().flat_map(Template::paths).collect(),
            Template::Object(members) => members
                .iter()
                .flat_map(|member| match &member.value {
                    MemberValue::Template(template) => template.paths(),
                    MemberValue::Path(path) => vec![path],
                    MemberValue::Intrinsic(intrinsic) => intrinsic.paths().collect(),
                })
                .collect(),
        }
    }

    /// The value it makes. A missing path or a failing intrinsic is `States.Runtime`, a failing expression
    /// `States.QueryEvaluationError`.
    pub fn evaluate(&self, scope: Scope<'_>, random: &mut Random) -> Result<Value, Problem> {
        match self {
            Template::Literal(value) => Ok(value.clone()),
            Template::Expression(expression) => expression.evaluate(scope, random),
            Template::Array(elements) => {
                elements.iter().map(|element| element.evaluate(scope, random)).collect()
            }
            Template::Object(members) => {
                let mut object = Map::with_capacity(members.len());
                for member in members {
                    object.insert(member.name.clone(), member.evaluate(scope, random)?);
                }
                Ok(Value::Object(object))
            }
        }
    }
}

impl Member {
    fn evaluate(&self, scope: Scope<'_>, random: &mut Random) -> Result<Value, Problem> {
        match &self.value {
            MemberValue::Template(template) => template.evaluate(scope, random),
            MemberValue::Path(path) => Ok(read_field(path, &format!("{}.$", self.name), scope)?),
            MemberValue::Intrinsic(intrinsic) => Ok(evaluate_intrinsic(intrinsic, scope, random)?),
        }
    }
}

/// Reads a path that stands in a named field; missing is `States.Runtime` in AWS's words.
pub fn read_field(path: &Path, field: &str, scope: Scope<'_>) -> Result<Value, Failure> {
    scope.read(path).map(|found| copied(found, scope, 1)).map_err(|error| {
        if !error.is_not_found() {
            return Failure::runtime(format!("Invalid path '{}' : {error}", path.text()));
        }
        let document = shown_document(path, scope);
        Failure::runtime(format!(
            "The JSONPath '{}' specified for the field '{field}' could not be found in the input '{document}'",
            path.text()
        ))
    })
}

/// What an intrinsic function does to an argument costs as much as so many copies of it.
const INTRINSIC_PRICE: u64 = 4;

fn copied(found: Cow<'_, Value>, scope: Scope<'_>, price: u64) -> Value {
    scope.context.budget.spend_on(&found, price);
    found.into_owned()
}

/// Evaluates an intrinsic call in a scope.
pub fn evaluate_intrinsic(
    intrinsic: &Intrinsic<Path>,
    scope: Scope<'_>,
    random: &mut Random,
) -> Result<Value, Failure> {
    let mut resolve = |path: &Path| {
        scope.read(path).map(|found| copied(found, scope, INTRINSIC_PRICE)).map_err(|_| {
            let document = shown_document(path, scope);
            format!(
                "The JsonPath argument for the field '{}' could not be found in the input '{document}'",
                path.text()
            )
        })
    };
    scope.context.budget.check()?;
    intrinsic.evaluate(&mut resolve, random).map_err(|error| Failure::runtime(error.cause))
}

/// What a cause shows of the document in which a path found nothing; a variable that was never assigned has
/// none.
fn shown_document(path: &Path, scope: Scope<'_>) -> String {
    scope.document(path.root()).map_or_else(|| "{}".to_owned(), Value::to_string)
}

fn compile_jsonata(
    source: &Value,
    field: &str,
    place: &str,
    uses: Uses,
    errors: &mut Vec<(String, ExpressionError)>,
) -> Template {
    match source {
        Value::String(text) => match Expression::marked(text, &format!("{field}{place}"), uses) {
            None => Template::Literal(source.clone()),
            Some(Ok(expression)) => Template::Expression(expression),
            Some(Err(found)) => {
                errors.extend(found.into_iter().map(|error| (place.to_owned(), error)));
                Template::Literal(source.clone())
            }
        },
        Value::Array(elements) => {
            let compile = |(index, element): (usize, &Value)| {
                compile_jsonata(element, field, &format!("{place}[{index}]"), uses, errors)
            };
            let compiled: Vec<Template> = elements.iter().enumerate().map(compile).collect();
            if compiled.iter().all(|element| matches!(element, Template::Literal(_))) {
                return Template::Literal(source.clone());
            }
            Template::Array(compiled)
        }
        Value::Object(object) => {
            let member = |(name, value): (&String, &Value)| {
                let value = compile_jsonata(value, field, &format!("{place}/{name}"), uses, errors);
                Member { name: name.clone(), value: MemberValue::Template(value) }
            };
            let members: Vec<Member> = object.iter().map(member).collect();
            let literal =
                |member: &Member| matches!(&member.value, MemberValue::Template(Template::Literal(_)));
            if members.iter().all(literal) {
                return Template::Literal(source.clone());
            }
            Template::Object(members)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Template::Literal(source.clone()),
    }
}

fn compile_value(source: &Value, place: &str, errors: &mut Vec<TemplateError>) -> Template {
    match source {
        Value::Object(object) => compile_object(source, object, place, errors),
        Value::Array(elements) => {
            let compiled: Vec<Template> = elements
                .iter()
                .enumerate()
                .map(|(index, element)| compile_value(element, &format!("{place}[{index}]"), errors))
                .collect();
            if compiled.iter().all(|element| matches!(element, Template::Literal(_))) {
                Template::Literal(source.clone())
            } else {
                Template::Array(compiled)
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Template::Literal(source.clone())
        }
    }
}

fn compile_object(
    source: &Value,
    object: &Map<String, Value>,
    place: &str,
    errors: &mut Vec<TemplateError>,
) -> Template {
    let members: Vec<Member> =
        object.iter().filter_map(|(key, value)| compile_member(object, key, value, place, errors)).collect();
    let literal = |member: &Member| matches!(&member.value, MemberValue::Template(Template::Literal(_)));
    if members.len() == object.len() && members.iter().all(literal) {
        Template::Literal(source.clone())
    } else {
        Template::Object(members)
    }
}

fn compile_member(
    object: &Map<String, Value>,
    key: &str,
    value: &Value,
    place: &str,
    errors: &mut Vec<TemplateError>,
) -> Option<Member> {
    let Some(name) = key.strip_suffix(".$").filter(|name| !name.is_empty()) else {
        let template = compile_value(value, &format!("{place}/{key}"), errors);
        return Some(Member { name: key.to_owned(), value: MemberValue::Template(template) });
    };
    let mut report = |problem| {
        errors.push(TemplateError { field: key.to_owned(), place: place.to_owned(), problem });
        None
    };
    if object.contains_key(name) {
        return report(TemplateProblem::Duplicate);
    }
    let Some(value) = value.as_str().and_then(compile_expression) else {
        return report(TemplateProblem::NotAnExpression);
    };
    Some(Member { name: name.to_owned(), value })
}

/// A path or an intrinsic call.
fn compile_expression(text: &str) -> Option<MemberValue> {
    if Intrinsic::<Path>::looks_like(text) {
        let path = |path: &str| Path::parse(path).ok();
        return Intrinsic::parse(text, path).ok().map(MemberValue::Intrinsic);
    }
    Path::parse(text).ok().map(MemberValue::Path)
}
