//! `Map` in inline mode: an iteration for each item.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Number, Value, json};

use super::turn::Turn;
use super::{Branch, EventRef, Role};
use crate::data::context::MapItem;
use crate::data::expression::Expression;
use crate::data::path::Root;
use crate::data::random::Random;
use crate::data::steps::Step;
use crate::data::template::Template;
use crate::data::{DataFlow, Failure, Problem, Scope, shown};
use crate::history::{EventKind, Iteration};
use crate::limits::FORK_BYTES_MAX;
use crate::program::{ItemReader, Items, Map, Next, Quantity, ToleratedFailure};

impl Turn<'_> {
    /// One attempt: an iteration for each item, a window of them at a time.
    pub(super) fn fork_map(&mut self, map: &Map) -> Result<(), Problem> {
        let raw = std::mem::take(&mut self.branch.data);
        let prepared = self.prepare(map, &raw);
        self.branch.data = raw;
        let Prepared { inputs, length, window } = prepared?;
        let started = self.record(EventKind::MapStateStarted { length });
        if inputs.is_empty() && self.run.setting.is_none() {
            return self.map_joined(Vec::new(), started, map.next);
        }
        let children = self.iterations(map, inputs, window, &started);
        self.fork(children, window);
        Ok(())
    }

    /// All iterations have ended well.
    pub(super) fn map_joined(
        &mut self,
        outputs: Vec<Value>,
        last: EventRef,
        next: Next,
    ) -> Result<(), Problem> {
        self.leave_fork(outputs, last, EventKind::MapStateSucceeded, next)
    }

    /// The children; the first window's start is recorded here, the others record theirs when they begin.
    fn iterations(
        &mut self,
        map: &Map,
        inputs: Vec<(Arc<MapItem>, Value)>,
        window: u32,
        started: &EventRef,
    ) -> Vec<Branch> {
        let name = self.state().name.to_string();
        let state = self.branch.state;
        let mut children = Vec::with_capacity(inputs.len());
        for (item, input) in inputs {
            let (role, after) = if item.index < window {
                let iteration = Iteration { name: name.clone(), index: item.index };
                let event =
                    self.record_after(Some(started.clone()), EventKind::MapIterationStarted(iteration));
                (Role::Iteration(state), event)
            } else {
                (Role::Queued(state), started.clone())
            };
            let mut child = self.child(map.processor, input, &after, role);
            child.item = Some(item);
            children.push(child);
        }
        children
    }

    fn prepare(&mut self, map: &Map, raw: &Value) -> Result<Prepared, Problem> {
        let context = self.context();
        let limits = self.run.limits;
        let effective = self.state().flow.effective_input(Scope::new(raw, &context))?;
        let flow = &self.state().flow;
        flow.note_input(&effective, &mut self.steps);
        let scope = Scope::new(&effective, &context);
        let random = &mut self.random;
        let concurrency = integer(map.max_concurrency.as_ref(), "MaxConcurrencyPath", scope, random)?;
        let tolerated = tolerated_failure(&map.tolerated_failure, scope, random)?;
        let values = match (&map.items, flow) {
            (Items::Template(template), _) => computed_items(template, scope, random)?,
            (Items::Input, DataFlow::Jsonata(_)) => input_items(&effective)?,
            (Items::Reader(_), _) => {
                self.run.setting.and_then(|setting| setting.items.clone()).unwrap_or_default()
            }
            (Items::Input | Items::Path(_), _) => {
                let items = items(&map.items, scope)?.into_owned();
                flow.note_items(&items, &mut self.steps);
                items
            }
        };
        let most = match &map.items {
            Items::Reader(reader) => max_items(reader, scope, random)?,
            Items::Input | Items::Path(_) | Items::Template(_) => None,
        };
        self.note_bounds(concurrency, &tolerated);
        let mut items = numbered(values);
        if let Some(most) = most {
            items.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        }
        // Each iteration records an event, so those beyond the limit of the history never begin.
        let length = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items.truncate(usize::try_from(limits.history_events_max).unwrap_or(usize::MAX));
        let window = match concurrency {
            None | Some(0) => limits.map_concurrency_default,
            Some(given) => given.min(limits.map_concurrency_default),
        };
        let inputs = self.select_items(map, items, &effective)?;
        Ok(Prepared { inputs, length, window: window.max(1) })
    }

    /// Notes what bounds the iterations.
    fn note_bounds(&mut self, concurrency: Option<u32>, tolerated: &Tolerated) {
        self.steps.note(Step::MaxConcurrency, &concurrency.unwrap_or(0).into());
        if let Some(count) = tolerated.count {
            self.steps.note(Step::ToleratedFailureCount, &count.into());
        }
        if let Some(percentage) = tolerated.percentage {
            self.steps.note(Step::ToleratedFailurePercentage, &percentage.into());
        }
    }

    fn select_items(
        &mut self,
        map: &Map,
        items: Vec<MapItem>,
        effective: &Value,
    ) -> Result<Vec<(Arc<MapItem>, Value)>, Problem> {
        let variables_bytes = self.branch.variables.bytes();
        self.budget.add_items(items.len());
        let mut context = self.context();
        let mut inputs = Vec::with_capacity(items.len());
        let mut bytes = 0;
        for item in items {
            let item = Arc::new(item);
            let input = match (&map.item_selector, &item.key) {
                (Some(selector), _) => {
                    context.set_item(item.clone());
                    selector.evaluate(Scope::new(effective, &context), &mut self.random)?
                }
                (None, None) => item.value.clone(),
                (None, Some(key)) => json!({ "Key": key, "Value": item.value }),
            };
            bytes += self.bounded(&input, &self.state().name)?.len() + variables_bytes;
            if bytes > FORK_BYTES_MAX {
                return Err(Failure::data_limit_exceeded(&self.state().name).into());
            }
            inputs.push((item, input));
        }
        if map.item_selector.is_some() && self.steps.are_kept() {
            let selected = inputs.iter().map(|(_, input)| input.clone()).collect();
            self.steps.note(Step::AfterItemSelector, &Value::Array(selected));
        }
        Ok(inputs)
    }
}

