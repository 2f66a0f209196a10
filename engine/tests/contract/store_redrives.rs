//! What every store promises of executions that are set going again.

use asl::branch::{BranchPath, EventRef};
use asl::data::context::Redrive as Mark;
use asl::data::timestamp::Timestamp;
use engine::ids::ExecutionId;
use engine::ports::catalog::{ExecutionFilter, StartedBy};
use engine::ports::store::changes::Announced;
use engine::ports::store::redrive::{
    Rebuilt, RebuiltFork, RebuiltHistory, Redrive, Redriven, TOKEN_MILLISECONDS, TOKENS_MAX,
};
use engine::ports::store::{
    BranchKey, Change, Closing, ExecutionStatus, Fence, Last, OUTBOX_MILLISECONDS, Phase, RowState, Verdict,
};

use super::world::{Adapter, At, START, World, closing, machine, names, row, runnable, text};

macro_rules! promises_to {
    ($attribute:meta, $adapter:expr) => {
        $crate::contract::promises!(store_redrives, $attribute, $adapter,
            a_redriven_execution_runs_as_if_it_had_not_closed
            what_was_in_flight_before_is_stale
            an_execution_is_redriven_if_it_is_closed_and_was_so_as_often_as_told
            of_redrives_at_once_one_stands
            no_execution_of_a_deleted_machine_is_redriven
            a_redrive_and_a_deletion_that_meet_are_one_after_the_other
            the_last_rows_of_branches_are_told_newest_first
            the_children_of_a_redriven_fork_are_launched_and_joined
            a_child_of_a_redriven_fork_may_fail
            a_redriven_parent_whose_children_have_all_ended_joins
            the_history_of_a_redriven_execution_is_as_full_as_it_was
            a_token_is_remembered_for_a_quarter_of_an_hour_and_nine_others
            a_redriven_execution_times_out_by_its_new_deadline
            a_redrive_is_kept_in_mind_until_it_is_announced
            an_end_is_announced_before_it_is_redriven
            a_redriven_execution_is_listed_as_if_it_had_just_started
            a_redriven_sleeper_wakes
        );
    };
}
pub(crate) use promises_to;

const AT: Timestamp = START.plus_seconds(60);

fn path(text: &str) -> BranchPath {
    text.parse().unwrap()
}

fn rebuilt(branch: &str, seq: u32, state: RowState, body: &str) -> Rebuilt {
    let events = if branch == "r" { 1 } else { 0 };
    let history = RebuiltHistory::New(row(events, body));
    Rebuilt { branch: path(branch), seq, state, fork: None, cause: None, history }
}

fn redrive(execution: ExecutionId, before: u32, branches: Vec<Rebuilt>) -> Redrive {
    Redrive {
        execution,
        redriven_before: before,
        at: AT,
        place: execution,
        deadline: None,
        token: None,
        unannounced: false,
        branches,
    }
}

impl World {
    /// An execution of three events whose root has failed at `seq` 2.
    async fn failed(&self) -> At {
        self.failed_unannounced(false).await
    }

    async fn failed_unannounced(&self, unannounced: bool) -> At {
        let moved = self.pass(self.start().await.moved()).await.at;
        let error = Some("E".to_owned());
        let closing = Closing { error, unannounced, ..closing(ExecutionStatus::Failed) };
        self.pass(moved.commit(Change::Finish(closing))).await.at
    }

