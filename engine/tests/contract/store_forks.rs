//! What every store promises of forks: launching, ending, joining, failing.

use std::time::{Duration, Instant};

use engine::ports::store::{BranchKey, Change, Error, Phase, RowState, Verdict};

use super::world::{Adapter, At, PLENTY, World, event, names, text};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(store_forks, $attribute, $adapter,
            a_fork_launches_its_window_and_queues_the_rest
            a_window_wider_than_the_fork_launches_all
            a_child_begins_with_its_value_and_no_events
            a_fork_that_is_malformed_is_an_error_and_changes_nothing
            an_end_launches_the_next_sibling_in_line
            ends_in_one_batch_launch_as_many_siblings
            a_launched_sibling_is_looked_after_until_it_moves
            the_last_end_makes_the_parent_runnable_once
            ends_in_one_batch_complete_the_fork_once
            a_parent_made_runnable_is_looked_after_until_it_moves
            an_ended_child_stays_until_the_join
            a_join_reads_the_values_by_index
            a_join_reads_the_events_of_all_descendants
            a_join_is_only_for_a_parent_whose_children_have_all_ended
            a_join_deletes_all_below_and_nothing_beside
            a_stale_join_deletes_nothing
            a_branch_forks_again_at_a_later_seq
            a_fork_of_ten_thousand_costs_as_much_per_child_as_one_of_a_hundred
        );
    };
}
pub(crate) use promises_to;

fn branch(of: &At, path: &str) -> BranchKey {
    BranchKey { branch: path.parse().unwrap(), ..of.key.clone() }
}

async fn phase(world: &World, of: &At, path: &str) -> Phase {
    world.stored(&branch(of, path)).await.unwrap().state.phase
}

pub async fn a_fork_launches_its_window_and_queues_the_rest(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let forked = world.pass(root.forked(12, 3)).await;
    assert_eq!(names(&forked), ["r.1.0", "r.1.1", "r.1.2"]);
    for (index, launched) in forked.launched.iter().enumerate() {
        assert_eq!((launched.fence.seq, &launched.after), (0, &None));
        assert_eq!(launched.body, text(&format!("item {index}")));
        let stored = world.stored(&root.child(launched).key).await.unwrap();
        assert_eq!((stored.fence, stored.state.phase), (launched.fence, Phase::Runnable));
    }
    assert_eq!(phase(&world, &root, "r.1.3").await, Phase::Queued);
    assert_eq!(phase(&world, &root, "r.1.11").await, Phase::Queued);
    assert_eq!(phase(&world, &root, "r").await, Phase::Forked);
    assert_eq!(world.paths(root.key.execution).await.len(), 13);
}

pub async fn a_window_wider_than_the_fork_launches_all(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let forked = world.pass(root.forked(2, u32::MAX)).await;
    assert_eq!(names(&forked), ["r.1.0", "r.1.1"]);
}

pub async fn a_child_begins_with_its_value_and_no_events(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2).await;
    let stored = world.stored(&children[1].key).await.unwrap();
    assert_eq!((stored.body, stored.cause), (text("item 1"), None));
    world.pass(children[1].moved()).await;
    world.pass(children[0].moved()).await;
    let history = world.history(root.key.execution).await;
    assert_eq!(history, ["1 r@0", "2 r@1", "3 r.1.1@1", "4 r.1.0@1"]);
}

pub async fn a_fork_that_is_malformed_is_an_error_and_changes_nothing(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (root, other) = (world.start().await, world.start().await);
    let without_children = root.forked(0, 1);
    let without_window = root.forked(1, 0);
    let mut elsewhere = root.forked(2, 2);
    if let Change::Fork { children, .. } = &mut elsewhere.change {
        children.swap(0, 1);
    }
    for malformed in [without_children, without_window, elsewhere] {
        let answer = world.db.commit(vec![other.moved(), malformed]).await;
        assert!(matches!(answer, Err(Error::Corrupt(_))), "{answer:?}");
    }
    assert_eq!(world.stored(&other.key).await.unwrap().fence, other.fence);
    assert_eq!(world.stored(&root.key).await.unwrap().fence, root.fence);
}

pub async fn an_end_launches_the_next_sibling_in_line(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let forked = world.pass(root.forked(12, 1)).await;
    let mut running = root.child(&forked.launched[0]);
    for index in 1..12 {
        let ended = world.pass(running.ended()).await;
        let [launched] = ended.launched.as_slice() else { panic!("{ended:?}") };
        assert_eq!(launched.branch.as_str(), format!("r.1.{index}"));
        assert_eq!(launched.body, text(&format!("item {index}")));
        // It follows the last event but the one that only closes the iteration.
        let after = Some(event(&ended.at, 0));
        assert_eq!(launched.after, after);
        assert!(ended.parent.is_none());
        running = root.child(launched);
        let stored = world.stored(&running.key).await.unwrap();
        assert_eq!((stored.fence, stored.state.phase), (running.fence, Phase::Runnable));
        assert_eq!((stored.cause, stored.body), (after, launched.body.clone()));
    }
    let last = world.pass(running.ended()).await;
    assert!(last.launched.is_empty() && last.parent.is_some());
}

