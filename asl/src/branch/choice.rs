//! `Choice`: goes where the first rule that holds says.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::turn::Turn;
use crate::data::path::{Path, ReferencePath};
use crate::data::random::Random;
use crate::data::timestamp::Timestamp;
use crate::data::{DataFlow, Failure, Problem, Scope};
use crate::program::{
    Choice, Comparison, Condition, Next, Operand, Order, Rule, StringPattern, TypeTest, Way,
};

impl Turn<'_> {
    /// Tries the rules from top to bottom.
    pub(super) fn choose(&mut self, choice: &Choice) -> Result<(), Problem> {
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let effective = self.effective_input(&raw, &context)?.into_owned();
        self.state().flow.note_input(&effective, &mut self.steps);
        let scope = Scope::new(&effective, &context);
        for (place, rule) in choice.rules.iter().enumerate() {
            if holds(&rule.condition, scope, &mut self.random)? {
                return self.follow(place, rule, effective);
            }
        }
        let Some(next) = choice.default else {
            return Err(Failure::runtime(
                "Failed to transition out of the state. The state does not point to a next state.",
            )
            .into());
        };
        self.exit_with_input(effective, (Way::Default, Next::State(next)))
    }

    /// Goes where a rule leads. Its `Assign` and `Output` stand for those of the state, which are the default's.
    fn follow(&mut self, place: usize, rule: &Rule, effective: Value) -> Result<(), Problem> {
        let context = self.context();
        let scope = Scope::new(&effective, &context);
        let assigned = self.assigned(rule.assign.as_ref(), scope)?;
        let output = match (&rule.output, &self.state().flow) {
            (Some(output), _) => output.evaluate(scope, &mut self.random)?,
            (None, DataFlow::Jsonata(_)) => effective,
            (None, flow @ DataFlow::JsonPath(_)) => flow.output_of(effective, &context, &mut self.random)?,
        };
        let after = self.branch.last.clone();
        self.exit(output, assigned, (Way::Rule(place), Next::State(rule.next)), after)
    }
}

/// Whether a condition holds. Its depth is bounded by that of the definition's JSON.
fn holds(condition: &Condition, scope: Scope<'_>, random: &mut Random) -> Result<bool, Problem> {
    match condition {
        Condition::Literal(holds) => Ok(*holds),
        Condition::Expression(expression) => {
            let value = expression.evaluate(scope, random)?;
            value.as_bool().ok_or_else(|| expression.unexpected("boolean", &value))
        }
        Condition::Not(inner) => holds(inner, scope, random).map(|held| !held),
        Condition::And(all) => {
            for inner in all {
                if !holds(inner, scope, random)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Condition::Or(any) => {
            for inner in any {
                if holds(inner, scope, random)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Condition::Test { variable, comparison: Comparison::IsPresent(expected) } => {
            Ok(scope.read(variable).is_ok() == *expected)
        }
        Condition::Test { variable, comparison } => {
            let value = read(variable, scope)?;
            Ok(compare(&value, comparison, scope)?)
        }
    }
}

fn read<'a>(path: &Path, scope: Scope<'a>) -> Result<Cow<'a, Value>, Failure> {
    scope.read(path).map_err(|_| {
        Failure::runtime(format!(
            "Invalid path '{}': The choice state's condition path references an invalid value.",
            path.text()
        ))
    })
}

/// A value of another type than the operator's makes the rule false, not an error.
fn compare(value: &Value, comparison: &Comparison, scope: Scope<'_>) -> Result<bool, Failure> {
    Ok(match comparison {
        Comparison::String(order, operand) => {
            let with = text(operand, scope)?;
            match (value.as_str(), with.as_deref()) {
                (Some(value), Some(with)) => order.accepts(value.encode_utf16().cmp(with.encode_utf16())),
                (_, _) => false,
            }
        }
        Comparison::Numeric(order, operand) => {
            let with = match operand {
                Operand::Literal(number) => number.as_f64(),
                Operand::Path(path) => read(path.path(), scope)?.as_f64(),
            };
            match (value.as_f64(), with) {
                (Some(value), Some(with)) => {
                    value.partial_cmp(&with).is_some_and(|ordering| order.accepts(ordering))
                }
                (_, _) => false,
            }
        }
        Comparison::Boolean(operand) => {
            let with = match operand {
                Operand::Literal(boolean) => Some(*boolean),
                Operand::Path(path) => read(path.path(), scope)?.as_bool(),
            };
            with.is_some() && value.as_bool() == with
        }
        Comparison::Timestamp(order, operand) => {
            let with = match operand {
                Operand::Literal(timestamp) => Some(*timestamp),
                Operand::Path(path) => {
                    let found = read(path.path(), scope)?;
                    timestamp(&found)
                }
            };
            match (timestamp(value), with) {
                (Some(value), Some(with)) => order.accepts(value.cmp(&with)),
                (_, _) => false,
            }
        }
        Comparison::Matches(pattern) => value.as_str().is_some_and(|text| pattern.matches(text)),
        Comparison::Is(test, expected) => is(*test, value) == *expected,
        Comparison::IsPresent(expected) => *expected,
    })
}

fn text<'a>(operand: &'a Operand<String>, scope: Scope<'a>) -> Result<Option<Cow<'a, str>>, Failure> {
    match operand {
        Operand::Literal(text) => Ok(Some(Cow::Borrowed(text))),
        Operand::Path(path) => text_at(path, scope),
    }
}

fn text_at<'a>(path: &ReferencePath, scope: Scope<'a>) -> Result<Option<Cow<'a, str>>, Failure> {
    Ok(match read(path.path(), scope)? {
        Cow::Borrowed(value) => value.as_str().map(Cow::Borrowed),
        Cow::Owned(value) => value.as_str().map(|text| Cow::Owned(text.to_owned())),
    })
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(Timestamp::parse)
}

fn is(test: TypeTest, value: &Value) -> bool {
    match test {
        TypeTest::Null => value.is_null(),
        TypeTest::Numeric => value.is_number(),
        TypeTest::String => value.is_string(),
        TypeTest::Boolean => value.is_boolean(),
        TypeTest::Timestamp => timestamp(value).is_some(),
    }
}

impl Order {
    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Order::Equals => ordering.is_eq(),
            Order::LessThan => ordering.is_lt(),
            Order::GreaterThan => ordering.is_gt(),
            Order::LessThanEquals => ordering.is_le(),
            Order::GreaterThanEquals => ordering.is_ge(),
        }
    }
}

impl StringPattern {
    /// Whether the whole text matches. Each piece is looked for once from where the last one ended, so
    /// the time is linear in the text for each piece.
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else {
            return self.pieces.first().is_some_and(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for piece in middle {
            let Some(at) = rest.find(piece.as_str()) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        let cases: [(&[&str], &str, bool); 9] = [
            (&["foo", ".log"], "foo23.log", true),
            (&["foo", ".log"], "foo.log", true),
            (&["foo", ".log"], "afoo.log", false),
            (&["foo", "b", ""], "fooxbx", true),
            (&["foo"], "foo", true),
            (&["foo"], "foox", false),
            (&["", ""], "", true),
            (&["ab", "ab"], "ab", false),
            (&["", "a", "a", ""], "xaxa", true),
        ];
        for (pieces, text, expected) in cases {
            let pattern = StringPattern { pieces: pieces.iter().map(|&piece| piece.to_owned()).collect() };
            assert_eq!(pattern.matches(text), expected, "{pieces:?} {text}");
        }
    }
}
