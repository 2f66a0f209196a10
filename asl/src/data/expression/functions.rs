//! The functions that AWS adds to JSONata, and `$distinct`, which the library makes in quadratic time.
//!
//! Each takes its arguments as JSON, `None` where one is undefined, and answers the same. An undefined first
//! argument makes an undefined result, as everywhere in JSONata.

use std::collections::BTreeSet;

use jlens_core::Error;
use serde_json::{Map, Value};

use crate::data::intrinsic::digest;
use crate::data::json;
use crate::data::random::{JavaRandom, Random};

/// Most elements of an array that `$range` makes, or a range of the language.
pub(super) const RANGE_ELEMENTS_MAX: usize = 100_000;

/// What a function answers: nothing is undefined, an error is its text.
pub(super) type Answer = Result<Option<Value>, String>;

/// `$partition(array, size)`: chunks of the size, the last one possibly shorter.
pub(super) fn partition(arguments: &[Option<Value>]) -> Answer {
    let [Some(array), size] = arguments else { return Ok(None) };
    let size = integer("partition", 2, size.as_ref())?;
    let size = usize::try_from(size).ok().filter(|size| *size > 0);
    let size = size.ok_or("The second argument of function \"partition\" must be a positive number")?;
    let chunks = match array {
        Value::Array(elements) => elements.chunks(size).map(|chunk| Value::Array(chunk.to_vec())).collect(),
        single => vec![Value::Array(vec![single.clone()])],
    };
    Ok(Some(Value::Array(chunks)))
}

/// `$range(start, end, step)`: from the first to the last number, both included.
pub(super) fn range(arguments: &[Option<Value>]) -> Answer {
    let [Some(start), Some(end), step] = arguments else { return Ok(None) };
    let start = integer("range", 1, Some(start))?;
    let end = integer("range", 2, Some(end))?;
    let step = integer("range", 3, step.as_ref())?;
    if step == 0 {
        return Err("The third argument of function \"range\" must not be zero".to_owned());
    }
    let distance = i128::from(end) - i128::from(start);
    let steps = distance / i128::from(step);
    if distance.signum() * i128::from(step.signum()) < 0 {
        return Ok(Some(Value::Array(Vec::new())));
    }
    let length = usize::try_from(steps).unwrap_or(usize::MAX);
    if length >= RANGE_ELEMENTS_MAX {
        return Err(too_long());
    }
    let elements = (0..=length as i64).map(|at| Value::from(start + at * step)).collect();
    Ok(Some(Value::Array(elements)))
}

/// A range of the language, `from..to`, before it is made.
pub(super) enum Span {
    /// It is undefined.
    Nothing,
    /// So many numbers from the first on.
    Numbers(i64, usize),
}

impl Span {
    /// Checks the two sides as the language does.
    pub(super) fn of(arguments: &[Option<Value>], elements_max: usize) -> Result<Span, Error> {
        let side = |at: usize, code: &str| match arguments.get(at) {
            Some(Some(value)) => match value.as_f64().filter(|number| number.fract() == 0.0) {
                Some(number) => Ok(Some(number)),
                None => Err(Error::new(code).with("value", value.clone())),
            },
            Some(None) | None => Ok(None),
        };
        let (Some(from), Some(to)) = (side(0, "T2003")?, side(1, "T2004")?) else { return Ok(Span::Nothing) };
        if from > to {
            return Ok(Span::Nothing);
        }
        let length = to - from + 1.0;
        if length > elements_max as f64 {
            return Err(Error::new("D2014").with("value", length));
        }
        Ok(Span::Numbers(from as i64, length as usize))
    }

    /// How many elements it has.
    pub(super) fn elements(&self) -> usize {
        match self {
            Span::Nothing => 0,
            Span::Numbers(_, length) => *length,
        }
    }

    /// The array.
    pub(super) fn value(self) -> Option<Value> {
        match self {
            Span::Nothing => None,
            Span::Numbers(from, length) => Some((from..).take(length).map(Value::from).collect()),
        }
    }
}

/// What a range says that would be too long.
fn too_long() -> String {
    format!(
        "Expression evaluation memory limit exceeded: an array must not have more than {RANGE_ELEMENTS_MAX} elements"
    )
}

/// `$hash(text, algorithm)`: lower-case hexadecimal.
pub(super) fn hash(arguments: &[Option<Value>]) -> Answer {
    let [Some(text), algorithm] = arguments else { return Ok(None) };
    let text = text.as_str().ok_or_else(|| wrong_type("hash", 1))?;
    let algorithm = algorithm.as_ref().and_then(Value::as_str).ok_or_else(|| wrong_type("hash", 2))?;
    let hash = digest(text, algorithm).ok_or(
        "The second argument of function \"hash\" must be one of MD5, SHA-1, SHA-256, SHA-384, SHA-512",
    )?;
    Ok(Some(Value::String(hash)))
}

/// `$parse(text)`: the JSON in it.
pub(super) fn parse(arguments: &[Option<Value>]) -> Answer {
    let [Some(text)] = arguments else { return Ok(None) };
    let text = text.as_str().ok_or_else(|| wrong_type("parse", 1))?;
    json::parse(text)
        .map(Some)
        .map_err(|error| format!("The argument of function \"parse\" is not JSON: {error}"))
}

