//! What every store promises of the ends of executions.

use std::collections::BTreeSet;

use engine::ids::ExecutionId;
use engine::ports::store::changes::Announced;
use engine::ports::store::{
    BranchKey, Change, Closing, ExecutionStatus, Last, NewExecution, OnClose, Open, Verdict,
};

use super::world::{Adapter, At, START, World, closing, row, runnable, text};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(store_closes, $attribute, $adapter,
            a_finish_closes_the_execution_and_deletes_its_rows
            members_after_a_finish_in_its_batch_are_stale
            an_execution_closes_with_any_error_name
            a_close_appends_closes_and_deletes
            a_close_knows_the_root_the_events_and_the_deadline
            a_close_that_decides_nothing_leaves_the_execution
            an_execution_closes_once
            no_execution_cannot_be_closed
            a_close_is_not_limited_by_the_history
            a_commit_and_a_close_that_meet_are_one_after_the_other
            a_decision_that_panics_leaves_everything_as_it_was
            an_unannounced_end_is_claimed_after_ten_seconds_and_until_it_is_announced
            an_end_that_a_delivery_answers_for_is_never_claimed
            unannounced_ends_are_claimed_the_longest_first_up_to_a_limit
            claims_of_unannounced_ends_at_once_share_none
        );
    };
}
pub(crate) use promises_to;

fn announced(ends: &[ExecutionId]) -> Vec<Announced> {
    ends.iter().map(|execution| Announced { execution: *execution, number: 2 }).collect()
}

fn abort(open: &Open) -> Last {
    let seq = open.root.fence.seq + 1;
    Last {
        rows: vec![(open.root.key.branch.clone(), seq, row(1, "aborted"))],
        closing: closing(ExecutionStatus::Aborted),
    }
}

fn aborting() -> OnClose {
    Box::new(|open| Some(abort(&open)))
}

/// Not every database keeps every character; then another stands in its place.
pub async fn an_execution_closes_with_any_error_name(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (finished, closed) = (world.start().await, world.start().await);
    let error = Some("Sour\0Milk".to_owned());
    let closing = Closing { error, ..closing(ExecutionStatus::Failed) };
    world.pass(finished.commit(Change::Finish(closing.clone()))).await;
    let decide: OnClose = Box::new(move |open| Some(Last { closing, ..abort(&open) }));
    assert!(engine::ports::store::Store::close(&*world.db, closed.key.execution, decide).await.unwrap());
    for at in [&finished, &closed] {
        let execution = world.db.execution_by_id(at.key.execution).await.unwrap().unwrap();
        let error = execution.error.unwrap();
        assert!(error.starts_with("Sour") && error.ends_with("Milk"), "{error:?}");
    }
}

pub async fn a_finish_closes_the_execution_and_deletes_its_rows(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (root, other) = (world.start().await, world.start().await);
    let (forked, children) = world.fork(&root, 3).await;
    let failed = Closing {
        status: ExecutionStatus::Failed,
        at: START.plus_seconds(3),
        error: Some("States.Timeout".to_owned()),
        unannounced: false,
    };
    world.pass(forked.commit(Change::Finish(failed.clone()))).await;
    assert!(world.paths(root.key.execution).await.is_empty());
    let execution = world.db.execution_by_id(root.key.execution).await.unwrap().unwrap();
    assert_eq!((execution.status, execution.stopped_at), (failed.status, Some(failed.at)));
    assert_eq!(execution.error, failed.error);
    assert_eq!(world.commit(children[0].moved()).await, Verdict::Stale);
    assert_eq!(world.history(root.key.execution).await, ["1 r@0", "2 r@1", "3 r@2"]);
    world.pass(other.moved()).await;
}

pub async fn members_after_a_finish_in_its_batch_are_stale(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (forked, children) = world.fork(&root, 2).await;
    let batch = vec![children[0].moved(), forked.finished(), children[1].moved()];
    let verdicts = world.db.commit(batch).await.unwrap();
    assert!(matches!(verdicts.as_slice(), [Verdict::Done { .. }, Verdict::Done { .. }, Verdict::Stale]));
    assert!(world.paths(root.key.execution).await.is_empty());
    let history = world.history(root.key.execution).await;
    assert_eq!(history, ["1 r@0", "2 r@1", "3 r.1.0@1", "4 r@2"]);
}

