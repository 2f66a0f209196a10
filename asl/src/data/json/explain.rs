//! Finds Jackson's words for a text that is not JSON: reads it in Jackson's order until something is wrong.

use super::{JsonError, location};
use crate::limits;

/// A problem and how far the text was read.
struct Problem {
    message: String,
    offset: usize,
}

type Step<T> = Result<T, Problem>;

/// What is wrong with a text that `serde_json` refused.
pub(super) fn explain(text: &str, error: &serde_json::Error) -> JsonError {
    let mut reader = Reader { text, offset: 0, open: Vec::new() };
    let problem = match reader.document() {
        Err(problem) => problem,
        // Jackson would have read it: numbers and surrogates that cannot be represented here.
        Ok(()) => Problem { message: described(error), offset: offset_of(text, error) },
    };
    let Problem { message, offset } = problem;
    JsonError { message, location: location(text, offset), offset }
}

/// The words of `serde_json` without its place.
fn described(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
    format!("Invalid JSON: {words}")
}

/// The place of `serde_json`, which counts lines from 1 and bytes in them, as an offset.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => text.match_indices('\n').nth(line - 2).map_or(0, |(index, _)| index + 1),
    };
    let mut offset = (line_start + error.column()).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// An object or array that is not closed yet.
struct Open {
    is_object: bool,
    offset: usize,
}

impl Open {
    fn name(&self) -> &'static str {
        if self.is_object { "Object" } else { "Array" }
    }
}

struct Reader<'t> {
    text: &'t str,
    offset: usize,
    open: Vec<Open>,
}

const VALUE: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