/// How many iterations may fail, where it is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tolerated {
    /// `ToleratedFailureCount`.
    pub(super) count: Option<u32>,
    /// `ToleratedFailurePercentage`.
    pub(super) percentage: Option<f64>,
}

struct Prepared {
    inputs: Vec<(Arc<MapItem>, Value)>,
    /// Items there are, possibly more than inputs.
    length: u32,
    window: u32,
}

/// The array or object to iterate over, read through `ItemsPath`.
fn items<'a>(items: &Items, scope: Scope<'a>) -> Result<Cow<'a, Value>, Failure> {
    let (value, text) = match items {
        // Of the context object only arrays are taken, and AWS shows its path with one sign (recorded, 2025).
        Items::Path(path) if *path.path().root() == Root::Context => {
            let value = scope.require(path.path())?;
            if !value.is_array() {
                return Err(not_iterable(path.text().strip_prefix('$').unwrap_or_default()));
            }
            (value, path.text())
        }
        Items::Path(path) => (scope.require(path.path())?, path.text()),
        Items::Input | Items::Template(_) | Items::Reader(_) => (Cow::Borrowed(scope.input), "$"),
    };
    if value.is_array() || value.is_object() {
        return Ok(value);
    }
    Err(not_iterable(text))
}

fn not_iterable(path: &str) -> Failure {
    Failure::runtime(format!("Reference path \"{path}\" must point to array."))
}

/// `Items` in JSONata. A literal object is iterated; an expression must make an array, as recorded on AWS.
fn computed_items(template: &Template, scope: Scope<'_>, random: &mut Random) -> Result<Value, Problem> {
    let value = template.evaluate(scope, random)?;
    match template {
        Template::Expression(expression) if !value.is_array() => Err(expression.unexpected("array", &value)),
        Template::Expression(_) | Template::Literal(_) | Template::Object(_) | Template::Array(_) => {
            Ok(value)
        }
    }
}

