//! Reads the elements of a list: plain values, and objects such as `{"prefix": "a"}`.
//!
//! The reasons are those of event-ruler's `JsonRuleCompiler`, as recorded from EventBridge where recordings
//! are known.

use super::address::Network;
use super::condition::{Alternative, Bound, Range, Test, TextTest};
use super::error::PatternError;
use super::number::Millionths;
use super::source::Source;
use super::wildcard::Wildcard;

const ONE_KEY: &str = "Only one key allowed in match expression";
const TOO_MANY: &str = "Too many elements in numeric expression";

/// Reads one element of a list.
pub(super) fn alternative(source: &Source) -> Result<Alternative, PatternError> {
    Ok(match source {
        Source::Null => Alternative::Null,
        Source::Bool(value) => Alternative::Bool(*value),
        Source::Number(number) => Alternative::Number(number.clone()),
        Source::String(text) => Alternative::Text(text.clone()),
        Source::Array(_) => {
            return Err(PatternError::new("Match value must be String, number, true, false, or null"));
        }
        Source::Object(members) => expression(members)?,
    })
}

/// `{"<name>": <operand>}`.
fn expression(members: &[(String, Source)]) -> Result<Alternative, PatternError> {
    let Some((name, operand)) = members.first() else {
        return Err(PatternError::new("Match expression name not found"));
    };
    let (alternative, surplus) = match name.as_str() {
        "exactly" => (Alternative::Exactly(string(operand, "exact")?), ONE_KEY),
        "prefix" => (text(end_of_text(operand, "prefix", "Prefix")?), ONE_KEY),
        "suffix" => (text(end_of_text(operand, "suffix", "Suffix")?), ONE_KEY),
        "equals-ignore-case" => {
            (text(TextTest::EqualsIgnoringCase(string(operand, "equals-ignore-case")?)), ONE_KEY)
        }
        "wildcard" => (text(TextTest::Wildcard(wildcard(&string(operand, "wildcard")?)?)), ONE_KEY),
        // AWS's own slip: the reason speaks of a prefix.
        "cidr" => (network(&string(operand, "prefix")?)?, ONE_KEY),
        "exists" => (exists(operand)?, ONE_KEY),
        "numeric" => (numeric(operand)?, TOO_MANY),
        "anything-but" => (anything_but(operand)?, TOO_MANY),
        _ => return Err(PatternError::new(format!("Unrecognized match type {name}"))),
    };
    if members.len() > 1 {
        return Err(PatternError::new(surplus));
    }
    Ok(alternative)
}

fn text(test: TextTest) -> Alternative {
    Alternative::Test(Test::Text(test))
}

/// An operand that must be a string.
fn string(operand: &Source, what: &str) -> Result<String, PatternError> {
    match operand {
        Source::String(text) => Ok(text.clone()),
        _ => Err(PatternError::new(format!("{what} match pattern must be a string"))),
    }
}

fn wildcard(text: &str) -> Result<Wildcard, PatternError> {
    Wildcard::parse(text).map_err(PatternError::new)
}

fn network(text: &str) -> Result<Alternative, PatternError> {
    Ok(Alternative::Test(Test::Network(Network::parse(text).map_err(PatternError::new)?)))
}

fn exists(operand: &Source) -> Result<Alternative, PatternError> {
    match operand {
        Source::Bool(value) => Ok(Alternative::Exists(*value)),
        _ => Err(PatternError::new("exists match pattern must be either true or false.")),
    }
}

/// The operand of `prefix` or `suffix`: a string, or `{"equals-ignore-case": …}`.
fn end_of_text(operand: &Source, word: &str, title: &str) -> Result<TextTest, PatternError> {
    let is_prefix = word == "prefix";
    let Source::Object(members) = operand else {
        let text = string(operand, word)?;
        return Ok(if is_prefix { TextTest::Prefix(text) } else { TextTest::Suffix(text) });
    };
    let Some((name, operand)) = members.first() else {
        return Err(PatternError::new(format!("{title} expression name not found")));
    };
    if name != "equals-ignore-case" {
        return Err(PatternError::new(format!("Unsupported {word} pattern: {name}")));
    }
    let text = string(operand, "equals-ignore-case")?;
    if members.len() > 1 {
        return Err(PatternError::new(ONE_KEY));
    }
    Ok(if is_prefix { TextTest::PrefixIgnoringCase(text) } else { TextTest::SuffixIgnoringCase(text) })
}

/// `["=", 5]`, `[">", 0, "<=", 5]`.
fn numeric(operand: &Source) -> Result<Alternative, PatternError> {
    let Source::Array(terms) = operand else {
        return Err(PatternError::new("Value of numeric must be an array."));
    };
    let operator = match terms.first() {
        Some(Source::String(operator)) => operator.as_str(),
        other => {
            let token = other.map_or_else(|| "]".to_owned(), Source::token);
            return Err(PatternError::new(format!("Invalid member in numeric match: {token}")));
        }
    };
    let closed = matches!(operator, ">=" | "<=" | "=");
    let shown = match operator {
        "=" => "equals",
        ">" | ">=" | "<" | "<=" => operator,
        _ => return Err(PatternError::new(format!("Unrecognized numeric range operator: {operator}"))),
    };
    let bound = Bound { at: operand_of(terms.get(1), shown)?, closed };
    let rest = terms.get(2..).unwrap_or_default();
    let range = match operator {
        ">" | ">=" if !rest.is_empty() => between(bound, rest)?,
        _ if !rest.is_empty() => return Err(PatternError::new(TOO_MANY)),
        ">" | ">=" => Range { bottom: Some(bound), top: None },
        "<" | "<=" => Range { bottom: None, top: Some(bound) },
        _ => Range { bottom: Some(bound), top: Some(bound) },
    };
    Ok(Alternative::Test(Test::Range(range)))
}

