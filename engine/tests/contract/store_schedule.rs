//! What every store promises those who look for work: schedulers and recoveries.

use std::collections::BTreeSet;

use asl::data::timestamp::Timestamp;
use engine::ids::ExecutionId;
use engine::ports::store::{BranchKey, Change, Claim, NewExecution, Phase, RowState};

use super::world::{Adapter, At, START, World, row, runnable, text};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(store_schedule, $attribute, $adapter,
            a_claim_answers_rows_that_are_due_and_no_others
            a_row_is_not_claimed_again_within_the_lease
            a_row_is_claimed_again_after_the_lease
            a_claim_answers_at_most_its_limit_and_the_earliest_first
            claims_at_once_share_no_row
            a_claimed_row_is_at_the_fence_it_was
            a_transition_clears_what_was_due
            a_started_root_is_looked_after_until_it_moves
            a_young_runnable_row_is_put_off_and_not_answered
            a_claimed_runnable_row_has_moved_now
            the_first_value_of_a_setting_stays
            executions_past_their_deadline_are_overdue_while_they_run
            a_walk_over_all_branches_sees_each_once_in_key_order
            branches_are_answered_in_the_order_asked
            first_bodies_are_answered_in_the_order_asked
        );
    };
}
pub(crate) use promises_to;

fn second(second: i64) -> Timestamp {
    START.plus_seconds(second)
}

/// A branch that is due at a second after the start.
async fn due_at(world: &World, due: i64) -> At {
    let root = world.start().await;
    let state =
        RowState { phase: Phase::Sleeping, wake: Some(second(due)), due: Some(second(due)), task: None };
    world.pass(root.commit(Change::Move(state))).await.at
}

/// A claim that takes runnable rows however young they are.
fn due(now: i64, limit: u32) -> Claim {
    Claim { now: second(now), again_after_ms: 30_000, moved_before: second(1_000_000_000), limit }
}

async fn claim(world: &World, now: i64, limit: u32) -> Vec<BranchKey> {
    let claimed = world.db.claim_due(due(now, limit)).await.unwrap();
    claimed.rows.into_iter().map(|branch| branch.key).collect()
}

pub async fn a_claim_answers_rows_that_are_due_and_no_others(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let never = world.start().await;
    world.pass(never.moved()).await;
    let (early, exactly, _late) = (due_at(&world, 1).await, due_at(&world, 5).await, due_at(&world, 6).await);
    assert_eq!(claim(&world, 0, 10).await, []);
    let claimed = world.db.claim_due(due(5, 10)).await.unwrap().rows;
    assert_eq!(claimed.iter().map(|branch| &branch.key).collect::<Vec<_>>(), [&early.key, &exactly.key]);
    assert_eq!((claimed[0].fence, &claimed[0].body), (early.fence, &text("r@1")));
    assert_eq!((claimed[0].state.phase, claimed[0].state.wake), (Phase::Sleeping, Some(second(1))));
    assert_eq!(claimed[0].state.due, Some(second(35)));
}

pub async fn a_row_is_not_claimed_again_within_the_lease(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    due_at(&world, 1).await;
    assert_eq!(claim(&world, 1, 10).await.len(), 1);
    assert_eq!(claim(&world, 1, 10).await.len(), 0);
    assert_eq!(claim(&world, 30, 10).await.len(), 0);
}

pub async fn a_row_is_claimed_again_after_the_lease(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let at = due_at(&world, 1).await;
    for now in [1, 31, 61] {
        assert_eq!(claim(&world, now, 10).await, std::slice::from_ref(&at.key));
    }
}

pub async fn a_claim_answers_at_most_its_limit_and_the_earliest_first(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let mut keys = Vec::new();
    for due in [3, 1, 2] {
        keys.push(due_at(&world, due).await.key);
    }
    assert_eq!(claim(&world, 9, 0).await, []);
    assert_eq!(claim(&world, 9, 2).await, [keys[1].clone(), keys[2].clone()]);
    assert_eq!(claim(&world, 9, 2).await, [keys[0].clone()]);
}

pub async fn claims_at_once_share_no_row(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    for due in 0..40 {
        due_at(&world, due).await;
    }
    let claims = (0..10).map(|_| {
        let db = world.db.clone();
        tokio::spawn(async move { db.claim_due(due(99, 7)).await.unwrap().rows })
    });
    let mut claimed = BTreeSet::new();
    for claim in claims.collect::<Vec<_>>() {
        for branch in claim.await.unwrap() {
            assert!(claimed.insert(branch.key), "claimed once");
        }
    }
    assert_eq!(claimed.len(), 40);
}

pub async fn a_claimed_row_is_at_the_fence_it_was(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let at = due_at(&world, 1).await;
    claim(&world, 1, 10).await;
    world.pass(at.moved()).await;
}

pub async fn a_transition_clears_what_was_due(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (moved, finished) = (due_at(&world, 1).await, due_at(&world, 1).await);
    world.pass(moved.moved()).await;
    world.pass(finished.finished()).await;
    assert_eq!(claim(&world, 99, 10).await, []);
}

