//! Why a case has no figures, as a text for whoever runs it.

use std::fmt;

/// A text; sources are flattened into it.
#[derive(Debug, Clone)]
pub struct Failure(String);

/// With [`Failure`] unless said otherwise.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// From a text that finishes "failed: …".
    pub fn new(text: impl Into<String>) -> Self {
        Failure(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// `Failure` is no `Error` itself, or this would include it.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.to_string())
    }
}

/// Says what was being done.
pub trait Context<T> {
    /// Puts `doing` before the reason.
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Failure>> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure(format!("{doing}: {}", error.into())))
    }
}
