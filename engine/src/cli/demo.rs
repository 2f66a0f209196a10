//! `warren demo`: an order goes through, for everybody to see.
//!
//! ```text
//!   demo ──StartExecution──▶ server ◀──GetActivityTask, SendTask*── workers (in this process)
//!     ▲                        │
//!     └──GetExecutionHistory───┘   told in plain words, a line for each step
//! ```
//!
//! It uses the public API alone, so `--endpoint` shows the same on any server. The definition and the order
//! are those of `examples/order-processing`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use super::client::{CallError, Client};
use super::output::{Output, Tone};
use super::{Error, Exit, dev};
use crate::config::Config;
use story::Story;
use workers::Workshop;

mod story;
mod workers;

/// What `warren demo` is told.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// A server that runs already; unless given, one is started for the time of the demo.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Print `{executionArn, status, output, history}` at the end instead.
    #[arg(long)]
    json: bool,
}

const DEFINITION: &str = include_str!("../../../examples/order-processing/order-processing.asl.json");
const ORDER: &str = include_str!("../../../examples/order-processing/input.json");
/// How often the history is asked for.
const POLL: Duration = Duration::from_millis(100);
/// After what time the demo gives up; it takes five seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Shows the demo.
pub async fn run(mut config: Config, args: DemoArgs, out: &mut Output) -> Result<Exit, Error> {
    // Kept to the end: the server ends with it.
    let embedded = match &args.endpoint {
        Some(_) => None,
        None => {
            config.server.host = "127.0.0.1".to_owned();
            config.server.port = 0;
            config.data.directory = None;
            Some(dev::start(config).await?)
        }
    };
    let endpoint = match (&args.endpoint, &embedded) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Some(running)) => running.endpoint.clone(),
        (None, None) => return Err(Error::Failed("there is no server".to_owned())),
    };
    let client = Client::new(&endpoint).map_err(|error| Error::Usage(error.to_string()))?;
    let suffix = Uuid::new_v4().simple().to_string().split_off(26);
    let mut workers = JoinSet::new();
    let workshop = Workshop::open(&client, &suffix, &mut workers).await.map_err(failed)?;
    let shown = tokio::time::timeout(TIMEOUT, show(&client, &workshop, &suffix, &args, out)).await;
    workers.shutdown().await;
    workshop.close(&client).await;
    match shown {
        Err(_) => {
            let seconds = TIMEOUT.as_secs();
            Err(Error::TimedOut(format!("the order is not through after {seconds} s")))
        }
        Ok(ended) => {
            let ended = ended.map_err(failed)?;
            Ok(conclude(&ended, &endpoint, embedded.is_some(), &args, out))
        }
    }
}

/// An execution at its end.
struct Ended {
    arn: String,
    status: String,
    description: Value,
    history: Vec<Value>,
    elapsed: Duration,
}

async fn show(
    client: &Client,
    workshop: &Workshop,
    suffix: &str,
    args: &DemoArgs,
    out: &mut Output,
) -> Result<Ended, CallError> {
    let machine = json!({
        "name": format!("order-processing-{suffix}"),
        "definition": workshop.definition(DEFINITION),
        "roleArn": "arn:aws:iam::000000000000:role/warren-demo",
    });
    let machine = client.call("CreateStateMachine", machine).await?;
    if !args.json {
        introduce(client.endpoint(), out);
    }
    let began = Instant::now();
    let request =
        json!({ "stateMachineArn": machine["stateMachineArn"], "name": "order-12345678", "input": ORDER });
    let started = client.call("StartExecution", request).await?;
    let arn = started["executionArn"].as_str().unwrap_or_default().to_owned();
    let mut story = Story::new(ORDER);
    loop {
        // Asked before the history, so that at its end the history is complete.
        let description = client.call("DescribeExecution", json!({ "executionArn": arn })).await?;
        let history = history(client, &arn).await?;
        for line in story.go_on(&history) {
            if !args.json {
                out.line(line.paint(out));
            }
        }
        let status = description["status"].as_str().unwrap_or_default().to_owned();
        if status != "RUNNING" {
            return Ok(Ended { arn, status, description, history, elapsed: began.elapsed() });
        }
        sleep(POLL).await;
    }
}

fn introduce(endpoint: &str, out: &mut Output) {
    out.line(out.paint(Tone::Strong, "An order of two books goes through the shop."));
    out.line(format_args!(
        "The server is {endpoint}; six activity workers in this process do the work.\n\
         Below: seconds since the start, the number of the event in the history, and what happened.\n"
    ));
}

/// The whole history.
async fn history(client: &Client, arn: &str) -> Result<Vec<Value>, CallError> {
    let mut events = Vec::new();
    let mut request = json!({ "executionArn": arn, "maxResults": 1000 });
    loop {
        let mut page = client.call("GetExecutionHistory", request.clone()).await?;
        if let Value::Array(page) = page["events"].take() {
            events.extend(page);
        }
        match page["nextToken"].take() {
            Value::String(token) => request["nextToken"] = token.into(),
            _ => return Ok(events),
        }
    }
}

fn conclude(ended: &Ended, endpoint: &str, embedded: bool, args: &DemoArgs, out: &mut Output) -> Exit {
    let Ended { arn, status, description, history, elapsed } = ended;
    let output = description["output"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let (tone, exit) = match status.as_str() {
        "SUCCEEDED" => (Tone::Good, Exit::Well),
        "TIMED_OUT" => (Tone::Bad, Exit::TimedOut),
        _ => (Tone::Bad, Exit::Failed),
    };
    if args.json {
        let shown = json!({ "executionArn": arn, "status": status, "output": output, "history": history });
        out.line(format_args!("{shown:#}"));
        return exit;
    }
    let seconds = elapsed.as_secs_f64();
    let events = history.len();
    let status = out.paint(tone, status);
    out.line(format_args!("\n{status} after {seconds:.1} s and {events} history events. The output:"));
    out.line(format_args!("{:#}\n", output.unwrap_or_else(|| description["error"].clone())));
    out.line(out.paint(Tone::Strong, "To look further"));
    if embedded {
        out.line("this server ends with the demo. Start one that stays, and show the demo on it:");
        out.line("  warren dev");
        out.line("  warren demo --endpoint http://127.0.0.1:8083");
        out.line("  aws stepfunctions --endpoint-url http://127.0.0.1:8083 list-state-machines");
    } else {
        let aws = format!("  aws stepfunctions --endpoint-url {endpoint}");
        out.line(format_args!("{aws} describe-execution --execution-arn {arn}"));
        out.line(format_args!("{aws} get-execution-history --execution-arn {arn}"));
    }
    exit
}

fn failed(error: CallError) -> Error {
    Error::Failed(error.to_string())
}
