//! Intrinsic functions: `States.Format('Hello {}', $.name)` and its 17 siblings, in JSONPath mode.
//!
//! ```text
//! text ──parse (once, with the definition)──▶ Intrinsic<P> ──evaluate (per state)──▶ Value
//!                   │                              │
//!      each path is compiled to a P          each P is resolved by the caller
//! ```
//!
//! The module knows nothing of paths: it finds their text, has the caller compile it, and asks the
//! caller for their values. It follows what AWS does, where that differs from what AWS documents:
//!
//! * All failures while evaluating are `States.Runtime` with the cause
//!   `The function '<expression as written>' had the following error: <what>`.
//! * Unlike addition, which rounds half up, everything that wants an integer truncates.
//! * `States.ArrayContains` compares texts, so the boolean `true` is found in `["true"]`.
//! * `States.ArrayUnique` answers in the order of a Java hash set.
//! * `States.Format` writes objects and arrays as Java does, `{a=1, b=[x, y]}`.
//!
//! A hostile expression meets four limits: nesting ([`NESTING_LEVELS_MAX`]), the bytes all its arguments
//! and results take together ([`OUTPUT_BYTES_MAX`]), and the per-function limits below them.

mod array;
mod encoding;
mod evaluate;
mod function;
mod java;
mod math;
mod parser;
mod text;

use std::fmt;

use serde_json::Value;

use crate::data::random::Random;
pub(in crate::data) use encoding::digest;
pub use function::Function;

/// How many calls may stand inside each other, the outermost included (AWS quota).
pub const NESTING_LEVELS_MAX: usize = 10;

/// Bytes of JSON that all arguments and results of one evaluation may take together.
///
/// Eight payloads: the largest payload still passes through seven nested calls, while repeating it, or
/// escaping it again and again, ends here.
pub const OUTPUT_BYTES_MAX: usize = 8 * 262_144;

/// Elements `States.ArrayRange` may produce (AWS quota).
pub const RANGE_ELEMENTS_MAX: usize = 1_000;

/// Bytes of JSON of the array given to `States.ArrayPartition` (AWS quota).
pub const PARTITION_BYTES_MAX: usize = 262_144;

/// UTF-16 units that `States.Base64Encode`, `States.Base64Decode` and `States.Hash` take (AWS quota).
pub const TEXT_CHARACTERS_MAX: usize = 10_000;

/// A compiled intrinsic call; `P` is the caller's compiled path.
///
/// ```
/// use asl::data::intrinsic::Intrinsic;
/// use asl::data::random::Random;
/// use serde_json::json;
///
/// let greeting = Intrinsic::parse("States.Format('Hello {}', $.name)", |path| Some(path.to_owned()))?;
/// let mut random = Random::from_seed([0; 32]);
/// let value = greeting.evaluate(&mut |_path: &String| Ok(json!("Ada")), &mut random);
/// assert_eq!(value, Ok(json!("Hello Ada")));
/// # Ok::<(), asl::data::intrinsic::SyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Intrinsic<P> {
    text: String,
    call: Call<P>,
}

#[derive(Debug, Clone, PartialEq)]
struct Call<P> {
    function: Function,
    arguments: Vec<Argument<P>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument<P> {
    /// The template of `States.Format` keeps its escapes, see [`text::format`].
    Literal(Value),
    Path(P),
    Call(Call<P>),
}

impl<P> Intrinsic<P> {
    /// Whether `text` means to be an intrinsic call rather than a path.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with(function::PREFIX)
    }

    /// Compiles a call. `path` compiles each path argument (`$…`, `$$…`, `$name…`) and returns `None`
    /// for a text that is not a path.
    ///
    /// Fails on an unknown function, a wrong number of arguments, an escape other than `\'`, `\{`,
    /// `\}` and `\\`, nesting deeper than [`NESTING_LEVELS_MAX`], and text after the call.
    pub fn parse(text: &str, mut path: impl FnMut(&str) -> Option<P>) -> Result<Self, SyntaxError> {
        let call = parser::parse(text, &mut path)?;
        Ok(Self { text: text.to_owned(), call })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The outermost function.
    pub fn function(&self) -> Function {
        self.call.function
    }

    /// All paths, nested ones included, in the order they are written.
    pub fn paths(&self) -> impl Iterator<Item = &P> {
        let mut paths = Vec::new();
        self.call.collect_paths(&mut paths);
        paths.into_iter()
    }

    /// Computes the value of the call.
    ///
    /// `resolve` gives the value of a path, or why there is none as a text that finishes the sentence
    /// "the function had the following error: …" (see [`missing_argument`]).
    pub fn evaluate(
        &self,
        resolve: &mut dyn FnMut(&P) -> Result<Value, String>,
        random: &mut Random,
    ) -> Result<Value, IntrinsicError> {
        evaluate::evaluate(&self.call, resolve, random).map_err(|failure| IntrinsicError {
            cause: format!("The function '{}' had the following error: {failure}", self.text),
        })
    }
}

impl<P> Call<P> {
    fn collect_paths<'call>(&'call self, paths: &mut Vec<&'call P>) {
        for argument in &self.arguments {
            match argument {
                Argument::Literal(_) => {}
                Argument::Path(path) => paths.push(path),
                Argument::Call(call) => call.collect_paths(paths),
            }
        }
    }
}

/// AWS's words for a path argument that names nothing. `input` is the JSON text searched.
pub fn missing_argument(path: &str, input: &str) -> String {
    format!("The JsonPath argument for the field '{path}' could not be found in the input '{input}'")
}

/// Why a text is not an intrinsic call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, in a few words.
    pub message: String,
    /// Where, in bytes from the beginning of the text.
    pub offset: usize,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at offset {}", self.message, self.offset)
    }
}

impl std::error::Error for SyntaxError {}

/// A failed evaluation: error `States.Runtime` of the execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrinsicError {
    /// The cause, without the words that name the state.
    pub cause: String,
}

impl fmt::Display for IntrinsicError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.cause)
    }
}

impl std::error::Error for IntrinsicError {}
