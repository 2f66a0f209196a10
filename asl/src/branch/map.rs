//! `Map` in inline mode: an iteration for each item.

use std::sync::Arc;

use serde_json::{Number, Value, json};

use super::turn::Turn;
use super::{Branch, EventRef, Role};
use crate::data::context::MapItem;
use crate::data::{Failure, Scope, shown};
use crate::history::{EventKind, Iteration};
use crate::limits::FORK_BYTES_MAX;
use crate::program::{Items, Map, Next, Quantity, ToleratedFailure};

impl Turn<'_> {
    /// One attempt: an iteration for each item, a window of them at a time.
    pub(super) fn fork_map(&mut self, map: &Map) -> Result<(), Failure> {
        let raw = std::mem::take(&mut self.branch.data);
        let prepared = self.prepare(map, &raw);
        self.branch.data = raw;
        let Prepared { inputs, length, window } = prepared?;
        let started = self.record(EventKind::MapStateStarted { length });
        if inputs.is_empty() {
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
    ) -> Result<(), Failure> {
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

    fn prepare(&mut self, map: &Map, raw: &Value) -> Result<Prepared, Failure> {
        let context = self.context();
        let limits = self.run.limits;
        let effective = self.state().flow.effective_input(Scope { input: raw, context: &context })?;
        let scope = Scope { input: &effective, context: &context };
        let concurrency = integer(map.max_concurrency.as_ref(), "MaxConcurrencyPath", scope)?;
        check_tolerated_failure(&map.tolerated_failure, scope)?;
        let mut items = items(map, scope)?;
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

    fn select_items(
        &mut self,
        map: &Map,
        items: Vec<MapItem>,
        effective: &Value,
    ) -> Result<Vec<(Arc<MapItem>, Value)>, Failure> {
        let mut context = self.context();
        let mut inputs = Vec::with_capacity(items.len());
        let mut bytes = 0;
        for item in items {
            let item = Arc::new(item);
            let input = match (&map.item_selector, &item.key) {
                (Some(selector), _) => {
                    context.set_item(item.clone());
                    selector.evaluate(Scope { input: effective, context: &context }, &mut self.random)?
                }
                (None, None) => item.value.clone(),
                (None, Some(key)) => json!({ "Key": key, "Value": item.value }),
            };
            bytes += self.bounded(&input, &self.state().name)?.len();
            if bytes > FORK_BYTES_MAX {
                return Err(Failure::data_limit_exceeded(&self.state().name));
            }
            inputs.push((item, input));
        }
        Ok(inputs)
    }
}

struct Prepared {
    inputs: Vec<(Arc<MapItem>, Value)>,
    /// Items there are, possibly more than inputs.
    length: u32,
    window: u32,
}

/// The items, read through `ItemsPath`.
fn items(map: &Map, scope: Scope<'_>) -> Result<Vec<MapItem>, Failure> {
    let (value, text) = match &map.items {
        Items::Input => (std::borrow::Cow::Borrowed(scope.input), "$"),
        Items::Path(path) => {
            let found = scope.require(path.path())?;
            (found, path.text())
        }
    };
    let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    match value.into_owned() {
        Value::Array(values) => Ok(values
            .into_iter()
            .enumerate()
            .map(|(index, value)| MapItem { index: number(index), key: None, value })
            .collect()),
        Value::Object(members) => Ok(members
            .into_iter()
            .enumerate()
            .map(|(index, (key, value))| MapItem { index: number(index), key: Some(key), value })
            .collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(Failure::runtime(format!("Reference path \"{text}\" must point to array.")))
        }
    }
}

fn integer(quantity: Option<&Quantity<u32>>, field: &str, scope: Scope<'_>) -> Result<Option<u32>, Failure> {
    let path = match quantity {
        None => return Ok(None),
        Some(Quantity::Literal(number)) => return Ok(Some(*number)),
        Some(Quantity::Path(path)) => path,
    };
    let value = scope.require(path.path())?;
    let Some(number) = value.as_i64() else {
        return Err(Failure::runtime(format!(
            "The {field} field refers to value \"{}\" which is not a valid integer: {}",
            shown(&value),
            path.text()
        )));
    };
    let name = field.trim_end_matches("Path");
    u32::try_from(number).map(Some).map_err(|_| Failure::runtime(format!("{name} cannot be negative.")))
}

/// `ToleratedFailure…` must make sense; an inline Map tolerates none, as AWS applies them to Distributed
/// Maps alone.
fn check_tolerated_failure(tolerated: &ToleratedFailure, scope: Scope<'_>) -> Result<(), Failure> {
    integer(tolerated.count.as_ref(), "ToleratedFailureCountPath", scope)?;
    let percentage = match &tolerated.percentage {
        None => return Ok(()),
        Some(Quantity::Literal(number)) => number.as_f64(),
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
        Some(percentage) if (0.0..=100.0).contains(&percentage) => Ok(()),
        Some(_) | None => Err(Failure::runtime("ToleratedFailurePercentage must be between 0 and 100.")),
    }
}
