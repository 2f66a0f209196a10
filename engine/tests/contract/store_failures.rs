//! What every store promises of forks with a child that failed.

use engine::ids::ExecutionId;
use engine::ports::store::{BranchKey, Change, Commit, ExecutionStatus, Failed, Phase, RowState, Verdict};

use super::world::{Adapter, At, Done, START, World, closing, event, names, runnable, text};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(store_failures, $attribute, $adapter,
            a_failed_child_makes_the_parent_runnable_at_once
            ends_after_a_failure_stand_and_change_nothing_else
            siblings_go_on_after_a_failure_until_they_are_removed
            a_failure_collects_what_had_begun_and_not_ended
            a_failed_fork_leaves_no_descendant_and_the_parent_moved
            a_failed_fork_knows_the_ids_of_events
            a_failed_fork_is_stale_at_another_fence_or_without_a_failure
            a_failed_fork_may_end_its_parent_in_the_fork_above
            a_failed_fork_may_finish_the_execution
            a_failed_fork_is_not_limited_by_the_history
        );
    };
}
pub(crate) use promises_to;

pub async fn a_failed_child_makes_the_parent_runnable_at_once(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let forked = world.pass(root.forked(12, 11)).await;
    let failed = world.pass(root.child(&forked.launched[10]).failed()).await;
    assert!(failed.launched.is_empty(), "no sibling is launched");
    let parent = failed.parent.unwrap();
    assert_ne!(parent.fence.stamp, forked.at.fence.stamp);
    let stored = world.stored(&root.key).await.unwrap();
    assert_eq!((stored.fence, stored.state.phase), (parent.fence, Phase::Runnable));
    assert_eq!(stored.failed_child.unwrap().as_str(), "r.1.10");
    assert_eq!(stored.cause, Some(event(&failed.at, 1)));
    assert!(stored.state.due.is_some());
}

pub async fn ends_after_a_failure_stand_and_change_nothing_else(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let forked = world.pass(root.forked(5, 3)).await;
    let running: Vec<_> = forked.launched.iter().map(|launched| root.child(launched)).collect();
    world.pass(running[0].failed()).await;
    let before = world.stored(&root.key).await;
    for later in [running[1].failed(), running[2].ended()] {
        let ended = world.pass(later).await;
        assert!(ended.parent.is_none() && ended.launched.is_empty());
        assert_eq!(world.stored(&ended.at.key).await.unwrap().state.phase, Phase::Ended);
    }
    assert_eq!(world.stored(&root.key).await, before);
}

pub async fn siblings_go_on_after_a_failure_until_they_are_removed(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2).await;
    let parent = world.pass(children[0].failed()).await.parent.unwrap();
    let sibling = world.pass(children[1].moved()).await.at;
    fail(&world, &parent, |failed| moved(&failed)).await;
    assert_eq!(world.commit(sibling.moved()).await, Verdict::Stale);
}

/// The parent's transition after a failure.
fn moved(failed: &Failed) -> Commit {
    at(failed).moved()
}

fn at(failed: &Failed) -> At {
    At { key: failed.parent.key.clone(), fence: failed.parent.fence }
}

async fn fail(world: &World, parent: &At, decide: impl FnOnce(Failed) -> Commit + Send + 'static) -> Done {
    let verdict =
        world.db.fail_fork(&parent.key, parent.fence, Box::new(|failed| Some(decide(failed)))).await.unwrap();
    super::world::done(parent.key.clone(), verdict)
}

pub async fn a_failure_collects_what_had_begun_and_not_ended(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let forked = world.pass(root.forked(14, 13)).await;
    let running: Vec<_> = forked.launched.iter().map(|launched| root.child(launched)).collect();
    world.pass(running[2].moved()).await;
    let (_, inner) = world.fork(&running[10], 12).await;
    world.pass(inner[11].moved()).await;
    world.pass(inner[3].moved()).await;
    world.pass(running[4].ended()).await;
    let failed = world.pass(running[5].failed()).await;
    let sleeping = RowState { phase: Phase::Sleeping, wake: Some(START), ..runnable() };
    world.pass(running[12].commit(Change::Move(sleeping))).await;
    let (sender, seen) = std::sync::mpsc::channel();
    fail(&world, &failed.parent.unwrap(), move |failed| {
        let commit = moved(&failed);
        sender.send(failed).unwrap();
        commit
    })
    .await;
    let left = seen.try_recv().unwrap();
    let aborted: Vec<_> = left.aborted.iter().map(|branch| branch.key.branch.as_str()).collect();
    // In the order of indexes. Not 0 and the like, which are launched and have recorded nothing; not 13, which
    // is launched in place of 4 and has not either.
    assert_eq!(aborted, ["r.1.2", "r.1.10", "r.1.10.1.3", "r.1.10.1.11", "r.1.12"]);
    assert_eq!(left.aborted[0].body, text("r.1.2@1"));
    assert_eq!(left.aborted[1].state.phase, Phase::Forked);
    assert_eq!(left.child.key.branch.as_str(), "r.1.5");
    assert_eq!((left.child.state.phase, left.child.body), (Phase::Ended, text("r.1.5@1")));
    assert_eq!(left.parent.failed_child.unwrap().as_str(), "r.1.5");
    assert_eq!(left.events, 1 + (1 + 1 + 1) + 2 + 2 + 1);
}

