//! `warren serve` and the commands of its operators, as real processes on the real servers.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Output;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

#[path = "support/deployment.rs"]
#[expect(dead_code, reason = "each test uses a part of it")]
mod deployment;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "each test uses a part of it")]
mod server;

use deployment::{Deployment, PATIENCE};
use server::{create, ended};

/// An address that nobody listens on.
const NOBODY: &str = "postgres://postgres@127.0.0.1:9/warren";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a command printed as JSON, if it ended with this code.
fn printed(output: &Output, code: i32) -> Value {
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// A pass, a wait, three calls of a function, and a pass.
fn definition() -> Value {
    let call = json!({ "StartAt": "Call", "States": { "Call": {
        "Type": "Task",
        "Resource": "arn:aws:lambda:us-east-1:000000000000:function:echo",
        "End": true,
    } } });
    json!({ "StartAt": "First", "States": {
        "First": { "Type": "Pass", "Next": "Wait" },
        "Wait": { "Type": "Wait", "Seconds": 1, "Next": "Each" },
        "Each": { "Type": "Map", "ItemsPath": "$.items", "ItemProcessor": call, "Next": "Last" },
        "Last": { "Type": "Pass", "End": true },
    } })
}

#[tokio::test]
async fn what_is_away_is_told_and_keeps_no_process_from_starting() {
    let deployment = Deployment::new();
    let mut serve = deployment.serve(&[], &[("WARREN__STORE__URL", NOBODY)]);
    assert_eq!(serve.get("/healthz").await, (200, json!({ "status": "ok" })));
    let (status, body) = serve.get("/readyz").await;
    assert_eq!((status, &body["status"]), (503, &json!("not ready")));
    assert_eq!(body["missing"][0]["what"], "database", "{body}");
    let refused = serve.client().call("ListStateMachines", json!({})).await.unwrap_err();
    assert!(refused.to_string().starts_with("ThrottlingException: Warren is starting"), "{refused}");
    // Several tries, one line.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let log = serve.log();
    assert_eq!(log.matches("waiting for the database").count(), 1, "{log}");
    assert_eq!(serve.terminate(), Some(0));
}

#[tokio::test]
async fn a_broker_that_is_away_is_told() {
    let deployment = Deployment::new();
    let mut serve = deployment.serve(&[], &[("WARREN__BROKER__URL", "amqp://guest:guest@127.0.0.1:9/%2f")]);
    let began = std::time::Instant::now();
    loop {
        let (status, body) = serve.get("/readyz").await;
        assert_eq!(status, 503);
        // The database comes first.
        if body["missing"].as_array().unwrap().len() == 1 && body["missing"][0]["what"] == "broker" {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(serve.get("/healthz").await.0, 200);
    assert_eq!(serve.terminate(), Some(0));
}

#[tokio::test]
async fn tables_wait_for_migrate_where_a_start_may_not_make_them() {
    let deployment = Deployment::new();
    let serve = deployment.serve(&[], &[("WARREN__STORE__MIGRATE_AT_START", "false")]);
    let began = std::time::Instant::now();
    while serve.get("/readyz").await.1["missing"][0]["what"] != "migrations" {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, body) = serve.get("/readyz").await;
    assert!(body["missing"][0]["reason"].as_str().unwrap().ends_with("run `warren migrate`"), "{body}");
    let migrated = printed(&deployment.run(&["migrate", "--json"], &[]), 0);
    assert!(migrated["applied"].as_u64().unwrap() > 0);
    serve.ready().await;
    assert_eq!(printed(&deployment.run(&["migrate", "--json"], &[]), 0)["applied"], 0);
    let failed = deployment.run(&["migrate"], &[("WARREN__STORE__URL", NOBODY)]);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed.stderr));
}

#[tokio::test]
async fn two_processes_may_make_the_tables_at_once() {
    let deployment = Deployment::new();
    let (mut one, mut other) = (deployment.serve(&[], &[]), deployment.serve(&[], &[]));
    one.ready().await;
    other.ready().await;
    // Tokens of one are good at the other: the key was made once.
    let activity = one.client().call("CreateActivity", json!({ "name": "a" })).await.unwrap();
    let definition = json!({ "StartAt": "A", "States": { "A": {
        "Type": "Task", "Resource": activity["activityArn"], "End": true,
    } } });
    let arn = create(&one.client(), "m", &definition, "STANDARD").await;
    let started = one.client().call("StartExecution", json!({ "stateMachineArn": arn })).await.unwrap();
    let request = json!({ "activityArn": activity["activityArn"] });
    let task = one.client().call("GetActivityTask", request).await.unwrap();
    let answer = json!({ "taskToken": task["taskToken"], "output": "7" });
    other.client().call("SendTaskSuccess", answer).await.unwrap();
    let execution = ended(&one.client(), started["executionArn"].as_str().unwrap(), PATIENCE).await;
    assert_eq!(execution["output"], "7");
    // Its queue goes with it.
    other.client().call("DeleteActivity", json!({ "activityArn": activity["activityArn"] })).await.unwrap();
    assert_eq!((one.terminate(), other.terminate()), (Some(0), Some(0)));
}

#[tokio::test]
async fn roles_share_the_work_over_processes() {
    let deployment = Deployment::new();
    let mut api = deployment.serve(&["--roles", "api"], &[]);
    let mut engine = deployment.serve(&["--roles", "engine"], &[]);
    let mut connectors = deployment.serve(&["--roles", "connectors,triggers"], &[]);
    for process in [&api, &engine, &connectors] {
        process.ready().await;
    }
    let client = api.client();
    let standard = create(&client, "standard", &definition(), "STANDARD").await;
    let request = json!({ "stateMachineArn": standard, "input": json!({ "items": [1, 2, 3] }).to_string() });
    let started = client.call("StartExecution", request.clone()).await.unwrap();
    let execution = ended(&client, started["executionArn"].as_str().unwrap(), PATIENCE).await;
    assert_eq!((&execution["status"], &execution["output"]), (&json!("SUCCEEDED"), &json!("[1,2,3]")));
    let express = create(&client, "express", &definition(), "EXPRESS").await;
    let request = json!({ "stateMachineArn": express, "input": request["input"] });
    let ran = client.call("StartSyncExecution", request).await.unwrap();
    assert_eq!((&ran["status"], &ran["output"]), (&json!("SUCCEEDED"), &json!("[1,2,3]")));
    // Only one of them has the API.
    assert!(engine.client().call("ListStateMachines", json!({})).await.is_err());
    for process in [&mut api, &mut engine, &mut connectors] {
        assert_eq!(process.terminate(), Some(0), "{}", process.log());
    }
}

#[tokio::test]
async fn a_stop_under_load_loses_nothing() {
    const EXECUTIONS: usize = 60;
    let deployment = Deployment::new();
    let (mut stays, mut goes) = (deployment.serve(&[], &[]), deployment.serve(&[], &[]));
    stays.ready().await;
    goes.ready().await;
    let client = stays.client();
    let machine = create(&client, "m", &definition(), "STANDARD").await;
    let mut started = Vec::new();
    for number in 0..EXECUTIONS {
        let input = json!({ "items": [number, number + 1] }).to_string();
        let request = json!({ "stateMachineArn": machine, "input": input });
        let execution = client.call("StartExecution", request).await.unwrap();
        started.push(execution["executionArn"].as_str().unwrap().to_owned());
        if number == EXECUTIONS / 2 {
            goes.signal(Signal::TERM);
        }
    }
    assert_eq!(goes.terminate(), Some(0), "{}", goes.log());
    for (number, arn) in started.iter().enumerate() {
        let execution = ended(&client, arn, PATIENCE).await;
        assert_eq!(execution["output"], json!([number, number + 1]).to_string(), "{execution}");
    }
    assert_eq!(stays.terminate(), Some(0), "{}", stays.log());
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_and_how_to_mend_it() {
    let deployment = Deployment::new();
    let findings = printed(&deployment.run(&["doctor", "--json"], &[]), 0);
    let verdict = |check: &str| {
        let findings = findings.as_array().unwrap();
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("no {check}: {findings:?}"))["verdict"].clone()
    };
    for check in ["broker", "queues", "dead letters", "clock", "database release", "connections"] {
        assert_eq!(verdict(check), "ok", "{check}: {findings}");
    }
    // No table was made, and no standby is there.
    assert_eq!((verdict("tables"), verdict("standby")), (json!("warn"), json!("warn")));
    let away = deployment.run(&["doctor"], &[("WARREN__STORE__URL", NOBODY)]);
    assert_eq!(away.status.code(), Some(1));
    let said = text(&away.stdout);
    assert!(said.contains("fail  database") && said.contains("set store.url"), "{said}");
    assert!(!said.contains('\u{1b}'), "colours are for terminals: {said}");
    // Queues of another type are in the way.
    let other = deployment.run(&["doctor"], &[("WARREN__BROKER__QUEUE_TYPE", "classic")]);
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stdout).contains("broker.queue_type"), "{}", text(&other.stdout));
}

