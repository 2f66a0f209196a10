//! A little of everything that executions can do, so that every part of an engine is at work.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::chain;
use super::oracle;
use super::world::{FUNCTION, World};
use crate::support::api::Api;
use crate::support::histories;
use crate::support::worker::{Calls, Worker};

/// Items of the Map of an execution of many kinds.
const ITEMS: u64 = 3;
/// Tasks of an execution that has nothing else.
const TASKS: u64 = 2;
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(200);

/// Executions of four machines, begun in rounds.
pub struct Mixture {
    api: Arc<Api>,
    plain: String,
    many: String,
    endless: String,
    express: String,
    answering: tokio::task::JoinHandle<()>,
    rounds: u64,
}

impl Mixture {
    /// Creates the machines; answers task tokens from here on.
    pub async fn prepare(api: Arc<Api>, worker: &mut Worker) -> Self {
        let endless = json!({ "StartAt": "Wait", "States": { "Wait": { "Type": "Wait", "Seconds": 3_000, "End": true } } });
        let (mut plain, mut express) = (chain(TASKS), chain(1));
        for number in 0..TASKS {
            plain["States"][format!("Step {number}")]["Parameters"] = json!({ "n.$": "$.n" });
        }
        express["States"]["Step 0"]["Parameters"] = json!({ "express.$": "$.n" });
        let (_, nobody) = tokio::sync::mpsc::unbounded_channel();
        let calls = std::mem::replace(&mut worker.calls, nobody);
        Mixture {
            plain: api.create("plain", "STANDARD", &plain).await,
            many: api.create("many", "STANDARD", &many_kinds()).await,
            endless: api.create("endless", "STANDARD", &endless).await,
            express: api.create("express", "EXPRESS", &express).await,
            answering: tokio::spawn(answer(api.clone(), calls)),
            rounds: 0,
            api,
        }
    }

    /// Begins one execution of each machine, and stops what has no end of its own, twice.
    pub async fn round(&mut self) {
        let n = self.rounds;
        self.rounds += 1;
        let name = format!("run-{n}");
        let input = json!({ "n": n, "items": (0..ITEMS).collect::<Vec<u64>>() });
        let stopped = async {
            let (arn, _) = self.api.start(&self.endless, &name, &input).await;
            let stop = async || self.api.call("StopExecution", json!({ "executionArn": arn })).await;
            stop().await.expect("it exists");
            let redrive = json!({ "executionArn": arn, "clientToken": "once" });
            self.api.call("RedriveExecution", redrive).await.expect("it was stopped");
            stop().await.expect("it exists");
        };
        tokio::join!(
            self.api.start(&self.plain, &name, &input),
            self.api.start(&self.many, &name, &input),
            self.api.start(&self.express, &name, &input),
            stopped,
        );
    }

    /// Begins one round after the other while something is done.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let over = Cell::new(false);
        let work = async {
            let done = work.await;
            over.set(true);
            done
        };
        let rounds = async {
            while !over.get() {
                self.round().await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::join!(work, rounds).0
    }

    /// Waits until all have ended, each in its way.
    pub async fn finish(self, world: &World) {
        let all = |status: &str| [(status.to_owned(), self.rounds)].into();
        for (machine, status) in
            [(&self.plain, "SUCCEEDED"), (&self.many, "SUCCEEDED"), (&self.endless, "ABORTED")]
        {
            assert_eq!(self.api.all_ended(machine).await, all(status), "S8: {machine}");
            for execution in self.api.list(machine, None).await {
                let history = self.api.history(execution["executionArn"].as_str().unwrap()).await;
                self.judge(machine, &execution, &history);
            }
        }
        // A start whose answer was lost is made again, and an Express one is then another execution.
        oracle::until(world, "E1: an Express execution was lost", async || {
            let inputs = world.recorder.all().await.into_iter().map(|effect| effect.input);
            let express: BTreeSet<String> = inputs.filter(|input| input.contains("express")).collect();
            (express.len() as u64, self.rounds)
        })
        .await;
        self.answering.abort();
    }

    fn judge(&self, machine: &str, execution: &Value, history: &[Value]) {
        let counts = histories::check(history);
        let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
        let name = &execution["name"];
        if machine == self.plain {
            assert_eq!(count("LambdaFunctionSucceeded"), TASKS, "{name}: {counts:?}");
        } else if machine == self.many {
            assert_eq!(count("LambdaFunctionSucceeded"), ITEMS, "{name}: {counts:?}");
            let once = ["ParallelStateSucceeded", "MapStateSucceeded", "WaitStateExited", "TaskSucceeded"]
                .map(count);
            assert_eq!(once, [1; 4], "S5, S7, S9: {name}: {counts:?}");
            assert_eq!(count("MapIterationSucceeded"), ITEMS, "S5: {name}: {counts:?}");
            let n = name.as_str().and_then(|name| name.strip_prefix("run-")).expect("a number");
            assert_eq!(histories::output(history).to_string(), n, "{name}");
        }
    }
}

/// A Parallel with a Map of tasks beside a Wait, then a task that is answered by its token.
fn many_kinds() -> Value {
    let work = json!({
        "StartAt": "Work",
        "States": { "Work": { "Type": "Task", "Resource": FUNCTION, "End": true } },
    });
    let each = json!({
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemSelector": { "n.$": "$.n", "item.$": "$$.Map.Item.Value" },
        "MaxConcurrency": 2,
        "ItemProcessor": work,
        "End": true,
    });
    let ask = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": FUNCTION,
            "Payload": { "n.$": "$.n", "token.$": "$$.Task.Token" },
        },
        "End": true,
    });
    let rest = json!({ "Type": "Wait", "Seconds": 1, "End": true });
    json!({
        "StartAt": "Both",
        "States": {
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    { "StartAt": "Each", "States": { "Each": each } },
                    { "StartAt": "Rest", "States": { "Rest": rest } },
                ],
                "ResultPath": null,
                "Next": "Ask",
            },
            "Ask": ask,
        },
    })
}

/// Answers each token with the number that came with it. One whose answer was lost may be over already.
async fn answer(api: Arc<Api>, mut calls: Calls) {
    while let Some(call) = calls.recv().await {
        let (Some(token), n) = (call["token"].as_str(), call["n"].to_string()) else { continue };
        let request = json!({ "taskToken": token, "output": n });
        if let Err(error) = api.call("SendTaskSuccess", request).await {
            assert!(error.is("TaskTimedOut"), "{error}");
        }
    }
}
