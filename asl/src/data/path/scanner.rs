//! A place in the text of a path, and the small steps from there.

use super::SyntaxError;

/// Reads the text of a path from left to right. Parts of the text (a path inside a filter) get a
/// scanner of their own whose offsets still count from the beginning of the whole.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'t> {
    /// The text up to the end of the part being read.
    text: &'t str,
    position: usize,
    nesting_left: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str, position: usize, nesting_left: usize) -> Scanner<'t> {
        Scanner { text, position, nesting_left }
    }

    /// A scanner for the part from `begin` to `end`, one level deeper. Blanks at its end are left out.
    pub(super) fn part(&self, begin: usize, end: usize) -> Result<Scanner<'t>, SyntaxError> {
        let text = self.text[..end].trim_end_matches(' ');
        let nesting_left = self.nesting_left.checked_sub(1).ok_or_else(|| self.too_deep())?;
        Ok(Scanner { text, position: begin.min(text.len()), nesting_left })
    }

    /// Runs `inner` one level deeper, so that the parser's recursion has a bound.
    pub(super) fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Scanner<'t>) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        self.nesting_left = self.nesting_left.checked_sub(1).ok_or_else(|| self.too_deep())?;
        let result = inner(self);
        self.nesting_left += 1;
        result
    }

    fn too_deep(&self) -> SyntaxError {
        self.error("The path is nested too deeply")
    }

    pub(super) fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError { message: message.into(), offset: self.position }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    pub(super) fn since(&self, begin: usize) -> &'t str {
        &self.text[begin..self.position]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position >= self.text.len()
    }

    pub(super) fn ends_with(&self, letter: char) -> bool {
        self.text.ends_with(letter)
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.position += letter.len_utf8();
        Some(letter)
    }

    /// Goes `bytes` further.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.position += bytes;
    }

    pub(super) fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.position += expected.len();
        }
        found
    }

    /// Jayway's blanks are spaces only.
    pub(super) fn skip_blanks(&mut self) {
        while self.eat(" ") {}
    }

    /// Reads over blanks and `expected`, or not at all.
    pub(super) fn eat_after_blanks(&mut self, expected: &str) -> bool {
        let before = self.position;
        self.skip_blanks();
        let found = self.eat(expected);
        if !found {
            self.position = before;
        }
        found
    }

    pub(super) fn expect(&mut self, expected: &str) -> Result<(), SyntaxError> {
        if self.eat_after_blanks(expected) {
            return Ok(());
        }
        Err(self.error(format!("Expected '{expected}' at position {}", self.position)))
    }

    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|letter| !wanted(letter)).unwrap_or(rest.len());
        self.position += length;
        &rest[..length]
    }

    /// Reads a text in quotes, at the opening one, and resolves its escapes.
    pub(super) fn quoted(&mut self) -> Result<String, SyntaxError> {
        let opened = self.clone();
        let quote = self.bump();
        let begin = self.position;
        loop {
            let at = self.position;
            match self.bump() {
                None => {
                    let quote = quote.unwrap_or('\'');
                    return Err(opened.error(format!("Text has not been closed - missing closing {quote}")));
                }
                Some('\\') => {
                    self.bump();
                }
                letter if letter == quote => {
                    return Ok(unescape(&self.text[begin..at], letter == Some('\'')));
                }
                Some(_) => {}
            }
        }
    }

    /// Goes behind the `]` that closes the `[` here, past brackets inside it and in quotes.
    pub(super) fn skip_brackets(&mut self) -> Result<(), SyntaxError> {
        let opened = self.clone();
        let mut open = 0_usize;
        while let Some(letter) = self.peek() {
            match letter {
                '\'' | '"' => {
                    self.quoted()?;
                    continue;
                }
                '[' => open += 1,
                ']' => open -= 1,
                _ => {}
            }
            self.bump();
            if open == 0 {
                return Ok(());
            }
        }
        Err(opened.error("Square brackets do not match"))
    }
}

/// Resolves backslashes as Jayway does: `\n`, `\u0041` and the like, any other letter as itself. AWS
/// keeps the backslash before a double quote in single quotes, as recorded.
fn unescape(text: &str, single: bool) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if letter != '\\' {
            units.extend_from_slice(letter.encode_utf16(&mut [0; 2]));
            continue;
        }
        let Some(escaped) = rest.chars().next() else { break };
        rest = &rest[escaped.len_utf8()..];
        let hexadecimal =
            rest.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if single && escaped == '"' {
            units.push(u16::from(b'\\'));
        }
        match (escaped, hexadecimal.and_then(|digits| u16::from_str_radix(digits, 16).ok())) {
            // Halves of a pair come one by one, and find each other in the end.
            ('u', Some(unit)) => {
                units.push(unit);
                rest = &rest[4..];
            }
            (other, _) => units.extend_from_slice(plain_escape(other).encode_utf16(&mut [0; 2])),
        }
    }
    String::from_utf16_lossy(&units)
}

fn plain_escape(letter: char) -> char {
    match letter {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        other => other,
    }
}
