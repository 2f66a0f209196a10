//! `Retry` and `Catch`.

use super::StateId;
use crate::data::ResultPath;
use crate::data::template::Template;

/// `Retry` and `Catch` of a Task, Parallel or Map state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ErrorHandling {
    /// In the order of the definition: the first that matches decides.
    pub retriers: Vec<Retrier>,
    /// In the order of the definition: the first that matches decides.
    pub catchers: Vec<Catcher>,
}

impl ErrorHandling {
    /// Whether a catcher assigns variables.
    pub fn assigns(&self) -> bool {
        self.catchers.iter().any(|catcher| catcher.assign.is_some())
    }
}

/// When and how often to try again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrier {
    /// Error names; never empty.
    pub error_equals: Vec<String>,
    /// Seconds before the first retry.
    pub interval_seconds: u32,
    /// 0 means never.
    pub max_attempts: u32,
    /// What the delay is multiplied by from one retry to the next; at least 1.
    pub backoff_rate: f64,
    /// Bound of the delay.
    pub max_delay_seconds: Option<u32>,
    /// Whether the delay is spread.
    pub jitter: Jitter,
}

/// `JitterStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jitter {
    /// The delay as computed.
    #[default]
    None,
    /// Uniform between 0 and the delay.
    Full,
}

/// Where to go on when an error was not retried.
#[derive(Debug, Clone, PartialEq)]
pub struct Catcher {
    /// Error names; never empty.
    pub error_equals: Vec<String>,
    /// The state that goes on.
    pub next: StateId,
    /// Where the error output goes in the state's raw input.
    pub result_path: ResultPath,
    /// `Output`, in JSONata; absent, the error output.
    pub output: Option<Template>,
    /// `Assign` of the catcher.
    pub assign: Option<Template>,
}
