//! How values flow from state to state.
//!
//! A state's *raw input* becomes its *effective input*, that becomes what the state works on, and the
//! work's result becomes the state's *output*. How, is a matter of the state's query language, and of
//! nothing else: [`DataFlow`] is the one place that knows which language a state speaks.

use std::borrow::Cow;

use serde_json::Value;

use crate::data::path::{Path, PathError, ReferencePath, Root};
use crate::data::random::Random;
use crate::data::template::Template;

pub mod context;
pub mod failure;
pub mod intrinsic;
pub mod json;
pub mod path;
pub mod random;
pub mod template;
pub mod timestamp;

pub use context::Context;
pub use failure::Failure;

/// The query language of a state with the fields that it brings.
///
/// JSONata takes its place here as a second variant; no state type asks which language it is in.
#[derive(Debug, Clone, PartialEq)]
pub enum DataFlow {
    /// `InputPath`, `Parameters`, `ResultSelector`, `ResultPath`, `OutputPath`.
    JsonPath(JsonPathFlow),
}

/// The fields of the JSONPath language. The default is what an empty state does.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JsonPathFlow {
    /// `InputPath`.
    pub input_path: Selection,
    /// `Parameters` of a Task, Pass or Parallel.
    pub parameters: Option<Template>,
    /// `ResultSelector`.
    pub result_selector: Option<Template>,
    /// `ResultPath`.
    pub result_path: ResultPath,
    /// `OutputPath`.
    pub output_path: Selection,
}

/// `InputPath` and `OutputPath`: which part of a value goes on.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Selection {
    /// `$`: all of it.
    #[default]
    Whole,
    /// `null`: nothing of it, which is `{}`.
    Nothing,
    /// What the path finds.
    At(Path),
}

/// Where a result goes in the state's raw input.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ResultPath {
    /// `$`: it replaces the input.
    #[default]
    Replace,
    /// `null`: it is dropped.
    Discard,
    /// Anything else.
    At(ReferencePath),
}

/// What the expressions of a state can see.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `$`.
    pub input: &'a Value,
    /// `$$`.
    pub context: &'a Context<'a>,
}

impl<'a> Scope<'a> {
    /// The same with another `$`.
    pub fn with_input<'b>(self, input: &'b Value) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope { input, context: self.context }
    }

    /// The value that the root of a path names. Variables do not exist yet, so a path to one finds null.
    pub fn document(&self, root: &Root) -> &'a Value {
        match root {
            Root::Input => self.input,
            Root::Context => self.context.value(),
            Root::Variable(_) => &Value::Null,
        }
    }

    /// What a path finds.
    pub fn read(&self, path: &Path) -> Result<Cow<'a, Value>, PathError> {
        path.evaluate(self.document(path.root()))
    }

    /// What a path finds that must find something: nothing is `States.Runtime`, told as for `InputPath`.
    pub fn require(&self, path: &Path) -> Result<Cow<'a, Value>, Failure> {
        self.read(path).map_err(|error| Failure::runtime(format!("Invalid path '{}' : {error}", path.text())))
    }
}

impl DataFlow {
    /// Raw input to effective input.
    pub fn effective_input<'a>(&self, scope: Scope<'a>) -> Result<Cow<'a, Value>, Failure> {
        let DataFlow::JsonPath(flow) = self;
        flow.input_path.of(scope)
    }

    /// Effective input (in `scope`) to what the state works on.
    pub fn arguments<'a>(
        &self,
        effective: Cow<'a, Value>,
        context: &Context<'_>,
        random: &mut Random,
    ) -> Result<Cow<'a, Value>, Failure> {
        let DataFlow::JsonPath(flow) = self;
        match &flow.parameters {
            None => Ok(effective),
            Some(template) => {
                Ok(Cow::Owned(template.evaluate(Scope { input: &effective, context }, random)?))
            }
        }
    }

    /// The work's result to what `ResultSelector` makes of it.
    pub fn select_result(
        &self,
        result: Value,
        context: &Context<'_>,
        random: &mut Random,
    ) -> Result<Value, Failure> {
        let DataFlow::JsonPath(flow) = self;
        match &flow.result_selector {
            None => Ok(result),
            Some(template) => template.evaluate(Scope { input: &result, context }, random),
        }
    }

    /// Raw input and selected result to the state's output.
    pub fn output(&self, raw: Value, result: Value, context: &Context<'_>) -> Result<Value, Failure> {
        let DataFlow::JsonPath(flow) = self;
        let merged = flow.result_path.merge(raw, result)?;
        self.output_of(merged, context)
    }

    /// `OutputPath` alone, for states without a result (Choice, Wait, Succeed).
    pub fn output_of(&self, value: Value, context: &Context<'_>) -> Result<Value, Failure> {
        let DataFlow::JsonPath(flow) = self;
        match &flow.output_path {
            Selection::Whole => Ok(value),
            selection => Ok(selection.of(Scope { input: &value, context })?.into_owned()),
        }
    }
}

impl Selection {
    fn of<'a>(&self, scope: Scope<'a>) -> Result<Cow<'a, Value>, Failure> {
        match self {
            Selection::Whole => Ok(Cow::Borrowed(scope.input)),
            Selection::Nothing => Ok(Cow::Owned(Value::Object(serde_json::Map::new()))),
            Selection::At(path) => scope.require(path),
        }
    }
}

impl ResultPath {
    /// The raw input with the result in its place.
    pub fn merge(&self, mut raw: Value, result: Value) -> Result<Value, Failure> {
        match self {
            ResultPath::Replace => Ok(result),
            ResultPath::Discard => Ok(raw),
            ResultPath::At(path) => {
                path.write(&mut raw, result).map_err(|_| {
                    Failure::runtime(format!(
                        "Unable to apply Path {} to the state's input: a value on the way is neither an object nor an array",
                        path.text()
                    ))
                })?;
                Ok(raw)
            }
        }
    }
}

/// A value in a text of AWS: a string without its quotes, anything else as JSON.
pub fn shown(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}
