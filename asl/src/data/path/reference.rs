//! Reference paths: those that name exactly one place, and can be written to.

use std::borrow::Cow;

use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::ast::{Route, Segment};
use super::error::Fault;
use super::scanner::Scanner;
use super::{Path, PathError, Root, SyntaxError, parser};

/// A path of `.name`, `['name']` and `[0]` only: the kind that `ResultPath`, `ItemsPath`, `Variable`
/// and the other fields that end in `Path` take.
///
/// ```
/// use asl::data::path::ReferencePath;
/// use serde_json::json;
///
/// let result_path = ReferencePath::parse("$.order.price")?;
/// let mut input = json!({"id": 7});
/// result_path.write(&mut input, json!(12)).unwrap();
/// assert_eq!(input, json!({"id": 7, "order": {"price": 12}}));
/// # Ok::<(), asl::data::path::SyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ReferencePath {
    path: Path,
}

impl ReferencePath {
    /// Reads a reference path. Refuses other paths with the text of AWS's validator, to which the
    /// caller adds the place in the definition (`… at /States/A/ResultPath`).
    pub fn parse(text: &str) -> Result<ReferencePath, SyntaxError> {
        let (_, begin) = parser::root(text)?;
        check(Scanner::new(text, begin, parser::NESTING_MAX))?;
        Ok(ReferencePath { path: Path::parse(text)? })
    }

    /// The same as a path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as written.
    pub fn text(&self) -> &str {
        self.path.text()
    }

    /// Which document the path points into.
    pub fn root(&self) -> &Root {
        self.path.root()
    }

    /// The value at this path; see [`Path::evaluate`]. Always borrows.
    pub fn evaluate<'a>(&self, document: &'a Value) -> Result<Cow<'a, Value>, PathError> {
        self.path.evaluate(document)
    }

    /// Puts `value` at this path in `base`, as `ResultPath` does: replaces what is there, creates
    /// missing objects on the way, writes only items that an array already has. If something that
    /// has no such place is in the way, fails and leaves `base` as it was.
    pub fn write(&self, base: &mut Value, value: Value) -> Result<(), PathError> {
        let route = &self.path.route;
        let mut place = base;
        for (at, segment) in route.segments.iter().enumerate() {
            let next = match segment {
                Segment::Name(name) => match members(route, at, place)?.entry(&name.text) {
                    Entry::Occupied(member) => member.into_mut(),
                    Entry::Vacant(missing) => {
                        missing.insert(nest(route, at, value)?);
                        return Ok(());
                    }
                },
                Segment::Index(index) => item(route, at, place, *index)?,
                _ => return Err(Fault::NoResults.describe(route)),
            };
            place = next;
        }
        *place = value;
        Ok(())
    }
}

fn members<'v>(
    route: &Route,
    at: usize,
    place: &'v mut Value,
) -> Result<&'v mut Map<String, Value>, PathError> {
    match place {
        Value::Object(members) => Ok(members),
        found => Err(Fault::NotAnObject { at, found }.describe(route)),
    }
}

fn item<'v>(route: &Route, at: usize, place: &'v mut Value, index: i32) -> Result<&'v mut Value, PathError> {
    match place {
        Value::Array(items) => usize::try_from(index)
            .ok()
            .and_then(|index| items.get_mut(index))
            .ok_or_else(|| Fault::NoResults.describe(route)),
        found => Err(Fault::NotAnArray { at, found }.describe(route)),
    }
}

/// What to insert at the missing name `at`: `value` inside an object for every name after it. An
/// index cannot be among them, because there is no array to put it in.
fn nest(route: &Route, at: usize, value: Value) -> Result<Value, PathError> {
    route.segments[at + 1..].iter().rev().try_fold(value, |inner, segment| match segment {
        Segment::Name(name) => Ok(Value::Object(Map::from_iter([(name.text.clone(), inner)]))),
        _ => Err(Fault::MissingProperty { at }.describe(route)),
    })
}

/// Refuses what the operators of longer paths are made of. Names in quotes may hold anything.
fn check(mut scanner: Scanner<'_>) -> Result<(), SyntaxError> {
    while let Some(letter) = scanner.peek() {
        match letter {
            '[' => bracket(&mut scanner)?,
            '.' => {
                scanner.bump();
                if scanner.peek() != Some('[') {
                    name(&mut scanner)?;
                }
            }
            other => return Err(refusal(&scanner, format!("'{other}' is not allowed here"))),
        }
    }
    Ok(())
}

fn name(scanner: &mut Scanner<'_>) -> Result<(), SyntaxError> {
    let name = scanner.take_while(|letter| !matches!(letter, '.' | '[' | '*' | '@' | ',' | ':' | '?' | '('));
    match scanner.peek() {
        Some(operator @ ('*' | '@' | ',' | ':' | '?' | '(')) => {
            Err(refusal(scanner, format!("'{operator}' is not allowed here")))
        }
        _ if name.is_empty() => Err(refusal(scanner, "'.' must be followed by a name")),
        _ => Ok(()),
    }
}

