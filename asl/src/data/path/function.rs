//! The functions that may end a path.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::ast::{Argument, Call, Route, Segment};
use super::budget::Budget;
use super::error::Fault;
use super::evaluate;

/// Calls a function on `model`. Paths in its arguments count from `root`.
pub(super) fn call<'a>(
    call: &Call,
    model: &'a Value,
    root: &'a Value,
    budget: &mut Budget,
) -> Result<Cow<'a, Value>, Fault<'a>> {
    let arguments = arguments(call, root, budget)?;
    match call.name.as_str() {
        "length" | "size" => length(call, model, budget),
        "min" | "max" | "sum" | "avg" | "stddev" => {
            let numbers = numbers(model, &arguments, budget)?;
            aggregate(&call.name, &numbers).map(number)
        }
        "keys" => keys(model, budget),
        "first" => pick(model, 0),
        "last" => pick(model, -1),
        "index" => match arguments.first().and_then(|argument| argument.as_i64()) {
            Some(index) => pick(model, index),
            None => fault("The function index needs a number"),
        },
        "concat" => concat(model, &arguments, budget),
        "append" => append(model, arguments, budget),
        name => fault(format!("Function with name: {name} does not exist.")),
    }
}

fn fault<'a, T>(message: impl Into<String>) -> Result<T, Fault<'a>> {
    Err(Fault::Function { message: message.into() })
}

fn number<'a>(number: f64) -> Cow<'a, Value> {
    Cow::Owned(Number::from_f64(number).map_or(Value::Null, Value::Number))
}

fn arguments<'a>(
    call: &Call,
    root: &'a Value,
    budget: &mut Budget,
) -> Result<Vec<Cow<'a, Value>>, Fault<'a>> {
    let evaluate = |argument: &Argument| match argument {
        Argument::Literal(value) => budget.copy(value).map(Cow::Owned),
        Argument::Path(route) => budget
            .deeper(|budget| evaluate::evaluate(route, root, root, budget))
            .map_err(|fault| Fault::Told(fault.describe(route))),
    };
    call.arguments.iter().map(evaluate).collect()
}

/// The number of children. With a path as argument Jayway counts what the children of that path
/// are, starting from the model; a definite path gives it only the first child to look at.
fn length<'a>(call: &Call, model: &'a Value, budget: &mut Budget) -> Result<Cow<'a, Value>, Fault<'a>> {
    if let Some(Argument::Path(route)) = call.arguments.first() {
        let ends_in_function = matches!(route.segments.last(), Some(Segment::Function(_)));
        let children = if ends_in_function { route.clone() } else { children_of(route) };
        let mut found = budget
            .deeper(|budget| evaluate::find(&children, model, model, evaluate::Require::Nothing, budget))
            .map_err(|fault| Fault::Told(fault.describe(&children)))?;
        if !route.is_definite() {
            return Ok(Cow::Owned(found.len().into()));
        }
        if found.is_empty() {
            return Err(Fault::Told(Fault::NoResults.describe(&children)));
        }
        if let Value::Array(items) = found.swap_remove(0).as_ref() {
            return Ok(Cow::Owned(items.len().into()));
        }
    }
    Ok(Cow::Owned(match model {
        Value::Array(items) => items.len().into(),
        Value::Object(members) => members.len().into(),
        _ => Value::Null,
    }))
}

fn children_of(route: &Route) -> Route {
    let mut segments = route.segments.clone();
    segments.push(Segment::Wildcard);
    Route::new(segments)
}

/// The numbers of an array and of the arguments, which may be arrays; the rest is passed over.
fn numbers<'a>(
    model: &Value,
    arguments: &[Cow<'_, Value>],
    budget: &mut Budget,
) -> Result<Vec<f64>, Fault<'a>> {
    let mut numbers = Vec::new();
    let mut take = |values: &[Value]| {
        budget.step(values.len())?;
        numbers.extend(values.iter().filter_map(Value::as_f64));
        Ok(())
    };
    if let Value::Array(items) = model {
        take(items)?;
    }
    for argument in arguments {
        match argument.as_ref() {
            Value::Array(items) => take(items)?,
            other => take(std::slice::from_ref(other))?,
        }
    }
    Ok(numbers)
}

fn aggregate<'a>(name: &str, numbers: &[f64]) -> Result<f64, Fault<'a>> {
    if numbers.is_empty() {
        return fault("Aggregation function attempted to calculate value using empty array");
    }
    let count = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    Ok(match name {
        "min" => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "sum" => sum,
        "avg" => sum / count,
        _ => {
            let squares: f64 = numbers.iter().map(|number| number * number).sum();
            (squares / count - (sum / count).powi(2)).sqrt()
        }
    })
}

fn keys<'a>(model: &Value, budget: &mut Budget) -> Result<Cow<'a, Value>, Fault<'a>> {
    let Value::Object(members) = model else { return Ok(Cow::Owned(Value::Null)) };
    let mut keys = Vec::new();
    for key in members.keys() {
        budget.pay(size_of::<Value>() + key.len())?;
        keys.push(Value::String(key.clone()));
    }
    Ok(Cow::Owned(Value::Array(keys)))
}

/// The item at `index`, from the end if it is negative.
fn pick<'a>(model: &'a Value, index: i64) -> Result<Cow<'a, Value>, Fault<'a>> {
    let Value::Array(items) = model else {
        return fault("Aggregation function attempted to calculate value using empty array");
    };
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    let position = if index < 0 { items.len().checked_sub(distance) } else { Some(distance) };
    match position.and_then(|position| items.get(position)) {
        Some(item) => Ok(Cow::Borrowed(item)),
        None => fault(format!("Target index:{index} larger than object count:{}", items.len())),
    }
}

/// The texts of an array, and the arguments, in one text.
fn concat<'a>(
    model: &Value,
    arguments: &[Cow<'_, Value>],
    budget: &mut Budget,
) -> Result<Cow<'a, Value>, Fault<'a>> {
    let mut out = String::new();
    let items = model.as_array().map(Vec::as_slice).unwrap_or_default();
    budget.step(items.len())?;
    for item in items.iter().filter_map(Value::as_str) {
        budget.pay(item.len())?;
        out.push_str(item);
    }
    for argument in arguments {
        match argument.as_ref() {
            Value::Null => {}
            Value::String(text) => out.push_str(text),
            other => {
                budget.charge(other)?;
                out.push_str(&other.to_string());
            }
        }
    }
    Ok(Cow::Owned(Value::String(out)))
}

/// The array with the arguments behind its items.
fn append<'a>(
    model: &'a Value,
    arguments: Vec<Cow<'a, Value>>,
    budget: &mut Budget,
) -> Result<Cow<'a, Value>, Fault<'a>> {
    let mut appended = budget.copy(model)?;
    if let Value::Array(items) = &mut appended {
        for argument in arguments {
            items.push(budget.copy(&argument)?);
        }
    }
    Ok(Cow::Owned(appended))
}
