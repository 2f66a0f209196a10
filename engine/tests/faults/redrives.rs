//! Engines die while executions that have failed are set going again.

use futures::StreamExt;
use serde_json::{Value, json};

use super::oracle;
use super::world::{FUNCTION, World, sized};
use crate::support::histories;

/// Redrives that are asked for at a time.
const WIDTH: usize = 8;
/// Redrives between two kills.
const KILL_EVERY: usize = 16;

/// A branch that ends well beside one that fails until the execution is redriven; then a task.
fn definition() -> Value {
    let work = json!({ "Type": "Task", "Resource": FUNCTION, "Parameters": { "n.$": "$.n" } });
    let ends = |mut state: Value| {
        state["End"] = json!(true);
        state
    };
    let count = json!({ "count.$": "$$.Execution.RedriveCount" });
    let fails = json!({
        "StartAt": "Rest",
        "States": {
            "Rest": { "Type": "Wait", "Seconds": 1, "Next": "Each" },
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "MaxConcurrency": 1,
                "ItemProcessor": {
                    "StartAt": "Only after a redrive",
                    "States": {
                        "Only after a redrive": { "Type": "Choice", "InputPath": "$$.Execution", "Choices": [
                            { "Variable": "$.RedriveCount", "NumericGreaterThan": 0, "Next": "Well" },
                        ] },
                        "Well": { "Type": "Pass", "Parameters": count, "End": true },
                    },
                },
                "End": true,
            },
        },
    });
    json!({
        "StartAt": "Both",
        "States": {
            "Both": {
                "Type": "Parallel",
                "Branches": [{ "StartAt": "First", "States": { "First": ends(work.clone()) } }, fails],
                "ResultPath": null,
                "Next": "Second",
            },
            "Second": ends(work),
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_redriven_goes_on_whoever_dies() {
    let count = sized(32);
    let mut world = World::start("f21", 2).await;
    let machine = world.api.create("f21", "STANDARD", &definition()).await;
    let input = |n: u64| json!({ "n": n, "items": [1, 2] });
    let started = world.api.start_all(&machine, count, input).await;
    let all = |status: &str| [(status.to_owned(), count)].into();
    assert_eq!(world.api.all_ended(&machine).await, all("FAILED"));
    let api = world.api.clone();
    let redrives = started.iter().map(|(arn, _)| {
        let request = json!({ "executionArn": arn, "clientToken": "once" });
        let api = api.clone();
        async move { api.call("RedriveExecution", request).await.expect("it has failed") }
    });
    let mut redriven = futures::stream::iter(redrives).buffer_unordered(WIDTH).enumerate();
    while let Some((number, _)) = redriven.next().await {
        if number % KILL_EVERY == KILL_EVERY / 2 {
            world.kill_one();
        }
    }
    drop(redriven);
    assert_eq!(world.api.all_ended(&machine).await, all("SUCCEEDED"), "S8");
    for history in world.api.histories(started.into_iter().map(|(arn, _)| arn)).await {
        let once = ["ExecutionFailed", "ExecutionRedriven", "ParallelStateEntered", "ParallelStateSucceeded"];
        let twice = ["LambdaFunctionSucceeded", "TaskStateEntered", "ChoiceStateEntered", "PassStateExited"];
        let exactly = |kinds: [&'static str; 4], times: u64| kinds.map(|kind| (kind, times));
        histories::check_counts(&history, &exactly(once, 1));
        histories::check_counts(&history, &exactly(twice, 2));
    }
    oracle::tasks_done(&world, "n", 2 * count).await;
    oracle::nothing_left(&world).await;
    world.close().await;
}
