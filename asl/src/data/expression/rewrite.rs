//! What the library does not bound is put into other words before it is compiled.
//!
//! A range is built before its length is looked at, so `a..b` becomes a call of a function of ours, which looks
//! first. `$distinct` compares each element with all before it, so it is given a definition that leaves long arrays
//! to a function of ours. Functions whose results can be large are given definitions in which their result is seen
//! before it is passed on: it would not be where a call is the last thing that a function does, or where the
//! function itself is an argument. Offsets of errors come from the text as it was written.

use std::collections::BTreeSet;
use std::fmt::Write;

use jlens_core::ast::{BinaryOp, Stage};
use jlens_core::{Node, NodeKind, function_catalog};

/// The name of the function that stands for `..`.
pub(super) const SPAN: &str = "__warren_span";
/// The name of the function that stands for `$distinct` of many elements.
pub(super) const DISTINCT: &str = "__warren_distinct";
/// The name of the function that looks at what `$replace` is about to make.
pub(super) const FITS: &str = "__warren_fits";
/// Elements up to which `$distinct` is the library's own, which also knows what is a sequence.
const DISTINCT_ELEMENTS: usize = 32;
/// Length up to which a range of two numbers is left alone.
const RANGE_ELEMENTS: f64 = 1_000.0;

/// Visits every node, without recursion.
pub(super) fn walk<'a>(root: &'a Node, mut visit: impl FnMut(&'a Node)) {
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        visit(node);
        let start = open.len();
        children(node, &mut open);
        // In the order in which they stand.
        open[start..].reverse();
    }
}

fn children<'a>(node: &'a Node, out: &mut Vec<&'a Node>) {
    match &node.kind {
        NodeKind::Path { steps, .. } => out.extend(steps),
        NodeKind::Binary { lhs, rhs, .. }
        | NodeKind::Fallback { lhs, rhs, .. }
        | NodeKind::Bind { lhs, rhs }
        | NodeKind::Apply { lhs, rhs } => out.extend([&**lhs, &**rhs]),
        NodeKind::Negate { expr } => out.push(expr),
        NodeKind::Array { items } => out.extend(items),
        NodeKind::Object { pairs } => out.extend(pairs.iter().flat_map(|(name, value)| [name, value])),
        NodeKind::Condition { condition, then, otherwise } => {
            out.extend([&**condition, &**then]);
            out.extend(otherwise.as_deref());
        }
        NodeKind::Block { exprs, .. } => out.extend(exprs),
        NodeKind::Function { procedure, args } | NodeKind::Partial { procedure, args } => {
            out.push(procedure);
            out.extend(args);
        }
        NodeKind::Lambda(lambda) => out.push(&lambda.body),
        NodeKind::Transform(transform) => {
            out.extend([&transform.pattern, &transform.update]);
            out.extend(&transform.delete);
        }
        NodeKind::Sort { terms } => out.extend(terms.iter().map(|term| &term.expr)),
        NodeKind::Name { .. }
        | NodeKind::Variable { .. }
        | NodeKind::String { .. }
        | NodeKind::Number { .. }
        | NodeKind::Bool { .. }
        | NodeKind::Null
        | NodeKind::Regex { .. }
        | NodeKind::Wildcard
        | NodeKind::Descendant
        | NodeKind::Parent { .. }
        | NodeKind::Placeholder
        | NodeKind::Error { .. } => {}
    }
    for stage in node.attrs.stages.iter().chain(&node.attrs.predicate) {
        if let Stage::Filter { expr, .. } = stage {
            out.push(expr);
        }
    }
    if let Some(group) = &node.attrs.group {
        out.extend(group.pairs.iter().flat_map(|(name, value)| [name, value]));
    }
}

/// Functions of the library whose results can be large, whatever they cost in steps.
const LARGE: [&str; 26] = [
    "pad",
    "join",
    "replace",
    "string",
    "substring",
    "substringBefore",
    "substringAfter",
    "uppercase",
    "lowercase",
    "trim",
    "base64encode",
    "base64decode",
    "encodeUrl",
    "encodeUrlComponent",
    "decodeUrl",
    "decodeUrlComponent",
    "append",
    "reverse",
    "sort",
    "shuffle",
    "spread",
    "keys",
    "split",
    "match",
    "merge",
    "fromMillis",
];

/// The functions among these names that are given definitions.
pub(super) fn redefined(names: &BTreeSet<String>) -> Vec<&'static str> {
    LARGE.into_iter().chain(["distinct"]).filter(|name| names.contains(*name)).collect()
}

/// Whether a function of this name makes what must be counted.
pub(super) fn is_large(name: &str) -> bool {
    LARGE.contains(&name.strip_prefix(OWN).unwrap_or(name))
}

/// What the library's own function is called behind a definition of ours.
const OWN: &str = "__warren_own_";

/// The text with calls in the place of ranges.
pub(super) fn with_spans(text: &str, root: &Node) -> String {
    with_calls(text, &ranges(root))
}