/// The second half of `[">", 0, "<=", 5]`.
fn between(bottom: Bound, terms: &[Source]) -> Result<Range, PatternError> {
    let operator = match terms.first() {
        Some(Source::String(operator)) => operator.as_str(),
        other => {
            let token = other.map(Source::token).unwrap_or_default();
            return Err(PatternError::new(format!("Bad value in numeric range: {token}")));
        }
    };
    if !matches!(operator, "<" | "<=") {
        return Err(PatternError::new(format!("Bad numeric range operator: {operator}")));
    }
    let top = Bound { at: operand_of(terms.get(1), operator)?, closed: operator == "<=" };
    if terms.len() > 2 {
        return Err(PatternError::new("Too many terms in numeric range expression"));
    }
    if bottom.at >= top.at {
        return Err(PatternError::new("Bottom must be less than top"));
    }
    Ok(Range { bottom: Some(bottom), top: Some(top) })
}

fn operand_of(term: Option<&Source>, operator: &str) -> Result<Millionths, PatternError> {
    match term {
        Some(Source::Number(number)) => Millionths::required(number).map_err(PatternError::new),
        _ => Err(PatternError::new(format!("Value of {operator} must be numeric"))),
    }
}

/// A value, a list of them, or one of the tests that can be turned round.
fn anything_but(operand: &Source) -> Result<Alternative, PatternError> {
    let test = match operand {
        Source::Object(members) => {
            let Some((name, operand)) = members.first() else {
                return Err(PatternError::new("Anything-But expression name not found"));
            };
            let kind = Turned::of(name)?;
            let tests = turned(operand, kind)?;
            if members.len() > 1 {
                return Err(PatternError::new(TOO_MANY));
            }
            Test::NoneOfTexts(tests)
        }
        Source::String(text) => Test::NoneOfTexts(vec![TextTest::Equals(text.clone())]),
        Source::Number(number) => {
            Test::NoneOfNumbers([Millionths::required(number).map_err(PatternError::new)?].into())
        }
        Source::Array(items) => none_of(items)?,
        Source::Null | Source::Bool(_) => return Err(not_a_value()),
    };
    Ok(Alternative::Test(test))
}

fn not_a_value() -> PatternError {
    PatternError::new("Value of anything-but must be an array or single string/number value.")
}

/// A list of strings or a list of numbers.
fn none_of(items: &[Source]) -> Result<Test, PatternError> {
    let (mut texts, mut numbers) = (Vec::new(), std::collections::BTreeSet::new());
    for item in items {
        match item {
            Source::String(text) => texts.push(TextTest::Equals(text.clone())),
            Source::Number(number) => {
                numbers.insert(Millionths::required(number).map_err(PatternError::new)?);
            }
            _ => {
                return Err(PatternError::new(
                    "Inside anything but list, start|null|boolean is not supported.",
                ));
            }
        }
    }
    match (texts.is_empty(), numbers.is_empty()) {
        (false, true) => Ok(Test::NoneOfTexts(texts)),
        (true, false) => Ok(Test::NoneOfNumbers(numbers)),
        _ => Err(PatternError::new(
            "Inside anything but list, either all values are number or string, mixed type is not supported",
        )),
    }
}

/// The tests that `anything-but` turns round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turned {
    Prefix,
    Suffix,
    IgnoreCase,
    Wildcard,
}

impl Turned {
    fn of(name: &str) -> Result<Turned, PatternError> {
        Ok(match name {
            "prefix" => Turned::Prefix,
            "suffix" => Turned::Suffix,
            "equals-ignore-case" => Turned::IgnoreCase,
            "wildcard" => Turned::Wildcard,
            _ => return Err(PatternError::new(format!("Unsupported anything-but pattern: {name}"))),
        })
    }

    fn test(self, text: &str) -> Result<TextTest, PatternError> {
        Ok(match self {
            Turned::Prefix | Turned::Suffix if text.is_empty() => {
                return Err(PatternError::new("Null prefix/suffix not allowed"));
            }
            Turned::Prefix => TextTest::Prefix(text.to_owned()),
            Turned::Suffix => TextTest::Suffix(text.to_owned()),
            Turned::IgnoreCase => TextTest::EqualsIgnoringCase(text.to_owned()),
            Turned::Wildcard => TextTest::Wildcard(wildcard(text)?),
        })
    }

    fn not_a_string(self) -> PatternError {
        PatternError::new(match self {
            Turned::IgnoreCase => {
                "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."
            }
            Turned::Wildcard => "wildcard match pattern must be a string",
            Turned::Prefix | Turned::Suffix => "prefix/suffix match pattern must be a string",
        })
    }
}

/// One string or a list of them, for a test that is turned round.
fn turned(operand: &Source, kind: Turned) -> Result<Vec<TextTest>, PatternError> {
    match operand {
        Source::String(text) => Ok(vec![kind.test(text)?]),
        Source::Number(_) => Err(kind.not_a_string()),
        Source::Array(items) if items.is_empty() => Err(PatternError::new("Empty arrays are not allowed")),
        Source::Array(items) => items
            .iter()
            .map(|item| match item {
                Source::String(text) => kind.test(text),
                _ => Err(kind.not_a_string()),
            })
            .collect(),
        Source::Null | Source::Bool(_) | Source::Object(_) => Err(not_a_value()),
    }
}
