//! How values flow from state to state.
//!
//! A state's *raw input* becomes its *effective input*, that becomes what the state works on, and the
//! work's result becomes the state's *output*. How, is a matter of the state's query language, and of
//! nothing else: [`DataFlow`] is the one place that knows which language a state speaks.

use std::borrow::Cow;

use serde_json::Value;

use crate::data::path::{Path, PathError, ReferencePath, Root};
use crate::data::random::Random;
use crate::data::steps::{Step, Steps};
use crate::data::template::Template;

pub mod budget;
pub mod context;
pub mod expression;
pub mod failure;
pub mod intrinsic;
pub mod json;
pub mod path;
pub mod random;
pub mod steps;
pub mod template;
pub mod timestamp;
pub mod variables;

pub use budget::Budget;
pub use context::Context;
pub use failure::{Failure, Problem};
pub use variables::Variables;

/// The query language of a state with the fields that it brings. No state type asks which language it is in.
#[derive(Debug, Clone, PartialEq)]
pub enum DataFlow {
    /// `InputPath`, `Parameters`, `ResultSelector`, `ResultPath`, `OutputPath`.
    JsonPath(Box<JsonPathFlow>),
    /// `Arguments`, `Output`.
    Jsonata(JsonataFlow),
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

/// The fields of the JSONata language. The default is what an empty state does.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JsonataFlow {
    /// `Arguments` of a Task or Parallel; absent, it works on the state's input.
    pub arguments: Option<Template>,
    /// `Output`; absent, the result, or the state's input where there is no result.
    pub output: Option<Template>,
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

/// Steps of a path that cost as much as one of a [`Budget`].
const PATH_STEPS_PER_STEP: u64 = 8;

/// What the expressions of a state can see.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `$`; in JSONata `$states.input`.
    pub input: &'a Value,
    /// `$$` and the variables; in JSONata `$states.context`.
    pub context: &'a Context<'a>,
    /// What the state's work led to, of which only JSONata has a name.
    pub work: Work<'a>,
}

/// What the work of a state led to.
#[derive(Clone, Copy)]
pub enum Work<'a> {
    /// It has not been done, or there is none.
    Ahead,
    /// `$states.result`.
    Result(&'a Value),
    /// `$states.errorOutput`.
    Error(&'a Value),
}

impl<'a> Scope<'a> {
    /// Before the state's work.
    pub fn new(input: &'a Value, context: &'a Context<'a>) -> Self {
        Scope { input, context, work: Work::Ahead }
    }

    /// After the state's work.
    pub fn after(input: &'a Value, context: &'a Context<'a>, work: Work<'a>) -> Self {
        Scope { input, context, work }
    }

    /// The value that the root of a path names; `None` where it is a variable that was never assigned.
    pub fn document(&self, root: &Root) -> Option<&'a Value> {
        match root {
            Root::Input => Some(self.input),
            Root::Context => Some(self.context.value()),
            Root::Variable(name) => self.context.variables.get(name),
        }
    }

    /// What a path finds.
    pub fn read(&self, path: &Path) -> Result<Cow<'a, Value>, PathError> {
        let budget = &self.context.budget;
        if budget.left() == 0 {
            return Err(PathError::LimitExceeded);
        }
        match self.document(path.root()) {
            Some(document) => {
                let (found, steps) = path.evaluate_counted(document);
                budget.spend(1 + steps / PATH_STEPS_PER_STEP);
                found
            }
            None => Err(PathError::NoResults { path: path.text().to_owned() }),
        }
    }

    /// What a path finds that must find something: nothing is `States.Runtime`, told as for `InputPath`.
    pub fn require(&self, path: &Path) -> Result<Cow<'a, Value>, Failure> {
        self.read(path).map_err(|error| Failure::runtime(format!("Invalid path '{}' : {error}", path.text())))
    }
}

