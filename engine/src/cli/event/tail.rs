//! `warren event tail`: a line for each status change, and for each transition if asked.
//!
//! It goes on until Ctrl-C, whatever becomes of the server: it connects again, and says so once. What happens
//! while nobody looks on is not shown.

use std::time::Duration;

use asl::data::timestamp::Timestamp;
use clap::Args;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::stream::{Message, Stream};
use crate::cli::client::{CallError, Client};
use crate::cli::composition::supervision::BackOff;
use crate::cli::output::{Output, Tone};
use crate::cli::{Error, Exit};

/// A server that says nothing for so long, not even that it lives, is gone.
const SILENT_FOR: Duration = Duration::from_secs(45);

/// What `warren event tail` is told.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Only of this state machine.
    #[arg(long, value_name = "NAME|ARN")]
    machine: Option<String>,
    /// Only of this execution.
    #[arg(long, value_name = "NAME|ARN")]
    execution: Option<String>,
    /// Transitions too, where the server shows them (`events.transitions`).
    #[arg(long)]
    transitions: bool,
    /// Print each as it is sent, as JSON.
    #[arg(long)]
    json: bool,
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8083")]
    endpoint: String,
}

/// Shows what happens until it is told to stop.
pub(super) async fn run(args: TailArgs, out: &mut Output) -> Result<Exit, Error> {
    let client = Client::new(&args.endpoint).map_err(|error| Error::Usage(error.to_string()))?;
    let tail = Tail { path: path(&args), client, json: args.json };
    tokio::select! {
        ended = tail.follow(out) => ended,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Well),
    }
}

fn path(args: &TailArgs) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("machine", &args.machine), ("execution", &args.execution)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    if args.transitions {
        query.append_pair("transitions", "true");
    }
    format!("/console/api/events?{}", query.finish())
}

struct Tail {
    client: Client,
    path: String,
    json: bool,
}

impl Tail {
    /// Ends when nobody reads what it prints, or when the server does not do as it is asked.
    async fn follow(&self, out: &mut Output) -> Result<Exit, Error> {
        let (mut back_off, mut told) = (BackOff::default(), false);
        loop {
            let lost = match self.client.follow(&self.path).await {
                Ok(response) => {
                    if std::mem::take(&mut told) {
                        let endpoint = self.client.endpoint();
                        Output::stderr().line(format_args!(
                            "{endpoint} answers again; what happened meanwhile is not shown"
                        ));
                    }
                    back_off = BackOff::default();
                    match self.show_all(response, out).await? {
                        Some(lost) => lost,
                        None => return Ok(Exit::Well),
                    }
                }
                Err(CallError::Unavailable(reason)) => reason,
                Err(error @ CallError::Refused { .. }) => return Err(Error::Usage(error.to_string())),
                Err(error @ CallError::Foreign(_)) => return Err(Error::Failed(error.to_string())),
            };
            if !std::mem::replace(&mut told, true) {
                Output::stderr().line(format_args!("{lost}; trying again until it works"));
            }
            back_off.pause(&CancellationToken::new()).await;
        }
    }

    /// Shows what comes. Answers why no more does; `None`: nobody reads it.
    async fn show_all(
        &self,
        mut response: reqwest::Response,
        out: &mut Output,
    ) -> Result<Option<String>, Error> {
        let (endpoint, mut stream) = (self.client.endpoint(), Stream::default());
        loop {
            let piece = match timeout(SILENT_FOR, response.chunk()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => return Ok(Some(format!("{endpoint} has stopped"))),
                Ok(Err(_)) => return Ok(Some(format!("lost the connection to {endpoint}"))),
                Err(_) => return Ok(Some(format!("{endpoint} is silent"))),
            };
            for message in stream.take(&piece).map_err(|error| Error::Failed(error.to_string()))? {
                self.show(&message, out);
            }
            if out.has_ended() {
                return Ok(None);
            }
        }
    }

