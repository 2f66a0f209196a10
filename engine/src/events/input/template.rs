//! Templates in both forms: as text, and as a value of JSON or YAML.

use std::borrow::Cow;

use asl::limits::JSON_DEPTH_MAX;
use serde_json::Value;

use super::placeholder::{Names, Piece, Source, cut};
use super::text::{TextTemplate, shown};
use super::{INPUT_BYTES_MAX, InputError, InputProblem, Subject};

/// A template, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// As written: a string for a text template.
    source: Value,
    paths: Vec<(String, String)>,
    form: Form,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Text(TextTemplate),
    Value(Node),
}

/// A value with placeholders in it.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// No placeholder in it or below.
    Literal(Value),
    /// A string that is one placeholder.
    Slot(Source),
    /// A string with placeholders in it.
    Text(Vec<TextPart>),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
enum TextPart {
    Literal(String),
    Slot(Source),
}

impl Template {
    /// Compiles EventBridge's `InputTemplate` with its `InputPathsMap`; reports every problem.
    pub fn text(text: &str, paths: &[(String, String)]) -> Result<Template, Vec<InputProblem>> {
        let mut problems = Vec::new();
        let names = Names::read(paths, &mut problems);
        let form = TextTemplate::compile(text, &names);
        let source = Value::from(text);
        Template::assemble(source, paths, form.map(Form::Text).map_err(in_template), problems)
    }

    /// Compiles a template that is a value. A string is taken for the text of one; reports every problem.
    pub fn value(source: &Value, paths: &[(String, String)]) -> Result<Template, Vec<InputProblem>> {
        if let Value::String(text) = source {
            return Template::text(text, paths);
        }
        let mut problems = Vec::new();
        let names = Names::read(paths, &mut problems);
        let node = node(source, "/template", &names, JSON_DEPTH_MAX, &mut problems);
        Template::assemble(source.clone(), paths, Ok(Form::Value(node)), problems)
    }

    fn assemble(
        source: Value,
        paths: &[(String, String)],
        form: Result<Form, InputProblem>,
        mut problems: Vec<InputProblem>,
    ) -> Result<Template, Vec<InputProblem>> {
        match form {
            Ok(form) if problems.is_empty() => Ok(Template { source, paths: paths.to_vec(), form }),
            Ok(_) => Err(problems),
            Err(problem) => {
                problems.push(problem);
                Err(problems)
            }
        }
    }

    /// The template as written.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Its paths by name, as written.
    pub fn paths(&self) -> &[(String, String)] {
        &self.paths
    }

    /// What it becomes for an event.
    pub(super) fn of(&self, subject: &Subject<'_>) -> Result<Value, InputError> {
        match &self.form {
            Form::Text(template) => template.of(subject),
            Form::Value(node) => node.of(subject, &mut Budget { bytes: INPUT_BYTES_MAX }),
        }
    }
}

fn in_template(message: String) -> InputProblem {
    InputProblem { place: "/template".to_owned(), message }
}

fn node(source: &Value, place: &str, names: &Names, levels: usize, problems: &mut Vec<InputProblem>) -> Node {
    let Some(levels) = levels.checked_sub(1) else {
        let message = format!("nests deeper than {JSON_DEPTH_MAX}");
        problems.push(InputProblem { place: place.to_owned(), message });
        return Node::Literal(Value::Null);
    };
    let compiled = match source {
        Value::String(text) => match cut(text, names) {
            Ok(pieces) => string(pieces),
            Err(message) => {
                problems.push(InputProblem { place: place.to_owned(), message });
                Node::Literal(Value::Null)
            }
        },
        Value::Array(items) => {
            let item = |(index, item)| node(item, &format!("{place}[{index}]"), names, levels, problems);
            Node::Array(items.iter().enumerate().map(item).collect())
        }
        Value::Object(members) => {
            let member = |(name, member): (&String, &Value)| {
                (name.clone(), node(member, &format!("{place}/{name}"), names, levels, problems))
            };
            Node::Object(members.iter().map(member).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Literal(source.clone()),
    };
    if compiled.is_literal() { Node::Literal(source.clone()) } else { compiled }
}

fn string(pieces: Vec<Piece<'_>>) -> Node {
    let part = |piece| match piece {
        Piece::Literal(literal) => TextPart::Literal(literal.to_owned()),
        Piece::Slot(source) => TextPart::Slot(source),
    };
    let mut parts: Vec<TextPart> = pieces.into_iter().map(part).collect();
    match (parts.pop(), parts.is_empty()) {
        (Some(TextPart::Slot(source)), true) => Node::Slot(source),
        (last, _) => {
            parts.extend(last);
            Node::Text(parts)
        }
    }
}

impl Node {
    fn is_literal(&self) -> bool {
        let is_literal = |node: &Node| matches!(node, Node::Literal(_));
        match self {
            Node::Literal(_) => true,
            Node::Slot(_) => false,
            Node::Text(parts) => parts.iter().all(|part| matches!(part, TextPart::Literal(_))),
            Node::Array(nodes) => nodes.iter().all(is_literal),
            Node::Object(members) => members.iter().all(|(_, node)| is_literal(node)),
        }
    }

    fn of(&self, subject: &Subject<'_>, budget: &mut Budget) -> Result<Value, InputError> {
        match self {
            Node::Literal(value) => budget.copy(Cow::Borrowed(value)),
            Node::Slot(source) => match source.find(subject)? {
                Some(value) => budget.copy(value),
                None => Ok(Value::Null),
            },
            Node::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        TextPart::Literal(literal) => text.push_str(literal),
                        TextPart::Slot(source) => {
                            if let Some(value) = source.find(subject)? {
                                let shown = shown(&value);
                                budget.pay(shown.len())?;
                                text.push_str(&shown);
                            }
                        }
                    }
                }
                Ok(Value::String(text))
            }
            Node::Array(nodes) => nodes.iter().map(|node| node.of(subject, budget)).collect(),
            Node::Object(members) => {
                members.iter().map(|(name, node)| Ok((name.clone(), node.of(subject, budget)?))).collect()
            }
        }
    }
}

/// What is left of [`INPUT_BYTES_MAX`].
struct Budget {
    bytes: usize,
}

impl Budget {
    fn pay(&mut self, bytes: usize) -> Result<(), InputError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(InputError::TooLarge)?;
        Ok(())
    }

    /// A copy, paid for before it is made.
    fn copy(&mut self, value: Cow<'_, Value>) -> Result<Value, InputError> {
        self.pay(bytes(&value))?;
        Ok(value.into_owned())
    }
}

/// About as many bytes as a value has as JSON.
fn bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => 8 + text.len(),
        Value::Array(items) => 8 + items.iter().map(bytes).sum::<usize>(),
        Value::Object(members) => {
            8 + members.iter().map(|(name, member)| 8 + name.len() + bytes(member)).sum::<usize>()
        }
    }
}
