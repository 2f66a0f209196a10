//! `kill -9` at any moment loses no Standard execution, runs none twice, and leaves no gap in a history.
//!
//! The real process is killed at random moments while executions are started and run, and started again on
//! the same directory. `make faults` does it more often (`WARREN_KILLS`, `WARREN_EXECUTIONS`,
//! `WARREN_SEED`).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use engine::cli::client::Client;
use serde_json::{Value, json};

#[path = "support/server.rs"]
#[expect(dead_code, reason = "each test uses a part of it")]
mod server;

use server::Server;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// A little of everything that has a row: a choice, a wait, a fork, a task, and a task that fails once.
fn definition() -> Value {
    let double = json!({
        "StartAt": "Double",
        "States": {
            "Double": { "Type": "Pass", "Parameters": { "n.$": "States.MathAdd($.n, $.n)" }, "Next": "Call" },
            "Call": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": { "FunctionName": "echo", "Payload.$": "$" },
                "ResultSelector": { "n.$": "$.Payload.n" },
                "Retry": [{ "ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 5 }],
                "End": true,
            },
        },
    });
    json!({
        "StartAt": "Start",
        "States": {
            "Start": { "Type": "Pass", "Next": "Big?" },
            "Big?": {
                "Type": "Choice",
                "Choices": [{ "Variable": "$.n", "NumericGreaterThan": 500, "Next": "Short wait" }],
                "Default": "Short wait",
            },
            "Short wait": { "Type": "Wait", "Seconds": 1, "Next": "Each" },
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "MaxConcurrency": 2,
                "ItemSelector": { "n.$": "$$.Map.Item.Value" },
                "ItemProcessor": double,
                "Next": "Both",
            },
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    { "StartAt": "Left", "States": { "Left": { "Type": "Pass", "End": true } } },
                    { "StartAt": "Right", "States": { "Right": { "Type": "Wait", "Seconds": 1, "End": true } } },
                ],
                "OutputPath": "$[0]",
                "End": true,
            },
        },
    })
}

struct Lottery(u64);

impl Lottery {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Starts the executions of `numbers`, each under its own name, until the server is gone.
async fn start(client: &Client, machine: &str, numbers: std::ops::Range<u64>) -> u64 {
    let mut next = numbers.start;
    while next < numbers.end {
        let input = json!({ "n": next, "items": [next, 1, 2] }).to_string();
        let request = json!({ "stateMachineArn": machine, "name": format!("run-{next}"), "input": input });
        match client.call("StartExecution", request).await {
            Ok(_) => next += 1,
            // Started before a kill took the answer away, and over already.
            Err(error) if error.is("ExecutionAlreadyExists") => next += 1,
            Err(_) => return next,
        }
    }
    next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_every_execution_ends_once() {
    let (kills, executions) = (setting("WARREN_KILLS", 20), setting("WARREN_EXECUTIONS", 150));
    let seed = setting("WARREN_SEED", 42);
    eprintln!("WARREN_SEED={seed} WARREN_KILLS={kills} WARREN_EXECUTIONS={executions}");
    let mut lottery = Lottery(seed);
    let data = tempfile::tempdir().unwrap();
    let settings = [("WARREN__FUNCTIONS__echo__COMMAND", "cat")];
    let mut server = Server::start(Some(data.path()), &settings);
    let machine = server::create(&server.client(), "kills", &definition(), "STANDARD").await;
    let mut started = 0;
    for kill in 0..kills {
        let client = server.client();
        let until = (kill + 1) * executions / kills;
        let from = started;
        let work = {
            let machine = machine.clone();
            tokio::spawn(async move { start(&client, &machine, from..until).await })
        };
        tokio::time::sleep(Duration::from_millis(50 + lottery.below(700))).await;
        server.kill();
        started = work.await.unwrap();
        server = Server::start(Some(data.path()), &settings);
    }
    let client = server.client();
    started = start(&client, &machine, started..executions).await;
    assert_eq!(started, executions, "all are started");
    let mut events = 0;
    for number in 0..executions {
        events += check(&client, number).await;
    }
    let listed = list(&client, &machine).await;
    assert_eq!(listed.len() as u64, executions, "none is lost and none is there twice");
    eprintln!("{executions} executions ended well through {kills} kills, {events} events without a gap");
}

async fn list(client: &Client, machine: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut request = json!({ "stateMachineArn": machine, "maxResults": 1000 });
    loop {
        let page = client.call("ListExecutions", request.clone()).await.unwrap();
        found.extend(page["executions"].as_array().unwrap().iter().cloned());
        match page.get("nextToken") {
            Some(token) => request["nextToken"] = token.clone(),
            None => return found,
        }
    }
}

/// Waits for an execution and looks at what it left. Answers how many events.
async fn check(client: &Client, number: u64) -> u64 {
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:kills:run-{number}");
    let described = server::ended(client, &arn, Duration::from_secs(120)).await;
    assert_eq!(described["status"], "SUCCEEDED", "{described}");
    let output: Value = serde_json::from_str(described["output"].as_str().unwrap()).unwrap();
    assert_eq!(output, json!([{ "n": 2 * number }, { "n": 2 }, { "n": 4 }]));
    let history = server::history(client, &arn).await;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, event) in (1..).zip(&history) {
        assert_eq!(event["id"].as_u64(), Some(id), "a gap in {arn}");
        assert!(event["previousEventId"].as_u64().unwrap() < id);
        *counts.entry(event["type"].as_str().unwrap()).or_default() += 1;
    }
    let expected = [
        ("ExecutionStarted", 1),
        ("ExecutionSucceeded", 1),
        ("WaitStateExited", 2),
        ("MapIterationStarted", 3),
        ("MapIterationSucceeded", 3),
        ("TaskStateEntered", 3),
        ("TaskSucceeded", 3),
        ("TaskStateExited", 3),
        ("ParallelStateSucceeded", 1),
    ];
    for (kind, count) in expected {
        assert_eq!(counts.get(kind), Some(&count), "{kind} in {arn}");
    }
    assert_eq!(history.last().unwrap()["type"], "ExecutionSucceeded");
    history.len() as u64
}
