//! The API of several engines, any of which may be away: what one does not answer, the next is asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::cli::client::{CallError, Client};
use futures::StreamExt;
use serde_json::{Value, json};

/// An engine that has not answered by then is frozen.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// When nobody answers for so long, something is broken and not only away.
const SOMEBODY_WITHIN: Duration = Duration::from_secs(90);
/// Executions that make no progress for so long are stuck.
const PROGRESS_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at what does not announce itself.
const LOOK: Duration = Duration::from_millis(100);
/// Executions that are being started at a time.
pub const STARTS_AT_A_TIME: u64 = WIDTH as u64;
/// Calls at a time.
const WIDTH: usize = 16;

/// Asks whoever answers.
pub struct Api {
    clients: Vec<Client>,
    turn: AtomicUsize,
}

impl Api {
    pub fn new(endpoints: impl IntoIterator<Item = String>) -> Self {
        let clients = endpoints.into_iter().map(|endpoint| Client::new(&endpoint).unwrap()).collect();
        Api { clients, turn: AtomicUsize::new(0) }
    }

    /// Asks until somebody answers, with a result or a refusal.
    pub async fn call(&self, action: &str, request: Value) -> Result<Value, CallError> {
        let began = Instant::now();
        loop {
            match self.once(action, request.clone()).await {
                Err(CallError::Unavailable(reason)) => {
                    assert!(began.elapsed() < SOMEBODY_WITHIN, "nobody answers to {action}: {reason}");
                    tokio::time::sleep(LOOK).await;
                }
                answered => return answered,
            }
        }
    }

    /// Asks one of them once.
    pub async fn once(&self, action: &str, request: Value) -> Result<Value, CallError> {
        let client = &self.clients[self.turn.fetch_add(1, Ordering::Relaxed) % self.clients.len()];
        match tokio::time::timeout(ANSWER_WITHIN, client.call(action, request)).await {
            Ok(answered) => answered,
            Err(_) => Err(CallError::Unavailable(format!("{} does not answer", client.endpoint()))),
        }
    }

    /// Creates a machine and answers its ARN. One that is there already is the same.
    pub async fn create(&self, name: &str, workflow: &str, definition: &Value) -> String {
        let request = json!({
            "name": name,
            "definition": definition.to_string(),
            "roleArn": "arn:aws:iam::000000000000:role/any",
            "type": workflow,
        });
        let created = self.call("CreateStateMachine", request).await.expect("the definition is correct");
        created["stateMachineArn"].as_str().expect("an ARN").to_owned()
    }

    /// Starts an execution and answers its ARN and when it started, in seconds. A second try of a start whose
    /// answer was lost may find it over already.
    pub async fn start(&self, machine: &str, name: &str, input: &Value) -> (String, f64) {
        let request = json!({ "stateMachineArn": machine, "name": name, "input": input.to_string() });
        match self.call("StartExecution", request).await {
            Ok(started) => {
                (started["executionArn"].as_str().unwrap().to_owned(), started["startDate"].as_f64().unwrap())
            }
            Err(error) if error.is("ExecutionAlreadyExists") => {
                (format!("{}:{name}", machine.replace(":stateMachine:", ":execution:")), 0.0)
            }
            Err(error) => panic!("failed to start {name}: {error}"),
        }
    }

    /// Starts `run-0` to before `run-<count>`, several at a time; `input` makes the input of each.
    pub async fn start_all(
        &self,
        machine: &str,
        count: u64,
        input: impl Fn(u64) -> Value,
    ) -> Vec<(String, f64)> {
        let starts = (0..count).map(|number| {
            let input = input(number);
            async move { self.start(machine, &format!("run-{number}"), &input).await }
        });
        futures::stream::iter(starts).buffered(WIDTH).collect().await
    }

    /// Waits until no execution of a machine runs, and answers how many ended in which way.
    pub async fn all_ended(&self, machine: &str) -> BTreeMap<String, u64> {
        let (mut running_before, mut moved) = (u64::MAX, Instant::now());
        loop {
            let running = self.list(machine, Some("RUNNING")).await;
            if running.is_empty() {
                break;
            }
            let count = running.len() as u64;
            if count != running_before {
                (running_before, moved) = (count, Instant::now());
            }
            assert!(
                moved.elapsed() < PROGRESS_WITHIN,
                "{count} executions are stuck, {} among them",
                running[0]["name"]
            );
            tokio::time::sleep(LOOK).await;
        }
        let mut counts = BTreeMap::new();
        for execution in self.list(machine, None).await {
            *counts.entry(execution["status"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    }

    /// The executions of a machine.
    pub async fn list(&self, machine: &str, status: Option<&str>) -> Vec<Value> {
        let mut request = json!({ "stateMachineArn": machine, "maxResults": 1000 });
        if let Some(status) = status {
            request["statusFilter"] = status.into();
        }
        self.pages("ListExecutions", "executions", request).await
    }

    /// The whole history of an execution.
    pub async fn history(&self, arn: &str) -> Vec<Value> {
        self.pages("GetExecutionHistory", "events", json!({ "executionArn": arn, "maxResults": 1000 })).await
    }

    /// The histories of many, in their order.
    pub async fn histories(&self, arns: impl IntoIterator<Item = String>) -> Vec<Vec<Value>> {
        let reads = arns.into_iter().map(|arn| async move { self.history(&arn).await });
        futures::stream::iter(reads).buffered(WIDTH).collect().await
    }

    async fn pages(&self, action: &str, list: &str, mut request: Value) -> Vec<Value> {
        let mut found = Vec::new();
        loop {
            let page = self.call(action, request.clone()).await.expect("it exists");
            found.extend(page[list].as_array().expect("a list").iter().cloned());
            match page.get("nextToken") {
                Some(token) if !token.is_null() => request["nextToken"] = token.clone(),
                _ => return found,
            }
        }
    }
}
