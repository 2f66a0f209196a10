//! What one field must be: the alternatives of one list of a pattern, and whether a value is one of them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Number, Value};

use super::address::{self, Network};
use super::number::{Millionths, same};
use super::wildcard::Wildcard;

/// The alternatives of one list. A field meets it if any of its values is one of them, or if it is absent and
/// may be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Condition {
    /// `{"exists": false}` is among them.
    pub(super) allows_absence: bool,
    /// `{"exists": true}`: any value will do.
    any: bool,
    null: bool,
    yes: bool,
    no: bool,
    texts: BTreeSet<String>,
    numbers: BTreeSet<Millionths>,
    /// Numbers without a place in the order; equal only to themselves.
    odd_numbers: Vec<Number>,
    /// Texts that are addresses: other spellings of them match, too.
    addresses: BTreeSet<IpAddr>,
    tests: Vec<Test>,
}

/// One element of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Alternative {
    /// The value itself.
    Null,
    /// The value itself.
    Bool(bool),
    /// The value itself, however it is spelled.
    Number(Number),
    /// The value itself.
    Text(String),
    /// `{"exactly": "10.0.0.1"}`: this spelling alone.
    Exactly(String),
    /// `{"exists": true}` or false.
    Exists(bool),
    /// Any other test.
    Test(Test),
}

/// A test of a value that is there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Of a text.
    Text(TextTest),
    /// `{"numeric": […]}`.
    Range(Range),
    /// `{"cidr": …}`.
    Network(Network),
    /// `{"anything-but": …}` texts; numbers, `null`, `true` and `false` pass, too.
    NoneOfTexts(Vec<TextTest>),
    /// `{"anything-but": …}` numbers; what is no number passes, too.
    NoneOfNumbers(BTreeSet<Millionths>),
}

/// A test that only texts can pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TextTest {
    Equals(String),
    Prefix(String),
    Suffix(String),
    EqualsIgnoringCase(String),
    PrefixIgnoringCase(String),
    SuffixIgnoringCase(String),
    Wildcard(Wildcard),
}

/// An interval of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Range {
    pub(super) bottom: Option<Bound>,
    pub(super) top: Option<Bound>,
}

/// One end of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) at: Millionths,
    /// Whether the end belongs to it.
    pub(super) closed: bool,
}

impl Condition {
    pub(super) fn add(&mut self, alternative: Alternative) {
        match alternative {
            Alternative::Null => self.null = true,
            Alternative::Bool(true) => self.yes = true,
            Alternative::Bool(false) => self.no = true,
            Alternative::Exists(true) => self.any = true,
            Alternative::Exists(false) => self.allows_absence = true,
            Alternative::Exactly(text) => {
                self.texts.insert(text);
            }
            Alternative::Text(text) => {
                self.addresses.extend(address::parse(&text));
                self.texts.insert(text);
            }
            Alternative::Number(number) => match Millionths::of(&number) {
                Some(number) => {
                    self.numbers.insert(number);
                }
                None => self.odd_numbers.push(number),
            },
            Alternative::Test(test) => self.tests.push(test),
        }
    }

    /// Whether a scalar is one of the alternatives.
    pub(super) fn is_met_by(&self, scalar: &Value) -> bool {
        self.any || self.has(scalar) || self.tests.iter().any(|test| test.passes(scalar))
    }

    fn has(&self, scalar: &Value) -> bool {
        match scalar {
            Value::Null => self.null,
            Value::Bool(true) => self.yes,
            Value::Bool(false) => self.no,
            Value::Number(number) => match Millionths::of(number) {
                Some(number) => self.numbers.contains(&number),
                None => self.odd_numbers.iter().any(|odd| same(odd, number)),
            },
            Value::String(text) => {
                let is_address = || address::parse(text).is_some_and(|text| self.addresses.contains(&text));
                self.texts.contains(text) || !self.addresses.is_empty() && is_address()
            }
            Value::Array(_) | Value::Object(_) => false,
        }
    }
}

impl Test {
    fn passes(&self, scalar: &Value) -> bool {
        match self {
            Test::Text(test) => scalar.as_str().is_some_and(|text| test.passes(text)),
            Test::Network(network) => scalar.as_str().is_some_and(|text| network.contains(text)),
            Test::Range(range) => order(scalar).is_some_and(|number| range.contains(number)),
            Test::NoneOfTexts(tests) => {
                scalar.as_str().is_none_or(|text| !tests.iter().any(|test| test.passes(text)))
            }
            Test::NoneOfNumbers(numbers) => order(scalar).is_none_or(|number| !numbers.contains(&number)),
        }
    }
}

fn order(scalar: &Value) -> Option<Millionths> {
    scalar.as_number().and_then(Millionths::of)
}

impl TextTest {
    fn passes(&self, text: &str) -> bool {
        match self {
            TextTest::Equals(other) => text == other,
            TextTest::Prefix(prefix) => text.starts_with(prefix.as_str()),
            TextTest::Suffix(suffix) => text.ends_with(suffix.as_str()),
            TextTest::EqualsIgnoringCase(other) => lower(text).eq(lower(other)),
            TextTest::PrefixIgnoringCase(prefix) => begins(lower(text), lower(prefix)),
            TextTest::SuffixIgnoringCase(suffix) => begins(lower(text).rev(), lower(suffix).rev()),
            TextTest::Wildcard(wildcard) => wildcard.matches(text),
        }
    }
}

/// A text's lower case, character by character, as event-ruler compares.
fn lower(text: &str) -> impl DoubleEndedIterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

fn begins(mut text: impl Iterator<Item = char>, mut with: impl Iterator<Item = char>) -> bool {
    with.all(|character| text.next() == Some(character))
}

impl Range {
    fn contains(&self, number: Millionths) -> bool {
        let above = |bound: Bound| bound.at < number || bound.closed && bound.at == number;
        let below = |bound: Bound| number < bound.at || bound.closed && bound.at == number;
        self.bottom.is_none_or(above) && self.top.is_none_or(below)
    }
}
