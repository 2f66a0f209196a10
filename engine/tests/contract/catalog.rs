//! What every catalog promises.

use asl::branch::EventRef;
use engine::ids::{ExecutionId, MachineId, RevisionId};
use engine::ports::store::{Change, ExecutionStatus};

use super::world::{Adapter, At, PLENTY, START, World, closing, event, machine, revision, runnable, text};
use engine::ports::catalog::{
    Activity, Created, Ends, ExecutionFilter, Machine, NumberedRow, StartedBy, Updated, WithEnds,
    WorkflowType,
};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(catalog, $attribute, $adapter,
            a_machine_is_found_as_it_was_made
            a_machine_name_is_taken_once
            an_update_makes_a_revision_current_and_keeps_the_others
            a_deleted_machine_leaves_its_executions_and_revisions
            a_machine_made_again_has_its_own_executions
            machines_are_counted_and_listed_in_the_order_they_were_made
            an_activity_is_made_once
            activities_are_counted_and_listed_in_the_order_they_were_made
            an_execution_is_found_by_name_and_by_id
            executions_are_listed_newest_first
            executions_are_listed_by_status
            a_list_of_executions_is_stable_while_new_ones_start
            running_executions_are_counted
            those_that_still_run_are_told_from_the_others
            ends_are_the_first_and_the_last_body_of_the_root
            executions_are_read_with_their_ends_in_the_order_asked
            history_is_read_forwards_from_any_event
            history_is_read_backwards_from_any_event
            history_interleaves_branches_in_the_order_of_commits
            the_ids_of_events_are_found_in_the_order_asked
        );
    };
}
pub(crate) use promises_to;

pub async fn a_machine_is_found_as_it_was_made(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let express = Machine { workflow_type: WorkflowType::Express, ..machine("quick") };
    for machine in [machine("orders"), express] {
        assert_eq!(db.create_machine(machine.clone(), Vec::new()).await.unwrap(), Created::New);
        assert_eq!(db.revision(machine.revision.id).await.unwrap(), Some(machine.revision.clone()));
        assert_eq!(db.machine(&machine.name).await.unwrap(), Some(machine));
    }
    assert_eq!(db.machine("Orders").await.unwrap(), None);
    assert_eq!(db.revision(RevisionId::new()).await.unwrap(), None);
}

pub async fn a_machine_name_is_taken_once(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let (first, second) = (machine("orders"), machine("orders"));
    db.create_machine(first.clone(), Vec::new()).await.unwrap();
    assert_eq!(db.create_machine(second.clone(), Vec::new()).await.unwrap(), Created::Exists(first.clone()));
    assert_eq!(db.machine("orders").await.unwrap(), Some(first));
    assert_eq!(db.revision(second.revision.id).await.unwrap(), None);
}

pub async fn an_update_makes_a_revision_current_and_keeps_the_others(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let before = machine("orders");
    db.create_machine(before.clone(), Vec::new()).await.unwrap();
    let next = revision(false);
    let from = before.revision.id;
    assert_eq!(db.update_machine(before.id, from, next.clone()).await.unwrap(), Updated::Done);
    let after = Machine { revision: next, ..before.clone() };
    assert_eq!(db.machine("orders").await.unwrap(), Some(after.clone()));
    assert_eq!(db.revision(before.revision.id).await.unwrap(), Some(before.revision));
    let lost = revision(false);
    assert_eq!(db.update_machine(before.id, from, lost.clone()).await.unwrap(), Updated::Overtaken);
    assert_eq!(db.update_machine(MachineId::new(), from, lost.clone()).await.unwrap(), Updated::Gone);
    assert_eq!(db.revision(lost.id).await.unwrap(), None);
    assert_eq!(db.machine("orders").await.unwrap(), Some(after));
}

pub async fn a_deleted_machine_leaves_its_executions_and_revisions(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    assert!(world.db.delete_machine(world.machine.id).await.unwrap());
    assert!(!world.db.delete_machine(world.machine.id).await.unwrap());
    assert_eq!(world.db.machine("orders").await.unwrap(), None);
    assert_eq!(world.db.machines(10, None).await.unwrap().items, []);
    assert!(world.db.revision(world.machine.revision.id).await.unwrap().is_some());
    let execution = world.db.execution_by_id(root.key.execution).await.unwrap().unwrap();
    assert_eq!(execution.machine_name, "orders");
    world.pass(root.moved()).await;
}

