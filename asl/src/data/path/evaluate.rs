//! Our evaluator: Jayway's rules, within a budget.
//!
//! It goes depth first, as Jayway does, because that decides the order of results. A miss is an
//! error only while every segment before it names one place; after a fan-out it is one match less.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::ast::{Filter, Name, Route, Segment};
use super::budget::Budget;
use super::error::Fault;
use super::{filter, function};

/// Follows the first `count` segments, all of them names or indices.
pub(super) fn walk_plain<'a>(
    route: &Route,
    count: usize,
    document: &'a Value,
) -> Result<&'a Value, Fault<'a>> {
    let mut place = document;
    for at in 0..count {
        place = plain_step(route, at, place)?.ok_or(Fault::NoResults)?;
    }
    Ok(place)
}

/// The value of the whole path, counted from `item`. `root` is what `$` means inside filters.
pub(super) fn evaluate<'a>(
    route: &Route,
    item: &'a Value,
    root: &'a Value,
    budget: &mut Budget,
) -> Result<Cow<'a, Value>, Fault<'a>> {
    if route.is_plain() {
        return walk_plain(route, route.segments.len(), item).map(Cow::Borrowed);
    }
    let mut found = find(route, item, root, Require::Nothing, budget)?;
    if route.is_definite() {
        return if found.is_empty() { Err(Fault::NoResults) } else { Ok(found.swap_remove(0)) };
    }
    let values = found.into_iter().map(|value| match value {
        Cow::Borrowed(value) => budget.copy(value),
        Cow::Owned(value) => Ok(value),
    });
    values.collect::<Result<Vec<Value>, Fault<'a>>>().map(|values| Cow::Owned(Value::Array(values)))
}

/// What must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Require {
    /// Properties missing behind a fan-out are skipped.
    Nothing,
    /// Every named property, everywhere: Jayway asks `[?(@.a)]` like this.
    Properties,
}

/// All matches, in order. For a definite path there is one or none.
pub(super) fn find<'a>(
    route: &Route,
    item: &'a Value,
    root: &'a Value,
    require: Require,
    budget: &mut Budget,
) -> Result<Vec<Cow<'a, Value>>, Fault<'a>> {
    let mut walk = Walk { route, root, require, budget, found: Vec::new() };
    walk.visit(0, item)?;
    Ok(walk.found)
}

/// The place that a name or index leads to, if there is one.
fn plain_step<'a>(route: &Route, at: usize, model: &'a Value) -> Result<Option<&'a Value>, Fault<'a>> {
    match &route.segments[at] {
        Segment::Name(name) => {
            let Some(members) = members(route, at, model)? else { return Ok(None) };
            match members.get(&name.text) {
                None if !route.is_last(at) && route.is_definite_before(at) => {
                    Err(Fault::MissingProperty { at })
                }
                found => Ok(found),
            }
        }
        Segment::Index(index) => Ok(items(route, at, model)?.and_then(|items| item(items, *index))),
        _ => Ok(None),
    }
}

/// The members of an object; none if something else may be passed over here.
fn members<'a>(
    route: &Route,
    at: usize,
    model: &'a Value,
) -> Result<Option<&'a Map<String, Value>>, Fault<'a>> {
    match model {
        Value::Object(members) => Ok(Some(members)),
        _ if !route.is_definite_before(at) => Ok(None),
        found => Err(Fault::NotAnObject { at, found }),
    }
}

/// The items of an array; none if something else may be passed over here.
pub(super) fn items<'a>(
    route: &Route,
    at: usize,
    model: &'a Value,
) -> Result<Option<&'a [Value]>, Fault<'a>> {
    match model {
        Value::Array(items) => Ok(Some(items)),
        _ if !route.is_definite_before(at) => Ok(None),
        Value::Null => Err(Fault::IsNull { at }),
        found => Err(Fault::NotAnArray { at, found }),
    }
}

