//! The store: what it was asked, how long it took, what became of commits.

use std::time::Instant;

use ::metrics::{Counter, Histogram};

use super::catalogue::deployment as catalogue;
use super::on;
use super::registry::Registry;
use crate::ports::store::{Error, Verdict};

/// What the store can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the methods of the port")]
pub enum Operation {
    Start,
    Commit,
    Branches,
    Body,
    Joined,
    FailFork,
    Close,
    LastRows,
    Redrive,
    RedrivenAs,
    ClaimDue,
    FirstBodies,
    ClaimUnannounced,
    Announced,
    Overdue,
    LiveBranches,
    Now,
    Setting,
}

impl Operation {
    /// All, in the order of their handles.
    const ALL: [Operation; 18] = [
        Operation::Start,
        Operation::Commit,
        Operation::Branches,
        Operation::Body,
        Operation::Joined,
        Operation::FailFork,
        Operation::Close,
        Operation::LastRows,
        Operation::Redrive,
        Operation::RedrivenAs,
        Operation::ClaimDue,
        Operation::FirstBodies,
        Operation::ClaimUnannounced,
        Operation::Announced,
        Operation::Overdue,
        Operation::LiveBranches,
        Operation::Now,
        Operation::Setting,
    ];

    fn name(self) -> &'static str {
        match self {
            Operation::Start => "start",
            Operation::Commit => "commit",
            Operation::Branches => "branches",
            Operation::Body => "body",
            Operation::Joined => "joined",
            Operation::FailFork => "fail_fork",
            Operation::Close => "close",
            Operation::LastRows => "last_rows",
            Operation::Redrive => "redrive",
            Operation::RedrivenAs => "redriven_as",
            Operation::ClaimDue => "claim_due",
            Operation::FirstBodies => "first_bodies",
            Operation::ClaimUnannounced => "claim_unannounced",
            Operation::Announced => "announced",
            Operation::Overdue => "overdue",
            Operation::LiveBranches => "live_branches",
            Operation::Now => "now",
            Operation::Setting => "setting",
        }
    }
}

/// Handles of the store's metrics.
pub(super) struct Stores {
    /// By operation.
    operations: [Handles; Operation::ALL.len()],
    done: Counter,
    stale: Counter,
    history_full: Counter,
    commit_size: Histogram,
}

struct Handles {
    seconds: Histogram,
    unavailable: Counter,
    corrupt: Counter,
}

impl Stores {
    pub(super) fn new(registry: &Registry) -> Self {
        let handles = |operation: Operation| {
            let errors = |reason| registry.counter(&catalogue::STORE_ERRORS, &[operation.name(), reason]);
            Handles {
                seconds: registry.histogram(&catalogue::STORE, &[operation.name()]),
                unavailable: errors("unavailable"),
                corrupt: errors("corrupt"),
            }
        };
        let commits = |verdict| registry.counter(&catalogue::COMMITS, &[verdict]);
        Stores {
            operations: Operation::ALL.map(handles),
            done: commits("done"),
            stale: commits("stale"),
            history_full: commits("history_full"),
            commit_size: registry.histogram(&catalogue::COMMIT_SIZE, &[]),
        }
    }
}

/// Something that the store is asked.
pub struct Asked {
    operation: Operation,
    at: Instant,
}

impl Asked {
    /// Now.
    pub fn now(operation: Operation) -> Self {
        Asked { operation, at: Instant::now() }
    }

    /// It has answered.
    pub fn answered<T>(self, answer: &Result<T, Error>) {
        let Some(on) = on() else { return };
        let handles = &on.store.operations[self.operation as usize];
        handles.seconds.record(self.at.elapsed());
        match answer {
            Ok(_) => {}
            Err(Error::Unavailable(_)) => handles.unavailable.increment(1),
            Err(Error::Corrupt(_)) => handles.corrupt.increment(1),
        }
    }
}

/// A batch was committed.
pub fn committed(verdicts: &[Verdict]) {
    let Some(on) = on() else { return };
    let (mut done, mut stale, mut full) = (0, 0, 0);
    for verdict in verdicts {
        match verdict {
            Verdict::Done { .. } => done += 1,
            Verdict::Stale => stale += 1,
            Verdict::HistoryFull => full += 1,
        }
    }
    on.store.commit_size.record(verdicts.len() as f64);
    for (counter, count) in [(&on.store.done, done), (&on.store.stale, stale), (&on.store.history_full, full)]
    {
        if count > 0 {
            counter.increment(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_place() {
        for (place, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place);
        }
    }
}
