//! What a path means, after parsing.

use std::fmt::Write as _;

use serde_json::Value;

use super::pattern::Pattern;

/// The segments behind a root, with what is known about them before any document is seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    pub(super) segments: Vec<Segment>,
    /// How many segments at the beginning name one place each.
    definite_prefix: usize,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Segment {
    /// `.a`, `['a']`
    Name(Name),
    /// `['a','b']`: in the last place one merged object, elsewhere each in turn.
    Names(Vec<Name>),
    /// `[1]`, `[-1]`
    Index(i32),
    /// `[0,2]`
    Indexes(Vec<i32>),
    /// `[1:5]`; at least one bound is present. Jayway reads a third number and ignores it.
    Slice { from: Option<i32>, to: Option<i32> },
    /// `.*`, `[*]`
    Wildcard,
    /// `..`: the segment after it is applied to every object or array below.
    Descend,
    /// `[?(…)]`
    Filter(Box<Filter>),
    /// `.length()`: only in the last place.
    Function(Call),
}

/// A property name and the quote it was written in, which error texts repeat.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) quote: char,
}

/// A function with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
}

/// What stands between the parentheses of a function.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    Path(Route),
    Literal(Value),
}

/// The condition of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    /// `@.a` and `!@.a`
    Exists {
        path: ItemPath,
        wanted: bool,
    },
    Compare {
        left: Operand,
        operator: Operator,
        right: Operand,
    },
}

/// A path inside a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ItemPath {
    /// Counted from the document (`$`), not from the item (`@`).
    pub(super) from_root: bool,
    pub(super) route: Route,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Path(ItemPath),
    Literal(Value),
    Pattern(Pattern),
}

/// A comparison between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    /// `===`: no conversion between text and number.
    SameTypeEqual,
    SameTypeNotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    All,
    Contains,
    Size,
    Empty,
}

impl Operator {
    /// The operator of this spelling; words in any case, as in Jayway.
    pub(super) fn of(text: &str) -> Option<Operator> {
        Some(match text.to_ascii_lowercase().as_str() {
            "==" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "===" => Operator::SameTypeEqual,
            "!==" => Operator::SameTypeNotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "=~" => Operator::Matches,
            "in" => Operator::In,
            "nin" => Operator::NotIn,
            "subsetof" => Operator::SubsetOf,
            "anyof" => Operator::AnyOf,
            "noneof" => Operator::NoneOf,
            "all" => Operator::All,
            "contains" => Operator::Contains,
            "size" => Operator::Size,
            "empty" => Operator::Empty,
            _ => return None,
        })
    }
}

impl Route {
    /// Jayway turns `$..x.sum()` into `$.sum($..x)`, so that the function sees all matches at once.
    pub(super) fn new(mut segments: Vec<Segment>) -> Route {
        if segments.len() > 1
            && segments[0] == Segment::Descend
            && let Some(Segment::Function(mut call)) =
                segments.pop_if(|last| matches!(last, Segment::Function(_)))
        {
            call.arguments = vec![Argument::Path(Route::new(segments))];
            segments = vec![Segment::Function(call)];
        }
        let length = segments.len();
        let names_one_place = |(at, segment): (usize, &Segment)| match segment {
            Segment::Name(_) | Segment::Index(_) | Segment::Function(_) => true,
            Segment::Names(_) => at + 1 == length,
            Segment::Indexes(_)
            | Segment::Slice { .. }
            | Segment::Wildcard
            | Segment::Descend
            | Segment::Filter(_) => false,
        };
        let definite_prefix = segments.iter().enumerate().take_while(|pair| names_one_place(*pair)).count();
        Route { segments, definite_prefix }
    }

    pub(super) fn is_definite(&self) -> bool {
        self.definite_prefix == self.segments.len()
    }

    /// Whether everything before the segment at `at` names one place, so that a miss is an error.
    pub(super) fn is_definite_before(&self, at: usize) -> bool {
        at <= self.definite_prefix
    }

    /// How many segments at the beginning name one place each.
    pub(super) fn definite_prefix(&self) -> usize {
        self.definite_prefix
    }

    pub(super) fn is_plain(&self) -> bool {
        self.segments.iter().all(Segment::is_plain)
    }

    pub(super) fn is_last(&self, at: usize) -> bool {
        at + 1 == self.segments.len()
    }

    /// The segments from `from` to `to` in the form that Jayway prints.
    pub(super) fn print(&self, from: usize, to: usize) -> String {
        let mut out = String::new();
        for segment in &self.segments[from..to] {
            segment.print(&mut out);
        }
        out
    }
}

impl Segment {
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Segment::Name(_) | Segment::Index(_))
    }

    fn print(&self, out: &mut String) {
        match self {
            Segment::Name(name) => print_names(std::slice::from_ref(name), out),
            Segment::Names(names) => print_names(names, out),
            Segment::Index(index) => print_indexes(&[*index], out),
            Segment::Indexes(indexes) => print_indexes(indexes, out),
            Segment::Slice { from, to } => {
                let print = |bound: &Option<i32>| bound.map(|bound| bound.to_string()).unwrap_or_default();
                out.push_str(&format!("[{}:{}]", print(from), print(to)));
            }
            Segment::Wildcard => out.push_str("[*]"),
            Segment::Descend => out.push_str(".."),
            Segment::Filter(_) => out.push_str("[?]"),
            Segment::Function(call) => {
                let arguments = if call.arguments.is_empty() { "" } else { "..." };
                out.push_str(&format!(".{}({arguments})", call.name));
            }
        }
    }
}

fn print_names(names: &[Name], out: &mut String) {
    out.push('[');
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push(name.quote);
        for letter in name.text.chars() {
            if matches!(letter, '\\' | '\'') {
                out.push('\\');
            }
            out.push(letter);
        }
        out.push(name.quote);
    }
    out.push(']');
}

fn print_indexes(indexes: &[i32], out: &mut String) {
    let indexes: Vec<String> = indexes.iter().map(i32::to_string).collect();
    // Writing to a String cannot fail.
    let _ = write!(out, "[{}]", indexes.join(","));
}