/// The text behind definitions of functions.
pub(super) fn with_definitions(text: &str, functions: &[&str]) -> String {
    let mut out = String::from("(");
    for name in functions {
        // Writing to a string cannot fail.
        let _ = match *name {
            "distinct" => write!(
                out,
                "${OWN}distinct := $distinct; $distinct := function($a)<x:x> \
                 {{$count($a) <= {DISTINCT_ELEMENTS} ? ${OWN}distinct($a) : ${DISTINCT}($a)}}; "
            ),
            name => definition(&mut out, name),
        };
    }
    // Behind a line break, should the text end in a comment that has none.
    let _ = write!(out, "{text}\n)");
    out
}

fn definition(out: &mut String, name: &str) -> std::fmt::Result {
    let Some(function) = function_catalog().into_iter().find(|function| function.name == name) else {
        return Ok(());
    };
    // As an argument, `$string` is a function of one parameter, to which no index is given.
    let (count, signature) = match name {
        "string" => (1, "<x-:s>"),
        _ => (function.params.len(), function.signature.as_str()),
    };
    let parameters: Vec<String> = (0..count).map(|at| format!("$p{at}")).collect();
    let parameters = parameters.join(",");
    // The library takes an argument that is there and undefined for no function.
    let call = match name {
        "sort" => format!("$exists($p1) ? ${OWN}sort($p0,$p1) : ${OWN}sort($p0)"),
        // It is made as a whole before anybody looks at its length.
        "replace" => format!("(${FITS}($p0,$p1,$p2); ${OWN}replace({parameters}))"),
        _ => format!("${OWN}{name}({parameters})"),
    };
    write!(
        out,
        "${OWN}{name} := ${name}; ${name} := function({parameters}){signature}{{($r := {call}; $r)}}; "
    )
}

/// Where a range begins and ends, and the operator between its sides.
struct Range {
    start: usize,
    operator: (usize, usize),
    end: usize,
}

/// All ranges that may be long, outer ones first.
fn ranges(root: &Node) -> Vec<Range> {
    let mut found = Vec::new();
    walk(root, |node| {
        if let NodeKind::Binary { op: BinaryOp::Range, lhs, rhs } = &node.kind
            && !is_short(lhs, rhs)
        {
            let operator = (lhs.span.end, rhs.span.start);
            found.push(Range { start: node.span.start.min(lhs.span.start), operator, end: rhs.span.end });
        }
    });
    found
}

fn is_short(from: &Node, to: &Node) -> bool {
    match (&from.kind, &to.kind) {
        (NodeKind::Number { value: from }, NodeKind::Number { value: to }) => to - from < RANGE_ELEMENTS,
        _ => false,
    }
}

/// The text with a call in the place of each range.
fn with_calls(text: &str, ranges: &[Range]) -> String {
    // An inner range that begins where an outer one does comes behind it, and ends before it.
    let mut edits: Vec<(usize, usize, usize, String)> = Vec::with_capacity(ranges.len() * 3);
    for (order, range) in ranges.iter().enumerate() {
        edits.push((range.start, range.start, ranges.len() + order, format!("${SPAN}(")));
        edits.push((range.operator.0, range.operator.1, usize::MAX, ",".to_owned()));
        edits.push((range.end, range.end, ranges.len() - order, ")".to_owned()));
    }
    edits.sort_by_key(|(start, _, order, _)| (*start, *order));
    let mut out = String::with_capacity(text.len() + edits.len() * 8);
    let mut at = 0;
    for (start, end, _, insert) in edits {
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push_str(&insert);
        at = end.max(at);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let ast = jlens_core::parse(text).unwrap();
        let found = with_spans(text, &ast.root);
        assert_eq!(found.replace(SPAN, "S"), expected.unwrap_or(text));
        jlens_core::parse(&found).unwrap();
    }

    #[test]
    fn definitions_can_be_read() {
        let names = redefined(&LARGE.iter().chain(&["distinct"]).map(|name| (*name).to_owned()).collect());
        assert_eq!(names.len(), LARGE.len() + 1);
        jlens_core::parse(&with_definitions("1 /* one */", &names)).unwrap();
    }

    #[test]
    fn ranges_become_calls() {
        check("[1..5]", None);
        check("[1..5000]", Some("[$S(1,5000)]"));
        check("[$a .. $b+1, 7]", Some("[$S($a,$b+1), 7]"));
        check("[($a)..[1..$b][0]]", Some("[$S(($a),[$S(1,$b)][0])]"));
        check("$x[[$i..3]]", Some("$x[[$S($i,3)]]"));
        check("$map([1..$n], function($v){[0..$v]})", Some("$map([$S(1,$n)], function($v){[$S(0,$v)]})"));
        check("$x{a: [1..$b]}", Some("$x{a: [$S(1,$b)]}"));
        check("$x^([1..$b][0])", Some("$x^([$S(1,$b)][0])"));
        check("|$x|{'a':[1..$b]}|", Some("|$x|{'a':[$S(1,$b)]}|"));
        check("[1 /* from */ .. /* to */ $n]", Some("[$S(1,$n)]"));
    }
}