pub async fn a_machine_made_again_has_its_own_executions(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let old = world.start_as(world.execution(Some("monday"))).await;
    world.db.delete_machine(world.machine.id).await.unwrap();
    let again = machine("orders");
    assert_eq!(world.db.create_machine(again.clone(), Vec::new()).await.unwrap(), Created::New);
    let world = World { machine: again, ..world };
    let new = world.start_as(world.execution(Some("monday"))).await;
    let listed = list(&world, None).await;
    assert_eq!(listed, [new.key.execution]);
    let found = world.db.execution("orders", "monday").await.unwrap().unwrap();
    assert_eq!(found.id, new.key.execution);
    assert!(world.db.execution_by_id(old.key.execution).await.unwrap().is_some());
}

pub async fn machines_are_counted_and_listed_in_the_order_they_were_made(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    for name in ["c", "a", "e", "b", "d"] {
        db.create_machine(machine(name), Vec::new()).await.unwrap();
    }
    assert_eq!(db.count_machines().await.unwrap(), 5);
    let gone = db.machine("e").await.unwrap().unwrap();
    db.delete_machine(gone.id).await.unwrap();
    assert_eq!(db.count_machines().await.unwrap(), 4);
    let names =
        |machines: &[Machine]| machines.iter().map(|machine| machine.name.clone()).collect::<Vec<_>>();
    let first = db.machines(3, None).await.unwrap();
    assert_eq!(names(&first.items), ["c", "a", "b"]);
    let last = db.machines(3, first.next.as_deref()).await.unwrap();
    assert_eq!((names(&last.items), last.next), (vec!["d".to_owned()], None));
    let all = db.machines(4, None).await.unwrap();
    assert_eq!((all.items.len(), all.next), (4, None));
}

fn activity(name: &str, second: i64) -> Activity {
    Activity { name: name.to_owned(), created_at: START.plus_seconds(second) }
}

pub async fn an_activity_is_made_once(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    assert_eq!(db.create_activity(activity("paint", 1), Vec::new()).await.unwrap(), activity("paint", 1));
    assert_eq!(db.create_activity(activity("paint", 2), Vec::new()).await.unwrap(), activity("paint", 1));
    assert_eq!(db.activity("paint").await.unwrap(), Some(activity("paint", 1)));
    assert!(db.delete_activity("paint").await.unwrap());
    assert!(!db.delete_activity("paint").await.unwrap());
    assert_eq!(db.activity("paint").await.unwrap(), None);
}

pub async fn activities_are_counted_and_listed_in_the_order_they_were_made(adapter: &dyn Adapter) {
    let db = adapter.open(PLENTY).await;
    let activities = [activity("c", 3), activity("a", 2), activity("b", 1)];
    for activity in activities.clone() {
        db.create_activity(activity, Vec::new()).await.unwrap();
    }
    assert_eq!(db.count_activities().await.unwrap(), 3);
    let first = db.activities(2, None).await.unwrap();
    assert_eq!(first.items, activities[..2]);
    let last = db.activities(2, first.next.as_deref()).await.unwrap();
    assert_eq!((last.items.as_slice(), last.next), (&activities[2..], None));
}

pub async fn an_execution_is_found_by_name_and_by_id(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let new = world.execution(Some("monday"));
    world.start_as(new.clone()).await;
    let found = world.db.execution("orders", "monday").await.unwrap().unwrap();
    assert_eq!((found.id, found.machine, found.revision), (new.id, new.machine, new.revision));
    assert_eq!((found.machine_name.as_str(), found.name.as_str()), ("orders", "monday"));
    assert_eq!((found.status, found.started_at), (ExecutionStatus::Running, START));
    assert_eq!((&found.stopped_at, &found.error), (&None, &None));
    assert_eq!(world.db.execution_by_id(new.id).await.unwrap(), Some(found));
    assert_eq!(world.db.execution("orders", "tuesday").await.unwrap(), None);
    assert_eq!(world.db.execution("returns", "monday").await.unwrap(), None);
    assert_eq!(world.db.execution_by_id(ExecutionId::new()).await.unwrap(), None);
}

