//! What only this store can be asked: full disks, copied files, dropped reads. Its promises as a store are
//! in the contract suite.

use asl::branch::BranchPath;
use bytes::Bytes;
use sqlx::{AssertSqlSafe, Executor};
use tempfile::TempDir;

use super::*;
use crate::adapters::system_clock::SystemClock;
use crate::ids::{MachineId, RevisionId};
use crate::ports::catalog::{Catalog, Machine, Revision, WorkflowType};
use crate::ports::store::{Change, HistoryRow, NewBranch, Phase, RowState};

const NOW: Timestamp = Timestamp::from_milliseconds(1_700_000_000_000);

async fn open(location: Location) -> SqliteStore {
    SqliteStore::open(location, 1_000_000, Arc::new(SystemClock)).await.unwrap()
}

async fn start(store: &SqliteStore) -> Commit {
    let revision = Revision {
        id: RevisionId::new(),
        initial: true,
        definition: "{}".to_owned(),
        role_arn: String::new(),
        settings: "{}".to_owned(),
        created_at: NOW,
    };
    let machine = Machine {
        id: MachineId::new(),
        name: MachineId::new().to_string(),
        workflow_type: WorkflowType::Standard,
        created_at: NOW,
        revision,
    };
    store.create_machine(machine.clone(), Vec::new()).await.unwrap();
    let id = ExecutionId::new();
    let execution = NewExecution {
        id,
        machine: machine.id,
        machine_name: machine.name,
        revision: machine.revision.id,
        qualifier: None,
        name: id.to_string(),
        input_hash: [0; 32],
        started_at: NOW,
        deadline: None,
        history: HistoryRow { events: 1, body: Bytes::from_static(b"{}") },
    };
    let Started::Created(fence) = store.start(execution).await.unwrap() else { panic!("not started") };
    let state = RowState { phase: Phase::Runnable, wake: None, due: None, task: None };
    Commit {
        key: BranchKey { execution: id, branch: BranchPath::root() },
        fence,
        woken_at: None,
        history: HistoryRow { events: 1, body: Bytes::from_static(b"{}") },
        joins: false,
        change: Change::Move(state),
    }
}

async fn pragma(store: &SqliteStore, statement: String) {
    store.shared.writer.lock().await.statement().execute(AssertSqlSafe(statement)).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_and_takes_nothing_that_was_there() {
    let folder = TempDir::new().unwrap();
    for location in [Location::Memory, Location::File(folder.path().join("warren.db"))] {
        let store = open(location).await;
        let commit = start(&store).await;
        pragma(&store, "PRAGMA max_page_count = 60".to_owned()).await;
        let mut large = commit.clone();
        large.history.body = vec![0; 1 << 20].into();
        for _ in 0..3 {
            let full = store.commit(vec![large.clone()]).await;
            assert!(matches!(full, Err(Error::Unavailable(_))), "{full:?}");
        }
        pragma(&store, "PRAGMA max_page_count = 1000000".to_owned()).await;
        let verdicts = store.commit(vec![large]).await.unwrap();
        assert!(matches!(verdicts.as_slice(), [Verdict::Done { .. }]));
        assert_eq!(store.history_events(commit.key.execution).await.unwrap(), 2);
    }
}

/// The files as they are between two instructions are what a killed process leaves.
#[tokio::test]
async fn what_was_committed_is_in_the_files_at_once() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(Location::File(folder.path().join("warren.db"))).await;
    let commit = start(&store).await;
    store.commit(vec![commit.clone()]).await.unwrap();
    for file in ["warren.db", "warren.db-wal"] {
        std::fs::copy(folder.path().join(file), other.path().join(file)).unwrap();
    }
    let found = open(Location::File(other.path().join("warren.db"))).await;
    let branches = found.branches(&[commit.key]).await.unwrap();
    assert_eq!(branches[0].as_ref().map(|branch| branch.fence.seq), Some(1));
}

#[tokio::test]
async fn a_read_that_is_dropped_leaves_its_connection_usable() {
    let folder = TempDir::new().unwrap();
    for location in [Location::Memory, Location::File(folder.path().join("warren.db"))] {
        let store = open(location).await;
        let commit = start(&store).await;
        let child = |index| NewBranch {
            branch: commit.key.branch.child(1, index),
            history: HistoryRow { events: 0, body: vec![0; 1_000].into() },
        };
        let change = Change::Fork { children: (0..1_000).map(child).collect(), window: 1 };
        store.commit(vec![Commit { change, ..commit.clone() }]).await.unwrap();
        for polls in 0..20 {
            let mut walk = store.live_branches(None, 10_000);
            let mut join = store.joined(&commit.key, commit.fence);
            for _ in 0..polls {
                let done = futures::poll!(&mut walk).is_ready() || futures::poll!(&mut join).is_ready();
                if done {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(store.live_branches(None, 10_000).await.unwrap().len(), 1_001);
        assert!(start(&store).await.fence.seq == 0, "and one can write");
    }
}

#[tokio::test]
async fn one_callers_fault_does_not_fail_another_in_the_same_transaction() {
    let store = open(Location::Memory).await;
    let (good, bad, also_good) = (start(&store).await, start(&store).await, start(&store).await);
    // A row where the next transition's would be: no commit of ours makes one.
    let fault =
        format!("INSERT INTO history VALUES (x'{}', 'r', 1, 99, 0, x'')", bad.key.execution.0.simple());
    pragma(&store, fault).await;
    let mut answers = Vec::new();
    for batch in [vec![good], vec![bad.clone()], vec![also_good]] {
        let (answer, verdicts) = oneshot::channel();
        store.shared.wait(Waiting { batch, answer });
        answers.push(verdicts);
    }
    store.shared.commit_waiting().await;
    let mut done = Vec::new();
    for answer in answers {
        done.push(answer.await.unwrap());
    }
    assert!(matches!(
        done.as_slice(),
        [Ok(first), Err(Error::Corrupt(_)), Ok(last)]
            if matches!(first.as_slice(), [Verdict::Done { .. }]) && first.len() == last.len()
    ));
    assert_eq!(store.history_events(bad.key.execution).await.unwrap(), 1);
}

#[tokio::test]
async fn opening_what_is_no_database_is_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("warren.db");
    std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
    let opened = SqliteStore::open(Location::File(path), 10, Arc::new(SystemClock)).await;
    assert!(matches!(opened, Err(Error::Corrupt(_))));
    let missing = Location::File(folder.path().join("no/such/folder/warren.db"));
    let opened = SqliteStore::open(missing, 10, Arc::new(SystemClock)).await;
    assert!(matches!(opened, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn closing_moves_the_log_into_the_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("warren.db");
    let store = open(Location::File(path.clone())).await;
    let commit = start(&store).await;
    store.close().await.unwrap();
    assert!(!folder.path().join("warren.db-wal").exists());
    let store = open(Location::File(path)).await;
    assert_eq!(store.history_events(commit.key.execution).await.unwrap(), 1);
}
