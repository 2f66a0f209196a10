//! What every store promises of starts and of single transitions.

use engine::ids::{ExecutionId, MachineId};
use engine::ports::store::{
    BranchKey, Change, Commit, ExecutionStatus, Fence, NewExecution, Phase, RowState, Started, Verdict,
};

use super::world::{Adapter, At, Done, START, World, closing, event, machine, runnable, text};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(store_commits, $attribute, $adapter,
            a_started_execution_has_a_runnable_root_with_its_first_row
            a_name_that_is_taken_tells_who_has_it
            a_name_is_free_on_another_machine
            of_many_starts_under_one_name_one_wins
            an_execution_of_a_machine_that_is_gone_is_not_started
            a_commit_moves_the_fence_and_appends_history
            a_row_keeps_the_state_it_was_given
            a_commit_for_another_fence_is_stale_and_changes_nothing
            a_commit_for_no_row_is_stale
            a_stale_member_leaves_the_others_of_its_batch_alone
            of_two_members_for_one_branch_the_first_stands
            an_empty_batch_is_answered_with_nothing
            of_many_commits_at_one_fence_one_stands
            a_timer_passes_only_when_its_time_has_come
            a_timer_finds_nothing_in_a_row_without_one
            a_body_comes_back_byte_for_byte
            the_history_keeps_its_last_place_for_the_end
            a_full_history_is_told_and_nothing_changes
            a_member_that_finds_the_history_full_leaves_the_others_alone
            ids_have_no_gaps_whoever_commits_at_once
            a_commit_that_is_dropped_is_whole_and_leaves_the_store_usable
        );
    };
}
pub(crate) use promises_to;

pub async fn a_started_execution_has_a_runnable_root_with_its_first_row(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    assert_eq!(root.fence.seq, 0);
    let stored = world.stored(&root.key).await.unwrap();
    assert_eq!(stored.fence, root.fence);
    assert_eq!(stored.state.phase, Phase::Runnable);
    assert_eq!((stored.body, stored.cause, stored.failed_child), (text("input"), None, None));
    assert_eq!(world.history(root.key.execution).await, ["1 r@0"]);
}

pub async fn a_name_that_is_taken_tells_who_has_it(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let first = world.execution(Some("monday"));
    let root = world.start_as(first.clone()).await;
    let again = NewExecution {
        input_hash: [8; 32],
        started_at: START.plus_seconds(5),
        ..world.execution(Some("monday"))
    };
    let taken = |status| Started::NameTaken { id: first.id, input_hash: [7; 32], status, started_at: START };
    assert_eq!(world.db.start(again.clone()).await.unwrap(), taken(ExecutionStatus::Running));
    world.pass(root.finished()).await;
    assert_eq!(world.db.start(again.clone()).await.unwrap(), taken(ExecutionStatus::Succeeded));
    assert!(world.db.execution_by_id(again.id).await.unwrap().is_none());
    assert!(world.stored(&BranchKey { execution: again.id, ..root.key }).await.is_none());
}

pub async fn a_name_is_free_on_another_machine(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    world.start_as(world.execution(Some("monday"))).await;
    let other = machine("returns");
    world.db.create_machine(other.clone(), Vec::new()).await.unwrap();
    let there = NewExecution {
        machine: other.id,
        machine_name: other.name,
        revision: other.revision.id,
        ..world.execution(Some("monday"))
    };
    world.start_as(there).await;
}

pub async fn of_many_starts_under_one_name_one_wins(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let starts = (0..20).map(|_| {
        let (db, execution) = (world.db.clone(), world.execution(Some("monday")));
        tokio::spawn(async move { db.start(execution).await.unwrap() })
    });
    let mut created = 0;
    let mut holders = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        match start.await.unwrap() {
            Started::Created(_) => created += 1,
            Started::NameTaken { id, .. } => holders.push(id),
            Started::NoMachine => panic!("the machine is there"),
        }
    }
    assert_eq!(created, 1);
    assert_eq!(world.db.running().await.unwrap(), 1);
    assert!(holders.iter().all(|holder| *holder == holders[0]));
}

pub async fn an_execution_of_a_machine_that_is_gone_is_not_started(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let unknown = NewExecution { machine: MachineId::new(), ..world.execution(None) };
    assert_eq!(world.db.start(unknown).await.unwrap(), Started::NoMachine);
    world.db.delete_machine(world.machine.id).await.unwrap();
    assert_eq!(world.db.start(world.execution(None)).await.unwrap(), Started::NoMachine);
    assert_eq!(world.db.running().await.unwrap(), 0);
}

