//! What is told to those who listen, and the commands around it, on real processes: status changes, transitions,
//! `warren event`, `warren queue`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use tokio::time::timeout;

#[path = "events/commands.rs"]
mod commands;
#[path = "support/deployment.rs"]
#[expect(dead_code, reason = "each test uses a part of it")]
mod deployment;
#[path = "support/schema.rs"]
mod schema;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "each test uses a part of it")]
mod server;

use deployment::{Deployment, PATIENCE};
use server::{Server, create, ended, history};

/// The schema of a shown transition.
const TRANSITION: &str = "events/transition.json";

/// A client that looks on.
struct Watch {
    response: reqwest::Response,
    text: String,
    events: VecDeque<(String, Value)>,
}

impl Watch {
    async fn begin(endpoint: &str, query: &str) -> Self {
        let response = reqwest::get(format!("{endpoint}/console/api/events?{query}")).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Watch { response, text: String::new(), events: VecDeque::new() }
    }

    /// The next event and its data; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        while self.events.is_empty() {
            let piece = timeout(PATIENCE, self.response.chunk()).await.expect("an event").ok()??;
            self.text += std::str::from_utf8(&piece).unwrap();
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let found = event.lines().find_map(|line| line.strip_prefix(name));
                    found.map(|value| value.trim_start().to_owned())
                };
                if let (Some(kind), Some(data)) = (field("event:"), field("data:")) {
                    self.events.push_back((kind, serde_json::from_str(&data).unwrap()));
                }
                self.text = rest.to_owned();
            }
        }
        self.events.pop_front()
    }

    /// Events until so many executions have ended.
    async fn until_ended(&mut self, ends: usize) -> Vec<(String, Value)> {
        let (mut seen, mut left) = (Vec::new(), ends);
        while left > 0 {
            let (kind, event) = self.next().await.expect("it goes on");
            left -= usize::from(kind == "status" && event["detail"]["status"] != "RUNNING");
            seen.push((kind, event));
        }
        seen
    }
}