    fn show(&self, Message { event, data }: &Message, out: &mut Output) {
        let Ok(value) = serde_json::from_str::<Value>(data) else { return };
        match event.as_str() {
            "lagged" => {
                let missed =
                    value["missed"].as_u64().map_or_else(|| "some".to_owned(), |missed| missed.to_string());
                let told = format!(
                    "{missed} events are not shown: they came faster than they were read, or were lost"
                );
                Output::stderr().line(told);
            }
            "status" | "transition" if self.json => out.line(data),
            "status" => out.line(status_line(&value, out)),
            "transition" => out.line(transition_line(&value, out)),
            // Of a later release.
            _ => {}
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn machine_name(value: &Value) -> &str {
    let arn = text(value, "stateMachineArn");
    arn.rsplit_once(":stateMachine:").map_or(arn, |(_, name)| name)
}

/// `2026-01-31T12:00:00.5Z  FAILED     orders  first  Sour: Milk`.
fn status_line(event: &Value, out: &Output) -> String {
    let detail = &event["detail"];
    let status = text(detail, "status");
    let tone = match status {
        "RUNNING" => Tone::Strong,
        "SUCCEEDED" => Tone::Good,
        _ => Tone::Bad,
    };
    let at = detail["stopDate"].as_i64().or(detail["startDate"].as_i64()).unwrap_or_default();
    let at = Timestamp::from_milliseconds(at).to_string();
    let failure: Vec<&str> =
        ["error", "cause"].into_iter().filter_map(|name| detail[name].as_str()).collect();
    let failure =
        if failure.is_empty() { String::new() } else { format!("  {}", one_line(&failure.join(": "))) };
    let status = out.paint(tone, format_args!("{status:<10}"));
    format!(
        "{}  {status} {}  {}{failure}",
        out.paint(Tone::Quiet, at),
        machine_name(detail),
        text(detail, "name")
    )
}

/// `2026-01-31T12:00:00.5Z  Task Pay   orders  first  r.3.0/2  TaskStateEntered, LambdaFunctionScheduled`.
fn transition_line(shown: &Value, out: &Output) -> String {
    let state = &shown["state"];
    let state = format!("{} {}", text(state, "type"), text(state, "name"));
    let kinds: Vec<&str> =
        shown["events"].as_array().into_iter().flatten().map(|event| text(event, "type")).collect();
    let place = format!("{}/{}", text(shown, "branch"), shown["seq"]);
    format!(
        "{}  {:<10} {}  {}  {}  {}",
        out.paint(Tone::Quiet, text(shown, "time")),
        one_line(state.trim()),
        machine_name(shown),
        text(shown, "name"),
        out.paint(Tone::Quiet, place),
        kinds.join(", "),
    )
}

/// What somebody else wrote must not look like lines of ours, nor colour the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_change_is_a_line() {
        let check = |status: &str, stop: Value, error: Value, expected: &str| {
            let event = json!({ "detail": {
                "stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:orders",
                "name": "first", "status": status, "startDate": 1_700_000_000_000_i64, "stopDate": stop,
                "error": error, "cause": error,
            } });
            assert_eq!(status_line(&event, &Output::plain()), expected);
        };
        check("RUNNING", Value::Null, Value::Null, "2023-11-14T22:13:20Z  RUNNING    orders  first");
        let failed = "2023-11-14T22:13:20.500Z  FAILED     orders  first  a b: a b";
        check("FAILED", json!(1_700_000_000_500_i64), json!("a\nb"), failed);
    }

    #[test]
    fn a_transition_is_a_line() {
        let shown = json!({
            "stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:orders", "name": "first",
            "time": "2023-11-14T22:13:20.500Z", "branch": "r.1.0", "seq": 2, "state": { "type": "Task", "name": "Pay" },
            "events": [{ "type": "TaskStateEntered" }, { "type": "LambdaFunctionScheduled" }],
        });
        let expected = "2023-11-14T22:13:20.500Z  Task Pay   orders  first  r.1.0/2  TaskStateEntered, LambdaFunctionScheduled";
        assert_eq!(transition_line(&shown, &Output::plain()), expected);
    }

    #[test]
    fn what_is_wanted_is_in_the_query() {
        let args = TailArgs {
            machine: Some("a b&c".to_owned()),
            execution: None,
            transitions: true,
            json: false,
            endpoint: String::new(),
        };
        assert_eq!(path(&args), "/console/api/events?machine=a+b%26c&transitions=true");
    }
}