/// `$random([seed])`: in `[0, 1)`; with a seed, what `java.util.Random` gives first, as AWS does.
pub(super) fn random(arguments: &[Option<Value>], random: &mut Random) -> Answer {
    let number = match arguments.first() {
        Some(Some(seed)) => JavaRandom::new(integer("random", 1, Some(seed))?).next_f64(),
        Some(None) | None => random.unit_f64(),
    };
    Ok(Some(Value::from(number)))
}

/// How long a text `$replace(text, pattern, replacement)` may make, at most. A pattern that is a regular expression is
/// none of the arguments, and neither is a replacement that is a function.
pub(super) fn replaced_bytes(arguments: &[Option<Value>]) -> usize {
    let text = |at: usize| arguments.get(at).and_then(Option::as_ref).and_then(Value::as_str);
    let Some(whole) = text(0) else { return 0 };
    let replacement = text(2).map_or(0, str::len);
    match text(1) {
        Some("") | None => {
            // Each `$0` in it stands for what was found; what is found does not overlap.
            let references = text(2).map_or(0, |text| text.matches('$').count());
            let places = whole.len().saturating_add(1);
            places.saturating_mul(replacement).saturating_add(references.saturating_mul(whole.len()))
        }
        Some(pattern) => {
            let count = whole.matches(pattern).count();
            whole.len().saturating_add(count.saturating_mul(replacement))
        }
    }
}

/// `$distinct(array)`: each value once, in the order of the first occurrences.
pub(super) fn distinct(elements: &[Value]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    elements.iter().filter(|element| seen.insert(canonical(element))).cloned().collect()
}

/// The same text for values that JSONata takes for equal: members in any order, numbers by value.
fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(elements) => elements.iter().map(sorted).collect(),
            Value::Object(members) => {
                let mut names: Vec<&String> = members.keys().collect();
                names.sort_unstable();
                names
                    .into_iter()
                    .map(|name| (name.clone(), sorted(&members[name])))
                    .collect::<Map<_, _>>()
                    .into()
            }
            Value::Number(number) => number.as_f64().map_or_else(|| value.clone(), Value::from),
            Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
        }
    }
    sorted(value).to_string()
}

/// An argument as an integer; fractions are cut downwards, as AWS's documentation says.
fn integer(function: &str, place: u8, argument: Option<&Value>) -> Result<i64, String> {
    let number = argument.and_then(Value::as_f64).ok_or_else(|| wrong_type(function, place))?;
    Ok(number.floor() as i64)
}

/// JSONata's own words for an argument of another type (T0410).
fn wrong_type(function: &str, place: u8) -> String {
    format!("Argument {place} of function \"{function}\" does not match function signature")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(answer: Answer, expected: Value) {
        assert_eq!(answer, Ok(Some(expected)));
    }

    fn given(values: Value) -> Vec<Option<Value>> {
        values.as_array().unwrap().iter().cloned().map(Some).collect()
    }

    #[test]
    fn arrays_are_cut_and_made() {
        check(partition(&given(json!([[1, 2, 3], 2]))), json!([[1, 2], [3]]));
        check(partition(&given(json!([[1, 2, 3], 2.9]))), json!([[1, 2], [3]]));
        check(partition(&given(json!([[], 2]))), json!([]));
        check(partition(&given(json!([1, 2]))), json!([[1]]));
        assert!(partition(&given(json!([[1], 0]))).is_err());
        assert_eq!(partition(&[None, Some(json!(2))]), Ok(None));
        check(range(&given(json!([1, 9, 2]))), json!([1, 3, 5, 7, 9]));
        check(range(&given(json!([3, 1, -1]))), json!([3, 2, 1]));
        check(range(&given(json!([1, 0, 1]))), json!([]));
        check(range(&given(json!([1.9, 3.2, 1.5]))), json!([1, 2, 3]));
        assert!(range(&given(json!([1, 2, 0]))).is_err());
        assert!(range(&given(json!([1, 1e9, 1]))).is_err());
        assert!(range(&given(json!([-9e18, 9e18, 1]))).is_err());
    }

    #[test]
    fn texts_are_hashed_and_read() {
        check(hash(&given(json!(["a", "MD5"]))), json!("0cc175b9c0f1b6a831c399e269772661"));
        assert!(hash(&given(json!(["a", "CRC"]))).is_err());
        check(parse(&given(json!(["{\"a\":[1]}"]))), json!({"a": [1]}));
        assert!(parse(&given(json!(["{"]))).is_err());
        let mut source = Random::from_seed([1; 32]);
        check(random(&given(json!([42])), &mut source), json!(0.727_563_680_032_868_1));
    }

    #[test]
    fn equal_values_are_kept_once() {
        let values =
            [json!({"a": 1, "b": [1.0]}), json!({"b": [1], "a": 1.0}), json!("1"), json!(1), json!(1.0)];
        assert_eq!(distinct(&values), [json!({"a": 1, "b": [1.0]}), json!("1"), json!(1)]);
    }
}
