//! Event patterns: which events are meant.
//!
//! A pattern is JSON in the shape of the event. Its leaves are lists of alternatives, one of which the field
//! must be; all fields that it names must match, others do not matter.
//!
//! ```text
//! {"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}], "state": [{"anything-but": "test"}]}}
//! ```
//!
//! | alternative | is met by |
//! |---|---|
//! | `"a"`, `true`, `false`, `null` | that value; a text that is an IP address also by its other spellings |
//! | `300` | the number, however it is written: 300, 300.0, 3e2 |
//! | `{"prefix": "a"}`, `{"suffix": "a"}`, `{"equals-ignore-case": "a"}` | texts; `{"prefix": {"equals-ignore-case": "a"}}`, too |
//! | `{"wildcard": "a*b"}` | texts; `\*` is a star, `\\` a backslash, `**` is refused |
//! | `{"numeric": [">", 0, "<=", 5]}` | numbers from −5·10⁹ to 5·10⁹ with at most six decimals |
//! | `{"cidr": "10.0.0.0/24"}` | texts that are addresses of it, IPv4 or IPv6 |
//! | `{"anything-but": …}` | any value but: a text or number, or a list of them, or `{"prefix": …}`, `suffix`, `wildcard`, `equals-ignore-case` of one text or a list |
//! | `{"exists": true}` | any value; an object is none, nor is an empty array |
//! | `{"exists": false}` | no value there |
//!
//! `{"$or": [{…}, {…}]}` in any object asks for one of its branches. A field with an array is met by any of
//! its elements; fields below an array of objects must match within one element of it. `pattern/tree.rs` tells
//! the rest: absence below arrays, and names with dots.
//!
//! This is EventBridge as its matcher, event-ruler, does it. What differs: EventBridge refuses
//! patterns whose wildcards would cost its automaton too much, which here cost nothing; and where event-ruler
//! judges `{"exists": false}` below an array by the alphabetical order of the names, there is a rule here.
//!
//! Events come from strangers. A match reads the part of the event that the pattern names once, and each of
//! its values a few times per alternative; nothing is tried twice.

use serde_json::Value;

mod address;
mod combinations;
mod compiler;
mod condition;
mod error;
mod expression;
mod number;
mod source;
mod tree;
mod wildcard;

pub use error::PatternError;

use source::Source;
use tree::Tree;

/// Longest pattern in characters: EventBridge's quota at its highest.
pub const PATTERN_CHARACTERS_MAX: usize = 4_096;

/// A pattern, compiled once and matched often.
///
/// ```
/// use engine::events::pattern::Pattern;
/// use serde_json::json;
///
/// let pattern = Pattern::parse(r#"{"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}}"#)?;
/// assert!(pattern.matches(&json!({"source": "shop", "detail": {"total": 120, "id": 7}})));
/// assert!(!pattern.matches(&json!({"source": "shop", "detail": {"total": 80}})));
/// # Ok::<(), engine::events::pattern::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    tree: Tree,
}

impl Pattern {
    /// Compiles the text of a pattern. Of two lists for the same field, the last one counts.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        check_length(text)?;
        Ok(Pattern { tree: compiler::compile(&Source::parse(text)?)? })
    }

    /// Compiles a pattern that was read as JSON or YAML.
    pub fn compile(value: &Value) -> Result<Pattern, PatternError> {
        let source = Source::of(value)?;
        check_length(&value.to_string())?;
        Ok(Pattern { tree: compiler::compile(&source)? })
    }

    /// Whether an event is meant. What nests deeper than
    /// [`JSON_DEPTH_MAX`](asl::limits::JSON_DEPTH_MAX) is not looked at; what is no
    /// object matches nothing.
    pub fn matches(&self, event: &Value) -> bool {
        self.tree.matches(event)
    }
}

