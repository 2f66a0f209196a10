//! What one evaluation may cost. Documents and paths are hostile until proven otherwise.

use regex::Regex;
use serde_json::Value;

use super::error::Fault;
use super::pattern::Pattern;

/// The most nodes one evaluation visits; comparisons and bytes searched by regular expressions
/// count as well.
pub const STEPS_MAX: usize = 1_000_000;

/// How deep one evaluation recurses, through document, filters and arguments together. Twice the
/// depth of what serde_json parses; takes less than a megabyte of stack, even unoptimised.
pub const RECURSION_MAX: usize = 256;

/// The most bytes one evaluation copies out of the document, counted as they lie in memory.
pub const OUTPUT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most regular expressions one evaluation uses.
const REGEXES_MAX: usize = 16;

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Budget {
    steps: usize,
    depth: usize,
    output_bytes: usize,
    /// Regular expressions compiled so far, for the items to come.
    regexes: Vec<(Pattern, Regex)>,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { steps: STEPS_MAX, depth: RECURSION_MAX, output_bytes: OUTPUT_BYTES_MAX, regexes: Vec::new() }
    }

    /// Steps that were paid for so far.
    pub(super) fn steps_used(&self) -> u64 {
        (STEPS_MAX - self.steps) as u64
    }

    /// Pays for `count` steps.
    pub(super) fn step<'a>(&mut self, count: usize) -> Result<(), Fault<'a>> {
        self.steps = self.steps.checked_sub(count).ok_or(Fault::LimitExceeded)?;
        Ok(())
    }

    /// Runs `inner` one level deeper.
    pub(super) fn deeper<'a, T>(
        &mut self,
        inner: impl FnOnce(&mut Budget) -> Result<T, Fault<'a>>,
    ) -> Result<T, Fault<'a>> {
        self.enter()?;
        let result = inner(self);
        self.leave();
        result
    }

    /// Goes one level deeper; to be paired with [`Budget::leave`].
    pub(super) fn enter<'a>(&mut self) -> Result<(), Fault<'a>> {
        self.depth = self.depth.checked_sub(1).ok_or(Fault::LimitExceeded)?;
        Ok(())
    }

    /// Comes back from one level.
    pub(super) fn leave(&mut self) {
        self.depth += 1;
    }

    /// A copy of `value`, paid for before it is made.
    pub(super) fn copy<'a>(&mut self, value: &Value) -> Result<Value, Fault<'a>> {
        self.charge(value)?;
        Ok(value.clone())
    }

    /// Pays for a copy of `value`, or for another walk over all of it.
    pub(super) fn charge<'a>(&mut self, value: &Value) -> Result<(), Fault<'a>> {
        self.pay(size_of::<Value>())?;
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
            Value::String(text) => self.pay(text.len()),
            Value::Array(items) => {
                self.deeper(|budget| items.iter().try_for_each(|item| budget.charge(item)))
            }
            Value::Object(members) => self.deeper(|budget| {
                members.iter().try_for_each(|(name, member)| {
                    budget.pay(size_of::<String>() + name.len())?;
                    budget.charge(member)
                })
            }),
        }
    }

    /// Whether all of `text` matches; costs a step for each byte.
    pub(super) fn matches<'a>(&mut self, pattern: &Pattern, text: &str) -> Result<bool, Fault<'a>> {
        self.step(1 + text.len())?;
        if let Some((_, regex)) = self.regexes.iter().find(|(known, _)| known == pattern) {
            return Ok(regex.is_match(text));
        }
        if self.regexes.len() == REGEXES_MAX {
            return Err(Fault::LimitExceeded);
        }
        // It compiled when the path was parsed.
        let regex = pattern.compile().map_err(|_| Fault::LimitExceeded)?;
        let matches = regex.is_match(text);
        self.regexes.push((pattern.clone(), regex));
        Ok(matches)
    }

    /// Pays for `bytes` of memory.
    pub(super) fn pay<'a>(&mut self, bytes: usize) -> Result<(), Fault<'a>> {
        self.output_bytes = self.output_bytes.checked_sub(bytes).ok_or(Fault::LimitExceeded)?;
        Ok(())
    }
}