fn function(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

/// A pass, and a Map of tasks.
fn long() -> Value {
    let call = json!({ "StartAt": "Call", "States": { "Call": { "Type": "Task", "Resource": function("echo"), "End": true } } });
    json!({ "StartAt": "First", "States": {
        "First": { "Type": "Pass", "Next": "Each" },
        "Each": { "Type": "Map", "ItemsPath": "$.items", "ItemProcessor": call, "End": true },
    } })
}

fn one(state: Value) -> Value {
    json!({ "StartAt": "Only", "States": { "Only": state } })
}

async fn start(server: &Server, machine: &str, name: &str, input: &str) -> String {
    let request = json!({ "stateMachineArn": machine, "name": name, "input": input });
    let started = server.client().call("StartExecution", request).await.unwrap();
    started["executionArn"].as_str().unwrap().to_owned()
}

const ECHO: [(&str, &str); 1] = [("WARREN__FUNCTIONS__echo__COMMAND", "cat")];

#[tokio::test]
async fn every_end_is_told_with_all_that_led_to_it() {
    let server = Server::start(None, &ECHO);
    let client = server.client();
    let mut watch = Watch::begin(&server.endpoint, "transitions=true").await;
    let wait = json!({ "Type": "Wait", "Seconds": 3_600, "End": true });
    let mut brief = one(wait.clone());
    brief["TimeoutSeconds"] = 1.into();
    let fails = json!({ "Type": "Fail", "Error": "Sour", "Cause": "Milk" });
    let mut executions = Vec::new();
    for (name, definition) in
        [("long", long()), ("fails", one(fails)), ("stopped", one(wait)), ("brief", brief)]
    {
        let machine = create(&client, name, &definition, "STANDARD").await;
        executions.push(start(&server, &machine, "first", r#"{"items": [1, 2, 3]}"#).await);
    }
    client.call("StopExecution", json!({ "executionArn": executions[2] })).await.unwrap();
    let seen = watch.until_ended(4).await;
    for (kind, event) in &seen {
        let schema = if kind == "status" { "events/status-change.json" } else { TRANSITION };
        assert_eq!(schema::problem(schema, event), None, "{event}");
    }
    let of = |kind: &str, arn: &str| -> Vec<Value> {
        let all = seen.iter().filter(|(found, _)| found == kind).map(|(_, event)| event.clone());
        all.filter(|event| event["executionArn"] == arn || event["detail"]["executionArn"] == arn).collect()
    };
    for (arn, end) in executions.iter().zip(["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"]) {
        let changes = of("status", arn);
        let statuses: Vec<&Value> = changes.iter().map(|event| &event["detail"]["status"]).collect();
        assert_eq!(statuses, ["RUNNING", end], "{arn}");
        let described = server::describe(&client, arn).await.unwrap();
        for change in &changes {
            assert_eq!(change["detail"]["input"], described["input"]);
        }
        for member in ["output", "error", "cause", "name", "redriveStatus"] {
            let shown = described.get(member).cloned().unwrap_or_default();
            assert_eq!(changes[1]["detail"][member], shown, "{member} of {arn}");
        }
        let mut shown: Vec<String> = of("transition", arn)
            .iter()
            .flat_map(|moved| moved["events"].as_array().unwrap().clone())
            .map(|event| event.to_string())
            .collect();
        let mut recorded: Vec<String> = history(&client, arn).await.into_iter().map(without_ids).collect();
        shown.sort();
        recorded.sort();
        assert_eq!(shown, recorded, "{arn}");
    }
}

fn without_ids(mut event: Value) -> String {
    let members = event.as_object_mut().unwrap();
    members.shift_remove("id");
    members.shift_remove("previousEventId");
    event.to_string()
}

#[tokio::test]
async fn express_steps_are_shown_and_no_status_changes() {
    let server = Server::start(None, &ECHO);
    let client = server.client();
    let mut watch = Watch::begin(&server.endpoint, "transitions=true").await;
    let machine = create(&client, "quick", &long(), "EXPRESS").await;
    let request = json!({ "stateMachineArn": machine, "input": r#"{"items": [1, 2]}"# });
    let answer = client.call("StartSyncExecution", request).await.unwrap();
    assert_eq!(answer["status"], "SUCCEEDED");
    let mut kinds = BTreeMap::<String, u32>::new();
    while !kinds.contains_key("ExecutionSucceeded") {
        let (kind, shown) = watch.next().await.unwrap();
        assert_eq!((kind.as_str(), schema::problem(TRANSITION, &shown)), ("transition", None), "{shown}");
        assert_eq!((&shown["executionArn"], &shown["type"]), (&answer["executionArn"], &json!("EXPRESS")));
        for event in shown["events"].as_array().unwrap() {
            *kinds.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    for (kind, count) in
        [("ExecutionStarted", 1), ("PassStateExited", 1), ("TaskStateExited", 2), ("MapStateExited", 1)]
    {
        assert_eq!(kinds.get(kind), Some(&count), "{kinds:?}");
    }
}

#[tokio::test]
async fn an_onlooker_sees_what_it_asks_for_until_the_server_stops() {
    let mut server = Server::start(None, &[("WARREN__EVENTS__TRANSITIONS", "false")]);
    let client = server.client();
    let (mine, other) = (
        create(&client, "my.orders", &one(json!({ "Type": "Pass", "End": true })), "STANDARD").await,
        create(&client, "my", &one(json!({ "Type": "Pass", "End": true })), "STANDARD").await,
    );
    let mut narrow =
        Watch::begin(&server.endpoint, "machine=my.orders&status=SUCCEEDED&transitions=true").await;
    let mut named = Watch::begin(&server.endpoint, "execution=second").await;
    for (machine, name) in [(&other, "first"), (&mine, "first"), (&mine, "second")] {
        let arn = start(&server, machine, name, "{}").await;
        ended(&client, &arn, PATIENCE).await;
    }
    for name in ["first", "second"] {
        let (kind, event) = narrow.next().await.unwrap();
        let detail = &event["detail"];
        assert_eq!(
            (kind.as_str(), &detail["stateMachineArn"], &detail["name"]),
            ("status", &json!(mine), &json!(name))
        );
        assert_eq!(detail["status"], "SUCCEEDED", "no transitions: they are switched off");
    }
    for status in ["RUNNING", "SUCCEEDED"] {
        let (_, event) = named.next().await.unwrap();
        assert_eq!(
            (&event["detail"]["status"], &event["detail"]["name"]),
            (&json!(status), &json!("second"))
        );
    }
    let stopped = tokio::task::spawn_blocking(move || server.terminate());
    assert_eq!((narrow.next().await, named.next().await), (None, None));
    assert!(stopped.await.unwrap(), "open streams do not keep it");
}

#[tokio::test]
async fn nothing_is_told_where_it_is_switched_off() {
    let server = Server::start(None, &[("WARREN__EVENTS__STATUS_CHANGES", "false")]);
    let client = server.client();
    let mut watch = Watch::begin(&server.endpoint, "transitions=true").await;
    let machine =
        create(&client, "m", &one(json!({ "Type": "Wait", "Seconds": 3_600, "End": true })), "STANDARD")
            .await;
    let arn = start(&server, &machine, "first", "{}").await;
    client.call("StopExecution", json!({ "executionArn": arn })).await.unwrap();
    loop {
        let (kind, shown) = watch.next().await.unwrap();
        assert_eq!(kind, "transition");
        if shown["events"][0]["type"] == "ExecutionAborted" {
            return;
        }
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let server = Server::start(None, &[]);
    let check = async |method: reqwest::Method, path: &str, body: &str, status: u16, says: &str| {
        let url = format!("{}/console/api/{path}", server.endpoint);
        let answer = reqwest::Client::new().request(method, url).body(body.to_owned()).send().await.unwrap();
        let code = answer.status().as_u16();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(code, status, "{path}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(says), "{path}: {answer}");
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    check(get, "events?state=x", "", 400, "There is no parameter 'state'").await;
    check(post.clone(), "queues/q/messages", "{}", 400, "missing field `body`").await;
    check(post.clone(), "queues/q/messages", r#"{"body": "", "count": 0}"#, 400, "'count'").await;
    check(post.clone(), "queues/q/messages", r#"{"body": ""}"#, 404, "there is no queue 'q'").await;
    check(post.clone(), "queues/q/receive", r#"{"max": 101}"#, 400, "'max'").await;
    check(post.clone(), "queues/q/receive", r#"{"wait_seconds": 61}"#, 400, "'wait_seconds'").await;
    check(post, "queues/q/receive", "", 404, "there is no queue 'q'").await;
}

#[tokio::test]
async fn serve_tells_and_feeds_through_rabbitmq() {
    let deployment = Deployment::new();
    let mut serve = deployment.serve(&[], &[("WARREN__EVENTS__TRANSITIONS", "true")]);
    serve.ready().await;
    let mut watch = Watch::begin(&serve.endpoint, "machine=m&transitions=true").await;
    let machine = create(&serve.client(), "m", &long(), "STANDARD").await;
    let request = json!({ "stateMachineArn": machine, "input": r#"{"items": [1, 2]}"# });
    let started = serve.client().call("StartExecution", request).await.unwrap();
    let seen = watch.until_ended(1).await;
    let statuses: Vec<&Value> = seen
        .iter()
        .filter(|(kind, _)| kind == "status")
        .map(|(_, event)| &event["detail"]["status"])
        .collect();
    assert_eq!(statuses, ["RUNNING", "SUCCEEDED"]);
    assert!(
        seen.iter()
            .any(|(kind, event)| kind == "transition" && event["executionArn"] == started["executionArn"])
    );
    let queue = format!("{}orders", deployment.prefix);
    commands::feed_and_read(&serve.endpoint, &queue).await;
    deployment::delete_queue(&queue);
    assert_eq!(tokio::task::spawn_blocking(move || serve.terminate()).await.unwrap(), Some(0));
    assert_eq!(watch.next().await, None);
}