pub async fn a_close_appends_closes_and_deletes(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2).await;
    let child = children[0].key.branch.clone();
    let decide = move |open: Open| {
        let mut last = abort(&open);
        last.rows.insert(0, (child, 1, row(2, "stopped")));
        Some(last)
    };
    assert!(world.db.close(root.key.execution, Box::new(decide)).await.unwrap());
    assert!(world.paths(root.key.execution).await.is_empty());
    let history = world.history(root.key.execution).await;
    assert_eq!(history, ["1 r@0", "2 r@1", "3 r.1.0@1", "5 r@2"]);
    let execution = world.db.execution_by_id(root.key.execution).await.unwrap().unwrap();
    assert_eq!(execution.status, ExecutionStatus::Aborted);
    let ends = world.db.ends(root.key.execution).await.unwrap().unwrap();
    assert_eq!((ends.first, ends.last), (text("input"), Some(text("aborted"))));
    assert_eq!(world.commit(children[1].moved()).await, Verdict::Stale);
}

pub async fn a_close_knows_the_root_the_events_and_the_deadline(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let deadline = Some(START.plus_seconds(5));
    let root = world.start_as(NewExecution { deadline, ..world.execution(None) }).await;
    let at = world.pass(root.commit_events(4, Change::Move(runnable()))).await.at;
    let stored = world.stored(&at.key).await.unwrap();
    let decide = move |open: Open| {
        assert_eq!(open.events, 5);
        assert_eq!((open.root.clone(), open.deadline), (stored, deadline));
        Some(abort(&open))
    };
    assert!(world.db.close(root.key.execution, Box::new(decide)).await.unwrap());
}

pub async fn a_close_that_decides_nothing_leaves_the_execution(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    assert!(!world.db.close(root.key.execution, Box::new(|_| None)).await.unwrap());
    assert_eq!(world.db.running().await.unwrap(), 1);
    world.pass(root.moved()).await;
}

pub async fn an_execution_closes_once(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (root, finished) = (world.start().await, world.start().await);
    assert!(world.db.close(root.key.execution, aborting()).await.unwrap());
    world.pass(finished.finished()).await;
    for closed in [root, finished] {
        let before = world.db.execution_by_id(closed.key.execution).await.unwrap();
        let unasked = Box::new(|_| panic!("nothing is decided"));
        assert!(!world.db.close(closed.key.execution, unasked).await.unwrap());
        assert_eq!(world.db.execution_by_id(closed.key.execution).await.unwrap(), before);
    }
}

pub async fn no_execution_cannot_be_closed(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let unasked = Box::new(|_| panic!("nothing is decided"));
    assert!(!world.db.close(ExecutionId::new(), unasked).await.unwrap());
}

pub async fn a_close_is_not_limited_by_the_history(adapter: &dyn Adapter) {
    let world = World::with_history(adapter, 2).await;
    let root = world.start().await;
    assert_eq!(world.commit(root.moved()).await, Verdict::HistoryFull);
    let decide = |open: Open| {
        let mut last = abort(&open);
        last.rows.push((open.root.key.branch, 2, row(5, "and more")));
        Some(last)
    };
    assert!(world.db.close(root.key.execution, Box::new(decide)).await.unwrap());
    assert_eq!(world.db.history_events(root.key.execution).await.unwrap(), 7);
}

pub async fn a_commit_and_a_close_that_meet_are_one_after_the_other(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    for _ in 0..30 {
        let root = world.start().await;
        let (db, commit) = (world.db.clone(), root.moved());
        let committing = tokio::spawn(async move { db.commit(vec![commit]).await.unwrap() });
        let (db, execution) = (world.db.clone(), root.key.execution);
        let closing = tokio::spawn(async move { db.close(execution, aborting()).await.unwrap() });
        let verdicts = committing.await.unwrap();
        assert!(closing.await.unwrap());
        let expected: &[&str] = match verdicts.as_slice() {
            [Verdict::Stale] => &["1 r@0", "2 r@1"],
            [Verdict::Done { .. }] => &["1 r@0", "2 r@1", "3 r@2"],
            other => panic!("{other:?}"),
        };
        assert_eq!(world.history(execution).await, expected);
        assert!(world.paths(execution).await.is_empty());
    }
}