pub async fn ends_in_one_batch_launch_as_many_siblings(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let forked = world.pass(root.forked(6, 3)).await;
    let running: Vec<_> = forked.launched.iter().map(|launched| root.child(launched)).collect();
    let ends = running.iter().map(At::ended).collect();
    let ended = world.pass_all(ends).await;
    assert_eq!(ended.iter().flat_map(names).collect::<Vec<_>>(), ["r.1.3", "r.1.4", "r.1.5"]);
    let next = ended.iter().map(|ended| root.child(&ended.launched[0]).ended()).collect();
    let ended = world.pass_all(next).await;
    assert!(ended.iter().all(|ended| ended.launched.is_empty()));
    assert!(ended[0].parent.is_none() && ended[1].parent.is_none() && ended[2].parent.is_some());
}

pub async fn the_last_end_makes_the_parent_runnable_once(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (forked, children) = world.fork(&root, 3).await;
    for child in [&children[2], &children[0]] {
        let ended = world.pass(child.ended()).await;
        assert!(ended.parent.is_none());
        assert_eq!(world.stored(&root.key).await.unwrap().fence, forked.fence);
    }
    let ended = world.pass(children[1].ended()).await;
    let parent = ended.parent.unwrap();
    assert_eq!((&parent.key, parent.fence.seq), (&root.key, 1));
    assert_ne!(parent.fence.stamp, forked.fence.stamp, "what was in flight before is stale");
    let stored = world.stored(&root.key).await.unwrap();
    assert_eq!((stored.fence, stored.state.phase), (parent.fence, Phase::Runnable));
    assert_eq!(stored.cause, Some(event(&ended.at, 1)));
    assert_eq!(stored.failed_child, None);
    assert_eq!(world.commit(children[1].ended()).await, Verdict::Stale);
}

pub async fn ends_in_one_batch_complete_the_fork_once(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 20).await;
    let ended = world.pass_all(children.iter().map(At::ended).collect()).await;
    assert!(ended[..19].iter().all(|ended| ended.parent.is_none()));
    let parent = ended[19].parent.clone().unwrap();
    assert_eq!(world.stored(&root.key).await.unwrap().fence, parent.fence);
}

pub async fn a_parent_made_runnable_is_looked_after_until_it_moves(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 1).await;
    let parent = world.pass(children[0].ended()).await.parent.unwrap();
    let stored = world.stored(&root.key).await.unwrap();
    let due = stored.state.due.unwrap();
    assert_eq!(due, stored.moved_at.plus_seconds(10));
    let at = world.pass(parent.joined()).await.at;
    assert_eq!(world.stored(&at.key).await.unwrap().state.due, None);
}

pub async fn a_launched_sibling_is_looked_after_until_it_moves(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let forked = world.pass(root.forked(2, 1)).await;
    assert_eq!(world.stored(&root.child(&forked.launched[0]).key).await.unwrap().state.due, None);
    let ended = world.pass(root.child(&forked.launched[0]).ended()).await;
    let sibling = root.child(&ended.launched[0]);
    let stored = world.stored(&sibling.key).await.unwrap();
    assert_eq!(stored.state.due, Some(stored.moved_at.plus_seconds(10)));
    world.pass(sibling.moved()).await;
    assert_eq!(world.stored(&sibling.key).await.unwrap().state.due, None);
}

pub async fn an_ended_child_stays_until_the_join(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2).await;
    let ended = world.pass(children[0].ended()).await;
    let stored = world.stored(&children[0].key).await.unwrap();
    let at_rest = RowState { phase: Phase::Ended, wake: None, due: None, task: None };
    assert_eq!((stored.fence, stored.state), (ended.at.fence, at_rest));
}

pub async fn a_join_reads_the_values_by_index(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 12).await;
    let ended = world.pass_all(children.iter().rev().map(At::ended).collect()).await;
    let parent = ended[11].parent.clone().unwrap();
    let joined = world.db.joined(&parent.key, parent.fence).await.unwrap().unwrap();
    assert_eq!(joined.bodies, (0..12).map(|index| text(&format!("r.1.{index}@1"))).collect::<Vec<_>>());
    assert_eq!(joined.events, 24);
    assert_eq!(Some(joined.parent), world.stored(&root.key).await);
}

/// Forks the branch, moves each child through a fork of its own of `width`, and ends them.
async fn nest(world: &World, parent: &At, width: u32) -> At {
    let (_, children) = world.fork(parent, width).await;
    let mut woken = None;
    for child in children {
        let (_, inner) = world.fork(&child, width).await;
        let ended = world.pass_all(inner.iter().map(At::ended).collect()).await;
        let child = ended.last().unwrap().parent.clone().unwrap();
        let child = world.pass(child.joined()).await.at;
        woken = world.pass(child.ended()).await.parent;
    }
    woken.unwrap()
}

pub async fn a_join_reads_the_events_of_all_descendants(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    // Each child: a fork (1), two ends below (2 each), a join (1), an end (2).
    for forks in 1..3 {
        let at = if forks == 1 { root.clone() } else { at_root(&world, &root).await };
        let parent = nest(&world, &at, 2).await;
        let joined = world.db.joined(&parent.key, parent.fence).await.unwrap().unwrap();
        assert_eq!(joined.events, 2 * (1 + 2 * 2 + 1 + 2), "of this fork alone");
        world.pass(parent.joined()).await;
    }
}

