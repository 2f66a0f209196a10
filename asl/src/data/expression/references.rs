//! What an expression names that AWS does not let it read.
//!
//! An expression has no input of its own: what a state works on lies under `$states`. So a name, `$` and `*` may
//! stand only where something before them is the context: in later steps of a path, in its filters, its order and
//! its groups. A function keeps the context of where it is written.

use jlens_core::ast::Stage;
use jlens_core::{Node, NodeKind};

use super::{ExpressionError, Uses};

/// Everything that it must not read, each thing once, in the order in which it stands.
pub(super) fn refused(root: &Node, uses: Uses) -> Vec<ExpressionError> {
    let mut found = Vec::new();
    // A node, and whether its context is that of the whole expression.
    let mut open = vec![(root, true)];
    while let Some((node, is_top)) = open.pop() {
        if let Some(error) = of(node, is_top, uses)
            && !found.contains(&error)
        {
            found.push(error);
        }
        let start = open.len();
        parts(node, is_top, &mut open);
        open[start..].reverse();
    }
    found
}

/// What is wrong with a node itself.
fn of(node: &Node, is_top: bool, uses: Uses) -> Option<ExpressionError> {
    let name = match &node.kind {
        NodeKind::Name { name } => name.as_str(),
        NodeKind::Variable { name } if name == "$" => return Some(ExpressionError::Root),
        NodeKind::Variable { name } if name.is_empty() => "$",
        NodeKind::Wildcard => "*",
        NodeKind::Descendant => "**",
        NodeKind::Path { steps, .. } => return states(steps, uses),
        _ => return None,
    };
    is_top.then(|| ExpressionError::TopLevel(name.to_owned()))
}

/// A member of `$states` that is not there.
fn states(steps: &[Node], uses: Uses) -> Option<ExpressionError> {
    let [first, second, ..] = steps else { return None };
    let (NodeKind::Variable { name: variable }, NodeKind::Name { name }) = (&first.kind, &second.kind) else {
        return None;
    };
    let is_there = match name.as_str() {
        "input" | "context" => true,
        "result" => uses == Uses::Result,
        "errorOutput" => uses == Uses::Error,
        _ => false,
    };
    (variable == "states" && !is_there).then(|| ExpressionError::NoSuchMember(name.clone()))
}

fn parts<'a>(node: &'a Node, is_top: bool, out: &mut Vec<(&'a Node, bool)>) {
    match &node.kind {
        NodeKind::Path { steps, .. } => {
            out.extend(steps.iter().enumerate().map(|(index, step)| (step, is_top && index == 0)));
        }
        NodeKind::Binary { lhs, rhs, .. }
        | NodeKind::Fallback { lhs, rhs, .. }
        | NodeKind::Apply { lhs, rhs } => out.extend([(&**lhs, is_top), (&**rhs, is_top)]),
        NodeKind::Bind { rhs, .. } => out.push((rhs, is_top)),
        NodeKind::Negate { expr } => out.push((expr, is_top)),
        NodeKind::Array { items } => out.extend(items.iter().map(|item| (item, is_top))),
        NodeKind::Object { pairs } => {
            out.extend(pairs.iter().flat_map(|(name, value)| [(name, is_top), (value, is_top)]));
        }
        NodeKind::Condition { condition, then, otherwise } => {
            out.extend([(&**condition, is_top), (&**then, is_top)]);
            out.extend(otherwise.as_deref().map(|otherwise| (otherwise, is_top)));
        }
        NodeKind::Block { exprs, .. } => out.extend(exprs.iter().map(|expression| (expression, is_top))),
        NodeKind::Function { procedure, args } | NodeKind::Partial { procedure, args } => {
            out.push((procedure, is_top));
            out.extend(args.iter().map(|argument| (argument, is_top)));
        }
        NodeKind::Lambda(lambda) => out.push((&lambda.body, is_top)),
        NodeKind::Transform(transform) => {
            out.extend([(&transform.pattern, false), (&transform.update, false)]);
            out.extend(transform.delete.as_ref().map(|delete| (delete, false)));
        }
        NodeKind::Sort { terms } => out.extend(terms.iter().map(|term| (&term.expr, false))),
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
            out.push((expr, false));
        }
    }
    if let Some(group) = &node.attrs.group {
        out.extend(group.pairs.iter().flat_map(|(name, value)| [(name, false), (value, false)]));
    }
}
