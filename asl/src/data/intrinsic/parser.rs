//! The grammar of intrinsic calls, in one pass from left to right.
//!
//! ```text
//! call     = "States." name "(" [ argument *( "," argument ) ] ")"     whitespace free inside
//! argument = string / number / "true" / "false" / "null" / path / call
//! string   = "'" *( character / "\'" / "\{" / "\}" / "\\" ) "'"        braces may also stand bare
//! number   = as in JSON
//! path     = "$" …   up to the next "," or ")" outside of its own brackets and parentheses
//! ```

use serde_json::{Number, Value};

use super::{Argument, Call, Function, NESTING_LEVELS_MAX, SyntaxError, function, text};

/// Turns the text of a path into a compiled one, or refuses it.
type CompilePath<'a, P> = &'a mut dyn FnMut(&str) -> Option<P>;

/// Parses a whole text as one call.
pub(super) fn parse<P>(text: &str, path: CompilePath<'_, P>) -> Result<Call<P>, SyntaxError> {
    let mut parser = Parser { text, offset: 0, path };
    let call = parser.call(1)?;
    parser.skip_whitespace();
    if !parser.rest().is_empty() {
        return Err(parser.error("text after the call"));
    }
    Ok(call)
}

struct Parser<'a, P> {
    text: &'a str,
    offset: usize,
    path: CompilePath<'a, P>,
}

impl<'a, P> Parser<'a, P> {
    fn call(&mut self, level: usize) -> Result<Call<P>, SyntaxError> {
        if level > NESTING_LEVELS_MAX {
            return Err(self.error(format!("more than {NESTING_LEVELS_MAX} nested calls")));
        }
        let start = self.offset;
        let name = self.take_while(|character| character.is_ascii_alphanumeric() || character == '.');
        let Some(function) = Function::from_name(name) else {
            return Err(error_at(start, format!("'{name}' is not an intrinsic function")));
        };
        if !self.take('(') {
            return Err(self.error("expected '('"));
        }
        let arguments = self.arguments(function, level)?;
        Ok(Call { function, arguments })
    }

    fn arguments(&mut self, function: Function, level: usize) -> Result<Vec<Argument<P>>, SyntaxError> {
        let mut arguments = Vec::new();
        self.skip_whitespace();
        if self.take(')') {
            return Ok(arguments);
        }
        loop {
            self.skip_whitespace();
            let is_template = function == Function::Format && arguments.is_empty();
            arguments.push(self.argument(is_template, level)?);
            self.skip_whitespace();
            if self.take(')') {
                return Ok(arguments);
            }
            if !self.take(',') {
                return Err(self.error("expected ',' or ')'"));
            }
        }
    }

    fn argument(&mut self, is_template: bool, level: usize) -> Result<Argument<P>, SyntaxError> {
        match self.rest().chars().next() {
            Some('\'') => Ok(Argument::Literal(Value::String(self.string(is_template)?))),
            Some('$') => self.path().map(Argument::Path),
            Some('-' | '0'..='9') => Ok(Argument::Literal(Value::Number(self.number()?))),
            Some(_) if self.rest().starts_with(function::PREFIX) => self.call(level + 1).map(Argument::Call),
            _ => self.keyword().map(Argument::Literal),
        }
    }

    /// A quoted string. A template keeps the escapes that `States.Format` itself understands.
    fn string(&mut self, is_template: bool) -> Result<String, SyntaxError> {
        let start = self.offset;
        let mut value = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((index, character)) = characters.next() {
            match character {
                '\'' => {
                    self.offset = start + index + 1;
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, '\'')) => value.push('\''),
                    Some((_, escaped @ ('{' | '}' | '\\'))) => {
                        if is_template {
                            value.push('\\');
                        }
                        value.push(escaped);
                    }
                    _ => return Err(error_at(start + index, "a backslash must stand before ' { } or \\")),
                },
                _ => value.push(character),
            }
        }
        Err(error_at(start, "the string has no end"))
    }

    fn number(&mut self) -> Result<Number, SyntaxError> {
        let start = self.offset;
        let token = self.take_while(|character| matches!(character, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        text::parse_number(token).ok_or_else(|| error_at(start, format!("'{token}' is not a number")))
    }

    fn keyword(&mut self) -> Result<Value, SyntaxError> {
        let start = self.offset;
        match self.take_while(|character| character.is_ascii_alphanumeric()) {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            _ => Err(error_at(start, "expected an argument")),
        }
    }

    fn path(&mut self) -> Result<P, SyntaxError> {
        let start = self.offset;
        let rest = self.rest();
        let text = &rest[..path_length(rest)];
        self.offset += text.len();
        let text = text.trim_end();
        (self.path)(text).ok_or_else(|| error_at(start, format!("'{text}' is not a valid path")))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.offset += expected.len_utf8();
        }
        found
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|character| !accept(character)).unwrap_or(rest.len());
        self.offset += length;
        &rest[..length]
    }

    fn skip_whitespace(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn error(&self, message: impl Into<String>) -> SyntaxError {
        error_at(self.offset, message)
    }
}

fn error_at(offset: usize, message: impl Into<String>) -> SyntaxError {
    SyntaxError { message: message.into(), offset }
}

/// The bytes before the "," or ")" that ends a path. Inside brackets and parentheses those two, and
/// anything in quotes, belong to the path: `$['a,b']`, `$.a[?(@.b == ')')]`, `$.a.length()`.
fn path_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (index, character) in rest.char_indices() {
        if let Some(end) = quote {
            if escaped {
                escaped = false;
            } else if character == '\\' {
                escaped = true;
            } else if character == end {
                quote = None;
            }
            continue;
        }
        match character {
            ',' | ')' if depth == 0 => return index,
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            '\'' | '"' if depth > 0 => quote = Some(character),
            _ => {}
        }
    }
    rest.len()
}
