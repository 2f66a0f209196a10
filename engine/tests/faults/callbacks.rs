//! An answer to a task token meets another answer, a time-out, a heartbeat or a stop. One of them wins.

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};

use super::oracle;
use super::world::{FUNCTION, World, sized};
use crate::support::api::Api;
use crate::support::histories;
use crate::support::lottery::Lottery;

const HEARTBEAT_SECONDS: u64 = 2;
const TIMEOUT_SECONDS: u64 = 3;
/// Races at a time.
const WIDTH: usize = 200;

/// Who else is there when success is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rival {
    Failure,
    Stop,
    /// The heartbeat that does not come.
    Silence,
    /// Heartbeats come; the time-out does too.
    Timeout,
}

const RIVALS: [Rival; 4] = [Rival::Failure, Rival::Stop, Rival::Silence, Rival::Timeout];

/// What the callers were told.
#[derive(Debug)]
struct Answers {
    arn: String,
    rival: Rival,
    success: bool,
    failure: bool,
}

fn definition() -> Value {
    json!({
        "StartAt": "Ask",
        "States": {
            "Ask": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "Parameters": {
                    "FunctionName": FUNCTION,
                    "Payload": { "n.$": "$.n", "token.$": "$$.Task.Token", "execution.$": "$$.Execution.Id" },
                },
                "TimeoutSecondsPath": "$.timeout",
                "HeartbeatSecondsPath": "$.heartbeat",
                "End": true,
            },
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_ends_of_a_task_one_wins() {
    let count = sized(2_000);
    let mut world = World::start("f17", 2).await;
    let machine = world.api.create("f17", "STANDARD", &definition()).await;
    let (api, target) = (world.api.clone(), machine.clone());
    let input = |n: u64| {
        let soon = matches!(rival(n), Rival::Silence | Rival::Timeout);
        let (timeout, heartbeat) = if soon { (TIMEOUT_SECONDS, HEARTBEAT_SECONDS) } else { (300, 200) };
        json!({ "n": n, "timeout": timeout, "heartbeat": heartbeat })
    };
    let starting = tokio::spawn(async move { api.start_all(&target, count, input).await });
    let calls =
        futures::stream::unfold(&mut world.worker.calls, async |calls| Some((calls.recv().await?, calls)));
    let (api, lottery) = (world.api.clone(), world.lottery.clone());
    let races = calls.take(usize::try_from(count).unwrap()).map(|call| {
        let (api, mut lottery) = (api.clone(), lottery.clone());
        async move {
            let n = call["n"].as_u64().unwrap();
            for _ in 0..n % 97 {
                lottery.below(2);
            }
            race(&api, rival(n), &call, lottery).await
        }
    });
    let answers: Vec<Answers> = races.buffer_unordered(WIDTH).collect().await;
    starting.await.expect("all are started");
    world.api.all_ended(&machine).await;
    let histories = world.api.histories(answers.iter().map(|race| race.arn.clone())).await;
    for (race, history) in answers.iter().zip(&histories) {
        judge(race, history);
    }
    for rival in RIVALS {
        let of_them = || answers.iter().filter(|race| race.rival == rival);
        let (all, won) = (of_them().count(), of_them().filter(|race| race.success).count());
        eprintln!("f17: {won} of {all} answers were before {rival:?}");
    }
    oracle::nothing_left(&world).await;
    world.close().await;
}

fn rival(n: u64) -> Rival {
    RIVALS[usize::try_from(n).unwrap() % RIVALS.len()]
}

/// Sends success at the moment the other comes.
async fn race(api: &Api, rival: Rival, call: &Value, mut lottery: Lottery) -> Answers {
    let arn = call["execution"].as_str().unwrap().to_owned();
    let token = &call["token"];
    let about = |seconds: u64, lottery: &mut Lottery| {
        Duration::from_secs(seconds) - Duration::from_millis(60) + lottery.pause(0, 120)
    };
    let success = send(api, "SendTaskSuccess", json!({ "taskToken": token, "output": "{}" }));
    let (success, failure) = match rival {
        Rival::Failure => {
            tokio::join!(
                success,
                send(api, "SendTaskFailure", json!({ "taskToken": token, "error": "Lost" }))
            )
        }
        Rival::Stop => tokio::join!(success, send(api, "StopExecution", json!({ "executionArn": arn }))),
        Rival::Silence => {
            tokio::time::sleep(about(HEARTBEAT_SECONDS, &mut lottery)).await;
            (success.await, false)
        }
        Rival::Timeout => {
            let (before, after) = (about(TIMEOUT_SECONDS, &mut lottery), Duration::from_secs(1));
            tokio::time::sleep(after).await;
            send(api, "SendTaskHeartbeat", json!({ "taskToken": token })).await;
            tokio::time::sleep(before - after).await;
            (success.await, false)
        }
    };
    Answers { arn, rival, success, failure: failure && rival == Rival::Failure }
}

/// Whether it was taken. What does not take it says that the task is over.
async fn send(api: &Api, action: &str, request: Value) -> bool {
    match api.once(action, request).await {
        Ok(_) => true,
        Err(error)
            if error.is("TaskTimedOut") || error.is("InvalidToken") || error.is("TaskDoesNotExist") =>
        {
            false
        }
        Err(error) => panic!("{action}: {error}"),
    }
}

fn judge(race: &Answers, history: &[Value]) {
    let counts = histories::check(history);
    let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    let (succeeded, failed, timed_out) = (count("TaskSucceeded"), count("TaskFailed"), count("TaskTimedOut"));
    let stopped = count("ExecutionAborted");
    let ends_of_task = succeeded + failed + timed_out;
    let told = (u64::from(race.success), u64::from(race.failure));
    // An answer that overtakes the task's own submission is kept until that is recorded, and shows only then;
    // the stop may come before.
    let is_overruled = stopped == 1 && ends_of_task == 0 && count("TaskSubmitted") == 0;
    assert!(told == (succeeded, failed) || is_overruled, "S7: told and recorded differ: {race:?} {counts:?}");
    assert!(
        ends_of_task == 1 || (ends_of_task == 0 && stopped == 1),
        "S7: a task ends once: {race:?} {counts:?}"
    );
    assert!(stopped == 0 || race.rival == Rival::Stop, "nobody stopped it: {race:?} {counts:?}");
}