impl Reader<'_> {
    /// A value and nothing behind it. A loop and no recursion: the text may be nested as deeply as it likes.
    fn document(&mut self) -> Step<()> {
        self.blanks();
        if self.peek().is_none() {
            return self.fail("No content to map due to end-of-input");
        }
        loop {
            if self.value()? {
                continue;
            }
            // A value has ended: close what ends with it, then go on behind the comma.
            loop {
                self.blanks();
                let Some(open) = self.open.last() else { return self.end() };
                match self.peek() {
                    None => return self.fail_unclosed(),
                    Some(character @ ('}' | ']')) => self.close(character)?,
                    Some(',') => {
                        self.next();
                        break;
                    }
                    Some(_) => {
                        let name = open.name();
                        return self.unexpected(&format!("was expecting comma to separate {name} entries"));
                    }
                }
            }
            self.entry()?;
        }
    }

    fn end(&mut self) -> Step<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.unexpected("was expecting the end of the input"),
        }
    }

    /// What follows a comma: the name of a member, or directly a value.
    fn entry(&mut self) -> Step<()> {
        self.blanks();
        let Some(open) = self.open.last() else { return Ok(()) };
        if self.peek().is_none() {
            return self.fail(&format!("Unexpected end-of-input within/between {} entries", open.name()));
        }
        if open.is_object { self.name() } else { Ok(()) }
    }

    /// `"name":`.
    fn name(&mut self) -> Step<()> {
        if self.peek() != Some('"') {
            return self.unexpected("was expecting double-quote to start field name");
        }
        self.string(" in field name", "name")?;
        self.blanks();
        match self.peek() {
            None => return self.fail("Unexpected end-of-input within/between Object entries"),
            Some(':') => self.next(),
            Some(_) => return self.unexpected("was expecting a colon to separate field name and value"),
        }
        self.blanks();
        if self.peek().is_none() {
            return self.fail("Unexpected end-of-input within/between Object entries");
        }
        Ok(())
    }

    /// A value; true if it is an object or array with something in it, so that a value follows.
    fn value(&mut self) -> Step<bool> {
        self.blanks();
        match self.peek() {
            None => self.fail_unclosed(),
            Some(character @ ('{' | '[')) => self.container(character == '{'),
            Some('"') => self
                .string(": was expecting closing quote for a string value", "string value")
                .map(|()| false),
            Some('-' | '0'..='9') => self.number().map(|()| false),
            Some(character) if is_identifier_start(character) => self.word().map(|()| false),
            Some(_) => self.unexpected(&format!("expected a valid value {VALUE}")),
        }
    }

    fn container(&mut self, is_object: bool) -> Step<bool> {
        let offset = self.offset;
        self.next();
        self.open.push(Open { is_object, offset });
        if self.open.len() >= limits::JSON_DEPTH_MAX {
            let (depth, maximum) = (self.open.len(), limits::JSON_DEPTH_MAX - 1);
            return self
                .fail(&format!("Document nesting depth ({depth}) exceeds the maximum allowed ({maximum})"));
        }
        self.blanks();
        match self.peek() {
            None => self.fail_unclosed(),
            Some(character) if character == if is_object { '}' } else { ']' } => {
                self.close(character)?;
                Ok(false)
            }
            Some(_) if is_object => self.name().map(|()| true),
            Some(_) => Ok(true),
        }
    }

    fn close(&mut self, character: char) -> Step<()> {
        self.next();
        let Some(open) = self.open.pop() else { return Ok(()) };
        let expected = if open.is_object { '}' } else { ']' };
        if character == expected {
            return Ok(());
        }
        let (name, start) = (open.name(), location(self.text, open.offset));
        self.fail(&format!(
            "Unexpected close marker '{character}': expected '{expected}' (for {name} starting at {start})"
        ))
    }

    fn string(&mut self, unclosed: &str, kind: &str) -> Step<()> {
        self.next();
        loop {
            let Some(character) = self.peek() else {
                return self.fail(&format!("Unexpected end-of-input{unclosed}"));
            };
            self.next();
            match character {
                '"' => return Ok(()),
                '\\' => self.escape()?,
                '\0'..='\u{1f}' => {
                    let character = described_character(character);
                    return self.fail(&format!(
                        "Illegal unquoted character ({character}): has to be escaped using backslash to be included in {kind}"
                    ));
                }
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Step<()> {
        let Some(character) = self.peek() else {
            return self.fail("Unexpected end-of-input in character escape sequence");
        };
        self.next();
        match character {
            '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => Ok(()),
            'u' => (0..4).try_for_each(|_| match self.peek() {
                Some(digit) if digit.is_ascii_hexdigit() => {
                    self.next();
                    Ok(())
                }
                Some(_) => self.unexpected("expected a hex-digit for character escape sequence"),
                None => self.fail("Unexpected end-of-input in character escape sequence"),
            }),
            _ => self.fail(&format!("Unrecognized character escape {}", described_character(character))),
        }
    }

    fn number(&mut self) -> Step<()> {
        if self.peek() == Some('-') {
            self.next();
            self.digit("expected digit (0-9) to follow minus sign, for valid numeric value")?;
        }
        let leading_zero = self.peek() == Some('0');
        self.next();
        if leading_zero && self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            self.next();
            return self.fail("Invalid numeric value: Leading zeroes not allowed");
        }
        self.digits();
        if self.peek() == Some('.') {
            self.next();
            self.digit("Decimal point not followed by a digit")?;
            self.digits();
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.next();
            if matches!(self.peek(), Some('+' | '-')) {
                self.next();
            }
            self.digit("Exponent indicator not followed by a digit")?;
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            self.next();
        }
    }

    /// A digit must come next.
    fn digit(&mut self, otherwise: &str) -> Step<()> {
        match self.peek() {
            Some('0'..='9') => Ok(()),
            Some(character) => {
                self.next();
                let character = described_character(character);
                self.fail(&format!("Unexpected character ({character}) in numeric value: {otherwise}"))
            }
            None => self.fail("Unexpected end-of-input in a number value"),
        }
    }

    /// `true`, `false`, `null`, or something that was meant to be one.
    fn word(&mut self) -> Step<()> {
        /// Where Jackson stops to read a token that it does not know.
        const TOKEN_CHARACTERS_MAX: usize = 256;
        let start = self.offset;
        while self.peek().is_some_and(is_identifier_part) {
            self.next();
        }
        let word = &self.text[start..self.offset];
        if matches!(word, "true" | "false" | "null") {
            return Ok(());
        }
        let mut token: String = word.chars().take(TOKEN_CHARACTERS_MAX).collect();
        if token.len() < word.len() {
            token.push_str("...");
        }
        self.fail(&format!("Unrecognized token '{token}': was expecting {VALUE}"))
    }

    /// The next character should not be here. Jackson has read it when it says so.
    fn unexpected<T>(&mut self, message: &str) -> Step<T> {
        let character = self.peek().map(described_character).unwrap_or_default();
        self.next();
        self.fail(&format!("Unexpected character ({character}): {message}"))
    }

    fn fail_unclosed<T>(&self) -> Step<T> {
        let Some(open) = self.open.last() else { return self.fail("Unexpected end-of-input") };
        let (name, start) = (open.name(), location(self.text, open.offset));
        self.fail(&format!(
            "Unexpected end-of-input: expected close marker for {name} (start marker at {start})"
        ))
    }

    fn fail<T>(&self, message: &str) -> Step<T> {
        Err(Problem { message: message.to_owned(), offset: self.offset })
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.next();
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.offset..].chars().next()
    }

    fn next(&mut self) {
        self.offset += self.peek().map_or(0, char::len_utf8);
    }
}

/// `'x' (code 120)`.
fn described_character(character: char) -> String {
    let code = u32::from(character);
    if character.is_control() {
        format!("(CTRL-CHAR, code {code})")
    } else if code > 255 {
        format!("'{character}' (code {code} / 0x{code:x})")
    } else {
        format!("'{character}' (code {code})")
    }
}

/// What can start a name in Java.
fn is_identifier_start(character: char) -> bool {
    character.is_alphabetic() || matches!(character, '_' | '$')
}

/// What can stand in a name in Java.
fn is_identifier_part(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}