impl DataFlow {
    /// Raw input to effective input.
    pub fn effective_input<'a>(&self, scope: Scope<'a>) -> Result<Cow<'a, Value>, Failure> {
        match self {
            DataFlow::JsonPath(flow) => flow.input_path.of(scope),
            DataFlow::Jsonata(_) => Ok(Cow::Borrowed(scope.input)),
        }
    }

    /// Notes the effective input, which has a name in JSONPath only.
    pub fn note_input(&self, effective: &Value, steps: &mut Steps) {
        if let DataFlow::JsonPath(_) = self {
            steps.note(Step::AfterInputPath, effective);
        }
    }

    /// Notes what the state works on. In JSONata it has a name where `Arguments` make it.
    pub fn note_arguments(&self, arguments: &Value, steps: &mut Steps) {
        match self {
            DataFlow::JsonPath(_) => steps.note(Step::AfterParameters, arguments),
            DataFlow::Jsonata(JsonataFlow { arguments: Some(_), .. }) => {
                steps.note(Step::AfterArguments, arguments);
            }
            DataFlow::Jsonata(JsonataFlow { arguments: None, .. }) => {}
        }
    }

    /// Notes the items of a Map, which have a name in JSONPath only.
    pub fn note_items(&self, items: &Value, steps: &mut Steps) {
        if let DataFlow::JsonPath(_) = self {
            steps.note(Step::AfterItemsPath, items);
        }
    }

    /// Effective input to what the state works on.
    pub fn arguments<'a>(
        &self,
        effective: Cow<'a, Value>,
        context: &Context<'_>,
        random: &mut Random,
    ) -> Result<Cow<'a, Value>, Problem> {
        let template = match self {
            DataFlow::JsonPath(flow) => &flow.parameters,
            DataFlow::Jsonata(flow) => &flow.arguments,
        };
        match template {
            None => Ok(effective),
            Some(template) => Ok(Cow::Owned(template.evaluate(Scope::new(&effective, context), random)?)),
        }
    }

    /// What the expressions of `Assign` see: in JSONPath the result is `$`.
    pub fn assign_scope<'a>(&self, raw: &'a Value, result: &'a Value, context: &'a Context<'a>) -> Scope<'a> {
        match self {
            DataFlow::JsonPath(_) => Scope::new(result, context),
            DataFlow::Jsonata(_) => Scope::after(raw, context, Work::Result(result)),
        }
    }

    /// What the expressions of a catcher's `Assign` see: in JSONPath the error output is `$`.
    pub fn catch_scope<'a>(&self, raw: &'a Value, error: &'a Value, context: &'a Context<'a>) -> Scope<'a> {
        match self {
            DataFlow::JsonPath(_) => Scope::new(error, context),
            DataFlow::Jsonata(_) => Scope::after(raw, context, Work::Error(error)),
        }
    }

    /// Raw input and the work's result to the state's output.
    pub fn output(
        &self,
        raw: Value,
        result: Value,
        context: &Context<'_>,
        random: &mut Random,
        steps: &mut Steps,
    ) -> Result<Value, Problem> {
        match self {
            DataFlow::JsonPath(flow) => {
                let selected = match &flow.result_selector {
                    None => result,
                    Some(template) => template.evaluate(Scope::new(&result, context), random)?,
                };
                steps.note(Step::AfterResultSelector, &selected);
                let merged = flow.result_path.merge(raw, selected)?;
                steps.note(Step::AfterResultPath, &merged);
                Ok(flow.output_path.take(merged, context)?)
            }
            DataFlow::Jsonata(flow) => match &flow.output {
                None => Ok(result),
                Some(template) => {
                    template.evaluate(Scope::after(&raw, context, Work::Result(&result)), random)
                }
            },
        }
    }

    /// Effective input to the state's output, for states without a result (Choice, Wait, Succeed).
    pub fn output_of(
        &self,
        value: Value,
        context: &Context<'_>,
        random: &mut Random,
    ) -> Result<Value, Problem> {
        match self {
            DataFlow::JsonPath(flow) => Ok(flow.output_path.take(value, context)?),
            DataFlow::Jsonata(flow) => match &flow.output {
                None => Ok(value),
                Some(template) => template.evaluate(Scope::new(&value, context), random),
            },
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

    fn take(&self, value: Value, context: &Context<'_>) -> Result<Value, Failure> {
        match self {
            Selection::Whole => Ok(value),
            Selection::Nothing | Selection::At(_) => Ok(self.of(Scope::new(&value, context))?.into_owned()),
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
