//! What is told of a trigger that cannot be read.

use std::fmt;

use crate::fields::Problem;

/// A trigger that cannot be read: every problem it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTrigger {
    /// Where it was read; empty when it was no file.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl InvalidTrigger {
    /// What is wrong is the text itself.
    pub(super) fn whole(file: &str, message: String) -> Self {
        let problems = vec![Problem { field: String::new(), message }];
        InvalidTrigger { file: file.to_owned(), problems }
    }
}

impl fmt::Display for InvalidTrigger {
    /// A line, and one for each problem where there are several.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed to read the trigger")?;
        if !self.file.is_empty() {
            write!(f, " in {}", self.file)?;
        }
        match &self.problems[..] {
            [problem] => write!(f, ": {problem}"),
            problems => {
                f.write_str(":")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for InvalidTrigger {}
