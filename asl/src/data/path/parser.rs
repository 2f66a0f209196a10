//! From text to segments, with the liberties that Jayway takes: a dot before a bracket, no dot after
//! one, names of almost any letters, and a single stray character at the very end.

use super::ast::{Argument, Call, Name, Route, Segment};
use super::scanner::Scanner;
use super::{Root, SyntaxError, condition, literal};

/// How deep parentheses, filters, arguments and literals of one path nest.
pub const NESTING_MAX: usize = 64;

/// The most segments of one path.
pub const SEGMENTS_MAX: usize = 256;

/// Splits the root off: what it is, and where the segments begin.
pub(super) fn root(text: &str) -> Result<(Root, usize), SyntaxError> {
    let mut scanner = Scanner::new(text, 0, NESTING_MAX);
    if !scanner.eat("$") {
        return Err(scanner.error("A path must begin with '$'"));
    }
    if scanner.eat("$") {
        return Ok((Root::Context, scanner.position()));
    }
    if !scanner.peek().is_some_and(|letter| letter.is_alphabetic() || letter == '_') {
        return Ok((Root::Input, scanner.position()));
    }
    let name = scanner.take_while(|letter| letter.is_alphanumeric() || letter == '_');
    Ok((Root::Variable(name.to_owned()), scanner.position()))
}

/// Reads all segments of `text` from the byte `begin`.
pub(super) fn route(text: &str, begin: usize) -> Result<Route, SyntaxError> {
    let whole = Scanner::new(text, begin, NESTING_MAX);
    route_in(whole.part(begin, text.len())?)
}

/// Reads the segments of a path of which the root has been read.
pub(super) fn route_in(mut scanner: Scanner<'_>) -> Result<Route, SyntaxError> {
    let mut segments = Vec::new();
    if scanner.is_at_end() {
        return Ok(Route::new(segments));
    }
    if scanner.ends_with('.') {
        return Err(scanner.error("Path must not end with a '.' or '..'"));
    }
    if !matches!(scanner.peek(), Some('.' | '[')) {
        let position = scanner.position();
        return Err(scanner.error(format!("Illegal character at position {position} expected '.' or '['")));
    }
    loop {
        segment(&mut scanner, &mut segments)?;
        if segments.len() > SEGMENTS_MAX {
            return Err(scanner.error(format!("A path has at most {SEGMENTS_MAX} segments")));
        }
        if matches!(segments.last(), Some(Segment::Function(_))) && !scanner.is_at_end() {
            return Err(scanner.error("A function must be the last part of a path"));
        }
        // Jayway never looks at a single last character: `$.a[` is `$.a`.
        if scanner.rest().chars().nth(1).is_none() {
            return Ok(Route::new(segments));
        }
    }
}

fn segment(scanner: &mut Scanner<'_>, segments: &mut Vec<Segment>) -> Result<(), SyntaxError> {
    if scanner.eat("..") {
        segments.push(Segment::Descend);
    } else {
        scanner.eat(".");
    }
    let next = match scanner.peek() {
        Some('.') => {
            let position = scanner.position();
            return Err(scanner.error(format!("Character '.' on position {position} is not valid.")));
        }
        Some('[') => bracket(scanner)?,
        Some('*') => {
            scanner.bump();
            Segment::Wildcard
        }
        _ => name_or_function(scanner)?,
    };
    if matches!((segments.last(), &next), (Some(Segment::Descend), Segment::Function(_))) {
        return Err(scanner.error("A function cannot follow '..' directly"));
    }
    segments.push(next);
    Ok(())
}

fn name_or_function(scanner: &mut Scanner<'_>) -> Result<Segment, SyntaxError> {
    let begin = scanner.position();
    let name = scanner.take_while(|letter| !matches!(letter, ' ' | '.' | '[' | '('));
    match scanner.peek() {
        Some(' ') => Err(scanner.error(format!(
            "Use bracket notation ['my prop'] if your property contains blank characters. position: {begin}"
        ))),
        _ if name.is_empty() => {
            Err(scanner.error(format!("Could not parse token starting at position {begin}")))
        }
        Some('(') => {
            scanner.bump();
            let arguments = scanner.deeper(arguments)?;
            Ok(Segment::Function(Call { name: name.to_owned(), arguments }))
        }
        _ => Ok(Segment::Name(Name { text: name.to_owned(), quote: '\'' })),
    }
}

