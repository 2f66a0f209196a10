//! What the journal says of calls of the store.

use asl::history::EventKind;
use engine::cli::replay::recording::{Transition, What};
use engine::messages::{Body, decode};
use engine::ports::store::{Change, Commit, Phase, StoredBranch, Verdict};

/// A transition, and what became of it.
pub fn committed(commit: &Commit, verdict: &Verdict, ends_below: bool) -> What {
    let body: Option<Body> = decode(&commit.history.body).ok();
    let events = body.iter().flat_map(|body| &body.events).map(|event| label(&event.kind));
    let (verdict, launched) = match verdict {
        Verdict::Done { launched, .. } => ("done", launched.as_slice()),
        Verdict::Stale => ("stale", [].as_slice()),
        Verdict::HistoryFull => ("full", [].as_slice()),
    };
    What::Committed(Transition {
        execution: commit.key.execution.to_string(),
        branch: commit.key.branch.to_string(),
        seq: commit.fence.seq + 1,
        verdict: verdict.to_owned(),
        phase: change(&commit.change).to_owned(),
        events: events.collect(),
        ends_below: ends_below || commit.joins,
        begins: launched.iter().map(|launched| launched.branch.to_string()).collect(),
    })
}

/// A row that was due.
pub fn claimed(row: &StoredBranch) -> What {
    What::Claimed {
        execution: row.key.execution.to_string(),
        branch: row.key.branch.to_string(),
        seq: row.fence.seq,
        phase: phase(row.state.phase).to_owned(),
    }
}

fn change(change: &Change) -> &'static str {
    match change {
        Change::Move(state) => phase(state.phase),
        Change::Fork { .. } => phase(Phase::Forked),
        Change::EndBranch { failed: false, .. } => "ended",
        Change::EndBranch { failed: true, .. } => "failed",
        Change::Finish(closing) => closing.status.as_str(),
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Runnable => "runnable",
        Phase::Sleeping => "sleeping",
        Phase::Dispatched => "dispatched",
        Phase::Forked => "forked",
        Phase::Queued => "queued",
        Phase::Ended => "ended",
    }
}

/// The type of an event, with the name of the state where it has one.
pub fn label(kind: &EventKind) -> String {
    match kind {
        EventKind::StateEntered { name, .. } | EventKind::StateExited { name, .. } => {
            format!("{} {name}", kind.type_name())
        }
        _ => kind.type_name(),
    }
}