#[tokio::test]
async fn settings_are_explained_with_their_origin() {
    let deployment = Deployment::new();
    let settings = [("WARREN__BROKER__URL", "amqp://user:hush-hush@host/%2f")];
    let output = deployment.run(&["config", "explain", "--json", "--port", "9000"], &settings);
    let explained = printed(&output, 0);
    let check = |key: &str, value: Value, origin: &str| {
        let found = explained.as_array().unwrap().iter().find(|setting| setting["key"] == key).unwrap();
        assert_eq!((&found["value"], &found["origin"]), (&value, &json!(origin)), "{key}");
    };
    check("server.port", json!(9000), "the flag --port");
    check("broker.url", json!("amqp://user:***@host/%2f"), "the environment variable WARREN__BROKER__URL");
    check("store.retention_days", json!(90), "default");
    assert!(!text(&output.stdout).contains("hush-hush"));
    let output = deployment.run(&["config", "explain"], &settings);
    assert!(text(&output.stdout).contains("store.retention_days"), "{}", text(&output.stdout));
}

#[tokio::test]
async fn what_cannot_be_meant_is_wrong_usage() {
    let deployment = Deployment::new();
    let check = |arguments: &[&str], settings: &[(&str, &str)], says: &str| {
        let output = deployment.run(&[&["serve", "--port", "0"], arguments].concat(), settings);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    };
    check(
        &["--roles", "engines"],
        &[],
        "there is no role \"engines\"; the roles are api,engine,connectors,triggers",
    );
    check(&[], &[("WARREN__BROKER__URL", "no url")], "broker.url");
    check(&[], &[("WARREN__STORE__URL", "no url")], "store.url");
    check(&[], &[("WARREN__TASKS__TOKEN_KEY", "short")], "openssl rand -base64 32");
    check(&[], &[("WARREN__BROKER__QUEUES", "0")], "broker.queues");
}
