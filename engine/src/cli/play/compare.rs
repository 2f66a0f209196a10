//! What is different between what was expected and what came.

use std::fmt;

use serde_json::Value;

/// How much of a value is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Extent {
    /// All of it.
    Whole,
    /// Of objects at least these members, at every depth; all else is whole.
    Part,
}

/// One place where two values differ.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Difference {
    /// `$.items[2].price`.
    pub(in crate::cli) place: String,
    /// Absent where nothing was expected.
    pub(in crate::cli) expected: Option<Value>,
    /// Absent where nothing came.
    pub(in crate::cli) actual: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
        write!(f, "{}: expected {}, was {}", self.place, shown(&self.expected), shown(&self.actual))
    }
}

/// All places where a value is not as expected. Numbers are the same if their values are: 1 is 1.0.
pub(in crate::cli) fn differences(expected: &Value, actual: &Value, extent: Extent) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("$", expected, actual, extent, &mut found);
    found
}

/// Whether a value holds at least this.
pub(in crate::cli) fn contains(whole: &Value, part: &Value) -> bool {
    differences(part, whole, Extent::Part).is_empty()
}

fn compare(place: &str, expected: &Value, actual: &Value, extent: Extent, found: &mut Vec<Difference>) {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(there)) => {
            for (name, wanted) in wanted {
                let place = member(place, name);
                match there.get(name) {
                    Some(there) => compare(&place, wanted, there, extent, found),
                    None => found.push(Difference { place, expected: Some(wanted.clone()), actual: None }),
                }
            }
            let others = there.iter().filter(|(name, _)| !wanted.contains_key(*name));
            for (name, there) in others.filter(|_| extent == Extent::Whole) {
                let (place, actual) = (member(place, name), Some(there.clone()));
                found.push(Difference { place, expected: None, actual });
            }
        }
        (Value::Array(wanted), Value::Array(there)) => {
            for index in 0..wanted.len().max(there.len()) {
                let place = format!("{place}[{index}]");
                match (wanted.get(index), there.get(index)) {
                    (Some(wanted), Some(there)) => compare(&place, wanted, there, extent, found),
                    (wanted, there) => {
                        let (expected, actual) = (wanted.cloned(), there.cloned());
                        found.push(Difference { place, expected, actual });
                    }
                }
            }
        }
        (expected, actual) if same(expected, actual) => {}
        (expected, actual) => {
            let (expected, actual) = (Some(expected.clone()), Some(actual.clone()));
            found.push(Difference { place: place.to_owned(), expected, actual });
        }
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let whole = |number: &serde_json::Number| number.is_u64() || number.is_i64();
            one == other || !(whole(one) && whole(other)) && one.as_f64() == other.as_f64()
        }
        (one, other) => one == other,
    }
}

fn member(place: &str, name: &str) -> String {
    let is_plain = |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.is_empty();
    if is_plain(name) { format!("{place}.{name}") } else { format!("{place}[{}]", Value::from(name)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(expected: Value, actual: Value, extent: Extent, says: &[&str]) {
        let found: Vec<String> =
            differences(&expected, &actual, extent).iter().map(Difference::to_string).collect();
        assert_eq!(found, says);
    }

    #[test]
    fn each_place_is_named() {
        let actual = json!({"a": [1, {"b c": null}], "d": "x"});
        check(json!({"a": [1.0, {"b c": null}], "d": "x"}), actual.clone(), Extent::Whole, &[]);
        check(
            json!({"a": [2, {"b c": 1}, 3], "e": 1}),
            actual,
            Extent::Whole,
            &[
                "$.a[0]: expected 2, was 1",
                "$.a[1][\"b c\"]: expected 1, was null",
                "$.a[2]: expected 3, was nothing",
                "$.e: expected 1, was nothing",
                "$.d: expected nothing, was \"x\"",
            ],
        );
    }

    #[test]
    fn a_part_leaves_out_members_only() {
        let actual = json!({"a": {"b": 1, "c": 2}, "d": [{"e": 1, "f": 2}]});
        check(json!({"a": {"c": 2}, "d": [{"e": 1}]}), actual.clone(), Extent::Part, &[]);
        check(
            json!({"d": []}),
            actual.clone(),
            Extent::Part,
            &["$.d[0]: expected nothing, was {\"e\":1,\"f\":2}"],
        );
        check(json!({"a": null}), actual, Extent::Part, &["$.a: expected null, was {\"b\":1,\"c\":2}"]);
    }

    #[test]
    fn large_numbers_are_compared_exactly_where_both_are_whole() {
        check(json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_993_u64), Extent::Whole, &[]);
        let says = ["$: expected 9007199254740993, was 9007199254740992"];
        check(json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), Extent::Whole, &says);
    }
}
