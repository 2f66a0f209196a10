//! The actions of AWS Step Functions that the bench uses, as AWS JSON 1.0.

use serde_json::{Value, json};

use super::http::{Answer, Http};
use crate::failure::{Context as _, Failure, Result};

const ROLE: &str = "arn:aws:iam::000000000000:role/bench";
/// Most that one page of a list may hold.
const PAGE: u32 = 1_000;

/// One connection to one server.
#[derive(Debug)]
pub struct Api(Http);

/// A request that is sent over and over.
#[derive(Debug, Clone)]
pub struct Request {
    headers: String,
    body: Vec<u8>,
    /// What the answer must hold.
    expected: &'static str,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is done.
    Done,
    /// The server has too much to do.
    Throttled,
}

/// Begin and end of an execution, in milliseconds since 1970, by the server's clock.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Begin.
    pub start_ms: f64,
    /// End.
    pub stop_ms: f64,
}

impl Request {
    /// StartExecution, with a generated name.
    pub fn start(machine: &str, input: &Value) -> Self {
        Request::new("StartExecution", machine, input, "\"executionArn\"")
    }

    /// StartSyncExecution; anything but success fails.
    pub fn start_sync(machine: &str, input: &Value) -> Self {
        Request::new("StartSyncExecution", machine, input, "\"SUCCEEDED\"")
    }

    fn new(action: &str, machine: &str, input: &Value, expected: &'static str) -> Self {
        let body = json!({ "stateMachineArn": machine, "input": input.to_string() }).to_string();
        Request { headers: headers(action), body: body.into_bytes(), expected }
    }
}

impl Api {
    /// To `HOST:PORT`.
    pub fn new(address: &str) -> Self {
        Api(Http::new(address))
    }

    /// Sends a prepared request. The answer is searched, not parsed: that would cost the driver more than
    /// the rest of the request.
    pub async fn send(&mut self, request: &Request) -> Result<Sent> {
        let answer = self.0.call("POST /", &request.headers, &request.body).await?;
        let holds = |text: &str| answer.body.windows(text.len()).any(|window| window == text.as_bytes());
        if answer.status == 200 && holds(request.expected) {
            Ok(Sent::Done)
        } else if holds("ThrottlingException") {
            Ok(Sent::Throttled)
        } else {
            Err(refused(&answer))
        }
    }

    /// Any action.
    pub async fn call(&mut self, action: &str, body: &Value) -> Result<Value> {
        let answer = self.0.call("POST /", &headers(action), body.to_string().as_bytes()).await;
        let answer = answer.context(action)?;
        if answer.status != 200 {
            return Err(refused(&answer)).context(action);
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// CreateStateMachine, under this name and a random ending; its ARN.
    pub async fn create_machine(&mut self, name: &str, express: bool, definition: &Value) -> Result<String> {
        let name = format!("{name}-{}", uuid::Uuid::new_v4().simple());
        let kind = if express { "EXPRESS" } else { "STANDARD" };
        let body =
            json!({ "name": name, "type": kind, "roleArn": ROLE, "definition": definition.to_string() });
        text(&self.call("CreateStateMachine", &body).await?, "stateMachineArn")
    }

    /// StartExecution; its ARN.
    pub async fn start(&mut self, machine: &str, input: &Value) -> Result<String> {
        let body = json!({ "stateMachineArn": machine, "input": input.to_string() });
        text(&self.call("StartExecution", &body).await?, "executionArn")
    }

    /// DescribeExecution; the span, once it has succeeded.
    pub async fn ended(&mut self, execution: &str) -> Result<Option<Span>> {
        let answer = self.call("DescribeExecution", &json!({ "executionArn": execution })).await?;
        match answer["status"].as_str() {
            Some("RUNNING") => Ok(None),
            Some("SUCCEEDED") => span(&answer).map(Some),
            _ => Err(Failure::new(format!("an execution did not succeed: {answer}"))),
        }
    }

    /// Whether any execution of a machine has this status.
    pub async fn any(&mut self, machine: &str, status: &str) -> Result<bool> {
        let body = json!({ "stateMachineArn": machine, "statusFilter": status, "maxResults": 1 });
        let answer = self.call("ListExecutions", &body).await?;
        Ok(answer["executions"].as_array().is_some_and(|executions| !executions.is_empty()))
    }

    /// Spans of all executions of a machine that succeeded.
    pub async fn succeeded(&mut self, machine: &str) -> Result<Vec<Span>> {
        let mut body = json!({ "stateMachineArn": machine, "statusFilter": "SUCCEEDED", "maxResults": PAGE });
        let mut spans = Vec::new();
        loop {
            let mut answer = self.call("ListExecutions", &body).await?;
            for execution in answer["executions"].as_array().into_iter().flatten() {
                spans.push(span(execution)?);
            }
            match answer["nextToken"].take() {
                Value::Null => return Ok(spans),
                token => body["nextToken"] = token,
            }
        }
    }

    /// Whether the server says that it is ready.
    pub async fn ready(&mut self) -> bool {
        self.0.call("GET /readyz", "", b"").await.is_ok_and(|answer| answer.status == 200)
    }
}

fn headers(action: &str) -> String {
    format!("Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AWSStepFunctions.{action}\r\n")
}

fn refused(answer: &Answer) -> Failure {
    let body = String::from_utf8_lossy(&answer.body);
    Failure::new(format!(
        "the server answered {}: {}",
        answer.status,
        body.chars().take(500).collect::<String>()
    ))
}

fn text(answer: &Value, key: &str) -> Result<String> {
    answer[key].as_str().map(str::to_owned).ok_or_else(|| Failure::new(format!("an answer without {key}")))
}

fn span(execution: &Value) -> Result<Span> {
    let time = |key: &str| execution[key].as_f64().map(|seconds| (seconds * 1e3).round());
    let (Some(start_ms), Some(stop_ms)) = (time("startDate"), time("stopDate")) else {
        return Err(Failure::new("an execution without its dates"));
    };
    Ok(Span { start_ms, stop_ms })
}
