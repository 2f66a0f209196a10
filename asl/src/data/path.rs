//! Paths: how a state points into its input, the context object or a variable.
//!
//! The dialect is that of Jayway's `json-path`, because that is what AWS Step Functions runs: its
//! error texts show it. A [`Path`] is parsed once, when the definition is read, and evaluated often.
//!
//! ```text
//! text ──parser──▶ segments ──┬─ only names and indices ──▶ a walk that borrows   (nearly all paths)
//!                             ├─ one `[*]`, slice or list ─▶ jsonpath-rust, on a query built from our segments
//!                             └─ everything else ─────────▶ our evaluator
//! ```
//!
//! Paths and documents come from strangers. Text nests at most [`NESTING_MAX`] deep and names at
//! most [`SEGMENTS_MAX`] segments; an evaluation takes at most [`STEPS_MAX`] steps, recurses at most
//! [`RECURSION_MAX`] deep and copies at most [`OUTPUT_BYTES_MAX`] bytes. Beyond that it ends with
//! [`PathError::LimitExceeded`].

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

mod ast;
mod budget;
mod condition;
mod error;
mod evaluate;
mod filter;
mod function;
mod library;
mod literal;
mod parser;
mod pattern;
mod reference;
mod scanner;

pub use budget::{OUTPUT_BYTES_MAX, RECURSION_MAX, STEPS_MAX};
pub use error::PathError;
pub use parser::{NESTING_MAX, SEGMENTS_MAX};
pub use reference::ReferencePath;

use ast::Route;
use budget::Budget;

/// What the `$` of a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// `$`: the input of the state, or the result where the field says so.
    Input,
    /// `$$`: the context object.
    Context,
    /// `$name`: a variable, without its `$`.
    Variable(String),
}

/// Text that is not a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, for the author of the path.
    pub message: String,
    /// Where, in bytes from the beginning of the text.
    pub offset: usize,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// A path, parsed and ready to evaluate.
///
/// ```
/// use asl::data::path::Path;
/// use serde_json::json;
///
/// let path = Path::parse("$.orders[?(@.total > 10)].id")?;
/// let input = json!({"orders": [{"id": "a", "total": 8}, {"id": "b", "total": 12}]});
/// assert_eq!(*path.evaluate(&input).unwrap(), json!(["b"]));
/// # Ok::<(), asl::data::path::SyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    text: String,
    root: Root,
    route: Route,
    engine: Engine,
}

/// Who evaluates a path; chosen when it is parsed.
#[derive(Debug, Clone, PartialEq)]
enum Engine {
    /// Only names and indices.
    Plain,
    /// A plain beginning, one fan-out, a plain end.
    Library(library::Query),
    /// Everything else.
    Own,
}

impl Path {
    /// Reads a path that begins with `$`, `$$` or `$name`. Refuses text in which Jayway finds no
    /// path, functions that are not the last segment, and regular expressions that need
    /// back-references or look-around.
    pub fn parse(text: &str) -> Result<Path, SyntaxError> {
        let (root, begin) = parser::root(text)?;
        Ok(Path::new(text, root, parser::route(text, begin)?))
    }

    /// Reads a path as Jayway itself does: only `$` is a root, and a path without it (`a.b`) counts
    /// from the root. This is for comparing with Jayway; Step Functions wants the `$`.
    pub fn parse_jayway(text: &str) -> Result<Path, SyntaxError> {
        if text.starts_with('$') {
            return Ok(Path::new(text, Root::Input, parser::route(text, 1)?));
        }
        let rooted = format!("$.{text}");
        let route = parser::route(&rooted, 1)
            .map_err(|error| SyntaxError { offset: error.offset.saturating_sub(2), ..error })?;
        Ok(Path::new(text, Root::Input, route))
    }

    fn new(text: &str, root: Root, route: Route) -> Path {
        let engine = if route.is_plain() {
            Engine::Plain
        } else {
            library::Query::of(&route).map_or(Engine::Own, Engine::Library)
        };
        Path { text: text.to_owned(), root, route, engine }
    }