/// The item at `index`, from the end if it is negative.
fn item(items: &[Value], index: i32) -> Option<&Value> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    let position = if index < 0 { items.len().checked_sub(distance)? } else { distance };
    items.get(position)
}

/// The indices of a slice. With both bounds given Jayway does not count a negative one from the end
/// of the array, so that `[1:-1]` is empty; what it then asks for may itself be negative.
fn slice_indexes(from: Option<i32>, to: Option<i32>, length: usize) -> std::ops::Range<i32> {
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    let from_end = |bound: i32| if bound < 0 { length.saturating_add(bound) } else { bound };
    match (from, to) {
        (Some(from), None) => from_end(from).max(0)..length,
        (Some(from), Some(to)) => from.max(-length)..to.min(length),
        (None, to) => 0..from_end(to.unwrap_or(length)).min(length),
    }
}

/// One evaluation under way.
struct Walk<'w, 'a> {
    route: &'w Route,
    root: &'a Value,
    require: Require,
    budget: &'w mut Budget,
    found: Vec<Cow<'a, Value>>,
}

impl<'a> Walk<'_, 'a> {
    /// Applies the segments from `at` on to `model`.
    fn visit(&mut self, at: usize, model: &'a Value) -> Result<(), Fault<'a>> {
        self.budget.enter()?;
        let result = self.visit_here(at, model);
        self.budget.leave();
        result
    }

    fn visit_here(&mut self, mut at: usize, mut model: &'a Value) -> Result<(), Fault<'a>> {
        let route = self.route;
        loop {
            self.budget.step(1)?;
            let Some(segment) = route.segments.get(at) else { return self.push(Cow::Borrowed(model)) };
            if !segment.is_plain() {
                return self.fan_out(at, segment, model);
            }
            match plain_step(route, at, model)? {
                Some(place) => model = place,
                None if self.misses_property(segment) => return Err(Fault::NoResults),
                None => return Ok(()),
            }
            at += 1;
        }
    }

    /// Whether the absence of this segment's place is an error wherever it happens.
    fn misses_property(&self, segment: &Segment) -> bool {
        self.require == Require::Properties && matches!(segment, Segment::Name(_))
    }

    fn push(&mut self, value: Cow<'a, Value>) -> Result<(), Fault<'a>> {
        self.budget.pay(size_of::<Cow<'_, Value>>())?;
        self.found.push(value);
        Ok(())
    }

    fn fan_out(&mut self, at: usize, segment: &Segment, model: &'a Value) -> Result<(), Fault<'a>> {
        match segment {
            Segment::Name(_) | Segment::Index(_) => Ok(()),
            Segment::Names(names) => self.names(at, names, model),
            Segment::Indexes(indexes) => self.indexes(at, indexes.iter().copied(), model),
            Segment::Slice { from, to } => {
                let Some(items) = items(self.route, at, model)? else { return Ok(()) };
                self.indexes(at, slice_indexes(*from, *to, items.len()), model)
            }
            Segment::Wildcard => self.wildcard(at, model),
            Segment::Descend => self.descend(at + 1, model),
            Segment::Filter(filter) => self.filter(at, filter, model),
            Segment::Function(call) => {
                let value = function::call(call, model, self.root, self.budget)?;
                self.push(value)
            }
        }
    }

    /// Several names: in the last place one object of those that exist, elsewhere each in turn.
    fn names(&mut self, at: usize, names: &[Name], model: &'a Value) -> Result<(), Fault<'a>> {
        let Some(members) = members(self.route, at, model)? else { return Ok(()) };
        let mut merged = Map::new();
        for name in names {
            self.budget.step(1)?;
            match members.get(&name.text) {
                None if self.require == Require::Properties => return Err(Fault::NoResults),
                None => {}
                Some(member) if self.route.is_last(at) => {
                    merged.insert(name.text.clone(), self.budget.copy(member)?);
                }
                Some(member) => self.visit(at + 1, member)?,
            }
        }
        if self.route.is_last(at) { self.push(Cow::Owned(Value::Object(merged))) } else { Ok(()) }
    }

    fn indexes(
        &mut self,
        at: usize,
        indexes: impl Iterator<Item = i32>,
        model: &'a Value,
    ) -> Result<(), Fault<'a>> {
        let Some(items) = items(self.route, at, model)? else { return Ok(()) };
        for index in indexes {
            self.budget.step(1)?;
            if let Some(item) = item(items, index) {
                self.visit(at + 1, item)?;
            }
        }
        Ok(())
    }

    fn wildcard(&mut self, at: usize, model: &'a Value) -> Result<(), Fault<'a>> {
        match model {
            Value::Object(members) => members.values().try_for_each(|member| self.visit(at + 1, member)),
            Value::Array(items) => {
                for item in items {
                    match self.visit(at + 1, item) {
                        Err(fault) if self.require == Require::Nothing && fault.is_missing() => {}
                        other => other?,
                    }
                }
                Ok(())
            }
            _ if self.route.is_last(at) => Ok(()),
            found => Err(Fault::NotAContainer { at, found }),
        }
    }

    fn filter(&mut self, at: usize, filter: &Filter, model: &'a Value) -> Result<(), Fault<'a>> {
        match model {
            Value::Object(_) if filter::accepts(filter, model, self.root, self.budget)? => {
                self.visit(at + 1, model)
            }
            Value::Object(_) => Ok(()),
            Value::Array(items) => {
                for item in items {
                    if filter::accepts(filter, item, self.root, self.budget)? {
                        self.visit(at + 1, item)?;
                    }
                }
                Ok(())
            }
            found if self.route.is_definite_before(at) => Err(Fault::Primitive { at, found }),
            _ => Ok(()),
        }
    }

    /// Applies the segment at `target` to `model` and all below it, parents first.
    fn descend(&mut self, target: usize, model: &'a Value) -> Result<(), Fault<'a>> {
        self.budget.enter()?;
        let result = self.descend_here(target, model);
        self.budget.leave();
        result
    }

    fn descend_here(&mut self, target: usize, model: &'a Value) -> Result<(), Fault<'a>> {
        self.budget.step(1)?;
        match model {
            Value::Object(members) => {
                if self.applies(target, model)? {
                    self.visit(target, model)?;
                }
                members.values().try_for_each(|member| self.descend(target, member))
            }
            Value::Array(items) => {
                if self.applies(target, model)? {
                    self.visit_array(target, items, model)?;
                }
                items.iter().try_for_each(|item| self.descend(target, item))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    /// Unless the segment is the last, Jayway goes on from every item: `$..[0].x` is `$..[*].x`.
    fn visit_array(&mut self, target: usize, items: &'a [Value], model: &'a Value) -> Result<(), Fault<'a>> {
        if self.route.is_last(target) {
            return self.visit(target, model);
        }
        items.iter().try_for_each(|item| self.visit(target + 1, item))
    }

    /// Whether a segment after `..` is tried on this object or array at all.
    fn applies(&mut self, target: usize, model: &'a Value) -> Result<bool, Fault<'a>> {
        let route = self.route;
        let has = |name: &Name| model.get(&name.text).is_some();
        let requires = self.require == Require::Properties && model.is_object();
        Ok(match route.segments.get(target) {
            Some(Segment::Name(name)) => requires || has(name),
            Some(Segment::Names(names)) if route.is_last(target) => requires || names.iter().all(has),
            Some(Segment::Names(_)) => model.is_object(),
            Some(Segment::Index(_) | Segment::Indexes(_) | Segment::Slice { .. }) => model.is_array(),
            Some(Segment::Wildcard) => true,
            Some(Segment::Filter(filter)) => filter::accepts(filter, model, self.root, self.budget)?,
            Some(Segment::Descend | Segment::Function(_)) | None => false,
        })
    }
}