pub async fn a_commit_moves_the_fence_and_appends_history(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let first = world.pass(root.commit_events(3, Change::Move(runnable()))).await;
    assert_eq!(first.at.fence.seq, 1);
    assert!(first.launched.is_empty() && first.parent.is_none());
    let second = world.pass(first.at.moved()).await;
    assert_eq!(second.at.fence.seq, 2);
    let stored = world.stored(&root.key).await.unwrap();
    assert_eq!((stored.fence, stored.body), (second.at.fence, text("r@2")));
    assert_eq!(world.history(root.key.execution).await, ["1 r@0", "2 r@1", "5 r@2"]);
}

pub async fn a_row_keeps_the_state_it_was_given(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let mut at = world.start().await;
    let began = world.stored(&at.key).await.unwrap().moved_at;
    let sleeping = RowState {
        phase: Phase::Sleeping,
        wake: Some(START.plus_seconds(60)),
        due: Some(START.plus_seconds(62)),
        task: None,
    };
    let dispatched = RowState { phase: Phase::Dispatched, wake: None, due: None, task: Some(7) };
    for state in [sleeping, dispatched, runnable()] {
        at = world.pass(at.commit(Change::Move(state))).await.at;
        let stored = world.stored(&at.key).await.unwrap();
        assert_eq!(stored.state, state);
        assert!(stored.moved_at >= began);
    }
}

pub async fn a_commit_for_another_fence_is_stale_and_changes_nothing(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let now = world.pass(root.moved()).await.at;
    let early = At { fence: Fence { seq: 2, ..now.fence }, ..now.clone() };
    let late = At { fence: Fence { seq: 0, ..now.fence }, ..now.clone() };
    let before = world.stored(&root.key).await;
    for elsewhere in [&root, &now.forged(), &early, &late] {
        for commit in [elsewhere.moved(), elsewhere.forked(2, 1), elsewhere.finished()] {
            assert_eq!(world.commit(commit).await, Verdict::Stale);
        }
    }
    assert_eq!(world.stored(&root.key).await, before);
    assert_eq!(world.history(root.key.execution).await, ["1 r@0", "2 r@1"]);
    assert_eq!(world.paths(root.key.execution).await, ["r"]);
}

pub async fn a_commit_for_no_row_is_stale(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let nobody = At { key: BranchKey { execution: ExecutionId::new(), ..root.key.clone() }, ..root.clone() };
    let no_child = BranchKey { branch: root.key.branch.child(1, 0), ..root.key.clone() };
    assert_eq!(world.commit(nobody.moved()).await, Verdict::Stale);
    assert_eq!(world.commit(At { key: no_child, ..root.clone() }.ended()).await, Verdict::Stale);
    world.pass(root.moved()).await;
}

pub async fn a_stale_member_leaves_the_others_of_its_batch_alone(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (first, second, third) = (world.start().await, world.start().await, world.start().await);
    let batch = vec![first.moved(), second.forged().forked(3, 3), third.moved()];
    let verdicts = world.db.commit(batch).await.unwrap();
    assert!(matches!(verdicts.as_slice(), [Verdict::Done { .. }, Verdict::Stale, Verdict::Done { .. }]));
    assert_eq!(world.stored(&first.key).await.unwrap().fence.seq, 1);
    assert_eq!(world.stored(&second.key).await.unwrap().fence, second.fence);
    assert_eq!(world.stored(&third.key).await.unwrap().fence.seq, 1);
}

pub async fn of_two_members_for_one_branch_the_first_stands(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let twice = vec![root.forged().moved(), root.commit_events(2, Change::Move(runnable())), root.moved()];
    let verdicts = world.db.commit(twice).await.unwrap();
    assert!(matches!(verdicts.as_slice(), [Verdict::Stale, Verdict::Done { .. }, Verdict::Stale]));
    assert_eq!(world.db.history_events(root.key.execution).await.unwrap(), 3);
}

pub async fn an_empty_batch_is_answered_with_nothing(adapter: &dyn Adapter) {
    assert_eq!(World::new(adapter).await.db.commit(Vec::new()).await.unwrap(), []);
}

pub async fn of_many_commits_at_one_fence_one_stands(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let commits = (0..20).map(|_| {
        let (db, commit) = (world.db.clone(), root.moved());
        tokio::spawn(async move { db.commit(vec![commit]).await.unwrap() })
    });
    let mut done = 0;
    for commit in commits.collect::<Vec<_>>() {
        if commit.await.unwrap() != [Verdict::Stale] {
            done += 1;
        }
    }
    assert_eq!(done, 1);
    assert_eq!(world.history(root.key.execution).await, ["1 r@0", "2 r@1"]);
}

