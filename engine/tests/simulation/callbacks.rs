//! Races about one task: answers by token, time-outs, stops and polls, through the real loop.

use std::sync::Arc;
use std::time::Duration;

use asl::branch::{Answer, BranchPath};
use asl::data::Failure;
use engine::ids::ExecutionId;
use engine::ports::catalog::Machine;
use engine::ports::store::{BranchKey, ExecutionStatus};
use engine::services::callbacks::TaskError;
use engine::services::tokens::TaskKey;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::check::End;
use super::fate::{Fate, Rates};
use super::workflow::{Kind, Workflow};
use super::world::{ACTIVITY, Plan, World};
use super::{ended, request, simulate};

/// Interleavings that are tried of each race.
const SEEDS: u64 = 24;
/// When the task of a race times out.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A world that is slow now and then, with an execution of one Task state.
struct Race {
    world: Arc<World>,
    machine: Machine,
    began: Instant,
}

impl Race {
    async fn begin(seed: u64, mut task: Value) -> Self {
        let rates = Rates { slow: 300, ..Rates::default() };
        let world = World::new(Plan::of(Fate::new(seed, rates))).await;
        task["Type"] = json!("Task");
        task["End"] = json!(true);
        let definition = json!({ "StartAt": "Only", "States": { "Only": task } });
        let workflow = Workflow { definition, input: json!({}), exact: true };
        let machine = world.machine("race", Kind::Standard, &workflow);
        world.engine().start_execution(request(&machine, &workflow, Some("one"))).await.unwrap();
        Race { world, machine, began: Instant::now() }
    }

    async fn with_token(seed: u64) -> (Self, String) {
        let task = json!({
            "Resource": "arn:aws:states:::aws-sdk:sim:call.waitForTaskToken",
            "Parameters": { "token.$": "$$.Task.Token" },
            "TimeoutSeconds": TIMEOUT.as_secs(),
        });
        let race = Race::begin(seed, task).await;
        loop {
            if let Some(token) = race.world.ledger.take_token() {
                return (race, token);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn activity() -> Value {
        json!({ "Resource": format!("arn:aws:states:us-east-1:000000000000:activity:{ACTIVITY}") })
    }

    async fn answer(&self, token: &str, who: &str) -> Result<(), TaskError> {
        self.world.engine().complete_task(token, Answer::Succeeded(json!({ "by": who }))).await
    }

    fn id(&self) -> ExecutionId {
        let found = self.world.database.ask(|db| async move { db.execution("race", "one").await });
        found.unwrap().unwrap().id
    }

    async fn stop(&self) -> bool {
        let failure = Failure { error: None, cause: None };
        self.world.engine().stop_execution(self.id(), failure).await.unwrap();
        true
    }

    async fn end(&self) -> End {
        ended(&self.world, &self.machine, "one").await
    }

    /// A little before the time-out, or after it.
    async fn about_the_timeout(&self) {
        let at = self.began + TIMEOUT - Duration::from_millis(100) + self.world.fate.milliseconds(200);
        tokio::time::sleep_until(at).await;
    }
}

fn won(answer: &Result<(), TaskError>) -> u32 {
    match answer {
        Ok(()) => 1,
        Err(TaskError::TimedOut) => 0,
        Err(error) => panic!("{error}"),
    }
}

fn count(end: &End, kind: &str) -> u32 {
    end.events.get(kind).copied().unwrap_or_default()
}

#[test]
fn of_answers_a_time_out_and_a_stop_one_wins_and_the_others_are_told() {
    let mut ends = Vec::new();
    for seed in 0..SEEDS {
        simulate(async {
            let (race, token) = Race::with_token(seed).await;
            let answers = async |who| {
                race.about_the_timeout().await;
                race.answer(&token, who).await
            };
            let stops = async {
                race.about_the_timeout().await;
                seed % 2 != 0 || race.stop().await
            };
            let (first, second, _) = tokio::join!(answers("first"), answers("second"), stops);
            let end = race.end().await;
            let succeeded = count(&end, "TaskSucceeded");
            assert_eq!(won(&first) + won(&second), succeeded, "{end:?}");
            assert!(succeeded + count(&end, "TaskTimedOut") <= 1, "{end:?}");
            if succeeded == 1 {
                let winner = if first.is_ok() { "first" } else { "second" };
                assert!(end.status == ExecutionStatus::Aborted || end.result.contains(winner), "{end:?}");
            }
            assert_eq!(won(&race.answer(&token, "late").await), 0, "nothing is answered twice");
            ends.push(end.status);
        });
    }
    for status in [ExecutionStatus::Succeeded, ExecutionStatus::Failed, ExecutionStatus::Aborted] {
        assert!(ends.contains(&status), "{status:?} never wins: {ends:?}");
    }
}

#[test]
fn an_answer_that_overtakes_the_record_of_the_call_is_kept_for_it() {
    for seed in 0..SEEDS {
        simulate(async {
            let (race, token) = Race::with_token(seed).await;
            assert_eq!(won(&race.answer(&token, "first").await), 1);
            assert_eq!(won(&race.answer(&token, "second").await), 0);
            let end = race.end().await;
            assert_eq!((end.status, end.result.as_str()), (ExecutionStatus::Succeeded, r#"{"by":"first"}"#));
            assert_eq!((count(&end, "TaskSucceeded"), count(&end, "TaskTimedOut")), (1, 0));
        });
    }
}

#[test]
fn a_task_whose_poll_vanished_is_handed_out_again_and_started_once() {
    for seed in 0..SEEDS {
        simulate(async {
            let race = Race::begin(seed, Race::activity()).await;
            let poll = async |wait| {
                let wait = Duration::from_secs(wait);
                race.world.engine().take_activity_task(ACTIVITY, None, wait).await.unwrap()
            };
            let lost = poll(60).await.unwrap();
            let token = lost.token.clone();
            drop(lost.hand_over);
            // This poll's caller is gone before the task is there, or in the middle of it being handed out.
            let _ = tokio::time::timeout(race.world.fate.milliseconds(80), poll(60)).await;
            let taken = poll(60).await.unwrap();
            assert_eq!(taken.token, token);
            taken.hand_over.delivered().await.unwrap();
            assert!(poll(3).await.is_none(), "it is handed out to one");
            assert_eq!(won(&race.answer(&token, "worker").await), 1);
            let end = race.end().await;
            assert_eq!(end.status, ExecutionStatus::Succeeded);
            assert_eq!((count(&end, "ActivityStarted"), count(&end, "ActivitySucceeded")), (1, 1));
        });
    }
}

#[test]
fn a_token_is_good_while_a_worker_has_its_task() {
    simulate(async {
        let race = Race::begin(1, Race::activity()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let branch = BranchKey { execution: race.id(), branch: BranchPath::root() };
        let token = race.world.engine().tokens.issue(&TaskKey { branch, task: 1 });
        assert_eq!(won(&race.answer(&token, "early").await), 0, "nobody has taken the task");
        let task = race.world.engine().take_activity_task(ACTIVITY, None, Duration::from_secs(9)).await;
        assert_eq!(task.unwrap().unwrap().token, token);
        let forged = race.answer(&token.replace('A', "B"), "forger").await;
        assert!(matches!(forged, Err(TaskError::InvalidToken)));
        assert_eq!(won(&race.world.engine().heartbeat(&token).await), 1);
        race.stop().await;
        assert_eq!(won(&race.answer(&token, "late").await), 0);
        assert_eq!(won(&race.world.engine().heartbeat(&token).await), 0);
    });
}