/// All pages of two.
async fn list(world: &World, status: Option<ExecutionStatus>) -> Vec<ExecutionId> {
    let filter = ExecutionFilter { machine: world.machine.id, started_by: StartedBy::Any, status };
    let mut listed = Vec::new();
    let mut from = None;
    loop {
        let page = world.db.executions(&filter, 2, from.as_deref()).await.unwrap();
        assert!(page.items.len() <= 2);
        listed.extend(page.items.into_iter().map(|execution| execution.id));
        from = page.next;
        if from.is_none() {
            return listed;
        }
    }
}

async fn started(world: &World, count: usize) -> Vec<At> {
    let mut roots = Vec::new();
    for _ in 0..count {
        roots.push(world.start().await);
    }
    roots
}

fn newest_first(roots: &[At]) -> Vec<ExecutionId> {
    roots.iter().rev().map(|root| root.key.execution).collect()
}

pub async fn executions_are_listed_newest_first(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    assert_eq!(list(&world, None).await, []);
    let roots = started(&world, 6).await;
    assert_eq!(list(&world, None).await, newest_first(&roots));
}

pub async fn executions_are_listed_by_status(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let roots = started(&world, 5).await;
    let failed = Change::Finish(closing(ExecutionStatus::Failed));
    world.pass(roots[1].commit(failed.clone())).await;
    world.pass(roots[3].commit(failed)).await;
    world.pass(roots[2].finished()).await;
    let id = |index: usize| roots[index].key.execution;
    assert_eq!(list(&world, Some(ExecutionStatus::Failed)).await, [id(3), id(1)]);
    assert_eq!(list(&world, Some(ExecutionStatus::Succeeded)).await, [id(2)]);
    assert_eq!(list(&world, Some(ExecutionStatus::Running)).await, [id(4), id(0)]);
    assert_eq!(list(&world, Some(ExecutionStatus::TimedOut)).await, []);
}

pub async fn a_list_of_executions_is_stable_while_new_ones_start(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let roots = started(&world, 4).await;
    let filter = ExecutionFilter { machine: world.machine.id, started_by: StartedBy::Any, status: None };
    let first = world.db.executions(&filter, 2, None).await.unwrap();
    started(&world, 3).await;
    let second = world.db.executions(&filter, 2, first.next.as_deref()).await.unwrap();
    let listed: Vec<_> = first.items.iter().chain(&second.items).map(|execution| execution.id).collect();
    assert_eq!(listed, newest_first(&roots));
    assert_eq!(second.next, None);
}

pub async fn running_executions_are_counted(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    assert_eq!(world.db.running().await.unwrap(), 0);
    let roots = started(&world, 3).await;
    assert_eq!(world.db.running().await.unwrap(), 3);
    world.pass(roots[0].finished()).await;
    assert_eq!(world.db.running().await.unwrap(), 2);
}

pub async fn those_that_still_run_are_told_from_the_others(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let roots = started(&world, 3).await;
    world.pass(roots[1].finished()).await;
    let ids: Vec<ExecutionId> =
        roots.iter().map(|root| root.key.execution).chain([ExecutionId::new()]).collect();
    let mut running = world.db.still_running(&ids).await.unwrap();
    running.sort();
    assert_eq!(running, [ids[0], ids[2]]);
    assert_eq!(world.db.still_running(&[]).await.unwrap(), []);
}

pub async fn executions_are_read_with_their_ends_in_the_order_asked(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (runs, closed) = (world.start().await, world.start().await);
    world.pass(runs.moved()).await;
    let closed_at = world.pass(closed.moved()).await.at;
    world.pass(closed_at.commit(Change::Finish(closing(ExecutionStatus::Failed)))).await;
    let (runs, closed) = (runs.key.execution, closed.key.execution);
    let read = world.db.executions_with_ends(&[closed, ExecutionId::new(), runs, closed]).await.unwrap();
    let mut expected = Vec::new();
    for (id, last_seq) in [(closed, 2), (runs, 1), (closed, 2)] {
        let execution = world.db.execution_by_id(id).await.unwrap().unwrap();
        let ends = world.db.ends(id).await.unwrap().unwrap();
        expected.push(Some(WithEnds { execution, ends, last_seq }));
    }
    expected.insert(1, None);
    assert_eq!(read, expected);
    assert_eq!(read[2].as_ref().unwrap().ends.last, None);
    assert!(world.db.executions_with_ends(&[]).await.unwrap().is_empty());
}

