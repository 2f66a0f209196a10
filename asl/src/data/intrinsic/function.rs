//! The names of the intrinsic functions and how many arguments each takes.

use std::fmt;

/// What every intrinsic call begins with.
pub(super) const PREFIX: &str = "States.";

/// An intrinsic function; `Display` writes it as users do, `States.Format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// `States.Format(template, value…)`: replaces each `{}` of the template.
    Format,
    /// `States.StringToJson(text)`: parses JSON; blank text is `null`.
    StringToJson,
    /// `States.JsonToString(value)`: compact JSON text.
    JsonToString,
    /// `States.Array(value…)`: an array of its arguments.
    Array,
    /// `States.ArrayPartition(array, size)`: chunks of `size`, the last may be shorter.
    ArrayPartition,
    /// `States.ArrayContains(array, value)`: a boolean.
    ArrayContains,
    /// `States.ArrayRange(first, last, step)`: integers, `last` included.
    ArrayRange,
    /// `States.ArrayGetItem(array, index)`: the element, counted from 0.
    ArrayGetItem,
    /// `States.ArrayLength(array)`: an integer.
    ArrayLength,
    /// `States.ArrayUnique(array)`: the array without duplicates.
    ArrayUnique,
    /// `States.Base64Encode(text)`: base64 of the UTF-8 bytes.
    Base64Encode,
    /// `States.Base64Decode(text)`: the UTF-8 text in base64.
    Base64Decode,
    /// `States.Hash(data, algorithm)`: lower-case hexadecimal.
    Hash,
    /// `States.JsonMerge(object, object, false)`: the second wins.
    JsonMerge,
    /// `States.MathRandom(start, end[, seed])`: an integer in `start..end`.
    MathRandom,
    /// `States.MathAdd(a, b)`: the sum of two 32-bit integers.
    MathAdd,
    /// `States.StringSplit(text, delimiters)`: the pieces between any of the delimiting characters.
    StringSplit,
    /// `States.UUID()`: a version 4 UUID.
    Uuid,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 18] = [
        Self::Format,
        Self::StringToJson,
        Self::JsonToString,
        Self::Array,
        Self::ArrayPartition,
        Self::ArrayContains,
        Self::ArrayRange,
        Self::ArrayGetItem,
        Self::ArrayLength,
        Self::ArrayUnique,
        Self::Base64Encode,
        Self::Base64Decode,
        Self::Hash,
        Self::JsonMerge,
        Self::MathRandom,
        Self::MathAdd,
        Self::StringSplit,
        Self::Uuid,
    ];

    /// The name as written in a definition, `States.Format`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Format => "States.Format",
            Self::StringToJson => "States.StringToJson",
            Self::JsonToString => "States.JsonToString",
            Self::Array => "States.Array",
            Self::ArrayPartition => "States.ArrayPartition",
            Self::ArrayContains => "States.ArrayContains",
            Self::ArrayRange => "States.ArrayRange",
            Self::ArrayGetItem => "States.ArrayGetItem",
            Self::ArrayLength => "States.ArrayLength",
            Self::ArrayUnique => "States.ArrayUnique",
            Self::Base64Encode => "States.Base64Encode",
            Self::Base64Decode => "States.Base64Decode",
            Self::Hash => "States.Hash",
            Self::JsonMerge => "States.JsonMerge",
            Self::MathRandom => "States.MathRandom",
            Self::MathAdd => "States.MathAdd",
            Self::StringSplit => "States.StringSplit",
            Self::Uuid => "States.UUID",
        }
    }

    /// The function with this name; case matters.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name() == name)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
