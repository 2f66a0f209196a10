//! Why a text is no pattern.

use std::fmt;

/// A pattern that EventBridge refuses with `InvalidEventPatternException`. The first fault only, as there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    reason: String,
    place: Option<String>,
}

impl PatternError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        PatternError { reason: reason.into(), place: None }
    }

    /// The same fault, its place told.
    pub(super) fn at(mut self, place: &str) -> Self {
        self.place = Some(if place.is_empty() { "/".to_owned() } else { place.to_owned() });
        self
    }

    /// What is wrong, in the words of EventBridge: `Empty arrays are not allowed`.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Where in the pattern: `/detail/state[0]`. Absent when it is about all of it, or when the text is not
    /// JSON: then the reason ends with line and column.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}

impl fmt::Display for PatternError {
    /// As EventBridge tells it. Where EventBridge repeats the whole text with a line and a column, the place
    /// stands here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event pattern is not valid. Reason: {}", self.reason)?;
        match &self.place {
            Some(place) => write!(f, " at {place}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PatternError {}
