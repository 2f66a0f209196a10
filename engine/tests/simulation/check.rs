//! What must hold of an execution, whatever happened meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use asl::branch::BranchPath;
use asl::history::{EventKind, HistoryEvent};
use engine::ids::ExecutionId;
use engine::messages::{Body, decode};
use engine::ports::catalog::Execution;
use engine::ports::store::ExecutionStatus;

use super::notes::label;
use super::world::World;

/// Trouble and all: marks are looked for after ten seconds, and claimed for thirty.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(200);

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    pub status: ExecutionStatus,
    /// Output, or error and cause; ids of events in it are blotted out.
    pub result: String,
    /// How often each kind of event stands in the history, states by name.
    pub events: BTreeMap<String, u32>,
}

struct Recorded {
    id: u64,
    previous: u64,
    branch: BranchPath,
    event: HistoryEvent,
}

/// Reads an execution that is closed, and checks its history.
pub fn end(world: &World, execution: &Execution) -> End {
    let recorded = history(world, execution.id);
    assert!(!recorded.is_empty(), "{execution:?} has no history");
    for (place, entry) in (1..).zip(&recorded) {
        assert_eq!(entry.id, place, "a gap before {:?}", entry.event);
        assert!(entry.previous < entry.id, "{} follows {}: {:?}", entry.id, entry.previous, entry.event);
    }
    each_state_is_left_once(&recorded);
    let closings = recorded.iter().filter(|entry| closing(&entry.event.kind).is_some()).count();
    let redrives: Vec<u32> = recorded.iter().filter_map(|entry| redriven(&entry.event.kind)).collect();
    assert_eq!(closings, 1 + redrives.len(), "{:?} has {closings} ends", execution.name);
    let count = execution.redrive.map_or(0, |redrive| redrive.count);
    assert_eq!(redrives, (1..=count).collect::<Vec<_>>(), "each redrive is recorded once");
    let last = &recorded[recorded.len() - 1].event.kind;
    let (status, result) = closing(last).expect("the last event is the end");
    assert_eq!(status, execution.status, "{last:?}");
    let mut events = BTreeMap::new();
    for entry in &recorded {
        *events.entry(label(&entry.event.kind)).or_default() += 1;
    }
    // A job's end may overtake the news that it was begun.
    events.remove("TaskSubmitted");
    End { status, result: strip_ids(&result), events }
}

fn history(world: &World, id: ExecutionId) -> Vec<Recorded> {
    let rows = world.database.ask(move |db| async move { db.history(id, 1, u32::MAX, false).await }).unwrap();
    let mut recorded = Vec::new();
    for row in rows {
        let body: Body = decode(&row.body).unwrap();
        assert_eq!(body.events.len(), usize::from(row.events), "{} {}", row.branch, row.seq);
        for (id, event) in (row.first_id..).zip(body.events) {
            recorded.push(Recorded { id, previous: 0, branch: row.branch.clone(), event });
        }
    }
    let named: Vec<_> = recorded.iter().filter_map(|entry| entry.event.previous.clone()).collect();
    let asked = named.clone();
    let ids = world.database.ask(move |db| async move { db.event_ids(id, &asked).await }).unwrap();
    let mut ids = named.into_iter().zip(ids);
    for entry in recorded.iter_mut().filter(|entry| entry.event.previous.is_some()) {
        let (event, id) = ids.next().unwrap();
        entry.previous = id.unwrap_or_else(|| panic!("{event:?} is not recorded"));
    }
    recorded
}

/// In one branch states are entered and left in turn. A redrive gives branches new names, but enters no state
/// that was entered before.
fn each_state_is_left_once(recorded: &[Recorded]) {
    let mut inside: BTreeMap<Vec<u32>, &str> = BTreeMap::new();
    for entry in recorded {
        let place = indexes(&entry.branch);
        match &entry.event.kind {
            EventKind::StateEntered { name, .. } => {
                let before = inside.insert(place, name);
                assert_eq!(before, None, "{name} is entered from within, in {}", entry.branch);
            }
            EventKind::StateExited { name, .. } => {
                let left = inside.remove(&place);
                assert_eq!(left, Some(name.as_str()), "left twice, or never entered, in {}", entry.branch);
            }
            // The children of this fork are others than those of the fork before.
            EventKind::ParallelStateStarted | EventKind::MapStateStarted { .. } => {
                inside.retain(|other, _| other.len() <= place.len() || !other.starts_with(&place));
            }
            _ => {}
        }
    }
}

/// The place of a branch in the forks around it, whichever transition made those.
fn indexes(path: &BranchPath) -> Vec<u32> {
    path.as_str().split('.').skip(2).step_by(2).map(|index| index.parse().unwrap()).collect()
}

fn redriven(kind: &EventKind) -> Option<u32> {
    match kind {
        EventKind::ExecutionRedriven { redrive_count } => Some(*redrive_count),
        _ => None,
    }
}

fn closing(kind: &EventKind) -> Option<(ExecutionStatus, String)> {
    let failed = |status, failure: &asl::data::Failure| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Some((status, format!("{}: {}", text(&failure.error), text(&failure.cause))))
    };
    match kind {
        EventKind::ExecutionSucceeded { output } => Some((ExecutionStatus::Succeeded, output.clone())),
        EventKind::ExecutionFailed(failure) => failed(ExecutionStatus::Failed, failure),
        EventKind::ExecutionAborted(failure) => failed(ExecutionStatus::Aborted, failure),
        EventKind::ExecutionTimedOut(failure) => failed(ExecutionStatus::TimedOut, failure),
        _ => None,
    }
}

/// Ids of events in causes depend on the order in which branches ran.
pub fn strip_ids(text: &str) -> String {
    let mut parts = text.split('#');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        done + "#" + part.trim_start_matches(|character: char| character.is_ascii_digit())
    })
}

/// The rows of executions that go on, for whoever looks for the reason.
pub fn what_is_left(world: &World) -> String {
    let left = world.database.ask(|db| async move { db.live_branches(None, 20).await }).unwrap();
    let now = world.clock.elapsed();
    let rows = left.iter().map(|row| {
        let body: Body = decode(&row.body).unwrap();
        let waiting = body.value.map(|value| value.waiting);
        format!("\n  {:?} {:?} {:?} {:?} {waiting:?}", row.key, row.fence, row.state, row.moved_at)
    });
    format!("at {now} there are {}", rows.collect::<String>())
}

/// Nothing is left of executions that are over.
pub fn nothing_is_left(world: &World) {
    let left = world.database.ask(|db| async move { db.live_branches(None, 10).await }).unwrap();
    assert!(left.is_empty(), "rows are left: {:?}", left.iter().map(|row| &row.key).collect::<Vec<_>>());
    let running = world.database.ask(|db| async move { db.running().await }).unwrap();
    assert_eq!(running, 0);
    assert_eq!(world.ledger.wrong(), Vec::<String>::new());
}

/// Each status change was announced, or is within this time: by whoever finds what others did not come to.
pub async fn all_is_announced(world: &World) {
    let waits = async {
        while !world.listener.missed(world.blacked_out()).is_empty() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let heard = tokio::time::timeout(ANNOUNCED_WITHIN, waits).await;
    assert!(heard.is_ok(), "not announced: {:?}", world.listener.missed(world.blacked_out()));
    assert_eq!(world.listener.wrong(), Vec::<String>::new());
}
