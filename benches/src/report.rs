//! What the user sees: lines while it runs, a table at the end, JSON for later.

pub mod json;
pub mod progress;
pub mod table;

use crate::figure::{Figure, Outcome};

/// A figure as a share of its ceiling, if that was measured in this run.
pub fn share(figure: &Figure, outcomes: &[Outcome]) -> Option<f64> {
    let ceiling = figure.ceiling?;
    let first = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Measured { case, figures } if *case == ceiling.case => figures.first(),
        Outcome::Measured { .. } | Outcome::Skipped { .. } | Outcome::Failed { .. } => None,
    })?;
    let limit = first.median();
    (limit > 0.0).then(|| figure.median() * ceiling.weight / limit)
}
