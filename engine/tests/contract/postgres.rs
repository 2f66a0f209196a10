//! What Postgres promises beyond the ports: several engines at once, lost connections, partitions, time.

use std::time::{Duration, Instant};

use asl::data::timestamp::Timestamp;
use engine::adapters::postgres::PostgresStore;
use engine::ids::ExecutionId;
use engine::ports::catalog::Catalog;
use engine::ports::store::{Change, Error, ExecutionStatus, Last, NewExecution, Open, Store, Verdict};
use sqlx::{AssertSqlSafe, Executor, Row, query};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::world::{At, Database, PLENTY, START, World, closing, done, row};
use crate::postgres_server::TestDatabase;

async fn world(database: &TestDatabase) -> World {
    World::new(database).await
}

/// Commits with the store, and again while it says that nothing is known.
async fn commit_until_known(store: &dyn Database, at: &At) -> Verdict {
    loop {
        match store.commit(vec![at.ended()]).await {
            Ok(mut verdicts) => return verdicts.remove(0),
            Err(Error::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_instances_migrate_at_once() {
    let database = TestDatabase::empty().await;
    let migrations = (0..4).map(|_| {
        let store = database.open(PLENTY);
        tokio::spawn(async move {
            let applied = store.migrate().await.unwrap();
            store.prepare_partitions().await.unwrap();
            applied
        })
    });
    let mut applied = Vec::new();
    for migration in migrations.collect::<Vec<_>>() {
        applied.push(migration.await.unwrap());
    }
    applied.sort_unstable();
    assert_eq!((&applied[..3], applied[3] > 0), (&[0; 3][..], true), "one of them did all");
    assert_eq!(database.open(PLENTY).migrate().await.unwrap(), 0);
    let world = world(&database).await;
    let root = world.start().await;
    world.pass(root.moved()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_told_and_only_a_url_is_refused() {
    let database = TestDatabase::new().await;
    let mut config = database.config(PLENTY);
    config.url = "postgres://postgres@127.0.0.1:1/nobody".to_owned();
    let store = PostgresStore::open(config.clone()).unwrap();
    assert!(matches!(store.now().await, Err(Error::Unavailable(_))));
    assert!(store.clock().now() > START, "the clock goes on");
    config.url = "no url".to_owned();
    assert!(matches!(PostgresStore::open(config), Err(Error::Corrupt(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_the_databases() {
    let database = TestDatabase::new().await;
    let store = database.open(PLENTY);
    let (clock, stop) = (store.clock(), CancellationToken::new());
    let asking = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move { store.keep_time(stop).await }
    });
    let before = store.now().await.unwrap();
    let told = clock.now();
    let after = store.now().await.unwrap();
    assert!(told >= before && told <= after, "{before} {told} {after}");
    stop.cancel();
    asking.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_from_several_engines_give_each_transition_once() {
    let database = TestDatabase::new().await;
    let world = world(&database).await;
    let mut at = world.start().await;
    let engines: Vec<_> = (0..4).map(|_| database.open(PLENTY)).collect();
    for seq in 1..=20 {
        let commits = engines.iter().map(|engine| engine.commit(vec![at.moved()]));
        let mut stands = Vec::new();
        for verdicts in futures::future::join_all(commits).await {
            stands.extend(verdicts.unwrap().into_iter().filter(|verdict| *verdict != Verdict::Stale));
        }
        assert_eq!(stands.len(), 1);
        at = done(at.key.clone(), stands.remove(0)).at;
        assert_eq!(at.fence.seq, seq);
    }
    assert_eq!(world.history(at.key.execution).await.len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_of_two_thousand_ends_at_once_and_is_joined_once() {
    let database = TestDatabase::new().await;
    let world = world(&database).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 2_000).await;
    let engines: Vec<_> = (0..3).map(|_| database.open(PLENTY)).collect();
    // Every end comes to every engine.
    let mut tasks = Vec::new();
    for engine in engines {
        for chunk in children.chunks(50) {
            let (engine, ends) = (engine.clone(), chunk.iter().map(At::ended).collect::<Vec<_>>());
            tasks.push(tokio::spawn(async move { engine.commit(ends).await.unwrap() }));
        }
    }
    let (mut stands, mut parents) = (0, Vec::new());
    for task in tasks {
        for verdict in task.await.unwrap() {
            if let Verdict::Done { parent, .. } = verdict {
                stands += 1;
                parents.extend(parent);
            }
        }
    }
    assert_eq!((stands, parents.len()), (2_000, 1));
    let (key, fence) = parents.remove(0);
    let parent = At { key, fence };
    let joined = world.db.joined(&parent.key, parent.fence).await.unwrap().unwrap();
    assert_eq!((joined.bodies.len(), joined.events), (2_000, 4_000));
    world.pass(parent.joined()).await;
    assert_eq!(world.paths(root.key.execution).await, ["r"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_and_a_stop_that_meet_leave_nothing_and_no_deadlock() {
    let database = TestDatabase::new().await;
    let world = world(&database).await;
    let engines: Vec<_> = (0..2).map(|_| database.open(PLENTY)).collect();
    for _ in 0..15 {
        let root = world.start().await;
        let (_, children) = world.fork(&root, 40).await;
        let mut tasks = Vec::new();
        for (index, child) in children.into_iter().enumerate() {
            let engine = engines[index % 2].clone();
            tasks.push(tokio::spawn(async move {
                let commit = if index % 3 == 0 { child.forked(3, 3) } else { child.ended() };
                engine.commit(vec![commit]).await.unwrap();
            }));
        }
        let stopped = world.db.close(
            root.key.execution,
            Box::new(|open| {
                let rows = vec![(open.root.key.branch.clone(), open.root.fence.seq + 1, row(1, "aborted"))];
                Some(Last { rows, closing: closing(ExecutionStatus::Aborted) })
            }),
        );
        assert!(stopped.await.unwrap());
        for task in tasks {
            task.await.unwrap();
        }
        assert!(world.paths(root.key.execution).await.is_empty());
        let history = world.history(root.key.execution).await;
        assert!(history.last().unwrap().ends_with("r@2"), "the stop is the last event");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_overlaps_a_redrive_closes_what_was_redriven() {
    let database = TestDatabase::new().await;
    let world = world(&database).await;
    let root = world.pass(world.start().await.moved()).await.at;
    let mut other = database.connect().await;
    // The rows as a redrive would make them.
    other.execute("CREATE TEMPORARY TABLE redriven AS SELECT * FROM branches").await.unwrap();
    let failed = Change::Finish(closing(ExecutionStatus::Failed));
    world.pass(root.commit(failed)).await;
    // A close comes as far as to find no branch rows, and waits.
    other.execute("BEGIN; LOCK TABLE executions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (db, execution) = (world.db.clone(), root.key.execution);
    let closing = tokio::spawn(async move {
        let decide = |open: Open| {
            let rows = vec![(open.root.key.branch.clone(), 3, row(1, "aborted"))];
            Some(Last { rows, closing: closing(ExecutionStatus::Aborted) })
        };
        Store::close(&*db, execution, Box::new(decide)).await
    });
    until_somebody_waits(&database).await;
    other
        .execute(
            "UPDATE executions SET status = 0, stopped_at = NULL; INSERT INTO branches SELECT * FROM redriven;
             COMMIT",
        )
        .await
        .unwrap();
    assert!(closing.await.unwrap().unwrap());
    assert!(world.paths(execution).await.is_empty());
    let closed = world.db.execution_by_id(execution).await.unwrap().unwrap();
    assert_eq!(closed.status, ExecutionStatus::Aborted);
}

/// Until a request of an engine waits for a lock.
async fn until_somebody_waits(database: &TestDatabase) {
    let waiting =
        "SELECT FROM pg_stat_activity WHERE application_name = current_schema() AND wait_event_type = 'Lock'";
    // Looks from outside, as a transaction sees one state of it.
    let mut watcher = database.connect().await;
    while watcher.fetch_optional(waiting).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_told_and_the_next_commit_finds_out() {
    let database = TestDatabase::new().await;
    let world = world(&database).await;
    let root = world.start().await;
    let (_, children) = world.fork(&root, 1).await;
    let store = database.open(PLENTY);
    // The table is held, so that the commit is under way when its connection is ended. This lock makes no
    // transaction that the histories of other tests would wait for.
    let mut other = database.connect().await;
    other.execute("BEGIN; LOCK TABLE branches IN EXCLUSIVE MODE").await.unwrap();
    let ending = tokio::spawn({
        let (store, end) = (store.clone(), children[0].ended());
        async move { store.commit(vec![end]).await }
    });
    until_somebody_waits(&database).await;
    let mut watcher = database.connect().await;
    let kill =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = current_schema()";
    watcher.execute(kill).await.unwrap();
    assert!(matches!(ending.await.unwrap(), Err(Error::Unavailable(_))));
    other.execute("ROLLBACK").await.unwrap();
    let verdict = commit_until_known(&store, &children[0]).await;
    assert!(done(children[0].key.clone(), verdict).parent.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_members_fault_fails_it_alone() {
    let database = TestDatabase::new().await;
    let world = world(&database).await;
    let (good, bad) = (world.start().await, world.start().await);
    // A row where the next transition's would be: no commit of ours makes one.
    let fault = format!("INSERT INTO history VALUES ('{}', 0, 1, 0, 'r', '')", bad.key.execution);
    database.connect().await.execute(AssertSqlSafe(fault)).await.unwrap();
    let mut others = vec![good];
    for _ in 0..20 {
        others.push(world.start().await);
    }
    let commits = others.iter().chain([&bad]).map(|at| world.db.commit(vec![at.moved()]));
    let mut answers = futures::future::join_all(commits).await;
    assert!(matches!(answers.pop(), Some(Err(Error::Corrupt(_)))));
    for answer in answers {
        assert!(matches!(answer.unwrap().as_slice(), [Verdict::Done { .. }]));
    }
    let found = world.db.branches(&[bad.key]).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().fence.seq, 0);
}

/// An id as it would have been drawn then.
fn id_of(time: Timestamp) -> ExecutionId {
    let random = Uuid::now_v7().as_u128() & ((1 << 80) - 1);
    let milliseconds = u128::try_from(time.milliseconds()).unwrap();
    ExecutionId(Uuid::from_u128(milliseconds << 80 | random))
}

async fn count(database: &TestDatabase, statement: &'static str) -> i64 {
    let mut connection = database.connect().await;
    query(statement).fetch_one(&mut connection).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_ahead_and_hold_what_starts_now() {
    let database = TestDatabase::new().await;
    let store = database.open(PLENTY);
    store.prepare_partitions().await.unwrap();
    let made =
        "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('history'::regclass, 'executions'::regclass)";
    assert_eq!(count(&database, made).await, 2 * (1 + 3));
    let world = world(&database).await;
    let root = world.start().await;
    world.pass(root.moved()).await;
    assert_eq!(count(&database, "SELECT count(*) FROM ONLY history_default").await, 0);
    assert_eq!(count(&database, "SELECT count(*) FROM ONLY executions_default").await, 0);
    let old = world.start_as(NewExecution { id: id_of(START), ..world.execution(None) }).await;
    world.pass(old.moved()).await;
    assert_eq!(count(&database, "SELECT count(*) FROM ONLY history_default").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_closed_long_ago_is_removed_and_nothing_else() {
    let database = TestDatabase::new().await;
    let store = database.open(PLENTY);
    store.prepare_partitions().await.unwrap();
    // A day and a week of long ago, as they were made then.
    let (day, week) = (START.milliseconds() / 86_400_000, START.milliseconds() / 86_400_000 / 7);
    let uuid = |days: i64| Uuid::from_u128(u128::try_from(days * 86_400_000).unwrap() << 80);
    for (table, number, from, to) in
        [("history", day, day, day + 1), ("executions", week, week * 7, week * 7 + 7)]
    {
        let make = format!(
            "CREATE TABLE {table}_{number:06} PARTITION OF {table} FOR VALUES FROM ('{}') TO ('{}')",
            uuid(from),
            uuid(to)
        );
        database.connect().await.execute(AssertSqlSafe(make)).await.unwrap();
    }
    let world = world(&database).await;
    let old = |name| NewExecution { id: id_of(START), ..world.execution(Some(name)) };
    let (closed, running) = (world.start_as(old("closed")).await, world.start_as(old("running")).await);
    let recent = world.start_as(world.execution(Some("recent"))).await;
    world.pass(closed.finished()).await;
    let before = START.plus_seconds(30 * 86_400);
    assert_eq!(store.prune(before).await.unwrap(), 1);
    assert_eq!(store.execution_by_id(closed.key.execution).await.unwrap(), None);
    assert_eq!(store.execution("orders", "closed").await.unwrap(), None);
    assert!(store.ends(running.key.execution).await.unwrap().is_some(), "a straggler holds its day");
    world.start_as(world.execution(Some("closed"))).await;
    world.pass(running.finished()).await;
    assert_eq!(store.prune(before).await.unwrap(), 1);
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'history_0_____' \
                AND relkind = 'r' AND pg_table_is_visible(oid)";
    assert_eq!(count(&database, left).await, 3, "those of now and of the next days");
    assert_eq!(store.prune(before).await.unwrap(), 0);
    world.pass(recent.moved()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_tells_what_a_doctor_asks() {
    let database = TestDatabase::new().await;
    let report = database.open(PLENTY).settings_report().await.unwrap();
    for name in
        ["server_version", "fsync", "synchronous_commit", "longest_transaction_seconds", "in_recovery"]
    {
        assert!(report.iter().any(|(found, value)| found == name && !value.is_empty()), "{name}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_waits_for_an_older_transaction_that_might_add_to_it() {
    let database = TestDatabase::new().await;
    let world = world(&database).await;
    let root = world.start().await;
    let mut older = database.connect().await;
    older.execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    world.pass(root.moved()).await;
    let reading = async { (world.history(root.key.execution).await, Instant::now()) };
    // A moment only: histories of the whole server wait for it.
    let ending = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let ended = Instant::now();
        older.execute("COMMIT").await.unwrap();
        ended
    };
    let ((history, read), ended) = futures::future::join(reading, ending).await;
    assert_eq!(history, ["1 r@0", "2 r@1"]);
    assert!(read > ended);
}
