//! What came of a case that was played.

use std::collections::{BTreeMap, BTreeSet};

use asl::branch::Outcome;
use asl::history::EventKind;
use asl::program::Edge;
use asl::rehearsal::Row;
use serde_json::{Map, Value};

use crate::cli::play::player::{Call, Ending};

/// How an execution ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Status {
    #[default]
    Succeeded,
    Failed,
    TimedOut,
}

impl Status {
    /// All of them.
    pub(super) const ALL: [Status; 3] = [Status::Succeeded, Status::Failed, Status::TimedOut];

    /// As the API has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Status::Succeeded => "SUCCEEDED",
            Status::Failed => "FAILED",
            Status::TimedOut => "TIMED_OUT",
        }
    }
}

/// An execution that is over.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Observed {
    pub(super) status: Status,
    pub(super) output: Option<Value>,
    pub(super) error: Option<String>,
    pub(super) cause: Option<String>,
    /// The states of the outermost machine, in order.
    pub(super) path: Vec<String>,
    /// How often each state was entered, those of branches and iterations as well.
    pub(super) visits: BTreeMap<String, u64>,
    /// The ways by which states were left.
    pub(super) ways: BTreeSet<Edge>,
    /// What tasks were called with.
    pub(super) calls: Vec<Call>,
    /// The variables of the outermost machine, as they were in the end.
    pub(super) variables: Map<String, Value>,
    /// How long it took, on its own clock.
    pub(super) milliseconds: i64,
}

impl Observed {
    /// What is seen of an execution before it has ended.
    pub(super) fn of(rows: &[Row], calls: &[Call], milliseconds: i64) -> Self {
        let mut observed = Observed { calls: calls.to_vec(), milliseconds, ..Observed::default() };
        for row in rows {
            observed.ways.extend(&row.ways);
            for event in &row.events {
                observed.see(row.path.is_root(), &event.kind);
            }
        }
        observed
    }

    /// The same, with how it ended.
    pub(super) fn ended(mut self, ending: &Ending) -> Self {
        match ending {
            Ending::Over(Outcome::Succeeded(output)) => {
                self.output = serde_json::from_str(output).ok();
            }
            Ending::Over(Outcome::Failed(failure)) => {
                self.status = Status::Failed;
                (self.error, self.cause) = (failure.error.clone(), failure.cause.clone());
            }
            Ending::TimedOut | Ending::Overdue => self.status = Status::TimedOut,
        }
        self
    }

    fn see(&mut self, is_root: bool, kind: &EventKind) {
        match kind {
            EventKind::StateEntered { name, .. } => {
                *self.visits.entry(name.clone()).or_default() += 1;
                if is_root {
                    self.path.push(name.clone());
                }
            }
            EventKind::StateExited { assigned, .. } if is_root => {
                for (name, text) in assigned {
                    // Each is JSON text, as the history shows it.
                    let value = text.as_str().and_then(|text| serde_json::from_str(text).ok());
                    self.variables.insert(name.clone(), value.unwrap_or_else(|| text.clone()));
                }
            }
            _ => {}
        }
    }

    /// Why it failed, in words; none if it did not.
    pub(super) fn failure(&self) -> Option<String> {
        if self.status != Status::Failed {
            return None;
        }
        let error = self.error.as_deref().unwrap_or("no error name");
        Some(self.cause.as_ref().map_or(error.to_owned(), |cause| format!("{error}: {cause}")))
    }
}