pub async fn a_started_root_is_looked_after_until_it_moves(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let stored = world.stored(&root.key).await.unwrap();
    assert_eq!(stored.state.due, Some(stored.moved_at.plus_seconds(10)));
    let at = world.pass(root.moved()).await.at;
    assert_eq!(world.stored(&at.key).await.unwrap().state, runnable());
}

pub async fn executions_past_their_deadline_are_overdue_while_they_run(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let mut roots = Vec::new();
    for deadline in [None, Some(second(20)), Some(second(10)), Some(second(30))] {
        roots.push(world.start_as(NewExecution { deadline, ..world.execution(None) }).await);
    }
    let overdue = |now, limit| world.db.overdue(second(now), limit);
    assert_eq!(overdue(9, 10).await.unwrap(), []);
    let (first, second) = (roots[2].key.execution, roots[1].key.execution);
    assert_eq!(overdue(20, 10).await.unwrap(), [first, second]);
    assert_eq!(overdue(99, 1).await.unwrap(), [first]);
    world.pass(roots[2].finished()).await;
    assert_eq!(overdue(20, 10).await.unwrap(), [second]);
}

pub async fn a_walk_over_all_branches_sees_each_once_in_key_order(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let mut expected = BTreeSet::new();
    for _ in 0..3 {
        let root = world.start().await;
        let forked = world.pass(root.forked(12, 2)).await;
        let child = root.child(&forked.launched[1]);
        let (_, inner) = world.fork(&child, 2).await;
        let queued = (0..12).map(|index| forked.at.key.branch.child(1, index));
        expected.extend(queued.map(|branch| BranchKey { branch, ..root.key.clone() }));
        expected.extend(inner.into_iter().map(|inner| inner.key));
        expected.insert(root.key);
    }
    let mut walked = Vec::new();
    loop {
        let page = world.db.live_branches(walked.last(), 5).await.unwrap();
        assert!(page.len() <= 5);
        if page.is_empty() {
            break;
        }
        walked.extend(page.into_iter().map(|branch| branch.key));
    }
    assert_eq!(walked, expected.into_iter().collect::<Vec<_>>());
}

pub async fn branches_are_answered_in_the_order_asked(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2).await;
    let missing = BranchKey { branch: root.key.branch.child(7, 7), ..root.key.clone() };
    let keys = [children[1].key.clone(), missing, root.key.clone(), children[1].key.clone()];
    let answered = world.db.branches(&keys).await.unwrap();
    let bodies: Vec<_> =
        answered.iter().map(|branch| branch.as_ref().map(|branch| branch.body.clone())).collect();
    let item = Some(text("item 1"));
    assert_eq!(bodies, [item.clone(), None, Some(text("r@1")), item]);
    assert_eq!(world.db.branches(&[]).await.unwrap(), []);
}

pub async fn first_bodies_are_answered_in_the_order_asked(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let mut executions = Vec::new();
    for input in ["one", "two"] {
        let root = world.start_as(NewExecution { history: row(1, input), ..world.execution(None) }).await;
        let (forked, _) = world.fork(&root, 2).await;
        // Whether it runs or is over.
        world.pass(if input == "one" { forked.finished() } else { forked.moved() }).await;
        executions.push(root.key.execution);
    }
    let asked = [executions[1], ExecutionId::new(), executions[0], executions[1]];
    let answered = world.db.first_bodies(&asked).await.unwrap();
    assert_eq!(answered, [Some(text("two")), None, Some(text("one")), Some(text("two"))]);
    assert!(world.db.first_bodies(&[]).await.unwrap().is_empty());
}

pub async fn a_young_runnable_row_is_put_off_and_not_answered(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let now = world.db.now().await.unwrap();
    let root = world.start().await;
    let later = now.plus_seconds(60);
    let young = Claim { now: later, again_after_ms: 30_000, moved_before: now.plus_seconds(-60), limit: 1 };
    let claimed = world.db.claim_due(young).await.unwrap();
    assert_eq!((claimed.rows.len(), claimed.more), (0, true));
    let stored = world.stored(&root.key).await.unwrap();
    assert_eq!(stored.state.due, Some(later.plus_seconds(30)));
    assert!(stored.moved_at < later);
}

pub async fn a_claimed_runnable_row_has_moved_now(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let later = world.db.now().await.unwrap().plus_seconds(60);
    let old = Claim { now: later, again_after_ms: 30_000, moved_before: later, limit: 10 };
    let claimed = world.db.claim_due(old).await.unwrap();
    assert_eq!(claimed.rows.iter().map(|row| row.moved_at).collect::<Vec<_>>(), [later]);
    let stored = world.stored(&root.key).await.unwrap();
    assert_eq!((stored.moved_at, stored.fence), (later, root.fence));
}

pub async fn the_first_value_of_a_setting_stays(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    assert_eq!(world.db.setting("key", b"first").await.unwrap(), b"first");
    assert_eq!(world.db.setting("key", b"second").await.unwrap(), b"first");
    assert_eq!(world.db.setting("other", b"").await.unwrap(), b"");
}