fn bracket(scanner: &mut Scanner<'_>) -> Result<(), SyntaxError> {
    let opened = scanner.clone();
    scanner.bump();
    match scanner.peek() {
        Some('\'') => {
            scanner.quoted().map_err(|_| refusal(&opened, "a name has no closing '"))?;
        }
        Some('0'..='9') => {
            scanner.take_while(|letter| letter.is_ascii_digit());
        }
        // The second bracket is AWS's; it stands for a digit.
        _ => return Err(refusal(&opened, "'[' must be followed by ' or '['")),
    }
    if scanner.eat("]") { Ok(()) } else { Err(refusal(scanner, "'[' has no closing ']'")) }
}

fn refusal(scanner: &Scanner<'_>, reason: impl AsRef<str>) -> SyntaxError {
    scanner.error(format!("Value is not a Reference Path: {}", reason.as_ref()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_names_and_indices_make_a_reference_path() {
        let accepted =
            ["$", "$.a", "$['a b'].c[0]", "$.delivery-partner", "$.a.[0]", "$$.a", "$v", "$v[1]", "$.é"];
        for text in accepted {
            let path = ReferencePath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(path.path().is_definite(), "{text}");
        }
        let refused = [
            ("$[*]", "'[' must be followed by ' or '['"),
            ("$.a[?(@.b)]", "'[' must be followed by ' or '['"),
            ("$.a[$$.b]c", "'[' must be followed by ' or '['"),
            ("$.a[", "'[' must be followed by ' or '['"),
            ("$[-1]", "'[' must be followed by ' or '['"),
            ("$[\"a\"]", "'[' must be followed by ' or '['"),
            ("$.a[0,1]", "'[' has no closing ']'"),
            ("$.a[0:1]", "'[' has no closing ']'"),
            ("$['a','b']", "'[' has no closing ']'"),
            ("$['a'", "'[' has no closing ']'"),
            ("$['a]", "a name has no closing '"),
            ("$.*", "'*' is not allowed here"),
            ("$.a:b", "':' is not allowed here"),
            ("$.a.length()", "'(' is not allowed here"),
            ("$['a']b", "'b' is not allowed here"),
            ("$..a", "'.' must be followed by a name"),
            ("$.", "'.' must be followed by a name"),
        ];
        for (text, reason) in refused {
            let message = ReferencePath::parse(text).unwrap_err().message;
            assert_eq!(message, format!("Value is not a Reference Path: {reason}"), "{text}");
        }
        for text in ["", "a", "$.a b", "$ .a"] {
            assert!(ReferencePath::parse(text).is_err(), "{text} is accepted");
        }
    }

    fn check(path: &str, base: Value, expected: Result<Value, &str>) {
        let path = ReferencePath::parse(path).unwrap();
        let mut written = base.clone();
        let result = path.write(&mut written, json!("new"));
        match expected {
            Ok(expected) => assert_eq!((result, written), (Ok(()), expected), "{}", path.text()),
            Err(message) => {
                assert_eq!(result.unwrap_err().to_string(), message, "{}", path.text());
                assert_eq!(written, base, "{}", path.text());
            }
        }
    }

    #[test]
    fn writing_replaces_and_creates() {
        check("$", json!(1), Ok(json!("new")));
        check("$.a", json!({"a": {"b": 1}, "c": 2}), Ok(json!({"a": "new", "c": 2})));
        check("$.b", json!({"a": 1}), Ok(json!({"a": 1, "b": "new"})));
        check("$.a.b.c", json!({"a": {"x": 1}}), Ok(json!({"a": {"x": 1, "b": {"c": "new"}}})));
        check("$.a[1]['b c']", json!({"a": [1, {}]}), Ok(json!({"a": [1, {"b c": "new"}]})));
        check("$[0]", json!([1, 2]), Ok(json!(["new", 2])));
    }

    #[test]
    fn writing_fails_where_there_is_no_such_place() {
        let not_an_object = |path: &str, found: &str| {
            format!(
                "Expected to find an object with property ['b'] in path {path} but found '{found}'. \
                 This is not a json object according to the JsonProvider: \
                 'com.jayway.jsonpath.spi.json.JsonSmartJsonProvider'."
            )
        };
        check("$.b", json!(1), Err(&not_an_object("$", "java.lang.Integer")));
        check("$.b", json!([]), Err(&not_an_object("$", "net.minidev.json.JSONArray")));
        check("$.a.b", json!({"a": "x"}), Err(&not_an_object("$['a']", "java.lang.String")));
        check("$.a.b", json!({"a": null}), Err(&not_an_object("$['a']", "null")));
        check("$.a[1]", json!({"a": [1]}), Err("No results for path: $['a'][1]"));
        check("$.a.b[0]", json!({}), Err("Missing property in path $['a']"));
        check(
            "$.a[0]",
            json!({"a": {}}),
            Err("Filter: [0] can only be applied to arrays. Current context is: {}"),
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            names in proptest::collection::vec("[a-c]{1,2}|'é| \\\\", 0..6),
            base in prop_oneof![Just(json!({})), Just(json!({"a": {"b": 1}})), Just(json!({"a": []}))],
            value in any::<i64>(),
        ) {
            let quote = |name: &String| format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"));
            let text = format!("${}", names.iter().map(quote).collect::<String>());
            let path = ReferencePath::parse(&text).unwrap();
            let mut written = base;
            if path.write(&mut written, value.into()).is_ok() {
                prop_assert_eq!(path.evaluate(&written), Ok(Cow::Owned(value.into())));
            }
        }
    }
}