pub async fn a_timer_passes_only_when_its_time_has_come(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let wake = START.plus_seconds(60);
    let asleep = RowState { phase: Phase::Sleeping, wake: Some(wake), ..runnable() };
    let at = world.pass(root.commit(Change::Move(asleep))).await.at;
    let early = Commit { woken_at: Some(wake.plus_milliseconds(-1)), ..at.moved() };
    assert_eq!(world.commit(early).await, Verdict::Stale);
    world.pass(Commit { woken_at: Some(wake), ..at.moved() }).await;
}

pub async fn a_timer_finds_nothing_in_a_row_without_one(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let timer = Commit { woken_at: Some(START.plus_seconds(60)), ..root.moved() };
    assert_eq!(world.commit(timer).await, Verdict::Stale);
}

pub async fn a_body_comes_back_byte_for_byte(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let every_byte: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let mut at = root;
    for body in [Vec::new(), every_byte, b"{\"b\": 1.0, \"a\": \"\\u0000\"}".to_vec(), vec![0, 0xff]] {
        let mut commit = at.moved();
        commit.history.body = body.clone().into();
        at = world.pass(commit).await.at;
        assert_eq!(world.stored(&at.key).await.unwrap().body, body);
    }
}

pub async fn the_history_keeps_its_last_place_for_the_end(adapter: &dyn Adapter) {
    let world = World::with_history(adapter, 5).await;
    let root = world.start().await;
    let at = world.pass(root.commit_events(3, Change::Move(runnable()))).await.at;
    assert_eq!(world.commit(at.moved()).await, Verdict::HistoryFull);
    let finish = Change::Finish(closing(ExecutionStatus::Succeeded));
    assert_eq!(world.commit(at.commit_events(2, finish)).await, Verdict::HistoryFull);
    world.pass(at.finished()).await;
    assert_eq!(world.db.history_events(root.key.execution).await.unwrap(), 5);
}

pub async fn a_full_history_is_told_and_nothing_changes(adapter: &dyn Adapter) {
    let world = World::with_history(adapter, 5).await;
    let root = world.start().await;
    let before = world.stored(&root.key).await;
    assert_eq!(world.commit(root.commit_events(4, Change::Move(runnable()))).await, Verdict::HistoryFull);
    assert_eq!(world.stored(&root.key).await, before);
    assert_eq!(world.history(root.key.execution).await, ["1 r@0"]);
    let stale = root.forged().commit_events(4, Change::Move(runnable()));
    assert_eq!(world.commit(stale).await, Verdict::Stale);
    world.pass(root.moved()).await;
}

pub async fn a_member_that_finds_the_history_full_leaves_the_others_alone(adapter: &dyn Adapter) {
    let world = World::with_history(adapter, 5).await;
    let (full, other) = (world.start().await, world.start().await);
    let batch = vec![full.commit_events(9, Change::Move(runnable())), other.moved()];
    let verdicts = world.db.commit(batch).await.unwrap();
    assert!(matches!(verdicts.as_slice(), [Verdict::HistoryFull, Verdict::Done { .. }]));
}

pub async fn ids_have_no_gaps_whoever_commits_at_once(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 16).await;
    let mut tasks = Vec::new();
    for (index, mut child) in (0..).zip(children) {
        let db = world.db.clone();
        tasks.push(tokio::spawn(async move {
            for step in 0..10 {
                let commit = child.commit_events((index + step) % 4, Change::Move(runnable()));
                let key = child.key.clone();
                let verdict = db.commit(vec![commit]).await.unwrap().remove(0);
                child = super::world::done(key, verdict).at;
            }
            child
        }));
    }
    for task in tasks {
        let child = task.await.unwrap();
        assert_eq!(child.fence.seq, 10);
    }
    let rows = world.history(root.key.execution).await;
    assert_eq!(rows.len(), 2 + 16 * 10 - 40, "a quarter of the transitions have no events");
}

pub async fn a_commit_that_is_dropped_is_whole_and_leaves_the_store_usable(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    for polls in 0..60 {
        let root = world.start().await;
        let batch = vec![root.forked(50, 50)];
        let mut call = world.db.commit(batch);
        for _ in 0..polls {
            if futures::poll!(&mut call).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        // It is at its old place with nothing below, or at its new place with all of it.
        let verdict = world.commit(root.forked(50, 50)).await;
        let stored = world.stored(&root.key).await.unwrap();
        assert!(matches!(verdict, Verdict::Done { .. } | Verdict::Stale));
        assert_eq!((stored.fence.seq, stored.state.phase), (1, Phase::Forked));
        assert_eq!(world.paths(root.key.execution).await.len(), 51);
        assert_eq!(world.history(root.key.execution).await, ["1 r@0", "2 r@1"]);
    }
    let at = world.start().await;
    let Done { at, .. } = world.pass(at.moved()).await;
    let ids = world.db.event_ids(at.key.execution, &[event(&at, 0)]).await.unwrap();
    assert_eq!(ids, [Some(2)]);
}