    /// The path as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which document the path points into.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Whether the path names one place. If not, its result is always an array: it contains `*`,
    /// `..`, a filter, a slice, a list of indices, or a list of names that is not last. (A list of
    /// names in the last place gives one object; a function right after `$..x` gives one value.)
    pub fn is_definite(&self) -> bool {
        self.route.is_definite()
    }

    /// The value at this path. `document` is the value that [`Path::root`] names. Paths of names and
    /// indices borrow it; other results are copies.
    ///
    /// Where AWS and Jayway differ, AWS is followed: a path that is not definite finds `[]` instead
    /// of failing on a missing parent. A slice or index on something that is no array still fails.
    pub fn evaluate<'a>(&self, document: &'a Value) -> Result<Cow<'a, Value>, PathError> {
        self.evaluate_counted(document).0
    }

    /// The same, and how many steps it took; those of paths of names and indices are not counted.
    pub fn evaluate_counted<'a>(&self, document: &'a Value) -> (Result<Cow<'a, Value>, PathError>, u64) {
        let mut budget = Budget::new();
        let found = self.evaluate_within(document, &mut budget);
        (found, budget.steps_used())
    }

    fn evaluate_within<'a>(
        &self,
        document: &'a Value,
        budget: &mut Budget,
    ) -> Result<Cow<'a, Value>, PathError> {
        let result = match &self.engine {
            Engine::Plain => {
                return match evaluate::walk_plain(&self.route, self.route.segments.len(), document) {
                    Ok(place) => Ok(Cow::Borrowed(place)),
                    Err(fault) => Err(fault.describe(&self.route)),
                };
            }
            Engine::Library(query) => query.evaluate(&self.route, document, budget),
            Engine::Own => evaluate::evaluate(&self.route, document, document, budget),
        };
        match result {
            Err(fault) if !self.is_definite() && fault.is_missing() => {
                Ok(Cow::Owned(Value::Array(Vec::new())))
            }
            other => other.map_err(|fault| fault.describe(&self.route)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Evaluates `text` on `document`; errors as their text.
    fn evaluate(text: &str, document: &Value) -> Result<Value, String> {
        let path = Path::parse(text).map_err(|error| error.to_string())?;
        path.evaluate(document).map(Cow::into_owned).map_err(|error| error.to_string())
    }

    fn check(document: &Value, text: &str, expected: Value) {
        assert_eq!(evaluate(text, document), Ok(expected), "{text} on {document}");
    }

    #[test]
    fn a_root_is_the_input_the_context_or_a_variable() {
        let variable = |name: &str| Root::Variable(name.to_owned());
        let cases = [
            ("$", Root::Input),
            ("$.a", Root::Input),
            ("$['a']", Root::Input),
            ("$$", Root::Context),
            ("$$.Execution.Id", Root::Context),
            ("$$[0]", Root::Context),
            ("$name", variable("name")),
            ("$_x1.a[0]", variable("_x1")),
            ("$größe['a']", variable("größe")),
        ];
        for (text, root) in cases {
            let path = Path::parse(text).unwrap();
            assert_eq!((path.root(), path.text()), (&root, text));
        }
        for text in ["", "a.b", "@.a", "$$$", "$1", "$a-b", "$a b", " $.a", "$.", "$["] {
            assert!(Path::parse(text).is_err(), "{text} is accepted");
        }
    }

    #[test]
    fn a_context_path_is_evaluated_like_any_other() {
        let context = json!({"Execution": {"Input": {"a": [1, 2]}}});
        check(&context, "$$.Execution.Input.a[1]", json!(2));
        check(&context, "$$.Execution.Input.a[*]", json!([1, 2]));
        check(&json!([1, 2]), "$list[0]", json!(1));
        check(&json!([1, 2]), "$list", json!([1, 2]));
    }

    #[test]
    fn an_offset_points_at_the_fault() {
        for (text, offset) in [("a", 0), ("$x y", 2), ("$.a[b]", 3), ("$.é[?(@.a == )]", 14), ("$.a['b", 4)]
        {
            assert_eq!(Path::parse(text).unwrap_err().offset, offset, "{text}");
        }
    }

    /// Recorded on AWS: without a match these give `[]` where Jayway fails on the missing parent.
    #[test]
    fn a_path_to_many_places_finds_nothing_in_a_missing_parent() {
        for text in ["$[*]", "$.items[*]", "$.items[1:]", "$.items[:1]", "$.item.items[1:5]", "$.items[*].x"]
        {
            check(&json!({}), text, json!([]));
        }
        for text in ["$.a.b[?(@.c)]", "$.a[0,1]", "$.a..b", "$['a','b'].c", "$.a[*].length()"] {
            check(&json!({}), text, json!([]));
        }
    }

    /// Recorded on AWS as a failure.
    #[test]
    fn a_slice_of_an_object_fails() {
        for slice in ["[1:5]", "[1:]", "[:1]"] {
            let expected = format!("Filter: {slice} can only be applied to arrays. Current context is: {{}}");
            assert_eq!(evaluate(&format!("${slice}"), &json!({})), Err(expected));
        }
    }

    #[test]
    fn failures_have_jayways_texts() {
        let document = json!({"a": {"t": "x", "n": null, "l": [1]}, "b": true});
        let cases = [
            ("$.c", "No results for path: $['c']"),
            ("$.a['it\\'s']", "No results for path: $['a']['it\\'s']"),
            ("$[\"c\"]", "No results for path: $[\"c\"]"),
            ("$.c.d.e", "Missing property in path $['c']"),
            ("$.a.l[3]", "No results for path: $['a']['l'][3]"),
            ("$.a.l[3].x", "No results for path: $['a']['l'][3]['x']"),
            ("$.a.n[0]", "The path $['a']['n'] is null"),
            (
                "$.a[0].x",
                "Filter: [0]['x'] can only be applied to arrays. \
                 Current context is: {t=x, n=null, l=[1]}",
            ),
            ("$.b[?(@.x)].y", "Filter: [?]['y'] can not be applied to primitives. Current context is: true"),
            ("$.b.nope()", "Function with name: nope does not exist."),
            ("$.b.sum()", "Aggregation function attempted to calculate value using empty array"),
        ];
        for (text, expected) in cases {
            assert_eq!(evaluate(text, &document), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn filters_compare_as_jayway_does() {
        let items = json!([
            {"k": 1, "t": "abc", "l": ["a", "b"], "o": {}},
            {"k": "1", "t": "ABC", "l": []},
            {"k": 1.0, "t": ""},
            {"k": null},
            {"k": true, "n": {"x": [{"y": 2}]}},
        ]);
        let cases = [
            ("@.k == 1", json!([0, 1, 2])),
            ("1 == @.k", json!([0, 1, 2])),
            ("@.k === 1", json!([0, 2])),
            ("@.k !== 1", json!([1, 3, 4])),
            ("@.k != 1", json!([3, 4])),
            ("@.k == null", json!([3])),
            ("@.k == true", json!([4])),
            ("@.missing == 1", json!([])),
            ("@.missing != 1", json!([0, 1, 2, 3, 4])),
            ("!(@.k == 1)", json!([3, 4])),
            ("!@.t", json!([3, 4])),
            ("! @.t && !@.n", json!([3])),
            ("@.t > 'ABC'", json!([0])),
            ("@.k < '2'", json!([1])),
            ("@.k <= 1", json!([0, 2])),
            ("@.t =~ /a\\w+/", json!([0])),
            ("@.t =~ /a\\w+/i", json!([0, 1])),
            ("@.t =~ /a/", json!([])),
            ("@.l =~ /b/", json!([0])),
            ("/1/ =~ @.k", json!([0, 1])),
            ("@.missing =~ /.*/", json!([0, 1, 2, 3, 4])),
            ("@.k IN [1, 'x']", json!([0, 1, 2])),
            ("@.k nin [1, null]", json!([4])),
            ("@.k nin 1", json!([])),
            ("!(@.k in 1)", json!([])),
            ("@.l contains 'a'", json!([0])),
            ("@.t contains 'B'", json!([1])),
            ("@.l all ['a', \"b\"]", json!([0])),
            ("@.l noneof ['a']", json!([1])),
            ("@.l size 0", json!([1])),
            ("@.t size 3", json!([0, 1])),
            ("@.l empty false", json!([0])),
            ("@.t empty true", json!([2])),
            ("@.o == {}", json!([0])),
            ("@.n == {x: [{'y': 2}]}", json!([4])),
            ("@.n.x[?(@.y == 2)].y == [2]", json!([4])),
            ("@.n.x[0].y > $[0].k", json!([4])),
            ("@.l[*]", json!([0, 1])),
            ("@.l.length() == 2", json!([0])),
            ("@.t == 'abc' || @.k == null && @.k == 2", json!([0])),
            ("(@.t == 'abc' || @.k == null) && @.k == 1", json!([0])),
        ];
        for (condition, expected) in cases {
            let text = format!("$[?({condition})]");
            let found = evaluate(&text, &items).unwrap_or_else(|error| panic!("{text}: {error}"));
            let place = |item: &Value| items.as_array().unwrap().iter().position(|other| other == item);
            let places: Vec<_> = found.as_array().unwrap().iter().map(place).collect();
            assert_eq!(json!(places), expected, "{text}");
        }
    }

    #[test]
    fn unsupported_text_is_refused() {
        let cases = [
            "$[?(@.a =~ /(a)\\1/)]",
            "$[?(@.a =~ /(?=a)/)]",
            "$[?(@.a =~ /a)|(?:b/)]",
            "$[?(@.a =~ /(a{500}){500}/)]",
            "$[?(@.a =~ /a)]",
            "$[?(@.a == )]",
            "$[?(@.a == 1]",
            "$[?(@.a == 1-2)]",
            "$[?(@.a ~ 1)]",
            "$[?(@.a == 'x)]",
            "$[?()]",
            "$[?]",
            "$.a.length().b",
            "$..length()",
            "$.a.sum(1",
            "$['a' 'b']",
            "$['a',]",
            "$[1,x]",
            "$[+1]",
            "$[99999999999]",
            "$[* ",
            "$...a",
        ];
        for text in cases {
            assert!(Path::parse(text).is_err(), "{text} is accepted");
        }
    }

    #[test]
    fn functions_take_arguments() {
        let document = json!({"n": [1, 2, 3.5], "s": ["a", 1, "b"], "o": {"x": 1}});
        let cases = [
            ("$.n.sum(10, $.n)", json!(23.0)),
            ("$.n.stddev()", json!(1.027_402_333_828_163)),
            ("$.n.index(-2)", json!(2)),
            ("$.s.concat('!', $.o.x)", json!("ab!1")),
            ("$.o.append(1)", json!({"x": 1})),
            ("$.n.append(4)", json!([1, 2, 3.5, 4])),
            ("$.n.size()", json!(3)),
            ("$.n.keys()", json!(null)),
        ];
        for (text, expected) in cases {
            check(&document, text, expected);
        }
    }

    #[test]
    fn slices_with_two_bounds_do_not_count_from_the_end() {
        let document = json!([0, 1, 2, 3, 4]);
        for (slice, expected) in [
            ("[1:-1]", json!([])),
            ("[-3:-1]", json!([2, 3])),
            ("[-9:2]", json!([0, 1, 2, 3, 4, 0, 1])),
            ("[3:9]", json!([3, 4])),
            ("[:-9]", json!([])),
            ("[-9:]", json!([0, 1, 2, 3, 4])),
        ] {
            check(&document, &format!("${slice}"), expected);
        }
    }

    #[test]
    fn hostile_text_is_refused() {
        let many = |part: &str| part.repeat(100_000);
        let cases = [
            format!("${}", many(".a")),
            format!("${}", many("[0]")),
            format!("$[?({}@.a{})]", many("("), many(")")),
            format!("$[?({}(1==1))]", many("!")),
            format!("${}", many("[?(@")),
            format!("$[?(@ in {})]", many("[")),
            format!("${}", many(".f($")),
            format!("$['{}", many("\\")),
            format!("$[?(@ =~ /{}/)]", many("(")),
            format!("$.f({}", many("[")),
        ];
        for text in cases {
            assert!(Path::parse(&text).is_err(), "{}", &text[..20]);
        }
    }

    #[test]
    fn hostile_documents_and_paths_end_at_a_limit() {
        let deep = (0..2_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
        let bush = (0..6).fold(json!("leaf"), |inner, _| json!(vec![inner; 9]));
        let big = json!(["x".repeat(200_000)]);
        let wide = json!(vec![1; 2_000]);
        let cases = [
            (&deep, "$..*".to_owned()),
            (&deep, "$..[?(@[0])]".to_owned()),
            (&deep, "$..[?(@..[?(@..[?(@[0] == 1)])])]".to_owned()),
            (&deep, "$..*.length($..*)".to_owned()),
            (&deep, "$[*]".to_owned()),
            (&bush, "$..*..*".to_owned()),
            (&big, format!("$[{}]", vec!["0"; 10_000].join(","))),
            (&big, format!("$[?(@ =~ /{}x*/)].length()", "x*".repeat(10))),
            (&wide, "$[?(@ in $[*])]".to_owned()),
            (&wide, "$[?($..* contains 2)]".to_owned()),
        ];
        for (document, text) in &cases {
            let result = Path::parse(text).unwrap().evaluate(document);
            let allowed = text.contains("=~") && result.is_ok();
            assert!(allowed || result == Err(PathError::LimitExceeded), "{}", &text[..text.len().min(30)]);
        }
    }

    /// Text that is often a path: letters and signs that mean something, and whole idioms.
    fn path_text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => "[.a-c0-2]{1,3}",
            2 => "\\.[a-c]",
            2 => "\\[(-?[0-2](,[0-2])?|-?[0-2]?:-?[0-2]?|\\*|'[a-c]'(,'[a-c]')?)\\]",
            1 => "\\.\\.",
            1 => "\\[\\?\\(!?@(\\.[a-c])? ?(==|!=|<|>=|in|nin|=~|size|anyof) ?([0-2]|'a'|\\[0,'a'\\]|/a*/|@\\.[ab])\\)\\]",
            1 => "\\.(length|sum|first|keys|nope)\\(\\)",
            1 => "[\\[\\]()?@*'\"!&| ,:=~/\\\\-]{1,2}",
        ];
        proptest::collection::vec(part, 0..6).prop_map(|parts| format!("${}", parts.concat()))
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2..3_i64).prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[a-c]", inner), 0..4)
                    .prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn any_text_is_a_path_or_refused(text in "\\PC{0,40}", like in path_text()) {
            let _ = (Path::parse(&text), Path::parse_jayway(&text), ReferencePath::parse(&text));
            if let Err(error) = Path::parse(&like) {
                prop_assert!(error.offset <= like.len());
            }
        }

        #[test]
        fn every_path_ends_on_every_document(text in path_text(), document in document()) {
            if let Ok(path) = Path::parse(&text) {
                match path.evaluate(&document) {
                    Ok(value) => prop_assert!(path.is_definite() || value.is_array()),
                    Err(error) => prop_assert!(!error.to_string().is_empty()),
                }
            }
        }

        #[test]
        fn both_engines_agree(text in path_text(), document in document()) {
            if let Ok(path) = Path::parse(&text) {
                let own = Path { engine: Engine::Own, ..path.clone() };
                prop_assert_eq!(path.evaluate(&document), own.evaluate(&document), "{}", text);
            }
        }
    }
}