pub async fn a_decision_that_panics_leaves_everything_as_it_was(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let deadline = Some(START.plus_seconds(5));
    let root = world.start_as(NewExecution { deadline, ..world.execution(None) }).await;
    let (db, execution) = (world.db.clone(), root.key.execution);
    let panicking = tokio::spawn(async move { db.close(execution, Box::new(|_| panic!("a bug"))).await });
    assert!(panicking.await.unwrap_err().is_panic());
    let at = world.pass(root.moved()).await.at;
    assert_eq!(world.stored(&root.key).await.unwrap().fence, at.fence);
    let key = BranchKey { execution, ..root.key };
    world.pass(At { key, ..at }.finished()).await;
    assert_eq!(world.db.running().await.unwrap(), 0);
}

/// Ends an execution by a commit, and another by a close; nobody answers for their announcement.
async fn unannounced(world: &World) -> [ExecutionId; 2] {
    let (finished, closed) = (world.start().await, world.start().await);
    let marked = |status| Closing { unannounced: true, ..closing(status) };
    world.pass(finished.commit(Change::Finish(marked(ExecutionStatus::Succeeded)))).await;
    let decide = move |open: Open| Some(Last { closing: marked(ExecutionStatus::Aborted), ..abort(&open) });
    assert!(world.db.close(closed.key.execution, Box::new(decide)).await.unwrap());
    [finished.key.execution, closed.key.execution]
}

pub async fn an_unannounced_end_is_claimed_after_ten_seconds_and_until_it_is_announced(
    adapter: &dyn Adapter,
) {
    let world = World::new(adapter).await;
    let before = world.db.now().await.unwrap();
    let mut ends = unannounced(&world).await.to_vec();
    ends.sort();
    let after = world.db.now().await.unwrap();
    let claim = async |now| {
        let mut claimed = world.db.claim_unannounced(now, 30_000, 10).await.unwrap();
        claimed.sort();
        claimed
    };
    assert_eq!(claim(before.plus_milliseconds(9_999)).await, []);
    let due = after.plus_seconds(10);
    assert_eq!(claim(due).await, ends);
    assert_eq!(claim(due.plus_milliseconds(29_999)).await, [], "somebody is at it");
    assert_eq!(claim(due.plus_milliseconds(30_000)).await, ends, "and has not come to it");
    world.db.announced(&announced(&ends[..1])).await.unwrap();
    assert_eq!(claim(due.plus_seconds(600)).await, ends[1..]);
    world.db.announced(&announced(&ends)).await.unwrap();
    world.db.announced(&[]).await.unwrap();
    assert_eq!(claim(due.plus_seconds(6_000)).await, []);
}

pub async fn an_end_that_a_delivery_answers_for_is_never_claimed(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (finished, closed) = (world.start().await, world.start().await);
    let (forked, _) = world.fork(&world.start().await, 2).await;
    world.pass(finished.finished()).await;
    world.pass(forked.finished()).await;
    assert!(world.db.close(closed.key.execution, aborting()).await.unwrap());
    let late = world.db.now().await.unwrap().plus_seconds(600);
    assert_eq!(world.db.claim_unannounced(late, 30_000, 10).await.unwrap(), []);
}

pub async fn unannounced_ends_are_claimed_the_longest_first_up_to_a_limit(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let first = unannounced(&world).await;
    let now = world.db.now().await.unwrap();
    // Longer than the clock's step.
    while world.db.now().await.unwrap() <= now.plus_milliseconds(1) {
        tokio::task::yield_now().await;
    }
    let second = unannounced(&world).await;
    let late = world.db.now().await.unwrap().plus_seconds(600);
    let mut claimed = Vec::new();
    for expected in [first, second] {
        let claim = world.db.claim_unannounced(late, 30_000, 2).await.unwrap();
        assert_eq!(BTreeSet::from_iter(claim.clone()), BTreeSet::from(expected));
        claimed.extend(claim);
    }
    assert_eq!((claimed.len(), world.db.claim_unannounced(late, 30_000, 2).await.unwrap()), (4, vec![]));
}

pub async fn claims_of_unannounced_ends_at_once_share_none(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    for _ in 0..10 {
        unannounced(&world).await;
    }
    let late = world.db.now().await.unwrap().plus_seconds(600);
    let claims = (0..8).map(|_| {
        let db = world.db.clone();
        tokio::spawn(async move { db.claim_unannounced(late, 30_000, 3).await.unwrap() })
    });
    let mut claimed = BTreeSet::new();
    for claim in claims.collect::<Vec<_>>() {
        for execution in claim.await.unwrap() {
            assert!(claimed.insert(execution), "claimed once");
        }
    }
    assert_eq!(claimed.len(), 20);
}
