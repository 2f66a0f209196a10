//! The paths that jsonpath-rust evaluates for us.
//!
//! It gets no text from us (it reads `$.a b` as `$.a`), only queries built from our segments, and
//! only where its answer is Jayway's and its cost is known. It has no limit of its own and writes
//! out a textual path for every node it visits; with one fan-out all those texts together are no
//! longer than the document, with two they can be its square. So: a plain beginning, which we walk
//! ourselves because its errors have texts, then `[*]`, a slice or a list of indices, then names and
//! indices. Of the paths that are not plain, most in use look like that.

use std::borrow::Cow;

use jsonpath_rust::parser::model::{JpQuery, Segment as Step, Selector};
use jsonpath_rust::query::js_path_process;
use serde_json::Value;

use super::ast::{Route, Segment};
use super::budget::Budget;
use super::error::Fault;
use super::evaluate;

/// The part of a path from its fan-out on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    query: JpQuery,
}

impl Query {
    /// The query for a path, unless it is one to evaluate ourselves.
    pub(super) fn of(route: &Route) -> Option<Query> {
        let (plain, rest) = route.segments.split_at(route.definite_prefix());
        let (fan_out, tail) = rest.split_first()?;
        if !plain.iter().all(Segment::is_plain) {
            return None;
        }
        let mut steps = vec![fan_out_step(fan_out)?];
        for segment in tail {
            steps.push(Step::Selector(plain_selector(segment)?));
        }
        Some(Query { query: JpQuery::new(steps) })
    }

    /// The matches in `document`, as an array.
    pub(super) fn evaluate<'a>(
        &self,
        route: &Route,
        document: &'a Value,
        budget: &mut Budget,
    ) -> Result<Cow<'a, Value>, Fault<'a>> {
        let at = route.definite_prefix();
        let place = evaluate::walk_plain(route, at, document)?;
        if route.segments.get(at) != Some(&Segment::Wildcard) {
            // It finds nothing in what is no array, where Jayway fails.
            evaluate::items(route, at, place)?;
        }
        let Ok(found) = js_path_process(&self.query, place) else {
            return evaluate::evaluate(route, document, document, budget);
        };
        let values = found.into_iter().map(|found| budget.copy(found.val));
        values.collect::<Result<Vec<Value>, Fault<'a>>>().map(|values| Cow::Owned(Value::Array(values)))
    }
}

fn fan_out_step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Wildcard => Some(Step::Selector(Selector::Wildcard)),
        // With two bounds Jayway does not count negative ones from the end.
        Segment::Slice { from: Some(from), to: Some(to) } if *from < 0 || *to < 0 => None,
        Segment::Slice { from, to } => {
            Some(Step::Selector(Selector::Slice(from.map(i64::from), to.map(i64::from), None)))
        }
        // An item listed twice would be visited twice: the list alone could multiply the document.
        Segment::Indexes(indexes) if indexes[0] >= 0 && indexes.is_sorted_by(|a, b| a < b) => {
            Some(Step::Selectors(indexes.iter().map(|index| Selector::Index(i64::from(*index))).collect()))
        }
        _ => None,
    }
}

fn plain_selector(segment: &Segment) -> Option<Selector> {
    match segment {
        Segment::Name(name) => Some(Selector::Name(name.text.clone())),
        Segment::Index(index) => Some(Selector::Index(i64::from(*index))),
        _ => None,
    }
}