/// Reads the arguments of a function, behind the opening parenthesis, to the closing one.
fn arguments(scanner: &mut Scanner<'_>) -> Result<Vec<Argument>, SyntaxError> {
    let mut arguments = Vec::new();
    while !scanner.eat_after_blanks(")") {
        if !arguments.is_empty() {
            scanner.expect(",")?;
        }
        scanner.skip_blanks();
        arguments.push(match scanner.peek() {
            Some('$' | '@') => Argument::Path(path_argument(scanner)?),
            _ => Argument::Literal(literal::json(scanner)?),
        });
    }
    Ok(arguments)
}

/// Reads a path up to the comma or parenthesis that ends it.
fn path_argument(scanner: &mut Scanner<'_>) -> Result<Route, SyntaxError> {
    let before = scanner.clone();
    let mut open = 0_usize;
    while let Some(letter) = scanner.peek() {
        match letter {
            '[' => {
                scanner.skip_brackets()?;
                continue;
            }
            '(' => open += 1,
            ')' if open > 0 => open -= 1,
            ')' | ',' if open == 0 => break,
            _ => {}
        }
        scanner.bump();
    }
    route_in(before.part(before.position() + 1, scanner.position())?)
}

fn bracket(scanner: &mut Scanner<'_>) -> Result<Segment, SyntaxError> {
    let before = scanner.clone();
    scanner.bump();
    scanner.skip_blanks();
    match scanner.peek() {
        Some(quote @ ('\'' | '"')) => names(scanner, quote),
        Some('0'..='9' | '-' | ':') => positions(scanner),
        Some('*') => {
            scanner.bump();
            scanner.expect("]")?;
            Ok(Segment::Wildcard)
        }
        Some('?') => {
            scanner.bump();
            scanner.expect("(")?;
            let filter = scanner.deeper(condition::condition)?;
            scanner.expect(")")?;
            scanner.expect("]")?;
            Ok(Segment::Filter(Box::new(filter)))
        }
        _ => {
            let position = before.position();
            Err(before.error(format!(
                "Could not parse token starting at position {position}. Expected ?, ', 0-9, * "
            )))
        }
    }
}

fn names(scanner: &mut Scanner<'_>, quote: char) -> Result<Segment, SyntaxError> {
    let mut names = Vec::new();
    loop {
        scanner.skip_blanks();
        if scanner.peek() != Some(quote) {
            let position = scanner.position();
            return Err(scanner.error(format!("Found empty property at index {position}")));
        }
        names.push(Name { text: scanner.quoted()?, quote });
        if scanner.eat_after_blanks("]") {
            break;
        }
        if !scanner.eat_after_blanks(",") {
            let position = scanner.position();
            return Err(scanner.error(format!(
                "Property must be separated by comma or Property must be terminated close square \
                 bracket at index {position}"
            )));
        }
    }
    match names.pop() {
        Some(only) if names.is_empty() => Ok(Segment::Name(only)),
        last => {
            names.extend(last);
            Ok(Segment::Names(names))
        }
    }
}

/// Reads `1`, `0,2` or `1:5`, up to and with the closing bracket.
fn positions(scanner: &mut Scanner<'_>) -> Result<Segment, SyntaxError> {
    let before = scanner.clone();
    let text = scanner.take_while(|letter| letter != ']');
    scanner.expect("]")?;
    let text = text.trim_matches(' ');
    let fail = |what: &str| before.error(format!("Failed to parse {what}: {text}"));
    if text.contains(':') {
        return slice(text).ok_or_else(|| fail("SliceOperation"));
    }
    if !text.bytes().all(|letter| matches!(letter, b'0'..=b'9' | b'-' | b',' | b' ')) {
        return Err(fail("ArrayIndexOperation"));
    }
    let indexes = text.trim_end_matches(',').split(',').map(|index| index.trim_matches(' ').parse().ok());
    match indexes.collect::<Option<Vec<i32>>>().as_deref() {
        None | Some([]) => Err(fail("ArrayIndexOperation")),
        Some([index]) => Ok(Segment::Index(*index)),
        Some(indexes) => Ok(Segment::Indexes(indexes.to_vec())),
    }
}

/// The bounds in `text`. Whatever follows a second colon is read over, as in Jayway.
fn slice(text: &str) -> Option<Segment> {
    if !text.bytes().all(|letter| matches!(letter, b'0'..=b'9' | b'-' | b':')) {
        return None;
    }
    let mut parts = text.split(':');
    let from = bound(parts.next())?;
    let to = bound(parts.next())?;
    (from.is_some() || to.is_some()).then_some(Segment::Slice { from, to })
}

/// A bound that may be left out; `None` if it is there and no number.
fn bound(text: Option<&str>) -> Option<Option<i32>> {
    match text {
        None | Some("") => Some(None),
        Some(number) => number.parse().ok().map(Some),
    }
}
