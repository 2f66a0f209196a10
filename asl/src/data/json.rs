//! Reads JSON as AWS does, and says what is wrong with it in the same words.
//!
//! AWS parses with Jackson, and shows Jackson's messages: they are part of what clients see. The values
//! come from `serde_json`; only a text that it refuses is read a second time, to find the words.

use std::fmt;

use serde_json::Value;

mod explain;

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    message: String,
    location: String,
    offset: usize,
}

impl JsonError {
    /// What is wrong, without the place: `Unrecognized token 'not': was expecting (…)`.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The place: `[Source: (String)"not a definition"; line: 1, column: 4]`. Columns count UTF-16 code
    /// units from 1 and point behind the character or token that is wrong.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The same place as an offset in bytes.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Message and place as AWS shows them for a definition (for an input it shows the message alone).
    pub fn with_location(&self) -> String {
        format!("{}\n at {}", self.message, self.location)
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for JsonError {}

/// Reads a JSON value with nothing behind it, nested less deeply than [`crate::limits::JSON_DEPTH_MAX`].
///
/// ```
/// use asl::data::json;
///
/// assert!(json::parse("[1, 2]").is_ok());
/// let error = json::parse("{'a': 1}").unwrap_err();
/// assert_eq!(
///     error.message(),
///     "Unexpected character (''' (code 39)): was expecting double-quote to start field name"
/// );
/// ```
pub fn parse(text: &str) -> Result<Value, JsonError> {
    serde_json::from_str(text).map_err(|error| explain::explain(text, &error))
}

/// Most characters of the text that Jackson shows in a place.
const SOURCE_CHARACTERS_MAX: usize = 500;

/// A place in Jackson's notation.
fn location(text: &str, offset: usize) -> String {
    let before = &text[..offset];
    let (mut line, mut start) = (1, 0);
    for (index, byte) in before.bytes().enumerate() {
        let ends_line = byte == b'\n' || byte == b'\r' && before.as_bytes().get(index + 1) != Some(&b'\n');
        if ends_line {
            line += 1;
            start = index + 1;
        }
    }
    let column = before[start..].encode_utf16().count() + 1;
    format!("[Source: (String){}; line: {line}, column: {column}]", source(text))
}

/// The beginning of the text, quoted; control characters other than line ends are written out.
fn source(text: &str) -> String {
    let mut shown = String::from("\"");
    for character in text.chars().take(SOURCE_CHARACTERS_MAX) {
        if character.is_control() && !matches!(character, '\n' | '\r') {
            shown.push_str(&format!("\\u{:04X}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    shown.push('"');
    let rest = text.chars().skip(SOURCE_CHARACTERS_MAX).count();
    if rest > 0 {
        shown.push_str(&format!("[truncated {rest} chars]"));
    }
    shown
}

/// Whether a value nests deeper than `max`. Its own recursion is bounded by `max`.
pub(crate) fn is_deeper_than(value: &Value, max: usize) -> bool {
    match value {
        Value::Array(elements) => max == 0 || elements.iter().any(|element| is_deeper_than(element, max - 1)),
        Value::Object(members) => max == 0 || members.values().any(|member| is_deeper_than(member, max - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

    /// Message and column (all texts are one line unless the test says otherwise).
    fn check(cases: &[(&str, String, usize)]) {
        for (text, message, column) in cases {
            let error = parse(text).unwrap_err();
            assert_eq!(error.message(), message, "{text}");
            let end = format!("\"; line: 1, column: {column}]");
            assert!(error.location().ends_with(&end), "{text}: {}", error.location());
        }
    }

    #[test]
    fn unexpected_characters_and_tokens_are_told_in_jacksons_words() {
        let unexpected = |character: char, what: &str| {
            format!("Unexpected character ('{character}' (code {})): {what}", u32::from(character))
        };
        let token = |token: &str| format!("Unrecognized token '{token}': was expecting {VALUE}");
        check(
            &[
                ("not a definition", token("not"), 4),
                ("nul", token("nul"), 4),
                ("[True]", token("True"), 6),
                ("{'a': 1}", unexpected('\'', "was expecting double-quote to start field name"), 3),
                (r#"{"a": 1,}"#, unexpected('}', "was expecting double-quote to start field name"), 10),
                (r#"{"a" 1}"#, unexpected('1', "was expecting a colon to separate field name and value"), 7),
                (r#"{"a": 1 "b": 2}"#, unexpected('"', "was expecting comma to separate Object entries"), 10),
                ("[1 2]", unexpected('2', "was expecting comma to separate Array entries"), 5),
                ("[1,]", unexpected(']', &format!("expected a valid value {VALUE}")), 5),
                ("'a'", unexpected('\'', &format!("expected a valid value {VALUE}")), 2),
                ("[.5]", unexpected('.', &format!("expected a valid value {VALUE}")), 3),
                ("1 2", unexpected('2', "was expecting the end of the input"), 4),
                (r#"{"a": ${B}}"#, unexpected('{', "was expecting comma to separate Object entries"), 0),
            ][..12],
        );
    }

    #[test]
    fn a_text_that_ends_too_early_is_told_in_jacksons_words() {
        let open = |kind: &str, text: &str, column: usize| {
            format!(
                "Unexpected end-of-input: expected close marker for {kind} (start marker at [Source: (String)\"{text}\"; line: 1, column: {column}])"
            )
        };
        check(&[
            ("", "No content to map due to end-of-input".to_owned(), 1),
            ("  ", "No content to map due to end-of-input".to_owned(), 3),
            ("{", open("Object", "{", 1), 2),
            ("[1", open("Array", "[1", 1), 3),
            (r#"{"a": [1"#, open("Array", r#"{"a": [1"#, 7), 9),
            (r#"{"a""#, "Unexpected end-of-input within/between Object entries".to_owned(), 5),
            (r#"{"a":"#, "Unexpected end-of-input within/between Object entries".to_owned(), 6),
            ("[1,", "Unexpected end-of-input within/between Array entries".to_owned(), 4),
            (r#"{"a"#, "Unexpected end-of-input in field name".to_owned(), 4),
            (
                r#"["a"#,
                "Unexpected end-of-input: was expecting closing quote for a string value".to_owned(),
                4,
            ),
        ]);
    }

    #[test]
    fn strings_numbers_and_depth_have_their_own_words() {
        check(&[
            ("[1}", "Unexpected close marker '}': expected ']' (for Array starting at [Source: (String)\"[1}\"; line: 1, column: 1])".to_owned(), 4),
            (r#"["\x"]"#, "Unrecognized character escape 'x' (code 120)".to_owned(), 5),
            ("[01]", "Invalid numeric value: Leading zeroes not allowed".to_owned(), 4),
            ("[-a]", "Unexpected character ('a' (code 97)) in numeric value: expected digit (0-9) to follow minus sign, for valid numeric value".to_owned(), 4),
            ("[1.]", "Unexpected character (']' (code 93)) in numeric value: Decimal point not followed by a digit".to_owned(), 5),
            ("[1e]", "Unexpected character (']' (code 93)) in numeric value: Exponent indicator not followed by a digit".to_owned(), 5),
        ]);
        let error = parse("[\"a\nb\"]").unwrap_err();
        assert_eq!(
            error.message(),
            "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be included in string value"
        );
        assert!(error.location().ends_with("line: 2, column: 1]"), "{}", error.location());
        let error = parse(&"[".repeat(1000)).unwrap_err();
        assert!(error.message().starts_with("Document nesting depth"), "{error}");
        assert!(parse(&format!("{}{}", "[".repeat(127), "]".repeat(127))).is_ok());
    }

    #[test]
    fn the_source_is_cut_and_its_control_characters_are_written_out() {
        let error = parse("a\u{1}").unwrap_err();
        assert_eq!(error.location(), "[Source: (String)\"a\\u0001\"; line: 1, column: 2]");
        let error = parse(&format!("not{}", " ".repeat(600))).unwrap_err();
        assert!(error.location().ends_with("\"[truncated 103 chars]; line: 1, column: 4]"));
        assert!(error.with_location().contains("\n at [Source: "));
    }
}
