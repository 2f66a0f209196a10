//! What Warren is held to.

use std::fmt;

use serde::Serialize;

/// A bound; where it has two, one of them is enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
    /// No less than this share of the ceiling.
    ShareAtLeast(f64),
    /// No less than the first, or than the second as a share.
    EitherAtLeast(f64, f64),
}

impl Target {
    /// Whether a figure meets it; nothing, if the ceiling is not known.
    pub fn met(self, value: f64, share: Option<f64>) -> Option<bool> {
        match self {
            Target::AtLeast(least) => Some(value >= least),
            Target::AtMost(most) => Some(value <= most),
            Target::ShareAtLeast(least) => share.map(|share| share >= least),
            Target::EitherAtLeast(least, _) if value >= least => Some(true),
            Target::EitherAtLeast(_, least) => share.map(|share| share >= least),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtLeast(least) => write!(f, "≥ {least}"),
            Target::AtMost(most) => write!(f, "≤ {most}"),
            Target::ShareAtLeast(least) => write!(f, "≥ {:.0} %", least * 100.0),
            Target::EitherAtLeast(least, share) => write!(f, "≥ {least} or {:.0} %", share * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_cannot_be_judged_without_its_ceiling() {
        assert_eq!(Target::ShareAtLeast(0.6).met(9.0, None), None);
        assert_eq!(Target::ShareAtLeast(0.6).met(9.0, Some(0.5)), Some(false));
        assert_eq!(Target::EitherAtLeast(10.0, 0.3).met(9.0, Some(0.5)), Some(true));
        assert_eq!(Target::EitherAtLeast(10.0, 0.3).met(11.0, None), Some(true));
        assert_eq!(Target::AtMost(6.0).met(7.0, None), Some(false));
    }
}