/// The input of a Map without `Items` in JSONata.
fn input_items(input: &Value) -> Result<Value, Problem> {
    if input.is_array() {
        return Ok(input.clone());
    }
    Err(Problem::evaluation(format!("Map state input must be an array but was: {input}"), None))
}

/// The elements or members to iterate over.
fn numbered(values: Value) -> Vec<MapItem> {
    let item = |(index, (key, value)): (usize, (Option<String>, Value))| MapItem {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        key,
        value,
    };
    match values {
        Value::Array(values) => values.into_iter().map(|value| (None, value)).enumerate().map(item).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (Some(key), value)).enumerate().map(item).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// How many items are read, where that is bounded.
fn max_items(reader: &ItemReader, scope: Scope<'_>, random: &mut Random) -> Result<Option<u32>, Problem> {
    if let Some(Quantity::Path(path)) = &reader.max_items
        && scope.require(path.path())?.as_i64().is_some_and(i64::is_negative)
    {
        return Err(Failure::new("States.ItemReaderFailed", "field MaxItems must be positive").into());
    }
    let most = integer(reader.max_items.as_ref(), "MaxItemsPath", scope, random)?;
    Ok(most.filter(|most| *most > 0))
}

fn integer(
    quantity: Option<&Quantity<u32>>,
    field: &str,
    scope: Scope<'_>,
    random: &mut Random,
) -> Result<Option<u32>, Problem> {
    let name = field.trim_end_matches("Path");
    let path = match quantity {
        None => return Ok(None),
        Some(Quantity::Literal(number)) => return Ok(Some(*number)),
        Some(Quantity::Path(path)) => path,
        Some(Quantity::Expression(expression)) => {
            return computed_integer(expression, name, scope, random).map(Some);
        }
    };
    let value = scope.require(path.path())?;
    let Some(number) = value.as_i64() else {
        return Err(Failure::runtime(format!(
            "The {field} field refers to value \"{}\" which is not a valid integer: {}",
            shown(&value),
            path.text()
        ))
        .into());
    };
    u32::try_from(number)
        .map(Some)
        .map_err(|_| Failure::runtime(format!("{name} cannot be negative.")).into())
}

fn computed_integer(
    expression: &Expression,
    name: &str,
    scope: Scope<'_>,
    random: &mut Random,
) -> Result<u32, Problem> {
    let value = expression.evaluate(scope, random)?;
    let Some(number) = value.as_i64() else { return Err(expression.unexpected("number", &value)) };
    u32::try_from(number)
        .map_err(|_| Problem::evaluation(format!("{name} cannot be negative."), Some(expression.field())))
}

/// `ToleratedFailure…`, which must make sense; an inline Map tolerates none, as AWS applies them to Distributed
/// Maps alone.
fn tolerated_failure(
    tolerated: &ToleratedFailure,
    scope: Scope<'_>,
    random: &mut Random,
) -> Result<Tolerated, Problem> {
    let count = integer(tolerated.count.as_ref(), "ToleratedFailureCountPath", scope, random)?;
    let percentage = match &tolerated.percentage {
        None => return Ok(Tolerated { count, percentage: None }),
        Some(Quantity::Literal(number)) => number.as_f64(),
        Some(Quantity::Expression(expression)) => {
            let value = expression.evaluate(scope, random)?;
            Some(value.as_f64().ok_or_else(|| expression.unexpected("number", &value))?)
        }
        Some(Quantity::Path(path)) => {
            let value = scope.require(path.path())?;
            let number = value.as_number().and_then(Number::as_f64);
            Some(number.ok_or_else(|| {
                Failure::runtime(format!(
                    "The ToleratedFailurePercentagePath field refers to value \"{}\" which is not a valid float: {}",
                    shown(&value),
                    path.text()
                ))
            })?)
        }
    };
    match percentage {
        Some(percentage) if (0.0..=100.0).contains(&percentage) => {
            Ok(Tolerated { count, percentage: Some(percentage) })
        }
        Some(_) | None => {
            Err(Failure::runtime("ToleratedFailurePercentage must be between 0 and 100.").into())
        }
    }
}