fn check_length(text: &str) -> Result<(), PatternError> {
    let length = text.chars().count();
    if length > PATTERN_CHARACTERS_MAX {
        let reason = format!("The pattern has {length} characters; it may have {PATTERN_CHARACTERS_MAX}");
        return Err(PatternError::new(reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A pattern with events that it matches and others that it does not.
    fn check(pattern: Value, matching: &[Value], others: &[Value]) {
        let compiled = Pattern::compile(&pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        assert_eq!(Pattern::parse(&pattern.to_string()).unwrap(), compiled);
        for event in matching {
            assert!(compiled.matches(event), "{pattern} must match {event}");
        }
        for event in others {
            assert!(!compiled.matches(event), "{pattern} must not match {event}");
        }
    }

    /// The same for one field.
    fn check_field(alternatives: Value, matching: &[Value], others: &[Value]) {
        let event = |value: &Value| json!({"f": value, "other": 1});
        let matching: Vec<Value> = matching.iter().map(event).collect();
        let others: Vec<Value> = others.iter().map(event).collect();
        check(json!({"f": alternatives}), &matching, &others);
    }

    #[test]
    fn a_value_is_matched_with_its_type() {
        check_field(
            json!(["a"]),
            &[json!("a"), json!(["b", "a"])],
            &[json!("A"), json!("aa"), json!({"a": 1}), json!(null)],
        );
        check_field(json!(["5"]), &[json!("5")], &[json!(5)]);
        check_field(json!([5]), &[json!(5)], &[json!("5"), json!(6), json!(true)]);
        check_field(json!([""]), &[json!("")], &[json!(null), json!([]), json!([[]])]);
        check_field(
            json!([null]),
            &[json!(null), json!([1, null])],
            &[json!(""), json!([]), json!(0), json!("null")],
        );
        check_field(json!([true]), &[json!(true)], &[json!(false), json!("true"), json!(1)]);
        check_field(
            json!([false, "x", 7]),
            &[json!(false), json!("x"), json!(7)],
            &[json!(true), json!(null)],
        );
        check_field(json!(["\"é\\"]), &[json!("\"é\\")], &[json!("é")]);
    }

    #[test]
    fn a_number_is_matched_whatever_its_spelling() {
        let three_hundred = [json!(300), json!(300.0), json!(3e2)];
        for spelled in &three_hundred {
            check_field(json!([spelled]), &three_hundred, &[json!(301), json!(300.000_001)]);
        }
        check_field(
            json!([123_456_789_012_u64]),
            &[json!(123_456_789_012_u64)],
            &[json!(123_456_789_013_u64)],
        );
        check_field(json!([1e300]), &[json!(1e300)], &[json!(1e299)]);
        check_field(json!([0.123_456_78]), &[json!(0.123_456_78)], &[json!(0.123_456_7)]);
    }

    #[test]
    fn an_address_is_matched_whatever_its_spelling() {
        check_field(json!(["::1"]), &[json!("::1"), json!("0:0:0:0:0:0:0:1")], &[json!("::2"), json!("1")]);
        check_field(json!(["10.0.0.1"]), &[json!("10.0.0.1")], &[json!("10.0.0.2"), json!("10.0.0.01")]);
        check_field(json!([{"exactly": "::1"}]), &[json!("::1")], &[json!("0:0:0:0:0:0:0:1")]);
    }

    #[test]
    fn texts_are_matched_by_their_ends() {
        check_field(
            json!([{"prefix": "ab"}]),
            &[json!("ab"), json!("abc")],
            &[json!("a"), json!("Ab"), json!("xab"), json!(1)],
        );
        check_field(json!([{"prefix": ""}]), &[json!(""), json!("x")], &[json!(1), json!(null)]);
        check_field(
            json!([{"suffix": ".png"}]),
            &[json!("x.png"), json!(".png")],
            &[json!(".PNG"), json!("png"), json!(true)],
        );
        check_field(
            json!([{"prefix": {"equals-ignore-case": "ÄB"}}]),
            &[json!("äbc"), json!("ÄBC")],
            &[json!("ab"), json!("xäb"), json!("Ä")],
        );
        check_field(
            json!([{"suffix": {"equals-ignore-case": ".Png"}}]),
            &[json!("x.pNG")],
            &[json!("xpng"), json!("png")],
        );
        check_field(
            json!([{"equals-ignore-case": "Straße"}]),
            &[json!("STRAßE")],
            &[json!("STRASSE"), json!("straß")],
        );
        check_field(json!([{"equals-ignore-case": ""}]), &[json!("")], &[json!("a")]);
        check_field(
            json!([{"wildcard": "dir/*.p*g"}]),
            &[json!("dir/x.png")],
            &[json!("dir/x.pn"), json!(1)],
        );
    }

    #[test]
    fn numbers_are_matched_by_intervals() {
        let check = |terms: Value, matching: &[Value], others: &[Value]| {
            check_field(json!([{"numeric": terms}]), matching, others);
        };
        check(json!(["=", 5]), &[json!(5), json!(5.0)], &[json!(5.1), json!("5"), json!(null)]);
        check(json!(["<", 5]), &[json!(-1), json!(4.999_999)], &[json!(5), json!(5.1)]);
        check(json!(["<=", 5]), &[json!(5)], &[json!(5.000_001)]);
        check(json!([">", 5]), &[json!(5.000_001), json!([1, 9])], &[json!(5), json!("9"), json!([])]);
        check(json!([">=", -5]), &[json!(-5)], &[json!(-5.1)]);
        check(json!([">", 0, "<=", 5]), &[json!(0.1), json!(5)], &[json!(0), json!(5.1)]);
        check(json!([">=", 0, "<", 5]), &[json!(0)], &[json!(5), json!(-0.1)]);
        check(json!([">", 0]), &[json!(5_000_000_000_u64)], &[json!(5_000_000_001_u64), json!(0.123_456_7)]);
    }

    #[test]
    fn addresses_are_matched_by_networks() {
        check_field(
            json!([{"cidr": "10.0.0.0/24"}]),
            &[json!("10.0.0.7"), json!(["x", "10.0.0.255"])],
            &[json!("10.0.1.0"), json!("::1"), json!(10), json!("x")],
        );
        check_field(json!([{"cidr": "2001:db8::/32"}]), &[json!("2001:db8:1::")], &[json!("2001:db9::")]);
    }

    #[test]
    fn anything_but_needs_a_value() {
        let check = |but: Value, matching: &[Value], others: &[Value]| {
            check_field(json!([{"anything-but": but}]), matching, others);
            let compiled = Pattern::compile(&json!({"f": [{"anything-but": but}]})).unwrap();
            for absent in [json!({}), json!({"f": []}), json!({"f": {}}), json!({"f": {"g": 1}})] {
                assert!(!compiled.matches(&absent), "{but} {absent}");
            }
        };
        check(
            json!("a"),
            &[json!("b"), json!(null), json!(1), json!(["a", "b"])],
            &[json!("a"), json!(["a"])],
        );
        check(json!(["a", "b"]), &[json!("c"), json!("A")], &[json!("a"), json!("b")]);
        check(json!(5), &[json!(6), json!("5"), json!(null), json!(1e300)], &[json!(5), json!(5.0)]);
        check(json!([100, 200]), &[json!(150)], &[json!(100), json!(200.0)]);
        check(json!({"prefix": "ab"}), &[json!("a"), json!(1), json!(null)], &[json!("ab"), json!("abc")]);
        check(json!({"prefix": ["a", "b"]}), &[json!("c")], &[json!("ax"), json!("b")]);
        check(json!({"suffix": "x"}), &[json!("xa")], &[json!("ax")]);
        check(json!({"suffix": ["x", "y"]}), &[json!("z")], &[json!("y")]);
        check(json!({"equals-ignore-case": "a"}), &[json!("b")], &[json!("A")]);
        check(json!({"equals-ignore-case": ["a", "b"]}), &[json!("c")], &[json!("B")]);
        check(json!({"wildcard": "a*c"}), &[json!("abd"), json!(7)], &[json!("abc")]);
        check(json!({"wildcard": ["a*", "*z"]}), &[json!("b")], &[json!("ab"), json!("yz")]);
        check(json!({"wildcard": ""}), &[json!("b")], &[json!("")]);
    }

    #[test]
    fn presence_is_that_of_a_value() {
        let present = [
            json!({"a": {"b": null}}),
            json!({"a": {"b": ""}}),
            json!({"a": {"b": [1]}}),
            json!({"a": [{"b": 0}]}),
        ];
        let absent = [
            json!({}),
            json!({"a": {}}),
            json!({"a": 1}),
            json!({"b": 1}),
            json!({"a": {"b": {}}}),
            json!({"a": {"b": {"c": 1}}}),
            json!({"a": {"b": []}}),
            json!({"a": {"b": [[], {"c": 1}]}}),
        ];
        check(json!({"a": {"b": [{"exists": true}]}}), &present, &absent);
        check(json!({"a": {"b": [{"exists": false}]}}), &absent, &present);
        check(
            json!({"a": {"b": [{"exists": false}, "x"]}}),
            &[json!({}), json!({"a": {"b": "x"}}), json!({"a": [{"b": "y"}, {"b": "x"}]})],
            &[json!({"a": {"b": "y"}}), json!({"a": [{"b": "y"}, {"c": "x"}]})],
        );
    }

    #[test]
    fn all_fields_must_match_and_others_do_not_matter() {
        let pattern = json!({"source": ["s"], "detail": {"a": {"b": [1]}, "c": ["x", "y"]}});
        check(
            pattern,
            &[
                json!({"source": "s", "detail": {"a": {"b": 1, "z": 0}, "c": "y"}, "more": {}}),
                json!({"source": ["t", "s"], "detail": {"a": {"b": [2, 1]}, "c": "x"}}),
            ],
            &[
                json!({"source": "s", "detail": {"a": {"b": 1}}}),
                json!({"source": "s", "detail": {"a": 1, "c": "x"}}),
                json!({"source": "s", "a": {"b": 1}, "c": "x"}),
                json!({"source": "s"}),
                json!([{"source": "s", "detail": {"a": {"b": 1}, "c": "x"}}]),
                json!("s"),
                json!(null),
            ],
        );
    }

    #[test]
    fn an_array_matches_by_any_element_at_any_depth() {
        check(
            json!({"a": [1]}),
            &[json!({"a": [[0], [[1]]]}), json!({"a": [{"b": 2}, 1]})],
            &[json!({"a": [[0], {"b": 1}]})],
        );
        check(
            json!({"a": {"b": [1]}}),
            &[json!({"a": [[{"b": 0}], [[{"b": 1}]]]}), json!({"a": [7, {"b": [0, 1]}]})],
            &[json!({"a": [[1], {"c": 1}]})],
        );
    }

    #[test]
    fn fields_below_an_array_must_match_within_one_element() {
        let matching = |pattern: Value, event: &Value| check(pattern, std::slice::from_ref(event), &[]);
        let other = |pattern: Value, event: &Value| check(pattern, &[], std::slice::from_ref(event));
        let people = json!([
            {"first": "John", "last": "Doe", "tags": ["a", "b"]},
            {"first": "Anna", "last": "Smith", "tags": ["c"]},
        ]);
        let company = json!({"people": people, "place": "x"});
        matching(json!({"people": {"first": ["Anna"], "last": ["Smith"]}, "place": ["x"]}), &company);
        other(json!({"people": {"first": ["Anna"], "last": ["Doe"]}}), &company);
        matching(json!({"people": {"first": ["John"], "tags": ["b"]}}), &company);
        other(json!({"people": {"first": ["Anna"], "tags": ["b"]}}), &company);
        let nested = json!({"teams": [{"name": "A", "people": people}, {"name": "B", "people": []}]});
        let team = |name: &str, person: Value| json!({"teams": {"name": [name], "people": person}});
        matching(team("A", json!({"first": ["Anna"], "last": ["Smith"]})), &nested);
        other(team("B", json!({"first": ["Anna"]})), &nested);
        other(team("A", json!({"first": ["Anna"], "last": ["Doe"]})), &nested);
        // Different arrays have nothing to do with each other.
        let two = json!({"a": [{"x": 1}, {"x": 2}], "b": [{"y": 1}, {"y": 2}]});
        matching(json!({"a": {"x": [1]}, "b": {"y": [2]}}), &two);
        let crossed = json!({"a": [[{"x": 1, "y": 2}], [{"x": 3, "y": 4}]]});
        matching(json!({"a": {"x": [1], "y": [2]}}), &crossed);
        other(json!({"a": {"x": [1], "y": [4]}}), &crossed);
    }

    #[test]
    fn absence_below_an_array_is_judged_in_the_element_that_matches() {
        check(
            json!({"items": {"a": [1], "b": [{"exists": false}]}}),
            &[json!({"items": [{"a": 1, "b": 2}, {"a": 1}]}), json!({"items": {"a": 1}})],
            &[json!({"items": [{"a": 1, "b": 2}, {"a": 2}]}), json!({"items": []}), json!({})],
        );
        check(
            json!({"items": {"b": [{"exists": false}]}, "c": [1]}),
            &[json!({"items": [{"a": 1}, {}], "c": 1}), json!({"c": 1}), json!({"items": [], "c": 1})],
            &[json!({"items": [{"a": 1}, {"b": 1}], "c": 1})],
        );
    }

    #[test]
    fn or_asks_for_one_of_its_branches() {
        check(
            json!({"source": ["s"], "$or": [{"a": [1]}, {"b": [2], "c": [3]}, {"detail": {"d": [{"exists": true}]}}]}),
            &[
                json!({"source": "s", "a": 1}),
                json!({"source": "s", "b": 2, "c": 3}),
                json!({"source": "s", "detail": {"d": 0}}),
            ],
            &[
                json!({"source": "s"}),
                json!({"source": "s", "b": 2}),
                json!({"a": 1}),
                json!({"source": "s", "c": 3, "a": 2}),
            ],
        );
        check(
            json!({"$or": [{"a": [1]}, {"a": [2]}], "detail": {"$or": [{"b": [1]}, {"c": [1]}]}}),
            &[json!({"a": 2, "detail": {"c": 1}}), json!({"a": 1, "detail": {"b": 1}})],
            &[json!({"a": 3, "detail": {"c": 1}}), json!({"a": 1, "b": 1}), json!({"a": 1, "detail": {}})],
        );
        check(
            json!({"$or": [{"a": [1], "$or": [{"b": [1]}, {"c": [1]}]}, {"d": [1]}]}),
            &[json!({"a": 1, "c": 1}), json!({"d": 1})],
            &[json!({"a": 1}), json!({"b": 1, "c": 1})],
        );
        // The branches of one array element hang together, too.
        check(
            json!({"l": {"x": [1], "$or": [{"y": [1]}, {"z": [1]}]}}),
            &[json!({"l": [{"x": 1, "z": 1}]})],
            &[json!({"l": [{"x": 1}, {"y": 1}, {"z": 1}]})],
        );
        // A branch asks anew for a field that was asked for before it.
        check(
            json!({"a": [1], "$or": [{"a": [2]}, {"b": [1]}]}),
            &[json!({"a": 2}), json!({"a": 1, "b": 1})],
            &[json!({"a": 1}), json!({"a": 3, "b": 1})],
        );
    }

    #[test]
    fn a_text_may_name_a_member_twice() {
        let matches = |pattern: &str, event: Value| Pattern::parse(pattern).unwrap().matches(&event);
        let last = r#"{"a": [1], "a": [2]}"#;
        assert!(matches(last, json!({"a": 2})) && !matches(last, json!({"a": 1})));
        let both = r#"{"d": {"a": [1]}, "d": {"b": [2]}}"#;
        assert!(matches(both, json!({"d": {"a": 1, "b": 2}})) && !matches(both, json!({"d": {"b": 2}})));
        let ors = r#"{"$or": [{"a": [1]}, {"b": [1]}], "$or": [{"c": [1]}, {"d": [1]}]}"#;
        assert!(matches(ors, json!({"b": 1, "c": 1})) && !matches(ors, json!({"c": 1, "d": 1})));
        let nested = r#"{"a": [1], "a": {"b": [2]}}"#;
        assert!(matches(nested, json!({"a": [1, {"b": 2}]})) && !matches(nested, json!({"a": 1})));
    }

    #[test]
    fn names_with_dots_are_paths() {
        let events = [
            json!({"a": {"b": {"c": 1}}}),
            json!({"a.b": {"c": 1}}),
            json!({"a": {"b.c": 1}}),
            json!({"a.b.c": 1}),
            json!({"a": {"b": {"c": 2}}, "a.b.c": 1}),
            json!({"a.b": [{"c": 2}, {"c": 1}]}),
            json!({"a": [{"b.c": [1]}]}),
        ];
        let others = [
            json!({"a.b.c.d": 1}),
            json!({"a..b": {"c": 1}}),
            json!({"a.b": 1}),
            json!({"b.c": 1}),
            json!({"a.bc": 1}),
        ];
        for pattern in [json!({"a": {"b": {"c": [1]}}}), json!({"a.b": {"c": [1]}}), json!({"a.b.c": [1]})] {
            check(pattern, &events, &others);
        }
        check(json!({"a": {"": [1]}}), &[json!({"a.": 1}), json!({"a": {"": 1}})], &[json!({"a": 1})]);
        check(json!({"": [1]}), &[json!({"": 1})], &[json!({"a": 1})]);
        check(
            json!({"a": {"b": [1], "c": [1]}}),
            &[json!({"a": {"b": 1}, "a.c": 1}), json!({"a": [{"b": 1}, {"b": 1, "c": 1}], "a.c": 2})],
            &[json!({"a": {"b": 1}, "a.c": 2})],
        );
        check(json!({"a": {"b": [{"exists": false}]}}), &[json!({"a.c": 1})], &[json!({"a": {}, "a.b": 1})]);
    }

    /// As recorded from EventBridge, but for the places.
    #[test]
    fn what_is_no_pattern_is_told_in_the_words_of_eventbridge() {
        let cases = [
            (r#"[1]"#, "Filter is not an object", "/"),
            (r#"{}"#, "Empty objects are not allowed", "/"),
            (r#"{"source": ["s"], "detail": {}}"#, "Empty objects are not allowed", "/detail"),
            (r#"{"a": 42}"#, "\"a\" must be an object or an array", "/a"),
            (r#"{"d": {"a": "x"}}"#, "\"a\" must be an object or an array", "/d/a"),
            (r#"{"a": null}"#, "\"a\" must be an object or an array", "/a"),
            (r#"{"a": []}"#, "Empty arrays are not allowed", "/a"),
            (r#"{"a": [["x"]]}"#, "Match value must be String, number, true, false, or null", "/a[0]"),
            (r#"{"a": [{}]}"#, "Match expression name not found", "/a[0]"),
            (r#"{"a": [1, {"foo": 1}]}"#, "Unrecognized match type foo", "/a[1]"),
            (r#"{"a": [{"EXISTS": true}]}"#, "Unrecognized match type EXISTS", "/a[0]"),
            (
                r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#,
                "Only one key allowed in match expression",
                "/a[0]",
            ),
            (r#"{"a": [{"prefix": ["x"]}]}"#, "prefix match pattern must be a string", "/a[0]"),
            (r#"{"a": [{"prefix": {}}]}"#, "Prefix expression name not found", "/a[0]"),
            (r#"{"a": [{"prefix": {"suffix": "x"}}]}"#, "Unsupported prefix pattern: suffix", "/a[0]"),
            (
                r#"{"a": [{"prefix": {"equals-ignore-case": 1}}]}"#,
                "equals-ignore-case match pattern must be a string",
                "/a[0]",
            ),
            (
                r#"{"a": [{"prefix": {"equals-ignore-case": "x", "y": 1}}]}"#,
                "Only one key allowed in match expression",
                "/a[0]",
            ),
            (r#"{"a": [{"suffix": 123}]}"#, "suffix match pattern must be a string", "/a[0]"),
            (r#"{"a": [{"suffix": {"prefix": "x"}}]}"#, "Unsupported suffix pattern: prefix", "/a[0]"),
            (r#"{"a": [{"suffix": {}}]}"#, "Suffix expression name not found", "/a[0]"),
            (r#"{"a": [{"exactly": 1}]}"#, "exact match pattern must be a string", "/a[0]"),
            (
                r#"{"a": [{"equals-ignore-case": ["x"]}]}"#,
                "equals-ignore-case match pattern must be a string",
                "/a[0]",
            ),
            (r#"{"a": [{"wildcard": 1}]}"#, "wildcard match pattern must be a string", "/a[0]"),
            (
                r#"{"a": [{"wildcard": "arn:aws:events:us-east-1:**:x/*"}]}"#,
                "Consecutive wildcard characters at pos 26",
                "/a[0]",
            ),
            (r#"{"a": [{"wildcard": "a\\b"}]}"#, "Invalid escape character at pos 2", "/a[0]"),
            (r#"{"a": [{"exists": "yes"}]}"#, "exists match pattern must be either true or false.", "/a[0]"),
            (r#"{"a": [{"cidr": ["x"]}]}"#, "prefix match pattern must be a string", "/a[0]"),
            (r#"{"a": [{"cidr": "10.0.0.0"}]}"#, "Malformed CIDR, one '/' required", "/a[0]"),
            (r#"{"a": [{"numeric": 5}]}"#, "Value of numeric must be an array.", "/a[0]"),
            (r#"{"a": [{"numeric": []}]}"#, "Invalid member in numeric match: ]", "/a[0]"),
            (r#"{"a": [{"numeric": [5]}]}"#, "Invalid member in numeric match: 5", "/a[0]"),
            (r#"{"a": [{"numeric": ["!", 5]}]}"#, "Unrecognized numeric range operator: !", "/a[0]"),
            (r#"{"a": [{"numeric": ["="]}]}"#, "Value of equals must be numeric", "/a[0]"),
            (r#"{"a": [{"numeric": [">", "5"]}]}"#, "Value of > must be numeric", "/a[0]"),
            (r#"{"a": [{"numeric": [">", 0, "<"]}]}"#, "Value of < must be numeric", "/a[0]"),
            (r#"{"a": [{"numeric": [">", 0, ">", 0]}]}"#, "Bad numeric range operator: >", "/a[0]"),
            (r#"{"a": [{"numeric": [">", 0, 5]}]}"#, "Bad value in numeric range: 5", "/a[0]"),
            (
                r#"{"a": [{"numeric": [">", 0, "<", 5, 6]}]}"#,
                "Too many terms in numeric range expression",
                "/a[0]",
            ),
            (r#"{"a": [{"numeric": ["<", 5, ">", 0]}]}"#, "Too many elements in numeric expression", "/a[0]"),
            (r#"{"a": [{"numeric": ["=", 5, 6]}]}"#, "Too many elements in numeric expression", "/a[0]"),
            (r#"{"a": [{"numeric": ["=", 5], "x": 1}]}"#, "Too many elements in numeric expression", "/a[0]"),
            (r#"{"a": [{"numeric": [">", 5, "<", 5]}]}"#, "Bottom must be less than top", "/a[0]"),
            (
                r#"{"a": [{"numeric": [">", 6e9]}]}"#,
                "Value must be between -5.0E9 and 5.0E9, inclusive",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": null}]}"#,
                "Value of anything-but must be an array or single string/number value.",
                "/a[0]",
            ),
            (r#"{"a": [{"anything-but": {}}]}"#, "Anything-But expression name not found", "/a[0]"),
            (
                r#"{"a": [{"anything-but": {"numeric": ["=", 1]}}]}"#,
                "Unsupported anything-but pattern: numeric",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": ["x", null]}]}"#,
                "Inside anything but list, start|null|boolean is not supported.",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": ["x", 1]}]}"#,
                "Inside anything but list, either all values are number or string, mixed type is not supported",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": []}]}"#,
                "Inside anything but list, either all values are number or string, mixed type is not supported",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": [{"wildcard": "*"}]}]}"#,
                "Inside anything but list, start|null|boolean is not supported.",
                "/a[0]",
            ),
            (r#"{"a": [{"anything-but": {"prefix": ""}}]}"#, "Null prefix/suffix not allowed", "/a[0]"),
            (r#"{"a": [{"anything-but": {"suffix": [""]}}]}"#, "Null prefix/suffix not allowed", "/a[0]"),
            (
                r#"{"a": [{"anything-but": {"prefix": 123}}]}"#,
                "prefix/suffix match pattern must be a string",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": {"suffix": [123, "x"]}}]}"#,
                "prefix/suffix match pattern must be a string",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": {"prefix": {"equals-ignore-case": "x"}}}]}"#,
                "Value of anything-but must be an array or single string/number value.",
                "/a[0]",
            ),
            (r#"{"a": [{"anything-but": {"prefix": []}}]}"#, "Empty arrays are not allowed", "/a[0]"),
            (
                r#"{"a": [{"anything-but": {"equals-ignore-case": 123}}]}"#,
                "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": {"wildcard": [123]}}]}"#,
                "wildcard match pattern must be a string",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": {"wildcard": "**"}}]}"#,
                "Consecutive wildcard characters at pos 1",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": {"prefix": "a", "suffix": "b"}}]}"#,
                "Too many elements in numeric expression",
                "/a[0]",
            ),
            (
                r#"{"a": [{"anything-but": 6e9}]}"#,
                "Value must be between -5.0E9 and 5.0E9, inclusive",
                "/a[0]",
            ),
            (r#"{"$or": {"a": [1]}}"#, "It must be an Array followed with $or.", "/"),
            (
                r#"{"d": {"$or": [{"a": [1]}]}}"#,
                "There must have at least 2 Objects in $or relationship.",
                "/d",
            ),
            (r#"{"$or": []}"#, "There must have at least 2 Objects in $or relationship.", "/"),
            (
                r#"{"$or": [{"a": [1]}, 5]}"#,
                "Only JSON object is allowed in array of $or relationship.",
                "/$or[1]",
            ),
            (r#"{"$or": [{"a": [1]}, {}]}"#, "Empty objects are not allowed", "/$or[1]"),
            (
                r#"{"$or": [{"a": [1]}, {"d": {"prefix": ["x"]}}]}"#,
                "prefix is Ruler reserved fieldName which cannot be used inside $or.",
                "/$or[1]/d",
            ),
        ];
        for (text, reason, place) in cases {
            let error = Pattern::parse(text).expect_err(text);
            assert_eq!((error.reason(), error.place()), (reason, Some(place)), "{text}");
            let expected = format!("Event pattern is not valid. Reason: {reason} at {place}");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_json_is_told_with_line_and_column() {
        let error = Pattern::parse("this is no JSON").unwrap_err().to_string();
        let expected = "Event pattern is not valid. Reason: Unrecognized token 'this': was expecting (JSON String, \
                        Number, Array, Object or token 'null', 'true' or 'false')\n \
                        at [Source: (String)\"this is no JSON\"; line: 1, column: 5]";
        assert_eq!(error, expected);
    }

    #[test]
    fn sizes_have_limits() {
        let refused = |pattern: &str, reason: &str| {
            let error = Pattern::parse(pattern).unwrap_err();
            assert!(error.reason().contains(reason), "{error}");
        };
        let long = |letters: usize| format!(r#"{{"a": ["{}"]}}"#, "x".repeat(letters));
        assert!(Pattern::parse(&long(4_085)).is_ok());
        refused(&long(4_086), "The pattern has 4097 characters");
        let deep = |levels: usize| format!("{}[1]{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        assert!(Pattern::parse(&deep(64)).is_ok());
        refused(&deep(65), "The path has more than 64 names");
        refused(&deep(128), "");
        refused(&format!(r#"{{"{}": [1]}}"#, ".".repeat(64)), "The path has more than 64 names");
        let or = |branches: usize, field: &str| {
            let branches: Vec<String> =
                (0..branches).map(|branch| format!(r#"{{"{field}":[{branch}]}}"#)).collect();
            format!(r#""$or":[{}]"#, branches.join(","))
        };
        let cubed = |last: usize| format!("{{{},{},{}}}", or(10, "a"), or(10, "b"), or(last, "c"));
        let pattern = Pattern::parse(&cubed(10)).unwrap();
        assert!(
            pattern.matches(&json!({"a": 9, "b": 9, "c": 9})) && !pattern.matches(&json!({"a": 9, "b": 9}))
        );
        refused(&cubed(11), "more than 1000 combinations of $or");
        let value = (0..1_000).fold(json!([1]), |value, _| Value::Array(vec![value]));
        assert_eq!(Pattern::compile(&value).unwrap_err().reason(), "The pattern nests deeper than 128");
    }

    #[test]
    fn hostile_events_cost_little() {
        let deep = |levels: usize| (0..levels).fold(json!([1]), |value, _| json!([value, {"a": value}]));
        let narrow = (0..1_000).fold(json!(1), |value, _| Value::Array(vec![value]));
        let ors = (0..9).map(|index| format!(r#""$or":[{{"a{index}":[{index}]}},{{"b{index}":[{index}]}}]"#));
        let pattern = format!("{{\"l\":{{\"l\":{{{}}}}}}}", ors.collect::<Vec<_>>().join(","));
        let pattern = Pattern::parse(&pattern).unwrap();
        assert!(!pattern.matches(&json!({"l": deep(14)})));
        assert!(!pattern.matches(&json!({"l": narrow})));
        let many: Vec<Value> = (0..2_000).map(|item| json!({"l": [{"a": item}, {"b": item}]})).collect();
        assert!(!pattern.matches(&json!({"l": many})));
        let dotted: serde_json::Map<String, Value> =
            (0..2_000).map(|item| (format!("l.l.{item}"), json!(item))).collect();
        assert!(!pattern.matches(&Value::Object(dotted)));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            (-3_i64..3).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab]|a\\.b|\\$or|prefix|exists|numeric", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// What some fields must be.
    fn asked() -> impl Strategy<Value = std::collections::BTreeMap<String, i64>> {
        let path = prop::sample::select(vec!["a", "l.a", "l.b", "l.l.a", "l.l.b"]).prop_map(str::to_owned);
        prop::collection::btree_map(path, 0_i64..2, 1..5)
    }

    /// The fields of an event with the elements of arrays they lie in, as event-ruler lays them out.
    fn flatten(
        value: &Value,
        path: &str,
        within: &[(usize, usize)],
        arrays: &mut usize,
        out: &mut Vec<Field>,
    ) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    flatten(member, &path, within, arrays, out);
                }
            }
            Value::Array(elements) => {
                *arrays += 1;
                let array = *arrays;
                for (index, element) in elements.iter().enumerate() {
                    let mut within = within.to_vec();
                    if element.is_object() || element.is_array() {
                        within.push((array, index));
                    }
                    flatten(element, path, &within, arrays, out);
                }
            }
            scalar => out.push((path.to_owned(), scalar.clone(), within.to_vec())),
        }
    }

    type Field = (String, Value, Vec<(usize, usize)>);

    fn consistent(one: &[(usize, usize)], other: &[(usize, usize)]) -> bool {
        one.iter().all(|(array, index)| other.iter().all(|(other, at)| array != other || index == at))
    }

    /// By trying every choice of fields.
    fn naive(asked: &[(String, i64)], fields: &[Field], chosen: &mut Vec<Vec<(usize, usize)>>) -> bool {
        let Some(((path, number), rest)) = asked.split_first() else { return true };
        fields.iter().filter(|(name, value, _)| name == path && *value == json!(number)).any(
            |(_, _, within)| {
                if !chosen.iter().all(|other| consistent(other, within)) {
                    return false;
                }
                chosen.push(within.clone());
                let found = naive(rest, fields, chosen);
                chosen.pop();
                found
            },
        )
    }

    /// Arrays in arrays, of objects with the fields a, b and l.
    fn events() -> impl Strategy<Value = Value> {
        let number = || (0_i64..2).prop_map(Value::from);
        let field =
            prop_oneof![3 => number(), 1 => prop::collection::vec(number(), 0..3).prop_map(Value::from)];
        let object = |l: BoxedStrategy<Value>| {
            let object =
                (prop::option::weighted(0.9, field.clone()), prop::option::weighted(0.9, field.clone()), l);
            object.prop_map(|(a, b, l)| json!({"a": a, "b": b, "l": l}))
        };
        let objects = |object: BoxedStrategy<Value>| {
            let list = || prop::collection::vec(object.clone(), 1..4).prop_map(Value::from);
            prop_oneof![object.clone(), list(), prop::collection::vec(list(), 0..3).prop_map(Value::from)]
                .boxed()
        };
        object(objects(object(objects(object(Just(Value::Null).boxed()).boxed())).boxed()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn nothing_makes_it_panic(pattern in values(), event in values(), text in ".{0,40}") {
            let _ = Pattern::parse(&text);
            if let Ok(pattern) = Pattern::compile(&pattern) {
                pattern.matches(&event);
            }
        }

        #[test]
        fn arrays_match_as_trying_every_choice_does(asked in asked(), event in events()) {
            let pattern: Value = asked.iter().map(|(path, number)| (path.clone(), json!([number]))).collect();
            let mut fields = Vec::new();
            flatten(&event, "", &[], &mut 0, &mut fields);
            let asked: Vec<(String, i64)> = asked.into_iter().collect();
            let expected = naive(&asked, &fields, &mut Vec::new());
            prop_assert_eq!(Pattern::compile(&pattern).unwrap().matches(&event), expected, "{:?}", asked);
        }
    }
}