pub async fn a_failed_fork_leaves_no_descendant_and_the_parent_moved(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 3).await;
    world.fork(&children[1], 3).await;
    let parent = world.pass(children[0].failed()).await.parent.unwrap();
    let done = fail(&world, &parent, |failed| moved(&failed)).await;
    assert_eq!(done.at.fence.seq, 2);
    assert_eq!(world.paths(root.key.execution).await, ["r"]);
    let stored = world.stored(&root.key).await.unwrap();
    assert_eq!((stored.fence, stored.body), (done.at.fence, text("r@2")));
    assert_eq!((stored.failed_child, stored.cause, stored.state), (None, None, runnable()));
    let history = world.history(root.key.execution).await;
    assert_eq!(history, ["1 r@0", "2 r@1", "3 r.1.1@1", "4 r.1.0@1", "6 r@2"]);
    let (_, again) = world.fork(&done.at, 2).await;
    let ended = world.pass_all(again.iter().map(At::ended).collect()).await;
    assert!(ended[1].parent.is_some());
}

pub async fn a_failed_fork_knows_the_ids_of_events(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (forked, children) = world.fork(&root, 2).await;
    let child = world.pass(children[1].commit_events(3, Change::Move(runnable()))).await.at;
    let failed = world.pass(child.failed()).await;
    let asked = [event(&root, 0), event(&forked, 0), event(&child, 2), event(&failed.at, 1)];
    let unknown = [event(&forked, 1), event(&children[0], 0), event(&failed.at, 2)];
    let (sender, seen) = std::sync::mpsc::channel();
    fail(&world, &failed.parent.unwrap(), move |failed| {
        let id = |event| failed.ids.id(event);
        sender
            .send((asked.iter().map(id).collect::<Vec<_>>(), unknown.iter().map(id).collect::<Vec<_>>()))
            .unwrap();
        moved(&failed)
    })
    .await;
    let (known, unknown) = seen.try_recv().unwrap();
    assert_eq!(known, [Some(1), Some(2), Some(5), Some(7)]);
    assert_eq!(unknown, [None, None, None]);
}

pub async fn a_failed_fork_is_stale_at_another_fence_or_without_a_failure(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (forked, children) = world.fork(&root, 2).await;
    let parent = world.pass(children[0].failed()).await.parent.unwrap();
    let other = world.start().await;
    let (_, others) = world.fork(&other, 1).await;
    let complete = world.pass(others[0].ended()).await.parent.unwrap();
    let nobody = At { key: BranchKey { execution: ExecutionId::new(), ..root.key.clone() }, ..root.clone() };
    for elsewhere in [&root, &forked, &parent.forged(), &other, &complete, &nobody] {
        let unasked = |_| panic!("nothing is decided");
        let verdict = world.db.fail_fork(&elsewhere.key, elsewhere.fence, Box::new(unasked)).await.unwrap();
        assert_eq!(verdict, Verdict::Stale);
    }
    assert_eq!(world.paths(root.key.execution).await.len(), 3);
    fail(&world, &parent, |failed| moved(&failed)).await;
    let again = world.db.fail_fork(&parent.key, parent.fence, Box::new(|failed| Some(moved(&failed)))).await;
    assert_eq!(again.unwrap(), Verdict::Stale);
}

pub async fn a_failed_fork_may_end_its_parent_in_the_fork_above(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let outer = world.pass(root.forked(3, 1)).await;
    let child = root.child(&outer.launched[0]);
    let (_, inner) = world.fork(&child, 2).await;
    world.pass(inner[1].moved()).await;
    let parent = world.pass(inner[0].failed()).await.parent.unwrap();
    // Caught: the child ends well, and the next one is launched.
    let done = fail(&world, &parent, |failed| at(&failed).ended()).await;
    assert_eq!(names(&done), ["r.1.1"]);
    assert_eq!(world.paths(root.key.execution).await, ["r", "r.1.0", "r.1.1", "r.1.2"]);
    // Not caught: the failure goes up.
    let child = root.child(&done.launched[0]);
    let (_, inner) = world.fork(&child, 2).await;
    let parent = world.pass(inner[0].failed()).await.parent.unwrap();
    let done = fail(&world, &parent, |failed| at(&failed).failed()).await;
    let parent = done.parent.unwrap();
    let stored = world.stored(&root.key).await.unwrap();
    assert_eq!((stored.fence, stored.failed_child.unwrap().as_str()), (parent.fence, "r.1.1"));
    // All that happened below counts: 1 + 1 + 2 + 2 of the first child, 1 + 2 + 2 of the second.
    let (sender, seen) = std::sync::mpsc::channel();
    fail(&world, &parent, move |failed| {
        sender.send(failed.events).unwrap();
        moved(&failed)
    })
    .await;
    assert_eq!(seen.try_recv().unwrap(), 11);
}

pub async fn a_failed_fork_may_finish_the_execution(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2).await;
    let parent = world.pass(children[0].failed()).await.parent.unwrap();
    fail(&world, &parent, |failed| at(&failed).commit(Change::Finish(closing(ExecutionStatus::Failed))))
        .await;
    assert!(world.paths(root.key.execution).await.is_empty());
    let execution = world.db.execution_by_id(root.key.execution).await.unwrap().unwrap();
    assert_eq!(execution.status, ExecutionStatus::Failed);
}

pub async fn a_failed_fork_is_not_limited_by_the_history(adapter: &dyn Adapter) {
    let world = World::with_history(adapter, 6).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2).await;
    let parent = world.pass(children[0].failed()).await.parent.unwrap();
    let commit = |failed: Failed| at(&failed).commit_events(4, Change::Move(runnable()));
    let done = fail(&world, &parent, commit).await;
    assert_eq!(world.db.history_events(root.key.execution).await.unwrap(), 8);
    assert_eq!(world.commit(done.at.moved()).await, Verdict::HistoryFull);
}