pub async fn ends_are_the_first_and_the_last_body_of_the_root(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let at = world.pass(root.moved()).await.at;
    let ends = |last| Some(Ends { first: text("input"), last });
    assert_eq!(world.db.ends(root.key.execution).await.unwrap(), ends(None));
    world.pass(at.finished()).await;
    assert_eq!(world.db.ends(root.key.execution).await.unwrap(), ends(Some(text("r@2"))));
    assert_eq!(world.db.ends(ExecutionId::new()).await.unwrap(), None);
}

/// An execution with the ids 1 | 2 3 4 | 5 | 6 7 | 8, between them transitions without events.
async fn recorded(world: &World) -> ExecutionId {
    let mut at = world.start().await;
    for events in [0, 3, 1, 0, 0, 2, 1] {
        at = world.pass(at.commit_events(events, Change::Move(runnable()))).await.at;
    }
    world.start().await;
    at.key.execution
}

async fn ids(world: &World, id: ExecutionId, from: u64, limit: u32, reverse: bool) -> Vec<u64> {
    let rows = world.db.history(id, from, limit, reverse).await.unwrap();
    rows.iter().map(|row| row.first_id).collect()
}

pub async fn history_is_read_forwards_from_any_event(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let id = recorded(&world).await;
    let cases: [(u64, u32, &[u64]); 9] = [
        (1, 100, &[1, 2, 5, 6, 8]),
        (1, 1, &[1]),
        (1, 2, &[1, 2]),
        (3, 1, &[2]),
        (4, 2, &[2, 5]),
        (7, 5, &[6, 8]),
        (8, 1, &[8]),
        (9, 10, &[]),
        (1, 0, &[]),
    ];
    for (from, limit, expected) in cases {
        assert_eq!(ids(&world, id, from, limit, false).await, expected, "{limit} from {from}");
    }
    let rows = world.db.history(id, 3, 1, false).await.unwrap();
    let branch = "r".parse().unwrap();
    assert_eq!(rows, [NumberedRow { first_id: 2, branch, seq: 2, events: 3, body: text("r@2") }]);
    assert_eq!(ids(&world, ExecutionId::new(), 1, 10, false).await, [0; 0]);
}

pub async fn history_is_read_backwards_from_any_event(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let id = recorded(&world).await;
    let cases: [(u64, u32, &[u64]); 8] = [
        (8, 100, &[8, 6, 5, 2, 1]),
        (8, 1, &[8]),
        (8, 2, &[8, 6]),
        (6, 1, &[6]),
        (6, 3, &[6, 5, 2]),
        (2, 2, &[2, 1]),
        (1, 5, &[1]),
        (8, 0, &[]),
    ];
    for (from, limit, expected) in cases {
        assert_eq!(ids(&world, id, from, limit, true).await, expected, "{limit} back from {from}");
    }
}

pub async fn history_interleaves_branches_in_the_order_of_commits(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2).await;
    let first = world.pass(children[0].commit_events(2, Change::Move(runnable()))).await.at;
    let second = world.pass(children[1].moved()).await.at;
    let ended = world.pass_all(vec![second.ended(), first.ended()]).await;
    world.pass(ended[1].parent.clone().unwrap().joined()).await;
    let expected = ["1 r@0", "2 r@1", "3 r.1.0@1", "5 r.1.1@1", "6 r.1.1@2", "8 r.1.0@2", "10 r@2"];
    assert_eq!(world.history(root.key.execution).await, expected);
    let id = root.key.execution;
    assert_eq!(ids(&world, id, 4, 3, false).await, [3, 5, 6]);
    assert_eq!(ids(&world, id, 9, 4, true).await, [8, 6]);
}

pub async fn the_ids_of_events_are_found_in_the_order_asked(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let root = world.start().await;
    let (forked, children) = world.fork(&root, 2).await;
    let child = world.pass(children[1].commit_events(3, Change::Move(runnable()))).await.at;
    let unknown = EventRef { branch: "r.9.9".parse().unwrap(), seq: 0, offset: 0 };
    let asked = [
        event(&child, 2),
        event(&root, 0),
        event(&child, 3),
        unknown,
        event(&children[0], 0),
        event(&forked, 0),
        event(&child, 0),
    ];
    let found = world.db.event_ids(root.key.execution, &asked).await.unwrap();
    assert_eq!(found, [Some(5), Some(1), None, None, None, Some(2), Some(3)]);
    assert_eq!(world.db.event_ids(root.key.execution, &[]).await.unwrap(), []);
}