    /// Redrives what must pass, and answers where its branches are.
    async fn redriven(&self, redrive: Redrive) -> Vec<At> {
        let execution = redrive.execution;
        let branches: Vec<_> = redrive.branches.iter().map(|rebuilt| rebuilt.branch.clone()).collect();
        match self.db.redrive(redrive).await.unwrap() {
            Redriven::Done(fences) => {
                let at = |(branch, fence)| At { key: BranchKey { execution, branch }, fence };
                branches.into_iter().zip(fences).map(at).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// A redriven fork of five events: the first child has ended well before, two run, one waits for room.
    async fn redriven_fork(&self) -> Vec<At> {
        let (forked, children) = self.fork(&self.start().await, 2).await;
        self.pass(children[0].commit_events(1, ended(&children[0]))).await;
        let failed = self.pass(forked.commit(Change::Finish(closing(ExecutionStatus::Failed)))).await.at;
        let fork = Some(RebuiltFork { children: 4, launched: 3, open: 3 });
        let root = Rebuilt { fork, ..rebuilt("r", 3, RowState::at_rest(Phase::Forked), "redriven") };
        let state = RowState::at_rest(Phase::Ended);
        let history = RebuiltHistory::Copy(path("r.1.0"), 1);
        let kept = Rebuilt { history, ..rebuilt("r.3.0", 1, state, "") };
        let branches = vec![
            root,
            kept,
            rebuilt("r.3.1", 1, runnable(), "one"),
            rebuilt("r.3.2", 1, runnable(), "two"),
            rebuilt("r.3.3", 0, RowState::at_rest(Phase::Queued), "three"),
        ];
        self.redriven(redrive(failed.key.execution, 0, branches)).await
    }
}

fn ended(at: &At) -> Change {
    let last = EventRef { branch: at.key.branch.clone(), seq: at.fence.seq + 1, offset: 0 };
    Change::EndBranch { failed: false, last_inner: last.clone(), last }
}

pub async fn a_redriven_execution_runs_as_if_it_had_not_closed(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let failed = world.failed().await;
    let id = failed.key.execution;
    let before = world.db.execution_by_id(id).await.unwrap().unwrap();
    assert_eq!((before.redrive, before.error.as_deref()), (None, Some("E")));
    let at = world.redriven(redrive(id, 0, vec![rebuilt("r", 3, runnable(), "redriven")])).await;
    let execution = world.db.execution_by_id(id).await.unwrap().unwrap();
    assert_eq!(execution.status, ExecutionStatus::Running);
    assert_eq!((execution.stopped_at, execution.error), (None, None));
    assert_eq!(execution.redrive, Some(Mark { count: 1, at: AT }));
    assert_eq!((execution.started_at, execution.revision), (before.started_at, before.revision));
    assert_eq!(world.db.running().await.unwrap(), 1);
    assert_eq!(world.db.ends(id).await.unwrap().unwrap().last, None);
    let stored = world.stored(&at[0].key).await.unwrap();
    assert_eq!((stored.fence, stored.state, stored.body), (at[0].fence, runnable(), text("redriven")));
    let moved = world.pass(at[0].moved()).await.at;
    world.pass(moved.finished()).await;
    let history = ["1 r@0", "2 r@1", "3 r@2", "4 r@3", "5 r@4", "6 r@5"];
    assert_eq!(world.history(id).await, history);
    let closed = world.db.execution_by_id(id).await.unwrap().unwrap();
    assert_eq!((closed.status, closed.redrive), (ExecutionStatus::Succeeded, execution.redrive));
    let again = redrive(id, 1, vec![rebuilt("r", 6, runnable(), "again")]);
    world.redriven(again).await;
    let execution = world.db.execution_by_id(id).await.unwrap().unwrap();
    assert_eq!(execution.redrive, Some(Mark { count: 2, at: AT }));
}

pub async fn what_was_in_flight_before_is_stale(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (forked, children) = world.fork(&world.start().await, 2).await;
    let id = forked.key.execution;
    world.pass(forked.commit(Change::Finish(closing(ExecutionStatus::Failed)))).await;
    world.redriven(redrive(id, 0, vec![rebuilt("r", 3, runnable(), "redriven")])).await;
    for old in [&forked, &children[0], &children[1]] {
        assert_eq!(world.commit(old.moved()).await, Verdict::Stale);
    }
    assert_eq!(world.paths(id).await, ["r"]);
}

pub async fn an_execution_is_redriven_if_it_is_closed_and_was_so_as_often_as_told(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let failed = world.failed().await;
    let id = failed.key.execution;
    let root = || vec![rebuilt("r", 3, runnable(), "redriven")];
    let stale = async |redrive| assert_eq!(world.db.redrive(redrive).await.unwrap(), Redriven::Stale);
    stale(redrive(ExecutionId::new(), 0, root())).await;
    stale(redrive(id, 1, root())).await;
    assert_eq!(world.paths(id).await, Vec::<String>::new());
    world.redriven(redrive(id, 0, root())).await;
    stale(redrive(id, 0, root())).await;
    stale(redrive(id, 1, root())).await;
    assert_eq!(world.history(id).await.len(), 4);
}

pub async fn of_redrives_at_once_one_stands(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let failed = world.failed().await;
    let id = failed.key.execution;
    let asked = (0..6).map(|number| {
        let body = format!("redrive {number}");
        world.db.redrive(redrive(id, 0, vec![rebuilt("r", 3, runnable(), &body)]))
    });
    let answers = futures::future::join_all(asked).await;
    let done = answers.iter().filter(|answer| matches!(answer, Ok(Redriven::Done(_)))).count();
    assert_eq!(done, 1, "{answers:?}");
    assert_eq!(world.history(id).await.len(), 4);
}

pub async fn no_execution_of_a_deleted_machine_is_redriven(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let id = world.failed().await.key.execution;
    assert!(world.db.delete_machine(world.machine.id).await.unwrap());
    let asked = redrive(id, 0, vec![rebuilt("r", 3, runnable(), "redriven")]);
    assert_eq!(world.db.redrive(asked).await.unwrap(), Redriven::Stale);
    assert_eq!((world.paths(id).await.len(), world.history(id).await.len()), (0, 3));
}

pub async fn a_redrive_and_a_deletion_that_meet_are_one_after_the_other(adapter: &dyn Adapter) {
    let db = World::new(adapter).await.db;
    for number in 0..10 {
        let world = World { db: db.clone(), machine: machine(&format!("machine-{number}")) };
        world.db.create_machine(world.machine.clone(), Vec::new()).await.unwrap();
        let running = world.db.running().await.unwrap();
        let id = world.failed().await.key.execution;
        let (db, asked) = (world.db.clone(), redrive(id, 0, vec![rebuilt("r", 3, runnable(), "redriven")]));
        let redriving = tokio::spawn(async move { db.redrive(asked).await.unwrap() });
        let (db, machine) = (world.db.clone(), world.machine.id);
        let deleting = tokio::spawn(async move {
            assert!(db.delete_machine(machine).await.unwrap());
            // What runs by then is found; nothing begins to run after that.
            db.running().await.unwrap()
        });
        let found = deleting.await.unwrap();
        let stands = matches!(redriving.await.unwrap(), Redriven::Done(_));
        assert_eq!(found - running, u64::from(stands));
    }
}

pub async fn the_last_rows_of_branches_are_told_newest_first(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (forked, children) = world.fork(&world.start().await, 2).await;
    world.pass(children[1].moved()).await;
    world.pass(forked.commit(Change::Finish(closing(ExecutionStatus::Failed)))).await;
    let execution = forked.key.execution;
    let key = |branch: &str| BranchKey { execution, branch: path(branch) };
    let asked = [key("r.1.1"), key("r.1.7"), key("r"), key("r.1.0")];
    let rows = world.db.last_rows(&asked).await.unwrap();
    let shown = |rows: &[(u32, bytes::Bytes)]| {
        let text = |body: &bytes::Bytes| String::from_utf8(body.to_vec()).unwrap();
        rows.iter().map(|(seq, body)| format!("{seq} {}", text(body))).collect::<Vec<_>>()
    };
    let shown: Vec<_> = rows.iter().map(|rows| shown(rows)).collect();
    assert_eq!(shown[0], ["1 r.1.1@1", "0 item 1"]);
    assert_eq!(shown[1], Vec::<String>::new());
    assert_eq!(shown[2], ["2 r@2", "1 r@1"]);
    assert_eq!(shown[3], ["0 item 0"]);
}

pub async fn the_children_of_a_redriven_fork_are_launched_and_joined(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let at = world.redriven_fork().await;
    let execution = at[0].key.execution;
    assert_eq!(world.paths(execution).await, ["r", "r.3.0", "r.3.1", "r.3.2", "r.3.3"]);
    let launched = world.pass(at[2].commit_events(2, ended(&at[2]))).await;
    assert_eq!(names(&launched), ["r.3.3"]);
    let last = at[2].child(&launched.launched[0]);
    assert_eq!(launched.launched[0].body, text("three"));
    world.pass(at[3].commit_events(2, ended(&at[3]))).await;
    let done = world.pass(last.commit_events(3, ended(&last))).await;
    let parent = done.parent.unwrap();
    let joined = world.db.joined(&parent.key, parent.fence).await.unwrap().unwrap();
    let bodies: Vec<_> = joined.bodies.iter().map(|body| String::from_utf8(body.to_vec()).unwrap()).collect();
    assert_eq!(bodies, ["r.1.0@1", "r.3.1@2", "r.3.2@2", "r.3.3@1"]);
    assert_eq!(joined.events, 7, "what was recorded before the redrive is the root's");
    let joined = world.pass(parent.joined()).await.at;
    world.pass(joined.finished()).await;
    let history = world.history(execution).await;
    assert_eq!(history.last().map(String::as_str), Some("14 r@5"));
}

pub async fn a_child_of_a_redriven_fork_may_fail(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let at = world.redriven_fork().await;
    let done = world.pass(at[2].failed()).await;
    let parent = done.parent.unwrap();
    let commit = parent.commit(Change::Finish(closing(ExecutionStatus::Failed)));
    let decide = move |failed: engine::ports::store::Failed| {
        assert_eq!(failed.child.key.branch, path("r.3.1"));
        let aborted: Vec<_> = failed.aborted.iter().map(|branch| branch.key.branch.to_string()).collect();
        assert_eq!((aborted, failed.events), (vec!["r.3.2".to_owned()], 2));
        Some(commit)
    };
    let verdict = world.db.fail_fork(&parent.key, parent.fence, Box::new(decide)).await.unwrap();
    assert!(matches!(verdict, Verdict::Done { .. }), "{verdict:?}");
    assert!(world.paths(parent.key.execution).await.is_empty());
}

pub async fn a_redriven_parent_whose_children_have_all_ended_joins(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let (forked, children) = world.fork(&world.start().await, 1).await;
    let parent = world.pass(children[0].commit_events(1, ended(&children[0]))).await.parent.unwrap();
    let failing = Change::Finish(closing(ExecutionStatus::Failed));
    world.pass(engine::ports::store::Commit { joins: true, ..parent.commit(failing) }).await;
    let cause = Some(EventRef { branch: path("r.1.0"), seq: 1, offset: 0 });
    let fork = Some(RebuiltFork { children: 1, launched: 1, open: 0 });
    let root = Rebuilt { fork, cause: cause.clone(), ..rebuilt("r", 3, runnable(), "redriven") };
    let history = RebuiltHistory::Copy(path("r.1.0"), 1);
    let kept = Rebuilt { history, ..rebuilt("r.3.0", 1, RowState::at_rest(Phase::Ended), "") };
    let at = world.redriven(redrive(forked.key.execution, 0, vec![root, kept])).await;
    let joined = world.db.joined(&at[0].key, at[0].fence).await.unwrap().unwrap();
    assert_eq!((joined.parent.cause, joined.bodies, joined.events), (cause, vec![text("r.1.0@1")], 0));
    world.pass(at[0].joined()).await;
}

pub async fn the_history_of_a_redriven_execution_is_as_full_as_it_was(adapter: &dyn Adapter) {
    let world = World::with_history(adapter, 6).await;
    let failed = world.failed().await;
    let branches = vec![rebuilt("r", 3, runnable(), "redriven")];
    let at = world.redriven(redrive(failed.key.execution, 0, branches)).await;
    let moved = world.pass(at[0].moved()).await.at;
    assert_eq!(world.commit(moved.moved()).await, Verdict::HistoryFull);
    world.pass(moved.finished()).await;
}

pub async fn a_token_is_remembered_for_a_quarter_of_an_hour_and_nine_others(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let mut root = world.failed().await;
    let id = root.key.execution;
    let known = async |token: &str, milliseconds| {
        let now = AT.plus_milliseconds(milliseconds);
        world.db.redriven_as(id, token, now).await.unwrap()
    };
    assert_eq!(known("0", 0).await, None);
    for before in 0..=TOKENS_MAX {
        let branches = vec![rebuilt("r", root.fence.seq + 1, runnable(), "redriven")];
        let token = Some(before.to_string());
        let redriven = world.redriven(Redrive { token, ..redrive(id, before, branches) }).await;
        assert_eq!(known(&before.to_string(), 0).await, Some(AT));
        root = world.pass(redriven[0].finished()).await.at;
    }
    assert_eq!(known("0", 0).await, None, "ten others came after it");
    assert_eq!(known("1", TOKEN_MILLISECONDS - 1).await, Some(AT));
    assert_eq!(known("1", TOKEN_MILLISECONDS).await, None);
    assert_eq!(known("", 0).await, None);
    let other = world.failed().await.key.execution;
    assert_eq!(world.db.redriven_as(other, "1", AT).await.unwrap(), None);
}

pub async fn a_redriven_execution_times_out_by_its_new_deadline(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let id = world.failed().await.key.execution;
    let deadline = AT.plus_seconds(5);
    let branches = vec![rebuilt("r", 3, runnable(), "redriven")];
    world.redriven(Redrive { deadline: Some(deadline), ..redrive(id, 0, branches) }).await;
    let overdue = async |at| world.db.overdue(at, 9).await.unwrap();
    assert_eq!(overdue(deadline.plus_milliseconds(-1)).await, []);
    assert_eq!(overdue(deadline).await, [id]);
    let decide = move |open: engine::ports::store::Open| {
        assert_eq!((open.events, open.root.fence.seq), (4, 3));
        assert_eq!(open.deadline, Some(deadline), "who found it overdue before it was redriven leaves it");
        let rows = vec![(open.root.key.branch, 4, row(1, "timed out"))];
        Some(Last { rows, closing: closing(ExecutionStatus::TimedOut) })
    };
    assert!(engine::ports::store::Store::close(&*world.db, id, Box::new(decide)).await.unwrap());
    assert_eq!(overdue(deadline).await, []);
    assert_eq!(world.history(id).await.len(), 5);
}

pub async fn a_redrive_is_kept_in_mind_until_it_is_announced(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let id = world.failed().await.key.execution;
    let branches = vec![rebuilt("r", 3, runnable(), "redriven")];
    world.redriven(Redrive { unannounced: true, ..redrive(id, 0, branches) }).await;
    let later = world.db.now().await.unwrap().plus_milliseconds(OUTBOX_MILLISECONDS);
    assert_eq!(world.db.claim_unannounced(later, 1_000, 9).await.unwrap(), [id]);
    let announced = async |number| {
        world.db.announced(&[Announced { execution: id, number }]).await.unwrap();
        let again = later.plus_seconds(2);
        world.db.claim_unannounced(again, 0, 9).await.unwrap().is_empty()
    };
    assert!(!announced(2).await, "the end before it was announced late");
    assert!(announced(3).await);
    assert_eq!(world.db.claim_unannounced(later.plus_seconds(9), 1_000, 9).await.unwrap(), []);
}

pub async fn an_end_is_announced_before_it_is_redriven(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let id = world.failed_unannounced(true).await.key.execution;
    let asked = redrive(id, 0, vec![rebuilt("r", 3, runnable(), "redriven")]);
    assert_eq!(world.db.redrive(asked.clone()).await.unwrap(), Redriven::Unannounced);
    assert_eq!(world.history(id).await.len(), 3);
    world.db.announced(&[Announced { execution: id, number: 2 }]).await.unwrap();
    world.redriven(asked).await;
}

pub async fn a_redriven_sleeper_wakes(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let id = world.failed().await.key.execution;
    let now = world.db.now().await.unwrap();
    let state = RowState { phase: Phase::Sleeping, wake: Some(now), due: Some(now), task: None };
    let at = world.redriven(redrive(id, 0, vec![rebuilt("r", 3, state, "sleeps")])).await;
    let claim = engine::ports::store::Claim {
        now: now.plus_milliseconds(1),
        again_after_ms: 1_000,
        moved_before: Timestamp::default(),
        limit: 9,
    };
    let claimed = world.db.claim_due(claim).await.unwrap().rows;
    assert_eq!(claimed.iter().map(|row| row.fence).collect::<Vec<Fence>>(), [at[0].fence]);
    let mut woken = at[0].moved();
    woken.woken_at = Some(now);
    world.pass(woken).await;
}

pub async fn a_redriven_execution_is_listed_as_if_it_had_just_started(adapter: &dyn Adapter) {
    let world = World::new(adapter).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(world.failed().await.key.execution);
    }
    for index in [2, 0] {
        let branches = vec![rebuilt("r", 3, runnable(), "redriven")];
        let place = ExecutionId::new();
        world.redriven(Redrive { place, ..redrive(ids[index], 0, branches) }).await;
    }
    let listed = async |status, limit| {
        let filter = ExecutionFilter { machine: world.machine.id, started_by: StartedBy::Any, status };
        let (mut listed, mut from) = (Vec::new(), None::<String>);
        loop {
            let page = world.db.executions(&filter, limit, from.as_deref()).await.unwrap();
            listed.extend(page.items.into_iter().map(|execution| execution.id));
            from = page.next;
            if from.is_none() {
                return listed;
            }
        }
    };
    for limit in [1, 3, 9] {
        assert_eq!(listed(None, limit).await, [ids[0], ids[2], ids[3], ids[1]]);
        assert_eq!(listed(Some(ExecutionStatus::Running), limit).await, [ids[0], ids[2]]);
        assert_eq!(listed(Some(ExecutionStatus::Failed), limit).await, [ids[3], ids[1]]);
    }
}
