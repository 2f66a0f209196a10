//! Evaluation: arguments first, from left to right, then the function; all on one budget of bytes.

use std::fmt;
use std::io;

use serde_json::Value;

use super::{Argument, Call, Function, OUTPUT_BYTES_MAX, array, encoding, math, text};
use crate::data::random::Random;

/// The arguments do not suit the function. The detail is what AWS adds, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) detail: &'static str,
}

/// Arguments that do not suit the function, told as tersely as AWS does.
pub(super) const INVALID: Invalid = Invalid { detail: "" };

/// Why there is no value; displays as the end of the cause.
pub(super) enum Failure {
    Unresolved(String),
    Arguments(Function, Invalid),
    TooLarge,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(reason) => formatter.write_str(reason),
            Self::Arguments(function, invalid) => {
                write!(formatter, "Invalid arguments in {function}{}", invalid.detail)
            }
            Self::TooLarge => {
                write!(formatter, "The arguments and results exceed {OUTPUT_BYTES_MAX} bytes")
            }
        }
    }
}

/// The value of `call`.
pub(super) fn evaluate<P>(
    call: &Call<P>,
    resolve: &mut dyn FnMut(&P) -> Result<Value, String>,
    random: &mut Random,
) -> Result<Value, Failure> {
    Evaluation { resolve, random, bytes_left: OUTPUT_BYTES_MAX }.call(call)
}

struct Evaluation<'a, P> {
    resolve: &'a mut dyn FnMut(&P) -> Result<Value, String>,
    random: &'a mut Random,
    bytes_left: usize,
}

impl<P> Evaluation<'_, P> {
    fn call(&mut self, call: &Call<P>) -> Result<Value, Failure> {
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            arguments.push(self.argument(argument)?);
        }
        let value = apply(call.function, arguments, self.random)
            .map_err(|invalid| Failure::Arguments(call.function, invalid))?;
        self.charge(value)
    }

    fn argument(&mut self, argument: &Argument<P>) -> Result<Value, Failure> {
        match argument {
            Argument::Literal(value) => self.charge(value.clone()),
            Argument::Path(path) => {
                let value = (self.resolve)(path).map_err(Failure::Unresolved)?;
                self.charge(value)
            }
            Argument::Call(call) => self.call(call),
        }
    }

    fn charge(&mut self, value: Value) -> Result<Value, Failure> {
        self.bytes_left = self.bytes_left.checked_sub(json_bytes(&value)).ok_or(Failure::TooLarge)?;
        Ok(value)
    }
}

fn apply(function: Function, arguments: Vec<Value>, random: &mut Random) -> Result<Value, Invalid> {
    match function {
        Function::Format => text::format(&arguments),
        Function::StringToJson => text::string_to_json(exactly(arguments)?),
        Function::JsonToString => text::json_to_string(exactly(arguments)?),
        Function::StringSplit => text::string_split(exactly(arguments)?),
        Function::JsonMerge => text::json_merge(exactly(arguments)?),
        Function::Array => Ok(Value::Array(arguments)),
        Function::ArrayPartition => array::partition(exactly(arguments)?),
        Function::ArrayContains => array::contains(exactly(arguments)?),
        Function::ArrayRange => array::range(exactly(arguments)?),
        Function::ArrayGetItem => array::get_item(exactly(arguments)?),
        Function::ArrayLength => array::length(exactly(arguments)?),
        Function::ArrayUnique => array::unique(exactly(arguments)?),
        Function::Base64Encode => encoding::base64_encode(exactly(arguments)?),
        Function::Base64Decode => encoding::base64_decode(exactly(arguments)?),
        Function::Hash => encoding::hash(exactly(arguments)?),
        Function::MathAdd => math::add(exactly(arguments)?),
        Function::MathRandom => math::random(&arguments, random),
        Function::Uuid => Ok(Value::String(random.uuid_v4())),
    }
}

fn exactly<const COUNT: usize>(arguments: Vec<Value>) -> Result<[Value; COUNT], Invalid> {
    arguments.try_into().map_err(|_| INVALID)
}

/// The length of a value as compact JSON, without writing it anywhere.
pub(super) fn json_bytes(value: &Value) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Neither a JSON value nor the counter can fail; were it otherwise, too large is the safe answer.
    serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0)
}
