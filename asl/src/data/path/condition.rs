//! From text to the condition of a filter.
//!
//! ```text
//! or      = and { "||" and }
//! and     = term { "&&" term }
//! term    = "!" term | "(" or ")" | path | "!" path | operand operator operand
//! ```

use super::ast::{Filter, ItemPath, Operand, Operator};
use super::pattern::Pattern;
use super::scanner::Scanner;
use super::{SyntaxError, literal, parser};

/// The longest spelling of an operator, in bytes.
const OPERATOR_BYTES_MAX: usize = 8;

/// Reads alternatives.
pub(super) fn condition(scanner: &mut Scanner<'_>) -> Result<Filter, SyntaxError> {
    let first = conjunction(scanner)?;
    let mut all = vec![first];
    while scanner.eat_after_blanks("||") {
        all.push(conjunction(scanner)?);
    }
    Ok(single_or(all, Filter::Or))
}

fn conjunction(scanner: &mut Scanner<'_>) -> Result<Filter, SyntaxError> {
    let first = term(scanner)?;
    let mut all = vec![first];
    while scanner.eat_after_blanks("&&") {
        all.push(term(scanner)?);
    }
    Ok(single_or(all, Filter::And))
}

fn single_or(mut all: Vec<Filter>, combine: fn(Vec<Filter>) -> Filter) -> Filter {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        last => {
            all.extend(last);
            combine(all)
        }
    }
}

fn term(scanner: &mut Scanner<'_>) -> Result<Filter, SyntaxError> {
    scanner.skip_blanks();
    if scanner.peek() == Some('!') && !negates_path(scanner) {
        scanner.bump();
        let inner = scanner.deeper(term)?;
        return Ok(Filter::Not(Box::new(inner)));
    }
    if scanner.eat("(") {
        let inner = scanner.deeper(condition)?;
        scanner.expect(")")?;
        return Ok(inner);
    }
    expression(scanner)
}

/// Whether the `!` here stands right before a path.
fn negates_path(scanner: &Scanner<'_>) -> bool {
    matches!(scanner.rest()[1..].trim_start_matches(' ').chars().next(), Some('@' | '$'))
}

fn expression(scanner: &mut Scanner<'_>) -> Result<Filter, SyntaxError> {
    let negated = eat_negation(scanner);
    let left = operand(scanner)?;
    if let Some(operator) = operator(scanner) {
        // Jayway knows `!` before a path only as "does not exist": in a comparison it has no effect.
        eat_negation(scanner);
        let right = operand(scanner)?;
        return Ok(Filter::Compare { left, operator, right });
    }
    match left {
        Operand::Path(path) => Ok(Filter::Exists { path, wanted: !negated }),
        Operand::Literal(_) | Operand::Pattern(_) => {
            Err(scanner.error("Expected a comparison: a value alone is no condition"))
        }
    }
}

fn eat_negation(scanner: &mut Scanner<'_>) -> bool {
    scanner.skip_blanks();
    let found = scanner.peek() == Some('!') && negates_path(scanner);
    if found {
        scanner.bump();
        scanner.skip_blanks();
    }
    found
}

/// Reads an operator if there is one. Words end at a blank only.
fn operator(scanner: &mut Scanner<'_>) -> Option<Operator> {
    let mut ahead = scanner.clone();
    ahead.skip_blanks();
    let text = if ahead.peek().is_some_and(is_operator_letter) {
        ahead.take_while(is_operator_letter)
    } else {
        let rest = ahead.rest();
        let length = rest.bytes().take(OPERATOR_BYTES_MAX + 1).position(|letter| letter == b' ')?;
        ahead.advance(length);
        &rest[..length]
    };
    let operator = Operator::of(text)?;
    *scanner = ahead;
    Some(operator)
}

fn is_operator_letter(letter: char) -> bool {
    matches!(letter, '<' | '>' | '=' | '~' | '!')
}

fn operand(scanner: &mut Scanner<'_>) -> Result<Operand, SyntaxError> {
    scanner.skip_blanks();
    match scanner.peek() {
        Some('$' | '@') => item_path(scanner).map(Operand::Path),
        Some('/') => pattern(scanner).map(Operand::Pattern),
        Some('\'' | '"') => scanner.quoted().map(|text| Operand::Literal(text.into())),
        Some('t' | 'f' | 'n') => literal::word(scanner).map(Operand::Literal),
        Some('[' | '{') => literal::json(scanner).map(Operand::Literal),
        _ => literal::plain_number(scanner).map(Operand::Literal),
    }
}

/// Reads a path up to what ends it: a blank, an operator or a parenthesis that is not `()`.
fn item_path(scanner: &mut Scanner<'_>) -> Result<ItemPath, SyntaxError> {
    let before = scanner.clone();
    let from_root = scanner.bump() == Some('$');
    while let Some(letter) = scanner.peek() {
        match letter {
            '[' => scanner.skip_brackets()?,
            ' ' | ')' => break,
            letter if is_operator_letter(letter) => break,
            '(' => {
                scanner.bump();
                scanner.eat_after_blanks(")");
            }
            _ => {
                scanner.bump();
            }
        }
    }
    let route = parser::route_in(before.part(before.position() + 1, scanner.position())?)?;
    Ok(ItemPath { from_root, route })
}

/// Reads a regular expression between slashes and the letters behind it.
fn pattern(scanner: &mut Scanner<'_>) -> Result<Pattern, SyntaxError> {
    let before = scanner.clone();
    scanner.bump();
    let begin = scanner.position();
    loop {
        match scanner.peek() {
            None => return Err(before.error("Pattern not closed. Expected /")),
            Some('/') => break,
            Some('\\') => {
                scanner.bump();
                scanner.bump();
            }
            Some(_) => {
                scanner.bump();
            }
        }
    }
    let source = scanner.since(begin);
    scanner.bump();
    let flags = scanner.take_while(|letter| letter.is_ascii_alphabetic());
    Pattern::new(source, flags, before.position())
}