async fn at_root(world: &World, root: &At) -> At {
    At { fence: world.stored(&root.key).await.unwrap().fence, ..root.clone() }
}

pub async fn a_join_is_only_for_a_parent_whose_children_have_all_ended(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    assert_eq!(world.db.joined(&root.key, root.fence).await.unwrap(), None, "not forked");
    let (forked, children) = world.fork(&root, 2).await;
    assert_eq!(world.db.joined(&root.key, forked.fence).await.unwrap(), None, "children run");
    world.pass(children[0].ended()).await;
    assert_eq!(world.db.joined(&root.key, forked.fence).await.unwrap(), None, "a child runs");
    let parent = world.pass(children[1].ended()).await.parent.unwrap();
    assert_eq!(world.db.joined(&root.key, forked.fence).await.unwrap(), None, "the fence before");
    assert!(world.db.joined(&root.key, parent.fence).await.unwrap().is_some());
    let at = world.pass(parent.joined()).await.at;
    assert_eq!(world.db.joined(&root.key, at.fence).await.unwrap(), None, "joined");
    let (_, children) = world.fork(&at, 2).await;
    let parent = world.pass(children[0].failed()).await.parent.unwrap();
    world.pass(children[1].ended()).await;
    assert_eq!(world.db.joined(&root.key, parent.fence).await.unwrap(), None, "a child failed");
}

pub async fn a_join_deletes_all_below_and_nothing_beside(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let other = world.start().await;
    world.fork(&other, 2).await;
    let (_, children) = world.fork(&root, 12).await;
    let (_, below_first) = world.fork(&children[1], 2).await;
    world.fork(&children[10], 2).await;
    let ended = world.pass_all(below_first.iter().map(At::ended).collect()).await;
    world.pass(ended[1].parent.clone().unwrap().joined()).await;
    let paths = world.paths(root.key.execution).await;
    assert!(!paths.iter().any(|path| path.starts_with("r.1.1.")));
    assert_eq!(paths.iter().filter(|path| path.starts_with("r.1.10.")).count(), 2);
    assert_eq!(paths.len(), 1 + 12 + 2);
    assert_eq!(world.paths(other.key.execution).await.len(), 3);
}

pub async fn a_stale_join_deletes_nothing(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2).await;
    let ended = world.pass_all(children.iter().map(At::ended).collect()).await;
    let parent = ended[1].parent.clone().unwrap();
    assert_eq!(world.commit(parent.forged().joined()).await, Verdict::Stale);
    assert_eq!(world.paths(root.key.execution).await.len(), 3);
    assert_eq!(world.db.joined(&parent.key, parent.fence).await.unwrap().unwrap().events, 4);
}

pub async fn a_branch_forks_again_at_a_later_seq(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let mut at = world.start().await;
    for seq in [1, 3, 5] {
        let (_, children) = world.fork(&at, 1).await;
        assert_eq!(children[0].key.branch.as_str(), format!("r.{seq}.0"));
        let parent = world.pass(children[0].ended()).await.parent.unwrap();
        at = world.pass(parent.joined()).await.at;
    }
}

/// Forks, ends and joins `width` children with a window of 40, in batches of 64.
async fn run_fork(world: &World, width: u32) -> Duration {
    let root = world.start().await;
    let began = Instant::now();
    let forked = world.pass(root.forked(width, 40)).await;
    let mut running: Vec<_> = forked.launched.iter().map(|launched| root.child(launched)).collect();
    let mut woken = None;
    while !running.is_empty() {
        let batch = running.iter().take(64).map(At::ended).collect();
        running.clear();
        for ended in world.pass_all(batch).await {
            running.extend(ended.launched.iter().map(|launched| root.child(launched)));
            woken = ended.parent.or(woken);
        }
    }
    let parent = woken.unwrap();
    let joined = world.db.joined(&parent.key, parent.fence).await.unwrap().unwrap();
    assert_eq!(joined.bodies.len(), usize::try_from(width).unwrap());
    world.pass(parent.joined()).await;
    began.elapsed()
}

pub async fn a_fork_of_ten_thousand_costs_as_much_per_child_as_one_of_a_hundred(adapter: &dyn Adapter) {
    let world = World::with_history(adapter, PLENTY).await;
    run_fork(&world, 100).await;
    let mut last = (Duration::ZERO, Duration::ZERO);
    // A machine that is busy with something else makes a try longer, and none shorter.
    for _ in 0..5 {
        let mut hundreds = Duration::ZERO;
        for _ in 0..25 {
            hundreds += run_fork(&world, 100).await;
        }
        last = (run_fork(&world, 10_000).await, 4 * hundreds);
        // As many children; a cost that grew with the fork would be a hundred times that.
        if last.0 < last.1 * 2 {
            return;
        }
    }
    assert!(last.0 < last.1 * 2, "{:?} against {:?}", last.0, last.1);
}
